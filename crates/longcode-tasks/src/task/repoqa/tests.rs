//! Comparison with the output of RepoQA's own code (scripts/make_benchmark_fixtures.py).

use serde_json::{Value, json};

use longcode_text::TextDirectory;

use super::*;
use crate::task::testing::{generation, in_repository, nano, unpacked};
use crate::task::{Answer, Task};
use longcode_structure::Language;
use longcode_text::Ended;

pub(super) fn contexts() -> Value {
    unpacked("repoqa_context.json.gz")
}

fn answers() -> Value {
    serde_json::from_str(include_str!("../../../tests/benchmarks/repoqa_answers.json")).unwrap()
}

/// A data set in RepoQA's form.
fn dataset(document: &Value) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("datasets")).unwrap();
    std::fs::write(dir.path().join("repoqa.json"), document.to_string()).unwrap();
    let manifest = std::fs::read_to_string(in_repository("datasets/repoqa.toml")).unwrap();
    let path = manifest.lines().find(|line| line.starts_with("path")).unwrap();
    let manifest = manifest.replace(path, "path = \"../repoqa.json\"");
    std::fs::write(dir.path().join("datasets/repoqa.toml"), manifest).unwrap();
    let dataset = Dataset::open("repoqa", &[dir.path().to_path_buf()]).unwrap();
    (dir, dataset)
}

fn task(keys: &str) -> RepoQa {
    let task: RepoQa = toml::from_str(&format!("samples = 1000\n{keys}")).unwrap();
    task.check().unwrap();
    task
}

/// The prompt of a needle among samples.
fn prompt<'s>(samples: &'s [Sample], case: &Value) -> &'s str {
    let text = |key: &str| case[key].as_str().unwrap();
    let start = format!("{}::{}::", text("language"), text("repo"));
    let end = format!("::{}", text("name"));
    let is_asked = |sample: &&Sample| sample.id.starts_with(&start) && sample.id.ends_with(&end);
    let found: Vec<_> = samples.iter().filter(is_asked).collect();
    assert_eq!(found.len(), 1, "{start}{end}");
    &found[0].text
}

#[test]
fn prompts_are_repo_qa_s() {
    let fixture = contexts();
    let (_dir, dataset) = dataset(&fixture["dataset"]);
    let mut model = nano();
    // A template that adds nothing: the prompt for instruct models itself.
    let plain = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(in_repository("models/nano").join(name), plain.path().join(name)).unwrap();
    }
    std::fs::write(plain.path().join("chat_template.jinja"), "{{ messages[0].content }}").unwrap();
    for (key, style) in [("contexts", "chat"), ("base_prompts", "raw")] {
        if style == "chat" {
            model = TextDirectory::open(plain.path()).unwrap();
        }
        let cases = fixture[key].as_array().unwrap();
        let mut seen = 0;
        for size in [512, 1024, 2048] {
            let of_size: Vec<_> = cases.iter().filter(|case| case["context_size"] == size).collect();
            if of_size.is_empty() {
                continue;
            }
            let task = task(&format!("context_tokens = {size}\nprompt = \"{style}\""));
            let samples = task.samples(&dataset, &model, 0).unwrap().samples;
            for case in of_size {
                let mut expected = case["prompt"].as_str().unwrap().to_string();
                if style == "raw" {
                    // There the block has the last language of the file for every needle (its loop's
                    // variable); here the needle's own.
                    expected.truncate(expected.rfind("```").unwrap() + 3);
                    expected += case["language"].as_str().unwrap();
                }
                assert_eq!(prompt(&samples, case), expected, "{size} {}", case["name"]);
                seen += 1;
            }
        }
        assert_eq!(seen, cases.len());
        assert!(seen >= 18);
    }
}

#[test]
fn functions_are_found_in_answers_as_there() {
    let fixture = answers();
    let mut seen = 0;
    for case in fixture["extractions"].as_array().unwrap() {
        let language: Language = case["language"].as_str().unwrap().parse().unwrap();
        let found = answer::function(case["output"].as_str().unwrap(), language);
        assert_eq!(found, case["text"].as_str().unwrap(), "{language}: {}", case["output"]);
        seen += 1;
    }
    assert_eq!(seen, 177);
}

