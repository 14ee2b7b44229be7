//! Every config of the repository parses and resolves; what it needs and is not there is named, all at
//! once, with the way to get it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::repository;
use longcode::config::Config;
use longcode::encoding::{KINDS, ModelRope};
use longcode::registry::Kind;
use longcode::task::TASKS;

/// Training length and head dimension of the paper's models (its Table 2; 128 is the training length of its
/// short models).
const SHAPES: &[(&str, usize, usize)] = &[
    ("LLaMA-2", 4096, 128),
    ("ShearedLLaMA", 4096, 128),
    ("TinyLlama", 2048, 64),
    ("Vicuna", 2048, 128),
    ("Short-LLaMA-2", 128, 128),
    ("Short-ShearedLLaMA", 128, 128),
    ("Short-TinyLlama", 128, 64),
    ("Short-Vicuna", 128, 128),
];

fn configs(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    paths.sort();
    paths
}

/// Relative to the repository's root, where configs are run from.
fn short(path: &Path) -> String {
    path.strip_prefix(repository("")).unwrap().display().to_string()
}

/// What `longcode run CONFIG` says, as blocks of `error:`, `in:` and `fix:`.
fn complaints(config: &Path, out: &Path) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longcode"));
    command.current_dir(repository("")).stdin(Stdio::null());
    command.args(["run", &short(config), "--device", "cpu", "--out"]).arg(out);
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let stderr = String::from_utf8(ended.stderr).unwrap();
    stderr.split("error: ").skip(1).map(str::to_string).collect()
}

#[test]
fn the_paper_configs_miss_nothing_but_checkpoints_and_data() {
    let paths = configs("configs/paper");
    let names: Vec<_> = paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    let expected =
        ["figure4-segment", "figure4-split", "figure4-window", "figure5", "table4", "table5", "table6"];
    assert_eq!(names, expected);
    let out = tempfile::tempdir().unwrap();
    for path in &paths {
        let config = Config::read(path, &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(config.name, path.file_stem().unwrap().to_str().unwrap());
        let missing = config.models.iter().filter(|model| !repository(&model.path).exists());
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            continue;
        }
        let complaints = complaints(path, &out.path().join(&config.name));
        for model in &missing {
            // One that is named as on the hub is fetched from there.
            let (missing, obtain) = match &model.obtain {
                Some(obtain) => (format!("`{}` does not exist", model.path), obtain.as_str()),
                None => (model.path.clone(), "--download"),
            };
            let named = |complaint: &&String| complaint.contains(&missing) && complaint.contains(obtain);
            assert_eq!(complaints.iter().filter(named).count(), 1, "{}: {complaints:?}", model.name);
        }
        let about_data = complaints.iter().filter(|complaint| complaint.contains("are not there"));
        let about_data = about_data.filter(|complaint| complaint.contains("(source: ")).count();
        assert_eq!(complaints.len(), missing.len() + about_data, "{}: {complaints:?}", config.name);
        assert!(!out.path().join(&config.name).exists(), "something was written");
    }
}

