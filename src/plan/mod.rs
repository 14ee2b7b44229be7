//! What a run will do, before it does: samples, tokens, products and memory from an account of the network's
//! work, the time from what a minute of that work takes on this machine, and what is done already.

mod memory;
mod rates;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::config::{Config, EncodingEntry};
use crate::device::OpenDevice;
use crate::error::Result;
use crate::kernels::is_cpu;
use crate::memory::{available, resident};
use crate::run::{Cost, NetworkAccount, Prepared, Work, WorkSample};
use crate::store::{SampleKey, Shard, Stored};
use crate::task::Ask;
use memory::Need;
use rates::{Measured, Measurement, Seconds};

/// About what measuring may take.
const BUDGET: Duration = Duration::from_secs(60);

/// The part of a config to plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlanOptions {
    /// At most this many samples of each bucket of each task.
    pub limit: Option<usize>,
    /// The part of the samples; all if none.
    pub shard: Option<Shard>,
}

/// What a run will do.
#[derive(Debug)]
pub struct Plan {
    /// Every model on every task under every encoding, in the order of the config.
    pub rows: Vec<PlanRow>,
    /// Seconds to open models and data and to load weights, which every run spends.
    pub opening_seconds: f64,
    /// Seconds of the measurement.
    pub measured_seconds: f64,
    /// Memory available before weights were loaded, MB (10^6 bytes); none if unknown.
    pub available_mb: Option<f64>,
    /// What a reader must know about the figures.
    pub notes: Vec<String>,
}

/// One model on one task under one encoding.
#[derive(Debug, Clone, Serialize)]
pub struct PlanRow {
    /// The model's name in the config.
    pub model: String,
    /// The task's name in the config.
    pub task: String,
    /// The encoding's name in the config.
    pub encoding: String,
    /// Samples in all.
    pub samples: usize,
    /// Samples that are stored already.
    pub done: usize,
    /// Tokens that are read, over all samples.
    pub tokens: f64,
    /// Most tokens that are generated.
    pub generated_tokens: f64,
    /// Products of all samples, each one multiplication and one addition, for the most tokens that may be
    /// generated.
    pub products: f64,
    /// How many of them are attention's; these grow with the square of the length if all keys are seen.
    pub attention_products: f64,
    /// Seconds that the samples not yet stored will take on this machine.
    pub seconds: f64,
    /// How many of them are attention's.
    pub attention_seconds: f64,
    /// Peak memory of the longest sample, MB; on a GPU only of its tensors. None if the system does not
    /// report what the program itself takes.
    pub memory_mb: Option<f64>,
    /// Tokens of the longest sequence that fits into available memory; none if that is unknown, or if length
    /// makes no difference because an encoding reads one context at a time.
    pub largest_sequence: Option<usize>,
    /// For a model that is served: what is left to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
}

/// Requests to a server that are left.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Requests {
    /// How many.
    pub count: f64,
    /// What they cost, for the most tokens that may be generated; none without a price.
    pub cost: Option<f64>,
}

/// A sample under an encoding that is to be run.
#[derive(Clone, Copy)]
struct Pending<'a> {
    work: &'a Work<'a>,
    one: &'a WorkSample,
    encoding: &'a EncodingEntry,
    cost: Cost,
}

/// What is not in the times: texts that an evaluator reads first.
fn note_of_evaluators(config: &Config) -> Option<String> {
    let models: Vec<&str> =
        config.tasks.iter().filter_map(|task| Some(task.task.evaluator()?.model)).collect();
    let words = "once reads every text whole, and in short parts: its time is not in these numbers";
    (!models.is_empty()).then(|| format!("the evaluator {} {words}", models.join(", ")))
}

