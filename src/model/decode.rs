//! Reading a prompt and continuing it token by token, with what was read in a cache.

use burn::tensor::Tensor;

use super::cache::Cache;
use super::score::read;
use super::{Network, RotaryTables, SequenceRows};
use crate::checkpoint::NetworkConfig;
use crate::encoding::{EncodingSpec, Positions};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::is_cpu;
use crate::kernels::stored::Mapped;
use crate::text::tokenizer::After;
use crate::text::{Ended, Generation, Limits, Tokenizer};
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
    /// The segment index of new tokens, for each level of the encoding.
    last_segment: Vec<u32>,
    /// Logits of the next token, `[vocab]`.
    logits: Vec<f32>,
}

impl<'a> Decoder<'a> {
    /// Reads a prompt in one pass. `levels`: the segment index of each token for each of the encoding's
    /// units; new tokens inherit the last. There is room for `room` new tokens, and encodings that depend on
    /// the sequence's length use the length including all of them.
    /// sequence's length take the length with all of them.
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
        levels: Vec<Vec<u32>>,
        room: usize,
    ) -> Result<Decoder<'a>> {
        let capacity = check_length(ids.len(), room)?;
        let mut decoder = Decoder {
            model,
            config,
            encoding,
            cache: model.new_cache(),
            prompt: ids.to_vec(),
            length: 0,
            capacity,
            last_segment: levels.iter().map(|level| level[ids.len() - 1]).collect(),
            logits: Vec::new(),
        };
        let tables = decoder.tables(ids.len(), levels);
        if is_cpu(&model.device()) {
            let kept = 4.0 * tables.kept_rows() * config.key_width() as f64;
            memory::refuse_beyond(kept, &format!("the keys and values of {capacity} tokens"))?;
        }
        let hidden = model.forward(model.ids(ids)?, &mut [decoder.part(&tables)]);
        decoder.logits = host_logits(model, hidden.slice_dim(0, ids.len() - 1..ids.len()))?;
        decoder.length = ids.len();
        Ok(decoder)
    }

    /// Logits of the next token, `[vocab]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
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
        let tables: Vec<_> = decoders.iter().map(|decoder| decoder.tables(1, decoder.inherited(1))).collect();
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
        self.last_segment.iter().map(|&segment| vec![segment; tokens]).collect()
    }

    /// Tables of the next `tokens` tokens.
    fn tables(&self, tokens: usize, levels: Vec<Vec<u32>>) -> RotaryTables {
        let tokens = self.length..self.length + tokens;
        assert!(tokens.end <= self.capacity, "there is room for new tokens");
        let positions = Positions::new(tokens, levels, self.capacity);
        let rotations = self.encoding.by_layer(&self.config.rope, &positions);
        RotaryTables::new(&rotations, &positions, &self.config.attention, &self.model.device())
    }

    fn part<'b>(&'b mut self, rotary: &'b RotaryTables) -> SequenceRows<'b> {
        SequenceRows { rotary, cache: Some(&mut self.cache) }
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
