//! A model under an encoding: scoring and reading within the encoding's context.

use std::time::Instant;

use burn::tensor::Tensor;

use super::decode::{Prefix, check_length};
use super::score::More;
use super::{Decoder, Network, RotaryTables, Seen, SequenceRows};
use crate::checkpoint::NetworkConfig;
use crate::encoding::{Context, EncodingSpec, Positions, Window};
use crate::error::{ErrorKind, Result};
use crate::memory;
use crate::structure::Layout;
use crate::text::TokenScores;

/// Tokens of windows that go through the network side by side.
pub(crate) const TOGETHER: usize = 4096;

/// A model under an encoding.
#[derive(Clone, Copy)]
pub struct EncodedModel<'a> {
    /// The network.
    pub model: &'a Network,
    /// Its shape.
    pub config: &'a NetworkConfig,
    /// The encoding, checked against the model.
    pub encoding: &'a EncodingSpec,
    /// The id that every text begins with, if the tokenizer adds one.
    pub bos: Option<u32>,
}

impl<'a> EncodedModel<'a> {
    /// Scores token ids: in one causal pass or, for a sequence longer than the encoding's context, window by
    /// window. `layout`: what the encoding knows of the text, which may be no more than the segment of each token for
    /// each of its units.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when the device fails, [`ErrorKind::NotFinite`] when a loss is not finite,
    /// [`ErrorKind::Encoding`] for a text that the encoding has no positions for.
    pub fn score(&self, ids: &[u32], layout: impl Into<Layout>) -> Result<TokenScores> {
        Ok(self.score_checked(ids, layout.into(), More::Nothing)?.0)
    }

    /// The same, and how many keys were seen over the layers and key heads; `detailed`: with each token's rank and the
    /// entropy of what predicts it. Of windows those rows count that predict.
    ///
    /// # Errors
    /// As [`EncodedModel::score`].
    pub fn score_seeing(
        &self,
        ids: &[u32],
        layout: impl Into<Layout>,
        detailed: bool,
    ) -> Result<(TokenScores, Seen)> {
        let more = if detailed { More::Details } else { More::Nothing };
        let (scores, seen) = self.score_checked(ids, layout.into(), more)?;
        Ok((scores, Seen { seen, allowed: Seen::allowed(self.config, 0..ids.len()) }))
    }

    /// The same as [`EncodedModel::score`], with the `count` most likely tokens in each place.
    ///
    /// # Errors
    /// As [`EncodedModel::score`].
    pub fn score_with_top(&self, ids: &[u32], layout: Layout, count: usize) -> Result<TokenScores> {
        Ok(self.score_checked(ids, layout, More::Top(count))?.0)
    }

    fn score_checked(&self, ids: &[u32], layout: Layout, more: More) -> Result<(TokenScores, u64)> {
        self.encoding.covers(&layout.hash, ids.len(), 0, true)?;
        self.score_as(ids, layout, more)
    }

    /// Scores also a text that the encoding has no positions for; then its losses mean nothing.
    fn score_as(&self, ids: &[u32], layout: Layout, more: More) -> Result<(TokenScores, u64)> {
        match self.encoding.context {
            Some(context) if ids.len() > context.tokens => self.score_windows(ids, &layout, context, more),
            _ => {
                let tables = self.tables(ids.len(), layout);
                Ok((self.model.score_as(ids, &tables, more)?, tables.seen()))
            }
        }
    }

    /// Refuses to score this many tokens on the CPU if they are beyond the limit, or if the widest rows of a
    /// layer alone do not fit into memory.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`].
    pub fn check_scoring(config: &NetworkConfig, encoding: &EncodingSpec, length: usize) -> Result<()> {
        check_length(length, 0)?;
        let rows = encoding.context.map_or(length, |context| length.min(context.tokens.max(TOGETHER)));
        // The rows themselves, queries and keys before and after they turn, and values.
        let width = config.hidden_size + 2 * config.query_width() + 3 * config.key_width();
        memory::refuse_beyond(4.0 * rows as f64 * width as f64, &format!("the rows of {length} tokens"))
    }

