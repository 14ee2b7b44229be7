//! Segments: the functions, classes or statements of a source text that hierarchical position
//! encodings number (`docs/encodings.md`, "Segments"; "function/class level" of HiRoPE, arXiv 2403.19115).
//!
//! A *region* is a stretch of bytes between two boundaries that a [`Unit`] puts into a text; the regions
//! cover the text without gaps. A *segment* is the same for tokens: token `t` belongs to the region that
//! holds its first byte that is not white space, and the regions that own a token are numbered 0, 1, 2, ...
//! in order. [`regions()`] is about bytes, [`segments`] about tokens.
//!
//! ```text
//! import os            region 0  between
//!
//! # about f            region 1  function f   (a region of comments joins the one after it)
//! def f():
//!     return 1
//! class C:             region 2  class C
//!     x = 1
//!     def g(self):     region 3  function g
//!         pass
//! ```
//!
//! Each kind of unit ([`UnitKind::ALL`]) is a file: `function.rs`, `authors.rs` and `statement.rs` take
//! boundaries from tree-sitter's error-tolerant tree, `file.rs` and the units of prose (`paragraph.rs`, `sentence.rs`,
//! `section.rs`, `group.rs`) from the text alone, and `tokens.rs` has none. `language/` defines what a function, a class or a statement is in each language. A text without any
//! unit, such as one whose parse is given up ([`is_given_up`]), is numbered by [`Unit::FALLBACK`].
//!
//! Every unit has controls ([`Control`]): as many segments of equal length, or the same lengths in random
//! order ([`Draw`]). They separate the effect of where the boundaries are from that of how long the segments
//! are. Encodings that choose what is seen divide a text into [`Blocks`] of segments, or ask for its [`References`];
//! a [`Layout`] holds all that an encoding knows of a text.
//!
//! **Known limit.** The index of a token may depend on later text, but only through where the parser opens
//! and closes a unit. [`segments_prefix_only`] never looks ahead, so comparing the two measures how much that
//! matters.

//!
//! ```
//! use longcode_structure::{Draw, Language, Source, Unit, regions, segments};
//!
//! let text = "def f():\n    return 1\n\ndef g():\n    return 2\n";
//! let source = Source { text, language: Some(Language::Python), file_starts: &[] };
//! let found = regions(&source, Unit::FUNCTION).expect("there are functions");
//! assert_eq!(found.iter().filter_map(|region| region.name.as_deref()).collect::<Vec<_>>(), ["f", "g"]);
//! // Two tokens, one in each function.
//! assert_eq!(segments(&source, &[(0, 3), (23, 26)], Unit::FUNCTION, Draw::default()).index, [0, 1]);
//! ```
//!
//! [`Source`], [`Language`], [`Unit`], [`regions()`] and [`segments`] are the stable face of this crate.

mod assign;
mod authors;
mod blocks;
mod control;
mod definitions;
mod file;
mod function;
mod gap;
mod group;
mod identifiers;
mod language;
mod layout;
mod outline;
mod paragraph;
mod prefix;
mod references;
mod regions;
mod section;
mod sentence;
mod source;
mod statement;
mod syntax;
mod tokens;
mod unit;
mod work;

pub use assign::{Segments, segments};
pub use blocks::{BlockRule, Blocks, blocks};
pub use control::{Control, Draw};
pub use definitions::{Definition, definitions};
pub use gap::GapReader;
pub use identifiers::{Identifier, identifiers};
pub use language::{Language, LanguageError};
pub use layout::{Layout, Wanted};
pub use prefix::segments_prefix_only;
pub use references::{References, references};
pub use regions::{Region, RegionKind, is_given_up, regions};
pub use source::Source;
pub use syntax::{first_captured, parses};
pub use unit::{Unit, UnitError, UnitKind};

#[cfg(test)]
mod tests;
