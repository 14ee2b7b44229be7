//! A project of Long Code Arena: its files, which one to complete, and which of its lines.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::context::context;
use crate::dataset::{Origin, Record};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_structure::Language;

/// Where the names in a line come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    /// Defined in the file.
    Infile,
    /// Defined in a file of the project that did not change with it.
    Inproject,
    /// As common as `main` or `get`.
    Common,
    /// Defined in a file that changed in the same commit; spelled as in the data.
    Commited,
    /// Lines that are short, comments, imports.
    NonInformative,
    Random,
}

impl Class {
    const ALL: [Class; 6] = [
        Class::Infile,
        Class::Inproject,
        Class::Common,
        Class::Commited,
        Class::NonInformative,
        Class::Random,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Class::Infile => "infile",
            Class::Inproject => "inproject",
            Class::Common => "common",
            Class::Commited => "commited",
            Class::NonInformative => "non_informative",
            Class::Random => "random",
        }
    }
}

/// A line to complete.
pub(super) struct Line {
    pub class: Class,
    /// Its number, from 0.
    pub number: usize,
}

/// A project.
pub(super) struct Project {
    pub origin: Origin,
    pub name: String,
    pub language: Option<Language>,
    /// The other files, far to near, and the head of the one to complete.
    context: String,
    /// The byte offsets at which its files begin.
    starts: Vec<usize>,
    /// Lines of the file to complete.
    text: Vec<String>,
    pub lines: Vec<Line>,
}

impl Project {
    /// # Errors
    /// [`ErrorKind::Dataset`], naming the record and the field.
    pub(super) fn of(record: &Record) -> Result<Project> {
        let wrong = |what: String| {
            Error::new(ErrorKind::Dataset, what)
                .at(&record.origin)
                .fix("use a file of Long Code Arena's project-level code completion, or fix the record")
        };
        let field = |role: &str| record.get(role)?.ok_or_else(|| wrong(format!("no field `{role}`")));
        let name = record.text("repo")?;
        let file = field("completion_file")?;
        let of_file = |key: &str| {
            let text = file.get(key).and_then(Value::as_str);
            text.ok_or_else(|| wrong(format!("field `completion_file` has no text `{key}`")))
        };
        let (path, text) = (of_file("filename")?, of_file("content")?);
        let others = snapshot(field("repo_snapshot")?)
            .ok_or_else(|| wrong("field `repo_snapshot` is not lists of `filename` and `content`".into()))?;
        let text: Vec<String> = text.split('\n').map(String::from).collect();
        let lines = lines(field("completion_lines")?, text.len()).map_err(wrong)?;
        let (context, starts) = context(name, path, &others);
        Ok(Project {
            origin: record.origin.clone(),
            name: record.id.clone(),
            language: record.language,
            context,
            starts,
            text,
            lines,
        })
    }

    pub(super) fn text(&self, line: &Line) -> &str {
        &self.text[line.number]
    }

    /// What precedes a line in its file, without a newline at the end.
    pub(super) fn before(&self, line: &Line) -> String {
        self.text[..line.number].join("\n")
    }

    /// The prompt for a line, and the byte offsets at which its files begin.
    pub(super) fn prompt(&self, line: &Line) -> (String, Vec<usize>) {
        (format!("{}\n{}", self.context, self.before(line)), self.starts.clone())
    }
}

/// Path and text of files: a list for each, or a list of both.
fn snapshot(value: &Value) -> Option<Vec<(&str, &str)>> {
    if let Some(files) = value.as_array() {
        return files
            .iter()
            .map(|file| Some((file.get("filename")?.as_str()?, file.get("content")?.as_str()?)))
            .collect();
    }
    let (paths, texts) = (value.get("filename")?.as_array()?, value.get("content")?.as_array()?);
    let files = paths.iter().zip(texts).map(|(path, text)| Some((path.as_str()?, text.as_str()?)));
    (paths.len() == texts.len()).then(|| files.collect())?
}

/// The lines of each class; a missing class has none.
fn lines(value: &Value, of: usize) -> std::result::Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for class in Class::ALL {
        let name = class.name();
        let numbers = match value.get(name) {
            None | Some(Value::Null) => continue,
            Some(numbers) => {
                numbers.as_array().ok_or_else(|| format!("`completion_lines.{name}` is not a list"))?
            }
        };
        for number in numbers {
            let found = number.as_u64().filter(|&number| number < of as u64);
            let number = found.ok_or_else(|| {
                format!("`completion_lines.{name}` has {number}, no line of the file's {of}")
            })?;
            let number = number as usize;
            // A line that is listed twice is asked for once.
            if !lines.iter().any(|line: &Line| line.class == class && line.number == number) {
                lines.push(Line { class, number });
            }
        }
    }
    Ok(lines)
}
