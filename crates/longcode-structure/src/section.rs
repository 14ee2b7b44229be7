//! The unit `section` of prose and markup: a boundary at every heading.
//!
//! | text | heading |
//! |---|---|
//! | Markdown | `# Title`, up to six signs; not within fences |
//! | reStructuredText, Markdown | a line of its own with a line of one sign below it, and perhaps above |
//! | LaTeX | `\part` to `\paragraph` and `\begin` at the start of a line |
//! | legal texts, RFCs | a number (`2.1.`, `Section 3`, `Article IV`, `Appendix A`) and a few words, alone between blank lines; not in a text with headings of Markdown, where these are items of lists |
//!
//! Nothing says which markup a text is in, and a grammar of Markdown alone would take `~~~~` below a title of
//! reStructuredText for a fence.

use super::RegionKind;
use super::outline::Outline;
use super::paragraph::lines;
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "section",
    about: "the start of every heading: of Markdown, reStructuredText, LaTeX, and numbered ones of plain text",
    divide: Divide::Text(outline),
};

/// Most characters of a numbered heading.
const LONGEST: usize = 78;
/// Most spaces before one.
const INDENT: usize = 4;

fn outline(text: &str) -> Outline {
    let lines: Vec<(usize, &str)> = lines(text).map(|(at, line)| (at, line.trim_end())).collect();
    let (mut marked, mut numbered) = (Vec::new(), Vec::new());
    let mut is_markdown = false;
    let mut fence: Option<&str> = None;
    for (number, &(at, line)) in lines.iter().enumerate() {
        let near = Near {
            line,
            before: number.checked_sub(1).map_or("", |n| lines[n].1),
            above: number.checked_sub(2).map_or("", |n| lines[n].1),
            below: lines.get(number + 1).map_or("", |(_, line)| *line),
            after: lines.get(number + 2).map_or("", |(_, line)| *line),
        };
        let is_underline = fence.is_none() && near.underlines();
        if let Some(mark) = fence_of(line).filter(|_| !is_underline) {
            match fence {
                None => fence = Some(mark),
                Some(open) if mark.starts_with(open) && line.trim() == mark => fence = None,
                Some(_) => {}
            }
        } else if fence.is_none() && near.is_marked() {
            is_markdown |= near.is_hashed();
            marked.push((at, title(&near)));
        } else if fence.is_none() && near.is_numbered() {
            numbered.push((at, title(&near)));
        }
    }
    if !is_markdown {
        marked.append(&mut numbered);
        marked.sort_unstable_by_key(|(at, _)| *at);
    }
    let mut outline = Outline::default();
    for (at, title) in marked {
        outline.begin_unit(at, RegionKind::Section, Some(title.to_string()));
    }
    outline
}

/// A line and its neighbours, without white space at their ends.
struct Near<'t> {
    above: &'t str,
    before: &'t str,
    line: &'t str,
    below: &'t str,
    after: &'t str,
}

impl Near<'_> {
    fn is_marked(&self) -> bool {
        self.is_hashed() || self.is_underlined() || self.is_overline() || self.is_latex()
    }

    /// `# Title`. Not indented, as comments in the code blocks of other markup are.
    fn is_hashed(&self) -> bool {
        let after = self.line.trim_start_matches('#');
        let signs = self.line.len() - after.len();
        (1..=6).contains(&signs) && (after.is_empty() || after.starts_with([' ', '\t']))
    }

    /// A title with a line of signs below it, and nothing directly above it.
    fn is_underlined(&self) -> bool {
        self.before.is_empty() && is_title(self.line) && underlines(self.below, self.line)
    }

    /// A line of signs below a title, which of reStructuredText may look like a fence.
    fn underlines(&self) -> bool {
        self.above.is_empty() && is_title(self.before) && underlines(self.line, self.before)
    }

    /// A line of signs above a title that has the same below it.
    fn is_overline(&self) -> bool {
        self.before.is_empty()
            && sign(self.line).is_some()
            && self.line == self.after
            && underlines(self.line, self.below)
            && is_title(self.below)
    }

    fn is_latex(&self) -> bool {
        let Some(command) = self.line.trim_start().strip_prefix('\\') else { return false };
        let name = command.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let is_known = matches!(
            name,
            "part" | "chapter" | "section" | "subsection" | "subsubsection" | "paragraph" | "begin"
        );
        is_known && command[name.len()..].starts_with(['{', '[', '*'])
    }

    /// `2.1. Title`, alone between blank lines. (Of an overlined title the line above is its heading.)
    fn is_numbered(&self) -> bool {
        let own = self.line.trim_start_matches(' ');
        let is_alone = self.before.is_empty() && self.below.is_empty();
        is_alone
            && self.line.len() - own.len() <= INDENT
            && own.chars().count() <= LONGEST
            && !own.contains("....")
            && !is_continued(own)
            && number_of(own).is_some_and(|rest| rest.starts_with(' ') && rest.contains(char::is_alphabetic))
            && (self.above.is_empty() || !is_continued(self.above))
    }
}