/// Computes what a run of a config in `out` will do.
///
/// # Errors
/// As [`crate::run::run`] before work starts, so that what a run would refuse is refused; and
/// [`crate::error::ErrorKind::Compute`] while measuring. Nothing is written.
pub fn plan(config: &Config, device: &OpenDevice, out: &Path, options: PlanOptions) -> Result<Plan> {
    let started = Instant::now();
    let mut prepared = Prepared::new(config, std::slice::from_ref(device))?;
    let stored = Stored::read(out, prepared.asked(std::slice::from_ref(device), options.shard)?)?;
    let done = stored.keys;
    if let Some(shard) = options.shard {
        prepared.keep_shard(shard)?;
    }
    prepared.keep_limit(options.limit);
    prepared.refuse_uncovered(None)?;
    let memory = Memory::of(device);
    let mut plan = Plan {
        rows: Vec::new(),
        opening_seconds: started.elapsed().as_secs_f64(),
        measured_seconds: 0.0,
        available_mb: memory.available.map(|bytes| bytes / 1e6),
        notes: stored.words.into_iter().chain(memory.note()).collect(),
    };
    let pending: Vec<Vec<Pending>> =
        (0..config.models.len()).map(|model| pending(&prepared, model, &done)).collect();
    let is_here = |model: usize| prepared.subjects[model].checkpoint().is_some();
    let busy =
        (0..pending.len()).filter(|&model| is_here(model) && !pending[model].is_empty()).count() as u32;
    for (model, pending) in pending.iter().enumerate() {
        let works: Vec<&Work> =
            prepared.work.iter().filter(|work| work.model == model && !work.samples.is_empty()).collect();
        let (subject, account) = (&prepared.subjects[model], &prepared.accounts[model]);
        // Time and memory are those of a checkpoint on this machine.
        let (Some(checkpoint), Some(account)) = (subject.checkpoint(), account.network()) else {
            for work in works {
                let rows = prepared.rows(model);
                plan.rows.extend(rows.map(|encoding| row_elsewhere(&prepared, pending, work, encoding)));
            }
            continue;
        };
        let measured = if pending.is_empty() {
            None
        } else {
            Some(plan.measure(&prepared, model, (checkpoint, account), pending, device, BUDGET / busy)?)
        };
        let weights = memory::weights(checkpoint, &device.device, config.models[model].precision)?;
        let of_model = OfModel { prepared: &prepared, account, pending, measured, weights, memory };
        for work in works {
            plan.rows.extend(prepared.rows(model).map(|encoding| of_model.row(work, encoding)));
        }
    }
    plan.notes.extend(note_of_windows(&prepared));
    plan.notes.extend(note_of_evaluators(config));
    plan.notes.extend(notes_of_beginnings(&prepared));
    Ok(plan)
}

/// What windows cost, where a text is longer than a context that it is scored in.
fn note_of_windows(prepared: &Prepared) -> Option<String> {
    let scored = prepared.work.iter().filter(|work| matches!(work.task.task.ask(), Ask::Score));
    let longest = scored.flat_map(|work| &work.samples).map(|one| one.sample.tokens.ids.len()).max()?;
    let cost = |encoding: &EncodingEntry| {
        let context = encoding.spec.context.filter(|context| longest > context.tokens)?;
        Some(format!("{} {}", encoding.name, context.tokens.div_ceil(context.stride)))
    };
    let rows = (0..prepared.subjects.len()).flat_map(|model| prepared.rows(model));
    let mut costs: Vec<String> = rows.filter_map(cost).collect();
    let mut seen = HashSet::new();
    costs.retain(|cost| seen.insert(cost.clone()));
    (!costs.is_empty()).then(|| {
        format!(
            "Windows cost: of a text that is longer than its context every token is read about context / stride times, \
             which `tokens` counts: {}.",
            costs.join(", ")
        )
    })
}

/// What prompts that begin alike spare, of each task under the encodings where they do.
fn notes_of_beginnings(prepared: &Prepared) -> Vec<String> {
    let note = |work: &Work| {
        let spared = |encoding: &EncodingEntry| {
            let (prompts, tokens) = prepared.spared(work, encoding);
            (prompts > 0).then(|| (prompts, format!("{} {tokens:.0}", encoding.name)))
        };
        let rows: Vec<(usize, String)> = prepared.rows(work.model).filter_map(spared).collect();
        let most = rows.iter().map(|(prompts, _)| *prompts).max()?;
        let tokens: Vec<String> = rows.into_iter().map(|(_, tokens)| tokens).collect();
        Some(format!(
            "Beginnings that are read once: {most} prompts of {} on {} begin like another one, which spares tokens: {}.",
            prepared.config.models[work.model].name,
            work.task.name,
            tokens.join(", ")
        ))
    };
    prepared.work.iter().filter_map(note).collect()
}

/// Memory before any weights are loaded, bytes.
#[derive(Clone, Copy)]
struct Memory {
    on_cpu: bool,
    /// What the program itself has on the device of the weights; none if unknown.
    own: Option<f64>,
    /// What is free; none if unknown.
    available: Option<f64>,
}

impl Memory {
    fn of(device: &OpenDevice) -> Memory {
        if is_cpu(&device.device) {
            Memory { on_cpu: true, own: resident(), available: available() }
        } else {
            Memory { on_cpu: false, own: Some(0.0), available: None }
        }
    }

    /// A note if it is unknown what is free.
    fn note(&self) -> Option<String> {
        let who = if self.on_cpu { "the system" } else { "the adapter" };
        self.available.is_none().then(|| {
            format!("The largest sequence is unknown: {who} does not report how much memory is free.")
        })
    }
}

/// What a model's rows are computed from.
struct OfModel<'a> {
    prepared: &'a Prepared<'a>,
    account: &'a NetworkAccount,
    pending: &'a [Pending<'a>],
    /// None if nothing is left to do.
    measured: Option<Measured>,
    /// Size of the weights, bytes.
    weights: f64,
    memory: Memory,
}

