//! Command R7B and A (Cohere 2024): attention and feed-forward part read one norm side by side; three of four layers
//! slide and turn neighbouring dimensions, the others see everything and do not turn.

use super::{Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, LayerNorms, Missing, NetworkConfig, NormKind, RawConfig, SILU, unsupported,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["cohere2"], gguf: Some(GgufForm::plain("cohere2")), lifts: &[], read };

/// One layer in this many sees everything, if the config does not say which.
const FULL_EVERY: usize = 4;
/// The window if the config has no such key.
const WINDOW: usize = 4096;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 256000,
    hidden_size: 8192,
    intermediate_size: 22528,
    num_hidden_layers: 40,
    num_attention_heads: 64,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 8192,
    original_max_position_embeddings: None,
    norm_epsilon: ("layer_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(255_001),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    if raw.keys.says("use_qk_norm") {
        let fix = "use a checkpoint whose queries and keys are not normed";
        return Err(unsupported("use_qk_norm", "in a cohere2 model", fix));
    }
    let mut config = raw.plain(&DEFAULTS)?;
    let layers = config.num_hidden_layers;
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.norm = NormKind::LayerWithoutBias;
    config.layer_norms = LayerNorms::Beside;
    config.attention.neighbours = true;
    config.multipliers.logits = raw.keys.or("logit_scale", 0.0625)?;
    let pattern = raw.sliding_pattern(FULL_EVERY)?;
    let window = raw.keys.or_null("sliding_window", WINDOW)?;
    let (sliding, own_window) = raw.sliding(layers, window, |layer| !(layer + 1).is_multiple_of(pattern))?;
    config.rope.own_window = own_window;
    let still: Vec<bool> = sliding.iter().map(|slides| !slides).collect();
    config.rope.unrotated = Some(still).filter(|still| still.contains(&true)).map(Into::into);
    Ok(config)
}
