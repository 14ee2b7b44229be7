//! The start that several prompts share, read once for all of them.

use toml::Table;

use super::cache::Cache;
use super::{Decoder, EncodedModel, Seen};
use crate::encoding::EncodingSpec;
use crate::error::Result;
use crate::structure::{Layout, Wanted};

/// What a model under an encoding has read of the start of several prompts.
pub struct Prefix {
    /// The encoding's kind and keys.
    pub(super) kind: &'static str,
    pub(super) keys: Table,
    /// The tokens.
    pub(super) ids: Vec<u32>,
    /// Their segments by each level of the encoding.
    pub(super) levels: Vec<Vec<u32>>,
    pub(super) cache: Cache,
    /// Keys that they saw.
    pub(super) seen: Seen,
}

impl Prefix {
    /// Whether a prompt under an encoding begins with these tokens.
    pub fn is_start_of(&self, encoding: &EncodingSpec, ids: &[u32]) -> bool {
        let is_same = self.kind == encoding.kind && self.keys == encoding.keys;
        is_same && ids.len() > self.ids.len() && ids.starts_with(&self.ids)
    }

    /// Whether its tokens are divided as those of a prompt.
    fn is_divided_as(&self, layout: &Layout) -> bool {
        let same = |(own, others): (&Vec<u32>, &Vec<u32>)| others.starts_with(own);
        self.levels.len() == layout.levels.len() && self.levels.iter().zip(&layout.levels).all(same)
    }
}

impl<'a> EncodedModel<'a> {
    /// Whether the start of a prompt can be read before the rest is known: nothing depends on the prompt's length, no keys
    /// are chosen by what they hold or by what the text says, and the prompt fits into the encoding's context.
    pub fn reads_by_parts(&self, tokens: usize, room: usize) -> bool {
        let fits = |context: crate::encoding::Context| tokens.saturating_add(room) <= context.tokens;
        !self.encoding.follows_length(&self.config.rope)
            && self.encoding.wanted() == Wanted::default()
            && self.encoding.context.is_none_or(fits)
    }

    /// Reads the first `tokens` of a prompt.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    ///
    /// # Panics
    /// When the prompt is not longer.
    pub fn read_prefix(&self, ids: &[u32], layout: &Layout, tokens: usize, room: usize) -> Result<Prefix> {
        let (rest, layout) = (ids.len() - tokens, layout.part(0..tokens));
        let levels = layout.levels.clone();
        let read =
            Decoder::read(self.model, self.config, self.encoding, &ids[..tokens], layout, rest + room)?;
        Ok(read.into_prefix(levels))
    }

    /// Reads a prompt after its start was read; none if the two are not divided alike.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    pub fn read_after(
        &self,
        prefix: &Prefix,
        ids: &[u32],
        layout: &Layout,
        room: usize,
    ) -> Result<Option<Decoder<'a>>> {
        if !prefix.is_divided_as(layout) {
            return Ok(None);
        }
        Decoder::read_rest(self, prefix, ids, layout.clone(), room).map(Some)
    }
}
