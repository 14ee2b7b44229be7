//! Per-token losses of the tiny checkpoint under the encodings of tests/golden/sight.json, from [`Rotations`] alone: a
//! forward pass in f64 whose attention is the formula at the head of the crate. The vectors come from the authors'
//! definitions in float64 and not from this crate. The program's own kernels are held to them in tests/numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longcode_encoding::{EncodingSpec, ModelRope, Positions, Rotations};
use longcode_structure::{Layout, References};
use safetensors::SafeTensors;
use serde_json::Value;

/// Of the checkpoint (tests/golden/tiny-llama/config.json).
const LAYERS: usize = 3;
const HEADS: usize = 4;
const KEY_HEADS: usize = 2;
const HEAD_DIM: usize = 16;
const NORM_EPSILON: f64 = 1e-5;

/// The kind whose keys are chosen by queries and keys, which rotations do not know: tests/numbers has its cases.
const BY_CONTENT: &str = "blocks";

/// Losses are stored in f32, half of whose last bit is 5e-7 of them, and frequencies are rounded to f32 here.
const TOLERANCE: f64 = 3e-6;
/// Means of losses are stored in full.
const TOLERANCE_OF_MEANS: f64 = 2e-8;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// Every number of a file of tensors in f32.
struct Tensors(Vec<u8>);

impl Tensors {
    fn read(name: &str) -> Tensors {
        Tensors(std::fs::read(golden(name)).unwrap())
    }

    fn get(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = tensors.tensor(name).unwrap().data();
        bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
    }
}

/// A linear layer or an embedding: `[out, in]`.
struct Matrix {
    rows: Vec<Vec<f64>>,
}