    /// Seconds that scoring `length` tokens takes. Time depends neither on the tokens nor on whether their
    /// losses are finite; segments of 128 tokens stand for functions.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when the device fails.
    pub fn time_of_scoring(&self, length: usize) -> Result<f64> {
        let ids: Vec<u32> = (0..length).map(|n| (n * 7919 % self.config.vocab_size) as u32).collect();
        let level: Vec<u32> = (0..length).map(|n| (n / 128) as u32).collect();
        let levels: Vec<Vec<u32>> = self.encoding.units().iter().map(|_| level.clone()).collect();
        let started = Instant::now();
        match self.score_as(&ids, levels.into(), More::Nothing) {
            Err(e) if e.kind != ErrorKind::NotFinite => return Err(e),
            _ => {}
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Reads a prompt with room for `room` new tokens; see [`Decoder::read`]. If it does not fit the
    /// encoding's context with them, its last tokens are read, after BOS.
    ///
    /// # Errors
    /// As [`Decoder::read`], and [`ErrorKind::Encoding`] for a context that has no room for a prompt.
    ///
    /// # Panics
    /// When there are no ids.
    pub fn read(&self, ids: &[u32], layout: impl Into<Layout>, room: usize) -> Result<Decoder<'a>> {
        let layout = layout.into();
        check_length(ids.len(), room)?;
        self.encoding.covers(&layout.hash, ids.len(), room, true)?;
        let bos = self.bos.is_some();
        let kept = self.encoding.context.map(|context| context.kept(ids.len(), room, bos)).transpose()?;
        let Some(kept) = kept.flatten() else {
            return Decoder::read(self.model, self.config, self.encoding, ids, layout, room);
        };
        let layout = layout.part(kept.clone());
        let window = self.window(ids, kept.clone());
        let mut decoder = Decoder::read(self.model, self.config, self.encoding, &window, layout, room)?;
        decoder.seen.allowed = Seen::allowed(self.config, kept);
        Ok(decoder)
    }

    /// Scores token ids as [`EncodedModel::score_with_top`] does, and reads them as [`EncodedModel::read`] does: in one pass
    /// where both see the same.
    ///
    /// # Errors
    /// As both.
    ///
    /// # Panics
    /// When there are no ids.
    pub fn score_and_read(
        &self,
        ids: &[u32],
        layout: &Layout,
        room: usize,
        top: usize,
    ) -> Result<(TokenScores, Decoder<'a>)> {
        let is_cut = self.encoding.context.is_some_and(|context| ids.len() + room > context.tokens);
        if is_cut || self.encoding.follows_length(&self.config.rope) {
            return Ok((
                self.score_with_top(ids, layout.clone(), top)?,
                self.read(ids, layout.clone(), room)?,
            ));
        }
        let read = (room, top);
        let (decoder, scores) =
            Decoder::read_scoring(self.model, self.config, self.encoding, ids, layout.clone(), read)?;
        Ok((scores, decoder))
    }

    /// Whether a prompt, with room for new tokens, can begin with what was read of another one.
    pub fn shares_prefixes(&self, tokens: usize, room: usize) -> bool {
        let is_cut = self.encoding.context.is_some_and(|context| tokens + room > context.tokens);
        !is_cut && self.encoding.shares_prefixes(&self.config.rope)
    }

    /// Reads the first tokens of a prompt, for others that begin with them.
    ///
    /// # Errors
    /// As [`EncodedModel::read`].
    ///
    /// # Panics
    /// When there are no such tokens.
    pub fn read_prefix(&self, ids: &[u32], layout: &Layout, tokens: usize) -> Result<Prefix> {
        let levels = layout.levels.iter().map(|level| level[..tokens].to_vec()).collect();
        Prefix::read(self.model, self.config, self.encoding, &ids[..tokens], levels)
    }

    /// Reads a prompt that begins with what was read ([`Prefix::begins`]) under the same encoding.
    ///
    /// # Errors
    /// As [`EncodedModel::read`].
    ///
    /// # Panics
    /// When it does not.
    pub fn read_after(
        &self,
        prefix: &Prefix,
        ids: &[u32],
        layout: Layout,
        room: usize,
    ) -> Result<Decoder<'a>> {
        prefix.read_rest(self, ids, layout, room)
    }

