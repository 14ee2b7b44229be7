//! Directories and files of a stranger: nothing is written outside an output directory, whatever links are in it, and
//! what is no regular file is refused by name instead of waited for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::cli::{Ended, Workspace, copy_model, documents};

/// Everything below a directory, directories before what is in them.
fn all(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.clone());
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(all(&path));
        }
    }
    found.sort();
    found
}

/// A command that writes to a directory, on a workspace that has what it needs.
struct Writer {
    space: fn() -> Workspace,
    out: &'static str,
    command: &'static str,
    /// The same, where the directory is there already.
    again: &'static str,
}

fn small() -> Workspace {
    let space = Workspace::new();
    space.replace("config.toml", "buckets = [0, 100, 1000]\nsamples = 3", "buckets = [0, 1000]\nsamples = 2");
    space
}

fn to_train() -> Workspace {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(160));
    space.write(
        "train.toml",
        "name = \"tiny\"\nlength = 32\nbatch = 4\n[corpus]\ndatasets = [\"docs.jsonl\"]\nheld_out = 0.1\n\
         [tokenizer]\nvocab_size = 300\n[model]\nhidden_size = 16\nintermediate_size = 32\nnum_hidden_layers = 1\n\
         num_attention_heads = 2\nnum_key_value_heads = 1\nhead_dim = 8\n[optimizer]\nlearning_rate = 1e-2\n\
         [budget]\nsteps = 3\n[output]\nvalidation_steps = 2\n",
    );
    space
}

fn to_tune() -> Workspace {
    let space = Workspace::new();
    space.write("docs.jsonl", documents(32));
    space.replace("config.toml", "name = \"RoPE\"\nkind = \"rope\"\n\n[[encoding]]\n", "");
    space.replace("config.toml", "window = 8", "window = [4, 8]");
    space.replace("config.toml", "samples = 3", "samples = 6\n\n[tune]\ncheck = 2");
    space
}

const WRITERS: [Writer; 4] = [
    Writer {
        space: small,
        out: "results/tiny",
        command: "run config.toml --device cpu",
        again: "run config.toml --device cpu --fresh",
    },
    Writer {
        space: || {
            let space = small();
            space.run("");
            space
        },
        out: "elsewhere",
        command: "report results/tiny --out elsewhere",
        again: "report results/tiny --out elsewhere",
    },
    Writer {
        space: to_train,
        out: "trained/tiny",
        command: "train train.toml --device cpu",
        again: "train train.toml --device cpu --fresh",
    },
    Writer {
        space: to_tune,
        out: "results/tiny",
        command: "tune config.toml --device cpu",
        again: "tune config.toml --device cpu --fresh",
    },
];

/// A workspace with the output there, and a folder of somebody else's beside it.
fn written(writer: &Writer) -> Workspace {
    let space = (writer.space)();
    space.longcode(writer.command).done();
    fs::create_dir_all(space.path("outside/folder")).unwrap();
    space.write("outside/file", "untouched");
    space.write("outside/folder/file", "untouched");
    space
}

fn outside_is_untouched(space: &Workspace, what: &str) {
    let outside = ["outside/file", "outside/folder", "outside/folder/file"].map(|name| space.path(name));
    assert_eq!(all(&space.path("outside")), outside, "{what}");
    for file in ["outside/file", "outside/folder/file"] {
        assert_eq!(space.text(file), "untouched", "{what}");
    }
}

fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else {
        fs::remove_file(path).unwrap();
    }
}

