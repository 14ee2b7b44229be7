//! Function lookup: a prompt with its answer is a program whose assertion holds, and a run from the
//! config to the figures.
//!
//! Without an interpreter the check of its language is counted as ignored.

mod common;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use common::cli::{Ended, Workspace};
use common::repository;
use libtest_mimic::{Arguments, Failed, Trial};
use longcode::dataset::Dataset;
use longcode::model::Checkpoint;
use longcode::task::find_kind;
use serde_json::{Value, json};

/// As many functions as prompts of some thousand tokens choose from, each of its own name.
fn functions(language: &str) -> String {
    let definition = |n: usize| match language {
        "python" => format!("def f{n}(x):\n    y = x * {n}\n    return y + {n}\n\n\n"),
        _ => format!(
            "    static int f{n}(int x) {{\n        int y = x * {n};\n        return y + {n};\n    }}\n\n"
        ),
    };
    let mut lines = String::new();
    for file in 0..20 {
        let text: String = (file * 10..file * 10 + 10).map(definition).collect();
        let text = if language == "java" { format!("class C{file} {{\n{text}}}\n") } else { text };
        writeln!(lines, "{}", json!({"id": file.to_string(), "language": language, "text": text})).unwrap();
    }
    lines
}

/// Prompts, each followed by the right answer, then by a wrong one.
fn programs(language: &str, samples: usize) -> Vec<[String; 2]> {
    let space = Workspace::new();
    space.write("functions.jsonl", functions(language));
    let dataset = Dataset::open("functions.jsonl", &[space.path("")]).unwrap();
    let model = Checkpoint::open(&repository("models/nano")).unwrap();
    let of_hops = |hops: usize| {
        let keys = format!(
            "length = 1000\ndepth = [0, 70]\nneedles = 8\nhops = {hops}\nsamples = {samples}\nlanguage = '{language}'"
        );
        let (task, _) = find_kind("lookup").unwrap().parse(keys.parse().unwrap()).unwrap();
        task.samples(&dataset, &model, 0).unwrap().samples
    };
    let samples = (1..=3).flat_map(of_hops);
    let program = |prompt: &str, returns: &Value| match language {
        "python" => format!("{prompt} {returns}\n"),
        _ => {
            let prompt = prompt.replace("static void check()", "public static void main(String[] none)");
            format!("{prompt} {returns};\n    }}\n}}\n")
        }
    };
    let both = |sample: longcode::task::Sample| {
        let returns = &sample.reference["returns"];
        [0, 1].map(|answer| program(&sample.text, &returns[answer]))
    };
    samples.map(both).collect()
}

fn python() {
    const RUN: &str = "
import json, sys
for right, wrong in json.load(sys.stdin):
    exec(right, {})
    try:
        exec(wrong, {})
    except AssertionError:
        continue
    sys.exit('a wrong answer holds:\\n' + wrong)
";
    let programs = programs("python", 20);
    assert_eq!(programs.len(), 3 * 2 * 20);
    let mut command = Command::new("python3");
    command.args(["-c", RUN]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(programs).to_string().as_bytes()).unwrap();
    Ended::from(child.wait_with_output().unwrap()).done();
}

fn java() {
    let space = Workspace::new();
    for [right, wrong] in programs("java", 1).into_iter().step_by(2) {
        for (program, code) in [(right, 0), (wrong, 1)] {
            space.write("Functions.java", &program);
            let ended: Ended = Command::new("java")
                .args(["-ea", "Functions.java"])
                .current_dir(space.path(""))
                .output()
                .unwrap()
                .into();
            assert_eq!(ended.code, Some(code), "{ended:?}\n{program}");
            assert_eq!(ended.stderr.contains("AssertionError"), code == 1, "{ended:?}");
        }
    }
}

const CONFIG: &str = r#"
name = "lookup"

[[model]]
name = "tiny"
path = "model"

[[encoding]]
name = "RoPE"
kind = "rope"

[[encoding]]
name = "HiRoPE"
kind = "hirope"
window = 8
split = 0.5

[[task]]
name = "where"
kind = "lookup"
dataset = "functions.jsonl"
length = [800, 1100]
depth = [0, 50, 100]
samples = 2
"#;

fn run() {
    let space = Workspace::new();
    space.write("functions.jsonl", functions("python"));
    space.write("config.toml", CONFIG);
    let ended = space.run("");
    assert!(ended.stderr.contains("24 of 24 samples x encodings to do"), "{ended:?}");
    let lines = space.text("results/lookup/samples.jsonl");
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (tokens, length) =
            (line["tokens"].as_u64().unwrap(), line["outcome"]["length"].as_u64().unwrap());
        assert!((length - 60..=length).contains(&tokens), "{line}");
        let count = |key: &str| line["outcome"][key].as_array().unwrap().len();
        assert_eq!((count("returns"), count("log_likelihood")), (4, 4));
    }
    let summary = space.text("results/lookup/summary.csv");
    for encoding in ["RoPE", "HiRoPE"] {
        for metric in ["exact_match", "likelihood_accuracy", "margin"] {
            for (group, n) in [("length 800 depth 50", 2), ("0-1100", 6), ("all", 12)] {
                let start = format!("tiny,{encoding},where,{group},{metric},");
                let line = summary.lines().find(|line| line.starts_with(&start));
                assert!(line.is_some_and(|line| line.ends_with(&format!(",{n}"))), "{start}\n{summary}");
            }
        }
    }
    let stored = lines.len();
    assert!(space.run("").stderr.contains("nothing left to do"));
    assert_eq!(space.text("results/lookup/samples.jsonl").len(), stored);

    space.replace("config.toml", "[800, 1100]", "[100, 1100]");
    space.longcode("run config.toml --device cpu").failed(2, &["length is 100", "key `length`", "\"where\""]);
}

/// A check that needs a program on this machine.
fn with(program: &str, version: &str, name: &str, check: fn()) -> Trial {
    let there = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let trial = Trial::test(name, move || -> Result<(), Failed> {
        check();
        Ok(())
    });
    trial.with_ignored_flag(!there.is_ok_and(|status| status.success()))
}

fn main() {
    let trials = vec![
        with("python3", "--version", "answers_hold_in_python", python),
        with("java", "-version", "answers_hold_in_java", java),
        Trial::test("run", || -> Result<(), Failed> {
            run();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
