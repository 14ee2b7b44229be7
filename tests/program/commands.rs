//! What each command prints and writes when all goes well.

use crate::common;
use crate::common::cli::{Workspace, keys};
use crate::common::repository;
use serde_json::{Value, json};

/// `score` with the workspace's model on the CPU; arguments go on with the encoding.
const SCORE: &str = "score --model model --device cpu --json --encoding";

#[test]
fn help_has_an_example() {
    let space = Workspace::new();
    let commands = [
        "",
        "quickstart",
        "init",
        "run",
        "plan",
        "report",
        "score",
        "inspect",
        "bench",
        "devices",
        "datasets",
        "completions",
        "man",
    ];
    for command in commands {
        let help = space.longcode(&format!("{command} --help")).done();
        assert!(help.stdout.contains(&format!("  longcode {command}")), "{command}");
        assert!(help.stdout.contains("Example"), "{command}");
    }
    let version = space.longcode("--version").done().stdout;
    assert!(version.starts_with("longcode ") && version.contains("(commit "), "{version}");
}

#[test]
fn messages_are_as_many_as_asked_for_and_read_by_programs() {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a\n");
    space.write("empty.py", "");
    let score = |flags: &str| space.longcode(&format!("{SCORE} rope a.py empty.py {flags}")).done();
    let plain = score("");
    assert!(plain.stderr.contains("device: ") && plain.stderr.contains("empty.py: left out"), "{plain:?}");
    let quiet = score("--quiet");
    assert!(!quiet.stderr.contains("device: ") && quiet.stderr.contains("empty.py: left out"), "{quiet:?}");
    assert_eq!(quiet.stdout, plain.stdout);

    let lines = |stderr: &str| -> Vec<Value> {
        stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let levels: Vec<Value> =
        lines(&score("--log-format json").stderr).iter().map(|line| line["level"].clone()).collect();
    assert!(levels.contains(&json!("status")) && levels.contains(&json!("note")), "{levels:?}");
    let failed = space.longcode("score --log-format json --model nowhere --encoding rope a.py");
    assert_eq!(failed.code, Some(2));
    let error = &lines(&failed.stderr)[0];
    assert_eq!(keys(error), ["level", "message", "kind", "place", "fix"]);
    assert_eq!((&error["level"], &error["kind"]), (&json!("error"), &json!("Model")));

    let run = space.run("--limit 1 --verbose");
    assert!(run.stderr.contains("sample \"") && run.stderr.contains(" tokens in "), "{run:?}");
    let error = space.longcode("score --quiet --verbose --model model --encoding rope a.py");
    error.failed(2, &["--quiet", "--verbose"]);
}

#[test]
fn score() {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a\n\ndef g(b):\n    return b\n");
    space.write("b.txt", "words, not code ".repeat(40));
    let ended = space.longcode(&format!("{SCORE} hirope:window=4,split=0.25 a.py b.txt")).done();
    assert_eq!(ended.stderr, "device: ".to_string() + ended.stderr.strip_prefix("device: ").unwrap());
    let objects = ended.json();
    assert_eq!(objects.len(), 2);
    for (object, file) in objects.iter().zip(["a.py", "b.txt"]) {
        let expected =
            ["file", "tokens", "loss", "ppl", "accuracy", "encoding", "unit", "segments", "seen", "nll"];
        assert_eq!(keys(object), expected);
        assert_eq!(object["file"], file);
        assert_eq!(object["encoding"], "hirope:window=4,split=0.25");
        check_figures(object);
    }
    assert_eq!((&objects[0]["unit"], &objects[0]["segments"]), (&json!("function"), &json!(2)));
    assert_eq!(objects[1]["unit"], "tokens:128");

    let one =
        space.longcode(&format!("{SCORE} hirope:window=4,split=0.25 --max-tokens 20 a.py b.txt")).done();
    let tokens = objects[0]["tokens"].as_u64().unwrap();
    assert!(one.stderr.contains(&format!("a.py: scored the first 20 of {tokens} tokens")), "{one:?}");
    for (cut, whole) in one.json().iter().zip(&objects) {
        check_figures(cut);
        let (cut, whole) = (nll(cut), nll(whole));
        assert_eq!(cut.len(), 19);
        assert!(
            cut.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-4),
            "later tokens changed earlier ones"
        );
    }
    let words = space.longcode("score --model model --device cpu --encoding rope a.py b.txt").done();
    assert_eq!(words.stdout.lines().count(), 2);
    assert!(words.stdout.starts_with(&format!("a.py: {tokens} tokens, loss ")), "{words:?}");
    let by_file = space.longcode(&format!("{SCORE} hirope:window=4 --unit file a.py")).done();
    let by_key = space.longcode(&format!("{SCORE} hirope:window=4,unit=file a.py")).done();
    assert_eq!(nll(&by_file.json()[0]), nll(&by_key.json()[0]));
    assert_eq!(by_file.json()[0]["unit"], "file");
}

