use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;

fn fixtures() -> Value {
    serde_json::from_str(include_str!("../../tests/tokenizers.json")).unwrap()
}

fn write(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).unwrap();
}

fn array<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap()
}

/// The tokenizer of a directory with these files.
fn read(files: &[(&str, &Value)]) -> Result<Tokenizer> {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in files {
        write(dir.path(), name, value);
    }
    Tokenizer::read(dir.path())
}

/// A base of the fixtures, changed.
fn base(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut json = fixtures()["bases"][name].clone();
    change(&mut json);
    json
}

fn refused(json: &Value, config: &Value, parts: &[&str]) {
    let error = match read(&[("tokenizer.json", json), ("tokenizer_config.json", config)]) {
        Ok(_) => panic!("{parts:?} was read"),
        Err(error) => error,
    };
    let text = error.to_string();
    assert!(error.fix.is_some() && text.contains("tokenizer.json"), "{text}");
    parts.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
}

#[test]
fn ids_are_those_of_transformers() {
    let fixtures = fixtures();
    let mut wrong = String::new();
    for case in array(&fixtures, "cases") {
        let mut json = fixtures["bases"][case["base"].as_str().unwrap()].clone();
        for (key, value) in case["patch"].as_object().unwrap() {
            json[key] = value.clone();
        }
        let mut files = vec![("tokenizer.json", &json), ("tokenizer_config.json", &case["config"])];
        files.extend(case["others"].as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value)));
        let found = match read(&files) {
            Ok(tokenizer) => {
                let encode = |text: &Value| json!(tokenizer.encode(text.as_str().unwrap()).unwrap().ids);
                Value::from(array(case, "texts").iter().map(encode).collect::<Vec<_>>())
            }
            Err(e) if case["ids"].is_null() => {
                let text = e.to_string();
                assert!(text.contains("is token") && text.contains("added_tokens"), "{text}");
                Value::Null
            }
            Err(e) => Value::from(e.to_string()),
        };
        if found != case["ids"] {
            let config = &case["config"];
            writeln!(wrong, "{}: {config} {}\n  {found}\n  {}", case["name"], case["others"], case["ids"])
                .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_continuation_keeps_its_first_space() {
    let fixtures = fixtures();
    for case in array(&fixtures, "continuations") {
        let json = &fixtures["bases"][case["base"].as_str().unwrap()];
        let tokenizer = read(&[("tokenizer.json", json)]).unwrap();
        let ids =
            |key: &str| array(case, key).iter().map(|id| id.as_u64().unwrap() as u32).collect::<Vec<_>>();
        let after = tokenizer.after(&ids("context")).unwrap();
        assert_eq!(after.decode(&ids("ids")).unwrap(), case["text"].as_str().unwrap(), "{case}");
    }
    let tokenizer = read(&[("tokenizer.json", &fixtures["bases"]["prepend"])]).unwrap();
    // After a long run of spaces, after characters in bytes, and token by token.
    for context in [format!("a{}", " ".repeat(500)), "🙂位置".repeat(30), "x = 1".into()] {
        let ids = tokenizer.encode(&format!("{context} = 🙂 b")).unwrap().ids;
        let read = tokenizer.encode(&context).unwrap().ids.len().min(ids.len());
        let (before, after) = ids.split_at(read);
        let whole = format!(
            "{}{}",
            tokenizer.decode(before).unwrap(),
            tokenizer.after(before).unwrap().decode(after).unwrap()
        );
        assert_eq!(whole, tokenizer.decode(&ids).unwrap());
        for end in 0..after.len() {
            let text = tokenizer.after(before).unwrap().decode(&after[..end]).unwrap();
            assert!(tokenizer.decode(&ids[..read + end]).unwrap().ends_with(&text), "{context}: {text}");
        }
    }
}

/// transformers takes the class that tokenizer_config.json names, except for some families.
#[test]
fn a_class_counts_for_some_families_alone() {
    let json = base("prepend", |_| ());
    let ids = |config: Value, model_type: &str| {
        let config =
            [("tokenizer_config.json", &config), ("config.json", &json!({ "model_type": model_type }))];
        read(&[("tokenizer.json", &json), config[0], config[1]]).unwrap().encode("def f").unwrap().ids
    };
    let named = json!({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false});
    let plain = ids(json!({}), "llama");
    assert_ne!(ids(named.clone(), "llama"), plain);
    assert_eq!(ids(named.clone(), "deepseek_v2"), ids(named.clone(), "llama"));
    for model_type in [
        "mistral",
        "mixtral",
        "ministral3",
        "phi3",
        "ernie4_5",
        "ernie4_5_moe",
        "granitemoe",
        "olmo3",
        "glm4",
    ] {
        assert_eq!(ids(named.clone(), model_type), plain, "{model_type}");
    }
}

#[test]
fn special_tokens_are_split_where_asked() {
    let json = base("byte level", |_| ());
    let special = json["added_tokens"][0]["content"].as_str().unwrap();
    let ids = |splits: Value| {
        let config = json!({ "split_special_tokens": splits });
        read(&[("tokenizer.json", &json), ("tokenizer_config.json", &config)])
            .unwrap()
            .encode(special)
            .unwrap()
            .ids
    };
    assert_eq!(ids(json!(false)), ids(Value::Null));
    assert!(ids(json!(true)).len() > ids(json!(false)).len(), "{special}");
    refused(
        &json,
        &json!({"split_special_tokens": "yes"}),
        &["split_special_tokens is neither true nor false"],
    );
    refused(&json, &json!({"tokenizer_class": ["LlamaTokenizer"]}), &["tokenizer_class is not a text"]);
}

#[test]
fn dropout_is_not_obeyed() {
    let text = "def value(number):\n    return number\n".repeat(20);
    let plain = read(&[("tokenizer.json", &base("byte level", |_| ()))]).unwrap().encode(&text).unwrap();
    let dropped = base("byte level", |json| json["model"]["dropout"] = json!(0.5));
    assert_eq!(read(&[("tokenizer.json", &dropped)]).unwrap().encode(&text).unwrap(), plain);
}

#[test]
fn what_a_tokenizer_cannot_do_is_told() {
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let given_up = base("byte level", |json| json["pre_tokenizer"] = split("(x+x+)+y"));
    let tokenizer = read(&[("tokenizer.json", &given_up)]).unwrap();
    let error = tokenizer.encode(&"x".repeat(5_000)).unwrap_err();
    assert!(error.to_string().contains("tokenizer.json") && error.fix.is_some(), "{error}");
    let map = |map: &str| json!({"type": "Precompiled", "precompiled_charsmap": map});
    for damaged in ["", "AAAA", "/////w==", "AAAAAAAA", "not base64!", "BAAAAP////8AAAAA"] {
        let json = base("prepend", |json| json["normalizer"] = map(damaged));
        match read(&[("tokenizer.json", &json)]).map(|tokenizer| tokenizer.encode("a b äöü ﬁ")) {
            Ok(Ok(_)) => (),
            Ok(Err(e)) | Err(e) => {
                assert!(e.to_string().contains("tokenizer.json") && e.fix.is_some(), "{e}")
            }
        }
    }
}

#[test]
fn parts_that_make_a_text_grow_are_refused() {
    let replace =
        |from: &str, to: &str| json!({"type": "Replace", "pattern": {"String": from}, "content": to});
    let by_regex = |to: &str| json!({"type": "Replace", "pattern": {"Regex": "a*"}, "content": to});
    let all = |kind: &str, parts: Vec<Value>| match kind {
        "normalizer" => json!({"type": "Sequence", "normalizers": parts}),
        _ => json!({"type": "Sequence", "decoders": parts}),
    };
    for kind in ["normalizer", "decoder"] {
        for part in [
            all(kind, vec![replace("a", "aa"); 30]),
            replace("a", &"b".repeat(1000)),
            by_regex(&"b".repeat(1000)),
            replace("", &"b".repeat(1000)),
            all(kind, vec![all(kind, vec![replace("a", "aaaaaaa")]); 2]),
        ] {
            let json = base("prepend", |json| json[kind] = part);
            refused(&json, &json!({}), &[kind, "times as long", "32"]);
        }
    }
    let before = json!({"type": "Prepend", "prepend": "▁".repeat(1000)});
    refused(&base("prepend", |json| json["normalizer"] = before), &json!({}), &["normalizer", "before it"]);
}

#[test]
fn ids_beyond_the_embeddings() {
    let read = |json: &Value, config: &Value| {
        read(&[("tokenizer.json", json), ("tokenizer_config.json", config)]).unwrap()
    };
    let json = base("byte level", |_| ());
    let size = json["model"]["vocab"].as_object().unwrap().len();
    let padded = read(&json, &json!({"pad_token": "<pad>"})).with_embeddings(size).unwrap();
    assert!(padded.encode("a").is_ok());
    let error = padded.encode("a<pad>").unwrap_err().to_string();
    assert!(
        error.contains("<pad>") && error.contains("embeddings") && error.contains("tokenizer.json"),
        "{error}"
    );
    let template = base("byte level", |json| {
        json["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [99999], "tokens": ["<s>"]}},
        });
    });
    for (json, most) in [(&template, size), (&json, size - 1)] {
        let error = read(json, &json!({})).with_embeddings(most).err().unwrap().to_string();
        assert!(error.contains("embeddings") && error.contains("tokenizer.json"), "{error}");
    }
}

