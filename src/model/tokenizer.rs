//! Text to tokens by tokenizer.json, with byte offsets that include white space and BOS by the tokenizer's own rule.

use std::path::Path;

use serde_json::Value;

use super::format;
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;

/// A text in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids, BOS first where the tokenizer adds one; no EOS.
    pub ids: Vec<u32>,
    /// Start and end byte of each token in the text; BOS is `(0, 0)`.
    pub offsets: Vec<(usize, usize)>,
}

/// A Hugging Face tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Prepended where the post-processor does not do it itself.
    bos: Option<u32>,
    /// Removed where the post-processor adds it.
    eos: Option<u32>,
}

impl Tokenizer {
    /// Reads the tokenizer of a checkpoint: of a directory `tokenizer.json` and, where there is one,
    /// `tokenizer_config.json`; of a GGUF file its metadata.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] or, of a damaged GGUF file, [`ErrorKind::Model`], naming the file.
    pub fn read(path: &Path) -> Result<Tokenizer> {
        format::open(path)?.tokenizer()
    }

    /// Reads that of a directory.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file.
    pub(super) fn read_dir(dir: &Path) -> Result<Tokenizer> {
        let path = dir.join("tokenizer.json");
        if !path.exists() {
            return Err(Error::new(ErrorKind::Tokenizer, "no tokenizer.json").in_file(dir).fix(
                "save the fast tokenizer there: AutoTokenizer.from_pretrained(...).save_pretrained(DIR)",
            ));
        }
        let config_path = dir.join("tokenizer_config.json");
        let config = if config_path.exists() { read_json(&config_path)? } else { Value::Null };
        let tokenizer = Tokenizer::from_json(read_json(&path)?, &config);
        tokenizer.map_err(|e| e.in_file(&path).fix("save the fast tokenizer again"))
    }

    /// From what `tokenizer.json` and `tokenizer_config.json` say.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`]: no tokenizer, or BOS is to be added and is not in the vocabulary.
    pub fn from_json(mut json: Value, config: &Value) -> Result<Tokenizer> {
        let bad = |what: String| Error::new(ErrorKind::Tokenizer, what);
        keep_white_space_in_offsets(&mut json);
        keep_the_whole_text(&mut json);
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string())
            .map_err(|e| bad(format!("not a tokenizer: {e}")))?;
        let special = |key: &str| special_token(config, key).and_then(|token| inner.token_to_id(&token));
        let adds_bos = config.get("add_bos_token").and_then(Value::as_bool) == Some(true);
        let bos = if adds_bos { special("bos_token") } else { None };
        if adds_bos && bos.is_none() {
            return Err(bad("add_bos_token is true and bos_token is not in the vocabulary".into()));
        }
        Ok(Tokenizer { bos, eos: special("eos_token"), inner })
    }

    /// Ids and byte offsets of a text, BOS first if the tokenizer adds one, without EOS.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when the text cannot be tokenized.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let (mut tokens, special) = self.encoded(text, true)?;
        if special.last() == Some(&1) && tokens.ids.last().copied() == self.eos {
            tokens.ids.pop();
            tokens.offsets.pop();
        }
        if let Some(bos) = self.bos
            && tokens.ids.first() != Some(&bos)
        {
            tokens.ids.insert(0, bos);
            tokens.offsets.insert(0, (0, 0));
        }
        Ok(tokens)
    }

    /// The same of a text that holds the special tokens that it needs, as a rendered chat.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_as_it_stands(&self, text: &str) -> Result<Tokens> {
        self.encoded(text, false).map(|(tokens, _)| tokens)
    }

    /// Tokens, and 1 for each that the post-processor added.
    fn encoded(&self, text: &str, add_special: bool) -> Result<(Tokens, Vec<u32>)> {
        let encoding = self
            .inner
            .encode(text, add_special)
            .map_err(|e| Error::new(ErrorKind::Tokenizer, format!("cannot tokenize the text: {e}")))?;
        let tokens = Tokens { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() };
        Ok((tokens, encoding.get_special_tokens_mask().to_vec()))
    }

    /// The ids that go on after the tokens of `context`, when `text` follows it: a token that would cross
    /// the border between them is cut there.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn continuation(&self, context: &str, text: &str) -> Result<Vec<u32>> {
        let read = self.encode(context)?.ids.len();
        let whole = self.encode(&format!("{context}{text}"))?;
        Ok(whole.ids.get(read..).unwrap_or_default().to_vec())
    }

    /// The text of generated ids, special tokens left out.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when an id is unknown.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner
            .decode(ids, true)
            .map_err(|e| Error::new(ErrorKind::Tokenizer, format!("cannot give the text of ids: {e}")))
    }

    /// The id of a token by its text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The end-of-sequence token that tokenizer_config.json names.
    pub fn end_of_sequence(&self) -> Option<u32> {
        self.eos
    }

    /// The id that every text starts with, where the tokenizer adds one.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn bos(&self) -> Result<Option<u32>> {
        Ok(self.encode("")?.ids.first().copied())
    }

    /// The largest id that a text can get without naming an added token.
    pub fn max_id_of_texts(&self) -> u32 {
        self.inner.get_vocab(false).into_values().max().unwrap_or(0)
    }

    /// The largest id that the tokenizer can give.
    pub fn max_id(&self) -> u32 {
        self.inner.get_vocab(true).into_values().max().unwrap_or(0)
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let text = read_text(path, ErrorKind::Tokenizer)?;
    serde_json::from_str(&text).map_err(|e| {
        Error::new(ErrorKind::Tokenizer, format!("not valid JSON: {e}"))
            .in_file(path)
            .fix("copy the file again")
    })
}

/// A special token of tokenizer_config.json: a string, or an object with `content`.
fn special_token(config: &Value, key: &str) -> Option<String> {
    let token = config.get(key)?;
    let token = token.get("content").unwrap_or(token);
    token.as_str().map(str::to_string)
}

/// Turns off `trim_offsets` of byte-level post-processors: with it a token of white space alone gets an
/// empty range at its end, and could not be told from the token that follows.
fn keep_white_space_in_offsets(json: &mut Value) {
    fn untrim(processor: &mut Value) {
        if let Some(trim) = processor.get_mut("trim_offsets") {
            *trim = Value::Bool(false);
        }
        if let Some(Value::Array(inner)) = processor.get_mut("processors") {
            inner.iter_mut().for_each(untrim);
        }
    }
    if let Some(processor) = json.get_mut("post_processor") {
        untrim(processor);
    }
}

/// Turns off the truncation and padding of whoever saved the tokenizer: its file keeps them, and a text
/// is neither cut nor filled up here, nor by transformers unless asked.
fn keep_the_whole_text(json: &mut Value) {
    for key in ["truncation", "padding"] {
        if let Some(saved) = json.get_mut(key) {
            *saved = Value::Null;
        }
    }
}
