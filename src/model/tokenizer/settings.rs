//! What of a tokenizer.json is changed before it is read, and what two files say of one thing.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::class::Class;
use super::read_json;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{PREPENDED_BYTES, TOKENIZER_GROWTH};
use crate::notes::note;

/// What is never wanted while evaluating: `trim_offsets` of byte-level post-processors (with it a token of white
/// space alone gets an empty range at its end, and could not be told from the token that follows); truncation and
/// padding of whoever saved the tokenizer (a text is neither cut nor filled up here, nor by transformers unless
/// asked); and `dropout` of BPE, by which every run would give other tokens.
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
            note(&format!("the tokenizer's dropout of {dropout} is for training, and not obeyed"));
        }
        *dropout = Value::Null;
    }
}

/// Takes `add_bos_token` and `add_eos_token` out of a tokenizer_config.json: beside a tokenizer.json transformers 5 does
/// not look at them, its post-processor alone decides. What the first one said, where it is there.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] where a key is neither true nor false.
pub(super) fn take_ends(config: &mut Value) -> Result<Option<bool>> {
    let Some(keys) = config.as_object_mut() else { return Ok(None) };
    let mut flag = |key: &str| match keys.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(wrong(format!("{key} is neither true nor false"), key)),
    };
    flag("add_eos_token")?;
    flag("add_bos_token")
}

pub(super) fn wrong(what: String, key: &str) -> Error {
    Error::new(ErrorKind::Tokenizer, what).at_key(key)
}

/// Files that transformers reads for special and added tokens where tokenizer_config.json has no decoder of them.
const OLDER: [&str; 2] = ["special_tokens_map.json", "added_tokens.json"];

/// Those of a directory that are there and read.
pub(super) fn older_files(config: &Value, dir: &Path) -> Vec<PathBuf> {
    match config.get("added_tokens_decoder") {
        Some(_) => Vec::new(),
        None => OLDER.map(|name| dir.join(name)).into_iter().filter(|path| path.exists()).collect(),
    }
}

/// What a directory's older files say, as part of its tokenizer_config.json, where that has no
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
    if config.contains_key("added_tokens_decoder") {
        return Ok(config.into());
    }
    if let Some(special) = older(&dir.join(OLDER[0]))? {
        for (key, mut value) in special {
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
        config.insert("added_tokens_decoder".into(), decoder.into());
    }
    Ok(config.into())
}

/// Whether a tokenizer_config.json names a token as special.
fn names(config: &Map<String, Value>, token: &str) -> bool {
    let is_it = |value: &Value| value.get("content").unwrap_or(value).as_str() == Some(token);
    let extra = ["extra_special_tokens", "additional_special_tokens"].into_iter();
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

/// Settles whether a space is put before a text: by `add_prefix_space` of tokenizer_config.json for the tokenizers
/// of GPT-2 and Qwen2, which transformers makes by it; by tokenizer.json for all others.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] where the two disagree and the pre-tokenizer is not the one that the class makes.
pub(super) fn settle_prefix_space(json: &mut Value, config: &Value, class: Class) -> Result<()> {
    const KEY: &str = "add_prefix_space";
    if !matches!(class, Class::Gpt2 | Class::Qwen2) {
        return Ok(());
    }
    let wanted = match config.get(KEY) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(wanted)) => *wanted,
        Some(_) => return Err(wrong(format!("{KEY} is neither true nor false"), KEY)),
    };
    let Some(pre_tokenizer) = json.get_mut("pre_tokenizer").filter(|part| !part.is_null()) else {
        return Ok(());
    };
    let own = class.made(pre_tokenizer);
    let mut parts = byte_level_parts(pre_tokenizer);
    parts.retain(|part| part.get(KEY).and_then(Value::as_bool).unwrap_or(true) != wanted);
    if parts.is_empty() {
        return Ok(());
    }
    if !own {
        let what = format!("{KEY} is {wanted} in tokenizer_config.json and {} in tokenizer.json", !wanted);
        return Err(wrong(what, KEY).fix("give both files the same, as the model was trained"));
    }
    let before = if wanted { "a" } else { "no" };
    note(&format!(
        "{before} space is put before a text: tokenizer_config.json's {KEY} goes before tokenizer.json's"
    ));
    for part in parts {
        part[KEY] = wanted.into();
    }
    Ok(())
}

fn byte_level_parts(pre_tokenizer: &mut Value) -> Vec<&mut Map<String, Value>> {
    let Some(part) = pre_tokenizer.as_object_mut() else { return Vec::new() };
    if part.get("type").and_then(Value::as_str) == Some("ByteLevel") {
        return vec![part];
    }
    match part.get_mut("pretokenizers") {
        Some(Value::Array(parts)) => parts.iter_mut().flat_map(byte_level_parts).collect(),
        _ => Vec::new(),
    }
}

/// Refuses normalizers and decoders that can make a text many times as long.
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
    /// Bytes.
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
                    // A pattern may match nothing, between any two bytes.
                    _ => bytes("content") + 1.0,
                };
                Growth { times: times.max(1.0), prepended: 0.0 }
            }
            Some("Prepend") => Growth { times: 1.0, prepended: bytes("prepend") },
            _ => Growth::NONE,
        }
    }
}
