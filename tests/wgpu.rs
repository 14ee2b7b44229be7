//! The golden checks through wgpu, on the first adapter of this machine.
//!
//! Without an adapter every check is counted as ignored and the output says so; with
//! `LONGCODE_REQUIRE_ADAPTER=1`, as in CI, that is a failure.

// What a test says is the terminal's of whoever runs it.
#![allow(clippy::disallowed_macros)]

mod common;

use burn::tensor::{DType, Device};
use common::attention::{Case, Form, check_definition, check_forms, check_half};
use common::cli::Workspace;
use libtest_mimic::{Arguments, Failed, Trial};
use longcode::checkpoint::Checkpoint;
use longcode::device::DeviceChoice;
use longcode::encoding::EncodingSpec;
use longcode::kernels::Precision;
use longcode::model::EncodedModel;
use proptest::test_runner::{Config, TestRunner};

/// Longer than a block of queries, so that all kinds of stretches of keys occur.
fn check_two_blocks(device: &Device) {
    for (spec, own_window, read) in [
        ("hirope:window=100,split=0.5", None, 0),
        ("streaming_llm:window=100,sinks=4", None, 590),
        ("dual_chunk:chunk=90,local=20", Some(250), 300),
        ("structure:window=50,sinks=3", None, 0),
        ("structure:window=20,own=false,far=token", Some(300), 300),
    ] {
        let spec = spec.into();
        let case = Case {
            spec,
            own_window,
            length: 600,
            kv_heads: 1,
            queries_per_key: 2,
            head_dim: 16,
            turning: 12,
            unrotated: false,
            cap: (read > 0).then_some(4.0),
            sinks: read > 300,
            seed: 3,
            read,
        };
        check_definition(&case, Form::Best, device);
    }
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
    ] {
        check_first_losses(name, Precision::F32, device);
    }
}

/// A precision of the CPU's is refused, with those that the device has.
fn check_precisions(device: &Device) {
    let has: &[Precision] = match device.supports_dtype(DType::F16) {
        true => &[Precision::F32, Precision::F16],
        false => &[Precision::F32],
    };
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
    let adapter = DeviceChoice::Wgpu(None).open();
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
        trial("token_losses_of_sight", common::golden::check_token_losses_of_sight),
        trial("token_by_token_of_every_kind", common::decoding::check_every_kind),
        trial("sequences_of_two_blocks", check_two_blocks),
        trial("the_forms_of_attention_agree", |device| on_random_cases(12, |case| check_forms(case, device))),
        trial("attention_in_half_precision", |device| on_random_cases(4, |case| check_half(case, device)))
            .with_ignored_flag(no_f16),
        trial("weights_in_half_precision", check_weights_in_half_precision).with_ignored_flag(no_f16),
        trial("precisions_of_the_device", check_precisions),
        trial("parts_of_other_families", check_families),
        trial("a_run_on_two_devices", check_shared_run),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
