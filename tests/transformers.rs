//! Checkpoints that transformers saved, against the per-token losses that it gives them in float32:
//! tests/transformers/NAME, made by scripts/compare_transformers.py, which compares many more.

mod common;

use std::path::Path;

use burn::tensor::Device;
use longcode::encoding::EncodingSpec;
use longcode::model::Checkpoint;
use longcode::model::score::score_under;
use serde::Deserialize;

/// What transformers made of a checkpoint.
#[derive(Deserialize)]
struct Expected {
    text_file: String,
    ids: Vec<u32>,
    nll: Vec<f32>,
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
    let model = checkpoint.load(&Device::flex()).unwrap();
    let rope = EncodingSpec::parse("rope").unwrap();
    let ours = score_under(&model, &checkpoint.config, &rope, &ids, Vec::new()).unwrap().nll;
    assert_eq!(ours.len(), expected.nll.len(), "{name}: predicted tokens");
    for (n, (ours, expected)) in ours.iter().zip(&expected.nll).enumerate() {
        assert!((ours - expected).abs() < 1e-4, "{name}: token {}: {ours} for {expected}", n + 1);
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
