//! Attention of many query rows of which each sees keys of its own choice, in time that grows with the keys seen.
//!
//! Neighbouring rows may choose far more keys together than any of them sees. So the rows of a task are many, and those
//! that chose the same keys ([`Group`]) are gathered for one product; their softmax goes on in the place of each row. What
//! the rows see of open zones, the window above all, they then read block by block as ever, and both parts are joined.
//! The gathered products are in f32 in every precision.

use std::ops::Range;

use rayon::prelude::*;

use super::block::{Block, Scratch, cap_scores, softmax_in_f32};
use super::few_rows;
use super::inputs::Inputs;
use super::matrix::{Matrix, multiply};
use super::shared::Shared;
use super::simd::exp;
use super::tiled::Packed;
use crate::Heads;
use crate::chosen::Group;
use crate::sight::{Turn, rows_of};

/// Tokens of a task.
const TOKENS: usize = 512;
/// Most keys in a tile.
const TILE: usize = 256;
/// About how many rows are gathered for a product, over all heads that share a key head.
const STRIP: usize = 192;
/// Most gathered rows for which keys and values are read in place, without being packed for a product.
const FEW: usize = 12;

/// `[rows, heads * dim]`; blocks of `block` tokens read the open zones.
pub(super) fn attend(inputs: &Inputs, packed: Option<&Packed>, block: usize) -> Vec<f32> {
    let Heads { queries, keys, dim } = inputs.heads;
    let rows = inputs.sight.rows();
    let mut out = vec![0.0; rows * queries * dim];
    let shared = Shared::new(&mut out);
    let tasks: Vec<_> = (0..keys)
        .flat_map(|key_head| {
            (0..rows).step_by(TOKENS).map(move |start| (key_head, start..(start + TOKENS).min(rows)))
        })
        .collect();
    tasks.into_par_iter().with_max_len(1).for_each_init(
        Default::default,
        |scratch: &mut (Scratch, Far), task| {
            let (key_head, rows) = task;
            let (scratch, far) = scratch;
            far.read(inputs, key_head, rows.clone());
            for start in rows.clone().step_by(block) {
                let block = Block { inputs, packed, key_head, rows: start..(start + block).min(rows.end) };
                block.read(0..usize::MAX, scratch);
                far.join(start - rows.start, block.rows.len(), scratch);
                block.write(scratch, shared);
            }
        },
    );
    out
}

/// What a task's rows have seen so far of the keys that they chose, and buffers.
#[derive(Default)]
struct Far {
    dim: usize,
    /// Query heads of a key head.
    group: usize,
    /// Weighted sum of values relative to the running maximum, `[tokens, group, dim]`.
    mixed: Vec<f32>,
    /// Running maximum and sum of weights, `[tokens, group]`.
    max: Vec<f32>,
    sum: Vec<f32>,
    strip: Strip,
    /// Keys and values of a tile of several ranges, `[keys, dim]`.
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Rows gathered for a product.
#[derive(Default)]
struct Strip {
    queries: Vec<f32>,
    scores: Vec<f32>,
    mixed: Vec<f32>,
    max: Vec<f32>,
    sum: Vec<f32>,
}

/// Keys and values of a tile: ranges of positions, and where their rows are.
struct Tile<'a> {
    ranges: &'a [Range<usize>],
    keys: &'a [f32],
    values: &'a [f32],
    stride: usize,
}

impl Far {
    /// Reads all chosen keys of some rows of a key head.
    fn read(&mut self, inputs: &Inputs, key_head: usize, rows: Range<usize>) {
        let Heads { queries, keys, dim } = inputs.heads;
        (self.dim, self.group) = (dim, queries / keys);
        let height = rows.len() * self.group;
        refill(&mut self.mixed, height * dim, 0.0);
        refill(&mut self.max, height, f32::NEG_INFINITY);
        refill(&mut self.sum, height, 0.0);
        for group in inputs.sight.groups(key_head, rows.clone()) {
            for ranges in tiles(&group.keys) {
                self.tile(inputs, key_head, rows.start, &group, &ranges);
            }
        }
    }

