//! The segments of prompts, which come as ids, and of chats, which hold files.

use crate::error::Result;
use crate::hash::sha256;
use crate::structure::{Draw, Language, Source, Unit, segments};
use crate::text::Tokenizer;

/// The segment of each token, for each unit.
///
/// # Errors
/// [`crate::error::ErrorKind::Tokenizer`] for a text that cannot be tokenized, or ids without one.
pub(super) fn levels(
    tokenizer: &Tokenizer,
    ids: &[u32],
    text: &str,
    file_starts: &[usize],
    language: Option<Language>,
    units: &[Unit],
) -> Result<Vec<Vec<u32>>> {
    let (text, offsets) = placed(tokenizer, ids, text)?;
    let source = Source { text: &text, language, file_starts };
    let draw = Draw { seed: 0, hash: &sha256(text.as_bytes()) };
    Ok(units.iter().map(|&unit| segments(&source, &offsets, unit, draw).index).collect())
}

/// Where each token is in a text. Ids that are not the tokenizer's own division of the text are placed one after another,
/// in the text that they have one by one.
fn placed(tokenizer: &Tokenizer, ids: &[u32], text: &str) -> Result<(String, Vec<(usize, usize)>)> {
    for tokens in [tokenizer.encode(text), tokenizer.encode_as_it_stands(text)].into_iter().flatten() {
        if tokens.ids == ids {
            return Ok((text.into(), tokens.offsets));
        }
    }
    let (mut whole, mut offsets) = (String::new(), Vec::new());
    for (number, id) in ids.iter().enumerate() {
        let start = whole.len();
        whole += &tokenizer.after(&ids[..number])?.decode(&[*id])?;
        offsets.push((start, whole.len()));
    }
    Ok((whole, offsets))
}

/// Where the files of a chat begin and end: each message is one, and so is each fenced block of code in it.
pub(super) fn starts_of_chat<'m>(text: &str, messages: impl Iterator<Item = &'m str>) -> Vec<usize> {
    let (mut starts, mut from) = (Vec::new(), 0);
    for message in messages {
        // A template may trim a message.
        let message = message.trim();
        let Some(found) = text[from..].find(message).filter(|_| !message.is_empty()) else { continue };
        let start = from + found;
        starts.push(start);
        let mut place = start;
        let mut fenced = false;
        for line in message.split_inclusive('\n') {
            if line.trim_start().starts_with("```") {
                // Code begins after its fence, and what follows it begins with the fence.
                starts.push(if fenced { place } else { place + line.len() });
                fenced = !fenced;
            }
            place += line.len();
        }
        from = start + message.len();
        starts.push(from);
    }
    starts.retain(|&start| start < text.len());
    starts.dedup();
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_chat() {
        let text = "<user>look:\n```python\nx = 1\n```\nand?<end><bot>";
        let starts = starts_of_chat(text, ["look:\n```python\nx = 1\n```\nand?\n"].into_iter());
        let parts: Vec<&str> = starts
            .iter()
            .zip(starts.iter().skip(1).chain([&text.len()]))
            .map(|(a, b)| &text[*a..*b])
            .collect();
        assert_eq!(parts, ["look:\n```python\n", "x = 1\n", "```\nand?", "<end><bot>"]);
    }
}
