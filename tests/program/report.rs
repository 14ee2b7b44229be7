//! Every format of a report, of a small made-up run, against files in `tests/report/`; merging; pictures.
//!
//! After a wanted change, `LONGCODE_GOLDEN=write cargo test --release --test program report` writes those files
//! anew, to be read before they are committed.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::common::cli::{Workspace, documents};
use crate::common::repository;
use longcode::dataset::Dataset;
use longcode::error::Result;
use longcode::report::{Mark, Report, Table, terminal};
use longcode::store::Results;
use longcode::task::{Answer, Ask, Better, Group, Measure, Metric, Sample, Selection, Task};
use longcode::text::TextSide;
use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: &str = r#"
name = "made-up"
seed = 3
paper = "table4"

[[model]]
name = "TinyLlama"
path = "not/there"

[[encoding]]
name = "origin"
kind = "rope"

[[encoding]]
name = "ReRoPE"
kind = "rerope"

[[encoding]]
name = "HiRoPE"
kind = "hirope"

[[encoding]]
name = "swept_&"
kind = "hirope"
window = [256, 512, 1024]

[[task]]
name = "code lm"
kind = "language_modeling"
dataset = "nowhere"
buckets = [0, 2048, 4096, 8192]
samples = 10
"#;

/// Encodings and their losses below 2048 tokens, below 4096 and beyond.
const LOSSES: [(&str, [f64; 3]); 6] = [
    ("origin", [1.08, 4.17, 6.66]),
    ("ReRoPE", [1.08, 0.92, 0.87]),
    ("HiRoPE", [1.081, 0.90, 0.85]),
    ("swept_& window=256", [1.09, 0.91, 0.84]),
    ("swept_& window=512", [1.081, 0.90, 0.85]),
    ("swept_& window=1024", [1.08, 0.93, 0.86]),
];

const EDGES: [usize; 4] = [0, 2048, 4096, 8192];

/// A results directory: ten documents a bucket under six encodings, where one line is not there yet.
fn made_up() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), CONFIG).unwrap();
    let environment = json!({
        "version": "0.0.0", "git_commit": "abc", "threads": 2, "started": "2026-01-01T00:00:00Z",
        "finished": null, "device": "made up", "planned": 180,
        "models": [{"name": "TinyLlama", "sha256": "11", "trained_length": 2048}],
        "datasets": [{"name": "nowhere", "sha256": "22"}],
    });
    fs::write(dir.path().join("environment.json"), environment.to_string()).unwrap();
    let mut lines = String::new();
    for number in 0..30 {
        for (encoding, losses) in LOSSES {
            if (number, encoding) != (29, "HiRoPE") {
                lines += &format!("{}\n", line(number, encoding, losses));
            }
        }
    }
    fs::write(dir.path().join("samples.jsonl"), lines).unwrap();
    dir
}

/// Documents differ much, encodings on the same document little.
fn line(number: usize, encoding: &str, losses: [f64; 3]) -> Value {
    let bucket = number % 3;
    let length = EDGES[bucket] + (number / 3 + 1) * (EDGES[bucket + 1] - EDGES[bucket]) / 11;
    let mut edges: Vec<usize> = EDGES[..=bucket].to_vec();
    edges.push(length);
    let wave = |scale: f64, by: f64| scale * (by * 12.9898).sin();
    let document = wave(0.3, number as f64);
    let loss =
        |bin: usize| losses[bin] + document + wave(0.01, (number * 7 + bin * 3 + encoding.len()) as f64);
    let tokens = |bin: usize| edges[bin + 1] - edges[bin].max(1);
    let nll: Vec<f64> = (0..=bucket).map(|bin| (loss(bin) * tokens(bin) as f64).round()).collect();
    let correct: Vec<usize> =
        (0..=bucket).map(|bin| (tokens(bin) as f64 * (-loss(bin) / 3.0).exp()) as usize).collect();
    json!({
        "model": "TinyLlama", "encoding": encoding, "task": "code lm", "sample": format!("<{number}>.py"),
        "bucket": format!("{}-{}", EDGES[bucket], EDGES[bucket + 1]), "tokens": length, "sha256": "33", "seconds": 0.1,
        "outcome": {
            "bucket": [EDGES[bucket], EDGES[bucket + 1]], "tokens": length - 1, "edges": edges, "nll": nll,
            "correct": correct, "by_position": true,
        },
    })
}

#[test]
fn every_format() {
    let dir = made_up();
    let results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    let report = Report::new(&results, None).unwrap();
    let out = tempfile::tempdir().unwrap();
    report.write(out.path()).unwrap();
    fs::write(out.path().join("terminal.txt"), terminal::summary(&report, false)).unwrap();
    fs::write(out.path().join("terminal-full.txt"), terminal::full(&report, false)).unwrap();
    let files = [
        "terminal.txt",
        "terminal-full.txt",
        "report.json",
        "summary.csv",
        "differences.csv",
        "report.md",
        "report.tex",
        "report.html",
        "lm_eval/TinyLlama_HiRoPE/results_2026-01-01T00-00-00.json",
        "lm_eval/TinyLlama_HiRoPE/samples_code_lm_2026-01-01T00-00-00.jsonl",
        "TinyLlama-code-lm-loss-by-position.svg",
        "TinyLlama-code-lm-loss-gained-by-position.svg",
        "TinyLlama-code-lm-loss-by-bucket.svg",
        "TinyLlama-code-lm-loss-by-window-of-swept_-.svg",
    ];
    for file in files {
        same_as_golden(&fs::read_to_string(out.path().join(file)).expect(file), file);
    }
}

