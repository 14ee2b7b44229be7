//! Comparison with the output of the benchmarks' own code (scripts/make_benchmark_fixtures.py).

use serde_json::{Value, json};

use super::benchmark::{Answered, LETTERS};

use super::*;
use crate::task::testing::{dataset, generation, nano};
use crate::task::{Answer, Group, Task};
use longcode_base::error::{Error, ErrorKind};
use longcode_text::Ended;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../tests/benchmarks/multiple_choice.json")).unwrap()
}

fn task(benchmark: &str, keys: &str) -> Result<MultipleChoice> {
    let task: MultipleChoice = toml::from_str(&format!("benchmark = \"{benchmark}\"\nsamples = 9\n{keys}"))
        .map_err(|e| Error::new(ErrorKind::Config, e.to_string()))?;
    task.check().map(|()| task)
}

fn selection(task: &MultipleChoice, records: &[&Value]) -> Result<Selection> {
    let (_dir, dataset) = dataset(records);
    task.samples(&dataset, &nano(), 0)
}

fn one(task: &MultipleChoice, record: &Value) -> Sample {
    let mut samples = selection(task, &[record]).unwrap().samples;
    assert_eq!(samples.len(), 1);
    samples.remove(0)
}

fn known(letter: &str) -> &'static str {
    LETTERS.into_iter().find(|known| *known == letter).unwrap()
}

fn score(benchmark: Benchmark, metric: &str, answered: &Answered) -> f64 {
    let score = benchmark.entry().scores.iter().find(|score| score.metric == metric).unwrap();
    (score.of)(answered)
}

#[test]
fn long_bench_v2_as_its_code_says() {
    let fixture = &fixture()["longbench_v2"];
    let prompts = fixture["prompts"].as_array().unwrap();
    for case in prompts {
        let task = task("longbench-v2", &format!("limit = {}", case["max_len"])).unwrap();
        let record = &fixture["records"][case["record"].as_str().unwrap()];
        assert_eq!(one(&task, record).text, case["prompt"].as_str().unwrap(), "{}", case["max_len"]);
    }
    let (mut right, mut wrong) = (0, 0);
    for case in fixture["answers"].as_array().unwrap().iter().filter(|case| case["written"] == true) {
        let text = case["output"].as_str().unwrap();
        let answered = Answered { text, letter: known(case["answer"].as_str().unwrap()), option: "" };
        let judged = f64::from(u8::from(case["judge"] == true));
        assert_eq!(score(Benchmark::LongBenchV2, "accuracy", &answered), judged, "{case}");
        let compensated = if case["pred"].is_null() { 0.25 } else { judged };
        assert_eq!(score(Benchmark::LongBenchV2, "accuracy_compensated", &answered), compensated, "{case}");
        (right, wrong) = (right + usize::from(judged == 1.0), wrong + usize::from(judged == 0.0));
    }
    assert!(prompts.len() >= 15 && right >= 14 && wrong >= 80, "{right} {wrong}");
}

#[test]
fn long_code_qa_as_its_code_says() {
    let fixture = &fixture()["long_code_qa"];
    let mut lettered = 0;
    for case in fixture["answers"].as_array().unwrap() {
        let text = case["output"].as_str().unwrap();
        for letter in LETTERS {
            let expected = f64::from(u8::from(case["letter"] == letter));
            let answered = Answered { text, letter, option: "" };
            assert_eq!(score(Benchmark::LongCodeQa, "accuracy", &answered), expected, "{case}");
        }
        lettered += usize::from(!case["letter"].is_null());
    }
    assert!(lettered >= 50, "{lettered}");
    let prompt = fixture["prompts"][0]["prompt"].clone();
    let record = json!({"prompt": prompt, "correct_letter": "C"});
    let sample = one(&task("long-code-qa", "limit = 10000").unwrap(), &record);
    assert_eq!(sample.text, prompt.as_str().unwrap());
    assert_eq!(sample.candidates.len(), 4);
}

