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

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::super::tests::{java, python};

    fn texts(shown: Vec<String>) -> Vec<String> {
        shown.iter().map(|region| region.split_once('|').unwrap().1.to_string()).collect()
    }

    #[test]
    fn python_statements_at_any_depth() {
        let parts = [
            "# top\n@d\ndef f(a):\n  ",
            "'doc'\n  ",
            "if a: ",
            "return 1\n  elif b:\n    ",
            "x = [\n 1]; ",
            "y = 2 # c\n  # d\n  else:\n    ",
            "try:\n      ",
            "pass\n    except E:\n      ",
            "raise\n",
            "class C(A):\n  ",
            "import os\n",
            "match x:\n  case 1 if y:\n    ",
            "del x\n",
            "with a as b: ",
            "print(1)\n",
        ];
        assert_eq!(texts(python(&parts.concat(), Unit::Statement)), parts);
    }

    #[test]
    fn java_statements_at_any_depth() {
        let parts = [
            "// top\npackage p; ",
            "import a.B; ",
            "@X class A { ",
            "int x = 1; ",
            "static { ",
            "f(); } ",
            "{ ",
            "g(); } ",
            "A() { ",
            "super(); ",
            "x = 2; } ",
            "void m() { ",
            "int y; ",
            "{ ",
            "y = 1; } ",
            "; ",
            "for (int i = 0; i < 9; i++) { ",
            "h(() -> { ",
            "k(); }); } ",
            "if (a) ",
            "b(); else ",
            "if (c) { ",
            "d(); } ",
            "switch (x) { case 1: ",
            "e(); ",
            "break; default: ",
            "{ ",
            "o(); } } ",
            "int z = switch (x) { case 1 -> ",
            // The grammar makes no difference between a value and a statement here.
            "2; default -> { ",
            "yield 3; } }; ",
            "l: ",
            "while (a) ",
            "return; } ",
            "interface I { ",
            "int C = 1; ",
            "void q(); } }",
        ];
        assert_eq!(texts(java(&parts.concat(), Unit::Statement)), parts);
    }
}