/// Numbers agree to 1e-9, which another mathematical library may change, everything else to the letter.
fn same_as_golden(text: &str, file: &str) {
    let path = repository("tests/report").join(file.replace('/', "-"));
    if std::env::var_os("LONGCODE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    let parts = |text: &str| -> Vec<String> {
        text.split_inclusive(|c: char| !c.is_ascii_digit() && c != '.').map(str::to_string).collect()
    };
    let number = |part: &str| part.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<f64>().ok();
    let (ours, theirs) = (parts(text), parts(&golden));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let close = match (number(ours), number(theirs)) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
            _ => false,
        };
        assert!(ours == theirs || close, "{file}: {ours:?} for {theirs:?}");
    }
    assert_eq!(ours.len(), theirs.len(), "{file}");
}

#[test]
fn best_and_ties() {
    let dir = made_up();
    let results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    let report = Report::new(&results, Some("ReRoPE")).unwrap();
    let row = |encoding: &str, group: &str| {
        let found = |row: &&longcode::report::Row| {
            row.encoding == encoding && row.group.to_string() == group && row.metric.name == "ppl"
        };
        report.rows.iter().find(found).unwrap()
    };
    assert_eq!(row("origin", "4096-8192").mark, Mark::Plain);
    // What HiRoPE gains is less than what the documents differ by, and still seen, for it is paired.
    let (one, other) = (row("HiRoPE", "2048-4096"), row("ReRoPE", "2048-4096"));
    let difference = one.difference.unwrap();
    assert!(difference.told_apart() && difference.estimate.value < 0.0, "{difference:?}");
    assert!(one.estimate.high > other.estimate.low && other.estimate.high > one.estimate.low);
    assert!(row("ReRoPE", "all").difference.is_none(), "the baseline itself");
    // The document that HiRoPE lacks is left out of both.
    assert_eq!(row("HiRoPE", "4096-8192").difference.unwrap().estimate.n, 9);
    assert_eq!(row("origin", "4096-8192").difference.unwrap().estimate.n, 10);
    for group in ["0-2048", "2048-4096", "4096-8192", "all"] {
        let marks: Vec<Mark> = LOSSES.iter().map(|(encoding, _)| row(encoding, group).mark).collect();
        let count = |mark: Mark| marks.iter().filter(|other| **other == mark).count();
        let ties = count(Mark::Tie);
        assert!(
            (count(Mark::Best), ties) == (1, 0) || (count(Mark::Best) == 0 && ties > 1),
            "{group}: {marks:?}"
        );
    }
}

/// A perplexity that no number holds is not told apart by intervals, and is not near the best all the same.
#[test]
fn a_row_that_overflows_has_no_mark() {
    let dir = made_up();
    let path = dir.path().join("samples.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|stored| {
        let mut stored: Value = serde_json::from_str(stored).unwrap();
        if stored["encoding"] == "origin" {
            let nll = stored["outcome"]["nll"].as_array_mut().unwrap();
            nll.iter_mut().for_each(|nll| *nll = json!(1e7));
        }
        format!("{stored}\n")
    });
    let lines: String = lines.collect();
    fs::write(&path, &lines).unwrap();
    let results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    let report = Report::new(&results, None).unwrap();
    let of_row = report.rows.iter().filter(|row| row.encoding == "origin" && row.metric.name == "ppl");
    let marks: Vec<_> = of_row.map(|row| (row.estimate.value.is_finite(), row.mark)).collect();
    assert!(marks.len() > 2 && marks.iter().all(|one| *one == (false, Mark::Plain)), "{marks:?}");
    // What no loss can be is damage.
    fs::write(&path, lines.replacen("10000000.0", "1e300", 1)).unwrap();
    let read = || -> Result<()> {
        let results = Results::read_all(&[dir.path().to_path_buf()], false)?;
        Report::new(&results, None).map(drop)
    };
    let error = read().unwrap_err().to_string();
    assert!(error.contains("samples.jsonl") && error.contains("larger than any"), "{error}");
}

#[test]
fn a_baseline_that_is_not_there() {
    let dir = made_up();
    let results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    let error = Report::new(&results, Some("rope")).err().unwrap().to_string();
    assert!(
        error.contains("--baseline") && error.contains("origin, ReRoPE, HiRoPE, swept_& window=256"),
        "{error}"
    );
}

