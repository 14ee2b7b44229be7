//! Checkpoints that transformers saved, against the per-token losses that it gives them in float32:
//! tests/transformers/NAME, made by scripts/compare_transformers.py, which compares many more.

use crate::common;
use std::path::Path;

use burn::tensor::Device;
use longcode::checkpoint::Checkpoint;
use longcode::encoding::EncodingSpec;
use longcode::kernels::Precision;
use longcode::model::{EncodedModel, generate};
use longcode::text::Limits;
use serde::Deserialize;

/// What transformers made of a checkpoint.
#[derive(Deserialize)]
struct Expected {
    text_file: String,
    ids: Vec<u32>,
    nll: Vec<f32>,
    /// The mean difference that transformers' own bf16 makes to them.
    bf16_mean_difference: f32,
    /// Losses of the first tokens alone, where they do not follow from those of the whole.
    #[serde(default)]
    shorter: Vec<Vec<f32>>,
    /// Tokens of a prompt; none where the length that is generated changes the rotations.
    prompt: Option<usize>,
    /// What greedy decoding goes on with after it.
    #[serde(default)]
    greedy: Vec<u32>,
}

impl Expected {
    fn read(dir: &Path) -> Expected {
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(common::repository("tests/transformers").join(&self.text_file)).unwrap()
    }
}

/// In f32 every loss to 1e-4; in split precision a loss to 1e-3 and their mean to 1e-4; in bf16 no farther off
/// in the mean than transformers' own bf16, and a tenth.
fn check(name: &str) {
    let dir = common::repository("tests/transformers").join(name);
    let expected = Expected::read(&dir);
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let ids = checkpoint.tokenizer.encode(&expected.text()).unwrap().ids;
    assert_eq!(ids, expected.ids, "{name}: ids");
    assert_eq!(ids.len(), expected.nll.len() + 1, "{name}: predicted tokens");
    for precision in [Precision::F32, Precision::Split, Precision::Bf16] {
        let model = checkpoint.load(&Device::flex(), precision).unwrap();
        let rope = EncodingSpec::parse("rope").unwrap();
        let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &rope, bos: None };
        for losses in expected.shorter.iter().chain([&expected.nll]) {
            let ours = under.score(&ids[..losses.len() + 1], Vec::new()).unwrap().nll;
            let difference = Difference::of(&ours, losses);
            println!("{name}, {} tokens, {precision}: {difference:?}", losses.len() + 1);
            let close = match precision {
                Precision::F32 => difference.worst < 1e-4,
                Precision::Split => difference.worst < 1e-3 && difference.of_means < 1e-4,
                _ => difference.mean < 1.1 * expected.bf16_mean_difference,
            };
            assert!(close, "{name}, {} tokens, {precision}: {difference:?}", losses.len() + 1);
        }
    }
}

/// Greedy tokens are transformers'.
fn check_greedy(name: &str) {
    let dir = common::repository("tests/transformers").join(name);
    let expected = Expected::read(&dir);
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let model = checkpoint.load(&Device::flex(), Precision::F32).unwrap();
    let rope = EncodingSpec::parse("rope").unwrap();
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &rope, bos: None };
    let limits = Limits { max_new_tokens: expected.greedy.len(), stop: |_| false };
    let prompt = &expected.ids[..expected.prompt.unwrap()];
    let decoder = under.read(prompt, Vec::new(), limits.max_new_tokens).unwrap();
    let made = generate(vec![(decoder, limits, &[][..])], &checkpoint.tokenizer, &[]).unwrap();
    assert_eq!(made[0].as_ref().unwrap().ids, expected.greedy, "{name}");
}

/// How far losses are from others.
#[derive(Debug)]
struct Difference {
    worst: f32,
    mean: f32,
    of_means: f32,
}

