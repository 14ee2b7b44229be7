//! Which figures and samples two sides share, and how the one differs from the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_stats::{Among, Bootstrap, Design, Pair, Scale, decisive, permutation};

use crate::found::{Compared, Differing, FigureCompared, Named, SideShown};
use crate::side::{Figure, Side, Wanted};

/// What is compared, and how much of it is shown.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only this task; all that both have if none is given.
    pub task: Option<String>,
    /// Only these figures; all that both have if none is given.
    pub metrics: Vec<Wanted>,
    /// How many samples of each sort are named.
    pub named: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { task: None, metrics: Vec::new(), named: 10 }
    }
}

/// The first side less the second, over the samples that both have.
///
/// # Errors
/// [`ErrorKind::Results`] if they have no figure or no sample of one in common.
pub fn compare(a: Side, b: Side, options: &Options) -> Result<Compared> {
    let pairs = shared_figures(&a, &b, options)?;
    let mut made = Made { a: &a, b: &b, named: options.named, bootstraps: HashMap::new() };
    let mut notes = between(&a, &b, &pairs);
    let mut figures = Vec::new();
    for (one, other) in pairs {
        match made.figure(one, other) {
            Some(figure) => figures.push(figure),
            None => notes.push(format!(
                "{}: {}: no sample that both have",
                task_name(one, other),
                metric_name(one, other)
            )),
        }
    }
    if figures.is_empty() {
        let what = format!("the two have no sample in common: {}", notes.join("; "));
        return Err(Error::new(ErrorKind::Results, what).fix("compare results of the same task and samples"));
    }
    if figures.len() > 1 {
        notes.push(format!(
            "{} figures: each interval holds for its figure alone, so one of 20 excludes 0 by chance",
            figures.len()
        ));
    }
    let shown = |side: Side| SideShown { name: side.name, stored_by: side.stored_by, notes: side.notes };
    Ok(Compared { a: shown(a), b: shown(b), notes, figures })
}

/// What is to be said of the two together.
fn between(a: &Side, b: &Side, pairs: &[(&Figure, &Figure)]) -> Vec<String> {
    let mut notes = Vec::new();
    if a.stored_by != b.stored_by {
        notes.push(format!("A was stored by {}, B by {}", a.stored_by, b.stored_by));
    }
    let mut tasks: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (one, other) in pairs {
        if tasks.insert((&one.task, &other.task)) {
            let other_prompts = one.values.keys().filter(|id| {
                let prompt =
                    |side: &Side, task: &str| side.samples.get(&(task.into(), (*id).clone()))?.prompt.clone();
                matches!((prompt(a, &one.task), prompt(b, &other.task)), (Some(a), Some(b)) if a != b)
            });
            let count = other_prompts.count();
            if count > 0 {
                let task = task_name(one, other);
                notes.push(format!("{task}: in {count} samples the two read other texts of the same record"));
            }
        }
    }
    notes
}

/// The figures that both have, of the tasks that both have; a task that is the only one of both may have two names.
fn shared_figures<'a>(a: &'a Side, b: &'a Side, options: &Options) -> Result<Vec<(&'a Figure, &'a Figure)>> {
    let wanted = |task: &str| options.task.as_ref().is_none_or(|name| name == task);
    let tasks = |side: &'a Side| side.tasks().into_iter().filter(|task| wanted(task)).collect::<Vec<_>>();
    let (of_a, of_b) = (tasks(a), tasks(b));
    let same_task = |one: &str, other: &str| one == other || (of_a.len() == 1 && of_b.len() == 1);
    let mut pairs = Vec::new();
    for one in a.figures.iter().filter(|figure| of_a.contains(&&figure.task[..])) {
        for other in b.figures.iter().filter(|figure| of_b.contains(&&figure.task[..])) {
            let named = |wanted: &Wanted| wanted.names == [&one.metric[..], &other.metric];
            let same = if options.metrics.is_empty() {
                one.metric == other.metric
            } else {
                options.metrics.iter().any(named)
            };
            if same && same_task(&one.task, &other.task) {
                pairs.push((one, other));
            }
        }
    }
    if pairs.is_empty() {
        let list = |side: &Side| {
            format!("{} of {}", side.metrics().join(", "), Vec::from_iter(side.tasks()).join(", "))
        };
        let what = format!("the two have no figure in common: A has {}; B has {}", list(a), list(b));
        return Err(Error::new(ErrorKind::Results, what)
            .at("--metric")
            .fix("name the figure with --metric NAME_OF_A=NAME_OF_B, or compare results of one task"));
    }
    Ok(pairs)
}

fn task_name(one: &Figure, other: &Figure) -> String {
    both_names(&one.task, &other.task)
}

fn metric_name(one: &Figure, other: &Figure) -> String {
    both_names(&one.metric, &other.metric)
}

fn both_names(one: &str, other: &str) -> String {
    if one == other { one.into() } else { format!("{one} and {other}") }
}

