//! Python 3.

use super::entry::{Entry, name_field};
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["python"],
    about: "Python 3",
    extensions: &["py", "pyi"],
    line_comment: "#",
    grammar: || tree_sitter_python::LANGUAGE.into(),
    repairs: &[],
    dialect: None,
    root: "module",
    transparent: &[],
    comments: &["comment"],
    identifiers: &["identifier"],
    wrappers: &["decorated_definition"],
    attributes: &[],
    local_class_parents: &[],
    additions: &[],
    is_function: |place| place.kind() == "function_definition",
    is_class: |place| place.kind() == "class_definition",
    is_statement,
    imports: &["future_import_statement", "import_from_statement", "import_statement"],
    is_global,
    name: name_field,
    end,
};

/// The end of the last statement: the tree of a definition may extend over comments and a semicolon.
fn end(place: &Place) -> usize {
    let is_code = |child: &tree_sitter::Node| {
        !matches!(child.kind(), "comment" | "line_continuation" | ";")
            && child.start_byte() < child.end_byte()
    };
    let mut cursor = place.node.walk();
    let mut last = place.node;
    while let Some(child) = last.children(&mut cursor).filter(is_code).last() {
        last = child;
    }
    last.end_byte()
}

/// Simple and compound statements of the grammar. Clauses (`elif`, `else`, `except`, `case`) are parts of
/// their statement, and a definition is a part of its decorated one.
fn is_statement(place: &Place) -> bool {
    match place.kind() {
        "function_definition" | "class_definition" => place.parent() != "decorated_definition",
        "assert_statement"
        | "break_statement"
        | "continue_statement"
        | "decorated_definition"
        | "delete_statement"
        | "exec_statement"
        | "expression_statement"
        | "for_statement"
        | "future_import_statement"
        | "global_statement"
        | "if_statement"
        | "import_from_statement"
        | "import_statement"
        | "match_statement"
        | "nonlocal_statement"
        | "pass_statement"
        | "print_statement"
        | "raise_statement"
        | "return_statement"
        | "try_statement"
        | "type_alias_statement"
        | "while_statement"
        | "with_statement" => true,
        _ => false,
    }
}

/// Assignments, also augmented and annotated ones.
fn is_global(place: &Place) -> bool {
    let is_assignment =
        |node: tree_sitter::Node| matches!(node.kind(), "assignment" | "augmented_assignment");
    place.kind() == "expression_statement" && place.node.named_child(0).is_some_and(is_assignment)
}
