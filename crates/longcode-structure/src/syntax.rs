//! Parsing, and walks over syntax trees that do not recurse: sources may be nested thousands deep.
//!
//! A parse is given up when it takes far more work than sources do ([`parse`]), and not begun when it would
//! ([`estimate`]): the Python grammar's scanner takes time quadratic in the length of a run of comment lines
//! inside of a block, and some megabytes of noise take hours. Blocks nested about 500 deep are errors to that
//! scanner.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};

use tree_sitter::{InputEdit, Node, ParseOptions, Query, QueryCursor, StreamingIterator, Tree};

use super::Language;
use super::language::Entry;
use super::work::estimate;
use longcode_base::limits;

/// A parser of a language, one for each of its dialects.
pub(super) struct Parser(Vec<(tree_sitter::Parser, &'static Entry)>);

/// How the dialects read a text, up to the first that leaves nothing unread.
pub(super) struct Trees(Vec<Reading>);

struct Reading {
    /// The tree of the text itself.
    tree: Tree,
    /// The tree of the text repaired by the entry, if that leaves less unread.
    repaired: Option<Repaired>,
}

/// A text of the same length, and its tree.
struct Repaired {
    text: String,
    tree: Tree,
}

/// A text's tree, and the entry whose grammar it is from.
pub(super) struct Parsed<'t> {
    pub tree: &'t Tree,
    pub entry: &'static Entry,
    /// What the grammar read, if not the text itself.
    repaired: Option<&'t str>,
}

/// A parser for the language; `None` if the grammar does not fit the parser library.
pub(super) fn parser(language: Language) -> Option<Parser> {
    let mut parsers = Vec::new();
    let mut next = Some(language.entry());
    while let Some(entry) = next {
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&(entry.grammar)()).ok()?;
        parsers.push((parser, entry));
        next = entry.dialect;
    }
    Some(Parser(parsers))
}

impl Parser {
    /// Parses a text.
    pub(crate) fn parse(&mut self, text: &str) -> Trees {
        self.read(text, None, repaired)
    }

    /// Parses a growing text without repairs, with `known` the trees so far: repairs would have to be parsed
    /// anew each time, and would repair too much of what has only begun.
    pub(crate) fn parse_growing(&mut self, text: &str, known: Option<&Trees>) -> Trees {
        self.read(text, known, |_, _, _, _| None)
    }

    fn read(&mut self, text: &str, known: Option<&Trees>, repair: RepairFn) -> Trees {
        let mut readings = Vec::new();
        for (number, (parser, entry)) in self.0.iter_mut().enumerate() {
            if text.len() > limits::PARSE_LOOK_FROM && estimate(parser, text).is_too_much() {
                break;
            }
            let known = known.and_then(|known| known.0.get(number)).map(|known| &known.tree);
            let Some(tree) = parse(parser, text, known) else { break };
            let repaired = repair(parser, entry, text, &tree);
            let reading = Reading { tree, repaired };
            let is_whole = !reading.best().root_node().has_error();
            readings.push(reading);
            if is_whole {
                break;
            }
        }
        Trees(readings)
    }

    /// The language's own tree, or that of the dialect that leaves less than half as much unread.
    pub(crate) fn best<'t>(&self, trees: &'t Trees) -> Option<Parsed<'t>> {
        let mut best: Option<(usize, Parsed)> = None;
        for (reading, (_, entry)) in trees.0.iter().zip(&self.0) {
            let tree = reading.best();
            let unread = unread(tree);
            if best.as_ref().is_none_or(|(least, _)| unread < least.div_ceil(2)) {
                let repaired = reading.repaired.as_ref().map(|repaired| repaired.text.as_str());
                best = Some((unread, Parsed { tree, entry, repaired }));
            }
        }
        best.map(|(_, parsed)| parsed)
    }
}

/// Gives a better tree for a text than the existing one.
type RepairFn = fn(&mut tree_sitter::Parser, &Entry, &str, &Tree) -> Option<Repaired>;