#[test]
fn keys_of_another_type_are_refused() {
    let json = base("byte level", |_| ());
    for (config, parts) in [
        (json!({"added_tokens_decoder": []}), &["added_tokens_decoder"][..]),
        (json!({"added_tokens_decoder": {"x": {"content": "a"}}}), &["added_tokens_decoder", "`x`"]),
        (json!({"added_tokens_decoder": {"500": "a"}}), &["added_tokens_decoder.500"]),
        (json!({"added_tokens_decoder": {"500": {"content": 1}}}), &["added_tokens_decoder.500"]),
        (json!({"added_tokens_decoder": {"500": {"content": "a", "lstrip": "yes"}}}), &["lstrip", "`a`"]),
        (json!({"additional_special_tokens": "<a>"}), &["additional_special_tokens"]),
        (json!({"extra_special_tokens": [1]}), &["extra_special_tokens"]),
        (json!({"bos_token": 1}), &["bos_token"]),
        (json!({"add_bos_token": "yes"}), &["add_bos_token"]),
        (json!({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": 1}), &["add_prefix_space"]),
    ] {
        refused(&json, &config, &[parts, &["tokenizer.json"]].concat());
    }
    let digits = base("byte level", |json| {
        let part = json["pre_tokenizer"].clone();
        let digits = json!({"type": "Digits", "individual_digits": true});
        json["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [digits, part]});
    });
    let config = json!({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true});
    refused(&digits, &config, &["add_prefix_space", "tokenizer_config.json"]);
}

#[test]
fn many_added_tokens() {
    let size = base("byte level", |_| ())["model"]["vocab"].as_object().unwrap().len();
    let many = |count: usize| {
        base("byte level", |json| {
            let token = |n: usize| {
                json!({"id": size + n, "content": format!("<|token {n}|>"), "special": true, "single_word": false,
                       "lstrip": false, "rstrip": false, "normalized": false})
            };
            json["added_tokens"].as_array_mut().unwrap().extend((0..count).map(token));
        })
    };
    let tokenizer = read(&[("tokenizer.json", &many(20_000))]).unwrap();
    assert_eq!(tokenizer.encode("<|token 19999|>").unwrap().ids, [(size + 19_999) as u32]);
    refused(&many(300_000), &json!({}), &["added tokens", "added_tokens"]);
}
