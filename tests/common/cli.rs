//! The real program, on the tiny checkpoint and small data sets in a temporary directory.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::repository;

/// A working directory with `model/`, `docs.jsonl` and `config.toml` that fit together.
pub(crate) struct Workspace {
    dir: TempDir,
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Two encodings on documents of two lengths; `docs.jsonl` has more than enough for both buckets.
pub(crate) const CONFIG: &str = r#"
name = "tiny"

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
name = "lm"
kind = "language_modeling"
dataset = "docs.jsonl"
buckets = [0, 100, 1000]
samples = 3
"#;

impl Workspace {
    pub(crate) fn new() -> Workspace {
        let space = Workspace { dir: tempfile::tempdir().unwrap() };
        copy_model(&space.path("model"));
        space.write("docs.jsonl", documents(16));
        space.write("config.toml", CONFIG);
        space
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file again with one thing replaced, which must be there.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, text.replace(from, to));
    }

    /// The program in this directory, not started; arguments are divided at spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longcode"));
        command.args(arguments.split_whitespace()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Without it drivers complain on stderr, in words like ours.
        command.env("XDG_RUNTIME_DIR", self.dir.path());
        command
    }

    pub(crate) fn longcode(&self, arguments: &str) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a config on the CPU and expects it to be done.
    pub(crate) fn run(&self, arguments: &str) -> Ended {
        self.longcode(&format!("run config.toml --device cpu {arguments}")).done()
    }

    /// Keys of the stored samples, in the order of the file.
    pub(crate) fn stored(&self, results: &str) -> Vec<[String; 4]> {
        let lines = fs::read_to_string(self.path(results).join("samples.jsonl")).unwrap_or_default();
        let whole = &lines[..lines.rfind('\n').map_or(0, |end| end + 1)];
        let key = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            ["model", "encoding", "task", "sample"].map(|name| line[name].as_str().unwrap().to_string())
        };
        whole.lines().map(key).collect()
    }

    /// Every file of a directory and its bytes.
    pub(crate) fn files(&self, directory: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.path(directory)).unwrap().map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file());
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    pub(crate) fn done(self) -> Ended {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Exit code `code`, one or more errors in words, each with place and fix, and all of `parts` in them.
    pub(crate) fn failed(self, code: i32, parts: &[&str]) -> Ended {
        assert_eq!(self.code, Some(code), "{self:?}");
        let told = self.stderr.find("error: ").map(|start| &self.stderr[start..]).expect("an error");
        let lines: Vec<&str> = told.lines().collect();
        let starts = ["error: ", "  in: ", "  fix: "];
        assert!(!lines.is_empty() && lines.len().is_multiple_of(starts.len()), "{told}");
        assert!(
            lines.iter().zip(starts.iter().cycle()).all(|(line, start)| line.starts_with(start)),
            "{told}"
        );
        for part in parts {
            assert!(told.contains(part), "no `{part}` in\n{told}");
        }
        for trace in ["panicked", "backtrace", "RUST_", ".rs:", "unwrap"] {
            assert!(!self.stderr.contains(trace), "{told}");
        }
        self
    }

    /// One JSON value a line of stdout, and nothing else.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Copies the tiny checkpoint.
pub(crate) fn copy_model(to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(repository("tests/golden/tiny-llama").join(name), to.join(name)).unwrap();
    }
}

/// JSON lines of Python files of one to eight functions, all different.
pub(crate) fn documents(count: usize) -> String {
    let line = |n: usize| {
        let mut text = String::new();
        for function in 0..=n % 8 {
            write!(text, "def f{function}(a):\n    b = a + {n}\n    return b * {function}\n\n").unwrap();
        }
        format!("{}\n", json!({"id": format!("doc {n}"), "language": "python", "text": text}))
    };
    (0..count).map(line).collect()
}

/// The names of an object's members, in their order.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}
