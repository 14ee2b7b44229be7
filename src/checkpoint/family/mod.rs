//! Model families: what each adds to plain LLaMA, made of the network's parts.
//!
//! **Adding a family**: write `src/checkpoint/family/NAME.rs` with its `ENTRY`, and add that to [`FAMILIES`].
//! The exact meaning of a family is its modelling file in transformers; `scripts/compare_transformers.py`
//! compares with that.

mod cohere2;
mod deepseek_v2;
mod deepseek_v3;
mod ernie4_5;
mod ernie4_5_moe;
mod gemma2;
mod gemma3;
mod glm4;
mod glm4_moe;
mod glm4_moe_lite;
mod gpt_oss;
mod granite;
mod granite_swa;
mod granitemoe;
mod iquestcoder;
mod llama;
mod mellum;
mod ministral3;
mod mistral;
mod mixtral;
mod multimodal;
mod olmo2;
mod olmo3;
mod olmoe;
mod phi3;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_moe;
mod seed_oss;
mod smollm3;
mod starcoder2;

use std::path::Path;

use serde_json::Value;

use super::config::{
    NetworkConfig, RawConfig, Unique, field_error, other_types, says_something, unsupported,
};
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;

/// A family of models.
pub(super) struct Family {
    /// `model_type` in config.json, and other names for the same architecture.
    pub(super) model_types: &'static [&'static str],
    /// How llama.cpp stores it; none if it does not, or not with these parts.
    pub(super) gguf: Option<GgufForm>,
    /// Fields of [`MISSING`] that mean something to it.
    pub(super) lifts: &'static [&'static str],
    /// Makes the network of a config.
    pub(super) read: fn(&RawConfig) -> Result<NetworkConfig>,
}

/// How llama.cpp stores a family.
pub(super) struct GgufForm {
    /// `general.architecture`.
    pub(super) architecture: &'static str,
    /// Whether it turns neighbouring dimensions, and stores the rows of queries and keys in that order.
    pub(super) interleaved: bool,
    /// Parts of a layer that it calls otherwise than most.
    pub(super) parts: &'static [(&'static str, &'static str)],
}

impl GgufForm {
    /// Rows as in Hugging Face, and the usual names.
    const fn plain(architecture: &'static str) -> GgufForm {
        GgufForm { architecture, interleaved: false, parts: &[] }
    }
}

/// Every family.
const FAMILIES: &[Family] = &[
    llama::ENTRY,
    iquestcoder::ENTRY,
    mistral::ENTRY,
    ministral3::ENTRY,
    qwen2::ENTRY,
    qwen3::ENTRY,
    qwen3_moe::ENTRY,
    qwen2_moe::ENTRY,
    mixtral::ENTRY,
    olmoe::ENTRY,
    granite::ENTRY,
    granitemoe::ENTRY,
    smollm3::ENTRY,
    phi3::ENTRY,
    starcoder2::ENTRY,
    olmo2::ENTRY,
    seed_oss::ENTRY,
    olmo3::ENTRY,
    gemma2::ENTRY,
    gemma3::ENTRY,
    cohere2::ENTRY,
    glm4::ENTRY,
    glm4_moe::ENTRY,
    glm4_moe_lite::ENTRY,
    deepseek_v2::ENTRY,
    deepseek_v3::ENTRY,
    ernie4_5::ENTRY,
    ernie4_5_moe::ENTRY,
    granite_swa::ENTRY,
    mellum::ENTRY,
    gpt_oss::ENTRY,
];

/// Fields of [`MISSING`] that families with experts know.
const EXPERTS: &[&str] = &["num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size"];

/// The same of families with latent attention.
const LATENT_EXPERTS: &[&str] =
    &["num_experts", "num_local_experts", "n_routed_experts", "moe_intermediate_size", "kv_lora_rank"];

/// The key of how many experts work for a row, in most families.
const CHOSEN: &[&str] = &["num_experts_per_tok"];

/// Fields of config.json that mean something no family here has, with words for it.
const MISSING: &[(&str, &str)] = &[
    ("num_experts", "a mixture of experts"),
    ("num_local_experts", "a mixture of experts"),
    ("n_routed_experts", "a mixture of experts"),
    ("moe_intermediate_size", "a mixture of experts"),
    ("linear_num_key_heads", "layers of linear attention"),
    ("full_attention_interval", "layers of linear attention"),
    ("mamba_d_state", "state space layers"),
    ("state_size", "state space layers"),
    ("kv_lora_rank", "latent attention"),
    ("final_logit_softcapping", "soft caps on logits"),
    ("attn_logit_softcapping", "soft caps on logits"),
    ("use_parallel_residual", "attention and feed-forward part side by side"),
    ("alibi", "biases in place of rotations"),
    ("vision_config", "images"),
    ("per_layer_config", "layers of shapes of their own"),
];

/// The same, but only in an unknown family.
const LEARNED_POSITIONS: (&str, &str) = ("n_positions", "learned positions");

/// The same, but only if false or null.
const TO_BOTH_SIDES: (&str, &str) = ("is_causal", "attention to both sides");

