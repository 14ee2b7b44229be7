//! A repository in RepoQA's file: its files in the order in which they are shown, and the functions that are
//! asked for.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::dataset::{Origin, Record};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_structure::Language;

/// A repository.
pub(super) struct Repository {
    pub origin: Origin,
    pub name: String,
    pub language: Language,
    /// Path and text of the files; those that others depend on come first.
    pub files: Vec<(String, String)>,
    pub needles: Vec<Needle>,
}

/// A function that is asked for.
pub(super) struct Needle {
    pub name: String,
    /// What it does, in words.
    pub description: String,
    /// Number of its file.
    pub file: usize,
    /// Its bytes in the file's text.
    pub at: std::ops::Range<usize>,
    /// Its lines.
    pub function: String,
}

/// A needle as in the file. RepoQA's code indexes characters by what is called bytes there.
#[derive(Deserialize)]
struct Raw {
    name: String,
    description: String,
    path: String,
    start_line: usize,
    end_line: usize,
    start_byte: usize,
    end_byte: usize,
}

impl Repository {
    /// # Errors
    /// [`ErrorKind::Dataset`], naming the entry and the field.
    pub(super) fn of(record: &Record) -> Result<Repository> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Dataset, what)
                .at(&record.origin)
                .fix("use RepoQA's own file, or fix the entry")
        };
        let name = record.text("repo")?.to_string();
        let language =
            record.language.ok_or_else(|| wrong("its language is not one that is known here".into()))?;
        let object = |role: &str| {
            let value = record.get(role)?.ok_or_else(|| wrong(format!("no field `{role}`")))?;
            value.as_object().ok_or_else(|| wrong(format!("field `{role}` is not an object")))
        };
        let content = object("content")?;
        let files: Vec<_> = order(object("dependency")?)
            .into_iter()
            .map(|path| {
                let text = content.get(path).and_then(Value::as_str);
                let text =
                    text.ok_or_else(|| wrong(format!("`content` has no text of the file \"{path}\"")))?;
                Ok((path.to_string(), text.to_string()))
            })
            .collect::<Result<_>>()?;
        let needles = record.get("needles")?.ok_or_else(|| wrong("no field `needles`".into()))?;
        let needles: Vec<Raw> =
            Vec::deserialize(needles).map_err(|e| wrong(format!("field `needles`: {e}")))?;
        let needles = needles.into_iter().map(|raw| {
            let name = raw.name.clone();
            Needle::of(raw, &files).ok_or_else(|| {
                wrong(format!("the needle \"{name}\" is outside of the files that `dependency` names"))
            })
        });
        let needles = needles.collect::<Result<_>>()?;
        Ok(Repository { origin: record.origin.clone(), name, language, files, needles })
    }
}

impl Needle {
    /// None if its file or its place does not exist.
    fn of(raw: Raw, files: &[(String, String)]) -> Option<Needle> {
        let file = files.iter().position(|(path, _)| *path == raw.path)?;
        let text = &files[file].1;
        let byte = |character: usize| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.take(character + 1).last()
        };
        let (start, end) = (byte(raw.start_byte)?, byte(raw.end_byte)?);
        let lines: Vec<&str> = text.split('\n').collect();
        let function = lines.get(raw.start_line..raw.end_line.min(lines.len()))?.join("\n");
        (start <= end).then_some(Needle {
            name: raw.name,
            description: raw.description,
            file,
            at: start..end,
            function,
        })
    }
}

/// Paths in depth-first post-order: those that a file depends on come before it.
fn order(dependency: &Map<String, Value>) -> Vec<&str> {
    let dependencies = |path: &str| {
        let paths = dependency.get(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        paths.iter().filter_map(Value::as_str)
    };
    let (mut ordered, mut seen) = (Vec::new(), HashSet::new());
    for path in dependency.keys() {
        if !seen.insert(path.as_str()) {
            continue;
        }
        let mut open = vec![(path.as_str(), dependencies(path))];
        while let Some((path, neighbours)) = open.last_mut() {
            match neighbours.find(|path| !seen.contains(path)) {
                Some(next) => {
                    seen.insert(next);
                    open.push((next, dependencies(next)));
                }
                None => {
                    ordered.push(*path);
                    open.pop();
                }
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_in_the_order_of_repo_qa_s_code() {
        let cases = super::super::tests::contexts()["orders"].clone();
        let cases = cases.as_array().unwrap();
        for case in cases {
            let expected: Vec<&str> =
                case["order"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
            assert_eq!(order(case["dependency"].as_object().unwrap()), expected);
        }
        assert!(cases.len() >= 10);
    }

    #[test]
    fn a_long_chain_does_not_overflow() {
        let chain = (0..100_000).map(|n| (n.to_string(), serde_json::json!([(n + 1).to_string()])));
        assert_eq!(order(&chain.collect()).len(), 100_001);
    }
}
