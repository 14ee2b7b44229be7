//! Continuous batching: sequences of one network advance side by side, a token a step; a request joins and leaves
//! between steps.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use longcode_base::guard::guarded;
use longcode_openai::server::{Ended, Event, Prepared, Refusal, TokenScore};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::sequences::{Kept, Scores, Sequence};
use super::{Catalogue, Job};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::is_cpu;
use crate::model::decode::{check_finite, most_likely, negative_log_likelihood};
use crate::model::score::most_likely_with;
use crate::model::{Decoder, EncodedModel, Network};

/// Sequences that advance side by side.
const TOGETHER: usize = 64;

/// Tokens of prompts between two steps, the last prompt whole: those under way do not wait for all prompts, and a step is
/// seldom for a few sequences.
const BETWEEN: usize = 2048;

/// How often an idle engine looks whether the server ends.
const LOOK: Duration = Duration::from_millis(50);

/// What computes: the networks of the catalogue's checkpoints.
pub(super) struct Engine<'a> {
    catalogue: &'a Catalogue,
    networks: &'a [Network],
    active: Vec<Active<'a>>,
    /// Sequences that are done, for prompts that begin alike.
    kept: Kept<'a>,
}

/// A sequence under way.
struct Active<'a> {
    job: Job,
    sequence: Sequence<'a>,
    random: ChaCha8Rng,
    /// The number of its network.
    network: usize,
    is_done: bool,
}

impl<'a> Engine<'a> {
    /// `kept`: bytes that sequences may take which are done, but whose beginnings others may share.
    pub(super) fn new(catalogue: &'a Catalogue, networks: &'a [Network], kept: usize) -> Engine<'a> {
        Engine { catalogue, networks, active: Vec::new(), kept: Kept::new(kept) }
    }

    /// Does jobs until nobody can send any more.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn run(mut self, jobs: &mut Receiver<Job>) -> Result<()> {
        let on_cpu = self.networks.iter().all(|network| is_cpu(&network.device()));
        loop {
            match jobs.recv_timeout(LOOK) {
                // On a thread of the pool, so that a token's many small tasks need not wake it each time.
                Ok(job) if on_cpu => rayon::scope(|_| self.work(job, &mut *jobs))?,
                Ok(job) => self.work(job, jobs)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Does a job, and others as they come, until there is none.
    fn work(&mut self, first: Job, jobs: &mut Receiver<Job>) -> Result<()> {
        self.admit(first);
        while !self.active.is_empty() {
            let mut read = 0;
            while self.active.len() < TOGETHER
                && read < BETWEEN
                && let Ok(job) = jobs.try_recv()
            {
                read += job.prompt.ids.len();
                self.admit(job);
            }
            self.step()?;
        }
        Ok(())
    }

    /// Reads a job's prompt. What fails, a library's panic too, fails for its client alone.
    fn admit(&mut self, job: Job) {
        if job.is_given_up() {
            return;
        }
        let begun = guarded(|| self.begun(&job))
            .unwrap_or_else(|said| Err(Error::new(ErrorKind::Compute, format!("internal error: {said}"))));
        match begun {
            Ok(None) => tell(&job, Event::End(Ended::Length)),
            Ok(Some(sequence)) => {
                let random = ChaCha8Rng::seed_from_u64(job.sampling.seed);
                let network = self.catalogue.entries[job.model].checkpoint;
                self.active.push(Active { job, sequence, random, network, is_done: false });
            }
            Err(e) => tell(&job, Event::Failed(refusal(&e))),
        }
    }

    /// Gives the prompt's scores, and its sequence if that may be continued or shared.
    fn begun(&mut self, job: &Job) -> Result<Option<Sequence<'a>>> {
        let catalogue = self.catalogue;
        let entry = &catalogue.entries[job.model];
        let Checkpoint { config, tokenizer, .. } = &catalogue.checkpoints[entry.checkpoint];
        let (model, encoding) = (&self.networks[entry.checkpoint], &entry.encoding);
        let under = EncodedModel { model, config, encoding, bos: tokenizer.bos()? };
        let Prepared { ids, layout, .. } = &*job.prompt;
        let shares = under.shares_prefixes(ids.len(), job.new_tokens);
        if job.score {
            EncodedModel::check_scoring(config, encoding, ids.len())?;
            if job.new_tokens == 0 && !shares {
                let scores = under.score_with_top(ids, layout.clone(), job.top)?;
                tell(job, Event::Prompt(Scores::of(ids, scores, job.top).tokens));
                return Ok(None);
            }
        }
        let active = self.active.iter().map(|one| &one.sequence);
        let begun = if shares { self.kept.beginning(active, job) } else { None };
        let sequence = Sequence::read(&under, begun, job)?;
        if let Some(scores) = &sequence.scores {
            tell(job, Event::Prompt(scores.tokens.clone()));
        }
        if job.new_tokens == 0 {
            self.kept.keep(sequence);
            return Ok(None);
        }
        Ok(Some(sequence))
    }

    /// Takes a token of every sequence, and reads those that go on.
    fn step(&mut self) -> Result<()> {
        let catalogue = self.catalogue;
        self.active.par_iter_mut().for_each(|one| {
            let token = one.take(&catalogue.checkpoints[one.network].end_of_sequence);
            one.is_done = token.is_none();
            one.sequence.new.extend(token);
        });
        for done in self.active.extract_if(.., |one| one.is_done) {
            self.kept.keep(done.sequence);
        }
        for network in 0..self.networks.len() {
            let of_network = self.active.iter_mut().filter(|one| one.network == network);
            let (mut decoders, ids): (Vec<&mut Decoder>, Vec<u32>) = of_network
                .map(|one| (&mut one.sequence.decoder, one.sequence.new[one.sequence.new.len() - 1]))
                .unzip();
            Decoder::advance_unchecked(&mut decoders, &ids)?;
        }
        Ok(())
    }
}

