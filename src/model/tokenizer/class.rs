//! The class by which transformers 5 sets up the tokenizer of a directory, where it brings something of its own that
//! tokenizer.json does not say.

use serde_json::{Map, Value, json};

use super::settings::wrong;
use crate::error::Result;

/// How transformers sets up the tokenizer of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// From vocabulary and merges, with GPT-2's own pattern.
    Gpt2,
    /// From vocabulary and merges, with Qwen2's own pattern.
    Qwen2,
    /// From vocabulary and merges, with one space before the text.
    Llama,
    /// As tokenizer.json says.
    AsSaved,
}

impl Class {
    /// By tokenizer.json, `tokenizer_class` of tokenizer_config.json and `model_type` of config.json.
    pub(super) fn of(json: &Value, config: &Value, model_type: Option<&str>) -> Class {
        let tokenizer_class = config.get("tokenizer_class").and_then(Value::as_str);
        let named = tokenizer_class.map(|name| match name.trim_end_matches("Fast") {
            "GPT2Tokenizer" => Class::Gpt2,
            "Qwen2Tokenizer" => Class::Qwen2,
            "LlamaTokenizer" if is_of_llama(json) => Class::Llama,
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

    /// Whether a pre-tokenizer of tokenizer.json is the one that the class makes, but for the space.
    pub(super) fn made(self, pre_tokenizer: &Value) -> bool {
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

    /// A tokenizer_config.json with the special tokens that the class has where the file does not name them.
    pub(super) fn with_special_tokens(self, config: Value) -> Value {
        const END: &str = "<|endoftext|>";
        let own: &[(&str, &str)] = match self {
            Class::Gpt2 => &[("bos_token", END), ("eos_token", END), ("unk_token", END)],
            Class::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Class::Llama => &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")],
            Class::AsSaved => &[],
        };
        let mut keys = match config {
            Value::Object(keys) => keys,
            _ => Map::new(),
        };
        for (key, token) in own {
            keys.entry(*key).or_insert_with(|| (*token).into());
        }
        keys.into()
    }

    /// Llama's spaces: each becomes `▁`, and one comes before the text, but not before what follows an added token.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Tokenizer`] where a key is neither true nor false.
    pub(super) fn settle_spaces(self, json: &mut Value, config: &Value) -> Result<()> {
        if self != Class::Llama {
            return Ok(());
        }
        let flag = |key: &str, missing: bool| match config.get(key) {
            None | Some(Value::Null) => Ok(missing),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(format!("{key} is neither true nor false"), key)),
        };
        let scheme = match (flag("add_prefix_space", true)?, flag("legacy", false)?) {
            (false, _) => "never",
            (true, false) => "first",
            (true, true) => "always",
        };
        json["normalizer"] = Value::Null;
        json["pre_tokenizer"] =
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false});
        let model = &mut json["model"];
        model["fuse_unk"] = true.into();
        model["byte_fallback"] = true.into();
        model["ignore_merges"] = false.into();
        model["unk_token"] = Value::Null;
        Ok(())
    }
}

/// Whether a tokenizer.json is what Llama's class says: files of other tokenizers name it too.
fn is_of_llama(json: &Value) -> bool {
    json["model"]["type"] == "BPE" && !json.to_string().contains("\"ByteLevel\"")
}
