//! A task's figures as curves: by position, by bucket, and by the value of a swept key.

use std::collections::{BTreeMap, HashSet};

use longcode_stats::Comparison;

use super::Row;
use super::pictures::ModelOnTask;
use crate::config::EncodingEntry;
use crate::draw::chart::{Chart, Curve, DataPoint};
use crate::task::{Axis, Better, Group, Metric, Ruler, Span};

impl<'a> ModelOnTask<'a> {
    /// A curve an encoding along a ruler; none where there are fewer than two places.
    pub(super) fn along(&self, ruler: Ruler, metric: &Metric) -> Option<(String, String)> {
        let placed = |row: &'a Row| {
            let (own, span) = row.group.place()?;
            (own == ruler).then_some((span, row))
        };
        let rows: Vec<(Span, &Row)> = self.rows_of(metric).filter_map(placed).collect();
        let spans: BTreeMap<Span, String> =
            rows.iter().map(|(span, row)| (*span, row.group.heading())).collect();
        if spans.len() < 2 {
            return None;
        }
        let curve = |(style, encoding): (usize, &EncodingEntry)| {
            let point = |(tick, span): (usize, &Span)| {
                let found = rows.iter().find(|(own, row)| own == span && row.encoding == encoding.name);
                found.map(|(_, row)| value(tick, row))
            };
            let points: Vec<DataPoint> = spans.keys().enumerate().filter_map(point).collect();
            (!points.is_empty()).then(|| Curve { name: encoding.name.clone(), style: Some(style), points })
        };
        let what = format!("{} by {}", metric.words(), ruler.name());
        let places: Vec<Span> = spans.keys().copied().collect();
        let limit = if ruler.is_in_tokens() { limit(&places, self.trained_length) } else { None };
        let chart = Chart {
            title: self.title(&what),
            x: ruler.title().into(),
            y: metric.axis_title(),
            limit,
            highest: metric.ceiling,
            lowest: f64::NEG_INFINITY,
            curves: self.config.encodings.iter().enumerate().filter_map(curve).collect(),
            ticks: spans.into_values().collect(),
        };
        Some((what, chart.svg()))
    }

    /// What every row gains over the baseline by position, a curve each; none where there are fewer than two places.
    pub(super) fn gains(&self, metric: &Metric) -> Option<(String, String)> {
        let sign = if metric.better == Better::Lower { -1.0 } else { 1.0 };
        let placed = |row: &'a Row| {
            let (ruler, span) = row.group.place()?;
            let Comparison { estimate, low, high } = row.difference?;
            let [a, b] = [sign * low, sign * high];
            let point = (sign * estimate.value, a.min(b), a.max(b));
            (ruler == Ruler::Position).then_some((span, row, point))
        };
        let found: Vec<_> = self.rows_of(metric).filter_map(placed).collect();
        let spans: BTreeMap<Span, String> =
            found.iter().map(|(span, row, _)| (*span, row.group.heading())).collect();
        if spans.len() < 2 {
            return None;
        }
        let curve = |(style, encoding): (usize, &EncodingEntry)| {
            let point = |(tick, span): (usize, &Span)| {
                let of = |(own, row, _): &&(Span, &Row, _)| own == span && row.encoding == encoding.name;
                let (_, _, (value, low, high)) = found.iter().find(of)?;
                Some(DataPoint { tick, value: *value, low: *low, high: *high })
            };
            let points: Vec<DataPoint> = spans.keys().enumerate().filter_map(point).collect();
            (!points.is_empty()).then(|| Curve { name: encoding.name.clone(), style: Some(style), points })
        };
        let what = format!("{} gained by position", metric.words());
        let places: Vec<Span> = spans.keys().copied().collect();
        let curves: Vec<Curve> = self.config.encodings.iter().enumerate().filter_map(curve).collect();
        let chart = Chart {
            title: self.title(&what),
            x: Ruler::Position.title().into(),
            y: format!("gained over {}: above 0 is better", self.baseline),
            limit: limit(&places, self.trained_length),
            highest: f64::INFINITY,
            lowest: lowest(&curves),
            curves,
            ticks: spans.into_values().collect(),
        };
        Some((what, chart.svg()))
    }

    /// For each key that a sweep goes over, a picture of the metric against its values.
    pub(super) fn sweeps(&self, metric: &Metric) -> Vec<(String, String)> {
        let mut done: HashSet<(&str, &str)> = HashSet::new();
        let mut pictures = Vec::new();
        for sweep in self.config.encodings.iter().filter_map(|encoding| encoding.sweep.as_ref()) {
            for key in &sweep.keys {
                if done.insert((&sweep.of, key)) {
                    pictures.extend(self.sweep(metric, &sweep.of, key));
                }
            }
        }
        pictures
    }

    /// The metric against one swept key: a curve for each bucket where the sweep has one key, else a curve
    /// over all samples for each combination of the other keys.
    fn sweep(&self, metric: &Metric, of: &str, key: &str) -> Option<(String, String)> {
        let member = |encoding: &&EncodingEntry| encoding.sweep.as_ref().is_some_and(|sweep| sweep.of == of);
        let mut ticks: Vec<String> = Vec::new();
        let mut curves: Vec<Curve> = Vec::new();
        for encoding in self.config.encodings.iter().filter(member) {
            let Some(swept) = encoding.value(key) else { continue };
            let tick = ticks.iter().position(|tick| *tick == swept).unwrap_or(ticks.len());
            if tick == ticks.len() {
                ticks.push(swept);
            }
            let others = others(encoding, key);
            for row in self.rows_of(metric).filter(|row| row.encoding == encoding.name) {
                let name = match (&others, row.group) {
                    (None, group) if group.axis() == Axis::Samples => group.to_string(),
                    (Some(others), Group::All) => others.clone(),
                    _ => continue,
                };
                add(&mut curves, name, value(tick, row));
            }
        }
        if matches!(&curves[..], [_, all] if all.name == Group::All.to_string()) {
            // Of one bucket, all samples would be the same curve once more.
            curves.pop();
        }
        let what = format!("{} by {key} of {of}", metric.words());
        let chart = Chart {
            title: self.title(&what),
            x: key.into(),
            y: metric.axis_title(),
            ticks,
            limit: None,
            highest: metric.ceiling,
            lowest: f64::NEG_INFINITY,
            curves,
        };
        (!chart.curves.is_empty()).then(|| (what, chart.svg()))
    }
}

