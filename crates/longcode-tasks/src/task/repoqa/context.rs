//! The code around a needle: whole lines of its file and of the files before and after it, up to a number of
//! tokens that are counted line by line.

use super::repository::{Needle, Repository};
use longcode_base::error::Result;
use longcode_structure::Language;

/// What replaces lines of a file that were left out.
const CUT: &str = "...\n";

/// A needle, and the code before and after it.
pub(super) struct Surroundings {
    /// Texts of files or parts of them, each under its path; the last ends where the needle begins.
    pub before: Vec<String>,
    pub needle: String,
    /// The same; the first continues where the needle ends.
    pub after: Vec<String>,
}

/// Lines that fit into a number of tokens.
struct Lines {
    text: String,
    tokens: i64,
    /// Whether some do not fit.
    is_cut: bool,
}

impl Surroundings {
    /// `share` is how much of the context's tokens should come before the needle's middle, `count` gives the
    /// tokens of a text.
    ///
    /// # Errors
    /// The errors of `count`.
    pub(super) fn around(
        repository: &Repository,
        needle: &Needle,
        share: f64,
        tokens: usize,
        count: &impl Fn(&str) -> Result<usize>,
    ) -> Result<Surroundings> {
        let Repository { files, language, .. } = repository;
        let (path, text) = &files[needle.file];
        let code = &text[needle.at.clone()];
        let of_needle = count(code)? as i64;
        // Rounded towards zero, as there.
        let mut room_before = (tokens as f64 * share - of_needle as f64 / 2.0) as i64;
        let mut room_after = tokens as i64 - of_needle - room_before;

        let path = path_line(path, *language);
        let lines = std::iter::once(path.as_str()).chain(text[..needle.at.start].split('\n'));
        let mut lines = last_lines(lines.collect(), room_before, count)?;
        let mut before = vec![std::mem::take(&mut lines.text)];
        room_before -= lines.tokens;
        for (path, text) in files[..needle.file].iter().rev() {
            if lines.is_cut || room_before <= 0 {
                break;
            }
            lines = first_lines(&path_line(path, *language), text, room_before, count)?;
            before.insert(0, std::mem::take(&mut lines.text));
            room_before -= lines.tokens;
        }

        let mut lines = first_of(text[needle.at.end..].split('\n'), room_after, count)?;
        let mut after = vec![std::mem::take(&mut lines.text)];
        room_after -= lines.tokens;
        for (path, text) in &files[needle.file + 1..] {
            if lines.is_cut || room_after <= 0 {
                break;
            }
            lines = first_lines(&path_line(path, *language), text, room_after, count)?;
            after.push(std::mem::take(&mut lines.text));
            room_after -= lines.tokens;
        }
        Ok(Surroundings { before, needle: code.to_string(), after })
    }

    /// The whole text, and the byte offsets at which its files begin.
    pub(super) fn text(&self) -> (String, Vec<usize>) {
        let mut text = String::new();
        let mut starts = Vec::new();
        for part in &self.before {
            starts.push(text.len());
            text += part;
        }
        text += &self.needle;
        for (number, part) in self.after.iter().enumerate() {
            starts.extend((number > 0).then_some(text.len()));
            text += part;
        }
        (text, starts)
    }
}

fn path_line(path: &str, language: Language) -> String {
    format!("{} Path: {path}", language.line_comment())
}

/// The last lines that fit.
fn last_lines(lines: Vec<&str>, room: i64, count: &impl Fn(&str) -> Result<usize>) -> Result<Lines> {
    let (mut from, mut tokens, mut is_cut) = (lines.len(), 0, false);
    for line in lines.iter().rev() {
        let of_line = count(&format!("{line}\n"))? as i64;
        if tokens + of_line > room {
            is_cut = true;
            break;
        }
        tokens += of_line;
        from -= 1;
    }
    let text = lines[from..].iter().flat_map(|line| [*line, "\n"]).collect();
    Ok(Lines { text, tokens, is_cut })
}

/// The first lines that fit of a file under its path.
fn first_lines(path: &str, text: &str, room: i64, count: &impl Fn(&str) -> Result<usize>) -> Result<Lines> {
    first_of(std::iter::once(path).chain(text.split('\n')), room, count)
}

/// The first lines that fit, and a mark if some do not.
fn first_of<'t>(
    lines: impl Iterator<Item = &'t str>,
    room: i64,
    count: &impl Fn(&str) -> Result<usize>,
) -> Result<Lines> {
    let mut found = Lines { text: String::new(), tokens: 0, is_cut: false };
    for line in lines {
        let line = format!("{line}\n");
        let of_line = count(&line)? as i64;
        if found.tokens + of_line > room {
            found.is_cut = true;
            found.text += CUT;
            found.tokens += count(CUT)? as i64;
            break;
        }
        found.tokens += of_line;
        found.text += &line;
    }
    Ok(found)
}
