//! C, with what it shares with C++.

use std::ops::Range;

use tree_sitter::Node;

use super::cpp;
use super::entry::{Entry, end_with};
use super::preprocessor;
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["c"],
    about: "C; a header that the grammar of C++ reads better is read by that",
    extensions: &["c", "h"],
    line_comment: "//",
    grammar: || tree_sitter_c::LANGUAGE.into(),
    repairs: preprocessor::REPAIRS,
    dialect: Some(&cpp::ENTRY),
    root: "translation_unit",
    transparent: &[
        "declaration_list",
        "linkage_specification",
        "preproc_elif",
        "preproc_elifdef",
        "preproc_else",
        "preproc_if",
        "preproc_ifdef",
    ],
    comments: &["comment"],
    identifiers: &["identifier", "field_identifier", "type_identifier"],
    wrappers: &["linkage_specification"],
    attributes: &[],
    local_class_parents: &[],
    additions: &[],
    is_function,
    is_class,
    is_statement,
    imports: &["preproc_include"],
    is_global,
    name,
    end,
};

/// Definitions of functions with a body. If a macro hides what is there, the parser may mistake another
/// statement for one.
pub(super) fn is_function(place: &Place) -> bool {
    let node = place.node;
    if place.kind() == "declaration" {
        return place.parent() != "compound_statement" && old_style_body(node).is_some();
    }
    place.kind() == "function_definition"
        && has_body(node)
        && (node.child_by_field_name("declarator").is_some_and(declares_function)
            || macro_head(node).is_some())
        && name(place).is_some_and(|name| !is_keyword(&place.text[name]))
}

/// The body of `char *f(a) char *a; { ... }`: if an old-style function returns a pointer, the grammar takes
/// its head for a declaration, and the types of the parameters for macros after a prototype.
fn old_style_body(declaration: Node) -> Option<Node> {
    let mut node = declaration.child_by_field_name("declarator")?;
    while node.kind() == "pointer_declarator" {
        node = node.child_by_field_name("declarator")?;
    }
    let last = node.named_child(node.named_child_count().checked_sub(1)? as u32)?;
    if node.kind() != "function_declarator" || last.kind() != "identifier" {
        return None;
    }
    let mut next = declaration.next_named_sibling()?;
    let mut parameters = 0;
    while next.kind() == "declaration" && parameters < MOST_PARAMETERS {
        next = next.next_named_sibling()?;
        parameters += 1;
    }
    Some(next).filter(|next| next.kind() == "compound_statement")
}

/// Declarations that may come between the head of an old-style function and its body: the standard guarantees
/// this many.
const MOST_PARAMETERS: usize = 127;

/// Prototypes, pure virtual functions and defaulted or deleted ones have no body. In C++ it may be a `try`.
fn has_body(function: Node) -> bool {
    let last = function.child_count().checked_sub(1).and_then(|last| function.child(last as u32));
    function.child_by_field_name("body").is_some() || last.is_some_and(|last| last.kind() == "try_statement")
}

/// Whether there are parameters: there are none before a body that follows a macro's name.
fn declares_function(declarator: Node) -> bool {
    let mut next = Some(declarator);
    while let Some(node) = next {
        if matches!(node.kind(), "function_declarator" | "operator_cast") {
            return true;
        }
        next = inner(node);
    }
    false
}

/// The macro that replaces the head of a function, `TEST(name)`: the parser takes it for a type.
fn macro_head(function: Node) -> Option<Node> {
    let kind = |field| function.child_by_field_name(field).map_or("", |node| node.kind());
    let is_head = kind("declarator") == "parenthesized_declarator" && kind("type") == "type_identifier";
    function.child_by_field_name("type").filter(|_| is_head)
}

fn is_keyword(name: &str) -> bool {
    matches!(name, "if" | "else" | "for" | "while" | "do" | "switch" | "case" | "return" | "sizeof" | "catch")
}

/// Structures, unions, enumerations and, in C++, classes, with their members and a name: their own, or that
/// of their `typedef`. Whatever the same declaration declares belongs to it.
pub(super) fn is_class(place: &Place) -> bool {
    specifier(place).is_some() && name(place).is_some()
}