/// Where losses are cut, so that rows that collapse do not flatten the others: at three times what the middle curve
/// moves at most.
fn lowest(curves: &[Curve]) -> f64 {
    let reach = |curve: &Curve| curve.points.iter().map(|point| point.value.abs()).fold(0.0, f64::max);
    let mut reaches: Vec<f64> = curves.iter().map(reach).filter(|reach| reach.is_finite()).collect();
    reaches.sort_unstable_by(f64::total_cmp);
    -3.0 * reaches.get(reaches.len() / 2).copied().unwrap_or(0.0).max(1e-3)
}

/// Adds a point to the curve of that name; a sweep's values come in the order of its ticks.
fn add(curves: &mut Vec<Curve>, name: String, point: DataPoint) {
    match curves.iter_mut().find(|curve| curve.name == name) {
        Some(curve) => curve.points.push(point),
        None => curves.push(Curve { name, style: Some(curves.len()), points: vec![point] }),
    }
}

fn value(tick: usize, row: &Row) -> DataPoint {
    DataPoint { tick, value: row.estimate.value, low: row.estimate.low, high: row.estimate.high }
}

/// Where the training length lies among the buckets; none where it is not among them.
fn limit(spans: &[Span], trained_length: usize) -> Option<(f64, String)> {
    let words = format!("trained to {trained_length}");
    if spans.windows(2).all(|pair| pair[0].from == pair[1].from) {
        // Each holds the one before, as lengths "up to": the line falls between two of them.
        let within = spans.iter().filter(|span| span.to <= trained_length).count();
        return (0 < within && within < spans.len()).then_some((within as f64 - 0.5, words));
    }
    let number = spans.iter().position(|span| trained_length < span.to)?;
    let span = spans[number];
    let inside = trained_length.saturating_sub(span.from) as f64 / (span.to - span.from) as f64;
    (trained_length > spans[0].from).then_some((number as f64 - 0.5 + inside, words))
}

/// The other swept keys of an encoding with their values; none where there are none.
fn others(encoding: &EncodingEntry, key: &str) -> Option<String> {
    let keys = encoding.sweep.iter().flat_map(|sweep| &sweep.keys).filter(|other| *other != key);
    let words: Vec<String> =
        keys.map(|other| format!("{other}={}", encoding.value(other).unwrap_or_default())).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_training_length_among_buckets() {
        let spans = [(0, 512), (512, 1024), (1024, 4096)].map(|(from, to)| Span { from, to });
        assert_eq!(limit(&spans, 512).unwrap().0, 0.5);
        assert_eq!(limit(&spans, 768).unwrap().0, 1.0);
        assert!(limit(&spans, 4096).is_none());
        assert!(limit(&spans[1..], 512).is_none());
        let lengths = [256, 512, 1024].map(|to| Span { from: 0, to });
        assert_eq!(limit(&lengths, 512).unwrap().0, 1.5);
        assert!(limit(&lengths, 100).is_none() && limit(&lengths, 1024).is_none());
    }
}
