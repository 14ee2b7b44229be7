//! Numbers of tokens that are written relative to a model's trained length: `context = "trained"`, `window = "1/4"`.

use toml::{Table, Value};

use super::key_error;
use longcode_base::error::Result;

/// Keys that may be relative: those that count tokens of a text.
const KEYS: [&str; 7] = ["window", "context", "stride", "chunk", "local", "shift", "ceiling"];

/// The trained length itself.
const TRAINED: &str = "trained";

/// A part of the trained length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    of: u64,
    in_all: u64,
}

impl Part {
    fn parse(text: &str) -> Option<Part> {
        if text == TRAINED {
            return Some(Part { of: 1, in_all: 1 });
        }
        let (of, in_all) = text.split_once('/')?;
        let part = Part { of: of.parse().ok()?, in_all: in_all.parse().ok()? };
        Some(part).filter(|part| part.of > 0 && part.in_all > 0)
    }

    /// Tokens, rounded down.
    fn tokens(self, trained_length: usize) -> u128 {
        u128::from(self.of) * trained_length as u128 / u128::from(self.in_all)
    }
}

/// The relative keys of an encoding, as they are written.
///
/// # Errors
/// [`longcode_base::error::ErrorKind::Encoding`], naming a key that counts tokens and has a text that is no part.
pub(super) fn written(keys: &Table) -> Result<Table> {
    let texts = keys.iter().filter(|(key, value)| KEYS.contains(&&key[..]) && value.is_str());
    let mut written = Table::new();
    for (key, value) in texts {
        if Part::parse(value.as_str().unwrap_or_default()).is_none() {
            return Err(key_error(
                key,
                format!("{key} is {value}"),
                "give a number of tokens, \"trained\", or a part of the trained length, as \"1/4\"",
            ));
        }
        written.insert(key.clone(), value.clone());
    }
    Ok(written)
}

/// The keys for a model of a trained length, in tokens.
///
/// # Errors
/// [`longcode_base::error::ErrorKind::Encoding`], naming a key that would be less than a token.
pub(super) fn resolved(keys: &Table, written: &Table, trained_length: usize) -> Result<Table> {
    let mut resolved = keys.clone();
    for (key, value) in written {
        let part = value.as_str().and_then(Part::parse).expect("it was checked");
        let tokens = i64::try_from(part.tokens(trained_length)).unwrap_or(i64::MAX);
        if tokens == 0 {
            let what = format!("{key} {value} of the trained length of {trained_length} tokens is none");
            return Err(key_error(key, what, "give a larger part"));
        }
        resolved.insert(key.clone(), Value::Integer(tokens));
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use crate::EncodingSpec;

    #[test]
    fn parts_are_of_the_trained_length() {
        for (text, trained, expected) in [
            ("rope:context=trained", 512, "rope:context=512"),
            ("hirope:window=1/4", 2048, "hirope:window=512"),
            ("hirope:window=1/3", 1000, "hirope:window=333"),
            ("rope:context=2/1,stride=1/8", 512, "rope:context=1024,stride=64"),
            ("dual_chunk:chunk=3/4,local=1/8", 512, "dual_chunk:chunk=384,local=64"),
            ("string:shift=trained", 4096, "string:shift=4096"),
            ("lm_infinite:ceiling=trained,window=1/2", 64, "lm_infinite:ceiling=64,window=32"),
        ] {
            let (written, expected) =
                (EncodingSpec::parse(text).unwrap(), EncodingSpec::parse(expected).unwrap());
            assert!(written.is_relative() && !expected.is_relative());
            let resolved = written.at(trained).unwrap();
            assert_eq!(resolved.keys, expected.keys, "{text}");
            assert_eq!(resolved.context, expected.context, "{text}");
            assert!(!resolved.is_relative());
            assert_eq!(expected.at(7).unwrap().keys, expected.keys, "{text}");
        }
    }

    #[test]
    fn what_is_written_stays_and_is_read_again() {
        for text in ["rope:context=trained", "hirope:window=1/4,split=0.5,unit=function,logn=false"] {
            let spec = EncodingSpec::parse(text).unwrap();
            assert_eq!(spec.to_string(), text);
            assert_eq!(EncodingSpec::from_table(spec.kind, spec.keys.clone()).unwrap().keys, spec.keys);
        }
    }

    #[test]
    fn what_is_no_part_is_refused_with_the_key() {
        for (text, says) in [
            ("rope:context=all", "context is \"all\""),
            ("hirope:window=1/0", "window is \"1/0\""),
            ("hirope:window=0/4", "window is \"0/4\""),
            ("hirope:window=-1/4", "window is \"-1/4\""),
            ("hirope:window=1/4/2", "window is \"1/4/2\""),
            ("rope:context=1/8,stride=1/4", "stride"),
        ] {
            let error = EncodingSpec::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let error = EncodingSpec::parse("hirope:window=1/1000").unwrap().at(512).unwrap_err().to_string();
        assert!(error.contains("window \"1/1000\" of the trained length of 512 tokens is none"), "{error}");
    }
}
