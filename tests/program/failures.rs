//! A sample that fails under an encoding: stored, counted, told, and not tried again.

use std::fs;

use crate::common::cli::{Workspace, documents};
use serde_json::{Value, json};

/// The first byte of an omega, whose token the model has.
const OMEGA: &str = "Î";

/// Every second document has a letter whose embedding is not a number: 6 of 12.
fn with_a_broken_letter() -> Workspace {
    let space = Workspace::new();
    let tokenizer: Value = serde_json::from_str(&space.text("model/tokenizer.json")).unwrap();
    let id = tokenizer["model"]["vocab"][OMEGA].as_u64().unwrap() as usize;
    let path = space.path("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let embedding = &tensors["model.embed_tokens.weight"];
    let width = embedding["shape"][1].as_u64().unwrap() as usize * 4;
    let start = 8 + header + embedding["data_offsets"][0].as_u64().unwrap() as usize + id * width;
    bytes[start..start + width].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let line = |(number, line): (usize, &str)| match number % 2 {
        0 => format!("{}\n", line.replacen("def f0", "# Ω\\ndef f0", 1)),
        _ => format!("{line}\n"),
    };
    let documents: String = space.text("docs.jsonl").lines().enumerate().map(line).collect();
    space.write("docs.jsonl", documents);
    space.replace("config.toml", "samples = 3", "samples = 6");
    space
}

fn lines(space: &Workspace, results: &str) -> Vec<Value> {
    let text = space.text(&format!("{results}/samples.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn failed(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line.get("failed").is_some()).collect()
}

#[test]
fn the_others_are_done_and_the_failures_told() {
    let space = with_a_broken_letter();
    let ended = space.run("--full");
    let stored = lines(&space, "results/tiny");
    let failures = failed(&stored);
    let count = failures.len();
    assert!(stored.len() == 24 && (4..=20).contains(&count), "{count} of {}", stored.len());
    for line in &failures {
        assert!(line["failed"].as_str().unwrap().starts_with("the loss is not finite: token "), "{line}");
        assert!(line.get("outcome").is_none());
    }
    let head = format!("{count} of 24 samples x encodings failed");
    let row = format!("RoPE on {} of 12 (the loss is not finite", count / 2);
    for text in
        [&ended.stdout, &space.text("results/tiny/report.md"), &space.text("results/tiny/report.html")]
    {
        assert!(text.contains(&head) && text.matches(&row).count() >= 2, "{text}");
        assert!(text.contains("over the samples that it has"), "{text}");
    }
    assert!(space.text("results/tiny/report.tex").contains(&row));
    assert!(
        ended.stderr.contains("failed: sample \"doc ") && ended.stderr.contains("failed in all"),
        "{ended:?}"
    );
    // A row's figures say how many samples they are of.
    let summary = space.text("results/tiny/summary.csv");
    let all = summary.lines().find(|line| line.starts_with("tiny,RoPE,lm,all,loss,")).unwrap();
    assert!(all.ends_with(&format!(",{}", 12 - count / 2)), "{all}");
}

#[test]
fn failures_are_not_tried_again() {
    let space = with_a_broken_letter();
    space.run("");
    let before = space.text("results/tiny/samples.jsonl");
    let again = space.run("");
    assert!(again.stderr.contains("nothing left to do, 24 of 24"), "{again:?}");
    assert!(again.stderr.contains("are failures, which are not tried again; --fresh"), "{again:?}");
    assert_eq!(space.text("results/tiny/samples.jsonl"), before);
    // Without its line one is computed again.
    let kept: Vec<&str> = before.lines().filter(|line| !line.contains("\"failed\"")).collect();
    space.write("results/tiny/samples.jsonl", format!("{}\n", kept.join("\n")));
    let again = space.run("");
    assert!(again.stderr.contains(&format!("continuing, {} of 24", kept.len())), "{again:?}");
    assert_eq!(lines(&space, "results/tiny").len(), 24);
    // The first of each bucket all fail, which is an error.
    let ended = space.longcode("run config.toml --device cpu --fresh --limit 1");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(lines(&space, "results/tiny").len(), 4);
}

#[test]
fn shards_and_repeats_of_failures_merge() {
    let space = with_a_broken_letter();
    space.run("--out whole");
    for shard in ["1/3", "2/3", "3/3"] {
        space.run(&format!("--shard {shard} --out {}", &shard[..1]));
    }
    space.longcode("report 1 2 3 --out all").done();
    for file in ["summary.csv", "differences.csv", "report.md"] {
        assert_eq!(space.text(&format!("all/{file}")), space.text(&format!("whole/{file}")), "{file}");
    }
    let twice = space.longcode("report whole 1 --out twice").done();
    assert!(
        !twice.stderr.contains("warning") && twice.stdout.contains(", 0 of them with another"),
        "{twice:?}"
    );
    // One that failed on one machine alone is told.
    let mut stored = lines(&space, "1");
    for line in &mut stored {
        let fields = line.as_object_mut().unwrap();
        fields.remove("check");
        if fields.remove("outcome").is_some() {
            fields.insert("failed".into(), json!("the device was warm"));
        }
    }
    let text: String = stored.iter().map(|line| format!("{line}\n")).collect();
    space.write("1/samples.jsonl", text);
    let twice = space.longcode("report whole 1 --out twice").done();
    assert!(twice.stderr.contains("warning") && twice.stderr.contains("failed the second time"), "{twice:?}");
    assert_eq!(space.text("twice/summary.csv"), space.text("whole/summary.csv"), "the first counts");
}

/// One sequence that fails leaves those beside it alone.
#[test]
fn side_by_side() {
    let space = with_a_broken_letter();
    let records: String = (0..6)
        .map(|n| {
            let broken = if n % 2 == 0 { "# Ω\n" } else { "" };
            let text = format!("{broken}a = {n}\nb = a + 1\n");
            format!(
                "{}\n",
                json!({"_id": format!("r{n}"), "context": text, "answers": ["c = b"], "length": 5})
            )
        })
        .collect();
    space.write("docs.jsonl", records);
    let task = "kind = \"completion\"\nprompt = \"lcc\"\nlimit = 500\nbuckets = [0]\nmax_new_tokens = 8\n";
    let config = space.text("config.toml");
    let (head, _) = config.split_once("kind = \"language_modeling\"").unwrap();
    space.write("config.toml", format!("{head}{task}dataset = \"docs.jsonl\"\nsamples = 6\n"));
    space.run("--out one");
    space.run("--out three --batch 3");
    let outcomes = |results: &str| -> Vec<(String, Value)> {
        let mut all: Vec<(String, Value)> = lines(&space, results)
            .into_iter()
            .map(|line| (format!("{} {}", line["sample"], line["encoding"]), line["outcome"].clone()))
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let (one, three) = (outcomes("one"), outcomes("three"));
    assert_eq!(one, three);
    assert_eq!(one.iter().filter(|(_, outcome)| outcome.is_null()).count(), 6, "{one:?}");
    assert_eq!(failed(&lines(&space, "one")).len(), 6);
    let of_harness = |ending: &str| {
        let entries = fs::read_dir(space.path("one/lm_eval/tiny_RoPE")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        fs::read_to_string(paths.find(|path| path.extension().is_some_and(|own| own == ending)).unwrap())
            .unwrap()
    };
    let samples = of_harness("jsonl");
    assert_eq!(samples.matches("\"failed\":\"a logit is not finite").count(), 3, "{samples}");
    // What is percent here is a share there, as everything in the harness.
    let results: Value = serde_json::from_str(&of_harness("json")).unwrap();
    let summary = space.text("one/summary.csv");
    let percent = |metric: &str| -> f64 {
        let of = format!("tiny,RoPE,lm,all,{metric},");
        summary
            .lines()
            .find_map(|line| line.strip_prefix(&of))
            .unwrap()
            .split(',')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    for metric in ["edit_similarity", "indel_similarity", "exact_match", "truncated"] {
        let share = results["results"]["lm"][format!("{metric},none")].as_f64().unwrap();
        assert!((share - percent(metric) / 100.0).abs() < 1e-12 && share <= 1.0, "{metric}: {share}");
    }
    assert!(percent("indel_similarity") > 1.0, "{summary}");
}

/// An encoding that has no room for a prompt fails on all samples; the other rows have figures.
#[test]
fn a_row_that_fails_everywhere() {
    let space = Workspace::new();
    let more = "\n[[encoding]]\nname = \"none\"\nkind = \"rope\"\ncontext = 8\n\n[[task]]";
    space.replace("config.toml", "\n[[task]]", more);
    let records: String = (0..4)
        .map(|n| format!("{}\n", json!({"_id": format!("r{n}"), "context": "a = 1\nb = 2\nc = 3\n", "answers": ["c"], "length": 5})))
        .collect();
    space.write("docs.jsonl", records);
    let task = "kind = \"completion\"\nprompt = \"lcc\"\nlimit = 500\nbuckets = [0]\nmax_new_tokens = 8\n";
    let config = space.text("config.toml");
    let (head, _) = config.split_once("kind = \"language_modeling\"").unwrap();
    space.write("config.toml", format!("{head}{task}dataset = \"docs.jsonl\"\nsamples = 4\n"));
    let ended = space.run("");
    assert!(ended.stdout.contains("none on 4 of 4 (a context of 8 tokens has no room"), "{ended:?}");
    let summary = space.text("results/tiny/summary.csv");
    assert!(summary.contains("tiny,RoPE,") && !summary.contains(",none,"), "{summary}");
}

/// An encoding that overflows, among others that do not.
#[test]
fn a_row_that_overflows() {
    let space = Workspace::new();
    let over = "[[encoding]]\nname = \"over\"\nkind = \"linear\"\nfactor = 1e-300\n";
    space.replace("config.toml", "\n[[task]]", &format!("\n{over}\n[[task]]"));
    let ended = space.run("--full");
    assert!(ended.stdout.contains("Failed: over on 6 of 6 (the loss is not finite"), "{ended:?}");
    let summary = space.text("results/tiny/summary.csv");
    assert!(summary.contains("tiny,HiRoPE,lm,all,loss,") && !summary.contains(",over,"), "{summary}");
    // A search puts it last.
    space.replace("config.toml", "samples = 3", "samples = 8");
    space.write("docs.jsonl", documents(48));
    space.write("config.toml", format!("{}\n[tune]\ncheck = 2\n", space.text("config.toml")));
    let ended = space.longcode("tune config.toml --device cpu --out search").done();
    assert!(
        ended.stdout.contains("failed on a document") && !ended.stdout.contains("Chosen: **over"),
        "{ended:?}"
    );
    let trials = space.text("search/trials.csv");
    assert!(trials.contains("\"over\",inf,3,false"), "{trials}");
    // All rows failing is most likely no finding.
    let config = space.text("config.toml").replace("[tune]\ncheck = 2\n", "");
    let (head, rest) = config.split_once("[[encoding]]").unwrap();
    let (_, task) = rest.split_once("[[task]]").unwrap();
    space.write("config.toml", format!("{head}{over}[[task]]{task}"));
    let ended = space.longcode("run config.toml --device cpu --out all");
    ended.failed(1, &["all 16 samples x encodings failed", "not finite", "encoding \"over\"", "--fresh"]);
    assert_eq!(lines(&space, "all").len(), 16);
}

#[test]
fn a_search_and_a_score() {
    let space = with_a_broken_letter();
    space.replace("config.toml", "window = 8", "window = [8, 16, 32]");
    space.write("config.toml", format!("{}\n[tune]\ncheck = 2\n", space.text("config.toml")));
    // Every row fails on such a document: nothing can be chosen by it.
    space.longcode("tune config.toml --device cpu").failed(1, &["every row fails", "samples.jsonl says why"]);
    space.write("good.py", "x = 1\ny = 2\n");
    space.write("bad.py", "# Ω\ny = 2\n");
    let ended = space.longcode("score --model model --encoding rope --device cpu bad.py good.py");
    assert!(ended.stdout.contains("good.py: "), "{ended:?}");
    ended.failed(1, &["the loss is not finite", "bad.py"]);
}
