//! What must be equal: identities of `dynamic_yarn`, `clip`, `nope`, the key `temperature` and the key `positions` of
//! `streaming_llm`. Those of the other kinds are in `identities.rs`.

use std::sync::Arc;

use longcode_encoding::{EncodingSpec, KINDS, LongRope, ModelRope, Positions, Rotations, Yarn};
use proptest::prelude::*;

const PAIRS: usize = 8;

/// 8 pairs, trained at 64 tokens.
fn model() -> ModelRope {
    ModelRope::plain(2 * PAIRS, 10000.0, 64)
}

/// The same with scalings of a checkpoint's own: one that scales the logits too, and one that follows the length.
fn scaled_models() -> [ModelRope; 2] {
    let yarn = Yarn {
        factor: 4.0,
        original_max_position: None,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: None,
        truncate: true,
    };
    let long_rope = LongRope {
        short_factor: vec![1.0; PAIRS],
        long_factor: (0..PAIRS).map(|p| 1.0 + p as f64).collect(),
        original_max_position: 64,
        attention_factor: 1.2,
    };
    [
        ModelRope { scaling: Some(Arc::new(yarn)), ..model() },
        ModelRope { scaling: Some(Arc::new(long_rope)), ..model() },
    ]
}

fn under(model: &ModelRope, spec: &str, length: usize) -> Rotations {
    let encoding = EncodingSpec::parse(spec).unwrap().opened(&|path| Ok(path.to_path_buf())).unwrap();
    encoding.check(model).unwrap();
    let levels = vec![(0..length as u32).map(|t| t / 5).collect(); encoding.units().len()];
    encoding.rotations(model, &Positions::whole(length, levels))
}

fn rotations(spec: &str, length: usize) -> Rotations {
    under(&model(), spec, length)
}

/// The same zones, rotations, frequencies and scales.
fn assert_equal(a: &Rotations, b: &Rotations, what: &str) {
    assert!(a == b, "{what}: {:?} for {:?}", a.spectrum, b.spectrum);
}

/// Two specs are equal on every model, within the trained length and beyond.
fn assert_equal_everywhere(a: &str, b: &str) {
    for model in [model()].iter().chain(&scaled_models()) {
        for length in [1, 64, 65, 150] {
            assert_equal(&under(model, a, length), &under(model, b, length), a);
        }
    }
}

proptest! {
    #[test]
    fn dynamic_yarn_is_yarn_of_the_length(length in 1usize..200, trained in 8usize..100) {
        let dynamic = rotations(&format!("dynamic_yarn:original_max_position={trained}"), length);
        let expected = match length <= trained {
            true => rotations("rope", length),
            false => {
                let factor = length as f64 / trained as f64;
                rotations(&format!("yarn:factor={factor},original_max_position={trained}"), length)
            }
        };
        assert_equal(&dynamic, &expected, "dynamic_yarn");
    }

    #[test]
    fn streaming_llm_counts_tokens_of_the_text(length in 1usize..60, window in 1usize..70, sinks in 0usize..20) {
        let spec = format!("streaming_llm:window={window},sinks={sinks}");
        let [text, cache] = ["text", "cache"].map(|counted| rotations(&format!("{spec},positions={counted}"), length));
        for (i, j) in (0..length).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let seen = i - j < window || j < sinks;
            prop_assert_eq!(text.delta(0, i, j), Some((i - j) as f64).filter(|_| seen));
            if length <= sinks + window {
                prop_assert_eq!(cache.delta(0, i, j), text.delta(0, i, j));
            }
        }
        assert_equal(&cache, &rotations(&spec, length), "the default");
    }

    #[test]
    fn a_temperature_by_its_definition(beta in 0.01f64..2.0, start in 0usize..300, length in 1usize..100) {
        let encoding = EncodingSpec::parse(&format!("rope:temperature={beta}")).unwrap();
        let positions = Positions::new(start..start + length, vec![], start + length);
        let scale = encoding.rotations(&model(), &positions).query_scale;
        prop_assert_eq!(scale.len(), length);
        for (scale, i) in scale.into_iter().zip(start..) {
            let expected = 1.0 + beta * (1.0 + (i as f64 / 64.0).floor()).ln();
            prop_assert!((scale - expected).abs() < 1e-12, "token {}: {}", i, scale);
        }
    }
}

/// Keys that a kind cannot do without.
fn least(kind: &str) -> &'static str {
    match kind {
        "linear" | "dynamic_ntk" | "yarn" | "llama3" => "factor=2,",
        "dpe" => "groups=2/4,",
        "self_extend" => "window=8,",
        "table" => "file=tests/table.json,",
        _ => "",
    }
}

