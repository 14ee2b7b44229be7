//! What products take on this machine: a minute of a model's real work, and the rates that explain it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::Pending;
use crate::checkpoint::Checkpoint;
use crate::config::EncodingEntry;
use crate::error::Result;
use crate::model::{EncodedModel, Network, generate};
use crate::run::{Account, Rates, kept};
use crate::task::Ask;
use crate::text::Ended;

/// Most samples of a task for which text is generated.
const GENERATED: usize = 12;

/// Most passes of one kind and length.
const PASSES: usize = 3;

/// Passes shorter than this are repeated.
const SHORT: Duration = Duration::from_millis(500);

/// Fewest tokens of a pass worth timing.
const FEWEST: usize = 64;

/// What one model takes on this machine.
pub(super) struct Measured {
    rates: Rates,
    /// By encoding: how long reading takes as a multiple of what `rates` predict.
    factors: HashMap<String, f64>,
    /// By task that generates: the share of the most tokens that is really generated; none if unknown.
    pub(super) generated: HashMap<String, Option<f64>>,
}

/// Seconds of some work.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seconds {
    pub(super) all: f64,
    /// How many of them are attention's.
    pub(super) attention: f64,
}

impl Measured {
    /// The time that a sample takes.
    pub(super) fn seconds(&self, pending: &Pending) -> Seconds {
        let factor = self.factors.get(&pending.encoding.name).copied().unwrap_or(1.0);
        let part = self.generated.get(&pending.work.task.name).copied().flatten().unwrap_or(1.0);
        let cost = &pending.cost;
        let attention = factor * cost.attention * self.rates.attention
            + part * cost.generated_attention * self.rates.generated_attention;
        let linear = factor * cost.linear * self.rates.linear
            + part * cost.generated_linear * self.rates.generated_linear;
        Seconds { all: attention + linear, attention }
    }
}

/// A model whose work is measured.
pub(super) struct Measurement<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) model: &'a Network,
    pub(super) account: &'a Account,
    pub(super) encodings: &'a [&'a EncodingEntry],
    /// What is left to do with it; not empty.
    pub(super) pending: &'a [Pending<'a>],
    /// About what measuring may take.
    pub(super) budget: Duration,
}

impl<'a> Measurement<'a> {
    /// Reads and generates for about the budget.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Compute`] when the model fails.
    pub(super) fn rates(&self) -> Result<Measured> {
        let longest = self.pending.iter().map(|one| one.one.sample.tokens.ids.len()).max().unwrap_or(0);
        // An encoding that sees everything, so that attention's part is large enough to measure.
        let base = self.encodings.iter().find(|encoding| encoding.spec.context.is_none());
        let base = *base.unwrap_or(&self.encodings[0]);
        let short = longest.clamp(2, 4 * FEWEST);
        self.pass(base, short)?;
        let of_token = self.pass(base, short)? / short as f64;
        // Attention grows with the square: the longest pass may take several times what its tokens alone do.
        let affordable = self.budget.as_secs_f64() / 4.0 / of_token / 2.0;
        let long = longest.min((affordable as usize).max(short));
        let lengths = [long / 8, long / 2, long].map(|length| length.max(FEWEST).min(long).max(2));
        let mut points = Vec::new();
        for length in lengths {
            let cost = self.account.scoring(base, length);
            points.push([cost.linear, cost.attention, self.time(base, length)?]);
        }
        let [linear, attention] = explained(&points).expect("tokens were read");
        let mut measured = Measured {
            rates: Rates {
                linear,
                attention,
                generated_linear: linear * Rates::NOMINAL.generated_linear,
                generated_attention: linear * Rates::NOMINAL.generated_attention,
            },
            factors: HashMap::new(),
            generated: HashMap::new(),
        };
        self.encodings(long, &mut measured)?;
        self.generations(&mut measured)?;
        Ok(measured)
    }

