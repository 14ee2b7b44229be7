//! summary.csv and differences.csv: tidy, one figure a line.

use serde::Serialize;

use super::Row;

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
        ci_low: f64,
        ci_high: f64,
        n: usize,
    }
    write(rows.iter().map(|row| Line {
        model: &row.model,
        encoding: &row.encoding,
        task: &row.task,
        bucket: row.group.to_string(),
        metric: row.metric.name,
        value: row.estimate.value,
        ci_low: row.estimate.low,
        ci_high: row.estimate.high,
        n: row.estimate.n,
    }))
}

/// All differences from the baseline, over the `n` samples that both encodings have.
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
        ci_low: f64,
        ci_high: f64,
        excludes_0: bool,
        n: usize,
    }
    write(rows.iter().filter_map(|row| {
        let difference = row.difference?;
        Some(Line {
            model: &row.model,
            encoding: &row.encoding,
            baseline,
            task: &row.task,
            bucket: row.group.to_string(),
            metric: row.metric.name,
            difference: difference.value,
            ci_low: difference.low,
            ci_high: difference.high,
            excludes_0: difference.excludes_zero(),
            n: difference.n,
        })
    }))
}

fn write(lines: impl Iterator<Item = impl Serialize>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.serialize(line).expect("writing to memory");
    }
    writer.into_inner().expect("writing to memory")
}
