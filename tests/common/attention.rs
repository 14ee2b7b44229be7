//! Attention written down from its definition in f64, and random cases to hold implementations to it.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData};
use longcode::checkpoint::AttentionConfig;
use longcode::encoding::{EncodingSpec, LayerRotations, ModelRope, OwnWindow, Positions, Rotations};
use longcode::kernels::{Precision, Softmax};
use longcode::model::RotaryTables;
use longcode::model::attention::RelativeAttention;
use longcode::model::cache::Cache;
use longcode::structure::{Layout, References};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An encoding and the shape of an attention.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub spec: String,
    /// The model's own sliding window.
    pub own_window: Option<usize>,
    pub length: usize,
    pub kv_heads: usize,
    pub queries_per_key: usize,
    pub head_dim: usize,
    /// Dimensions of a head that turn.
    pub turning: usize,
    /// The layer is one that encodings leave alone.
    pub unrotated: bool,
    /// A soft cap on the logits.
    pub cap: Option<f32>,
    /// Whether each head has a sink.
    pub sinks: bool,
    pub seed: u64,
    /// Tokens that are read before the block of queries that starts in the middle.
    pub read: usize,
}

impl Case {
    /// Windows from 1 to beyond the length, every kind that has one and some that have none.
    pub(crate) fn any() -> impl Strategy<Value = Case> {
        let spec = (0usize..14, 1usize..200, 0usize..20).prop_map(|(kind, window, other)| match kind {
            0 => "rope".to_string(),
            1 => "yarn:factor=4".into(),
            2 => format!("rerope:window={window},logn=true"),
            3 => format!("leaky_rerope:window={window},factor=3"),
            4 => format!("self_extend:window={window},group=3"),
            5 => format!("hirope:window={window},split=0.4"),
            6 => format!("sliding_window:window={window}"),
            7 => format!("lm_infinite:window={window},sinks={other},ceiling=30,logn=true"),
            8 => format!("streaming_llm:window={window},sinks={other}"),
            9 => format!("dual_chunk:chunk={},local={other}", window + other),
            12 => format!("structure:window={window},sinks={other}"),
            13 => format!("structure:window={window},own=false,far=hirope,split=0.3,logn=true"),
            10 => format!("string:shift={window},local={other},logit_factor=1.2"),
            _ => format!("dpe:window={window},groups={}", other + 1),
        });
        // A checkpoint's own window, in a third of the cases.
        let own_window = prop::option::weighted(0.33, 1usize..120);
        let head_dim = prop::sample::select(vec![16usize, 18, 32, 64, 80, 128]);
        // Heads that turn in part, in a third of the cases, and layers that do not turn, in a tenth.
        let heads = (head_dim, prop::option::weighted(0.33, 1usize..4), prop::bool::weighted(0.1)).prop_map(
            |(head_dim, quarters, unrotated)| {
                let turning = quarters.map_or(head_dim, |quarters| (head_dim * quarters / 8 * 2).max(4));
                (head_dim, turning, unrotated)
            },
        );
        let lengths = (1usize..150).prop_flat_map(|length| (Just(length), 0..=length));
        let softmax = (prop::option::weighted(0.2, 1f32..9.0), prop::bool::weighted(0.2));
        (spec, lengths, 1usize..3, 1usize..5, heads, any::<u64>(), (own_window, softmax)).prop_map(
            |(spec, (length, read), kv_heads, queries_per_key, heads, seed, (own_window, (cap, sinks)))| {
                Case {
                    spec,
                    own_window,
                    length,
                    kv_heads,
                    queries_per_key,
                    head_dim: heads.0,
                    turning: heads.1,
                    unrotated: heads.2,
                    cap,
                    sinks,
                    seed,
                    read,
                }
            },
        )
    }

    fn positions(tokens: Range<usize>, sequence_length: usize) -> Positions {
        let levels = vec![tokens.clone().map(|t| (t / 7) as u32).collect()];
        let layout = Layout { references: Some(references(sequence_length).into()), ..Layout::from(levels) };
        Positions::new(tokens, Vec::new(), sequence_length).with_layout(layout)
    }

    /// One layer, which the encoding replaces unless it does not turn.
    fn layers(&self, positions: &Positions) -> LayerRotations {
        let own_window = self.own_window.map(|window| OwnWindow { window, layers: vec![true].into() });
        let unrotated = self.unrotated.then(|| vec![true].into());
        let model = ModelRope { own_window, unrotated, ..ModelRope::plain(self.turning, 10000.0, 64) };
        EncodingSpec::parse(&self.spec).unwrap().by_layer(&model, positions)
    }

