//! Models and data sets by name: found in the cache, fetched only when that is asked for, and every fault told.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::cli::{Ended, Workspace, documents};
use crate::common::hub::{COMMIT, Hub, Repository};
use crate::common::repository;

/// The tiny checkpoint as `org/tiny`, with a file that nobody needs.
fn tiny() -> Repository {
    let mut tiny = of_directory("models/org/tiny", &repository("tests/golden/tiny-llama"));
    tiny.files.insert("pytorch_model.bin".into(), vec![1, 2, 3]);
    tiny
}

fn of_directory(path: &str, directory: &Path) -> Repository {
    let mut repository = Repository { path: path.into(), ..Repository::default() };
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        repository.files.insert(name, fs::read(entry.path()).unwrap());
    }
    repository
}

struct Space {
    space: Workspace,
    endpoint: String,
    token: Option<&'static str>,
}

impl Space {
    fn new(hub: &Hub) -> Space {
        let space = Workspace::new();
        space.write("a.py", "def f(a):\n    return a\n");
        Space { space, endpoint: hub.endpoint.clone(), token: None }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = self.space.command(arguments);
        command.env_remove("HF_HUB_CACHE").env_remove("HF_TOKEN");
        command.env("HF_HOME", self.space.path("home")).env("HF_ENDPOINT", &self.endpoint);
        if let Some(token) = self.token {
            command.env("HF_TOKEN", token);
        }
        command
    }

    fn longcode(&self, arguments: &str) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    fn score(&self, more: &str) -> Ended {
        self.longcode(&format!("score --model org/tiny --encoding rope --device cpu --json a.py {more}"))
    }
}

fn files(requests: &[(String, Option<String>)]) -> Vec<&str> {
    let mut files: Vec<&str> = requests.iter().filter_map(|(path, _)| path.split("/main/").nth(1)).collect();
    files.dedup();
    files
}

#[test]
fn fetched_once_and_read_offline() {
    let hub = Hub::start(vec![tiny()]);
    let space = Space::new(&hub);
    space.score("").failed(2, &["`org/tiny` is no path that exists", "add --download"]);
    assert!(hub.requests().is_empty(), "nothing is fetched without being asked");
    let fetched = space.score("--download").done();
    let requests = hub.requests();
    let needed = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "model.safetensors",
    ];
    assert_eq!(files(&requests), needed);
    let local = "score --model model --encoding rope --device cpu --json a.py";
    assert_eq!(space.longcode(local).done().stdout, fetched.stdout);
    assert_eq!(space.score("").done().stdout, fetched.stdout);
    assert!(hub.requests().is_empty());
    assert_eq!(space.score("--download").done().stdout, fetched.stdout);
    assert_eq!(files(&hub.requests()), [""; 0], "what is there is not fetched again");
    let by_commit = format!("score --model org/tiny@{COMMIT} --encoding rope --device cpu --json a.py");
    assert_eq!(space.longcode(&by_commit).done().stdout, fetched.stdout);
    space.longcode(&format!("{local} --download")).failed(2, &["nothing to download", "--download"]);
    let inspected = space.longcode("inspect a.py --tokenizer org/tiny --json").done().json();
    assert!(!inspected[0]["tokens"].as_array().unwrap().is_empty());
    let listed = space.longcode("models").done().stdout;
    assert_eq!(listed, "org/tiny\n  readable: 3 layers of 64, trained at 64 tokens\n");
}

#[test]
fn gated() {
    let hub = Hub::start(vec![Repository { token: Some("secret".into()), ..tiny() }]);
    let mut space = Space::new(&hub);
    space.score("--download").failed(2, &["org/tiny", "gated", "accept its licence", "HF_TOKEN"]);
    space.token = Some("secret");
    space.score("--download").done();
}

#[test]
fn not_there() {
    let hub = Hub::start(vec![]);
    let space = Space::new(&hub);
    space.score("--download").failed(2, &["org/tiny", "no such repository", "revision"]);
}

