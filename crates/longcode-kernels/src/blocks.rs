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
        let given = given_ranks(choosing, choosing.open_to(first + rows - 1));
        let asked = Asked { choosing, summaries: &self.known.summaries, first, queries, given };
        let tasks: Vec<(usize, usize)> =
            (0..heads).flat_map(|head| (0..rows).step_by(ROWS).map(move |row| (head, row))).collect();
        let parts: Vec<KeyLists> = tasks
            .into_par_iter()
            .map_init(Default::default, |scratch, (head, row)| {
                asked.choose(head, row..(row + ROWS).min(rows), scratch)
            })
            .collect();
        let mut lists = KeyLists::default();
        parts.iter().for_each(|part| lists.append(part));
        let list_of = (0..lists.len() as u32).collect();
        Chosen::new(rows, list_of, lists)
    }
}

/// Queries, and the blocks that they choose from.
struct Asked<'a> {
    choosing: &'a Choosing<'a>,
    summaries: &'a [f32],
    /// Position of the first query.
    first: usize,
    queries: &'a [f32],
    /// Ranks of the blocks for each key head or for all, if they depend on no query.
    given: Option<Vec<Vec<Ranked>>>,
}

impl Asked<'_> {
    /// The choice of some rows for a key head, or for all together. The buffers are of scores and of an order.
    fn choose(
        &self,
        head: usize,
        rows: Range<usize>,
        (scores, order): &mut (Vec<f32>, Vec<Ranked>),
    ) -> KeyLists {
        let &Choosing { starts, top, heads, together, .. } = self.choosing;
        let most = self.choosing.open_to(self.first + rows.end - 1);
        scores.clear();
        if self.given.is_none() && most > top && top > 0 {
            scores.resize(rows.len() * most, 0.0);
            let heads = if together { 0..heads } else { head..head + 1 };
            heads.for_each(|head| self.add_scores(head, rows.clone(), scores));
        }
        let mut lists = KeyLists::default();
        for row in rows.clone() {
            let open = self.choosing.open_to(self.first + row);
            order.clear();
            match &self.given {
                _ if open <= top => order.extend((0..open).map(|block| ranked(0, block))),
                _ if top == 0 => {}
                Some(given) => order.extend(&given[head][..open]),
                None => {
                    let scores = &scores[(row - rows.start) * most..][..open];
                    order.extend((0..).zip(scores).map(|(block, score)| ranked(rank(*score), block)));
                }
            }
            best(order, top);
            lists.push(order.iter().map(|&ranked| starts[number(ranked)]..starts[number(ranked) + 1]));
        }
        lists
    }

    /// Adds a key head's scores of the first blocks for some rows, `[rows, blocks]`.
    fn add_scores(&self, head: usize, rows: Range<usize>, scores: &mut [f32]) {
        let (dim, width, parts) = (self.choosing.dim, self.choosing.width(), self.choosing.parts());
        let dims = [rows.len(), dim, scores.len() / rows.len()];
        let queries: Vec<f32> =
            rows.flat_map(|row| &self.queries[row * width + head * dim..][..dim]).copied().collect();
        let mut add = |queries: &[f32], part: usize| {
            let summaries = Matrix::columns(&self.summaries[part * width + head * dim..], parts * width);
            multiply(Matrix::rows(queries, dim), summaries, scores, dims, true);
        };
        match self.choosing.score {
            // A number of the query above 0 meets the largest of the keys there, one below 0 the smallest.
            Score::Bounds => {
                add(&queries.iter().map(|q| q.max(0.0)).collect::<Vec<_>>(), 0);
                add(&queries.iter().map(|q| q.min(0.0)).collect::<Vec<_>>(), 1);
            }
            _ => add(&queries, 0),
        }
    }
}

/// The first blocks with ranks by the numbers that are given, for each key head or for all, if they are given.
fn given_ranks(choosing: &Choosing, blocks: usize) -> Option<Vec<Vec<Ranked>>> {
    let Score::Given(given) = choosing.score else { return None };
    let of_head = |given: &Vec<u64>| {
        let mut order: Vec<usize> = (0..blocks).collect();
        order.sort_unstable_by_key(|&block| (given[block], block));
        let mut ranks = vec![0; blocks];
        (0..).zip(order).for_each(|(rank, block)| ranks[block] = ranked(rank, block));
        ranks
    };
    Some(given.iter().map(of_head).collect())
}

/// A block behind the rank of its score: the larger number is the better block, of equal scores the later one.
type Ranked = u64;

fn ranked(rank: u32, block: usize) -> Ranked {
    u64::from(rank) << 32 | block as u64
}

/// The block of a rank.
fn number(ranked: Ranked) -> usize {
    ranked as u32 as usize
}

/// The order of scores as that of whole numbers; both zeros are equal.
fn rank(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    bits ^ ((bits as i32 >> 31) as u32 | 1 << 31)
}

/// Keeps the `top` best, in the order of their blocks.
fn best(order: &mut Vec<Ranked>, top: usize) {
    if order.len() > top {
        order.select_nth_unstable_by(top - 1, |a, b| b.cmp(a));
        order.truncate(top);
    }
    order.sort_unstable_by_key(|&ranked| number(ranked));
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
                let mass = |key: usize| ranked(rank(masses[key * heads + head]), key);
                let mut order: Vec<Ranked> = (0..keys.len() / width).map(mass).collect();
                best(&mut order, *representatives);
                let count = order.len() as f32;
                let mean = |d: usize| {
                    order.iter().map(|&key| keys[number(key) * width + head * dim + d]).sum::<f32>() / count
                };
                summaries.extend((0..dim).map(mean));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_in_the_order_of_scores() {
        let scores = [f32::NEG_INFINITY, -3.5, -1e-40, 0.0, 1e-40, 2.0, 2.000_000_2, f32::INFINITY];
        assert!(scores.is_sorted_by_key(|score| rank(*score)));
        assert!(scores.windows(2).all(|pair| rank(pair[0]) < rank(pair[1])));
        assert_eq!(rank(-0.0), rank(0.0));
        let mut order: Vec<Ranked> =
            [2.0, -1.0, 2.0, 5.0, 2.0].iter().zip(0..).map(|(score, n)| ranked(rank(*score), n)).collect();
        best(&mut order, 3);
        let chosen: Vec<usize> = order.into_iter().map(number).collect();
        assert_eq!(chosen, [2, 3, 4], "of equal scores the later");
    }
}
