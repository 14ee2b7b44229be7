//! Tasks whose model generates, from config to report, with the real program and the bundled model.

use std::fmt::Write as _;

use crate::common::cli::Workspace;
use crate::common::repository;
use longcode::hash::sha256;
use serde::Deserialize;
use serde_json::{Value, json};

/// A workspace whose config has one task on the bundled model under two encodings.
fn workspace(task: &str, records: &[Value]) -> Workspace {
    let space = Workspace::new();
    let nano = repository("models/nano");
    space.write(
        "config.toml",
        format!(
            "name = \"r\"\n[[model]]\nname = \"nano\"\npath = {nano:?}\n[[encoding]]\nkind = \"rope\"\n\
             [[encoding]]\nkind = \"hirope\"\nwindow = 64\nsplit = 0.5\n[[task]]\ndataset = \"asked.jsonl\"\n\
             samples = 2\n{task}"
        ),
    );
    let mut lines = String::new();
    for record in records {
        writeln!(lines, "{record}").unwrap();
    }
    space.write("asked.jsonl", lines);
    space
}

/// Python code of so many different functions.
fn code(functions: usize) -> String {
    (0..functions).map(|n| format!("def take_{n}(value):\n    return value + {n}\n\n\n")).collect()
}

fn stored(space: &Workspace) -> Vec<Value> {
    let samples = space.text("results/r/samples.jsonl");
    samples.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn left_out(space: &Workspace) -> Vec<Value> {
    let environment: Value = serde_json::from_str(&space.text("results/r/environment.json")).unwrap();
    environment["left_out"].as_array().unwrap().clone()
}

/// A line of summary.csv.
#[derive(Deserialize)]
struct Figure {
    encoding: String,
    bucket: String,
    metric: String,
    value: f64,
}

fn figures(space: &Workspace) -> Vec<Figure> {
    let summary = space.text("results/r/summary.csv");
    csv::Reader::from_reader(summary.as_bytes()).deserialize().map(Result::unwrap).collect()
}

#[test]
fn completion() {
    let record = |id: &str, functions: usize, answers: Value| {
        json!({
            "_id": id, "context": code(functions), "input": "def last():\n", "answers": answers,
            "length": functions * 5, "language": "python", "dataset": "repobench-p", "all_classes": null
        })
    };
    let records = [
        record("short", 4, json!(["    return 1"])),
        record("none", 4, json!([])),
        record("long", 60, json!(["    return 1", "    return take_1(1)"])),
        json!({"_id": "without", "answers": ["x"], "length": 5}),
    ];
    let task = "kind = \"completion\"\nname = \"next\"\nprompt = \"repobench-p\"\nlimit = 300\n\
                max_new_tokens = 12\nbuckets = [0, 100]\n";
    let space = workspace(task, &records);
    let ended = space.run("--batch 2");
    for said in ["1 of 2 prompts are longer than 300", "asked.jsonl:2 is left out", "`input`"] {
        assert!(ended.stderr.contains(said), "no `{said}` in {}", ended.stderr);
    }
    let left_out = left_out(&space);
    assert_eq!(left_out.len(), 2);
    assert!(left_out.iter().all(|one| one["task"] == "next" && one["model"] == "nano"));
    let stored = stored(&space);
    assert_eq!(stored.len(), 4);
    for line in &stored {
        let long = line["sample"] == "long";
        assert_eq!(line["bucket"], if long { "100+" } else { "0-100" });
        assert_eq!(line["outcome"]["truncated_tokens"].as_u64().unwrap() > 0, long);
        let text = line["outcome"]["text"].as_str().unwrap();
        assert!(text.contains(line["outcome"]["line"].as_str().unwrap()), "{line}");
        assert!((0.0..=100.0).contains(&line["outcome"]["edit_similarity"].as_f64().unwrap()));
    }
    let figures = figures(&space);
    for encoding in ["rope", "hirope"] {
        for (bucket, share) in [("0-100", 0.0), ("100+", 100.0), ("all", 50.0)] {
            let figure = |metric: &str| {
                let of =
                    |one: &&Figure| one.encoding == encoding && one.bucket == bucket && one.metric == metric;
                figures.iter().find(of).unwrap().value
            };
            assert_eq!(figure("truncated"), share);
            let of_bucket =
                |line: &&Value| line["encoding"] == encoding && (bucket == "all" || line["bucket"] == bucket);
            let values =
                stored.iter().filter(of_bucket).map(|line| line["outcome"]["edit_similarity"].as_f64());
            let values: Vec<f64> = values.map(Option::unwrap).collect();
            assert!(
                (figure("edit_similarity") - values.iter().sum::<f64>() / values.len() as f64).abs() < 1e-9
            );
        }
    }
}

#[test]
fn symbols() {
    let records = [
        json!({"path": "a.py", "content": code(12)}),
        json!({"path": "b.py", "content": 3}),
        json!({"path": "c.py", "content": code(30)}),
        json!({"path": "few.py", "content": code(3)}),
    ];
    let task = "kind = \"symbols\"\nname = \"names\"\nmin_tokens = 100\nmax_tokens = 900\n\
                max_new_tokens = 16\nposition_width = 256\n";
    let space = workspace(task, &records);
    space.run("");
    let left_out = left_out(&space);
    assert_eq!(left_out.len(), 1);
    assert!(left_out[0]["record"].as_str().unwrap().ends_with("asked.jsonl:2"), "{left_out:?}");
    let stored = stored(&space);
    assert_eq!(stored.len(), 4);
    for line in &stored {
        let outcome = &line["outcome"];
        let text = outcome["text"].as_str().unwrap();
        let symbols = outcome["symbols"].as_array().unwrap();
        assert_eq!(symbols.len(), if line["sample"] == "a.py" { 12 } else { 30 });
        for symbol in symbols {
            assert_eq!(symbol["found"], text.contains(symbol["name"].as_str().unwrap()), "{line}");
        }
    }
    let figures = figures(&space);
    let columns = |metric: &str| {
        let of = |one: &&Figure| one.encoding == "hirope" && one.metric == metric;
        figures.iter().filter(of).map(|one| one.bucket.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(columns("exact_precision"), ["all"]);
    assert_eq!(columns("recall")[..2], ["all", "position 0-256"]);
    assert!(columns("recall").len() > 2);
}

/// One record that cannot be asked, and no other.
#[test]
fn nothing_to_ask() {
    let record = json!({"_id": "a", "context": "x", "answers": [], "length": 1});
    let space = workspace("kind = \"completion\"\nprompt = \"lcc\"\nlimit = 300\nbuckets = [0]\n", &[record]);
    let parts =
        ["0 words and more", "1 left out", "asked.jsonl:1: the list of answers is empty", "`buckets`"];
    space.longcode("run config.toml --device cpu").failed(2, &parts);
    assert!(!space.path("results").exists());
}

/// Losses within a context, and their sums by how far back stands what a token could be known from, as
/// scripts/check_far_context.py computes them with transformers, tokenize and ast; the parts of a difference add up.
#[test]
fn far_context() {
    let expected = std::fs::read_to_string(repository("tests/fixtures/far_context.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let text = std::fs::read_to_string(repository("tests/fixtures/python_difflib.py")).unwrap();
    let (context, stride, from) = (&expected["context"], &expected["stride"], &expected["from"]);
    let task = format!(
        "kind = \"language_modeling\"\nbuckets = [0, 2000]\nfrom = {from}\ncopies = {}",
        expected["copies"]
    );
    let space = workspace(&task, &[json!({"id": "sample", "text": text, "language": "python"})]);
    let limited =
        format!("kind = \"rope\"\ncontext = {context}\nstride = {stride}\n[[encoding]]\nkind = \"hirope\"");
    space.replace("config.toml", "kind = \"rope\"\n[[encoding]]\nkind = \"hirope\"", &limited);
    let ended = space.run("");
    assert!(ended.stderr.contains("bucket 0-2000: 1 of 2 documents asked for"), "{ended:?}");
    assert!(space.text("results/r/report.md").contains("1 of 2 documents asked for"));
    assert!(space.text("results/r/report.md").contains("too few to tell who uses"));

    space.write("sample.py", &text);
    let nano = repository("models/nano");
    let score = format!("score --model {} --device cpu --json", nano.display());
    let scored = format!("{score} --encoding rope:context={context},stride={stride} sample.py");
    let losses = space.longcode(&scored).done().json()[0]["nll"].clone();
    let losses: Vec<f64> = serde_json::from_value(losses).unwrap();
    let theirs: Vec<f64> = serde_json::from_value(expected["nll"].clone()).unwrap();
    assert_eq!(losses.len(), theirs.len());
    assert!(losses.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-4));

    let figures = figures(&space);
    let edges: Vec<usize> = serde_json::from_value(expected["copies"].clone()).unwrap();
    let ends = edges.iter().skip(1).map(|edge| format!("-{edge}")).chain(["+".to_string()]);
    let spans = edges.iter().zip(ends).map(|(edge, end)| format!("{edge}{end}"));
    let groups: Vec<String> = ["new".to_string()].into_iter().chain(spans).chain(["other".into()]).collect();
    for by in ["copy", "reference", "definition"] {
        for (number, group) in groups.iter().enumerate() {
            let tokens = expected["groups"][by]["tokens"][number].as_f64().unwrap();
            let sum = expected["groups"][by]["nll"][number].as_f64().unwrap();
            let bucket = format!("{by} {group}");
            let found = figures.iter().find(|figure| {
                figure.encoding == "rope" && figure.bucket == bucket && figure.metric == "loss"
            });
            match found {
                None => assert_eq!(tokens, 0.0, "{bucket}"),
                Some(found) => {
                    assert!((found.value - sum / tokens).abs() < 1e-4, "{bucket}: {}", found.value)
                }
            }
        }
    }

    let contributions = space.text("results/r/contributions.csv");
    let mut lines = csv::Reader::from_reader(contributions.as_bytes());
    let lines: Vec<Contribution> = lines.deserialize().map(Result::unwrap).collect();
    for by in ["copy", "reference", "definition"] {
        let of = |total: bool| {
            let wanted = lines.iter().filter(move |line| line.by == by && (line.group == "total") == total);
            wanted.map(|line| (line.share, line.contribution)).fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
        };
        let (parts, total) = (of(false), of(true));
        assert!(
            (parts.0 - 1.0).abs() < 1e-9 && (parts.1 - total.1).abs() < 1e-9,
            "{by}: {parts:?} {total:?}"
        );
        assert!(total.1.abs() > 1e-3, "the encodings differ");
    }
}

/// A line of contributions.csv.
#[derive(Deserialize)]
struct Contribution {
    by: String,
    group: String,
    share: f64,
    contribution: f64,
}

/// Questions on one repository are told by the plan, and each is answered as it is when it is asked alone.
#[test]
fn questions_that_begin_alike_are_answered_as_alone() {
    let task = "kind = \"multiple_choice\"\nbenchmark = \"long-code-qa\"\nlimit = 4096\nmax_new_tokens = 8\nbuckets = [0]\n";
    let repository = code(40);
    let record = |function: usize| {
        let question = format!("Question:\nWhat follows f{function}?\n\nA) f1\nB) f2\nC) f3\nD) f4");
        json!({
            "prompt": format!("{repository}\n{question}"), "repo": "r", "repo_text": repository,
            "question": question, "correct_letter": "B", "language": "python",
        })
    };
    let records: Vec<Value> = (1..=3).map(record).collect();
    let answers = |records: &[Value]| -> Vec<Value> {
        let space = workspace(task, records);
        space.replace("config.toml", "samples = 2", "samples = 3");
        let plan = space.longcode("plan config.toml --device cpu").done();
        let told = format!(
            "{} prompts of nano on multiple_choice-asked.jsonl begin like another one",
            records.len()
        );
        assert_eq!(plan.stdout.contains("Beginnings that are read once"), records.len() > 1, "{plan:?}");
        assert!(records.len() == 1 || plan.stdout.contains(&told), "{plan:?}");
        space.run("--fresh");
        stored(&space)
    };
    let together = answers(&records);
    assert_eq!(together.len(), 6, "{together:?}");
    for record in records {
        for alone in answers(&[record]) {
            let is_same = |one: &&Value| ["sha256", "encoding"].iter().all(|key| one[*key] == alone[*key]);
            let one = together.iter().find(is_same).unwrap();
            for key in ["text", "answer", "ended"] {
                assert_eq!(one["outcome"][key], alone["outcome"][key], "{key}");
            }
            let likelihoods = |one: &Value| -> Vec<f64> {
                serde_json::from_value(one["outcome"]["letter_log_likelihood"].clone()).unwrap()
            };
            let pairs = likelihoods(one).into_iter().zip(likelihoods(&alone));
            assert!(pairs.clone().count() == 4);
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} {b}"));
        }
    }
}

/// A suite runs what is there, names what is not, and goes on when it has come.
#[test]
fn a_suite() {
    let space = workspace("kind = \"lookup\"\nlength = 600\ndepth = 0\nsamples = 1\n", &[]);
    let functions = json!({"path": "a.py", "text": code(60)});
    let config = space
        .text("config.toml")
        .replace("samples = 2\n", "")
        .replace("name = \"r\"", "name = \"r\"\nsuite = true");
    let config = config.replace("asked.jsonl", "functions.jsonl");
    let runs =
        "[[task]]\nname = \"runs\"\nkind = \"code_run\"\ndataset = \"runs\"\nsamples = 1\nlimit = 300\n";
    space.write("config.toml", format!("{config}{runs}"));
    space.write("functions.jsonl", format!("{functions}\n"));
    let manifest = "name = \"runs\"\nwhat = \"w\"\nlicence = \"MIT\"\nsource = \"s\"\nobtain = \"write it yourself\"\n\
                    format = \"jsonl\"\npath = \"../runs.jsonl\"\n";
    std::fs::create_dir(space.path("datasets")).unwrap();
    space.write("datasets/runs.toml", manifest);
    let ended = space.run("");
    assert!(ended.stderr.contains("task \"runs\" is not run") && ended.stderr.contains("write it yourself"));
    assert_eq!(stored(&space).len(), 2);
    let report = space.text("results/r/report.md");
    assert!(
        report.contains("\"runs\" is not run") && report.starts_with("# r\n\nnano on all of them. lookup-")
    );

    let shard = space.longcode("run config.toml --device cpu --shard 1/2 --out shard");
    shard.failed(2, &["--shard 1/2", "write it yourself", "every machine"]);
    assert!(!space.path("shard/samples.jsonl").exists());

    space.write("runs.jsonl", "{\"context\": \"x\", \"input\": \"func_1(2)\", \"answer\": [3]}\n");
    let ended = space.run("");
    assert!(
        ended.stderr.contains("continuing, 2 of 4") && !ended.stderr.contains("is not run"),
        "{}",
        ended.stderr
    );
    assert_eq!(stored(&space).len(), 4);
    let report = space.text("results/r/report.md");
    let table = report.lines().find(|line| line.starts_with("| encoding")).unwrap();
    assert!(table.contains("lookup") && table.contains("runs") && !report.contains("is not run"), "{table}");

    space.write("other.toml", space.text("config.toml").replace("functions.jsonl", "runs"));
    std::fs::remove_file(space.path("runs.jsonl")).unwrap();
    space
        .longcode("run other.toml --device cpu --out none")
        .failed(2, &["nothing to run", "write it yourself"]);
    space.write("wrong.toml", space.text("config.toml").replace("dataset = \"runs\"", "dataset = \"runz\""));
    space.longcode("run wrong.toml --device cpu --out none").failed(2, &["no dataset \"runz\""]);
}

/// Through the chat template, whose words are no part of the prompt's first file.
#[test]
fn a_chat_prompt() {
    let record = json!({"_id": "a", "context": code(4), "answers": ["x"], "length": 5, "language": "python"});
    let space = workspace(
        "kind = \"completion\"\nprompt = \"chat\"\nlimit = 300\nmax_new_tokens = 2\nbuckets = [0]\n",
        &[record],
    );
    space.longcode("run config.toml --device cpu").failed(2, &["no chat template", "`prompt`"]);
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::create_dir_all(space.path("chat")).unwrap();
        std::fs::copy(repository("models/nano").join(name), space.path("chat").join(name)).unwrap();
    }
    // One that no text can be put into is refused before any record is read.
    space.write(
        "chat/chat_template.jinja",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    );
    let nano = format!("{:?}", repository("models/nano"));
    space.write("config.toml", space.text("config.toml").replace(&nano, "\"chat\""));
    let parts = ["cannot be rendered", "chat/chat_template.jinja", "ask in plain text"];
    let refused = space.longcode("run config.toml --device cpu").failed(2, &parts);
    assert!(!refused.stderr.contains("asked.jsonl:"), "{refused:?}");
    space.write("chat/chat_template.jinja", "USER {{ messages[0].content }} BOT");
    space.run("");
    let text = format!("USER Please complete the code given below. \n{}Next line of code:\n BOT", code(4));
    let stored = stored(&space);
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|line| line["sha256"] == sha256(text.as_bytes()).as_str()));
}

