//! What files of families whose layers slide by turns say, and what llama.cpp knows of them itself.

use serde_json::{Value, json};

use super::header::MetadataValue;
use super::{Gguf, key_error};
use crate::error::Result;

/// The sliding layers' base of Gemma 3 where a file has none.
const GEMMA3_LOCAL_BASE: f64 = 10_000.0;
/// The window of Gemma 2 where a file has none.
const GEMMA2_WINDOW: usize = 4096;
/// Layers of the models of 27 billion of Gemma 2 and 3, whose attention is scaled by the hidden width a head.
const LARGEST_GEMMA: [(&str, u64); 2] = [("gemma2", 46), ("gemma3", 62)];

impl Gguf {
    /// Adds to a config which layers slide and how, and what else these families ask for.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the key.
    pub(super) fn add_windows(&self, config: &mut Value) -> Result<()> {
        let architecture = self.architecture()?;
        let missing = if architecture == "gemma2" { GEMMA2_WINDOW } else { 0 };
        let window = self.optional_count("attention.sliding_window")?.unwrap_or(missing);
        let full_every = match architecture {
            "gemma2" | "gpt-oss" => 2,
            "gemma3" => 6,
            _ => 4,
        };
        if window > 0 {
            config["sliding_window"] = window.into();
            config["layer_types"] = self.layer_types(self.count("block_count")?, full_every)?;
        } else {
            config["sliding_window"] = Value::Null;
            config["layer_types"] = vec!["full_attention"; self.count("block_count")?].into();
        }
        match architecture {
            "olmo2" if window == 0 => {
                config["layer_types"] = Value::Null;
            }
            "olmo2" => {
                config["model_type"] = "olmo3".into();
                self.move_original_length(config);
                // llama.cpp takes one base for all layers.
                let base = self.number(&self.key("rope.freq_base_swa")?)?.map(Value::from);
                let base = base.unwrap_or_else(|| config["rope_theta"].clone());
                config["rope_parameters"] = json!({ "sliding_attention": { "rope_theta": base } });
            }
            "gpt-oss" => {
                let experts = self.optional_count("expert_feed_forward_length")?.filter(|&width| width > 0);
                if let Some(width) = experts {
                    config["intermediate_size"] = width.into();
                }
                // The file does not say it; the model was trained so.
                if let Some(scaling) = config["rope_scaling"].as_object_mut() {
                    scaling.insert("truncate".into(), false.into());
                } else {
                    config["rope_scaling"] = json!({ "rope_type": "default" });
                }
            }
            "cohere2" => config["logit_scale"] = self.decimal("logit_scale")?.unwrap_or(1.0).into(),
            _ => self.add_gemma(config)?,
        }
        Ok(())
    }

    fn add_gemma(&self, config: &mut Value) -> Result<()> {
        let architecture = self.architecture()?;
        if architecture == "gemma3" {
            let base = self.number(&self.key("rope.freq_base_swa")?)?.unwrap_or(GEMMA3_LOCAL_BASE);
            config["rope_local_base_freq"] = base.into();
            self.move_original_length(config);
        } else {
            for name in ["attn_logit_softcapping", "final_logit_softcapping"] {
                if let Some(cap) = self.decimal(name)? {
                    config[name] = cap.into();
                }
            }
        }
        let largest =
            LARGEST_GEMMA.contains(&(architecture, config["num_hidden_layers"].as_u64().unwrap_or(0)));
        config["query_pre_attn_scalar"] = if largest {
            json!(self.count("embedding_length")? as f64 / self.count("attention.head_count")?.max(1) as f64)
        } else {
            config["head_dim"].clone()
        };
        Ok(())
    }

    /// The length before a scaling, where config.json has it with a rope for each type of layer.
    fn move_original_length(&self, config: &mut Value) {
        let original = config["original_max_position_embeddings"].take();
        if let Some(scaling) = config["rope_scaling"].as_object_mut() {
            scaling.insert("original_max_position_embeddings".into(), original);
        }
        if let Some(config) = config.as_object_mut() {
            config.remove("original_max_position_embeddings");
        }
    }

    /// `layer_types` of config.json, from the file's pattern if it has one: a flag a layer, or a number of layers of
    /// which the last sees everything.
    fn layer_types(&self, layers: usize, full_every: usize) -> Result<Value> {
        let key = self.key("attention.sliding_window_pattern")?;
        let every = |number: usize| (1..=layers).map(|layer| !layer.is_multiple_of(number)).collect();
        let slides: Vec<bool> = match self.header.metadata.get(&key) {
            None => every(full_every),
            Some(MetadataValue::Whole(number)) if *number > 0 => {
                every(usize::try_from(*number).unwrap_or(usize::MAX))
            }
            Some(MetadataValue::Array(flags)) => flags
                .flags(&self.map)
                .filter(|flags| flags.len() == layers)
                .ok_or_else(|| key_error(&key, format!("{key} is not a flag for each layer")))?,
            Some(_) => {
                return Err(key_error(&key, format!("{key} is neither a number nor a flag for each layer")));
            }
        };
        let name = |slides: bool| if slides { "sliding_attention" } else { "full_attention" };
        Ok(slides.into_iter().map(name).collect())
    }
}
