//! `longcode tune`: what it chooses follows from its trials, on documents that the choice is not measured on.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use crate::common::cli::{Workspace, documents};
use serde_json::Value;

/// 6 rows on 12 documents of each of two buckets, 4 of which have no part in the choice.
const TUNE: &str = r#"
name = "search"

[[model]]
name = "tiny"
path = "model"

[[encoding]]
name = "HiRoPE"
kind = "hirope"
window = [4, 8, 16]
split = [0.25, 0.5]

[[task]]
name = "lm"
kind = "language_modeling"
dataset = "docs.jsonl"
buckets = [0, 100, 1000]
samples = 12

[tune]
check = 4
"#;

fn space() -> Workspace {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(64));
    space.write("tune.toml", TUNE);
    space
}

/// Sums of a document's losses and its tokens.
type Loss = (f64, f64);

/// The losses of each row by document.
type Losses = BTreeMap<String, BTreeMap<String, Loss>>;

/// What is stored, and the bucket and name of each document in the order in which they were measured.
fn losses(space: &Workspace, results: &str) -> (Losses, Vec<[String; 2]>) {
    let mut losses = Losses::new();
    let mut order = Vec::new();
    for line in space.text(&format!("{results}/samples.jsonl")).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().unwrap().to_string();
        let outcome = &line["outcome"];
        let nll: f64 = outcome["nll"].as_array().unwrap().iter().map(|nll| nll.as_f64().unwrap()).sum();
        let loss = (nll, outcome["tokens"].as_f64().unwrap());
        assert!(losses.entry(text("encoding")).or_default().insert(text("sample"), loss).is_none());
        let document = [text("bucket"), text("sample")];
        if !order.contains(&document) {
            order.push(document);
        }
    }
    (losses, order)
}

fn mean(losses: &BTreeMap<String, Loss>, documents: &[&String]) -> f64 {
    let sum = |part: fn(&Loss) -> f64| documents.iter().map(|&name| part(&losses[name])).sum::<f64>();
    sum(|loss| loss.0) / sum(|loss| loss.1)
}

/// The same search by hand, on a run of every row on every document.
#[test]
fn the_choice_follows_from_the_trials() {
    let space = space();
    let told = space.longcode("tune tune.toml --device cpu").done().stdout;
    assert_eq!(space.text("results/search/tune.md"), told);
    space.replace("tune.toml", "\n[tune]\ncheck = 4\n", "");
    space.longcode("run tune.toml --device cpu --out whole").done();
    let (all, order) = losses(&space, "whole");
    let (tried, _) = losses(&space, "results/search");
    assert_eq!((all.len(), order.len()), (6, 24));

    // The first 8 of each bucket choose, in turns; rungs of 6, 3 and 2 rows on 4, 8 and 16 documents.
    let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
    let (mut choose, mut check) = (Vec::new(), Vec::new());
    for [bucket, document] in &order {
        let rank = seen.entry(bucket).or_default();
        if *rank < 8 {
            choose.push(document)
        } else {
            check.push(document)
        }
        *rank += 1;
    }
    let mut rows: Vec<&String> = all.keys().collect();
    for (documents, kept) in [(4, 3), (8, 2), (16, 2)] {
        let figure = |row: &String| mean(&all[row], &choose[..documents]);
        rows.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
        rows.truncate(kept);
    }
    let [best, second] = rows[..] else { panic!("{rows:?}") };
    assert!(told.contains(&format!("Chosen: **{best}**; runner-up: {second}.")), "{told}");

    // Every trial is the run's, and the documents that measure the choice were measured for it alone.
    let unseen: BTreeSet<&String> = check.iter().copied().collect();
    for (row, trials) in &tried {
        assert!(trials.iter().all(|(document, loss)| all[row][document] == *loss), "{row}");
        let measured = trials.keys().filter(|document| unseen.contains(document)).count();
        assert_eq!(measured, if row == best || row == second { 8 } else { 0 }, "{row}");
    }
    assert_eq!(tried.values().map(BTreeMap::len).sum::<usize>(), 6 * 4 + 3 * 4 + 2 * 8 + 2 * 8);
    let csv = space.text("results/search/trials.csv");
    let line = csv.lines().find(|line| line.starts_with("check,8,") && line.ends_with("true")).unwrap();
    assert!(line.contains(best.as_str()));
    let value: f64 = line.rsplit(',').nth(2).unwrap().parse().unwrap();
    assert!((value - mean(&all[best], &check)).abs() < 1e-12, "{line}");

    // The row that was found is one to paste.
    let (before, rest) = TUNE.split_once("[[encoding]]").unwrap();
    let task = &rest[rest.find("[[task]]").unwrap()..rest.find("[tune]").unwrap()];
    let row = space.text("results/search/best.toml");
    space.write("pasted.toml", format!("{before}{row}\n{task}"));
    space.longcode("run pasted.toml --device cpu --limit 1 --out pasted").done();
    assert!(space.text("results/search/path.svg").contains(&best[..]));
}

