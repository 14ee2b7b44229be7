//! The walk of a new user: every command that README, the documents and the help print is run as it is printed, in a copy
//! of what it needs, in which what takes minutes is set smaller. What cannot be run here is listed with why.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::cli::{CONFIG, Workspace, copy_model, documents};
use crate::common::gguf::{F16, GgufFile};
use crate::common::repository;

const PROGRAM: &str = env!("CARGO_BIN_EXE_longcode");

/// Pages whose commands are run, in the order in which a new user meets them.
const PAGES: &[&str] = &[
    "README.md",
    "docs/install.md",
    "docs/commands.md",
    "docs/configs.md",
    "docs/encodings.md",
    "docs/reading.md",
    "docs/reports.md",
    "docs/models.md",
    "docs/tasks.md",
    "docs/training.md",
    "docs/serving.md",
    "docs/gpus.md",
    "docs/clusters.md",
    "docs/checks.md",
    "docs/extending.md",
    "docs/glossary.md",
    "results/README.md",
    "datasets/README.md",
    "models/README.md",
    "CONTRIBUTING.md",
];

/// Beginnings of commands that are not run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo build", "builds the program"),
    ("cargo test", "runs the tests"),
    ("cargo install", "builds the program"),
    ("cargo run --release -- run halve.toml", "the worked example is applied by .ci/run"),
    ("pip install", "a registry; scripts/check_wheel.sh does it"),
    ("maturin build", "builds the program; scripts/check_wheel.sh takes the wheel"),
    ("longcode score --model Qwen/Qwen3-0.6B --download", "the hub; tests/program/hub.rs has one of its own"),
    ("longcode serve", "runs until it is ended; tests/program/serve.rs and scripts/check_serve.py ask it"),
    ("lm_eval ", "another harness; scripts/check_serve.py runs it where it is installed"),
    ("longcode devices --check", "a GPU; tests/wgpu.rs runs it on software Vulkan"),
    ("python3 scripts/build_corpora.py", "downloads sources"),
    ("longcode train configs/train-short.toml", "thirty minutes; tests/program/train.rs trains"),
    ("longcode train configs/train-nano.toml --set budget.minutes=5", "five minutes"),
    ("scripts/slurm/", "a cluster; CI runs scripts/slurm/test"),
    ("docker ", "a container engine"),
    ("cd scripts/kubernetes", "a cluster; CI runs scripts/kubernetes/check.py on these files and commands"),
    ("sed ", "a cluster: as the line before"),
    ("kubectl ", "a cluster: as the line before"),
    ("for part in", "a cluster: as the line before"),
    ("done", "a cluster: as the line before"),
    ("longcode compare out/model-1 out/model-2/samples_gsm8k", "a log of another harness by its name"),
    ("longcode compare results/mine/lm_eval", "a log of another harness by its name"),
    ("longcode completions zsh", "a directory of zsh's"),
];

/// What is printed and, in its place, what is run, where it would take minutes.
const SMALLER: &[(&str, &str)] = &[("--length 4096 16384", "--length 512 1024")];

/// What is run before a command, on behalf of the other machines that the text speaks of: the command, and how many.
const SHARDS: &[(&str, usize)] =
    &[("longcode report results/quickstart-*-of-3", 3), ("longcode report results/quickstart-*-of-4", 4)];

/// A command as it is printed, and where.
struct Printed {
    place: String,
    line: String,
}

/// Commands in the shell blocks of a page, and whole ones among its words.
fn commands_of(page: &str) -> Vec<Printed> {
    let text = fs::read_to_string(repository(page)).unwrap();
    let (mut found, mut block, mut open) = (Vec::new(), None::<bool>, String::new());
    for (number, line) in (1..).zip(text.lines()) {
        let mut add = |line: &str| {
            found.push(Printed { place: format!("{page}:{number}"), line: line.trim().to_string() });
        };
        match (block, line.strip_prefix("```")) {
            (None, Some(kind)) => block = Some(kind == "sh"),
            (Some(_), Some(_)) => block = None,
            (Some(true), None) => {
                open.push_str(line.split(" # ").next().unwrap_or_default().trim());
                if let Some(start) = open.strip_suffix('\\') {
                    open = start.to_string();
                } else {
                    add(&std::mem::take(&mut open));
                }
            }
            (Some(false), None) => {}
            (None, None) => line.split('`').skip(1).step_by(2).filter(|words| is_whole(words)).for_each(add),
        }
    }
    found.retain(|printed| !printed.line.is_empty());
    found
}

