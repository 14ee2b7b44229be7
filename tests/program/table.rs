//! The encoding `table`: files that a script writes give the numbers of the kind that they describe, in every command.

use std::process::Command;

use serde_json::{Value, json};

use crate::common::cli::{Workspace, documents};
use crate::common::repository;

/// SHA-256 of a text.
fn hash(text: &str) -> String {
    longcode::hash::sha256(text.as_bytes())
}

/// HiRoPE's positions of some texts, from the segments that `inspect` finds.
fn hirope(space: &Workspace, texts: &[&str], window: usize) -> Value {
    let mut all = serde_json::Map::new();
    for text in texts {
        space.write("one.py", text);
        let found = space.longcode("inspect --json --tokenizer model one.py").done().json().remove(0);
        let segments: Vec<u64> = found["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["segment"].as_u64().unwrap())
            .collect();
        let tokens: Vec<usize> = (0..segments.len()).collect();
        let far: Vec<u64> = segments.iter().map(|segment| segment + window as u64 - 1).collect();
        let first: Vec<usize> = tokens.iter().map(|i| (i + 1).saturating_sub(window)).collect();
        // The tiny model's heads have 16 dimensions.
        let zones = json!([
            { "pairs": [0, 4, 8], "query": [tokens, far], "key": [tokens, segments] },
            { "first": first },
        ]);
        all.insert(hash(text), json!({ "zones": zones }));
    }
    json!({ "texts": all })
}

/// The losses that a command prints.
fn losses(space: &Workspace, encoding: &str) -> Vec<Value> {
    let ended =
        space.longcode(&format!("score --json --device cpu --model model --encoding {encoding} a.py b.py"));
    ended.done().json().into_iter().map(|mut line| line["nll"].take()).collect()
}

fn texts() -> [String; 2] {
    let lines = documents(8);
    let text = |n: usize| {
        let line: Value = serde_json::from_str(lines.lines().nth(n).unwrap()).unwrap();
        line["text"].as_str().unwrap().to_string()
    };
    [text(5), text(7)]
}

#[test]
fn a_table_of_hiropes_positions_has_its_losses() {
    let space = Workspace::new();
    let [a, b] = texts();
    space.write("a.py", &a);
    space.write("b.py", &b);
    space.write("table.json", hirope(&space, &[&a, &b], 8).to_string());
    assert_eq!(losses(&space, "table:file=table.json"), losses(&space, "hirope:window=8,split=0.5"));
    // One text has no positions: the other's losses are printed, and the error names the text.
    space.write("table.json", hirope(&space, &[&a], 8).to_string());
    let ended =
        space.longcode("score --json --device cpu --model model --encoding table:file=table.json a.py b.py");
    assert_eq!(ended.json().len(), 1);
    ended.failed(2, &["no positions of this text", &hash(&b), "b.py", "key `file`: table.json"]);
    // New tokens need rows of their own.
    space
        .longcode(
            "generate --device cpu --model model --encoding table:file=table.json --max-new-tokens 4 a.py",
        )
        .failed(2, &["rows, and the text has", "with 4 new ones"]);
    for missing in ["table:file=none.json", "table"] {
        let ended = space.longcode(&format!("score --model model --encoding {missing} a.py"));
        ended.failed(2, &[if missing == "table" { "file" } else { "none.json" }]);
    }
}

#[test]
fn a_run_with_a_table_is_checked_before_it_starts_and_pinned_by_the_file() {
    let space = Workspace::new();
    let frequencies: Vec<f64> = (0..8).map(|pair| 0.5f64.powi(pair)).collect();
    let table = |length: usize| {
        let tokens: Vec<usize> = (0..length).collect();
        json!({ "frequencies": frequencies, "zones": [{ "query": tokens, "key": tokens }] }).to_string()
    };
    space.replace(
        "config.toml",
        "kind = \"hirope\"\nwindow = 8\nsplit = 0.5",
        "kind = \"table\"\nfile = \"mine.json\"",
    );
    for command in ["run", "plan"] {
        let refused = |parts: &[&str]| {
            space.longcode(&format!("{command} config.toml --device cpu --out out")).failed(2, parts);
            assert!(!space.path("out").exists(), "nothing is written");
        };
        refused(&["`mine.json` does not exist", "key `file`", "encoding \"HiRoPE\"", "config.toml"]);
        space.write("mine.json", table(40));
        refused(&[
            "`zones` has 40 rows, and the text has",
            "task \"lm\"",
            "encoding \"HiRoPE\"",
            "sample \"",
        ]);
        space.write("mine.json", json!({ "frequencies": [1.0] }).to_string());
        refused(&["`frequencies` has 1 numbers, and the model has 8 pairs", "mine.json"]);
        std::fs::remove_file(space.path("mine.json")).unwrap();
    }
    space.write("mine.json", table(1000));
    space.run("--out out --limit 1");
    let stored = space.text("out/config.toml");
    assert!(stored.contains(&format!("sha256 = \"{}\"", hash(&table(1000)))), "{stored}");
    // Elsewhere it is the same file; another one is another encoding.
    std::fs::rename(space.path("mine.json"), space.path("moved.json")).unwrap();
    space.replace("config.toml", "mine.json", "moved.json");
    space.run("--out out");
    space.write("moved.json", table(1001));
    space.longcode("run config.toml --device cpu --out out").failed(2, &["sha256", "HiRoPE"]);
    // A report needs no file.
    std::fs::remove_file(space.path("moved.json")).unwrap();
    space.longcode("report out").done();
}

#[test]
fn the_example_script_writes_tables() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|ended| ended.status.success()) {
        return;
    }
    let space = Workspace::new();
    let [a, b] = texts();
    space.write("a.py", &a);
    space.write("b.py", &b);
    let script = |arguments: &str| {
        let mut command = Command::new("python3");
        command
            .arg(repository("scripts/make_table.py"))
            .args(arguments.split(' '))
            .current_dir(space.path(""));
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        space.write("table.json", ended.stdout);
    };
    script(&format!("hirope model a.py b.py --window 8 --longcode {}", env!("CARGO_BIN_EXE_longcode")));
    assert_eq!(losses(&space, "table:file=table.json"), losses(&space, "hirope:window=8,split=0.5"));
    script("yarn model --factor 4");
    for (own, kind) in losses(&space, "table:file=table.json").iter().zip(losses(&space, "yarn:factor=4")) {
        for (a, b) in own.as_array().unwrap().iter().zip(kind.as_array().unwrap()) {
            assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4, "{a} {b}");
        }
    }
    // The bundled one is what it writes for the bundled model.
    script(&format!("yarn {} --factor 2", repository("models/nano").display()));
    assert_eq!(space.text("table.json"), std::fs::read_to_string(repository("configs/table.json")).unwrap());
}
