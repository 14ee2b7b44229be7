//! The golden checks through wgpu, on the first adapter of this machine.
//!
//! Without an adapter every check is counted as ignored and the output says so; with
//! `LONGCODE_REQUIRE_ADAPTER=1`, as in CI, that is a failure.

// What a test says is the terminal's of whoever runs it.
#![allow(clippy::disallowed_macros)]

mod common;

use std::task::{Context, Poll, Waker};

use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::wgpu::wgpu::{Backends, DeviceDescriptor, Features, Instance, InstanceDescriptor, Limits};
use burn::tensor::{DType, Device};
use common::attention::{Case, Form, check_definition, check_forms, check_half};
use common::cli::Workspace;
use common::decoding::{check_causal, tiny};
use common::golden::check_token_losses_of_sight;
use libtest_mimic::{Arguments, Failed, Trial};
use longcode::checkpoint::Checkpoint;
use longcode::device::{DeviceChoice, Wanted};
use longcode::encoding::EncodingSpec;
use longcode::kernels::Precision;
use longcode::model::EncodedModel;
use proptest::test_runner::{Config, TestRunner};
use safetensors::tensor::TensorView;

/// Longer than a block of queries, so that all kinds of stretches of keys occur, with the heads and groups of
/// models that people use. Few rows after many share their keys among workgroups.
fn check_two_blocks(device: &Device) {
    for (spec, own_window, read, head_dim, queries_per_key) in [
        ("hirope:window=100,split=0.5", None, 0, 16, 2),
        ("streaming_llm:window=100,sinks=4", None, 590, 16, 2),
        ("dual_chunk:chunk=90,local=20", Some(250), 300, 16, 2),
        ("rerope:window=130", None, 599, 96, 8),
        ("rope", None, 500, 256, 1),
        ("hirope:window=100,split=0.5", None, 598, 80, 5),
        ("structure:window=50,sinks=3", None, 0, 16, 2),
        ("structure:window=20,own=false,far=token", Some(300), 300, 64, 3),
    ] {
        let spec = spec.into();
        let case = Case {
            spec,
            own_window,
            length: 600,
            kv_heads: 1,
            queries_per_key,
            head_dim,
            turning: head_dim * 3 / 4,
            unrotated: false,
            cap: (read > 0).then_some(4.0),
            sinks: read > 300,
            seed: 3,
            read,
        };
        check_definition(&case, Form::Best, device);
    }
}

/// An adapter that binds no more than this, with the least shared memory that WebGPU guarantees. Its buffers may be
/// larger, as on real adapters: cubecl keeps pages of several MiB.
fn device_with_small_limits(binding: u64) -> Device {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
    let adapters = at_once(instance.enumerate_adapters(Backends::PRIMARY));
    let adapter = adapters.into_iter().next().expect("an adapter");
    let limits = Limits {
        max_storage_buffer_binding_size: binding,
        max_compute_workgroup_storage_size: 16 << 10,
        ..adapter.limits()
    };
    let asked = DeviceDescriptor {
        required_features: adapter
            .features()
            .difference(Features::MAPPABLE_PRIMARY_BUFFERS | Features::all_experimental_mask()),
        required_limits: limits,
        ..DeviceDescriptor::default()
    };
    let (device, queue) = at_once(adapter.request_device(&asked)).unwrap();
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    Device::wgpu_options().setup(setup).init().unwrap()
}

/// The result of a future that waits for nothing but this thread.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(found) = future.as_mut().poll(&mut context) {
            return found;
        }
    }
}

/// Losses of a text, and logits of what follows it.
fn losses_and_logits(checkpoint: &Checkpoint, ids: &[u32], device: &Device) -> (Vec<f32>, Vec<f32>) {
    let model = checkpoint.load(device, Precision::F32).unwrap();
    let encoding = EncodingSpec::parse("rope").unwrap();
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
    let nll = under.score(ids, Vec::new()).unwrap().nll;
    (nll, under.read(ids, Vec::new(), 1).unwrap().logits().to_vec())
}

/// A device gives the CPU's losses and logits.
fn check_as_on_cpu(checkpoint: &Checkpoint, ids: &[u32], device: &Device) {
    let (nll, logits) = losses_and_logits(checkpoint, ids, device);
    let (expected, expected_logits) = losses_and_logits(checkpoint, ids, &Device::flex());
    assert_eq!((nll.len(), logits.len()), (expected.len(), expected_logits.len()));
    for (ours, expected) in nll.iter().zip(&expected).chain(logits.iter().zip(&expected_logits)) {
        assert!((ours - expected).abs() < 2e-4, "{ours} for {expected}");
    }
}

/// An embedding of 1.5 MiB on an adapter that binds 1 MiB: it goes in parts.
fn check_small_limits(_: &Device) {
    let checkpoint = Checkpoint::open(&common::repository("models/nano")).unwrap();
    let ids: Vec<u32> = (0..70).map(|n| n * 131 % 4096).collect();
    check_as_on_cpu(&checkpoint, &ids, &device_with_small_limits(1 << 20));
}

