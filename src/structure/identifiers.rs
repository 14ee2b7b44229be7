//! Where a text uses names, and where it defines them.

use std::collections::HashSet;

use super::{Language, syntax};

/// One occurrence of an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier<'t> {
    /// As written.
    pub name: &'t str,
    /// Its first byte.
    pub at: usize,
    /// Whether a function, method or class gets its name here.
    pub defines: bool,
}

/// Every identifier, in the order of the text; what a parser makes up is none.
pub fn identifiers(text: &str, language: Language) -> Vec<Identifier<'_>> {
    let tree = syntax::parser(language).and_then(|mut parser| parser.parse(text, None));
    let Some(tree) = tree else { return Vec::new() };
    let mut names_of_definitions = HashSet::new();
    let mut found = Vec::new();
    syntax::walk(&tree, |node, _| {
        let kind = node.kind();
        if language.is_function(kind) || language.is_class(kind) {
            names_of_definitions.extend(node.child_by_field_name("name").map(|name| name.start_byte()));
        }
        if language.is_identifier(kind) && !node.byte_range().is_empty() {
            let at = node.start_byte();
            let defines = names_of_definitions.contains(&at);
            found.push(Identifier { name: &text[node.byte_range()], at, defines });
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
}