    /// How long reading takes under each encoding, relative to the rates: measured on passes of the same
    /// kind.
    fn encodings(&self, long: usize, measured: &mut Measured) -> Result<()> {
        let share = self.budget.as_secs_f64() / 4.0 / self.encodings.len() as f64;
        for &encoding in self.encodings {
            let expected = |length: usize| measured.rates.time(&self.account.scoring(encoding, length));
            let mut length = long;
            while length / 2 >= FEWEST && expected(length) > share {
                length /= 2;
            }
            let factor = self.time(encoding, length)? / expected(length);
            measured.factors.insert(encoding.name.clone(), factor);
        }
        Ok(())
    }

    /// The median of a few passes, or one long one.
    fn time(&self, encoding: &'a EncodingEntry, length: usize) -> Result<f64> {
        let started = Instant::now();
        let mut seconds = Vec::new();
        while seconds.is_empty() || (seconds.len() < PASSES && started.elapsed() < SHORT) {
            seconds.push(self.pass(encoding, length)?);
        }
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[seconds.len() / 2])
    }

    fn pass(&self, encoding: &'a EncodingEntry, length: usize) -> Result<f64> {
        self.under(encoding, None).time_of_scoring(length)
    }

    fn under(&self, encoding: &'a EncodingEntry, bos: Option<u32>) -> EncodedModel<'a> {
        EncodedModel { model: self.model, config: &self.checkpoint.config, encoding: &encoding.spec, bos }
    }
}

/// What a generation took.
struct Generated {
    /// Tokens that were read again, and how many there could have been.
    again: usize,
    most: usize,
    /// Products of linear maps and of attention, and seconds.
    point: [f64; 3],
}

impl<'a> Measurement<'a> {
    /// Generates for some samples of each task that does: how long a token takes, and how soon a text ends.
    fn generations(&self, measured: &mut Measured) -> Result<()> {
        let generating: Vec<&Pending> = self.pending.iter().filter(|one| one.cost.generated > 0.0).collect();
        let tasks: Vec<&[&Pending]> =
            generating.chunk_by(|a, b| a.work.task.name == b.work.task.name).collect();
        let mut points = Vec::new();
        for pending in &tasks {
            let share = self.budget / 2 / tasks.len() as u32;
            let generations = self.of_task(pending, share, measured)?;
            points.extend(generations.iter().map(|one| one.point));
            let again: usize = generations.iter().map(|one| one.again).sum();
            let most: usize = generations.iter().map(|one| one.most).sum();
            let part = (most > 0).then(|| again as f64 / most as f64);
            measured.generated.insert(pending[0].work.task.name.clone(), part);
        }
        if let Some([linear, attention]) = explained(&points) {
            measured.rates.generated_linear = linear;
            measured.rates.generated_attention = attention;
        }
        Ok(())
    }

