//! What a choice has so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Refusal;
use super::models::{Ended, Event, Models, TokenScore};

/// New tokens after which the text so far stands, so that a long text is not made again for each of its tokens.
const SETTLED: usize = 64;

/// A choice under way, or done.
pub(super) struct Output {
    model: usize,
    stop: Vec<String>,
    /// The prompt's tokens and the new ones.
    sequence: Vec<u32>,
    /// Where among them the text that may change begins.
    settled: usize,
    /// The text before that.
    settled_text: String,
    /// The text of the new tokens, up to a stop string.
    pub(super) text: String,
    /// How much of it was handed out, bytes.
    given: usize,
    /// Scores of the prompt's tokens but the first, if requested.
    pub(super) of_prompt: Vec<TokenScore>,
    /// Scores of new tokens, with the one that ended the text.
    pub(super) of_new: Vec<TokenScore>,
    /// Where in the text each of these begins, bytes.
    pub(super) starts: Vec<usize>,
    pub(super) ended: Option<Ended>,
    /// Tells whoever computes that the choice has ended.
    enough: Arc<AtomicBool>,
}

impl Output {
    pub(super) fn new(model: usize, prompt: Vec<u32>, stop: Vec<String>) -> Output {
        Output {
            model,
            stop,
            settled: prompt.len(),
            sequence: prompt,
            settled_text: String::new(),
            text: String::new(),
            given: 0,
            of_prompt: Vec::new(),
            of_new: Vec::new(),
            starts: Vec::new(),
            ended: None,
            enough: Arc::default(),
        }
    }

    /// What says that the choice has ended.
    pub(super) fn enough(&self) -> Arc<AtomicBool> {
        self.enough.clone()
    }

    /// Takes an event.
    ///
    /// # Errors
    /// [`Refusal`] of a job that failed.
    pub(super) fn take(&mut self, event: Event, models: &impl Models) -> Result<(), Refusal> {
        match event {
            Event::Prompt(scores) => self.of_prompt = scores,
            Event::Token(score) => {
                self.sequence.push(score.id);
                self.note(score);
                self.extend_text(models)?;
                if let Some(end) = self.first_stop() {
                    self.text.truncate(end);
                    self.end(Ended::Stop);
                }
            }
            Event::EndOfText(score) => {
                self.note(score);
                self.end(Ended::Stop);
            }
            Event::End(ended) => self.end(ended),
            Event::Failed(refusal) => return Err(refusal),
        }
        Ok(())
    }

    /// Where the first stop string begins. What was searched before is not searched again, but for its end.
    fn first_stop(&self) -> Option<usize> {
        let longest = self.stop.iter().map(String::len).max()?;
        let before = self.starts.last().copied().unwrap_or(0).min(self.text.len());
        let from = self.text.floor_char_boundary(before.saturating_sub(longest));
        self.stop.iter().filter_map(|stop| self.text[from..].find(stop.as_str())).min().map(|at| from + at)
    }

    fn note(&mut self, score: TokenScore) {
        self.starts.push(self.text.len());
        self.of_new.push(score);
    }

    fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Makes the text of the new tokens.
    fn extend_text(&mut self, models: &impl Models) -> Result<(), Refusal> {
        let (before, new) = self.sequence.split_at(self.settled);
        let of_new = models.after(self.model, before, new)?;
        let is_whole = !of_new.ends_with(char::REPLACEMENT_CHARACTER);
        self.text = format!("{}{of_new}", self.settled_text);
        if new.len() >= SETTLED && is_whole {
            self.settled = self.sequence.len();
            self.settled_text.clone_from(&self.text);
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
            let unsure = self.text.get(self.given..end).unwrap_or_default();
            let held =
                unsure.char_indices().map(|(start, _)| self.given + start).find(|&from| starts_stop(from));
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