#[test]
fn every_encoding_fits_its_models() {
    for path in configs("configs/paper") {
        let config = Config::read(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        for model in &config.models {
            let shape = SHAPES.iter().find(|(name, ..)| *name == model.name);
            let &(_, trained_length, head_dim) = shape.expect("a model of the paper");
            let rope = ModelRope::plain(head_dim, 10000.0, trained_length);
            for encoding in &config.encodings {
                encoding.spec.check(&rope).unwrap_or_else(|e| panic!("{}: {}: {e}", config.name, model.name));
            }
        }
    }
}

#[test]
fn what_the_other_configs_need_is_here_or_says_how_to_get_it() {
    for path in configs("configs").into_iter().chain(configs("configs/small")) {
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("[[task]]") {
            continue; // of `longcode train`
        }
        let config = Config::read(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        for model in &config.models {
            if let Err(e) = config.find_model(model) {
                assert!(model.obtain.is_some(), "{}: {e}", short(&path));
            }
        }
        for task in &config.tasks {
            if let Err(e) = longcode::dataset::Dataset::open(&task.dataset, &config.search) {
                assert!(e.to_string().contains("scripts/build_corpora.py"), "{}: {e}", short(&path));
            }
        }
    }
}

/// The README's table names every kind; the section of definitions that has a row for a kind has one for each of
/// its keys, which says that it is the kind's.
#[test]
fn the_documents_list_every_encoding() {
    let read = |path: &str| fs::read_to_string(repository(path)).unwrap();
    let (readme, definitions) = (read("README.md"), read("docs/encodings.md"));
    let readme: Vec<&str> = readme.lines().filter(|line| line.starts_with('|')).collect();
    for kind in KINDS {
        let name = format!("`{}`", kind.name);
        assert!(readme.iter().any(|row| row.contains(&name)), "the README lacks {name}");
        let row = format!("\n| {name} |");
        let section = definitions.split("\n## ").find(|section| section.contains(&row));
        let section = section.unwrap_or_else(|| panic!("docs/encodings.md lacks {name}"));
        for key in kind.keys.split(", ").filter(|key| !key.is_empty()) {
            let key = key.split(['=', ' ']).next().unwrap();
            let rows = section.lines().filter_map(|line| line.strip_prefix(&format!("| `{key}` | ")));
            let mut kinds = rows.map(|row| row.split(" |").next().unwrap());
            // `all`, `all but` some, `the others`, or their names.
            let of_kind = |kinds: &str| match kinds.starts_with("all") || kinds == "the others" {
                true => !kinds.contains(&name),
                false => kinds.contains(&name),
            };
            assert!(kinds.any(of_kind), "docs/encodings.md lacks `{key}` of {name}");
        }
    }
}

/// The README's table of tasks has every kind.
#[test]
fn the_readme_lists_every_task() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    for kind in longcode::task::TASKS {
        assert!(readme.contains(&format!("\n| `{}` |", kind.name)), "the README lacks {}", kind.name);
    }
}

/// The config of every kind has every kind, and `logn` where a kind takes it.
#[test]
fn every_kind_stands_side_by_side() {
    let mut config = Config::read(&repository("configs/encodings.toml"), &[]).unwrap();
    config.open_encodings().unwrap();
    let specs: Vec<_> = config.encodings.iter().map(|entry| &entry.spec).collect();
    for kind in KINDS {
        assert!(specs.iter().any(|spec| spec.kind == kind.name), "{}", kind.name);
    }
    let trained = ModelRope::plain(64, 1000.0, 512);
    assert!(specs.iter().all(|spec| spec.check(&trained).is_ok() && spec.notes(&trained).is_empty()));
}

/// What the README shows of the quickstart is what its kept report says.
#[test]
fn the_readme_shows_the_kept_report() {
    let read = |path: &str| fs::read_to_string(repository(path)).unwrap();
    let (readme, report) = (read("README.md"), read("results/kept/quickstart/report.md"));
    let quoted = readme.lines().filter_map(|line| line.strip_prefix("> "));
    let verdict = quoted.collect::<Vec<_>>().join(" ");
    assert!(!verdict.is_empty() && report.lines().any(|line| line == verdict), "{verdict}");
    let table = readme.lines().skip_while(|line| !line.starts_with("| encoding "));
    let table: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
    assert!(table.len() > 10 && report.contains(&table.join("\n")), "{table:?}");
}

/// SECURITY.md lists every limit by its name.
#[test]
fn every_limit_is_listed() {
    let read = |path: &str| fs::read_to_string(repository(path)).unwrap();
    let (limits, listed) = (read("crates/longcode-base/src/limits.rs"), read("SECURITY.md"));
    let names = limits.lines().filter_map(|line| line.split_once("const ")?.1.split_once(':'));
    let names: Vec<&str> = names.map(|(name, _)| name).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(listed.contains(&format!("`{name}`")), "SECURITY.md lacks {name}");
    }
}

/// Values of the keys that have no default which could be compared.
const EXAMPLES: &str = r#"
    factor = 2.0
    groups = [2]
    samples = 2
    limit = 100
    buckets = [0, 64]
    benchmark = "longbench-v2"
    file = "table.json"
"#;

/// What is said of the keys is what the type has.
fn check<T: ?Sized>(kind: &Kind<T>) {
    let told: Vec<(&str, Option<&str>)> = kind
        .keys
        .split(", ")
        .filter(|key| !key.is_empty())
        .map(|key| match key.split_once('=') {
            Some((name, default)) => (name, Some(default)),
            None => (key.split(' ').next().unwrap(), None),
        })
        .collect();
    let unknown = toml::toml! { no_such_key = 1 };
    let Err(refused) = (kind.read)(unknown) else { panic!("{} takes any key", kind.name) };
    let (_, listed) = refused.message().split_once("no_such_key`").unwrap();
    let mut fields: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    let mut names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
    fields.sort_unstable();
    names.sort_unstable();
    assert_eq!(names, fields, "{}", kind.name);
    assert!(kind.lists.iter().all(|list| names.contains(list)), "{}", kind.name);

    let mut keys: toml::Table = toml::from_str(EXAMPLES).unwrap();
    if kind.name == "completion" {
        keys.insert("prompt".into(), "lcc".into());
    }
    keys.retain(|key, _| told.contains(&(key, None)));
    let (_, resolved) = (kind.read)(keys).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
    for (name, default) in told.into_iter().filter_map(|(name, default)| Some((name, default?))) {
        // One that follows the model is not filled in here.
        let Some(value) = resolved.get(name) else { continue };
        let told = toml::from_str::<toml::Table>(&format!("told = {default}"));
        let told = told.map_or_else(|_| default.into(), |mut table| table.remove("told").unwrap());
        let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|n| n as f64));
        let same = *value == told || number(value).is_some() && number(value) == number(&told);
        assert!(same, "{}: {name} is {value} by default, not {default}", kind.name);
    }
}

#[test]
fn keys_and_defaults_are_those_of_the_types() {
    KINDS.iter().for_each(check);
    TASKS.iter().for_each(check);
}
