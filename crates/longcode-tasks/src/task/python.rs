//! Texts as seen by Python's `str` methods, `int` and regular expressions: the official scorers are written
//! in Python.

use std::sync::LazyLock;

use regex::Regex;

/// White space for `str.strip`, `str.split` and `\s`: Unicode's, and the four separators U+001C to U+001F.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `text.strip()`.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text.split()`.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `re.split(r"\s+", text.strip())`: like [`split`], but an empty text gives one empty word.
pub(super) fn words(text: &str) -> Vec<&str> {
    let words: Vec<&str> = split(text).collect();
    if words.is_empty() { vec![""] } else { words }
}

/// `int(text)`, if it is an integer that fits: digits of any script after a sign, single underscores between
/// them.
pub(super) fn integer(text: &str) -> Option<i64> {
    static INTEGER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[+-]?\d+(_\d+)*$").expect("a regular expression"));
    let text = strip(text);
    if !INTEGER.is_match(text) {
        return None;
    }
    text.chars().filter(|&c| c != '_').map(ascii_digit).collect::<String>().parse().ok()
}

/// A digit of any script as an ASCII one; anything else unchanged. The digits of a script are ten consecutive
/// characters, and such runs may follow each other.
fn ascii_digit(c: char) -> char {
    static DIGIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d$").expect("a regular expression"));
    let is_digit =
        |code: u32| char::from_u32(code).is_some_and(|c| DIGIT.is_match(c.encode_utf8(&mut [0; 4])));
    let before = (0..=u32::from(c)).rev().take_while(|&code| is_digit(code)).count() as u32;
    before.checked_sub(1).and_then(|before| char::from_digit(before % 10, 10)).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_white_space() {
        assert_eq!(strip("\u{1c} a\u{85}b\u{2028}\n"), "a\u{85}b");
        assert_eq!(split(" a\u{1f}b\u{200b}\u{feff}c ").collect::<Vec<_>>(), ["a", "b\u{200b}\u{feff}c"]);
        assert_eq!(words(" \t"), [""]);
    }

    #[test]
    fn integers_of_any_script() {
        for (text, value) in [
            ("10", 10),
            (" +1_000\u{1c}", 1000),
            ("-８", -8),
            ("٣", 3),
            ("\u{1d7d8}\u{1d7ff}", 9),
            ("007", 7),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["", "-", "1__0", "_1", "1_", "1.0", "--8", "x1", "²", "99999999999999999999"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
