//! What is changed in any tokenizer.json before it is read, and how older files are reconciled with it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::read_json;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits::{PREPENDED_BYTES, TOKENIZER_GROWTH};
use longcode_base::messages::note_once;

/// Removes what is never wanted in an evaluation: `trim_offsets` of byte-level post-processors (with it a
/// token of white space alone gets an empty range at its end, and could not be distinguished from the next
/// token); truncation and padding settings from whoever saved the tokenizer (a text is neither cut nor padded
/// here, nor by transformers unless asked); and `dropout` of BPE, by which every run would give other tokens.
pub(super) fn settle(json: &mut Value) {
    fn untrim(processor: &mut Value) {
        if let Some(trim) = processor.get_mut("trim_offsets") {
            *trim = Value::Bool(false);
        }
        if let Some(Value::Array(inner)) = processor.get_mut("processors") {
            inner.iter_mut().for_each(untrim);
        }
    }
    if let Some(processor) = json.get_mut("post_processor") {
        untrim(processor);
    }
    for key in ["truncation", "padding"] {
        if let Some(saved) = json.get_mut(key) {
            *saved = Value::Null;
        }
    }
    if let Some(dropout) = json.get_mut("model").and_then(|model| model.get_mut("dropout"))
        && !dropout.is_null()
    {
        if dropout.as_f64() != Some(0.0) {
            note_once(&format!("the tokenizer's dropout of {dropout} is for training, and not obeyed"));
        }
        *dropout = Value::Null;
    }
}

/// Takes `add_bos_token` and `add_eos_token` out of a directory's tokenizer_config.json, and gives the first:
/// with a tokenizer.json transformers does not obey them, as its post-processor alone decides.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] if one is neither true nor false.
pub(super) fn take_adds_bos(config: &mut Value) -> Result<Option<bool>> {
    let mut take = |key: &str| match config.as_object_mut().and_then(|config| config.remove(key)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(wrong(format!("{key} is neither true nor false"), key)),
    };
    take("add_eos_token")?;
    take("add_bos_token")
}

/// A flag of tokenizer_config.json, false if it is missing.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] if it is neither true nor false.
pub(super) fn flag(config: &Value, key: &str) -> Result<bool> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(format!("{key} is neither true nor false"), key)),
    }
}

pub(super) fn wrong(what: String, key: &str) -> Error {
    Error::new(ErrorKind::Tokenizer, what).at_key(key)
}

/// The key of tokenizer_config.json for added tokens by their ids.
pub(super) const DECODER: &str = "added_tokens_decoder";

/// The older file for added tokens, and the key under which they are put into tokenizer_config.json.
pub(super) const OLDER_ADDED: &str = "added_tokens.json";

/// Files that transformers reads for special and added tokens if tokenizer_config.json has no decoder of
/// them.
const OLDER: [&str; 2] = ["special_tokens_map.json", OLDER_ADDED];

/// The files of a directory that exist and are read.
pub(super) fn older_files(config: &Value, dir: &Path) -> Vec<PathBuf> {
    match config.get(DECODER) {
        Some(_) => Vec::new(),
        None => OLDER.map(|name| dir.join(name)).into_iter().filter(|path| path.exists()).collect(),
    }
}

/// Special tokens without names of their own: the name in transformers 5, and the older one.
pub(super) const EXTRA: &str = "extra_special_tokens";
pub(super) const EXTRA_OF_OLD: &str = "additional_special_tokens";

