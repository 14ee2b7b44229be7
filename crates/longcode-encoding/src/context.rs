//! `context` and `stride`: the model never sees more than the last tokens, under any encoding.

use std::ops::Range;

use super::{ModelRope, key_error};
use longcode_base::error::Result;

/// A limit on what a model reads at a time. In a longer sequence every token is predicted only from its own
/// window of the sequence, as if a document began there, like a user who throws the rest away. This differs
/// from `sliding_window`, where information travels through the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// `N`, tokens of a window.
    pub tokens: usize,
    /// `S`, from the start of one window to that of the next; `1 <= S < N`. Tokens have at least `N - S`
    /// others before them.
    pub stride: usize,
}

/// One window of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The tokens that it holds.
    pub tokens: Range<usize>,
    /// Which of them are predicted here.
    pub predicted: Range<usize>,
}

impl Context {
    /// Takes the two keys out of an encoding's; puts them back with the default filled in. A context of 0 is none, so
    /// that a list can end with it, and a stride beside it means nothing.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Encoding`], naming the key.
    pub(super) fn take(keys: &mut toml::Table) -> Result<Option<Context>> {
        let tokens = take_count(keys, "context")?;
        let stride = take_count(keys, "stride")?;
        let Some(tokens) = tokens else {
            return match stride {
                None => Ok(None),
                Some(_) => Err(key_error("stride", "stride without a context", "give `context` too")),
            };
        };
        if tokens == 0 {
            return Ok(None);
        }
        if tokens < 2 {
            let what = format!("a context of {tokens} token has nothing to predict from");
            return Err(key_error("context", what, "give at least 2 tokens, or 0 for all"));
        }
        let stride = stride.unwrap_or((tokens / 4).max(1));
        if !(1..tokens).contains(&stride) {
            let what = format!("stride {stride} is not below the context of {tokens}");
            return Err(key_error("stride", what, format!("give 1 to {}", tokens - 1)));
        }
        Ok(Some(Context { tokens, stride }))
    }

    /// A note on what is legal but unwise for a model.
    pub(super) fn note(&self, model: &ModelRope) -> Option<String> {
        let (context, trained) = (self.tokens, model.trained_length);
        (context > trained)
            .then(|| format!("context {context} has positions beyond the trained length of {trained} tokens"))
    }

    /// The last tokens of a prompt of `length` that leave room for `room` new ones; none if it fits as a whole. With
    /// `bos` the first of them is replaced by BOS.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Encoding`] if not one token of the prompt would be left.
    pub fn kept(&self, length: usize, room: usize, bos: bool) -> Result<Option<Range<usize>>> {
        if length + room <= self.tokens {
            return Ok(None);
        }
        if self.tokens <= room + usize::from(bos) {
            let what =
                format!("a context of {} tokens has no room for a prompt in addition to {room}", self.tokens);
            return Err(key_error("context", what, "give a larger context, or generate fewer tokens"));
        }
        Ok(Some(length - (self.tokens - room)..length))
    }

    /// The windows of a sequence, which predict every token but the first exactly once. They begin at 0, S,
    /// 2S, ...; the first predicts all its tokens, every other one those after its first `N - S`.
    pub fn windows(&self, length: usize) -> Vec<Window> {
        let end = |start: usize| (start + self.tokens).min(length);
        let first = Window { tokens: 0..end(0), predicted: 1..end(0).max(1) };
        let others = (1..).map(|n| n * self.stride).map(|start| Window {
            tokens: start..end(start),
            predicted: start + self.tokens - self.stride..end(start),
        });
        std::iter::once(first).chain(others.take_while(|window| window.predicted.start < length)).collect()
    }
}

fn take_count(keys: &mut toml::Table, key: &str) -> Result<Option<usize>> {
    match keys.remove(key) {
        None => Ok(None),
        Some(toml::Value::Integer(count)) if count >= 0 => Ok(Some(count as usize)),
        Some(other) => Err(key_error(key, format!("{key} is {other}"), "give a number of tokens")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_is_predicted_once(tokens in 2usize..40, stride in 1usize..40, length in 2usize..200) {
            prop_assume!(stride < tokens);
            let windows = Context { tokens, stride }.windows(length);
            let predicted: Vec<usize> = windows.iter().flat_map(|window| window.predicted.clone()).collect();
            prop_assert_eq!(predicted, (1..length).collect::<Vec<_>>());
            for window in &windows {
                prop_assert!(window.tokens.len() <= tokens && window.tokens.start.is_multiple_of(stride));
                prop_assert!(window.predicted.end == window.tokens.end);
                let before = window.predicted.start - window.tokens.start;
                prop_assert!(window.tokens.start == 0 || before == tokens - stride);
            }
        }
    }

    #[test]
    fn a_context_of_0_is_none() {
        for keys in ["context = 0", "context = 0\nstride = 32"] {
            let mut keys = keys.parse().unwrap();
            assert_eq!(Context::take(&mut keys).unwrap(), None);
            assert!(keys.is_empty());
        }
        for keys in ["context = 1", "context = 0\nstride = -1", "stride = 4"] {
            assert!(Context::take(&mut keys.parse().unwrap()).is_err(), "{keys}");
        }
    }

    #[test]
    fn a_sequence_that_fits_is_one_window() {
        let whole = Context { tokens: 8, stride: 2 }.windows(8);
        assert_eq!(whole, [Window { tokens: 0..8, predicted: 1..8 }]);
        let longer = Context { tokens: 8, stride: 2 }.windows(11);
        let expected = [(0..8, 1..8), (2..10, 8..10), (4..11, 10..11)];
        assert_eq!(longer, expected.map(|(tokens, predicted)| Window { tokens, predicted }));
    }
}