/// Every benchmark runs on its look-alike, and every kind of task is in the config of every key.
#[test]
fn the_benchmarks() {
    let space = Workspace::new();
    let out = space.path("out");
    let config = repository("configs/benchmarks.toml");
    let run = format!("run {} --device cpu --limit 1 --out {}", config.display(), out.display());
    space.longcode(&run).done();
    let text = std::fs::read_to_string(out.join("samples.jsonl")).unwrap();
    let tasks: std::collections::BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["task"].as_str().unwrap().to_string())
        .collect();
    let config = longcode::config::Config::read(&config, &[]).unwrap();
    assert_eq!(tasks.len(), config.tasks.len());
    crate::mutations::outcomes(&out);
    let every = longcode::config::Config::read(&repository("configs/every-key.toml"), &[]).unwrap();
    let documents = std::fs::read_to_string(repository("docs/tasks.md")).unwrap();
    for kind in longcode::task::TASKS {
        assert!(every.tasks.iter().any(|task| task.kind == kind.name), "every-key.toml lacks {}", kind.name);
        assert!(documents.contains(&format!("| [`{}`]", kind.name)), "docs/tasks.md lacks {}", kind.name);
    }
    for kind in longcode::encoding::KINDS {
        let has = |entry: &longcode::config::EncodingEntry| entry.spec.kind == kind.name;
        assert!(every.encodings.iter().any(has), "every-key.toml lacks {}", kind.name);
    }
}
