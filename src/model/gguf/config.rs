//! The metadata of a GGUF file as config.json would say it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Gguf, needed};
use crate::encoding::{ModelRope, Spectrum, SpectrumRule};
use crate::error::{Error, ErrorKind, Result};
use crate::model::LlamaConfig;

/// Architectures that can be read; Mistral's files say llama.
const ARCHITECTURES: &[&str] = &["llama", "qwen2"];
/// Divisors of the rotary frequencies: how llama.cpp stores Llama 3's rule.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

impl Gguf {
    /// The shape of the network.
    ///
    /// The pretraining length of a file with `rope_freqs.weight` is its `context_length`, as the length before
    /// Llama 3's rule is not stored.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the field: missing, of another type, a value that makes no
    /// sense, or an architecture or option that is not supported.
    pub(super) fn network_config(&self) -> Result<LlamaConfig> {
        let read = || {
            let mut config = LlamaConfig::from_json(self.config_json()?)?;
            if let Some(rule) = self.rope_factors(&config.rope)? {
                config.rope.scaling = Some(Arc::new(rule));
            }
            Ok(config)
        };
        read().map_err(|e: Error| e.in_file(&self.path))
    }

    /// `llama` or `qwen2`.
    pub(super) fn architecture(&self) -> Result<&str> {
        let key = "general.architecture";
        let name = needed(key, self.text(key))?;
        match ARCHITECTURES.contains(&name) {
            true => Ok(name),
            false => Err(unsupported(
                key,
                format!("architecture {name} is not supported"),
                &format!("use a model whose architecture is one of: {}", ARCHITECTURES.join(", ")),
            )),
        }
    }

    /// A key of the architecture's own, `llama.NAME`.
    pub(super) fn key(&self, name: &str) -> Result<String> {
        Ok(format!("{}.{name}", self.architecture()?))
    }

    /// A count that must be there.
    pub(super) fn count(&self, name: &str) -> Result<usize> {
        let key = self.key(name)?;
        needed(&key, self.whole(&key))
    }

    fn optional_count(&self, name: &str) -> Result<Option<usize>> {
        self.whole(&self.key(name)?)
    }

    fn config_json(&self) -> Result<Value> {
        self.refuse_experts()?;
        let head_dim = self.optional_count("attention.key_length")?;
        let mut config = json!({
            "model_type": self.architecture()?,
            "vocab_size": self.vocab_size()?,
            "hidden_size": self.count("embedding_length")?,
            "intermediate_size": self.count("feed_forward_length")?,
            "num_hidden_layers": self.count("block_count")?,
            "num_attention_heads": self.count("attention.head_count")?,
            "num_key_value_heads": self.optional_count("attention.head_count_kv")?,
            "head_dim": head_dim,
            "max_position_embeddings": self.count("context_length")?,
            "rms_norm_eps": self.epsilon()?,
            "tie_word_embeddings": !self.header.tensors.contains_key("output.weight"),
            "rope_theta": self.number(&self.key("rope.freq_base")?)?,
            "rope_scaling": self.rope_scaling()?,
            "sliding_window": null,
        });
        if self.architecture()? == "llama" {
            config["attention_bias"] = self.header.tensors.contains_key("blk.0.attn_q.bias").into();
        }
        self.refuse_other_head_dims(&config)?;
        self.refuse_sliding_window()?;
        Ok(config)
    }

    fn refuse_sliding_window(&self) -> Result<()> {
        match self.optional_count("attention.sliding_window")? {
            None | Some(0) => Ok(()),
            Some(window) => Err(unsupported(
                &self.key("attention.sliding_window")?,
                format!("a sliding_window of {window} tokens is not supported in GGUF files"),
                "use the model's Hugging Face directory",
            )),
        }
    }

    fn refuse_experts(&self) -> Result<()> {
        match self.optional_count("expert_count")? {
            None | Some(0) => Ok(()),
            Some(count) => Err(unsupported(
                &self.key("expert_count")?,
                format!("a mixture of {count} experts is not supported"),
                "use a dense model",
            )),
        }
    }

    fn vocab_size(&self) -> Result<usize> {
        if let Some(size) = self.optional_count("vocab_size")? {
            return Ok(size);
        }
        let key = "tokenizer.ggml.tokens";
        needed(key, self.texts(key)).map(|tokens| tokens.len())
    }

