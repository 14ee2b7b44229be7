//! A line of samples.jsonl: what is written, and how it is read again.
//!
//! A line ends with a checksum over what comes before it, so that a flipped bit is found. Lines written
//! before checksums existed have none.

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::sha256;
use crate::model::Seen;

/// A line of samples.jsonl: one sample under one encoding.
#[derive(Debug, Clone, Serialize)]
pub struct SampleLine {
    /// Which result this is.
    #[serde(flatten)]
    pub key: SampleKey,
    /// The bucket of the task.
    pub bucket: String,
    /// Tokens of the sample.
    pub tokens: usize,
    /// Segments of all of these tokens, one number a level of the encoding; none of an encoding without levels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<usize>,
    /// Keys that its tokens saw; of a prompt, as it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Seen>,
    /// sha256 of the sample's text.
    pub sha256: String,
    /// Wall time of this sample.
    pub seconds: f64,
    /// What came of the sample.
    #[serde(flatten)]
    pub measured: Measured,
}

/// What came of a sample under an encoding. Written as the key `outcome` or `failed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measured {
    /// What the task made of the model's answer.
    Outcome(Value),
    /// Why there is no answer, in words: a reason of this sample under this encoding, such as a loss that is
    /// not finite.
    Failed(String),
}

/// The key of a result: one sample of one task, one model, one encoding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SampleKey {
    /// The model's name in the config.
    pub model: String,
    /// The encoding's name in the config.
    pub encoding: String,
    /// The task's name in the config.
    pub task: String,
    /// The sample's id.
    pub sample: String,
}

impl fmt::Display for SampleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SampleKey { model, encoding, task, sample } = self;
        write!(f, "sample \"{sample}\" of task \"{task}\", model \"{model}\", encoding \"{encoding}\"")
    }
}

/// What stands between the checksum and what it covers.
const CHECK: &[u8] = b",\"check\":\"";

/// What stands after it.
const END: &[u8] = b"\"}";

/// Hexadecimal digits of a checksum, the first of a sha256.
const DIGITS: usize = 16;

impl SampleLine {
    /// The line as it is written, with its checksum and the newline.
    pub(super) fn text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("plain data");
        text.pop();
        let check = check(text.as_bytes());
        format!("{text},\"check\":\"{check}\"}}\n")
    }
}

/// A line's fields, without what its outcome holds. A field that longcode never writes means a damaged line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fields<O> {
    pub(super) model: String,
    pub(super) encoding: String,
    pub(super) task: String,
    pub(super) sample: String,
    pub(super) bucket: String,
    pub(super) tokens: usize,
    /// None also in results of an earlier longcode.
    #[serde(default)]
    pub(super) segments: Vec<usize>,
    /// None also in results of an earlier longcode.
    #[serde(default)]
    pub(super) keys: Option<Seen>,
    pub(super) sha256: String,
    pub(super) seconds: f64,
    #[serde(default = "Option::default")]
    pub(super) outcome: Option<O>,
    #[serde(default)]
    pub(super) failed: Option<String>,
    #[serde(default)]
    check: Option<String>,
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn parse<O: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<Fields<O>, String> {
    let line = line.trim_ascii_end();
    // A checksum that does not match says more than what the damage did to the JSON.
    let checked = checked_part(line);
    if let Some((part, stored)) = checked
        && check(part).as_bytes() != stored
    {
        return Err("its checksum is another: the line was changed or damaged".into());
    }
    let fields: Fields<O> = serde_json::from_slice(line).map_err(|e| format!("not a stored sample: {e}"))?;
    if fields.check.is_some() != checked.is_some() {
        return Err("its checksum does not stand at its end".into());
    }
    match (fields.outcome.is_some(), fields.failed.is_some()) {
        (true, false) | (false, true) => Ok(fields),
        (true, true) => Err("not a stored sample: it has an `outcome`, and `failed`".into()),
        (false, false) => Err("not a stored sample: no `outcome`".into()),
    }
}

/// A line under other names of its model, encoding and task, with everything after them as it was.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn renamed(line: &[u8], names: impl Fn([&str; 3]) -> [String; 3]) -> Result<Vec<u8>, String> {
    let Fields { model, encoding, task, .. } = parse::<IgnoredAny>(line)?;
    let line = line.trim_ascii_end();
    let (part, is_checked) = match checked_part(line) {
        Some((part, _)) => (part, true),
        None => (&line[..line.len() - 1], false),
    };
    let rest = part.strip_prefix(&start(&[&model, &encoding, &task])[..]);
    let rest = rest.ok_or("its keys do not stand in the order in which they are written")?;
    let mut renamed = start(&names([&model, &encoding, &task]));
    renamed.extend(rest);
    if is_checked {
        let digits = check(&renamed);
        renamed.extend([CHECK, digits.as_bytes(), END].concat());
    } else {
        renamed.push(b'}');
    }
    renamed.push(b'\n');
    Ok(renamed)
}