/// What a directory's older files say, as part of its tokenizer_config.json, if that has no
/// `added_tokens_decoder`: transformers reads them then.
///
/// # Errors
/// [`ErrorKind::Tokenizer`], naming the file.
pub(super) fn with_older_files(config: Value, dir: &Path) -> Result<Value> {
    let mut config = match config {
        Value::Object(config) => config,
        Value::Null => Map::new(),
        _ => {
            let error = Error::new(ErrorKind::Tokenizer, "not an object");
            return Err(error.in_file(&dir.join("tokenizer_config.json")).fix("copy the file again"));
        }
    };
    config.remove(OLDER_ADDED);
    if config.contains_key(DECODER) {
        return Ok(config.into());
    }
    let given =
        |value: &Value| value.as_array().is_some_and(|tokens| !tokens.is_empty()) || value.is_object();
    if !config.get(EXTRA).is_some_and(given)
        && config.get(EXTRA_OF_OLD).is_some_and(Value::is_array)
        && let Some(tokens) = config.remove(EXTRA_OF_OLD)
    {
        config.insert(EXTRA.into(), tokens);
    }
    if let Some(special) = older(&dir.join(OLDER[0]))? {
        for (key, mut value) in special {
            // The config's list precedes one by the older name, and is extended by one of the same name.
            if key == EXTRA_OF_OLD && config.contains_key(EXTRA) {
                continue;
            }
            if key == EXTRA
                && let (Value::Array(tokens), Some(Value::Array(known))) = (&value, config.get(EXTRA))
            {
                value = known
                    .iter()
                    .chain(tokens.iter().filter(|token| !known.contains(token)))
                    .cloned()
                    .collect();
            }
            if let Value::Object(token) = &mut value
                && token.contains_key("content")
            {
                token.insert("special".into(), true.into());
                token.insert("__type".into(), "AddedToken".into());
            }
            config.insert(key, value);
        }
    }
    let path = dir.join(OLDER[1]);
    if let Some(added) = older(&path)? {
        let mut decoder = Map::new();
        for (token, id) in added {
            let id = id
                .as_u64()
                .ok_or_else(|| wrong("not an id".into(), &token).in_file(&path).fix("copy it again"))?;
            let special = names(&config, &token);
            let value = json!({"content": token, "special": special, "normalized": !special});
            decoder.insert(id.to_string(), value);
        }
        config.insert(OLDER_ADDED.into(), decoder.into());
    }
    Ok(config.into())
}

/// Whether a tokenizer_config.json names a token as special.
fn names(config: &Map<String, Value>, token: &str) -> bool {
    let is_it = |value: &Value| value.get("content").unwrap_or(value).as_str() == Some(token);
    let extra = [EXTRA, EXTRA_OF_OLD].into_iter();
    super::added::SPECIAL.iter().any(|key| config.get(*key).is_some_and(is_it))
        || extra.filter_map(|key| config.get(key)?.as_array()).flatten().any(is_it)
}

fn older(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.exists() {
        return Ok(None);
    }
    match read_json(path)? {
        Value::Object(object) => Ok(Some(object)),
        _ => Err(Error::new(ErrorKind::Tokenizer, "not an object").in_file(path).fix("copy the file again")),
    }
}

/// Refuses normalizers and decoders that can make a text many times longer.
///
/// # Errors
/// [`ErrorKind::Tokenizer`], naming the part.
pub(super) fn check_growth(json: &Value) -> Result<()> {
    for key in ["normalizer", "decoder"] {
        let Growth { times, prepended } = json.get(key).map_or(Growth::NONE, Growth::of);
        if times > TOKENIZER_GROWTH || prepended > PREPENDED_BYTES {
            let what = format!(
                "it can make a text more than {TOKENIZER_GROWTH} times as long, or put more than {PREPENDED_BYTES} \
                 bytes before it"
            );
            return Err(wrong(what, key).fix("use the tokenizer.json that the model was published with"));
        }
    }
    Ok(())
}

/// How much longer a text can become.
#[derive(Debug, Clone, Copy)]
struct Growth {
    times: f64,
    /// Bytes put before a text.
    prepended: f64,
}

impl Growth {
    const NONE: Growth = Growth { times: 1.0, prepended: 0.0 };

    fn of(part: &Value) -> Growth {
        let bytes = |key: &str| part.get(key).and_then(Value::as_str).map_or(0.0, |text| text.len() as f64);
        let inner = ["normalizers", "decoders"].into_iter().find_map(|key| part.get(key)?.as_array());
        if let Some(parts) = inner {
            return parts.iter().map(Growth::of).fold(Growth::NONE, |all, one| Growth {
                times: all.times * one.times,
                prepended: all.prepended * one.times + one.prepended,
            });
        }
        match part.get("type").and_then(Value::as_str) {
            Some("Replace") => {
                let times = match part["pattern"].get("String").and_then(Value::as_str) {
                    Some(pattern) if !pattern.is_empty() => bytes("content") / pattern.len() as f64,
                    // A pattern may match the empty string, between any two bytes.
                    _ => bytes("content") + 1.0,
                };
                Growth { times: times.max(1.0), prepended: 0.0 }
            }
            Some("Prepend") => Growth { times: 1.0, prepended: bytes("prepend") },
            _ => Growth::NONE,
        }
    }
}
