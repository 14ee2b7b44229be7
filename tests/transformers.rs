//! Checkpoints that transformers saved, against the per-token losses that it gives them in float32:
//! tests/transformers/NAME, made by scripts/compare_transformers.py, which compares many more.

mod common;

use std::path::Path;

use burn::tensor::Device;
use longcode::encoding::EncodingSpec;
use longcode::model::{Checkpoint, Precision, Under};
use serde::Deserialize;

/// What transformers made of a checkpoint.
#[derive(Deserialize)]
struct Expected {
    text_file: String,
    ids: Vec<u32>,
    nll: Vec<f32>,
    /// Losses of the first tokens alone, where they do not follow from those of the whole.
    #[serde(default)]
    shorter: Vec<Vec<f32>>,
}

impl Expected {
    fn read(dir: &Path) -> Expected {
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(common::repository("tests/transformers").join(&self.text_file)).unwrap()
    }
}

fn check(name: &str) {
    let dir = common::repository("tests/transformers").join(name);
    let expected = Expected::read(&dir);
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let ids = checkpoint.tokenizer.encode(&expected.text()).unwrap().ids;
    assert_eq!(ids, expected.ids, "{name}: ids");
    let model = checkpoint.load(&Device::flex(), Precision::F32).unwrap();
    let rope = EncodingSpec::parse("rope").unwrap();
    assert_eq!(ids.len(), expected.nll.len() + 1, "{name}: predicted tokens");
    for losses in expected.shorter.iter().chain([&expected.nll]) {
        let ids = &ids[..losses.len() + 1];
        let ours = Under { model: &model, config: &checkpoint.config, encoding: &rope, bos: None }
            .score(ids, Vec::new())
            .unwrap()
            .nll;
        assert_eq!(ours.len(), losses.len());
        for (n, (ours, expected)) in ours.iter().zip(losses).enumerate() {
            let token = n + 1;
            assert!((ours - expected).abs() < 1e-4, "{name}: token {token}: {ours} for {expected}");
        }
    }
}

#[test]
fn grouped_queries_tied_embeddings_float16() {
    check("llama-gqa-tied-float16");
}

#[test]
fn qwen2_sharded_bfloat16() {
    check("qwen2-sharded-bfloat16");
}

#[test]
fn yarn_of_the_models_own() {
    check("llama-yarn-float16");
}

#[test]
fn llama3_of_the_models_own_and_attention_bias() {
    check("llama-llama3-bias-float32");
}

#[test]
fn sliding_window_in_every_layer() {
    check("mistral-sliding-float16");
}

#[test]
fn sliding_window_in_some_layers() {
    check("qwen2-layer-types-bfloat16");
}

#[test]
fn longrope_below_at_and_beyond_the_original_length() {
    check("llama-longrope-float16");
}

/// Longer than a mask can hide: with full attention the same weights give other losses beyond the window.
#[test]
fn full_attention_lifts_the_window() {
    let dir = common::repository("tests/transformers/mistral-sliding-float16");
    let expected = Expected::read(&dir);
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let model = checkpoint.load(&Device::flex(), Precision::F32).unwrap();
    let score = |spec: &str| {
        let encoding = EncodingSpec::parse(spec).unwrap();
        encoding.check(&checkpoint.config.rope).unwrap();
        Under { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None }
            .score(&expected.ids, Vec::new())
            .unwrap()
            .nll
    };
    let (full, whole) = (score("rope:full_attention=true"), expected.nll);
    let window = checkpoint.config.rope.own_window.as_ref().unwrap().window;
    let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-3;
    assert!(!full[..window - 1].iter().zip(&whole).any(differs));
    assert!(full[window..].iter().zip(&whole[window..]).filter(|pair| differs(*pair)).count() > 100);
    // A window as wide as the model's own, in every layer, is the model's own.
    let sliding = score(&format!("sliding_window:full_attention=true,window={window}"));
    assert!(!sliding.iter().zip(&whole).any(|(a, b)| (a - b).abs() > 1e-4));
}
