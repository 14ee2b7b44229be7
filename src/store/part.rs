//! A part of stored results: some of their models, encodings and tasks.

use super::continued::planned;
use super::{Environment, Results};
use crate::config::{Config, Picked, Selection};
use crate::error::Result;

impl Results {
    /// Keeps what a selection picks.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a pattern that picks nothing.
    pub fn keep(&mut self, selection: &Selection) -> Result<()> {
        if selection.is_all() {
            return Ok(());
        }
        let picked = selection.of(&self.config)?;
        let before = self.config.clone();
        self.config.keep(selection)?;
        let numbers = [&picked.models, &picked.encodings, &picked.tasks].map(|picked| numbers(picked));
        self.samples.retain_mut(|sample| {
            let old = [sample.model, sample.encoding, sample.task];
            let [model, encoding, task] = [0, 1, 2].map(|n: usize| numbers[n][old[n]]);
            let (Some(model), Some(encoding), Some(task)) = (model, encoding, task) else { return false };
            (sample.model, sample.encoding, sample.task) = (model, encoding, task);
            true
        });
        for environment in &mut self.environments {
            environment.keep(&before, &picked, &self.config);
            environment.planned = planned(&self.config, environment, &self.samples);
        }
        if let Some(compared) = &mut self.compared {
            // Names are those of all runs, and counts those of each.
            self.environments[0].planned = self.samples.len();
            let mut picked = picked.encodings.iter();
            compared.encodings.retain(|_| *picked.next().expect("one for each"));
        }
        let tasks = &self.config.tasks;
        self.texts.retain(|text| tasks.iter().any(|task| task.name == text.task));
        let Config { models, encodings, tasks, .. } = &self.config;
        self.disagreements.retain(|one| {
            models.iter().any(|entry| entry.name == one.key.model)
                && encodings.iter().any(|entry| entry.name == one.key.encoding)
                && tasks.iter().any(|entry| entry.name == one.key.task)
        });
        Ok(())
    }
}

/// The new number of each entry; none of one that is not picked.
fn numbers(picked: &[bool]) -> Vec<Option<usize>> {
    let mut next = 0..;
    picked.iter().map(|&picked| if picked { next.next() } else { None }).collect()
}

impl Environment {
    fn keep(&mut self, before: &Config, picked: &Picked, now: &Config) {
        let dropped = |picked: &[bool], names: Vec<&String>, what: &str| -> Vec<String> {
            let dropped = names.into_iter().zip(picked).filter(|(_, picked)| !**picked);
            dropped.map(|(name, _)| format!("{what} \"{name}\"")).collect()
        };
        let gone = [
            dropped(&picked.models, before.models.iter().map(|entry| &entry.name).collect(), "model"),
            dropped(
                &picked.encodings,
                before.encodings.iter().map(|entry| &entry.name).collect(),
                "encoding",
            ),
            dropped(&picked.tasks, before.tasks.iter().map(|entry| &entry.name).collect(), "task"),
        ]
        .concat();
        let model = |name: &str| now.models.iter().any(|entry| entry.name == name);
        let task = |name: &str| now.tasks.iter().any(|entry| entry.name == name);
        self.models.retain(|one| model(&one.name));
        self.datasets.retain(|data| now.tasks.iter().any(|task| task.dataset == data.name));
        self.samples.retain(|one| model(&one.model) && task(&one.task));
        self.left_out.retain(|one| model(&one.model) && task(&one.task));
        self.notes.retain(|note| !gone.iter().any(|gone| note.contains(gone)));
    }
}
