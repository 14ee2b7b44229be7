//! Reports: stored samples become figures with intervals, tables and pictures.
//!
//! Everything here is a function of stored results, so a report can be made again at any time, also of a
//! run that is not finished, and on another machine than the run's.
//!
//! It goes samples -> figures, compared with each other ([`figures`]) -> a [`Report`] of sections, tables
//! ([`table`]) and pictures ([`mod@pictures`]) -> one file a format: [`csv`], [`markdown`], [`latex`],
//! [`html`], [`lm_eval`] and the [`terminal`]. A format only renders: what is in a table, and how its numbers
//! read, is decided once.
mod ceiling;
mod changes;
mod context_curve;
mod contributions;
mod csv;
mod curves;
mod doubts;
mod failures;
mod figures;
mod finding;
mod grid;
mod html;
mod latex;
mod lm_eval;
mod markdown;
mod orders;
mod overview;
mod per_token;
mod pictures;
mod samples;
mod section;
mod seen;
mod side;
mod standings;
mod structure;
mod table;
pub mod terminal;
mod verdict;

pub use figures::{Mark, Row};
pub use section::{Section, caption};
pub use side::{find_row, side};
pub use standings::{OfTask, Standing, Standings};
pub use table::{Cell, Column, Content, Table};

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::Config;
use crate::draw::quote::in_list;
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;
use crate::store::{Results, TextOf};
use changes::Changes;
use failures::Failures;
use figures::Measurements;
use pictures::pictures;
use structure::{Structure, structures};

pub use pictures::Picture;

/// A text that shows all of a report.
type Render = fn(&Report) -> String;

/// The files that show all of a report, and what renders them; report.html links to them.
const FORMATS: &[(&str, Render)] = &[("report.md", markdown::render), ("report.tex", latex::render)];

/// Everything that a report shows, ready to be rendered.
#[derive(Debug)]
pub struct Report<'a> {
    /// What it is of.
    pub results: &'a Results,
    /// The encoding that differences are taken from.
    pub baseline: &'a str,
    /// What its figures are taken from.
    measured: Measurements<'a>,
    /// Models that say no more than a guess, in words.
    doubts: Vec<String>,
    /// What must be said of rows with a `context` that no curve joins, and of ceilings that are none.
    off_curves: Vec<String>,
    /// What failed, which no figure is of.
    failures: Failures,
    /// What structure is worth.
    structures: Vec<Structure<'a>>,
    /// Rows of one name under several models or in several runs.
    changes: Vec<Changes>,
    /// All rows on all tasks, where there are several models or runs.
    pub picture: Option<Picture>,
    /// The metrics that report.tex has tables of; without any, the main ones.
    in_latex: Vec<String>,
    /// All figures.
    pub rows: Vec<Row>,
    /// All rows on all tasks in one table; none without figures.
    pub standings: Option<Standings>,
    /// Of a suite: each model's main figure on every task.
    pub overview: Vec<Table>,
    /// Every model on every task that has figures, in the order of the config.
    pub sections: Vec<Section>,
}

