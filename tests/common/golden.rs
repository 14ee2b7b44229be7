//! Golden vectors: attention per encoding, and per-token losses of a tiny checkpoint.

use burn::tensor::{Device, Tensor, TensorData};
use longcode::encoding::{EncodingSpec, ModelRope, Positions};
use longcode::model::{Checkpoint, RotaryTables, score::score_under};
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

/// Attention within 1e-5 of float64, for every kind.
pub fn check_attention(device: &Device) {
    let golden = Golden::read("attention");
    // The golden file has heads first, the implementation tokens first.
    let load = |name: &str| {
        let (values, shape) = golden.tensor(name);
        let values: Vec<f32> = values.into_iter().map(|x| x as f32).collect();
        let tensor = Tensor::<3>::from_data(TensorData::new(values, [shape[0], shape[1], shape[2]]), device);
        tensor.swap_dims(0, 1).reshape([shape[1], shape[0] * shape[2]])
    };
    let segments = golden.indices("segments");
    let model = ModelRope { head_dim: 16, base: 10000.0, trained_length: 64, scaling: None };
    let cases = golden.cases();
    assert_eq!(cases.len(), 12, "cases in the golden file");
    for (name, encoding) in cases {
        encoding.check(&model).unwrap();
        let levels = encoding.units().iter().map(|_| segments.clone()).collect();
        let positions = Positions::whole(segments.len(), levels);
        let tables = RotaryTables::new(&encoding.rotations(&model, &positions), &positions, device);
        let out = tables.attend(load("q"), load("k"), load("v"), None);
        let out = out.reshape([segments.len(), 4, 16]).swap_dims(0, 1).into_data();
        let (expected, _) = golden.tensor(&name);
        let worst = max_difference(out.try_to_vec::<f32>().unwrap().into_iter().map(f64::from), &expected);
        println!("{name} {encoding}: worst difference {worst:.1e}");
        assert!(worst < 1e-5, "{name} {encoding}: {worst}");
    }
}

/// Per-token losses within 5e-5 of float64, for every kind.
pub fn check_token_losses(device: &Device) {
    let golden = Golden::read("logits");
    let checkpoint = Checkpoint::open(&repository("tests/golden/tiny-llama")).unwrap();
    let model = checkpoint.load(device).unwrap();
    let (ids, segments) = (golden.indices("ids"), golden.indices("segments"));
    let cases = golden.cases();
    assert_eq!(cases.len(), 12, "cases in the golden file");
    for (name, encoding) in cases {
        let levels = encoding.units().iter().map(|_| segments.clone()).collect();
        let scores = score_under(&model, &checkpoint.config, &encoding, &ids, levels).unwrap();
        let (expected, _) = golden.tensor(&name.replace('N', "nll"));
        let worst = max_difference(scores.nll.into_iter().map(f64::from), &expected);
        println!("{name} {encoding}: worst difference {worst:.1e}");
        assert!(worst < 5e-5, "{name} {encoding}: {worst}");
    }
}

fn max_difference(ours: impl ExactSizeIterator<Item = f64>, expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    ours.zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst })
}
