//! Checkpoints as they are found: heads that are tied and are not, tensors by other names, places that say the same
//! thing twice, keys of neighbouring versions, sizes that nothing has. Each scores as transformers reads it, says what
//! was decided, or is refused by name.

use std::collections::BTreeMap;
use std::fs;

use safetensors::tensor::{SafeTensors, TensorView};
use serde_json::{Value, json};

use crate::common::cli::Workspace;

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// A tensor as it is stored.
type Stored = (safetensors::tensor::Dtype, Vec<usize>, Vec<u8>);

/// Writes the model's weights again, changed.
fn weights(space: &Workspace, change: impl FnOnce(&mut BTreeMap<String, Stored>)) {
    let path = space.path("model/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let stored = tensors.tensors().into_iter();
    let mut stored: BTreeMap<String, Stored> = stored
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut stored);
    let views = stored
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Sets keys of the model's config.json; `"left out"` removes one.
fn config(space: &Workspace, keys: Value) {
    let mut config: Value = serde_json::from_str(&space.text("model/config.json")).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        match value == "left out" {
            true => drop(config.as_object_mut().unwrap().remove(key)),
            false => config[key] = value.clone(),
        }
    }
    space.write("model/config.json", config.to_string());
}

/// A workspace with a text to score.
fn space() -> Workspace {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a + 1\n\n\ndef g(b):\n    return f(b) * 2\n".repeat(4));
    space
}

/// The loss of the text, and what is told.
fn score(space: &Workspace, model: &str) -> (f64, String) {
    let command = format!("score --model {model} --encoding rope --device cpu --json a.py");
    let ended = space.longcode(&command).done();
    (ended.json()[0]["loss"].as_f64().unwrap(), ended.stderr)
}

#[test]
fn a_tied_head_that_is_not_the_embedding_is_kept() {
    let space = space();
    let (own_head, told) = score(&space, "model");
    assert!(!told.contains("tie_word_embeddings"), "{told}");
    config(&space, json!({ "tie_word_embeddings": true }));
    let (loss, told) = score(&space, "model");
    assert_eq!(loss, own_head);
    assert!(
        told.contains("model: tie_word_embeddings is true") && told.contains("the head is kept"),
        "{told}"
    );
    // Training goes on from it, and leaves a model that says so.
    let train = "name = \"t\"\nlength = 16\nbatch = 2\n[corpus]\ndatasets = [\"docs.jsonl\"]\nheld_out = 0.2\n\
                 [model]\npath = \"model\"\n[budget]\nsteps = 1\n[optimizer]\nlearning_rate = 1e-12\n";
    space.write("train.toml", train);
    let ended = space.longcode("train train.toml --device cpu --out out").done();
    assert!(ended.stderr.contains("the head is kept"), "{}", ended.stderr);
    let made: Value = serde_json::from_str(&space.text("out/config.json")).unwrap();
    assert_eq!(made["tie_word_embeddings"], false);
    let (loss, told) = score(&space, "out");
    assert!(
        (loss - own_head).abs() < 1e-5 && !told.contains("tie_word_embeddings"),
        "{loss}, {own_head}: {told}"
    );
}

#[test]
fn a_tied_matrix_by_either_name() {
    let space = space();
    config(&space, json!({ "tie_word_embeddings": true }));
    weights(&space, |tensors| drop(tensors.remove(HEAD)));
    let (tied, told) = score(&space, "model");
    // A copy of the embedding is no head of its own, in whatever type.
    weights(&space, |tensors| drop(tensors.insert(HEAD.into(), tensors[EMBEDDING].clone())));
    assert_eq!(score(&space, "model"), (tied, told.clone()));
    weights(&space, |tensors| drop(tensors.remove(EMBEDDING)));
    assert_eq!(score(&space, "model"), (tied, told));
    // Without ties both must be there.
    config(&space, json!({ "tie_word_embeddings": false }));
    let command = "score --model model --encoding rope --device cpu a.py";
    space.longcode(command).failed(2, &["`model.embed_tokens.weight` is missing"]);
}