impl<'a> Report<'a> {
    /// Figures, tables and pictures of some results. Differences are from the encoding named `baseline`; when not
    /// given from the first that has a `context`, which throws away what others see, else from the first.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when a stored sample is not one of its task; [`ErrorKind::Usage`] when no
    /// encoding is named `baseline`.
    pub fn new(results: &'a Results, baseline: Option<&str>) -> Result<Report<'a>> {
        let baseline = find_baseline(&results.config, baseline)?;
        let measured = Measurements::new(results)?;
        let rows = measured.rows(&results.config, baseline);
        let structures = structures(results, &measured, &rows);
        let mut sections = section::sections(results, &rows, &structures, baseline)?;
        let mut off_curves = context_curve::add(results, &measured, &mut sections)?;
        off_curves.extend(ceiling::add(results, &measured, &mut sections, baseline)?);
        pictures(results, &rows, &structures, &mut sections, baseline);
        for section in &mut sections {
            section.say_reach(results, baseline)?;
        }
        let overview =
            if results.config.suite { overview::tables(&results.config, &sections) } else { Vec::new() };
        let compared = results.compared.is_some();
        let standings = standings::standings(&results.config, &sections, baseline, compared);
        let changes = changes::changes(results, &measured);
        let picture = standings.as_ref().filter(|standings| standings.several_models || compared);
        let picture = picture.map(|standings| pictures::of_all(&results.config.name, standings));
        let failures = Failures::new(results);
        let doubts = doubts::of_models(results, &rows)?;
        let in_latex = Vec::new();
        Ok(Report {
            in_latex,
            changes,
            picture,
            results,
            baseline,
            measured,
            doubts,
            off_curves,
            failures,
            structures,
            rows,
            standings,
            overview,
            sections,
        })
    }

    /// Gives report.tex tables of these metrics alone; without any, of the main ones.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a name that no table has.
    pub fn show_in_latex(&mut self, metrics: &[String]) -> Result<()> {
        let tables = || self.sections.iter().flat_map(|section| &section.tables);
        let known: BTreeSet<&str> = tables().map(|table| table.metric.name).collect();
        if let Some(unknown) = metrics.iter().find(|name| !known.contains(&name[..])) {
            let known: Vec<&str> = known.into_iter().collect();
            return Err(Error::new(ErrorKind::Usage, format!("no table is of \"{unknown}\""))
                .at("--metric")
                .fix(format!("use one of: {}", known.join(", "))));
        }
        self.in_latex = metrics.to_vec();
        Ok(())
    }

    /// The tables that stand before all sections.
    fn leading(&self) -> Vec<Table> {
        let main = self.sections.iter().flat_map(|section| &section.tables).next();
        let standings = self.standings.as_ref().filter(|_| self.picture.is_some());
        let standings = standings.zip(main).map(|(standings, main)| standings.flat(main.metric));
        standings
            .into_iter()
            .chain(self.changes.iter().map(Changes::table))
            .chain(self.overview.clone())
            .collect()
    }

    /// The tables as CSV; none where there is nothing of a kind.
    fn csv_files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let all = [
            ("summary.csv", Some(csv::summary(&self.rows))),
            ("differences.csv", Some(csv::differences(&self.rows, self.baseline))),
            ("contributions.csv", csv::contributions(self)),
            ("structure.csv", csv::structure(&self.structures)),
            ("curve.csv", csv::context_curves(self)),
            ("recovered.csv", csv::recovered(self)),
            ("changes.csv", csv::changes(&self.changes)),
        ];
        all.into_iter().filter_map(|(file, content)| Some((file, content?))).collect()
    }

    /// Writes every file into `out`: summary.csv, differences.csv, contributions.csv, structure.csv, curve.csv,
    /// recovered.csv, changes.csv, report.json, report.md, report.tex, report.html, the pictures, `lm_eval/`, and per_token.parquet
    /// where a task keeps the scores of tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Write`]; [`ErrorKind::Results`] when stored samples were changed since they were read.
    pub fn write(&self, out: &Path) -> Result<()> {
        let mut files = self.csv_files();
        files.push(("report.json", terminal::json(self, "report.html").into_bytes()));
        for (file, render) in FORMATS {
            files.push((file, render(self).into_bytes()));
        }
        for (file, content) in &files {
            write_whole(&out.join(file), content)?;
        }
        let keeps_tokens = self.results.config.tasks.iter().any(|task| task.task.wants_details());
        let tokens = keeps_tokens.then_some("per_token.parquet");
        let names: Vec<&str> = files.iter().map(|(file, _)| *file).chain(tokens).collect();
        write_whole(&out.join("report.html"), html::render(self, &names)?.as_bytes())?;
        let pictures = self.sections.iter().flat_map(|section| &section.pictures);
        for picture in self.picture.iter().chain(pictures) {
            write_whole(&out.join(picture.svg_file()), picture.svg.as_bytes())?;
            let path = out.join(picture.png_file());
            let bytes = crate::draw::png::png(&picture.svg).ok_or_else(|| {
                Error::new(ErrorKind::Write, "the picture cannot be drawn")
                    .in_file(&path)
                    .fix("shorten the names in the config: they are its labels")
            })?;
            write_whole(&path, &bytes)?;
        }
        per_token::write(self.results, out)?;
        lm_eval::write(self, out)
    }
}

/// The encoding of that name; when none is given the first with a context, else the first.
/// The samples that the page of a run shows for their figures, the worst and those that differ most, whose texts the
/// results do not hold.
///
/// # Errors
/// As [`Report::new`].
pub fn samples_without_text(results: &Results) -> Result<Vec<TextOf<'_>>> {
    let measured = Measurements::new(results)?;
    Ok(samples::without_text(results, &measured, find_baseline(&results.config, None)?))
}

fn find_baseline<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a str> {
    let mut names = config.encodings.iter().map(|encoding| encoding.name.as_str());
    let Some(name) = name else {
        let limited = config.encodings.iter().find(|encoding| encoding.spec.context.is_some());
        return Ok(limited.map_or_else(|| names.next().expect("a config has encodings"), |one| &one.name));
    };
    names.clone().find(|known| *known == name).ok_or_else(|| {
        let known: Vec<_> = names.by_ref().map(in_list).collect();
        Error::new(ErrorKind::Usage, format!("no encoding is named \"{name}\""))
            .at("--baseline")
            .fix(format!("use one of: {}", known.join(", ")))
    })
}
