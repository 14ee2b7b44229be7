//! A run that is killed, interrupted, cut short or repeated ends with the results of one that was not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use crate::common::cli::{CONFIG, Ended, Workspace, copy_model, documents};
use longcode::config::Config;
use longcode::device::cpu;
use longcode::run::{RunOptions, run};
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

/// All that a report says, but for report.html, which has the dates of every run.
fn told(space: &Workspace, directory: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let own = ["config.toml", "environment.json", "samples.jsonl", "texts.jsonl.gz", "report.html"];
    let mut files = space.files(directory);
    files.iter_mut().for_each(|(path, _)| *path = path.file_name().unwrap().into());
    files.retain(|(path, _)| !own.iter().any(|name| path == Path::new(name)));
    files
}

#[test]
fn shards_make_the_whole() {
    let whole = large();
    whole.run("");
    let space = large();
    let shard = |part: usize| format!("run config.toml --device cpu --shard {part}/3");
    // One at once, one first in part, one killed on its way.
    space.longcode(&shard(1)).done();
    space.longcode(&format!("{} --limit 3", shard(2))).done();
    let mut child = space.command(&shard(3)).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && space.stored("results/tiny-3-of-3").len() < 20 {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = space.stored("results/tiny-3-of-3").len();
    println!("killed after {before}");
    for part in [2, 3] {
        let again = space.longcode(&shard(part)).done();
        assert!(again.stderr.contains(&format!("of-3, shard {part}/3: continuing, ")), "{again:?}");
    }
    let parts = [1, 2, 3].map(|part| space.stored(&format!("results/tiny-{part}-of-3")));
    let keys: BTreeSet<_> = parts.iter().flatten().cloned().collect();
    assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 240, "a sample is in two shards");
    assert_eq!(keys, whole.stored("results/tiny").into_iter().collect());
    for part in &parts {
        let samples: BTreeSet<_> =
            part.iter().map(|[model, _, task, sample]| [model, task, sample]).collect();
        assert_eq!(part.len(), samples.len() * 6, "a shard lacks encodings of a sample");
    }
    let dirs = "results/tiny-3-of-3 results/tiny-1-of-3 results/tiny-2-of-3";
    space.longcode(&format!("report {dirs} --out merged")).done();
    let merged = told(&space, "merged");
    assert!(merged.iter().any(|(name, _)| name == Path::new("summary.csv")));
    for (one, other) in merged.iter().zip(&told(&whole, "results/tiny")) {
        assert!(one == other, "{} and {} differ", one.0.display(), other.0.display());
    }
    let alone = space.text("results/tiny-1-of-3/report.md");
    assert!(alone.contains("A part of the run, shard 1/3: "), "{alone}");
    // What was measured twice counts once.
    space.longcode("run config.toml --device cpu --shard 2/2").done();
    space.longcode(&format!("report {dirs} results/tiny-2-of-2 --out overlapping")).done();
    assert_eq!(space.text("overlapping/summary.csv"), whole.text("results/tiny/summary.csv"));
    let report = space.text("overlapping/report.md");
    assert!(report.contains(" samples were measured more than once, 0 of them with another outcome"));
}

#[test]
fn more_shards_than_samples() {
    let whole = Workspace::new();
    whole.run("");
    let space = Workspace::new();
    let mut dirs = String::new();
    for part in 1..=8 {
        let ended = space.run(&format!("--shard {part}/8 --out {part}"));
        let empty = ended.stderr.contains("no sample is left for this shard, nothing to do");
        assert_eq!(empty, part > 6, "{ended:?}");
        dirs += &format!(" {part}");
    }
    space.longcode(&format!("report{dirs} --out merged")).done();
    for file in ["summary.csv", "report.md"] {
        assert_eq!(space.text(&format!("merged/{file}")), whole.text(&format!("results/tiny/{file}")));
    }
}