#[test]
fn a_broken_connection_goes_on_where_it_stopped() {
    let hub = Hub::start(vec![Repository { cuts: 1, ..tiny() }]);
    let space = Space::new(&hub);
    let whole = space.score("--download").done();
    // One that breaks again and again is told, and the next command goes on.
    let hub = Hub::start(vec![Repository { cuts: 1000, ..tiny() }]);
    let space = Space::new(&hub);
    space
        .score("--download")
        .failed(2, &["org/tiny", "connection to the hub failed", "goes on where it stopped"]);
    space.score("").failed(2, &[]);
    hub.requests();
    hub.change(|repository| repository.cuts = 0);
    assert_eq!(space.score("--download").done().stdout, whole.stdout);
    let first_range =
        hub.requests().into_iter().find_map(|(_, range)| range.filter(|range| range != "bytes=0-0"));
    let from: usize =
        first_range.unwrap().trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
    assert!(from > 0, "it began at byte {from}");
}

#[test]
fn another_hash() {
    let hub = Hub::start(vec![Repository { damaged: Some("model.safetensors".into()), ..tiny() }]);
    let space = Space::new(&hub);
    space.score("--download").failed(2, &["sha256", "model.safetensors", "run the same command again"]);
    space.score("").failed(2, &["model.safetensors"]);
    hub.change(|repository| repository.damaged = None);
    space.score("--download").done();
}

#[test]
fn no_network() {
    let hub = Hub::start(vec![]);
    let space = Space { endpoint: "http://127.0.0.1:9".into(), ..Space::new(&hub) };
    space.score("--download").failed(2, &["org/tiny", "check the network", "without --download"]);
}

#[test]
fn shards_and_what_cannot_be_read() {
    let name = "smollm3-sharded-float16";
    let sharded = of_directory("models/org/tiny", &repository("tests/transformers").join(name));
    let mut other = tiny();
    other.path = "models/org/other".into();
    let config = String::from_utf8(other.files["config.json"].clone()).unwrap();
    other.files.insert("config.json".into(), config.replace("\"llama\"", "\"gpt2\"").into());
    let hub = Hub::start(vec![sharded, other]);
    let space = Space::new(&hub);
    space.score("--download").done();
    let snapshot = space.space.path("home/hub/models--org--tiny/snapshots").join(COMMIT);
    let mut shards = fs::read_dir(&snapshot).unwrap().map(|entry| entry.unwrap().path());
    let shard = shards.find(|path| path.to_str().unwrap().contains("00002")).unwrap();
    fs::remove_file(fs::canonicalize(&shard).unwrap()).unwrap();
    let file = shard.file_name().unwrap().to_str().unwrap().to_string();
    space.score("").failed(2, &["a shard named by the index is missing", &file]);
    space
        .longcode("score --model org/other --encoding rope --device cpu --download a.py")
        .failed(2, &["gpt2"]);
    let listed = space.longcode("models").done().stdout;
    assert!(listed.contains("org/tiny\n  not readable: a shard") && listed.contains(&file), "{listed}");
    assert!(listed.contains("org/other\n  not readable: model_type \"gpt2\""), "{listed}");
}

#[test]
fn a_run_of_names_alone() {
    let mut data = Repository { path: "datasets/org/docs".into(), ..Repository::default() };
    data.files.insert("data/docs.jsonl".into(), documents(16).into_bytes());
    let hub = Hub::start(vec![tiny(), data]);
    let space = Space::new(&hub);
    space.space.replace("config.toml", "path = \"model\"", "path = \"org/tiny\"");
    space.space.replace("config.toml", "\"docs.jsonl\"", "\"hf:org/docs/data/docs.jsonl\"");
    let parts = ["`org/tiny`", "`hf:org/docs/data/docs.jsonl` is not in the local cache", "--download"];
    space.longcode("run config.toml --device cpu").failed(2, &parts);
    space.longcode("run config.toml --device cpu --download").done();
    let named = space.space.text("results/tiny/summary.csv");
    let local = Workspace::new();
    local.run("");
    assert_eq!(named, local.text("results/tiny/summary.csv"));
    space.longcode("report results/tiny").done();
    space.space.replace("config.toml", "docs/data/docs.jsonl", "docs/data/dcos.jsonl");
    space
        .longcode("run config.toml --device cpu --download")
        .failed(2, &["no file `data/dcos.jsonl`", "data/docs.jsonl"]);
}
