//! Added tokens: those of tokenizer.json, and those that only tokenizer_config.json names, as transformers
//! adds them.

use std::collections::HashSet;
use std::mem::replace;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::Inner;
use super::class::Maker;
use super::settings::{DECODER, EXTRA, EXTRA_OF_OLD, OLDER_ADDED};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits::ADDED_TOKENS;
use longcode_base::messages::note_once;

/// Special tokens by their names in tokenizer_config.json, in the order in which they are added.
pub(super) const SPECIAL: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A token that some file names.
#[derive(Debug, Clone, Default)]
struct Named {
    text: String,
    special: bool,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    /// Whether it is found in the normalized text; unless given, special tokens are not.
    normalized: Option<bool>,
    /// Whether the file has its text alone, without flags.
    text_alone: bool,
    /// The id that the file gives it.
    id: Option<u32>,
    /// Its place in the file.
    place: String,
}

impl Named {
    /// Whether the two are equal in transformers, where a text equals no object.
    fn equals(&self, other: &Named) -> bool {
        self.text == other.text
            && self.text_alone == other.text_alone
            && self.token_flags() == other.token_flags()
    }

    fn token_flags(&self) -> [bool; 5] {
        let normalized = self.normalized.unwrap_or(!self.special);
        [self.special, self.single_word, self.lstrip, self.rstrip, normalized]
    }

