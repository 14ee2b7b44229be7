//! Every config of the paper from end to end: the tiny checkpoint stands in for the paper's models, texts
//! of the same lengths for its data sets. Windows fit the tiny checkpoint's training length; all else is as
//! in the config.

use std::fmt::Write;
use std::fs;

use crate::common::cli::Workspace;
use crate::common::repository;
use longcode::checkpoint::read_tokenizer;
use serde_json::json;

/// Lengths in tokens, one in each bucket of every config.
const LENGTHS: [usize; 18] = [
    100, 600, 1500, 2500, 3500, 4500, 5500, 6500, 7500, 8700, 9700, 10700, 1200, 2700, 5000, 9000, 12000,
    13000,
];

/// `files.jsonl` has code of these lengths, `lines.jsonl` completions of each length in words.
fn write_data(space: &Workspace) {
    let tokenizer = read_tokenizer(&space.path("model")).unwrap();
    let function = |n: usize| format!("def f{n:04}(a):\n    b = a + 7\n    return b\n\n\n");
    let each = tokenizer.encode(&function(100)).unwrap().ids.len();
    let mut files = String::new();
    for (number, length) in LENGTHS.iter().enumerate() {
        let content: String = (0..length / each).map(function).collect();
        let line = json!({"repo_name": "r", "path": format!("{number}.py"), "language": "python", "content": content});
        writeln!(files, "{line}").unwrap();
    }
    space.write("files.jsonl", files);
    let mut lines = String::new();
    for (number, length) in [1000, 5000, 9000].into_iter().enumerate() {
        let line = json!({
            "_id": format!("{number}"), "language": "python", "length": length, "dataset": "lcc", "all_classes": null,
            "input": "y = ", "context": "import os\n\n\ndef f(a):\n    return a\n\n\nx = f(1)\n", "answers": ["y = f(x)"],
        });
        writeln!(lines, "{line}").unwrap();
    }
    space.write("lines.jsonl", lines);
}

/// A config's line with a stand-in for what it names.
fn stand_in(line: &str) -> String {
    let Some((key, value)) = line.split_once(" = ") else { return line.into() };
    let value = match (key, value) {
        ("path", _) => "\"model\"",
        ("dataset", "\"lcc\"" | "\"repobench-p\"") => "\"lines.jsonl\"",
        ("dataset", _) => "\"files.jsonl\"",
        ("window", "512" | "64") => "8",
        _ => value,
    };
    format!("{key} = {value}")
}

/// Runs a config of the paper and returns its report.
fn report_of(name: &str) -> String {
    let space = Workspace::new();
    write_data(&space);
    let config = fs::read_to_string(repository(&format!("configs/paper/{name}.toml"))).unwrap();
    space.write("config.toml", config.lines().map(stand_in).collect::<Vec<_>>().join("\n"));
    space.run("--limit 1 --out out");
    for file in ["summary.csv", "differences.csv", "report.html", "report.tex"] {
        assert!(space.path("out").join(file).exists(), "{name}: {file}");
    }
    space.text("out/report.md")
}

/// Every model and encoding of the config is in the report, with what the paper published beside.
fn check(name: &str, models: &[&str], encodings: &[&str], published: bool) {
    let report = report_of(name);
    for model in models {
        assert!(report.contains(&format!("## {model} on ")), "{name}: {model}\n{report}");
    }
    for encoding in encodings {
        assert!(report.contains(&format!("| {encoding} ")), "{name}: {encoding}\n{report}");
    }
    assert_eq!(report.contains("measured / published in the paper's"), published, "{name}\n{report}");
}

const MODELS: [&str; 4] = ["LLaMA-2", "ShearedLLaMA", "TinyLlama", "Vicuna"];
const ENCODINGS: [&str; 5] = ["origin", "NTK", "ReRoPE", "Self-Extend", "HiRoPE"];

#[test]
fn table_4() {
    check("table4", &MODELS, &ENCODINGS, true);
}

#[test]
fn table_5() {
    check("table5", &["TinyLlama", "ShearedLLaMA"], &ENCODINGS, true);
}

#[test]
fn table_6() {
    check("table6", &["LLaMA-2", "ShearedLLaMA", "TinyLlama"], &["origin", "ReRoPE", "HiRoPE"], true);
}

#[test]
fn figure_4() {
    check("figure4-split", &["LLaMA-2"], &["HiRoPE split=0.0", "HiRoPE split=1.0"], false);
    check("figure4-window", &["LLaMA-2"], &["HiRoPE window=1", "HiRoPE window=512"], true);
    check("figure4-segment", &["LLaMA-2"], &["HiRoPE unit=function", "HiRoPE unit=statement"], true);
}

#[test]
fn figure_5() {
    let short = MODELS.map(|model| format!("Short-{model}"));
    check("figure5", &short.each_ref().map(String::as_str), &["origin", "ReRoPE", "HiRoPE"], true);
}
