//! Go.

use std::ops::Range;

use tree_sitter::Node;

use super::entry::{Entry, name_field, node_end};
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["go", "golang"],
    about: "Go; what an interface asks for is a part of it",
    extensions: &["go"],
    line_comment: "//",
    grammar: || tree_sitter_go::LANGUAGE.into(),
    repairs: &[],
    dialect: None,
    root: "source_file",
    transparent: &[],
    comments: &["comment"],
    identifiers: &["identifier", "field_identifier", "package_identifier", "type_identifier"],
    wrappers: &[],
    attributes: &[],
    local_class_parents: &[],
    additions: &[],
    is_function,
    is_class: |place| type_spec(place).is_some(),
    is_statement,
    imports: &["import_declaration"],
    is_global: |place| matches!(place.kind(), "const_declaration" | "var_declaration"),
    name,
    end: node_end,
};

/// Functions and methods with a body; those without are written in assembly.
fn is_function(place: &Place) -> bool {
    matches!(place.kind(), "function_declaration" | "method_declaration")
        && place.node.child_by_field_name("body").is_some()
}

/// The structure or interface that a declaration declares, or one within a grouped declaration.
fn type_spec<'t>(place: &Place<'t>) -> Option<Node<'t>> {
    let node = place.node;
    let spec = match place.kind() {
        "type_declaration" if !is_of_several(node) => node.named_child(0)?,
        "type_spec" if place.above.last().is_some_and(|parent| is_of_several(*parent)) => node,
        _ => return None,
    };
    let kind = spec.child_by_field_name("type")?.kind();
    (spec.kind() == "type_spec" && matches!(kind, "struct_type" | "interface_type")).then_some(spec)
}

/// Whether a declaration is `type ( ... )`.
fn is_of_several(declaration: Node) -> bool {
    declaration.child(1).is_some_and(|second| second.kind() == "(")
}

fn name(place: &Place) -> Option<Range<usize>> {
    match type_spec(place) {
        Some(spec) => Some(spec.child_by_field_name("name")?.byte_range()),
        None => name_field(place),
    }
}

/// Anything among statements, at the top of a file, or after a label; the fields and methods of types.
fn is_statement(place: &Place) -> bool {
    if !place.node.is_named() || place.kind() == "label_name" {
        return false;
    }
    matches!(place.parent(), "source_file" | "statement_list" | "labeled_statement")
        || matches!(place.kind(), "field_declaration" | "method_elem")
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::Go, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::Go, Unit::STATEMENT))
    }

    #[test]
    fn functions_and_methods() {
        let text = "package p\n\nimport \"os\"\n\n// F is.\nfunc F() int {\n\tg := func() int { return 1 }\n\treturn g()\n}\n\nfunc (r *T[K]) M() {}\n\nvar v = func() {}\n";
        assert_eq!(
            functions(text),
            [
                "between|package p\n\nimport \"os\"\n\n// F is.\n",
                "function F|func F() int {\n\tg := func() int { return 1 }\n\treturn g()\n}",
                "function M|\n\nfunc (r *T[K]) M() {}",
                "between|\n\nvar v = func() {}\n"
            ]
        );
    }

    #[test]
    fn types() {
        let text = "package p\n\ntype S struct {\n\ta int\n}\n\ntype I interface {\n\tM() int\n}\n\ntype N int\n\nfunc F() {\n\ttype L struct{}\n}\n";
        assert_eq!(
            functions(text),
            [
                "between|package p\n\n",
                "class S|type S struct {\n\ta int\n}",
                "class I|\n\ntype I interface {\n\tM() int\n}",
                "between|\n\ntype N int\n\n",
                "function F|func F() {\n\ttype L struct{}\n}\n"
            ]
        );
    }

    #[test]
    fn types_declared_together() {
        let text =
            "package p\n\ntype (\n\tA struct{ x int }\n\tB int\n\tC interface{ M() }\n)\n\nfunc F() {}\n";
        assert_eq!(
            functions(text),
            [
                "between|package p\n\ntype (\n\t",
                "class A|A struct{ x int }",
                "between|\n\tB int\n\t",
                "class C|C interface{ M() }",
                "between|\n)\n\n",
                "function F|func F() {}\n"
            ]
        );
    }

    #[test]
    fn without_a_body_there_is_no_unit() {
        let text = "package p\n\nfunc asm(x int) int\n\nfunc G[T any](x T) T { return x }\n";
        assert_eq!(
            functions(text),
            [
                "between|package p\n\nfunc asm(x int) int\n\n",
                "function G|func G[T any](x T) T { return x }\n"
            ]
        );
    }

    #[test]
    fn generic_types() {
        let text =
            "package p\n\ntype L[T any] struct {\n\tnext *L[T]\n}\n\nfunc (l *L[T]) Len() int { return 0 }\n";
        assert_eq!(
            functions(text),
            [
                "between|package p\n\n",
                "class L|type L[T any] struct {\n\tnext *L[T]\n}",
                "function Len|\n\nfunc (l *L[T]) Len() int { return 0 }\n"
            ]
        );
    }

    #[test]
    fn errors_leave_the_rest_usable() {
        let text = "package p\n\nfunc F() {}\n\n) ?? x\n\nfunc G() {}\n";
        assert_eq!(
            functions(text),
            [
                "between|package p\n\n",
                "function F|func F() {}",
                "between|\n\n) ?? x\n\n",
                "function G|func G() {}\n"
            ]
        );
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "package p\n\n",
            "import \"os\"\n\n",
            "type S struct {\n\t",
            "a int\n}\n\n",
            "func F() {\n\t",
            "x := 1\n\t",
            "for i := 0; i < 2; i++ {\n\t\t",
            "x++\n\t}\n\t",
            "if y := x; y > 1 {\n\t\t",
            "return\n\t} else {\n\t\t",
            "go g()\n\t}\n\t",
            "switch x {\n\tcase 1:\n\t\t",
            "h()\n\t}\n",
            "l:\n\t",
            "for {\n\t}\n}\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