/// A comparison in the making.
struct Made<'a> {
    a: &'a Side,
    b: &'a Side,
    named: usize,
    /// Figures over the same samples share their draws.
    bootstraps: HashMap<Design, Arc<Bootstrap>>,
}

/// What both have of the samples that they share, in one order.
struct Shared<'a> {
    ids: Vec<&'a str>,
    pairs: [Vec<Pair>; 2],
    design: Design,
}

impl Made<'_> {
    /// None where they share no sample of the figure.
    fn figure(&mut self, one: &Figure, other: &Figure) -> Option<FigureCompared> {
        let other_record = self.other_records(one, other);
        let (scale, shrink) = common_scale(one, other);
        let shared = self.shared(one, other, &other_record, shrink);
        if shared.ids.is_empty() {
            return None;
        }
        let mut found = self.counted(one, other, other_record);
        let [a, b] = &shared.pairs;
        let bootstrap = self.bootstrap(&shared.design);
        let estimates = [a, b].map(|pairs| bootstrap.estimate(pairs, scale));
        let difference = bootstrap.compare(a, b, scale, Among::Baseline(2));
        found.n = shared.ids.len();
        found.of_estimates(estimates, &difference);
        found.permutation_p = permutation(a, b, self.a.seed);
        found.decided_by(decisive(&shared.design, a, b, scale));
        let mut differing = differing(&shared, scale);
        found.a_more = differing.iter().filter(|one| one.difference > 0.0).count();
        found.b_more = differing.iter().filter(|one| one.difference < 0.0).count();
        found.same = found.n - found.a_more - found.b_more;
        differing.truncate(self.named);
        differing.retain(|one| one.difference != 0.0);
        found.differ_most = differing;
        Some(found)
    }

    fn bootstrap(&mut self, design: &Design) -> Arc<Bootstrap> {
        let seed = self.a.seed;
        let make = || Arc::new(Bootstrap::new(design.clone(), seed));
        self.bootstraps.entry(design.clone()).or_insert_with(make).clone()
    }

    /// Ids that stand for another record on either side.
    fn other_records<'f>(&self, one: &'f Figure, other: &Figure) -> BTreeSet<&'f str> {
        let record =
            |side: &Side, task: &str, id: &str| side.samples.get(&(task.into(), id.into()))?.record.clone();
        let differs = |id: &&str| matches!((record(self.a, &one.task, id), record(self.b, &other.task, id)), (Some(a), Some(b)) if a != b);
        let both = one.values.keys().filter(|id| other.values.contains_key(*id));
        both.map(|id| &id[..]).filter(differs).collect()
    }

    /// In the order of reports: by stratum, and then by id.
    fn shared<'f>(
        &self,
        one: &'f Figure,
        other: &Figure,
        left_out: &BTreeSet<&str>,
        shrink: [f64; 2],
    ) -> Shared<'f> {
        let mut found: BTreeMap<(&str, &'f str), [Pair; 2]> = BTreeMap::new();
        for (id, pair) in &one.values {
            if let Some(others) = other.values.get(id).filter(|_| !left_out.contains(&id[..])) {
                let sample = self.a.samples.get(&(one.task.clone(), id.clone()));
                let stratum = sample.map_or("", |sample| &sample.stratum);
                found.insert((stratum, id), [(pair.0 / shrink[0], pair.1), (others.0 / shrink[1], others.1)]);
            }
        }
        let strata: Vec<&str> = found.keys().map(|(stratum, _)| *stratum).collect();
        Shared {
            design: Design::new(strata.chunk_by(|a, b| a == b).map(<[_]>::len)),
            ids: found.keys().map(|(_, id)| *id).collect(),
            pairs: [0, 1].map(|side| found.values().map(|pairs| pairs[side]).collect()),
        }
    }

    /// Names, and what is missing.
    fn counted(&self, one: &Figure, other: &Figure, other_record: BTreeSet<&str>) -> FigureCompared {
        let named = |ids: &mut dyn Iterator<Item = &str>| {
            let mut named = Named { count: 0, first: Vec::new() };
            for id in ids {
                named.count += 1;
                if named.first.len() < self.named {
                    named.first.push(id.into());
                }
            }
            named
        };
        let has = |figure: &Figure, id: &str| figure.values.contains_key(id) || figure.without.contains(id);
        let ids = |figure: &'_ Figure| {
            figure.values.keys().chain(&figure.without).cloned().collect::<BTreeSet<_>>()
        };
        let (of_a, of_b) = (ids(one), ids(other));
        let without: BTreeSet<&str> = one
            .without
            .iter()
            .filter(|id| has(other, id))
            .chain(other.without.iter().filter(|id| has(one, id)))
            .map(|id| &id[..])
            .collect();
        let zero = crate::found::Ends { low: 0.0, high: 0.0 };
        FigureCompared {
            task: task_name(one, other),
            metric: metric_name(one, other),
            higher_is_better: one.better.or(other.better).map(|better| better.0),
            n: 0,
            a: 0.0,
            a_interval: zero,
            b: 0.0,
            b_interval: zero,
            difference: 0.0,
            interval: zero,
            told_apart: false,
            permutation_p: 1.0,
            a_more: 0,
            b_more: 0,
            same: 0,
            sign_decided_by: None,
            told_apart_decided_by: None,
            differ_most: Vec::new(),
            only_a: named(&mut of_a.iter().filter(|id| !has(other, id)).map(|id| &id[..])),
            only_b: named(&mut of_b.iter().filter(|id| !has(one, id)).map(|id| &id[..])),
            without_value: named(&mut without.iter().copied()),
            other_record: named(&mut other_record.into_iter()),
        }
    }
}

