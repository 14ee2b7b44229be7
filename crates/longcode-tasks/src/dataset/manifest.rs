//! A data set's manifest: what it is, under which licence, where its data are and how to read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::record::{Making, Roles, WrittenIn};
use super::{format_named, unknown_format};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use longcode_structure::Language;

/// `datasets/NAME.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name: the manifest's file name without `.toml`.
    pub name: String,
    /// One line on what it holds.
    pub what: String,
    /// The licence of the data.
    pub licence: String,
    /// Where it comes from, a public page or words.
    pub source: String,
    /// How to get the data, and which file to put where.
    pub obtain: String,
    /// How the data are read: `json`, `jsonl`, `parquet` or `source_tree`.
    pub format: String,
    /// The data, relative to the manifest: a file, a folder of such files, or a pattern of names with `*`,
    /// `?` and `[...]`.
    pub path: PathBuf,
    /// The language of records that do not name one.
    pub language: Option<Language>,
    /// What kind of text it is: records of prose are not in a programming language, whatever they name.
    #[serde(default)]
    pub text_kind: TextKind,
    /// Role to JSON field. If empty, every field is a role with the same name, and the usual names are
    /// understood (`content` for `text`; `repo_name` and `path`, or `_id`, for `id`).
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// What kind of text a data set holds: prose has no functions to make segments of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// Source code.
    #[default]
    Code,
    /// Natural language.
    Prose,
}

/// Every role of a record that anything asks for.
pub(super) const ROLES: &[&str] = &[
    "id",
    "_id",
    "text",
    "language",
    "repo_name",
    "path",
    "context",
    "input",
    "answers",
    "length",
    "metadata",
    "domain",
    "question",
    "options",
    "answer",
    "choice_A",
    "choice_B",
    "choice_C",
    "choice_D",
    "prompt",
    "correct_letter",
    "repo",
    "content",
    "dependency",
    "needles",
    "cropped_code",
    "file_path",
    "import_statement",
    "next_line",
    "completion_file",
    "completion_lines",
    "repo_snapshot",
    "right_context",
    "full_right_context",
    "crossfile_context",
    "groundtruth",
];

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file and line or key: not readable, not TOML, a key that is unknown,
    /// missing or of the wrong type, a name that is not the file's, an unknown format.
    pub fn load(path: &Path) -> Result<Manifest> {
        let text = read_text(path, ErrorKind::Dataset)?;
        let manifest: Manifest = toml::from_str(&text).map_err(|e| wrong_toml(path, &text, &e))?;
        manifest.check(path).map_err(|e| e.in_file(path))?;
        Ok(manifest)
    }

    /// The manifest of data without one: everything by default.
    pub(super) fn of_data(path: &Path, format: &str) -> Manifest {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Manifest {
            name: name.into_owned(),
            what: "data named by path, without a manifest".into(),
            licence: "not stated".into(),
            source: path.display().to_string(),
            obtain: "already there".into(),
            format: format.into(),
            path: path.to_path_buf(),
            language: None,
            text_kind: TextKind::Code,
            fields: BTreeMap::new(),
        }
    }

    /// How to make records from the data.
    pub(super) fn making(&self) -> Making {
        let written_in = match self.text_kind {
            TextKind::Code => WrittenIn::Code(self.language),
            TextKind::Prose => WrittenIn::Prose,
        };
        Making { roles: Roles::new(&self.fields), written_in, shard: None }
    }

    /// The path of the data, for a manifest read from `manifest_path`.
    pub(super) fn data_path(&self, manifest_path: &Path) -> PathBuf {
        manifest_path.parent().unwrap_or(Path::new("")).join(&self.path)
    }

    fn check(&self, path: &Path) -> Result<()> {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if self.name != stem {
            let what = format!("the manifest is named \"{}\" and its file \"{stem}\"", self.name);
            return Err(Error::new(ErrorKind::Dataset, what)
                .at("name")
                .fix(format!("write name = \"{stem}\", or rename the file to {}.toml", self.name)));
        }
        let format = format_named(&self.format).ok_or_else(|| unknown_format(&self.format))?;
        if format.is_tree() {
            self.check_tree()?;
        }
        if let (TextKind::Prose, Some(language)) = (self.text_kind, self.language) {
            return Err(Error::new(
                ErrorKind::Dataset,
                format!("text_kind is \"prose\", and language \"{language}\""),
            )
            .at("text_kind")
            .fix("prose is in no programming language: take one of the two out"));
        }
        self.check_roles()
    }

    /// Refuses keys that do not apply to a source tree.
    fn check_tree(&self) -> Result<()> {
        let language = self.language.map(|_| "language");
        let kind = (self.text_kind == TextKind::Prose).then_some("text_kind");
        let fields = (!self.fields.is_empty()).then_some("fields");
        match language.or(kind).or(fields) {
            None => Ok(()),
            Some(key) => {
                let what = format!(
                    "`{key}` does nothing for a source tree: each file has its language by its extension"
                );
                Err(Error::new(ErrorKind::Dataset, what).at(key).fix("take the key out"))
            }
        }
    }

    /// Refuses a role that no task asks for: most likely it is misspelt.
    fn check_roles(&self) -> Result<()> {
        match self.fields.keys().find(|role| !ROLES.contains(&role.as_str())) {
            None => Ok(()),
            Some(role) => Err(Error::new(ErrorKind::Dataset, format!("no task asks for a role `{role}`"))
                .at("fields")
                .fix(format!("use roles of these: {}", ROLES.join(", ")))),
        }
    }
}

