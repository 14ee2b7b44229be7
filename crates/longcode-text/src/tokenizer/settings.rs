//! What is changed in a tokenizer.json before it is read, and how two files are reconciled.

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

fn wrong(what: String, key: &str) -> Error {
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

/// Where transformers has a tokenizer from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// tokenizer.json as a whole.
    Saved,
    /// A class that makes it from the vocabulary, without the tokens that tokenizer.json adds.
    Class {
        /// Whether it adds all special tokens again, without their flags.
        plain_special: bool,
    },
}

/// How transformers sets up the tokenizer of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// From vocabulary and merges, with GPT-2's own pattern.
    Gpt2,
    /// From vocabulary and merges, with Qwen2's own pattern.
    Qwen2,
    /// From vocabulary and merges, with SentencePiece's `▁` for spaces.
    Llama,
    /// As tokenizer.json says.
    AsSaved,
}

impl Class {
    /// By `tokenizer_class` of tokenizer_config.json and `model_type` of config.json.
    fn of(tokenizer_class: Option<&str>, model_type: Option<&str>) -> Class {
        let named = tokenizer_class.map(|name| match name.trim_end_matches("Fast") {
            "GPT2Tokenizer" => Class::Gpt2,
            "Qwen2Tokenizer" => Class::Qwen2,
            "LlamaTokenizer" => Class::Llama,
            _ => Class::AsSaved,
        });
        match model_type {
            Some("granite" | "olmo2" | "phi3" | "iquestcoder" | "mistral") => Class::AsSaved,
            // Its files name wrong classes.
            Some("qwen2") => Class::Qwen2,
            Some("qwen3") => named.unwrap_or(Class::Qwen2),
            Some("gpt2" | "starcoder2") => named.unwrap_or(Class::Gpt2),
            _ => named.unwrap_or(Class::AsSaved),
        }
    }

    /// Special tokens that it has if tokenizer_config.json does not name them.
    fn special(self) -> &'static [(&'static str, &'static str)] {
        const TEXT: &str = "<|endoftext|>";
        match self {
            Class::Gpt2 => &[("bos_token", TEXT), ("eos_token", TEXT), ("unk_token", TEXT)],
            Class::Qwen2 => &[("eos_token", TEXT), ("unk_token", TEXT), ("pad_token", TEXT)],
            Class::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Class::AsSaved => &[],
        }
    }

    /// Whether a pre-tokenizer of tokenizer.json is the one that the class makes, apart from the space.
    fn made(self, pre_tokenizer: &Value) -> bool {
        let kind = |value: &Value| value.get("type").and_then(Value::as_str).map(str::to_string);
        match (self, kind(pre_tokenizer).as_deref()) {
            (Class::Gpt2, Some("ByteLevel")) => pre_tokenizer["use_regex"] != json!(false),
            (Class::Qwen2, Some("Sequence")) => {
                let parts = pre_tokenizer["pretokenizers"].as_array();
                let kinds = parts.into_iter().flatten().map(kind).collect::<Vec<_>>();
                kinds == [Some("Split".to_string()), Some("ByteLevel".to_string())]
            }
            _ => false,
        }
    }
}

const PREFIX_SPACE: &str = "add_prefix_space";

/// Does to a tokenizer.json and its tokenizer_config.json what the tokenizer's class does in transformers:
/// default special tokens, and whether a space is put before a text, by `add_prefix_space` of
/// tokenizer_config.json for the tokenizers of GPT-2, Qwen2 and Llama; by tokenizer.json for all others. Says
/// where the tokenizer is from.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] if the two disagree and the pre-tokenizer is not the one that the class makes.
pub(super) fn settle_class(json: &mut Value, config: &mut Value, model_type: Option<&str>) -> Result<Maker> {
    let mut class = Class::of(config.get("tokenizer_class").and_then(Value::as_str), model_type);
    if class == Class::Llama && !is_sentence_piece(json) {
        class = Class::AsSaved;
    }
    if let Some(config) = config.as_object_mut() {
        for (name, token) in class.special() {
            config.entry(*name).or_insert_with(|| Value::from(*token));
        }
    }
    let flag = |key: &str, default: bool| match config.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(wanted)) => Ok(*wanted),
        Some(_) => Err(wrong(format!("{key} is neither true nor false"), key)),
    };
    match class {
        Class::AsSaved => return Ok(Maker::Saved),
        Class::Llama => {
            let (space, legacy) = (flag(PREFIX_SPACE, true)?, flag("legacy", false)?);
            make_llama(json, space, legacy);
        }
        Class::Gpt2 | Class::Qwen2 => settle_prefix_space(json, flag(PREFIX_SPACE, false)?, class)?,
    }
    Ok(Maker::Class { plain_special: class == Class::Qwen2 })
}

/// Whether a tokenizer.json is BPE, but not of bytes: LlamaTokenizer only rebuilds those of SentencePiece's
/// kind.
fn is_sentence_piece(json: &Value) -> bool {
    fn is_byte_level(part: &Value) -> bool {
        let parts = ["pretokenizers", "decoders"].into_iter().filter_map(|key| part.get(key)?.as_array());
        part.get("type").and_then(Value::as_str) == Some("ByteLevel") || parts.flatten().any(is_byte_level)
    }
    json["model"]["type"] == "BPE"
        && !is_byte_level(&json["pre_tokenizer"])
        && !is_byte_level(&json["decoder"])
}

/// The parts of LlamaTokenizer besides vocabulary and merges.
fn make_llama(json: &mut Value, space: bool, legacy: bool) {
    let scheme = match (space, legacy) {
        (true, true) => "always",
        (true, false) => "first",
        (false, _) => "never",
    };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if space {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json["normalizer"] = Value::Null;
    json["pre_tokenizer"] =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
    json["decoder"] = json!({"type": "Sequence", "decoders": decoders});
    let (vocab, merges) = (json["model"]["vocab"].take(), json["model"]["merges"].take());
    json["model"] =
        json!({"type": "BPE", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": merges});
}

/// Makes a space come before a text, or not, as wanted.
fn settle_prefix_space(json: &mut Value, wanted: bool, class: Class) -> Result<()> {
    const KEY: &str = PREFIX_SPACE;
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
    note_once(&format!(
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