    /// Generations for the samples of a task that fit into a share of the time, round-robin over the
    /// encodings. If none fits, the last tokens of one stand in: they show how long a token takes, not when a
    /// text ends.
    fn of_task(
        &self,
        pending: &[&Pending<'a>],
        share: Duration,
        measured: &Measured,
    ) -> Result<Vec<Generated>> {
        let started = Instant::now();
        let samples = pending.chunk_by(|a, b| a.one.sample.id == b.one.sample.id);
        let mut generations = Vec::new();
        for (number, encodings) in samples.enumerate() {
            let one = encodings[number % encodings.len()];
            let expected = Duration::from_secs_f64(measured.seconds(one).all);
            if generations.len() < GENERATED && started.elapsed() + expected < share {
                generations.extend(self.generate(one, usize::MAX)?);
            }
        }
        if generations.is_empty() {
            let of_token = self.account.scoring(pending[0].encoding, FEWEST);
            let of_token = measured.rates.time(&of_token) / FEWEST as f64;
            let affordable = (share.as_secs_f64() / 4.0 / of_token) as usize;
            let cut = self.generate(pending[0], affordable.max(FEWEST))?;
            generations.extend(cut.map(|cut| Generated { most: 0, ..cut }));
        }
        Ok(generations)
    }

    /// Continues a sample's prompt, or its last tokens if it has more than `most_read`; none for a sample
    /// that fails under its encoding.
    fn generate(&self, pending: &Pending<'a>, most_read: usize) -> Result<Option<Generated>> {
        let Pending { work, one, encoding, .. } = *pending;
        let Ask::Generate(limits) = work.task.task.ask() else {
            unreachable!("only what is generated for costs generated tokens")
        };
        let room = one.sample.room(limits);
        let all = one.sample.tokens.ids.len();
        let tokens = all.saturating_sub(most_read)..all;
        let levels =
            encoding.spec.units().iter().map(|unit| one.segments[unit].index[tokens.clone()].to_vec());
        let under = self.under(encoding, self.checkpoint.tokenizer.bos()?);
        let decoder =
            match under.read(&one.sample.tokens.ids[tokens.clone()], levels.collect::<Vec<_>>(), room) {
                Err(e) if e.kind.is_of_sample() => return Ok(None),
                read => read?,
            };
        let started = Instant::now();
        let sequences = vec![(decoder, limits, &one.sample.ends[..])];
        let generation = generate(sequences, &self.checkpoint.tokenizer, &self.checkpoint.end_of_sequence)?;
        let seconds = started.elapsed().as_secs_f64();
        let Some(Ok(generation)) = generation.first() else { return Ok(None) };
        // The last token is read again only if the model's next token ends the text.
        let again = match generation.ended {
            Ended::EndOfSequence => generation.ids.len(),
            Ended::MaxNewTokens | Ended::Stop => generation.ids.len().saturating_sub(1),
        };
        let cost = self.account.continuing(encoding, kept(&encoding.spec, tokens.len(), room), again);
        Ok(Some(Generated {
            again,
            most: limits.max_new_tokens.saturating_sub(1),
            point: [cost.generated_linear, cost.generated_attention, seconds],
        }))
    }
}

/// The rates of two kinds of products that explain measured times best, by least squares of relative errors;
/// one rate for both if the times cannot distinguish them. None if nothing was measured.
fn explained(points: &[[f64; 3]]) -> Option<[f64; 2]> {
    let relative = points.iter().filter(|[linear, _, seconds]| *linear > 0.0 && *seconds > 0.0);
    let relative: Vec<[f64; 2]> =
        relative.map(|[linear, attention, seconds]| [linear / seconds, attention / seconds]).collect();
    if relative.is_empty() {
        return None;
    }
    let sum = |of: fn(&[f64; 2]) -> f64| relative.iter().map(of).sum::<f64>();
    let [linear, attention] = [sum(|x| x[0]), sum(|x| x[1])];
    let [squares, mixed, attention_squares] =
        [sum(|x| x[0] * x[0]), sum(|x| x[0] * x[1]), sum(|x| x[1] * x[1])];
    let determinant = squares * attention_squares - mixed * mixed;
    if determinant > 1e-6 * squares * attention_squares {
        let rates = [
            (linear * attention_squares - attention * mixed) / determinant,
            (attention * squares - linear * mixed) / determinant,
        ];
        if rates.iter().all(|&rate| rate > 0.0) {
            return Some(rates);
        }
    }
    let both = (linear + attention) / sum(|x| (x[0] + x[1]) * (x[0] + x[1]));
    Some([both, both])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<[f64; 2]>, expected: [f64; 2]) {
        let found = found.unwrap();
        assert!(found.iter().zip(expected).all(|(a, b)| (a / b - 1.0).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn rates_that_explain_times() {
        let point = |linear: f64, attention: f64| [linear, attention, 2e-9 * linear + 5e-9 * attention];
        close(explained(&[point(1e9, 1e8), point(4e9, 2e9), point(8e9, 8e9)]), [2e-9, 5e-9]);
        // Attention that grows like the linear maps, or that would take negative time.
        close(explained(&[point(1e9, 1e9), point(2e9, 2e9)]), [3.5e-9, 3.5e-9]);
        close(explained(&[[1e9, 0.0, 2.0], [2e9, 2e9, 4.0]]), [1.2e-9, 1.2e-9]);
        assert_eq!(explained(&[[0.0, 0.0, 1.0]]), None);
    }
}