/// The specifier of a declaration, if it has a body.
fn specifier<'t>(place: &Place<'t>) -> Option<Node<'t>> {
    let node = match place.kind() {
        "declaration" | "field_declaration" | "type_definition" => place.node.child_by_field_name("type")?,
        _ if holds_declarations(place.parent()) => place.node,
        _ => return None,
    };
    (is_specifier(node.kind()) && node.child_by_field_name("body").is_some()).then_some(node)
}

fn is_specifier(kind: &str) -> bool {
    matches!(kind, "struct_specifier" | "union_specifier" | "enum_specifier" | "class_specifier")
}

/// Whether such a node holds a sequence of declarations.
fn holds_declarations(parent: &str) -> bool {
    matches!(
        parent,
        "translation_unit"
            | "declaration_list"
            | "field_declaration_list"
            | "compound_statement"
            | "case_statement"
            | "template_declaration"
            | "preproc_elif"
            | "preproc_elifdef"
            | "preproc_else"
            | "preproc_if"
            | "preproc_ifdef"
            | "ERROR"
    )
}

/// The name in a function's declarator, or a class's own or its `typedef`'s.
pub(super) fn name(place: &Place) -> Option<Range<usize>> {
    let node = place.node;
    if let Some(specifier) = specifier(place) {
        let own = specifier.child_by_field_name("name");
        return declared(
            own.or_else(|| {
                node.child_by_field_name("declarator").filter(|_| place.kind() == "type_definition")
            })?,
            place.text,
        );
    }
    let declarator = node.child_by_field_name("declarator")?;
    declared(macro_head(node).filter(|_| !declares_function(declarator)).unwrap_or(declarator), place.text)
}

/// The unqualified name within nested declarators.
fn declared(mut node: Node, text: &str) -> Option<Range<usize>> {
    loop {
        match node.kind() {
            "identifier" | "field_identifier" | "type_identifier" | "destructor_name" | "operator_name" => {
                return Some(node.byte_range());
            }
            "operator_cast" => return Some(conversion(node, text)),
            _ => node = inner(node)?,
        }
    }
}

/// What a declarator or a qualified name wraps.
fn inner(node: Node) -> Option<Node> {
    match node.kind() {
        "qualified_identifier" | "template_function" | "template_method" | "template_type" => {
            node.child_by_field_name("name")
        }
        "parenthesized_declarator" | "attributed_declarator" | "reference_declarator" | "dependent_name" => {
            let mut cursor = node.walk();
            let is_inner = |child: &Node| child.kind().ends_with("declarator") || is_name(child.kind());
            node.named_children(&mut cursor).find(is_inner)
        }
        _ => node.child_by_field_name("declarator"),
    }
}

fn is_name(kind: &str) -> bool {
    kind.ends_with("identifier") || kind.ends_with("_name") || kind.starts_with("template_")
}

/// `operator bool`: up to the parameters.
fn conversion(cast: Node, text: &str) -> Range<usize> {
    let start = cast.start_byte();
    let mut end = cast.end_byte();
    let mut next = cast.child_by_field_name("declarator");
    while let Some(node) = next {
        if node.kind() == "abstract_function_declarator" {
            end = node.start_byte();
        }
        let mut cursor = node.walk();
        next = node.named_children(&mut cursor).find(|child| child.kind().starts_with("abstract_"));
    }
    let name = text[start..end].lines().next().unwrap_or_default();
    start..start + name.trim_end().len()
}

/// The end, including the semicolon.
pub(super) fn end(place: &Place) -> usize {
    let body = if place.kind() == "declaration" { old_style_body(place.node) } else { None };
    body.map_or_else(|| end_with(place, &[';']), |body| body.end_byte())
}