/// The tree of a text repaired by the entry's steps, which its grammar does not read.
fn repaired(parser: &mut tree_sitter::Parser, entry: &Entry, text: &str, tree: &Tree) -> Option<Repaired> {
    let mut least = unread(tree);
    let mut best: Option<Repaired> = None;
    let mut left = None;
    for repair in entry.repairs {
        if (least == 0 && !repair.always_tried) || left == Some(0) {
            break;
        }
        let (text, tree) = best.as_ref().map_or((text, tree), |best| (best.text.as_str(), &best.tree));
        let Some(text) = (repair.step)(text, tree) else { continue };
        let parses = left.get_or_insert_with(|| parses_within(parser, &text, entry));
        *parses = parses.saturating_sub(1);
        let Some(tree) = parse(parser, &text, None) else { continue };
        let unread = unread(&tree);
        if unread < least || (repair.always_tried && unread == least) {
            least = unread;
            best = Some(Repaired { text, tree });
        }
    }
    best
}

/// How often a text may be parsed to repair it, at least once.
fn parses_within(parser: &mut tree_sitter::Parser, text: &str, entry: &Entry) -> usize {
    let most = entry.repairs.len();
    if text.len() <= limits::MEND_LOOK_FROM {
        return most;
    }
    let parses = limits::PARSE_WORK / estimate(parser, text).work.max(1);
    most.min(parses.try_into().unwrap_or(most))
}

impl Reading {
    fn best(&self) -> &Tree {
        self.repaired.as_ref().map_or(&self.tree, |repaired| &repaired.tree)
    }
}

impl Trees {
    /// Whether the parse was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.is_empty()
    }

    /// Passes a change of the text on to the trees.
    pub(crate) fn edit(&mut self, edit: &InputEdit) {
        for reading in &mut self.0 {
            reading.tree.edit(edit);
        }
    }
}

/// A text's tree; none if it takes far more work than sources do. Work is not measured in time, so that a
/// text has the same segments on every machine, but by how often the parser moves to another place in the
/// text, and how many hundreds of steps it takes. Of 1,341 real files none took more than 12 of the first and
/// 24 of the second for each KiB.
/// for each KiB.
pub(super) fn parse(parser: &mut tree_sitter::Parser, text: &str, known: Option<&Tree>) -> Option<Tree> {
    const READ: usize = 1024;
    let most = |[base, of_each]: [usize; 2]| base + of_each * (text.len() / READ);
    let most_reads = most(limits::PARSE_READS);
    let most_steps = most(limits::PARSE_STEPS).min(limits::MOST_PARSE_STEPS);
    let (reads, mut steps) = (Cell::new(0), 0);
    let mut read = |at: usize, _| {
        reads.set(reads.get() + 1);
        // To the parser a text that is read too often has ended.
        let end = if reads.get() > most_reads { 0 } else { text.len() };
        &text.as_bytes()[at.min(end)..(at + READ).min(end)]
    };
    let mut may_continue = |_: &tree_sitter::ParseState| {
        steps += 1;
        if reads.get() > most_reads || steps > most_steps {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = ParseOptions::new().progress_callback(&mut may_continue);
    let tree = parser.parse_with_options(&mut read, known, Some(options));
    // Otherwise the next parse would continue this one.
    parser.reset();
    tree.filter(|_| reads.get() <= most_reads)
}

/// How much of a text its grammar cannot read: the bytes of what is in errors and belongs to no construct,
/// and as many as a short word for each token that it makes up.
fn unread(tree: &Tree) -> usize {
    const MADE_UP: usize = 8;
    let mut cursor = tree.walk();
    let mut errors = 0;
    let mut above: Vec<bool> = Vec::new();
    loop {
        let node = cursor.node();
        let in_error = above.last().copied().unwrap_or_default();
        if node.is_missing() {
            errors += MADE_UP;
        } else if in_error && node.child_count() == 0 {
            errors += node.byte_range().len();
        }
        if node.has_error() && cursor.goto_first_child() {
            above.push(node.is_error());
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return errors;
            }
            above.pop();
        }
    }
}

/// Whether the grammar of the language reads the whole text, with nothing left over or made up.
pub fn parses(text: &str, language: Language) -> bool {
    let Some(mut parser) = parser(language) else { return false };
    let trees = parser.parse(text);
    parser.best(&trees).is_some_and(|parsed| !parsed.tree.root_node().has_error())
}

/// Where the first node, in the order of the text, is that a query in the terms of the language's grammar
/// captures.
///
/// # Panics
/// When it is not a query of that grammar.
pub fn first_captured(text: &str, language: Language, query: &str) -> Option<Range<usize>> {
    let grammar = (language.entry().grammar)();
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&grammar).ok()?;
    let tree = parse(&mut parser, text, None)?;
    let query = Query::new(&grammar, query).expect("a query of the grammar");
    let mut cursor = QueryCursor::new();
    let mut captures = cursor.captures(&query, tree.root_node(), text.as_bytes());
    let (found, capture) = captures.next()?;
    Some(found.captures[*capture].node.byte_range())
}

