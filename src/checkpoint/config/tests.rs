//! config.json as transformers 5.24 reads it: the expected values come from transformers itself.

use serde_json::{Value, json};

use super::{NetworkConfig, NormKind};
use crate::encoding::ModelRope;
use crate::error::Result;

/// The keys that a test needs for a family, with others; a key of `null!` is left out.
fn config(model_type: &str, others: Value) -> Value {
    let mut config = json!({
        "model_type": model_type, "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8,
        "max_position_embeddings": 2048,
    });
    for (key, value) in others.as_object().unwrap() {
        if value == "left out" {
            drop(config.as_object_mut().unwrap().remove(key))
        } else {
            config[key] = value.clone()
        }
    }
    config
}

fn read(model_type: &str, others: Value) -> Result<NetworkConfig> {
    NetworkConfig::from_json(config(model_type, others))
}

/// The rope of a llama, and the notes on it.
fn rope(others: Value) -> (ModelRope, String) {
    let config = read("llama", others).unwrap();
    (config.rope, config.notes.join("\n"))
}

fn is_near(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-6
}

/// Every key with a default of the family's own, and no other.
#[test]
fn what_a_family_takes_for_a_key_that_is_not_there() {
    const NUMBERS: [&str; 6] = [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
    ];
    /// A model_type; the numbers, key heads, head_dim, epsilon, theta, tied.
    type Defaults = (&'static str, [usize; 6], usize, usize, f64, f64, bool);
    let families: &[Defaults] = &[
        ("llama", [32000, 4096, 11008, 32, 32, 2048], 32, 128, 1e-6, 1e4, false),
        ("iquestcoder", [76800, 5120, 27648, 80, 40, 131072], 8, 128, 1e-5, 1e4, false),
        ("mistral", [32000, 4096, 14336, 32, 32, 131072], 8, 128, 1e-6, 1e4, false),
        ("qwen2", [151936, 4096, 22016, 32, 32, 32768], 32, 128, 1e-6, 1e4, false),
        ("qwen3", [151936, 4096, 22016, 32, 32, 32768], 32, 128, 1e-6, 1e4, false),
        ("granite", [32000, 4096, 11008, 32, 32, 2048], 32, 128, 1e-6, 1e4, false),
        ("smollm3", [128256, 2048, 11008, 36, 16, 32768], 4, 128, 1e-6, 2e6, true),
        ("phi3", [32064, 3072, 8192, 32, 32, 4096], 32, 96, 1e-5, 1e4, false),
        ("starcoder2", [49152, 3072, 12288, 30, 24, 4096], 2, 128, 1e-5, 1e4, true),
        ("olmo2", [50304, 4096, 11008, 32, 32, 2048], 32, 128, 1e-5, 1e4, false),
        ("olmo3", [50304, 4096, 11008, 32, 32, 2048], 32, 128, 1e-5, 5e5, false),
        ("gemma2", [256000, 2304, 9216, 26, 8, 8192], 4, 256, 1e-6, 1e4, true),
        ("gemma3_text", [262208, 2304, 9216, 26, 8, 131072], 4, 256, 1e-6, 1e6, true),
        ("cohere2", [256000, 8192, 22528, 40, 64, 8192], 64, 128, 1e-5, 1e4, true),
        ("glm4", [151552, 4096, 13696, 40, 32, 131072], 2, 128, 1.5625e-7, 1e4, false),
        ("ernie4_5", [103424, 1024, 3072, 18, 16, 131072], 2, 128, 1e-5, 5e5, true),
        ("granite_swa", [100352, 2560, 8192, 24, 20, 8192], 4, 128, 1e-5, 1e4, true),
        ("seed_oss", [155136, 4096, 27648, 64, 80, 524288], 8, 128, 1e-6, 1e4, false),
    ];
    for &(family, numbers, key_heads, head_dim, epsilon, theta, tied) in families {
        let config = NetworkConfig::from_json(json!({ "model_type": family })).unwrap();
        let found = [
            config.vocab_size,
            config.hidden_size,
            config.intermediate_size,
            config.num_hidden_layers,
            config.num_attention_heads,
            config.trained_length(),
        ];
        assert_eq!(found, numbers, "{family}");
        assert_eq!(
            (config.num_key_value_heads, config.attention.head_dim),
            (key_heads, head_dim),
            "{family}"
        );
        assert_eq!((config.norm_epsilon, config.rope.base), (epsilon, theta), "{family}");
        assert_eq!(config.tie_word_embeddings, tied, "{family}");
        // All but the length, which has a note of its own, are listed as assumed.
        assert_eq!(config.assumed.len(), NUMBERS.len() - 1, "{family}: {:?}", config.assumed);
        assert!(config.notes.iter().any(|note| note.contains("no max_position_embeddings")), "{family}");
        let whole = read(family, json!({})).unwrap();
        assert_eq!((whole.assumed, whole.notes), (Vec::new(), Vec::new()), "{family}");
    }
    assert_eq!(
        NetworkConfig::from_json(json!({ "model_type": "starcoder2" })).unwrap().norm,
        NormKind::Layer
    );
}

#[test]
fn null_is_what_transformers_takes_it_for() {
    for (family, key, found) in [
        ("llama", "num_key_value_heads", Some(4)),
        ("qwen2", "num_key_value_heads", Some(4)),
        ("smollm3", "num_key_value_heads", Some(4)),
        ("mistral", "num_key_value_heads", None),
        ("starcoder2", "num_key_value_heads", None),
        ("llama", "head_dim", Some(8)),
        ("seed_oss", "head_dim", Some(8)),
        ("qwen3", "head_dim", None),
    ] {
        let config = read(family, json!({ key: null }));
        let config = config.map(|config| match key {
            "head_dim" => config.attention.head_dim,
            _ => config.num_key_value_heads,
        });
        assert_eq!(config.as_ref().ok().copied(), found, "{family}, {key}: {config:?}");
    }
    for key in
        ["rope_scaling", "rope_parameters", "layer_types", "partial_rotary_factor", "quantization_config"]
    {
        read("llama", json!({ key: null })).unwrap();
    }
    let window = |others| read("mistral", others).unwrap().rope.own_window.map(|own| own.window);
    assert_eq!(window(json!({})), Some(4096));
    assert_eq!(window(json!({ "sliding_window": null })), None);
    assert_eq!(window(json!({ "sliding_window": 7 })), Some(7));
}

#[test]
fn a_value_of_another_type_is_no_default() {
    let cases = [
        ("llama", json!({ "hidden_size": "32" })),
        ("llama", json!({ "hidden_size": 32.0 })),
        ("llama", json!({ "hidden_size": -32 })),
        ("llama", json!({ "hidden_size": null })),
        ("llama", json!({ "vocab_size": true })),
        ("llama", json!({ "num_hidden_layers": [2] })),
        ("llama", json!({ "max_position_embeddings": 1e6 })),
        ("llama", json!({ "max_position_embeddings": null })),
        ("llama", json!({ "head_dim": 8.0 })),
        ("llama", json!({ "rms_norm_eps": "1e-5" })),
        ("llama", json!({ "rms_norm_eps": null })),
        ("llama", json!({ "rms_norm_eps": false })),
        ("llama", json!({ "rms_norm_eps": -1e-5 })),
        ("starcoder2", json!({ "norm_epsilon": "1e-5" })),
        ("llama", json!({ "rope_theta": "10000.0" })),
        ("llama", json!({ "rope_theta": null })),
        ("llama", json!({ "rope_theta": [10000] })),
        ("llama", json!({ "tie_word_embeddings": 1 })),
        ("llama", json!({ "tie_word_embeddings": "true" })),
        ("llama", json!({ "tie_word_embeddings": null })),
        ("llama", json!({ "attention_bias": 0 })),
        ("llama", json!({ "attention_bias": null })),
        ("llama", json!({ "mlp_bias": "false" })),
        ("llama", json!({ "hidden_act": null })),
        ("llama", json!({ "hidden_act": ["silu"] })),
        ("mistral", json!({ "sliding_window": "4096" })),
        ("mistral", json!({ "sliding_window": -1 })),
        ("mistral", json!({ "sliding_window": 0 })),
        ("qwen2", json!({ "use_sliding_window": "false" })),
        ("qwen2", json!({ "use_sliding_window": null })),
        ("qwen2", json!({ "max_window_layers": 1.5 })),
        ("qwen2_moe", json!({ "sliding_window": null, "use_sliding_window": true })),
        ("qwen2", json!({ "layer_types": "full_attention" })),
        ("qwen3", json!({ "layer_types": [0, 1] })),
        ("granite", json!({ "logits_scaling": "8" })),
        ("granite", json!({ "attention_multiplier": null })),
        ("smollm3", json!({ "no_rope_layers": [1, -1] })),
        ("smollm3", json!({ "no_rope_layers": [true, false] })),
        ("smollm3", json!({ "no_rope_layer_interval": "4" })),
        ("phi3", json!({ "original_max_position_embeddings": null })),
        ("phi3", json!({ "partial_rotary_factor": "0.5" })),
        ("seed_oss", json!({ "attention_out_bias": 1 })),
        ("llama", json!({ "rope_scaling": "yarn" })),
        ("llama", json!({ "rope_scaling": [] })),
        ("llama", json!({ "rope_parameters": 4.0 })),
        ("llama", json!({ "original_max_position_embeddings": "4096" })),
    ];
    for (family, others) in cases {
        let key = others.as_object().unwrap().keys().next().unwrap().clone();
        let error = read(family, others.clone()).expect_err(&others.to_string());
        let named = if key == "norm_epsilon" { "_eps" } else { key.as_str() };
        assert!(error.to_string().contains(named) && error.fix.is_some(), "{others}: {error}");
    }
    let inside = [
        json!({ "rope_type": "linear", "factor": "4.0" }),
        json!({ "rope_type": "linear", "factor": null }),
        json!({ "rope_type": "linear" }),
        json!({ "rope_type": null, "factor": 2.0 }),
        json!({ "rope_type": 3, "factor": 2.0 }),
        json!({ "type": null, "factor": 2.0 }),
        json!({ "factor": 2.0 }),
        json!({ "rope_type": "yarn", "factor": 2.0, "beta_fast": "32" }),
        json!({ "rope_type": "yarn", "factor": 2.0, "truncate": 1 }),
        json!({ "rope_type": "yarn", "factor": 2.0, "attention_factor": "1" }),
        json!({ "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 4096.0 }),
        json!({ "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 0 }),
        json!({ "rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0 }),
        json!({ "rope_type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [1, 1, 1, "1"] }),
        json!({ "rope_type": "default", "rope_theta": null }),
        json!({ "rope_type": "default", "rope_theta": "1e6" }),
        json!({ "rope_type": "Yarn", "factor": 2.0 }),
        json!({ "full_attention": { "rope_type": "default" } }),
    ];
    for keys in inside {
        for place in ["rope_scaling", "rope_parameters"] {
            let error = read("llama", json!({ place: keys })).expect_err(&keys.to_string());
            let place = error.place.unwrap();
            assert!(place.contains("rope") || place.contains("original_max"), "{keys}: {place}");
        }
    }
}

/// Model cards add this to the file of transformers 5.
#[test]
fn the_old_place_of_a_scaling_goes_first() {
    let yarn = json!({ "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512 });
    let new = json!({ "rope_type": "default", "rope_theta": 1e6 });
    let (own, notes) = rope(json!({ "rope_scaling": yarn, "rope_parameters": new }));
    assert!(own.scaling.is_some() && own.trained_length == 512);
    // transformers ignores the other one entirely.
    assert_eq!(own.base, 1e4);
    assert!(notes.contains("rope_scaling counts") && notes.contains("its rope_theta too"), "{notes}");
    let (own, notes) = rope(json!({ "rope_scaling": yarn, "rope_parameters": new, "rope_theta": 1e6 }));
    assert!(own.base == 1e6 && !notes.contains("rope_theta"), "{notes}");
    // Two places that say the same are fine, under either name of the kind, and so is one that says nothing.
    let same = json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512 });
    assert_eq!(rope(json!({ "rope_scaling": yarn, "rope_parameters": same })).1, "");
    for nothing in [json!(null), json!({})] {
        let (own, notes) = rope(json!({ "rope_scaling": nothing, "rope_parameters": new }));
        assert_eq!((own.base, notes.as_str()), (1e6, ""));
    }
}

#[test]
fn two_places_of_one_number() {
    let (own, notes) =
        rope(json!({ "rope_parameters": { "rope_type": "default", "rope_theta": 5e5 }, "rope_theta": 1e4 }));
    assert!(
        own.base == 5e5 && notes.contains("rope_parameters.rope_theta is 500000 and rope_theta is 10000"),
        "{notes}"
    );
    let (own, notes) = rope(json!({ "rope_parameters": { "rope_theta": 5e5 }, "rope_theta": 5e5 }));
    assert_eq!((own.base, notes.as_str()), (5e5, ""));
    // The place next to the scaling comes first, as when transformers computes.
    let yarn = json!({ "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32 });
    let (own, notes) = rope(json!({ "rope_scaling": yarn, "original_max_position_embeddings": 64 }));
    assert!(own.trained_length == 64 && notes.contains("original_max_position_embeddings is 64"), "{notes}");
    let (own, notes) =
        rope(json!({ "rope_scaling": { "rope_type": "linear", "type": "dynamic", "factor": 2.0 } }));
    assert!(notes.contains("rope_scaling.rope_type is linear and rope_scaling.type is dynamic"), "{notes}");
    assert!(format!("{:?}", own.scaling).contains("Linear"), "{:?}", own.scaling);
    // Phi-3's own length, if the file does not give it, is not that of the scaling.
    let factors = json!([1, 1, 1, 1]);
    let scaling = json!({ "type": "longrope", "short_factor": factors, "long_factor": factors });
    let phi3 = |others: Value| read("phi3", others).unwrap();
    let config = phi3(json!({ "max_position_embeddings": 8192, "rope_scaling": scaling }));
    assert_eq!(config.trained_length(), 4096);
    let yarn = json!({ "type": "yarn", "short_factor": factors, "long_factor": factors });
    let config = phi3(json!({ "max_position_embeddings": 8192, "rope_scaling": yarn }));
    assert!(format!("{:?}", config.rope.scaling).contains("LongRope"));
    assert_eq!(phi3(json!({})).trained_length(), 2048);
}

#[test]
fn keys_that_a_kind_does_not_have_are_left_out_and_told() {
    let scaling = |others: Value| {
        let mut scaling = json!({ "type": "yarn", "factor": 16.0, "original_max_position_embeddings": 4096 });
        scaling.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        rope(json!({ "rope_scaling": scaling, "max_position_embeddings": 65536 }))
    };
    let plain = format!("{:?}", scaling(json!({})).0.scaling);
    for others in [
        json!({ "finetuned": true }),
        json!({ "finetuned": true, "extrapolation_factor": 1, "attn_factor": 1, "dynamic": false }),
        json!({ "high_freq_factor": 4.0, "short_factor": [1.0], "mrope_section": [16, 24, 24] }),
    ] {
        let (own, notes) = scaling(others.clone());
        assert_eq!(format!("{:?}", own.scaling), plain);
        assert!(others.as_object().unwrap().keys().all(|key| notes.contains(key)), "{notes}");
    }
    assert_eq!(scaling(json!({ "attention_factor": null, "beta_fast": null, "beta_slow": 0 })).1, "");
    assert!(rope(json!({ "rope_scaling": { "rope_type": "default", "factor": 2.0 } })).1.contains("factor"));
    // In a model of a family without learned positions these say nothing.
    let notes = read("llama", json!({ "n_positions": 2048 })).unwrap().notes;
    assert!(notes.len() == 1 && notes.join("").contains("n_positions"), "{notes:?}");
    assert!(read("iquestcoder", json!({ "use_sliding_window": true })).is_err());
    assert!(read("iquestcoder", json!({ "clip_qkv": 8.0 })).is_err());
    for (key, value) in [
        ("is_causal", json!(false)),
        ("is_causal", json!(null)),
        ("per_layer_config", json!({"0": {"x": 1}})),
    ] {
        let error = read("qwen2", json!({ key: value })).unwrap_err();
        assert!(error.what.contains(key), "{error}");
    }
    read("qwen2", json!({ "is_causal": true, "per_layer_config": null })).unwrap();
    assert!(read("gpt2", json!({ "n_positions": 1024 })).unwrap_err().what.contains("learned positions"));
}

#[test]
fn the_end_of_a_text() {
    let end_of_sequence = |family, others| read(family, others).unwrap().default_end_of_sequence;
    assert_eq!(end_of_sequence("llama", json!({})), Some(2));
    assert_eq!(end_of_sequence("smollm3", json!({})), Some(128_001));
    assert_eq!(end_of_sequence("qwen2", json!({})), None);
    for given in [json!(1), json!(null), json!([1, 2])] {
        assert_eq!(end_of_sequence("llama", json!({ "eos_token_id": given })), None);
    }
}

/// Figures of `_compute_yarn_parameters`.
#[test]
fn yarn_by_its_keys() {
    let spectrum = |others: Value| {
        let mut scaling = json!({ "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512 });
        scaling.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        let own = rope(json!({ "rope_scaling": scaling })).0;
        own.scaling.clone().unwrap().spectrum(&own, 512)
    };
    let scale = |others| spectrum(others).scale.sqrt();
    assert!(is_near(scale(json!({})), 0.1 * 4f64.ln() + 1.0));
    assert!(is_near(scale(json!({ "mscale": 1.0, "mscale_all_dim": 1.0 })), 1.0));
    let both = (0.1 * 0.707 * 4f64.ln() + 1.0) / (0.1 * 0.5 * 4f64.ln() + 1.0);
    assert!(is_near(scale(json!({ "mscale": 0.707, "mscale_all_dim": 0.5 })), both));
    // One of them alone counts for nothing, and neither do they next to an attention_factor.
    assert!(is_near(scale(json!({ "mscale": 0.707 })), 0.1 * 4f64.ln() + 1.0));
    assert!(is_near(scale(json!({ "mscale": 0.7, "mscale_all_dim": 0.5, "attention_factor": 1.5 })), 1.5));
    // A factor of null is the ratio of the lengths.
    assert!(is_near(scale(json!({ "factor": null })), 0.1 * (2048f64 / 512.0).ln() + 1.0));
    let [whole, cut] = [true, false].map(|truncate| spectrum(json!({ "truncate": truncate })).frequencies);
    assert_ne!(whole, cut);
    assert_eq!(whole, spectrum(json!({})).frequencies);
}

#[test]
fn biases_and_activations_as_the_family_has_them() {
    let read = |family, others| read(family, others).unwrap();
    let config = read("mistral", json!({ "attention_bias": true }));
    assert!(!config.biases.qkv && config.notes.len() == 1, "{:?}", config.notes);
    for (bias, notes) in [(true, 0), (false, 1)] {
        let config = read("qwen2", json!({ "attention_bias": bias }));
        assert!(config.biases.qkv && !config.biases.output && config.notes.len() == notes);
    }
    assert!(read("qwen3", json!({ "attention_bias": true })).biases.output);
    read("llama", json!({ "hidden_act": "swish" }));
    read("starcoder2", json!({ "hidden_act": "gelu_new" }));
    assert_eq!(read("qwen3", json!({ "head_dim": "left out" })).attention.head_dim, 128);
    assert!(super::tests::read("llama", json!({ "hidden_act": "gelu" })).is_err());
}

#[test]
fn sizes_are_checked_before_they_are_used() {
    let cases = [
        ("num_hidden_layers", json!({ "num_hidden_layers": 10_000_000_000u64 })),
        ("num_hidden_layers", json!({ "num_hidden_layers": u64::MAX })),
        ("head_dim", json!({ "head_dim": (1u64 << 62) + 48 })),
        ("hidden_size", json!({ "hidden_size": 1u64 << 40, "head_dim": 8 })),
        ("vocab_size", json!({ "vocab_size": 1u64 << 62 })),
        ("vocab_size", json!({ "vocab_size": 2_000_000_000, "hidden_size": 2_000_000_000 })),
        ("intermediate_size", json!({ "intermediate_size": 1u64 << 31 })),
        ("intermediate_size", json!({ "intermediate_size": 2_000_000_000, "hidden_size": 1_000_000 })),
        ("num_attention_heads", json!({ "num_attention_heads": 2_000_000_000, "head_dim": 2_000_000_000 })),
        ("max_position_embeddings", json!({ "max_position_embeddings": u64::MAX })),
        ("max_position_embeddings", json!({ "max_position_embeddings": 0 })),
        ("num_attention_heads", json!({ "num_attention_heads": 0 })),
    ];
    for (key, others) in cases {
        for family in ["llama", "smollm3", "phi3", "qwen2"] {
            let error = read(family, others.clone()).expect_err(key);
            assert!(error.to_string().contains(key) && error.fix.is_some(), "{others}: {error}");
        }
    }
    let layers = json!({ "num_hidden_layers": 10_000_000_000u64, "no_rope_layers": [1] });
    assert!(read("smollm3", layers).unwrap_err().what.contains("num_hidden_layers"));
}

#[test]
fn keys_stand_once() {
    let text = config("llama", json!({})).to_string();
    NetworkConfig::parse(&text).unwrap();
    for twice in
        ["\"rope_theta\": 1e6, \"rope_theta\": 1e4", "\"rope_scaling\": {\"factor\": 1, \"factor\": 2}"]
    {
        let text = format!("{{{twice}, {}", &text[1..]);
        let error = NetworkConfig::parse(&text).unwrap_err();
        assert!(error.what.contains("twice") && error.fix.is_some(), "{error}");
    }
    let deep = format!("{{\"x\": {}1{}, {}", "[".repeat(100_000), "]".repeat(100_000), &text[1..]);
    assert!(NetworkConfig::parse(&deep).unwrap_err().what.contains("not valid JSON"));
}

/// Devstral Small 2's figures.
fn ministral3(others: Value) -> Value {
    let mut rope = json!({
        "type": "yarn", "rope_type": "yarn", "rope_theta": 1e8, "factor": 48.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "original_max_position_embeddings": 8192, "max_position_embeddings": 393_216, "mscale": 1.0,
        "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
    });
    rope.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    config("ministral3", json!({ "max_position_embeddings": 393_216, "rope_parameters": rope }))
}

#[test]
fn a_temperature_of_the_models_own() {
    let read = |others| NetworkConfig::from_json(ministral3(others));
    let config = read(json!({})).unwrap();
    assert_eq!((config.rope.own_temperature, config.trained_length(), config.rope.base), (0.1, 8192, 1e8));
    assert_eq!(config.notes, Vec::<String>::new());
    let scale = config.rope.own_spectrum(512).scale;
    assert!(is_near(scale, 1.0), "{scale}");
    for (key, value) in [
        ("llama_4_scaling_beta", json!(null)),
        ("llama_4_scaling_beta", json!("0.1")),
        ("llama_4_scaling_beta", json!(-0.1)),
        ("original_max_position_embeddings", json!(null)),
    ] {
        let error = read(json!({ key: value })).unwrap_err();
        assert!(error.to_string().contains(key) && error.fix.is_some(), "{error}");
    }
    // To other families the key means nothing, as in transformers.
    let scaling = json!({ "rope_type": "yarn", "factor": 4.0, "llama_4_scaling_beta": 0.1 });
    let config = self::read("llama", json!({ "rope_scaling": scaling })).unwrap();
    assert_eq!(config.rope.own_temperature, 0.0);
    assert!(config.notes.join("").contains("llama_4_scaling_beta"), "{:?}", config.notes);
}

#[test]
fn the_text_model_inside_a_larger_one() {
    let whole = |text: Value, others: Value| {
        let mut whole =
            json!({ "model_type": "mistral3", "vision_config": { "hidden_size": 8 }, "text_config": text });
        whole.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        NetworkConfig::from_json(whole)
    };
    let config = whole(ministral3(json!({})), json!({ "tie_word_embeddings": false })).unwrap();
    assert!(config.is_inside && !config.tie_word_embeddings && config.rope.own_temperature == 0.1);
    assert!(
        config.notes[0].contains("mistral3") && config.notes[0].contains("ministral3"),
        "{:?}",
        config.notes
    );
    // Whether the head is the embedding is up to the whole, which says yes where it says nothing.
    assert!(whole(ministral3(json!({})), json!({})).unwrap().tie_word_embeddings);
    for (text, others, named) in [
        (ministral3(json!({ "factor": "4" })), json!({}), "text_config"),
        (ministral3(json!({})), json!({ "tie_word_embeddings": 1 }), "tie_word_embeddings"),
        (
            ministral3(json!({})),
            json!({ "quantization_config": { "quant_method": "fp8" } }),
            "quantization_config",
        ),
        (json!({ "model_type": "qwen3_5_text" }), json!({}), "vision_config (images)"),
        (json!({ "hidden_size": 8 }), json!({}), "vision_config (images)"),
    ] {
        let error = whole(text, others).unwrap_err();
        assert!(error.to_string().contains(named) && error.fix.is_some(), "{error}");
    }
}

/// The base, whether it is scaled, and the window of each layer; 0 for one that does not turn.
fn layers(model_type: &str, others: Value) -> Vec<(f64, bool, bool)> {
    let rope = read(model_type, others).unwrap().rope;
    let of_layer = |layer| {
        let slides = rope.own_window.as_ref().is_some_and(|own| own.layers[layer]);
        let (base, scaled) = match rope.rope_of(layer) {
            None => (0.0, false),
            Some(0) => (rope.base, rope.scaling.is_some()),
            Some(other) => (rope.others[other - 1].base, rope.others[other - 1].scaling.is_some()),
        };
        (base, scaled, slides)
    };
    (0..rope.layers).map(of_layer).collect()
}

#[test]
fn a_rope_for_each_type_of_layer() {
    let yarn = json!({ "rope_type": "yarn", "factor": 4.0 });
    let types = json!(["sliding_attention", "full_attention"]);
    // The places of older versions: a scaling is that of full attention, as is OLMo 3's base.
    let old = json!({ "layer_types": types, "rope_theta": 700.0, "rope_scaling": yarn });
    assert_eq!(layers("olmo3", old.clone()), [(5e5, false, true), (700.0, true, false)]);
    assert_eq!(layers("gemma3_text", old), [(1e4, false, true), (700.0, true, false)]);
    let local = json!({ "layer_types": types, "rope_local_base_freq": 300 });
    assert_eq!(layers("gemma3_text", local), [(300.0, false, true), (1e6, false, false)]);
    let new = json!({ "layer_types": types, "rope_theta": 700.0, "rope_parameters": {
        "full_attention": { "rope_type": "default", "rope_theta": 900.0 }, "sliding_attention": yarn,
    }});
    assert_eq!(layers("olmo3", new), [(5e5, true, true), (900.0, false, false)]);
    // The patterns of the families.
    let every = |layers: usize| json!({ "num_hidden_layers": layers });
    let slide =
        |model, count: usize| layers(model, every(count)).iter().map(|layer| layer.2).collect::<Vec<_>>();
    assert_eq!(slide("olmo3", 5), [true, true, true, false, true]);
    assert_eq!(slide("gemma2", 3), [true, false, true]);
    assert_eq!(slide("gemma3_text", 7), [true, true, true, true, true, false, true]);
    assert_eq!(slide("granite_swa", 5), [false, true, true, true, false]);
    let no_positions = layers("cohere2", json!({ "num_hidden_layers": 3, "sliding_window_pattern": 2 }));
    assert_eq!(no_positions, [(1e4, false, true), (0.0, false, false), (1e4, false, true)]);
    let bases = json!({ "layer_rope_theta": [0, 500.0] });
    assert_eq!(layers("granite_swa", bases), [(0.0, false, false), (500.0, false, true)]);
}

#[test]
fn what_layers_of_several_sorts_cannot_be_is_named() {
    for (model, others, what) in [
        ("gemma3_text", json!({ "rope_parameters": { "rope_theta": 1e4 } }), "one for each type of layer"),
        ("olmo3", json!({ "rope_scaling": { "rope_type": "dynamic", "factor": 2.0 } }), "dynamic"),
        ("olmo3", json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } }), "rope_scaling.type"),
        ("olmo3", json!({ "sliding_window": null }), "sliding_window"),
        ("gemma3_text", json!({ "sliding_window_pattern": 0 }), "sliding_window_pattern"),
        ("gemma2", json!({ "hidden_activation": "silu" }), "hidden_activation"),
        ("gemma2", json!({ "attn_logit_softcapping": 0.0 }), "attn_logit_softcapping"),
        ("gemma3_text", json!({ "use_bidirectional_attention": true }), "use_bidirectional_attention"),
        ("granite_swa", json!({ "layer_rope_theta": [0] }), "layer_rope_theta"),
        ("mellum", json!({ "rope_theta": 1e4 }), "in a mellum model"),
        ("mellum", json!({ "mlp_layer_types": ["sparse", "thin"] }), "mlp_layer_types thin"),
        ("gpt_oss", json!({}), "rope_parameters is missing"),
        ("gpt_oss", json!({ "quantization_config": { "quant_method": "gptq" } }), "gptq"),
        ("llama", json!({ "quantization_config": { "quant_method": "mxfp4" } }), "quantization_config"),
        ("granite_swa", json!({ "layer_rope_theta": [0, 0.5] }), "layer_rope_theta"),
        ("glm4", json!({ "partial_rotary_factor": 0.25 }), "partial_rotary_factor"),
        ("qwen3", json!({ "final_logit_softcapping": 30.0 }), "soft caps"),
        (
            "qwen3_next",
            json!({ "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 4 }),
            "linear_attention in layer 0",
        ),
        ("llama", json!({ "layer_types": ["full_attention", "mamba"] }), "mamba in layer 1"),
    ] {
        let error = read(model, others.clone()).unwrap_err().to_string();
        assert!(error.contains(what), "{model} {others}: {error}");
    }
}
