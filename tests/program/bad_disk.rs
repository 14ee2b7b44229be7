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

/// What was stored is what is read: a digit that is another is found, wherever it stands, by every reader.
#[test]
fn a_stored_line_that_was_changed() {
    let space = Workspace::new();
    space.run("");
    space.run("--out whole");
    let samples = space.text("results/tiny/samples.jsonl");
    let second = samples.lines().nth(1).unwrap();
    for (from, to) in
        [("\"nll\":[", "\"nll\":[1"), ("\"tokens\":", "\"tokens\":1"), ("\"correct\":[", "\"correct\":[9")]
    {
        assert!(second.contains(from), "{second}");
        space.write("results/tiny/samples.jsonl", samples.replace(second, &second.replacen(from, to, 1)));
        for command in [
            "run config.toml --device cpu",
            "report results/tiny",
            "report whole results/tiny --out both",
            "plan config.toml --device cpu",
        ] {
            space.longcode(command).failed(2, &["samples.jsonl:2", "checksum", "remove the line", "--fresh"]);
        }
    }
    // Lines of before there were checksums are read, with a word.
    let without: String =
        samples.lines().map(|line| format!("{}}}\n", line.split(",\"check\"").next().unwrap())).collect();
    space.write("results/tiny/samples.jsonl", without);
    let ended = space.longcode("report results/tiny").done();
    assert!(ended.stderr.contains("12 of 12 lines have no checksum"), "{ended:?}");
    assert_eq!(space.text("results/tiny/summary.csv"), space.text("whole/summary.csv"));
    assert!(!space.longcode("report whole").done().stderr.contains("checksum"));
}

#[test]
fn a_stored_line_of_what_the_config_does_not_have() {
    let space = Workspace::new();
    space.run("");
    let samples = space.text("results/tiny/samples.jsonl");
    let third = samples.lines().nth(2).unwrap();
    let line: serde_json::Value = serde_json::from_str(third).unwrap();
    let cases: [(&str, serde_json::Value, &str); 9] = [
        ("model", "other".into(), "no model \"other\""),
        ("encoding", "other".into(), "no encoding \"other\""),
        ("task", "\u{1b}[31m".into(), "no task"),
        ("model", 1.into(), "invalid type"),
        ("tokens", (-1).into(), "invalid value"),
        ("sha256", serde_json::Value::Null, "invalid type"),
        ("seconds", "1".into(), "invalid type"),
        ("outcome", serde_json::Value::Null, "no `outcome`"),
        ("outcomes", 1.into(), "unknown field"),
    ];
    for (key, value, says) in cases {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("check");
        line[key] = value;
        space.write("results/tiny/samples.jsonl", samples.replace(third, &line.to_string()));
        for command in ["run config.toml --device cpu", "report results/tiny"] {
            space.longcode(command).failed(2, &["samples.jsonl:3", says, "remove the line"]);
        }
    }
    // A sample that the data do not have, or of another bucket, is a sample still; an outcome of the wrong type is none.
    for (key, value) in [("sample", "other"), ("bucket", "=1+1"), ("sha256", "<script>alert(1)</script>")] {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("check");
        line[key] = value.into();
        space.write("results/tiny/samples.jsonl", samples.replace(third, &line.to_string()));
        space.longcode("report results/tiny").done();
        assert!(!space.text("results/tiny/report.html").contains("<script>alert"));
    }
    for outcome in ["1", "[]", "\"x\"", "{}"] {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("check");
        line["outcome"] = serde_json::from_str(outcome).unwrap();
        space.write("results/tiny/samples.jsonl", samples.replace(third, &line.to_string()));
        space.longcode("report results/tiny").failed(2, &["samples.jsonl:3", "not an outcome"]);
    }
    space.write("results/tiny/samples.jsonl", samples);
    space.replace("results/tiny/environment.json", "\"name\": \"tiny\"", "\"name\": \"other\"");
    space
        .longcode("report results/tiny")
        .failed(2, &["environment.json", "\"other\"", "\"tiny\"", "--fresh"]);
}

#[test]
fn toml_nested_deep_is_told_in_few_words() {
    let space = Workspace::new();
    space.run("");
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let config = space.text("results/tiny/config.toml");
    for value in
        [deep("[", "]"), deep("{a=", "}"), "[".repeat(100_000), format!("{}\n", "a.".repeat(100_000))]
    {
        for text in [format!("deep = {value}\n{config}"), format!("{config}\nwindow = {value}\n")] {
            space.write("deep.toml", &text);
            space.write("results/tiny/config.toml", &text);
            for command in [
                "run deep.toml --device cpu",
                "run config.toml --device cpu",
                "report results/tiny",
                "train deep.toml",
            ] {
                let ended = space.longcode(command).failed(2, &["toml"]);
                assert!(ended.stderr.len() < 5000, "{command}: {} bytes", ended.stderr.len());
            }
        }
    }
}

/// Starts a run of some seconds, and calls `change` once some samples are stored.
#[cfg(unix)]
fn changed_under_way(change: impl FnOnce(&Workspace)) -> (Workspace, Ended) {
    let space = Workspace::new();
    space.write("docs.jsonl", crate::common::cli::documents(96));
    space.replace("config.toml", "samples = 3", "samples = 40");
    space.replace("config.toml", "window = 8", "window = [4, 8, 12, 16, 20, 24, 28, 32]");
    let child = space.command("run config.toml --device cpu").spawn().unwrap();
    while space.stored("results/tiny").len() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    change(&space);
    (space, child.wait_with_output().unwrap().into())
}

#[cfg(unix)]
#[test]
fn results_that_are_taken_away_under_a_run() {
    type Change = fn(&Workspace);
    let cases: [(Change, &str); 5] = [
        (|space| fs::remove_dir_all(space.path("results/tiny")).unwrap(), "deleted or moved"),
        (|space| fs::rename(space.path("results"), space.path("elsewhere")).unwrap(), "deleted or moved"),
        (|space| fs::remove_file(space.path("results/tiny/samples.jsonl")).unwrap(), "deleted or moved"),
        (
            |space| {
                let path = space.path("results/tiny/samples.jsonl");
                fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
            },
            "were cut under this run",
        ),
        (
            |space| {
                let path = space.path("results/tiny/samples.jsonl");
                std::io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(path).unwrap(), b"x")
                    .unwrap();
            },
            "something else wrote",
        ),
    ];
    for (change, says) in cases {
        let (_space, ended) = changed_under_way(change);
        ended.failed(1, &[says, "samples.jsonl", "run the same command again"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn little_memory() {
    let space = Workspace::new();
    for kilobytes in [180_000, 220_000, 260_000] {
        let limited = format!("ulimit -v {kilobytes}; exec \"$0\" run config.toml --device cpu");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_longcode")]).current_dir(space.path(""));
        let ended: Ended = command.output().unwrap().into();
        assert!(matches!(ended.code, Some(1 | 2)), "{kilobytes}: {ended:?}");
        assert!(
            ended.stderr.contains("memory") && ended.stderr.contains("ulimit -v"),
            "{kilobytes}: {ended:?}"
        );
    }
    space.run("");
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
    space.longcode("run config.toml --device cpu,tpu").failed(2, &["`tpu` is not a device"]);
}