/// Visits the nodes of a text in a language, if it can be parsed.
pub(super) fn visit(text: &str, language: Language, visit: impl FnMut(&Place, &'static Entry)) {
    let Some(mut parser) = parser(language) else { return };
    let trees = parser.parse(text);
    if let Some(parsed) = parser.best(&trees) {
        parsed.walk(text, visit);
    }
}

/// A node as a walk meets it.
pub(super) struct Place<'a> {
    pub node: Node<'a>,
    /// The nodes above it, the root first.
    pub above: &'a [Node<'a>],
    /// Whether it is at the top of its file, in nothing but transparent nodes as the entry defines.
    pub is_in_top: bool,
    /// Where the attributes next to it begin, if it has any.
    pub attributes: Option<usize>,
    /// The whole text.
    pub text: &'a str,
    /// What the grammar read instead: spaces replace what was taken out.
    pub read: &'a str,
}

impl Place<'_> {
    pub(crate) fn kind(&self) -> &'static str {
        self.node.kind()
    }

    /// The kind of the parent; empty for the root.
    pub(crate) fn parent(&self) -> &'static str {
        self.above.last().map_or("", Node::kind)
    }

    /// The kind of the parent's parent; empty if there is none.
    pub(crate) fn grandparent(&self) -> &'static str {
        self.above.iter().rev().nth(1).map_or("", Node::kind)
    }
}

impl Parsed<'_> {
    /// Visits the nodes in the order of the text, parents first.
    pub(crate) fn walk(&self, text: &str, mut visit: impl FnMut(&Place, &'static Entry)) {
        let read = self.repaired.unwrap_or(text);
        let mut cursor = self.tree.walk();
        // The nodes above, and whether their contents are at the top.
        let (mut above, mut tops) = (Vec::new(), Vec::new());
        let mut passed = Attributes::default();
        loop {
            let node = cursor.node();
            let attributes = passed.before(node, self.entry);
            let is_in_top = tops.last().copied().unwrap_or_default();
            visit(&Place { node, above: &above, is_in_top, attributes, text, read }, self.entry);
            if cursor.goto_first_child() {
                tops.push(self.entry.holds_top(node, above.len(), is_in_top));
                above.push(node);
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                above.pop();
                tops.pop();
            }
        }
    }
}

/// The attributes since the last node that is not one.
#[derive(Default)]
struct Attributes(Option<Range<usize>>);

impl Attributes {
    /// Where the attributes of a node begin.
    fn before(&mut self, node: Node, entry: &Entry) -> Option<usize> {
        let kind = node.kind();
        if self.0.as_ref().is_some_and(|passed| node.end_byte() <= passed.end) {
            None
        } else if entry.is_attribute(kind) {
            self.0.get_or_insert(node.byte_range()).end = node.end_byte();
            None
        } else if entry.comments.contains(&kind) {
            // Including the parts of a comment.
            self.0.as_mut()?.end = node.end_byte();
            None
        } else {
            Some(self.0.take()?.start)
        }
    }
}
