//! Prompts that come as ids, and chats that hold files.

use crate::error::Result;
use crate::text::Tokenizer;

/// A prompt, and where its tokens are in its text.
pub(super) struct Placed {
    pub(super) ids: Vec<u32>,
    pub(super) text: String,
    /// Begin and end of each token, bytes.
    pub(super) offsets: Vec<(usize, usize)>,
}

impl Placed {
    /// The text of ids. If the tokenizer would divide it otherwise, each token is where its own part of the text is.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Tokenizer`] for ids that have no text.
    pub(super) fn of_ids(tokenizer: &Tokenizer, ids: Vec<u32>) -> Result<Placed> {
        let text = tokenizer.decode_all(&ids)?;
        for tokens in [tokenizer.encode_as_it_stands(&text), tokenizer.encode(&text)].into_iter().flatten() {
            if tokens.ids == ids {
                return Ok(Placed { ids, text, offsets: tokens.offsets });
            }
        }
        let (mut text, mut offsets) = (String::new(), Vec::new());
        for (number, id) in ids.iter().enumerate() {
            let start = text.len();
            text += &tokenizer.after(&ids[..number])?.decode(&[*id])?;
            offsets.push((start, text.len()));
        }
        Ok(Placed { ids, text, offsets })
    }
}

/// Where the files of a chat begin and end: each part of a message is one, and so is each fenced block of code in it.
pub(super) fn files_of_chat<'m>(text: &str, parts: impl Iterator<Item = &'m str>) -> Vec<usize> {
    let (mut starts, mut from) = (Vec::new(), 0);
    for message in parts {
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
        let starts = files_of_chat(text, ["look:\n```python\nx = 1\n```\nand?\n"].into_iter());
        let parts: Vec<&str> = starts
            .iter()
            .zip(starts.iter().skip(1).chain([&text.len()]))
            .map(|(a, b)| &text[*a..*b])
            .collect();
        assert_eq!(parts, ["look:\n```python\n", "x = 1\n", "```\nand?", "<end><bot>"]);
    }
}