/// At every file's name, and at the name that a file once had until it was whole, a link to a file outside.
#[test]
fn links_at_the_names_of_files() {
    for writer in &WRITERS {
        for to in ["outside/file", "outside/none"] {
            let space = written(writer);
            let names = all(&space.path(writer.out));
            let files: Vec<&PathBuf> = names.iter().filter(|path| path.is_file()).collect();
            assert!(files.len() > 4, "{names:?}");
            // These are appended to, and what says whose directory it is has to stay.
            let stays = ["samples.jsonl", "lock", "train.toml"];
            for file in files.iter().filter(|file| !stays.iter().any(|name| file.ends_with(name))) {
                remove(file);
                symlink(space.path(to), file).unwrap();
            }
            for name in &names {
                symlink(space.path(to), format!("{}.new", name.display())).unwrap();
            }
            let ended = space.longcode(writer.again).done();
            outside_is_untouched(&space, writer.again);
            // The harness's files are named by when the run began.
            let links =
                files.iter().filter(|file| file.is_symlink() && !file.iter().any(|part| part == "lm_eval"));
            assert_eq!(links.count(), 0, "{ended:?}");
        }
    }
}

/// A link at each name that is appended to, and at each folder's: refused by name.
#[test]
fn links_that_would_be_gone_through() {
    for writer in &WRITERS {
        let space = written(writer);
        let out = space.path(writer.out);
        let is_gone_through =
            |path: &PathBuf| path.is_dir() || path.ends_with("samples.jsonl") || path.ends_with("lock");
        let places: Vec<PathBuf> = all(&out).into_iter().filter(is_gone_through).collect();
        for place in places {
            // A training's checkpoints have names of their own, and old ones give way.
            let gives_way = place.parent().unwrap().ends_with("work") && place.is_dir();
            let to = space.path(if place.is_dir() { "outside/folder" } else { "outside/file" });
            let kept = space.path("kept");
            fs::rename(&place, &kept).unwrap();
            symlink(to, &place).unwrap();
            let ended = space.longcode(writer.again);
            outside_is_untouched(&space, &format!("{place:?}"));
            if gives_way {
                ended.done();
                fs::remove_dir_all(&kept).unwrap();
                continue;
            }
            let name = place.strip_prefix(space.path("")).unwrap();
            ended.failed(1, &["through a link", name.to_str().unwrap()]);
            remove(&place);
            fs::rename(&kept, &place).unwrap();
        }
    }
}

#[test]
fn a_hard_link_is_a_link() {
    let space = written(&WRITERS[0]);
    remove(&space.path("results/tiny/samples.jsonl"));
    fs::hard_link(space.path("outside/file"), space.path("results/tiny/samples.jsonl")).unwrap();
    space.longcode(WRITERS[0].again).failed(1, &["samples.jsonl", "other names"]);
    outside_is_untouched(&space, "a hard link");
}

