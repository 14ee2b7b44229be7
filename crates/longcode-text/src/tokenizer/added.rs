//! Added tokens: those of tokenizer.json, and those that only tokenizer_config.json names, as transformers
//! adds them.

use std::collections::{HashMap, HashSet};
use std::mem::replace;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::Inner;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits::ADDED_TOKENS;

/// Special tokens by their names in tokenizer_config.json, in the order in which they are added.
pub(super) const SPECIAL: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A token that some file names.
#[derive(Debug, Clone)]
struct Named {
    token: AddedToken,
    /// The id that the file gives it.
    id: Option<u32>,
    /// Its place in the file.
    place: String,
}

impl Named {
    fn text(&self) -> &str {
        &self.token.content
    }
}

/// Takes `added_tokens` out of a tokenizer.json, to be added all at once.
pub(super) fn take(json: &mut Value) -> Value {
    json.get_mut("added_tokens").map(|tokens| replace(tokens, Value::Array(Vec::new()))).unwrap_or_default()
}

/// Adds the tokens of tokenizer.json, then those that tokenizer_config.json names.
///
/// # Errors
/// [`ErrorKind::Tokenizer`], naming the key, for another type, too many tokens, or an id that differs from
/// the tokenizer's for that token.
pub(super) fn add(inner: &mut Inner, own: &Value, config: &Value) -> Result<()> {
    /// The file that `config` is from, relative to tokenizer.json.
    const BESIDE: &str = "beside it, tokenizer_config.json";
    let own = own_tokens(own)?;
    let beside = |e: Error| e.at(BESIDE);
    let decoder = of_decoder(config).map_err(beside)?;
    let (special, extra) = (special(config).map_err(beside)?, extra(config).map_err(beside)?);
    let count = own.len() + decoder.len() + special.len() + extra.len();
    if count > ADDED_TOKENS {
        return Err(bad(format!("{count} added tokens; at most {ADDED_TOKENS} are read"), "added_tokens"));
    }
    add_all(inner, &own);
    add_all(inner, &missing(inner, &decoder, &special, &extra));
    // A token named as special is special, with the flags given there.
    add_all(inner, &with_flags_of(&[special, extra].concat(), &[&decoder[..], &own[..]].concat()));
    check_ids(inner, &own)?;
    check_ids(inner, &decoder).map_err(beside)
}

fn add_all(inner: &mut Inner, tokens: &[Named]) {
    let tokens: Vec<AddedToken> = tokens.iter().map(|named| named.token.clone()).collect();
    inner.add_tokens(&tokens);
}

/// Which tokens of tokenizer_config.json are added first: all of its decoder, and special ones that are
/// missing.
fn missing(inner: &Inner, decoder: &[Named], special: &[Named], extra: &[Named]) -> Vec<Named> {
    let is_special: HashSet<&str> = special.iter().map(Named::text).collect();
    let mut add: Vec<Named> = decoder.to_vec();
    for named in &mut add {
        named.token.special |= is_special.contains(named.text());
    }
    let there = inner.get_added_vocabulary().get_vocab();
    let mut seen: HashSet<&str> = decoder.iter().map(Named::text).collect();
    for named in special.iter().chain(extra) {
        if !there.contains_key(named.text()) && seen.insert(named.text()) {
            // A special token that is named twice is found in the text verbatim, like those of the list.
            let in_place_of =
                |one: &&Named| one.text() == named.text() && named.token.special && named.token.normalized;
            let listed = extra.iter().find(in_place_of);
            add.push(listed.unwrap_or(named).clone());
        }
    }
    add
}

/// Special tokens with the flags of the first token in `known` with the same text.
fn with_flags_of(special: &[Named], known: &[Named]) -> Vec<Named> {
    let known: HashMap<&str, &Named> = known.iter().rev().map(|named| (named.text(), named)).collect();
    special
        .iter()
        .map(|named| {
            let mut token = known.get(named.text()).copied().unwrap_or(named).token.clone();
            token.special = true;
            Named { token, ..named.clone() }
        })
        .collect()
}

/// Refuses tokens whose id in a file differs from the tokenizer's.
fn check_ids(inner: &Inner, tokens: &[Named]) -> Result<()> {
    for Named { token, id, place } in tokens {
        let has = inner.token_to_id(&token.content);
        if let (Some(id), Some(has)) = (id, has)
            && *id != has
        {
            let what = format!("`{}` is token {id} there, and token {has} for the tokenizer", token.content);
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
            let what = || format!("`{}` has no id", named.token.content);
            named.id = Some(id.ok_or_else(|| bad(what(), KEY))?);
            Ok(named)
        })
        .collect()
}

/// `added_tokens_decoder`, by id.
fn of_decoder(config: &Value) -> Result<Vec<Named>> {
    const KEY: &str = "added_tokens_decoder";
    let Some(tokens) = object(config, KEY)? else { return Ok(Vec::new()) };
    let mut named = Vec::new();
    for (id, value) in tokens {
        let place = format!("{KEY}.{id}");
        let id = id.trim().parse().map_err(|_| bad(format!("`{id}` is not an id"), KEY))?;
        let token = token(value, &place)?;
        if !value.is_object() {
            return Err(bad("a token in it is not an object".into(), &place));
        }
        named.push(Named { id: Some(id), ..token });
    }
    named.sort_by_key(|named| named.id);
    Ok(named)
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
    if let Some(Value::Object(tokens)) = keys.get("extra_special_tokens") {
        for (name, value) in tokens {
            named.push(special_token(value, &format!("extra_special_tokens.{name}"))?);
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
    let Some(key) = ["extra_special_tokens", "additional_special_tokens"].into_iter().find(is_given) else {
        return Ok(Vec::new());
    };
    match &config[key] {
        Value::Array(tokens) => tokens.iter().map(|value| special_token(value, key)).collect(),
        Value::Object(_) if key == "extra_special_tokens" => Ok(Vec::new()),
        _ => Err(bad(format!("{key} is not a list of tokens"), key)),
    }
}

fn special_token(value: &Value, place: &str) -> Result<Named> {
    let mut named = token(value, place)?;
    if value.is_string() {
        named.token = AddedToken::from(named.token.content, true);
    }
    Ok(named)
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
    let special = flag("special", false)?;
    let token = AddedToken::from(content, special)
        .single_word(flag("single_word", false)?)
        .lstrip(flag("lstrip", false)?)
        .rstrip(flag("rstrip", false)?)
        .normalized(flag("normalized", !special)?);
    Ok(Named { token, id: None, place: place.to_string() })
}

fn object<'a>(config: &'a Value, key: &str) -> Result<Option<&'a Map<String, Value>>> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(bad(format!("{key} is not an object"), key)),
    }
}
