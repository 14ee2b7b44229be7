//! Real logs of both harnesses (made by scripts/make_harness_logs.py), and what is wrong with others.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use longcode_compare::{Compared, FigureCompared, Options, Side, compare, html, inspect, lm_eval, text};
use serde::Deserialize;

fn logs(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs").join(path)
}

fn compared(a: Side, b: Side) -> Compared {
    compare(a, b, &Options::default()).unwrap()
}

fn figure<'a>(compared: &'a Compared, name: &str) -> &'a FigureCompared {
    compared.figures.iter().find(|one| format!("{} {}", one.task, one.metric) == name).unwrap()
}

#[derive(Deserialize)]
struct Test {
    difference: f64,
    p: f64,
    n: usize,
}

/// Differences of SciPy's permutation tests of the same logs, and their p-values as far as 200,000 exchanges tell; what
/// they tell apart from chance by far, our intervals do.
#[test]
fn both_harnesses_logs_are_compared_as_scipy_does() {
    let scipy: BTreeMap<String, BTreeMap<String, Test>> =
        serde_json::from_str(&fs::read_to_string(logs("scipy.json")).unwrap()).unwrap();
    let of_lm_eval = |name: &str| lm_eval::read(&logs("lm_eval").join(name)).unwrap();
    let of_inspect = |name: &str| inspect::read(&logs("inspect_ai").join(name)).unwrap();
    let found = [
        ("lm_eval", compared(of_lm_eval("careful"), of_lm_eval("hasty"))),
        ("inspect_ai", compared(of_inspect("careful-1.json"), of_inspect("hasty-1.json"))),
        ("inspect_ai, epochs", compared(of_inspect("careful-1.json"), of_inspect("hasty-3.json"))),
    ];
    for (harness, compared) in &found {
        assert_eq!(compared.figures.len(), scipy[*harness].len(), "{harness}");
        for (name, test) in &scipy[*harness] {
            let ours = figure(compared, name);
            assert_eq!(ours.n, test.n, "{name}");
            // Theirs is a mean of log-likelihoods per word or byte, before what makes perplexities and bits of it.
            let ratio = |value: f64| match &ours.metric[..] {
                "word_perplexity" => value.ln(),
                "bits_per_byte" => value * std::f64::consts::LN_2,
                _ => value,
            };
            let difference = ratio(ours.a) - ratio(ours.b);
            assert!((difference - test.difference).abs() < 1e-9, "{name}: {difference}, {}", test.difference);
            let p = ours.permutation_p;
            assert!((p - test.p).abs() < 10.0 * (test.p / 20_000.0).sqrt() + 4e-4, "{name}: {p}, {}", test.p);
            assert_eq!(ours.told_apart, test.p < 0.05, "{name}: {:?}", ours.interval);
        }
    }
}

#[test]
fn what_stored_them_is_named() {
    let careful = lm_eval::read(&logs("lm_eval/careful")).unwrap();
    assert_eq!((&careful.name[..], &careful.stored_by[..]), ("careful", "lm-evaluation-harness 0.4.13"));
    let log = inspect::read(&logs("inspect_ai/careful-1.json")).unwrap();
    assert_eq!((&log.name[..], &log.stored_by[..]), ("mockllm/careful", "inspect_ai 0.3.285"));
    let found = compared(careful.clone(), lm_eval::read(&logs("lm_eval/hasty")).unwrap());
    assert_eq!(figure(&found, "rolling word_perplexity").higher_is_better, Some(false));
    assert_eq!(figure(&found, "returns exact_match,number").higher_is_better, Some(true));
    let said = text::render(&found);
    assert!(said.contains("A: careful (lm-evaluation-harness 0.4.13)"), "{said}");
    assert!(said.contains("rolling: word_perplexity, 24 samples; less is better"), "{said}");
    assert!(said.contains("A is better: the interval excludes 0"), "{said}");
    let page = html::render(&found);
    assert!(page.contains("<h1>careful and hasty</h1>") && page.contains("Samples that differ most"));
}

/// A file of one task, with some of its lines changed.
fn changed(dir: &Path, change: impl Fn(usize, &str) -> String) -> Side {
    let mut found = fs::read_dir(logs("lm_eval/careful")).unwrap().flatten().map(|entry| entry.path());
    let path = found.find(|path| path.to_string_lossy().contains("samples_choices")).unwrap();
    let lines = fs::read_to_string(path).unwrap();
    let lines: String = lines.lines().enumerate().map(|(n, line)| change(n, line) + "\n").collect();
    let path = dir.join("samples_choices_2020-01-01T00-00-00.000000.jsonl");
    fs::write(&path, lines).unwrap();
    lm_eval::read(&path).unwrap()
}