    /// Reads a prompt whose first `shared` tokens and segments are those of a sequence that keeps them
    /// ([`Decoder::keeps`]): the rest alone is read.
    ///
    /// # Errors
    /// As [`EncodedModel::read`].
    ///
    /// # Panics
    /// When nothing is left to read.
    pub fn read_sharing(
        &self,
        (begun, shared): (&Decoder<'a>, usize),
        ids: &[u32],
        layout: &Layout,
        room: usize,
    ) -> Result<Decoder<'a>> {
        begun.read_sharing(shared, ids, layout.levels.clone(), room)
    }

    /// The same, and scores the tokens that the read ones predict: those from number `shared + 1` on.
    ///
    /// # Errors
    /// As [`EncodedModel::score_and_read`].
    ///
    /// # Panics
    /// As [`EncodedModel::read_sharing`].
    pub fn score_and_read_sharing(
        &self,
        (begun, shared): (&Decoder<'a>, usize),
        ids: &[u32],
        layout: &Layout,
        (room, top): (usize, usize),
    ) -> Result<(TokenScores, Decoder<'a>)> {
        let (decoder, scores) =
            begun.read_sharing_scoring(shared, ids, layout.levels.clone(), (room, top))?;
        Ok((scores, decoder))
    }

    /// Tables of a sequence of `length` tokens.
    fn tables(&self, length: usize, layout: Layout) -> RotaryTables {
        let positions = Positions::laid_out(length, layout);
        let rotations = self.encoding.by_layer(&self.config.rope, &positions);
        RotaryTables::new(&rotations, &positions, &self.config.attention, &self.model.device())
    }

    /// Ids of a part of a sequence, as if a document began there: BOS replaces the first.
    fn window(&self, ids: &[u32], tokens: std::ops::Range<usize>) -> Vec<u32> {
        let mut window = ids[tokens].to_vec();
        if let Some(bos) = self.bos {
            window[0] = bos;
        }
        window
    }

    fn score_windows(
        &self,
        ids: &[u32],
        layout: &Layout,
        context: Context,
        more: More,
    ) -> Result<(TokenScores, u64)> {
        let windows = context.windows(ids.len());
        let (mut scores, mut seen) = (TokenScores::default(), 0);
        for some in windows.chunks((TOGETHER / context.tokens).max(1)) {
            let (of_some, keys) = self.score_together(ids, layout, some, more)?;
            scores.extend(of_some);
            seen += keys;
        }
        Ok((scores, seen))
    }

    /// Scores windows side by side; each attends only to itself. Without segments, windows of one length turn
    /// alike.
    fn score_together(
        &self,
        ids: &[u32],
        layout: &Layout,
        windows: &[Window],
        more: More,
    ) -> Result<(TokenScores, u64)> {
        let mut made: Vec<RotaryTables> = Vec::new();
        for Window { tokens, predicted } in windows {
            let is_flat = self.encoding.units().is_empty();
            let same = made.last().filter(|last| is_flat && last.rows() == tokens.len());
            let tables =
                same.cloned().unwrap_or_else(|| self.tables(tokens.len(), layout.part(tokens.clone())));
            // The rows that predict, and the last one of the text.
            let last =
                if predicted.end == ids.len() { tokens.len() } else { predicted.end - 1 - tokens.start };
            made.push(tables.counting(predicted.start - 1 - tokens.start..last));
        }
        let rows: Vec<u32> =
            windows.iter().flat_map(|window| self.window(ids, window.tokens.clone())).collect();
        let mut parts: Vec<SequenceRows> = made.iter().map(SequenceRows::whole).collect();
        let hidden = self.model.forward(self.model.ids(&rows)?, &mut parts);
        let (mut start, mut predicting) = (0, Vec::new());
        for Window { tokens, predicted } in windows {
            let first = start + predicted.start - 1 - tokens.start;
            predicting.push(hidden.clone().slice_dim(0, first..first + predicted.len()));
            start += tokens.len();
        }
        let predicted = windows[0].predicted.start..windows[windows.len() - 1].predicted.end;
        let seen = made.iter().map(RotaryTables::seen).sum();
        let scores =
            self.model.losses(Tensor::cat(predicting, 0), &ids[predicted.clone()], predicted.start, more)?;
        Ok((scores, seen))
    }
}
