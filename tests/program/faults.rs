//! A run that is killed, or whose disk fails, at every single step that it takes on its results, and one whose clock
//! moves: nothing finished is lost, nothing counts twice, and the figures are the same bytes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rayon::prelude::*;

use crate::common::cli::{Ended, Workspace};
use crate::common::repository;

const RESULTS: &str = "results/tiny";

/// What a report is by; report.html and the harness's files have dates in them.
const FIGURES: [&str; 5] = ["summary.csv", "differences.csv", "contributions.csv", "report.md", "report.tex"];

/// Built once: what is loaded before the C library and counts the program's steps.
static PRELOADED: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library);
    assert!(compiler.arg(repository("tests/program/faults.c")).arg("-ldl").status().unwrap().success());
    library
});

/// Two samples under two encodings.
fn small() -> Workspace {
    let space = Workspace::new();
    space.replace("config.toml", "buckets = [0, 100, 1000]\nsamples = 3", "buckets = [0, 1000]\nsamples = 2");
    space
}

fn command(space: &Workspace) -> Command {
    let mut command = space.command("run config.toml --device cpu");
    command.env("LD_PRELOAD", &*PRELOADED).env("FAULT_BELOW", space.path("results").canonicalize().unwrap());
    command
}

/// A run that meets a fault at a step; none when it ends before that step.
fn run_with(space: &Workspace, step: usize, fault: &str) -> Option<Ended> {
    let output = command(space).env("FAULT_AT", step.to_string()).env("FAULT_DO", fault).output().unwrap();
    if output.status.success() {
        return None;
    }
    let killed = output.status.signal() == Some(9);
    assert_eq!(killed, matches!(fault, "kill" | "torn"), "step {step}, {fault}: {output:?}");
    Some(output.into())
}

/// Lines of the samples that are whole.
fn lines(space: &Workspace) -> Vec<String> {
    let text = fs::read(space.path(RESULTS).join("samples.jsonl")).unwrap_or_default();
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    String::from_utf8(text[..whole].to_vec()).unwrap().lines().map(str::to_string).collect()
}

fn figures(space: &Workspace) -> Vec<String> {
    let read = |file| fs::read_to_string(space.path(RESULTS).join(file)).unwrap_or_default();
    FIGURES.into_iter().map(read).collect()
}

/// What the same run leaves that is run again without a fault.
fn is_made_good(space: &Workspace, whole: &Workspace, what: &str) {
    let before = lines(space);
    space.run("");
    let after = lines(space);
    assert_eq!(after[..before.len()], before, "{what}: a finished sample was lost or measured again");
    let keys = space.stored(RESULTS);
    assert_eq!(keys, whole.stored(RESULTS), "{what}");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "{what}: a sample is stored twice");
    assert_eq!(figures(space), figures(whole), "{what}");
    let names = |space: &Workspace| -> Vec<String> {
        let name = |(path, _): (PathBuf, _)| path.file_name().unwrap().to_str().unwrap().to_string();
        space.files(RESULTS).into_iter().map(name).collect()
    };
    assert_eq!(names(space), names(whole), "{what}: half a file is left");
}

/// A fault at each step in turn, until a run has no such step. Gives the number of steps.
fn at_every_step(fault: &str, check: impl Fn(&Ended, &str) + Sync) -> usize {
    let whole = small();
    whole.run("");
    let at = |step: usize| {
        let space = small();
        fs::create_dir_all(space.path("results")).unwrap();
        let what = format!("step {step}, {fault}");
        let ended = run_with(&space, step, fault)?;
        check(&ended, &what);
        is_made_good(&space, &whole, &what);
        Some(())
    };
    let mut steps = 0;
    loop {
        // Some at a time, on all cores.
        let some: Vec<Option<()>> = (steps + 1..steps + 17).into_par_iter().map(at).collect();
        steps += some.iter().flatten().count();
        if some.contains(&None) {
            return steps;
        }
    }
}

#[test]
fn killed_at_every_step() {
    for fault in ["kill", "torn"] {
        let steps = at_every_step(fault, |_, _| ());
        println!("{fault}: {steps} steps");
        // Four samples, each written and synced, and two files beside them, each made, written and moved.
        assert!(steps > 4 * 2 + 2 * 3 * 2, "{steps}");
    }
}

/// A full disk, a failing one, and a directory that may not be written to any more.
#[test]
fn failing_at_every_step() {
    for errno in [libc::ENOSPC, libc::EIO, libc::EACCES] {
        let words = std::io::Error::from_raw_os_error(errno).to_string();
        let steps = at_every_step(&errno.to_string(), |ended, what| {
            assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
            for part in ["error: ", &words, "\n  in: results/tiny", "\n  fix: "] {
                assert!(ended.stderr.contains(part), "{what}: no `{part}` in {}", ended.stderr);
            }
            assert!(!ended.stderr.contains("panicked"), "{what}: {}", ended.stderr);
        });
        assert!(steps > 20, "{steps}");
    }
}

/// Killed and killed again, a step further each time, in the same directory.
#[test]
fn killed_again_and_again() {
    let whole = small();
    whole.run("");
    let space = small();
    fs::create_dir_all(space.path("results")).unwrap();
    let mut kept = Vec::new();
    for step in 1.. {
        let ended = run_with(&space, step, if step % 2 == 0 { "kill" } else { "torn" });
        let now = lines(&space);
        assert_eq!(now[..kept.len()], kept, "step {step}");
        kept = now;
        if ended.is_none() {
            break;
        }
    }
    is_made_good(&space, &whole, "the last one");
}

/// Two and more at once on one directory: one works, the others say so or find all done.
#[test]
fn several_at_once() {
    let whole = small();
    whole.run("");
    let space = small();
    for _ in 0..4 {
        let started: Vec<_> =
            (0..3).map(|_| space.command("run config.toml --device cpu").spawn().unwrap()).collect();
        let ended: Vec<Ended> =
            started.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
        assert!(ended.iter().any(|one| one.code == Some(0)), "{ended:?}");
        for one in ended.into_iter().filter(|one| one.code != Some(0)) {
            one.failed(2, &["another run", RESULTS, "--out"]);
        }
        is_made_good(&space, &whole, "several at once");
    }
}

/// The clock of the day moves back by ten years between two runs, and forward by as many.
#[test]
fn a_clock_that_moves() {
    const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;
    let whole = small();
    whole.run("");
    for off in [-TEN_YEARS, TEN_YEARS] {
        let space = small();
        space.run("--limit 1");
        let moved = command(&space).env("FAULT_CLOCK", off.to_string()).output().unwrap();
        Ended::from(moved).done();
        is_made_good(&space, &whole, "a clock that moved");
        let year = |key: &str| {
            let environment: serde_json::Value =
                serde_json::from_str(&space.text(&format!("{RESULTS}/environment.json"))).unwrap();
            environment.pointer(key).unwrap().as_str().unwrap()[..4].parse::<i64>().unwrap()
        };
        let years = year("/resumed/0/started") - year("/started");
        assert!((years - off.signum() * 10).abs() <= 1, "the clock did not move: {years}");
        for line in lines(&space) {
            let seconds = serde_json::from_str::<serde_json::Value>(&line).unwrap()["seconds"].as_f64();
            assert!(seconds.is_some_and(|seconds| (0.0..600.0).contains(&seconds)), "{line}");
        }
    }
}
