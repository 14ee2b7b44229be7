//! A model under an encoding: scoring and reading within the encoding's context.

use std::time::Instant;

use burn::tensor::Tensor;

use super::decode::check_length;
use super::score::More;
use super::{Decoder, Network, RotaryTables, SequenceRows};
use crate::checkpoint::NetworkConfig;
use crate::encoding::{Context, EncodingSpec, Positions, Window};
use crate::error::{Error, ErrorKind, Result};
use crate::memory;
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
    /// window. `levels`: the segment index of each token for each of the encoding's units.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when the device fails, [`ErrorKind::NotFinite`] when a loss is not finite.
    pub fn score(&self, ids: &[u32], levels: Vec<Vec<u32>>) -> Result<TokenScores> {
        self.score_as(ids, levels, More::Nothing)
    }

    /// The same, with each token's rank and the entropy of what predicts it.
    ///
    /// # Errors
    /// As [`EncodedModel::score`].
    pub fn score_in_detail(&self, ids: &[u32], levels: Vec<Vec<u32>>) -> Result<TokenScores> {
        self.score_as(ids, levels, More::Details)
    }

    /// The same, with the `count` most likely tokens in each place.
    ///
    /// # Errors
    /// As [`EncodedModel::score`].
    pub fn score_with_top(&self, ids: &[u32], levels: Vec<Vec<u32>>, count: usize) -> Result<TokenScores> {
        self.score_as(ids, levels, More::Top(count))
    }

    fn score_as(&self, ids: &[u32], levels: Vec<Vec<u32>>, more: More) -> Result<TokenScores> {
        match self.encoding.context {
            Some(context) if ids.len() > context.tokens => self.score_windows(ids, &levels, context, more),
            _ => self.model.score_as(ids, &self.tables(ids.len(), levels), more),
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
        let levels = self.encoding.units().iter().map(|_| level.clone()).collect();
        let started = Instant::now();
        match self.score(&ids, levels) {
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
    pub fn read(&self, ids: &[u32], levels: Vec<Vec<u32>>, room: usize) -> Result<Decoder<'a>> {
        let length = check_length(ids.len(), room)?;
        let Some(context) = self.encoding.context.filter(|context| length > context.tokens) else {
            return Decoder::read(self.model, self.config, self.encoding, ids, levels, room);
        };
        let bos = usize::from(self.bos.is_some());
        if context.tokens <= room + bos {
            let what = format!(
                "a context of {} tokens has no room for a prompt in addition to {room}",
                context.tokens
            );
            return Err(Error::new(ErrorKind::Encoding, what)
                .at_key("context")
                .fix("give a larger context, or generate fewer tokens"));
        }
        let kept = ids.len() - (context.tokens - room)..ids.len();
        let levels = levels.iter().map(|level| level[kept.clone()].to_vec()).collect();
        Decoder::read(self.model, self.config, self.encoding, &self.window(ids, kept), levels, room)
    }

    /// Tables of a sequence of `length` tokens.
    fn tables(&self, length: usize, levels: Vec<Vec<u32>>) -> RotaryTables {
        let positions = Positions::whole(length, levels);
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
        levels: &[Vec<u32>],
        context: Context,
        more: More,
    ) -> Result<TokenScores> {
        let windows = context.windows(ids.len());
        let mut scores = TokenScores::default();
        for some in windows.chunks((TOGETHER / context.tokens).max(1)) {
            scores.extend(self.score_together(ids, levels, some, more)?);
        }
        Ok(scores)
    }

    /// Scores windows side by side; each attends only to itself. Without segments, windows of one length turn
    /// alike.
    fn score_together(
        &self,
        ids: &[u32],
        levels: &[Vec<u32>],
        windows: &[Window],
        more: More,
    ) -> Result<TokenScores> {
        let tables = |window: &Window| {
            let levels = levels.iter().map(|level| level[window.tokens.clone()].to_vec()).collect();
            self.tables(window.tokens.len(), levels)
        };
        let mut made: Vec<RotaryTables> = Vec::new();
        for window in windows {
            let same = made.last().filter(|last| levels.is_empty() && last.rows() == window.tokens.len());
            made.push(same.cloned().unwrap_or_else(|| tables(window)));
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
        self.model.losses(Tensor::cat(predicting, 0), &ids[predicted.clone()], predicted.start, more)
    }
}