/// The family of a config.json.
///
/// # Errors
/// [`crate::error::ErrorKind::Model`] if no family has that `model_type`, with what it would need.
pub(super) fn of(raw: &Value) -> Result<&'static Family> {
    let Some(model_type) = raw.get("model_type") else {
        return Err(field_error("model_type", "is missing").fix(one_of()));
    };
    let known = FAMILIES.iter().find(|family| family.model_types.iter().any(|name| model_type == name));
    let missing = missing(raw, known);
    match (known, &missing[..]) {
        (Some(family), []) => Ok(family),
        (None, []) => Err(unsupported("model_type", model_type, &one_of())),
        (_, missing) => {
            let value = format!("{model_type} with {}", missing.join(", "));
            Err(unsupported("model_type", value, &one_of()))
        }
    }
}

/// The family with this name in llama.cpp, with experts or without.
pub(super) fn of_architecture(name: &str, experts: bool) -> Option<(&'static Family, &'static GgufForm)> {
    let has_experts = |family: &Family| family.lifts.contains(&EXPERTS[0]);
    stored().find(|(family, gguf)| gguf.architecture == name && has_experts(family) == experts)
}

/// The architectures of llama.cpp that can be read.
pub(super) fn architectures() -> Vec<&'static str> {
    stored().map(|(_, gguf)| gguf.architecture).collect()
}

fn stored() -> impl Iterator<Item = (&'static Family, &'static GgufForm)> {
    FAMILIES.iter().filter_map(|family| Some((family, family.gguf.as_ref()?)))
}

fn one_of() -> String {
    let names: Vec<_> = FAMILIES.iter().flat_map(|family| family.model_types).copied().collect();
    format!("use a checkpoint whose model_type is one of: {}", names.join(", "))
}

/// What a config asks for that is not supported, such as `num_experts (a mixture of experts)`.
fn missing(raw: &Value, known: Option<&Family>) -> Vec<String> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let lifted = known.map_or(&[][..], |family| family.lifts);
    let asked = MISSING.iter().filter(|(field, _)| !lifted.contains(field));
    for &(field, what) in asked.chain(known.is_none().then_some(&LEARNED_POSITIONS)) {
        if raw.get(field).is_some_and(says_something) && found.iter().all(|(_, other)| *other != what) {
            found.push((field, what));
        }
    }
    let (is_causal, _) = TO_BOTH_SIDES;
    found.extend(raw.get(is_causal).filter(|value| !says_something(value)).map(|_| TO_BOTH_SIDES));
    let types =
        raw.get("layer_types").and_then(|types| serde_json::from_value::<Vec<String>>(types.clone()).ok());
    let layers = types.and_then(|types| other_types(&types)).map(|layers| format!("layer_types ({layers})"));
    found.into_iter().map(|(field, what)| format!("{field} ({what})")).chain(layers).collect()
}

/// Notes an architecture that is of another `model_type` or does not predict the next token, which transformers
/// does not read for a language model.
fn note_other_architecture(raw: &RawConfig) -> Result<()> {
    let letters =
        |name: &str| -> String { name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect() };
    let model_type: String = raw.keys.needed("model_type")?;
    let of_type = letters(model_type.trim_end_matches("_text"));
    let is_it = |name: &str| match name.split_once("For") {
        Some((start, "CausalLM" | "ConditionalGeneration")) => letters(start) == of_type,
        _ => false,
    };
    let named: Vec<String> = raw.keys.optional("architectures")?.unwrap_or_default();
    if let Some(first) = named.first()
        && !named.iter().any(|name| is_it(name))
    {
        raw.note(format!(
            "config.json: architectures says {first}, and model_type {model_type}; model_type counts, as in transformers"
        ));
    }
    Ok(())
}

impl NetworkConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the field: unreadable, a missing field, a value that
    /// makes no sense, or an architecture or option that is not supported.
    pub fn read(path: &Path) -> Result<NetworkConfig> {
        let text = read_text(path, ErrorKind::Model)?;
        NetworkConfig::parse(&text).map_err(|e| e.in_file(path))
    }

    pub(in crate::checkpoint) fn parse(text: &str) -> Result<NetworkConfig> {
        let Unique(raw) = serde_json::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Model, format!("not valid JSON: {e}")).fix("copy the file again")
        })?;
        NetworkConfig::from_json(raw)
    }

    /// Checks what config.json says.
    ///
    /// # Errors
    /// As [`NetworkConfig::read`], naming the field.
    pub fn from_json(raw: Value) -> Result<NetworkConfig> {
        match multimodal::text_model(&raw) {
            None => NetworkConfig::of_text_model(raw),
            Some(text) => {
                let what = text.what();
                let read = text.config().and_then(NetworkConfig::of_text_model);
                let mut config = read.map_err(|e| e.at("text_config"))?;
                config.notes.insert(0, what);
                config.is_inside = true;
                Ok(config)
            }
        }
    }

    fn of_text_model(raw: Value) -> Result<NetworkConfig> {
        // The family first: the config of another one lacks these fields, and naming one of them would hide
        // the reason.
        let family = of(&raw)?;
        let raw = RawConfig::new(raw)?;
        note_other_architecture(&raw)?;
        raw.refuse_quantised(family.lifts.contains(&"quantization_config"))?;
        let mut config = (family.read)(&raw)?;
        (config.notes, config.assumed) = raw.into_notes();
        config.check_shape()?;
        Ok(config)
    }
}
