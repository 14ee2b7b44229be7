//! Results that grow: a run continues what is stored under a config with more, in another order or under other names.

use std::fs;

use serde_json::Value;

use crate::common::cli::{CONFIG, Workspace, copy_model};

/// Two models, three encodings, two tasks and more samples than [`crate::common::cli::CONFIG`], in another order.
const LARGER: &str = r#"
name = "tiny"

[[model]]
name = "other"
path = "other"

[[model]]
name = "tiny"
path = "model"

[[encoding]]
name = "Truncation"
kind = "rope"
context = 64

[[encoding]]
name = "hierarchical"
kind = "hirope"
window = 8
split = 0.5

[[encoding]]
name = "RoPE"
kind = "rope"

[[task]]
name = "long"
kind = "language_modeling"
dataset = "docs.jsonl"
buckets = [100, 1000]
samples = 2

[[task]]
name = "lm"
kind = "language_modeling"
dataset = "docs.jsonl"
buckets = [0, 100, 1000]
samples = 5
"#;

/// A workspace with a second model, of other weights.
fn space() -> Workspace {
    let space = Workspace::new();
    copy_model(&space.path("other"));
    let mut weights = fs::read(space.path("other/model.safetensors")).unwrap();
    let at = weights.len() - 3;
    weights[at] ^= 1;
    space.write("other/model.safetensors", weights);
    space
}

const COMPARED: [&str; 5] = ["summary.csv", "differences.csv", "report.md", "report.tex", "config.toml"];

#[test]
fn a_superset_in_another_order_and_under_other_names_equals_a_fresh_run_of_the_whole() {
    let space = space();
    space.run("");
    let first = space.stored("results/tiny");
    space.write("config.toml", LARGER);
    let plan = space.longcode("plan config.toml --device cpu").done();
    assert!(plan.stdout.contains("adds encoding \"Truncation\""), "{plan:?}");
    assert!(plan.stdout.contains(", 12 of them done"), "{plan:?}");
    let grown = space.run("");
    for says in [
        "adds model \"other\"",
        "adds encoding \"Truncation\"",
        "adds task \"long\"",
        "adds samples to task \"lm\": samples is 3 there, 5 now",
        "encoding \"HiRoPE\" is named \"hierarchical\" now",
        "continuing, 12 of ",
    ] {
        assert!(grown.stderr.contains(says), "{says}: {grown:?}");
    }
    let fresh = space.run("--out fresh");
    assert!(!fresh.stderr.contains("adds"), "{fresh:?}");
    for file in COMPARED {
        assert_eq!(
            space.text(&format!("results/tiny/{file}")),
            space.text(&format!("fresh/{file}")),
            "{file}"
        );
    }
    // What was stored was not computed again.
    let stored = space.stored("results/tiny");
    assert_eq!(stored.len(), space.stored("fresh").len());
    for (before, after) in first.iter().zip(&stored) {
        let renamed = if before[1] == "HiRoPE" { "hierarchical" } else { &before[1] };
        assert_eq!([&before[0], renamed, &before[2], &before[3]], after.each_ref().map(|name| name.as_str()));
    }
    let environment: Value = serde_json::from_str(&space.text("results/tiny/environment.json")).unwrap();
    assert_eq!(environment["grown"][0]["what"].as_array().unwrap().len(), 5);
    assert!(space.run("").stderr.contains("nothing left to do"));
}

#[test]
fn a_part_leaves_the_rest_as_it_is() {
    let space = space();
    space.write("config.toml", LARGER);
    space.run("--out whole");
    // Part after part, the last one first.
    space.run("--task lm --encoding RoPE --out parts");
    let part = space.run("--model tiny --encoding hier* --encoding Trunc* --out parts");
    assert!(part.stderr.contains("keeps, besides what is asked for, encoding \"RoPE\""), "{part:?}");
    let before = space.text("parts/summary.csv");
    let again = space.run("--model tiny --task lm --encoding RoPE --out parts");
    assert!(again.stderr.contains("nothing left to do"), "{again:?}");
    assert_eq!(space.text("parts/summary.csv"), before, "a part that is done changes nothing");
    space.run("--out parts");
    for file in COMPARED {
        assert_eq!(space.text(&format!("parts/{file}")), space.text(&format!("whole/{file}")), "{file}");
    }
    // A report of a part has the same figures, and is of its own.
    space.longcode("report whole --encoding RoPE").failed(2, &["the place of the whole", "--out"]);
    space.longcode("report whole --encoding RoPE --model tiny --out of-rope").done();
    let of_rope = space.text("of-rope/summary.csv");
    let expected: Vec<String> = space
        .text("whole/summary.csv")
        .lines()
        .filter(|line| line.starts_with("model,") || line.starts_with("tiny,RoPE,"))
        .map(str::to_string)
        .collect();
    assert_eq!(of_rope.lines().collect::<Vec<_>>(), expected);
    let unfinished = space.text("of-rope/report.md").contains("Unfinished");
    assert!(!unfinished, "all of the part is there");
    for command in ["run config.toml", "plan config.toml", "report whole --out x"] {
        space
            .longcode(&format!("{command} --encoding None"))
            .failed(2, &["no encoding is named `None`", "--encoding", "hierarchical"]);
    }
}

