//! Key tokens: those that an evaluator knows by what stands far back (Fang et al. 2024, "What is wrong with perplexity for
//! long-context language modeling?"; PKU-ML/LongPPL, commit 1decd2a). The perplexity over them is LongPPL.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Sums;
use crate::task::evaluator::{Contexts, Evaluator, TwoContexts};
use longcode_base::error::{Result, refuse};
use longcode_text::{TokenScores, Tokens};

/// `key_tokens`: the evaluator, and which tokens are key tokens under it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyTokens {
    /// Its path or name; it may have another tokenizer than the models that are compared.
    pub model: String,
    /// By how many nats a token's loss must be lower after the whole text than after the short context.
    #[serde(default = "two")]
    pub gain: f64,
    /// Below how many nats the loss after the whole text must be.
    #[serde(default = "two")]
    pub ceiling: f64,
    /// Least tokens of the short context.
    #[serde(default = "default_short")]
    pub short: usize,
    /// Tokens that share a short context.
    #[serde(default = "default_step")]
    pub step: usize,
}

fn two() -> f64 {
    2.0
}

fn default_short() -> usize {
    4096
}

fn default_step() -> usize {
    1024
}

/// Bytes of a text that its key tokens cover: what a sample is held to.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeyText(pub Vec<Range<usize>>);

impl KeyTokens {
    pub(super) fn check(&self) -> Result<()> {
        for (key, value) in [("gain", self.gain), ("ceiling", self.ceiling)] {
            if !value.is_finite() {
                return refuse(
                    &format!("key_tokens.{key}"),
                    format!("{key} is {value}"),
                    "give a number of nats, as 2.0",
                );
            }
        }
        for (key, value) in [("short", self.short), ("step", self.step)] {
            if value == 0 {
                return refuse(&format!("key_tokens.{key}"), format!("{key} is 0"), "give at least 1 token");
            }
        }
        Ok(())
    }

    pub(super) fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { model: &self.model, contexts: Contexts { short: self.short, step: self.step } }
    }

    /// The text of the key tokens. Those that touch are one piece, as in the authors' code: a token of another model's that
    /// lies across two of them counts.
    pub(super) fn text(&self, losses: &TwoContexts) -> KeyText {
        let mut pieces: Vec<Range<usize>> = Vec::new();
        for n in 0..losses.long.len() {
            let (long, short) = (losses.long[n], losses.short[n]);
            if f64::from(short) - f64::from(long) <= self.gain || f64::from(long) >= self.ceiling {
                continue;
            }
            match pieces.last_mut() {
                Some(last) if last.end == losses.starts[n] => last.end = losses.ends[n],
                _ => pieces.push(losses.starts[n]..losses.ends[n]),
            }
        }
        KeyText(pieces)
    }
}