    /// A tile of keys of a group.
    fn tile(
        &mut self,
        inputs: &Inputs,
        key_head: usize,
        first: usize,
        group: &Group,
        ranges: &[Range<usize>],
    ) {
        let zone = inputs.sight.chosen_zone().expect("a group is of a zone");
        let turn = inputs.sight.turn(zone).expect("chosen keys turn");
        let dim = self.dim;
        let stride = inputs.heads.keys * dim;
        let place = |range: &Range<usize>| rows_of(range, &inputs.lost).start * stride + key_head * dim;
        let (mut keys, mut values) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.values));
        let tile = if let [range] = ranges {
            let at = place(range);
            Tile { ranges, keys: &inputs.keys[turn.key][at..], values: &inputs.value[at..], stride }
        } else {
            gather(inputs.keys[turn.key], ranges, place, [stride, dim], &mut keys);
            gather(inputs.value, ranges, place, [stride, dim], &mut values);
            Tile { ranges, keys: &keys, values: &values, stride: dim }
        };
        for rows in group.rows.chunks((STRIP / self.group).max(1)) {
            self.strip(inputs, key_head, first, zone, turn, rows, &tile);
        }
        (self.keys, self.values) = (keys, values);
    }

    /// A tile's keys for some rows.
    #[allow(clippy::too_many_arguments, reason = "what a tile knows and what a strip adds")]
    fn strip(
        &mut self,
        inputs: &Inputs,
        key_head: usize,
        first: usize,
        zone: usize,
        turn: Turn,
        rows: &[usize],
        tile: &Tile,
    ) {
        let (dim, group) = (self.dim, self.group);
        let (height, width) = (rows.len() * group, tile.ranges.iter().map(Range::len).sum::<usize>());
        let mut strip = std::mem::take(&mut self.strip);
        strip.take(self, inputs.queries[turn.query], inputs.heads, key_head, rows, first);
        strip.scores.resize(height * width, 0.0);
        let scores = &mut strip.scores[..];
        if height <= FEW {
            few_rows::scores(&strip.queries, tile.keys, dim, tile.stride, scores);
        } else {
            let (queries, keys) =
                (Matrix::rows(&strip.queries, dim), Matrix::columns(tile.keys, tile.stride));
            multiply(queries, keys, scores, [height, dim, width], false);
        }
        cap_scores(inputs, scores);
        mask(inputs, zone, rows, group, tile.ranges, scores);
        softmax_in_f32(scores, width, &mut strip.mixed, [&mut strip.max, &mut strip.sum]);
        if height <= FEW {
            few_rows::mix(scores, tile.values, dim, tile.stride, &mut strip.mixed);
        } else {
            let (weights, values) = (Matrix::rows(scores, width), Matrix::rows(tile.values, tile.stride));
            multiply(weights, values, &mut strip.mixed, [height, width, dim], true);
        }
        strip.put(self, rows, first);
        self.strip = strip;
    }

    /// Joins what some tokens, the first of them number `first` here, have seen to what a block of them has read.
    fn join(&self, first: usize, tokens: usize, block: &mut Scratch) {
        for row in 0..tokens * self.group {
            // A block has one head after another.
            let here = (first + row % tokens) * self.group + row / tokens;
            if self.sum[here] > 0.0 {
                let max = self.max[here].max(block.max[row]);
                let [far, near] = [self.max[here], block.max[row]].map(|own| exp(own - max));
                let of_far = &self.mixed[here * self.dim..][..self.dim];
                let mixed = &mut block.mixed[row * self.dim..][..self.dim];
                mixed
                    .iter_mut()
                    .zip(of_far)
                    .for_each(|(mixed, of_far)| *mixed = near * *mixed + far * of_far);
                block.sum[row] = near * block.sum[row] + far * self.sum[here];
            }
        }
    }
}

impl Strip {
    /// Gathers the queries of some rows, and what they have seen so far.
    fn take(
        &mut self,
        far: &Far,
        queries: &[f32],
        heads: Heads,
        key_head: usize,
        rows: &[usize],
        first: usize,
    ) {
        let (group, dim) = (far.group, far.dim);
        [&mut self.queries, &mut self.mixed, &mut self.max, &mut self.sum].into_iter().for_each(Vec::clear);
        for &row in rows {
            let at = (row * heads.queries + key_head * group) * dim;
            self.queries.extend_from_slice(&queries[at..][..group * dim]);
            let own = (row - first) * group..(row - first + 1) * group;
            self.mixed.extend_from_slice(&far.mixed[own.start * dim..own.end * dim]);
            self.max.extend_from_slice(&far.max[own.clone()]);
            self.sum.extend_from_slice(&far.sum[own]);
        }
    }