#[test]
fn what_would_change_a_stored_number_is_refused_with_the_key() {
    type Change = (&'static str, &'static str, &'static [&'static str]);
    let cases: &[Change] = &[
        ("buckets = [0, 100, 1000]", "buckets = [0, 100, 2000]", &["task \"lm\"", "buckets"]),
        ("samples = 3", "samples = 2", &["task \"lm\"", "samples is 3 there, 2 now", "--limit 2"]),
        ("samples = 3", "samples = 3\nfrom = 64", &["task \"lm\"", "from is nothing there, 64 now"]),
        ("split = 0.5", "split = 0.25", &["encoding \"HiRoPE\"", "split is 0.5 there, 0.25 now"]),
        (
            "name = \"RoPE\"\nkind = \"rope\"",
            "name = \"HiRoPE\"\nkind = \"rope\"\n[[encoding]]\nname = \"RoPE\"\nkind = \"nope\"",
            &["two encodings are named"],
        ),
        (
            "name = \"HiRoPE\"\nkind = \"hirope\"\nwindow = 8\nsplit = 0.5",
            "name = \"HiRoPE\"\nkind = \"rope\"\nbase = 500",
            &["encoding \"HiRoPE\"", "base is nothing there, 500"],
        ),
    ];
    for (from, to, parts) in cases {
        let space = space();
        space.run("--limit 1");
        let before = space.files("results/tiny");
        space.replace("config.toml", from, to);
        space.longcode("run config.toml --device cpu").failed(2, parts);
        assert_eq!(space.files("results/tiny"), before, "{to}: something was changed");
    }
}

#[test]
fn names_that_are_exchanged_are_refused() {
    let space = space();
    space.run("--limit 1");
    let before = space.files("results/tiny");
    space.replace("config.toml", "name = \"RoPE\"", "name = \"x\"");
    space.replace("config.toml", "name = \"HiRoPE\"", "name = \"RoPE\"");
    let parts = ["encoding \"HiRoPE\" of the results here is \"RoPE\" now", "\"RoPE\" is another one there"];
    space.longcode("run config.toml --device cpu").failed(2, &parts);
    assert_eq!(space.files("results/tiny"), before);
}

#[test]
fn a_missing_model_is_left_out_if_asked_for() {
    let space = space();
    space.write("config.toml", LARGER);
    fs::remove_dir_all(space.path("other")).unwrap();
    space.longcode("run config.toml --device cpu").failed(2, &["model \"other\"", "does not exist"]);
    let ended = space.run("--skip-missing");
    assert!(ended.stderr.contains("model \"other\" is not run: `other` does not exist"), "{ended:?}");
    let report = space.text("results/tiny/report.md");
    assert!(report.contains("model \"other\" is not run"), "{report}");
    // It is there later.
    copy_model(&space.path("other"));
    let grown = space.run("");
    assert!(grown.stderr.contains("adds model \"other\""), "{grown:?}");
    assert!(!space.text("results/tiny/report.md").contains("is not run"));
    fs::remove_dir_all(space.path("other")).unwrap();
    fs::remove_dir_all(space.path("model")).unwrap();
    space
        .longcode("run config.toml --device cpu --skip-missing")
        .failed(2, &["model \"other\"", "model \"tiny\""]);
}

