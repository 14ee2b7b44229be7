//! Reports: stored samples become figures with intervals, tables and pictures.
//!
//! Everything here is a function of stored results, so a report can be made again at any time, also of a
//! run that is not finished, and on another machine than the run's.
//!
//! It goes samples -> figures, compared with each other ([`figures`]) -> a [`Report`] of sections, tables
//! ([`table`]) and pictures ([`mod@pictures`]) -> one file a format: [`csv`], [`markdown`], [`latex`],
//! [`html`], [`lm_eval`] and the [`terminal`]. A format only renders: what is in a table, and how its numbers
//! read, is decided once.
mod context_curve;
mod contributions;
mod csv;
mod curves;
mod failures;
mod figures;
mod grid;
mod html;
mod latex;
mod lm_eval;
mod markdown;
mod overview;
mod pictures;
mod samples;
mod section;
mod side;
mod structure;
mod table;
pub mod terminal;
mod verdict;

pub use figures::{Mark, Row};
pub use section::{Section, caption};
pub use side::{find_row, side};
pub use table::{Cell, Column, Content, Table};

use std::path::Path;

use crate::config::{Config, EncodingEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;
use crate::store::Results;
use failures::Failures;
use figures::Measurements;
use pictures::pictures;
use structure::{Structure, structures};

pub use pictures::Picture;

/// A text that shows all of a report.
type Render = fn(&Report) -> Result<String>;

/// The files that show all of a report, and what renders them.
const FORMATS: &[(&str, Render)] = &[
    ("report.md", |report| Ok(markdown::render(report))),
    ("report.tex", |report| Ok(latex::render(report))),
    ("report.html", html::render),
];

/// Everything that a report shows, ready to be rendered.
#[derive(Debug)]
pub struct Report<'a> {
    /// What it is of.
    pub results: &'a Results,
    /// The encoding that differences are taken from.
    pub baseline: &'a str,
    /// What its figures are taken from.
    measured: Measurements<'a>,
    /// What must be said of rows with a `context` that no curve joins.
    off_curves: Vec<String>,
    /// What failed, which no figure is of.
    failures: Failures,
    /// What structure is worth.
    structures: Vec<Structure<'a>>,
    /// All figures.
    pub rows: Vec<Row>,
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
        let mut sections = section::sections(results, &rows, &structures, baseline);
        let off_curves = context_curve::add(results, &measured, &mut sections)?;
        pictures(results, &rows, &structures, &mut sections, baseline);
        let overview =
            if results.config.suite { overview::tables(&results.config, &sections) } else { Vec::new() };
        let failures = Failures::new(results);
        Ok(Report { results, baseline, measured, off_curves, failures, structures, rows, overview, sections })
    }

    /// The row that differences are taken from.
    fn baseline_entry(&self) -> &EncodingEntry {
        let found = self.results.config.encodings.iter().find(|encoding| encoding.name == self.baseline);
        found.expect("the baseline is one of the config's encodings")
    }

    /// Writes every file into `out`: summary.csv, differences.csv, contributions.csv, structure.csv, curve.csv, report.md,
    /// report.tex, report.html, the pictures, and `lm_eval/`.
    ///
    /// # Errors
    /// [`ErrorKind::Write`]; [`ErrorKind::Results`] when stored samples were changed since they were read.
    pub fn write(&self, out: &Path) -> Result<()> {
        write_whole(&out.join("summary.csv"), &csv::summary(&self.rows))?;
        write_whole(&out.join("differences.csv"), &csv::differences(&self.rows, self.baseline))?;
        if let Some(contributions) = csv::contributions(self) {
            write_whole(&out.join("contributions.csv"), &contributions)?;
        }
        if let Some(structure) = csv::structure(&self.structures) {
            write_whole(&out.join("structure.csv"), &structure)?;
        }
        if let Some(curves) = csv::context_curves(self) {
            write_whole(&out.join("curve.csv"), &curves)?;
        }
        for picture in self.sections.iter().flat_map(|section| &section.pictures) {
            write_whole(&out.join(picture.svg_file()), picture.svg.as_bytes())?;
            let path = out.join(picture.png_file());
            let bytes = crate::draw::png::png(&picture.svg).ok_or_else(|| {
                Error::new(ErrorKind::Write, "the picture cannot be drawn")
                    .in_file(&path)
                    .fix("shorten the names in the config: they are its labels")
            })?;
            write_whole(&path, &bytes)?;
        }
        for (file, render) in FORMATS {
            write_whole(&out.join(file), render(self)?.as_bytes())?;
        }
        lm_eval::write(self, out)
    }
}

/// The encoding of that name; when none is given the first with a context, else the first.
fn find_baseline<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a str> {
    let mut names = config.encodings.iter().map(|encoding| encoding.name.as_str());
    let Some(name) = name else {
        let limited = config.encodings.iter().find(|encoding| encoding.spec.context.is_some());
        return Ok(limited.map_or_else(|| names.next().expect("a config has encodings"), |one| &one.name));
    };
    names.clone().find(|known| *known == name).ok_or_else(|| {
        let known: Vec<_> = names.by_ref().collect();
        Error::new(ErrorKind::Usage, format!("no encoding is named \"{name}\""))
            .at("--baseline")
            .fix(format!("use one of: {}", known.join(", ")))
    })
}
