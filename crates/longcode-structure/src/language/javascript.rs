//! JavaScript, with what it shares with TypeScript.

use std::ops::Range;

use tree_sitter::Node;

use super::entry::{Entry, end_with};
use super::typescript;
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["javascript", "js", "jsx"],
    about: "JavaScript; with types, as Flow's, it is read as TypeScript",
    extensions: &["js", "cjs", "jsx", "mjs"],
    line_comment: "//",
    grammar: || tree_sitter_javascript::LANGUAGE.into(),
    repairs: &[],
    dialect: Some(&typescript::TSX),
    root: "program",
    transparent: &["export_statement"],
    comments: &["comment", "html_comment"],
    identifiers: &[
        "identifier",
        "private_property_identifier",
        "property_identifier",
        "shorthand_property_identifier",
        "shorthand_property_identifier_pattern",
    ],
    wrappers: &["export_statement"],
    attributes: &["decorator"],
    local_class_parents: &[],
    additions: &[],
    is_function,
    is_class,
    is_statement,
    imports: &["import_statement"],
    is_global,
    name,
    end,
};

/// Declarations of functions, methods of classes and of objects, and functions that are bound to a name:
///
/// ```js
/// const f = () => {};            C.prototype.f = function () {};
/// class C { f = () => {}; }      const o = { f: function () {} };
/// ```
pub(super) fn is_function(place: &Place) -> bool {
    match place.kind() {
        "function_declaration" | "generator_function_declaration" | "method_definition" => true,
        _ => bound(place).is_some_and(|bound| {
            matches!(bound.value.kind(), "arrow_function" | "function_expression" | "generator_function")
        }),
    }
}

/// Declarations of classes, and classes that are bound to a name.
pub(super) fn is_class(place: &Place) -> bool {
    place.kind() == "class_declaration" || bound(place).is_some_and(|bound| bound.value.kind() == "class")
}

/// A value and the name that it is given; a default export has no name.
struct Bound<'t> {
    name: Option<Node<'t>>,
    value: Node<'t>,
}

/// What is bound by a declaration of one variable, one variable of several, an assignment, a property, a
/// field of a class or a default export.
fn bound<'t>(place: &Place<'t>) -> Option<Bound<'t>> {
    let node = place.node;
    let field = |name: &str| node.child_by_field_name(name);
    match place.kind() {
        "lexical_declaration" | "variable_declaration" => variable(only_declarator(node)?),
        "variable_declarator" if only_declarator(*place.above.last()?).is_none() => variable(node),
        "expression_statement" => assigned(node.named_child(0)?),
        "pair" => Some(Bound { name: field("key"), value: field("value")? }),
        "field_definition" => Some(Bound { name: field("property"), value: field("value")? }),
        "public_field_definition" => Some(Bound { name: field("name"), value: field("value")? }),
        "export_statement" => Some(Bound { name: None, value: field("value")? }),
        _ => None,
    }
}

