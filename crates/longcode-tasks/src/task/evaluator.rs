//! What another model says of a text before any model of a run reads it: the losses of its tokens after all that comes
//! before them, and after a short part of it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The model that a task needs beside those that are compared, and what of a text it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluator<'a> {
    /// Its path or name.
    pub model: &'a str,
    /// How it reads a text.
    pub contexts: Contexts,
}

/// Which short contexts are read, in the evaluator's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contexts {
    /// The least tokens of a short context.
    pub short: usize,
    /// Tokens that share a short context, after it.
    pub step: usize,
}

/// A part of a text that is read by itself, and the tokens whose losses count in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The tokens that are read.
    pub read: Range<usize>,
    /// Those of them that are scored: the last ones.
    pub scored: Range<usize>,
}

impl Contexts {
    /// The windows of a text with so many tokens; none of one that is not longer than the short context.
    pub fn windows(self, tokens: usize) -> Vec<Window> {
        let starts = (0..tokens.saturating_sub(self.short)).step_by(self.step);
        let window = |start: usize| {
            let end = (start + self.short + self.step).min(tokens);
            Window { read: start..end, scored: start + self.short..end }
        };
        starts.map(window).collect()
    }
}

/// What an evaluator said of a text: an entry in every list for each of its tokens from [`Contexts::short`] on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TwoContexts {
    /// The first byte of each token.
    pub starts: Vec<usize>,
    /// The byte after each token.
    pub ends: Vec<usize>,
    /// The losses after the whole text before, nats.
    pub long: Vec<f32>,
    /// The losses after the short context, nats.
    pub short: Vec<f32>,
}

impl TwoContexts {
    /// Refuses lists that do not belong together, or to a text of so many bytes.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, bytes: usize) -> Result<(), &'static str> {
        let n = self.long.len();
        if [self.starts.len(), self.ends.len(), self.short.len()] != [n; 3] {
            return Err("lists of different lengths");
        }
        let is_in_order =
            self.starts.is_sorted() && self.starts.iter().zip(&self.ends).all(|(start, end)| start <= end);
        if !is_in_order || self.ends.iter().any(|&end| end > bytes) {
            return Err("tokens that are not those of the text");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_score_every_token_beyond_the_short_context_once() {
        let contexts = Contexts { short: 4, step: 3 };
        for tokens in 0..30 {
            let windows = contexts.windows(tokens);
            let scored: Vec<usize> = windows.iter().flat_map(|window| window.scored.clone()).collect();
            assert_eq!(scored, (4..tokens.max(4)).collect::<Vec<_>>());
            for Window { read, scored } in windows {
                assert_eq!((scored.start - read.start, scored.end), (4, read.end));
                assert!(scored.len() <= 3);
            }
        }
    }

    #[test]
    fn lists_that_do_not_belong_together_are_refused() {
        let good =
            TwoContexts { starts: vec![3, 4], ends: vec![4, 6], long: vec![1.0; 2], short: vec![2.0; 2] };
        assert_eq!(good.check(6), Ok(()));
        assert!(good.check(5).is_err(), "beyond the text");
        assert!(TwoContexts { short: vec![1.0], ..good.clone() }.check(6).is_err());
        assert!(TwoContexts { starts: vec![4, 3], ..good }.check(6).is_err());
    }
}
