//! What a model returns: losses of a text, or text.

use serde::{Deserialize, Serialize};

/// The model's scores for each token of a sequence but the first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenScores {
    /// `nll[t]`: negative log-likelihood of token `t + 1` given tokens `0..=t`, nats.
    pub nll: Vec<f32>,
    /// `correct[t]`: whether token `t + 1` was the most likely one.
    pub correct: Vec<bool>,
    /// More about each, if it was asked for.
    pub details: Option<TokenDetails>,
}

/// More about each token of a sequence but the first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenDetails {
    /// `rank[t]`: one more than the tokens that were more likely than token `t + 1`.
    pub rank: Vec<u32>,
    /// `entropy[t]`: of the distribution that token `t + 1` was predicted by, nats.
    pub entropy: Vec<f32>,
    /// `top[t]`: the most likely tokens in the place of token `t + 1` and their log-probabilities, nats; empty unless these
    /// were asked for.
    pub top: Vec<Vec<(u32, f32)>>,
}

impl TokenScores {
    /// Adds the scores of the tokens after these.
    pub fn extend(&mut self, more: TokenScores) {
        self.nll.extend(more.nll);
        self.correct.extend(more.correct);
        if let Some(more) = more.details {
            let details = self.details.get_or_insert_default();
            details.rank.extend(more.rank);
            details.entropy.extend(more.entropy);
            details.top.extend(more.top);
        }
    }

    /// Mean negative log-likelihood, nats a token; NaN for a sequence with nothing to predict.
    pub fn loss(&self) -> f64 {
        self.nll.iter().map(|&nll| f64::from(nll)).sum::<f64>() / self.nll.len() as f64
    }

    /// Share of tokens predicted right; NaN for a sequence with nothing to predict.
    pub fn accuracy(&self) -> f64 {
        self.correct.iter().filter(|&&correct| correct).count() as f64 / self.correct.len() as f64
    }
}

/// When a generation ends.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most tokens that are generated.
    pub max_new_tokens: usize,
    /// Whether a text is complete; asked after every token.
    pub stop: fn(&str) -> bool,
}

/// What was generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Token ids, without the end-of-sequence token.
    pub ids: Vec<u32>,
    /// Their text, as it follows the prompt.
    pub text: String,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The model gave an end-of-sequence token.
    EndOfSequence,
    /// It has the requested number of tokens.
    MaxNewTokens,
    /// The text is complete.
    Stop,
}
