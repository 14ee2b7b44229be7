//! Gemma 3 (Gemma Team 2025), the text model: Gemma 2 without caps in attention, with queries and keys normed by
//! head; five of six layers slide, and turn by a base of their own.

use super::{Family, GgufForm, gemma2};
use crate::checkpoint::config::{
    Defaults, Missing, NO_ACTIVATION, NetworkConfig, QkNorm, RawConfig, SlidingRope,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["gemma3_text"],
    gguf: Some(GgufForm { parts: gemma2::GGUF_PARTS, ..GgufForm::plain("gemma3") }),
    lifts: &["final_logit_softcapping", "attn_logit_softcapping"],
    read,
};

/// One layer in this many sees everything, if the config does not say which.
const FULL_EVERY: usize = 6;

const SLIDING: SlidingRope =
    SlidingRope { theta_key: Some("rope_local_base_freq"), theta: 10_000.0, window: 4096 };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 262208,
    hidden_size: 2304,
    intermediate_size: 9216,
    num_hidden_layers: 26,
    num_attention_heads: 8,
    num_key_value_heads: Missing::Number(4),
    head_dim: Missing::Number(256),
    max_position_embeddings: 131072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 1_000_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(1),
    hidden_act: NO_ACTIVATION,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let pattern = raw.sliding_pattern(FULL_EVERY)?;
    let slides = |layer: usize| !(layer + 1).is_multiple_of(pattern);
    let mut config = raw.by_layer_type(&DEFAULTS, &SLIDING, slides)?;
    gemma2::set_parts(raw, &mut config)?;
    config.qk_norm = Some(QkNorm::Head);
    // transformers has the key, and no attention that reads it.
    raw.leave_out("attn_logit_softcapping");
    config.logit_cap = raw.keys.optional("final_logit_softcapping")?;
    Ok(config)
}
