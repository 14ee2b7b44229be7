//! Text to tokens by tokenizer.json, with byte offsets that include white space, and BOS as the tokenizer's
//! rule says.
//!
//! [`settings`] and [`class`] change parts of the file before it is read, [`added`] has the tokens that are found in a
//! text verbatim.

mod added;
mod class;
mod settings;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer as Inner;

use super::FillIds;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use longcode_base::guard::guarded;
use longcode_base::limits::TEXT_BYTES;
use longcode_base::messages::note_once;

use class::Maker;

/// A text in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids, BOS first if the tokenizer adds one; no EOS.
    pub ids: Vec<u32>,
    /// Start and end byte of each token in the text; BOS is `(0, 0)`.
    pub offsets: Vec<(usize, usize)>,
}

/// A Hugging Face tokenizer.
pub struct Tokenizer {
    inner: Inner,
    /// Prepended if the post-processor does not add it itself.
    bos: Option<u32>,
    /// Removed if the post-processor adds it.
    eos: Option<u32>,
    /// The file that it comes from, for errors.
    file: Option<PathBuf>,
    /// The model has embeddings for ids below this.
    embeddings: usize,
    /// Markers of fill-in-the-middle, if a file names them.
    fill_ids: Option<FillIds>,
}

impl Tokenizer {
    /// Reads the tokenizer of a directory: `tokenizer.json`, and `tokenizer_config.json` if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file.
    pub fn read(dir: &Path) -> Result<Tokenizer> {
        let path = dir.join("tokenizer.json");
        if !path.exists() {
            return Err(Error::new(ErrorKind::Tokenizer, "no tokenizer.json").in_file(dir).fix(
                "save the fast tokenizer there: AutoTokenizer.from_pretrained(...).save_pretrained(DIR)",
            ));
        }
        let mut config = Tokenizer::read_config(dir)?;
        // config.json's own reader reports what is wrong with it.
        let model = read_if_there(&dir.join("config.json")).unwrap_or_default();
        let mut json = read_json(&path)?;
        let model_type = model.get("model_type").and_then(Value::as_str);
        let place = |e: Error| e.in_file(&path).fix("save the fast tokenizer again");
        let adds_bos = settings::take_adds_bos(&mut config).map_err(place)?;
        let maker = class::settle_class(&mut json, &mut config, model_type).map_err(place)?;
        let tokenizer = Tokenizer::made(json, &config, maker).map_err(place)?.of_file(&path);
        tokenizer.note_other_bos(adds_bos, special_token(&config, "bos_token").as_deref())?;
        Ok(tokenizer)
    }

    /// Notes where tokenizer_config.json says otherwise than tokenizer.json what comes before a text.
    fn note_other_bos(&self, adds_bos: Option<bool>, named: Option<&str>) -> Result<()> {
        let bos = self.bos()?;
        if adds_bos.is_some_and(|said| said != bos.is_some()) {
            let (said, puts) = if bos.is_some() { (false, "puts one") } else { (true, "puts none") };
            note_once(&format!(
                "add_bos_token is {said}, but tokenizer.json, which decides, {puts} before a text"
            ));
        }
        if let (Some(bos), Some(named)) = (bos, named)
            && self.id(named) != Some(bos)
        {
            note_once(&format!(
                "bos_token is `{named}`, but tokenizer.json, which decides, puts `{}` before a text",
                self.token(bos).unwrap_or_default()
            ));
        }
        Ok(())
    }

    /// The tokenizer_config.json of a directory, merged with older files next to it.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file.
    pub(crate) fn read_config(dir: &Path) -> Result<Value> {
        settings::with_older_files(read_if_there(&dir.join("tokenizer_config.json"))?, dir)
    }

