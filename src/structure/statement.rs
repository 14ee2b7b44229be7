//! The unit `statement`: a boundary at the start of every statement at any depth.

use tree_sitter::Tree;

use super::outline::Outline;
use super::{Language, RegionKind, syntax};

pub(super) fn outline(tree: &Tree, language: Language) -> Outline {
    let mut outline = Outline::default();
    syntax::walk(tree, |node, parent| {
        let kind = node.kind();
        if language.is_comment(kind) {
            outline.comments.push(node.byte_range());
        } else if is_statement(language, kind, parent) {
            outline.begin_unit(node.start_byte(), RegionKind::Statement, None);
        }
        true
    });
    outline
}

fn is_statement(language: Language, kind: &str, parent: &str) -> bool {
    match language {
        Language::Python => is_python_statement(kind, parent),
        Language::Java => is_java_statement(kind, parent),
    }
}

/// Simple and compound statements of the grammar. Clauses (`elif`, `else`, `except`, `case`) are parts of
/// theirs, and a definition is a part of its decorated one.
fn is_python_statement(kind: &str, parent: &str) -> bool {
    match kind {
        "function_definition" | "class_definition" => parent != "decorated_definition",
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

/// Statements, local variable declarations, and the declarations of packages, imports, types and members,
/// initialisers included.
fn is_java_statement(kind: &str, parent: &str) -> bool {
    match kind {
        // A body is a part of its statement; standing among statements, a block is one.
        "block" => stands_in_sequence(parent) || parent == "class_body" || parent == "enum_body_declarations",
        ";" => stands_in_sequence(parent),
        // One node for the statement and the expression.
        "switch_expression" => stands_in_sequence(parent) || holds_one_statement(parent),
        // The first part of a `for` is no statement.
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

/// Java nodes that hold statements one after the other.
fn stands_in_sequence(parent: &str) -> bool {
    matches!(parent, "block" | "constructor_body" | "switch_block_statement_group" | "program")
}

/// Java nodes that hold a statement as their body.
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