/// Statements, declarations, members, and preprocessor directives. A `case` is a part of its `switch`, and so
/// is each branch of a conditional.
pub(super) fn is_statement(place: &Place) -> bool {
    let parent = place.parent();
    match place.kind() {
        // A body is a part of its statement; among statements, a block is one.
        "compound_statement" => holds_declarations(parent),
        // The first part of a `for`, and what a condition declares, are not statements.
        "declaration" | "expression_statement" if parent == "for_statement" => is_body(place),
        "declaration" => {
            !matches!(parent, "init_statement" | "condition_clause" | "template_declaration")
                && !is_held(parent)
        }
        "expression_statement" | "type_definition" => parent != "init_statement" && !is_held(parent),
        "function_definition" => parent != "template_declaration" && !is_held(parent),
        // The whole of it, if it holds one.
        "linkage_specification" => true,
        "attributed_statement"
        | "break_statement"
        | "continue_statement"
        | "do_statement"
        | "field_declaration"
        | "for_statement"
        | "goto_statement"
        | "if_statement"
        | "labeled_statement"
        | "return_statement"
        | "seh_leave_statement"
        | "seh_try_statement"
        | "switch_statement"
        | "while_statement" => !is_held(parent),
        "preproc_call"
        | "preproc_def"
        | "preproc_function_def"
        | "preproc_if"
        | "preproc_ifdef"
        | "preproc_include" => true,
        kind => is_specifier(kind) && specifier(place).is_some() && parent != "template_declaration",
    }
}

/// Whether this is the whole of the parent statement.
fn is_held(parent: &str) -> bool {
    matches!(parent, "attributed_statement" | "linkage_specification" | "friend_declaration")
}

fn is_body(place: &Place) -> bool {
    let body = place.above.last().and_then(|parent| parent.child_by_field_name("body"));
    body.is_some_and(|body| body.id() == place.node.id())
}

/// Declarations of variables, not of functions or types, and macros without parameters.
pub(super) fn is_global(place: &Place) -> bool {
    match place.kind() {
        "preproc_def" => true,
        "declaration" => {
            let mut cursor = place.node.walk();
            let mut declared = place.node.children_by_field_name("declarator", &mut cursor);
            declared.any(|declarator| !is_prototype(declarator)) && !is_function(place)
        }
        _ => false,
    }
}

