//! The functions and classes that a text defines.

use super::{Language, syntax};

/// A function, method or class, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name, unqualified, as written.
    pub name: String,
    /// The byte at which the definition begins; a Python decorator comes before it.
    pub at: usize,
}

/// Every function, method, constructor and class-like definition with a name, at any depth, in the order
/// of the text.
pub fn definitions(text: &str, language: Language) -> Vec<Definition> {
    let mut found = Vec::new();
    syntax::visit(text, language, |place, entry| {
        if entry.defines(place)
            && let Some(name) = entry.name_of(place)
        {
            found.push(Definition { name, at: place.node.start_byte() });
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, language: Language) -> Vec<(String, usize)> {
        definitions(text, language).into_iter().map(|found| (found.name, found.at)).collect()
    }

    #[test]
    fn functions_and_classes_at_any_depth() {
        let text = "@d\ndef f():\n  def g(): pass\nclass C:\n  async def m(self): pass\nh = lambda: 1\n";
        let expected = [("f", 3), ("g", 14), ("C", 28), ("m", 39)];
        assert_eq!(names(text, Language::Python), expected.map(|(name, at)| (name.to_string(), at)));
    }

    #[test]
    fn java_constructors_and_members() {
        let text = "class A { A() {} int f() { return 1; } enum E { X } int y; }";
        let found: Vec<_> = names(text, Language::Java).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["A", "A", "f", "E"]);
    }

    #[test]
    fn definitions_of_other_languages() {
        let cases = [
            (Language::C, "typedef struct { int x; } a; int f(void) { struct b { int y; } z; }", "a f b"),
            (Language::Cpp, "class A { ~A() {} int f(); }; int A::f() { return 1; }", "A ~A f"),
            (Language::CSharp, "class A { A() {} int P { get; } int F() { int g() => 1; } }", "A A F g"),
            (Language::Go, "package p\ntype A struct{}\nfunc (a A) F() { type b interface{} }", "A F b"),
            (
                Language::JavaScript,
                "const f = () => { let g = function () {}; }; class A { h() {} }",
                "f g A h",
            ),
            (Language::Rust, "struct A; impl A { fn f() { fn g() {} } }", "A f g"),
            (Language::TypeScript, "interface A { f(): void } enum B { C } const g = () => 1;", "A f B g"),
        ];
        for (language, text, expected) in cases {
            let found: Vec<_> = names(text, language).into_iter().map(|(name, _)| name).collect();
            assert_eq!(found.join(" "), expected, "{language}");
        }
    }
}
