//! Reading a prompt and continuing it token by token, with what was read in a cache.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::cache::Cache;
use super::score::{More, read};
use super::{EncodedModel, Network, RotaryTables, Seen, SequenceRows};
use crate::checkpoint::NetworkConfig;
use crate::encoding::{EncodingSpec, Positions};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::is_cpu;
use crate::kernels::stored::Mapped;
use crate::structure::Layout;
use crate::text::tokenizer::After;
use crate::text::{Ended, Generation, Limits, TokenScores, Tokenizer};
use crate::{limits, memory};

/// A sequence that a model has read under an encoding, and continues.
pub struct Decoder<'a> {
    model: &'a Network,
    config: &'a NetworkConfig,
    encoding: &'a EncodingSpec,
    cache: Cache,
    /// The ids of the prompt, which new text follows.
    prompt: Vec<u32>,
    /// Tokens read.
    length: usize,
    /// Tokens that there is room for: the length that length-dependent encodings use.
    capacity: usize,
    /// What is known of the sequence, with room for new tokens; of the levels, the segment of each new token.
    layout: Layout,
    /// Logits of the next token, `[vocab]`.
    logits: Vec<f32>,
    /// Keys that the prompt's tokens saw.
    pub(super) seen: Seen,
}

impl<'a> Decoder<'a> {
    /// Reads a prompt in one pass. `layout`: what the encoding knows of the text, which may be no more than the segment of
    /// each token for each of its units; new tokens inherit the last, and go on its last block. There is room for `room` new tokens, and encodings that depend on
    /// the sequence's length use the length including all of them.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when the device fails or a logit is not finite; [`ErrorKind::Usage`] when there
    /// is no memory for the sequence; [`ErrorKind::Tokenizer`] for an id that the model does not have.
    ///
    /// # Panics
    /// When there are no ids.
    pub fn read(
        model: &'a Network,
        config: &'a NetworkConfig,
        encoding: &'a EncodingSpec,
        ids: &[u32],
        layout: impl Into<Layout>,
        room: usize,
    ) -> Result<Decoder<'a>> {
        let layout = layout.into();
        let (mut decoder, levels) =
            Decoder::empty(model, config, encoding, layout, check_length(ids.len(), room)?);
        let hidden = decoder.read_on(ids, levels)?;
        decoder.finish_prompt(&hidden)?;
        Ok(decoder)
    }

    /// The same, and scores the prompt's tokens in the same pass, with the `top` most likely ones in each place.
    ///
    /// # Errors
    /// As [`Decoder::read`] and [`Network::score`].
    ///
    /// # Panics
    /// When there are no ids.
    pub(super) fn read_scoring(
        model: &'a Network,
        config: &'a NetworkConfig,
        encoding: &'a EncodingSpec,
        ids: &[u32],
        layout: Layout,
        (room, top): (usize, usize),
    ) -> Result<(Decoder<'a>, TokenScores)> {
        let (mut decoder, levels) =
            Decoder::empty(model, config, encoding, layout, check_length(ids.len(), room)?);
        let hidden = decoder.read_on(ids, levels)?;
        decoder.finish_prompt(&hidden)?;
        let scores = match ids.len() - 1 {
            0 => TokenScores::default(),
            last => model.losses(hidden.slice_dim(0, 0..last), &ids[1..], 1, More::Top(top))?,
        };
        Ok((decoder, scores))
    }

    /// A sequence of which nothing is read, and the levels of its prompt.
    fn empty(
        model: &'a Network,
        config: &'a NetworkConfig,
        encoding: &'a EncodingSpec,
        mut layout: Layout,
        capacity: usize,
    ) -> (Decoder<'a>, Vec<Vec<u32>>) {
        let levels = std::mem::take(&mut layout.levels);
        layout.blocks = layout.blocks.map(|blocks| blocks.extended(capacity));
        let decoder = Decoder {
            model,
            config,
            encoding,
            cache: model.new_cache(),
            prompt: Vec::new(),
            length: 0,
            capacity,
            layout,
            logits: Vec::new(),
            seen: Seen::default(),
        };
        (decoder, levels)
    }

    /// Reads tokens of the prompt in one pass: their hidden states, `[tokens, hidden]`. Later ones inherit the last one's
    /// segments.
    fn read_on(&mut self, ids: &[u32], levels: Vec<Vec<u32>>) -> Result<Tensor<2>> {
        self.layout.levels = levels.iter().map(|level| vec![level[ids.len() - 1]]).collect();
        let tables = self.tables(ids.len(), levels);
        if is_cpu(&self.model.device()) {
            let kept = 4.0 * tables.kept_rows() * self.config.key_width() as f64;
            memory::refuse_beyond(kept, &format!("the keys and values of {} tokens", self.capacity))?;
        }
        let hidden = self.model.forward(self.model.ids(ids)?, &mut [self.part(&tables)]);
        self.length += ids.len();
        self.prompt.extend(ids);
        self.seen = Seen {
            seen: self.seen.seen + tables.seen(),
            allowed: Seen::allowed(self.config, 0..self.length),
        };
        Ok(hidden)
    }

    /// Takes the logits of the prompt's last token from the hidden states of its last tokens.
    fn finish_prompt(&mut self, hidden: &Tensor<2>) -> Result<()> {
        let rows = hidden.dims()[0];
        self.logits = host_logits(self.model, hidden.clone().slice_dim(0, rows - 1..rows))?;
        Ok(())
    }

    /// Tokens that were read.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether another sequence can begin with this one's first `length` tokens: none of their keys is dropped that it
    /// will see.
    pub fn keeps(&self, length: usize) -> bool {
        length == self.length || (length < self.length && self.cache.has_all())
    }

    /// Bytes of what is kept, in f32.
    pub fn cached_bytes(&self) -> usize {
        4 * self.cache.numbers()
    }

    /// Another sequence that begins with tokens that this one has read ([`Decoder::keeps`]), with room for `capacity` tokens.
    /// Tensors are shared until one of the two reads on.
    fn branch(&self, tokens: &[u32], capacity: usize) -> Decoder<'a> {
        Decoder {
            cache: self.cache.clone(),
            prompt: tokens.to_vec(),
            length: tokens.len(),
            capacity,
            layout: self.layout.clone(),
            logits: Vec::new(),
            ..*self
        }
    }

    /// Reads a prompt whose first `shared` tokens and segments are this sequence's, without reading these again; see
    /// [`Decoder::read`].
    pub(super) fn read_sharing(
        &self,
        shared: usize,
        ids: &[u32],
        levels: Vec<Vec<u32>>,
        room: usize,
    ) -> Result<Decoder<'a>> {
        let (mut decoder, hidden) = self.read_rest(shared, ids, levels, room)?;
        decoder.finish_prompt(&hidden)?;
        Ok(decoder)
    }

    /// The same, and scores the tokens after the shared ones and one more, as their first is predicted by a token that is
    /// read.
    pub(super) fn read_sharing_scoring(
        &self,
        shared: usize,
        ids: &[u32],
        levels: Vec<Vec<u32>>,
        (room, top): (usize, usize),
    ) -> Result<(Decoder<'a>, TokenScores)> {
        let (mut decoder, hidden) = self.read_rest(shared, ids, levels, room)?;
        decoder.finish_prompt(&hidden)?;
        let scores = match ids.len() - shared - 1 {
            0 => TokenScores::default(),
            rows => {
                let predicting = hidden.slice_dim(0, 0..rows);
                self.model.losses(predicting, &ids[shared + 1..], shared + 1, More::Top(top))?
            }
        };
        Ok((decoder, scores))
    }

    fn read_rest(
        &self,
        shared: usize,
        ids: &[u32],
        levels: Vec<Vec<u32>>,
        room: usize,
    ) -> Result<(Decoder<'a>, Tensor<2>)> {
        let (shared, rest) = ids.split_at(shared);
        let mut decoder = self.branch(shared, check_length(ids.len(), room)?);
        let levels = levels.into_iter().map(|mut level| level.split_off(shared.len())).collect();
        let hidden = decoder.read_on(rest, levels)?;
        Ok((decoder, hidden))
    }

    /// Logits of the next token, `[vocab]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Keys that the prompt's tokens saw as they were read.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Tokens that there is room for in the cache, in the layer that keeps most: constant beyond what an
    /// encoding sees, if that is bounded.
    pub fn cached_rows(&self) -> usize {
        self.cache.rows()
    }

    /// Negative log-likelihood of each of these tokens as a continuation, nats. Nothing of them is kept.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    ///
    /// # Panics
    /// When they do not fit.
    pub fn score(&mut self, continuation: &[u32]) -> Result<Vec<f64>> {
        let Some((first, rest)) = continuation.split_first() else { return Ok(Vec::new()) };
        self.model.check_ids(continuation)?;
        let mut nll = vec![negative_log_likelihood(&self.logits, *first)];
        if rest.is_empty() {
            return Ok(nll);
        }
        let read = &continuation[..rest.len()];
        let tables = self.tables(read.len(), self.inherited(read.len()));
        let hidden = self.model.forward(self.model.ids(read)?, &mut [self.part(&tables)]);
        let logits = host_logits(self.model, hidden)?;
        let rows = logits.chunks_exact(self.model.vocab_size());
        nll.extend(rows.zip(rest).map(|(row, &id)| negative_log_likelihood(row, id)));
        Ok(nll)
    }

    /// Reads one more token of each of several sequences, in one pass over the weights.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    ///
    /// # Panics
    /// When a sequence has no room left.
    pub fn advance(decoders: &mut [&mut Decoder], ids: &[u32]) -> Result<()> {
        Decoder::advance_unchecked(decoders, ids)?;
        decoders.iter().try_for_each(|decoder| check_finite(&decoder.logits))
    }

    /// The same, whether logits are finite or not: one sequence must not stop the others.
    pub(crate) fn advance_unchecked(decoders: &mut [&mut Decoder], ids: &[u32]) -> Result<()> {
        let Some(model) = decoders.first().map(|decoder| decoder.model) else { return Ok(()) };
        let next = |decoder: &&mut Decoder| decoder.tables(1, decoder.inherited(1));
        let tables: Vec<_> = if is_cpu(&model.device()) {
            decoders.par_iter().map(next).collect()
        } else {
            decoders.iter().map(next).collect()
        };
        let mut parts: Vec<_> =
            decoders.iter_mut().zip(&tables).map(|(decoder, tables)| decoder.part(tables)).collect();
        let logits = unchecked_logits(model, model.forward(model.ids(ids)?, &mut parts))?;
        for (decoder, logits) in decoders.iter_mut().zip(logits.chunks_exact(model.vocab_size())) {
            decoder.logits = logits.to_vec();
            decoder.length += 1;
        }
        Ok(())
    }

    /// Segment indices of new tokens.
    fn inherited(&self, tokens: usize) -> Vec<Vec<u32>> {
        self.layout.levels.iter().map(|level| level.repeat(tokens)).collect()
    }

    /// Tables of the next `tokens` tokens.
    fn tables(&self, tokens: usize, levels: Vec<Vec<u32>>) -> RotaryTables {
        let tokens = self.length..self.length + tokens;
        assert!(tokens.end <= self.capacity, "there is room for new tokens");
        let layout = Layout { levels, ..self.layout.clone() };
        let positions = Positions::new(tokens, Vec::new(), self.capacity).with_layout(layout);
        let rotations = self.encoding.by_layer(&self.config.rope, &positions);
        RotaryTables::new(&rotations, &positions, &self.config.attention, &self.model.device())
    }

    fn part<'b>(&'b mut self, rotary: &'b RotaryTables) -> SequenceRows<'b> {
        SequenceRows { rotary, cache: Some(&mut self.cache) }
    }
}