/// Whether a line says that what follows belongs to it, as before a list.
fn is_continued(line: &str) -> bool {
    line.ends_with(':')
}

/// What follows the number of a heading; none if a line does not begin with one.
fn number_of(line: &str) -> Option<&str> {
    for word in [
        "Section ",
        "SECTION ",
        "Article ",
        "ARTICLE ",
        "Appendix ",
        "APPENDIX ",
        "Chapter ",
        "CHAPTER ",
        "§ ",
        "§",
    ] {
        if let Some(rest) = line.strip_prefix(word) {
            let number = rest.split([' ', '.', ':']).next()?;
            let is_number = number.chars().all(|c| c.is_ascii_digit() || matches!(c, 'I' | 'V' | 'X' | 'L'))
                || number.len() == 1;
            return Some(&rest[number.len()..])
                .filter(|_| is_number && !number.is_empty())
                .map(|rest| rest.trim_start_matches(['.', ':']));
        }
    }
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    line.starts_with(|c: char| c.is_ascii_digit()).then_some(number)
}

/// The sign that a line is made of.
fn sign(line: &str) -> Option<char> {
    let first = line.chars().next().filter(|c| "=-~^\"'`#*+:._".contains(*c))?;
    (line.len() >= 2 && line.chars().all(|c| c == first)).then_some(first)
}

/// Whether a line of signs is one below a title: as long as it, or of Markdown three signs.
fn underlines(line: &str, title: &str) -> bool {
    match sign(line) {
        Some('=' | '-') if line.len() >= 3 => true,
        Some(_) => line.len() >= title.trim_start().chars().count(),
        None => false,
    }
}

/// Whether a line can be a title: words, not a part of a list, a table or a quotation.
fn is_title(line: &str) -> bool {
    !line.is_empty()
        && sign(line).is_none()
        && !line.starts_with([' ', '\t', '|', '>', '+', '-', '*'])
        && line.contains(char::is_alphanumeric)
}

/// The signs of a line that opens or closes a fence.
fn fence_of(line: &str) -> Option<&str> {
    let own = line.trim_start_matches(' ');
    let mark = own.chars().next().filter(|c| *c == '`' || *c == '~')?;
    let signs = own.len() - own.trim_start_matches(mark).len();
    // More signs than four are an underline of reStructuredText.
    let is_fence = (3..=4).contains(&signs) && line.len() - own.len() <= 3 && !own[signs..].contains(mark);
    is_fence.then(|| &own[..signs])
}

/// What a heading says.
fn title<'t>(near: &Near<'t>) -> &'t str {
    let line = if near.is_overline() { near.below } else { near.line };
    let title = line.trim().trim_start_matches('#').trim();
    &title[..title.floor_char_boundary(title.len().min(longcode_base::limits::REGION_NAME_BYTES))]
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts_of_text;

    fn check(parts: &[&str]) {
        assert_eq!(parts_of_text(&parts.concat(), "section"), parts);
    }

    #[test]
    fn headings_of_markdown() {
        check(&[
            "Before.\n\n",
            "# One\ntext # no\n```sh\n# a comment\n```\n",
            "## Two\n#three\n\n",
            "Four\n---\n\n1. item\n\ntext\n---- not -\n",
        ]);
    }

    #[test]
    fn headings_of_restructured_text() {
        check(&["Tild\n~~~~\n\ntext\n\n", "More\n````\n"]);
        check(&["=====\nTitle\n=====\n\ntext\n\n", "Part\n****\n\n- a list\n\n", "Longer\n------\n| a |\n"]);
    }

    #[test]
    fn headings_of_latex() {
        check(&[
            "text\n",
            "\\section{One}\ntext \\section\n",
            "  \\subsection*{Two}\n",
            "\\begin{equation}\nx\n\\end{equation}\n",
        ]);
    }

    #[test]
    fn numbered_headings() {
        check(&[
            "Preamble\n\n",
            "1.  Introduction\n\n   Text.\n   2. in a text\n\n",
            "2.1.  Terms of use\n\n   as follows:\n\n   3. an item\n\n",
            "  4. Definitions.\n\n  Text.\n\n",
            "Section 5. More\n\nText\n\n",
            "Appendix A. Last\n\n1995\n\n1. Contents ........ 5\n",
        ]);
    }
}
