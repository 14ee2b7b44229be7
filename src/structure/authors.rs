//! The unit `function_authors`: what the extractor of HiRoPE's authors takes as units.
//!
//! These are the undecorated functions that are direct children of the module, and every class definition
//! anywhere. Only starts are boundaries. A Python class starts at its `class`: its decorators are outside
//! of the definition's node. In Java, the module is the compilation unit, and class-like
//! declarations are classes.

use tree_sitter::Tree;

use super::outline::Outline;
use super::{Language, RegionKind, syntax};

pub(super) fn outline(tree: &Tree, text: &str, language: Language) -> Outline {
    let mut outline = Outline::default();
    syntax::walk(tree, |node, parent| {
        let kind = node.kind();
        if language.is_comment(kind) {
            outline.comments.push(node.byte_range());
        } else if language.is_class(kind) {
            outline.begin_unit(node.start_byte(), RegionKind::Class, syntax::name(node, text));
        } else if language.is_function(kind) && matches!(parent, "module" | "program") {
            outline.begin_unit(node.start_byte(), RegionKind::Function, syntax::name(node, text));
        }
    });
    outline
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::super::tests::{java, python};

    #[test]
    fn undecorated_functions_of_the_module_and_every_class() {
        let text = "# top\nimport os\ndef f():\n  class L: pass\n@d\ndef g(): pass\nif x:\n  def h(): pass\n@e\nclass C:\n  def m(self): pass\n  class D:\n    pass\nx = 1\n";
        assert_eq!(
            python(text, Unit::FunctionAuthors),
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
            java(text, Unit::FunctionAuthors),
            ["class A|// top\nclass A { void f() {} ", "class E|enum E { X } }"]
        );
    }
}