impl Difference {
    fn of(ours: &[f32], theirs: &[f32]) -> Difference {
        assert_eq!(ours.len(), theirs.len());
        let count = ours.len() as f32;
        let differences = || ours.iter().zip(theirs).map(|(a, b)| a - b);
        Difference {
            worst: differences()
                .map(f32::abs)
                .fold(0.0, |worst, d| if d > worst || d.is_nan() { d } else { worst }),
            mean: differences().map(f32::abs).sum::<f32>() / count,
            of_means: (differences().sum::<f32>() / count).abs(),
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

#[test]
fn granite_code_biases_everywhere() {
    check("granite-code-bfloat16");
}

#[test]
fn qwen3_norms_of_queries_and_keys_by_head() {
    check("qwen3-float16");
}

#[test]
fn granite_multipliers() {
    check("granite-bfloat16");
}

#[test]
fn smollm3_layers_that_do_not_turn() {
    check("smollm3-sharded-float16");
}

#[test]
fn phi3_fused_partial_longrope() {
    check("phi3-partial-longrope-bfloat16");
}

#[test]
fn starcoder2_layer_norms_without_a_gate() {
    check("starcoder2-sliding-float16");
}

#[test]
fn olmo2_norms_after_and_of_whole_rows() {
    check("olmo2-float16");
}

#[test]
fn olmo3_a_rope_for_each_type_of_layer() {
    check("olmo3-yarn-bfloat16");
}

#[test]
fn gemma2_soft_caps_and_norms_around() {
    check("gemma2-float16");
}

#[test]
fn gemma3_a_base_for_each_type_of_layer() {
    check("gemma3-bfloat16");
}

#[test]
fn cohere2_parts_side_by_side() {
    check("cohere2-float16");
}

#[test]
fn glm4_neighbouring_pairs_of_half_a_head() {
    check("glm4-bfloat16");
}

#[test]
fn ernie_neighbouring_pairs() {
    check("ernie4-5-float16");
}

#[test]
fn gpt_oss_experts_and_sinks() {
    check("gpt-oss-bfloat16");
}

#[test]
fn gpt_oss_experts_in_mxfp4() {
    check("gpt-oss-mxfp4");
}

#[test]
fn mellum_experts_and_a_base_for_each_type_of_layer() {
    check("mellum-float16");
}

#[test]
fn granite_sinks_and_a_base_for_each_layer() {
    check("granite-swa-bfloat16");
}

#[test]
fn ministral3_temperature_beyond_the_original_length() {
    check("ministral3-float16");
}

#[test]
fn ministral3_inside_a_model_of_images() {
    check("mistral3-inside-bfloat16");
}

#[test]
fn qwen3_experts_in_some_layers() {
    check("qwen3-moe-float16");
}

#[test]
fn qwen3_experts_stacked_and_two_of_them_alike() {
    check("qwen3-moe-stacked-bfloat16");
}

#[test]
fn qwen2_experts_and_a_shared_one_with_a_gate() {
    check("qwen2-moe-bfloat16");
}

#[test]
fn mixtral_experts_within_a_window() {
    check("mixtral-float32");
}

#[test]
fn olmoe_experts_not_normalised() {
    check("olmoe-float16");
}

#[test]
fn granite_experts_stacked_in_shards() {
    check("granitemoe-sharded-float16");
}

#[test]
fn ernie_experts_by_corrected_scores() {
    check("ernie4-5-moe-float16");
}

#[test]
fn glm_experts_by_corrected_sigmoids_in_groups() {
    check("glm4-moe-bfloat16");
}

/// As GPUs compute them: weights as f32 tensors, rows gathered and added by tensor operations.
#[test]
fn experts_in_tensor_operations() {
    for name in ["qwen3-moe-float16", "qwen2-moe-bfloat16", "glm4-moe-bfloat16", "deepseek-v3-bfloat16"] {
        let dir = common::repository("tests/transformers").join(name);
        let expected = Expected::read(&dir);
        let checkpoint = Checkpoint::open(&dir).unwrap();
        let model = checkpoint.load_to_train(&Device::flex()).unwrap();
        let rope = EncodingSpec::parse("rope").unwrap();
        let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &rope, bos: None };
        let difference = Difference::of(&under.score(&expected.ids, Vec::new()).unwrap().nll, &expected.nll);
        assert!(difference.worst < 1e-4, "{name}: {difference:?}");
    }
}

#[test]
fn deepseek_v2_latent_attention_under_yarn() {
    check("deepseek-v2-float16");
}

#[test]
fn deepseek_v3_latent_queries_and_experts_in_groups() {
    check("deepseek-v3-bfloat16");
}

#[test]
fn glm_flash_values_as_wide_as_keys() {
    check("glm4-moe-lite-bfloat16");
}

#[test]
fn greedy_tokens_of_every_family() {
    let mut checked = 0;
    for entry in std::fs::read_dir(common::repository("tests/transformers")).unwrap() {
        let dir = entry.unwrap().path();
        if dir.is_dir() && Expected::read(&dir).prompt.is_some() {
            check_greedy(dir.file_name().unwrap().to_str().unwrap());
            checked += 1;
        }
    }
    assert_eq!(checked, 35);
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
        EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None }
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

/// Experts and routers that config.json does not describe, each named before any weight is used.
#[test]
fn experts_that_differ_from_the_config_are_named() {
    const EACH: &str = "qwen3-moe-float16";
    const STACKED: &str = "qwen3-moe-stacked-bfloat16";
    const GROUPS: &str = "glm4-moe-bfloat16";
    let cases: [(&str, &str, &str, &[&str]); 11] = [
        (
            EACH,
            "\"num_local_experts\": 10",
            "\"num_local_experts\": 9",
            &["gate.weight", "[10, 24]", "[9, 24]"],
        ),
        (
            EACH,
            "\"moe_intermediate_size\": 12",
            "\"moe_intermediate_size\": 13",
            &["experts.0.gate_proj", "[13, 24]"],
        ),
        (
            EACH,
            "\"num_experts_per_tok\": 3",
            "\"num_experts_per_tok\": 11",
            &["num_experts_per_tok", "10 experts"],
        ),
        (EACH, "\"num_experts_per_tok\": 3", "\"num_experts_per_tok\": 0", &["num_experts_per_tok", "is 0"]),
        (EACH, "\"mlp_only_layers\": [", "\"mlp_only_layers\": [0,", &["layers.0.mlp.gate_proj", "missing"]),
        (EACH, "\"qwen3_moe\"", "\"qwen3\"", &["num_local_experts (a mixture of experts)"]),
        (EACH, "\"qwen3_moe\"", "\"qwen3_moe\", \"n_group\": 2", &["n_group"]),
        (EACH, "\"qwen3_moe\"", "\"qwen3_moe\", \"scoring_func\": \"sigmoid\"", &["scoring_func", "sigmoid"]),
        (
            STACKED,
            "\"moe_intermediate_size\": 12",
            "\"moe_intermediate_size\": 13",
            &["gate_up_proj", "[10, 26, 24]"],
        ),
        (GROUPS, "\"n_group\": 4", "\"n_group\": 3", &["n_group", "8 experts"]),
        (GROUPS, "\"topk_group\": 2", "\"topk_group\": 5", &["topk_group", "4 groups"]),
    ];
    for (name, from, to, named) in cases {
        let error = refused(name, |config| config.replacen(from, to, 1));
        assert!(named.iter().all(|part| error.contains(part)) && error.contains("fix:"), "{to}: {error}");
    }
    // An expert more than the router knows, and a shared one in a family without.
    let error = refused(EACH, |config| {
        config.replace("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 1").replace("[\n    1\n  ]", "[]")
    });
    assert!(error.contains("does not account for") && error.contains("layers.1."), "{error}");
}

/// What a stored checkpoint is refused with when its config is changed.
fn refused(name: &str, change: impl Fn(&str) -> String) -> String {
    let (stored, space) = (common::repository("tests/transformers").join(name), tempfile::tempdir().unwrap());
    for file in std::fs::read_dir(&stored).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), space.path().join(file.file_name())).unwrap();
    }
    let path = space.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "{name}");
    std::fs::write(&path, changed).unwrap();
    let checked = Checkpoint::open(space.path()).and_then(|checkpoint| checkpoint.check_weights());
    checked.expect_err(name).to_string()
}