#[test]
fn killed_at_any_moment() {
    let undisturbed = space();
    undisturbed.longcode("tune tune.toml --device cpu").done();
    let space = space();
    for kill_after in [1, 9, 26, 40, 60] {
        let mut child = space.command("tune tune.toml --device cpu").spawn().unwrap();
        while child.try_wait().unwrap().is_none() && space.stored("results/search").len() < kill_after {
            sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let again = space.longcode("tune tune.toml --device cpu").done();
    assert!(again.stderr.contains("of 68 trials are stored"), "{again:?}");
    for file in ["tune.md", "trials.csv", "best.toml", "path.svg"] {
        let path = format!("results/search/{file}");
        assert_eq!(space.text(&path), undisturbed.text(&path), "{file}");
    }
    assert_eq!(space.stored("results/search"), undisturbed.stored("results/search"));
}

#[test]
fn a_context_advantage_is_over_a_baseline() {
    let space = space();
    space.replace("tune.toml", "check = 4", "objective = \"context_advantage\"");
    let without = space.longcode("tune tune.toml --device cpu");
    without.failed(2, &["a context advantage is over a baseline", "key `objective`", "rope:context=N"]);
    space.replace("tune.toml", "[tune]", "[tune]\nbaseline = \"rope:context=64\"\ncheck = 3");
    space.replace("tune.toml", "samples = 12", "samples = 12\nfrom = 64");
    let told = space.longcode("tune tune.toml --device cpu").done().stdout;
    for words in
        ["loss at positions from 64 on", "(baseline ", "less the baseline's: ", "a context advantage of "]
    {
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    space.replace("tune.toml", "from = 64", "from = 100000");
    let nothing = space.longcode("tune tune.toml --device cpu --out other");
    nothing.failed(2, &["no document has anything that the objective counts", "key `objective`"]);
}

#[test]
fn what_makes_no_search_is_refused() {
    let cases = [
        ("check = 4", "check = 0", "check is 0"),
        ("check = 4", "check = 12", "none is left to choose by"),
        ("check = 4", "reduction_factor = 1", "reduction_factor is 1"),
        ("check = 4", "chek = 4", "unknown field `chek`"),
        ("check = 4", "objective = \"ppl\"", "has no objective `ppl`"),
        ("check = 4", "baseline = \"rope:window=3\"", "window"),
        ("[4, 8, 16]\nsplit = [0.25, 0.5]", "4", "one encoding leaves nothing to choose"),
        (
            "name = \"HiRoPE\"\nkind = \"hirope\"\nwindow = [4, 8, 16]\nsplit = [0.25, 0.5]",
            "name = \"baseline\"\nkind = \"rope\"\n[[encoding]]\nkind = \"ntk\"",
            "named \"baseline\"",
        ),
        ("[tune]", "[[model]]\nname = \"b\"\npath = \"model\"\n[tune]", "2 [[model]] rows"),
    ];
    for (from, to, what) in cases {
        let space = space();
        space.replace("tune.toml", from, to);
        space.longcode("tune tune.toml --device cpu").failed(2, &["tune.toml", what]);
        assert!(!space.path("results").exists(), "{what}");
    }
    let space = space();
    space.longcode("run tune.toml --device cpu").failed(2, &["config is of a search", "longcode tune"]);
    space.longcode("tune tune.toml --device cpu").done();
    space.longcode("report results/search").failed(2, &["trials of a search", "tune.md"]);
    space
        .longcode("tune tune.toml --device cpu --set tune.check=5")
        .failed(2, &["of another config", "tune"]);
}