    fn rotations(&self, positions: &Positions) -> Rotations {
        let model = ModelRope::plain(self.turning, 10000.0, 64);
        EncodingSpec::parse(&self.spec).unwrap().rotations(&model, positions)
    }

    fn softmax(&self) -> Softmax {
        // Far below, near and far above the logits.
        let sink = |head: usize| [-100.0, 0.5, 3.0, 200.0, -2.0][head % 5] * (head + 1) as f32;
        let sinks = self.sinks.then(|| (0..self.kv_heads * self.queries_per_key).map(sink).collect());
        Softmax { cap: self.cap, sinks }
    }

    /// With a scale of its own, as Granite's, where the layer turns.
    fn attention(&self) -> AttentionConfig {
        let plain = AttentionConfig::plain(self.head_dim);
        if self.unrotated { plain } else { AttentionConfig { scale: 1.1 * plain.scale, ..plain } }
    }

    /// Query, key and value as `[length, heads, head_dim]`.
    fn inputs(&self) -> [Vec<f32>; 3] {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let heads = self.kv_heads * self.queries_per_key;
        [heads, self.kv_heads, self.kv_heads].map(|heads| {
            (0..heads * self.length * self.head_dim).map(|_| rng.random_range(-2.0..2.0)).collect()
        })
    }

    /// What an implementation makes of the first `length` tokens, `[length, heads, head_dim]`: the first
    /// `read` of them in one block of queries, then the others in a second one over a cache.
    fn attend(&self, form: Form, length: usize, device: &Device) -> Vec<f32> {
        let read = self.read.min(length);
        let mut cache = Cache::new(1);
        [0..read, read..length]
            .into_iter()
            .filter(|rows| !rows.is_empty())
            .flat_map(|rows| self.attend_rows(form, rows, length, &mut cache, device))
            .collect()
    }

    fn attend_rows(
        &self,
        form: Form,
        rows: Range<usize>,
        length: usize,
        cache: &mut Cache,
        device: &Device,
    ) -> Vec<f32> {
        let positions = Case::positions(rows.clone(), length);
        let tables = RotaryTables::new(&self.layers(&positions), &positions, &self.attention(), device);
        let inputs = self.inputs().map(|values| {
            let shape = [self.length, values.len() / self.length];
            Tensor::<2>::from_data(TensorData::new(values, shape), device).slice_dim(0, rows.clone())
        });
        // A whole sequence needs no cache.
        let cache = (rows.len() < length).then(|| cache.layer(0));
        let attention = tables.rotated(0, inputs, self.softmax(), cache);
        let out = match form {
            Form::Best => attention.compute(Precision::F32),
            Form::Split => attention.compute(Precision::Split),
            Form::Half => half(attention).compute(Precision::F32).cast(DType::F32),
            Form::TensorOps => attention.in_blocks(),
        };
        out.into_data().try_to_vec().unwrap()
    }
}

/// Units of 7 tokens, with what they point at.
pub(crate) fn references(length: usize) -> References {
    let every = |number: usize, rest: usize| (0..length).map(|t| t % number == rest).collect();
    let uses = (14..length).filter(|t| t % 5 == 2).map(|t| (t, (t * 31 % (t / 7)) as u32));
    References {
        units: (0..length).map(|t| (t / 7) as u32).collect(),
        imports: every(13, 0),
        signatures: every(7, 1),
        globals: every(29, 3),
        uses: uses.collect(),
    }
}

/// An implementation of attention.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// What the device uses: its own kernel where there is one.
    Best,
    /// The CPU's kernel in split precision.
    Split,
    /// The same over tensors in f16.
    Half,
    /// Tensor operations.
    TensorOps,
}

/// The same attention over tensors in f16.
fn half(attention: RelativeAttention) -> RelativeAttention {
    let half = |tensor: Tensor<2>| tensor.cast(DType::F16);
    RelativeAttention {
        queries: attention.queries.into_iter().map(half).collect(),
        keys: attention.keys.into_iter().map(half).collect(),
        value: half(attention.value),
        ..attention
    }
}

/// The implementation agrees with the definition to 1e-5.
pub(crate) fn check_definition(case: &Case, form: Form, device: &Device) {
    let ours = case.attend(form, case.length, device);
    check_close(case, &ours, &definition(case), 1e-5);
}

/// The CPU's kernel in split precision agrees with the definition as far as 16 bits go.
pub(crate) fn check_split(case: &Case) {
    let ours = case.attend(Form::Split, case.length, &Device::flex());
    check_close(case, &ours, &definition(case), 5e-4);
}

/// The device's kernel over f16 agrees with the definition as far as f16 goes: its numbers up to 2 are
/// 1e-3 apart.
pub(crate) fn check_half(case: &Case, device: &Device) {
    let ours = case.attend(Form::Half, case.length, device);
    check_close(case, &ours, &definition(case), 5e-3);
}