/// A checkpoint of tests/transformers, a model of it, and its losses under an encoding.
fn losses(dir: &Path, ids: &[u32], spec: &str) -> Vec<f32> {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let model = checkpoint.load(&Device::flex(), Precision::F32).unwrap();
    let encoding = EncodingSpec::parse(spec).unwrap();
    encoding.check(&checkpoint.config.rope).unwrap();
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
    let level: Vec<u32> = (0..ids.len()).map(|n| (n / 30) as u32).collect();
    under.score(ids, encoding.units().iter().map(|_| level.clone()).collect::<Vec<_>>()).unwrap().nll
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Gemma 3's first layer slides, the second sees everything: an encoding is a scaling of its layers' type in
/// config.json, which transformers confirms (scripts/compare_transformers.py).
#[test]
fn an_encoding_is_a_scaling_of_the_layers_that_it_replaces() {
    let dir = common::repository("tests/transformers/gemma3-bfloat16");
    let expected = Expected::read(&dir);
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    let scaled = |types: &[&str]| {
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        for kind in types {
            let rope = config["rope_parameters"][kind].as_object_mut().unwrap();
            rope.insert("rope_type".into(), "yarn".into());
            rope.insert("factor".into(), 4.0.into());
        }
        let copy = tempfile::tempdir().unwrap();
        for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(dir.join(name), copy.path().join(name)).unwrap();
        }
        std::fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        losses(copy.path(), &expected.ids, "rope")
    };
    let both = ["full_attention", "sliding_attention"];
    for (layers, types) in
        [("", &both[..1]), (",layers=full", &both[..1]), (",layers=all", &both), (",layers=0", &both[1..])]
    {
        let ours = losses(&dir, &expected.ids, &format!("yarn:factor=4{layers}"));
        assert_eq!(largest_difference(&ours, &scaled(types)), 0.0, "{layers}");
        assert!(largest_difference(&ours, &expected.nll) > 1e-3, "{layers} changes something");
    }
}

