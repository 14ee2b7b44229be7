//! Results that cannot be written, are damaged or in use, and a device that is not there.

use std::fs;
use std::process::Command;

use crate::common::cli::{Ended, Workspace};

#[test]
fn a_results_directory_under_a_file() {
    let space = Workspace::new();
    let ended = space.longcode("run config.toml --device cpu --out docs.jsonl/results");
    ended.failed(1, &["docs.jsonl/results", "cannot write"]);
    space.run("");
    let ended = space.longcode("report results/tiny --out docs.jsonl/report");
    ended.failed(1, &["docs.jsonl/report"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills() {
    let whole = Workspace::new();
    whole.run("");
    let space = Workspace::new();
    // Blocks of 512 bytes; the samples need more than 6 of them.
    for blocks in [2, 4, 6] {
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" run config.toml --device cpu");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_longcode")]).current_dir(space.path(""));
        let ended: Ended = command.output().unwrap().into();
        ended.failed(1, &["samples.jsonl", "cannot write"]);
        assert!(fs::metadata(space.path("results/tiny/samples.jsonl")).unwrap().len() <= blocks * 512);
    }
    assert!(!space.stored("results/tiny").is_empty());
    assert!(space.run("").stderr.contains("continuing"));
    assert_eq!(space.text("results/tiny/summary.csv"), whole.text("results/tiny/summary.csv"));
    assert_eq!(space.stored("results/tiny"), whole.stored("results/tiny"));
}

#[test]
fn garbage_in_the_middle_of_the_samples() {
    let space = Workspace::new();
    space.run("");
    let samples = space.text("results/tiny/samples.jsonl");
    let lines: Vec<&str> = samples.lines().collect();
    for garbage in ["garbage", "{}", "", "{\"model\":\"tiny\""] {
        let mut damaged = lines.clone();
        damaged[2] = garbage;
        space.write("results/tiny/samples.jsonl", format!("{}\n", damaged.join("\n")));
        let before = space.files("results/tiny");
        for command in ["run config.toml --device cpu", "report results/tiny"] {
            space.longcode(command).failed(2, &["samples.jsonl:3", "--fresh"]);
        }
        assert_eq!(space.files("results/tiny"), before);
    }
    // As the error says: without the line, its sample is computed again.
    let left = [&lines[..2], &lines[3..]].concat();
    let summary = space.text("results/tiny/summary.csv");
    space.write("results/tiny/samples.jsonl", format!("{}\n", left.join("\n")));
    space.run("");
    assert_eq!(space.text("results/tiny/summary.csv"), summary);
}

#[test]
fn results_without_their_config() {
    let space = Workspace::new();
    space.run("");
    fs::remove_file(space.path("results/tiny/config.toml")).unwrap();
    space.longcode("run config.toml --device cpu").failed(2, &["config.toml", "results/tiny", "--fresh"]);
    space.longcode("report results/tiny").failed(2, &["results/tiny", "config.toml"]);
    space.run("--fresh");
    space.write("results/tiny/environment.json", "{");
    for command in ["run config.toml --device cpu", "report results/tiny"] {
        space.longcode(command).failed(2, &["environment.json", "--fresh"]);
    }
}

#[test]
fn two_runs_in_one_directory() {
    let space = Workspace::new();
    fs::create_dir_all(space.path("results/tiny")).unwrap();
    let other = fs::File::create(space.path("results/tiny/samples.jsonl")).unwrap();
    other.lock().unwrap();
    for fresh in ["", "--fresh"] {
        let ended = space.longcode(&format!("run config.toml --device cpu {fresh}"));
        ended.failed(2, &["another run", "results/tiny", "--out"]);
    }
    assert_eq!(space.files("results/tiny").len(), 1);
    drop(other);
    space.run("");
}

#[test]
fn weights_that_are_not_numbers() {
    let space = Workspace::new();
    let path = space.path("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 64..].fill(0xff);
    fs::write(&path, bytes).unwrap();
    space.longcode("run config.toml --device cpu").failed(1, &["not finite", "encoding \"RoPE\""]);
    space.write("a.py", "x = 1\n");
    let ended = space.longcode("score --model model --encoding rope --device cpu a.py");
    ended.failed(1, &["a.py", "not finite"]);
}

#[cfg(target_os = "linux")]
#[test]
fn no_adapter() {
    let space = Workspace::new();
    space.write("a.py", "x = 1\n");
    let commands = [
        "run config.toml --device wgpu",
        "run config.toml --device wgpu:1",
        "run config.toml --device cpu,wgpu",
        "score --model model --encoding rope --device wgpu a.py",
        "bench --model model --encoding rope --length 8 --device wgpu",
    ];
    for arguments in commands {
        let mut command = space.command(arguments);
        for variable in [
            "VK_DRIVER_FILES",
            "VK_ICD_FILENAMES",
            "__EGL_VENDOR_LIBRARY_DIRS",
            "__EGL_VENDOR_LIBRARY_FILENAMES",
        ] {
            command.env(variable, space.path("absent"));
        }
        let ended: Ended = command.output().unwrap().into();
        ended.failed(2, &["adapter", "--device wgpu", "--device cpu"]);
        assert!(!space.path("results").exists());
    }
    let twice = space.longcode("run config.toml --device cpu,cpu");
    twice.failed(2, &["`cpu` is a device that is there already", "--device cpu,cpu", "once"]);
    space.longcode("run config.toml --device cpu,tpu").failed(2, &["`tpu` is no device"]);
}