/// What was read of the start of a text, for all that begin with it.
pub struct Prefix {
    ids: Vec<u32>,
    /// The segment of each token, for each level.
    levels: Vec<Vec<u32>>,
    cache: Cache,
    /// Keys that its tokens saw.
    seen: Seen,
}

impl Prefix {
    /// Reads the first tokens of a text.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    pub(super) fn read(
        model: &Network,
        config: &NetworkConfig,
        encoding: &EncodingSpec,
        ids: &[u32],
        levels: Vec<Vec<u32>>,
    ) -> Result<Prefix> {
        let layout = Layout::from(levels.clone());
        let (mut decoder, levels) = Decoder::empty(model, config, encoding, layout, ids.len());
        decoder.read_on(ids, levels.clone())?;
        Ok(Prefix { ids: ids.to_vec(), levels, cache: decoder.cache, seen: decoder.seen })
    }

    /// Whether a text begins with it, in the same segments, and goes on.
    pub fn begins(&self, ids: &[u32], layout: &Layout) -> bool {
        let same = |own: &Vec<u32>, level: &Vec<u32>| level.starts_with(own);
        ids.len() > self.ids.len()
            && ids.starts_with(&self.ids)
            && self.levels.len() == layout.levels.len()
            && self.levels.iter().zip(&layout.levels).all(|(own, level)| same(own, level))
    }

    /// Reads the rest of a text that begins with it.
    ///
    /// # Errors
    /// As [`Decoder::read`].
    pub(super) fn read_rest<'a>(
        &self,
        under: &EncodedModel<'a>,
        ids: &[u32],
        layout: Layout,
        room: usize,
    ) -> Result<Decoder<'a>> {
        let capacity = check_length(ids.len(), room)?;
        let (mut decoder, levels) =
            Decoder::empty(under.model, under.config, under.encoding, layout, capacity);
        let (shared, rest) = ids.split_at(self.ids.len());
        decoder.cache = self.cache.clone();
        decoder.prompt = shared.to_vec();
        decoder.length = shared.len();
        decoder.seen = self.seen;
        let levels = levels.into_iter().map(|mut level| level.split_off(shared.len())).collect();
        let hidden = decoder.read_on(rest, levels)?;
        decoder.finish_prompt(&hidden)?;
        Ok(decoder)
    }
}

