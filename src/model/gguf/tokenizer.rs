//! The tokenizer of a GGUF file as tokenizer.json and tokenizer_config.json would say it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{Gguf, key_error, needed};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Tokenizer;
use crate::model::chat::ChatTemplate;

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";

/// Token types of llama.cpp.
const NORMAL: f64 = 1.0;
const UNKNOWN: f64 = 2.0;
const CONTROL: f64 = 3.0;
const USER_DEFINED: f64 = 4.0;

/// Contractions, words with one leading character, numbers, punctuation, line ends, white space: how Llama 3
/// and Qwen2 cut a text, with the number pattern between.
const CUT: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// How GPT-4o and Phi-4 cut a text: words in the case that they are in, numbers of three, punctuation, white space.
const CUT_BY_CASE: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

impl Gguf {
    /// The tokenizer.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] or [`ErrorKind::Model`], naming the file and the key: missing, of another
    /// type, or a kind of tokenizer that is not supported.
    pub(super) fn read_tokenizer(&self) -> Result<Tokenizer> {
        let read = || Tokenizer::from_json(self.tokenizer_json()?, &self.tokenizer_config()?);
        read().map_err(|e: Error| e.in_file(&self.path).fix("convert the model again"))
    }

    /// The chat template, if the file has one.
    ///
    /// # Errors
    /// As [`Gguf::read_tokenizer`].
    pub(super) fn read_chat_template(&self) -> Result<Option<ChatTemplate>> {
        let read = || match self.text("tokenizer.chat_template")? {
            Some(source) => Ok(Some(ChatTemplate::new(source.into(), &self.tokenizer_config()?))),
            None => Ok(None),
        };
        read().map_err(|e: Error| e.in_file(&self.path))
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

    /// Byte-level BPE, as GPT-2 and most since.
    fn byte_level(&self, vocabulary: &Vocabulary<'_>) -> Result<Value> {
        let pre = self.text(PRE)?.unwrap_or("default");
        let merges = needed(MERGES, self.texts(MERGES))?;
        Ok(json!({
            "normalizer": (pre == "qwen2").then(|| json!({"type": "NFC"})),
            "pre_tokenizer": pre_tokenizer(pre)?,
            "decoder": byte_level_part(true),
            "model": {
                "type": "BPE",
                "vocab": vocabulary.ids(),
                "merges": pairs(&merges)?,
                "ignore_merges": takes_whole_words(pre),
            },
        }))
    }

    /// SentencePiece BPE with bytes for what it lacks, as Llama 2: spaces become `▁`, and one comes first.
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

    /// BOS, EOS, and whether BOS comes first: as the file says, else as llama.cpp takes it.
    fn tokenizer_config(&self) -> Result<Value> {
        let vocabulary = Vocabulary::read(self)?;
        let special = |key: &str| -> Result<Option<&str>> {
            let Some(id) = self.whole(key)? else { return Ok(None) };
            let token = vocabulary.token(id);
            token.map(Some).ok_or_else(|| key_error(key, format!("there is no token {id}")))
        };
        let adds_bos = self
            .flag("tokenizer.ggml.add_bos_token")?
            .unwrap_or(self.text(MODEL)? == Some("llama") || self.text(PRE)?.is_some_and(takes_whole_words));
        Ok(json!({
            "bos_token": special("tokenizer.ggml.bos_token_id")?,
            "eos_token": special("tokenizer.ggml.eos_token_id")?,
            "add_bos_token": adds_bos,
        }))
    }
}

fn unsupported(key: &str, what: String, fix: &str) -> Error {
    Error::new(ErrorKind::Tokenizer, what).at(format_args!("metadata `{key}`")).fix(fix)
}

/// Llama 3's tokenizer, under the names that llama.cpp knows it by: it takes a word that is in the
/// vocabulary without looking for merges, and adds BOS.
fn takes_whole_words(pre: &str) -> bool {
    matches!(pre, "llama-bpe" | "llama3" | "llama-v3")
}

/// How a text is cut before merging, by llama.cpp's name for it.
fn pre_tokenizer(pre: &str) -> Result<Value> {
    let cut_by = |numbers: &str| split(&CUT.join(numbers));
    let digits = || json!({"type": "Digits", "individual_digits": true});
    let parts = match pre {
        "gpt-2" | "default" => vec![byte_level_part(true)],
        "smollm" | "starcoder" | "refact" => vec![digits(), byte_level_part(true)],
        "qwen2" => vec![cut_by(r"\p{N}"), byte_level_part(false)],
        pre if takes_whole_words(pre) => vec![cut_by(r"\p{N}{1,3}"), byte_level_part(false)],
        "gpt-4o" => vec![split(CUT_BY_CASE), byte_level_part(false)],
        "deepseek-coder" => vec![
            split(r"[\r\n]"),
            split(r"\s?\p{L}+"),
            split(r"\s?\p{P}+"),
            split(r"[一-龥ࠀ-一가-퟿]+"),
            digits(),
            byte_level_part(false),
        ],
        other => {
            let fix = "use a model with the pre-tokenizer of GPT-2, SmolLM, StarCoder, Llama 3, Qwen2, GPT-4o or \
                       DeepSeek-Coder, or its Hugging Face directory";
            return Err(unsupported(PRE, format!("pre-tokenizer {other} is not supported"), fix));
        }
    };
    Ok(json!({"type": "Sequence", "pretokenizers": parts}))
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

/// Bytes as letters; with GPT-2's own pattern or without.
fn byte_level_part(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": use_regex})
}

/// `["a", "b"]` for `a b`.
fn pairs(merges: &[&str]) -> Result<Vec<Value>> {
    let pair = |(number, merge): (usize, &&str)| match merge.split_once(' ') {
        Some((left, right)) => Ok(json!([left, right])),
        None => {
            Err(key_error(MERGES, format!("`{merge}` is not two tokens")).at(format_args!("merge {number}")))
        }
    };
    merges.iter().enumerate().map(pair).collect()
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

    /// Tokens that are found in a text as they stand.
    fn added_tokens(&self) -> Value {
        let tokens = self.tokens.iter().zip(&self.types).enumerate();
        let added = tokens.filter(|(_, (_, kind))| [UNKNOWN, CONTROL, USER_DEFINED].contains(kind));
        let added = added.map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "special": *kind != USER_DEFINED,
                "normalized": false, "single_word": false, "lstrip": false, "rstrip": false,
            })
        });
        added.collect()
    }

    /// The merges that SentencePiece would make: every way to put a token together from two others, the
    /// token of the highest score first.
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
    match length == tokens {
        true => Ok(()),
        false => Err(key_error(key, format!("{length} entries for {tokens} tokens"))),
    }
}