#[test]
fn damaged_lines_and_other_records_are_named_and_do_not_stop_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let damaged = changed(dir.path(), |n, line| match n {
        0 => line[..40].into(),
        1 => line.replace("\"doc_id\"", "\"other_id\""),
        2 => line.replace("\"doc_hash\": \"", "\"doc_hash\": \"x"),
        3 => line.replace("\"acc\": 1.0", "\"acc\": null").replace("\"acc\": 0.0", "\"acc\": null"),
        4 => format!("{line}\n{line}"),
        5 => line.replace("\"prompt_hash\": \"", "\"prompt_hash\": \"x"),
        _ => line.into(),
    });
    assert!(
        damaged.notes[0].contains("2 lines are left out, the first at line 1: not a JSON object"),
        "{:?}",
        damaged.notes
    );
    assert!(damaged.notes[1].contains("1 samples stand there more than once"), "{:?}", damaged.notes);
    assert!(damaged.stored_by.contains("unknown version"));
    let found = compared(damaged, lm_eval::read(&logs("lm_eval/hasty")).unwrap());
    let acc = figure(&found, "choices acc");
    assert_eq!((acc.n, acc.only_b.count, acc.other_record.count, acc.without_value.count), (20, 2, 1, 1));
    assert_eq!(
        (&acc.only_b.first[..], &acc.other_record.first[..]),
        (&["0".into(), "1".into()][..], &["2".into()][..])
    );
    assert!(
        found.notes.iter().any(|note| note.contains("in 1 samples the two read other texts")),
        "{:?}",
        found.notes
    );
}

#[test]
fn lines_of_older_versions_are_read_by_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let older = changed(dir.path(), |_, line| {
        let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        for key in ["filter", "metrics", "doc_hash", "prompt_hash", "target_hash"] {
            fields.remove(key);
        }
        serde_json::to_string(&fields).unwrap()
    });
    assert!(older.notes[0].contains("24 lines do not list their metrics"), "{:?}", older.notes);
    let found = compared(older, lm_eval::read(&logs("lm_eval/careful")).unwrap());
    let acc = figure(&found, "choices acc");
    assert_eq!((acc.n, acc.difference, acc.same, acc.permutation_p), (24, 0.0, 24, 1.0));
    assert_eq!(acc.sign_decided_by, None);
}

#[test]
fn logs_of_other_versions_and_unfinished_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(logs("inspect_ai/hasty-1.json")).unwrap();
    let mut log: serde_json::Value = serde_json::from_str(&text).unwrap();
    log["version"] = 9.into();
    log["status"] = "error".into();
    log["samples"][0].as_object_mut().unwrap().remove("scores");
    log["samples"][1]["scores"]["match"]["value"] = "maybe".into();
    log["samples"][2] = 7.into();
    log["samples"][3]["target"] = "another".into();
    let path = dir.path().join("log.json");
    fs::write(&path, log.to_string()).unwrap();
    let read = inspect::read(dir.path()).unwrap();
    let notes = read.notes.join("\n");
    for said in ["has version 9", "its status is \"error\"", "1 samples are left out"] {
        assert!(notes.contains(said), "{notes}");
    }
    let found = compared(read, inspect::read(&logs("inspect_ai/careful-1.json")).unwrap());
    let scored = figure(&found, "returns match");
    let counts = [&scored.only_b, &scored.without_value, &scored.other_record].map(|named| named.count);
    assert_eq!((scored.n, counts), (20, [1, 2, 1]));
}

#[test]
fn files_of_another_kind_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str, text: &str, read: fn(&Path) -> longcode_base::error::Result<Side>| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        read(&path).unwrap_err().to_string()
    };
    assert!(refused("a.eval", "PK", inspect::read).contains("in its binary form"));
    assert!(
        refused("a.json", "{\"results\": {}}", inspect::read)
            .contains("not a JSON log of inspect_ai: missing field `eval`")
    );
    assert!(
        refused("a.jsonl", "{}\n", lm_eval::read)
            .contains("1 lines are left out, the first at line 1: no `doc_id`")
    );
}