#[test]
fn code_debug_as_its_code_says() {
    let fixture = &fixture()["infinitebench"];
    let is_base = |case: &&Value| {
        case["model"] == "yarn-mistral" && case["example"].as_str().unwrap().starts_with("debug")
    };
    let mut prompts = 0;
    for case in fixture["prompts"].as_array().unwrap().iter().filter(is_base) {
        let limit = case["max_tokens"].as_u64().unwrap_or(1_000_000);
        let task = task("infinitebench-code-debug", &format!("limit = {limit}")).unwrap();
        let sample = one(&task, &fixture["examples"][case["example"].as_str().unwrap()]);
        assert_eq!(sample.text, case["prompt"].as_str().unwrap(), "{limit}");
        if let Some(letter) = case["label"][1].as_str() {
            assert_eq!(LETTERS[sample.reference::<Reference>().answer], letter);
        }
        prompts += 1;
    }
    let mut right = [0.0, 0.0];
    for case in fixture["code_debug"].as_array().unwrap() {
        let text = case["output"].as_str().unwrap();
        let option = case["label"][0].as_str().unwrap();
        let answered = Answered { text, letter: known(case["label"][1].as_str().unwrap()), option };
        for (number, (metric, key)) in
            [("accuracy_88b3daa", "snapshot"), ("accuracy_pr22", "after_pr22")].into_iter().enumerate()
        {
            let expected = case[key].as_f64().unwrap();
            assert_eq!(score(Benchmark::CodeDebug, metric, &answered), expected, "{key} {case}");
            right[number] += expected;
        }
    }
    assert!(prompts >= 8 && right[0] >= 20.0 && right[1] > right[0], "{right:?}");
}

#[test]
fn the_likeliest_option_counts() {
    let record = json!({
        "context": "def f(): pass", "options": ["f", "a.longer.name", "g", "h"], "answer": ["a.longer.name", "B"],
    });
    let task = task("infinitebench-code-debug", "limit = 100").unwrap();
    let sample = one(&task, &record);
    assert_eq!(
        (sample.candidates.len(), sample.reference::<Reference>().option_bytes),
        (8, vec![1, 13, 1, 1])
    );
    let outcome = |letters: [f64; 4], options: [f64; 4]| {
        let generation = generation(" B. ", Ended::MaxNewTokens);
        let candidates = letters.into_iter().chain(options).map(|nll| vec![nll / 2.0; 2]).collect();
        let answer = Answer::Generated(Generated { generation, candidates, others: Vec::new() });
        let measures = task.measures(&task.outcome(&sample, answer, 512)).unwrap();
        let all = measures.into_iter().filter(|measure| measure.group == Group::All);
        all.map(|measure| (measure.metric, measure.numerator)).collect::<Vec<_>>()
    };
    assert_eq!(
        outcome([3.0, 2.0, 4.0, 4.0], [3.0, 8.0, 4.0, 9.0]),
        [
            ("letter_likeliest", 100.0),
            ("option_likeliest", 0.0),
            ("option_likeliest_per_byte", 100.0),
            ("truncated", 0.0),
            ("accuracy_88b3daa", 100.0),
            ("accuracy_pr22", 100.0),
        ]
    );
    // Two are equally likely, so neither counts.
    assert_eq!(outcome([2.0, 2.0, 4.0, 4.0], [9.0; 4])[0], ("letter_likeliest", 0.0));
}

#[test]
fn records_that_are_wrong_are_named() {
    let options = json!(["a", "b", "c", "d"]);
    let good = json!({"id": "0", "context": "x", "options": options, "answer": "b"});
    let without_answer = json!({"id": "1", "context": "x", "options": options, "answer": "e"});
    let few_options = json!({"id": "2", "context": "x", "options": ["a"], "answer": "a"});
    let no_letter = json!({"id": "3", "context": "x", "options": options, "answer": ["a", "E"]});
    let no_context = json!({"id": "4", "options": options, "answer": "a"});
    let task = task("infinitebench-code-debug", "limit = 100").unwrap();
    let records = [&good, &without_answer, &few_options, &no_letter, &no_context];
    let Selection { samples, mut left_out, notes } = selection(&task, &records).unwrap();
    assert_eq!(samples.len(), 1);
    assert_eq!(notes, ["all: 1 of 9 questions asked for"]);
    left_out.sort_by(|a, b| a.record.cmp(&b.record));
    let why = ["\"e\" is none of the options", "1 texts, not 4", "\"E\", none of A, B", "no field `context`"];
    assert_eq!(left_out.len(), why.len());
    for (left_out, why) in left_out.iter().zip(why) {
        assert!(left_out.why.contains(why), "{left_out:?}");
    }
    let none = selection(&task, &[&no_letter]).unwrap_err();
    assert!(none.what.contains("no question") && none.what.contains("1 left out"), "{none}");
}

