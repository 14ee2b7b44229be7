//! Does the preprocessor's work before a grammar of C, C++ or C# reads a text: these grammars know directives
//! only between whole declarations and statements, and macros only where a name may be.
//!
//! Each step gives a text of the same length in which spaces replace what was taken out, so that the bytes of
//! its tree are those of the text. It is only for texts that the grammar cannot read unchanged.

use std::ops::Range;

use tree_sitter::Tree;

use super::entry::Repair;

/// Steps for C and C++. A macro may hide another, and the error may be some way from it.
pub(super) const REPAIRS: &[Repair] = &[
    Repair { step: without_class_macros, always_tried: true },
    CONDITIONALS,
    Repair { step: without_block_macros, always_tried: false },
    Repair { step: |text, tree| without_macros(text, tree, Near::Error), always_tried: false },
    Repair { step: |text, tree| without_macros(text, tree, Near::After), always_tried: false },
    Repair { step: |text, tree| without_macros(text, tree, Near::Before), always_tried: false },
    Repair { step: without_lone_macros, always_tried: false },
    Repair { step: |text, tree| without_macros(text, tree, Near::Error), always_tried: false },
];

/// Only conditionals.
pub(super) const CONDITIONALS: Repair = Repair { step: without_broken_conditionals, always_tried: false };

/// A line with its continuation lines.
struct Line {
    range: Range<usize>,
    /// The preprocessor directive: `if`, `endif`, `define`; empty for code.
    directive: &'static str,
}

/// Takes out directives of several lines, and all but one branch of a conditional whose branches are not
/// whole statements.
fn without_broken_conditionals(text: &str, _: &Tree) -> Option<String> {
    let lines = lines(text);
    let mut out = Vec::new();
    for line in lines.iter().filter(|line| !line.directive.is_empty()) {
        if text[line.range.clone()].trim_end().contains('\n') {
            out.push(line.range.clone());
        }
    }
    let mut open: Vec<Vec<usize>> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        match line.directive {
            "if" => open.push(vec![number]),
            "else" => open.last_mut().into_iter().for_each(|group| group.push(number)),
            "endif" => {
                let depth = open.len();
                let Some(mut group) = open.pop() else { continue };
                group.push(number);
                if depth > DEEPEST_CONDITIONAL {
                    continue;
                }
                out.extend(taken_out(text, &lines, &group));
            }
            _ => {}
        }
    }
    blanked(text, out)
}

/// How deeply nested a conditional may be: its contents are read once for each one around it.
const DEEPEST_CONDITIONAL: usize = 32;

/// What to take out of a conditional, given the lines at which its branches begin and end.
fn taken_out(text: &str, lines: &[Line], group: &[usize]) -> Vec<Range<usize>> {
    let branches: Vec<Range<usize>> =
        group.windows(2).map(|pair| lines[pair[0]].range.end..lines[pair[1]].range.start).collect();
    let before = statement_before(text, lines, group[0]);
    if is_whole(text, lines, &before) && branches.iter().all(|branch| is_whole(text, lines, branch)) {
        return Vec::new();
    }
    // The first branch that is not switched off.
    let is_off = text[lines[group[0]].range.clone()].trim_end().ends_with(" 0");
    let kept = usize::from(is_off && branches.len() > 1);
    let directives = group.iter().map(|&number| lines[number].range.clone());
    let others = branches.iter().enumerate().filter(|(number, _)| *number != kept);
    directives.chain(others.map(|(_, branch)| branch.clone())).collect()
}

/// The lines before this one, from the last one on that ends a statement.
fn statement_before(text: &str, lines: &[Line], number: usize) -> Range<usize> {
    let before = lines[..number].iter().rev().take(LONGEST_HEAD).take_while(|line| {
        let last = Code::of(&text[line.range.clone()]).filter(|c| !c.is_whitespace()).last();
        line.directive.is_empty() && !matches!(last, Some(';' | '{' | '}' | ':'))
    });
    before.last().map_or(lines[number].range.start, |line| line.range.start)..lines[number].range.start
}

/// Most lines of an unfinished statement.
const LONGEST_HEAD: usize = 32;

/// Whether a branch is a sequence of whole statements or declarations, or nothing.
fn is_whole(text: &str, lines: &[Line], branch: &Range<usize>) -> bool {
    let first = lines.partition_point(|line| line.range.start < branch.start);
    let inside = lines[first..].iter().take_while(|line| line.range.start < branch.end);
    let mut end = BranchEnd::default();
    let code = inside.filter(|line| line.directive.is_empty());
    code.flat_map(|line| Code::of(&text[line.range.clone()]).chain([' '])).all(|c| end.push(c))
        && end.is_whole()
}

