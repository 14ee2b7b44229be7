//! The unit `function_authors`: the units of the extractor by HiRoPE's authors.
//!
//! These are the undecorated functions that are direct children of the module, and every class definition
//! anywhere. Only starts are boundaries. A Python class starts at its `class`: its decorators are outside of
//! the definition's node. In Java, the module is the compilation unit, and class-like declarations are
//! classes. In other languages too the module is the file; the contents of an `export`, a `template` or a
//! preprocessor conditional are its children.

use super::RegionKind;
use super::outline::Outline;
use super::syntax::Parsed;
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "function_authors",
    about: "the start of what the paper's authors' extractor takes: undecorated functions that are children of the file, and every class",
    divide: Divide::Tree(outline),
};

fn outline(parsed: &Parsed, text: &str) -> Outline {
    let mut outline = Outline::default();
    parsed.walk(text, |place, entry| {
        let start = place.node.start_byte();
        if entry.is_comment(place) {
            outline.comments.push(place.node.byte_range());
        } else if (entry.is_class)(place) {
            outline.begin_unit(start, RegionKind::Class, entry.short_name_of(place));
        } else if (entry.is_function)(place) && entry.is_at_top(place) {
            outline.begin_unit(start, RegionKind::Function, entry.short_name_of(place));
        }
    });
    outline
}

#[cfg(test)]
mod tests {
    use super::super::tests::{java, python};
    use super::super::{Language, Source, Unit, regions};

    #[test]
    fn undecorated_functions_of_the_module_and_every_class() {
        let text = "# top\nimport os\ndef f():\n  class L: pass\n@d\ndef g(): pass\nif x:\n  def h(): pass\n@e\nclass C:\n  def m(self): pass\n  class D:\n    pass\nx = 1\n";
        assert_eq!(
            python(text, Unit::FUNCTION_AUTHORS),
            [
                "between|# top\nimport os\n",
                "function f|def f():\n  ",
                "class L|class L: pass\n@d\ndef g(): pass\nif x:\n  def h(): pass\n@e\n",
                "class C|class C:\n  def m(self): pass\n  ",
                "class D|class D:\n    pass\nx = 1\n"
            ]
        );
    }

    #[test]
    fn java_classes() {
        let text = "// top\nclass A { void f() {} enum E { X } }";
        assert_eq!(
            java(text, Unit::FUNCTION_AUTHORS),
            ["class A|// top\nclass A { void f() {} ", "class E|enum E { X } }"]
        );
    }

    #[test]
    fn other_languages() {
        let cases = [
            (Language::C, "#ifndef H\nint f(void) { return 1; }\nstruct a { int x; };\n#endif\n", "f a"),
            (
                Language::Cpp,
                "template <class T> T f() { struct L { int x; }; }\nnamespace n { int g() {} }",
                "f L",
            ),
            (Language::CSharp, "class A { void F() {} class B {} }", "A B"),
            (Language::Go, "package p\nfunc F() { type L struct{} }\nfunc (a A) G() {}", "F L G"),
            (
                Language::JavaScript,
                "export function f() {}\nconst g = () => {};\n(() => { function h() {} })();",
                "f g",
            ),
            (Language::Rust, "fn f() {}\n#[a]\nfn g() {}\nmod m { fn h() {} struct S; }", "f S"),
            (
                Language::TypeScript,
                "export default class A {}\nnamespace N { function f() {} interface I {} }",
                "A I",
            ),
        ];
        for (language, text, expected) in cases {
            let source = Source { text, language: Some(language), file_starts: &[] };
            let names = regions(&source, Unit::FUNCTION_AUTHORS)
                .unwrap()
                .into_iter()
                .filter_map(|region| region.name);
            assert_eq!(names.collect::<Vec<_>>().join(" "), expected, "{language}");
        }
    }
}
