//! OLMo 3 (Ai2 2025): OLMo 2 in which three of four layers slide; a scaling is that of the others alone. GGUF files
//! say olmo2.

use super::Family;
use crate::checkpoint::config::{Defaults, Missing, NetworkConfig, RawConfig, SILU, SlidingRope};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["olmo3"], gguf: None, lifts: &[], read };

/// One layer in this many sees everything, if the config does not say which.
const FULL_EVERY: usize = 4;

const SLIDING: SlidingRope = SlidingRope { theta_key: None, theta: 500_000.0, window: 4096 };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 50304,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 2048,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 500_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(50_279),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config =
        raw.by_layer_type(&DEFAULTS, &SLIDING, |layer| !(layer + 1).is_multiple_of(FULL_EVERY))?;
    super::olmo2::set_parts(raw, &mut config)?;
    Ok(config)
}
