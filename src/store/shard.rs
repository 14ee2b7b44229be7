//! A part of a run, for one of several machines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// Part `I` of `N` of a run's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    /// Its number, from 1.
    part: usize,
    /// How many parts there are, at least `part`.
    of: usize,
}

impl Shard {
    /// Reads what `--shard` was given.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`]: not `I/N`, a 0, or a part beyond the last.
    pub fn parse(text: &str) -> Result<Shard> {
        text.parse().map_err(|(what, fix): (String, String)| {
            Error::new(ErrorKind::Usage, what).at(format_args!("--shard {text}")).fix(fix)
        })
    }

    /// Its number, from 0.
    pub fn index(self) -> usize {
        self.part - 1
    }

    /// How many shards there are.
    pub fn count(self) -> usize {
        self.of
    }

    /// Whether results of these parts, or of a whole run (none), make up a whole run.
    pub fn complete(parts: &[Option<Shard>]) -> bool {
        let shards: Option<Vec<Shard>> = parts.iter().copied().collect();
        let Some(shards) = shards else { return true };
        shards.iter().any(|&Shard { of, .. }| {
            // At most as many as there are parts, so a large N costs nothing.
            of <= shards.len() && (1..=of).all(|part| shards.contains(&Shard { part, of }))
        })
    }

    /// A shard in words, or that there is none.
    pub(super) fn words(shard: Option<Shard>) -> String {
        shard.map_or("none".into(), |shard| shard.to_string())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for Shard {
    /// What is wrong, and what to give.
    type Err = (String, String);

    fn from_str(text: &str) -> std::result::Result<Shard, (String, String)> {
        let numbers =
            text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            None => Err((
                format!("`{text}` is not a shard"),
                "give I/N, part I of N: 1/3, 2/3 and 3/3 are a whole run".into(),
            )),
            Some((_, 0)) => Err(("a run in 0 shards".into(), "give I/N with N of at least 1: 1/1".into())),
            Some((0, of)) => Err(("shards count from 1".into(), format!("give 1/{of} to {of}/{of}"))),
            Some((part, of)) if part > of => {
                Err((format!("shard {part} of {of} does not exist"), format!("give 1/{of} to {of}/{of}")))
            }
            Some((part, of)) => Ok(Shard { part, of }),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Shard, String> {
        text.parse().map_err(|(what, _)| what)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_shard() {
        let cases = [
            ("0/3", "count from 1", "1/3 to 3/3"),
            ("4/3", "shard 4 of 3 does not exist", "1/3 to 3/3"),
            ("1/0", "0 shards", "at least 1"),
            ("0/0", "0 shards", "at least 1"),
            ("a/b", "`a/b` is not a shard", "I/N"),
            ("-1/3", "`-1/3` is not a shard", "I/N"),
            ("1/3/3", "`1/3/3` is not a shard", "I/N"),
            ("2", "`2` is not a shard", "I/N"),
            ("", "`` is not a shard", "I/N"),
            ("1/99999999999999999999", "is not a shard", "I/N"),
        ];
        for (text, what, fix) in cases {
            let error = Shard::parse(text).unwrap_err();
            assert_eq!(error.kind.exit_code(), 2);
            assert!(error.what.contains(what) && error.fix.unwrap().contains(fix), "{text}: {}", error.what);
        }
        let shard = Shard::parse("2/5").unwrap();
        assert_eq!((shard.index(), shard.count(), shard.to_string().as_str()), (1, 5, "2/5"));
    }

    #[test]
    fn parts_of_a_whole() {
        let complete = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|part| Shard::parse(part).ok()).collect();
            Shard::complete(&parts)
        };
        assert!(complete(&["whole"]) && complete(&["1/1"]) && complete(&["2/2", "1/2"]));
        assert!(complete(&["1/2", "1/3", "2/2"]) && complete(&["1/3", "whole"]));
        assert!(!complete(&["1/2"]) && !complete(&["1/2", "2/3", "1/3"]));
        assert!(!complete(&[&format!("1/{}", usize::MAX)]));
    }
}
