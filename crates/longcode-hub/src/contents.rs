//! What a directory holds that is not a readable checkpoint, judged by the names of its files.

use std::fs;
use std::path::Path;

use super::weight_files::{INDEX, WEIGHTS, weight_files};
use longcode_base::error::{Error, ErrorKind};

/// The GGUF files among some names.
pub(crate) fn gguf_files<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| name.to_ascii_lowercase().ends_with(".gguf")).collect()
}

/// What there is instead of a Hugging Face checkpoint with safetensors, and what to do about it; none if
/// nothing is known about these files. `one_of_several` is how to name the first of several GGUF files.
pub(crate) fn instead(names: &[&str], one_of_several: Option<&str>) -> Option<(String, String)> {
    let has = |name: &str| names.contains(&name);
    let gguf = gguf_files(names);
    let pickled = names.iter().find(|name| name.ends_with(".bin") && name.starts_with("pytorch_model"));
    if has("adapter_config.json") {
        let what = "it holds an adapter (LoRA), and no model".into();
        let fix = "merge it into its base model first: merge_and_unload() and save_pretrained(DIR) of the Python \
                   package peft";
        Some((what, fix.into()))
    } else if gguf.len() > 1 {
        let shown: Vec<&str> = gguf.iter().copied().take(SHOWN).collect();
        let more = if gguf.len() > SHOWN { ", ..." } else { "" };
        let what = format!("it holds {} GGUF files: {}{more}", gguf.len(), shown.join(", "));
        let one = one_of_several.unwrap_or(gguf[0]);
        Some((what, format!("give one of them by its name, as {one}")))
    } else if has("params.json") || names.iter().any(|name| name.starts_with("consolidated.")) {
        let what = "it is in Mistral's or Meta's own layout (params.json, consolidated.*)".into();
        let fix = "use a repository in the layout of transformers (config.json, model.safetensors, tokenizer.json), or \
                   convert it with the script that transformers has for the family";
        Some((what, fix.into()))
    } else {
        let what = format!("its weights are pickled ({}), which is not read", pickled?);
        Some((
            what,
            "use a revision with safetensors, or save it with save_pretrained(DIR, safe_serialization=True)"
                .into(),
        ))
    }
}

/// Most GGUF files that are named.
const SHOWN: usize = 20;

/// The only GGUF file of a directory without safetensors weights.
pub fn only_gguf(dir: &Path) -> Option<std::path::PathBuf> {
    let names = file_names(dir);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match &gguf_files(&names)[..] {
        [one] if !names.contains(&WEIGHTS) && !names.contains(&INDEX) => Some(dir.join(one)),
        _ => None,
    }
}

/// The error of a checkpoint's directory that lacks a file, with what it holds instead or how to get the
/// file.
pub fn missing(dir: &Path, file: &str, kind: ErrorKind) -> Error {
    let names = file_names(dir);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let one = gguf_files(&names).first().map(|one| dir.join(one).display().to_string());
    match instead(&names, one.as_deref()) {
        Some((what, fix)) => Error::new(kind, format!("no {file} is there: {what}")).in_file(dir).fix(fix),
        None => Error::new(kind, format!("no {file} is there")).in_file(dir).fix(how_to_complete(dir)),
    }
}

/// How to get the files that a directory lacks.
pub fn how_to_complete(dir: &Path) -> String {
    match crate::name_of(dir) {
        Some(name) => format!("the cache has {name} in part: give --download to fetch the rest"),
        None => "copy or download the files that are missing, or save them again, in Python: \
             model.save_pretrained(DIR, safe_serialization=True) and \
             AutoTokenizer.from_pretrained(...).save_pretrained(DIR)"
            .into(),
    }
}

/// Whether all required files of a checkpoint are there and pass `is_good`.
pub(crate) fn is_whole(dir: &Path, is_good: fn(&Path) -> bool) -> bool {
    match only_gguf(dir) {
        Some(file) => is_good(&file),
        None => {
            ["config.json", "tokenizer.json"].iter().all(|file| is_good(&dir.join(file)))
                && weight_files(dir).is_ok_and(|files| files.iter().all(|file| is_good(file)))
        }
    }
}

/// The names in a directory, sorted; empty if it cannot be read.
pub(crate) fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is() {
        let cases: [(&[&str], &str, &str); 6] = [
            (&["adapter_config.json", "adapter_model.safetensors"], "adapter", "merge"),
            (
                &["a.Q4_K_M.gguf", "b.GGUF", "README.md"],
                "2 GGUF files: a.Q4_K_M.gguf, b.GGUF",
                "as a.Q4_K_M.gguf",
            ),
            (&["params.json", "consolidated.safetensors", "tekken.json"], "Mistral", "transformers"),
            (&["consolidated.00.pth", "tokenizer.model"], "own layout", "convert"),
            (&["config.json", "pytorch_model.bin"], "pickled", "safetensors"),
            (&["config.json", "pytorch_model-00001-of-00002.bin"], "pickled", "safe_serialization"),
        ];
        for (names, what, fix) in cases {
            let found = instead(names, None).unwrap();
            assert!(found.0.contains(what) && found.1.contains(fix), "{found:?}");
        }
        assert_eq!(instead(&["README.md", "one.gguf"], None), None);
    }
}