/// An embedding of 143 MB, where software Vulkan binds 128 MiB.
fn check_large_vocabulary(device: &Device) {
    let space = Workspace::new();
    let dir = space.path("large");
    std::fs::create_dir(&dir).unwrap();
    let small = common::repository("tests/transformers/llama-gqa-tied-float16");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(small.join(name), dir.join(name)).unwrap();
    }
    let (vocab, hidden) = (40_000, 896);
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": true,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let shapes: Vec<(String, Vec<usize>)> = vec![
        ("model.embed_tokens.weight".into(), vec![vocab, hidden]),
        ("model.norm.weight".into(), vec![hidden]),
        (layer("input_layernorm"), vec![hidden]),
        (layer("post_attention_layernorm"), vec![hidden]),
        (layer("self_attn.q_proj"), vec![64, hidden]),
        (layer("self_attn.k_proj"), vec![32, hidden]),
        (layer("self_attn.v_proj"), vec![32, hidden]),
        (layer("self_attn.o_proj"), vec![hidden, 64]),
        (layer("mlp.gate_proj"), vec![64, hidden]),
        (layer("mlp.up_proj"), vec![64, hidden]),
        (layer("mlp.down_proj"), vec![hidden, 64]),
    ];
    let number = |n: usize| ((n * 2_654_435_761 % 2003) as f32 / 1000.0 - 1.0) * 0.05;
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| (0..shape.iter().product()).flat_map(|n| number(n).to_le_bytes()).collect())
        .collect();
    let tensors = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(dir.join("model.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    let checkpoint = Checkpoint::open(&dir).unwrap();
    // Ids of both parts.
    let ids: Vec<u32> = (0..12).map(|n| n * 3_301 % vocab as u32).collect();
    check_as_on_cpu(&checkpoint, &ids, device);
}

/// `devices --check` finds everything as it should be, and says so in JSON.
fn check_the_check(_: &Device) {
    let space = Workspace::new();
    let found = space.longcode("devices --check wgpu --json").done().stdout;
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert!(found["right"].as_bool().unwrap(), "{found}");
    assert!(
        found["held"].as_array().unwrap().len() > 30 && found["adapter"]["driver"].is_string(),
        "{found}"
    );
}

/// Weights that are f16 in the checkpoint stay so on the device, and lose nothing.
fn check_weights_in_half_precision(device: &Device) {
    check_first_losses("llama-gqa-tied-float16", Precision::F16, device);
}

/// The losses are those of transformers in f32.
fn check_first_losses(name: &str, precision: Precision, device: &Device) {
    const TOKENS: usize = 100;
    let dir = common::repository("tests/transformers").join(name);
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("expected.json")).unwrap()).unwrap();
    // Of a model that follows the length those of a short text, which is shorter still.
    let of_text = expected.get("shorter").map_or(&expected["nll"], |shorter| &shorter[0]);
    let numbers = |values: &serde_json::Value| -> Vec<f64> {
        values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let nll = numbers(of_text);
    let tokens = if nll.len() < TOKENS { nll.len() + 1 } else { TOKENS };
    let ids: Vec<u32> = numbers(&expected["ids"]).into_iter().take(tokens).map(|id| id as u32).collect();
    let checkpoint = Checkpoint::open(&dir).unwrap();
    let model = checkpoint.load(device, precision).unwrap();
    let encoding = EncodingSpec::parse("rope").unwrap();
    let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
    let ours = under.score(&ids, Vec::new()).unwrap().nll;
    assert_eq!(ours.len(), tokens - 1);
    for (n, (ours, expected)) in ours.into_iter().zip(nll).enumerate() {
        assert!((f64::from(ours) - expected).abs() < 1e-4, "{name}: token {}: {ours} for {expected}", n + 1);
    }
}

/// The parts that families have beyond LLaMA, in tensor operations.
fn check_families(device: &Device) {
    for name in [
        "phi3-partial-longrope-bfloat16",
        "smollm3-sharded-float16",
        "starcoder2-sliding-float16",
        "olmo2-float16",
        "qwen3-moe-stacked-bfloat16",
        "qwen2-moe-bfloat16",
        "glm4-moe-bfloat16",
        "deepseek-v2-float16",
        "gemma2-float16",
        "cohere2-float16",
        "granite-swa-bfloat16",
        "gpt-oss-mxfp4",
    ] {
        check_first_losses(name, Precision::F32, device);
    }
}

/// A precision of the CPU's is refused, with those that the device has.
fn check_precisions(device: &Device) {
    let has = [Precision::F32, Precision::F16];
    for precision in [Precision::F32, Precision::Split, Precision::Bf16, Precision::F16] {
        match precision.check(device) {
            Ok(()) => assert!(has.contains(&precision), "{precision}"),
            Err(e) => {
                assert!(!has.contains(&precision), "{precision}");
                assert!(e.to_string().contains("f32"), "{e}");
            }
        }
    }
}