/// How both make their figure, and what their values are divided by first: percentages become shares where the other
/// side has shares.
fn common_scale(one: &Figure, other: &Figure) -> (Scale, [f64; 2]) {
    match (one.scale, other.scale) {
        (Some(a), Some(b)) if a == b => (a, [1.0; 2]),
        (None, None) if one.is_of_hits() && other.is_of_hits() => (Scale::Share(1.0), [1.0; 2]),
        (None, None) => (Scale::Plain, [1.0; 2]),
        (a, b) => match (one.whole(), other.whole()) {
            (Some(of_a), Some(of_b)) => (Scale::Share(1.0), [of_a, of_b]),
            _ if a == Some(Scale::Exponential) || b == Some(Scale::Exponential) => {
                (Scale::Exponential, [1.0; 2])
            }
            _ => (Scale::Plain, [1.0; 2]),
        },
    }
}

/// All samples, first those that pull most at the difference.
fn differing(shared: &Shared, scale: Scale) -> Vec<Differing> {
    let [a, b] = &shared.pairs;
    let total: f64 = a.iter().zip(b).map(|(a, b)| a.1 + b.1).sum();
    let of = |n: usize| {
        let [one, other] = [a[n].0 / a[n].1, b[n].0 / b[n].1];
        let weight = (a[n].1 + b[n].1) / total;
        let (of_a, of_b) = (scale.of(one), scale.of(other));
        let differing =
            Differing { sample: shared.ids[n].into(), a: of_a, b: of_b, difference: of_a - of_b, weight };
        ((one - other).abs() * weight, differing)
    };
    let mut all: Vec<(f64, Differing)> = (0..shared.ids.len()).map(of).collect();
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    all.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side::Sample;

    fn side(name: &str, task: &str, metric: &str, values: &[f64]) -> Side {
        let mut side = Side::new(name);
        for (n, value) in values.iter().enumerate() {
            side.figure(task, metric).put(&format!("s{n}"), (*value, 1.0));
        }
        side
    }

    #[test]
    fn samples_of_one_side_are_named_and_counted() {
        let mut a = side("a", "t", "acc", &[1.0, 0.0, 1.0, 1.0]);
        let mut b = side("b", "t", "acc", &[1.0, 1.0, f64::NAN]);
        b.figure("t", "acc").put("other", (1.0, 1.0));
        let record = |hash: &str| Sample { record: Some(hash.into()), ..Sample::default() };
        a.samples.insert(("t".into(), "s0".into()), record("x"));
        b.samples.insert(("t".into(), "s0".into()), record("y"));
        let found = compare(a, b, &Options::default()).unwrap().figures.remove(0);
        let names = |named: &Named| (named.count, named.first.join(","));
        assert_eq!(names(&found.only_a), (1, "s3".into()));
        assert_eq!(names(&found.only_b), (1, "other".into()));
        assert_eq!(names(&found.without_value), (1, "s2".into()));
        assert_eq!(names(&found.other_record), (1, "s0".into()));
        assert_eq!((found.n, found.difference, found.told_apart), (1, -1.0, false));
    }

    #[test]
    fn percentages_are_compared_with_shares() {
        let mut a = side("a", "t", "exact_match", &[100.0, 0.0, 50.0]);
        a.figures[0].scale = Some(Scale::Share(100.0));
        let b = side("b", "u", "exact_match,strict", &[1.0, 1.0, 0.0]);
        let error = compare(a.clone(), b.clone(), &Options::default()).unwrap_err();
        assert!(error.what.contains("A has exact_match of t; B has exact_match,strict of u"), "{error}");
        let metrics = vec![Wanted::parse("exact_match=exact_match,strict")];
        let found = compare(a, b, &Options { metrics, ..Options::default() }).unwrap().figures.remove(0);
        assert_eq!((found.a, found.b, &found.task[..]), (0.5, 2.0 / 3.0, "t and u"));
        assert_eq!((found.a_more, found.b_more, found.same), (1, 1, 1));
    }

    #[test]
    fn a_task_must_be_shared_where_there_are_several() {
        let mut a = side("a", "t", "acc", &[1.0]);
        a.figure("u", "acc").put("s0", (1.0, 1.0));
        let b = side("b", "v", "acc", &[1.0]);
        assert!(compare(a.clone(), b.clone(), &Options::default()).is_err());
        let only = Options { task: Some("t".into()), ..Options::default() };
        assert!(compare(a.clone(), a, &only).unwrap().figures.len() == 1);
    }
}