/// The length of a sequence with room for more.
///
/// # Errors
/// [`ErrorKind::Usage`]: beyond [`limits::SEQUENCE`].
pub(super) fn check_length(tokens: usize, room: usize) -> Result<usize> {
    tokens.checked_add(room).filter(|&length| length <= limits::SEQUENCE).ok_or_else(|| {
        let most = limits::SEQUENCE;
        Error::new(ErrorKind::Usage, format!("{tokens} tokens and {room} more are beyond {most}"))
            .fix("ask for fewer tokens")
    })
}

/// Continues several sequences greedily side by side, each until it ends or one of its logits is not finite
/// ([`ErrorKind::NotFinite`], for that sequence alone). A sequence ends at an end of sequence, or at one of the ids beside it.
///
/// # Errors
/// As [`Decoder::read`], and [`ErrorKind::Tokenizer`] for ids that have no text.
///
/// # Panics
/// When a sequence does not have room for as many tokens as its limits allow.
pub fn generate<'a>(
    sequences: Vec<(Decoder<'a>, Limits, &[u32])>,
    tokenizer: &'a Tokenizer,
    end_of_sequence: &[u32],
) -> Result<Vec<Result<Generation>>> {
    let Some(device) = sequences.first().map(|(decoder, ..)| decoder.model.device()) else {
        return Ok(Vec::new());
    };
    let sequences = sequences
        .into_iter()
        .map(|(decoder, limits, ends)| {
            let text = tokenizer.after(&decoder.prompt)?;
            let ends = [end_of_sequence, ends].concat();
            Ok(Sequence { text, limits, ends, ids: Vec::new(), generation: None, decoder })
        })
        .collect::<Result<Vec<_>>>()?;
    if is_cpu(&device) {
        // On a thread of the pool, so that a token's many small tasks need not wake it each time.
        rayon::scope(|_| generate_all(sequences))
    } else {
        generate_all(sequences)
    }
}