    /// The epsilon, which the file holds as f32, as the decimal number that was meant.
    fn epsilon(&self) -> Result<f64> {
        let key = self.key("attention.layer_norm_rms_epsilon")?;
        let epsilon = needed(&key, self.number(&key))?;
        Ok((epsilon as f32).to_string().parse().unwrap_or(epsilon))
    }

    /// Refuses heads that are rotated in part, or whose values have another width than their keys.
    fn refuse_other_head_dims(&self, config: &Value) -> Result<()> {
        let count = |name: &str| config[name].as_u64().unwrap_or(0) as usize;
        let heads = count("num_attention_heads").max(1);
        let head_dim = config["head_dim"].as_u64().map_or(count("hidden_size") / heads, |dim| dim as usize);
        for name in ["rope.dimension_count", "attention.value_length"] {
            if let Some(dim) = self.optional_count(name)?.filter(|&dim| dim != head_dim) {
                return Err(unsupported(
                    &self.key(name)?,
                    format!("{name} {dim} for heads of {head_dim} dimensions is not supported"),
                    "use a model that rotates whole heads and whose keys and values are as wide",
                ));
            }
        }
        Ok(())
    }

    /// `rope_scaling` of config.json; keys that would change the numbers and are not known are refused there.
    fn rope_scaling(&self) -> Result<Option<Map<String, Value>>> {
        let prefix = self.key("rope.scaling.")?;
        let mut scaling = Map::new();
        for key in self.header.metadata.keys().filter(|key| key.starts_with(&prefix)) {
            let name = match &key[prefix.len()..] {
                "type" => {
                    let kind = self.text(key)?.unwrap_or_default();
                    if kind == "longrope" {
                        let what = "rope_type longrope is not supported in GGUF files".into();
                        return Err(unsupported(key, what, "use the model's Hugging Face directory"));
                    }
                    scaling.insert("rope_type".into(), if kind == "none" { "default" } else { kind }.into());
                    continue;
                }
                // Whether the model was trained further under the scaling.
                "finetuned" => continue,
                "original_context_length" => {
                    scaling.insert("original_max_position_embeddings".into(), self.whole(key)?.into());
                    continue;
                }
                "factor" => "factor",
                "yarn_beta_fast" => "beta_fast",
                "yarn_beta_slow" => "beta_slow",
                _ => return Err(unsupported(key, format!("{key} is not supported"), "use another model")),
            };
            scaling.insert(name.into(), self.number(key)?.into());
        }
        if let Some(factor) = self.number(&self.key("rope.scale_linear")?)?
            && scaling.is_empty()
        {
            scaling.extend([("rope_type".into(), "linear".into()), ("factor".into(), factor.into())]);
        }
        Ok(Some(scaling).filter(|scaling| !scaling.is_empty()))
    }

    fn rope_factors(&self, rope: &ModelRope) -> Result<Option<RopeFactors>> {
        let Some(info) = self.header.tensors.get(ROPE_FACTORS) else { return Ok(None) };
        let bytes = &self.map[info.bytes.clone()];
        let mut factors = vec![0.0; info.shape.iter().product()];
        (info.format.decode)(bytes, &mut factors);
        let bad = |what: String| {
            Error::new(ErrorKind::Model, what)
                .at(format_args!("tensor `{ROPE_FACTORS}`"))
                .fix("convert the model again")
        };
        if factors.len() != rope.pairs() {
            return Err(bad(format!("{} factors for {} rotary pairs", factors.len(), rope.pairs())));
        }
        let rule = RopeFactors(factors);
        rule.check().map_err(|e| bad(e.what))?;
        Ok(Some(rule))
    }
}

fn unsupported(key: &str, what: String, fix: &str) -> Error {
    Error::new(ErrorKind::Model, what).at(format_args!("metadata `{key}`")).fix(fix)
}

/// Frequencies divided by a factor each, `[h]`, in f32 as llama.cpp does.
#[derive(Debug)]
struct RopeFactors(Vec<f32>);

impl SpectrumRule for RopeFactors {
    fn check(&self) -> Result<()> {
        match self.0.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
            None => Ok(()),
            Some(factor) => {
                Err(Error::new(ErrorKind::Model, format!("factor {factor} is no positive number")))
            }
        }
    }

    fn spectrum(&self, model: &ModelRope, _sequence_length: usize) -> Spectrum {
        let mut spectrum = Spectrum::plain(model.head_dim, model.base);
        for (frequency, factor) in spectrum.frequencies.iter_mut().zip(&self.0) {
            *frequency = f64::from(*frequency as f32 / factor);
        }
        spectrum
    }
}