    /// Puts back what they have seen.
    fn put(&self, far: &mut Far, rows: &[usize], first: usize) {
        let (group, dim) = (far.group, far.dim);
        for (number, row) in rows.iter().enumerate() {
            let (own, here) = ((row - first) * group, number * group);
            far.mixed[own * dim..][..group * dim].copy_from_slice(&self.mixed[here * dim..][..group * dim]);
            far.max[own..][..group].copy_from_slice(&self.max[here..][..group]);
            far.sum[own..][..group].copy_from_slice(&self.sum[here..][..group]);
        }
    }
}

/// Masks the keys that a row does not have in the zone, at its borders.
fn mask(
    inputs: &Inputs,
    zone: usize,
    rows: &[usize],
    group: usize,
    ranges: &[Range<usize>],
    scores: &mut [f32],
) {
    let width: usize = ranges.iter().map(Range::len).sum();
    let all = ranges[0].start..ranges[ranges.len() - 1].end;
    for (row, scores) in rows.iter().zip(scores.chunks_exact_mut(group * width)) {
        let own = inputs.sight.keys(zone, *row);
        if own.start <= all.start && all.end <= own.end {
            continue;
        }
        for scores in scores.chunks_exact_mut(width) {
            let mut column = 0;
            for range in ranges {
                let inside = own.start.clamp(range.start, range.end)..own.end.clamp(range.start, range.end);
                let scores = &mut scores[column..column + range.len()];
                scores[..inside.start - range.start].fill(f32::NEG_INFINITY);
                scores[inside.end - range.start..].fill(f32::NEG_INFINITY);
                column += range.len();
            }
        }
    }
}

/// Ranges of keys in tiles of at most [`TILE`] keys.
fn tiles(keys: &[Range<usize>]) -> Vec<Vec<Range<usize>>> {
    let mut tiles: Vec<Vec<Range<usize>>> = Vec::new();
    let mut room = 0;
    for range in keys {
        let mut start = range.start;
        while start < range.end {
            if room == 0 {
                tiles.push(Vec::new());
                room = TILE;
            }
            let end = range.end.min(start + room);
            if let Some(tile) = tiles.last_mut() {
                tile.push(start..end);
            }
            room -= end - start;
            start = end;
        }
    }
    tiles
}

/// Copies the rows of some ranges, which begin at their `place` and are `stride` numbers apart, to `[keys, dim]`.
fn gather(
    from: &[f32],
    ranges: &[Range<usize>],
    place: impl Fn(&Range<usize>) -> usize,
    [stride, dim]: [usize; 2],
    to: &mut Vec<f32>,
) {
    to.clear();
    for range in ranges {
        let rows = from[place(range)..].chunks(stride).take(range.len());
        rows.for_each(|row| to.extend_from_slice(&row[..dim]));
    }
}

