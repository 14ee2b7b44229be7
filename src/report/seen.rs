//! How many keys queries see: a figure of every row, a column beside the main one, and a picture.

use super::figures::Row;
use super::pictures::ModelOnTask;
use super::table::{Cell, Column, Table};
use crate::config::EncodingEntry;
use crate::draw::chart::{Chart, Curve, DataPoint};
use crate::store::StoredSample;
use crate::structure::Wanted;
use crate::task::{Axis, Better, Group, Measure, Metric};

/// Keys seen over keys that causality allows, summed over queries, layers, key heads and texts.
pub(super) const SEEN: Metric =
    Metric::share("seen", Better::Lower).titled("Keys seen, share", "").not_in_tables();

/// What a sample says about keys, in the groups of samples that its figures are in; nothing in results of an earlier
/// longcode.
pub(super) fn measures(one: &StoredSample, figures: &[Measure]) -> Vec<Measure> {
    let Some(keys) = one.keys else { return Vec::new() };
    let mut groups: Vec<Group> = figures.iter().map(|measure| measure.group).collect();
    groups.retain(|group| group.axis() == Axis::Samples);
    groups.sort_unstable();
    groups.dedup();
    let (numerator, denominator) = (keys.seen as f64, keys.allowed as f64);
    groups.into_iter().map(|group| Measure { group, metric: SEEN.name, numerator, denominator }).collect()
}

/// Whether some row chooses keys, so that tables and pictures say how many are seen.
fn is_shown(encodings: &[EncodingEntry]) -> bool {
    encodings.iter().any(|encoding| encoding.spec.wanted() != Wanted::default())
}

/// The share of a row over all samples.
fn share(rows: &[&Row], encoding: &str) -> Option<f64> {
    let of = |row: &&&Row| row.metric == SEEN && row.group == Group::All && row.encoding == encoding;
    rows.iter().find(of).map(|row| row.estimate.value)
}

/// `6.2%`.
fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// Adds the share of keys to the table of the main figure, if some row chooses keys.
pub(super) fn add_column(table: &mut Table, rows: &[&Row], encodings: &[EncodingEntry]) {
    if !is_shown(encodings) || !rows.iter().any(|row| row.metric == SEEN) {
        return;
    }
    let samples = table.columns.last().map_or(String::new(), |last| last.samples.clone());
    table.columns.push(Column { name: "keys seen".into(), beyond: false, samples });
    for (name, cells) in &mut table.rows {
        let cell = |value: f64| Cell { text: percent(value), value: Some(value), ..Cell::default() };
        cells.push(share(rows, name).map(cell).unwrap_or_default());
    }
}

impl ModelOnTask<'_> {
    /// A metric against the share of keys that is seen: a curve for each sweep, a place for each share; none unless some
    /// row chooses keys.
    pub(super) fn by_seen(&self, metric: &Metric) -> Option<(String, String)> {
        if !is_shown(&self.config.encodings) {
            return None;
        }
        let figure = |encoding: &EncodingEntry| {
            let of = |row: &&&Row| {
                row.metric == *metric && row.group == Group::All && row.encoding == encoding.name
            };
            Some((share(&self.rows, &encoding.name)?, self.rows.iter().find(of)?.estimate))
        };
        let mut places: Vec<_> = self
            .config
            .encodings
            .iter()
            .enumerate()
            .filter_map(|(number, encoding)| Some((number, encoding, figure(encoding)?)))
            .collect();
        places.sort_by(|a, b| a.2.0.total_cmp(&b.2.0));
        let mut ticks: Vec<String> = places.iter().map(|(.., (share, _))| percent(*share)).collect();
        ticks.dedup();
        if ticks.len() < 2 {
            return None;
        }
        let mut curves: Vec<Curve> = Vec::new();
        for (number, encoding, (share, estimate)) in places {
            let name = encoding.sweep.as_ref().map_or(&encoding.name, |sweep| &sweep.of);
            let tick = ticks.iter().position(|tick| *tick == percent(share)).unwrap_or(0);
            let point = DataPoint { tick, value: estimate.value, low: estimate.low, high: estimate.high };
            match curves.iter_mut().find(|curve| curve.name == *name) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve { name: name.clone(), style: Some(number), points: vec![point] }),
            }
        }
        let what = format!("{} by keys seen", metric.words());
        let chart = Chart {
            title: self.title(&what),
            x: "keys seen, share of those that causality allows".into(),
            y: metric.axis_title(),
            ticks,
            limit: None,
            highest: metric.ceiling,
            lowest: f64::NEG_INFINITY,
            curves,
        };
        Some((what, chart.svg()))
    }
}