impl Active<'_> {
    /// Chooses the next token and tells it; gives it if the sequence goes on.
    fn take(&mut self, end_of_sequence: &[u32]) -> Option<u32> {
        if self.job.is_given_up() {
            return None;
        }
        let logits = self.sequence.decoder.logits();
        if let Err(e) = check_finite(logits) {
            tell(&self.job, Event::Failed(refusal(&e)));
            return None;
        }
        let id = chosen(logits, self.job.sampling.temperature, self.job.sampling.top_p, &mut self.random);
        // The sum over the vocabulary takes as long as the choice.
        let logprob = if self.job.score_new { -negative_log_likelihood(logits, id) as f32 } else { f32::NAN };
        let score = TokenScore { id, logprob, top: most_likely_with(logits, (id, logprob), self.job.top) };
        if end_of_sequence.contains(&id) {
            tell(&self.job, Event::EndOfText(score));
            return None;
        }
        tell(&self.job, Event::Token(score));
        if self.sequence.new.len() + 1 == self.job.new_tokens {
            tell(&self.job, Event::End(Ended::Length));
            return None;
        }
        Some(id)
    }
}

/// Whoever asked may be gone.
fn tell(job: &Job, event: Event) {
    let _ = job.events.send((job.choice, event));
}

/// What a client reads of an error.
fn refusal(error: &Error) -> Refusal {
    let status = if error.kind.exit_code() == 2 || error.kind.is_of_sample() { 400 } else { 500 };
    let fix = error.fix.as_ref().map_or(String::new(), |fix| format!(": {fix}"));
    Refusal::status(status, format!("{}{fix}", error.what))
}

/// The next token: the most likely one, or drawn from the most likely ones whose probabilities sum to `top_p`.
fn chosen(logits: &[f32], temperature: f64, top_p: f64, random: &mut ChaCha8Rng) -> u32 {
    if temperature == 0.0 || top_p == 0.0 {
        return most_likely(logits);
    }
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit - max) / temperature).exp();
    let mut weights: Vec<(u32, f64)> = (0..).zip(logits).map(|(id, &logit)| (id, weight(logit))).collect();
    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut kept = sum;
    if top_p < 1.0 {
        weights.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let mut so_far = 0.0;
        let count = weights.iter().take_while(|(_, weight)| {
            let needed = so_far < top_p * sum;
            so_far += if needed { *weight } else { 0.0 };
            needed
        });
        let count = count.count();
        weights.truncate(count.max(1));
        kept = weights.iter().map(|(_, weight)| weight).sum();
    }
    let mut drawn = random.random::<f64>() * kept;
    for (id, weight) in &weights {
        drawn -= weight;
        if drawn < 0.0 {
            return *id;
        }
    }
    weights[weights.len() - 1].0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares of 40,000 draws.
    fn shares(temperature: f64, top_p: f64) -> [f64; 4] {
        let logits = [1.0f32, 0.0, 2.0, -1.0];
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut counts = [0.0; 4];
        for _ in 0..40_000 {
            counts[chosen(&logits, temperature, top_p, &mut random) as usize] += 1.0 / 40_000.0;
        }
        counts
    }

    #[test]
    fn draws_follow_the_softmax() {
        for temperature in [0.5, 1.0, 2.0] {
            let weights = [1.0f64, 0.0, 2.0, -1.0].map(|logit| (logit / temperature).exp());
            let sum: f64 = weights.iter().sum();
            for (share, weight) in shares(temperature, 1.0).into_iter().zip(weights) {
                // Four standard errors of a share of one half.
                assert!((share - weight / sum).abs() < 0.01, "{temperature}: {share}, {}", weight / sum);
            }
        }
    }

    #[test]
    fn a_nucleus_is_the_fewest_most_likely_tokens() {
        // The two most likely have 0.644 and 0.237.
        let one = shares(1.0, 0.6);
        assert!(one[0] == 0.0 && one[1] == 0.0 && one[3] == 0.0, "{one:?}");
        let two = shares(1.0, 0.7);
        assert!(two[1] == 0.0 && two[3] == 0.0 && (two[2] - 0.731).abs() < 0.01, "{two:?}");
        assert!(shares(0.0, 1.0)[2] > 0.999 && shares(1.0, 0.0)[2] > 0.999);
    }
}
