//! What a choice has so far.

use super::Refusal;
use super::models::{Ended, Event, Models, TokenScore};

/// A choice under way, or done.
pub(super) struct Output {
    model: usize,
    prompt: Vec<u32>,
    stop: Vec<String>,
    /// New tokens.
    pub(super) ids: Vec<u32>,
    /// Their text, up to a stop string.
    pub(super) text: String,
    /// How much of it was handed out, bytes.
    given: usize,
    /// Scores of the prompt's tokens but the first, if requested.
    pub(super) of_prompt: Vec<TokenScore>,
    /// Scores of new tokens.
    pub(super) of_new: Vec<TokenScore>,
    pub(super) ended: Option<Ended>,
}

impl Output {
    pub(super) fn new(model: usize, prompt: Vec<u32>, stop: Vec<String>) -> Output {
        Output {
            model,
            prompt,
            stop,
            ids: Vec::new(),
            text: String::new(),
            given: 0,
            of_prompt: Vec::new(),
            of_new: Vec::new(),
            ended: None,
        }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// [`Refusal`] of a job that failed.
    pub(super) fn take(&mut self, event: Event, models: &dyn Models) -> Result<(), Refusal> {
        match event {
            Event::Prompt(scores) => self.of_prompt = scores,
            Event::Token(score) => {
                self.ids.push(score.id);
                self.of_new.push(score);
                self.text = models.after(self.model, &self.prompt, &self.ids)?;
                let first = self.stop.iter().filter_map(|stop| self.text.find(stop.as_str())).min();
                if let Some(end) = first {
                    self.text.truncate(end);
                    self.ended = Some(Ended::Stop);
                }
            }
            Event::End(ended) => self.ended = Some(ended),
            Event::Failed(refusal) => return Err(refusal),
        }
        Ok(())
    }

    /// The part of the text that is certain and was not handed out yet: not a character's first bytes, nor what may be
    /// the start of a stop string.
    pub(super) fn next_piece(&mut self) -> String {
        let mut end = self.text.len();
        if self.ended.is_none() {
            end = self.text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
            let starts_stop =
                |from: usize| self.stop.iter().any(|stop| stop.starts_with(&self.text[from..end]));
            let held = self.text[..end]
                .char_indices()
                .map(|(start, _)| start)
                .find(|&from| from >= self.given && starts_stop(from));
            end = held.unwrap_or(end);
        }
        // A decoder may change what came before: what was handed out stays.
        if end <= self.given || !self.text.is_char_boundary(self.given) {
            return String::new();
        }
        let piece = self.text[self.given..end].to_string();
        self.given = end;
        piece
    }
}