/// Whether words in a text are a command that can be typed as it stands: the program and a file, without a name in capitals
/// that stands for another.
fn is_whole(words: &str) -> bool {
    let mut parts = words.split(' ');
    let is_ours = parts.next() == Some("longcode");
    let arguments: Vec<&str> = parts.collect();
    let is_placeholder = |part: &&str| {
        part.split(['/', '.', ':', '=']).any(|word| {
            word.len() > 3 && word == word.to_uppercase() && word.chars().all(char::is_alphabetic)
        })
    };
    is_ours
        && arguments.len() > 1
        && arguments.iter().any(|part| part.contains('/'))
        && !arguments.iter().any(is_placeholder)
}

/// Examples of `--help`.
fn commands_of_help(space: &Workspace) -> Vec<Printed> {
    let help = space.longcode("--help").done().stdout;
    let names =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
    assert!(names.len() > 15, "{help}");
    let mut found = Vec::new();
    for name in names {
        let help = space.longcode(&format!("{name} --help")).done().stdout;
        let lines = help
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.starts_with("longcode "));
        found.extend(
            lines.map(|line| Printed { place: format!("longcode {name} --help"), line: line.into() }),
        );
    }
    found
}

/// A copy of what the commands name, with small settings where they take minutes, and what a user brings along.
fn copy() -> Workspace {
    let space = Workspace::new();
    for name in ["datasets", "models", "examples", "scripts", "tests"] {
        symlink(repository(name), space.path(name)).unwrap();
    }
    fs::create_dir(space.path("configs")).unwrap();
    for entry in fs::read_dir(repository("configs")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            fs::copy(&entry, space.path("configs").join(entry.file_name().unwrap())).unwrap();
        }
    }
    let buckets = "buckets = [0, 512, 1024, 2048, 4096, 8192]\nsamples = ";
    let few = |file: &str| space.replace(file, &format!("{buckets}4"), "buckets = [0, 512]\nsamples = 2");
    few("configs/quickstart.toml");
    space.replace("configs/lookup.toml", "length = [512, 1024, 2048, 4096, 8192]", "length = [512]");
    space.replace(
        "configs/lookup.toml",
        "depth = [0, 25, 50, 75, 100]\nsamples = 10",
        "depth = [50]\nsamples = 1",
    );
    space.replace("configs/tune.toml", "window = [32, 64, 128, 192, 256]", "window = [32, 64]");
    space.replace("configs/tune.toml", "split = [0.25, 0.5, 0.75]\nlogn = [false, true]", "split = 0.5");
    space.replace("configs/tune.toml", "buckets = [2048, 4096, 8192]", "buckets = [512, 1024]");
    space.replace("configs/tune.toml", "samples = 24 ", "samples = 3 ");
    space.replace("configs/tune.toml", "check = 8", "check = 1");
    space.replace("configs/train-nano.toml", "tokens = 24_000_000", "tokens = 8_192");
    space.replace("configs/train-nano.toml", "vocab_size = 4096", "vocab_size = 300");
    fs::create_dir(space.path("corpus")).unwrap();
    for language in ["python", "java"] {
        fs::copy(
            repository(&format!("datasets/code-{language}.jsonl.gz")),
            space.path(&format!("corpus/train-{language}.jsonl.gz")),
        )
        .unwrap();
    }
    space.longcode("quickstart --no-run").done();
    few("longcode-quickstart/configs/quickstart.toml");
    bring(&space);
    space
}

