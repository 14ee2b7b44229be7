//! Gemma 2 (Gemma Team 2024): norms around each part with weights stored less 1, soft caps on logits, a gate with
//! GELU, an embedding times the root of its width; every other layer slides.

use super::{Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, GELU_TANH, GateActivation, LayerNorms, Missing, NO_ACTIVATION, NetworkConfig, NormKind,
    RawConfig,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["gemma2"],
    gguf: Some(GgufForm { parts: GGUF_PARTS, ..GgufForm::plain("gemma2") }),
    lifts: &["final_logit_softcapping", "attn_logit_softcapping"],
    read,
};

/// What llama.cpp calls the norms.
pub(super) const GGUF_PARTS: &[(&str, &str)] = &[
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// One layer in this many sees everything, if the config does not say which.
const FULL_EVERY: usize = 2;
/// The window if the config has no such key.
const WINDOW: usize = 4096;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 256000,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: Missing::Number(4),
    head_dim: Missing::Number(256),
    max_position_embeddings: 8192,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(1),
    hidden_act: NO_ACTIVATION,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    set_parts(raw, &mut config)?;
    config.attention.cap = raw.keys.or_null("attn_logit_softcapping", 50.0)?;
    config.logit_cap = raw.keys.or_null("final_logit_softcapping", 30.0)?;
    let window = raw.keys.or_null("sliding_window", WINDOW)?;
    let slides = |layer: usize| !(layer + 1).is_multiple_of(FULL_EVERY);
    (_, config.rope.own_window) = raw.sliding(config.num_hidden_layers, window, slides)?;
    Ok(config)
}

/// The parts that Gemma 2 and 3 have.
pub(super) fn set_parts(raw: &RawConfig, config: &mut NetworkConfig) -> Result<()> {
    raw.check_activation("hidden_activation", GELU_TANH)?;
    if raw.keys.or_null("use_bidirectional_attention", false)? == Some(true) {
        let fix = "use a checkpoint that reads from the left alone";
        return Err(crate::checkpoint::config::unsupported("use_bidirectional_attention", true, fix));
    }
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.norm = NormKind::ZeroCentred;
    config.layer_norms = LayerNorms::Around([
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ]);
    config.gate = GateActivation::GeluTanh;
    config.attention.scale = raw.keys.or("query_pre_attn_scalar", 256.0_f64)?.sqrt().recip();
    config.multipliers.embedding = (config.hidden_size as f64).sqrt();
    Ok(())
}
