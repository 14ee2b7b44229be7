//! The unit `tokens:N`: this many tokens each, whatever the text. [`super::segments`] counts them.

use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "tokens",
    about: "every N tokens; the paper has N = 128 for natural language",
    divide: Divide::Tokens,
};
