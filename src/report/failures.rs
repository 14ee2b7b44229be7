//! Samples that failed under an encoding: counted by row, and told, as no figure is of them.

use std::collections::BTreeMap;

use super::Section;
use crate::config::Config;
use crate::store::Results;

/// What failed of each model on each task.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Stored samples x encodings.
    all: usize,
    /// In the order of the config.
    of: Vec<OfTask>,
}

/// What failed of one model on one task.
#[derive(Debug)]
struct OfTask {
    model: String,
    task: String,
    /// In the order of the config; not empty.
    rows: Vec<OfRow>,
}

/// What failed of one row.
#[derive(Debug)]
struct OfRow {
    encoding: String,
    failed: usize,
    of: usize,
    /// Why the first did.
    why: String,
}

impl Failures {
    pub(super) fn new(results: &Results) -> Failures {
        // By model, task and encoding: how many there are, how many failed, and why the first did.
        let mut counts: BTreeMap<[usize; 3], (usize, usize, &str)> = BTreeMap::new();
        for sample in &results.samples {
            let row = counts.entry([sample.model, sample.task, sample.encoding]).or_insert((0, 0, ""));
            row.0 += 1;
            if let Some(why) = &sample.failed {
                row.1 += 1;
                row.2 = if row.1 == 1 { why } else { row.2 };
            }
        }
        let mut of: Vec<OfTask> = Vec::new();
        for ([model, task, encoding], (all, failed, why)) in counts {
            if failed == 0 {
                continue;
            }
            let Config { models, tasks, encodings, .. } = &results.config;
            let (model, task) = (&models[model].name, &tasks[task].name);
            if of.last().is_none_or(|last| (&last.model, &last.task) != (model, task)) {
                of.push(OfTask { model: model.clone(), task: task.clone(), rows: Vec::new() });
            }
            let encoding = encodings[encoding].name.clone();
            let rows = &mut of.last_mut().expect("one was pushed").rows;
            rows.push(OfRow { encoding, failed, of: all, why: why.into() });
        }
        Failures { all: results.samples.len(), of }
    }

    /// For the head of a report: how many, and which rows; nothing where none failed.
    pub(super) fn head(&self) -> Vec<String> {
        let failed: usize = self.of.iter().flat_map(|one| &one.rows).map(|row| row.failed).sum();
        if failed == 0 {
            return Vec::new();
        }
        let total = format!(
            "{failed} of {} samples x encodings failed, as an encoding that overflows does: that is a finding, and \
             figures are over the others.",
            self.all
        );
        let lines =
            self.of.iter().map(|one| format!("Failed, {} on {}: {}.", one.model, one.task, one.words()));
        [total].into_iter().chain(lines).collect()
    }

    /// For below a section's tables.
    pub(super) fn of(&self, section: &Section) -> Option<String> {
        let one = self.of.iter().find(|one| (&one.model, &one.task) == (&section.model, &section.task))?;
        Some(format!(
            "Failed: {}. A row's figures are over the samples that it has (n), and may look better for those it failed \
             on; differences are over the samples that both rows have, marks over those that all have.",
            one.words()
        ))
    }
}

impl OfTask {
    fn words(&self) -> String {
        let row = |row: &OfRow| format!("{} on {} of {} ({})", row.encoding, row.failed, row.of, row.why);
        self.rows.iter().map(row).collect::<Vec<_>>().join("; ")
    }
}
