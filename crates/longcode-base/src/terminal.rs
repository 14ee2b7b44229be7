//! Text that is safe to show on a terminal or in a page: names, texts and files come from outside, and both obey
//! what they receive.

use std::borrow::Cow;

/// The text with everything made visible that a terminal would obey, or that changes the reading order:
/// control characters except tabs and newlines, and Unicode's direction marks and line ends, as `\u001b`.
/// Inside JSON it is the same text.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && c != '\t' && is_obeyed(c))
}

/// The same on one line.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_obeyed)
}

fn escaped(text: &str, is_escaped: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { shown.push_str(&format!("\\u{:04x}", u32::from(c))) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

fn is_obeyed(c: char) -> bool {
    // ESC and the C1 controls begin sequences. Direction marks make a text read as another one.
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as XML or HTML; what XML has no way to write becomes the replacement character.
pub fn escape(text: &str) -> String {
    let unwritable =
        |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    let text = text.replace(unwritable, "\u{fffd}");
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_visible() {
        let cases = [
            ("a\u{1b}[31mb", "a\\u001b[31mb"),
            ("\u{9b}2J", "\\u009b2J"),
            ("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007"),
            ("done\rerror", "done\\u000derror"),
            ("\u{202e}gpj.exe", "\\u202egpj.exe"),
            ("\u{2066}x\u{2069}\u{200f}\u{61c}", "\\u2066x\\u2069\\u200f\\u061c"),
            ("\u{7f}\u{0}", "\\u007f\\u0000"),
            ("a\tb\nc é ≈ †", "a\tb\nc é ≈ †"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_line("a\nb\tc"), "a\\u000ab\\u0009c");
    }

    #[test]
    fn json_means_the_same() {
        let text = "a\u{202e}b\u{9b}c";
        let json = serde_json::to_string(text).unwrap();
        assert!(json.contains('\u{202e}'));
        assert_eq!(serde_json::from_str::<String>(&visible(&json)).unwrap(), text);
    }
}