/// Every kind runs on every checkpoint, layers of whatever sort; one that changes nothing below its window changes
/// nothing, and truncation is the model on the last tokens.
#[test]
fn every_checkpoint_runs_under_every_sort_of_encoding() {
    for entry in std::fs::read_dir(common::repository("tests/transformers")).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.is_dir() {
            continue;
        }
        let expected = Expected::read(&dir);
        let ids = &expected.ids[..150];
        let own = losses(&dir, ids, "rope");
        let checkpoint = Checkpoint::open(&dir).unwrap();
        let replaces = |layers: &str| {
            let spec = EncodingSpec::parse(&format!("rerope:window=20{layers}")).unwrap();
            spec.replaced(&checkpoint.config.rope).is_ok()
        };
        for layers in ["", ",layers=all"].into_iter().filter(|layers| replaces(layers)) {
            for kind in ["hirope:window=150", "rerope:window=150", "dual_chunk:chunk=200,local=20"] {
                let spec = format!("{kind}{layers}");
                let difference = largest_difference(&losses(&dir, ids, &spec), &own);
                assert!(difference < 1e-4, "{} {spec}: {difference}", dir.display());
            }
            let others =
                ["hirope:window=20", "rerope:window=20", "yarn:factor=3", "streaming_llm:window=30,sinks=4"];
            for kind in others {
                let spec = format!("{kind}{layers}");
                let losses = losses(&dir, ids, &spec);
                assert!(losses.iter().all(|loss| loss.is_finite()), "{} {spec}", dir.display());
                assert!(largest_difference(&losses, &own) > 1e-4, "{} {spec}", dir.display());
            }
        }
        // The last window begins at 96 and predicts from 128 on.
        let truncated = losses(&dir, ids, "rope:context=64,stride=32");
        let last = losses(&dir, &ids[96..], "rope");
        assert!(largest_difference(&truncated[127..], &last[31..]) < 1e-4, "{}", dir.display());
    }
}