/// The CPU and an adapter share a run: every sample once, with the CPU's figures.
fn check_shared_run(_: &Device) {
    let (alone, space) = (Workspace::new(), Workspace::new());
    alone.run("");
    space.longcode("run config.toml --device cpu,wgpu").done();
    let sorted = |space: &Workspace| {
        let mut keys = space.stored("results/tiny");
        keys.sort();
        keys
    };
    assert_eq!(sorted(&space), sorted(&alone));
    let environment: serde_json::Value =
        serde_json::from_str(&space.text("results/tiny/environment.json")).unwrap();
    assert!(environment["device"].as_str().unwrap().starts_with("cpu + wgpu: "), "{environment}");
    let losses = |space: &Workspace| -> Vec<f64> {
        let rows = space.text("results/tiny/summary.csv");
        let mut rows = rows.lines().map(|row| row.split(',').collect::<Vec<_>>());
        let header = rows.next().unwrap();
        let at = |name: &str| header.iter().position(|column| *column == name).unwrap();
        let (metric, value) = (at("metric"), at("value"));
        rows.filter(|row| row[metric] == "loss").map(|row| row[value].parse().unwrap()).collect()
    };
    let (ours, expected) = (losses(&space), losses(&alone));
    assert!(!ours.is_empty() && ours.len() == expected.len());
    for (ours, expected) in ours.into_iter().zip(expected) {
        assert!((ours - expected).abs() < 1e-4, "{ours} for {expected}");
    }
    space.longcode("run config.toml --device cpu").failed(2, &["another device: cpu + wgpu: ", "--out"]);
    let driver = environment["adapters"][0]["driver"].as_str().unwrap();
    space.replace("results/tiny/environment.json", driver, "another driver");
    let continued = space.longcode("run config.toml --device cpu,wgpu");
    continued.failed(2, &["another adapter or driver", driver, "--fresh"]);
    space.longcode("run config.toml --device wgpu,wgpu:0").failed(2, &["--device wgpu,wgpu:0", "once"]);
    space.longcode("run config.toml --device cpu,wgpu:99").failed(2, &["no such adapter", "wgpu:99"]);
}

/// Runs a check on random cases; few, as a driver in software takes a second to compile the kernel of
/// each shape.
fn on_random_cases(cases: u32, check: impl Fn(&Case)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&Case::any(), |case| {
        check(&case);
        Ok(())
    });
    checked.unwrap_or_else(|e| panic!("{e}"));
}

#[expect(clippy::print_stderr, reason = "a test says why it is skipped")]
fn main() {
    let adapter = DeviceChoice::Wgpu(None).open(Wanted::default);
    match &adapter {
        Ok(adapter) => eprintln!("adapter: {}", adapter.name),
        Err(e) if std::env::var_os("LONGCODE_REQUIRE_ADAPTER").is_some() => {
            panic!("an adapter is required\n{e}")
        }
        Err(e) => eprintln!("no adapter, so every test here is skipped\n{e}"),
    }
    let device = adapter.ok().map(|adapter| adapter.device);
    let trial = |name: &str, check: fn(&Device)| {
        let device = device.clone();
        let skipped = device.is_none();
        Trial::test(name, move || -> Result<(), Failed> {
            check(&device.expect("ignored without an adapter"));
            Ok(())
        })
        .with_ignored_flag(skipped)
    };
    let no_f16 = !device.as_ref().is_some_and(|device| device.supports_dtype(DType::F16));
    let trials = vec![
        trial("attention_of_every_kind", common::golden::check_attention),
        trial("token_losses_of_every_kind", common::golden::check_token_losses),
        trial("attention_of_several_zones", common::golden::check_attention_of_zones),
        trial("token_losses_of_several_zones", common::golden::check_token_losses_of_zones),
        trial("attention_of_sight", common::golden::check_attention_of_sight),
        trial("token_losses_of_sight", |device| check_token_losses_of_sight(&tiny(device))),
        trial("no_token_changes_a_logit_before_it", |device| check_causal(&tiny(device))),
        trial("token_by_token_of_every_kind", common::decoding::check_every_kind),
        trial("sequences_of_two_blocks", check_two_blocks),
        trial("the_forms_of_attention_agree", |device| on_random_cases(12, |case| check_forms(case, device))),
        trial("attention_in_half_precision", |device| on_random_cases(4, |case| check_half(case, device)))
            .with_ignored_flag(no_f16),
        trial("weights_in_half_precision", check_weights_in_half_precision),
        trial("matrices_beyond_a_small_binding", check_small_limits),
        trial("a_vocabulary_beyond_the_binding", check_large_vocabulary),
        trial("devices_check", check_the_check),
        trial("precisions_of_the_device", check_precisions),
        trial("parts_of_other_families", check_families),
        trial("a_run_on_two_devices", check_shared_run),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
