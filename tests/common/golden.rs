//! Golden vectors: attention per encoding, and per-token losses of a tiny checkpoint.

use burn::tensor::{Device, Tensor, TensorData};
use longcode::checkpoint::{AttentionConfig, Checkpoint};
use longcode::encoding::{EncodingSpec, ModelRope, Positions};
use longcode::kernels::Precision;
use longcode::model::{EncodedModel, RotaryTables};
use safetensors::SafeTensors;
use serde_json::Value;

use super::repository;

struct Golden {
    about: Value,
    bytes: Vec<u8>,
}

impl Golden {
    fn read(name: &str) -> Golden {
        let dir = repository("tests/golden");
        Golden {
            about: serde_json::from_slice(&std::fs::read(dir.join(format!("{name}.json"))).unwrap()).unwrap(),
            bytes: std::fs::read(dir.join(format!("{name}.safetensors"))).unwrap(),
        }
    }

    /// Values and shape of a tensor, whatever its type in the file.
    fn tensor(&self, name: &str) -> (Vec<f64>, Vec<usize>) {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let bytes = view.data();
        use safetensors::Dtype::*;
        let values = match view.dtype() {
            F32 => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            F64 => bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            I32 => bytes.chunks(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            I64 => bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("{name} has type {other:?}"),
        };
        (values, view.shape().to_vec())
    }

    fn indices(&self, name: &str) -> Vec<u32> {
        self.tensor(name).0.into_iter().map(|index| index as u32).collect()
    }

    /// Every case: its name and its encoding.
    fn cases(&self) -> Vec<(String, EncodingSpec)> {
        self.about["cases"].as_array().unwrap().iter().map(case).collect()
    }
}

fn case(case: &Value) -> (String, EncodingSpec) {
    let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
    let mut text = |key: &str| keys.remove(key).unwrap().as_str().unwrap().to_string();
    let (name, kind) = (text("name"), text("kind"));
    keys.remove("mean_nll");
    (name, EncodingSpec::from_table(&kind, keys).unwrap())
}

/// The cases of zones.json: the number of their tensors and the encoding.
fn zone_cases(golden: &Golden) -> Vec<(u64, EncodingSpec)> {
    let case = |case: &Value| {
        let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
        let kind = keys.remove("kind").unwrap();
        keys.remove("mean_nll");
        keys.remove("number");
        (case["number"].as_u64().unwrap(), EncodingSpec::from_table(kind.as_str().unwrap(), keys).unwrap())
    };
    let cases: Vec<_> = golden.about["cases"].as_array().unwrap().iter().map(case).collect();
    assert_eq!(cases.len(), 13, "cases in the golden file");
    cases
}

/// A case of sight.json: the name of its tensor, its encoding, and the sequence that it is of.
struct SightCase {
    name: String,
    encoding: EncodingSpec,
    ids: Vec<u32>,
    /// Of each level of the encoding.
    levels: Vec<Vec<u32>>,
}

/// Kinds, and the beginnings of units, whose cases of sight.json are left out: they are not there yet. Whoever adds one
/// takes it out here and counts its cases in [`sight_cases`].
const TO_COME: [&str; 4] = ["blocks", "structure", "even:", "shuffled:"];

/// The cases of sight.json whose encodings are there.
fn sight_cases(golden: &Golden) -> Vec<SightCase> {
    let is_to_come = |case: &Value| {
        let mut names = [&case["kind"], &case["unit"]].into_iter().filter_map(Value::as_str);
        names.any(|name| TO_COME.iter().any(|beginning| name.starts_with(beginning)))
    };
    let all = golden.about["cases"].as_array().unwrap();
    let cases: Vec<_> = all.iter().filter(|case| !is_to_come(case)).map(sight_case).collect();
    assert_eq!((all.len(), cases.len()), (41, 11), "cases in the golden file, and those that are checked");
    cases
}

fn sight_case(case: &Value) -> SightCase {
    let mut keys: toml::Table = serde_json::from_value(case.clone()).unwrap();
    let kind = keys.remove("kind").unwrap();
    for key in ["number", "mean_nll", "seen", "given"] {
        keys.remove(key);
    }
    let encoding = EncodingSpec::from_table(kind.as_str().unwrap(), keys).unwrap();
    let given = &case["given"];
    // Segments are given by their lengths, the control done.
    let lengths: Vec<usize> = match &given["segments"] {
        Value::Null => Vec::new(),
        segments => serde_json::from_value(segments.clone()).unwrap(),
    };
    let segments: Vec<u32> =
        lengths.iter().zip(0..).flat_map(|(&length, index)| std::iter::repeat_n(index, length)).collect();
    SightCase {
        name: format!("nll.{}", case["number"]),
        levels: vec![segments; encoding.units().len()],
        encoding,
        ids: serde_json::from_value(given["ids"].clone()).unwrap(),
    }
}

/// Levels of an encoding: the segments of the golden file, and below them every 4 tokens.
fn levels(encoding: &EncodingSpec, segments: &[u32]) -> Vec<Vec<u32>> {
    let fours = (0..segments.len() as u32).map(|t| t / 4).collect();
    match encoding.units().len() {
        2 => vec![fours, segments.to_vec()],
        levels => vec![segments.to_vec(); levels],
    }
}

/// Attention within 1e-5 of float64, for every kind of one rotation or two.
pub(crate) fn check_attention(device: &Device) {
    let cases = Golden::read("attention").cases();
    assert_eq!(cases.len(), 12, "cases in the golden file");
    check_attention_of(&Golden::read("attention"), cases, device);
}

/// Attention within 1e-5 of float64, for the kinds of several zones or with keys out of sight.
pub(crate) fn check_attention_of_zones(device: &Device) {
    let golden = Golden::read("zones");
    let cases = zone_cases(&golden).into_iter().map(|(n, encoding)| (format!("out.{n}"), encoding));
    check_attention_of(&golden, cases.collect(), device);
}

fn check_attention_of(expected: &Golden, cases: Vec<(String, EncodingSpec)>, device: &Device) {
    let golden = Golden::read("attention");
    // The golden file has heads first, the implementation tokens first.
    let load = |name: &str| {
        let (values, shape) = golden.tensor(name);
        let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
        let tensor = Tensor::<3>::from_data(TensorData::new(values, [shape[0], shape[1], shape[2]]), device);
        tensor.swap_dims(0, 1).reshape([shape[1], shape[0] * shape[2]])
    };
    let segments = golden.indices("segments");
    let model = ModelRope::plain(16, 10000.0, 64);
    for (name, encoding) in cases {
        encoding.check(&model).unwrap();
        let positions = Positions::whole(segments.len(), levels(&encoding, &segments));
        let tables = RotaryTables::new(
            &encoding.by_layer(&model, &positions),
            &positions,
            &AttentionConfig::plain(model.head_dim),
            device,
        );
        let out = tables.attend(0, ["q", "k", "v"].map(load), None);
        let out = out.reshape([segments.len(), 4, 16]).swap_dims(0, 1).into_data();
        let (expected, _) = expected.tensor(&name);
        let worst = max_difference(out.try_to_vec::<f32>().unwrap().into_iter().map(f64::from), &expected);
        println!("{name} {encoding}: worst difference {worst:.1e}");
        assert!(worst < 1e-5, "{name} {encoding}: {worst}");
    }
}

/// Per-token losses within 5e-5 of float64, for every kind of one rotation or two.
pub(crate) fn check_token_losses(device: &Device) {
    let golden = Golden::read("logits");
    let cases = golden.cases();
    assert_eq!(cases.len(), 12, "cases in the golden file");
    check_token_losses_of(&golden, cases, device);
}

/// Per-token losses within 5e-5 of float64, for the kinds of several zones or with keys out of sight.
pub(crate) fn check_token_losses_of_zones(device: &Device) {
    let golden = Golden::read("zones");
    let cases = zone_cases(&golden).into_iter().map(|(n, encoding)| (format!("nll.{n}"), encoding));
    check_token_losses_of(&golden, cases.collect(), device);
}

/// Per-token losses within 5e-5 of float64, for what sight.json has beside.
pub(crate) fn check_token_losses_of_sight(device: &Device) {
    let golden = Golden::read("sight");
    for SightCase { name, encoding, ids, levels } in sight_cases(&golden) {
        let ours = losses_of(&ids, levels, &encoding, Precision::F32, device);
        let (expected, _) = golden.tensor(&name);
        let worst = max_difference(ours.into_iter(), &expected);
        println!("{name} {encoding}: worst difference {worst:.1e}");
        assert!(worst < 5e-5, "{name} {encoding}: {worst}");
    }
}

/// Per-token losses of every kind in a precision, as near to float64 as it says: a token's, and their mean.
pub(crate) fn check_token_losses_in(precision: Precision, of_a_token: f64, of_the_mean: f64) {
    let zones = Golden::read("zones");
    let of_zones = zone_cases(&zones).into_iter().map(|(n, encoding)| (format!("nll.{n}"), encoding));
    let golden = Golden::read("logits");
    for (golden, cases) in [(&golden, golden.cases()), (&zones, of_zones.collect())] {
        for (name, encoding) in cases {
            let (ours, expected) = token_losses(golden, &name, &encoding, precision, &Device::flex());
            let differences = ours.iter().zip(&expected).map(|(a, b)| a - b);
            let mean = differences.clone().sum::<f64>() / ours.len() as f64;
            let worst = max_difference(ours.into_iter(), &expected);
            println!("{name} {encoding} {precision}: worst difference {worst:.1e}, mean {mean:.1e}");
            assert!(worst < of_a_token, "{name} {encoding}: {worst}");
            assert!(mean.abs() < of_the_mean, "{name} {encoding}: mean {mean}");
        }
    }
}

fn check_token_losses_of(expected: &Golden, cases: Vec<(String, EncodingSpec)>, device: &Device) {
    for (name, encoding) in cases {
        let (ours, expected) = token_losses(expected, &name, &encoding, Precision::F32, device);
        let worst = max_difference(ours.into_iter(), &expected);
        println!("{name} {encoding}: worst difference {worst:.1e}");
        assert!(worst < 5e-5, "{name} {encoding}: {worst}");
    }
}

/// Per-token losses of the golden checkpoint on the ids of logits.safetensors, and what they are to be.
fn token_losses(
    expected: &Golden,
    name: &str,
    encoding: &EncodingSpec,
    precision: Precision,
    device: &Device,
) -> (Vec<f64>, Vec<f64>) {
    let golden = Golden::read("logits");
    let (ids, segments) = (golden.indices("ids"), golden.indices("segments"));
    let ours = losses_of(&ids, levels(encoding, &segments), encoding, precision, device);
    let (expected, _) = expected.tensor(&name.replace('N', "nll"));
    (ours, expected)
}

/// Per-token losses of the golden checkpoint.
fn losses_of(
    ids: &[u32],
    levels: Vec<Vec<u32>>,
    encoding: &EncodingSpec,
    precision: Precision,
    device: &Device,
) -> Vec<f64> {
    let checkpoint = Checkpoint::open(&repository("tests/golden/tiny-llama")).unwrap();
    let model = checkpoint.load(device, precision).unwrap();
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding, bos: None };
    under.score(ids, levels).unwrap().nll.into_iter().map(f64::from).collect()
}

fn max_difference(ours: impl ExactSizeIterator<Item = f64>, expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    ours.zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}
