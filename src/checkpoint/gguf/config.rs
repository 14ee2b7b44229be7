//! The metadata of a GGUF file, in the words of config.json.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Gguf, key_error, needed};
use crate::checkpoint::family::{self, Family, GgufForm};
use crate::checkpoint::{NetworkConfig, NormKind};
use crate::encoding::{ModelRope, Spectrum, SpectrumRule};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Base of the rotary frequencies that llama.cpp uses if a file has none.
const FREQ_BASE: f64 = 10_000.0;
/// Divisors of the rotary frequencies; llama.cpp stores Llama 3's rule this way.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";
/// Phi-3's divisors, for short sequences and for long ones.
const LONG_ROPE_FACTORS: [(&str, &str); 2] =
    [("short_factor", "rope_factors_short.weight"), ("long_factor", "rope_factors_long.weight")];

/// Whether a tensor is part of the rotary geometry, not of the network.
pub(super) fn is_rope_factors(name: &str) -> bool {
    name == ROPE_FACTORS || LONG_ROPE_FACTORS.iter().any(|(_, tensor)| *tensor == name)
}

impl Gguf {
    /// The shape of the network.
    ///
    /// The pretraining length of a file with `rope_freqs.weight` is its `context_length`, as the length
    /// before Llama 3's rule is not stored.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the field: missing, of another type, a value that makes no
    /// sense, or an architecture or option that is not supported.
    pub(super) fn network_config(&self) -> Result<NetworkConfig> {
        let read = || {
            let mut config = NetworkConfig::from_json(self.config_json()?)?;
            // llama.cpp stores the weights of such norms as they are used.
            if config.norm == NormKind::ZeroCentred {
                config.norm = NormKind::RootMeanSquare;
            }
            if let Some(rule) = self.rope_factors(&config.rope)? {
                if config.rope.scaling.is_some() {
                    let key = self.key("rope.scaling.type")?;
                    let what =
                        format!("{key} beside the tensor {ROPE_FACTORS}: two scalings are not supported");
                    return Err(unsupported(
                        &key,
                        what,
                        "convert the model again, or use its Hugging Face directory",
                    ));
                }
                config.rope.scaling = Some(Arc::new(rule));
            }
            Ok(config)
        };
        read().map_err(|e: Error| e.in_file(&self.path))
    }

    /// What llama.cpp calls the family.
    pub(super) fn architecture(&self) -> Result<&str> {
        Ok(self.family()?.1.architecture)
    }

    /// The family.
    pub(super) fn family(&self) -> Result<(&'static Family, &'static GgufForm)> {
        let key = "general.architecture";
        let name = needed(key, self.text(key))?;
        let key_of_experts = format!("{name}.expert_count");
        let experts = self.whole(&key_of_experts)?.unwrap_or(0);
        let found = family::of_architecture(name, experts > 0);
        if found.is_none() && family::of_architecture(name, experts == 0).is_some() {
            let what = format!("{name} with {experts} experts is not supported");
            return Err(unsupported(&key_of_experts, what, "use another model, or convert it again"));
        }
        found.ok_or_else(|| {
            let fix =
                format!("use a model whose architecture is one of: {}", family::architectures().join(", "));
            unsupported(key, format!("architecture {name} is not supported"), &fix)
        })
    }

    /// The full name of an architecture's key, `llama.NAME`.
    pub(super) fn key(&self, name: &str) -> Result<String> {
        Ok(format!("{}.{name}", self.architecture()?))
    }

    /// A count that must be there.
    pub(super) fn count(&self, name: &str) -> Result<usize> {
        needed(&self.key(name)?, self.optional_count(name))
    }

    /// A count, within what any model has.
    pub(super) fn optional_count(&self, name: &str) -> Result<Option<usize>> {
        let key = self.key(name)?;
        let most = match name {
            "block_count" => limits::LAYERS,
            "context_length" | "rope.scaling.original_context_length" => limits::TRAINED_LENGTH,
            _ => limits::WIDTH,
        };
        match self.whole(&key)? {
            Some(count) if count > most => {
                Err(key_error(&key, format!("{key} is {count}, more than {most}")))
            }
            count => Ok(count),
        }
    }

