//! A model that somebody else serves: asked over HTTP, in the tokens of its tokenizer.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longcode_openai::client::{
    Ended as EndedThere, Failure, Http, Key, Losses, Model, Patience, Prompt, PromptTokens,
};
use serde_json::Value;

use super::{Asked, Need, Passage, Reader, Reply, Subject};
use crate::checkpoint::{Checkpoint, read_chat_template, read_tokenizer};
use crate::config::{EncodingEntry, ServedEntry};
use crate::device::OpenDevice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;
use crate::hash::Hasher;
use crate::model::Seen;
use crate::provenance::{ModelHash, ServedBy};
use crate::run::Account;
use crate::text::{ChatTemplate, Ended, Generation, Limits, TextSide, TokenScores, Tokenizer};

/// What a server is asked about to find what it can do.
const PROBE: &str = "def add(a, b):\n    return a + b\n";

/// A served model that has answered.
pub(crate) struct ServedModel {
    entry: ServedEntry,
    text: ServedText,
    trained_length: usize,
    model: Model,
    /// The id that every text begins with, if the tokenizer adds one.
    bos: Option<u32>,
}

/// The tokenizer's files.
struct ServedText {
    path: PathBuf,
    tokenizer: Tokenizer,
}

impl TextSide for ServedText {
    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn chat_template(&self) -> Result<ChatTemplate> {
        read_chat_template(&self.path)
    }

    fn tokenizer_of(&self, model: &Path) -> Result<Tokenizer> {
        read_tokenizer(model)
    }
}

impl ServedModel {
    /// Asks a server about a model. `tokenizer`: the directory or GGUF file that has the model's.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a key that is not there or an address that is none; [`ErrorKind::Tokenizer`] for a
    /// tokenizer that cannot be read; [`ErrorKind::Model`] when the server does not answer, or has no such model.
    pub(crate) fn open(entry: &ServedEntry, tokenizer: &Path) -> Result<ServedModel> {
        let text = ServedText { path: tokenizer.to_path_buf(), tokenizer: read_tokenizer(tokenizer)? };
        let probe = text.tokenizer.encode(PROBE)?;
        let patience = Patience { answer: entry.timeout(), ..Patience::default() };
        let at_endpoint = |e: &Failure| {
            Error::new(ErrorKind::Model, e.to_string())
                .at(&entry.endpoint)
                .fix("start the server, or correct `endpoint`, `served_as` or the key")
        };
        let http = Http::new(&entry.endpoint, key(entry)?, patience).map_err(|e| {
            Error::new(ErrorKind::Config, e.to_string())
                .at_key("endpoint")
                .fix("give the server's base address, as http://127.0.0.1:8000/v1")
        })?;
        let prompt = Prompt { ids: &probe.ids, text: PROBE, message: None };
        let model = Model::open(http, entry.served_as.as_deref(), prompt).map_err(|e| at_endpoint(&e))?;
        let trained_length = trained_length(entry, tokenizer, &model)?;
        let bos = text.tokenizer.bos()?;
        let mut served = ServedModel { entry: entry.clone(), text, trained_length, model, bos };
        if served.model.abilities().losses.is_ok() {
            let scores = served.model.score(prompt).map_err(|e| at_endpoint(&e))?;
            if let Err(e) = served.check_tokens(&probe.ids, &scores.tokens) {
                let fix = e.fix.unwrap_or_default();
                served.model.refuse_losses(format!("{}: {fix}, if it has another", e.what));
            }
        }
        Ok(served)
    }

    fn served_by(&self) -> ServedBy {
        let losses = match &self.model.abilities().losses {
            Ok(Losses::Echo) => "echo",
            Ok(Losses::PromptLogprobs) => "prompt_logprobs",
            Err(_) => "none",
        };
        ServedBy {
            endpoint: self.entry.endpoint.clone(),
            served_as: self.model.name().into(),
            server: self.model.about().server.clone(),
            losses: losses.into(),
        }
    }
}

/// The key in the environment. Its value is in no message.
fn key(entry: &ServedEntry) -> Result<Option<Key>> {
    let Some(name) = &entry.key_env else { return Ok(None) };
    let wrong = |what: &str| {
        Error::new(ErrorKind::Config, format!("the environment variable {name} {what}"))
            .at_key("key_env")
            .fix(format!("put the server's key into {name}"))
    };
    let value = std::env::var(name).map_err(|_| wrong("is not set"))?;
    Key::new(&value)
        .map(Some)
        .ok_or_else(|| wrong("has no key: it is empty, or has characters that no key has"))
}