/// The device's kernel, the CPU's kernel and tensor operations agree with one another and with the
/// definition to 1e-5.
pub(crate) fn check_forms(case: &Case, device: &Device) {
    let forms = [(Form::Best, device), (Form::Best, &Device::flex()), (Form::TensorOps, &Device::flex())];
    let [ours, cpu, tensor_ops] = forms.map(|(form, device)| case.attend(form, case.length, device));
    let exact = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    check_close(case, &ours, &definition(case), 1e-5);
    check_close(case, &ours, &exact(&cpu), 1e-5);
    check_close(case, &ours, &exact(&tensor_ops), 1e-5);
    check_close(case, &cpu, &exact(&tensor_ops), 1e-5);
}

fn check_close(case: &Case, ours: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), expected.len());
    for (n, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let difference = (f64::from(*ours) - expected).abs();
        assert!(difference < tolerance, "{case:?}: element {n}: {ours} for {expected}");
    }
}

/// Rows of the first half do not change when the second half is there. (No case
/// follows the length.)
pub(crate) fn check_causal(case: &Case, form: Form, device: &Device) {
    let half = case.length.div_ceil(2);
    let (whole, prefix) = (case.attend(form, case.length, device), case.attend(form, half, device));
    for (n, (a, b)) in prefix.iter().zip(&whole).enumerate() {
        assert!((a - b).abs() < 1e-5, "{case:?}: element {n}: {a} and {b}");
    }
}

/// The formula of the encodings over the keys that each query sees, softmax and weighted sum, in f64.
fn definition(case: &Case) -> Vec<f64> {
    let (length, d) = (case.length, case.head_dim);
    let rotations = case.rotations(&Case::positions(0..length, length));
    let [query, key, value] = case.inputs();
    let mut out = Vec::new();
    for i in 0..length {
        for head in 0..case.kv_heads * case.queries_per_key {
            let kv_head = head / case.queries_per_key;
            let q = vector(&query, case.kv_heads * case.queries_per_key, d, i, head);
            let seen: Vec<usize> = (0..=i).filter(|&j| sees(case, &rotations, i, j)).collect();
            let logits: Vec<f64> = seen
                .iter()
                .map(|&j| logit(case, &rotations, &q, &vector(&key, case.kv_heads, d, j, kv_head), i, j))
                .map(|logit| case.cap.map_or(logit, |cap| f64::from(cap) * (logit / f64::from(cap)).tanh()))
                .collect();
            let sink = case.softmax().sinks.map_or(f64::NEG_INFINITY, |sinks| f64::from(sinks[head]));
            let max = logits.iter().copied().fold(sink, f64::max);
            let weights: Vec<f64> = logits.iter().map(|logit| (logit - max).exp()).collect();
            let sum: f64 = weights.iter().sum::<f64>() + (sink - max).exp();
            let mut mixed = vec![0.0; d];
            for (&j, weight) in seen.iter().zip(&weights) {
                for (m, v) in mixed.iter_mut().zip(vector(&value, case.kv_heads, d, j, kv_head)) {
                    *m += weight / sum * v;
                }
            }
            out.extend(mixed);
        }
    }
    out
}

/// By the encoding where the layer turns, and within the model's own window.
fn sees(case: &Case, rotations: &Rotations, i: usize, j: usize) -> bool {
    (case.unrotated || rotations.sees(i, j)) && case.own_window.is_none_or(|window| i - j < window)
}

/// The vector of a token's head.
fn vector(values: &[f32], heads: usize, dim: usize, token: usize, head: usize) -> Vec<f64> {
    values[(token * heads + head) * dim..][..dim].iter().map(|&x| f64::from(x)).collect()
}

fn logit(case: &Case, rotations: &Rotations, q: &[f64], k: &[f64], i: usize, j: usize) -> f64 {
    let (h, scale) = (q.len() / 2, case.attention().scale);
    let dot = |p: usize| q[p] * k[p] + q[p + h] * k[p + h];
    if case.unrotated {
        return scale * (0..h).map(dot).sum::<f64>();
    }
    let pair = |p: usize| {
        let angle = rotations.delta(p, i, j).unwrap() * rotations.spectrum.frequencies[p];
        dot(p) * angle.cos() + (q[p] * k[p + h] - q[p + h] * k[p]) * angle.sin()
    };
    // The others do not turn, and a scale that comes with the frequencies is none of theirs.
    let turning = case.turning / 2;
    let turned = rotations.spectrum.scale * (0..turning).map(pair).sum::<f64>();
    let scale = scale * rotations.query_scale.get(i).unwrap_or(&1.0);
    scale * (turned + (turning..h).map(dot).sum::<f64>())
}