fn refill(values: &mut Vec<f32>, count: usize, value: f32) {
    values.clear();
    values.resize(count, value);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::attention;
    use super::*;
    use crate::{Chosen, KeyLists, Precision, Sight, Softmax};

    /// Softmax and weighted sum over the keys that each row sees, in f64.
    fn definition(inputs: &Inputs) -> Vec<f64> {
        let (sight, Heads { queries, keys, dim }) = (inputs.sight, inputs.heads);
        let (zone, chosen) = sight.choice().unwrap();
        let mut out = Vec::new();
        for row in 0..sight.rows() {
            for head in 0..queries {
                let key_head = head * keys / queries;
                let of_zone = |zone: usize| -> Vec<usize> { sight.keys(zone, row).collect() };
                let open = (0..sight.zones()).filter(|&zone| sight.is_open(zone));
                let mut seen: Vec<(usize, usize)> =
                    open.flat_map(|zone| of_zone(zone).into_iter().map(move |key| (zone, key))).collect();
                seen.extend(
                    chosen.within(key_head, row, sight.keys(zone, row)).flatten().map(|key| (zone, key)),
                );
                let weight = |&(zone, key): &(usize, usize)| {
                    let turn = sight.turn(zone).unwrap();
                    let q = &inputs.queries[turn.query][(row * queries + head) * dim..][..dim];
                    let k = &inputs.keys[turn.key][(key * keys + key_head) * dim..][..dim];
                    let logit = q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum::<f64>();
                    let cap = inputs.softmax.cap.map(f64::from);
                    cap.map_or(logit, |cap| cap * (logit / cap).tanh()).exp()
                };
                let weights: Vec<f64> = seen.iter().map(weight).collect();
                let sink = inputs.softmax.sinks.as_ref().map_or(0.0, |sinks| f64::from(sinks[head]).exp());
                let sum = weights.iter().sum::<f64>() + sink;
                out.extend((0..dim).map(|d| {
                    let value = |key: usize| f64::from(inputs.value[(key * keys + key_head) * dim + d]);
                    seen.iter().zip(&weights).map(|((_, key), weight)| weight * value(*key)).sum::<f64>()
                        / sum
                }));
            }
        }
        out
    }

    /// A window of 40 tokens behind 3 sinks, and of the keys between them ranges by chance, or the same for all rows.
    fn sight(length: usize, first: usize, heads: usize, alike: bool, random: &mut ChaCha8Rng) -> Sight {
        let near = |i: usize| (i + 1).saturating_sub(40);
        let turn = |n: usize| Turn { query: n, key: n };
        let rows = length - first;
        let zone =
            |border: &dyn Fn(usize) -> usize| ((first..length).map(border).collect(), border(length - 1));
        let (chosen, window) = (zone(&|i| near(i).min(3)), zone(&near));
        let sight = Sight::new(first..length, length)
            .with_zone(vec![0; rows], 0, Some(turn(1)))
            .with_chosen_zone(chosen.0, chosen.1, turn(1))
            .with_zone(window.0, window.1, Some(turn(0)));
        let mut lists = KeyLists::default();
        let list_of = (0..heads * rows).map(|_| {
            if alike && lists.len() > 1 {
                return random.random_range(0..2);
            }
            let mut starts: Vec<usize> = (0..9).map(|_| random.random_range(0..length) / 8 * 8).collect();
            starts.sort_unstable();
            lists.push(starts.into_iter().map(|start| start..start + 8 + random.random_range(0..2) * 3))
        });
        let list_of: Vec<u32> = list_of.collect();
        sight.with_choice(Arc::new(Chosen::new(rows, list_of, lists)))
    }

    #[test]
    fn rows_see_what_was_chosen_for_each() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let shapes = [
            (700, 0, 3, 1, 16),
            (300, 0, 4, 2, 18),
            (600, 596, 6, 2, 8),
            (90, 89, 1, 1, 64),
            (650, 100, 2, 2, 80),
        ];
        for (length, first, queries, keys, dim) in shapes {
            for (alike, precision) in
                [(true, Precision::F32), (false, Precision::F32), (false, Precision::Split)]
            {
                let sight = sight(length, first, keys, alike, &mut random);
                let mut numbers = |count: usize, scale: f32| -> Vec<f32> {
                    (0..count).map(|_| random.random_range(-scale..scale)).collect()
                };
                let q = [0, 1].map(|_| numbers((length - first) * queries * dim, 0.7));
                let k = [0, 1].map(|_| numbers(length * keys * dim, 1.0));
                let v = numbers(length * keys * dim, 1.0);
                let inputs = Inputs {
                    queries: [&q[0], &q[1], &q[0]],
                    keys: [&k[0], &k[1], &k[0]],
                    value: &v,
                    heads: Heads { queries, keys, dim },
                    sight: &sight,
                    softmax: Softmax {
                        cap: alike.then_some(3.0),
                        sinks: alike.then(|| (0..queries).map(|head| head as f32 - 1.0).collect()),
                    },
                    lost: 0..0,
                    precision,
                };
                let tolerance = if precision == Precision::F32 { 2e-6 } else { 2e-4 };
                for (n, (ours, expected)) in
                    attention::attend(&inputs).iter().zip(definition(&inputs)).enumerate()
                {
                    let difference = (f64::from(*ours) - expected).abs();
                    assert!(
                        difference < tolerance,
                        "{length} {first} {queries} {keys} {dim} {alike} {precision}: {n}: {ours} for {expected}"
                    );
                }
            }
        }
    }
}
