//! How benchmarks shorten a prompt that is too long: the middle of its tokens is left out. The rest becomes
//! text, and is tokenized again (and may then be some tokens shorter or longer).

use longcode_base::error::{Result, refuse};
use longcode_text::Tokenizer;

/// Which benchmark's way to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MiddleCut {
    /// LongBench's pred.py: two halves, rounded down, that become text separately.
    LongBench,
    /// LongBench v2's pred.py: two halves that become text together; the second is rounded up.
    LongBenchV2,
    /// InfiniteBench's eval_yarn_mistral.py: two halves, rounded down, that become text together.
    InfiniteBench,
}

impl MiddleCut {
    /// Cuts a text of more than `limit` tokens, including BOS. Says how many tokens were left out.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Tokenizer`] when a text cannot be tokenized.
    pub(super) fn cut(self, limit: usize, text: String, tokenizer: &Tokenizer) -> Result<(String, usize)> {
        let ids = tokenizer.encode(&text)?.ids;
        if ids.len() <= limit {
            return Ok((text, 0));
        }
        let head = limit / 2;
        let tail = if self == MiddleCut::LongBenchV2 { limit - head } else { head };
        let (head, left_out, tail) = (&ids[..head], ids.len() - head - tail, &ids[ids.len() - tail..]);
        let text = match self {
            MiddleCut::LongBench => tokenizer.decode(head)? + &tokenizer.decode(tail)?,
            MiddleCut::LongBenchV2 | MiddleCut::InfiniteBench => tokenizer.decode(&[head, tail].concat())?,
        };
        Ok((text, left_out))
    }
}

/// Refuses a limit too small for two halves.
///
/// # Errors
/// [`longcode_base::error::ErrorKind::Config`] at the key `limit`.
pub(super) fn check_limit(limit: usize) -> Result<()> {
    match limit {
        0 | 1 => refuse("limit", format!("limit is {limit}"), "give the longest prompt in tokens, as 16000"),
        _ => Ok(()),
    }
}

/// A note on prompts that were cut.
pub(super) const LEFT_OUT: &str = "their middle is left out";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::testing::in_repository;

    #[test]
    fn the_middle_is_left_out_and_counted() {
        let tokenizer = Tokenizer::read(&in_repository("models/nano")).unwrap();
        let text: String = (0..200).map(|n| format!("value_{n} = {n}\n")).collect();
        let ids = tokenizer.encode(&text).unwrap().ids;
        for (way, kept) in
            [(MiddleCut::LongBench, 100), (MiddleCut::LongBenchV2, 101), (MiddleCut::InfiniteBench, 100)]
        {
            assert_eq!(way.cut(ids.len(), text.clone(), &tokenizer).unwrap(), (text.clone(), 0));
            let (cut, left_out) = way.cut(101, text.clone(), &tokenizer).unwrap();
            assert_eq!(left_out, ids.len() - kept);
            let tokens = tokenizer.encode(&cut).unwrap().ids.len();
            assert!(tokens.abs_diff(kept) <= 2, "{tokens}");
            // Both halves are ends of the text itself.
            let same = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
                a.zip(b).take_while(|(a, b)| a == b).count()
            };
            let head = same(&mut cut.chars(), &mut text.chars());
            let tail = same(&mut cut.chars().rev(), &mut text.chars().rev());
            assert!(head > 0 && tail > 0 && head + tail >= cut.len(), "{cut}");
        }
    }
}
