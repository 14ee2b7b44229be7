//! The text side of a language model: what it reads and writes, without the network.
//!
//! [`tokenizer`] reads tokenizer.json as transformers does; [`chat`] renders a model's chat template; [`ask`]
//! puts a prompt to a model in the one way or the other; [`answer`] is what may come back;
//! [`FillMarkers`] are what a model knows a gap by. [`TextSide`] is
//! all that a task knows of a model.
//!
//! ```
//! use longcode_text::ChatTemplate;
//! use longcode_text::chat::Message;
//!
//! let source = "{{ bos_token }}{% for message in messages %}[{{ message.role }}] {{ message.content }} {% endfor %}";
//! let config = serde_json::json!({"bos_token": "<s>"});
//! let template = ChatTemplate::new(source.into(), &config);
//! assert_eq!(template.render(&[Message::user("What is 1 + 1?")])?, "<s>[user] What is 1 + 1? ");
//! # Ok::<(), longcode_base::error::Error>(())
//! ```
//!
//! [`Tokenizer`], [`ChatTemplate`], [`PromptFormatter`], [`TextSide`] and the types of [`answer`] are the stable face of this crate.

pub mod answer;
pub mod ask;
pub mod chat;
mod fill;
mod side;
pub mod tokenizer;

pub use answer::{Ended, Generation, Limits, TokenDetails, TokenScores};
pub use ask::{Prompt, PromptFormatter, PromptStyle};
pub use chat::ChatTemplate;
pub use fill::{FillIds, FillMarkers, FillOrder, FillPart};
pub use side::{TextDirectory, TextSide, no_chat_template};
pub use tokenizer::{Tokenizer, Tokens};
