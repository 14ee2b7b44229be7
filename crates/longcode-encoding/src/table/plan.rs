//! How a text turns: zones with a row for each token, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arrays::{Array, Arrays, wrong};
use super::numbers::{Rows, edges, flag};
use crate::{Band, Border, Positions, Rotation, Rotations, Spectrum, Zone};
use longcode_base::error::Result;

/// Zones of a text, one row a token.
#[derive(Debug, Default)]
pub(super) struct Plan {
    zones: Vec<PlannedZone>,
    /// Factors on the logits of each query, if it has any.
    query_scale: Option<Vec<f64>>,
    /// Tokens that it has rows for; none if it has no rows at all and holds for any length.
    pub(super) rows: Option<usize>,
}

/// Positions that several bands may have.
type Shared = Arc<[f64]>;

/// One zone of a plan.
#[derive(Debug)]
struct PlannedZone {
    /// The first key for each query; none for key 0.
    first: Option<Vec<usize>>,
    bands: Turned,
}

#[derive(Debug)]
enum Turned {
    /// Not seen.
    Unseen,
    /// By token index.
    ByToken,
    /// By positions of queries and keys, a band each.
    Bands(Vec<PlannedBand>),
}

#[derive(Debug)]
struct PlannedBand {
    /// Where its pairs begin and end; without an end at the model's last.
    pairs: (usize, Option<usize>),
    query: Shared,
    key: Shared,
}

/// What a zone may say besides its positions.
const ZONE: [&str; 5] = ["first", "pairs", "query", "key", "seen"];

impl Plan {
    /// Reads the arrays of a plan, whose names in the file begin with `prefix`.
    pub(super) fn new(prefix: &str, mut arrays: Arrays) -> Result<Plan> {
        let mut rows = Rows::default();
        let query_scale = match arrays.take("query_scale") {
            None => None,
            Some(array) => Some(rows.positive(&format!("{prefix}query_scale"), array)?),
        };
        let mut zones = Vec::new();
        let mut known = Known::default();
        while let Some(zone) = arrays.zone(zones.len()) {
            let name = format!("{prefix}zones.{}", zones.len());
            zones.push(PlannedZone::new(&name, zone, &mut rows, &mut known)?);
        }
        if let Some(name) = arrays.0.keys().next() {
            let what = format!("unknown name `{prefix}{name}`");
            let fix = "use frequencies, scale, query_scale, zones.N.first, .pairs, .query, .key, .seen, with N from 0 without a \
                       gap; the same under texts.HASH";
            return Err(wrong(what, fix));
        }
        let plan = Plan { zones, query_scale, rows: rows.count() };
        plan.check_borders(prefix)?;
        Ok(plan)
    }

