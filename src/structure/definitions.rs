//! The functions and classes that a text defines.

use super::{Language, syntax};

/// A function, method or class, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Unqualified, as written.
    pub name: String,
    /// The byte at which the definition begins; a Python decorator stands before it.
    pub at: usize,
}

/// Every function, method, constructor and class-like definition with a name, at any depth, in the order
/// of the text.
pub fn definitions(text: &str, language: Language) -> Vec<Definition> {
    let tree = syntax::parser(language).and_then(|mut parser| parser.parse(text, None));
    let Some(tree) = tree else { return Vec::new() };
    let mut found = Vec::new();
    syntax::walk(&tree, |node, _| {
        if (language.is_function(node.kind()) || language.is_class(node.kind()))
            && let Some(name) = syntax::name(node, text)
        {
            found.push(Definition { name, at: node.start_byte() });
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
}