/// Whether a declarator is that of a function, not of a pointer to one.
fn is_prototype(declarator: Node) -> bool {
    let inner = declarator.child_by_field_name("declarator");
    match declarator.kind() {
        "function_declarator" => inner.is_none_or(|inner| inner.kind() != "parenthesized_declarator"),
        _ => inner.is_some_and(is_prototype),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::C, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::C, Unit::STATEMENT))
    }

    #[test]
    fn functions_and_prototypes() {
        let text = "#include <a.h>\nint f(int);\n\n/* about g */\nstatic inline int *g(void)\n{\n\treturn 0;\n}\nint x;\n";
        assert_eq!(
            functions(text),
            [
                "between|#include <a.h>\nint f(int);\n\n/* about g */\n",
                "function g|static inline int *g(void)\n{\n\treturn 0;\n}",
                "between|\nint x;\n"
            ]
        );
    }

    #[test]
    fn structures_with_their_declarations() {
        let text = "struct a { int x; };\ntypedef struct { int y; } b_t, *b_p;\nstatic const struct c { int z; } table[] = { { 1 } };\nstruct d;\nenum { E };\nint f(void) { struct l { int w; } v; return 0; }\n";
        assert_eq!(
            functions(text),
            [
                "class a|struct a { int x; };",
                "class b_t|\ntypedef struct { int y; } b_t, *b_p;",
                "class c|\nstatic const struct c { int z; } table[] = { { 1 } };",
                "between|\nstruct d;\nenum { E };\n",
                "function f|int f(void) { struct l { int w; } v; return 0; }\n"
            ]
        );
    }

    #[test]
    fn the_name_stands_within_declarators() {
        let text =
            "void (*signal(int s, void (*h)(int)))(int) { return 0; }\nchar (*g(void))[4] { return 0; }\n";
        assert_eq!(
            functions(text),
            [
                "function signal|void (*signal(int s, void (*h)(int)))(int) { return 0; }",
                "function g|\nchar (*g(void))[4] { return 0; }\n"
            ]
        );
    }

    #[test]
    fn definitions_of_the_old_style() {
        let text = "int main(argc, argv)\n\tint argc;\n\tchar **argv;\n{\n\treturn 0;\n}\n\nstatic char *\ng(a, b) int a; char *b;\n{\n\tstruct s { int x; } y;\n\treturn b;\n}\n";
        assert_eq!(
            functions(text),
            [
                "function main|int main(argc, argv)\n\tint argc;\n\tchar **argv;\n{\n\treturn 0;\n}",
                "function g|\n\nstatic char *\ng(a, b) int a; char *b;\n{\n\tstruct s { int x; } y;\n\treturn b;\n}\n"
            ]
        );
    }

    #[test]
    fn conditionals_are_walked_through() {
        let text = "#ifdef A\nint f(void) { return 1; }\n#else\nint f(void) { return 2; }\n#endif\n";
        assert_eq!(
            functions(text),
            [
                "between|#ifdef A\n",
                "function f|int f(void) { return 1; }",
                "between|\n#else\n",
                "function f|int f(void) { return 2; }",
                "between|\n#endif\n"
            ]
        );
    }

    #[test]
    fn conditionals_within_a_function() {
        let text = "int f(int a)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (!a) {\n#endif\n\t\treturn 1;\n\t}\n\treturn 2;\n}\nint g(void) { return 3; }\n";
        assert_eq!(
            functions(text),
            [
                "function f|int f(int a)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (!a) {\n#endif\n\t\treturn 1;\n\t}\n\treturn 2;\n}",
                "function g|\nint g(void) { return 3; }\n"
            ]
        );
    }

    #[test]
    fn conditionals_around_a_head() {
        let text = "#ifdef A\nint f(int a)\n#else\nint f(long a)\n#endif\n{\n\treturn 1;\n}\nint g(void) { return 3; }\n";
        assert_eq!(
            functions(text),
            [
                "between|#ifdef A\n",
                "function f|int f(int a)\n#else\nint f(long a)\n#endif\n{\n\treturn 1;\n}",
                "function g|\nint g(void) { return 3; }\n"
            ]
        );
    }

    #[test]
    fn macros() {
        let text = "static int __init f(void) { return 0; }\nmodule_init(f);\nint API\ng(void) NOEXCEPT\n{\n\treturn 0;\n}\nTEST(name) {\n\th();\n}\nSYSCALL_DEFINE2(read, int, fd, char *, buf)\n{\n\treturn 0;\n}\n";
        assert_eq!(
            functions(text),
            [
                "function f|static int __init f(void) { return 0; }",
                "between|\nmodule_init(f);\n",
                "function g|int API\ng(void) NOEXCEPT\n{\n\treturn 0;\n}",
                "function TEST|\nTEST(name) {\n\th();\n}",
                "function SYSCALL_DEFINE2|\nSYSCALL_DEFINE2(read, int, fd, char *, buf)\n{\n\treturn 0;\n}\n"
            ]
        );
    }

    #[test]
    fn a_header_of_cpp() {
        let text = "#ifndef H\n#define H\nnamespace n {\nclass A : public B {\n public:\n  int get() const { return x; }\n private:\n  int x;\n};\n}\n#endif\n";
        assert_eq!(
            functions(text),
            [
                "between|#ifndef H\n#define H\nnamespace n {\n",
                "class A|class A : public B {\n public:\n  ",
                "function get|int get() const { return x; }",
                "class A|\n private:\n  int x;\n};",
                "between|\n}\n#endif\n"
            ]
        );
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "#include <a.h>\n",
            "#define X 1\n",
            "struct a { ",
            "int x; ",
            "int y; };\n",
            "int f(int a)\n{\n\t",
            "int b = 1;\n\t",
            "for (int i = 0; i < 2; i++)\n\t\t",
            "g();\n\t",
            "if (a) { ",
            "h(); } else ",
            "return 1;\n\t",
            "switch (a) { case 1: ",
            "i(); ",
            "break; default: ",
            "{ ",
            "j(); } }\n",
            "#if X\n\t",
            "k();\n#endif\n",
            "l:\n\t",
            "do ",
            "m(); while (a);\n\t",
            "return b;\n}\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
