//! The search for an encoding's keys: successive halving over documents ([`mod@rungs`]), on the stored
//! results of each trial ([`trials`]), to the best of an [`objective`]; then the choice is measured on
//! documents that had no part in it, and reported ([`outcome`]).
//!
//! Everything is decided by stored samples, so a search that is killed resumes and ends like one that was
//! not.

mod objective;
mod outcome;
mod rungs;
mod trials;

use std::collections::BTreeMap;
use std::path::Path;

use longcode_stats::{Bootstrap, Design, ratio};
use objective::Objective;
use outcome::{Choice, Compared};
use rungs::{LAST, Rung, divide, rungs};
use trials::Trials;

use crate::config::{Config, EncodingEntry, TuneKeys};
use crate::device::OpenDevice;
use crate::error::{Error, ErrorKind, Result, refuse};
use crate::run::{Prepared, Work};
use crate::task::Span;

/// Name of the baseline's row.
const BASELINE: &str = "baseline";

/// Finds the best row of a config, stores every trial in `out`, and writes there what was found; gives it in
/// words.
///
/// # Errors
/// As [`crate::run::run`]; [`ErrorKind::Config`] for a config with nothing to choose from, several models or
/// tasks, or too few documents.
pub fn tune(mut config: Config, device: &OpenDevice, out: &Path, fresh: bool) -> Result<String> {
    let keys = config.tune.get_or_insert_default().clone();
    check(&config)?;
    let objective = Objective::of(&keys, &config.tasks[0])?;
    let candidates = config.encodings.len();
    if let Some(spec) = keys.baseline_spec()? {
        config.encodings.push(EncodingEntry::new(BASELINE.into(), spec));
    }
    config.open_encodings()?;
    let prepared = Prepared::new(&config, std::slice::from_ref(device))?;
    prepared.refuse_uncovered(None)?;
    if prepared.rows(0).count() < config.encodings.len() {
        let fix = "search on a checkpoint, or among contexts of as_served";
        let what = "a row is not one of this model's: it is left out, and a search needs all";
        return Err(Error::new(ErrorKind::Config, what).at_key("encoding").fix(fix));
    }
    let search = Search::new(&config, &keys, objective, candidates, &prepared.work[0])?;
    let mut trials = Trials::open(&config, &prepared, objective, device, out, search.trials(), fresh)?;
    let path = search.climb(&mut trials)?;
    let choice = search.measure_choice(path, &mut trials)?;
    trials.finish()?;
    choice.write(out)?;
    Ok(choice.markdown())
}

/// Refuses a config with nothing to choose from, or more than one thing to choose by.
fn check(config: &Config) -> Result<()> {
    let exactly_one = |key: &str, count: usize| match count {
        1 => Ok(()),
        _ => refuse(key, format!("{count} [[{key}]] rows, and a search is on one"), "keep one of them"),
    };
    exactly_one("model", config.models.len())?;
    exactly_one("task", config.tasks.len())?;
    if config.tasks[0].task.evaluator().is_some() {
        let what = "a search does not score key tokens".into();
        return refuse("key_tokens", what, "take the key out, or score them with `longcode run`");
    }
    if config.encodings.len() < LAST {
        let fix = "give a key a list of values, or add rows";
        return refuse("encoding", "one encoding leaves nothing to choose".into(), fix);
    }
    if let Some(entry) = config.encodings.iter().find(|entry| !entry.is_for(&config.models[0])) {
        let what = format!("encoding \"{}\" is not for the model of the search", entry.name);
        return refuse("models", what, "leave `models` out, or take the encoding out");
    }
    if config.encodings.iter().any(|encoding| encoding.name == BASELINE) {
        refuse("encoding", format!("an encoding is named \"{BASELINE}\""), "give it another name")
    } else {
        Ok(())
    }
}