fn generate_all(mut sequences: Vec<Sequence>) -> Result<Vec<Result<Generation>>> {
    loop {
        for sequence in sequences.iter_mut().filter(|sequence| sequence.generation.is_none()) {
            match check_finite(&sequence.decoder.logits) {
                Ok(()) => sequence.take_next()?,
                Err(e) => sequence.generation = Some(Err(e)),
            }
        }
        let under_way = sequences.iter_mut().filter(|sequence| sequence.generation.is_none());
        let (mut decoders, next): (Vec<_>, Vec<_>) =
            under_way.map(|sequence| (&mut sequence.decoder, sequence.ids[sequence.ids.len() - 1])).unzip();
        if decoders.is_empty() {
            return Ok(sequences.into_iter().filter_map(|sequence| sequence.generation).collect());
        }
        Decoder::advance_unchecked(&mut decoders, &next)?;
    }
}

/// A generation under way, or done.
struct Sequence<'a> {
    decoder: Decoder<'a>,
    limits: Limits,
    /// Ids that end it.
    ends: Vec<u32>,
    /// Turns its ids into text.
    text: After<'a>,
    ids: Vec<u32>,
    generation: Option<Result<Generation>>,
}

impl Sequence<'_> {
    /// Takes the most likely token, and ends if that is the end of the sequence.
    fn take_next(&mut self) -> Result<()> {
        let next = most_likely(&self.decoder.logits);
        let full = |ids: &[u32], limits: &Limits| ids.len() >= limits.max_new_tokens;
        let mut ended = None;
        if full(&self.ids, &self.limits) {
            ended = Some(Ended::MaxNewTokens);
        } else if self.ends.contains(&next) {
            ended = Some(Ended::EndOfSequence);
        } else {
            self.ids.push(next);
            if full(&self.ids, &self.limits) {
                ended = Some(Ended::MaxNewTokens);
            }
        }
        let text = self.text.decode(&self.ids)?;
        if ended.is_none() && (self.limits.stop)(&text) {
            ended = Some(Ended::Stop);
        }
        self.generation = ended.map(|ended| Ok(Generation { ids: self.ids.clone(), text, ended }));
        Ok(())
    }
}

/// Logits of hidden states, `[rows * vocab]`, all finite.
fn host_logits(model: &Network, hidden: Tensor<2>) -> Result<Vec<f32>> {
    let logits = unchecked_logits(model, hidden)?;
    check_finite(&logits)?;
    Ok(logits)
}

/// Logits of hidden states, `[rows * vocab]`, finite or not.
fn unchecked_logits(model: &Network, hidden: Tensor<2>) -> Result<Vec<f32>> {
    let logits = read(model.logits(hidden).try_into_data())?;
    Mapped::check_whole()?;
    Ok(logits)
}

/// Refuses logits that are not finite.
pub(crate) fn check_finite(logits: &[f32]) -> Result<()> {
    if logits.iter().all(|logit| logit.is_finite()) {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::NotFinite, "a logit is not finite")
            .fix("check the checkpoint's weights; a base or factor out of range overflows too"))
    }
}

/// The first of the largest logits.
pub(crate) fn most_likely(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// Of a token under these logits, nats.
pub(crate) fn negative_log_likelihood(logits: &[f32], id: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
    sum.ln() + f64::from(max) - f64::from(logits[id as usize])
}
