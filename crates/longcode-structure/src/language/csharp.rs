//! C#.

use std::ops::Range;

use super::entry::{Entry, end_with, name_field};
use super::preprocessor;
use crate::syntax::Place;

pub(super) const ENTRY: Entry = Entry {
    names: &["csharp", "c#", "cs", "c-sharp", "c_sharp"],
    about: "C#; properties, indexers and events are parts of their class",
    extensions: &["cs", "csx"],
    line_comment: "//",
    grammar: || tree_sitter_c_sharp::LANGUAGE.into(),
    repairs: &[preprocessor::CONDITIONALS],
    dialect: None,
    root: "compilation_unit",
    transparent: &["global_statement", "preproc_elif", "preproc_else", "preproc_if"],
    comments: &["comment"],
    identifiers: &["identifier"],
    wrappers: &[],
    attributes: &[],
    local_class_parents: &[],
    additions: &[],
    is_function,
    is_class,
    is_statement,
    imports: &["using_directive"],
    is_global: |place| place.kind() == "local_declaration_statement",
    name,
    end: |place| end_with(place, &[';']),
};

/// Methods, including those without a body, and the functions of a program of statements.
fn is_function(place: &Place) -> bool {
    matches!(
        place.kind(),
        "constructor_declaration"
            | "conversion_operator_declaration"
            | "destructor_declaration"
            | "local_function_statement"
            | "method_declaration"
            | "operator_declaration"
    )
}

fn is_class(place: &Place) -> bool {
    matches!(
        place.kind(),
        "class_declaration"
            | "enum_declaration"
            | "interface_declaration"
            | "record_declaration"
            | "struct_declaration"
    )
}

/// `~A` of a destructor, `operator +`, `operator int` of a conversion.
fn name(place: &Place) -> Option<Range<usize>> {
    let node = place.node;
    let (first, last) = match place.kind() {
        "destructor_declaration" => ("~", "name"),
        "operator_declaration" => ("operator", "operator"),
        "conversion_operator_declaration" => ("operator", "type"),
        _ => return name_field(place),
    };
    let mut cursor = node.walk();
    let start = node.children(&mut cursor).find(|child| child.kind() == first)?.start_byte();
    Some(start..node.child_by_field_name(last)?.end_byte())
}