/// The trained length, from the first place that has one.
fn trained_length(entry: &ServedEntry, tokenizer: &Path, model: &Model) -> Result<usize> {
    let of_config = || -> Result<Option<usize>> {
        let path = tokenizer.join("config.json");
        if !path.exists() {
            return Ok(None);
        }
        let config: Value = serde_json::from_str(&read_text(&path, ErrorKind::Model)?)
            .map_err(|e| Error::new(ErrorKind::Model, format!("not valid JSON: {e}")).in_file(&path))?;
        // What a model was trained at comes before what its positions are stretched to.
        let places = [
            "/rope_scaling/original_max_position_embeddings",
            "/rope_parameters/original_max_position_embeddings",
            "/original_max_position_embeddings",
            "/max_position_embeddings",
            "/text_config/max_position_embeddings",
        ];
        let length =
            |place: &&str| config.pointer(place).and_then(Value::as_u64).filter(|&length| length > 0);
        Ok(places.iter().find_map(length).map(|length| length as usize))
    };
    if let Some(length) = entry.trained_length {
        return Ok(length);
    }
    let about = model.about();
    if let Some(length) = of_config()?.or(about.trained_length).or(about.most_tokens) {
        return Ok(length);
    }
    Err(Error::new(
        ErrorKind::Config,
        "its trained length is unknown: neither the tokenizer's config.json nor the server says",
    )
    .at_key("trained_length")
    .fix("add trained_length = TOKENS"))
}

impl Subject for ServedModel {
    fn text(&self) -> &dyn TextSide {
        &self.text
    }

    fn trained_length(&self) -> usize {
        self.trained_length
    }

    fn identity(&self, name: &str) -> Result<ModelHash> {
        let mut hasher = Hasher::default();
        let path = &self.text.path;
        let files = if path.is_dir() { Tokenizer::files(path)? } else { vec![path.clone()] };
        for file in files {
            hasher
                .update_file(&file)
                .map_err(|e| Error::new(ErrorKind::Tokenizer, format!("cannot read: {e}")).in_file(&file))?;
        }
        Ok(ModelHash {
            name: name.into(),
            sha256: hasher.finish(),
            trained_length: self.trained_length,
            precision: Default::default(),
            parameters: None,
            vocabulary: None,
            served: Some(self.served_by()),
        })
    }

    fn notes(&self) -> Vec<String> {
        let abilities = self.model.abilities();
        let mut notes = vec![format!("its numbers are from a server: {}", self.served_by().words())];
        if let Err(why) = &abilities.losses {
            notes.push(format!(
                "the server gives no log-probabilities of a prompt ({why}), so no losses and no likelihoods"
            ));
        }
        if !abilities.chat {
            notes.push(
                "the server takes no messages: a chat goes to it in the template of its tokenizer".into(),
            );
        }
        notes
    }

    fn check(&self, encoding: &EncodingSpec) -> Result<Vec<String>> {
        match (encoding.context, &self.model.abilities().completions) {
            (Some(_), Err(why)) => {
                let what =
                    format!("a context cuts prompts by tokens, and the server takes messages alone ({why})");
                Err(Error::new(ErrorKind::Encoding, what).at_key("context").fix("leave it out"))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn follows_length(&self, _encoding: &EncodingSpec) -> bool {
        false
    }

    /// A server keeps what it likes.
    fn shares_prefixes(&self, _encoding: &EncodingSpec) -> bool {
        false
    }

    fn refusal(&self, need: Need) -> Option<String> {
        let abilities = self.model.abilities();
        match need {
            Need::Losses | Need::Candidates => {
                let why = abilities.losses.as_ref().err()?;
                let what = if need == Need::Losses { "losses" } else { "likelihoods of candidates" };
                Some(format!(
                    "the task needs {what}, and the server gives no log-probabilities of a prompt: {why}"
                ))
            }
            Need::Text => {
                let why = abilities.completions.as_ref().err()?;
                Some(format!(
                    "the task has prompts that are no chats, and the server takes messages alone: {why}"
                ))
            }
            Need::Chat => None,
            Need::Details => {
                Some("the task keeps ranks and entropies of tokens, which no server gives".into())
            }
        }
    }

    fn account(&self, _rows: &[&EncodingEntry], _longest: usize) -> Account {
        Account::Requests
    }

    fn connections(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.entry.concurrency)
    }

    fn checkpoint(&self) -> Option<&Checkpoint> {
        None
    }

    fn open<'a>(&'a self, _device: &OpenDevice) -> Result<Box<dyn Reader + 'a>> {
        Ok(Box::new(self))
    }
}

