//! Java.

use super::entry::{Entry, name_field, node_end};
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["java"],
    about: "Java",
    extensions: &["java"],
    line_comment: "//",
    grammar: || tree_sitter_java::LANGUAGE.into(),
    repairs: &[],
    dialect: None,
    root: "program",
    transparent: &[],
    comments: &["line_comment", "block_comment"],
    identifiers: &["identifier", "type_identifier"],
    wrappers: &[],
    attributes: &[],
    // In an initialiser, or in a lambda of a field.
    local_class_parents: &["block", "constructor_body", "switch_block_statement_group"],
    additions: &[],
    is_function,
    is_class,
    is_statement,
    imports: &["import_declaration"],
    is_global: |place| place.kind() == "local_variable_declaration",
    name: name_field,
    end: node_end,
};

/// An element of an annotation type is not a method.
fn is_function(place: &Place) -> bool {
    matches!(
        place.kind(),
        "method_declaration" | "constructor_declaration" | "compact_constructor_declaration"
    )
}

fn is_class(place: &Place) -> bool {
    matches!(
        place.kind(),
        "class_declaration"
            | "interface_declaration"
            | "enum_declaration"
            | "record_declaration"
            | "annotation_type_declaration"
    )
}

/// Statements, local variable declarations, and the declarations of packages, imports, types and members,
/// initialisers included.
fn is_statement(place: &Place) -> bool {
    let parent = place.parent();
    match place.kind() {
        // A body is a part of its statement; among statements, a block is one.
        "block" => stands_in_sequence(parent) || parent == "class_body" || parent == "enum_body_declarations",
        ";" => stands_in_sequence(parent),
        // One node kind for the statement and the expression.
        "switch_expression" => stands_in_sequence(parent) || holds_one_statement(parent),
        // The first part of a `for` is not a statement.
        "local_variable_declaration" => parent != "for_statement",
        "annotation_type_declaration"
        | "annotation_type_element_declaration"
        | "assert_statement"
        | "break_statement"
        | "class_declaration"
        | "compact_constructor_declaration"
        | "constant_declaration"
        | "constructor_declaration"
        | "continue_statement"
        | "do_statement"
        | "enhanced_for_statement"
        | "enum_declaration"
        | "explicit_constructor_invocation"
        | "expression_statement"
        | "field_declaration"
        | "for_statement"
        | "if_statement"
        | "import_declaration"
        | "interface_declaration"
        | "labeled_statement"
        | "method_declaration"
        | "module_declaration"
        | "package_declaration"
        | "record_declaration"
        | "return_statement"
        | "static_initializer"
        | "synchronized_statement"
        | "throw_statement"
        | "try_statement"
        | "try_with_resources_statement"
        | "while_statement"
        | "yield_statement" => true,
        _ => false,
    }
}

/// Nodes that hold a sequence of statements.
fn stands_in_sequence(parent: &str) -> bool {
    matches!(parent, "block" | "constructor_body" | "switch_block_statement_group" | "program")
}

/// Nodes that hold a statement as their body.
fn holds_one_statement(parent: &str) -> bool {
    matches!(
        parent,
        "if_statement"
            | "for_statement"
            | "enhanced_for_statement"
            | "while_statement"
            | "do_statement"
            | "labeled_statement"
    )
}
