//! TypeScript.

use super::entry::Entry;
use super::javascript;
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["typescript", "ts", "tsx"],
    about: "TypeScript; what its grammar with JSX reads better is read by that",
    extensions: &["ts", "cts", "mts", "tsx"],
    grammar: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
    dialect: Some(&TSX),
    ..TSX
};

/// With JSX, and without assertions of the form `<type>value`.
pub(super) const TSX: Entry = Entry {
    names: &[],
    about: "",
    extensions: &[],
    line_comment: "//",
    grammar: || tree_sitter_typescript::LANGUAGE_TSX.into(),
    repairs: &[],
    dialect: None,
    root: "program",
    transparent: &["export_statement"],
    comments: &["comment", "html_comment"],
    identifiers: &[
        "identifier",
        "private_property_identifier",
        "property_identifier",
        "shorthand_property_identifier",
        "shorthand_property_identifier_pattern",
        "type_identifier",
    ],
    wrappers: &["ambient_declaration", "export_statement"],
    attributes: &["decorator"],
    local_class_parents: &[],
    additions: &[],
    is_function,
    is_class,
    is_statement,
    imports: &["import_alias", "import_statement"],
    is_global: javascript::is_global,
    name: javascript::name,
    end: javascript::end,
};

/// Functions of JavaScript, and the methods that an interface or an abstract class requires. The signatures
/// of overloaded or only declared functions do not count.
fn is_function(place: &Place) -> bool {
    match place.kind() {
        "abstract_method_signature" => true,
        "method_signature" => place.parent() == "interface_body",
        _ => javascript::is_function(place),
    }
}

fn is_class(place: &Place) -> bool {
    matches!(place.kind(), "abstract_class_declaration" | "enum_declaration" | "interface_declaration")
        || javascript::is_class(place)
}

/// Statements of JavaScript, declarations of types, and the members of classes and interfaces.
fn is_statement(place: &Place) -> bool {
    let parent = place.parent();
    match place.kind() {
        "abstract_class_declaration"
        | "enum_declaration"
        | "function_signature"
        | "import_alias"
        | "interface_declaration"
        | "type_alias_declaration" => !matches!(parent, "export_statement" | "ambient_declaration"),
        "ambient_declaration" => parent != "export_statement",
        // At the top of a file the grammar takes a namespace for the expression of a statement.
        "internal_module" | "module" => {
            !matches!(parent, "export_statement" | "ambient_declaration" | "expression_statement")
        }
        "call_signature" | "construct_signature" | "property_signature" => parent == "interface_body",
        "index_signature" | "method_signature" => matches!(parent, "interface_body" | "class_body"),
        "abstract_method_signature" | "public_field_definition" => true,
        _ => javascript::is_statement(place),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::TypeScript, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::TypeScript, Unit::STATEMENT))
    }

    #[test]
    fn declarations_and_overloads() {
        let text = "import a from \"a\";\nexport function f(x: string): void;\nexport function f(x: any) { function g() {} }\ndeclare function h(): void;\nexport const i = async <T>(x: T): Promise<T> => x;\n";
        assert_eq!(
            functions(text),
            [
                "between|import a from \"a\";\nexport function f(x: string): void;\n",
                "function f|export function f(x: any) { function g() {} }",
                "between|\ndeclare function h(): void;\n",
                "function i|export const i = async <T>(x: T): Promise<T> => x;\n"
            ]
        );
    }

    #[test]
    fn classes_and_interfaces() {
        let text = "export abstract class A<T> implements I {\n  x: number = 1;\n  constructor(private y: number) { }\n  abstract m(): void;\n  n(a: string): void;\n  n(a: any) { }\n  @d() private o = () => 1;\n  get p(): number { return 1; }\n}\ninterface I { q(): void; r: string; (s: number): string; new (t: number): I }\n";
        assert_eq!(
            functions(text),
            [
                "class A|export abstract class A<T> implements I {\n  x: number = 1;\n  ",
                "function constructor|constructor(private y: number) { }",
                "function m|\n  abstract m(): void;",
                "class A|\n  n(a: string): void;\n  ",
                "function n|n(a: any) { }",
                "function o|\n  @d() private o = () => 1;",
                "function p|\n  get p(): number { return 1; }",
                "class A|\n}",
                "class I|\ninterface I { ",
                "function q|q(): void;",
                "class I| r: string; (s: number): string; new (t: number): I }\n"
            ]
        );
    }

    #[test]
    fn decorators_stand_before_methods() {
        let text = "@C({ t() {} })\nexport class A {\n  @d()\n  // c\n  @e()\n  public m() {}\n  n() {}\n}\n";
        assert_eq!(
            functions(text),
            [
                "class A|@C({ t() {} })\nexport class A {\n  ",
                "function m|@d()\n  // c\n  @e()\n  public m() {}",
                "function n|\n  n() {}",
                "class A|\n}\n"
            ]
        );
    }

    #[test]
    fn namespaces_enumerations_and_types() {
        let text = "namespace N {\n  export function f() {}\n}\nexport enum E { A }\ntype T = { m(): void };\ndeclare module \"x\" { function g(): void; class D { h(): void } }\n";
        assert_eq!(
            functions(text),
            [
                "between|namespace N {\n  ",
                "function f|export function f() {}",
                "between|\n}\n",
                "class E|export enum E { A }",
                "between|\ntype T = { m(): void };\ndeclare module \"x\" { function g(): void; ",
                "class D|class D { h(): void }",
                "between| }\n"
            ]
        );
    }

    #[test]
    fn assertions_of_either_form() {
        let text = "const a = <T>b;\nfunction f() { return <number>c; }\n";
        assert_eq!(
            functions(text),
            ["between|const a = <T>b;\n", "function f|function f() { return <number>c; }\n"]
        );
    }

    #[test]
    fn markup() {
        let text = "const A = (p: P) => <div onClick={() => 1}>{p.x as any}</div>;\nexport function B(): JSX.Element { return <A />; }\n";
        assert_eq!(
            functions(text),
            [
                "function A|const A = (p: P) => <div onClick={() => 1}>{p.x as any}</div>;",
                "function B|\nexport function B(): JSX.Element { return <A />; }\n"
            ]
        );
    }

    #[test]
    fn methods_of_objects() {
        let text = "export const o = {\n  f(this: O): void {},\n  g: async (): Promise<void> => {},\n} satisfies O;\n";
        assert_eq!(
            functions(text),
            [
                "between|export const o = {\n  ",
                "function f|f(this: O): void {},",
                "function g|\n  g: async (): Promise<void> => {},",
                "between|\n} satisfies O;\n"
            ]
        );
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "import a from \"a\";\n",
            "namespace N {\n  ",
            "export type T = number;\n}\n",
            "export interface I { ",
            "x: T; ",
            "f(): void; }\n",
            "declare const b: number;\n",
            "abstract class C { ",
            "private y = 1; ",
            "abstract g(): void; ",
            "h(): number { ",
            "return 1; } }\n",
            "enum E { A }\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
