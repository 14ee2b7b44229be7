//! What defines a language.

use std::ops::Range;

use tree_sitter::Tree;

use crate::syntax::Place;
use longcode_base::limits;

/// Everything specific to a language. Kinds are those of its grammar's nodes.
pub(crate) struct Entry {
    /// Its names in lower case: first the usual one, then the spellings that data sets use.
    pub names: &'static [&'static str],
    /// Its title, and peculiarities of how it is read.
    pub about: &'static str,
    /// File extensions, in lower case, without the dot.
    pub extensions: &'static [&'static str],
    /// The start of a comment that ends with its line.
    pub line_comment: &'static str,
    /// The tree-sitter grammar.
    pub grammar: fn() -> tree_sitter::Language,
    /// What is tried in turn on a text that the grammar cannot read.
    pub repairs: &'static [Repair],
    /// A dialect that reads the text instead if it leaves less than half as much of it unread.
    pub dialect: Option<&'static Entry>,
    /// The kind of a whole file.
    pub root: &'static str,
    /// Kinds that may come between a file and what it defines at its top.
    pub transparent: &'static [&'static str],
    /// Comments.
    pub comments: &'static [&'static str],
    /// Names of variables, functions, members and types.
    pub identifiers: &'static [&'static str],
    /// What wraps a definition together with what belongs to it: it begins where this does.
    pub wrappers: &'static [&'static str],
    /// What precedes a definition and belongs to it; functions inside are not separate.
    pub attributes: &'static [&'static str],
    /// Parents of local classes outside of every function: their methods are not units.
    pub local_class_parents: &'static [&'static str],
    /// Class-like kinds that only extend a class: they give no name.
    pub additions: &'static [&'static str],
    /// Function and method definitions.
    pub is_function: fn(&Place) -> bool,
    /// Class-like definitions.
    pub is_class: fn(&Place) -> bool,
    /// Statements and declarations at any depth.
    pub is_statement: fn(&Place) -> bool,
    /// Statements that import names, at any depth.
    pub imports: &'static [&'static str],
    /// Whether what is at the top of its file assigns to or declares a variable or a constant that is not a definition.
    pub is_global: fn(&Place) -> bool,
    /// Where the name of a definition is written, unqualified; for an extension of a class, that class's.
    pub name: fn(&Place) -> Option<Range<usize>>,
    /// The byte after the end of a definition.
    pub end: fn(&Place) -> usize,
}

/// A step towards a text that the grammar can read.
pub(crate) struct Repair {
    /// Makes a text of the same length from a text and its tree; `None` if there is nothing to repair.
    pub step: fn(&str, &Tree) -> Option<String>,
    /// Whether it is also tried on what the grammar reads without an error, and used if it causes none.
    pub always_tried: bool,
}

impl Entry {
    pub(crate) fn is_comment(&self, place: &Place) -> bool {
        self.comments.contains(&place.kind())
    }

    pub(crate) fn is_identifier(&self, place: &Place) -> bool {
        self.identifiers.contains(&place.kind())
    }

    pub(crate) fn is_attribute(&self, kind: &str) -> bool {
        self.attributes.contains(&kind)
    }

    /// Whether this gives a function or a class its name.
    pub(crate) fn defines(&self, place: &Place) -> bool {
        (self.is_function)(place) || ((self.is_class)(place) && !self.additions.contains(&place.kind()))
    }

    /// Whether it is at the top of its file, undecorated.
    pub(crate) fn is_at_top(&self, place: &Place) -> bool {
        place.is_in_top && place.attributes.is_none()
    }

    /// Whether the contents of a node are at the top of its file; `is_in_top` says so of the node itself.
    pub(crate) fn holds_top(&self, node: tree_sitter::Node, depth: usize, is_in_top: bool) -> bool {
        if depth == 0 {
            node.kind() == self.root
        } else {
            is_in_top && self.transparent.contains(&node.kind())
        }
    }

    /// The name of a definition; `None` if the parser had to make one up.
    pub(crate) fn name_of(&self, place: &Place) -> Option<String> {
        let name = &place.text[(self.name)(place)?];
        (!name.is_empty()).then(|| name.to_string())
    }

    /// The beginning of that name, for what a region is called: every region of a class has it.
    pub(crate) fn short_name_of(&self, place: &Place) -> Option<String> {
        let name = &place.text[(self.name)(place)?];
        let most = name.floor_char_boundary(name.len().min(limits::REGION_NAME_BYTES));
        (!name.is_empty()).then(|| name[..most].to_string())
    }

    /// A definition's bytes, with decorators, annotations and modifiers.
    pub(crate) fn extent(&self, place: &Place) -> Range<usize> {
        let wrappers = place.above.iter().rev().take_while(|node| self.wrappers.contains(&node.kind()));
        let own = place.attributes.unwrap_or(place.node.start_byte());
        let start = wrappers.last().map_or(own, |node| node.start_byte());
        with_taken_out(place, start)..(self.end)(place)
    }
}

/// Where something begins, including what was taken out before it on its line.
fn with_taken_out(place: &Place, start: usize) -> usize {
    // Not from the start of the line: a file of one line would be searched for every definition.
    let white = place.read[..start].trim_end().len();
    let from = place.read[white..start].rfind('\n').map_or(white, |end| white + end + 1);
    start - place.text[from..start].trim_start().len()
}

/// The byte range of the field `name`.
pub(super) fn name_field(place: &Place) -> Option<Range<usize>> {
    Some(place.node.child_by_field_name("name")?.byte_range())
}

/// The end of the node.
pub(super) fn node_end(place: &Place) -> usize {
    place.node.end_byte()
}

/// The end of the node, or of a separator directly after it, which would otherwise be a segment of its own.
pub(super) fn end_with(place: &Place, separators: &[char]) -> usize {
    let rest = place.text.get(place.node.end_byte()..).unwrap_or_default();
    let next = rest.trim_start();
    match next.strip_prefix(separators) {
        Some(after) => place.text.len() - after.len(),
        None => place.node.end_byte(),
    }
}
