//! Sequences that were read, and what new prompts share with them.

use std::collections::VecDeque;
use std::sync::Arc;

use longcode_openai::server::{Prepared, TokenScore};

use super::Job;
use crate::error::Result;
use crate::model::prefix::{LEAST_SHARED, shared_tokens};
use crate::model::{Decoder, EncodedModel};
use crate::structure::Layout;
use crate::text::TokenScores;

/// Sequences that are kept when they are done, at most.
const MOST: usize = 64;

/// A prompt that was read, and what came after it.
pub(super) struct Sequence<'a> {
    /// Number of its model.
    model: usize,
    prompt: Arc<Prepared<Layout>>,
    /// New tokens that are read or about to be.
    pub(super) new: Vec<u32>,
    pub(super) decoder: Decoder<'a>,
    /// Scores of the prompt's tokens, if somebody asked for them.
    pub(super) scores: Option<Scores>,
    /// Whether others may begin like it.
    pub(super) is_shared: bool,
}

/// Scores of a prompt's tokens but the first.
#[derive(Clone)]
pub(super) struct Scores {
    pub(super) tokens: Vec<TokenScore>,
    /// How many of the most likely tokens are with each.
    top: usize,
}

impl Scores {
    /// Scores of the last tokens of a prompt.
    pub(super) fn of(ids: &[u32], scores: TokenScores, top: usize) -> Scores {
        let mut of_token = scores.details.unwrap_or_default().top.into_iter();
        let ids = &ids[ids.len() - scores.nll.len()..];
        let scored = ids.iter().zip(scores.nll);
        let tokens = scored.map(|(&id, nll)| TokenScore {
            id,
            logprob: -nll,
            top: of_token.next().unwrap_or_default(),
        });
        Scores { tokens: tokens.collect(), top }
    }
}

/// What a prompt begins with: a sequence, how many of its tokens, and the scores of these.
pub(super) struct Beginning<'s, 'a> {
    sequence: &'s Sequence<'a>,
    tokens: usize,
}

impl<'a> Sequence<'a> {
    /// Reads a job's prompt, but for what it shares with another one.
    ///
    /// # Errors
    /// As [`EncodedModel::read`], and as [`EncodedModel::score`] if scores are requested.
    pub(super) fn read(
        under: &EncodedModel<'a>,
        beginning: Option<Beginning<'_, 'a>>,
        job: &Job,
    ) -> Result<Sequence<'a>> {
        let Prepared { ids, layout, .. } = &*job.prompt;
        let (room, top) = (job.new_tokens, job.top);
        let (decoder, scores) = match (beginning, job.score) {
            (None, false) => (under.read(ids, layout.clone(), room)?, None),
            (None, true) => {
                let (scores, decoder) = under.score_and_read(ids, layout, room, top)?;
                (decoder, Some(Scores::of(ids, scores, top)))
            }
            (Some(Beginning { sequence, tokens }), false) => {
                (under.read_sharing((&sequence.decoder, tokens), ids, layout, room)?, None)
            }
            (Some(Beginning { sequence, tokens }), true) => {
                let shared = (&sequence.decoder, tokens);
                let (scores, decoder) = under.score_and_read_sharing(shared, ids, layout, (room, top))?;
                let mut all = sequence.first_scores(tokens, top);
                all.extend(Scores::of(ids, scores, top).tokens);
                (decoder, Some(Scores { tokens: all, top }))
            }
        };
        let is_shared = under.shares_prefixes(ids.len(), room);
        Ok(Sequence {
            model: job.model,
            prompt: job.prompt.clone(),
            new: Vec::new(),
            decoder,
            scores,
            is_shared,
        })
    }

    /// The scores of its first tokens, with as many likely ones as are requested.
    fn first_scores(&self, tokens: usize, top: usize) -> Vec<TokenScore> {
        let scores = self.scores.as_ref().map_or(&[][..], |scores| &scores.tokens[..tokens]);
        let shortened = |score: &TokenScore| TokenScore {
            top: score.top[..top.min(score.top.len())].to_vec(),
            ..score.clone()
        };
        scores.iter().map(shortened).collect()
    }

    /// How many first tokens of a job's prompt need not be read after this sequence: at least one is left, and of scored
    /// ones the last shared one, which predicts the first that is not.
    fn spared(&self, job: &Job) -> usize {
        if self.model != job.model || !self.is_shared {
            return 0;
        }
        let Prepared { ids, layout, .. } = &*job.prompt;
        let own = &*self.prompt;
        let mut shared = shared_tokens((&own.ids, &own.layout), (ids, layout));
        if shared == own.ids.len() {
            let last_of = |levels: &Vec<u32>| levels[own.ids.len() - 1];
            let inherits = |at: usize| layout.levels.iter().all(|level| level[at] == last_of(level));
            let new = self.new.iter().zip(shared..).take(self.decoder.length() - own.ids.len());
            shared += new.take_while(|(id, at)| ids.get(*at) == Some(*id) && inherits(*at)).count();
        }
        if !job.score {
            return shared.min(ids.len() - 1);
        }
        match &self.scores {
            Some(scores) if scores.top >= job.top => shared.min(own.ids.len()).saturating_sub(1),
            _ => 0,
        }
    }
}

/// Sequences that are done: those used last, within a number of bytes.
pub(super) struct Kept<'a> {
    sequences: VecDeque<Sequence<'a>>,
    most_bytes: usize,
}

impl<'a> Kept<'a> {
    pub(super) fn new(most_bytes: usize) -> Kept<'a> {
        Kept { sequences: VecDeque::new(), most_bytes }
    }

    /// The sequence that spares a job's prompt the most, of those under way and those that are done.
    pub(super) fn beginning<'s>(
        &'s mut self,
        active: impl Iterator<Item = &'s Sequence<'a>>,
        job: &Job,
    ) -> Option<Beginning<'s, 'a>> {
        let spared = |sequence: &Sequence| {
            let tokens = sequence.spared(job);
            if tokens >= LEAST_SHARED && sequence.decoder.keeps(tokens) { tokens } else { 0 }
        };
        let of_active = active.map(|sequence| (spared(sequence), sequence)).max_by_key(|(tokens, _)| *tokens);
        let of_kept = (0..self.sequences.len()).map(|at| (spared(&self.sequences[at]), at)).max();
        let (tokens, at) = of_kept.unwrap_or_default();
        match of_active.filter(|(of_active, _)| *of_active >= tokens.max(1)) {
            Some((tokens, sequence)) => Some(Beginning { sequence, tokens }),
            None if tokens > 0 => {
                // It was used last.
                let sequence = self.sequences.remove(at)?;
                self.sequences.push_back(sequence);
                self.sequences.back().map(|sequence| Beginning { sequence, tokens })
            }
            None => None,
        }
    }

    /// Keeps a sequence while there is room, if others may begin like it.
    pub(super) fn keep(&mut self, sequence: Sequence<'a>) {
        self.sequences.extend(Some(sequence).filter(|sequence| sequence.is_shared));
        let bytes =
            |kept: &VecDeque<Sequence>| kept.iter().map(|one| one.decoder.cached_bytes()).sum::<usize>();
        while self.sequences.len() > MOST || bytes(&self.sequences) > self.most_bytes {
            self.sequences.pop_front();
        }
    }
}
