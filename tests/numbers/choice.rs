//! Kinds that choose keys by content, against definitions that are written down apart from them, and against one another.

use burn::tensor::{Device, Tensor, TensorData};
use longcode::checkpoint::AttentionConfig;
use longcode::encoding::{EncodingSpec, ModelRope, Positions};
use longcode::model::{EncodedModel, RotaryTables};
use longcode::structure::{Blocks, Layout};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::decoding::tiny;

const HEADS: usize = 2;
const DIM: usize = 16;
const LENGTH: usize = 150;

/// Losses of the golden checkpoint on the same tokens.
fn losses(spec: &str, blocks: Blocks) -> Vec<f32> {
    let (checkpoint, model) = tiny(&Device::flex());
    let ids: Vec<u32> = (0..LENGTH as u32).map(|n| n * 37 % 199).collect();
    let encoding = EncodingSpec::parse(spec).unwrap();
    encoding.check(&checkpoint.config.rope).unwrap();
    let level: Vec<u32> = (0..LENGTH as u32).map(|t| t / 11).collect();
    let levels: Vec<Vec<u32>> = encoding.units().iter().map(|_| level.clone()).collect();
    let layout = Layout { blocks: Some(blocks), ..Layout::from(levels) };
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
    under.score(&ids, layout).unwrap().nll
}

fn assert_same(a: (&str, usize), b: (&str, usize)) {
    let [ours, theirs] = [a, b].map(|(spec, block)| losses(spec, Blocks::even(block, LENGTH)));
    for (token, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!((ours - theirs).abs() < 1e-4, "{a:?} and {b:?}: token {token}: {ours} and {theirs}");
    }
}

#[test]
fn all_blocks_are_as_good_as_no_choice() {
    for score in ["mean", "bounds", "attended", "random"] {
        let blocks = |far: &str| format!("blocks:unit=tokens:7,top=99,window=12,score={score},far={far}");
        assert_same((&blocks("clip"), 7), ("rerope:window=11", 7));
        assert_same((&blocks("token"), 7), ("rope", 7));
        assert_same((&blocks("hirope,split=0.25"), 7), ("hirope:window=12,split=0.25", 7));
    }
}

#[test]
fn of_blocks_of_one_key_bounds_are_means() {
    let of = |score: &str| format!("blocks:unit=tokens:1,top=9,window=12,score={score},far=token");
    assert_same((&of("bounds"), 1), (&of("mean"), 1));
}

#[test]
fn of_as_many_representatives_as_keys_the_mean_is_that_of_the_block() {
    let of = |score: &str| format!("blocks:unit=tokens:7,top=3,window=12,far=token,score={score}");
    assert_same((&of("attended,representatives=7"), 7), (&of("mean"), 7));
}

#[test]
fn no_block_leaves_a_window_behind_sinks() {
    assert_same(
        ("blocks:unit=tokens:1,top=0,window=12,sinks=3", 1),
        ("lm_infinite:window=12,sinks=3,ceiling=11", 1),
    );
}

fn random(seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..LENGTH * HEADS * DIM).map(|_| f64::from(random.random_range(-2.0f32..2.0))).collect()
}

/// A head's vector of a token, turned by its position.
fn turned(values: &[f64], token: usize, head: usize) -> Vec<f64> {
    let x = &values[(token * HEADS + head) * DIM..][..DIM];
    let half = DIM / 2;
    let mut out = vec![0.0; DIM];
    for p in 0..half {
        let (sin, cos) = (token as f64 * 10000f64.powf(-2.0 * p as f64 / DIM as f64)).sin_cos();
        out[p] = x[p] * cos - x[p + half] * sin;
        out[p + half] = x[p + half] * cos + x[p] * sin;
    }
    out
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The loop of moba_naive.py: for each query the gate of a block is its product with the mean of the block's keys, of the
/// query's own block infinite, of later ones minus infinite; the `top` largest are attended to.
fn moba(q: &[f64], k: &[f64], v: &[f64], block: usize, top: usize) -> Vec<f64> {
    let mut out = Vec::new();
    for token in 0..LENGTH {
        for head in 0..HEADS {
            let query = turned(q, token, head);
            let keys: Vec<Vec<f64>> = (0..LENGTH).map(|j| turned(k, j, head)).collect();
            let gate = |number: usize| {
                let inside = number * block..((number + 1) * block).min(LENGTH);
                if inside.contains(&token) {
                    return f64::INFINITY;
                }
                if inside.start > token {
                    return f64::NEG_INFINITY;
                }
                inside.clone().map(|j| dot(&query, &keys[j])).sum::<f64>() / inside.len() as f64
            };
            let mut gates: Vec<(f64, usize)> = (0..LENGTH.div_ceil(block)).map(|n| (gate(n), n)).collect();
            gates.sort_by(|a, b| b.0.total_cmp(&a.0));
            let chosen: Vec<usize> = gates
                .iter()
                .take(top)
                .filter(|(gate, _)| *gate > f64::NEG_INFINITY)
                .map(|(_, n)| *n)
                .collect();
            let weights: Vec<(usize, f64)> = (0..=token)
                .filter(|j| chosen.contains(&(j / block)))
                .map(|j| (j, (dot(&query, &keys[j]) / (DIM as f64).sqrt()).exp()))
                .collect();
            let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
            out.extend((0..DIM).map(|d| {
                weights.iter().map(|(j, weight)| weight / sum * v[(j * HEADS + head) * DIM + d]).sum::<f64>()
            }));
        }
    }
    out
}

#[test]
fn moba_is_a_setting_of_blocks() {
    let [q, k, v] = [1, 2, 3].map(random);
    for (block, top) in [(8, 3), (16, 2), (5, 4)] {
        let spec =
            format!("blocks:unit=tokens:{block},window=1,sinks=0,far=token,score=mean,top={}", top - 1);
        let model = ModelRope::plain(DIM, 10000.0, 64);
        let layout = Layout { blocks: Some(Blocks::even(block, LENGTH)), ..Layout::default() };
        let positions = Positions::laid_out(LENGTH, layout);
        let rotations = EncodingSpec::parse(&spec).unwrap().by_layer(&model, &positions);
        let device = Device::flex();
        let tables = RotaryTables::new(&rotations, &positions, &AttentionConfig::plain(DIM), &device);
        let rows = [&q, &k, &v].map(|values| {
            let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [LENGTH, HEADS * DIM]), &device)
        });
        let ours: Vec<f32> = tables.attend(0, rows, None).into_data().try_to_vec().unwrap();
        for (n, (ours, expected)) in ours.iter().zip(moba(&q, &k, &v, block, top)).enumerate() {
            assert!((f64::from(*ours) - expected).abs() < 1e-5, "{spec}: element {n}: {ours} for {expected}");
        }
    }
}
