//! The unit `function`: every function or method definition that is not inside of another one.
//!
//! Methods of nested classes count; lambdas, local functions and methods of local classes are parts of what
//! contains them. A method of an anonymous class counts if no method contains it, as in a field's
//! initialiser; so do the contents of a function without a name (a JavaScript module that is the call of
//! one), if no unit contains that. The language's entry defines what is a function or a class.

use super::RegionKind;
use super::language::Entry;
use super::outline::{Boundary, Outline};
use super::syntax::{Parsed, Place};
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "function",
    about: "the start and the end of every function, and of every class that is not inside a function",
    divide: Divide::Tree(outline),
};

/// A definition: its bytes, with decorators, annotations and modifiers.
struct Span {
    start: usize,
    end: usize,
    kind: RegionKind,
    name: Option<String>,
}

fn outline(parsed: &Parsed, text: &str) -> Outline {
    let mut definitions = Definitions::default();
    let mut comments = Vec::new();
    parsed.walk(text, |place, entry| {
        // Inside of units too: a comment may be between the last statement and the end of the tree's node.
        if entry.is_comment(place) {
            comments.push(place.node.byte_range());
        }
        definitions.visit(place, entry);
    });
    let found = definitions.spans.iter().any(|span| span.kind == RegionKind::Function);
    Outline { boundaries: boundaries(definitions.spans), comments, found }
}

/// Collects units, and the class-like definitions outside of them, parents first.
#[derive(Default)]
struct Definitions {
    /// Up to here the text is a unit, in which nothing counts, or an attribute.
    unit_until: usize,
    /// Up to here the text is a local class, whose methods are not units.
    local_until: usize,
    spans: Vec<Span>,
}

impl Definitions {
    fn visit(&mut self, place: &Place, entry: &Entry) {
        let (at, end) = (place.node.start_byte(), place.node.end_byte());
        if at < self.unit_until {
            return;
        }
        if entry.is_attribute(place.kind()) {
            self.unit_until = end;
        } else if at >= self.local_until && (entry.is_function)(place) {
            self.unit_until = end.max(self.add(place, entry, RegionKind::Function));
        } else if (entry.is_class)(place) {
            self.add(place, entry, RegionKind::Class);
            if entry.local_class_parents.contains(&place.parent()) {
                self.local_until = self.local_until.max(end);
            }
        }
    }

    /// Adds a definition and says where it ends.
    fn add(&mut self, place: &Place, entry: &Entry, kind: RegionKind) -> usize {
        let extent = entry.extent(place);
        // In a tree with errors a wrapper may begin before what has been found.
        let start = extent.start.max(self.spans.last().map_or(0, |last| last.start));
        if start < extent.end {
            self.spans.push(Span { start, end: extent.end, kind, name: entry.short_name_of(place) });
        }
        extent.end
    }
}

/// Both ends of every span, each with the innermost span of which it begins a part.
fn boundaries(spans: Vec<Span>) -> Vec<Boundary> {
    let mut boundaries = Vec::with_capacity(2 * spans.len());
    let mut open: Vec<Span> = Vec::new();
    for span in spans {
        close_until(span.start, &mut open, &mut boundaries);
        boundaries.push(Boundary { at: span.start, kind: span.kind, name: span.name.clone() });
        open.push(span);
    }
    close_until(usize::MAX, &mut open, &mut boundaries);
    boundaries
}