#[test]
fn other_domains_are_not_asked() {
    let mut record = fixture()["longbench_v2"]["records"]["short"].clone();
    record["domain"] = "Single-Document QA".into();
    let error = selection(&task("longbench-v2", "limit = 100").unwrap(), &[&record]).unwrap_err();
    assert!(error.what.contains("no question of LongBench v2's domain"), "{error}");
}

#[test]
fn keys_that_make_no_sense_are_refused() {
    for keys in
        ["", "limit = 1", "limit = 9\nbuckets = []", "limit = 9\nmax_new_tokens = 0", "limit = 9\nx = 1"]
    {
        assert!(task("long-code-qa", keys).is_err(), "{keys}");
    }
    assert!(task("long-bench-v3", "limit = 9").is_err());
}

/// A model that answers B whatever stands there is right in some orders, and never for the same option in all.
#[test]
fn options_that_move() {
    let options = ["f", "gg", "hhh", "iiii"];
    let record = json!({"context": "def f(): pass", "options": options, "answer": ["gg", "B"]});
    let task = task("infinitebench-code-debug", "limit = 1000\norders = 24").unwrap();
    let sample = one(&task, &record);
    let orders = sample.reference::<Reference>().orders;
    assert_eq!((sample.others.len(), orders.len()), (23, 24));
    for (asked, order) in sample.asked().zip(&orders) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|letter| options[order[letter]]);
        assert!(asked.text.contains(&format!("A. {a}\nB. {b}\nC. {c}\nD. {d}\n")), "{}", asked.text);
        assert_eq!(order[asked.reference::<Reference>().answer], 1);
    }
    let answer = || Generated {
        generation: generation(" B. ", Ended::MaxNewTokens),
        candidates: [3.0, 2.0, 4.0, 4.0, 1.0, 1.0, 1.0, 1.0].map(|nll| vec![nll / 2.0; 2]).to_vec(),
        others: Vec::new(),
    };
    let generated = Generated { others: (0..23).map(|_| answer()).collect(), ..answer() };
    let outcome = task.outcome(&sample, Answer::Generated(generated), 512);
    let measures = task.measures(&outcome).unwrap();
    let of = |group: Group, metric: &str| {
        measures.iter().find(|one| (one.group, one.metric) == (group, metric)).unwrap().numerator
    };
    assert!((of(Group::All, "accuracy_88b3daa") - 25.0).abs() < 1e-9);
    assert!((of(Group::All, "letter_likeliest") - 25.0).abs() < 1e-9);
    assert_eq!((of(Group::All, "right_in_all_orders"), of(Group::All, "right_in_some_order")), (0.0, 100.0));
    assert_eq!((of(Group::All, "answered_alike"), of(Group::Order(1), "accuracy_88b3daa")), (0.0, 100.0));
    // B is right in the published order, and in 5 of the 23 others.
    assert!((of(Group::All, "published_order_gain") - (100.0 - 500.0 / 23.0)).abs() < 1e-9);
    let names: Vec<&str> = task.metrics().iter().map(|metric| metric.name).collect();
    assert!(names.contains(&"answered_alike") && names[0] == "accuracy_88b3daa");
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    assert!(task("long-code-qa", "limit = 9\norders = 0").is_err());
    assert!(task("long-code-qa", "limit = 9\norders = 25").is_err());
    // The options of this question stand nowhere.
    let record = json!({"prompt": "Which one?", "correct_letter": "C"});
    let error =
        selection(&task("long-code-qa", "limit = 1000\norders = 2").unwrap(), &[&record]).unwrap_err();
    assert!(error.what.contains("its options cannot be moved"), "{error}");
}

#[test]
fn long_context_code_qa_by_its_roles() {
    let record = json!({"id": "q", "context": "class A {}", "question": "What?", "options": ["w", "x", "y", "z"], "answer": "D"});
    let sample = one(&task("long-context-code-qa", "limit = 1000\norders = 2").unwrap(), &record);
    assert!(sample.text.ends_with("Question:\nWhat?\nA) w\nB) x\nC) y\nD) z\n"));
    assert_eq!((sample.candidates.len(), sample.others.len()), (8, 1));
}