#[test]
fn a_directory_is_of_one_shard() {
    let space = Workspace::new();
    space.run("--shard 1/3 --out shard --limit 1");
    space.run("--out whole --limit 1");
    let cases = [
        ("shard", "--shard 2/3", "another shard: 1/3 there, 2/3 now"),
        ("shard", "--shard 1/2", "another shard: 1/3 there, 1/2 now"),
        ("shard", "", "another shard: 1/3 there, none now"),
        ("whole", "--shard 1/3", "another shard: none there, 1/3 now"),
    ];
    for (directory, shard, what) in cases {
        let before = space.files(directory);
        let run = format!("run config.toml --device cpu --out {directory} {shard}");
        space.longcode(&run).failed(2, &[what, &format!("in: {directory}"), "another --out", "--fresh"]);
        assert_eq!(space.files(directory), before, "something was changed");
    }
    assert!(space.run("--shard 1/3 --out shard").stderr.contains("continuing"));
    // Another version shares samples out in its own way.
    space.replace("shard/environment.json", "\"version\": \"", "\"version\": \"9");
    let run = "run config.toml --device cpu --shard 1/3 --out shard";
    space.longcode(run).failed(2, &["another version: longcode 9", " now", "in: shard", "--fresh"]);
}

#[test]
fn shards_of_different_runs_do_not_merge() {
    type Change = fn(&Workspace);
    let cases: [(Change, &[&str]); 4] = [
        (
            |space| space.replace("two/config.toml", "window = 8", "window = 9"),
            &["window is 8 in one, 9 in two"],
        ),
        (
            |space| space.replace("two/environment.json", "\"version\": \"", "\"version\": \"9"),
            &["longcode ", " in one, longcode 9", " in two"],
        ),
        (
            |space| space.replace("two/environment.json", "\"git_commit\": \"", "\"git_commit\": \"f"),
            &["longcode ", " in one, longcode ", "(f", " in two"],
        ),
        (
            |space| space.replace("two/environment.json", "\"sha256\": \"", "\"sha256\": \"0"),
            &["model \"tiny\"", "in two"],
        ),
    ];
    let space = Workspace::new();
    space.run("--shard 1/2 --out one");
    for (change, parts) in cases {
        space.run("--shard 2/2 --out two --fresh");
        change(&space);
        let parts = [parts, &["results of different runs", "in: two", "--out"]].concat();
        space.longcode("report one two --out both").failed(2, &parts);
        assert!(!space.path("both").exists());
    }
}

/// Several workers over one store, here two on the CPU: the results of one, and an error of one ends all.
#[test]
fn two_workers_are_one_run() {
    let (alone, space) = (large(), large());
    alone.run("");
    let run_on_two = |space: &Workspace| {
        space.replace("config.toml", "path = \"model\"", &format!("path = {:?}", space.path("model")));
        space.replace("config.toml", "\"docs.jsonl\"", &format!("{:?}", space.path("docs.jsonl")));
        let config = Config::read(&space.path("config.toml"), &[]).unwrap();
        let options = RunOptions { limit: None, fresh: false, batch: 1, shard: None };
        run(&config, &[cpu(), cpu()], &space.path("results/tiny"), options).map(|ran| ran.stored)
    };
    run_on_two(&space).unwrap();
    let sorted = |space: &Workspace| {
        let mut keys = space.stored("results/tiny");
        keys.sort();
        keys
    };
    assert_eq!(sorted(&space), sorted(&alone));
    space.longcode("report results/tiny").done();
    // The data set has another name there, by which nothing in this file goes.
    assert_eq!(space.text("results/tiny/summary.csv"), alone.text("results/tiny/summary.csv"));

    let broken = large();
    let path = broken.path("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 64..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    // Losses that are not finite are results of their samples, and counted as failures.
    assert_eq!(run_on_two(&broken).unwrap(), 240);
    assert_eq!(broken.stored("results/tiny").len(), 240);
}
