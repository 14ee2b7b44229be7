//! How much work a parse would be, before it is done.
//!
//! If a grammar cannot read a text at all, every token is an error, and each error tries every symbol of the
//! grammar: a megabyte of that takes minutes. If a text is ambiguous, several readings are followed at once.
//! Neither shows in the number of the parser's steps. So some pieces of a long text are parsed first, and
//! what the parser then reports about itself is counted: that is the same on every machine, as a time would
//! not be.

use std::cell::Cell;
use std::rc::Rc;

use tree_sitter::LogType;

use super::syntax::parse;

/// Pieces of a text that are parsed to estimate its work.
const PIECES: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 4096;
/// The cost of an error, in other operations of the parser.
const ERROR: u64 = 300;

/// The work of parsing a text, in operations of the parser: a thousand take 0.1 to 0.3 ms.
pub(super) fn estimate(parser: &mut tree_sitter::Parser, text: &str) -> u64 {
    let work = Rc::new(Cell::new(0));
    let counted = work.clone();
    parser.set_logger(Some(Box::new(move |kind: LogType, message: &str| {
        let is_error = message.starts_with("resume version");
        match kind {
            LogType::Parse => counted.set(counted.get() + if is_error { ERROR } else { 1 }),
            LogType::Lex => {}
        }
    })));
    let mut looked_at = 0;
    for number in 0..PIECES {
        let start = text.floor_char_boundary(text.len() / PIECES * number);
        let end = text.floor_char_boundary((start + PIECE).min(text.len()));
        parse(parser, &text[start..end], None);
        looked_at += (end - start) as u64;
    }
    parser.set_logger(None);
    work.get().saturating_mul(text.len() as u64) / looked_at.max(1)
}
