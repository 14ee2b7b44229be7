//! The prompt of Long Code Arena's path distance composer, and how it is cut if it is too long.

use crate::task::Sample;
use longcode_base::error::Result;
use longcode_text::Tokenizer;

/// Separates a file's description from the file.
const SEPARATOR: &str = "METASEP\n";

/// Files that are not Python have fewer characters than this.
const LONGEST_OTHER: usize = 16_000;

/// Characters for each token of the limit, cut off before tokenizing.
const CHARACTERS: usize = 6;

/// Other files, far to near, and the head of the file to complete; and the byte offsets at which they begin.
pub(super) fn context(repository: &str, path: &str, others: &[(&str, &str)]) -> (String, Vec<usize>) {
    let is_python = |path: &str| path.ends_with(".py");
    let counts = |path: &str, text: &str| {
        !path.starts_with('.')
            && !path.to_lowercase().contains("license")
            && text.chars().count() < LONGEST_OTHER
    };
    let python = others.iter().filter(|(path, _)| is_python(path));
    let rest = others.iter().filter(|(path, text)| !is_python(path) && counts(path, text));
    let mut files: Vec<_> = python.chain(rest).collect();
    let longest = files.iter().map(|(other, _)| parts(other).len()).max().unwrap_or(0) + parts(path).len();
    // If one path is inside of the other, it is negative, which there counts from the end.
    files.sort_by_key(|(other, _)| distance(path, other).rem_euclid(longest as i64));
    let mut text = format!("{repository}{SEPARATOR}");
    let mut starts = Vec::new();
    for (other, content) in files.iter().rev() {
        starts.push(text.len());
        text += &format!("{other}{SEPARATOR}{content}");
    }
    starts.push(text.len());
    text += &format!("{path}{SEPARATOR}");
    (text, starts)
}

/// Steps from one file's folder to the other's.
fn distance(from: &str, to: &str) -> i64 {
    let (from, to) = (parts(from), parts(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count() as i64;
    from.len() as i64 + to.len() as i64 - 2 * common - 2
}

/// The parts of a path, like `os.path.normpath(path).split("/")`.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let is_absolute = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.is_empty()) {
        (true, _) => parts.insert(0, ""),
        (false, true) => parts.push("."),
        (false, false) => {}
    }
    parts
}

/// A prompt of the last `limit` tokens of a text, losing BOS with what is cut; and whether anything was cut.
/// In a text that is far longer only the last characters are tokenized, as there.
///
/// # Errors
/// [`longcode_base::error::ErrorKind::Tokenizer`] when the text cannot be tokenized.
pub(super) fn cropped(
    text: String,
    starts: Vec<usize>,
    limit: usize,
    tokenizer: &Tokenizer,
) -> Result<(Sample, bool)> {
    let characters = text.chars().count();
    let left_out = characters.saturating_sub(limit * CHARACTERS);
    let from = text.char_indices().nth(left_out).map_or(text.len(), |(at, _)| at);
    let text = text[from..].to_string();
    let mut tokens = tokenizer.encode(&text)?;
    let cut = tokens.ids.len().saturating_sub(limit);
    tokens.ids.drain(..cut);
    tokens.offsets.drain(..cut);
    let file_starts = starts.into_iter().filter_map(|start| start.checked_sub(from)).collect();
    Ok((Sample { text, tokens, file_starts, ..Sample::default() }, left_out + cut > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        assert_eq!(parts("a//b/./c/../d.py"), ["a", "b", "d.py"]);
        assert_eq!(parts("../../a"), ["..", "..", "a"]);
        assert_eq!(parts("/../a"), ["", "a"]);
        assert_eq!(parts(""), ["."]);
    }
}