#[test]
fn every_kind_takes_a_temperature() {
    for kind in KINDS {
        let spec = format!("{}:{}", kind.name, least(kind.name));
        let plain = rotations(&spec, 150);
        assert_equal(&rotations(&format!("{spec}temperature=0"), 150), &plain, &spec);
        let mut scaled = rotations(&format!("{spec}temperature=0.3"), 150);
        assert_eq!(scaled.query_scale, rotations("rope:temperature=0.3", 150).query_scale, "{spec}");
        scaled.query_scale.clear();
        assert_equal(&scaled, &plain, &spec);
    }
}

#[test]
fn a_models_own_temperature_applies_unless_a_key_replaces_it() {
    let own = ModelRope { own_temperature: 0.3, ..model() };
    let positions = Positions::whole(150, vec![]);
    let scale = |spec: &str| EncodingSpec::parse(spec).unwrap().rotations(&own, &positions).query_scale;
    let plain = |spec: &str| rotations(spec, 150).query_scale;
    assert_eq!(scale("rope"), plain("rope:temperature=0.3"));
    assert_eq!(scale("rerope:window=8"), plain("rope:temperature=0.3"));
    assert_eq!(scale("rope:temperature=0.5"), plain("rope:temperature=0.5"));
    assert_eq!(scale("rope:temperature=0"), Vec::<f64>::new());
    // Both scale by the query's position, so that one of them must go.
    let check = |spec: &str, model: &ModelRope| EncodingSpec::parse(spec).unwrap().check(model);
    let error = check("rerope:window=8,logn=true", &own).unwrap_err();
    assert!(error.to_string().contains("logn") && error.fix.is_some(), "{error}");
    check("rerope:window=8,logn=true,temperature=0", &own).unwrap();
    check("rerope:window=8,logn=true", &model()).unwrap();
}

#[test]
fn the_temperature_is_kept_with_the_keys() {
    let spec = EncodingSpec::parse("rerope:window=16,temperature=1").unwrap();
    assert_eq!(spec.temperature, Some(1.0));
    assert_eq!(spec.to_string(), "rerope:window=16,logn=false,temperature=1.0");
    assert_eq!(EncodingSpec::parse(&spec.to_string()).unwrap().keys, spec.keys);
    assert_eq!(EncodingSpec::parse("rope").unwrap().temperature, None);
}

#[test]
fn clips_of_the_ends() {
    for spec in ["clip:pairs=0", "clip:pairs=0,form=hard", "clip:pairs=1"] {
        assert_equal_everywhere(spec, "rope");
    }
    assert_equal_everywhere(&format!("clip:form=hard,pairs={PAIRS}"), "nope");
    assert_equal_everywhere("clip:pairs=2,form=soft", "clip:pairs=1,form=hard");
}

#[test]
fn the_default_clip_is_five_sixteenths() {
    for (pairs, default) in [(64, 20), (32, 10), (8, 3), (2, 1)] {
        let model = ModelRope::plain(2 * pairs, 10000.0, 64);
        let given = under(&model, &format!("clip:pairs={default}"), 4);
        assert_eq!(under(&model, "clip", 4).spectrum, given.spectrum, "{pairs} pairs");
    }
}

#[test]
fn a_clip_is_on_top_of_a_scaling_of_the_checkpoint() {
    for model in scaled_models() {
        let (clip, own) = (under(&model, "clip:pairs=3", 100).spectrum, model.own_spectrum(100));
        assert_eq!(clip.scale, own.scale);
        assert_eq!(clip.frequencies[..6], own.frequencies[..6]);
        assert!((clip.frequencies[6] / own.frequencies[6] - 0.5).abs() < 1e-6);
        assert_eq!(clip.frequencies[7], 0.0);
    }
    let [fixed, following] = scaled_models();
    let clip = EncodingSpec::parse("clip").unwrap();
    assert!(!clip.follows_length(&fixed) && clip.follows_length(&following));
    assert!(EncodingSpec::parse("dynamic_yarn").unwrap().follows_length(&model()));
}

#[test]
fn the_logit_factor_multiplies_the_scale() {
    let scale = |model: &ModelRope| under(model, "nope:logit_factor=1.3", 100).spectrum.scale;
    assert_eq!(scale(&model()), 1.3);
    let [fixed, _] = scaled_models();
    assert_eq!(scale(&fixed), 1.3 * fixed.own_spectrum(100).scale);
}

