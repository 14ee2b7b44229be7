//! The tokenizer of a GGUF file, in the terms of tokenizer.json and tokenizer_config.json.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::pre_tokenizer::{PreTokenizer, byte_level_part};
use super::{Gguf, ending, key_error, needed};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{ChatTemplate, FillIds, Tokenizer};
use longcode_base::messages::note_once;

const MODEL: &str = "tokenizer.ggml.model";
pub(super) const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";

/// Token types of llama.cpp.
const NORMAL: f64 = 1.0;
const UNKNOWN: f64 = 2.0;
const CONTROL: f64 = 3.0;
const USER_DEFINED: f64 = 4.0;

impl Gguf {
    /// The tokenizer.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] or [`ErrorKind::Model`], naming the file and the key: missing, of another
    /// type, or a kind of tokenizer that is not supported.
    pub(super) fn read_tokenizer(&self) -> Result<Tokenizer> {
        let read = || {
            let tokenizer = Tokenizer::from_json(self.tokenizer_json()?, &self.tokenizer_config()?)?;
            Ok(tokenizer.with_fill_ids(self.fill_ids()?))
        };
        read()
            .map(|tokenizer| tokenizer.of_file(&self.path))
            .map_err(|e: Error| e.in_file(&self.path).fix("convert the model again"))
    }

    /// The chat template, if the file has one.
    ///
    /// # Errors
    /// As [`Gguf::read_tokenizer`].
    pub(super) fn read_chat_template(&self) -> Result<Option<ChatTemplate>> {
        let read = || match self.text("tokenizer.chat_template")? {
            Some(source) => {
                Ok(Some(ChatTemplate::new(source.into(), &self.tokenizer_config()?).of_file(&self.path)))
            }
            None => Ok(None),
        };
        read().map_err(|e: Error| e.in_file(&self.path))
    }

    /// Tokens that end a generation.
    ///
    /// # Errors
    /// As [`Gguf::read_tokenizer`].
    pub(super) fn read_end_of_sequence(&self) -> Result<Vec<u32>> {
        let vocabulary = Vocabulary::read(self).map_err(|e| e.in_file(&self.path))?;
        let id = |key: &str| self.token_id(key, &vocabulary).map_err(|e| e.in_file(&self.path));
        ending::ids(&vocabulary.tokens, id)
    }

    /// The markers of fill-in-the-middle that the file names.
    fn fill_ids(&self) -> Result<FillIds> {
        let vocabulary = Vocabulary::read(self)?;
        let id = |part: &str| -> Result<Option<u32>> {
            let found = self.token_id(&format!("tokenizer.ggml.fim_{part}_token_id"), &vocabulary)?;
            Ok(found.map(|id| id as u32))
        };
        Ok(FillIds {
            prefix: id("pre")?,
            suffix: id("suf")?,
            middle: id("mid")?,
            pad: id("pad")?,
            repository: id("rep")?,
            separator: id("sep")?,
        })
    }

    /// The id under a key.
    fn token_id(&self, key: &str, vocabulary: &Vocabulary<'_>) -> Result<Option<usize>> {
        let Some(id) = self.whole(key)? else { return Ok(None) };
        match vocabulary.token(id) {
            Some(_) => Ok(Some(id)),
            None => Err(key_error(key, format!("there is no token {id}"))),
        }
    }

    /// How a text is cut before merging.
    fn pre_tokenizer(&self, tokens: usize) -> Result<PreTokenizer> {
        /// Tokens of Llama 3: files of its first weeks do not name its pre-tokenizer.
        const LLAMA_3: usize = 128_256;
        match self.text(PRE)? {
            None | Some("default") if tokens == LLAMA_3 => {
                note_once(&format!(
                    "{} does not name its pre-tokenizer; by its {LLAMA_3} tokens it is Llama 3's",
                    self.path.display()
                ));
                PreTokenizer::named("llama-bpe")
            }
            None | Some("default") => {
                let what = "the file does not say how a text is cut before its tokens are looked for";
                let fix = "convert the model again, or name it: gguf_new_metadata.py --pre-tokenizer NAME";
                Err(unsupported(PRE, what.into(), fix))
            }
            Some(name) => PreTokenizer::named(name),
        }
    }

    fn tokenizer_json(&self) -> Result<Value> {
        let vocabulary = Vocabulary::read(self)?;
        let mut json = match needed(MODEL, self.text(MODEL))? {
            "gpt2" => self.byte_level(&vocabulary)?,
            "llama" => self.sentence_piece(&vocabulary)?,
            other => {
                let fix = "use a model with a byte-level (gpt2) or SentencePiece (llama) tokenizer";
                return Err(unsupported(MODEL, format!("tokenizer {other} is not supported"), fix));
            }
        };
        json["added_tokens"] = vocabulary.added_tokens();
        Ok(json)
    }

    /// Byte-level BPE, as in GPT-2 and most models since.
    fn byte_level(&self, vocabulary: &Vocabulary<'_>) -> Result<Value> {
        let pre = self.pre_tokenizer(vocabulary.tokens.len())?;
        let merges = needed(MERGES, self.texts(MERGES))?;
        Ok(json!({
            "normalizer": pre.normalizer(),
            "pre_tokenizer": pre.to_json(),
            "decoder": byte_level_part(true),
            "model": {
                "type": "BPE",
                "vocab": vocabulary.ids(),
                "merges": pairs(&merges)?,
                "ignore_merges": pre.takes_whole_words,
            },
        }))
    }