/// The last statement of a branch so far.
#[derive(Default)]
struct BranchEnd {
    /// Depth of brackets of any kind.
    depth: usize,
    /// Its words outside of brackets.
    words: Vec<String>,
    /// The last character that is not white space.
    last: Option<char>,
    /// Number of colons right before.
    colons: usize,
    in_word: bool,
}

impl BranchEnd {
    /// Takes a character; false if it ends something that the branch has not begun.
    fn push(&mut self, c: char) -> bool {
        let (is_part, colons) = (is_part(c), self.colons);
        match c {
            '{' | '(' | '[' => self.depth += 1,
            '}' | ')' | ']' if self.depth == 0 => return false,
            '}' | ')' | ']' => self.depth -= 1,
            _ => {}
        }
        self.colons = if c == ':' { self.colons + 1 } else { 0 };
        // Two are part of a name.
        let is_after_label = colons == 1 && c != ':';
        if self.depth == 0 {
            match (is_part, self.in_word) {
                _ if matches!(c, ';' | '}') || is_after_label => self.words.clear(),
                (true, true) => self.words.last_mut().into_iter().for_each(|word| word.push(c)),
                // Only the first is looked at, and whether it is the only one.
                (true, false) if self.words.len() < 3 => self.words.push(c.to_string()),
                _ => {}
            }
        }
        self.in_word = is_part;
        if !c.is_whitespace() {
            self.last = Some(c);
        }
        // It continues something begun before it.
        !(self.words.len() == 1 && self.words[0] == "else" && !is_part)
    }

    /// Brackets at the end mean the call of a macro, or the head of a statement or function.
    fn is_whole(&self) -> bool {
        let is_call = || self.words.len() == 1 && !begins_statement(&self.words[0]);
        self.depth == 0
            && match self.last {
                None | Some(';' | '}' | ':' | ',') => true,
                Some(')') => is_call(),
                Some(_) => false,
            }
    }
}

fn begins_statement(word: &str) -> bool {
    matches!(word, "if" | "for" | "while" | "switch" | "else" | "foreach" | "using" | "lock" | "catch")
}

/// The characters of a line that are not in comments, strings or characters.
struct Code<'t>(std::str::Chars<'t>);

impl<'t> Code<'t> {
    fn of(text: &'t str) -> Code<'t> {
        Code(text.chars())
    }
}

impl Iterator for Code<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            let rest = self.0.as_str();
            if rest.starts_with("//") {
                return None;
            }
            if let Some(comment) = rest.strip_prefix("/*") {
                let after = comment.find("*/").map_or("", |end| &comment[end + 2..]);
                self.0 = after.chars();
                continue;
            }
            let c = self.0.next()?;
            if c == '"' || c == '\'' {
                while let Some(inside) = self.0.next() {
                    if inside == '\\' {
                        self.0.next();
                    } else if inside == c {
                        break;
                    }
                }
                return Some(c);
            }
            return Some(c);
        }
    }
}

/// The lines of a text; those in a comment of several lines form one line with its first.
fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = line_end(text, start);
        lines.push(Line { range: start..end, directive: directive(&text[start..end]) });
        start = end;
    }
    lines
}

/// The position after the end of the line that begins at `start`.
fn line_end(text: &str, start: usize) -> usize {
    let mut at = start;
    loop {
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        let line = &text[at..end];
        if let Some(open) = open_comment(line) {
            let from = at + open;
            let Some(close) = text[from..].find("*/") else { return text.len() };
            at = from + close + 2;
        } else if line.trim_end_matches(['\n', '\r']).ends_with('\\') && end < text.len() {
            at = end;
        } else {
            return end;
        }
    }
}

/// The position after the start of a comment that the line does not close.
fn open_comment(line: &str) -> Option<usize> {
    let mut code = Code::of(line);
    while code.next().is_some() {
        // White space before it has been skipped, a character at a time.
        let rest = code.0.as_str();
        if rest.starts_with("//") {
            return None;
        }
        if let Some(comment) = rest.strip_prefix("/*")
            && !comment.contains("*/")
        {
            return Some(line.len() - comment.len());
        }
    }
    let only = line.trim_start().strip_prefix("/*")?;
    (!only.contains("*/")).then(|| line.len() - only.len())
}

fn directive(line: &str) -> &'static str {
    let Some(rest) = line.trim_start().strip_prefix('#') else { return "" };
    let rest = rest.trim_start();
    match &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())] {
        "if" | "ifdef" | "ifndef" => "if",
        "elif" | "elifdef" | "elifndef" | "else" => "else",
        "endif" => "endif",
        _ => "other",
    }
}