/// As of `src/*`: folders, empty files, other encodings and data stand beside sources.
#[test]
fn files_that_are_no_sources_are_left_out() {
    let space = Workspace::new();
    std::fs::create_dir(space.path("src")).unwrap();
    std::fs::create_dir(space.path("src/d")).unwrap();
    space.write("src/a.py", "def f(a):\n    return a\n");
    space.write("src/__init__.py", "");
    space.write("src/short.py", "x");
    space.write("src/latin1.py", b"x = '\xe9'\n");
    space.write("src/docs.jsonl", space.text("docs.jsonl"));
    let files = "src/__init__.py src/a.py src/d src/docs.jsonl src/latin1.py src/short.py";
    let ended = space.longcode(&format!("{SCORE} rope {files}")).done();
    let objects = ended.json();
    check_figures(&objects[0]);
    let left_out: Vec<_> = objects[1..].iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!(left_out, ["src/__init__.py", "src/d", "src/docs.jsonl", "src/latin1.py", "src/short.py"]);
    let why: Vec<_> = objects[1..].iter().map(|one| one["left_out"].as_str().unwrap()).collect();
    let expected = ["nothing is in it", "a folder", "records", "UTF-8", "1 token(s)"];
    assert!(why.iter().zip(expected).all(|(why, part)| why.contains(part)), "{why:?}");
    assert!(ended.stderr.contains("src/d: left out: it is a folder"), "{ended:?}");
    assert!(ended.stderr.contains("5 of 6 files are left out"), "{ended:?}");
    let words = space.longcode(&format!("score --model model --device cpu --encoding rope {files}")).done();
    assert_eq!(words.stdout.lines().count(), 1);
    let generate = "generate --model model --device cpu --max-new-tokens 2 --json";
    let objects = space.longcode(&format!("{generate} src/a.py src/d src/__init__.py")).done().json();
    assert!(objects[0]["ids"].is_array() && objects[2]["left_out"].is_string());
    for command in [SCORE, "score --model model --device cpu --encoding"] {
        let ended = space.longcode(&format!("{command} rope src/d src/__init__.py"));
        ended.failed(2, &["none of 2 files", "src/d"]);
    }
    for command in ["inspect", generate, "score --model model --device cpu --encoding rope"] {
        space
            .longcode(&format!("{command} src/docs.jsonl"))
            .failed(2, &["records", "docs.jsonl", "longcode run"]);
    }
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf8_is_written_with_a_replacement() {
    use std::os::unix::ffi::OsStrExt;
    let space = Workspace::new();
    let name = std::ffi::OsStr::from_bytes(b"\xe9.py");
    std::fs::write(space.path("").join(name), "def f(a):\n    return a\n").unwrap();
    for command in [
        &format!("{SCORE} rope")[..],
        "generate --model model --device cpu --max-new-tokens 2 --json",
        "inspect --json",
        "inspect",
    ] {
        let output = space.command(command).arg(name).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(!command.contains("json") || stdout.contains("\"\u{fffd}.py\""), "{command}: {stdout}");
    }
}

/// Records of no known language are divided by tokens, and HiRoPE is then another encoding: that is told at the start
/// and stays in the results.
#[test]
fn what_cannot_be_divided_is_told() {
    let space = Workspace::new();
    space.replace("config.toml", "split = 0.5", "split = 0.25");
    let told = |space: &Workspace| {
        let ended = space.run("--fresh");
        let environment: Value = serde_json::from_str(&space.text("results/tiny/environment.json")).unwrap();
        let notes: Vec<String> = serde_json::from_value(environment["notes"].clone()).unwrap_or_default();
        assert!(notes.iter().all(|note| ended.stderr.contains(note)), "{ended:?}");
        notes.join("\n")
    };
    assert_eq!(told(&space), "");
    space.replace("docs.jsonl", "\"language\":\"python\",", "");
    let notes = told(&space);
    assert!(notes.contains("6 of 6 samples are in no language that is known here, so that HiRoPE divides"));
    assert!(notes.contains("tokens:128") && notes.contains("language = \"python\""), "{notes}");
    assert!(space.text("results/tiny/report.md").contains("no language that is known here"));
    let manifest = "name = \"prose\"\nwhat = \"w\"\nlicence = \"MIT\"\nsource = \"s\"\nobtain = \"o\"\nformat = \
                    \"jsonl\"\npath = \"docs.jsonl\"\ntext_kind = \"prose\"\n";
    space.write("prose.toml", manifest);
    space.replace("config.toml", "\"docs.jsonl\"", "\"prose.toml\"");
    let notes = told(&space);
    assert!(
        notes.contains("6 of 6 samples are prose, which has no functions") && !notes.contains("language =")
    );
    space.replace("prose.toml", "text_kind = \"prose\"", "language = \"python\"");
    assert_eq!(told(&space), "");
}

fn nll(object: &Value) -> Vec<f64> {
    object["nll"].as_array().unwrap().iter().map(|nll| nll.as_f64().unwrap()).collect()
}

fn check_figures(object: &Value) {
    let nll = nll(object);
    let figure = |key: &str| object[key].as_f64().unwrap();
    assert_eq!(object["tokens"].as_u64().unwrap() as usize, nll.len() + 1);
    assert!((figure("loss") - nll.iter().sum::<f64>() / nll.len() as f64).abs() < 1e-9);
    assert!((figure("ppl") / figure("loss").exp() - 1.0).abs() < 1e-12);
    assert!((0.0..=1.0).contains(&figure("accuracy")));
}

#[test]
fn inspect() {
    let files = [
        (
            "a.py",
            "import os\n\n@decorated\ndef f(a):\n    return a\n\nclass C:\n    x = 1\n    def g(self): pass\n",
        ),
        (
            "B.java",
            "class B {\n    int x;\n    B() { x = 1; }\n    /** Doc. */\n    int get() { return x; }\n}\n",
        ),
        ("crlf.py", "def f(a):\r\n    return a\r\n\r\ndef g(b):\r\n    return b\r\n"),
        ("letters.py", "# λ 漢字 🙂\ndef größe(ä):\n    return 'ψ🙂'\n\ndef g(): pass\n"),
        ("empty.py", ""),
        ("flat.py", "x = 1\ny = 2\n"),
        ("broken.py", "def f(:\n  ((\nclass\n"),
        ("words.txt", "no code at all\n"),
    ];
    let space = Workspace::new();
    for (file, text) in files {
        space.write(file, text);
        for unit in ["function", "function_authors", "statement", "file"] {
            let whole = space.longcode(&format!("inspect {file} --unit {unit} --json")).done().json();
            println!("{file} {unit} {}", whole[0]);
            assert_eq!((whole.len(), keys(&whole[0])), (1, HEAD.into_iter().chain(["regions"]).collect()));
            let ends =
                check_segments(&whole[0], "regions", &["start", "end", "segment", "kind", "name"], text);
            let starts = [0].into_iter().chain(ends.iter().map(|end| end.1));
            assert!(ends.iter().zip(starts).all(|(range, start)| range.0 == start), "gaps");
            assert_eq!(ends.last().map_or(0, |end| end.1), text.len());
        }
        for unit in ["function", "statement", "tokens:4", "file"] {
            let arguments = format!("inspect {file} --unit {unit} --tokenizer model --json");
            let whole = space.longcode(&arguments).done().json();
            assert_eq!((whole.len(), keys(&whole[0])), (1, HEAD.into_iter().chain(["tokens"]).collect()));
            check_segments(&whole[0], "tokens", &["id", "start", "end", "segment"], text);
        }
        space.longcode(&format!("inspect {file}")).done();
    }
    let whole = space.longcode("inspect a.py --json").done().json();
    assert_eq!((&whole[0]["language"], &whole[0]["unit"]), (&json!("python"), &json!("function")));
    let names: Vec<&Value> = whole[0]["regions"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, [&Value::Null, &json!("f"), &json!("C"), &json!("g")]);
}

const HEAD: [&str; 4] = ["file", "language", "unit", "segments"];

/// Byte ranges of the items. Segments start at 0, never decrease, skip nothing, and are as many as it says.
fn check_segments(whole: &Value, key: &str, members: &[&str], text: &str) -> Vec<(usize, usize)> {
    let mut segments = 0;
    let mut ranges = Vec::new();
    for item in whole[key].as_array().unwrap() {
        assert_eq!(keys(item), members);
        let number = |key: &str| item[key].as_u64().unwrap() as usize;
        let segment = number("segment");
        assert!(segment == segments || segment + 1 == segments, "{segment} after {segments} segments");
        segments = segment + 1;
        ranges.push((number("start"), number("end")));
        assert!(number("start") <= number("end") && number("end") <= text.len());
    }
    assert_eq!(whole["segments"], segments);
    ranges
}

/// What a text does not have is told, and so is a window beyond what the model knows.
#[test]
fn fallbacks_of_kinds_that_choose() {
    let space = Workspace::new();
    space.write("notes.txt", "Some words (in brackets).\n\nOne more paragraph.\n");
    for (encoding, note) in [
        ("blocks:unit=function", "notes.txt: no function found, so segments are tokens:128"),
        ("blocks:unit=even:section", "notes.txt: no even:section found, so segments are even:tokens:128"),
        ("structure", "notes.txt: not in a supported language"),
        ("blocks:window=65", "window 65 reaches beyond the trained length of 64"),
        ("structure:window=65", "window 65 reaches beyond the trained length of 64"),
    ] {
        let commands = [
            format!("score --model model --encoding {encoding} notes.txt"),
            format!("generate --model model --encoding {encoding} --max-new-tokens 2 notes.txt"),
        ];
        for command in commands {
            let stderr = space.longcode(&command).done().stderr;
            assert!(stderr.contains(note), "{command}: {stderr}");
        }
    }
    let found = space.longcode("score --model model --encoding blocks:unit=paragraph notes.txt").done();
    assert!(!found.stderr.contains("no paragraph"), "{}", found.stderr);
}

#[test]
fn bench() {
    let space = Workspace::new();
    let arguments =
        "bench --model model --encoding rope hirope:window=8 --length 16 32 --device cpu --repeats 2";
    let rows = space.longcode(&format!("{arguments} --json")).done().json();
    let found: Vec<_> = rows.iter().map(|row| (row["encoding"].as_str().unwrap(), &row["length"])).collect();
    let (short, long) = (json!(16), json!(32));
    assert_eq!(
        found,
        [("rope", &short), ("hirope:window=8", &short), ("rope", &long), ("hirope:window=8", &long)]
    );
    for row in &rows {
        let expected =
            "encoding length seconds choosing_seconds tokens_per_second peak_rss_mb device repeats"
                .split(' ');
        assert_eq!(keys(row), expected.collect::<Vec<_>>());
        let figure = |key: &str| row[key].as_f64().unwrap();
        assert!((figure("seconds") * figure("tokens_per_second") / figure("length") - 1.0).abs() < 1e-9);
        assert!(figure("seconds") > 0.0 && row["peak_rss_mb"].as_f64().is_none_or(|peak| peak > 1.0));
        assert!(row["device"].as_str().unwrap().starts_with("cpu"));
        assert_eq!(row["repeats"], 2);
        assert_eq!(figure("choosing_seconds"), 0.0, "only blocks are chosen");
    }
    assert!(space.longcode(arguments).done().stdout.contains("hirope:window=8"));
}

#[test]
fn devices_and_datasets() {
    let space = Workspace::new();
    let devices = space.longcode("devices").done().stdout;
    assert!(devices.starts_with("cpu ") && devices.contains("auto is "), "{devices}");
    let mut command = space.command("datasets");
    let listed: common::cli::Ended = command.current_dir(repository("")).output().unwrap().into();
    let listed = listed.done().stdout;
    for bundled in ["code-python", "code-java"] {
        assert!(listed.contains(&format!("{bundled} (present, jsonl)\n")), "{listed}");
    }
    for official in ["lcc", "repobench-p", "code-symbol-understanding", "codeparrot-valid", "rerope-eval"] {
        let entry = listed.split("\n\n").find(|entry| entry.starts_with(official)).unwrap();
        let present = entry.starts_with(&format!("{official} (present"));
        assert!(present || entry.contains(" (MISSING, ") && entry.contains("to get it: "), "{entry}");
    }
    assert!(space.longcode("datasets").done().stdout.starts_with("no data sets"));
}

#[test]
fn run() {
    let space = Workspace::new();
    space.replace("config.toml", "window = 8", "window = [8, 16]");
    let more = "\n[[encoding]]\nname = \"DynamicNTK\"\nkind = \"dynamic_ntk\"\nfactor = 2\n\n[[task]]";
    space.replace("config.toml", "\n[[task]]", more);
    let ended = space.run("--full");
    assert!(ended.stdout.starts_with("tiny\nlongcode ") && !ended.stdout.contains('\x1b'), "{ended:?}");
    for row in space.text("results/tiny/report.md").lines().filter(|line| line.starts_with("| HiRoPE")) {
        let words: Vec<&str> = row.split(['|', ' ', '*']).filter(|word| !word.is_empty()).collect();
        let same =
            |line: &str| line.split([' ', '*']).filter(|word| !word.is_empty()).eq(words.iter().copied());
        assert!(ended.stdout.lines().any(same), "{row} in {}", ended.stdout);
    }
    assert!(!ended.stderr.contains(['\r', '\x1b', '█']), "a bar where there is no terminal: {ended:?}");
    assert!(ended.stderr.contains("results/tiny: 24 of 24 samples x encodings to do\n"), "{ended:?}");

    let summary = space.text("results/tiny/summary.csv");
    let header = "model,encoding,task,bucket,metric,value,ci_low,ci_high,n\n";
    assert!(summary.starts_with(header), "{summary}");
    let count = |start: &str| summary.lines().filter(|line| line.starts_with(start)).count();
    for encoding in ["RoPE", "HiRoPE window=8", "HiRoPE window=16", "DynamicNTK"] {
        assert_eq!(count(&format!("tiny,{encoding},lm,0-100,ppl,")), 1, "{encoding}");
        let positions = if encoding == "DynamicNTK" { 0 } else { 1 };
        assert_eq!(count(&format!("tiny,{encoding},lm,position 0-100,loss,")), positions, "{encoding}");
    }
    assert_eq!(count("tiny,HiRoPE,"), 0);
    let environment: Value = serde_json::from_str(&space.text("results/tiny/environment.json")).unwrap();
    for key in ["version", "git_commit", "device", "threads", "started", "finished", "models", "datasets"] {
        assert!(!environment[key].is_null(), "{key}");
    }
}

/// A model's own sliding window holds under every encoding unless a row lifts it, which the report says.
#[test]
fn a_row_without_the_models_own_window() {
    let space = Workspace::new();
    space.replace("model/config.json", "\"model_type\": \"llama\"", "\"model_type\": \"mistral\"");
    space.replace("model/config.json", "\"vocab_size\"", "\"sliding_window\": 16, \"vocab_size\"");
    space.replace("config.toml", "kind = \"rope\"", "kind = \"rope\"\nfull_attention = true");
    space.replace("config.toml", "window = 8\nsplit = 0.5", "window = 8\nsplit = 1");
    space.run("");
    let report = space.text("results/tiny/report.md");
    assert!(report.contains("Without the model's own sliding window (full_attention): RoPE."), "{report}");
    // With all pairs at the token level HiRoPE is RoPE, so only the window tells the rows apart.
    let samples = space.text("results/tiny/samples.jsonl");
    let lines: Vec<Value> = samples.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sum = |encoding: &str| {
        let own = lines.iter().filter(|line| line["encoding"] == encoding);
        own.flat_map(|line| nll(&line["outcome"])).sum::<f64>()
    };
    assert!((sum("RoPE") - sum("HiRoPE")).abs() > 1e-2);
}

/// A key whose value is a list takes one as a list or a text; several lists are a sweep.
#[test]
fn lists_in_a_config() {
    let space = Workspace::new();
    let dpe = "kind = \"dpe\"\nwindow = 8\ngroups = [[2, 4], \"1/8\"]";
    space.replace("config.toml", "kind = \"hirope\"\nwindow = 8\nsplit = 0.5", dpe);
    space.run("");
    let resolved = space.text("results/tiny/config.toml");
    for groups in ["groups = \"2/4\"", "groups = \"1/8\""] {
        assert!(resolved.contains(groups), "{resolved}");
    }
    space.replace("config.toml", "[[2, 4], \"1/8\"]", "[2, 4]");
    space.run("--fresh");
    let resolved = space.text("results/tiny/config.toml");
    assert!(resolved.contains("groups = \"2/4\"") && !resolved.contains("sweep"), "{resolved}");
}

/// The run's seed and the hash that is stored beside a result are those that `score` has for the text in a file.
#[test]
fn controls_of_units_are_alike_in_a_run_and_in_score() {
    let space = Workspace::new();
    let units = "unit = [\"function\", \"even:function\", \"shuffled:function\", \"shuffled:tokens:9\"]";
    let levels = "[[encoding]]\nname = \"levels\"\nkind = \"hirope\"\nwindow = 8\nsplit = \"0.3/0.6\"\n\
                  unit = \"statement/shuffled:function\"";
    space.replace("config.toml", "split = 0.5", &format!("split = 0.5\n{units}\n\n{levels}"));
    space.run("");
    assert!(space.text("results/tiny/report.html").contains("shuffled:function"));
    let docs = space.text("docs.jsonl");
    let mut losses = std::collections::HashMap::<String, Vec<f64>>::new();
    for line in space.text("results/tiny/samples.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let encoding = line["encoding"].as_str().unwrap();
        let spec = match encoding.split_once("unit=") {
            Some((_, unit)) => format!("hirope:window=8,split=0.5,unit={unit}"),
            None if encoding == "levels" => {
                "hirope:window=8,split=0.3/0.6,unit=statement/shuffled:function".into()
            }
            None => "rope".into(),
        };
        let mut docs = docs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let doc = docs.find(|doc| doc["id"] == line["sample"]).unwrap();
        space.write("doc.py", doc["text"].as_str().unwrap());
        let scored = &space.longcode(&format!("{SCORE} {spec} doc.py")).done().json()[0];
        let sum: f64 =
            line["outcome"]["nll"].as_array().unwrap().iter().map(|nll| nll.as_f64().unwrap()).sum();
        let loss = sum / line["outcome"]["tokens"].as_f64().unwrap();
        assert!((loss - scored["loss"].as_f64().unwrap()).abs() < 1e-9, "{line} {scored}");
        losses.entry(encoding.to_string()).or_default().push(loss);
    }
    assert_eq!(losses.len(), 6, "{:?}", losses.keys());
    let mut all: Vec<&Vec<f64>> = losses.values().collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "two rows are alike");
}

