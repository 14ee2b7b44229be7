//! Ceilings: what part of the gain of training at a longer length an encoding has without that training.

use longcode_stats::{Among, Comparison, Estimate, Pair, Scale, recovered};
use serde::Serialize;

use super::Section;
use super::figures::{Bootstraps, Measurements, Pairs, shared_by_all};
use super::table::{Cell, Column, Content};
use crate::config::{EncodingEntry, ModelEntry};
use crate::draw::number::{difference_and_interval, grouped};
use crate::draw::quote::in_list;
use crate::error::Result;
use crate::store::Results;

/// The kind that a ceiling is read under: nothing but what it was trained with.
const KIND: &str = "rope";

/// What a model that was trained at a longer length gains over a section's baseline, on the same tokens.
#[derive(Debug)]
pub(super) struct Ceiling {
    /// Its name, and its trained length in tokens.
    model: String,
    trained_length: usize,
    /// Its row.
    encoding: String,
    /// The first position that counts, a border of the stored sums.
    from: usize,
    /// Of its loss over the section's baseline, nats a token, above 0 where it is better.
    gain: Comparison,
    /// What part of that the section's rows gain; none where no part can be given.
    rows: Vec<(String, Option<Estimate>)>,
}

/// Finds the ceilings of every section, and puts them into its table of gains. Gives what must be said of models that
/// are none.
///
/// # Errors
/// [`crate::error::ErrorKind::Results`] for a stored outcome that its task cannot read.
pub(super) fn add(
    results: &Results,
    measured: &Measurements,
    sections: &mut [Section],
    baseline: &str,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let bootstraps = Bootstraps::new(results.config.seed);
    let base = results.config.encodings.iter().find(|row| row.name == baseline);
    if base.is_none_or(|row| row.spec.context.is_none()) {
        // What a ceiling gains is gained over truncation.
        return Ok(notes);
    }
    for section in sections {
        let task = results.config.tasks.iter().find(|task| task.name == section.task);
        let first = section.contributions.first().map(|one| one.from);
        let Some(from) = task.zip(first).and_then(|(task, from)| task.task.border(from)) else { continue };
        let models: Vec<&ModelEntry> = results.config.ceilings_of(&section.model).collect();
        if models.is_empty() {
            continue;
        }
        let maker = Maker { results, measured, bootstraps: &bootstraps, section, from };
        let own = maker.own(baseline)?;
        let found: Vec<_> = models.iter().map(|model| maker.ceiling(model, &own)).collect::<Result<_>>()?;
        for (model, found) in models.into_iter().zip(found) {
            match found {
                Ok(ceiling) => section.ceilings.push(ceiling),
                Err(why) => {
                    notes.push(format!("{} is no ceiling of {}: {why}.", model.name, section.title()))
                }
            }
        }
        add_to_table(section);
        section.ceiling = section.words_of_ceilings(baseline);
    }
    Ok(notes)
}

/// Loss and tokens of each sample under a section's rows, by the sample's number.
struct Own {
    baseline: Vec<(usize, Pair)>,
    /// The other rows, by name.
    others: Vec<(String, Vec<(usize, Pair)>)>,
}

/// Makes the ceilings of one section.
struct Maker<'a> {
    results: &'a Results,
    measured: &'a Measurements<'a>,
    bootstraps: &'a Bootstraps,
    section: &'a Section,
    from: usize,
}

impl Maker<'_> {
    /// A ceiling, or why a model is none.
    fn ceiling(&self, model: &ModelEntry, rows: &Own) -> Result<std::result::Result<Ceiling, String>> {
        let is_its_row = |row: &&EncodingEntry| row.is_for(model) && row.spec.kind == KIND;
        let Some(own) = self.results.config.encodings.iter().find(is_its_row) else {
            return Ok(Err(format!("none of its rows is of the kind {KIND}")));
        };
        let of_ceiling = self.pairs(&model.name, &own.name)?;
        let (numbers, both) = shared_by_all(&[&rows.baseline, &of_ceiling]);
        if numbers.is_empty() {
            return Ok(Err(format!("they share no stored sample that reaches position {}", self.from)));
        }
        if both[0].iter().zip(&both[1]).any(|(a, b)| a.1 != b.1) {
            return Ok(Err("its tokens are others, so losses a token are not of the same tokens".into()));
        }
        let bootstrap = self.bootstraps.of(self.measured.design(&self.section.task, &numbers));
        let gain = bootstrap.compare(&both[0], &both[1], Scale::Plain, Among::Baseline(2));
        let recovered = |(name, of_row): &(String, Vec<_>)| {
            (name.clone(), self.recovered([of_row, &rows.baseline, &of_ceiling]))
        };
        let rows = rows.others.iter().map(recovered).collect();
        let trained = self.results.environment().models.iter().find(|one| one.name == model.name);
        Ok(Ok(Ceiling {
            model: model.name.clone(),
            trained_length: trained.map_or(0, |model| model.trained_length),
            encoding: own.name.clone(),
            from: self.from,
            gain,
            rows,
        }))
    }

    /// What part of the ceiling's gain a row has, over the samples that the row, the baseline and the ceiling have.
    fn recovered(&self, all: [&Pairs; 3]) -> Option<Estimate> {
        let (numbers, all) = shared_by_all(&all);
        if numbers.is_empty() {
            return None;
        }
        let bootstrap = self.bootstraps.of(self.measured.design(&self.section.task, &numbers));
        recovered(&bootstrap, &all[0], &all[1], &all[2])
    }

    /// What the section's own rows have, read once for all ceilings.
    fn own(&self, baseline: &str) -> Result<Own> {
        let mut others = Vec::new();
        for row in self.section.contributions.iter().map(|one| &one.encoding) {
            others.push((row.clone(), self.pairs(&self.section.model, row)?));
        }
        Ok(Own { baseline: self.pairs(&self.section.model, baseline)?, others })
    }

    /// Loss and tokens of each sample from the first position that counts on, by the sample's number, ascending.
    fn pairs(&self, model: &str, encoding: &str) -> Result<Vec<(usize, Pair)>> {
        self.measured.pairs_from(self.results, [model, encoding, &self.section.task], self.from)
    }
}

