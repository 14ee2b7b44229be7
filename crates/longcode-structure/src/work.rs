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
use longcode_base::limits;

/// Pieces of a text that are parsed to estimate its work.
const PIECES: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 4096;
/// The cost of an error, in other operations of the parser.
const ERROR: u64 = 300;

/// What parsing a text would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Operations of the parser: a thousand take 0.1 to 0.3 ms.
    pub(super) work: u64,
    /// Symbols that wait for their end at a time, in all readings: each takes about a kilobyte.
    pub(super) open: u64,
}

impl Estimate {
    /// Whether that is far more than sources take.
    pub(super) fn is_too_much(self) -> bool {
        self.work > limits::PARSE_WORK || self.open > limits::PARSE_OPEN
    }
}

/// What parsing a text would take, from pieces of it.
pub(super) fn estimate(parser: &mut tree_sitter::Parser, text: &str) -> Estimate {
    let counts = Rc::new(Cell::new(Counts::default()));
    let counted = counts.clone();
    parser.set_logger(Some(Box::new(move |kind: LogType, message: &str| match kind {
        LogType::Parse => counted.set(counted.get().with(message)),
        LogType::Lex => {}
    })));
    let (mut looked_at, mut most_open) = (0, 0);
    for number in 0..PIECES {
        let start = text.floor_char_boundary(text.len() / PIECES * number);
        let end = text.floor_char_boundary((start + PIECE).min(text.len()));
        parse(parser, &text[start..end], None);
        looked_at += (end - start) as u64;
        most_open += counts.get().most_open;
        counts.set(Counts { work: counts.get().work, ..Counts::default() });
    }
    parser.set_logger(None);
    let of_all = |count: u64| count.saturating_mul(text.len() as u64) / looked_at.max(1);
    Estimate { work: of_all(counts.get().work), open: of_all(most_open) }
}

/// What a parser says that it does.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    work: u64,
    /// Symbols that wait for their end, in the piece under way.
    open: u64,
    /// The most that were so at a time.
    most_open: u64,
}

impl Counts {
    fn with(self, message: &str) -> Counts {
        let is_error = message.starts_with("resume version");
        let work = self.work + if is_error { ERROR } else { 1 };
        let children = message.strip_prefix("reduce ").and_then(|rest| rest.rsplit(':').next()?.parse().ok());
        let open = match children {
            Some(children) => (self.open + 1).saturating_sub(children),
            None if message.starts_with("shift ") => self.open + 1,
            None => self.open,
        };
        Counts { work, open, most_open: self.most_open.max(open) }
    }
}
