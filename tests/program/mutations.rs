//! Every reader of bytes from outside, on thousands of inputs that were valid before something happened to them: no
//! panic, no hang, and where one is refused an error that names the place and the way out. All is drawn from one seed
//! a reader, so that a failure names a case that can be made again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longcode::checkpoint::Checkpoint;
use longcode::config::Config;
use longcode::dataset::Dataset;
use longcode::error::{Error, ErrorKind, Result};
use longcode::kernels::stored::FORMATS;
use longcode::report::Report;
use longcode::store::Results;
use longcode::structure::{Draw, Language, Source, Unit, definitions, identifiers, regions, segments};
use longcode::text::ChatTemplate;
use longcode::train::TrainConfig;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::common::cli::{Workspace, copy_model};
use crate::common::gguf::{F16, GgufFile, Q8_0};
use crate::common::repository;

/// What no reader takes for any input here, on the busiest machine: a hang.
const HANG: Duration = Duration::from_secs(60);

/// Mutates each of some valid inputs in turn, and reads what comes of it. `read` gets a directory of its own.
fn mutate(name: &str, cases: usize, valid: &[Vec<u8>], read: impl Fn(&Path, &[u8]) -> Result<()> + Sync) {
    mutate_by(name, cases, valid, happen, read);
}

fn mutate_by(
    name: &str,
    cases: usize,
    valid: &[Vec<u8>],
    happen: fn(&mut Vec<u8>, &[Vec<u8>], &mut ChaCha8Rng),
    read: impl Fn(&Path, &[u8]) -> Result<()> + Sync,
) {
    assert!(!valid.is_empty());
    let one = |dir: &mut tempfile::TempDir, case: usize| -> std::result::Result<bool, String> {
        let mut random = ChaCha8Rng::seed_from_u64(case as u64);
        let mut bytes = valid[case % valid.len()].clone();
        // The first of each is read as it is.
        let as_it_is = case < valid.len();
        for _ in 0..if as_it_is { 0 } else { random.random_range(1..4) } {
            happen(&mut bytes, valid, &mut random);
        }
        let started = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| read(dir.path(), &bytes)));
        match done {
            Err(_) => Err("a panic".into()),
            _ if started.elapsed() > HANG => Err(format!("{:?}", started.elapsed())),
            Ok(Ok(())) => Ok(false),
            Ok(Err(error)) if as_it_is => Err(format!("a valid input is refused: {error}")),
            Ok(Err(error)) => is_told(&error).map(|()| true),
        }
    };
    let all = (0..cases).into_par_iter().map_init(|| tempfile::tempdir().unwrap(), one);
    let all: Vec<_> = all.collect();
    let wrong = all.iter().enumerate().filter_map(|(case, done)| Some((case, done.as_ref().err()?)));
    let wrong: Vec<String> = wrong.map(|(case, what)| format!("case {case}: {what}")).collect();
    assert!(
        wrong.is_empty(),
        "{name}, {} of {cases}:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    let refused = all.iter().filter(|done| **done == Ok(true)).count();
    println!("{name}: {refused} of {cases} refused");
    assert!(refused > 0, "{name}: nothing was ever wrong");
}

/// Whether an error is one that a user can do something about.
fn is_told(error: &Error) -> std::result::Result<(), String> {
    let ours = matches!(error.kind, ErrorKind::Compute | ErrorKind::Interrupted | ErrorKind::Write);
    if error.place.is_none() || error.fix.is_none() || ours || error.what.contains("panicked") {
        return Err(format!("no place, no fix or not the input's fault: {error}"));
    }
    error.also.iter().try_for_each(is_told)
}