    fn config_json(&self) -> Result<Value> {
        self.refuse_other_attention()?;
        let there = |tensor: &str| self.header.tensors.contains_key(tensor);
        let (family, stored) = self.family()?;
        let bias = there("blk.0.attn_q.bias");
        let heads = self.count("attention.head_count")?;
        let (context, original) =
            (self.count("context_length")?, self.optional_count("rope.scaling.original_context_length")?);
        let mut config = json!({
            "model_type": family.model_types[0],
            "vocab_size": self.vocab_size()?,
            // Left to the tokenizer.
            "eos_token_id": null,
            "hidden_size": self.count("embedding_length")?,
            "intermediate_size": self.count("feed_forward_length")?,
            "num_hidden_layers": self.count("block_count")?,
            "num_attention_heads": heads,
            "num_key_value_heads": self.optional_count("attention.head_count_kv")?.unwrap_or(heads),
            "head_dim": self.head_dim(heads)?,
            "max_position_embeddings": context,
            "original_max_position_embeddings": original.unwrap_or(context),
            "tie_word_embeddings": !there("output.weight"),
            "rope_theta": self.number(&self.key("rope.freq_base")?)?.unwrap_or(FREQ_BASE),
            "rope_scaling": self.rope_scaling()?,
            "mlp_bias": there("blk.0.ffn_up.bias"),
        });
        if self.optional_count("expert_count")?.is_some_and(|count| count > 0) {
            self.add_experts(&mut config)?;
        }
        let turning = self.turning(&config)?;
        match stored.architecture {
            "starcoder2" => {
                config["norm_epsilon"] = self.epsilon("attention.layer_norm_epsilon")?.into();
                config["use_bias"] = bias.into();
            }
            "cohere2" => {
                config["layer_norm_eps"] = self.epsilon("attention.layer_norm_epsilon")?.into();
                config["attention_bias"] = bias.into();
            }
            architecture => {
                config["rms_norm_eps"] = self.epsilon("attention.layer_norm_rms_epsilon")?.into();
                match architecture {
                    // It is up to the family.
                    "qwen2" => (),
                    "qwen2moe" => config["qkv_bias"] = bias.into(),
                    _ => config["attention_bias"] = bias.into(),
                }
            }
        }
        match stored.architecture {
            "granite" | "granitemoe" => {
                // The factor that llama.cpp uses if none is given.
                let usual = config["head_dim"].as_f64().unwrap_or(1.0).sqrt().recip();
                for (field, name, default) in [
                    ("embedding_multiplier", "embedding_scale", 1.0),
                    ("residual_multiplier", "residual_scale", 1.0),
                    ("logits_scaling", "logit_scale", 1.0),
                    ("attention_multiplier", "attention.scale", usual),
                ] {
                    config[field] = self.decimal(name)?.unwrap_or(default).into();
                }
            }
            "phi3" => {
                let window = self.optional_count("attention.sliding_window")?.filter(|&window| window > 0);
                config["sliding_window"] = window.into();
                config["partial_rotary_factor"] = turning.into();
                return Ok(config);
            }
            "mistral3" => self.add_temperature(&mut config)?,
            "glm4" => config["partial_rotary_factor"] = turning.into(),
            "ernie4_5" => config["use_bias"] = bias.into(),
            "gemma2" | "gemma3" | "olmo2" | "cohere2" | "gpt-oss" => {
                self.add_windows(&mut config)?;
                return Ok(config);
            }
            _ => (),
        }
        self.refuse_sliding_window()?;
        Ok(config)
    }

    /// The temperature of queries by their position. Without it the text model is Mistral.
    fn add_temperature(&self, config: &mut Value) -> Result<()> {
        let Some(beta) = self.decimal("attention.temperature_scale")?.filter(|&beta| beta != 0.0) else {
            config["model_type"] = "mistral".into();
            config["sliding_window"] = Value::Null;
            return Ok(());
        };
        let original = config["original_max_position_embeddings"].as_u64();
        match self.optional_count("attention.temperature_length")? {
            Some(length) if Some(length as u64) != original => {
                let what = format!("a temperature in steps of {length} tokens is not supported");
                let key = self.key("attention.temperature_length")?;
                Err(unsupported(&key, what, "use the model's Hugging Face directory"))
            }
            _ => {
                config["rope_scaling"]["llama_4_scaling_beta"] = beta.into();
                Ok(())
            }
        }
    }

