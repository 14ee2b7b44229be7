//! Texts of others in formats that would read more into them.

use std::borrow::Cow;

use crate::terminal::visible_line;

/// A text as Markdown reads it back: what would mark, link, break a table or begin HTML is escaped. An underscore
/// between letters or digits marks nothing; brackets do only as links, `](`.
pub(crate) fn markdown(text: &str) -> String {
    let text = visible_line(text);
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let after = text[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        let marks = match c {
            '|' | '`' | '*' | '<' | '\\' | '~' | '$' => true,
            '_' => !(before.is_alphanumeric() && after.is_alphanumeric()),
            ']' => matches!(after, '(' | '[' | ':'),
            '!' => after == '[',
            '&' => after == '#' || after.is_alphabetic(),
            _ => false,
        };
        if marks {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}

/// A name in a list with commas: in quotes where it has a comma itself.
pub(crate) fn in_list(name: &str) -> Cow<'_, str> {
    if name.contains(',') { Cow::Owned(format!("\"{name}\"")) } else { Cow::Borrowed(name) }
}

/// A cell as it is written: where a spreadsheet would take it for a formula, with a `'` before it, by which spreadsheets
/// themselves tell a text. A number stays.
pub(crate) fn csv_cell(cell: &str) -> Cow<'_, str> {
    let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    if cell.starts_with(begins) && cell.parse::<f64>().is_err() {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_markdown_reads_otherwise_is_escaped() {
        for (text, escaped) in [
            ("a|b", "a\\|b"),
            ("`x` *y* <z>", "\\`x\\` \\*y\\* \\<z>"),
            ("_a_ dynamic_ntk", "\\_a\\_ dynamic_ntk"),
            ("a\nb\u{1b}", "a\\\\u000ab\\\\u001b"),
            ("[x](y) ![z]", "[x\\](y) \\![z]"),
            ("a\\b ~~c~~ &lt; R&D", "a\\\\b \\~\\~c\\~\\~ \\&lt; R\\&D"),
            ("-0.01 [-0.02, +0.01]", "-0.01 [-0.02, +0.01]"),
            ("$x^2$", "\\$x^2\\$"),
            ("-", "-"),
            ("HiRoPE window=256", "HiRoPE window=256"),
        ] {
            assert_eq!(markdown(text), escaped, "{text}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+x", "-x", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(csv_cell(cell), format!("'{cell}"));
        }
        for cell in ["HiRoPE window=256", "0-512", "a@b", "", "'=1", "-0.25", "-inf", "+1e-9"] {
            assert_eq!(csv_cell(cell), cell);
        }
    }
}