impl OfModel<'_> {
    fn row(&self, work: &Work, encoding: &EncodingEntry) -> PlanRow {
        let cost: Cost = work.samples.iter().map(|one| self.prepared.job(work, one, encoding).cost).sum();
        let attention_products = cost.attention + cost.generated_attention;
        let of_row =
            |one: &&Pending| one.work.task.name == work.task.name && one.encoding.name == encoding.name;
        let left: Vec<&Pending> = self.pending.iter().filter(of_row).collect();
        let seconds = |one: &&Pending| self.measured.as_ref().map(|measured| measured.seconds(one));
        let seconds: Vec<Seconds> = left.iter().filter_map(seconds).collect();
        let longest = work.samples.iter().map(|one| one.sample.tokens.ids.len()).max().unwrap_or(0);
        let need = Need::new(self.account, encoding, self.prepared.room(work), longest);
        let Memory { own, available, .. } = self.memory;
        PlanRow {
            model: self.prepared.config.models[work.model].name.clone(),
            task: work.task.name.clone(),
            encoding: encoding.name.clone(),
            samples: work.samples.len(),
            done: work.samples.len() - left.len(),
            tokens: cost.tokens,
            generated_tokens: cost.generated,
            products: cost.linear + cost.generated_linear + attention_products,
            attention_products,
            seconds: seconds.iter().map(|seconds| seconds.all).sum(),
            attention_seconds: seconds.iter().map(|seconds| seconds.attention).sum(),
            memory_mb: own.map(|own| (own + self.weights + need.bytes(longest)) / 1e6),
            largest_sequence: available.and_then(|available| need.longest(available - self.weights)),
            requests: None,
        }
    }
}

/// A row of a model that computes elsewhere: requests and tokens are known, time and memory are not.
fn row_elsewhere(prepared: &Prepared, pending: &[Pending], work: &Work, encoding: &EncodingEntry) -> PlanRow {
    let cost: Cost = work.samples.iter().map(|one| prepared.job(work, one, encoding).cost).sum();
    let of_row = |one: &&Pending| one.work.task.name == work.task.name && one.encoding.name == encoding.name;
    let left: Vec<Cost> = pending.iter().filter(of_row).map(|one| one.cost).collect();
    let model = &prepared.config.models[work.model];
    let price = model.served.as_ref().and_then(|served| served.price);
    let done = work.samples.len() - left.len();
    let asked: Cost = left.into_iter().sum();
    PlanRow {
        model: model.name.clone(),
        task: work.task.name.clone(),
        encoding: encoding.name.clone(),
        samples: work.samples.len(),
        done,
        tokens: cost.tokens,
        generated_tokens: cost.generated,
        products: 0.0,
        attention_products: 0.0,
        seconds: 0.0,
        attention_seconds: 0.0,
        memory_mb: None,
        largest_sequence: None,
        requests: Some(Requests {
            count: asked.requests,
            cost: price.map(|[tokens_in, out]| (asked.tokens * tokens_in + asked.generated * out) / 1e6),
        }),
    }
}

/// What is left to do with a model, sample by sample.
fn pending<'a>(prepared: &'a Prepared<'a>, model: usize, done: &HashSet<SampleKey>) -> Vec<Pending<'a>> {
    let mut pending = Vec::new();
    for work in prepared.work.iter().filter(|work| work.model == model) {
        for one in &work.samples {
            for encoding in prepared.rows(model) {
                if !done.contains(&prepared.key(work, one, encoding)) {
                    let cost = prepared.job(work, one, encoding).cost;
                    pending.push(Pending { work, one, encoding, cost });
                }
            }
        }
    }
    pending
}

impl Plan {
    /// Loads a model, and measures what its work takes on this machine.
    fn measure(
        &mut self,
        prepared: &Prepared,
        model: usize,
        (checkpoint, account): (&Checkpoint, &NetworkAccount),
        pending: &[Pending],
        device: &OpenDevice,
        budget: Duration,
    ) -> Result<Measured> {
        let started = Instant::now();
        let network = checkpoint.load(&device.device, prepared.config.models[model].precision)?;
        self.opening_seconds += started.elapsed().as_secs_f64();
        let started = Instant::now();
        let name = &prepared.config.models[model].name;
        status!("model \"{name}\": measuring, for up to about {} s", budget.as_secs());
        let rows: Vec<&EncodingEntry> = prepared.rows(model).collect();
        let measurement =
            Measurement { checkpoint, model: &network, account, encodings: &rows, pending, budget };
        let measured = measurement.rates()?;
        self.measured_seconds += started.elapsed().as_secs_f64();
        let unknown = measured.generated.iter().filter(|(_, part)| part.is_none());
        let mut unknown: Vec<&str> = unknown.map(|(task, _)| task.as_str()).collect();
        unknown.sort_unstable();
        if !unknown.is_empty() {
            self.notes.push(format!(
                "Where texts end could not be measured in the time, so all tokens that may be generated count: {}.",
                unknown.join(", ")
            ));
        }
        Ok(measured)
    }
}