#[test]
fn bad_keys_are_named_with_a_way_out() {
    for (spec, parts) in [
        ("clip:pairs=9", ["key `pairs`", "0 to 8"]),
        ("clip:form=medium", ["medium", "clip"]),
        ("clip:pairs=-1", ["-1", "clip"]),
        ("nope:logit_factor=0", ["key `logit_factor`", "above 0"]),
        ("nope:logn=true", ["logn", "logit_factor"]),
        ("dynamic_yarn:original_max_position=0", ["key `original_max_position`", "leave it out"]),
        ("dynamic_yarn:beta_fast=1", ["key `beta_fast`", "beta_slow"]),
        ("dynamic_yarn:factor=2", ["factor", "dynamic_yarn"]),
        ("streaming_llm:positions=token", ["token", "streaming_llm"]),
        ("rope:temperature=-0.1", ["key `temperature`", "at least 0"]),
        ("rope:temperature=inf", ["key `temperature`", "finite"]),
        ("rope:temperature=nan", ["key `temperature`", "finite"]),
        ("rope:temperature=warm", ["key `temperature`", "as 0.1"]),
        ("rerope:logn=true,temperature=0.1", ["key `temperature`", "`logn`"]),
        ("hirope:temperature=1,logn=true", ["key `temperature`", "`logn`"]),
    ] {
        let error = EncodingSpec::parse(spec).and_then(|encoding| encoding.check(&model())).unwrap_err();
        let said = format!("{error:?} {error}");
        assert!(parts.iter().all(|part| said.contains(part)), "{spec}: {said}");
    }
    for spec in ["rerope:logn=false,temperature=0.1", "rerope:logn=true,temperature=0"] {
        EncodingSpec::parse(spec).unwrap();
    }
}

#[test]
fn what_changes_nothing_is_noted() {
    for (spec, noted) in [
        ("clip:pairs=0", true),
        ("clip:pairs=0,form=hard", true),
        ("clip:pairs=1", true),
        ("clip:pairs=1,form=hard", false),
        ("clip", false),
        ("nope", false),
        ("streaming_llm:positions=text", false),
        ("streaming_llm:positions=text,window=64", false),
        ("streaming_llm:positions=text,window=65", true),
        ("streaming_llm:window=64", true),
    ] {
        assert_eq!(!EncodingSpec::parse(spec).unwrap().notes(&model()).is_empty(), noted, "{spec}");
    }
}

#[test]
fn windows_beyond_the_trained_length_are_noted() {
    for kind in [
        "rerope",
        "leaky_rerope",
        "hirope:split=0.1",
        "dpe:groups=2/4",
        "self_extend:group=4",
        "sliding_window",
        "lm_infinite",
    ] {
        let separator = if kind.contains(':') { ',' } else { ':' };
        let notes = |window: usize| {
            EncodingSpec::parse(&format!("{kind}{separator}window={window}")).unwrap().notes(&model())
        };
        assert!(notes(64).is_empty(), "{kind}: {:?}", notes(64));
        assert!(notes(65)[0].contains("window 65 reaches beyond the trained length of 64 tokens"), "{kind}");
    }
    for (spec, says) in [
        ("string:shift=65,local=8", "shift 65 makes distances beyond"),
        ("dual_chunk:chunk=65,local=8", "chunk 65 makes distances beyond"),
        ("rope:context=65", "context 65 has positions beyond"),
    ] {
        let notes = EncodingSpec::parse(spec).unwrap().notes(&model());
        assert!(notes.len() == 1 && notes[0].contains(says), "{spec}: {notes:?}");
    }
}

/// A pair turns once within L0 = 64 tokens up to the split log_base(L0 / 2 pi) = ln(10.19) / ln(10000) = 0.252.
#[test]
fn splits_that_leave_tokens_to_pairs_that_never_turn_are_noted() {
    let limit = (64.0 / std::f64::consts::TAU).ln() / 10000_f64.ln();
    for split in [0.0, 0.125, 0.25, 0.375, 0.5, 1.0] {
        let spec = EncodingSpec::parse(&format!("hirope:window=8,split={split}")).unwrap();
        // The last pair with token positions is the one before the boundary.
        let last = (split * PAIRS as f64).round() - 1.0;
        let noted = last / PAIRS as f64 > limit;
        assert_eq!(!spec.notes(&model()).is_empty(), noted, "{split}: {:?}", spec.notes(&model()));
    }
    let notes = EncodingSpec::parse("hirope:window=8").unwrap().notes(&model());
    assert!(notes[0].contains("a split of at most 0.37 leaves none"), "{notes:?}");
}
