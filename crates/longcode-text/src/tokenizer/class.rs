//! How the tokenizer's class in transformers changes what a tokenizer.json says.

use serde_json::{Map, Value, json};

use super::settings::wrong;
use longcode_base::error::Result;
use longcode_base::messages::note_once;

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

/// How transformers sets up the tokenizer of a directory: as tokenizer.json says, or from its vocabulary and
/// merges alone, with the parts of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// GPT-2's pattern.
    Gpt2,
    /// Qwen2's pattern.
    Qwen2,
    /// GPT-NeoX: GPT-2's pattern of normalized text.
    GptNeox,
    /// Cohere: the same, each digit alone.
    Cohere,
    /// SentencePiece's `▁` for spaces, and bytes for what the vocabulary lacks.
    Llama,
    /// Llama with marks of fill-in-the-middle.
    CodeLlama,
    /// Gemma: `▁` for spaces, none put before a text.
    Gemma,
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
            "CodeLlamaTokenizer" => Class::CodeLlama,
            "GPTNeoXTokenizer" => Class::GptNeox,
            "CohereTokenizer" => Class::Cohere,
            "GemmaTokenizer" => Class::Gemma,
            _ => Class::AsSaved,
        });
        match model_type {
            // Of these transformers trusts no class.
            Some(
                "granite" | "granitemoe" | "olmo2" | "olmo3" | "glm4" | "glm4_moe" | "glm4_moe_lite"
                | "mistral" | "mistral3" | "ministral3" | "mixtral" | "phi3" | "iquestcoder" | "ernie4_5"
                | "ernie4_5_moe",
            ) => Class::AsSaved,
            // Its files name wrong classes.
            Some("qwen2") => Class::Qwen2,
            Some("qwen3" | "qwen2_moe" | "qwen3_moe") => named.unwrap_or(Class::Qwen2),
            Some("gpt2" | "starcoder2") => named.unwrap_or(Class::Gpt2),
            Some("olmoe") => named.unwrap_or(Class::GptNeox),
            Some("cohere2") => named.unwrap_or(Class::Cohere),
            Some("gemma2" | "gemma3" | "gemma3_text") => named.unwrap_or(Class::Gemma),
            _ => named.unwrap_or(Class::AsSaved),
        }
    }

    /// Special tokens that it has if tokenizer_config.json does not name them.
    fn special(self) -> &'static [(&'static str, &'static str)] {
        const TEXT: &str = "<|endoftext|>";
        match self {
            Class::Gpt2 => &[("bos_token", TEXT), ("eos_token", TEXT), ("unk_token", TEXT)],
            Class::Qwen2 => &[("eos_token", TEXT), ("unk_token", TEXT), ("pad_token", TEXT)],
            Class::GptNeox => {
                &[("bos_token", TEXT), ("eos_token", TEXT), ("unk_token", TEXT), ("pad_token", "<|padding|>")]
            }
            Class::Cohere => &[
                ("bos_token", "<BOS_TOKEN>"),
                ("eos_token", "<|END_OF_TURN_TOKEN|>"),
                ("unk_token", "<UNK>"),
                ("sep_token", "<SEP>"),
                ("pad_token", "<PAD>"),
                ("cls_token", "<CLS>"),
                ("mask_token", "<MASK_TOKEN>"),
            ],
            Class::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Class::CodeLlama => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("prefix_token", "▁<PRE>"),
                ("middle_token", "▁<MID>"),
                ("suffix_token", "▁<SUF>"),
                ("eot_token", "▁<EOT>"),
                ("fill_token", "<FILL_ME>"),
            ],
            Class::Gemma => &[
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Class::AsSaved => &[],
        }
    }

    /// Its normalizer and pre-tokenizer, apart from the space; none if it makes its own in place of any.
    fn parts(self) -> Option<[Value; 2]> {
        let bytes = |use_regex: bool| json!({"type": "ByteLevel", "use_regex": use_regex});
        let nfc = || json!({"type": "NFC"});
        Some(match self {
            Class::Gpt2 => [Value::Null, bytes(true)],
            Class::GptNeox => [nfc(), bytes(true)],
            Class::Cohere => {
                [nfc(), sequence([json!({"type": "Digits", "individual_digits": true}), bytes(true)])]
            }
            Class::Qwen2 => [nfc(), sequence([split(json!({"Regex": QWEN2}), "Isolated"), bytes(false)])],
            Class::Gemma => [
                json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
                split(json!({"String": " "}), "MergedWithPrevious"),
            ],
            Class::Llama | Class::CodeLlama | Class::AsSaved => return None,
        })
    }
}