/// Takes out the macro of `class MACRO Name {`: with it, the grammar takes this for a function definition.
fn without_class_macros(text: &str, _: &Tree) -> Option<String> {
    let mut out = Vec::new();
    let brackets = Brackets::of(text);
    for keyword in ["class", "struct", "union"] {
        for (at, _) in text.match_indices(keyword) {
            let start = at + keyword.len();
            let rest = text[start..].trim_start();
            if rest.len() == text.len() - start {
                continue;
            }
            let name = text.len() - rest.len()..text.len() - rest.trim_start_matches(is_part).len();
            let end = brackets.after_arguments(name.end);
            let after = text[end..].trim_start();
            let named = after.trim_start_matches(is_part);
            let opens = named.trim_start().strip_prefix("final").unwrap_or(named.trim_start()).trim_start();
            let is_class = named.len() < after.len()
                && (opens.starts_with('{') || (opens.starts_with(':') && !opens.starts_with("::")));
            if is_class && is_macro(&text[name.clone()]) {
                out.push(name.start..end);
            }
        }
    }
    blanked(text, out)
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Takes out macros without arguments before or after a block, `TRY { ... } END`.
fn without_block_macros(text: &str, tree: &Tree) -> Option<String> {
    let prose = prose(tree);
    let mut out = Vec::new();
    for line in lines(text).into_iter().filter(|line| line.directive.is_empty()) {
        for name in macros(text, line.range, &prose) {
            let (before, after) = (text[..name.start].trim_end(), text[name.end..].trim_start());
            let begins = before.ends_with([';', '{', '}']) && after.starts_with('{');
            let ends = before.ends_with('}') && after.starts_with(|c: char| c.is_alphanumeric() || c == '}');
            if begins || ends {
                out.push(name);
            }
        }
    }
    blanked(text, out)
}

/// Takes out macros that replace a statement or member, alone on their lines: `Q_OBJECT`.
fn without_lone_macros(text: &str, tree: &Tree) -> Option<String> {
    let (prose, starts, brackets) = (prose(tree), Starts::of(text), Brackets::of(text));
    let mut out = Vec::new();
    for line in lines(text).into_iter().filter(|line| line.directive.is_empty()) {
        for name in macros(text, line.range, &prose) {
            let end = brackets.after_arguments(name.end);
            let (before, after) = (text[..name.start].trim_end(), text[end..].trim_start());
            let is_line = before.len() <= starts.line_of(name.start).start
                && text.len() - after.len() >= starts.line_of(end).end;
            if is_line && before.ends_with([';', '{', '}', ':']) && !after.starts_with(['{', '}']) {
                out.push(name.start..end);
            }
        }
    }
    blanked(text, out)
}

/// On which lines macros are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    /// Those on which an error begins or ends.
    Error,
    /// Those and the next ones.
    After,
    /// Those and the ones before.
    Before,
}

/// Takes out macros, which are names in capitals with their arguments, near the errors of the tree.
fn without_macros(text: &str, tree: &Tree, near: Near) -> Option<String> {
    let (starts, brackets) = (Starts::of(text), Brackets::of(text));
    let mut lines: Vec<Range<usize>> = errors(tree).into_iter().map(|at| starts.line_of(at)).collect();
    sort(&mut lines);
    lines.extend(
        lines
            .iter()
            .filter_map(|line| match near {
                Near::Error => None,
                Near::After => Some(starts.line_of(text.len() - text[line.end..].trim_start().len())),
                Near::Before => Some(starts.line_of(text[..line.start].trim_end().len())),
            })
            .collect::<Vec<_>>(),
    );
    sort(&mut lines);
    let prose = prose(tree);
    let code = lines.into_iter().filter(|line| directive(&text[line.clone()]).is_empty());
    let out =
        code.flat_map(|line| macros(text, line, &prose)).flat_map(|name| taken_out_of(text, &brackets, name));
    blanked(text, out.collect())
}

fn sort(lines: &mut Vec<Range<usize>>) {
    lines.sort_unstable_by_key(|line| line.start);
    lines.dedup();
}

/// Where errors begin and end.
fn errors(tree: &Tree) -> Vec<usize> {
    let mut found = Vec::new();
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            found.extend([node.start_byte(), node.end_byte()]);
        }
        if node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
}

/// Where the lines of a text begin. Searching for the ends of a line that is the whole file, for each of its
/// names, would take time quadratic in its length.
struct Starts {
    starts: Vec<usize>,
    len: usize,
}

