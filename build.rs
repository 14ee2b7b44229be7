//! Records the git commit for environment.json, and lists the files of the quickstart that the program carries.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `longcode quickstart` unpacks: files, and folders with all that is in them.
const BUNDLED: [&str; 8] = [
    "configs/quickstart.toml",
    "models/nano",
    "datasets/code-python.toml",
    "datasets/code-python.jsonl.gz",
    "datasets/code-java.toml",
    "datasets/code-java.jsonl.gz",
    "datasets/licenses",
    "examples/wordcount",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    println!("cargo:rustc-env=LONGCODE_COMMIT={}", commit.as_deref().map_or("unknown", str::trim));
    list_bundled();
}

/// Writes `bundled.rs`: a name and the bytes of every file.
fn list_bundled() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut names = Vec::new();
    for name in BUNDLED {
        println!("cargo:rerun-if-changed={name}");
        add_files(&root, Path::new(name), &mut names);
    }
    names.sort();
    // By the place of the sources at compile time: a target directory may outlive the checkout that this ran in.
    let bytes = |name: &str| {
        format!("include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?}))", format!("/{name}"))
    };
    let line = |name: &String| format!("    ({name:?}, {}),\n", bytes(name));
    let lines: String = names.iter().map(line).collect();
    let text = format!(
        "/// Names, from the root of the sources, and contents.\npub(crate) const FILES: &[(&str, &[u8])] = &[\n{lines}];\n"
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("bundled.rs"), text).expect("OUT_DIR can be written");
}

fn add_files(root: &Path, name: &Path, names: &mut Vec<String>) {
    let path = root.join(name);
    if path.is_dir() {
        let entries = fs::read_dir(&path).expect("a folder of the sources");
        for entry in entries.flatten() {
            add_files(root, &name.join(entry.file_name()), names);
        }
    } else {
        let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
        names.push(parts.join("/"));
    }
}
