//! `fill_in` by the program: a model that was taken on for it, and records and tokenizers that are wrong, each named, counted
//! and never in the way of the rest.

use std::fs;

use crate::common::cli::{Ended, Workspace};
use crate::common::repository;
use serde_json::{Value, json};

fn record(id: &str, truth: &str) -> Value {
    json!({
        "prompt": "def add(a, b):\n    ",
        "groundtruth": truth,
        "right_context": "\n\nprint(add(1, 2))\n",
        "crossfile_context": "",
        "metadata": {"task_id": id},
    })
}

/// A config with one task on records, by a model of a name.
fn space(model: &str, task: &str, records: &[Value]) -> Workspace {
    let space = Workspace::new();
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    space.write("gaps.jsonl", lines.join("\n"));
    space.write(
        "config.toml",
        format!(
            "name = \"f\"\n[[model]]\nname = \"m\"\npath = {model:?}\n[[encoding]]\nkind = \"rope\"\n[[task]]\nname = \"gaps\"\n\
             kind = \"fill_in\"\ndataset = \"gaps.jsonl\"\nlimit = 400\nright_tokens = 50\ncross_tokens = 50\n\
             max_new_tokens = 16\nbuckets = [0]\nsamples = 9\n{task}"
        ),
    );
    space
}

/// A copy of nano whose vocabulary has the markers as words among others, not as added tokens.
fn markers_as_words(space: &Workspace) {
    fs::create_dir(space.path("words")).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        fs::copy(repository("models/nano").join(file), space.path("words").join(file)).unwrap();
    }
    let text = fs::read_to_string(repository("models/nano/tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_str(&text).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    let last: Vec<String> =
        vocabulary.iter().filter(|(_, id)| id.as_u64() >= Some(4093)).map(|(word, _)| word.clone()).collect();
    for (word, marker) in last.iter().zip(["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]) {
        let id = vocabulary.remove(word).unwrap();
        vocabulary.insert(marker.into(), id);
    }
    let merges = tokenizer["model"]["merges"].as_array_mut().unwrap();
    merges.retain(|merge| {
        let whole: String = match merge {
            Value::String(pair) => pair.split(' ').collect(),
            pair => pair.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect(),
        };
        !last.contains(&whole)
    });
    space.write("words/tokenizer.json", tokenizer.to_string());
}

fn run(space: &Workspace) -> Ended {
    space.longcode("run config.toml --device cpu")
}

#[test]
fn markers_that_are_not_one_token_are_named() {
    let space = space("words", "", &[record("a", "return a + b")]);
    markers_as_words(&space);
    let what = ["the marker <|fim_prefix|> is not one token", "tokenizer.json", "added token"];
    run(&space).failed(2, &what);
    // In a suite the task is named and left out, and the others run.
    space.replace("config.toml", "name = \"f\"", "name = \"f\"\nsuite = true");
    let other = "[[task]]\nkind = \"language_modeling\"\ndataset = \"docs.jsonl\"\nbuckets = [0, 1000]\nsamples = 1\n";
    space.write("config.toml", space.text("config.toml") + "\n" + other);
    let ended = run(&space).done();
    assert!(
        ended.stderr.contains("task \"gaps\", model \"m\": not run: the marker <|fim_prefix|>"),
        "{ended:?}"
    );
    assert!(space.text("results/f/report.md").contains("is not one token"));
}

#[test]
fn a_target_without_lines_is_named_and_counted() {
    let nano = repository("models/nano");
    let records = [record("a", "return a + b"), record("b", " \n\n"), record("c", ""), record("d", "pass")];
    let space = space(&nano.display().to_string(), "left_only = true", &records);
    let ended = run(&space).done();
    assert!(ended.stderr.contains("2 of 9 records asked for"), "{ended:?}");
    let environment: Value = serde_json::from_str(&space.text("results/f/environment.json")).unwrap();
    let left_out = environment["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 2);
    assert!(left_out.iter().all(|one| one["why"].as_str().unwrap().contains("`groundtruth` has no line")));
    let mut places: Vec<&str> = left_out.iter().map(|one| one["record"].as_str().unwrap()).collect();
    places.sort_unstable();
    assert!(places[0].ends_with("gaps.jsonl:2") && places[1].ends_with("gaps.jsonl:3"), "{places:?}");
    assert!(space.text("results/f/report.md").contains("2 records became no samples"));
}

#[test]
fn files_whose_functions_do_not_parse_are_counted() {
    let nano = repository("models/nano");
    let mut broken = record("b", "    return 1");
    broken["prompt"] = "def f(:\n  ) = = class\n\"\"\"".into();
    let records = [record("a", "return a + b"), broken];
    let space = space(&nano.display().to_string(), "left_only = true\nscoring = \"function\"", &records);
    run(&space).done();
    let summary = space.text("results/f/summary.csv");
    let value = |metric: &str| -> f64 {
        let start = format!("m,rope,gaps,all,{metric},");
        let line = summary.lines().find(|line| line.starts_with(&start));
        line.unwrap_or_else(|| panic!("no {metric} in {summary}")).split(',').nth(5).unwrap().parse().unwrap()
    };
    assert!(value("unparsed") >= 50.0, "the broken file counts");
    assert_eq!(space.text("results/f/samples.jsonl").lines().count(), 2, "and the other one is scored");
}
