//! A run that is killed, interrupted, cut short or repeated ends with the results of one that was not.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use common::cli::{CONFIG, Ended, Workspace, copy_model, documents};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// 40 documents under 6 encodings: a few seconds of work.
fn large() -> Workspace {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(48));
    space.replace("config.toml", "samples = 3", "samples = 20");
    space.replace("config.toml", "window = 8\nsplit = 0.5", "window = [8, 16]\nsplit = [0.25, 0.5]");
    let more = "\n[[encoding]]\nkind = \"dynamic_ntk\"\nfactor = 2\n\n[[task]]";
    space.replace("config.toml", "\n[[task]]", more);
    space
}

fn start(space: &Workspace) -> Child {
    space.command("run config.toml --device cpu").spawn().unwrap()
}

/// Waits until so many samples are stored, or the run is over.
fn wait_for(space: &Workspace, count: usize, child: &mut Child) {
    while child.try_wait().unwrap().is_none() && space.stored("results/tiny").len() < count {
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_at_any_moment() {
    let undisturbed = large();
    undisturbed.run("");
    let space = large();
    let mut random = StdRng::seed_from_u64(7);
    let mut kills = 0;
    loop {
        let before = space.stored("results/tiny");
        let mut child = start(&space);
        wait_for(&space, before.len() + random.random_range(0..25), &mut child);
        sleep(Duration::from_micros(random.random_range(0..20_000)));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        kills += 1;
        let after = space.stored("results/tiny");
        assert_eq!(after[..before.len()], before, "a finished sample was lost");
        if !after.is_empty() {
            space.longcode("report results/tiny --out partial").done();
        }
    }
    println!("{kills} kills");
    assert!(kills >= 8, "{kills}");
    let again = space.run("");
    assert!(again.stderr.contains("nothing left to do, 240 of 240"), "{again:?}");
    let keys = space.stored("results/tiny");
    assert_eq!(keys.len(), 240);
    assert_eq!(keys, undisturbed.stored("results/tiny"));
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    let summary = undisturbed.text("results/tiny/summary.csv");
    assert_eq!(space.text("results/tiny/summary.csv"), summary);
    space.longcode("report results/tiny --out again").done();
    assert_eq!(space.text("again/summary.csv"), summary);
    assert_eq!(space.text("again/report.md"), space.text("results/tiny/report.md"));
}

#[cfg(unix)]
#[test]
fn interrupted() {
    for signal in ["INT", "TERM"] {
        let space = large();
        let mut child = start(&space);
        wait_for(&space, 5, &mut child);
        let before = space.stored("results/tiny");
        Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("error: interrupted\n  fix: run the same command again"), "{ended:?}");
        let after = space.stored("results/tiny");
        assert!(after.len() < 240);
        assert_eq!(after[..before.len()], before);
        let again = space.run("--limit 1");
        assert!(again.stderr.contains(&format!(", {} of 240 samples", after.len())), "{again:?}");
    }
}

#[test]
fn a_last_line_that_was_cut() {
    let space = Workspace::new();
    // Two bytes a letter, so that cuts fall inside of characters too.
    space.replace("docs.jsonl", "doc ", "δοκίμιο ");
    space.run("");
    let keys = space.stored("results/tiny");
    let summary = space.text("results/tiny/summary.csv");
    let samples = fs::read(space.path("results/tiny/samples.jsonl")).unwrap();
    let last = samples[..samples.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    let inside = last + samples[last..].iter().position(|byte| !byte.is_ascii()).unwrap() + 1;
    for end in [last + 1, inside, samples.len() - 1, 0] {
        space.write("results/tiny/samples.jsonl", &samples[..end]);
        space.longcode("report results/tiny --out partial").done();
        let again = space.run("");
        let says = if end == 0 { "12 of 12 samples x encodings to do" } else { "continuing, 11 of 12" };
        assert!(again.stderr.contains(says), "{again:?}");
        assert_eq!(space.stored("results/tiny"), keys);
        assert_eq!(space.text("results/tiny/summary.csv"), summary);
    }
}

#[test]
fn something_else_than_before() {
    type Change = fn(&Workspace);
    let cases: &[(&str, Change, &[&str])] = &[
        (
            "a key",
            |space| space.replace("config.toml", "window = 8", "window = 9"),
            &["window is 8", "9 now"],
        ),
        (
            "the seed",
            |space| space.write("config.toml", format!("seed = 1{CONFIG}")),
            &["seed is 0", "1 now"],
        ),
        (
            "one encoding more",
            |space| space.replace("config.toml", "window = 8", "window = [8, 9]"),
            &["encoding: 2 there, 3 now"],
        ),
        (
            "another name",
            |space| space.replace("config.toml", "\"RoPE\"", "\"rope\""),
            &["name is \"RoPE\" there, \"rope\" now"],
        ),
        ("weights", change_weights, &["another model", "\"tiny\""]),
        (
            "the model's config",
            |space| space.replace("model/config.json", "10000.0", "10001.0"),
            &["another model", "\"tiny\""],
        ),
        (
            "the precision",
            |space| space.replace("config.toml", "\"model\"", "\"model\"\nprecision = \"split\""),
            &["precision", "split"],
        ),
        ("documents", |space| space.write("docs.jsonl", documents(17)), &["another data set", "docs.jsonl"]),
    ];
    for (case, change, parts) in cases {
        let space = Workspace::new();
        space.run("--out out --limit 1");
        change(&space);
        let before = space.files("out");
        let run = "run config.toml --device cpu --out out";
        let ended = space.longcode(run).failed(2, &[parts, &["in: out", "--fresh"][..]].concat());
        println!("{case}: {}", ended.stderr);
        assert_eq!(space.files("out"), before, "{case}: something was changed");
        let fresh = space.run("--out out --fresh");
        assert!(!fresh.stderr.contains("continuing"), "{fresh:?}");
        space.run("--out other");
        assert_eq!(space.text("out/summary.csv"), space.text("other/summary.csv"), "{case}");
    }
}

/// One bit of the last weight.
fn change_weights(space: &Workspace) {
    let mut bytes = fs::read(space.path("model/model.safetensors")).unwrap();
    let at = bytes.len() - 4;
    bytes[at] ^= 1;
    space.write("model/model.safetensors", bytes);
}

#[test]
fn first_a_few_then_the_rest() {
    let whole = Workspace::new();
    whole.run("");
    let space = Workspace::new();
    let few = space.run("--limit 1");
    assert!(few.stderr.contains("4 of 12 samples x encodings to do"), "{few:?}");
    assert_eq!(space.stored("results/tiny"), whole.stored("results/tiny")[..4]);
    let rest = space.run("");
    assert!(rest.stderr.contains("continuing, 4 of 12 samples x encodings are stored, 8 to do"), "{rest:?}");
    for file in ["summary.csv", "config.toml"] {
        let path = format!("results/tiny/{file}");
        assert_eq!(space.text(&path), whole.text(&path));
    }
    assert_eq!(space.stored("results/tiny"), whole.stored("results/tiny"));
}

#[test]
fn a_model_at_another_place() {
    let space = Workspace::new();
    space.run("--limit 1");
    copy_model(&space.path("elsewhere/moved"));
    fs::remove_dir_all(space.path("model")).unwrap();
    space.replace("config.toml", "\"model\"", "\"elsewhere/moved\"");
    assert!(space.run("").stderr.contains("continuing"));
    assert_eq!(space.stored("results/tiny").len(), 12);
}

#[test]
fn the_config_in_the_results_runs_again() {
    let space = Workspace::new();
    space.replace("config.toml", "window = 8", "window = [8, 16]");
    space.run("");
    let config = space.text("results/tiny/config.toml");
    let again = space.longcode("run results/tiny/config.toml --device cpu").done();
    assert!(again.stderr.contains("nothing left to do"), "{again:?}");
    space.longcode("run results/tiny/config.toml --device cpu --out copy").done();
    assert_eq!(space.text("results/tiny/config.toml"), config);
    for file in ["config.toml", "summary.csv"] {
        assert_eq!(space.text(&format!("copy/{file}")), space.text(&format!("results/tiny/{file}")));
    }
}