    /// SentencePiece BPE with bytes for what it lacks, as in Llama 2: spaces become `▁`, and one is put
    /// first.
    fn sentence_piece(&self, vocabulary: &Vocabulary<'_>) -> Result<Value> {
        let merges = match self.texts(MERGES)? {
            Some(merges) => pairs(&merges)?,
            None => vocabulary.merges(&needed(SCORES, self.numbers(SCORES))?)?,
        };
        let prefix = self.flag("tokenizer.ggml.add_space_prefix")? != Some(false);
        let mut normalizers = vec![json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})];
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if prefix {
            normalizers.insert(0, json!({"type": "Prepend", "prepend": "▁"}));
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        Ok(json!({
            "normalizer": {"type": "Sequence", "normalizers": normalizers},
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {
                "type": "BPE",
                "unk_token": vocabulary.token(self.whole("tokenizer.ggml.unknown_token_id")?.unwrap_or(0)),
                "fuse_unk": true,
                "byte_fallback": true,
                "vocab": vocabulary.ids(),
                "merges": merges,
            },
        }))
    }

    /// BOS, EOS, and whether BOS comes first: as the file says, or otherwise llama.cpp's default.
    fn tokenizer_config(&self) -> Result<Value> {
        let vocabulary = Vocabulary::read(self)?;
        let special = |key: &str| -> Result<Option<&str>> {
            Ok(self.token_id(key, &vocabulary)?.and_then(|id| vocabulary.token(id)))
        };
        const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
        let adds_bos = match (self.flag(ADD_BOS)?, self.text(MODEL)?) {
            (Some(said), _) => said,
            (None, Some("gpt2")) => self.pre_tokenizer(vocabulary.tokens.len())?.adds_bos,
            (None, _) => true,
        };
        if adds_bos && self.whole("tokenizer.ggml.bos_token_id")?.is_none() {
            return Err(key_error(ADD_BOS, "BOS comes first, and no bos_token_id says what it is"));
        }
        Ok(json!({
            "bos_token": special("tokenizer.ggml.bos_token_id")?,
            "eos_token": special("tokenizer.ggml.eos_token_id")?,
            "add_bos_token": adds_bos,
        }))
    }
}

pub(super) fn unsupported(key: &str, what: String, fix: &str) -> Error {
    Error::new(ErrorKind::Tokenizer, what).at(format_args!("metadata `{key}`")).fix(fix)
}

/// `["a", "b"]` for `a b`.
fn pairs(merges: &[&str]) -> Result<Vec<Value>> {
    merges
        .iter()
        .enumerate()
        .map(|(number, merge)| match merge.split_once(' ') {
            Some((left, right)) => Ok(json!([left, right])),
            None => {
                Err(key_error(MERGES, format!("`{merge}` is not two tokens"))
                    .at(format_args!("merge {number}")))
            }
        })
        .collect()
}

/// Tokens and their types, by id.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    types: Vec<f64>,
}

impl<'a> Vocabulary<'a> {
    fn read(file: &'a Gguf) -> Result<Vocabulary<'a>> {
        let tokens = needed(TOKENS, file.texts(TOKENS))?;
        let types = file.numbers(TOKEN_TYPES)?.unwrap_or_else(|| vec![NORMAL; tokens.len()]);
        same_length(TOKEN_TYPES, types.len(), tokens.len())?;
        Ok(Vocabulary { tokens, types })
    }

    fn token(&self, id: usize) -> Option<&'a str> {
        self.tokens.get(id).copied()
    }

    fn ids(&self) -> Map<String, Value> {
        self.tokens.iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect()
    }

    /// Tokens that are found in a text verbatim.
    fn added_tokens(&self) -> Value {
        let tokens = self.tokens.iter().zip(&self.types).enumerate();
        // What ends a generation is a control token, even if its file calls it normal.
        let added = tokens.filter(|(_, (token, kind))| {
            [UNKNOWN, CONTROL, USER_DEFINED].contains(kind) || ending::is_named(token)
        });
        let added = added.map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "special": *kind != USER_DEFINED || ending::is_named(token),
                "normalized": false, "single_word": false, "lstrip": false, "rstrip": false,
            })
        });
        added.collect()
    }

    /// The merges that SentencePiece would make: every way to make a token from two others, the token with
    /// the highest score first.
    fn merges(&self, scores: &[f64]) -> Result<Vec<Value>> {
        same_length(SCORES, scores.len(), self.tokens.len())?;
        let normal = |id: &usize| self.types[*id] == NORMAL;
        let ids: HashMap<&str, usize> =
            (0..self.tokens.len()).filter(normal).map(|id| (self.tokens[id], id)).collect();
        let mut merges = Vec::new();
        for id in (0..self.tokens.len()).filter(normal) {
            let token = self.tokens[id];
            let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
            let mut found: Vec<_> =
                cuts.filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?))).collect();
            found.sort_unstable();
            merges.extend(
                found.into_iter().map(|(left, right)| (scores[id], self.tokens[left], self.tokens[right])),
            );
        }
        let length = |token: &str| token.chars().count();
        merges.sort_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then_with(|| length(b.1).cmp(&length(a.1)))
                .then_with(|| length(b.2).cmp(&length(a.2)))
        });
        Ok(merges.into_iter().map(|(_, left, right)| json!([left, right])).collect())
    }
}

fn same_length(key: &str, length: usize, tokens: usize) -> Result<()> {
    if length == tokens {
        Ok(())
    } else {
        Err(key_error(key, format!("{length} entries for {tokens} tokens")))
    }
}
