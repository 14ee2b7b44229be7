//! A record: a gap in a file, with what stands around it and code of other files.

use serde_json::Value;

use crate::dataset::Record;
use crate::task::python;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_structure::Language;

/// What stands above each fragment of another file, after a comment sign.
const FOUND_IN: &str = "the below code fragment can be found in:";

/// A gap to fill in.
pub(super) struct Gap {
    pub id: String,
    pub language: Option<Language>,
    /// The repository; empty if the record does not name it.
    pub repository: String,
    /// The file's path; empty if the record does not name it.
    pub path: String,
    /// What comes before the gap.
    pub left: String,
    /// What comes after it.
    pub right: String,
    /// Code of other files as the benchmark puts it into a prompt: comments, file by file.
    pub cross: String,
    /// The other files by path, if the record has them by themselves.
    listed: Vec<(String, String)>,
    /// What fills the gap.
    pub truth: String,
}

impl Gap {
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field: a field that is missing or of another type, or a gap that
    /// nothing fills.
    pub(super) fn of(record: &Record) -> Result<Gap> {
        let wrong = |what: String, fix: &str| {
            Error::new(ErrorKind::Dataset, what).at(&record.origin).fix(fix.to_string())
        };
        let metadata = record.get("metadata")?;
        let named =
            |key: &str| metadata.and_then(|data| data.get(key)?.as_str()).unwrap_or_default().to_string();
        let task_id = named("task_id");
        let truth = record.text("groundtruth")?.to_string();
        if python::strip(&truth).is_empty() {
            return Err(wrong("`groundtruth` has no line".into(), "leave the record out, or fix it"));
        }
        let right = match record.get("full_right_context")? {
            Some(_) => record.text("full_right_context")?,
            None => record.text("right_context")?,
        };
        let (cross, listed) = cross(record.get("crossfile_context")?).ok_or_else(|| {
            let what = "`crossfile_context` is neither text nor an object with `text`".to_string();
            wrong(what, "use a file of RepoEval, CCLongEval or CrossCodeEval, or fix the record")
        })?;
        Ok(Gap {
            id: if task_id.is_empty() { record.id.clone() } else { task_id },
            language: record.language,
            repository: named("repository"),
            path: metadata.and_then(path).unwrap_or_default(),
            left: record.text("prompt")?.to_string(),
            right: right.to_string(),
            cross,
            listed,
            truth,
        })
    }

    /// The other files by path: as the record lists them, else as its text names them.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        if !self.listed.is_empty() {
            return self.listed.clone();
        }
        let starts = fragments(&self.cross);
        if starts.is_empty() && !self.cross.trim().is_empty() {
            return vec![(String::new(), self.cross.clone())];
        }
        let ends = starts.iter().skip(1).copied().chain([self.cross.len()]);
        starts.iter().zip(ends).map(|(&start, end)| fragment(&self.cross[start..end])).collect()
    }
}

/// The text of other files, and the files by themselves if they are listed; no text counts as an empty one.
fn cross(value: Option<&Value>) -> Option<(String, Vec<(String, String)>)> {
    match value {
        None => Some(Default::default()),
        Some(Value::String(text)) => Some((text.clone(), Vec::new())),
        Some(object) => {
            let text = object.get("text")?.as_str()?.to_string();
            let file = |one: &Value| {
                let text = |key: &str| Some(one.get(key)?.as_str()?.to_string());
                Some((text("filename")?, text("retrieved_chunk")?))
            };
            let list = object.get("list").and_then(Value::as_array);
            Some((text, list.into_iter().flatten().filter_map(file).collect()))
        }
    }
}

/// The path of the file to complete: a text, or the last of several parts.
fn path(metadata: &Value) -> Option<String> {
    let keys = ["file", "file_path", "filepath", "fpath_tuple"];
    match keys.iter().find_map(|key| metadata.get(*key))? {
        Value::String(path) => Some(path.clone()),
        Value::Array(parts) => {
            // RepoCoder names the repository first.
            let parts: Vec<&str> = parts.iter().skip(1).filter_map(Value::as_str).collect();
            Some(parts.join("/"))
        }
        _ => None,
    }
}

/// Where the fragments of other files begin in a text: at the lines above their paths.
pub(super) fn fragments(text: &str) -> Vec<usize> {
    let mut at = 0;
    let mut starts = Vec::new();
    for line in text.split_inclusive('\n') {
        if uncommented(line.trim_end()).trim() == FOUND_IN {
            starts.push(at);
        }
        at += line.len();
    }
    starts
}

/// The path of a fragment, and its code without comment signs.
fn fragment(text: &str) -> (String, String) {
    let mut lines = text.lines().skip(1).map(uncommented);
    let path = lines.next().unwrap_or_default().trim().to_string();
    // RepoCoder puts rules of dashes around a path.
    let code: Vec<&str> =
        lines.filter(|line| !(line.len() > 9 && line.bytes().all(|byte| byte == b'-'))).collect();
    (path, code.join("\n").trim_matches('\n').to_string() + "\n")
}

/// A line without the comment sign it begins with.
fn uncommented(line: &str) -> &str {
    let rest = line.strip_prefix('#').or_else(|| line.strip_prefix("//"));
    rest.map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
}
