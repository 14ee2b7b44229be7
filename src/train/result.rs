//! What a training leaves: the weights, and training.json, which says how they were made.

use serde_json::json;

use super::Sources;
use super::config::TrainConfig;
use super::corpus::About;
use super::network::{named_tensors, safetensors};
use super::output::{Output, resolved};
use super::trainer::Trained;
use crate::error::Result;
use crate::files::write_whole;

/// Written last: if it exists, the training is done.
pub const REPORT: &str = "training.json";

/// Writes model.safetensors and training.json; returns the outcome of the training, in words.
///
/// # Errors
/// [`crate::error::ErrorKind::Write`].
pub(super) fn write(
    config: &TrainConfig,
    output: &Output,
    sources: &Sources,
    about: &About,
    device: &str,
    trained: &Trained,
) -> Result<String> {
    let Trained { model, state, loss } = trained;
    let weights = named_tensors(model);
    let parameters: usize = weights.iter().map(|tensor| tensor.values.len()).sum();
    write_whole(&output.path("model.safetensors"), &safetensors(&weights, config.output.dtype)?)?;
    let tokens = state.step * config.step_tokens();
    let report = json!({
        "config": resolved(config),
        "parameters": parameters,
        "corpus": {"datasets": sources.corpus.hashes, "tokens": about},
        "vocabulary": sources.vocabulary.as_ref().map(|corpus| json!({"datasets": corpus.hashes})),
        "steps": state.step,
        "tokens_seen": tokens,
        "seconds": state.seconds,
        "device": device,
        "loss": loss,
        "validation_loss": state.validation_loss,
        "sessions": state.sessions,
        "finished": crate::provenance::now(),
    });
    write_whole(&output.path(REPORT), format!("{report:#}\n").as_bytes())?;
    Ok(format!(
        "{}: {parameters} parameters, {} steps, {tokens} tokens in {:.0} s, loss {loss:.3}, held out {:.3}\n",
        output.dir().display(),
        state.step,
        state.seconds,
        state.validation_loss.unwrap_or(f64::NAN),
    ))
}