#[test]
fn pictures_are_png_too() {
    let dir = made_up();
    let results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    let out = tempfile::tempdir().unwrap();
    Report::new(&results, None).unwrap().write(out.path()).unwrap();
    let png = |name: &str| fs::read(out.path().join(name)).unwrap();
    let bytes = png("TinyLlama-code-lm-loss-by-position.png");
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    let svg = fs::read_to_string(out.path().join("TinyLlama-code-lm-loss-by-position.svg")).unwrap();
    let width = u32::from_be_bytes(bytes[16..20].try_into().unwrap());
    assert!(svg.contains(&format!("width=\"{}\"", width / 2)), "twice the size of the SVG");
    // Words are drawn: a picture without a font for them compresses to much less.
    assert!(bytes.len() > 40_000, "{}", bytes.len());
}

/// A task whose figures are cells of a grid.
#[derive(Debug)]
struct Lookup;

impl Task for Lookup {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn samples(&self, _: &Dataset, _: &dyn TextSide, _: u64) -> Result<Selection> {
        Ok(Selection::default())
    }

    fn ask(&self) -> Ask {
        Ask::Score
    }

    fn outcome(&self, _: &Sample, _: Answer, _: usize) -> Value {
        Value::Null
    }

    fn metrics(&self) -> &'static [Metric] {
        const METRICS: &[Metric] = &[Metric::mean("exact_match", Better::Higher)];
        METRICS
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let number = |key: &str| outcome[key].as_u64().unwrap();
        let cell = Group::Cell { length: number("length") as usize, depth: number("depth") as u8 };
        let measure = |group| Measure {
            group,
            metric: "exact_match",
            numerator: number("found") as f64,
            denominator: 1.0,
        };
        Ok(vec![measure(cell), measure(Group::All)])
    }
}

#[test]
fn a_grid_is_a_heat_map_and_a_table() {
    let dir = made_up();
    let mut lines = String::new();
    for number in 0..60 {
        let (length, depth) = ([1024, 2048, 4096][number % 3], [0, 25, 50, 100][number / 3 % 4]);
        for (encoding, reach) in [("origin", 2048), ("HiRoPE", 9000)] {
            let found = u8::from(length <= reach && (number * number + depth) % 11 > length / 1024);
            let mut line = line(number, encoding, [1.0; 3]);
            line["outcome"] = json!({"length": length, "depth": depth, "found": found});
            lines += &format!("{line}\n");
        }
    }
    fs::write(dir.path().join("samples.jsonl"), lines).unwrap();
    let mut results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    results.config.tasks[0].task = Arc::new(Lookup);
    let report = Report::new(&results, None).unwrap();
    let pictures = &report.sections[0].pictures;
    let titles: Vec<&str> = pictures.iter().map(|picture| picture.title.as_str()).collect();
    assert_eq!(titles, ["TinyLlama on code lm: exact match by length and depth"]);
    same_as_golden(&pictures[0].svg, &pictures[0].svg_file());
    let of_grid = |table: &&Table| table.title == "Exact match by length and depth.";
    let (grids, others): (Vec<_>, Vec<_>) = report.sections[0].tables.iter().partition(of_grid);
    assert!(others.iter().all(|table| table.columns.len() == 1 && table.columns[0].name == "all"));
    let [grid] = grids[..] else { panic!("one table of the grid") };
    let columns: Vec<&str> = grid.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(columns.len(), 12);
    assert_eq!([columns[0], columns[5], columns[11]], ["1024 at 0%", "2048 at 25%", "4096 at 100%"]);
    let cell = |row: usize, column: usize| grid.rows[row].1[column].value;
    assert_eq!([cell(0, 11), cell(1, 0)], [Some(0.0), Some(0.6)]);
}

#[test]
fn a_sample_can_be_looked_into() {
    let space = Workspace::new();
    space.run("");
    let page = space.text("results/tiny/report.html");
    let one = "<span class=\"odd\" title=\"segment 1\">";
    assert!(page.contains(one) && page.contains("def f1(a):"), "{page}");
    assert!(page.contains("segments by function:"));
    for outside in ["http://", "https://", "src=\"", "@import", "url("] {
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "the page asks for {outside}");
    }
    // The run has kept the text: neither data nor model are needed, and what became of them does not show.
    space.replace("docs.jsonl", "return b", "return c");
    fs::remove_dir_all(space.path("model")).unwrap();
    space.longcode("report results/tiny --out again").done();
    assert_eq!(space.text("again/report.html"), page);
    // Results of before have no texts.
    let texts = space.path("results/tiny/texts.jsonl.gz");
    fs::remove_file(&texts).unwrap();
    space.longcode("report results/tiny --out again").done();
    assert!(space.text("again/report.html").contains("The results do not hold the text (sha256 "));
    fs::write(&texts, "damaged").unwrap();
    space.longcode("report results/tiny --out again").failed(2, &["texts.jsonl.gz", "line 1", "fix:"]);
}