/// The only variable of a declaration.
fn only_declarator(declaration: Node) -> Option<Node> {
    let mut cursor = declaration.walk();
    let mut found =
        declaration.named_children(&mut cursor).filter(|node| node.kind() == "variable_declarator");
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

fn variable(declarator: Node) -> Option<Bound> {
    let name = declarator.child_by_field_name("name").filter(|name| name.kind() == "identifier")?;
    Some(Bound { name: Some(name), value: declarator.child_by_field_name("value")? })
}

/// For `a = b.c = value` the value, and the name it is assigned to first, `c`.
fn assigned(mut node: Node) -> Option<Bound> {
    let mut name = None;
    while node.kind() == "assignment_expression" {
        let left = node.child_by_field_name("left")?;
        name = match left.kind() {
            "identifier" => Some(left),
            "member_expression" => left.child_by_field_name("property"),
            _ => None,
        };
        node = node.child_by_field_name("right")?;
    }
    Some(Bound { name: Some(name?), value: node })
}

/// The own name of a function or class, or the one that it is bound to; for a string only what is between the
/// quotes.
pub(super) fn name(place: &Place) -> Option<Range<usize>> {
    let name = match bound(place) {
        Some(Bound { name: Some(name), .. }) => name,
        Some(Bound { value, .. }) => value.child_by_field_name("name")?,
        None => place.node.child_by_field_name("name")?,
    };
    match name.kind() {
        "string" => Some(name.start_byte() + 1..name.end_byte() - 1),
        _ => Some(name.byte_range()),
    }
}

/// The end, including a semicolon, or a comma if more declarations or members follow.
pub(super) fn end(place: &Place) -> usize {
    let in_list = place.kind() == "variable_declarator" || place.parent() == "object";
    end_with(place, if in_list { &[',', ';'] } else { &[';'] })
}

/// Statements, declarations, and the members of classes. What is exported is a part of the export.
pub(super) fn is_statement(place: &Place) -> bool {
    let parent = place.parent();
    match place.kind() {
        // A body is a part of its statement; among statements, a block is one.
        "statement_block" => {
            matches!(parent, "program" | "statement_block" | "switch_case" | "switch_default")
        }
        "empty_statement" | "lexical_declaration" | "variable_declaration" if parent == "for_statement" => {
            let body = place.above.last().and_then(|parent| parent.child_by_field_name("body"));
            body.is_some_and(|body| body.id() == place.node.id())
        }
        "class_declaration"
        | "function_declaration"
        | "generator_function_declaration"
        | "lexical_declaration"
        | "using_declaration"
        | "variable_declaration" => !matches!(parent, "export_statement" | "ambient_declaration"),
        "method_definition" => parent == "class_body",
        "break_statement"
        | "class_static_block"
        | "continue_statement"
        | "debugger_statement"
        | "do_statement"
        | "empty_statement"
        | "export_statement"
        | "expression_statement"
        | "field_definition"
        | "for_in_statement"
        | "for_statement"
        | "if_statement"
        | "import_statement"
        | "labeled_statement"
        | "return_statement"
        | "switch_statement"
        | "throw_statement"
        | "try_statement"
        | "while_statement"
        | "with_statement" => true,
        _ => false,
    }
}

/// Declarations of variables and assignments to them, other than of functions and classes.
pub(super) fn is_global(place: &Place) -> bool {
    let assigns_to_a_name = |node: Node| {
        matches!(node.kind(), "assignment_expression" | "augmented_assignment_expression")
            && node.child_by_field_name("left").is_some_and(|left| left.kind() == "identifier")
    };
    let is_global = match place.kind() {
        "lexical_declaration" | "variable_declaration" => true,
        "expression_statement" => place.node.named_child(0).is_some_and(assigns_to_a_name),
        _ => false,
    };
    is_global && !is_function(place) && !is_class(place)
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::JavaScript, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::JavaScript, Unit::STATEMENT))
    }

    #[test]
    fn declarations() {
        let text = "import a from \"a\";\n// about f\nexport async function f() { function g() {} return () => 1; }\nfunction* h() {}\nexport default class C extends D {\n  x = 1;\n  constructor() { super(); }\n  static get y() { return 1; }\n  #p() {}\n  [k]() {}\n  z = () => 2;\n}\n";
        assert_eq!(
            functions(text),
            [
                "between|import a from \"a\";\n// about f\n",
                "function f|export async function f() { function g() {} return () => 1; }",
                "function h|\nfunction* h() {}",
                "class C|\nexport default class C extends D {\n  x = 1;\n  ",
                "function constructor|constructor() { super(); }",
                "function y|\n  static get y() { return 1; }",
                "function #p|\n  #p() {}",
                "function [k]|\n  [k]() {}",
                "function z|\n  z = () => 2;",
                "class C|\n}\n"
            ]
        );
    }

    #[test]
    fn functions_bound_to_a_name() {
        let text = "const f = () => 1;\nlet g = async function () {}, x = 2, h = () => 3;\nexport const i = (a) => a;\nexports.j = function () {};\nA.prototype.k = function own() {};\nl = m = function () {};\nconst n = debounce(() => {});\nlet o = 1;\n";
        assert_eq!(
            functions(text),
            [
                "function f|const f = () => 1;",
                "between|\nlet ",
                "function g|g = async function () {},",
                "between| x = 2, ",
                "function h|h = () => 3;",
                "function i|\nexport const i = (a) => a;",
                "function j|\nexports.j = function () {};",
                "function k|\nA.prototype.k = function own() {};",
                "function m|\nl = m = function () {};",
                "between|\nconst n = debounce(() => {});\nlet o = 1;\n"
            ]
        );
    }

    #[test]
    fn methods_of_objects() {
        let text = "const a = {\n  b() {},\n  c: function () {},\n  'd e': () => 1,\n  f: 2,\n  get g() { return 1; },\n};\nmodule.exports = { h() {} };\n";
        assert_eq!(
            functions(text),
            [
                "between|const a = {\n  ",
                "function b|b() {},",
                "function c|\n  c: function () {},",
                "function d e|\n  'd e': () => 1,",
                "between|\n  f: 2,\n  ",
                "function g|get g() { return 1; },",
                "between|\n};\nmodule.exports = { ",
                "function h|h() {}",
                "between| };\n"
            ]
        );
    }

    #[test]
    fn what_a_function_without_a_name_holds_counts() {
        let text = "(function () {\n  function f() { function g() {} }\n  var x = 1;\n})();\ndescribe(\"a\", () => {\n  const h = () => 1;\n});\n";
        assert_eq!(
            functions(text),
            [
                "between|(function () {\n  ",
                "function f|function f() { function g() {} }",
                "between|\n  var x = 1;\n})();\ndescribe(\"a\", () => {\n  ",
                "function h|const h = () => 1;",
                "between|\n});\n"
            ]
        );
    }

    #[test]
    fn default_exports() {
        let text = "export default function () {}\n";
        assert_eq!(functions(text), ["function|export default function () {}\n"]);
    }

    #[test]
    fn classes_bound_to_a_name() {
        let text = "const A = class { m() {} };\nexports.B = class extends A {};\n";
        assert_eq!(
            functions(text),
            [
                "class A|const A = class { ",
                "function m|m() {}",
                "class A| };",
                "class B|\nexports.B = class extends A {};\n"
            ]
        );
    }

    #[test]
    fn decorators_are_parts() {
        let text = "@a({ b() {} })\nclass C {\n  @d() m() {}\n}\n";
        assert_eq!(
            functions(text),
            ["class C|@a({ b() {} })\nclass C {\n  ", "function m|@d() m() {}", "class C|\n}\n"]
        );
    }

    #[test]
    fn markup() {
        let text = "const A = () => <div onClick={() => 1}>{f}</div>;\nfunction B() { return <A />; }\n";
        assert_eq!(
            functions(text),
            [
                "function A|const A = () => <div onClick={() => 1}>{f}</div>;",
                "function B|\nfunction B() { return <A />; }\n"
            ]
        );
    }

    #[test]
    fn types_are_read_as_typescript() {
        let text = "/* @flow */\nexport function f (v: any, w?: string): boolean { return true }\nfunction g (v: { [key: string]: any }): void {}\nlet x: number = 1\n";
        assert_eq!(
            functions(text),
            [
                "function f|/* @flow */\nexport function f (v: any, w?: string): boolean { return true }",
                "function g|\nfunction g (v: { [key: string]: any }): void {}",
                "between|\nlet x: number = 1\n"
            ]
        );
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "import a from \"a\";\n",
            "export const b = 1, c = 2;\n",
            "function f(x) {\n  ",
            "for (let i = 0; i < 1; i++) ",
            "g();\n  ",
            "for (const k of l) { ",
            "h(); }\n  ",
            "if (x) { ",
            "i(); } else ",
            "return;\n  ",
            "switch (x) { case 1: ",
            "j(); ",
            "break; default: ",
            "{ ",
            "k(); } }\n  ",
            ";\n  ",
            "try { ",
            "m(); } catch { ",
            "n(); }\n}\n",
            "export class C { ",
            "x = 1; ",
            "m() { ",
            "return () => { ",
            "o(); }; } }\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