/// One thing that happens to bytes on their way.
fn happen(bytes: &mut Vec<u8>, valid: &[Vec<u8>], random: &mut ChaCha8Rng) {
    const WORDS: [&str; 16] = [
        "-1",
        "0",
        "1e400",
        "18446744073709551615",
        "9223372036854775808",
        "NaN",
        "null",
        "true",
        "\"\"",
        "[]",
        "{}",
        "\u{feff}",
        "\0",
        "\r",
        "\u{2028}",
        "\"\u{d7ff}",
    ];
    let at = random.random_range(0..=bytes.len());
    let end = (at + random.random_range(0..64)).min(bytes.len());
    match random.random_range(0..10) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
        3 => bytes.splice(at..at, (0..4).map(|_| random.random::<u8>())).for_each(drop),
        4 => {
            let other = valid.choose(random).unwrap();
            let from = random.random_range(0..=other.len());
            let to = (from + random.random_range(0..256)).min(other.len());
            bytes.splice(at..end, other[from..to].to_vec()).for_each(drop);
        }
        // Numbers that no field has, where a number stands.
        5 | 6 => {
            let is_number = |&byte: &u8| byte.is_ascii_digit();
            let start = bytes[at..].iter().position(is_number).map_or(at, |start| at + start);
            let digits = bytes[start..].iter().take_while(|byte| is_number(byte)).count();
            bytes.splice(start..start + digits, WORDS.choose(random).unwrap().bytes()).for_each(drop);
        }
        7 => bytes.splice(at..at, WORDS.choose(random).unwrap().bytes()).for_each(drop),
        8 => {
            let open = *[b"[", b"{", b"(", b"\"", b"<"].choose(random).unwrap();
            bytes.splice(at..at, open.repeat(random.random_range(1..300))).for_each(drop);
        }
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.random_range(0..8)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The error of a command names the file as well.
fn in_input<T>(result: Result<T>) -> Result<()> {
    result.map(drop).map_err(|e| e.at("input"))
}

/// Files of a folder of the repository with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no {ending}");
    files
}