/// Where a task keeps the scores of its tokens, the page colours the tokens of its texts, and links to the file.
#[test]
fn tokens_are_coloured_by_their_loss() {
    let space = Workspace::new();
    space.replace("config.toml", "samples = 3", "samples = 3\nper_token = true");
    space.run("--out out");
    let page = space.text("out/report.html");
    assert!(page.contains("<a href=\"per_token.parquet\">"), "{page}");
    let coloured: Vec<&str> = page.split("<pre class=\"tokens\">").skip(1).collect();
    assert_eq!(page.matches("Loss of each token under RoPE<").count(), coloured.len() / 2);
    assert!(!coloured.is_empty());
    // Without its colours a text is the kept one.
    let texts = Results::read(&space.path("out")).unwrap().texts;
    for one in coloured {
        let mut text = one.split("</pre>").next().unwrap().replace("</span>", "");
        assert!(text.contains("<span class=\"loss-"), "{text}");
        for colour in 1..=5 {
            text = text.replace(&format!("<span class=\"loss-{colour}\">"), "");
        }
        assert!(texts.iter().any(|known| known.text == text), "{text}");
    }
    let without = Workspace::new();
    without.run("--out out");
    assert!(!without.text("out/report.html").contains("Loss of each token"));
}

#[test]
fn several_machines() {
    let space = Workspace::new();
    space.run("--out one --limit 1");
    space.run("--out two --set task.samples=3");
    let ended = space.longcode("report one two --out both").done();
    assert!(ended.stdout.contains("4 samples were measured more than once, 0 of them"), "{ended:?}");
    assert_eq!(space.text("both/summary.csv"), space.text("two/summary.csv"));
    assert!(!ended.stderr.contains("warning"));
    space.longcode("report one two").failed(2, &["--out"]);
    assert!(!space.path("both").join("samples.jsonl").exists());
}

/// Stored lines without their checksums, as before there were any: what another machine measured otherwise is no damage.
fn without_checksums(text: &str) -> String {
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("check").unwrap();
        format!("{line}\n")
    };
    text.lines().map(line).collect()
}

/// Doubles the first bin's loss of a directory's first sample, and gives the sample's id.
fn disagree(space: &Workspace, directory: &str) -> String {
    let path = format!("{directory}/samples.jsonl");
    let text = without_checksums(&space.text(&path));
    let (first, rest) = text.split_once('\n').unwrap();
    let mut line: Value = serde_json::from_str(first).unwrap();
    let nll = &mut line["outcome"]["nll"][0];
    *nll = json!(nll.as_f64().unwrap() * 2.0);
    space.write(&path, format!("{line}\n{rest}"));
    line["sample"].as_str().unwrap().to_string()
}

#[test]
fn a_sample_measured_twice_must_agree_or_is_named() {
    let space = Workspace::new();
    space.run("--out one");
    space.run("--out two");
    let summary = space.text("one/summary.csv");
    let sample = disagree(&space, "two");
    let ended = space.longcode("report one two --out both --full").done();
    let named = format!("tiny, RoPE, lm, \"{sample}\": loss");
    for told in [&ended.stderr, &ended.stdout, &space.text("both/report.md")] {
        assert!(told.contains(&named) && told.contains("in two"), "{told}");
    }
    assert_eq!(space.text("both/summary.csv"), summary, "the first counts");
    // Within what devices may differ by, two outcomes agree.
    space.run("--out three");
    let text = without_checksums(&space.text("three/samples.jsonl"));
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let loss = line["outcome"]["nll"][0].as_f64().unwrap();
    space.write("three/samples.jsonl", text.replacen(&loss.to_string(), &(loss * 1.00001).to_string(), 1));
    let ended = space.longcode("report one three --out both").done();
    assert!(ended.stdout.contains("12 samples were measured more than once, 0 of them"), "{ended:?}");
}

/// A run `one`, and a copy `two` of it.
fn two_runs(space: &Workspace) {
    space.run("--out one");
    copy(&space.path("one"), &space.path("two"));
}

/// Changes what `two` says of where it ran.
fn environment(space: &Workspace, change: fn(&mut Value)) {
    let mut all: Value = serde_json::from_str(&space.text("two/environment.json")).unwrap();
    change(&mut all);
    space.write("two/environment.json", all.to_string());
}

#[test]
fn runs_that_cannot_be_compared_say_what_differs() {
    type Change = fn(&Workspace);
    let cases: [(Change, &[&str]); 4] = [
        (
            |space| environment(space, |all| all["datasets"][0]["sha256"] = json!("0123")),
            &[
                "no task in common",
                "task \"lm\": data: docs.jsonl (sha256 ",
                "in one, docs.jsonl (sha256 0123) in two",
            ],
        ),
        (|space| space.replace("two/config.toml", "seed = 0", "seed = 1"), &["seed: 0 in one, 1 in two"]),
        (
            |space| space.replace("two/config.toml", "buckets = [0, 100, 1000]", "buckets = [0, 50, 1000]"),
            &["samples are chosen otherwise, buckets is [0, 100, 1000] in one, [0, 50, 1000] in two"],
        ),
        (
            |space| environment(space, |all| all["models"][0]["precision"] = json!("bf16")),
            &["precision of model \"tiny\" is f32 in one, bf16 in two", "--apart"],
        ),
    ];
    let space = Workspace::new();
    space.run("--out one --limit 1");
    for (change, parts) in cases {
        let _ = fs::remove_dir_all(space.path("two"));
        copy(&space.path("one"), &space.path("two"));
        change(&space);
        space.longcode("report one two --out both").failed(2, parts);
        assert!(!space.path("both").exists());
    }
}

