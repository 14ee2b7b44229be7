//! The part of a config that a command is asked for, and what of it is left out because it is missing.

use longcode_base::pattern::picked;

use super::Config;
use crate::error::{Error, ErrorKind, Result};

/// Names, or patterns of names, of a part of a config; an empty list picks all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of models.
    pub models: Vec<String>,
    /// Of encodings, after sweeps are expanded.
    pub encodings: Vec<String>,
    /// Of tasks.
    pub tasks: Vec<String>,
}

/// Which models, encodings and tasks of a config a selection picks, in its order.
#[derive(Debug)]
pub struct Picked {
    /// For each model.
    pub models: Vec<bool>,
    /// For each encoding.
    pub encodings: Vec<bool>,
    /// For each task.
    pub tasks: Vec<bool>,
}

impl Selection {
    /// Whether it picks all of every config.
    pub fn is_all(&self) -> bool {
        *self == Selection::default()
    }

    /// What it picks of a config.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Usage`] for a pattern that picks nothing, with the names that there are.
    pub fn of(&self, config: &Config) -> Result<Picked> {
        let models: Vec<&str> = config.models.iter().map(|entry| &entry.name[..]).collect();
        let encodings: Vec<&str> = config.encodings.iter().map(|entry| &entry.name[..]).collect();
        let tasks: Vec<&str> = config.tasks.iter().map(|entry| &entry.name[..]).collect();
        let of_models = picked(&self.models, &models, "--model", "model")?;
        let mut of_encodings = picked(&self.encodings, &encodings, "--encoding", "encoding")?;
        for (entry, picked) in config.encodings.iter().zip(&mut of_encodings) {
            *picked &=
                config.models.iter().zip(&of_models).any(|(model, picked)| *picked && entry.is_for(model));
        }
        if !of_encodings.contains(&true) {
            let what = "no encoding that is asked for is for a model that is asked for";
            return Err(Error::new(ErrorKind::Usage, what)
                .at("--encoding")
                .fix("see `models` of the config's encodings"));
        }
        let tasks = picked(&self.tasks, &tasks, "--task", "task")?;
        Ok(Picked { models: of_models, encodings: of_encodings, tasks })
    }
}

impl Config {
    /// Keeps what a selection picks.
    ///
    /// # Errors
    /// As [`Selection::of`].
    pub fn keep(&mut self, selection: &Selection) -> Result<()> {
        let picked = selection.of(self)?;
        keep(&mut self.models, &picked.models);
        let names: Vec<String> = self.models.iter().map(|entry| entry.name.clone()).collect();
        for model in &mut self.models {
            if let Some(of) = model.ceiling_of.take_if(|of| !names.contains(of)) {
                note!("model \"{}\" is no ceiling here, as \"{of}\" is not run", model.name);
            }
        }
        keep(&mut self.encodings, &picked.encodings);
        keep(&mut self.tasks, &picked.tasks);
        Ok(())
    }

    /// Leaves out the models that are missing, with a message for each, and has tasks without their data left out too.
    ///
    /// # Errors
    /// Those of all models when all are missing.
    pub fn skip_missing(&mut self) -> Result<()> {
        let found: Vec<Result<_>> = self.models.iter().map(|entry| self.find_model(entry)).collect();
        let is_there: Vec<bool> = found.iter().map(Result::is_ok).collect();
        let errors = found.into_iter().filter_map(Result::err);
        if is_there.contains(&true) {
            self.left_out.extend(errors.map(|e| not_run(&e)));
            self.skips_missing_data = true;
            keep(&mut self.models, &is_there);
            let models = self.models.iter().map(|entry| entry.name.clone()).collect();
            self.keep(&Selection { models, ..Selection::default() })
        } else {
            Err(errors.reduce(Error::and).expect("a config has models"))
        }
    }
}

/// What to say of a model that is missing.
fn not_run(missing: &Error) -> String {
    let place = missing.place.as_deref().unwrap_or("a model");
    let fix = missing.fix.as_ref().map_or(String::new(), |fix| format!("; {fix}"));
    format!("{place} is not run: {}{fix}", missing.what)
}

fn keep<T>(all: &mut Vec<T>, picked: &[bool]) {
    let mut picked = picked.iter();
    all.retain(|_| *picked.next().expect("one for each"));
}
