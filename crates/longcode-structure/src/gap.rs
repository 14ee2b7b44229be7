//! What of a continuation a grammar reads, as scorers of fill-in-the-middle ask it: they count a text as read where its
//! tree has no error node, and let a made-up token pass.

use std::ops::Range;

use tree_sitter::{InputEdit, Node, Point, Tree};

use super::{Language, syntax};

/// Reads texts that begin alike.
pub struct GapReader {
    parser: tree_sitter::Parser,
}

impl GapReader {
    /// A reader of a language, by its own grammar and no dialect's; none if the grammar does not fit the parser library.
    pub fn new(language: Language) -> Option<GapReader> {
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&(language.entry().grammar)()).ok()?;
        Some(GapReader { parser })
    }

    /// Whether a text's tree has no error node; not if the parse takes far more work than sources do.
    pub fn reads(&mut self, text: &str) -> bool {
        syntax::parse(&mut self.parser, text, None).is_some_and(|tree| !has_error_node(&tree))
    }

    /// The bytes of the longest prefix of `text`, by characters, that is read after `before`; none if not even `before`
    /// is.
    pub fn longest_read(&mut self, before: &str, text: &str) -> Option<usize> {
        let mut whole = format!("{before}{text}");
        let mut known: Option<Tree> = None;
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for end in ends.collect::<Vec<_>>().into_iter().rev() {
            if let Some(tree) = known.as_mut() {
                tree.edit(&cut(&whole, before.len() + end));
            }
            whole.truncate(before.len() + end);
            // From the tree of the longer text it takes little; what it reads, a fresh parse has to confirm.
            let tree = syntax::parse(&mut self.parser, &whole, known.as_ref())?;
            if !has_error_node(&tree) && self.reads(&whole) {
                return Some(end);
            }
            known = Some(tree);
        }
        None
    }

    /// The last children of all nodes of a kind, in the order of the text; none if one of them is not of the kind
    /// `body`, or the parse takes far more work than sources do.
    pub fn bodies(&mut self, text: &str, kind: &str, body: &str) -> Option<Vec<Range<usize>>> {
        let tree = syntax::parse(&mut self.parser, text, None)?;
        let mut found = Vec::new();
        let all = all_nodes(&tree, |node| {
            if node.kind() != kind {
                return true;
            }
            let last = node.child_count().checked_sub(1).and_then(|last| node.child(last as u32));
            let last = last.filter(|last| last.kind() == body);
            found.extend(last.map(|last| last.byte_range()));
            last.is_some()
        });
        all.then_some(found)
    }
}

/// The end of a text cut off.
fn cut(text: &str, end: usize) -> InputEdit {
    let point = |end: usize| {
        let before = &text.as_bytes()[..end];
        let row = before.iter().filter(|&&byte| byte == b'\n').count();
        let line = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        Point { row, column: end - line }
    };
    InputEdit {
        start_byte: end,
        old_end_byte: text.len(),
        new_end_byte: end,
        start_position: point(end),
        old_end_position: point(text.len()),
        new_end_position: point(end),
    }
}

fn has_error_node(tree: &Tree) -> bool {
    tree.root_node().has_error() && !all_nodes(tree, |node| !node.is_error())
}

/// Whether something holds for all nodes, in the order of the text; without recursion, as trees may be deep.
fn all_nodes(tree: &Tree, mut holds: impl FnMut(Node) -> bool) -> bool {
    let mut cursor = tree.walk();
    loop {
        if !holds(cursor.node()) {
            return false;
        }
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_that_is_read() {
        let mut reader = GapReader::new(Language::Python).unwrap();
        let before = "def f(x):\n    ";
        let text = "return x + 1\n\n\n)(\ny = 1\n";
        let end = reader.longest_read(before, text).unwrap();
        assert!(text[..end].starts_with("return x + 1") && end < text.len());
        // As parsing each prefix anew finds it.
        let ends = (0..=text.len()).rev().find(|&end| reader.reads(&format!("{before}{}", &text[..end])));
        assert_eq!(ends, Some(end));
        assert_eq!(reader.longest_read("def f(:::\n", "x"), None);
    }

    #[test]
    fn bodies_of_functions_at_any_depth() {
        let mut reader = GapReader::new(Language::Python).unwrap();
        let text =
            "def f():\n    def g():\n        pass\n    return g\nclass A:\n    def m(self): return 1\n";
        let bodies = reader.bodies(text, "function_definition", "block").unwrap();
        let texts: Vec<&str> = bodies.into_iter().map(|body| &text[body]).collect();
        assert_eq!(texts, ["def g():\n        pass\n    return g", "pass", "return 1"]);
    }
}
