//! Whether a training fits into memory, checked before anything is made.

use burn::tensor::Device;

use super::{Sources, TrainConfig, network};
use crate::checkpoint::read_tokenizer;
use crate::checkpoint::{Checkpoint, NetworkConfig};
use crate::error::{Error, Result};
use crate::kernels::is_cpu;
use crate::memory;

/// Bytes of an f32.
const F32: f64 = 4.0;

/// Refuses a training whose weights, or the rows of whose samples, are larger than any model's or, on the
/// CPU, larger than the available memory.
///
/// # Errors
/// [`crate::error::ErrorKind::Config`] or, for memory, [`crate::error::ErrorKind::Usage`], naming the section
/// or key.
pub(super) fn check(config: &TrainConfig, sources: &Sources, device: &Device) -> Result<()> {
    let network = shape(config, sources)?;
    let at = |key: &'static str, fix: &'static str| {
        move |mut e: Error| {
            e.fix = Some(fix.into());
            e.at_key(key)
        }
    };
    // Weights, their gradients, and two moments of each; on other devices the first weights are still made
    // here.
    let copies = if is_cpu(device) { 4.0 } else { 1.0 };
    let weights = copies * F32 * network.parameters().total as f64;
    let fix = "give a smaller hidden_size, intermediate_size, num_hidden_layers or vocabulary";
    memory::refuse_beyond(weights, "weights, gradients and moments").map_err(at("model", fix))?;
    if is_cpu(device) {
        // What every layer keeps of its rows for the backward pass, at least: what its two parts read.
        let tokens = config.micro_batch() as f64 * config.length as f64;
        let rows = F32 * tokens * 2.0 * network.hidden_size as f64 * network.num_hidden_layers as f64;
        memory::refuse_beyond(rows, "the rows of a micro batch")
            .map_err(at("micro_batch", "give a smaller micro_batch, or a smaller length"))?;
    }
    Ok(())
}

/// The network's shape; for a vocabulary that is still to be made, the largest that it may be.
fn shape(config: &TrainConfig, sources: &Sources) -> Result<NetworkConfig> {
    if let Some(dir) = &sources.checkpoint {
        return Ok(Checkpoint::open(dir)?.config);
    }
    let vocab_size = match &sources.tokenizer {
        Some(dir) => read_tokenizer(dir)?.max_id() as usize + 1,
        None => config.tokenizer.as_ref().and_then(|keys| keys.vocab_size).unwrap_or(1),
    };
    NetworkConfig::from_json(network::config_json(config, None, vocab_size)?).map_err(|mut e| {
        e.kind = crate::error::ErrorKind::Config;
        e.fix = Some("give smaller numbers".into());
        e.at("[model]")
    })
}
