//! `longcode models`

use super::print;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::hub::{self, Cached};

/// List the models in the local Hugging Face cache, whether they can be read, and if not, why
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  longcode models\n\nA listed name is a model for --model and for `path` in a config. \
HF_HUB_CACHE or HF_HOME say where the cache is."
)]
pub(super) struct Args {}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let models = hub::models()?;
        if models.is_empty() {
            return print(&format!(
                "no models in {}; --download fetches one, and `longcode quickstart --no-run` unpacks a small one\n",
                hub::cache().display()
            ));
        }
        print(&models.iter().map(describe).collect::<String>())
    }
}

fn describe(model: &Cached) -> String {
    let checked = Checkpoint::open(&model.path).and_then(|checkpoint| {
        checkpoint.check_weights()?;
        Ok(checkpoint)
    });
    let name = &model.name;
    match checked {
        Ok(checkpoint) => {
            let config = &checkpoint.config;
            let (layers, hidden, trained) =
                (config.num_hidden_layers, config.hidden_size, config.trained_length());
            let parameters = config.parameters();
            format!(
                "{name}\n  readable: {layers} layers of {hidden}, {parameters}, trained at {trained} tokens\n"
            )
        }
        Err(e) => {
            let place = e.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
            let fix = e.fix.map(|fix| format!("  fix: {fix}\n")).unwrap_or_default();
            format!("{name}\n  not readable: {}{place}\n{fix}", e.what)
        }
    }
}