#[test]
fn controls_of_units_in_commands() {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a\n\nx = 1\ndef g(): pass\n".repeat(5));
    let lengths = |unit: &str| {
        let whole =
            space.longcode(&format!("inspect a.py --tokenizer model --unit {unit} --json")).done().json();
        assert_eq!(whole[0]["unit"], unit);
        let mut lengths = vec![0; whole[0]["segments"].as_u64().unwrap() as usize];
        for token in whole[0]["tokens"].as_array().unwrap() {
            lengths[token["segment"].as_u64().unwrap() as usize] += 1;
        }
        lengths
    };
    let [own, even, shuffled] = ["function", "even:function", "shuffled:function"].map(lengths);
    assert_eq!((own.len(), shuffled.len()), (even.len(), even.len()));
    assert!(even.iter().max().unwrap() - even.iter().min().unwrap() <= 1 && even != own, "{even:?}");
    let sorted = |mut lengths: Vec<usize>| {
        lengths.sort();
        lengths
    };
    assert!(shuffled != own && sorted(shuffled) == sorted(own));
    space
        .longcode("inspect a.py --unit even:function")
        .failed(2, &["even:function needs tokens", "--tokenizer"]);
    space.longcode("inspect a.py --unit even:even:file").failed(2, &["control of a control", "tokens:N"]);

    let score = |arguments: &str| space.longcode(&format!("{SCORE} hirope:window=4 {arguments} a.py"));
    let whole = score("--unit shuffled:function").done().json();
    assert_eq!(whole[0]["unit"], "shuffled:function");
    // Controls are made before anything is cut off.
    let cut = score("--unit shuffled:function --max-tokens 30").done().json();
    assert!(nll(&cut[0]).iter().zip(nll(&whole[0])).all(|(a, b)| (a - b).abs() < 1e-4));
    score("--unit even:function --prefix-only")
        .failed(2, &["even:function", "--prefix-only", "unit function"]);
    let generate = "generate --model model --device cpu --max-new-tokens 3 --json a.py --encoding";
    space.longcode(&format!("{generate} hirope:window=8,unit=shuffled:function")).done();
    space.longcode(&format!("{generate} hirope:window=8,unit=even:tokens:9,context=64")).done();
}