fn contents(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn configs() {
    let is_of_training = |path: &PathBuf| path.to_str().unwrap().contains("train-");
    let (of_training, of_runs): (Vec<_>, Vec<_>) =
        files("configs", ".toml").into_iter().partition(is_of_training);
    mutate("config", 3000, &contents(&of_runs), |_, bytes| {
        in_input(Config::parse(&text(bytes), &[], Vec::new()))
    });
    mutate("config of a training", 1500, &contents(&of_training), |_, bytes| {
        in_input(TrainConfig::parse(&text(bytes), &[]))
    });
}

/// A checkpoint of which one file is another.
fn checkpoints(name: &str, file: &str, cases: usize) {
    let valid = contents(&[repository("tests/golden/tiny-llama").join(file)]);
    mutate(name, cases, &valid, |dir, bytes| {
        copy_model(dir);
        fs::write(dir.join(file), bytes).unwrap();
        let checkpoint = Checkpoint::open(dir)?;
        checkpoint.check_weights()?;
        checkpoint.tokenizer.encode("def f(a):\n    return a\n").map(drop)
    });
}

#[test]
fn checkpoint_configs() {
    checkpoints("config.json", "config.json", 1500);
    checkpoints("generation_config.json", "generation_config.json", 300);
    checkpoints("tokenizer_config.json", "tokenizer_config.json", 500);
    let families = files("tests/transformers", "").into_iter().map(|dir| dir.join("config.json"));
    let families: Vec<PathBuf> = families.filter(|path| path.exists()).collect();
    mutate("config.json of families", 2500, &contents(&families), |dir, bytes| {
        let path = dir.join("config.json");
        fs::write(&path, bytes).unwrap();
        longcode::checkpoint::NetworkConfig::read(&path).map(drop)
    });
}

#[test]
fn safetensors() {
    let whole = fs::read(repository("tests/golden/tiny-llama/model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    // Most of a file are its numbers, which may be any: things happen to the header.
    mutate("safetensors", 800, &[whole[..header].to_vec()], |dir, bytes| {
        copy_model(dir);
        fs::write(dir.join("model.safetensors"), [bytes, &whole[header..]].concat()).unwrap();
        Checkpoint::open(dir)?.check_weights()
    });
}

#[test]
fn tokenizers() {
    checkpoints("tokenizer.json", "tokenizer.json", 400);
}

#[test]
fn gguf() {
    assert!(!FORMATS.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    let valid = [F16, Q8_0].map(|encoder| {
        GgufFile::of_directory(&repository("tests/golden/tiny-llama"), encoder).write(&path);
        fs::read(&path).unwrap()
    });
    mutate("gguf", 800, &valid, |dir, bytes| {
        let path = dir.join("model.gguf");
        fs::write(&path, bytes).unwrap();
        let checkpoint = Checkpoint::open(&path)?;
        checkpoint.check_weights()
    });
}

#[test]
fn chat_templates() {
    let file = fs::read(repository("crates/longcode-text/tests/chat_templates.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&file).unwrap();
    // Those that transformers renders too, whatever the conversation.
    let is_rendered = |one: &&serde_json::Value| {
        one["rendered"].as_array().unwrap().iter().all(serde_json::Value::is_string)
    };
    let templates = json["cases"].as_array().unwrap().iter().filter(is_rendered);
    let valid: Vec<Vec<u8>> = templates
        .filter_map(|one| one["template"].as_str())
        .map(|template| template.as_bytes().to_vec())
        .collect();
    mutate("chat template", 1000, &valid, |_, bytes| {
        let template =
            ChatTemplate::new(text(bytes), &serde_json::json!({"bos_token": "<s>", "eos_token": "</s>"}));
        template.ask("x").map(drop).map_err(|e| e.at("input"))
    });
}

#[test]
fn data_sets() {
    let read = |file: &'static str| {
        move |dir: &Path, bytes: &[u8]| {
            fs::write(dir.join(file), bytes).unwrap();
            let dataset = Dataset::open(file, &[dir.to_path_buf()])?;
            let (_, broken) = dataset.whole_records()?;
            broken.into_iter().next().map_or(Ok(()), Err)
        }
    };
    let lines = crate::common::cli::documents(6).into_bytes();
    mutate("JSON lines", 1500, std::slice::from_ref(&lines), read("data.jsonl"));
    let json =
        serde_json::json!([{"text": "def f(): pass", "id": "a"}, {"text": "x = 1\n", "id": "b", "n": [1]}]);
    mutate("JSON", 800, &[json.to_string().into_bytes()], read("data.json"));
    // A manifest's name is its file's.
    let named = |path: &PathBuf| {
        let name = format!("name = {:?}", path.file_stem().unwrap());
        fs::read_to_string(path).unwrap().replace(&name, "name = \"some\"").into_bytes()
    };
    let manifests: Vec<Vec<u8>> = files("datasets", ".toml").iter().map(named).collect();
    mutate("manifest", 1500, &manifests, |dir, bytes| {
        let path = dir.join("some.toml");
        fs::write(&path, bytes).unwrap();
        longcode::dataset::Manifest::load(&path).map(drop)
    });
    // As they are compressed, and what comes out of it.
    let packed = contents(&files("datasets/look-alikes", ".json.gz"));
    mutate("gzip", 200, &packed, read("data.json.gz"));
    let tables = contents(&files("datasets/look-alikes", ".parquet"));
    mutate("parquet", 400, &tables, read("data.parquet"));
}

/// Stored results of which one file is another, read and reported.
#[test]
fn stored_results() {
    let space = Workspace::new();
    space.run("--limit 1");
    for file in ["config.toml", "environment.json", "samples.jsonl"] {
        let whole = fs::read(space.path("results/tiny").join(file)).unwrap();
        mutate(file, 600, &[whole], |dir, bytes| report_with(&space.path("results/tiny"), dir, file, bytes));
    }
    outcomes(&space.path("results/tiny"));
    for name in ["completion", "encodings", "lookup", "symbols"] {
        outcomes(&repository("results/kept").join(name));
    }
}

/// The results in `dir` with another file, read from `to` and reported.
fn report_with(dir: &Path, to: &Path, file: &str, bytes: &[u8]) -> Result<()> {
    for name in ["config.toml", "environment.json", "samples.jsonl"] {
        fs::write(to.join(name), fs::read(dir.join(name)).unwrap()).unwrap();
    }
    fs::write(to.join(file), bytes).unwrap();
    let results = Results::read_all(&[to.to_path_buf()], false)?;
    Report::new(&results, None).map(drop)
}

/// Stored samples whose lines are JSON still, and whose outcomes are others; a few samples of each task.
pub(crate) fn outcomes(dir: &Path) {
    let lines = fs::read_to_string(dir.join("samples.jsonl")).unwrap();
    let mut lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // With its checksum no line is read that was changed.
    lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("check")));
    let tasks: BTreeSet<&str> = lines.iter().map(|line| line["task"].as_str().unwrap()).collect();
    for task in tasks {
        let of_task: Vec<_> = lines.iter().filter(|line| line["task"] == task).take(3).collect();
        let valid = serde_json::to_vec(&of_task).unwrap();
        let name = format!("outcomes of {task} in {}", dir.display());
        mutate_by(&name, 300, &[valid], happen_in_outcome, |to, bytes| {
            let lines: Vec<serde_json::Value> = serde_json::from_slice(bytes).unwrap();
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            report_with(dir, to, "samples.jsonl", lines.as_bytes())
        });
    }
}

/// One value of one outcome is another, is gone, or is there twice.
fn happen_in_outcome(bytes: &mut Vec<u8>, _: &[Vec<u8>], random: &mut ChaCha8Rng) {
    let mut lines: Vec<serde_json::Value> = serde_json::from_slice(bytes).unwrap();
    let line = random.random_range(0..lines.len());
    change(&mut lines[line]["outcome"], random);
    *bytes = serde_json::to_vec(&lines).unwrap();
}

fn change(value: &mut serde_json::Value, random: &mut ChaCha8Rng) {
    let deeper = random.random_range(0..4) > 0;
    match value {
        serde_json::Value::Array(values) if deeper && !values.is_empty() => {
            let n = random.random_range(0..values.len());
            match random.random_range(0..6) {
                0 => drop(values.remove(n)),
                1 => values.push(values[n].clone()),
                _ => change(&mut values[n], random),
            }
        }
        serde_json::Value::Object(values) if deeper && !values.is_empty() => {
            let key = values.keys().nth(random.random_range(0..values.len())).unwrap().clone();
            match random.random_range(0..6) {
                0 => drop(values.remove(&key)),
                _ => change(&mut values[&key], random),
            }
        }
        value => {
            let others = serde_json::json!([
                null,
                true,
                "",
                "x",
                -1,
                0,
                1,
                1e308,
                18446744073709551615u64,
                [],
                {},
                [0, 1],
                "python"
            ]);
            *value = others.as_array().unwrap().choose(random).unwrap().clone();
        }
    }
}

/// Sources are never refused.
#[test]
fn sources() {
    let mut valid: Vec<(Language, Vec<u8>)> = Vec::new();
    for path in files("crates/longcode-structure/tests/languages", "") {
        valid.extend(Language::of_path(&path).map(|language| (language, fs::read(&path).unwrap())));
    }
    for name in ["code-python", "code-java"] {
        let packed = fs::File::open(repository(&format!("datasets/{name}.jsonl.gz"))).unwrap();
        let mut lines = String::new();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut lines).unwrap();
        let record: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        let file = record["content"].as_str().unwrap().as_bytes().to_vec();
        valid.push((if name == "code-java" { Language::Java } else { Language::Python }, file));
    }
    assert!(Language::ALL.iter().all(|language| valid.iter().any(|(one, _)| one == language)));
    for &language in Language::ALL {
        let of: Vec<Vec<u8>> =
            valid.iter().filter(|(one, _)| *one == language).map(|(_, file)| file.clone()).collect();
        mutate_source(language, &of);
    }
}

fn mutate_source(language: Language, valid: &[Vec<u8>]) {
    let tokens = std::num::NonZeroUsize::new(7).unwrap();
    let controls = ["even:function", "shuffled:statement"].map(|unit| unit.parse().unwrap());
    let units = [Unit::FUNCTION, Unit::FUNCTION_AUTHORS, Unit::STATEMENT, Unit::tokens(tokens), Unit::FILE];
    for case in 0..150u64 {
        let mut random = ChaCha8Rng::seed_from_u64(case);
        let mut bytes = valid[case as usize % valid.len()].clone();
        // Short ones are quick.
        bytes.truncate(8_000);
        for _ in 0..random.random_range(1..6) {
            happen(&mut bytes, valid, &mut random);
        }
        let text = text(&bytes);
        let cut = [text.len() / 3, text.len() / 2];
        let source = Source { text: &text, language: Some(language), file_starts: &cut };
        let tokens: Vec<(usize, usize)> =
            text.char_indices().step_by(3).map(|(at, c)| (at, at + c.len_utf8())).collect();
        let started = Instant::now();
        for unit in units.into_iter().chain(controls) {
            let found = segments(&source, &tokens, unit, Draw::default());
            assert_eq!(found.index.len(), tokens.len(), "{language}, case {case}");
            assert!(found.index.windows(2).all(|pair| pair[0] <= pair[1]), "{language}, case {case}");
            if let Some(regions) = regions(&source, unit) {
                let ends = regions.windows(2).all(|pair| pair[0].end == pair[1].start);
                assert!(
                    ends && regions.last().is_none_or(|last| last.end == text.len()),
                    "{language}, case {case}"
                );
            }
        }
        definitions(&text, language);
        identifiers(&text, language);
        assert!(started.elapsed() < HANG, "{language}, case {case}");
    }
}
