//! Comparison with the output of Long Code Arena's own code (scripts/make_benchmark_fixtures.py).

use serde_json::{Value, json};

use super::*;
use crate::task::testing::{dataset, generation, nano, unpacked};
use crate::task::{Answer, Task};
use longcode_text::Ended;

fn fixture() -> Value {
    unpacked("lca.json.gz")
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap()
}

#[test]
fn contexts_are_the_path_distance_composer_s() {
    let fixture = fixture();
    let cases = fixture["contexts"].as_array().unwrap();
    // A project without other files stops the composer; here it has the head of the file to complete. The
    // records' own contexts are compared below.
    let composed = |case: &&Value| case["snapshot"].is_array() && case["context"].is_string();
    let cases: Vec<_> = cases.iter().filter(composed).collect();
    for case in &cases {
        let files = case["snapshot"].as_array().unwrap().iter();
        let files: Vec<_> =
            files.map(|file| (file[0].as_str().unwrap(), file[1].as_str().unwrap())).collect();
        let (found, starts) = context::context(text(case, "repo"), text(case, "completion_path"), &files);
        assert_eq!(found, text(case, "context"));
        assert!(starts.iter().all(|&start| found.is_char_boundary(start)));
        assert!(found[starts[starts.len() - 1]..].starts_with(text(case, "completion_path")));
    }
    assert!(cases.len() >= 10);
}

#[test]
fn models_are_given_what_they_are_given_there() {
    let (fixture, model) = (fixture(), nano());
    let limit = fixture["max_seq_len"].as_u64().unwrap();
    let task: ProjectCompletion = toml::from_str(&format!("limit = {limit}\nsamples = 1000")).unwrap();
    let mut seen = 0;
    for (number, record) in fixture["records"].as_array().unwrap().iter().enumerate() {
        let mut record = record.clone();
        record["id"] = "r".into();
        let (_dir, dataset) = dataset(&[record]);
        let Selection { samples, notes, .. } = task.samples(&dataset, &model, 0).unwrap();
        assert!(notes.iter().any(|note| note.contains("longer than 160 tokens")), "{notes:?}");
        for case in fixture["runs"].as_array().unwrap().iter().filter(|case| case["record"] == number) {
            let id = format!("r {} line {}", text(case, "class"), case["line"]);
            let sample = samples.iter().find(|sample| sample.id == id).unwrap();
            let asked = if case["zero_context"] == true { &sample.others[0] } else { sample };
            let ids: Vec<u32> = serde_json::from_value(case["input_ids"].clone()).unwrap();
            assert_eq!(asked.tokens.ids, ids, "{id}");
            assert_eq!(sample.reference::<Reference>().truth, text(case, "truth"));
            seen += 1;
        }
    }
    assert_eq!(seen, fixture["runs"].as_array().unwrap().len());
}

#[test]
fn lines_are_told_and_scored_as_there() {
    let fixture = fixture();
    for case in fixture["runs"].as_array().unwrap() {
        assert_eq!(answer::line(text(case, "generated")), text(case, "prediction"));
    }
    let cases = fixture["line_scores"].as_array().unwrap();
    for case in cases {
        let expected = [100.0 * case["em"].as_f64().unwrap(), case["es"].as_f64().unwrap()];
        assert_eq!(answer::scores(text(case, "prediction"), text(case, "truth")), expected, "{case}");
    }
    assert!(cases.len() >= 100);
}

#[test]
fn the_other_files_gain_is_measured() {
    let record = json!({
        "repo": "a__b", "id": "r", "language": "python",
        "completion_file": {"filename": "c.py", "content": "import d\nd.f()\n"},
        "completion_lines": {"inproject": [1], "infile": []},
        "repo_snapshot": [{"filename": "d.py", "content": "def f(): pass\n"}],
    });
    let (_dir, dataset) = dataset(&[record]);
    let task: ProjectCompletion = toml::from_str("limit = 1000\nsamples = 1").unwrap();
    let sample = task.samples(&dataset, &nano(), 0).unwrap().samples.remove(0);
    assert_eq!(sample.text, "a__bMETASEP\nd.pyMETASEP\ndef f(): pass\nc.pyMETASEP\n\nimport d");
    assert_eq!(sample.others[0].text, "import d");
    let limits = task.limits();
    assert!((limits.stop)("\nd.f()\n") && !(limits.stop)("\n\nd.f()"));
    let answer = |text: &str, others| Generated {
        generation: generation(text, Ended::Stop),
        candidates: Vec::new(),
        others,
    };
    let generated = answer("\nd.f()\n", vec![answer("\nd.g()\n", Vec::new())]);
    let measures = task.measures(&task.outcome(&sample, Answer::Generated(generated), 512)).unwrap();
    let part = measures.iter().filter(|measure| measure.group == Group::Part("inproject"));
    let part: Vec<_> = part.map(|measure| (measure.metric, measure.numerator)).collect();
    let expected = [
        ("exact_match", 100.0),
        ("edit_similarity", 100.0),
        ("truncated", 0.0),
        ("exact_match_gain", 100.0),
        ("edit_similarity_gain", 20.0),
    ];
    assert_eq!(part, expected);
}

#[test]
fn records_that_are_wrong_are_named() {
    let whole = json!({
        "repo": "a__b", "completion_file": {"filename": "c.py", "content": "x\ny"}, "completion_lines": {"random": [1]},
        "repo_snapshot": {"filename": ["d.py"], "content": ["z"]},
    });
    let with = |key: &str, value: Value| {
        let mut record = whole.clone();
        record[key] = value;
        record
    };
    let records = [
        whole.clone(),
        with("completion_lines", json!({"random": [2]})),
        with("completion_lines", json!({"random": 1})),
        with("repo_snapshot", json!({"filename": ["d.py"], "content": []})),
        with("completion_file", json!({"filename": "c.py"})),
        with("repo", json!(3)),
    ];
    let (_dir, dataset) = dataset(&records);
    let task: ProjectCompletion = toml::from_str("limit = 1000\nsamples = 9").unwrap();
    let Selection { samples, left_out, notes } = task.samples(&dataset, &nano(), 0).unwrap();
    assert_eq!((samples.len(), &notes[..]), (1, &["all: 1 of 9 lines asked for".to_string()][..]));
    let why = [
        "no line of the file's 2",
        "is not a list",
        "`repo_snapshot` is not",
        "no text `content`",
        "`repo` is",
    ];
    assert_eq!(left_out.len(), why.len());
    for (number, (left_out, why)) in left_out.iter().zip(why).enumerate() {
        assert!(left_out.why.contains(why), "{left_out:?}");
        assert!(left_out.record.ends_with(&format!("d.jsonl:{}", number + 2)), "{left_out:?}");
    }
}