impl KeyText {
    /// The loss over the tokens that lie within it. As in the authors' code, which goes through both lists once, a token
    /// that begins in a piece and ends beyond it ends that piece.
    pub(super) fn sums(&self, tokens: &Tokens, scores: &TokenScores) -> Sums {
        let mut sums = Sums::default();
        let mut pieces = self.0.iter();
        let mut piece = pieces.next();
        let mut token = 0;
        while let (Some(inside), Some(&(start, end))) = (piece, tokens.offsets.get(token)) {
            if start >= inside.start && end <= inside.end {
                // The first token of a text is not predicted.
                if let Some(predicted) = token.checked_sub(1) {
                    sums.tokens += 1;
                    sums.nll += f64::from(scores.nll[predicted]);
                    sums.correct += usize::from(scores.correct[predicted]);
                }
                token += 1;
            } else if start < inside.start {
                token += 1;
            } else {
                piece = pieces.next();
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::task::testing::unpacked;

    fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn keys(fixture: &Value, number: usize) -> KeyTokens {
        let mut keys = fixture["keys"][number].clone();
        keys["model"] = "models/nano".into();
        serde_json::from_value(keys).unwrap()
    }

    /// What the evaluator says of text `text` under keys `number`: the fixture has them text by text.
    fn evaluated(fixture: &Value, text: usize, number: usize) -> (&Value, TwoContexts) {
        let count = fixture["keys"].as_array().unwrap().len();
        let one = &fixture["evaluated"][text * count + number];
        assert_eq!(one["text"], text);
        let losses = TwoContexts {
            starts: list(&one["starts"]),
            ends: list(&one["ends"]),
            long: list(&one["long"]),
            short: list(&one["short"]),
        };
        (one, losses)
    }

    #[test]
    fn key_tokens_are_those_of_the_authors_code() {
        let fixture = unpacked("key_tokens.json.gz");
        let texts: Vec<String> = list(&fixture["texts"]);
        let mut pieces = 0;
        for (text, number) in (0..texts.len()).flat_map(|text| (0..3).map(move |number| (text, number))) {
            let (one, losses) = evaluated(&fixture, text, number);
            losses.check(texts[text].len()).unwrap();
            let found = keys(&fixture, number).text(&losses).0;
            let of = |place: fn(&Range<usize>) -> usize| found.iter().map(place).collect::<Vec<_>>();
            assert_eq!(
                of(|piece| piece.start),
                list::<usize>(&one["pieces"]["starts"]),
                "text {text}, keys {number}"
            );
            assert_eq!(of(|piece| piece.end), list::<usize>(&one["pieces"]["ends"]));
            pieces += found.len();
        }
        assert!(pieces > 300);
    }

    #[test]
    fn long_ppl_is_that_of_the_authors_code_also_for_another_vocabulary() {
        let fixture = unpacked("key_tokens.json.gz");
        let cases = fixture["cases"].as_array().unwrap();
        let mut without = 0;
        for case in cases {
            let [text, number] = ["text", "keys"].map(|key| case[key].as_u64().unwrap() as usize);
            let is_its = |read: &&Value| read["text"] == case["text"] && read["model"] == case["model"];
            let read = fixture["read"].as_array().unwrap().iter().find(is_its).unwrap();
            let (starts, ends): (Vec<usize>, Vec<usize>) = (list(&read["starts"]), list(&read["ends"]));
            let tokens =
                Tokens { ids: vec![0; starts.len()], offsets: starts.into_iter().zip(ends).collect() };
            let nll: Vec<f32> = list(&read["losses"]);
            let scores = TokenScores { correct: vec![true; nll.len()], nll, details: None };
            let (_, losses) = evaluated(&fixture, text, number);
            let sums = keys(&fixture, number).text(&losses).sums(&tokens, &scores);
            assert_eq!(sums.tokens as u64, case["key_tokens"].as_u64().unwrap(), "{case}");
            assert_eq!(sums.correct, sums.tokens);
            match case["longppl"].as_f64() {
                Some(ppl) => assert!((sums.nll / sums.tokens as f64 - ppl.ln()).abs() < 1e-4, "{case}"),
                None => {
                    assert_eq!(sums.tokens, 0);
                    without += 1;
                }
            }
        }
        assert!(cases.len() - without > 20 && without > 5);
    }

    #[test]
    fn keys_that_make_no_sense_are_refused_by_name() {
        let good: KeyTokens = toml::from_str("model = 'm'").unwrap();
        assert_eq!((good.gain, good.ceiling, good.short, good.step), (2.0, 2.0, 4096, 1024));
        good.check().unwrap();
        for (bad, key) in [
            ("gain = nan", "gain"),
            ("ceiling = inf", "ceiling"),
            ("short = 0", "short"),
            ("step = 0", "step"),
        ] {
            let bad: KeyTokens = toml::from_str(&format!("model = 'm'\n{bad}")).unwrap();
            let place = bad.check().unwrap_err().place.unwrap();
            assert!(place.contains(&format!("key_tokens.{key}")), "{place}");
        }
    }
}
