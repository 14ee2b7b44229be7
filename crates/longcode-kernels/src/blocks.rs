//! Which blocks of keys each query sees: by a score of the block, from what is known when the query is read.
//!
//! A block can be chosen by query `i` once it ends at or before the first key of `i`'s window. Its summary is made of its
//! keys then, and never changes. So one pass over a text and reading it token by token choose alike.

use std::ops::Range;

use rayon::prelude::*;

use super::cpu::{Matrix, exp_sum, multiply, soft_cap, vectorised};
use super::{Chosen, KeyLists};

/// Rows that are scored together.
const ROWS: usize = 64;

/// How blocks are scored for a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// The query times the mean of the block's keys.
    Mean,
    /// The largest product that a key within the bounds of the block's keys, dimension by dimension, can have.
    Bounds,
    /// The query times the mean of this many keys of the block: those that got most attention while they were in the
    /// window, of equal ones the later.
    Attended(usize),
    /// A number for each key head (or one for all) and block, the same for every query.
    Given(Vec<Vec<u64>>),
}

/// What is chosen, and by what.
#[derive(Debug, Clone)]
pub struct Choosing<'a> {
    /// The first key of each block, from 0, rising.
    pub starts: &'a [usize],
    /// Most blocks that a query sees.
    pub top: usize,
    /// Tokens of the window.
    pub window: usize,
    /// How blocks are scored.
    pub score: &'a Score,
    /// Whether all key heads choose alike, by the sum of their scores.
    pub together: bool,
    /// Key heads.
    pub heads: usize,
    /// Query heads of a key head.
    pub group: usize,
    /// Dimensions of a head.
    pub dim: usize,
}

/// Queries and keys of consecutive rows by token distance, to see what attends to what within the window.
#[derive(Debug, Clone, Copy)]
pub struct Near<'a> {
    /// `[rows, group * key heads * dim]`, with the logit scale.
    pub queries: &'a [f32],
    /// `[keys, key heads * dim]`, from [`Choosing::first_near`] on.
    pub keys: &'a [f32],
    /// The attention's soft cap on its logits.
    pub cap: Option<f32>,
}

/// What is remembered of the blocks of one layer's keys.
#[derive(Debug, Clone, Default)]
pub struct BlockMemory {
    known: Known,
    /// What was known before the rows that were added last: they may be given up.
    before: Before,
}

#[derive(Debug, Clone, Default)]
struct Before {
    rows: usize,
    blocks: usize,
    /// Numbers of the summaries.
    numbers: usize,
    masses: Vec<f32>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// Rows of keys that were seen.
    rows: usize,
    /// Blocks that have a summary.
    blocks: usize,
    /// `[blocks, parts, key heads * dim]`: means, or largest and smallest numbers.
    summaries: Vec<f32>,
    /// The attention that each key got so far, `[keys, key heads]`, from the first block without a summary on.
    masses: Vec<f32>,
}

impl Choosing<'_> {
    /// Blocks that the query at a position can choose from: those that end before its window.
    fn open_to(&self, position: usize) -> usize {
        let first_near = (position + 1).saturating_sub(self.window);
        self.starts.partition_point(|&start| start <= first_near).saturating_sub(1)
    }

    /// The first key within the window of the query at a position.
    pub fn first_near(&self, position: usize) -> usize {
        (position + 1).saturating_sub(self.window)
    }

    /// Numbers of a row of keys.
    fn width(&self) -> usize {
        self.heads * self.dim
    }

    /// Rows of a summary.
    fn parts(&self) -> usize {
        if matches!(self.score, Score::Bounds) { 2 } else { 1 }
    }
}

impl BlockMemory {
    /// Prepares for the rows from position `first` on; later ones that were added before are forgotten.
    pub fn rewind(&mut self, first: usize) {
        if first < self.known.rows {
            debug_assert_eq!(self.before.rows, first, "rows are given up to where they were tried");
            self.known.summaries.truncate(self.before.numbers);
            self.known.blocks = self.before.blocks;
            self.known.masses.clone_from(&self.before.masses);
            self.known.rows = first;
        } else {
            let Known { rows, blocks, summaries, masses } = &self.known;
            self.before =
                Before { rows: *rows, blocks: *blocks, numbers: summaries.len(), masses: masses.clone() };
        }
    }

    /// Positions of the keys that summaries are missing of, for queries up to a position.
    pub fn missing(&self, choosing: &Choosing, last: usize) -> Range<usize> {
        let blocks = choosing.open_to(last).max(self.known.blocks);
        choosing.starts[self.known.blocks]..choosing.starts[blocks]
    }