/// A search: which rows, on which documents. Rows and documents are numbered as in the config and the task.
struct Search<'a> {
    config: &'a Config,
    objective: Objective,
    /// Rows to choose from, the first ones of the config.
    candidates: usize,
    rungs: Vec<Rung>,
    /// Documents to choose by.
    choose: Vec<usize>,
    /// Documents that have no part in the choice.
    unseen: BTreeMap<Span, Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(
        config: &'a Config,
        keys: &TuneKeys,
        objective: Objective,
        candidates: usize,
        work: &Work,
    ) -> Result<Search<'a>> {
        let (choose, unseen) = divide(work.samples.iter().map(|one| &one.sample), keys.check);
        let left = |bucket: &Span| choose.iter().any(|&number| work.samples[number].sample.bucket == *bucket);
        if let Some(empty) = unseen.keys().find(|bucket| !left(bucket)) {
            let what = format!("check takes all documents of bucket {empty}, and none is left to choose by");
            return Err(Error::new(ErrorKind::Config, what).at_key("check").at("[tune]").fix(
                "raise the task's `samples`, lower `check`, or use a data set with more such documents",
            ));
        }
        let rungs = rungs(candidates, choose.len(), unseen.len(), keys.reduction_factor);
        Ok(Search { config, objective, candidates, rungs, choose, unseen })
    }

    /// The baseline's row.
    fn baseline(&self) -> Option<usize> {
        (self.config.encodings.len() > self.candidates).then_some(self.candidates)
    }

    /// How many trials it takes.
    fn trials(&self) -> usize {
        let beside = usize::from(self.baseline().is_some());
        let before = [0].into_iter().chain(self.rungs.iter().map(|rung| rung.documents));
        let new = self.rungs.iter().zip(before).map(|(rung, before)| (rung.documents - before, rung.rows));
        let check = self.unseen.values().map(Vec::len).sum();
        new.chain([(check, LAST)]).map(|(documents, rows)| documents * (rows + beside)).sum()
    }

    /// Climbs the rungs to the last two rows.
    fn climb(&self, trials: &mut Trials) -> Result<Vec<Compared>> {
        let mut rows: Vec<usize> = (0..self.candidates).collect();
        let mut path = Vec::new();
        for (number, rung) in self.rungs.iter().enumerate() {
            let documents = &self.choose[..rung.documents];
            let (place, of) = (number + 1, self.rungs.len());
            status!("rung {place} of {of}: {} rows on {} documents", rung.rows, rung.documents);
            trials.measure(&self.with_baseline(&rows), documents)?;
            let figure = |row: usize| Ok((row, ratio(trials.pairs(row, documents)?.into_iter())));
            let mut figures: Vec<(usize, f64)> =
                rows.iter().map(|&row| figure(row)).collect::<Result<_>>()?;
            if figures.iter().any(|(_, figure)| figure.is_nan()) {
                return Err(nothing_counts());
            }
            figures.sort_by(|(_, a), (_, b)| self.objective.worse(*a).total_cmp(&self.objective.worse(*b)));
            let kept = self.rungs.get(number + 1).map_or(1, |next| next.rows);
            rows = figures[..kept].iter().map(|(row, _)| *row).collect();
            if figures[0].1.is_infinite() {
                return Err(all_fail());
            }
            let baseline = self.baseline().map(|row| Ok(figure(row)?.1)).transpose()?;
            path.push(Compared { documents: documents.len(), figures, kept, baseline });
        }
        Ok(path)
    }

    /// Measures the best two of the last rung on the documents that had no part in the choice.
    fn measure_choice(&self, path: Vec<Compared>, trials: &mut Trials) -> Result<Choice<'a>> {
        let last = path.last().expect("a search has rungs");
        let best = [last.figures[0].0, last.figures[1].0];
        let documents: Vec<usize> = self.unseen.values().flatten().copied().collect();
        status!("check: the best two on {} other documents", documents.len());
        let rows = self.with_baseline(&best);
        trials.measure(&rows, &documents)?;
        let all: Vec<_> = rows.iter().map(|&row| trials.pairs(row, &documents)).collect::<Result<_>>()?;
        // A document on which one of them failed says nothing about a difference.
        let is_whole = |n: &usize| all.iter().all(|pairs| pairs[*n].0.is_finite());
        let whole: Vec<usize> = (0..documents.len()).filter(is_whole).collect();
        let failed = all.iter().map(|pairs| pairs.iter().filter(|(part, _)| part.is_infinite()).count());
        let failed: Vec<usize> = failed.collect();
        if whole.is_empty() {
            return Err(all_fail());
        }
        let mut places = whole.iter().copied().peekable();
        let (mut end, mut buckets) = (0, Vec::new());
        for bucket in self.unseen.values() {
            end += bucket.len();
            buckets.push(std::iter::from_fn(|| places.next_if(|place| *place < end)).count());
        }
        let buckets = buckets.into_iter().filter(|count| *count > 0);
        let bootstrap = Bootstrap::new(Design::new(buckets), self.config.seed);
        let pairs: Vec<Vec<_>> =
            all.iter().map(|pairs| whole.iter().map(|&place| pairs[place]).collect()).collect();
        if pairs.iter().any(|pairs| pairs.iter().map(|(_, count)| count).sum::<f64>() == 0.0) {
            return Err(nothing_counts());
        }
        Ok(Choice::new(self.config, self.objective, path, best, &bootstrap, &pairs, failed))
    }

    fn with_baseline(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().copied().chain(self.baseline()).collect()
    }
}

fn all_fail() -> Error {
    Error::new(ErrorKind::NotFinite, "every row fails on some document: there is nothing to choose from")
        .at_key("encoding")
        .fix("samples.jsonl says why (`failed`); give values that the model can compute, or other documents")
}

fn nothing_counts() -> Error {
    Error::new(ErrorKind::Config, "no document has anything that the objective counts")
        .at_key("objective")
        .at("[tune]")
        .fix("use longer documents (the task's `buckets`), or set the task's `from`")
}