impl Matrix {
    fn times(&self, x: &[f64]) -> Vec<f64> {
        self.rows.iter().map(|row| dot(row, x)).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// RMSNorm.
fn norm(x: &[f64], weight: &[f64]) -> Vec<f64> {
    let scale = (dot(x, x) / x.len() as f64 + NORM_EPSILON).sqrt().recip();
    x.iter().zip(weight).map(|(x, weight)| x * scale * weight).collect()
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

/// The golden checkpoint in f64.
struct Llama(Tensors);

impl Llama {
    fn matrix(&self, name: &str, columns: usize) -> Matrix {
        let values = self.0.get(&format!("{name}.weight"));
        Matrix { rows: values.chunks(columns).map(<[f64]>::to_vec).collect() }
    }

    /// `-log p(ids[t+1] | ids[..=t])` in nats, `[T-1]`.
    fn losses(&self, ids: &[usize], rotations: &Rotations) -> Vec<f64> {
        let sight: Vec<Sight> = (0..ids.len()).map(|i| Sight::new(rotations, i)).collect();
        let norm_of = |name: &str| self.0.get(&format!("{name}.weight"));
        let hidden = norm_of("model.norm").len();
        let embedding = self.matrix("model.embed_tokens", hidden);
        let mut x: Vec<Vec<f64>> = ids.iter().map(|&id| embedding.rows[id].clone()).collect();
        for layer in (0..LAYERS).map(|n| format!("model.layers.{n}")) {
            let of = |name: &str, columns| self.matrix(&format!("{layer}.{name}"), columns);
            let weight = norm_of(&format!("{layer}.input_layernorm"));
            let y: Vec<_> = x.iter().map(|x| norm(x, &weight)).collect();
            let [q, k, v] = ["q", "k", "v"].map(|name| {
                let matrix = of(&format!("self_attn.{name}_proj"), hidden);
                y.iter().map(|y| matrix.times(y)).collect::<Vec<_>>()
            });
            let (attended, o) = (attend(&q, &k, &v, &sight), of("self_attn.o_proj", HEADS * HEAD_DIM));
            let weight = norm_of(&format!("{layer}.post_attention_layernorm"));
            let [gate, up] = ["gate", "up"].map(|name| of(&format!("mlp.{name}_proj"), hidden));
            let down = of("mlp.down_proj", gate.rows.len());
            for (x, attended) in x.iter_mut().zip(&attended) {
                add(x, &o.times(attended));
                let y = norm(x, &weight);
                let gated = gate.times(&y).into_iter().map(|gate| gate / (1.0 + (-gate).exp()));
                let inner: Vec<f64> = gated.zip(up.times(&y)).map(|(gate, up)| gate * up).collect();
                add(x, &down.times(&inner));
            }
        }
        let (weight, head) = (norm_of("model.norm"), self.matrix("lm_head", hidden));
        let loss = |(x, &next): (&Vec<f64>, &usize)| {
            let logits = head.times(&norm(x, &weight));
            logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[next]
        };
        x.iter().zip(&ids[1..]).map(loss).collect()
    }
}

/// What a query sees, the same in every layer and head.
struct Sight {
    /// Each key that is seen, with sine and cosine of `delta_p(i, j) theta_p` for every pair.
    keys: Vec<(usize, Vec<(f64, f64)>)>,
    /// Factor on the products.
    scale: f64,
}

impl Sight {
    fn new(rotations: &Rotations, i: usize) -> Sight {
        let turns = |j: usize| {
            let angle = |(p, theta): (usize, &f64)| Some((rotations.delta(p, i, j)? * theta).sin_cos());
            rotations.spectrum.frequencies.iter().enumerate().map(angle).collect::<Option<Vec<_>>>()
        };
        let scale = rotations.query_scale.get(i).unwrap_or(&1.0) * rotations.spectrum.scale;
        Sight {
            keys: (0..=i).filter_map(|j| Some((j, turns(j)?))).collect(),
            scale: scale / (HEAD_DIM as f64).sqrt(),
        }
    }
}

/// Attention of every head, `[T][heads * d]` of `q`; a head of `k` and `v` serves several heads of `q`.
fn attend(q: &[Vec<f64>], k: &[Vec<f64>], v: &[Vec<f64>], sight: &[Sight]) -> Vec<Vec<f64>> {
    let mut out = vec![vec![0.0; HEADS * HEAD_DIM]; q.len()];
    for ((out, q), sight) in out.iter_mut().zip(q).zip(sight) {
        for head in 0..HEADS {
            let dims = head * HEAD_DIM..(head + 1) * HEAD_DIM;
            let shared = head * KEY_HEADS / HEADS;
            let key_dims = shared * HEAD_DIM..(shared + 1) * HEAD_DIM;
            let mut sum = 0.0;
            for (j, turns) in &sight.keys {
                let logit = sight.scale * product(&q[dims.clone()], &k[*j][key_dims.clone()], turns);
                let weight = logit.exp();
                sum += weight;
                for (out, value) in out[dims.clone()].iter_mut().zip(&v[*j][key_dims.clone()]) {
                    *out += weight * value;
                }
            }
            out[dims].iter_mut().for_each(|out| *out /= sum);
        }
    }
    out
}

/// The sum over pairs of the formula of the logits.
fn product(q: &[f64], k: &[f64], turns: &[(f64, f64)]) -> f64 {
    let h = turns.len();
    let of_pair = |(p, (sin, cos)): (usize, &(f64, f64))| {
        (q[p] * k[p] + q[p + h] * k[p + h]) * cos + (q[p] * k[p + h] - q[p + h] * k[p]) * sin
    };
    turns.iter().enumerate().map(of_pair).sum()
}

/// The keys of a case, as a table of a config has them.
fn encoding(case: &Value) -> EncodingSpec {
    let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
    let kind = keys.remove("kind").unwrap();
    for key in ["number", "mean_nll", "seen", "given"] {
        keys.remove(key);
    }
    EncodingSpec::from_table(kind.as_str().unwrap(), keys).unwrap()
}

/// What a case says about its text.
fn layout(given: &Value, length: usize) -> Layout {
    let numbers =
        |key: &str| -> Vec<usize> { serde_json::from_value(given[key].clone()).unwrap_or_default() };
    let units: Vec<u32> = numbers("units").into_iter().map(|unit| unit as u32).collect();
    let of_lengths = |lengths: Vec<usize>| {
        lengths
            .into_iter()
            .zip(0..)
            .flat_map(|(length, n)| std::iter::repeat_n(n, length))
            .collect::<Vec<u32>>()
    };
    let flags = |key: &str| (0..length).map(|token| numbers(key).contains(&token)).collect();
    let uses = if given["uses_shuffled"].is_null() { "uses" } else { "uses_shuffled" };
    Layout {
        levels: [if units.is_empty() { of_lengths(numbers("segments")) } else { units.clone() }]
            .into_iter()
            .filter(|level| !level.is_empty())
            .collect(),
        references: (!units.is_empty()).then(|| {
            Arc::new(References {
                imports: flags("imports"),
                signatures: flags("signatures"),
                globals: flags("globals"),
                uses: serde_json::from_value(given[uses].clone()).unwrap(),
                units,
            })
        }),
        ..Layout::default()
    }
}

/// Part of all keys that causality allows which the queries see.
fn part_seen(rotations: &Rotations, length: usize) -> f64 {
    let seen: usize = (0..length).map(|i| (0..=i).filter(|&j| rotations.sees(i, j)).count()).sum();
    seen as f64 / (length * (length + 1) / 2) as f64
}

#[test]
fn losses_of_the_golden_checkpoint() {
    let about: Value = serde_json::from_slice(&std::fs::read(golden("sight.json")).unwrap()).unwrap();
    let (expected, model) = (Tensors::read("sight.safetensors"), ModelRope::plain(HEAD_DIM, 10000.0, 64));
    let llama = Llama(Tensors::read("tiny-llama/model.safetensors"));
    let cases = about["cases"].as_array().unwrap();
    let here: Vec<&Value> = cases.iter().filter(|case| case["kind"] != BY_CONTENT).collect();
    assert_eq!(
        (cases.len(), here.len()),
        (41, 24),
        "cases in the golden file, and those of kinds that are here"
    );
    for case in here {
        let (number, encoding) = (case["number"].as_u64().unwrap(), encoding(case));
        encoding.check(&model).unwrap();
        let ids: Vec<usize> = serde_json::from_value(case["given"]["ids"].clone()).unwrap();
        let rotations =
            encoding.rotations(&model, &Positions::laid_out(ids.len(), layout(&case["given"], ids.len())));
        let seen = part_seen(&rotations, ids.len());
        assert!((seen - case["seen"].as_f64().unwrap()).abs() < 1e-12, "{number} {encoding}: sees {seen}");
        let ours = llama.losses(&ids, &rotations);
        let expected = expected.get(&format!("nll.{number}"));
        assert_eq!(ours.len(), expected.len());
        let differences = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst });
        let mean = ours.iter().sum::<f64>() / ours.len() as f64 - case["mean_nll"].as_f64().unwrap();
        println!("{number} {encoding}: worst difference {worst:.1e}, of the mean {mean:.1e}");
        assert!(worst < TOLERANCE, "{number} {encoding}: {worst}");
        assert!(mean.abs() < TOLERANCE_OF_MEANS, "{number} {encoding}: mean {mean}");
    }
}
