//! How a prompt is given to a model: unchanged, or as a user's message in the model's chat template.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::chat::{Asked, ChatTemplate};
use super::{TextSide, Tokenizer, Tokens};
use longcode_base::error::Result;

/// How a prompt is given to a model. Written `raw`, `chat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptStyle {
    /// The text alone, for base models.
    #[default]
    Raw,
    /// In the chat template that comes with an instruct model.
    Chat,
}

/// A prompt as a model reads it.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The text, including what a chat template puts around it.
    pub text: String,
    /// Its tokens.
    pub tokens: Tokens,
    /// The byte offsets at which its files begin; what a chat template puts around the prompt counts as
    /// separate files.
    pub file_starts: Vec<usize>,
    /// Where in the text the user's message is, for a chat.
    pub message: Option<Range<usize>>,
    /// Where in the text the question is.
    said: Range<usize>,
    /// Bytes that the template trimmed from the start of the question.
    trimmed: usize,
}

impl Prompt {
    /// Where in the text a byte of the question is.
    pub fn place(&self, byte: usize) -> usize {
        (self.said.start + byte.saturating_sub(self.trimmed)).min(self.said.end)
    }
}

/// Gives prompts to one model.
pub struct PromptFormatter<'a> {
    tokenizer: &'a Tokenizer,
    chat: Option<ChatTemplate>,
}

impl<'a> PromptFormatter<'a> {
    /// A formatter for this style.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Tokenizer`] for [`PromptStyle::Chat`] with a model without a chat template, or
    /// with one that cannot be rendered.
    pub fn new(style: PromptStyle, model: &'a dyn TextSide) -> Result<PromptFormatter<'a>> {
        let chat = match style {
            PromptStyle::Raw => None,
            PromptStyle::Chat => Some(model.chat_template()?),
        };
        // What fails on a letter would fail on every record.
        chat.iter().try_for_each(|chat| chat.ask("a").map(drop))?;
        Ok(PromptFormatter { tokenizer: model.tokenizer(), chat })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &'a Tokenizer {
        self.tokenizer
    }

    /// The prompt of a text whose files begin at `file_starts`.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Tokenizer`] when the text cannot be tokenized, or the chat template
    /// refuses it.
    pub fn ask(&self, text: String, file_starts: Vec<usize>) -> Result<Prompt> {
        let Some(chat) = &self.chat else {
            let (tokens, said) = (self.tokenizer.encode(&text)?, 0..text.len());
            return Ok(Prompt { text, tokens, file_starts, message: None, said, trimmed: 0 });
        };
        let Asked { text: whole, said } = chat.ask(&text)?;
        let trimmed = text.find(&whole[said.clone()]).unwrap_or(0);
        let tokens = self.tokenizer.encode_as_it_stands(&whole)?;
        let message = Some(said.clone());
        let mut prompt = Prompt { text: whole, tokens, file_starts: Vec::new(), message, said, trimmed };
        let starts = file_starts.into_iter().map(|start| prompt.place(start));
        prompt.file_starts = starts.chain([prompt.said.start, prompt.said.end]).collect();
        Ok(prompt)
    }

    /// The tokens of an answer as the continuation of a prompt.
    ///
    /// # Errors
    /// As [`PromptFormatter::ask`].
    pub fn continuation(&self, prompt: &Prompt, answer: &str) -> Result<Vec<u32>> {
        match self.chat {
            None => self.tokenizer.continuation(&prompt.text, answer),
            Some(_) => {
                let whole = self.tokenizer.encode_as_it_stands(&format!("{}{answer}", prompt.text))?;
                Ok(whole.ids.get(prompt.tokens.ids.len()..).unwrap_or_default().to_vec())
            }
        }
    }
}