/// Statements, declarations and members. An accessor is a part of its property, a label of a `switch` a part
/// of that.
fn is_statement(place: &Place) -> bool {
    match place.kind() {
        // A body is a part of its statement; among statements, a block is one.
        "block" => matches!(place.parent(), "block" | "switch_section" | "global_statement"),
        "break_statement"
        | "checked_statement"
        | "continue_statement"
        | "delegate_declaration"
        | "do_statement"
        | "empty_statement"
        | "event_declaration"
        | "event_field_declaration"
        | "expression_statement"
        | "extern_alias_directive"
        | "field_declaration"
        | "file_scoped_namespace_declaration"
        | "fixed_statement"
        | "for_statement"
        | "foreach_statement"
        | "global_attribute"
        | "goto_statement"
        | "if_statement"
        | "indexer_declaration"
        | "labeled_statement"
        | "local_declaration_statement"
        | "lock_statement"
        | "namespace_declaration"
        | "property_declaration"
        | "return_statement"
        | "switch_statement"
        | "throw_statement"
        | "try_statement"
        | "unsafe_statement"
        | "using_directive"
        | "using_statement"
        | "while_statement"
        | "yield_statement" => true,
        _ => is_function(place) || is_class(place),
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::{shown_in, texts};
    use crate::{Language, Unit};

    fn functions(text: &str) -> Vec<String> {
        shown_in(text, Language::CSharp, Unit::FUNCTION)
    }

    fn statements(text: &str) -> Vec<String> {
        texts(shown_in(text, Language::CSharp, Unit::STATEMENT))
    }

    #[test]
    fn members_of_a_class() {
        let text = "using System;\n\nnamespace N\n{\n    /// A\n    [X]\n    public class A : B\n    {\n        int x;\n        public A() : base(1) {}\n        ~A() {}\n        public int P { get { return x; } set { x = value; } }\n        /// m\n        [Y(1)]\n        public async Task<T> M<T>() where T : class { return null; }\n        int E() => 1;\n        public extern static void F();\n    }\n}\n";
        assert_eq!(
            functions(text),
            [
                "between|using System;\n\nnamespace N\n{\n    /// A\n    ",
                "class A|[X]\n    public class A : B\n    {\n        int x;\n        ",
                "function A|public A() : base(1) {}",
                "function ~A|\n        ~A() {}",
                "class A|\n        public int P { get { return x; } set { x = value; } }\n        /// m\n        ",
                "function M|[Y(1)]\n        public async Task<T> M<T>() where T : class { return null; }",
                "function E|\n        int E() => 1;",
                "function F|\n        public extern static void F();",
                "class A|\n    }",
                "between|\n}\n"
            ]
        );
    }

    #[test]
    fn names_of_operators_and_interfaces() {
        let text = "class A { public static A operator +(A a, A b) { return a; } public static implicit operator int(A a) { return 1; } void I.M() {} int this[int i] { get { return 1; } } event H Ev { add {} remove {} } }";
        assert_eq!(
            functions(text),
            [
                "class A|class A { ",
                "function operator +|public static A operator +(A a, A b) { return a; }",
                "function operator int| public static implicit operator int(A a) { return 1; }",
                "function M| void I.M() {}",
                "class A| int this[int i] { get { return 1; } } event H Ev { add {} remove {} } }"
            ]
        );
    }

    #[test]
    fn interfaces_structures_records_and_enumerations() {
        let text = "interface I { void F(); int P { get; } }\nrecord R(int X) { int G() => X; }\nstruct S { abstract void H(); }\nenum E { A }\ndelegate void D();\n";
        assert_eq!(
            functions(text),
            [
                "class I|interface I { ",
                "function F|void F();",
                "class I| int P { get; } }",
                "class R|\nrecord R(int X) { ",
                "function G|int G() => X;",
                "class R| }",
                "class S|\nstruct S { ",
                "function H|abstract void H();",
                "class S| }",
                "class E|\nenum E { A }",
                "between|\ndelegate void D();\n"
            ]
        );
    }

    #[test]
    fn local_functions_and_lambdas_are_parts() {
        let text = "class A { Func<int> f = () => { return 1; }; void M() { int L() { return 1; } var x = new { Y = 1 }; } }";
        assert_eq!(
            functions(text),
            [
                "class A|class A { Func<int> f = () => { return 1; }; ",
                "function M|void M() { int L() { return 1; } var x = new { Y = 1 }; }",
                "class A| }"
            ]
        );
    }

    #[test]
    fn a_program_of_statements() {
        let text = "using System;\nint x = F();\nint F() { return 1; }\nConsole.WriteLine(x);\n";
        assert_eq!(
            functions(text),
            [
                "between|using System;\nint x = F();\n",
                "function F|int F() { return 1; }",
                "between|\nConsole.WriteLine(x);\n"
            ]
        );
    }

    #[test]
    fn a_file_scoped_namespace_and_nested_classes() {
        let text = "namespace N;\nclass A { class B { void M() {} } void K() {} }\n";
        assert_eq!(
            functions(text),
            [
                "between|namespace N;\n",
                "class A|class A { ",
                "class B|class B { ",
                "function M|void M() {}",
                "class B| }",
                "function K| void K() {}",
                "class A| }\n"
            ]
        );
    }

    #[test]
    fn conditionals() {
        let text = "class A\n{\n#if X\n    void F(int a)\n#else\n    void F(long a)\n#endif\n    {\n    }\n#if Y\n    void G() {}\n#endif\n}\n";
        assert_eq!(
            functions(text),
            [
                "class A|class A\n{\n#if X\n    ",
                "function F|void F(int a)\n#else\n    void F(long a)\n#endif\n    {\n    }",
                "class A|\n#if Y\n    ",
                "function G|void G() {}",
                "class A|\n#endif\n}\n"
            ]
        );
    }

    #[test]
    fn statements_at_any_depth() {
        let parts = [
            "using A;\n",
            "namespace N {\n",
            "[X] class B {\n  ",
            "int x = 1;\n  ",
            "int P { get { ",
            "return x; } }\n  ",
            "void M() {\n    ",
            "var y = 1;\n    ",
            "foreach (var z in w) ",
            "z.F();\n    ",
            "using (var u = v) { ",
            "t(); }\n    ",
            "switch (y) { case 1: ",
            "s(); ",
            "break; default: ",
            "{ ",
            "r(); } }\n    ",
            "for (int i = 0; i < 1; i++) { }\n    ",
            "int L() { ",
            "return 1; }\n  }\n}\n}\n",
        ];
        assert_eq!(statements(&parts.concat()), parts);
    }
}