impl ServedModel {
    fn tokenizer(&self) -> &Tokenizer {
        &self.text.tokenizer
    }

    /// Scores of a sequence that is sent whole.
    fn scores(&self, ids: &[u32], text: &str) -> Result<TokenScores> {
        if ids.len() < 2 {
            return Ok(TokenScores::default());
        }
        let prompt = Prompt { ids, text, message: None };
        let scores = self.model.score(prompt).map_err(|e| self.failed(&e))?;
        self.check_tokens(ids, &scores.tokens)?;
        let nll: Vec<f32> = scores.logprobs.iter().map(|logprob| -logprob as f32).collect();
        Ok(TokenScores { nll, correct: scores.greedy, details: None })
    }

    /// Refuses tokens that are not those that were sent.
    fn check_tokens(&self, ids: &[u32], there: &PromptTokens) -> Result<()> {
        let other = |token: usize, there: &str, here: &str| {
            let what = format!("token {token} is {there:?} on the server and {here:?} in the tokenizer");
            Error::new(ErrorKind::Model, what)
                .at(&self.entry.endpoint)
                .fix("give the tokenizer of the model that is served")
        };
        match there {
            PromptTokens::Ids(there) => {
                let differs = ids.iter().zip(there).position(|(here, there)| Some(*here) != *there);
                differs.map_or(Ok(()), |token| {
                    let there = there[token].map_or("none".into(), |id| id.to_string());
                    Err(other(token, &there, &ids[token].to_string()))
                })
            }
            PromptTokens::Texts(texts) => {
                for (token, (id, there)) in ids.iter().zip(texts).enumerate() {
                    let here = self.tokenizer().decode(&[*id])?;
                    if !is_same(&here, there) {
                        return Err(other(token, there, &here));
                    }
                }
                Ok(())
            }
        }
    }

    /// A failure of a request. What the server refuses about one prompt is that sample's.
    fn failed(&self, failure: &Failure) -> Error {
        let kind = match failure {
            Failure::Status(400 | 413 | 422, _) => ErrorKind::Encoding,
            Failure::Status(401..=404, _) | Failure::Redirect(_) => ErrorKind::Model,
            _ => ErrorKind::Compute,
        };
        let fix = "see what the server says, then run the same command again: what was finished is kept";
        Error::new(kind, failure.to_string()).at(&self.entry.endpoint).fix(fix)
    }

    /// The part of a prompt that a context leaves, with the BOS of a document.
    fn within(&self, encoding: &EncodingSpec, ids: &[u32], room: usize) -> Result<Option<Vec<u32>>> {
        let bos = self.bos.is_some();
        let kept = encoding.context.map(|context| context.kept(ids.len(), room, bos)).transpose()?;
        Ok(kept.flatten().map(|kept| self.window(&ids[kept])))
    }

    fn window(&self, ids: &[u32]) -> Vec<u32> {
        let mut window = ids.to_vec();
        if let Some(bos) = self.bos {
            window[0] = bos;
        }
        window
    }

    fn reply(&self, encoding: &EncodingSpec, asked: &Asked) -> Result<Reply> {
        let Passage { ids, text, message, .. } = asked.prompt;
        let cut = self.within(encoding, ids, asked.room)?;
        let cut_text = cut.as_ref().map(|ids| self.tokenizer().decode(ids)).transpose()?;
        let prompt = match (&cut, &cut_text) {
            (Some(ids), Some(text)) => Prompt { ids, text, message: None },
            _ => Prompt { ids, text, message },
        };
        let candidate = |candidate: &Vec<u32>| -> Result<Vec<f64>> {
            let whole = [prompt.ids, candidate].concat();
            let scores =
                self.scores(&whole, &format!("{}{}", prompt.text, self.tokenizer().decode(candidate)?))?;
            Ok(scores.nll[prompt.ids.len() - 1..].iter().map(|&nll| f64::from(nll)).collect())
        };
        let candidates = asked.candidates.iter().map(candidate).collect::<Result<_>>()?;
        let ends: Vec<String> = asked.ends.iter().filter_map(|&id| self.tokenizer().token(id)).collect();
        let written =
            self.model.generate(prompt, asked.limits.max_new_tokens, &ends).map_err(|e| self.failed(&e))?;
        let (text, ended) = ended(written.text, written.ended, asked.limits, &ends);
        let ids = self.tokenizer().encode_as_it_stands(&text)?.ids;
        Ok(Reply { generation: Generation { ids, text, ended }, candidates, keys: None })
    }
}

