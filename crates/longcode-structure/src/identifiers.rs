//! Where a text uses names, and where it defines them.

use std::collections::HashSet;

use super::{Language, syntax};

/// One occurrence of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier<'t> {
    /// The name, as written.
    pub name: &'t str,
    /// Its first byte.
    pub at: usize,
    /// Whether a function, method or class gets its name here.
    pub defines: bool,
}

/// Every identifier, in the order of the text; names that the parser makes up do not count.
pub fn identifiers(text: &str, language: Language) -> Vec<Identifier<'_>> {
    let mut names_of_definitions = HashSet::new();
    let mut found = Vec::new();
    syntax::visit(text, language, |place, entry| {
        if entry.defines(place)
            && let Some(name) = (entry.name)(place)
        {
            // A destructor's name is its class's after a sign.
            let signs = text[name.clone()].trim_start_matches(['~', ' ']).len();
            names_of_definitions.insert(name.end - signs);
        }
        let range = place.node.byte_range();
        if entry.is_identifier(place) && !range.is_empty() {
            let at = range.start;
            found.push(Identifier { name: &text[range], at, defines: names_of_definitions.contains(&at) });
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, language: Language) -> Vec<(&str, usize, bool)> {
        identifiers(text, language).into_iter().map(|one| (one.name, one.at, one.defines)).collect()
    }

    #[test]
    fn uses_and_definitions() {
        let text = "def f(a):\n  return a.b + f('c')\nclass C(D): pass\n";
        let expected = [
            ("f", 4, true),
            ("a", 6, false),
            ("a", 19, false),
            ("b", 21, false),
            ("f", 25, false),
            ("C", 38, true),
            ("D", 40, false),
        ];
        assert_eq!(found(text, Language::Python), expected);
        let text = "class A { B b() { return this.b(); } }";
        let expected = [("A", 6, true), ("B", 10, false), ("b", 12, true), ("b", 30, false)];
        assert_eq!(found(text, Language::Java), expected);
    }

    #[test]
    fn identifiers_of_other_languages() {
        let cases = [
            (Language::C, "struct a { int x; }; int f(t y) { return y.x; }", "a! x f! t y y x"),
            (Language::Cpp, "n::A::~A() { x->f(); }", "n A A! x f"),
            (Language::CSharp, "class A { int x; int F(T y) { return y.x; } }", "A! x F! T y y x"),
            (Language::Go, "package p\nfunc (a *T) F() int { return a.x }", "p a T F! int a x"),
            (Language::JavaScript, "const f = ({ a, b: c }) => ({ a, d: this.#e });", "f! a b c a d #e"),
            (Language::Rust, "impl A { fn f(&self) -> B { B { x, y: self.z } } }", "A f! B B x y z"),
            (Language::TypeScript, "class A { f(x: T) { return x.y; } }", "A! f! x T x y"),
        ];
        for (language, text, expected) in cases {
            let mark = |(name, _, defines): (&str, usize, bool)| {
                if defines { format!("{name}!") } else { name.to_string() }
            };
            let found: Vec<String> = found(text, language).into_iter().map(mark).collect();
            assert_eq!(found.join(" "), expected, "{language}");
        }
    }
}
