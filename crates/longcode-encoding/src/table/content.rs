//! The arrays of a table as frequencies and plans: of any text, or of texts by their hash.

use std::collections::BTreeMap;

use super::arrays::{Arrays, wrong};
use super::numbers::factor;
use super::plan::Plan;
use crate::{Positions, Reading, Rotations, Spectrum};
use longcode_base::error::Result;

/// What a table says, but for what depends on a model.
#[derive(Debug)]
pub(super) struct Content {
    /// Radians per position, of each pair; none for the model's own.
    frequencies: Option<Vec<f64>>,
    /// Factor on every logit; none for the model's own.
    scale: Option<f64>,
    /// How any text turns; none if the file has no zones for all.
    any: Option<Plan>,
    /// How single texts turn, by SHA-256.
    texts: BTreeMap<String, Plan>,
}

impl Content {
    /// Reads the arrays of a file.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Encoding`], naming the array, and the row where one is wrong.
    pub(super) fn new(mut arrays: Arrays) -> Result<Content> {
        let frequencies =
            arrays.take("frequencies").map(|array| array.finite("frequencies", 1)).transpose()?;
        let scale = arrays.take("scale").map(|array| factor("scale", array)).transpose()?;
        let mut parts: BTreeMap<String, Arrays> = BTreeMap::new();
        for (name, array) in arrays.0 {
            let (text, inside) = match name.strip_prefix("texts.").and_then(|rest| rest.split_once('.')) {
                Some((text, inside)) => (text.to_string(), inside.to_string()),
                None => (String::new(), name),
            };
            parts.entry(text).or_default().0.insert(inside, array);
        }
        let any = parts.remove("").map(|arrays| Plan::new("", arrays)).transpose()?;
        let plan = |(text, arrays): (String, Arrays)| {
            refuse_no_hash(&text)?;
            let plan = Plan::new(&format!("texts.{text}."), arrays)?;
            Ok((text, plan))
        };
        let texts: BTreeMap<String, Plan> = parts.into_iter().map(plan).collect::<Result<_>>()?;
        // Frequencies alone hold for any text, at token distances.
        let only_frequencies = texts.is_empty() && (frequencies.is_some() || scale.is_some());
        let any = any.or_else(|| only_frequencies.then(Plan::default));
        if any.is_none() && texts.is_empty() {
            return Err(wrong("the file says nothing", "give `frequencies`, `zones` or `texts`"));
        }
        Ok(Content { frequencies, scale, any, texts })
    }

    /// Refuses a model that has other pairs.
    pub(super) fn check(&self, pairs: usize) -> Result<()> {
        if let Some(frequencies) = self.frequencies.as_ref().filter(|given| given.len() != pairs) {
            let what =
                format!("`frequencies` has {} numbers, and the model has {pairs} pairs", frequencies.len());
            return Err(wrong(what, "give one for each pair, high frequency first"));
        }
        let named = self.any.iter().map(|plan| (String::new(), plan));
        let texts = self.texts.iter().map(|(text, plan)| (format!("texts.{text}."), plan));
        named.chain(texts).try_for_each(|(prefix, plan)| plan.check(&prefix, pairs))
    }

    /// Refuses a text for which it has no rows, or fewer than needed.
    pub(super) fn covers(&self, reading: &Reading) -> Result<()> {
        let Reading { hash, tokens, room, is_whole } = *reading;
        let (plan, name) = match (self.texts.get(hash), &self.any) {
            (Some(_), _) if !is_whole => {
                let what = format!("the table has positions of text {hash}, of which only a part is read");
                return Err(wrong(what, "leave out `context` and other orders of the text"));
            }
            (Some(plan), _) => (plan, format!("texts.{hash}")),
            (None, Some(plan)) => (plan, "zones".into()),
            (None, None) => {
                let shown = if hash.is_empty() { "of an unknown hash" } else { hash };
                let what = format!("the table has no positions of this text ({shown})");
                return Err(wrong(
                    what,
                    "add it under `texts` by the SHA-256 of its bytes, or give `zones` for any text",
                ));
            }
        };
        let needed = tokens + room;
        match plan.rows {
            // A text's own rows are its tokens: another count means another tokenizer.
            Some(rows) if room == 0 && self.texts.contains_key(hash) && rows != needed => {
                let what =
                    format!("`{name}` has {rows} rows, and the text has {needed} tokens, BOS included");
                Err(wrong(what, "give one row a token, of this model's tokenizer, and read the whole text"))
            }
            Some(rows) if rows < needed => {
                let new = if room > 0 { format!(" with {room} new ones") } else { String::new() };
                let what = format!("`{name}` has {rows} rows, and the text has {needed} tokens{new}");
                Err(wrong(what, "give more rows, or shorter texts"))
            }
            _ => Ok(()),
        }
    }

    /// The rotations of some tokens; none for a text without rows for all of them.
    pub(super) fn rotations(&self, own: &Spectrum, positions: &Positions) -> Option<Rotations> {
        let plan = self.texts.get(&*positions.hash).or(self.any.as_ref())?;
        if plan.rows.is_some_and(|rows| rows < positions.sequence_length.max(positions.tokens.end)) {
            return None;
        }
        let frequencies = self.frequencies.clone().unwrap_or_else(|| own.frequencies.clone());
        let spectrum = Spectrum { frequencies, scale: self.scale.unwrap_or(own.scale) };
        Some(plan.rotations(spectrum, positions))
    }
}

fn refuse_no_hash(text: &str) -> Result<()> {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    let what = format!("`texts.{text}` is not named by a SHA-256");
    Err(wrong(what, "give 64 digits of 0-9a-f: the SHA-256 of the text's bytes"))
}
