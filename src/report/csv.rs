//! summary.csv and differences.csv: tidy, one figure a line. Nothing in them is a formula to a spreadsheet: see [`csv_cell`].

use serde::Serialize;

use super::changes::Changes;
use super::structure::Structure;
use super::{Report, Row, contributions};
use crate::draw::quote::csv_cell;

/// All figures.
pub(super) fn summary(rows: &[Row]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        model: &'a str,
        encoding: &'a str,
        task: &'a str,
        bucket: String,
        metric: &'a str,
        value: f64,
        ci_low: Option<f64>,
        ci_high: Option<f64>,
        n: usize,
    }
    write(rows.iter().filter(|row| !row.metric.part).map(|row| Line {
        model: &row.model,
        encoding: &row.encoding,
        task: &row.task,
        bucket: row.group.to_string(),
        metric: row.metric.name,
        value: row.estimate.value,
        ci_low: row.estimate.ends().map(|ends| ends[0]),
        ci_high: row.estimate.ends().map(|ends| ends[1]),
        n: row.estimate.n,
    }))
}

/// All differences from the baseline, over the `n` samples that both encodings have: `ci_` is the interval of the pair
/// by itself, `all_` the one that holds for all rows of the table at once, by which `excludes_0` goes.
pub(super) fn differences(rows: &[Row], baseline: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        model: &'a str,
        encoding: &'a str,
        baseline: &'a str,
        task: &'a str,
        bucket: String,
        metric: &'a str,
        difference: f64,
        ci_low: Option<f64>,
        ci_high: Option<f64>,
        all_low: Option<f64>,
        all_high: Option<f64>,
        excludes_0: bool,
        n: usize,
    }
    write(rows.iter().filter_map(|row| {
        let difference = row.difference.filter(|_| !row.metric.part)?;
        Some(Line {
            model: &row.model,
            encoding: &row.encoding,
            baseline,
            task: &row.task,
            bucket: row.group.to_string(),
            metric: row.metric.name,
            difference: difference.estimate.value,
            ci_low: difference.estimate.ends().map(|ends| ends[0]),
            ci_high: difference.estimate.ends().map(|ends| ends[1]),
            all_low: difference.ends().map(|ends| ends[0]),
            all_high: difference.ends().map(|ends| ends[1]),
            excludes_0: difference.told_apart(),
            n: difference.estimate.n,
        })
    }))
}

/// Where differences of the loss from the baseline come from; none where nothing tells.
pub(super) fn contributions(report: &Report) -> Option<Vec<u8>> {
    let lines: Vec<_> = report
        .sections
        .iter()
        .flat_map(|section| {
            let line = |one| contributions::lines(one, &section.model, &section.task, report.baseline);
            section.contributions.iter().flat_map(line)
        })
        .collect();
    (!lines.is_empty()).then(|| write(lines.into_iter()))
}

/// What structure is worth, with the intervals that hold for all comparisons of a section at once; none where nothing is
/// compared.
pub(super) fn structure(all: &[Structure]) -> Option<Vec<u8>> {
    (!all.is_empty()).then(|| write(all.iter().flat_map(Structure::lines)))
}

/// Figures by how much context is read, and what each step gains; none where no rows differ in that alone.
pub(super) fn context_curves(report: &Report) -> Option<Vec<u8>> {
    let sections = report.sections.iter();
    let lines: Vec<_> = sections
        .filter_map(|section| Some(section.context_curves.as_ref()?.lines(&section.model, &section.task)))
        .flatten()
        .collect();
    (!lines.is_empty()).then(|| write(lines.into_iter()))
}

/// What part of a ceiling's gain rows have; none without ceilings.
pub(super) fn recovered(report: &Report) -> Option<Vec<u8>> {
    let sections = report.sections.iter();
    let lines: Vec<_> = sections.flat_map(|section| section.recovered_lines(report.baseline)).collect();
    (!lines.is_empty()).then(|| write(lines.into_iter()))
}

/// What changed between rows of one name; none where each name has one row.
pub(super) fn changes(all: &[Changes]) -> Option<Vec<u8>> {
    (!all.is_empty()).then(|| write(all.iter().flat_map(Changes::lines)))
}

fn write(lines: impl Iterator<Item = impl Serialize>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.serialize(line).expect("writing to memory");
    }
    let written = writer.into_inner().expect("writing to memory");
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&written[..]);
    for record in reader.records() {
        let record = record.expect("it was just written");
        writer
            .write_record(record.iter().map(|cell| csv_cell(cell).into_owned()))
            .expect("writing to memory");
    }
    writer.into_inner().expect("writing to memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_written_as_a_formula() {
        #[derive(Serialize)]
        struct Line {
            name: &'static str,
            value: f64,
        }
        let lines = [Line { name: "=cmd|'/c calc'!\"a\",1", value: -0.5 }, Line { name: "x", value: 1e-300 }];
        let expected = "name,value\n\"'=cmd|'/c calc'!\"\"a\"\",1\",-0.5\nx,1e-300\n";
        assert_eq!(String::from_utf8(write(lines.into_iter())).unwrap(), expected);
    }
}
