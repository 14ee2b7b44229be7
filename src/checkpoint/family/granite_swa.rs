//! Granite with sliding windows (IBM 2026): Granite in which three of four layers slide, with a sink a head in the
//! softmax; a base for each layer, 0 for layers that do not turn.

use super::{Family, granite};
use crate::checkpoint::config::{Defaults, Missing, NetworkConfig, RawConfig, SILU, field_error};
use crate::encoding::{ModelRope, OtherRope};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["granite_swa"], gguf: None, lifts: &[], read };

/// One layer in this many sees everything, the first among them, if the config does not say which.
const FULL_EVERY: usize = 4;
/// The window if the config has no such key.
const WINDOW: usize = 128;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 100352,
    hidden_size: 2560,
    intermediate_size: 8192,
    num_hidden_layers: 24,
    num_attention_heads: 20,
    num_key_value_heads: Missing::NumberOrNull(4),
    head_dim: Missing::Follows,
    max_position_embeddings: 8192,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(100_257),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    granite::set_parts(raw, &mut config)?;
    config.attention.sinks = true;
    let layers = config.num_hidden_layers;
    let window = raw.keys.or_null("sliding_window", WINDOW)?;
    let (sliding, own_window) = raw.sliding(layers, window, |layer| !layer.is_multiple_of(FULL_EVERY))?;
    config.rope.own_window = own_window;
    if let Some(bases) = raw.keys.optional::<Vec<f64>>("layer_rope_theta")? {
        if bases.len() != layers {
            return Err(field_error("layer_rope_theta", "does not have num_hidden_layers entries"));
        }
        if let Some(base) = bases.iter().find(|&&base| base != 0.0 && base <= 1.0) {
            return Err(field_error("layer_rope_theta", &format!("has {base}, neither 0 nor above 1")));
        }
        set_bases(&mut config.rope, &bases, &sliding);
    }
    Ok(config)
}

/// Gives each layer its base; the first rope is that of a layer that sees everything, if one turns.
fn set_bases(rope: &mut ModelRope, bases: &[f64], sliding: &[bool]) {
    let turning = || bases.iter().zip(sliding).filter(|(base, _)| **base != 0.0);
    let first = turning().find(|(_, slides)| !**slides).or_else(|| turning().next());
    rope.base = first.map_or(rope.base, |(base, _)| *base);
    let still: Vec<bool> = bases.iter().map(|&base| base == 0.0).collect();
    rope.unrotated = Some(still).filter(|still| still.contains(&true)).map(Into::into);
    let mut known = vec![0.0, rope.base];
    for &base in bases {
        if !known.contains(&base) {
            known.push(base);
            let layers = bases.iter().map(|&other| other == base).collect();
            rope.others.push(OtherRope { base, scaling: rope.scaling.clone(), layers });
        }
    }
}
