//! Function lookup: a prompt with its answer is a program whose assertion holds, one of the bundled functions
//! is what CPython compiles and javac parses, and a run from the config to the figures.
//!
//! Without an interpreter or a compiler the checks of its language are counted as ignored.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use common::cli::{Ended, Workspace};
use common::repository;
use libtest_mimic::{Arguments, Failed, Trial};
use longcode::checkpoint::Checkpoint;
use longcode::dataset::Dataset;
use longcode::structure::Language;
use longcode::task::{Sample, find_kind, parse};
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

/// Bodies and hops of the programs.
const FORMS: [(&str, usize); 6] = [
    ("constant", 1),
    ("constant", 2),
    ("constant", 3),
    ("arithmetic", 1),
    ("arithmetic", 2),
    ("arithmetic", 3),
];

/// Prompts, each followed by the right answer, then by a wrong one.
fn programs(language: &str, samples: usize) -> Vec<[String; 2]> {
    let space = Workspace::new();
    space.write("functions.jsonl", functions(language));
    let dataset = Dataset::open("functions.jsonl", &[space.path("")]).unwrap();
    let model = Checkpoint::open(&repository("models/nano")).unwrap();
    let of_form = |(body, hops): (&str, usize)| {
        let keys = format!(
            "length = 1000\ndepth = [0, 70]\nneedles = 8\nbody = '{body}'\nhops = {hops}\nsamples = {samples}\n\
             language = '{language}'"
        );
        let (task, _) = parse(find_kind("lookup").unwrap(), keys.parse().unwrap()).unwrap();
        task.samples(&dataset, &model, 0).unwrap().samples
    };
    let both = |sample: Sample| {
        [0, 1].map(|answer| {
            let program = answered(&sample, answer);
            program.replace("static void check()", "public static void main(String[] none)")
        })
    };
    FORMS.into_iter().flat_map(of_form).map(both).collect()
}

/// A prompt with one of the answers, as a whole file.
fn answered(sample: &Sample, answer: usize) -> String {
    let end = if sample.language == Some(Language::Java) { ";\n    }\n}\n" } else { "\n" };
    format!("{} {}{end}", sample.text, sample.reference["returns"][answer])
}

/// Prompts of the bundled functions with the right answers, by what they are: 18 of each of 8 seeds.
fn of_bundled_functions(language: &str) -> Vec<(String, String)> {
    let dataset = Dataset::open(&format!("code-{language}"), &[repository("")]).unwrap();
    let model = Checkpoint::open(&repository("models/nano")).unwrap();
    let keys = format!("length = [1000, 3000]\ndepth = [0, 50, 100]\nsamples = 3\nlanguage = '{language}'");
    let (task, _) = parse(find_kind("lookup").unwrap(), keys.parse().unwrap()).unwrap();
    let of_seed = |seed| {
        let samples = task.samples(&dataset, &model, seed).unwrap().samples;
        samples.into_iter().map(move |sample| (format!("seed {seed} {}", sample.id), answered(&sample, 0)))
    };
    let files: Vec<_> = (0..8).flat_map(of_seed).collect();
    assert_eq!(files.len(), 144);
    files
}

/// Runs a Python program that reads this from its standard input.
fn run_python(program: &str, input: &Value) -> Ended {
    let mut command = Command::new("python3");
    command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
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
    assert_eq!(programs.len(), FORMS.len() * 2 * 20);
    run_python(RUN, &json!(programs)).done();
}

fn python_compiles() {
    const COMPILE: &str = "
import json, sys, warnings
warnings.simplefilter('ignore')
for name, file in json.load(sys.stdin):
    try:
        compile(file, name, 'exec')
    except (SyntaxError, ValueError) as error:
        print(name, error, sep=': ')
";
    let ended = run_python(COMPILE, &json!(of_bundled_functions("python"))).done();
    assert_eq!(ended.stdout, "", "{} of 144 do not compile", ended.stdout.lines().count());
}

fn java_parses() {
    let space = Workspace::new();
    fs::create_dir(space.path("files")).unwrap();
    for (name, file) in of_bundled_functions("java") {
        space.write(&format!("files/{name}.java"), file);
    }
    let ended: Ended = Command::new("java")
        .arg(repository("tests/fixtures/Syntax.java"))
        .arg(space.path("files"))
        .output()
        .unwrap()
        .into();
    let ended = ended.done();
    assert_eq!(ended.stdout, "", "{} of 144 do not parse", ended.stdout.lines().count());
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
            for (group, n) in [("length 800 depth 50", 2), ("1100", 6), ("all", 12)] {
                let start = format!("tiny,{encoding},where,{group},{metric},");
                let line = summary.lines().find(|line| line.starts_with(&start));
                assert!(line.is_some_and(|line| line.ends_with(&format!(",{n}"))), "{start}\n{summary}");
            }
        }
    }
    let picture = space.text("results/lookup/tiny-where-exact-match-by-bucket.svg");
    assert!(picture.contains(">1100<") && !picture.contains("0-1100"), "lengths, not ranges");
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
        with("python3", "--version", "bundled_prompts_compile_in_python", python_compiles),
        with("javac", "-version", "bundled_prompts_parse_in_java", java_parses),
        Trial::test("run", || -> Result<(), Failed> {
            run();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