/// The two ways to score a text agree.
#[test]
fn run_and_score_agree() {
    let space = Workspace::new();
    space.run("");
    let samples = space.text("results/tiny/samples.jsonl");
    for line in samples.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let docs = space.text("docs.jsonl");
        let mut docs = docs.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let doc = docs.find(|doc| doc["id"] == line["sample"]).unwrap();
        space.write("doc.py", doc["text"].as_str().unwrap());
        let encoding = if line["encoding"] == "RoPE" { "rope" } else { "hirope:window=8,split=0.5" };
        let scored = &space.longcode(&format!("{SCORE} {encoding} doc.py")).done().json()[0];
        assert_eq!(scored["tokens"], line["tokens"]);
        let sum: f64 =
            line["outcome"]["nll"].as_array().unwrap().iter().map(|nll| nll.as_f64().unwrap()).sum();
        let loss = sum / line["outcome"]["tokens"].as_f64().unwrap();
        assert!((loss - scored["loss"].as_f64().unwrap()).abs() < 1e-9, "{line} {scored}");
    }
}

/// An instruct model is asked through its template, whose special tokens are the only ones.
#[test]
fn generate_through_a_chat_template() {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a\n");
    let generate = |more: &str| {
        space.longcode(&format!("generate --model model --device cpu --max-new-tokens 2 --json a.py {more}"))
    };
    generate("--chat").failed(2, &["no chat template", "model", "plain text"]);
    let template =
        "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}{{ eos_token }}bot:";
    space.write("model/chat_template.jinja", template);
    let made = generate("--chat").done().json();
    space.write("asked.txt", "<s>user: def f(a):\n    return a\n</s>bot:");
    let inspected = space.longcode("inspect asked.txt --tokenizer model --json").done().json();
    let ids: Vec<_> = inspected[0]["tokens"].as_array().unwrap().iter().map(|token| &token["id"]).collect();
    assert_eq!(made[0]["prompt_tokens"], ids.len(), "{ids:?}");
    let plain = generate("").done().json();
    assert!(plain[0]["prompt_tokens"].as_u64() < made[0]["prompt_tokens"].as_u64());
    generate("--chat --encoding hirope:window=8,split=0.5").done();
    let inspect = |conversation: &str| {
        space.write("talk.json", conversation);
        space.longcode("inspect talk.json --tokenizer model --chat --json")
    };
    let talk = r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#;
    let shown = &inspect(talk).done().json()[0];
    assert_eq!(shown["text"], "<s>user: aassistant: b</s>bot:");
    assert_eq!((&shown["tokens"][0]["id"], &shown["tokens"][0]["end"]), (&json!(0), &json!(3)));
    inspect("[{\"role\": \"user\"}]").failed(2, &["talk.json", "content", "--chat"]);
    inspect("[{\"role\": \"user\", \"content\": \"a\", \"tool_calls\": []}]").failed(2, &["tool_calls"]);
    space.longcode("inspect talk.json --chat").failed(2, &["--tokenizer"]);
    space.write("model/chat_template.jinja", "{{ raise_exception('only poems') }}");
    generate("--chat").failed(2, &["the chat template cannot be rendered", "only poems"]);
}

