//! RepoBench's prompt, and how it is cut if it is too long.

use serde_json::Value;

use crate::dataset::Record;
use crate::task::python;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_structure::Language;
use longcode_text::Tokenizer;

/// A record's code.
pub(super) struct Parts {
    pub language: Language,
    /// Other files: a line with the repository's name, and snippets under their paths.
    others: String,
    /// The file to complete, under its path.
    file: String,
}

impl Parts {
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field.
    pub(super) fn of(record: &Record) -> Result<Parts> {
        let language = record.language.ok_or_else(|| {
            Error::new(ErrorKind::Dataset, "its language is not known")
                .at(&record.origin)
                .fix("say language = \"python\" or \"java\" in the data set's manifest")
        })?;
        let sign = language.line_comment();
        let mut others = format!("{sign} Repo Name: {}\n", record.text("repo_name")?);
        for (path, code) in snippets(record)? {
            others += &format!("{sign} Path: {path}\n{code}\n\n");
        }
        let code = record.text("cropped_code")?.trim_end_matches(python::is_space);
        let (path, imports) = (record.text("file_path")?, record.text("import_statement")?);
        Ok(Parts { language, others, file: format!("{sign} Path: {path}\n{imports}\n{code}\n") })
    }

    /// The prompt, and how many lines of other files it leaves out: from their end, until the remaining
    /// tokens, counted by parts, are fewer than `limit`.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when a text cannot be tokenized.
    pub(super) fn prompt(&self, limit: usize, tokenizer: &Tokenizer) -> Result<(String, usize)> {
        let tokens = |text: &str| Ok(tokenizer.encode(text)?.ids.len() as i64);
        let mut exceeding = tokens(&self.others)? + tokens(&self.file)? - limit as i64;
        if exceeding <= 0 {
            return Ok((few_empty_lines(&format!("{}{}", self.others, self.file)), 0));
        }
        let lines: Vec<&str> = self.others.split('\n').collect();
        let mut kept = lines.len();
        while kept > 0 && exceeding >= 0 {
            kept -= 1;
            exceeding -= tokens(lines[kept])?;
        }
        let others = lines[..kept].join("\n");
        Ok((few_empty_lines(&format!("{others}\n\n{}", self.file)), lines.len() - kept))
    }

    /// The prompt without other files.
    pub(super) fn alone(&self) -> String {
        few_empty_lines(&self.file)
    }

    /// Where the files of a prompt begin: at lines that name a path.
    pub(super) fn file_starts(&self, prompt: &str) -> Vec<usize> {
        let sign = format!("{} Path: ", self.language.line_comment());
        let mut at = 0;
        let mut starts = Vec::new();
        for line in prompt.split_inclusive('\n') {
            if line.starts_with(&sign) {
                starts.push(at);
            }
            at += line.len();
        }
        starts
    }
}

/// Path and code of the other files' snippets.
fn snippets<'r>(record: &'r Record) -> Result<Vec<(&'r str, &'r str)>> {
    let wrong = |what: &str| {
        Error::new(ErrorKind::Dataset, format!("`context` {what}"))
            .at(&record.origin)
            .fix("give a list of objects with the texts `path` and `snippet`")
    };
    let list = record.get("context")?.ok_or_else(|| wrong("is missing"))?;
    let list = list.as_array().ok_or_else(|| wrong("is not a list"))?;
    let snippet =
        |snippet: &'r Value| Some((snippet.get("path")?.as_str()?, snippet.get("snippet")?.as_str()?));
    list.iter().map(|one| snippet(one).ok_or_else(|| wrong("has a snippet without a path or code"))).collect()
}

/// `re.sub(r"\n{4,}", "\n\n", text)`.
fn few_empty_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\n\n\n\n") {
        out.push_str(&rest[..at]);
        out.push_str("\n\n");
        rest = rest[at..].trim_start_matches('\n');
    }
    out + rest
}