/// Before and after a change of a key: the other rows stand once.
#[test]
fn rows_of_one_name_are_held_against_each_other() {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(32));
    space.replace("config.toml", "samples = 3", "samples = 4");
    two_runs(&space);
    space.replace("two/config.toml", "window = 8", "window = 9");
    let first = without_checksums(&space.text("two/samples.jsonl"));
    let worse = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line["encoding"] == "HiRoPE" {
            for nll in line["outcome"]["nll"].as_array_mut().unwrap() {
                *nll = json!(nll.as_f64().unwrap() * 1.25);
            }
        }
        format!("{line}\n")
    };
    space.write("two/samples.jsonl", first.lines().map(worse).collect::<String>());
    let ended = space.longcode("report one two --out both").done();
    assert!(ended.stdout.contains("Runs beside each other: one, two."), "{ended:?}");
    let summary = csv_lines(&space.text("both/summary.csv"));
    let loss = |encoding: &str| {
        let wanted = |line: &&HashMap<String, String>| {
            line["encoding"] == encoding && line["bucket"] == "all" && line["metric"] == "loss"
        };
        let found: Vec<_> = summary.iter().filter(wanted).collect();
        assert_eq!(found.len(), 1, "{encoding}");
        found[0]["value"].parse::<f64>().unwrap()
    };
    loss("RoPE");
    let (before, after) = (loss("HiRoPE (one)"), loss("HiRoPE (two)"));
    assert!((after / before - 1.25).abs() < 1e-9);
    let changes = csv_lines(&space.text("both/changes.csv"));
    let [change] = &changes[..] else { panic!("{changes:?}") };
    let names = ["from_model", "from_encoding", "to_model", "to_encoding", "paired", "from_n", "to_n"];
    let expected = ["tiny", "HiRoPE (one)", "tiny", "HiRoPE (two)", "true", "8", "8"];
    assert_eq!(names.map(|name| &change[name][..]), expected);
    let number = |key: &str| change[key].parse::<f64>().unwrap();
    assert_eq!(change["metric"], "ppl");
    assert!((number("from") - before.exp()).abs() < 1e-9 * before.exp());
    assert!((number("difference") - (after.exp() - before.exp())).abs() < 1e-6 * after.exp());
    for file in ["report.md", "report.html", "report.tex"] {
        assert!(space.text(&format!("both/{file}")).contains("HiRoPE (one) to HiRoPE (two)"), "{file}");
    }
    assert!(space.path("both/all-rows.svg").exists());
    // The same run twice is one run, unless it is to be kept apart.
    assert!(!space.longcode("report one one --out once").done().stdout.contains("beside each other"));
    space.longcode("report one two --out both --apart").done();
    let names: Vec<[String; 2]> = csv_lines(&space.text("both/changes.csv"))
        .iter()
        .map(|line| ["from_model", "to_model"].map(|key| line[key].clone()))
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|names| *names == ["tiny (one)", "tiny (two)"]), "{names:?}");
}