#[test]
fn plan() {
    let space = Workspace::new();
    let plan = |arguments: &str| space.longcode(&format!("plan config.toml --device cpu {arguments}")).done();
    let lines = plan("--json").json();
    assert!(!space.path("results").exists(), "something was written");
    let [rope, hirope, totals] = &lines[..] else { panic!("{lines:?}") };
    let expected = [
        "model",
        "task",
        "encoding",
        "samples",
        "done",
        "tokens",
        "generated_tokens",
        "products",
        "attention_products",
        "seconds",
        "attention_seconds",
        "memory_mb",
        "largest_sequence",
    ];
    assert_eq!((keys(rope), keys(hirope)), (expected.to_vec(), expected.to_vec()));
    let figure = |row: &Value, key: &str| row[key].as_f64().unwrap();
    for row in [rope, hirope] {
        assert_eq!((&row["samples"], &row["done"]), (&json!(6), &json!(0)));
        assert!(figure(row, "seconds") > figure(row, "attention_seconds"));
        assert!(figure(row, "products") > figure(row, "attention_products"));
        assert_eq!(row["generated_tokens"], json!(0.0));
    }
    let all = ["samples", "tokens", "products"];
    let total = |key: &str| figure(&totals["total"], key);
    assert!(all.iter().all(|key| total(key) == figure(rope, key) + figure(hirope, key)));

    // Shards are parts of the same.
    let parts = [1, 2, 3].map(|part| plan(&format!("--json --shard {part}/3")).json()[2]["total"].clone());
    for key in all {
        assert_eq!(parts.iter().map(|part| figure(part, key)).sum::<f64>(), total(key), "{key}");
    }

    // What is stored is done, and the tokens are those of the samples.
    space.run("--limit 1");
    assert_eq!(plan("--json").json()[2]["total"]["done"], 4);
    assert_eq!(plan("--json --out elsewhere").json()[2]["total"]["done"], 0);
    space.run("");
    let words = plan("").stdout;
    assert!(
        words.contains("12 samples x encodings, 12 of them done") && words.contains("Nothing is left to do")
    );
    let samples = space.text("results/tiny/samples.jsonl");
    let lines = samples.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let tokens: f64 =
        lines.filter(|line| line["encoding"] == "RoPE").map(|line| figure(&line, "tokens")).sum();
    assert_eq!(figure(rope, "tokens"), tokens);

    // What a run would refuse.
    let refused = "plan config.toml --device cpu --set encoding.HiRoPE.window=9";
    space
        .longcode(refused)
        .failed(2, &["another encoding \"HiRoPE\"", "window is 8 there, 9 now", "in: results/tiny"]);
    space.longcode("plan config.toml --shard 4/3").failed(2, &["shard 4 of 3 does not exist", "1/3 to 3/3"]);
    space.longcode("plan config.toml --limit 0").failed(2, &["--limit"]);
}