#[test]
fn names_with_another_prefix() {
    let space = space();
    let (loss, _) = score(&space, "model");
    for (prefix, head) in [
        ("", HEAD),
        ("transformer.", HEAD),
        ("language_model.model.", "language_model.lm_head.weight"),
        ("model.language_model.", HEAD),
        ("_orig_mod.model.", "_orig_mod.lm_head.weight"),
    ] {
        let space = self::space();
        let renamed = |name: &str| match name.strip_prefix("model.") {
            Some(part) => format!("{prefix}{part}"),
            None => head.to_string(),
        };
        weights(&space, |tensors| {
            *tensors =
                std::mem::take(tensors).into_iter().map(|(name, stored)| (renamed(&name), stored)).collect();
        });
        assert_eq!(score(&space, "model").0, loss, "{prefix}");
        // What does not belong to it is named as ever.
        weights(&space, |tensors| drop(tensors.insert("vision_tower.x".into(), tensors[head].clone())));
        let command = "score --model model --encoding rope --device cpu a.py";
        space.longcode(command).failed(2, &["vision_tower.x", "does not account for"]);
    }
}

#[test]
fn two_places_of_a_scaling() {
    let space = space();
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 });
    config(&space, json!({ "rope_scaling": yarn, "max_position_embeddings": 128 }));
    let (loss, told) = score(&space, "model");
    assert!(!told.contains("config.json"), "{told}");
    let new = json!({ "rope_type": "default", "rope_theta": 10000.0 });
    config(&space, json!({ "rope_parameters": new }));
    let (both, told) = score(&space, "model");
    assert_eq!(both, loss);
    assert!(told.contains("rope_scaling and rope_parameters differ; rope_scaling counts"), "{told}");
    // A run tells it as well.
    let ended = space.longcode("run config.toml --device cpu --limit 1").done();
    assert!(
        ended.stderr.contains("model \"tiny\": config.json: rope_scaling and rope_parameters"),
        "{}",
        ended.stderr
    );
    // YaRN's own configs.
    config(
        &space,
        json!({ "rope_parameters": "left out", "rope_scaling": { "finetuned": true, "type": "yarn",
        "factor": 4.0, "original_max_position_embeddings": 32 } }),
    );
    let (finetuned, told) = score(&space, "model");
    assert!(finetuned == loss && told.contains("finetuned"), "{told}");
}

#[test]
fn keys_that_old_files_leave_out() {
    let space = space();
    let (loss, _) = score(&space, "model");
    config(
        &space,
        json!({ "hidden_act": "swish", "max_position_embeddings": "left out", "rope_theta": "left out" }),
    );
    let (same, told) = score(&space, "model");
    assert_eq!(same, loss);
    assert!(told.contains("no max_position_embeddings: 2048 is taken"), "{told}");
}

#[test]
fn a_pad_token_beyond_the_embeddings() {
    let space = space();
    let (loss, _) = score(&space, "model");
    let mut tokenizer: Value = serde_json::from_str(&space.text("model/tokenizer.json")).unwrap();
    let mut pad = tokenizer["added_tokens"][0].clone();
    pad["id"] = json!(512);
    pad["content"] = json!("<pad>");
    tokenizer["added_tokens"].as_array_mut().unwrap().push(pad);
    space.write("model/tokenizer.json", tokenizer.to_string());
    let (same, told) = score(&space, "model");
    assert_eq!(same, loss);
    assert!(told.contains("up to id 512") && told.contains("512 embeddings"), "{told}");
    for text in ["a = 1  # <pad>\n", "b <pad> c", "a = <pad>"] {
        space.write("pad.py", text);
        for command in ["score", "generate"] {
            let command = format!("{command} --model model --encoding rope --device cpu pad.py");
            space.longcode(&command).failed(2, &["pad.py", "token id 512", "512 embeddings"]);
        }
    }
}

#[test]
fn wrong_types_are_named_with_their_file() {
    let cases = [
        (json!({ "hidden_size": "64" }), "`hidden_size`"),
        (json!({ "rope_theta": null }), "`rope_theta`"),
        (json!({ "rope_theta": "10000.0" }), "`rope_theta`"),
        (json!({ "tie_word_embeddings": 0 }), "`tie_word_embeddings`"),
        (json!({ "rms_norm_eps": null }), "`rms_norm_eps`"),
        (json!({ "rope_scaling": "yarn" }), "`rope_scaling`"),
        (json!({ "rope_parameters": { "rope_type": "linear", "factor": "2" } }), "`rope_parameters.factor`"),
        (json!({ "num_hidden_layers": 10_000_000_000u64 }), "`num_hidden_layers`"),
        (json!({ "num_hidden_layers": u64::MAX }), "`num_hidden_layers`"),
        (json!({ "head_dim": (1u64 << 62) + 48 }), "`head_dim`"),
        (json!({ "vocab_size": 2_000_000_000, "hidden_size": 2_000_000_000 }), "`vocab_size`"),
    ];
    for (keys, named) in cases {
        let space = space();
        config(&space, keys);
        let command = "score --model model --encoding rope --device cpu a.py";
        space.longcode(command).failed(2, &["config.json", named]);
    }
}