#[test]
fn documents_by_their_ids() {
    let space = space();
    let docs = space.text("docs.jsonl");
    let ids: Vec<String> = docs
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_string())
        .collect();
    let quoted: Vec<String> = ids[..8].iter().map(|id| format!("\"{id}\"")).collect();
    space.replace("config.toml", "samples = 3", &format!("samples = 9\nids = [{}]", quoted.join(", ")));
    space.run("");
    let mut asked: Vec<String> =
        space.stored("results/tiny").into_iter().map(|[.., sample]| sample).collect();
    asked.sort();
    asked.dedup();
    let mut expected = ids[..8].to_vec();
    expected.sort();
    assert_eq!(asked, expected);
    // More of them go on.
    space.replace("config.toml", "ids = [", &format!("ids = [\"{}\", ", ids[9]));
    let grown = space.run("");
    assert!(grown.stderr.contains("adds samples to task \"lm\": ids"), "{grown:?}");
    space.replace("config.toml", "ids = [", "ids = [\"nobody\", ");
    space
        .longcode("run config.toml --device cpu --out x")
        .failed(2, &["no record has the id `nobody`", "ids"]);
}

/// Truncation and HiRoPE of the tiny model, which is trained at 64 tokens.
const RELATIVE: &str = r#"
[[encoding]]
name = "Truncation"
kind = "rope"
context = "trained"

[[encoding]]
name = "HiRoPE"
kind = "hirope"
window = ["1/8", "1/4"]
"#;

#[test]
fn values_relative_to_the_trained_length() {
    let space = space();
    let trained = {
        let config: Value = serde_json::from_str(&space.text("model/config.json")).unwrap();
        config["max_position_embeddings"].as_u64().unwrap()
    };
    let (start, task) = (CONFIG.find("[[encoding]]").unwrap(), CONFIG.find("[[task]]").unwrap());
    let with = |encodings: &str| format!("{}{encodings}\n{}", &CONFIG[..start], &CONFIG[task..]);
    space.write("config.toml", with(RELATIVE));
    space.run("--out relative");
    let absolute = RELATIVE
        .replace("\"trained\"", &trained.to_string())
        .replace("\"1/8\"", &(trained / 8).to_string())
        .replace("\"1/4\"", &(trained / 4).to_string());
    space.write("config.toml", with(&absolute));
    space.run("--out absolute");
    let named = |text: String| {
        text.replace(&format!("window={}", trained / 8), "window=1/8")
            .replace(&format!("window={}", trained / 4), "window=1/4")
    };
    for file in ["summary.csv", "differences.csv"] {
        assert_eq!(space.text(&format!("relative/{file}")), named(space.text(&format!("absolute/{file}"))));
    }
    let report = space.text("relative/report.md");
    assert!(report.contains(&format!("the last {trained} tokens")), "{report}");
    // The same numbers are the same results, however they are written.
    let again = space.run("--out relative");
    assert!(again.stderr.contains("nothing left to do"), "{again:?}");
    assert!(again.stderr.contains("is named \"HiRoPE window="), "{again:?}");
    space.replace(
        "config.toml",
        "[[encoding]]\nname = \"Truncation\"",
        "[[encoding]]\nmodels = \"t?ny\"\nname = \"Truncation\"",
    );
    space.run("--out relative");
    space.write("a.py", "def f(a):\n    return a\n".repeat(20));
    let loss = |window: &str| {
        let command = format!(
            "score --model model --device cpu --json --encoding hirope:window={window},split=0.25 a.py"
        );
        space.longcode(&command).done().stdout.replace(&format!("window={window}"), "window")
    };
    assert_eq!(loss("1/4"), loss(&(trained / 4).to_string()));
    space.replace("config.toml", "t?ny", "t?nz");
    space.longcode("run config.toml").failed(2, &["models is [\"t?nz\"]", "use some of: tiny"]);
}

#[test]
fn an_encoding_of_some_models() {
    let space = space();
    space.write("config.toml", LARGER.replace("name = \"RoPE\"", "name = \"RoPE\"\nmodels = [\"tiny\"]"));
    space.run("");
    let models = |encoding: &str| {
        let mut models: Vec<String> = space
            .stored("results/tiny")
            .into_iter()
            .filter(|key| key[1] == encoding)
            .map(|[model, ..]| model)
            .collect();
        models.sort();
        models.dedup();
        models
    };
    assert_eq!(models("RoPE"), ["tiny"]);
    assert_eq!(models("Truncation"), ["other", "tiny"]);
    assert!(!space.text("results/tiny/report.md").contains("Unfinished"));
    let config = space.text("results/tiny/config.toml");
    space.longcode("run results/tiny/config.toml --device cpu").done();
    assert_eq!(space.text("results/tiny/config.toml"), config);
    space
        .longcode("run config.toml --model other --encoding RoPE")
        .failed(2, &["no encoding that is asked for is for a model that is asked for"]);
}