/// How a line with these names begins.
fn start(names: &[impl AsRef<str>; 3]) -> Vec<u8> {
    let [model, encoding, task] = names.each_ref().map(|name| Value::from(name.as_ref()).to_string());
    format!("{{\"model\":{model},\"encoding\":{encoding},\"task\":{task},").into_bytes()
}

impl<O> Fields<O> {
    /// Whether the line has a checksum, which then matches.
    pub(super) fn is_checked(&self) -> bool {
        self.check.is_some()
    }
}

/// What a line's checksum covers, and the checksum; none for a line without one.
fn checked_part(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(END)?;
    let (rest, stored) = line.split_at(line.len().checked_sub(DIGITS)?);
    Some((rest.strip_suffix(CHECK)?, stored))
}

fn check(bytes: &[u8]) -> String {
    let mut digits = sha256(bytes);
    digits.truncate(DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(measured: Measured) -> SampleLine {
        let key = SampleKey {
            model: "m".into(),
            encoding: "e é".into(),
            task: "t".into(),
            sample: "a \"b\".py".into(),
        };
        let (bucket, sha256) = ("0-512".into(), "00".repeat(32));
        let keys = Some(Seen { seen: 30, allowed: 45 });
        SampleLine { key, bucket, tokens: 9, segments: vec![3, 1], keys, sha256, seconds: 0.25, measured }
    }

    #[test]
    fn what_is_written_is_read() {
        let outcome = json!({"nll": [1.5, 2.0], "text": "x\"}"});
        let text = line(Measured::Outcome(outcome.clone())).text();
        let fields = parse::<Value>(text.as_bytes()).unwrap();
        assert_eq!((fields.outcome.as_ref(), &fields.failed), (Some(&outcome), &None));
        assert!(fields.is_checked());
        assert_eq!((fields.segments, fields.keys), (vec![3, 1], Some(Seen { seen: 30, allowed: 45 })));
        let text = line(Measured::Failed("the loss is not finite".into())).text();
        let fields = parse::<IgnoredAny>(text.as_bytes()).unwrap();
        assert!(fields.outcome.is_none() && fields.failed.is_some() && fields.sample == "a \"b\".py");
    }

    #[test]
    fn a_line_under_other_names_is_as_it_would_have_been_written() {
        let outcome = json!({"nll": [1.5, 0.1, 1e-300], "text": "\"encoding\":\"e é\",\"check\":\""});
        let mut one = line(Measured::Outcome(outcome));
        let before = one.text();
        let names = |[_, encoding, task]: [&str; 3]| ["a \"b\"".into(), encoding.into(), format!("{task}2")];
        let after = renamed(before.as_bytes(), names).unwrap();
        (one.key.model, one.key.task) = ("a \"b\"".into(), "t2".into());
        assert_eq!(String::from_utf8(after).unwrap(), one.text());
        let unchecked = r#"{"model":"m","encoding":"e","task":"t","sample":"s","bucket":"b","tokens":1,"sha256":"","seconds":1,"failed":"x"}"#;
        let after = String::from_utf8(renamed(unchecked.as_bytes(), names).unwrap()).unwrap();
        assert_eq!(after, unchecked.replace("\"m\"", "\"a \\\"b\\\"\"").replace("\"t\"", "\"t2\"") + "\n");
        let turned = unchecked.replace(r#""model":"m","encoding":"e""#, r#""encoding":"e","model":"m""#);
        assert!(renamed(turned.as_bytes(), names).is_err());
        assert!(renamed(b"{", names).is_err() && renamed(b"", names).is_err());
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let text = line(Measured::Outcome(json!({"nll": [1.5]}))).text();
        let whole = text.trim_end().as_bytes();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(parse::<IgnoredAny>(&damaged).is_err(), "{}", String::from_utf8_lossy(&damaged));
        }
    }

    #[test]
    fn lines_without_a_checksum_and_broken_ones() {
        let fields = r#""model":"m","encoding":"e","task":"t","sample":"s","bucket":"b","tokens":1,"sha256":"","seconds":1"#;
        let read = |rest: &str| parse::<IgnoredAny>(format!("{{{fields}{rest}}}").as_bytes());
        assert!(!read(r#","outcome":{}"#).unwrap().is_checked());
        assert!(read(r#","failed":"why""#).unwrap().segments.is_empty());
        for (rest, says) in [
            ("", "no `outcome`"),
            (r#","outcome":null"#, "no `outcome`"),
            (r#","outcome":{},"failed":"why""#, "and `failed`"),
            (r#","outcome":{},"outcome":{}"#, "duplicate"),
            (r#","outcome":{},"other":1"#, "unknown field"),
            (r#","check":"0123456789abcdef","outcome":{}"#, "at its end"),
            (r#","outcome":{},"check":"0123456789abcdef""#, "its checksum is another"),
            (r#","outcome":{},"check":"01""#, "at its end"),
            (r#","failed":["#, "not a stored sample"),
        ] {
            let error = read(rest).map(|_| ()).unwrap_err();
            assert!(error.contains(says), "{rest}: {error}");
        }
    }
}