/// What a user has: models, data, a conversation, results of other days and of other harnesses.
fn bring(space: &Workspace) {
    copy_model(&space.path("path/to/checkpoint"));
    GgufFile::of_directory(&space.path("model"), F16).write(&space.path("path/to/model.gguf"));
    copy_model(&space.path("MODEL"));
    let template = "{% for message in messages %}{{ message.content }}\n{% endfor %}";
    space.write("MODEL/chat_template.jinja", template);
    space.write("conversation.json", "[{\"role\": \"user\", \"content\": \"def f(a):\"}]");
    space.write("my-code.jsonl", documents(48));
    space.write("mine.toml", CONFIG.replace("\"tiny\"\n\n[[model]]", "\"mine\"\n\n[[model]]"));
    for day in ["monday", "tuesday", "machine-1", "machine-2"] {
        space.run(&format!("--limit 1 --out results/{day}"));
    }
    fs::create_dir(space.path("out")).unwrap();
    let logs = repository("crates/longcode-compare/tests/logs");
    for (name, number) in [("careful", 1), ("hasty", 2)] {
        symlink(logs.join("lm_eval").join(name), space.path(&format!("out/model-{number}"))).unwrap();
        let log = fs::read(logs.join(format!("inspect_ai/{name}-1.json"))).unwrap();
        space.write(&format!("log-{number}.json"), log);
    }
    for folder in ["bin", ".config/fish/completions"] {
        fs::create_dir_all(space.path(folder)).unwrap();
    }
    let script = |name: &str, text: &str| {
        space.write(name, text);
        fs::set_permissions(space.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("bin/longcode", &format!("#!/bin/sh\nexec {PROGRAM:?} \"$@\"\n"));
    script("bin/cargo", "#!/bin/sh\nshift 3\nexec longcode \"$@\"\n");
}

/// Runs a line in a shell, as a user would.
fn run(space: &Workspace, line: &str) -> Result<(), String> {
    let path = format!("{}:{}", space.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(space.path("")).stdin(Stdio::null());
    // Adapters are hidden, so that every machine computes on its CPU.
    command.env("PATH", path).env("HOME", space.path("")).env("VK_DRIVER_FILES", "/dev/null/none");
    command.env("XDG_RUNTIME_DIR", space.path(""));
    let ended = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    if ended.status.success() { Ok(()) } else { Err(format!("{line}\n{stderr}")) }
}

/// What is run for a line that is printed.
fn lines(printed: &str) -> Vec<String> {
    let shards = SHARDS.iter().find(|(start, _)| printed.starts_with(start)).map_or(0, |(_, shards)| *shards);
    let shard = |n: usize| format!("longcode run configs/quickstart.toml --shard {n}/{shards}");
    let smaller = SMALLER.iter().fold(printed.to_string(), |line, (from, to)| line.replace(from, to));
    (1..=shards).map(shard).chain([smaller]).collect()
}

#[test]
fn every_printed_command_does_what_it_says() {
    let space = copy();
    let of_pages = PAGES.iter().flat_map(|page| commands_of(page));
    let printed: Vec<Printed> = of_pages.chain(commands_of_help(&space)).collect();
    let (mut done, mut failed) = (BTreeSet::new(), Vec::new());
    let mut used = BTreeSet::new();
    for Printed { place, line } in &printed {
        if let Some((start, _)) = NOT_RUN.iter().find(|(start, _)| line.starts_with(start)) {
            used.insert(*start);
            continue;
        }
        if !done.insert(line) {
            continue;
        }
        let failures = lines(line).into_iter().filter_map(|line| run(&space, &line).err());
        failed.extend(failures.map(|why| format!("{place}: {why}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(done.len() > 30, "{done:?}");
    let unused: Vec<_> = NOT_RUN.iter().filter(|(start, _)| !used.contains(start)).collect();
    assert!(unused.is_empty(), "nothing prints {unused:?}");
    // What commands leave is where the text says.
    for left in [
        "results/quickstart/report.html",
        "results/other/report.md",
        "longcode-quickstart/results/quickstart/summary.csv",
        "trained/nano/model.safetensors",
        ".local/share/man/man1/longcode-run.1",
        "compared.html",
        "my-model.toml",
    ] {
        assert!(Path::new(&space.path(left)).exists(), "{left}");
    }
}
