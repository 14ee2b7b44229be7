//! Parsing, and walks over syntax trees that do not recurse: sources may be nested thousands deep.
//!
//! Limits of the Python grammar's scanner: a parse takes time quadratic in the length of a run of comment
//! lines inside of a block (3 s at 10,000 lines), and blocks nested about 500 deep are errors to it.

use std::ops::Range;

use tree_sitter::{Node, Parser, Query, QueryCursor, StreamingIterator, Tree};

use super::Language;

/// A parser of the language; `None` where the grammar does not fit the parser library.
pub(super) fn parser(language: Language) -> Option<Parser> {
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).ok()?;
    Some(parser)
}

/// Whether the grammar of the language reads the whole text, with nothing left over or made up.
pub fn parses(text: &str, language: Language) -> bool {
    let tree = parser(language).and_then(|mut parser| parser.parse(text, None));
    tree.is_some_and(|tree| !tree.root_node().has_error())
}

/// Where the first node, in the order of the text, lies that a query in the terms of the language's grammar captures.
///
/// # Panics
/// When it is no query of that grammar.
pub fn first_captured(text: &str, language: Language, query: &str) -> Option<Range<usize>> {
    let tree = parser(language)?.parse(text, None)?;
    let query = Query::new(&language.grammar(), query).expect("a query of the grammar");
    let mut cursor = QueryCursor::new();
    let mut captures = cursor.captures(&query, tree.root_node(), text.as_bytes());
    let (found, capture) = captures.next()?;
    Some(found.captures[*capture].node.byte_range())
}

/// Visits the nodes in the order of the text, parents first, with the kind of the parent (empty for the
/// root).
pub(super) fn walk<'t>(tree: &'t Tree, mut visit: impl FnMut(Node<'t>, &'static str)) {
    let mut cursor = tree.walk();
    let mut parents: Vec<&'static str> = Vec::new();
    loop {
        let node = cursor.node();
        visit(node, parents.last().copied().unwrap_or_default());
        if cursor.goto_first_child() {
            parents.push(node.kind());
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            parents.pop();
        }
    }
}

/// Where a definition ends: at its last statement. The tree of a Python definition may go on over comments
/// and a semicolon; a Java definition has its own last character.
pub(super) fn definition_end(node: Node, language: Language) -> usize {
    if language == Language::Java {
        return node.end_byte();
    }
    let is_code = |child: &Node| {
        !matches!(child.kind(), "comment" | "line_continuation" | ";")
            && child.start_byte() < child.end_byte()
    };
    let mut cursor = node.walk();
    let mut last = node;
    while let Some(child) = last.children(&mut cursor).filter(is_code).last() {
        last = child;
    }
    last.end_byte()
}

/// The identifier that a definition gives its name to; `None` where the parser had to make one up.
pub(super) fn name(node: Node, text: &str) -> Option<String> {
    let name = node.child_by_field_name("name")?.utf8_text(text.as_bytes()).ok()?;
    (!name.is_empty()).then(|| name.to_string())
}