    /// Dimensions of a head; llama.cpp's default if the file does not say.
    fn head_dim(&self, heads: usize) -> Result<usize> {
        match self.optional_count("attention.key_length")? {
            Some(dim) => Ok(dim),
            None => Ok(self.count("embedding_length")? / heads.max(1)),
        }
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

    /// Refuses what no family here has, if a file says so in a key of its own.
    fn refuse_other_attention(&self) -> Result<()> {
        for (name, what) in [
            ("attn_logit_softcapping", "soft caps on logits"),
            ("final_logit_softcapping", "soft caps on logits"),
            ("attention.clamp_kqv", "clamped queries, keys and values"),
            ("attention.max_alibi_bias", "biases in place of rotations"),
        ] {
            let key = self.key(name)?;
            if name.ends_with("softcapping") && self.architecture()? == "gemma2" {
                continue;
            }
            if self.number(&key)?.is_some_and(|number| number != 0.0) {
                return Err(unsupported(&key, format!("{what} are not supported"), "use another model"));
            }
        }
        let key = self.key("attention.causal")?;
        match self.flag(&key)? {
            Some(false) => {
                Err(unsupported(&key, "attention to both sides is not supported".into(), "use another model"))
            }
            _ => Ok(()),
        }
    }

    fn vocab_size(&self) -> Result<usize> {
        if let Some(size) = self.optional_count("vocab_size")? {
            return Ok(size);
        }
        let key = "tokenizer.ggml.tokens";
        needed(key, self.texts(key)).map(|tokens| tokens.len())
    }

    /// An epsilon, which must be there.
    fn epsilon(&self, name: &str) -> Result<f64> {
        let key = self.key(name)?;
        needed(&key, self.decimal(name))
    }

    /// A number, which the file stores as f32, as the decimal number that was meant.
    pub(super) fn decimal(&self, name: &str) -> Result<Option<f64>> {
        let number = self.number(&self.key(name)?)?;
        Ok(number.map(|number| (number as f32).to_string().parse().unwrap_or(number)))
    }

    /// The share of a head's dimensions that turns. Refuses one below 1 if the family turns whole heads, and
    /// heads whose values are not as wide as their keys.
    fn turning(&self, config: &Value) -> Result<f64> {
        let head_dim = config["head_dim"].as_u64().unwrap_or(0) as usize;
        let turns_in_part = ["phi3", "glm4"].contains(&self.architecture()?);
        for (name, may_be_less) in
            [("rope.dimension_count", turns_in_part), ("attention.value_length", false)]
        {
            let differs = |&dim: &usize| dim != head_dim && !(may_be_less && dim < head_dim);
            if let Some(dim) = self.optional_count(name)?.filter(differs) {
                return Err(unsupported(
                    &self.key(name)?,
                    format!("{name} {dim} for heads of {head_dim} dimensions is not supported"),
                    "use a model that rotates whole heads and whose keys and values are as wide",
                ));
            }
        }
        Ok(match self.optional_count("rope.dimension_count")?.filter(|&dim| dim < head_dim) {
            // Half a dimension more, because the number of dimensions is this share of all, rounded down.
            Some(dim) => (dim as f64 + 0.5) / head_dim as f64,
            None => 1.0,
        })
    }

    /// `rope_scaling` of config.json, where unknown keys that would change the numbers are refused.
    fn rope_scaling(&self) -> Result<Option<Map<String, Value>>> {
        let prefix = self.key("rope.scaling.")?;
        let mut scaling = Map::new();
        for (key, tensor) in LONG_ROPE_FACTORS {
            if self.architecture()? == "phi3" && self.header.tensors.contains_key(tensor) {
                scaling.insert("rope_type".into(), "longrope".into());
                scaling.insert(key.into(), self.vector(tensor)?.into());
            }
        }
        for key in self.header.metadata.keys().filter(|key| key.starts_with(&prefix)) {
            let name = match &key[prefix.len()..] {
                "type" => {
                    let kind = self.text(key)?.unwrap_or_default();
                    if kind == "longrope" && scaling.contains_key("rope_type") {
                        continue;
                    }
                    if kind == "longrope" {
                        let what = "rope_type longrope is not supported in GGUF files".into();
                        return Err(unsupported(key, what, "use the model's Hugging Face directory"));
                    }
                    scaling.insert("rope_type".into(), if kind == "none" { "default" } else { kind }.into());
                    continue;
                }
                // Whether the model was trained further under the scaling, and the length, which is stored
                // next to it.
                "finetuned" | "original_context_length" => continue,
                "factor" => "factor",
                "attn_factor" if scaling.contains_key("short_factor") || self.architecture()? == "olmo2" => {
                    "attention_factor"
                }
                "yarn_beta_fast" => "beta_fast",
                "yarn_beta_slow" => "beta_slow",
                // llama.cpp takes mscale for 1.
                "yarn_log_multiplier" if self.architecture()? == "mistral3" => {
                    scaling.insert("mscale".into(), 1.0.into());
                    "mscale_all_dim"
                }
                _ => return Err(unsupported(key, format!("{key} is not supported"), "use another model")),
            };
            scaling.insert(name.into(), self.number(key)?.into());
        }
        let key = self.key("rope.scale_linear")?;
        if let Some(factor) = self.number(&key)? {
            if scaling.is_empty() {
                scaling.extend([("rope_type".into(), "linear".into()), ("factor".into(), factor.into())]);
            } else if scaling.get("factor").is_some_and(|other| other.as_f64() != Some(factor)) {
                return Err(key_error(&key, format!("{key} is {factor}, and {prefix}factor another number")));
            }
        }
        Ok(Some(scaling).filter(|scaling| !scaling.is_empty()))
    }

    /// The values of a tensor that must be present.
    fn vector(&self, name: &str) -> Result<Vec<f32>> {
        let info = self.info(name)?;
        let mut values = vec![0.0; info.shape.iter().product()];
        (info.format.decode)(&self.map[info.bytes.clone()], &mut values);
        Ok(values)
    }

    fn rope_factors(&self, rope: &ModelRope) -> Result<Option<RopeFactors>> {
        if !self.header.tensors.contains_key(ROPE_FACTORS) {
            return Ok(None);
        }
        let factors = self.vector(ROPE_FACTORS)?;
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

pub(super) fn unsupported(key: &str, what: String, fix: &str) -> Error {
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
                Err(Error::new(ErrorKind::Model, format!("factor {factor} is not a positive number")))
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
