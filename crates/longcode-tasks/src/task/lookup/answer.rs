//! Answers: the numbers that generated functions return.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::layout::{self, EQUALS};
use longcode_base::error::Result;
use longcode_text::Tokenizer;

const THREE_DIGITS: RangeInclusive<i64> = 100..=999;

/// The three-digit numbers whose answers have the most common number of tokens, in order: sums over the
/// tokens of answers can then be compared. Answers have few tokens, so that hundreds of numbers agree in any
/// vocabulary.
///
/// # Errors
/// [`longcode_base::error::ErrorKind::Tokenizer`] when an answer cannot be tokenized.
pub(super) fn alike(tokenizer: &Tokenizer) -> Result<Vec<i64>> {
    let mut by_tokens: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
    for number in THREE_DIGITS {
        let tokens = tokenizer.continuation(EQUALS, &layout::answer(number))?.len();
        by_tokens.entry(tokens).or_default().push(number);
    }
    Ok(by_tokens.into_values().max_by_key(Vec::len).unwrap_or_default())
}
