//! config.json of a LLaMA-family checkpoint.

mod own_window;
mod rope;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::encoding::ModelRope;
use crate::error::{Error, ErrorKind, Result, read_text};

/// Architectures whose forward pass is the LLaMA one, by `model_type`.
const SUPPORTED: &[&str] = &["llama", "mistral", "qwen2"];

/// The shape of a LLaMA-family network, checked.
#[derive(Debug, Clone)]
pub struct LlamaConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Dimensions of a head, even.
    pub head_dim: usize,
    /// Epsilon of the RMS norms.
    pub rms_norm_eps: f64,
    /// The output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Query, key and value projections have a bias.
    pub qkv_bias: bool,
    /// The attention's output projection has a bias.
    pub output_bias: bool,
    /// Rotary geometry; its `trained_length` is the pretraining length.
    pub rope: ModelRope,
}

/// The keys of config.json that matter, as they stand in the file.
#[derive(Debug, Deserialize)]
struct RawConfig {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    #[serde(default = "default_eps")]
    rms_norm_eps: f64,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default = "default_activation")]
    hidden_act: String,
    attention_bias: Option<bool>,
    #[serde(default)]
    mlp_bias: bool,
    rope_theta: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
    partial_rotary_factor: Option<f64>,
    #[serde(default = "default_sliding_window")]
    sliding_window: Option<usize>,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default = "default_max_window_layers")]
    max_window_layers: usize,
    layer_types: Option<Vec<String>>,
    original_max_position_embeddings: Option<usize>,
    quantization_config: Option<Value>,
}

fn default_eps() -> f64 {
    1e-6
}

/// What transformers takes for a config without the key; null is full attention.
fn default_sliding_window() -> Option<usize> {
    Some(4096)
}

fn default_max_window_layers() -> usize {
    28
}

fn default_activation() -> String {
    "silu".into()
}

impl LlamaConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the field: unreadable, a missing field, a value that
    /// makes no sense, or an architecture or option that is not supported.
    pub fn read(path: &Path) -> Result<LlamaConfig> {
        let text = read_text(path, ErrorKind::Model)?;
        LlamaConfig::parse(&text).map_err(|e| e.in_file(path))
    }

    fn parse(text: &str) -> Result<LlamaConfig> {
        let raw: Value = serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Model, format!("not valid JSON: {e}")).fix("copy the file again")
        })?;
        LlamaConfig::from_json(raw)
    }

    /// Checks what config.json says.
    ///
    /// # Errors
    /// As [`LlamaConfig::read`], naming the field.
    pub fn from_json(raw: Value) -> Result<LlamaConfig> {
        // The architecture first: another family's config lacks LLaMA's fields, and naming one of them
        // would hide the reason.
        check_architecture(raw.get("model_type"))?;
        let raw: RawConfig = serde_json::from_value(raw).map_err(|e| {
            Error::new(ErrorKind::Model, e.to_string()).fix("compare it with the model's own config.json")
        })?;
        refuse_unsupported(&raw)?;
        let config = LlamaConfig {
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads.unwrap_or(raw.num_attention_heads),
            head_dim: head_dim(&raw)?,
            rms_norm_eps: raw.rms_norm_eps,
            tie_word_embeddings: raw.tie_word_embeddings,
            qkv_bias: raw.attention_bias.unwrap_or(raw.model_type == "qwen2"),
            output_bias: raw.model_type != "qwen2" && raw.attention_bias.unwrap_or(false),
            rope: rope::rope(&raw)?,
        };
        config.check_shape()?;
        Ok(config)
    }

    /// Pretraining length in tokens, `L0`.
    pub fn trained_length(&self) -> usize {
        self.rope.trained_length
    }

    fn check_shape(&self) -> Result<()> {
        let counts = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("max_position_embeddings", self.rope.trained_length),
        ];
        if let Some((field, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(field_error(field, "is 0"));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(field_error("num_key_value_heads", "does not divide num_attention_heads"));
        }
        if self.head_dim < 4 || !self.head_dim.is_multiple_of(2) {
            return Err(field_error("head_dim", "is odd or below 4"));
        }
        if !(self.rope.base.is_finite() && self.rope.base > 1.0) {
            return Err(field_error("rope_theta", "is not a number above 1"));
        }
        Ok(())
    }
}

fn field_error(field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Model, format!("{field} {what}"))
        .at(format_args!("field `{field}`"))
        .fix("compare it with the model's own config.json")
}

fn unsupported(field: &str, value: impl std::fmt::Display, fix: &str) -> Error {
    Error::new(ErrorKind::Model, format!("{field} {value} is not supported"))
        .at(format_args!("field `{field}`"))
        .fix(fix)
}

fn check_architecture(model_type: Option<&Value>) -> Result<()> {
    let fix = format!("use a checkpoint whose model_type is one of: {}", SUPPORTED.join(", "));
    match model_type {
        None => Err(field_error("model_type", "is missing").fix(fix)),
        Some(Value::String(name)) if SUPPORTED.contains(&name.as_str()) => Ok(()),
        Some(other) => Err(unsupported("model_type", other, &fix)),
    }
}

fn refuse_unsupported(raw: &RawConfig) -> Result<()> {
    if raw.hidden_act != "silu" {
        return Err(unsupported("hidden_act", &raw.hidden_act, "use a checkpoint with silu"));
    }
    if raw.mlp_bias {
        return Err(unsupported(
            "mlp_bias",
            true,
            "use a checkpoint without biases in the feed-forward layers",
        ));
    }
    if let Some(factor) = raw.partial_rotary_factor
        && factor != 1.0
    {
        return Err(unsupported(
            "partial_rotary_factor",
            factor,
            "use a checkpoint that rotates whole heads",
        ));
    }
    if raw.use_sliding_window && raw.model_type == "llama" {
        let fix = "use a checkpoint of a family that has sliding windows, as mistral and qwen2";
        return Err(unsupported("use_sliding_window", "in a llama model", fix));
    }
    if raw.quantization_config.is_some() {
        return Err(unsupported(
            "quantization_config",
            "(quantised weights)",
            "use f32, bf16 or f16 weights",
        ));
    }
    Ok(())
}

fn head_dim(raw: &RawConfig) -> Result<usize> {
    match raw.head_dim {
        Some(head_dim) => Ok(head_dim),
        None if raw.num_attention_heads > 0 && raw.hidden_size.is_multiple_of(raw.num_attention_heads) => {
            Ok(raw.hidden_size / raw.num_attention_heads)
        }
        None => Err(field_error("hidden_size", "is not a multiple of num_attention_heads")),
    }
}