    /// Adds up what the rows from position `first` on attend to within their window.
    pub fn attend(&mut self, choosing: &Choosing, first: usize, near: Near) {
        let rows = near.queries.len() / (choosing.width() * choosing.group);
        let from = choosing.starts[self.known.blocks];
        self.known.masses.resize((first + rows - from) * choosing.heads, 0.0);
        let tasks: Vec<(usize, usize)> = (0..choosing.heads)
            .flat_map(|head| (0..rows).step_by(ROWS).map(move |row| (head, row)))
            .collect();
        let sums = tasks.into_par_iter().map(|(head, row)| {
            let rows = row..(row + ROWS).min(rows);
            (head, masses(choosing, first, near, head, rows))
        });
        // In the order of the rows, so that sums are the same on every machine.
        for (head, (start, sums)) in sums.collect::<Vec<_>>() {
            for (key, sum) in (start..).zip(sums).filter(|(key, _)| *key >= from) {
                self.known.masses[(key - from) * choosing.heads + head] += sum;
            }
        }
    }

    /// Makes summaries of the keys at the positions [`BlockMemory::missing`], `[keys, key heads * dim]`, for queries up to
    /// the position `last`, the last one that is added.
    pub fn summarise(&mut self, choosing: &Choosing, keys: &[f32], last: usize) {
        let missing = self.missing(choosing, last);
        let width = choosing.width();
        debug_assert_eq!(keys.len(), missing.len() * width);
        let first = self.known.blocks;
        while choosing.starts[self.known.blocks] < missing.end {
            let block = choosing.starts[self.known.blocks]..choosing.starts[self.known.blocks + 1];
            let here = &keys[(block.start - missing.start) * width..(block.end - missing.start) * width];
            let masses = (block.start - choosing.starts[first]) * choosing.heads;
            let masses = self.known.masses.get(masses..masses + block.len() * choosing.heads);
            summary(choosing, here, masses.unwrap_or_default(), &mut self.known.summaries);
            self.known.blocks += 1;
        }
        let gone = (missing.len() * choosing.heads).min(self.known.masses.len());
        self.known.masses.drain(..gone);
        self.known.rows = last + 1;
    }

    /// What the rows from position `first` on choose by the mean query of each key head's group, `[rows, key heads *
    /// dim]`, after summaries for them were made.
    pub fn choose(&self, choosing: &Choosing, first: usize, queries: &[f32]) -> Chosen {
        let rows = queries.len() / choosing.width();
        let heads = if choosing.together { 1 } else { choosing.heads };
        let tasks: Vec<(usize, usize)> =
            (0..heads).flat_map(|head| (0..rows).step_by(ROWS).map(move |row| (head, row))).collect();
        let parts: Vec<KeyLists> = tasks
            .into_par_iter()
            .map_init(Vec::new, |scores, (head, row)| {
                self.choose_some(choosing, first, queries, head, row..(row + ROWS).min(rows), scores)
            })
            .collect();
        let mut lists = KeyLists::default();
        parts.iter().for_each(|part| lists.append(part));
        let list_of = (0..lists.len() as u32).collect();
        Chosen::new(rows, list_of, lists)
    }

    /// The choice of some rows for a key head, or for all together.
    fn choose_some(
        &self,
        choosing: &Choosing,
        first: usize,
        queries: &[f32],
        head: usize,
        rows: Range<usize>,
        scores: &mut Vec<f32>,
    ) -> KeyLists {
        let most = choosing.open_to(first + rows.end - 1);
        let is_scored = most > choosing.top && choosing.top > 0 && !matches!(choosing.score, Score::Given(_));
        if is_scored {
            let heads = if choosing.together { 0..choosing.heads } else { head..head + 1 };
            scores.clear();
            scores.resize(rows.len() * most, 0.0);
            heads.for_each(|head| self.add_scores(choosing, queries, head, rows.clone(), scores));
        }
        let mut lists = KeyLists::default();
        let mut order: Vec<u32> = Vec::new();
        for row in rows.clone() {
            let open = choosing.open_to(first + row);
            order.clear();
            order.extend(0..open as u32);
            if open > choosing.top {
                match choosing.score {
                    Score::Given(given) => {
                        let given = &given[head.min(given.len() - 1)];
                        best(&mut order, choosing.top, |a, b| given[a].cmp(&given[b]));
                    }
                    _ => {
                        let scores = scores.get((row - rows.start) * most..).unwrap_or_default();
                        best(&mut order, choosing.top, |a, b| scores[a].total_cmp(&scores[b]));
                    }
                }
            }
            let of_block =
                |&block: &u32| choosing.starts[block as usize]..choosing.starts[block as usize + 1];
            lists.push(order.iter().map(of_block));
        }
        lists
    }