    /// The files of a directory that its tokenizer is read from: tokenizer.json, and related files next to
    /// it.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file.
    pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
        let [json, config] = ["tokenizer.json", "tokenizer_config.json"].map(|name| dir.join(name));
        let older = settings::older_files(&read_if_there(&config)?, dir);
        Ok([json].into_iter().chain(Some(config).filter(|path| path.exists())).chain(older).collect())
    }

    /// The tokenizer that `tokenizer.json` and `tokenizer_config.json` describe.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`]: not a tokenizer, tokens whose ids disagree, or parts that make a text grow.
    pub fn from_json(json: Value, config: &Value) -> Result<Tokenizer> {
        Tokenizer::made(json, config, Maker::Saved)
    }

    fn made(mut json: Value, config: &Value, maker: Maker) -> Result<Tokenizer> {
        let bad = |what: String| Error::new(ErrorKind::Tokenizer, what);
        settings::settle(&mut json);
        settings::check_growth(&json)?;
        let adds_bos = config.get("add_bos_token") == Some(&Value::Bool(true));
        let splits_special = settings::flag(config, "split_special_tokens")?;
        let own_tokens = added::take(&mut json);
        let mut inner = guarded(|| Inner::from_bytes(json.to_string()).map_err(|e| e.to_string()))
            .flatten()
            .map_err(|e| bad(format!("not a tokenizer: {e}")))?;
        guarded(|| added::add(&mut inner, &own_tokens, config, maker))
            .map_err(|e| bad(format!("its added tokens cannot be read: {e}")))??;
        // Texts of special tokens are then cut like other texts.
        inner.set_encode_special_tokens(splits_special);
        let special = |key: &str| special_token(config, key).and_then(|token| inner.token_to_id(&token));
        let bos = if adds_bos { special("bos_token") } else { None };
        if adds_bos && bos.is_none() {
            return Err(bad("add_bos_token is true and bos_token is not in the vocabulary".into()));
        }
        Ok(Tokenizer {
            bos,
            eos: special("eos_token"),
            inner,
            file: None,
            embeddings: usize::MAX,
            fill_ids: None,
        })
    }

    /// The same, named by its file in errors.
    pub fn of_file(self, path: &Path) -> Tokenizer {
        Tokenizer { file: Some(path.to_path_buf()), ..self }
    }

    /// The same, with the markers of fill-in-the-middle that a file names.
    pub fn with_fill_ids(self, ids: FillIds) -> Tokenizer {
        Tokenizer { fill_ids: Some(ids), ..self }
    }

    /// Those markers, if a file names any.
    pub(crate) fn fill_ids(&self) -> Option<FillIds> {
        self.fill_ids
    }

    /// The tokenizer of a model with this many embeddings. Added tokens beyond them cause a note, and are
    /// refused in a text.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] if the vocabulary itself goes beyond them, or a token that the tokenizer adds
    /// to every text.
    pub fn with_embeddings(mut self, embeddings: usize) -> Result<Tokenizer> {
        let what = |id: u32, whose: &str| {
            let what = format!("{whose} go up to {id}, the model has {embeddings} embeddings");
            let fix = "use the tokenizer that the model was trained with";
            self.named(Error::new(ErrorKind::Tokenizer, what)).fix(fix)
        };
        let top = |added: bool| self.inner.get_vocab(added).into_values().max().unwrap_or(0);
        let always = self.encode("")?.ids.into_iter().max().unwrap_or(0);
        if top(false) as usize >= embeddings {
            return Err(what(top(false), "the tokenizer's ids"));
        }
        if always as usize >= embeddings {
            return Err(what(always, "ids of the tokens that are put around every text"));
        }
        if top(true) as usize >= embeddings {
            note_once(&format!(
                "added tokens go up to id {}, the model has {embeddings} embeddings: a text that holds one of the tokens \
                 beyond is refused",
                top(true)
            ));
        }
        self.embeddings = embeddings;
        Ok(self)
    }

    /// Ids and byte offsets of a text, BOS first if the tokenizer adds one, without EOS.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when the text cannot be tokenized, or has more than [`TEXT_BYTES`].
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

    /// The same for a text that already has its special tokens, such as a rendered chat.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_as_it_stands(&self, text: &str) -> Result<Tokens> {
        self.encoded(text, false).map(|(tokens, _)| tokens)
    }

    /// Tokens, and 1 for each that the post-processor added.
    fn encoded(&self, text: &str, add_special: bool) -> Result<(Tokens, Vec<u32>)> {
        if text.len() > TEXT_BYTES {
            let what =
                format!("a text of {} bytes, and at most {TEXT_BYTES} are made into tokens", text.len());
            return Err(Error::new(ErrorKind::Tokenizer, what).fix("divide it, or leave it out"));
        }
        let encode = || self.inner.encode(text, add_special);
        let encoding = self.guarded("cannot tokenize the text", encode)?;
        if let Some(id) = encoding.get_ids().iter().find(|id| **id as usize >= self.embeddings) {
            let token = self.inner.id_to_token(*id).unwrap_or_default();
            let what = format!("`{token}` is token id {id}, the model has {} embeddings", self.embeddings);
            let fix =
                "leave that token out of the text, or use the tokenizer that the model was trained with";
            return Err(self.named(Error::new(ErrorKind::Tokenizer, what)).fix(fix));
        }
        let tokens = Tokens { ids: encoding.get_ids().to_vec(), offsets: encoding.get_offsets().to_vec() };
        Ok((tokens, encoding.get_special_tokens_mask().to_vec()))
    }

    /// Calls the tokenizers library, which panics if a pattern or a map of the file is damaged.
    fn guarded<T>(&self, what: &str, work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
        let done = guarded(|| work().map_err(|e| e.to_string())).flatten();
        done.map_err(|e| {
            let error = Error::new(ErrorKind::Tokenizer, format!("{what}: {e}"));
            self.named(error)
                .fix("check the file's patterns and maps against the tokenizer.json as it was published")
        })
    }

    /// An error of this tokenizer's file.
    pub(crate) fn named(&self, error: Error) -> Error {
        match &self.file {
            Some(file) => error.in_file(file),
            None => error,
        }
    }

    /// The ids of `text` after the tokens of `context`: a token that would cross the border between them is
    /// cut there.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn continuation(&self, context: &str, text: &str) -> Result<Vec<u32>> {
        let read = self.encode(context)?.ids.len();
        let whole = self.encode(&format!("{context}{text}"))?;
        Ok(whole.ids.get(read..).unwrap_or_default().to_vec())
    }

    /// The text of ids, special tokens left out.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when they have no text.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.guarded("cannot give the text of ids", || self.inner.decode(ids, true))
    }

    /// The text of ids, special tokens included.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        self.guarded("cannot give the text of ids", || self.inner.decode(ids, false))
    }

    /// A token's name in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// A decoder for ids that follow those of `context`.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn after(&self, context: &[u32]) -> Result<After<'_>> {
        let mut kept = context.len().min(8);
        loop {
            let lead = &context[context.len() - kept..];
            let text = self.decode(lead)?;
            // Enough if something is left of it, and it does not begin within a character.
            if kept == context.len()
                || !(text.trim().is_empty() || text.starts_with(char::REPLACEMENT_CHARACTER))
            {
                return Ok(After { tokenizer: self, lead: lead.to_vec(), text });
            }
            kept = (2 * kept).min(context.len());
        }
    }

    /// The id of a token by its text.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The end-of-sequence token that tokenizer_config.json names.
    pub fn end_of_sequence(&self) -> Option<u32> {
        self.eos
    }

    /// The id that every text starts with, if the tokenizer adds one.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn bos(&self) -> Result<Option<u32>> {
        Ok(self.encode("")?.ids.first().copied())
    }

    /// The largest id that the tokenizer can give.
    pub fn max_id(&self) -> u32 {
        self.inner.get_vocab(true).into_values().max().unwrap_or(0)
    }
}