impl Starts {
    fn of(text: &str) -> Starts {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Starts { starts, len: text.len() }
    }

    /// The line of a byte, without its end.
    fn line_of(&self, at: usize) -> Range<usize> {
        let next = self.starts.partition_point(|&start| start <= at);
        self.starts[next - 1]..self.starts.get(next).map_or(self.len, |next| next - 1)
    }
}

/// The round brackets of a text that are those of arguments, if they follow a name: each opening one, in
/// order, with the position after its closing one.
struct Brackets(Vec<(usize, usize)>);

impl Brackets {
    fn of(text: &str) -> Brackets {
        let (mut pairs, mut open) = (Vec::new(), Vec::new());
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'(' => open.push(at),
                b')' => pairs.extend(open.pop().map(|start| (start, at + 1))),
                _ => {}
            }
        }
        pairs.retain(|(start, end)| end - start <= LONGEST_ARGUMENTS);
        pairs.sort_unstable();
        Brackets(pairs)
    }

    /// The position after the brackets that begin right here, if no longer than arguments; otherwise `at`.
    fn after_arguments(&self, at: usize) -> usize {
        self.0.binary_search_by_key(&at, |(start, _)| *start).map_or(at, |found| self.0[found].1)
    }
}

/// Bytes of the longest arguments of a macro.
const LONGEST_ARGUMENTS: usize = 4096;

/// The names in capitals on a line.
fn macros(text: &str, line: Range<usize>, prose: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = line.start;
    while let Some(start) = text[at..line.end].find(is_part) {
        let start = at + start;
        let name = &text[start..line.end];
        at = start + name.find(|c| !is_part(c)).unwrap_or(name.len());
        let next = prose.partition_point(|range| range.end <= start);
        let is_prose = prose.get(next).is_some_and(|range| range.start <= start);
        if is_macro(&text[start..at]) && !is_prose {
            found.push(start..at);
        }
    }
    found
}

/// The comments and strings of a text, and its preprocessor directives.
fn prose(tree: &Tree) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut cursor = tree.walk();
    loop {
        let kind = cursor.node().kind();
        if matches!(
            kind,
            "comment" | "preproc_arg" | "string_literal" | "raw_string_literal" | "char_literal"
        ) {
            found.push(cursor.node().byte_range());
        } else if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return found;
            }
        }
    }
}

/// What to take out for a macro and its arguments. One with arguments before a body may be the head of a
/// function, and is left.
fn taken_out_of(text: &str, brackets: &Brackets, name: Range<usize>) -> Vec<Range<usize>> {
    let end = brackets.after_arguments(name.end);
    let (before, after) = (text[..name.start].trim_end(), text[end..].trim_start());
    let mut out = Vec::new();
    if end > name.end && before.ends_with(['(', ',']) {
        // The macro wraps a parameter.
        out.extend([name.start..name.end + 1, end - 1..end]);
    } else if is_no_value(before, after) && (end == name.end || !is_head(before, after)) {
        out.push(name.start..end);
    }
    out
}

/// Whether something between these two cannot be part of an expression.
fn is_no_value(before: &str, after: &str) -> bool {
    let is_word =
        |word: &str| before.strip_suffix(word).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric));
    let operators = ['=', '+', '-', '/', '|', '&', '<', '!', '?', '%', '^', '~', '[', '.'];
    let follows_operator = before.ends_with(operators) || ["case", "return", "goto"].into_iter().any(is_word);
    let precedes_operator =
        after.starts_with(['=', '+', '-', '/', '|', '&', '<', '>', '?', '%', '^', ':', '[', '.']);
    let is_item = before.ends_with(['(', ',', '{']) && after.starts_with([')', ',', '}']);
    let is_type = after.starts_with('*') && !before.ends_with('(');
    !(follows_operator || precedes_operator || is_item || is_type)
}

/// Whether it may be the head of a function.
fn is_head(before: &str, after: &str) -> bool {
    after.starts_with('{') && !before.ends_with(')')
}

fn is_macro(name: &str) -> bool {
    let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.len() > 2
        && name.chars().all(capital)
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
}

/// The text with spaces in these ranges; none if there are no ranges.
fn blanked(text: &str, ranges: Vec<Range<usize>>) -> Option<String> {
    if ranges.is_empty() {
        return None;
    }
    let mut bytes = text.as_bytes().to_vec();
    for at in ranges.into_iter().flatten() {
        if !matches!(bytes[at], b'\n' | b'\r') {
            bytes[at] = b' ';
        }
    }
    String::from_utf8(bytes).ok()
}