/// Rows that share no samples are compared, and said not to be paired.
#[test]
fn models_on_different_samples_are_compared_unpaired() {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(32));
    space.replace("config.toml", "samples = 3", "samples = 4");
    two_runs(&space);
    environment(&space, |all| all["models"][0]["sha256"] = json!("0123"));
    let other = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["sample"] = json!(format!("other {}", line["sample"].as_str().unwrap()));
        format!("{line}\n")
    };
    let lines = without_checksums(&space.text("two/samples.jsonl"));
    space.write("two/samples.jsonl", lines.lines().map(other).collect::<String>());
    space.longcode("report one two --out both").done();
    let changes = csv_lines(&space.text("both/changes.csv"));
    assert_eq!(changes.len(), 2, "one an encoding");
    for change in &changes {
        assert_eq!(
            [&change["paired"][..], &change["from_model"], &change["to_model"]],
            ["false", "tiny (one)", "tiny (two)"]
        );
        assert_eq!([&change["difference"][..], &change["excludes_0"]], ["0.0", "false"]);
    }
    assert!(space.text("both/report.md").contains("8 and 8, not the same"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in ["config.toml", "environment.json", "samples.jsonl"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// A workspace whose config holds functions against each of their controls, beside a baseline that sees 32 tokens.
fn with_controls() -> Workspace {
    let space = Workspace::new();
    space.replace("config.toml", "kind = \"rope\"", "kind = \"rope\"\ncontext = 32");
    let units = r#"unit = ["function", "even:function", "shuffled:function", "file"]"#;
    space.replace("config.toml", "split = 0.5", &format!("split = 0.5\n{units}"));
    space.replace(
        "config.toml",
        "buckets = [0, 100, 1000]\nsamples = 3",
        "buckets = [64, 1000]\nsamples = 8",
    );
    space
}

/// Runs `scripts/check_structure_csv.py` on results and a report of them, where there is a Python; whether it agrees.
fn recomputed(space: &Workspace, results: &str, report: &str) -> Option<bool> {
    let mut command = std::process::Command::new("python3");
    command.arg(repository("scripts/check_structure_csv.py"));
    let ended = command.args([space.path(results), space.path(report)]).output().ok()?;
    Some(ended.status.success())
}

#[test]
fn units_are_held_against_their_controls_unasked() {
    let space = with_controls();
    let shown = space.run("--full").stdout;
    let csv = space.text("results/tiny/structure.csv");
    let mut lines = csv.lines();
    let header = "model,task,encoding,unit,control,metric,difference,ci_low,ci_high,mean_length";
    assert_eq!(lines.next(), Some(header));
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let names: Vec<&[&str]> = lines.iter().map(|line| &line[..6]).collect();
    let row = |control| ["tiny", "lm", "HiRoPE unit=function", "function", control, "loss from 64"];
    assert_eq!(names, [row("file"), row("even:function"), row("shuffled:function")]);
    for line in &lines {
        let numbers: Vec<f64> = line[6..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!(numbers[1] <= numbers[0] && numbers[0] <= numbers[2] && numbers[3] > 10.0, "{line:?}");
    }
    // A unit has the figures of its row: what it is worth is what they differ by.
    let summary = space.text("results/tiny/summary.csv");
    let loss = |unit: &str| {
        let start = format!("tiny,HiRoPE unit={unit},lm,from 64,loss,");
        let line = summary.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        line.split(',').next().unwrap().parse::<f64>().unwrap()
    };
    for line in &lines {
        let worth = loss(line[4]) - loss("function");
        assert!((worth - line[6].parse::<f64>().unwrap()).abs() < 1e-9, "{line:?}");
    }
    let sentence = shown.lines().find(|line| line.starts_with("Structure (functions): ")).unwrap();
    assert!(sentence.ends_with(
        ". Loss in nats a token at positions from 64 on, with intervals that hold for all 3 comparisons at once."
    ));
    assert!(!sentence.contains("too few"), "{sentence}");
    for file in ["report.md", "report.html", "report.tex"] {
        let text = space.text(&format!("results/tiny/{file}"));
        assert!(text.contains("Structure (functions): "), "{file}");
        assert!(text.contains("HiRoPE: function against shuffled:function"), "{file}");
    }
    assert!(space.text("results/tiny/report.md").lines().any(|line| line == sentence));
    let picture = space.text("results/tiny/tiny-lm-loss-by-segment-length.svg");
    assert!(picture.contains(">HiRoPE: function<") && picture.contains(">in the wrong places<"));
    assert_ne!(recomputed(&space, "results/tiny", "results/tiny"), Some(false));
    let changed = csv.replacen(lines[1][6], "0.125", 1);
    fs::create_dir(space.path("changed")).unwrap();
    space.write("changed/structure.csv", changed);
    assert_ne!(recomputed(&space, "results/tiny", "changed"), Some(true));
}

#[test]
fn results_without_the_number_of_segments_say_what_structure_is_worth_and_no_length() {
    let space = with_controls();
    space.run("");
    let csv = space.text("results/tiny/structure.csv");
    let samples = without_checksums(&space.text("results/tiny/samples.jsonl"));
    let without = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("segments");
        format!("{line}\n")
    };
    space.write("results/tiny/samples.jsonl", samples.lines().map(without).collect::<String>());
    space.longcode("report results/tiny --out again").done();
    let without_length = |csv: &str| -> Vec<String> {
        csv.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect()
    };
    let again = space.text("again/structure.csv");
    assert_eq!(without_length(&again), without_length(&csv));
    assert!(again.lines().skip(1).all(|line| line.ends_with(',')), "{again}");
    assert!(!space.path("again/tiny-lm-loss-by-segment-length.svg").exists());
    assert!(!space.text("again/report.md").contains("tokens a segment"));
    assert_ne!(recomputed(&space, "results/tiny", "again"), Some(false));
}

#[test]
fn without_controls_nothing_is_said_of_structure() {
    let space = Workspace::new();
    space.run("");
    assert!(!space.path("results/tiny/structure.csv").exists());
    assert!(!space.text("results/tiny/report.md").contains("tructure"));
    // Of fewer than 6 samples nothing is said but that.
    let space = with_controls();
    let shown = space.run("--limit 3 --full").stdout;
    assert!(shown.contains("Structure (functions): fewer than 6 samples, too few to tell"), "{shown}");
}

/// What is kept says what its stored samples say: made again, every report is the same.
#[test]
fn kept_results_are_reported_again() {
    let kept = fs::read_dir(repository("results/kept")).unwrap().map(|entry| entry.unwrap().path());
    // A search has an outcome of its own.
    let kept: Vec<_> =
        kept.filter(|dir| dir.join("samples.jsonl").exists() && !dir.join("tune.md").exists()).collect();
    assert!(kept.len() >= 13, "{kept:?}");
    for dir in kept {
        let out = tempfile::tempdir().unwrap();
        let results = Results::read_all(std::slice::from_ref(&dir), false).unwrap();
        Report::new(&results, None).unwrap().write(out.path()).unwrap();
        for file in ["report.md", "summary.csv", "differences.csv", "contributions.csv", "structure.csv"] {
            let read = |dir: &Path| fs::read_to_string(dir.join(file)).unwrap_or_default();
            assert!(
                read(&dir) == read(out.path()),
                "{}: longcode report makes another {file}",
                dir.display()
            );
        }
    }
}

/// The tiny checkpoint under two kinds by context; positions have a border at 64.
fn with_contexts(space: &Workspace) {
    space.write("docs.jsonl", documents(48));
    space.replace("config.toml", "kind = \"rope\"", "kind = \"rope\"\ncontext = [16, 32, 64, 0]");
    space.replace("config.toml", "window = 8", "window = 8\ncontext = [32, 64, 0]");
    space.replace("config.toml", "samples = 3", "samples = 6\npositions = [0, 64, 1000]");
}

/// The lines of a CSV file, by column.
fn csv_lines(text: &str) -> Vec<HashMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|line| line.unwrap()).collect()
}

#[test]
fn a_context_curve_is_of_the_same_tokens() {
    let space = Workspace::new();
    with_contexts(&space);
    space.run("--out out");
    let lines = csv_lines(&space.text("out/curve.csv"));
    let points: Vec<[&str; 3]> =
        lines.iter().map(|line| ["curve", "encoding", "context"].map(|key| line[key].as_str())).collect();
    assert_eq!(
        points,
        [
            ["RoPE", "RoPE context=16", "16"],
            ["RoPE", "RoPE context=32", "32"],
            ["RoPE", "RoPE context=64", "64"],
            ["RoPE", "RoPE context=all", "all"],
            ["HiRoPE", "HiRoPE context=32", "32"],
            ["HiRoPE", "HiRoPE context=64", "64"],
            ["HiRoPE", "HiRoPE context=all", "all"],
        ]
    );
    // Again from the stored samples: sums of the bins at 64 and beyond.
    let number = |line: &HashMap<String, String>, key: &str| line[key].parse::<f64>().unwrap();
    let mut before = f64::NAN;
    for line in &lines {
        let (mut nll, mut tokens, mut documents) = (0.0, 0, 0);
        for stored in space.text("out/samples.jsonl").lines() {
            let stored: Value = serde_json::from_str(stored).unwrap();
            let outcome = &stored["outcome"];
            let edges: Vec<u64> = serde_json::from_value(outcome["edges"].clone()).unwrap();
            if stored["encoding"] != line["encoding"] || *edges.last().unwrap() <= 64 {
                continue;
            }
            let beyond = (0..edges.len() - 1).filter(|&bin| edges[bin] >= 64);
            nll += beyond.map(|bin| outcome["nll"][bin].as_f64().unwrap()).sum::<f64>();
            tokens += edges.last().unwrap() - 64;
            documents += 1;
        }
        let value = nll / tokens as f64;
        assert!((number(line, "value") - value).abs() < 1e-9, "{line:?}: {value}");
        assert_eq!(number(line, "n"), f64::from(documents));
        assert_eq!(line["over"], "at positions from 64 on");
        match line["before"].as_str() {
            "" => assert!(line["gain"].is_empty()),
            _ => assert!((number(line, "gain") - (before - value)).abs() < 1e-9, "{line:?}"),
        }
        before = value;
    }
    let report = space.text("out/report.md");
    assert!(
        report.contains("\nEffective context of tiny on lm, by loss at positions from 64 on (n "),
        "{report}"
    );
    assert!(report.contains("| effective context |") && report.contains("32 to 64"), "{report}");
    assert!(space.path("out/tiny-lm-loss-by-context.svg").exists());
    for file in ["out/report.html", "out/report.tex"] {
        assert!(space.text(file).contains("Effective context of tiny on lm"), "{file}");
    }
}

#[test]
fn without_contexts_there_is_no_curve() {
    let space = Workspace::new();
    space.run("--out out");
    assert!(
        !space.path("out/curve.csv").exists() && !space.text("out/report.md").contains("ffective context")
    );
}

#[test]
fn what_no_curve_joins_is_said() {
    let space = Workspace::new();
    space.replace("config.toml", "kind = \"rope\"", "kind = \"rope\"\ncontext = [16, 32, 100000, 0]");
    space.replace(
        "config.toml",
        "split = 0.5",
        "split = 0.5\ncontext = 16\n\n[[encoding]]\nname = \"other\"\nkind = \"hirope\"\nwindow = 4\ncontext = 32",
    );
    let ended = space.run("--out out --full");
    for said in [
        "HiRoPE is in no context curve: other has another context, and another window too.",
        "No curve of tiny on lm has a point at a context of 100,000: the longest sample has ",
    ] {
        assert!(ended.stdout.contains(said), "{ended:?}");
    }
    let lines = csv_lines(&space.text("out/curve.csv"));
    let contexts: Vec<&str> = lines.iter().map(|line| line["context"].as_str()).collect();
    assert_eq!(contexts, ["16", "32", "all"]);
    let ended = space.longcode("plan config.toml --device cpu").done();
    assert!(ended.stdout.contains("RoPE context=16 4"), "{ended:?}");
}

/// A results directory whose rows are RoPE at three contexts.
fn by_context(outcome: fn(usize, &str) -> Option<Value>) -> TempDir {
    let dir = made_up();
    let (before, after) = (CONFIG.find("[[encoding]]").unwrap(), CONFIG.find("[[task]]").unwrap());
    let encodings = "[[encoding]]\nname = \"R\"\nkind = \"rope\"\ncontext = [1024, 2048, 0]\n\n";
    let config = format!("{}{encodings}{}", &CONFIG[..before], &CONFIG[after..]);
    fs::write(dir.path().join("config.toml"), config).unwrap();
    let mut lines = String::new();
    for number in 0..30 {
        for (context, loss) in [("1024", 1.5), ("2048", 1.2), ("all", 1.2)] {
            let mut line = line(number, &format!("R context={context}"), [loss; 3]);
            if let Some(outcome) = outcome(number, context) {
                line["outcome"] = outcome;
            }
            lines += &format!("{line}\n");
        }
    }
    fs::write(dir.path().join("samples.jsonl"), lines).unwrap();
    dir
}

#[test]
fn the_effective_context_of_a_curve_that_stops_gaining() {
    let dir = by_context(|_, _| None);
    let results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    let report = Report::new(&results, None).unwrap();
    let text = terminal::full(&report, false);
    let sentence = "Effective context of TinyLlama on code lm, by loss at positions from 2048 on (n 20): R at least 2,048.";
    assert!(text.contains(sentence), "{text}");
    let table = report.sections[0].tables.iter().find(|table| table.title.starts_with("What each step"));
    let names: Vec<&str> = table.unwrap().columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["effective context", "1024 to 2048", "2048 to all"]);
}