/// Closes the open spans, innermost last, that end at `at` or before.
fn close_until(at: usize, open: &mut Vec<Span>, boundaries: &mut Vec<Boundary>) {
    while let Some(closed) = open.pop_if(|span| span.end <= at) {
        let (kind, name) = match open.last() {
            Some(outer) => (outer.kind, outer.name.clone()),
            None => (RegionKind::Between, None),
        };
        boundaries.push(Boundary { at: closed.end, kind, name });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{java, python};
    use super::super::{Language, Source, Unit, regions};

    fn py(text: &str) -> Vec<String> {
        python(text, Unit::FUNCTION)
    }

    fn jv(text: &str) -> Vec<String> {
        java(text, Unit::FUNCTION)
    }

    #[test]
    fn functions_and_what_is_between() {
        let text = "import os\ndef f():\n    return 1\nx = f()\ndef g(): pass\n";
        assert_eq!(
            py(text),
            [
                "between|import os\n",
                "function f|def f():\n    return 1",
                "between|\nx = f()\n",
                "function g|def g(): pass\n"
            ]
        );
    }

    #[test]
    fn nested_functions_and_lambdas_are_parts() {
        let text = "def f():\n  def g():\n    pass\n  class C:\n    def m(self): pass\n  return lambda: 1\nh = lambda: 2\n";
        assert_eq!(
            py(text),
            [&format!("function f|{}", &text[..text.len() - 15]), "between|\nh = lambda: 2\n"]
        );
    }

    #[test]
    fn methods_of_nested_classes_are_units() {
        let text = "class A:\n  x = 1\n  class B(A):\n    def m(self): pass\n  def n(self): pass\n";
        assert_eq!(
            py(text),
            [
                "class A|class A:\n  x = 1\n  ",
                "class B|class B(A):\n    ",
                "function m|def m(self): pass",
                "function n|\n  def n(self): pass\n"
            ]
        );
    }

    #[test]
    fn decorators_and_async_belong_to_the_definition() {
        let text = "x\n@a.b(1)\n# c\n@d\nasync def f(): pass\n@e\nclass C:\n  @g\n  def h(self): pass\n";
        assert_eq!(
            py(text),
            [
                "between|x\n",
                "function f|@a.b(1)\n# c\n@d\nasync def f(): pass",
                "class C|\n@e\nclass C:\n  ",
                "function h|@g\n  def h(self): pass\n"
            ]
        );
    }

    #[test]
    fn a_comment_belongs_to_what_follows() {
        let text = "# top\ndef f():\n  if x:\n    pass\n    # in the if\n  # in f\n\n# about g\ndef g():\n  pass\n  # end\n";
        assert_eq!(
            py(text),
            [
                "function f|# top\ndef f():\n  if x:\n    pass",
                "function g|\n    # in the if\n  # in f\n\n# about g\ndef g():\n  pass\n  # end\n"
            ]
        );
    }

    #[test]
    fn a_docstring_is_code_and_a_semicolon_no_statement() {
        assert_eq!(py("def f(): 'doc';\nx"), ["function f|def f(): 'doc'", "between|;\nx"]);
    }

    #[test]
    fn definitions_in_compound_statements_are_units() {
        let text = "if a:\n  def f(): pass\nelse:\n  def f(): pass\n";
        assert_eq!(
            py(text),
            [
                "between|if a:\n  ",
                "function f|def f(): pass",
                "between|\nelse:\n  ",
                "function f|def f(): pass\n"
            ]
        );
    }

    #[test]
    fn one_line_classes() {
        assert_eq!(
            py("class A: pass\nclass B: x = 1\ndef f(): pass\n"),
            ["class A|class A: pass", "class B|\nclass B: x = 1", "function f|\ndef f(): pass\n"]
        );
    }

    #[test]
    fn carriage_returns_tabs_form_feeds_and_marks() {
        assert_eq!(
            py("\u{feff}def f():\r\n\tpass\r\n\x0c\r\ndef g():\r\n\tpass\r\n"),
            ["function f|\u{feff}def f():\r\n\tpass", "function g|\r\n\x0c\r\ndef g():\r\n\tpass\r\n"]
        );
    }

    #[test]
    fn names_of_any_script() {
        assert_eq!(
            py("class Größe:\n  def 数える(self): return 'é'\n"),
            ["class Größe|class Größe:\n  ", "function 数える|def 数える(self): return 'é'\n"]
        );
    }

    #[test]
    fn java_members_with_annotations_and_modifiers() {
        let text = "package p;\n/** A */\n@X public class A {\n  int y = 1;\n  /** m */\n  @Override public int m() { return 1; }\n\n  A() {}\n  abstract void n();\n}\n";
        assert_eq!(
            jv(text),
            [
                "between|package p;\n/** A */\n",
                "class A|@X public class A {\n  int y = 1;\n  /** m */\n  ",
                "function m|@Override public int m() { return 1; }",
                "function A|\n\n  A() {}",
                "function n|\n  abstract void n();",
                "class A|\n}\n"
            ]
        );
    }

    #[test]
    fn java_records_enums_interfaces_and_annotation_types() {
        assert_eq!(
            jv("record R(int a) { R { check(a); } }"),
            ["class R|record R(int a) { ", "function R|R { check(a); }", "class R| }"]
        );
        assert_eq!(
            jv("enum E { A { int f() { return 1; } }, B; int f() { return 2; } }"),
            [
                "class E|enum E { A { ",
                "function f|int f() { return 1; }",
                "class E| }, B; ",
                "function f|int f() { return 2; }",
                "class E| }"
            ]
        );
        assert_eq!(
            jv("interface I { int f(); default int g() { return 1; } }"),
            [
                "class I|interface I { ",
                "function f|int f();",
                "function g| default int g() { return 1; }",
                "class I| }"
            ]
        );
        assert_eq!(
            jv("@interface N { int value(); }\nclass A { void f() {} }"),
            [
                "class N|@interface N { int value(); }",
                "class A|\nclass A { ",
                "function f|void f() {}",
                "class A| }"
            ]
        );
    }

    #[test]
    fn java_classes_in_methods_are_parts_and_in_fields_are_not() {
        let inside = "void f() { new R() { public void run() {} }; class L { void g() {} } x(() -> 1); }";
        let field = "R r = new R() { public void run() {} };";
        assert_eq!(
            jv(&format!("class A {{ {inside} {field} }}")),
            [
                "class A|class A { ",
                &format!("function f|{inside}"),
                "class A| R r = new R() { ",
                "function run|public void run() {}",
                "class A| }; }"
            ]
        );
    }

    #[test]
    fn methods_of_a_local_class_in_an_initialiser_are_no_units() {
        assert_eq!(
            jv("class A { static { class L { void g() {} } } void f() {} }"),
            [
                "class A|class A { static { ",
                "class L|class L { void g() {} }",
                "class A| } ",
                "function f|void f() {}",
                "class A| }"
            ]
        );
    }

    #[test]
    fn classes_alone_are_no_units() {
        for (text, language) in
            [("class A: x = 1\n", Language::Python), ("class A { int x; }", Language::Java)]
        {
            let source = Source { text, language: Some(language), file_starts: &[] };
            assert_eq!(regions(&source, Unit::FUNCTION), None);
        }
    }

    #[test]
    fn errors_leave_the_rest_usable() {
        let shown = py("def f(): pass\n)) ?? $\ndef g(): pass\n");
        assert!(shown.iter().any(|region| region.starts_with("function f|")));
        assert!(shown.iter().any(|region| region.starts_with("function g|")));
        py("def f():\n  # only a comment\n");
        py("def\nclass\n@\n");
        jv("class { void ( } } @ enum");
    }
}