/// Gives the text of ids as it follows earlier ids. Alone they would lose a space: tokenizers of
/// SentencePiece's kind put one before a text, and remove one from the start of what they decode.
pub struct After<'a> {
    tokenizer: &'a Tokenizer,
    /// The last of the earlier ids.
    lead: Vec<u32>,
    /// Their text.
    text: String,
}

impl After<'_> {
    /// The text of ids, special tokens left out.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let whole = self.tokenizer.decode(&[&self.lead, ids].concat())?;
        match whole.strip_prefix(&self.text) {
            Some(text) => Ok(text.to_string()),
            // A decoder that changes earlier text: what the two do not share is new.
            None => {
                let same = whole.chars().zip(self.text.chars()).take_while(|(a, b)| a == b);
                Ok(whole.chars().skip(same.count()).collect())
            }
        }
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

/// A file's JSON, null if there is no file.
fn read_if_there(path: &Path) -> Result<Value> {
    if path.exists() { read_json(path) } else { Ok(Value::Null) }
}

/// A special token of tokenizer_config.json: a string, or an object with `content`.
fn special_token(config: &Value, key: &str) -> Option<String> {
    let token = config.get(key)?;
    let token = token.get("content").unwrap_or(token);
    token.as_str().map(str::to_string)
}

#[cfg(test)]
mod tests;