fn wrong_toml(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let what = error.message().lines().collect::<Vec<_>>().join(" ");
    let place = match error.span() {
        Some(span) => format!("{}:{}", path.display(), text[..span.start].matches('\n').count() + 1),
        None => path.display().to_string(),
    };
    Error::new(ErrorKind::Dataset, what).at(place).fix("see datasets/README.md for a manifest's keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = \"tiny\"\nwhat = \"w\"\nlicence = \"MIT\"\nsource = \"s\"\nobtain = \"o\"\n\
        format = \"jsonl\"\npath = \"data/tiny.jsonl\"\n";

    fn load(text: &str) -> Result<Manifest> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tiny.toml");
        std::fs::write(&path, text).unwrap();
        Manifest::load(&path)
    }

    #[test]
    fn the_optional_keys_have_defaults() {
        let manifest = load(GOOD).unwrap();
        assert_eq!((manifest.language, manifest.text_kind), (None, TextKind::Code));
        assert!(manifest.fields.is_empty());
        assert_eq!(manifest.data_path(Path::new("d/tiny.toml")), Path::new("d/data/tiny.jsonl"));
    }

    #[test]
    fn every_key_is_read() {
        let more = "language = \"java\"\ntext_kind = \"code\"\n[fields]\nanswers = \"output\"\n";
        let manifest = load(&format!("{GOOD}{more}")).unwrap();
        assert_eq!((manifest.language, manifest.text_kind), (Some(Language::Java), TextKind::Code));
        assert_eq!(manifest.fields["answers"], "output");
        let prose = load(&format!("{GOOD}text_kind = \"prose\"\n")).unwrap();
        assert_eq!(prose.making().written_in, WrittenIn::Prose);
    }

    #[test]
    fn keys_that_would_do_nothing_are_refused() {
        let tree = GOOD.replace("\"jsonl\"", "\"source_tree\"");
        for (text, what, place) in [
            (format!("{tree}language = \"python\"\n"), "`language` does nothing", "tiny.toml: language"),
            (format!("{tree}text_kind = \"prose\"\n"), "`text_kind` does nothing", "tiny.toml: text_kind"),
            (format!("{tree}[fields]\ntext = \"t\"\n"), "`fields` does nothing", "tiny.toml: fields"),
            (
                format!("{GOOD}language = \"python\"\ntext_kind = \"prose\"\n"),
                "\"prose\", and language \"python\"",
                "tiny.toml: text_kind",
            ),
            (format!("{GOOD}[fields]\ntxet = \"t\"\n"), "role `txet`", "tiny.toml: fields"),
        ] {
            let error = load(&text).unwrap_err();
            assert!(error.what.contains(what) && error.fix.is_some(), "{error}");
            assert!(error.place.as_ref().unwrap().ends_with(place), "{error}");
        }
    }

    #[test]
    fn errors_name_the_line_or_the_key() {
        let cases = [
            (format!("{GOOD}liscense = \"MIT\"\n"), "liscense", "tiny.toml:8"),
            (format!("{GOOD}language = \"cobol\"\n"), "cobol", "tiny.toml:8"),
            (GOOD.replace("what = \"w\"\n", ""), "what", "tiny.toml"),
            (GOOD.replace("\"MIT\"", "\"MIT"), "", "tiny.toml:3"),
            (GOOD.replace("\"jsonl\"", "\"csv\""), "csv", "tiny.toml: format"),
            (GOOD.replace("\"tiny\"", "\"big\""), "big", "tiny.toml: name"),
        ];
        for (text, what, place) in cases {
            let error = load(&text).unwrap_err();
            assert!(error.what.contains(what), "{error}");
            assert!(error.place.as_ref().unwrap().contains(place), "{error}");
            assert!(error.fix.is_some(), "{error}");
        }
    }
}