/// Qwen2's pattern.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn sequence(parts: [Value; 2]) -> Value {
    json!({"type": "Sequence", "pretokenizers": parts})
}

fn split(pattern: Value, behavior: &str) -> Value {
    json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false})
}

/// A part of tokenizer.json without what its default or another rule decides.
fn plain(part: &Value) -> Value {
    let Value::Object(keys) = part else { return part.clone() };
    let mut plain: Map<String, Value> = keys
        .iter()
        .filter(|(key, _)| !["trim_offsets", PREFIX_SPACE].contains(&key.as_str()))
        .map(|(key, value)| match value {
            Value::Array(parts) => (key.clone(), parts.iter().map(plain).collect()),
            _ => (key.clone(), value.clone()),
        })
        .collect();
    if plain.get("type").is_some_and(|kind| kind == "ByteLevel") {
        plain.entry("use_regex").or_insert(true.into());
    }
    plain.into()
}

const PREFIX_SPACE: &str = "add_prefix_space";

/// Does to a tokenizer.json and its tokenizer_config.json what the tokenizer's class does in transformers:
/// default special tokens, and whether a space is put before a text, by `add_prefix_space` of
/// tokenizer_config.json for the classes that have it; by tokenizer.json for all others. Says where the
/// tokenizer is from.
///
/// Texts are cut as tokenizer.json says, as the model was trained, also where transformers 5 cuts as the class
/// does; a note says so.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] if the two disagree over the space and the pre-tokenizer is not the class's.
///
/// [`ErrorKind::Tokenizer`]: longcode_base::error::ErrorKind::Tokenizer
pub(super) fn settle_class(json: &mut Value, config: &mut Value, model_type: Option<&str>) -> Result<Maker> {
    let name = match config.get("tokenizer_class") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) => return Err(wrong("tokenizer_class is not a text".into(), "tokenizer_class")),
    };
    let mut class = Class::of(name.as_deref(), model_type);
    if matches!(class, Class::Llama | Class::CodeLlama | Class::Gemma) && !is_sentence_piece(json) {
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
    let own = class.parts().is_none_or(|parts| {
        parts == [plain(json.get("normalizer").unwrap_or(&Value::Null)), plain(&json["pre_tokenizer"])]
    });
    if !own {
        note_once(&format!(
            "tokenizer.json cuts texts otherwise than {} of transformers 5 does: tokenizer.json counts, as in versions \
             before 5",
            name.as_deref().unwrap_or("the tokenizer class")
        ));
    }
    match class {
        Class::AsSaved => return Ok(Maker::Saved),
        Class::Llama => make_llama(json, flag(PREFIX_SPACE, true)?, flag("legacy", false)?),
        Class::CodeLlama => {
            make_llama(json, flag(PREFIX_SPACE, true)?, false);
            put_bos_first(json, config);
        }
        Class::Gemma => (),
        Class::Gpt2 | Class::Qwen2 | Class::GptNeox | Class::Cohere => {
            settle_prefix_space(json, flag(PREFIX_SPACE, false)?, own)?;
        }
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

/// Makes BOS come before a text, if there is one, whatever tokenizer.json says.
fn put_bos_first(json: &mut Value, config: &mut Value) {
    json["post_processor"] = Value::Null;
    if let Some(config) = config.as_object_mut() {
        let has_bos = config.get("bos_token").is_some_and(|token| !token.is_null());
        config.insert("add_bos_token".into(), has_bos.into());
    }
}

/// Makes a space come before a text, or not, as wanted.
fn settle_prefix_space(json: &mut Value, wanted: bool, own: bool) -> Result<()> {
    const KEY: &str = PREFIX_SPACE;
    let Some(pre_tokenizer) = json.get_mut("pre_tokenizer").filter(|part| !part.is_null()) else {
        return Ok(());
    };
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
