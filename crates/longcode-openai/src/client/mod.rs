//! A client of a served model.
//!
//! | module | what |
//! |---|---|
//! | [`http`] | one request: its limits, its repetitions, where it may go |
//! | `probe` | what a server can do, and who it is |
//! | `read` | what an answer says: texts, log-probabilities |

pub mod http;
mod probe;
mod read;
#[cfg(test)]
mod tests;

pub use http::{Failure, Http, Key, Patience};
pub use probe::{Abilities, About, Losses, Prompts};
pub use read::{Ended, PromptScores, PromptTokens, Text};

use serde_json::{Value, json};

/// A served model, whose abilities are known.
pub struct Model {
    http: Http,
    /// Its name there.
    name: String,
    about: About,
    abilities: Abilities,
}

/// A prompt, in both of its forms: a server that does not take ids gets the text.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// Ids of its tokens.
    pub ids: &'a [u32],
    /// Its text.
    pub text: &'a str,
    /// What the user says in it, if it is to be asked as a chat.
    pub message: Option<&'a str>,
}

impl Model {
    /// Asks a server what it is and can do. `name`: the model's name there, if the server has several. `probe`: a short
    /// text in the model's tokens, at least two.
    ///
    /// # Errors
    /// [`Failure`]: the server cannot be reached, has another model, or gives no text at all.
    pub fn open(http: Http, name: Option<&str>, probe: Prompt) -> Result<Model, Failure> {
        let (name, about) = probe::about(&http, name)?;
        let abilities = probe::abilities(&http, &name, probe)?;
        Ok(Model { http, name, about, abilities })
    }

    /// The model's name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who serves it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What it can do.
    pub fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Takes its log-probabilities of prompts for useless from here on, and remembers why.
    pub fn refuse_losses(&mut self, why: String) {
        self.abilities.losses = Err(why);
    }

    /// The log-probability of each token of a prompt, and what the server took as its tokens.
    ///
    /// # Errors
    /// [`Failure`], also when the server gives none.
    pub fn score(&self, prompt: Prompt) -> Result<PromptScores, Failure> {
        match &self.abilities.losses {
            Ok(losses) => {
                self.http.post_read("completions", &losses.body(&self.name, self.prompt(prompt)), |answer| {
                    losses.scores(answer, prompt.ids)
                })
            }
            Err(why) => Err(Failure::Nonsense(why.clone())),
        }
    }

    /// A greedy continuation of a prompt, of at most `most` tokens and up to one of the texts `stop`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn generate(&self, prompt: Prompt, most: usize, stop: &[String]) -> Result<Text, Failure> {
        let mut body = json!({"model": self.name, "temperature": 0, "seed": 0, "max_tokens": most});
        if !stop.is_empty() {
            body["stop"] = json!(stop);
        }
        if let Some(message) = prompt.message.filter(|_| self.abilities.chat) {
            body["messages"] = json!([{"role": "user", "content": message}]);
            return self.http.post_read("chat/completions", &body, read::chat_text);
        }
        body["prompt"] = self.prompt(prompt);
        self.http.post_read("completions", &body, read::text)
    }

    fn prompt(&self, prompt: Prompt) -> Value {
        match self.abilities.prompts {
            Prompts::Ids => json!(prompt.ids),
            Prompts::Texts => json!(prompt.text),
        }
    }
}