#[test]
fn answers_are_judged_as_there() {
    let fixture = answers();
    let mut passed = 0;
    for case in fixture["cases"].as_array().unwrap() {
        let language: Language = case["language"].as_str().unwrap().parse().unwrap();
        let document = json!({language.name(): fixture["repositories_used"][language.name()]});
        let (_dir, dataset) = dataset(&document);
        let repository = Repository::of(&dataset.records().unwrap()[0]).unwrap();
        let function = |needle: &repository::Needle| Function {
            name: needle.name.clone(),
            text: needle.function.clone(),
        };
        let asked = repository.needles.iter().position(|needle| case["needle"] == needle.name.as_str());
        let reference = Reference {
            language,
            depth: 50,
            asked: asked.unwrap(),
            functions: repository.needles.iter().map(function).collect(),
        };
        let text = case["output"].as_str().unwrap().to_string();
        let generation = generation(text, Ended::EndOfSequence);
        let outcome = serde_json::to_value(Outcome::new(reference, PromptStyle::Chat, generation)).unwrap();
        assert_eq!(outcome["function"], case["extracted"]);
        assert_eq!(outcome["best"], case["best"]);
        let similarity = outcome["similarity"].as_f64().unwrap();
        assert!((similarity - case["similarity"].as_f64().unwrap()).abs() < 1e-12, "{case}");
        let outcome = Outcome::deserialize(outcome).unwrap();
        assert_eq!(outcome.passes(0.0), case["is_best"] == true, "{case}");
        passed += usize::from(outcome.passes(0.8));
    }
    assert!(passed >= 20, "{passed}");
}

#[test]
fn an_echo_of_the_needle_scores_1() {
    let fixture = contexts();
    let (_dir, dataset) = dataset(&fixture["dataset"]);
    let task = task("context_tokens = 512");
    for sample in task.samples(&dataset, &nano(), 0).unwrap().samples {
        let reference: Reference = sample.reference();
        let text = format!("\n{}\n```", reference.functions[reference.asked].text);
        let limits = task.limits();
        assert!((limits.stop)(&text) && !(limits.stop)("``"));
        let generation = generation(text, Ended::Stop);
        let answer = Answer::Generated(Generated { generation, candidates: Vec::new(), others: Vec::new() });
        for measure in task.measures(&task.outcome(&sample, answer, 512)).unwrap() {
            assert_eq!(measure.numerator, 100.0, "{} {measure:?}", sample.id);
        }
    }
}

#[test]
fn repositories_that_are_wrong_are_named() {
    let whole = json!({
        "repo": "a/b", "content": {"a.py": "def f():\n    pass\n"}, "dependency": {"a.py": []},
        "needles": [{"name": "f", "description": "d", "path": "a.py", "start_line": 0, "end_line": 2,
                     "start_byte": 0, "end_byte": 17}],
    });
    let mut lost = whole.clone();
    lost["dependency"] = json!({"a.py": ["b.py"]});
    let mut outside = whole.clone();
    outside["needles"][0]["path"] = "c.py".into();
    let mut untyped = whole.clone();
    untyped["needles"][0]["end_line"] = "2".into();
    let (_dir, dataset) = dataset(&json!({"python": [whole, lost, outside, untyped], "cobol": [whole]}));
    let Selection { samples, left_out, notes } =
        task("context_tokens = 64").samples(&dataset, &nano(), 0).unwrap();
    assert_eq!(samples.len(), 1);
    assert_eq!(notes, ["all: 1 of 1000 needles asked for"]);
    let why = ["no text of the file \"b.py\"", "outside of the files", "field `needles`: ", "language"];
    assert_eq!(left_out.len(), why.len());
    for (number, (left_out, why)) in left_out.iter().zip(why).enumerate() {
        assert!(left_out.why.contains(why), "{left_out:?}");
        let place = if number < 3 { format!("python[{}]", number + 1) } else { "cobol[0]".into() };
        assert!(left_out.record.ends_with(&place), "{left_out:?}");
    }
}
