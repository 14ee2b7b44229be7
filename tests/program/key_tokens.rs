//! `key_tokens`: LongPPL by the program against its authors' code, what is kept of the evaluator, and what goes wrong.

use std::fs;
use std::io::Read;

use crate::common::cli::Workspace;
use crate::common::repository;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// What the authors' code says (scripts/make_key_tokens_fixture.py).
fn fixture() -> Value {
    let path = repository("crates/longcode-tasks/tests/benchmarks/key_tokens.json.gz");
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The fixture's texts, on one of its models with one of its keys, the evaluator's name being a copy of nano.
fn space(fixture: &Value, model: &str, keys: usize) -> Workspace {
    let space = Workspace::new();
    let texts = fixture["texts"].as_array().unwrap().iter().enumerate();
    let lines: Vec<String> =
        texts.map(|(n, text)| json!({"id": format!("t{n}"), "text": text}).to_string()).collect();
    space.write("texts.jsonl", lines.join("\n"));
    fs::create_dir(space.path("evaluator")).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(repository("models/nano").join(file), space.path("evaluator").join(file)).unwrap();
    }
    let key = |name: &str| fixture["keys"][keys][name].clone();
    space.write(
        "config.toml",
        format!(
            "name = \"k\"\n[[model]]\nname = \"m\"\npath = {:?}\n[[encoding]]\nkind = \"rope\"\n[[task]]\nname = \"lm\"\n\
             kind = \"language_modeling\"\ndataset = \"texts.jsonl\"\nbuckets = [0, 100000]\nsamples = 99\n\
             key_tokens = {{ model = \"evaluator\", gain = {}, ceiling = {}, short = {}, step = {} }}\n",
            repository("models").join(model),
            key("gain"),
            key("ceiling"),
            key("short"),
            key("step"),
        ),
    );
    space
}

fn figure(space: &Workspace, metric: &str) -> f64 {
    let summary = space.text("results/k/summary.csv");
    let mut lines = csv::Reader::from_reader(summary.as_bytes());
    let headers = lines.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (bucket, name, value) = (at("bucket"), at("metric"), at("value"));
    let found =
        lines.records().map(Result::unwrap).find(|line| &line[bucket] == "all" && &line[name] == metric);
    found.unwrap_or_else(|| panic!("no {metric} in {summary}"))[value].parse().unwrap()
}

fn kept(space: &Workspace) -> Vec<Value> {
    space.text("results/k/evaluator.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn long_ppl_is_that_of_the_authors_code() {
    let fixture = fixture();
    for (model, keys) in [("lookup", 1), ("nano", 1), ("nano", 0)] {
        let space = space(&fixture, model, keys);
        space.run("");
        let (mut sum, mut count) = (0.0, 0.0);
        for case in fixture["cases"].as_array().unwrap() {
            let is_its = case["model"] == model && case["keys"] == keys;
            if let (true, Some(ppl)) = (is_its, case["longppl"].as_f64()) {
                let tokens = case["key_tokens"].as_f64().unwrap();
                (sum, count) = (sum + tokens * ppl.ln(), count + tokens);
            }
        }
        // Texts are weighted by their key tokens, as there.
        let found = figure(&space, "key_loss");
        assert!((found - sum / count).abs() < 1e-3, "{model}, {keys}: {found}, {}", sum / count);
        assert!((figure(&space, "long_ppl") / found.exp() - 1.0).abs() < 1e-9);
        let read = fixture["read"].as_array().unwrap().iter().filter(|read| read["model"] == model);
        let predicted: usize = read.map(|read| read["losses"].as_array().unwrap().len()).sum();
        assert!((figure(&space, "key_share") - count / predicted as f64).abs() < 1e-9);
    }
}

#[test]
fn the_evaluator_reads_a_text_once_and_again_only_if_the_text_is_another() {
    let fixture = fixture();
    let space = space(&fixture, "nano", 1);
    let ended = space.run("");
    let texts = fixture["texts"].as_array().unwrap().len();
    assert!(ended.stderr.contains(&format!("the evaluator \"evaluator\" reads {texts} texts")), "{ended:?}");
    assert!(ended.stderr.contains("was trained at 512 tokens"), "{ended:?}");
    assert!(ended.stderr.contains("1 of 7 texts have no key tokens"), "{ended:?}");
    assert!(space.text("results/k/report.md").contains("1 of 7 texts have no key tokens"));
    let first = kept(&space);
    assert_eq!(first.len(), texts);
    let before = figure(&space, "long_ppl");

    // A row that is added later finds what is kept, and so does a run with other thresholds that is given the file.
    space.replace("config.toml", "[[task]]", "[[encoding]]\nkind = \"rerope\"\nwindow = 64\n[[task]]");
    let ended = space.run("");
    assert!(!ended.stderr.contains("what it says of them is kept"), "{ended:?}");
    assert_eq!(kept(&space), first);
    assert_eq!(figure(&space, "long_ppl"), before);

    // Losses of another text than the sample's are named and counted, and that text alone is read again.
    let text = space.text("results/k/evaluator.jsonl");
    let sha256 = first[2]["sha256"].as_str().unwrap();
    space.write("results/k/evaluator.jsonl", text.replace(sha256, &"0".repeat(64)));
    space.replace("config.toml", "[[task]]", "[[encoding]]\nkind = \"ntk\"\nfactor = 2\n[[task]]");
    let ended = space.run("");
    assert!(ended.stderr.contains("another text than that of 1 sample(s), the first \"t"), "{ended:?}");
    assert!(ended.stderr.contains("reads 1 texts"), "{ended:?}");
    assert_eq!(kept(&space).len(), texts + 1);
    assert_eq!(figure(&space, "long_ppl"), before);
}

#[test]
fn another_evaluator_and_damage_are_refused_by_name() {
    let fixture = fixture();
    let space = space(&fixture, "nano", 0);
    space.run("");
    let whole = space.text("results/k/evaluator.jsonl");
    let grow =
        || space.replace("config.toml", "[[task]]", "[[encoding]]\nkind = \"ntk\"\nfactor = 2\n[[task]]");
    grow();
    let sha256 = kept(&space)[0]["model_sha256"].as_str().unwrap().to_string();
    space.write("results/k/evaluator.jsonl", whole.replace(&sha256, &"0".repeat(64)));
    let run = "run config.toml --device cpu";
    let refused = space.longcode(run);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("losses of other files of the evaluator \"evaluator\""), "{refused:?}");
    space.write("results/k/evaluator.jsonl", format!("{{}}\n{whole}"));
    let refused = space.longcode(run);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("evaluator.jsonl") && refused.stderr.contains("line 1"), "{refused:?}");
    space.longcode(&format!("{run} --fresh")).done();
    assert_eq!(space.text("results/k/evaluator.jsonl"), whole);

    fs::remove_dir_all(space.path("evaluator")).unwrap();
    let refused = space.longcode(&format!("{run} --fresh"));
    assert!(refused.stderr.contains("`evaluator` does not exist"), "{refused:?}");
    assert!(refused.stderr.contains("key_tokens.model"), "{refused:?}");
}
