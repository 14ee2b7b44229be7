//! Latent attention in config.json.

use super::raw::within_limits;
use super::{AttentionConfig, Defaults, LatentConfig, NetworkConfig, RawConfig, field_error, rope};
use crate::error::Result;

/// A family's defaults of latent attention.
#[derive(Debug, Clone, Copy)]
pub(in crate::checkpoint) struct LatentDefaults {
    /// `q_lora_rank`
    pub queries: usize,
    /// `kv_lora_rank`
    pub keys_values: usize,
    /// `qk_nope_head_dim`
    pub standing: usize,
    /// `qk_rope_head_dim`
    pub turning: usize,
    /// `v_head_dim`
    pub values: usize,
}

impl RawConfig {
    /// LLaMA with latent attention: a part of each head's keys turns, and values have a width of their own.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn latent(&self, defaults: &Defaults, latent: &LatentDefaults) -> Result<NetworkConfig> {
        let even = |key: &'static str, default| match self.of_shape(key, default)? {
            0 => Err(field_error(key, "is 0")),
            dim if dim % 2 == 1 => Err(field_error(key, "is odd")),
            dim => Ok(dim),
        };
        let (standing, turning) =
            (even("qk_nope_head_dim", latent.standing)?, even("qk_rope_head_dim", latent.turning)?);
        let head_dim = within_limits("qk_nope_head_dim", standing.saturating_add(turning))?;
        let value_dim = self.of_shape("v_head_dim", latent.values)?;
        if value_dim == 0 || value_dim > head_dim {
            let what = format!("is {value_dim}; values of 1 to {head_dim} dimensions are supported");
            return Err(field_error("v_head_dim", &what));
        }
        let mut config = self.turning(defaults, head_dim, turning)?;
        if config.num_key_value_heads != config.num_attention_heads {
            let what = "is not num_attention_heads, and latent attention makes keys for every head";
            return Err(field_error("num_key_value_heads", what));
        }
        let queries: Option<usize> = self.keys.or_null("q_lora_rank", latent.queries)?;
        config.latent = Some(LatentConfig {
            queries: queries.map(|width| within_limits("q_lora_rank", width)).transpose()?,
            keys_values: self.of_shape("kv_lora_rank", latent.keys_values)?,
            value_dim,
        });
        let bias = self.keys.or("attention_bias", false)?;
        config.biases.qkv = bias;
        config.biases.output = bias;
        config.attention = AttentionConfig {
            scale: (head_dim as f64).sqrt().recip() * rope::latent_factor(self)?,
            ..AttentionConfig::plain(head_dim)
        };
        config.attention.neighbours = self.keys.or_null("rope_interleave", true)?.unwrap_or(false);
        config.rope.own_window = self.window_in_all_layers(config.num_hidden_layers, None)?;
        Ok(config)
    }
}