    fn token(&self) -> AddedToken {
        AddedToken::from(self.text.as_str(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}

/// Takes `added_tokens` out of a tokenizer.json, to be added all at once.
pub(super) fn take(json: &mut Value) -> Value {
    json.get_mut("added_tokens").map(|tokens| replace(tokens, Value::Array(Vec::new()))).unwrap_or_default()
}

/// Adds the tokens that the files name, in the order and with the flags of transformers
/// (`PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__`): the known ones by id, which are
/// those of `added_tokens_decoder` or, if that key is missing, of tokenizer.json and the older
/// added_tokens.json; then special tokens that are still missing. A special token that is there keeps its flags.
///
/// # Errors
/// [`ErrorKind::Tokenizer`], naming the key, for another type, too many tokens, or an id that differs from
/// the tokenizer's for that token.
pub(super) fn add(inner: &mut Inner, own: &Value, config: &Value, maker: Maker) -> Result<()> {
    /// The file that `config` is from, relative to tokenizer.json.
    const BESIDE: &str = "beside it, tokenizer_config.json";
    let own = own_tokens(own)?;
    let beside = |e: Error| e.at(BESIDE);
    let decoder = by_id(config, DECODER).map_err(beside)?;
    let older = by_id(config, OLDER_ADDED).map_err(beside)?;
    let (named, extra) = (special(config).map_err(beside)?, extra(config).map_err(beside)?);
    let in_config = [&decoder, &older].into_iter().flatten().flatten();
    let in_config: Vec<Named> = in_config.cloned().collect();
    let count = own.len() + in_config.len() + named.len() + extra.len();
    if count > ADDED_TOKENS {
        return Err(bad(format!("{count} added tokens; at most {ADDED_TOKENS} are read"), "added_tokens"));
    }
    let known = decoder.unwrap_or_else(|| with_own(older.unwrap_or_default(), &own));
    match maker {
        Maker::Saved => add_all(inner, &own)?,
        Maker::Class { .. } => tell_of_lost(&own, &known),
    }
    let special = [named.clone(), extra].concat();
    let mut all = with_missing(inner, &known, &named, &special);
    if maker == (Maker::Class { plain_special: true }) {
        make_plain(&mut all, &special);
    }
    add_all(inner, &all)?;
    check_ids(inner, &own)?;
    check_ids(inner, &in_config).map_err(beside)
}

fn add_all(inner: &mut Inner, tokens: &[Named]) -> Result<()> {
    let added = inner.add_tokens(tokens.iter().map(Named::token));
    added.map(|_| ()).map_err(|e| bad(e.to_string(), "added_tokens"))
}

fn texts(tokens: &[Named]) -> HashSet<&str> {
    tokens.iter().map(|named| named.text.as_str()).collect()
}

/// Tokens of added_tokens.json and tokenizer.json by id; the flags are those of tokenizer.json.
fn with_own(older: Vec<Named>, own: &[Named]) -> Vec<Named> {
    let own_texts = texts(own);
    let mut known: Vec<Named> =
        older.into_iter().filter(|named| !own_texts.contains(named.text.as_str())).collect();
    known.extend_from_slice(own);
    known.sort_by_key(|named| named.id);
    known
}

/// Notes which tokens of tokenizer.json a class leaves out that makes its tokenizer from the vocabulary.
fn tell_of_lost(own: &[Named], known: &[Named]) {
    let known = texts(known);
    let lost = own.iter().filter(|named| !known.contains(named.text.as_str()));
    let lost: Vec<String> = lost.map(|named| format!("`{}`", named.text)).collect();
    if !lost.is_empty() {
        note_once(&format!(
            "tokenizer.json adds {}, and the {DECODER} of tokenizer_config.json, which decides for its tokenizer_class, \
             does not: no added tokens, as in transformers",
            shortened(&lost)
        ));
    }
}

/// The first few of a list.
fn shortened(texts: &[String]) -> String {
    const FEW: usize = 5;
    match texts.len().checked_sub(FEW).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", texts[..FEW].join(", ")),
        None => texts.join(", "),
    }
}

/// The known tokens, and special ones that are neither known nor there. Of one that is named twice the flags of
/// the last place count; but a place that equals an earlier one does not.
fn with_missing(inner: &Inner, known: &[Named], named: &[Named], special: &[Named]) -> Vec<Named> {
    let there = inner.get_added_vocabulary().get_vocab();
    let is_named = texts(named);
    let is_known = texts(known);
    let is_missing =
        |token: &&Named| !there.contains_key(&token.text) && !is_known.contains(token.text.as_str());
    let mut missing: Vec<Named> = Vec::new();
    for token in special.iter().filter(is_missing) {
        if !missing.iter().any(|earlier| earlier.equals(token)) {
            missing.push(token.clone());
        }
    }
    let mut all = [known, &missing[..]].concat();
    for token in &mut all {
        token.special |= is_named.contains(token.text.as_str());
    }
    all
}

/// Makes special tokens be found as they stand, whatever their flags are.
fn make_plain(all: &mut [Named], special: &[Named]) {
    let special = texts(special);
    for token in all.iter_mut().filter(|token| special.contains(token.text.as_str())) {
        let (text, place) = (token.text.clone(), token.place.clone());
        *token = Named { text, place, id: token.id, special: true, ..Named::default() };
    }
}

/// Refuses tokens whose id in a file differs from the tokenizer's.
fn check_ids(inner: &Inner, tokens: &[Named]) -> Result<()> {
    for Named { text, id, place, .. } in tokens {
        let has = inner.token_to_id(text);
        if let (Some(id), Some(has)) = (id, has)
            && *id != has
        {
            let what = format!("`{text}` is token {id} there, and token {has} for the tokenizer");
            return Err(
                bad(what, place).fix("save the tokenizer again, or use the files as they were published")
            );
        }
    }
    Ok(())
}

fn bad(what: String, place: &str) -> Error {
    Error::new(ErrorKind::Tokenizer, what).at_key(place)
}

/// `added_tokens` of a tokenizer.json.
fn own_tokens(tokens: &Value) -> Result<Vec<Named>> {
    const KEY: &str = "added_tokens";
    let tokens = match tokens {
        Value::Null => return Ok(Vec::new()),
        Value::Array(tokens) => tokens,
        _ => return Err(bad("added_tokens is not a list".into(), KEY)),
    };
    tokens
        .iter()
        .map(|value| {
            let mut named = token(value, KEY)?;
            let id = value.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
            let what = || format!("`{}` has no id", named.text);
            named.id = Some(id.ok_or_else(|| bad(what(), KEY))?);
            Ok(named)
        })
        .collect()
}

/// An object of tokens by their ids; none if the key is missing.
fn by_id(config: &Value, key: &str) -> Result<Option<Vec<Named>>> {
    let Some(tokens) = object(config, key)? else { return Ok(None) };
    let mut named = Vec::new();
    for (id, value) in tokens {
        let place = format!("{key}.{id}");
        let id = id.trim().parse().map_err(|_| bad(format!("`{id}` is not an id"), key))?;
        let token = token(value, &place)?;
        if !value.is_object() {
            return Err(bad("a token in it is not an object".into(), &place));
        }
        named.push(Named { id: Some(id), ..token });
    }
    named.sort_by_key(|named| named.id);
    Ok(Some(named))
}

/// Special tokens by name: those that every tokenizer has, then the model's own.
fn special(config: &Value) -> Result<Vec<Named>> {
    let Some(keys) = config.as_object() else { return Ok(Vec::new()) };
    let mut named = Vec::new();
    for key in SPECIAL {
        if let Some(value) = keys.get(key).filter(|value| !value.is_null()) {
            named.push(special_token(value, key)?);
        }
    }
    let own = |(key, value): &(&String, &Value)| {
        key.ends_with("_token") && !SPECIAL.contains(&key.as_str()) && (value.is_string() || is_token(value))
    };
    for (key, value) in keys.iter().filter(own) {
        named.push(special_token(value, key)?);
    }
    if let Some(Value::Object(tokens)) = keys.get(EXTRA) {
        for (name, value) in tokens {
            named.push(special_token(value, &format!("{EXTRA}.{name}"))?);
        }
    }
    Ok(named)
}

/// Special tokens without names of their own.
fn extra(config: &Value) -> Result<Vec<Named>> {
    let is_given = |key: &&str| match config.get(*key) {
        None | Some(Value::Null) => false,
        Some(Value::Array(tokens)) => !tokens.is_empty(),
        Some(_) => true,
    };
    let Some(key) = [EXTRA, EXTRA_OF_OLD].into_iter().find(is_given) else {
        return Ok(Vec::new());
    };
    match &config[key] {
        Value::Array(tokens) => tokens.iter().map(|value| special_token(value, key)).collect(),
        Value::Object(_) if key == EXTRA => Ok(Vec::new()),
        _ => Err(bad(format!("{key} is not a list of tokens"), key)),
    }
}

/// A token by its text alone is special, and found in the text as it stands.
fn special_token(value: &Value, place: &str) -> Result<Named> {
    let named = token(value, place)?;
    Ok(Named { special: named.special || value.is_string(), ..named })
}

/// Whether a value of tokenizer_config.json is a token with its flags.
fn is_token(value: &Value) -> bool {
    value.get("__type").and_then(Value::as_str) == Some("AddedToken")
}

/// A token: its text, or an object of `content` and flags.
fn token(value: &Value, place: &str) -> Result<Named> {
    let content = value.get("content").unwrap_or(value).as_str();
    let content = content.ok_or_else(|| bad("a token there has no text".into(), place))?;
    let flag = |key: &str, default: bool| match value.get(key) {
        None => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(bad(format!("{key} of `{content}` is neither true nor false"), place)),
    };
    let normalized = value.get("normalized").map(|_| flag("normalized", false)).transpose()?;
    Ok(Named {
        text: content.to_string(),
        special: flag("special", false)?,
        single_word: flag("single_word", false)?,
        lstrip: flag("lstrip", false)?,
        rstrip: flag("rstrip", false)?,
        normalized,
        text_alone: value.is_string(),
        id: None,
        place: place.to_string(),
    })
}

fn object<'a>(config: &'a Value, key: &str) -> Result<Option<&'a Map<String, Value>>> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(bad(format!("{key} is not an object"), key)),
    }
}
