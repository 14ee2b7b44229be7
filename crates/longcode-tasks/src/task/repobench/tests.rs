//! Comparison with the output of RepoBench's own code (scripts/make_benchmark_fixtures.py).

use serde_json::{Value, json};

use super::*;
use crate::task::testing::{dataset, generation, nano};
use crate::task::{Answer, Task};
use longcode_structure::Language;
use longcode_text::Ended;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../tests/benchmarks/repobench.json")).unwrap()
}

fn language(case: &Value) -> Language {
    case["language"].as_str().unwrap().parse().unwrap()
}

#[test]
fn prompts_are_repo_bench_s() {
    let (fixture, model) = (fixture(), nano());
    let cases = fixture["prompts"].as_array().unwrap();
    let mut cut = 0;
    for case in cases {
        let mut record = fixture["records"][case["record"].as_str().unwrap()].clone();
        record["language"] = case["language"].clone();
        let (_dir, dataset) = dataset(&[record]);
        let parts = Parts::of(&dataset.records().unwrap()[0]).unwrap();
        let limit = case["max_token_nums"].as_u64().unwrap_or(1 << 40) as usize;
        let (prompt, left_out) = parts.prompt(limit, model.tokenizer()).unwrap();
        assert_eq!(prompt, case["prompt"].as_str().unwrap(), "{} {limit}", case["record"]);
        cut += usize::from(left_out > 0);
    }
    assert!(cases.len() >= 40 && cut >= 10, "{cut}");
}

#[test]
fn the_line_that_counts_is_repo_bench_s() {
    let fixture = fixture();
    let cases = fixture["first_lines"].as_array().unwrap();
    for case in cases {
        let found = answer::first_line_of_code(case["code"].as_str().unwrap(), language(case));
        assert_eq!(found, case["line"].as_str().unwrap(), "{case}");
    }
    assert!(cases.len() >= 200);
}

#[test]
fn scores_are_repo_bench_s() {
    let fixture = fixture();
    let cases = fixture["scores"].as_array().unwrap();
    let mut sums = [0.0; 3];
    for case in cases {
        let line = case["prediction"].as_str().unwrap();
        let found = answer::scores(line, case["truth"].as_str().unwrap());
        let expected = [
            100.0 * case["em"].as_f64().unwrap(),
            case["es"]["difflib"].as_f64().unwrap(),
            case["es"]["levenshtein"].as_f64().unwrap(),
        ];
        assert_eq!(found, expected, "{case}");
        sums.iter_mut().zip(found).for_each(|(sum, one)| *sum += one);
    }
    let means = sums.map(|sum| sum / cases.len() as f64);
    let all = &fixture["all"];
    assert!((means[0] / 100.0 - all["em"].as_f64().unwrap()).abs() < 1e-5);
    assert!((means[1] - all["es"]["difflib"].as_f64().unwrap()).abs() < 1e-5);
    assert!((means[2] - all["es"]["levenshtein"].as_f64().unwrap()).abs() < 1e-5);
}

#[test]
fn what_the_other_files_are_worth() {
    let record = json!({
        "repo_name": "a/b", "file_path": "c.py", "context": [{"path": "d.py", "snippet": "def f(): pass"}],
        "import_statement": "import d", "cropped_code": "x = 1\n", "next_line": "d.f()", "language": "python",
    });
    let (_dir, dataset) = dataset(&[record]);
    let task: Repobench = toml::from_str("limit = 1000\nsamples = 1\nalone = true").unwrap();
    let sample = task.samples(&dataset, &nano(), 0).unwrap().samples.remove(0);
    let alone = &sample.others[0];
    assert_eq!(alone.text, "# Path: c.py\nimport d\nx = 1\n");
    assert_eq!(sample.text, format!("# Repo Name: a/b\n# Path: d.py\ndef f(): pass\n\n{}", alone.text));
    let starts: Vec<_> =
        sample.file_starts.iter().map(|&at| sample.text[at..].lines().next().unwrap()).collect();
    assert_eq!((starts, &alone.file_starts[..]), (vec!["# Path: d.py", "# Path: c.py"], &[0][..]));
    let candidates = Vec::new();
    let generated = Generated {
        generation: generation("d.f()\n", Ended::MaxNewTokens),
        candidates,
        others: vec![Generated {
            generation: generation("# no\nd.g()", Ended::MaxNewTokens),
            candidates: Vec::new(),
            others: Vec::new(),
        }],
    };
    let measures = task.measures(&task.outcome(&sample, Answer::Generated(generated), 512)).unwrap();
    let all = measures.iter().filter(|measure| measure.group == Group::All);
    let all: Vec<_> = all.map(|measure| (measure.metric, measure.numerator)).collect();
    assert_eq!(
        all,
        [
            ("exact_match", 100.0),
            ("edit_similarity", 100.0),
            ("indel_similarity", 100.0),
            ("truncated", 0.0),
            ("exact_match_gain", 100.0),
            ("edit_similarity_gain", 20.0),
        ]
    );
}

#[test]
fn records_that_are_wrong_are_named() {
    let good = json!({
        "id": "0", "repo_name": "a/b", "file_path": "c.py", "context": [], "import_statement": "",
        "cropped_code": "x = 1\n", "next_line": "y", "language": "python",
    });
    let with = |key: &str, value: Value| {
        let mut record = good.clone();
        record["id"] = key.into();
        record[key] = value;
        record
    };
    let records = [
        good.clone(),
        with("context", json!("x")),
        with("context_", json!(1)),
        with("language", json!("cobol")),
        with("next_line", json!(3)),
    ];
    let mut records = records.to_vec();
    records[2]["context"] = json!([{"path": "d.py"}]);
    let (_dir, dataset) = dataset(&records);
    let task: Repobench = toml::from_str("limit = 1000\nsamples = 9").unwrap();
    let Selection { samples, mut left_out, notes } = task.samples(&dataset, &nano(), 0).unwrap();
    assert_eq!((samples.len(), &notes[..]), (1, &["all: 1 of 9 records asked for".to_string()][..]));
    left_out.sort_by(|a, b| a.record.cmp(&b.record));
    let why =
        ["`context` is not a list", "a snippet without", "language is not known", "`next_line` is a number"];
    assert_eq!(left_out.len(), why.len());
    for (left_out, why) in left_out.iter().zip(why) {
        assert!(left_out.why.contains(why), "{left_out:?}");
    }
}