    /// Refuses borders that are out of order, and a last zone that hides a query's own token.
    fn check_borders(&self, prefix: &str) -> Result<()> {
        let mut before: Option<&[usize]> = None;
        for (n, zone) in self.zones.iter().enumerate() {
            let name = format!("{prefix}zones.{n}.first");
            match (&zone.first, n) {
                (None, 0) => continue,
                (Some(_), 0) => {
                    return Err(wrong(format!("`{name}`: the first zone begins at key 0"), "leave it out"));
                }
                (None, _) => {
                    return Err(wrong(
                        format!("no `{name}`"),
                        "say where the zone begins, a key for each token",
                    ));
                }
                (Some(first), _) => {
                    check_border(&name, first, before)?;
                    before = Some(first);
                }
            }
        }
        match self.zones.last() {
            Some(PlannedZone { bands: Turned::Unseen, .. }) => {
                let what = format!(
                    "`{prefix}zones.{}` is not seen, and a query's own token is in the last zone",
                    self.zones.len() - 1
                );
                Err(wrong(what, "give it positions"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses bands that are not those of the model's pairs.
    pub(super) fn check(&self, prefix: &str, pairs: usize) -> Result<()> {
        for (n, zone) in self.zones.iter().enumerate() {
            let Turned::Bands(bands) = &zone.bands else { continue };
            let end = bands.last().and_then(|band| band.pairs.1);
            if let Some(end) = end.filter(|&end| end != pairs) {
                let what =
                    format!("`{prefix}zones.{n}.pairs` ends at {end}, and the model has {pairs} pairs");
                return Err(wrong(what, "end at the model's number of pairs"));
            }
        }
        Ok(())
    }

    pub(super) fn rotations(&self, spectrum: Spectrum, positions: &Positions) -> Rotations {
        let pairs = spectrum.frequencies.len();
        let mut parts = Parts { positions, made: Vec::new() };
        let zones = match &self.zones[..] {
            [] => vec![Zone::turned(Border::start(positions), Rotation::by_token(pairs, positions))],
            zones => zones.iter().map(|zone| zone.at(pairs, &mut parts)).collect(),
        };
        let mut rotations = Rotations::new(spectrum, positions, zones);
        if let Some(scale) = &self.query_scale {
            rotations.query_scale = scale[positions.tokens.clone()].to_vec();
        }
        rotations
    }
}

/// Refuses a border that falls, comes before the one of the zone before, or is beyond the query's own token.
fn check_border(name: &str, first: &[usize], before: Option<&[usize]>) -> Result<()> {
    let fix = "borders never move back from one token to the next, and stand in the order of the zones";
    if let Some(n) = (1..first.len()).find(|&n| first[n] < first[n - 1]) {
        return Err(wrong(format!("`{name}` falls at row {n}: {} after {}", first[n], first[n - 1]), fix));
    }
    if let Some(n) = (0..first.len()).find(|&n| first[n] > n) {
        let what = format!("`{name}`, row {n}, is {}, beyond the token itself", first[n]);
        return Err(wrong(
            what,
            "give at most the row's own number: a query's own token is in the last zone",
        ));
    }
    let behind = before.and_then(|before| (0..first.len()).find(|&n| first[n] < before[n]));
    match behind {
        Some(n) => Err(wrong(format!("`{name}`, row {n}, comes before the zone before it begins"), fix)),
        None => Ok(()),
    }
}

impl PlannedZone {
    fn new(name: &str, mut arrays: Arrays, rows: &mut Rows, known: &mut Known) -> Result<PlannedZone> {
        let first =
            arrays.take("first").map(|array| rows.whole(&format!("{name}.first"), array)).transpose()?;
        let seen = arrays.take("seen").map(|array| flag(&format!("{name}.seen"), &array)).transpose()?;
        let pairs = arrays.take("pairs").map(|array| edges(&format!("{name}.pairs"), &array)).transpose()?;
        let sides = (arrays.take("query"), arrays.take("key"));
        let bands = match (seen, sides) {
            (Some(false), (None, None)) if pairs.is_none() => Turned::Unseen,
            (Some(false), _) => {
                return Err(wrong(
                    format!("`{name}` is not seen and has positions or pairs"),
                    "leave out one of the two",
                ));
            }
            (_, (None, None)) if pairs.is_none() => Turned::ByToken,
            (_, (Some(query), Some(key))) => {
                let sides = [("query", query), ("key", key)];
                Turned::Bands(bands(name, pairs.as_deref(), sides, rows, known)?)
            }
            _ => {
                let what = format!("`{name}` has not both of `query` and `key`");
                return Err(wrong(what, "give both, or neither for token distances"));
            }
        };
        Ok(PlannedZone { first, bands })
    }

    /// The zone for some tokens, with the bands of a model's pairs.
    fn at(&self, pairs: usize, parts: &mut Parts) -> Zone {
        let positions = parts.positions;
        let first = match &self.first {
            None => Border::start(positions),
            Some(first) => Border::new(positions, |i| first[i]),
        };
        match &self.bands {
            Turned::Unseen => Zone::unseen(first),
            Turned::ByToken => Zone::turned(first, Rotation::by_token(pairs, positions)),
            Turned::Bands(bands) => {
                let band = |band: &PlannedBand| Band {
                    pairs: band.pairs.0..band.pairs.1.unwrap_or(pairs),
                    query: parts.of(&band.query),
                    key: parts.of(&band.key),
                };
                Zone::turned(first, Rotation { bands: bands.iter().map(band).collect() })
            }
        }
    }
}

/// The bands of a zone: `pairs` are their edges, `[bands + 1]`; positions are `[bands, rows]`, or `[rows]` of one.
fn bands(
    name: &str,
    pairs: Option<&[usize]>,
    sides: [(&str, Array); 2],
    rows: &mut Rows,
    known: &mut Known,
) -> Result<Vec<PlannedBand>> {
    let count = pairs.map_or(1, |edges| edges.len() - 1);
    let mut read = Vec::new();
    for (side, array) in sides {
        let name = format!("{name}.{side}");
        let is_one = count == 1 && array.shape.len() == 1;
        if !is_one && array.shape.first() != Some(&count) || array.shape.is_empty() {
            let what = format!("`{name}` is of shape {:?}, and there are {count} bands", array.shape);
            return Err(wrong(what, "give [bands, tokens], with one band less than numbers in `pairs`"));
        }
        read.push(
            rows.of_bands(&name, array, count)?.into_iter().map(|band| known.one(band)).collect::<Vec<_>>(),
        );
    }
    let [query, key]: [Vec<_>; 2] = read.try_into().expect("two sides");
    let edge = |n: usize| pairs.map_or(0, |edges| edges[n]);
    let end = |n: usize| pairs.map(|edges| edges[n + 1]);
    let zipped = query.into_iter().zip(key).enumerate();
    Ok(zipped.map(|(n, (query, key))| PlannedBand { pairs: (edge(n), end(n)), query, key }).collect())
}

/// The same positions once, so that queries and keys are turned and kept once.
#[derive(Default)]
struct Known(Vec<Shared>);

impl Known {
    fn one(&mut self, values: Vec<f64>) -> Shared {
        if let Some(known) = self.0.iter().find(|known| known[..] == values[..]) {
            return known.clone();
        }
        self.0.push(values.into());
        self.0[self.0.len() - 1].clone()
    }
}

/// The parts of a plan's positions that some tokens have, each made once.
struct Parts<'a> {
    positions: &'a Positions,
    /// Whole ones and their parts.
    made: Vec<(Shared, Shared)>,
}

impl Parts<'_> {
    fn of(&mut self, whole: &Shared) -> Shared {
        if let Some((_, part)) = self.made.iter().find(|(known, _)| Arc::ptr_eq(known, whole)) {
            return part.clone();
        }
        let values = &whole[self.positions.tokens.clone()];
        let by_token = self.positions.by_token();
        let part = if values == &by_token[..] { by_token } else { values.into() };
        self.made.push((whole.clone(), part.clone()));
        part
    }
}

impl Arrays {
    /// The arrays of a zone by what they are of it; none if it has none.
    fn zone(&mut self, number: usize) -> Option<Arrays> {
        let take = |key: &&str| Some((key.to_string(), self.take(&format!("zones.{number}.{key}"))?));
        let zone: BTreeMap<String, Array> = ZONE.iter().filter_map(take).collect();
        (!zone.is_empty()).then_some(Arrays(zone))
    }
}