/// What the user names may be a link.
#[test]
fn an_output_that_is_a_link_itself() {
    for writer in &WRITERS {
        let space = (writer.space)();
        fs::create_dir_all(space.path(writer.out).parent().unwrap()).unwrap();
        fs::create_dir(space.path("disk")).unwrap();
        symlink(space.path("disk"), space.path(writer.out)).unwrap();
        space.longcode(writer.command).done();
        assert!(fs::read_dir(space.path("disk")).unwrap().count() > 4);
    }
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// In place of each file that is read: a FIFO, a link to a device, a directory.
#[test]
fn what_is_no_regular_file_is_refused() {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a\n");
    fs::create_dir(space.path("datasets")).unwrap();
    space.write(
        "datasets/set.toml",
        "name = \"set\"\nwhat = \"x\"\nlicence = \"MIT\"\nsource = \"x\"\nobtain = \"x\"\nformat = \"jsonl\"\npath = \
         \"set.jsonl\"\n",
    );
    space.write("datasets/set.jsonl", documents(16));
    space.write("model.gguf", "GGUF");
    fs::create_dir(space.path("sharded")).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        fs::copy(space.path("model").join(name), space.path("sharded").join(name)).unwrap();
    }
    space.write("sharded/model.safetensors.index.json", "{}");
    let score = "score --model model --encoding rope --device cpu a.py";
    let run = "run config.toml --device cpu";
    let by_manifest = "run config.toml --device cpu --set task.dataset=set";
    let cases = [
        ("model/config.json", score),
        ("model/model.safetensors", score),
        ("model/tokenizer.json", score),
        ("model/tokenizer_config.json", score),
        ("model/model.safetensors", "inspect a.py --tokenizer model/model.safetensors"),
        ("sharded/model.safetensors.index.json", "score --model sharded --encoding rope --device cpu a.py"),
        ("model.gguf", "score --model model.gguf --encoding rope --device cpu a.py"),
        ("a.py", score),
        ("a.py", "inspect a.py"),
        ("config.toml", run),
        ("docs.jsonl", run),
        ("datasets/set.jsonl", by_manifest),
        ("datasets/set.toml", "run config.toml --device cpu --set task.dataset=datasets/set.toml"),
    ];
    for (file, command) in cases {
        let kept = space.path("kept");
        let path = space.path(file);
        fs::rename(&path, &kept).unwrap();
        for kind in ["FIFO", "device", "directory"] {
            match kind {
                "FIFO" => make_fifo(&path),
                "device" => symlink("/dev/zero", &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let ended = space.longcode(command);
            // A directory may be what is asked for: an empty data set, a checkpoint without files.
            println!("{file}, {kind}: {}", ended.stderr);
            let parts: &[&str] =
                if kind == "directory" { &[] } else { &["no", file.rsplit('/').next().unwrap()] };
            ended.failed(2, parts);
            remove(&path);
        }
        fs::rename(&kept, &path).unwrap();
    }
    space.longcode(score).done();
}

/// In a tree of sources they are none of its files.
#[test]
fn a_tree_of_sources_with_other_things_in_it() {
    let space = small();
    fs::create_dir(space.path("tree")).unwrap();
    for n in 0..6 {
        space.write(&format!("tree/{n}.py"), format!("def f{n}(a):\n    b = a + {n}\n    return b\n"));
    }
    make_fifo(&space.path("tree/fifo.py"));
    symlink("/dev/zero", space.path("tree/zero.py")).unwrap();
    space.run("--set task.dataset=tree");
}

/// A stranger's results, and the cache that other programs share.
#[test]
fn what_is_no_regular_file_among_what_was_stored() {
    let space = written(&WRITERS[0]);
    for file in ["config.toml", "environment.json", "samples.jsonl"] {
        let path = space.path("results/tiny").join(file);
        let kept = space.path("kept");
        fs::rename(&path, &kept).unwrap();
        make_fifo(&path);
        space.longcode("report results/tiny --out elsewhere").failed(2, &["a FIFO", file]);
        remove(&path);
        fs::rename(&kept, &path).unwrap();
    }
    let repository = space.path("hub/models--org--tiny");
    let snapshot = repository.join("snapshots").join("0".repeat(40));
    fs::create_dir_all(repository.join("refs")).unwrap();
    copy_model(&snapshot);
    make_fifo(&repository.join("refs/main"));
    remove(&snapshot.join("model.safetensors"));
    make_fifo(&snapshot.join("model.safetensors"));
    make_fifo(&space.path("hub/models--org--other"));
    let models = |space: &Workspace| -> Ended {
        space.command("models").env("HF_HUB_CACHE", space.path("hub")).output().unwrap().into()
    };
    let listed = models(&space).done().stdout;
    assert!(listed.contains("not readable: cannot read the file: it is a FIFO"), "{listed}");
    remove(&snapshot.join("config.json"));
    make_fifo(&snapshot.join("config.json"));
    assert!(models(&space).done().stdout.contains("config.json"));
}

/// What a shell hands over is read: standard input and the output of a command.
#[test]
fn what_the_shell_hands_over() {
    let space = Workspace::new();
    space.write("a.py", "def f(a):\n    return a\n");
    let program = space.command("").get_program().to_owned();
    let shell = |command: &str| -> Ended {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(command).env("P", &program).env("XDG_RUNTIME_DIR", space.path(""));
        shell.current_dir(space.path("")).output().unwrap().into()
    };
    let score = "\"$P\" score --model model --encoding rope --device cpu";
    shell(&format!("{score} <(cat a.py)")).done();
    shell(&format!("cat a.py | {score} /dev/stdin")).done();
    shell("\"$P\" run <(cat config.toml) --device cpu --out out").done();
}
