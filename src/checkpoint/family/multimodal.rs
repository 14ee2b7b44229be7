//! Models of text and images: the text model inside, which reads texts alone as it does there.

use serde_json::{Map, Value};

use super::{FAMILIES, field_error};
use crate::error::Result;

/// Keys of the whole that hold for the text model too.
const QUANTISED: [&str; 2] = ["quantization_config", "compression_config"];

/// The text model of a larger one.
pub(super) struct TextModel<'a> {
    whole: &'a Map<String, Value>,
    text: &'a Map<String, Value>,
    model_type: &'a str,
}

/// The text model in a config of text and images: one with a `text_config` of a known family, and a
/// `model_type` of none.
pub(super) fn text_model(raw: &Value) -> Option<TextModel<'_>> {
    let known = |name: &str| FAMILIES.iter().any(|family| family.model_types.contains(&name));
    let whole = raw.as_object()?;
    let text = whole.get("text_config")?.as_object()?;
    let model_type = text.get("model_type")?.as_str()?;
    let outer = whole.get("model_type").and_then(Value::as_str);
    (known(model_type) && !outer.is_some_and(known)).then_some(TextModel { whole, text, model_type })
}

impl TextModel<'_> {
    /// What a user must know about it.
    pub(super) fn what(&self) -> String {
        let outer = self.whole.get("model_type").and_then(Value::as_str).unwrap_or("a model");
        format!(
            "config.json: {outer} is a model of more than text; its text model is read, {}",
            self.model_type
        )
    }

    /// Its config. Whether the head is the embedding is up to the whole, as in transformers.
    pub(super) fn config(&self) -> Result<Value> {
        let mut config = self.text.clone();
        let tied = match self.whole.get("tie_word_embeddings") {
            None => true,
            Some(value) => value
                .as_bool()
                .ok_or_else(|| field_error("tie_word_embeddings", "is neither true nor false"))?,
        };
        config.insert("tie_word_embeddings".into(), tied.into());
        for key in QUANTISED {
            if let Some(value) = self.whole.get(key) {
                config.insert(key.into(), value.clone());
            }
        }
        Ok(Value::Object(config))
    }
}
