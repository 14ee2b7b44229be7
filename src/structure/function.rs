//! The unit `function`: every function or method definition that is not inside of another one.
//!
//! Its methods make a nested class's methods units too; lambdas, local functions and methods of local
//! classes are parts of what holds them. A method of an anonymous class counts where no method holds it,
//! as in a field's initialiser.

use tree_sitter::{Node, Tree};

use super::outline::{Boundary, Outline};
use super::{Language, RegionKind, syntax};

/// A definition: its bytes, with decorators, annotations and modifiers.
struct Span {
    start: usize,
    end: usize,
    kind: RegionKind,
    name: Option<String>,
}

pub(super) fn outline(tree: &Tree, text: &str, language: Language) -> Outline {
    let mut definitions =
        Definitions { text, language, decorated_from: None, local_until: 0, spans: Vec::new() };
    let mut comments = Vec::new();
    syntax::walk(tree, |node, parent| {
        if language.is_comment(node.kind()) {
            comments.push(node.byte_range());
        }
        definitions.visit(node, parent)
    });
    let found = definitions.spans.iter().any(|span| span.kind == RegionKind::Function);
    Outline { boundaries: boundaries(definitions.spans), comments, found }
}

/// Collects units, and the class-like definitions outside of them, parents first.
struct Definitions<'a> {
    text: &'a str,
    language: Language,
    /// Where the decorators of the definition that comes next begin.
    decorated_from: Option<usize>,
    /// Up to here the text is a local class, whose methods are no units.
    local_until: usize,
    spans: Vec<Span>,
}

impl Definitions<'_> {
    /// Looks at one node; whether what is inside of it matters too.
    fn visit(&mut self, node: Node, parent: &str) -> bool {
        let kind = node.kind();
        if kind == "decorated_definition" {
            self.decorated_from = Some(node.start_byte());
        } else if self.language.is_function(kind) && node.start_byte() >= self.local_until {
            self.add(node, RegionKind::Function);
            return false;
        } else if self.language.is_class(kind) {
            self.add(node, RegionKind::Class);
            if self.language.holds_local_classes(parent) {
                self.local_until = self.local_until.max(node.end_byte());
            }
        }
        true
    }

    fn add(&mut self, node: Node, kind: RegionKind) {
        let start = self.decorated_from.take().unwrap_or(node.start_byte());
        let end = syntax::definition_end(node, self.language);
        if start < end {
            self.spans.push(Span { start, end, kind, name: syntax::name(node, self.text) });
        }
    }
}

/// Both ends of every span, each with the innermost span it begins a part of.
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