#[test]
fn hits_make_a_curve_over_the_longer_samples() {
    let dir = by_context(|number, context| {
        let found = u8::from(context != "1024" || number % 10 == 1);
        Some(json!({"length": 1024, "depth": 50, "found": found}))
    });
    let mut results = Results::read_all(&[dir.path().to_path_buf()], false).unwrap();
    results.config.tasks[0].task = Arc::new(Lookup);
    let report = Report::new(&results, None).unwrap();
    let text = terminal::full(&report, false);
    let sentence = "by exact match over samples of more than 2048 tokens (n 20): R at least 2,048.";
    assert!(text.contains(sentence), "{text}");
    let out = tempfile::tempdir().unwrap();
    report.write(out.path()).unwrap();
    let lines = csv_lines(&fs::read_to_string(out.path().join("curve.csv")).unwrap());
    let values: Vec<[&str; 3]> =
        lines.iter().map(|line| ["value", "gain", "told_apart"].map(|key| line[key].as_str())).collect();
    assert_eq!(values, [["0.1", "", ""], ["1.0", "0.9", "true"], ["1.0", "0.0", "false"]]);
}

/// What a terminal shows of the bundled quickstart: the verdicts, one table and the path, in 40 lines of 100 columns.
#[test]
fn the_quickstart_fits_a_terminal() {
    let space = Workspace::new();
    let kept = repository("results/kept/quickstart");
    let report =
        |flags: &str| space.longcode(&format!("report {} --out out {flags}", kept.display())).done().stdout;
    let shown = report("");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() <= 40 && lines.iter().all(|line| line.chars().count() <= 100), "{shown}");
    assert_eq!(lines.last(), Some(&"report: out/report.html"));
    for row in ["Truncation", "HiRoPE, logn, shuffled"] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(&format!("{row}  "))).count(), 1, "{shown}");
    }
    assert!(report("--full").lines().count() > 200);
    assert_eq!(report("--quiet"), "out/report.html\n");
    let json: Value = serde_json::from_str(&report("--json")).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), 9);
    let gained = &json["rows"][1]["tasks"]["python-lm"]["gained"]["value"];
    assert!((gained.as_f64().unwrap() + 2.801).abs() < 1e-3, "{gained}");
    assert_eq!(json["report"], "out/report.html");
    space.longcode("report one --full --json").failed(2, &["--json"]);
}

#[test]
fn latex_has_the_metrics_that_were_asked_for() {
    let space = Workspace::new();
    space.run("--out out");
    let tables = |flags: &str| {
        space.longcode(&format!("report out {flags}")).done();
        let text = space.text("out/report.tex");
        let labels: Vec<String> = text
            .lines()
            .filter_map(|line| Some(line.strip_prefix("\\label{")?.strip_suffix('}')?.into()))
            .collect();
        assert_eq!(labels.len(), text.matches("\\begin{table*}").count());
        labels
    };
    assert_eq!(tables("--metric ppl"), ["tab:lm-samples-ppl", "tab:lm-differences-ppl"]);
    assert_eq!(
        tables("--metric bits_per_byte --metric accuracy")[0],
        "tab:lm-samples-accuracy-bits-per-byte"
    );
    let all = tables("");
    assert!(
        all.contains(&"tab:lm-samples-ppl".into()) && !all.iter().any(|label| label.ends_with("accuracy")),
        "{all:?}"
    );
    space.longcode("report out --metric bleu").failed(2, &["no table is of \"bleu\"", "--metric", "ppl"]);
}