    /// Adds a key head's scores of the first blocks for some rows, `[rows, blocks]`.
    fn add_scores(
        &self,
        choosing: &Choosing,
        queries: &[f32],
        head: usize,
        rows: Range<usize>,
        scores: &mut [f32],
    ) {
        let (dim, width, parts) = (choosing.dim, choosing.width(), choosing.parts());
        let dims = [rows.len(), dim, scores.len() / rows.len()];
        let queries: Vec<f32> =
            rows.flat_map(|row| &queries[row * width + head * dim..][..dim]).copied().collect();
        let mut add = |queries: &[f32], part: usize| {
            let summaries = &self.known.summaries[part * width + head * dim..];
            multiply(
                Matrix::rows(queries, dim),
                Matrix::columns(summaries, parts * width),
                scores,
                dims,
                true,
            );
        };
        match choosing.score {
            // A number of the query above 0 meets the largest of the keys there, one below 0 the smallest.
            Score::Bounds => {
                add(&queries.iter().map(|q| q.max(0.0)).collect::<Vec<_>>(), 0);
                add(&queries.iter().map(|q| q.min(0.0)).collect::<Vec<_>>(), 1);
            }
            _ => add(&queries, 0),
        }
        // Both zeros are equal.
        scores.iter_mut().for_each(|score| *score += 0.0);
    }
}

/// Keeps the `top` best blocks by a comparison, of equal ones the later, in their order.
fn best(order: &mut Vec<u32>, top: usize, compare: impl Fn(usize, usize) -> std::cmp::Ordering) {
    if top > 0 {
        order.select_nth_unstable_by(top - 1, |&a, &b| compare(b as usize, a as usize).then(b.cmp(&a)));
    }
    order.truncate(top);
    order.sort_unstable();
}

/// Softmax weights of some rows among their windows' keys, summed by key: the first key, and the sums from there on.
fn masses(
    choosing: &Choosing,
    first: usize,
    near: Near,
    head: usize,
    rows: Range<usize>,
) -> (usize, Vec<f32>) {
    let (dim, width, group) = (choosing.dim, choosing.width(), choosing.group);
    let base = choosing.first_near(first);
    let from = choosing.first_near(first + rows.start);
    let to = first + rows.end;
    let queries: Vec<f32> = rows
        .clone()
        .flat_map(|row| &near.queries[(row * choosing.heads + head) * group * dim..][..group * dim])
        .copied()
        .collect();
    let dims = [rows.len() * group, dim, to - from];
    let mut scores = vec![0.0; dims[0] * dims[2]];
    let keys = &near.keys[(from - base) * width + head * dim..];
    multiply(Matrix::rows(&queries, dim), Matrix::columns(keys, width), &mut scores, dims, false);
    if let Some(cap) = near.cap {
        vectorised(
            #[inline(always)]
            || soft_cap(&mut scores, cap),
        );
    }
    let mut sums = vec![0.0; dims[2]];
    for (n, scores) in scores.chunks_exact_mut(dims[2]).enumerate() {
        let position = first + rows.start + n / group;
        let seen = choosing.first_near(position) - from..position + 1 - from;
        let scores = &mut scores[seen.clone()];
        let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = vectorised(
            #[inline(always)]
            || exp_sum(scores, max),
        );
        let share = sum.recip();
        sums[seen].iter_mut().zip(scores).for_each(|(sum, weight)| *sum += *weight * share);
    }
    (from, sums)
}

/// Adds the summary of a block's keys, `[keys, key heads * dim]`, with their masses, `[keys, key heads]`.
fn summary(choosing: &Choosing, keys: &[f32], masses: &[f32], summaries: &mut Vec<f32>) {
    let (width, heads, dim) = (choosing.width(), choosing.heads, choosing.dim);
    let folded = |start: f32, fold: fn(f32, f32) -> f32| {
        let mut all = vec![start; width];
        for key in keys.chunks_exact(width) {
            all.iter_mut().zip(key).for_each(|(all, key)| *all = fold(*all, *key));
        }
        all
    };
    match choosing.score {
        Score::Given(_) => summaries.extend(std::iter::repeat_n(0.0, width)),
        Score::Mean => {
            let count = (keys.len() / width) as f32;
            summaries.extend(folded(0.0, |sum, key| sum + key).into_iter().map(|sum| sum / count));
        }
        Score::Bounds => {
            summaries.extend(folded(f32::NEG_INFINITY, f32::max));
            summaries.extend(folded(f32::INFINITY, f32::min));
        }
        Score::Attended(representatives) => {
            for head in 0..heads {
                let mut order: Vec<u32> = (0..(keys.len() / width) as u32).collect();
                let mass = |key: usize| masses[key * heads + head];
                if order.len() > *representatives {
                    best(&mut order, *representatives, |a, b| mass(a).total_cmp(&mass(b)));
                }
                let count = order.len() as f32;
                let number = |d: usize| {
                    order.iter().map(|&key| keys[key as usize * width + head * dim + d]).sum::<f32>() / count
                };
                summaries.extend((0..dim).map(number));
            }
        }
    }
}
