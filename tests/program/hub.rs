//! Models and data sets by name: found in the cache, fetched only when that is asked for, and every fault told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::cli::{Ended, Workspace, documents};
use crate::common::hub::{COMMIT, Hub, Repository, Request, git_blob};
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
        for name in ["HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            command.env_remove(name);
        }
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

fn files(requests: &[Request]) -> Vec<&str> {
    let mut files: Vec<&str> = requests.iter().filter_map(|one| one.path.split("/main/").nth(1)).collect();
    files.dedup();
    files
}

#[test]
fn fetched_once_and_read_offline() {
    let hub = Hub::start(vec![tiny()]);
    let space = Space::new(&hub);
    space.score("").failed(2, &["`org/tiny` is neither an existing path", "add --download"]);
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
    assert_eq!(listed, "org/tiny\n  readable: 3 layers of 64, 157.7K parameters, trained at 64 tokens\n");
    // As other programs have it: contents by their hash, and links to them that hold in another place too.
    let repository = space.space.path("home/hub/models--org--tiny");
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    let config = repository.join("snapshots").join(COMMIT).join("config.json");
    let blob = git_blob(&tiny().files["config.json"]);
    assert_eq!(fs::read_link(&config).unwrap(), Path::new("../../blobs").join(&blob));
    let kept = fs::read_dir(repository.join("blobs")).unwrap().count();
    assert_eq!(kept, needed.len(), "nothing but whole files is kept");
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
        .failed(2, &["org/tiny", "connection to the hub failed", "resumes where it stopped"]);
    space.score("").failed(2, &[]);
    hub.requests();
    hub.change(|repository| repository.cuts = 0);
    assert_eq!(space.score("--download").done().stdout, whole.stdout);
    let first_range =
        hub.requests().into_iter().find_map(|one| one.range.filter(|range| range != "bytes=0-0"));
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

#[test]
fn the_token_stays_with_the_hub() {
    let files = Hub::start(vec![tiny()]);
    let hub = Hub::start(vec![Repository {
        token: Some("secret".into()),
        elsewhere: Some(files.endpoint.clone()),
        ..tiny()
    }]);
    let space = Space { token: Some("secret"), ..Space::new(&hub) };
    space.score("--download").done();
    assert!(hub.requests().iter().all(|one| one.authorization.as_deref() == Some("Bearer secret")));
    let elsewhere = files.requests();
    assert!(elsewhere.len() >= 5 && elsewhere.iter().all(|one| one.authorization.is_none()), "{elsewhere:?}");
    // The token that another program keeps is the same one's.
    let hub = Hub::start(vec![Repository { token: Some("kept".into()), ..tiny() }]);
    let space = Space::new(&hub);
    fs::create_dir_all(space.space.path("home")).unwrap();
    space.space.write("home/token", "kept\n");
    space.score("--download").done();
}

/// Everything below a directory and the bytes of its files, but for one folder.
fn tree(directory: &Path, but: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path == but {
            continue;
        }
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(tree(&path, but));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

#[test]
fn names_from_outside_stay_inside() {
    let evil =
        ["../../../../../pwned/evil.gguf", "/tmp/longcode-pwned.gguf", "a/../../b.gguf", "..\\evil.gguf", ""];
    let hostile = evil.map(|name| {
        let mut only = Repository { path: "models/org/tiny".into(), ..Repository::default() };
        only.files.insert(name.into(), b"GGUF".to_vec());
        only
    });
    let listed = Repository { also_listed: evil.map(Into::into).to_vec(), ..tiny() };
    let etags = ["../../../../pwned", "/tmp/longcode-pwned", "..", "a/b", "\\\\host\\x"];
    let etags = etags.map(|etag| Repository { etag: Some(etag.into()), ..tiny() });
    let commits = ["../../../pwned", "/tmp/longcode-pwned", "main", ""];
    let commits = commits.map(|commit| Repository { commit: Some(commit.into()), ..tiny() });
    for (repository, works) in hostile
        .into_iter()
        .map(|one| (one, false))
        .chain(commits.map(|one| (one, false)))
        .chain(etags.map(|one| (one, true)))
        .chain([(listed, true)])
    {
        let hub = Hub::start(vec![repository]);
        let space = Space::new(&hub);
        fs::create_dir(space.space.path("home")).unwrap();
        let (inside, around) = (space.space.path("home"), space.space.path(""));
        let before = tree(&around, &inside);
        let ended = space.score("--download");
        if works {
            ended.done();
        } else {
            ended.failed(2, &["org/tiny"]);
        }
        assert_eq!(tree(&around, &inside), before);
        for (path, _) in tree(&inside, Path::new("")) {
            let name = path.to_str().unwrap();
            assert!(!name.contains("pwned") && !name.contains("evil"), "{name}");
        }
        assert!(
            !Path::new("/tmp/longcode-pwned").exists() && !Path::new("/tmp/longcode-pwned.gguf").exists()
        );
    }
}

#[test]
fn links_in_the_cache_are_not_written_through() {
    use std::os::unix::fs::symlink;
    let hub = Hub::start(vec![tiny()]);
    let whole = Space::new(&hub);
    whole.score("--download").done();
    let home = whole.space.path("home");
    let inside = |path: &Path| path.strip_prefix(&home).unwrap().to_path_buf();
    let files: Vec<PathBuf> = tree(&home, Path::new("")).iter().map(|(path, _)| inside(path)).collect();
    // Every file's place, and every directory's, is a link to somewhere else.
    let directories =
        files.iter().flat_map(|file| file.ancestors().skip(1)).filter(|path| path.iter().count() > 1);
    let mut places: Vec<PathBuf> =
        files.iter().map(PathBuf::as_path).chain(directories).map(Into::into).collect();
    let blobs = files.iter().filter(|file| file.parent().unwrap().ends_with("blobs"));
    places.extend(blobs.map(|blob| PathBuf::from(format!("{}.incomplete", blob.display()))));
    places.sort();
    places.dedup();
    for place in places {
        let space = Space::new(&hub);
        let outside = space.space.path("outside");
        fs::create_dir(&outside).unwrap();
        space.space.write("outside/file", "untouched");
        let planted = space.space.path("home").join(&place);
        fs::create_dir_all(planted.parent().unwrap()).unwrap();
        let is_file = files.contains(&place) || place.to_str().unwrap().ends_with(".incomplete");
        symlink(if is_file { outside.join("file") } else { outside.clone() }, &planted).unwrap();
        let ended = space.score("--download");
        assert!(ended.code == Some(0) || ended.stderr.contains("link"), "{place:?}: {ended:?}");
        assert_eq!(space.space.text("outside/file"), "untouched", "{place:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{place:?}");
    }
}

#[test]
fn without_a_network_the_cache_is_enough() {
    let hub = Hub::start(vec![tiny()]);
    let mut space = Space::new(&hub);
    space.score("--download").done();
    hub.requests();
    let score = |space: &Space, name: &str, variable: Option<&str>| {
        let command = format!("score --model {name} --encoding rope --device cpu --json a.py --download");
        let mut command = space.command(&command);
        if let Some(variable) = variable {
            command.env(variable, "1");
        }
        Ended::from(command.output().unwrap())
    };
    let by_commit = format!("org/tiny@{COMMIT}");
    score(&space, &by_commit, None).done();
    score(&space, "org/tiny", Some("HF_HUB_OFFLINE")).done();
    score(&space, "org/tiny", Some("TRANSFORMERS_OFFLINE")).done();
    assert!(hub.requests().is_empty(), "nothing is asked where nothing can be missing");
    let parts = ["org/other", "HF_HUB_OFFLINE is set", "unset HF_HUB_OFFLINE"];
    score(&space, "org/other", Some("HF_HUB_OFFLINE")).failed(2, &parts);
    space.endpoint = "http://127.0.0.1:9".into();
    let ended = score(&space, "org/tiny", None).done();
    assert!(
        ended.stderr.contains("the hub cannot be asked") && ended.stderr.contains("as it is in the cache")
    );
    score(&space, "org/other", None).failed(2, &["org/other", "connection to the hub failed"]);
    // With a file less it is not whole.
    let snapshot = space.space.path("home/hub/models--org--tiny/snapshots").join(COMMIT);
    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    score(&space, &by_commit, None).failed(2, &["connection to the hub failed"]);
    let ended = space.score("");
    ended.failed(2, &["no model.safetensors", "the cache has org/tiny in part", "--download"]);
    let listed = space.longcode("models").done().stdout;
    assert!(
        listed.contains("not readable")
            && listed.contains("fix: the cache has org/tiny in part: give --download")
    );
}

#[test]
fn a_damaged_small_file_is_fetched_again() {
    let hub = Hub::start(vec![tiny()]);
    let space = Space::new(&hub);
    let whole = space.score("--download").done();
    let config = space.space.path("home/hub/models--org--tiny/snapshots").join(COMMIT).join("config.json");
    fs::write(fs::canonicalize(&config).unwrap(), "{\"model_type\": \"llama\"}").unwrap();
    hub.requests();
    let ended = space.score("--download").done();
    assert!(ended.stderr.contains("config.json in the cache is not what the hub has"), "{}", ended.stderr);
    assert_eq!((ended.stdout, files(&hub.requests())), (whole.stdout, vec!["config.json"]));
    // One that comes damaged is not kept.
    hub.change(|repository| repository.damaged = Some("config.json".into()));
    let space = Space::new(&hub);
    space.score("--download").failed(2, &["config.json", "the hub says", "run the same command again"]);
    hub.change(|repository| repository.damaged = None);
    space.score("--download").done();
}

#[test]
fn sizes_that_no_such_file_has() {
    let mut large = tiny();
    large.files.insert("config.json".into(), [b"[0".to_vec(), b",0".repeat(1 << 20), b"]".to_vec()].concat());
    let hub = Hub::start(vec![large]);
    Space::new(&hub).score("--download").failed(2, &["config.json", "bytes, more than the 1048576"]);
    let hub = Hub::start(vec![Repository {
        listing_tail: format!(", \"x\": [0{}]", ",0".repeat(40 << 20)),
        ..tiny()
    }]);
    Space::new(&hub).score("--download").failed(2, &["org/tiny", "longer than 67108864 bytes"]);
}

#[test]
fn more_than_the_file_has_come_before() {
    let hub = Hub::start(vec![tiny()]);
    let space = Space::new(&hub);
    let blob = git_blob(&tiny().files["config.json"]);
    let blobs = "home/hub/models--org--tiny/blobs";
    fs::create_dir_all(space.space.path(blobs)).unwrap();
    space.space.write(&format!("{blobs}/{blob}.incomplete"), vec![b' '; 1 << 20]);
    let ended = space.score("--download").done();
    assert!(ended.stderr.contains(&format!("{blob}.incomplete: has more than the file")), "{}", ended.stderr);
    // As much, and something else.
    let space = Space::new(&hub);
    fs::create_dir_all(space.space.path(blobs)).unwrap();
    let length = tiny().files["config.json"].len();
    space.space.write(&format!("{blobs}/{blob}.incomplete"), vec![b' '; length]);
    space.score("--download").failed(2, &["config.json", "sha1", "the file was removed"]);
    space.score("--download").done();
}

#[test]
fn a_revision_with_slashes() {
    let mut data = Repository { path: "datasets/org/docs".into(), ..Repository::default() };
    data.revision = Some("refs/convert/parquet".into());
    data.files.insert("default/train/0000.jsonl".into(), documents(16).into_bytes());
    let branch = Repository { path: "models/org/tiny".into(), revision: Some("long/code".into()), ..tiny() };
    let hub = Hub::start(vec![branch, data]);
    let space = Space::new(&hub);
    space.space.replace("config.toml", "path = \"model\"", "path = \"org/tiny@long/code\"");
    let name = "\"hf:org/docs@refs/convert/parquet/default/train/0000.jsonl\"";
    space.space.replace("config.toml", "\"docs.jsonl\"", name);
    space.longcode("run config.toml --device cpu --download").done();
    let listed = space.longcode("models").done().stdout;
    assert!(listed.starts_with("org/tiny@long/code\n  readable"), "{listed}");
}

#[test]
fn commits_without_a_name_are_listed() {
    let hub = Hub::start(vec![tiny()]);
    let space = Space::new(&hub);
    let by_commit = format!("org/tiny@{COMMIT}");
    space.longcode(&format!("score --model {by_commit} --encoding rope --device cpu --download a.py")).done();
    assert!(!space.space.path("home/hub/models--org--tiny/refs").exists());
    let listed = space.longcode("models").done().stdout;
    assert!(listed.starts_with(&format!("{by_commit}\n  readable")), "{listed}");
}

#[test]
fn repositories_of_other_layouts() {
    let gguf = b"GGUF".to_vec();
    let of = |path: &str, names: &[&str]| {
        let mut repository = Repository { path: format!("models/{path}"), ..Repository::default() };
        repository.files.extend(names.iter().map(|name| (name.to_string(), gguf.clone())));
        repository
    };
    let hub = Hub::start(vec![
        of("org/quantised", &["a.Q4_K_M.gguf", "b.Q8_0.gguf", "config.json"]),
        of("org/adapter", &["adapter_config.json", "adapter_model.safetensors"]),
        of("org/mistral", &["params.json", "consolidated.safetensors", "tekken.json"]),
        of("org/pickled", &["config.json", "pytorch_model.bin"]),
        of("org/nothing", &["README.md"]),
    ]);
    let space = Space::new(&hub);
    let score = |model: &str, more: &str| {
        space.longcode(&format!("score --model {model} --encoding rope --device cpu a.py {more}"))
    };
    let cases = [
        ("org/quantised", ["2 GGUF files: a.Q4_K_M.gguf, b.Q8_0.gguf", "as org/quantised/a.Q4_K_M.gguf"]),
        ("org/adapter", ["an adapter (LoRA)", "merge it"]),
        ("org/mistral", ["Mistral's", "layout of transformers"]),
        ("org/pickled", ["pytorch_model.bin", "safetensors"]),
        ("org/nothing", ["no safetensors weights", "another repository"]),
    ];
    for (name, parts) in cases {
        score(name, "--download").failed(2, &parts);
    }
    score("org/quantised/c.gguf", "--download")
        .failed(2, &["no file `c.gguf`", "a.Q4_K_M.gguf, b.Q8_0.gguf"]);
    // What these files hold is no GGUF, but it is the file that was asked for.
    score("org/quantised/b.Q8_0.gguf", "")
        .failed(2, &["`org/quantised/b.Q8_0.gguf` is neither an existing path", "--download"]);
    score("org/quantised/b.Q8_0.gguf", "--download").failed(2, &["b.Q8_0.gguf"]);
    score("org/quantised/b.Q8_0.gguf", "").failed(2, &["b.Q8_0.gguf"]);
    // The same of a directory.
    for (name, parts) in cases[..4].iter() {
        let directory = name.split('/').nth(1).unwrap();
        fs::create_dir(space.space.path(directory)).unwrap();
        let files: &[&str] = match directory {
            "quantised" => &["a.Q4_K_M.gguf", "b.Q8_0.gguf"],
            "adapter" => &["adapter_config.json", "adapter_model.safetensors"],
            "mistral" => &["params.json", "consolidated.safetensors"],
            _ => &["pytorch_model.bin"],
        };
        files.iter().for_each(|file| space.space.write(&format!("{directory}/{file}"), &gguf));
        score(directory, "").failed(2, &[parts[0]]);
    }
}
