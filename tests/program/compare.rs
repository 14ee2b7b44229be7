//! `longcode compare`, and the file of single tokens' scores.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

use crate::common::cli::Workspace;
use crate::common::repository;

#[test]
fn two_rows_and_their_lm_eval_files() {
    let space = Workspace::new();
    space.run("");
    let rows = "compare results/tiny results/tiny --row-a HiRoPE --row-b RoPE";
    let compared = space.longcode(&format!("{rows} --metric document_loss --json --html page.html")).done();
    let compared = compared.json().remove(0);
    let figure = &compared["figures"][0];
    assert_eq!(compared["a"]["name"], "tiny, HiRoPE");
    assert_eq!(figure["n"], 6);
    assert_eq!(figure["higher_is_better"], false);
    assert!(space.text("page.html").contains("<h1>tiny, HiRoPE and tiny, RoPE</h1>"));
    // The same samples as lm-evaluation-harness's files have them, in which every document weighs the same.
    let files = "compare results/tiny/lm_eval/tiny_HiRoPE results/tiny/lm_eval/tiny_RoPE";
    let files = space.longcode(&format!("{files} --metric document_loss --json")).done().json().remove(0);
    for key in ["n", "a", "b", "difference", "interval", "permutation_p", "a_more", "b_more", "same"] {
        assert_eq!(files["figures"][0][key], figure[key], "{key}");
    }
    let text = space.longcode(rows).done().stdout;
    assert!(text.contains("A: tiny, HiRoPE (longcode ") && text.contains("permutation p"), "{text}");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let space = Workspace::new();
    space.run("");
    let refused = |arguments: &str, parts: &[&str]| {
        space.longcode(&format!("compare {arguments}")).failed(2, parts);
    };
    refused("results/tiny results/tiny", &["--row-a", "there are 2 rows", "tiny/RoPE"]);
    refused("results/tiny results/tiny --row-a RoPE --row-b none", &["--row-b", "no row is named \"none\""]);
    refused("results/tiny nowhere --row-a RoPE", &["nowhere", "no such file", "--log_samples"]);
    refused("results/tiny docs.jsonl --row-a RoPE", &["docs.jsonl", "no `doc_id`"]);
    refused("results/tiny config.toml --row-a RoPE", &["config.toml", "not a JSON log of inspect_ai"]);
    refused("docs.jsonl results/tiny --row-a x", &["--row-a", "one row"]);
    refused(
        "results/tiny results/tiny --row-a HiRoPE --row-b RoPE --metric x=y",
        &["no figure in common", "document_loss", "NAME_OF_A=NAME_OF_B"],
    );
}

/// Runs `scripts/check_per_token.py` on the results, where there is a Python with pandas and polars; whether it agrees.
fn by_data_frames(space: &Workspace) -> Option<bool> {
    let python = || std::process::Command::new("python3");
    let has_both = python().args(["-c", "import pandas, polars, pyarrow"]).output().ok()?.status.success();
    let mut check = python();
    check.arg(repository("scripts/check_per_token.py")).arg("--results").arg(space.path("results/tiny"));
    has_both.then(|| check.output().is_ok_and(|ended| ended.status.success()))
}

/// The rows of a parquet file, as JSON objects.
fn rows(path: &Path) -> Vec<Value> {
    let value = |field: &Field| match field {
        Field::Str(text) => json!(text),
        Field::Int(number) => json!(number),
        Field::Long(number) => json!(number),
        Field::UInt(number) => json!(number),
        Field::ULong(number) => json!(number),
        Field::Float(number) => json!(number),
        _ => Value::Null,
    };
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let row = |row: parquet::record::Row| -> Value {
        row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
    };
    reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect()
}

/// A row for every predicted token of every sample and row, whose mean losses are the report's.
#[test]
fn scores_of_single_tokens() {
    let space = Workspace::new();
    space.replace("config.toml", "samples = 3", "samples = 3\nper_token = true");
    space.run("");
    let results = space.path("results/tiny");
    let mut sums: HashMap<String, (f64, f64)> = HashMap::new();
    for row in rows(&results.join("per_token.parquet")) {
        let sum = sums.entry(row["encoding"].as_str().unwrap().to_string()).or_default();
        *sum = (sum.0 + row["loss"].as_f64().unwrap(), sum.1 + 1.0);
        assert!(row["rank"].as_i64().unwrap() >= 1 && row["position"].as_i64().unwrap() >= 1);
    }
    assert_eq!(sums.len(), 2);
    let summary = space.text("results/tiny/summary.csv");
    for (encoding, (sum, count)) in sums {
        let line =
            summary.lines().find(|line| line.starts_with(&format!("tiny,{encoding},lm,all,loss,"))).unwrap();
        let loss: f64 = line.split(',').nth(5).unwrap().parse().unwrap();
        assert!((loss - sum / count).abs() < 1e-5, "{encoding}: {loss} {}", sum / count);
    }
    assert_ne!(
        by_data_frames(&space),
        Some(false),
        "pandas and polars read the same, and summary.csv's figures"
    );
    let score = "score --model model --device cpu --encoding rope --per-token tokens.parquet a.py";
    space.write("a.py", "def f(a):\n    return a\n");
    let scored = space.longcode(&format!("{score} --json")).done().json().remove(0);
    let rows = rows(&space.path("tokens.parquet"));
    let losses: Vec<f64> =
        scored["nll"].as_array().unwrap().iter().map(|nll| nll.as_f64().unwrap()).collect();
    let stored = rows.iter().map(|row| row["loss"].as_f64().unwrap());
    assert!(stored.zip(&losses).all(|(one, other)| (one - other).abs() < 1e-6) && rows.len() == losses.len());
}
