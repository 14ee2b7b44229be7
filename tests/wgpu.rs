//! The golden checks through wgpu, on the first adapter of this machine.
//!
//! Without an adapter every check is counted as ignored and the output says so; with
//! `LONGCODE_REQUIRE_ADAPTER=1`, as in CI, that is a failure.

mod common;

use burn::tensor::{DType, Device};
use common::attention::{Case, Form, check_definition, check_forms, check_half};
use libtest_mimic::{Arguments, Failed, Trial};
use longcode::device::DeviceChoice;
use proptest::test_runner::{Config, TestRunner};

/// Longer than a block of queries, so that all three ranges of keys occur.
fn two_blocks() -> Case {
    let spec = "hirope:window=100,split=0.5".into();
    Case { spec, length: 600, kv_heads: 1, queries_per_key: 2, head_dim: 16, seed: 3, read: 0 }
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
        trial("token_by_token_of_every_kind", common::decoding::check_every_kind),
        trial("a_sequence_of_two_blocks", |device| check_definition(&two_blocks(), Form::Best, device)),
        trial("the_forms_of_attention_agree", |device| on_random_cases(12, |case| check_forms(case, device))),
        trial("attention_in_half_precision", |device| on_random_cases(4, |case| check_half(case, device)))
            .with_ignored_flag(no_f16),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
