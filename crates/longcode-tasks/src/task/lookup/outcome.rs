//! The expected answer of a sample, and its outcome.

use serde::{Deserialize, Serialize};

use crate::task::Generated;

/// The expected answer.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    pub length: usize,
    pub depth: u8,
    /// The different numbers that the generated functions return, the asked one's first.
    pub returns: Vec<i64>,
}

/// What is stored for a sample.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    #[serde(flatten)]
    pub reference: Reference,
    pub generated: String,
    /// For each of `returns` as the answer: the sum over its tokens, nats.
    pub log_likelihood: Vec<f64>,
}

impl Outcome {
    pub(super) fn new(reference: Reference, generated: Generated) -> Outcome {
        let log_likelihood = |nll: &Vec<f64>| -nll.iter().sum::<f64>();
        Outcome {
            reference,
            generated: generated.generation.text,
            log_likelihood: generated.candidates.iter().map(log_likelihood).collect(),
        }
    }

    /// Whether the generated text begins with the right integer, after optional white space.
    pub(super) fn is_exact(&self) -> bool {
        let (integer, _) = leading_integer(&self.generated);
        self.reference.returns.first().is_some_and(|returns| integer == returns.to_string())
    }

    /// How much more likely the answer is than the most likely wrong one, nats.
    pub(super) fn margin(&self) -> f64 {
        let [right, wrong @ ..] = &self.log_likelihood[..] else { return f64::NAN };
        right - wrong.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The digits that a text begins with after white space, and what follows them.
fn leading_integer(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Whether nothing that follows can change the integer that a text begins with, or that there is none.
pub(super) fn has_whole_integer(text: &str) -> bool {
    !leading_integer(text).1.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(generated: &str, log_likelihood: &[f64]) -> Outcome {
        let reference = Reference { length: 1024, depth: 50, returns: vec![486, 305, 642] };
        Outcome { reference, generated: generated.into(), log_likelihood: log_likelihood.to_vec() }
    }

    #[test]
    fn the_leading_integer_is_the_answer_or_not() {
        for right in [" 486", "486\n", " 486, 305", "  486.", "486 == 305"] {
            assert!(outcome(right, &[]).is_exact(), "{right:?}");
        }
        for wrong in ["", " ", " 4860", " 48", "-486", " 305", "x 486", "0486", "(486)"] {
            assert!(!outcome(wrong, &[]).is_exact(), "{wrong:?}");
        }
    }

    #[test]
    fn a_generation_ends_where_the_integer_cannot_change() {
        for open in ["", " ", " 48", "486"] {
            assert!(!has_whole_integer(open), "{open:?}");
        }
        for closed in ["486\n", " 486 ", "x", " -", "(4"] {
            assert!(has_whole_integer(closed), "{closed:?}");
        }
    }

    #[test]
    fn the_margin_is_to_the_best_wrong_answer() {
        assert_eq!(outcome("", &[-2.0, -5.0, -3.0]).margin(), 1.0);
        assert_eq!(outcome("", &[-4.0, -5.0, -3.0]).margin(), -1.0);
    }
}
