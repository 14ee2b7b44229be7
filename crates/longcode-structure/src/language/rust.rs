//! Rust.

use std::ops::Range;

use super::entry::{Entry, name_field, node_end};
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["rust", "rs"],
    about: "Rust; an `impl` holds methods as a class does, and what a macro is called with is not looked into",
    extensions: &["rs"],
    line_comment: "//",
    grammar: || tree_sitter_rust::LANGUAGE.into(),
    repairs: &[],
    dialect: None,
    root: "source_file",
    transparent: &[],
    comments: &["block_comment", "line_comment"],
    identifiers: &["identifier", "field_identifier", "shorthand_field_identifier", "type_identifier"],
    wrappers: &[],
    attributes: &["attribute_item"],
    local_class_parents: &[],
    additions: &["impl_item"],
    is_function,
    is_class,
    is_statement,
    imports: &["extern_crate_declaration", "use_declaration"],
    is_global: |place| matches!(place.kind(), "const_item" | "static_item"),
    name,
    end: node_end,
};

/// Functions and methods; without a body only those that a trait requires.
fn is_function(place: &Place) -> bool {
    match place.kind() {
        "function_item" => true,
        "function_signature_item" => place.grandparent() == "trait_item",
        _ => false,
    }
}

fn is_class(place: &Place) -> bool {
    matches!(place.kind(), "enum_item" | "impl_item" | "struct_item" | "trait_item" | "union_item")
}

/// For an `impl` the type that it is for, without module and arguments.
fn name(place: &Place) -> Option<Range<usize>> {
    if place.kind() != "impl_item" {
        return name_field(place);
    }
    let mut node = place.node.child_by_field_name("type")?;
    loop {
        node = match node.kind() {
            "generic_type" | "reference_type" | "pointer_type" => node.child_by_field_name("type")?,
            "scoped_type_identifier" => node.child_by_field_name("name")?,
            "type_identifier" | "primitive_type" => return Some(node.byte_range()),
            _ => return None,
        };
    }
}

/// Anything in a block, including its value, at the top of a file, or in a module, trait or `impl`; the
/// fields of types.
fn is_statement(place: &Place) -> bool {
    let is_part = matches!(place.kind(), "attribute_item" | "label" | "shebang");
    match place.parent() {
        "block" | "declaration_list" | "source_file" => place.node.is_named() && !is_part,
        _ => place.kind() == "field_declaration",
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::Rust, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::Rust, Unit::STATEMENT))
    }

    #[test]
    fn functions_with_attributes() {
        let text = "use a::b;\n\n/// Docs.\n#[inline]\n// c\n#[cfg(x)]\npub fn f() { fn g() {} let h = || 1; }\n\nstatic X: u8 = 1;\n";
        assert_eq!(
            functions(text),
            [
                "between|use a::b;\n\n/// Docs.\n",
                "function f|#[inline]\n// c\n#[cfg(x)]\npub fn f() { fn g() {} let h = || 1; }",
                "between|\n\nstatic X: u8 = 1;\n"
            ]
        );
    }

    #[test]
    fn what_holds_methods() {
        let text = "#[derive(Debug)]\npub struct S { x: u8 }\n\nimpl<T> a::Tr<T> for Vec<T> {\n    const C: u8 = 1;\n    #[must_use]\n    pub const fn m(&self) -> u8 { 1 }\n}\n\npub trait Tr {\n    type A;\n    fn n(&self);\n    fn o(&self) {}\n}\n";
        assert_eq!(
            functions(text),
            [
                "class S|#[derive(Debug)]\npub struct S { x: u8 }",
                "class Vec|\n\nimpl<T> a::Tr<T> for Vec<T> {\n    const C: u8 = 1;\n    ",
                "function m|#[must_use]\n    pub const fn m(&self) -> u8 { 1 }",
                "class Vec|\n}",
                "class Tr|\n\npub trait Tr {\n    type A;\n    ",
                "function n|fn n(&self);",
                "function o|\n    fn o(&self) {}",
                "class Tr|\n}\n"
            ]
        );
    }

    #[test]
    fn modules_are_none() {
        let text = "mod m {\n    pub(crate) async fn f() {}\n    #[cfg(test)]\n    mod tests {\n        #[test]\n        fn t() {}\n    }\n}\nmod n;\n";
        assert_eq!(
            functions(text),
            [
                "between|mod m {\n    ",
                "function f|pub(crate) async fn f() {}",
                "between|\n    #[cfg(test)]\n    mod tests {\n        ",
                "function t|#[test]\n        fn t() {}",
                "between|\n    }\n}\nmod n;\n"
            ]
        );
    }

    #[test]
    fn declarations_of_other_languages_are_none() {
        let text = "extern \"C\" { fn f(); }\nextern \"C\" fn g() {}\n";
        assert_eq!(
            functions(text),
            ["between|extern \"C\" { fn f(); }\n", "function g|extern \"C\" fn g() {}\n"]
        );
    }

    #[test]
    fn macros_are_not_looked_into() {
        let text = "macro_rules! m { () => { fn f() {} } }\ncfg_if! { fn g() {} }\nenum E { A }\nunion U { a: u8 }\nunsafe fn h() {}\n";
        assert_eq!(
            functions(text),
            [
                "between|macro_rules! m { () => { fn f() {} } }\ncfg_if! { fn g() {} }\n",
                "class E|enum E { A }",
                "class U|\nunion U { a: u8 }",
                "function h|\nunsafe fn h() {}\n"
            ]
        );
    }

    #[test]
    fn classes_in_functions_are_parts() {
        let text = "fn f() { struct L; impl L { fn g(&self) {} } }\nimpl &str { fn h() {} }\nimpl dyn Tr { fn i() {} }\n";
        assert_eq!(
            functions(text),
            [
                "function f|fn f() { struct L; impl L { fn g(&self) {} } }",
                "class str|\nimpl &str { ",
                "function h|fn h() {}",
                "class str| }",
                "class|\nimpl dyn Tr { ",
                "function i|fn i() {}",
                "class| }\n"
            ]
        );
    }

    #[test]
    fn errors_leave_the_rest_usable() {
        let text = "fn f() {}\n) ?? $\nfn g() {}\n";
        assert_eq!(functions(text), ["function f|fn f() {}", "between|\n) ?? $\n", "function g|fn g() {}\n"]);
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "use a::b;\n",
            "#[derive(X)]\nstruct S { ",
            "x: u8, ",
            "y: u8 }\n",
            "impl S {\n    ",
            "fn f(&self) -> u8 {\n        ",
            "let z = 1;\n        ",
            "#[cfg(a)]\n        g();\n        ",
            "if z == 1 { ",
            "h() } else { ",
            "i(); }\n        ",
            "match z { 1 => j(), _ => { ",
            "k(); } }\n        ",
            "println!(\"x\");\n        ",
            "z\n    }\n}\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
