//! A row of results as a side of `longcode compare`.

use std::path::Path;

use longcode_compare::{Figure, Higher, Sample, Side};

use super::figures::Measurements;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Results, StoredSample};
use crate::task::{Better, Group};

/// What each sample has in every figure of one row: of a model under an encoding, by its number in the config.
///
/// # Errors
/// [`ErrorKind::Results`] for a stored outcome that its task cannot read.
pub fn side(results: &Results, [model, encoding]: [usize; 2]) -> Result<Side> {
    let config = &results.config;
    let (model_name, encoding_name) = (&config.models[model].name, &config.encodings[encoding].name);
    let mut side = Side {
        stored_by: format!("longcode {}", results.environment().session.version),
        notes: results.notes.clone(),
        seed: config.seed,
        ..Side::new(format!("{model_name}, {encoding_name}"))
    };
    let measured = Measurements::new(results)?;
    for (number, task) in config.tasks.iter().enumerate() {
        let of = |one: &&StoredSample| [one.model, one.encoding, one.task] == [model, encoding, number];
        let stored: Vec<&StoredSample> = results.samples.iter().filter(of).collect();
        for one in &stored {
            let sample = Sample {
                stratum: one.bucket.to_string(),
                record: None,
                prompt: Some(one.sha256.to_string()),
            };
            side.samples.insert((task.name.clone(), one.sample.to_string()), sample);
        }
        for metric in task.task.metrics().iter().filter(|metric| !metric.part) {
            let pairs = measured.pairs([model_name, encoding_name, &task.name], Group::All, metric);
            if pairs.is_empty() {
                continue;
            }
            let mut figure = Figure::new(&task.name, metric.name);
            figure.scale = Some(metric.scale());
            figure.better = Some(Higher(metric.better == Better::Higher));
            for (number, pair) in pairs {
                figure.values.insert(measured.id(&task.name, *number).to_string(), *pair);
            }
            let ids = stored.iter().map(|one| one.sample.to_string());
            figure.without = ids.filter(|id| !figure.values.contains_key(id)).collect();
            side.figures.push(figure);
        }
    }
    Ok(side)
}

/// The numbers of a row's model and encoding: of `ENCODING`, or of `MODEL/ENCODING`; without a name, of the only row.
///
/// # Errors
/// [`ErrorKind::Usage`], listing the rows, where none or several are meant.
pub fn find_row(results: &Results, name: Option<&str>, dir: &Path) -> Result<[usize; 2]> {
    let config = &results.config;
    let mut rows = Vec::new();
    for (m, model) in config.models.iter().enumerate() {
        for (e, encoding) in config.encodings.iter().enumerate() {
            rows.push(([m, e], format!("{}/{}", model.name, encoding.name), &encoding.name[..]));
        }
    }
    let is_meant = |(_, whole, encoding): &&([usize; 2], String, &str)| {
        name.is_none_or(|name| name == whole || name == *encoding)
    };
    let mut meant = rows.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some((row, ..)), None) => Ok(*row),
        (found, _) => {
            let what = match (name, found) {
                (Some(name), None) => format!("no row is named \"{name}\""),
                (Some(name), _) => format!("several models have a row named \"{name}\""),
                (None, _) => format!("there are {} rows", rows.len()),
            };
            let known: Vec<&str> = rows.iter().map(|(_, whole, _)| &whole[..]).collect();
            Err(Error::new(ErrorKind::Usage, what)
                .in_file(dir)
                .fix(format!("name one of: {}", known.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use longcode_compare::{Options, compare};

    use super::*;
    use crate::report::Report;

    fn kept(name: &str) -> Results {
        Results::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results/kept").join(name)).unwrap()
    }

    /// Differences, intervals and numbers of samples of all figures over whole tasks.
    #[test]
    fn a_comparison_of_two_rows_is_that_of_their_report() {
        let mut compared = 0;
        for (name, [one, other]) in [("quickstart", ["HiRoPE", "Truncation"]), ("lookup", ["HiRoPE", "RoPE"])]
        {
            let results = kept(name);
            let dir = Path::new(name);
            let of = |name: &str| side(&results, find_row(&results, Some(name), dir).unwrap()).unwrap();
            let found = compare(of(one), of(other), &Options::default()).unwrap();
            let report = Report::new(&results, Some(other)).unwrap();
            for figure in &found.figures {
                let of_figure = |row: &&crate::report::Row| {
                    row.group == Group::All
                        && row.encoding == one
                        && (&row.task, row.metric.name) == (&figure.task, &figure.metric[..])
                };
                let row = report.rows.iter().find(of_figure).unwrap();
                let difference = row.difference.unwrap().estimate;
                assert_eq!(
                    (figure.difference, figure.interval.low, figure.interval.high, figure.n),
                    (difference.value, difference.low, difference.high, difference.n),
                    "{name}: {}",
                    figure.metric
                );
                assert_eq!(figure.a, row.estimate.value);
                compared += 1;
            }
        }
        assert!(compared >= 5, "{compared}");
    }

    #[test]
    fn rows_are_found_by_name() {
        let results = kept("quickstart");
        let find = |name| find_row(&results, name, Path::new("q"));
        assert_eq!(find(Some("nano/RoPE")).unwrap(), find(Some("RoPE")).unwrap());
        let error = find(None).unwrap_err();
        assert!(error.fix.unwrap().contains("nano/RoPE, nano/YaRN"), "{}", error.what);
        assert!(find(Some("none")).unwrap_err().what.contains("no row is named \"none\""));
    }
}