impl Reader for &ServedModel {
    fn score(
        &self,
        encoding: &EncodingSpec,
        passage: &Passage,
        _detailed: bool,
    ) -> Result<(TokenScores, Option<Seen>)> {
        let windows = encoding.context.filter(|context| passage.ids.len() > context.tokens);
        let Some(context) = windows else { return Ok((self.scores(passage.ids, passage.text)?, None)) };
        let mut scores = TokenScores::default();
        for window in context.windows(passage.ids.len()) {
            let ids = self.window(&passage.ids[window.tokens.clone()]);
            let of_window = self.scores(&ids, &self.tokenizer().decode(&ids)?)?;
            let first = window.predicted.start - 1 - window.tokens.start;
            let predicted = first..first + window.predicted.len();
            scores.nll.extend(&of_window.nll[predicted.clone()]);
            scores.correct.extend(&of_window.correct[predicted]);
        }
        Ok((scores, None))
    }

    fn answer(&self, encoding: &EncodingSpec, asked: &[Asked]) -> Result<Vec<Result<Reply>>> {
        let replies = asked.iter().map(|one| match self.reply(encoding, one) {
            Err(e) if !e.kind.is_of_sample() => Err(e.at(&one.name)),
            reply => Ok(reply),
        });
        replies.collect()
    }
}

/// Whether a server's name of a token may be that of the tokenizer. Names are texts of single tokens, which tokenizers
/// show with and without a leading space; parts of characters and special tokens have no text of their own.
fn is_same(here: &str, there: &str) -> bool {
    let unclear = |text: &str| text.trim().is_empty() || text.contains(char::REPLACEMENT_CHARACTER);
    unclear(here)
        || unclear(there)
        || there.starts_with("bytes:")
        || there.starts_with("token_id:")
        || here.trim() == there.trim()
}

/// A text up to one of its ends or to where the task has all it needs, and why it ended: servers know some of the first,
/// and nothing of the second.
fn ended(mut text: String, there: EndedThere, limits: Limits, ends: &[String]) -> (String, Ended) {
    let end = ends.iter().filter_map(|end| text.find(end.as_str())).min();
    text.truncate(end.unwrap_or(text.len()));
    if (limits.stop)(&text) {
        let mut lengths = text.char_indices().map(|(start, c)| start + c.len_utf8());
        let complete = lengths.find(|&length| (limits.stop)(&text[..length]));
        text.truncate(complete.unwrap_or(text.len()));
        return (text, Ended::Stop);
    }
    match there {
        EndedThere::Length if end.is_none() => (text, Ended::MaxNewTokens),
        _ => (text, Ended::EndOfSequence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_where_the_task_has_all_it_needs() {
        let limits = Limits { max_new_tokens: 9, stop: |text| text.contains('\n') };
        let cut = |text: &str, there| ended(text.into(), there, limits, &["<end>".to_string()]);
        assert_eq!(cut("a\nb\n", EndedThere::Length), ("a\n".into(), Ended::Stop));
        assert_eq!(cut("ab", EndedThere::Length), ("ab".into(), Ended::MaxNewTokens));
        assert_eq!(cut("ab", EndedThere::Stop), ("ab".into(), Ended::EndOfSequence));
        assert_eq!(cut("ab<end>c\n", EndedThere::Length), ("ab".into(), Ended::EndOfSequence));
    }

    #[test]
    fn names_of_tokens() {
        for (here, there, same) in [
            ("foo", " foo", true),
            ("foo", "fo", false),
            ("", "<s>", true),
            ("\u{fffd}", "bytes:\\xe2", true),
            ("foo", "bar", false),
        ] {
            assert_eq!(is_same(here, there), same, "{here:?} {there:?}");
        }
    }
}
