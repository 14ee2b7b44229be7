//! Continuous batching: sequences of one network advance side by side, a token a step; a request joins and leaves
//! between steps.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use longcode_openai::server::{Ended, Event, Job, Refusal, TokenScore};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Catalogue;
use crate::error::{Error, Result};
use crate::model::decode::{check_finite, most_likely, negative_log_likelihood};
use crate::model::score::most_likely_with;
use crate::model::{Decoder, EncodedModel, Network};

/// Sequences that advance side by side.
const TOGETHER: usize = 64;

/// How often an idle engine looks whether the server ends.
const LOOK: Duration = Duration::from_millis(50);

/// What computes: the networks of the catalogue's checkpoints.
pub(super) struct Engine<'a> {
    catalogue: &'a Catalogue,
    networks: &'a [Network],
    active: Vec<Active<'a>>,
}

/// A sequence under way.
struct Active<'a> {
    job: Job,
    decoder: Decoder<'a>,
    made: usize,
    random: ChaCha8Rng,
    /// The number of its network.
    network: usize,
}

impl<'a> Engine<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, networks: &'a [Network]) -> Engine<'a> {
        Engine { catalogue, networks, active: Vec::new() }
    }

    /// Does jobs until nobody can send any more.
    ///
    /// # Errors
    /// When the device fails.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) -> Result<()> {
        loop {
            if self.active.is_empty() {
                match jobs.recv_timeout(LOOK) {
                    Ok(job) => self.admit(job),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            }
            while self.active.len() < TOGETHER {
                match jobs.try_recv() {
                    Ok(job) => self.admit(job),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.step()?;
        }
    }

    /// Reads a job's prompt; what fails on its own is told to its client.
    fn admit(&mut self, job: Job) {
        if job.events.is_closed() {
            return;
        }
        match self.begun(&job) {
            Ok(None) => tell(&job, Event::End(Ended::Length)),
            Ok(Some(decoder)) => {
                let random = ChaCha8Rng::seed_from_u64(job.sampling.seed);
                let network = self.catalogue.entries[job.model].checkpoint;
                self.active.push(Active { job, decoder, made: 0, random, network });
            }
            Err(e) => tell(&job, Event::Failed(refusal(&e))),
        }
    }

    /// The prompt's scores, and its decoder if there is something to be made.
    fn begun(&self, job: &Job) -> Result<Option<Decoder<'a>>> {
        let entry = &self.catalogue.entries[job.model];
        let checkpoint = &self.catalogue.checkpoints[entry.checkpoint];
        let under = EncodedModel {
            model: &self.networks[entry.checkpoint],
            config: &checkpoint.config,
            encoding: &entry.encoding,
            bos: checkpoint.tokenizer.bos()?,
        };
        let (ids, levels) = (&job.prompt.ids, &job.prompt.levels);
        if job.score {
            EncodedModel::check_scoring(&checkpoint.config, &entry.encoding, ids.len())?;
            let scores = under.score_with_top(ids, levels.clone(), job.top.max(1))?;
            let top = scores.details.unwrap_or_default().top;
            let scored = ids.iter().skip(1).zip(&scores.nll).zip(top);
            let scored = scored.map(|((&id, &nll), top)| TokenScore { id, logprob: -nll, top });
            tell(job, Event::Prompt(scored.collect()));
        }
        if job.new_tokens == 0 {
            return Ok(None);
        }
        under.read(ids, levels.clone(), job.new_tokens).map(Some)
    }

    /// Takes a token of every sequence, and reads those that go on.
    fn step(&mut self) -> Result<()> {
        let catalogue = self.catalogue;
        let mut next = Vec::new();
        self.active.retain_mut(|one| {
            let checkpoint = &catalogue.checkpoints[one.network];
            let token = one.take(&checkpoint.end_of_sequence);
            next.extend(token);
            token.is_some()
        });
        for network in 0..self.networks.len() {
            let of_network = self.active.iter_mut().zip(&next).filter(|(one, _)| one.network == network);
            let (mut decoders, ids): (Vec<&mut Decoder>, Vec<u32>) =
                of_network.map(|(one, id)| (&mut one.decoder, *id)).unzip();
            Decoder::advance_unchecked(&mut decoders, &ids)?;
        }
        Ok(())
    }
}

impl Active<'_> {
    /// Chooses the next token and tells it; gives it if the sequence goes on.
    fn take(&mut self, end_of_sequence: &[u32]) -> Option<u32> {
        if self.job.events.is_closed() {
            return None;
        }
        let logits = self.decoder.logits();
        if let Err(e) = check_finite(logits) {
            tell(&self.job, Event::Failed(refusal(&e)));
            return None;
        }
        let id = chosen(logits, self.job.sampling.temperature, self.job.sampling.top_p, &mut self.random);
        if end_of_sequence.contains(&id) {
            tell(&self.job, Event::End(Ended::Stop));
            return None;
        }
        let logprob = -negative_log_likelihood(logits, id) as f32;
        let top = most_likely_with(logits, (id, logprob), self.job.top);
        tell(&self.job, Event::Token(TokenScore { id, logprob, top }));
        self.made += 1;
        if self.made == self.job.new_tokens {
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