impl Ceiling {
    fn of(&self, row: &str) -> Option<&Estimate> {
        self.rows.iter().find(|(name, _)| name == row)?.1.as_ref()
    }

    fn column(&self) -> Column {
        let name = format!("recovered of {}", self.model);
        Column { name, beyond: false, samples: self.gain.estimate.n.to_string() }
    }

    /// What the report's first page says.
    fn sentence(&self, baseline: &str) -> String {
        let (gain, interval) = difference_and_interval(&self.gain, 1.0);
        let beginning = format!(
            "Ceiling: {}, trained at {} tokens ({}), gains {gain} {interval} nats a token over {baseline} at positions from {} on \
             (n {})",
            self.model,
            grouped(self.trained_length),
            in_list(&self.encoding),
            self.from,
            self.gain.estimate.n
        );
        let mut known: Vec<(&String, &Estimate)> =
            self.rows.iter().filter_map(|(name, found)| Some((name, found.as_ref()?))).collect();
        known.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
        let named: Vec<String> = known
            .iter()
            .take(NAMED)
            .map(|(name, found)| {
                let (part, interval) = percent_and_interval(found);
                format!("{} {part} {interval}", in_list(name))
            })
            .collect();
        if !named.is_empty() {
            format!("{beginning}. Of that the rows recover, at most: {}.", named.join(", "))
        } else if self.gain.told_apart() && self.gain.estimate.value < 0.0 {
            format!("{beginning}: it is worse than {baseline}, so there is nothing to recover.")
        } else {
            format!("{beginning}; that is not told apart from nothing, so no row has a part of it.")
        }
    }
}

/// Rows that the sentence names.
const NAMED: usize = 3;

/// `62%` and `[50, 75]`.
fn percent_and_interval(found: &Estimate) -> (String, String) {
    let [value, low, high] =
        [found.value, found.low, found.high].map(|part| format!("{:.0}", 100.0 * part + 0.0));
    (format!("{value}%"), format!("[{low}, {high}]"))
}

fn cell(found: &Estimate) -> Cell {
    let (text, interval) = percent_and_interval(found);
    Cell { text, value: Some(found.value), interval: Some(interval), ..Cell::default() }
}

/// Each ceiling is a column and a row of the section's table of gains.
fn add_to_table(section: &mut Section) {
    let Section { tables, ceilings, .. } = section;
    let gains = tables.iter_mut().find(|table| table.content == Content::Contributions);
    let Some(table) = gains.filter(|_| !ceilings.is_empty()) else { return };
    for (place, ceiling) in ceilings.iter().enumerate() {
        table.columns.insert(1 + place, ceiling.column());
        for (name, cells) in &mut table.rows {
            cells.insert(1 + place, ceiling.of(name).map(cell).unwrap_or_default());
        }
    }
    for ceiling in ceilings.iter() {
        let mut cells = vec![Cell::default(); table.columns.len()];
        let (text, interval) = difference_and_interval(&ceiling.gain, 1.0);
        let value = Some(ceiling.gain.estimate.value);
        cells[0] = Cell { text, value, interval: Some(interval), ..Cell::default() };
        table.rows.push((format!("ceiling: {}", ceiling.model), cells));
    }
    table.title += " Recovered: the part of a ceiling's gain that a row has, with the interval of the row alone; not given \
                    where the ceiling's own gain is not told apart from 0, or is a loss.";
}

impl Section {
    /// What its ceilings gain, and who recovers how much of that, in words.
    fn words_of_ceilings(&self, baseline: &str) -> Option<String> {
        let said: Vec<String> = self.ceilings.iter().map(|ceiling| ceiling.sentence(baseline)).collect();
        (!said.is_empty()).then(|| said.join(" "))
    }

    /// Lines of recovered.csv.
    pub(super) fn recovered_lines<'a>(&'a self, baseline: &'a str) -> impl Iterator<Item = Line<'a>> {
        let of_ceiling = move |ceiling: &'a Ceiling| {
            let line = move |(encoding, found): &'a (String, Option<Estimate>)| Line {
                model: &self.model,
                task: &self.task,
                encoding,
                baseline,
                ceiling: &ceiling.model,
                from: ceiling.from,
                gain: ceiling.gain.estimate.value,
                gain_low: ceiling.gain.estimate.low,
                gain_high: ceiling.gain.estimate.high,
                recovered: found.map(|found| found.value),
                ci_low: found.map(|found| found.low),
                ci_high: found.map(|found| found.high),
                n: ceiling.gain.estimate.n,
            };
            ceiling.rows.iter().map(line)
        };
        self.ceilings.iter().flat_map(of_ceiling)
    }
}

/// One line of recovered.csv: `gain` is the ceiling's over the baseline.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    model: &'a str,
    task: &'a str,
    encoding: &'a str,
    baseline: &'a str,
    ceiling: &'a str,
    from: usize,
    gain: f64,
    gain_low: f64,
    gain_high: f64,
    recovered: Option<f64>,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    n: usize,
}