/// Lengths that no memory holds are refused before anything is made of them.
#[test]
fn lengths_beyond_memory() {
    let space = space();
    let cases = [
        ("bench --model model --encoding rope --device cpu --length 1099511627776", "--length"),
        ("bench --model model --encoding rope --device cpu --length 16 18446744073709551615", "--length"),
        ("bench --model model --encoding rope --device cpu --length 1000000000", "--length"),
        ("generate --model model --device cpu --max-new-tokens 9223372036854775808 a.py", "--max-new-tokens"),
        (
            "generate --model model --device cpu --max-new-tokens 18446744073709551615 a.py",
            "--max-new-tokens",
        ),
        ("generate --model model --device cpu --max-new-tokens 1000000000 a.py", "1000000"),
    ];
    for (command, named) in cases {
        let ended = space.longcode(command).failed(2, &[named]);
        assert_eq!(ended.stdout.lines().count(), 0, "{command}: {}", ended.stdout);
    }
    // A kind that keeps a bounded number of keys has room for them.
    let bounded = "generate --model model --device cpu --encoding streaming_llm:window=16 --max-new-tokens";
    space.longcode(&format!("{bounded} 3 a.py")).done();
    let task = "kind = \"completion\"\ndataset = \"docs.jsonl\"\nsamples = 1\nmax_new_tokens = 9223372036854775807\n";
    let config = space.text("config.toml");
    let start = config.find("kind = \"language_modeling\"").unwrap();
    space.write("config.toml", format!("{}{task}", &config[..start]));
    space
        .longcode("run config.toml --device cpu")
        .failed(2, &["max_new_tokens", "9223372036854775807", "task"]);
}

/// Sizes of a training that no memory holds.
#[test]
fn trainings_beyond_memory() {
    let space = space();
    let train = "name = \"t\"\nlength = 16\nbatch = 2\nmicro_batch = 2\n[corpus]\ndatasets = [\"docs.jsonl\"]\n\
                 held_out = 0.2\n[tokenizer]\nvocab_size = 300\n[model]\nhidden_size = 64\nintermediate_size = 64\n\
                 num_hidden_layers = 2\nnum_attention_heads = 4\nhead_dim = 16\n[budget]\nsteps = 1\n";
    let cases = [
        ("hidden_size = 64", "hidden_size = 1000000000", "key `model`"),
        ("hidden_size = 64", "hidden_size = 1000000000000", "`model.hidden_size`"),
        ("vocab_size = 300", "vocab_size = 1000000000", "key `model`"),
        ("num_hidden_layers = 2", "num_hidden_layers = 1000000000", "`model.num_hidden_layers`"),
        ("intermediate_size = 64", "intermediate_size = 1000000000", "key `model`"),
        ("num_attention_heads = 4", "num_attention_heads = 1000000000", "key `model`"),
        ("head_dim = 16", "head_dim = 4611686018427387952", "`model.head_dim`"),
        ("length = 16", "length = 500000000", "key `micro_batch`"),
        ("length = 16", "length = 1099511627776", "`length`"),
        ("batch = 2\nmicro_batch = 2", "batch = 1000000000\nmicro_batch = 1000000000", "`batch`"),
        ("batch = 2\nmicro_batch = 2", "batch = 9223372036854775807\nmicro_batch = 1", "`batch`"),
    ];
    for (from, to, named) in cases {
        assert!(train.contains(from));
        space.write("train.toml", train.replace(from, to));
        println!("{to}");
        space.longcode("train train.toml --device cpu --out out").failed(2, &[named]);
        assert!(!space.path("out").exists(), "{to}: something was written");
    }
}
