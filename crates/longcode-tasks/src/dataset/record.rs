//! A record: one document or question of a data set, its fields asked for by role.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::manifest::ROLES;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::messages::note_once;
use longcode_structure::Language;

/// One document or question of a data set.
#[derive(Debug, Clone)]
pub struct Record {
    /// Unique in the data set, and the same whenever it is read.
    pub id: String,
    /// The language of its code, if known and supported.
    pub language: Option<Language>,
    /// Where it was read.
    pub origin: Origin,
    /// The fields by their names in the data.
    fields: Map<String, Value>,
    /// Fields that hold what cannot be kept, and what that is.
    unreadable: Vec<(String, &'static str)>,
    roles: Roles,
}

/// How the records of a data set are made from what is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Making {
    /// Which field plays which role.
    pub roles: Roles,
    /// What the records are written in.
    pub written_in: WrittenIn,
    /// In a data set of several files, the one that is read: names that count lines begin with it.
    pub shard: Option<String>,
}

/// What records are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrittenIn {
    /// The language that they name, or this default.
    Code(Option<Language>),
    /// Not in a programming language, whatever they name.
    Prose,
}

impl Default for WrittenIn {
    fn default() -> WrittenIn {
        WrittenIn::Code(None)
    }
}

/// Where a record comes from; shown as `file:line` or `file: entry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Arc<Path>,
    /// Where in it.
    pub at: Location,
}

/// Where in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A line, or a row of a table, counted from 1.
    Line(usize),
    /// An entry of a document, such as `[3]` or `python[3]`, counted from 0.
    Entry(String),
}

impl Origin {
    /// A line of a file.
    pub fn line(file: impl Into<Arc<Path>>, line: usize) -> Origin {
        Origin { file: file.into(), at: Location::Line(line) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Location::Line(line) => write!(f, "{}:{line}", self.file.display()),
            Location::Entry(entry) => write!(f, "{}: {entry}", self.file.display()),
        }
    }
}

/// Which field plays which role; shared by the records of a data set.
#[derive(Debug, Clone, Default)]
pub(super) struct Roles(Arc<BTreeMap<String, String>>);

impl Roles {
    /// The roles of the manifest's `[fields]`; if empty, the usual names.
    pub(super) fn new(fields: &BTreeMap<String, String>) -> Roles {
        Roles(Arc::new(fields.clone()))
    }

    /// Whether a field with this name may be asked for.
    pub(super) fn ask_for(&self, key: &str) -> bool {
        if self.are_usual() { ROLES.contains(&key) } else { self.0.values().any(|mapped| mapped == key) }
    }

    /// Whether fields have their usual names. Then the names of others are kept, to be listed where one is missing.
    pub(super) fn are_usual(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields that may play the role, best first; none if a manifest leaves the role out.
    fn keys<'r, 's: 'r>(&'s self, role: &'r str) -> Vec<&'r str> {
        match role {
            "text" if self.are_usual() => vec!["content", "text"],
            _ if self.are_usual() => vec![role],
            _ => self.0.get(role).map(String::as_str).into_iter().collect(),
        }
    }

    /// Roles that every record must have: those a manifest names, except `language`, which has a default.
    fn required(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|role| *role != "language")
    }
}

impl Record {
    /// Makes a record of what was read.
    ///
    /// # Errors
    /// A role that the manifest maps has no value; the id is neither text nor an integer; the language is not
    /// text.
    pub(super) fn new(fields: Fields, origin: Origin, making: &Making) -> Result<Record> {
        let Fields { mut values, unreadable, .. } = fields;
        values.retain(|key, _| making.roles.are_usual() || making.roles.ask_for(key));
        if making.roles.are_usual()
            && let [Some(Value::String(content)), Some(Value::String(text))] =
                ["content", "text"].map(|key| values.get(key))
            && content != text
        {
            note_once(
                "records have `content` and `text` that differ; `content` is read, unless [fields] of a manifest says \
                 otherwise",
            );
        }
        let roles = making.roles.clone();
        let mut record =
            Record { id: String::new(), language: None, origin, fields: values, unreadable, roles };
        for role in record.roles.required() {
            record.present(role)?;
        }
        record.id = record.find_id(making.shard.as_deref())?;
        record.language = match making.written_in {
            WrittenIn::Code(default) => record.find_language(default)?,
            WrittenIn::Prose => None,
        };
        Ok(record)
    }

    /// The value of a role; none when the record has no such field, or null.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field, if it holds something that cannot be read, such
    /// as NaN.
    pub fn get(&self, role: &str) -> Result<Option<&Value>> {
        Ok(self.entry(role)?.map(|(_, value)| value))
    }

    /// The text of a role.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field, if it is missing or not text.
    pub fn text(&self, role: &str) -> Result<&str> {
        let (key, value) = self.required(role)?;
        value.as_str().ok_or_else(|| self.wrong_type(key, value, "text"))
    }

    /// The texts of a role; a single text counts as a list of one.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field, if it is missing, or neither text nor a list of
    /// texts.
    pub fn texts(&self, role: &str) -> Result<Vec<&str>> {
        let (key, value) = self.required(role)?;
        let texts = match value {
            Value::Array(items) => items.iter().map(Value::as_str).collect(),
            one => one.as_str().map(|text| vec![text]),
        };
        texts.ok_or_else(|| self.wrong_type(key, value, "a list of texts"))
    }

    /// The integer of a role, which must not be negative.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field, if it is missing or not such a number.
    pub fn count(&self, role: &str) -> Result<usize> {
        let (key, value) = self.required(role)?;
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
        count.ok_or_else(|| self.wrong_type(key, value, "a whole number of at least 0"))
    }

    /// The field that plays the role and is present, or holds something that cannot be read.
    fn field<'r, 's: 'r>(&'s self, role: &'r str) -> Option<(&'r str, &'s Value)> {
        let mut fields =
            self.roles.keys(role).into_iter().filter_map(|key| Some((key, self.fields.get(key)?)));
        fields.find(|(key, value)| !value.is_null() || self.why_unreadable(key).is_some())
    }

    fn why_unreadable(&self, key: &str) -> Option<&'static str> {
        Some(self.unreadable.iter().find(|(name, _)| name == key)?.1)
    }

    fn entry<'r, 's: 'r>(&'s self, role: &'r str) -> Result<Option<(&'r str, &'s Value)>> {
        let Some((key, value)) = self.field(role) else { return Ok(None) };
        match self.why_unreadable(key) {
            None => Ok(Some((key, value))),
            Some(why) => Err(Error::new(ErrorKind::Dataset, format!("field `{key}` holds {why}"))
                .at(&self.origin)
                .fix("fix the record: write null, or a text that is UTF-8")),
        }
    }

    /// Refuses a record that lacks the role. What cannot be read is reported when it is asked for.
    fn present(&self, role: &str) -> Result<()> {
        self.field(role).map(|_| ()).ok_or_else(|| self.missing(role))
    }

    fn required<'r, 's: 'r>(&'s self, role: &'r str) -> Result<(&'r str, &'s Value)> {
        self.entry(role)?.ok_or_else(|| self.missing(role))
    }

    fn find_id(&self, shard: Option<&str>) -> Result<String> {
        let id = match self.entry("id")? {
            Some(id) => Some(id),
            None => self.entry("_id")?,
        };
        if let Some((key, value)) = id {
            return match value {
                Value::String(id) => Ok(id.clone()),
                Value::Number(id) if !id.is_f64() => Ok(id.to_string()),
                _ => Err(self.wrong_type(key, value, "text or a whole number")),
            };
        }
        let text = |role| self.get(role).map(|value| value.and_then(Value::as_str));
        Ok(match (text("repo_name")?, text("path")?) {
            (Some(repo), Some(path)) => format!("{repo}/{path}"),
            (None, Some(path)) => path.to_owned(),
            (_, None) => {
                let place = match &self.origin.at {
                    Location::Line(line) => format!("line {line}"),
                    Location::Entry(entry) => entry.clone(),
                };
                shard.map_or(place.clone(), |shard| format!("{shard}: {place}"))
            }
        })
    }

    fn find_language(&self, default: Option<Language>) -> Result<Option<Language>> {
        if let Some((key, value)) = self.entry("language")? {
            let name = value.as_str().ok_or_else(|| self.wrong_type(key, value, "text"))?;
            // A language without a parser here (the Stack has Ruby) is not an error: the record then has
            // none.
            return Ok(name.parse().ok());
        }
        let path = self.get("path")?.and_then(Value::as_str);
        Ok(default.or_else(|| Language::of_path(Path::new(path?))))
    }

    fn missing(&self, role: &str) -> Error {
        let keys: Vec<_> = self.roles.keys(role).iter().map(|key| format!("`{key}`")).collect();
        let error = if keys.is_empty() {
            Error::new(ErrorKind::Dataset, format!("the dataset's manifest maps no field to `{role}`"))
                .fix(format!("add {role} = \"FIELD\" under [fields] of the manifest"))
        } else {
            let has: Vec<_> = self.fields.keys().map(String::as_str).collect();
            let has = if has.is_empty() { "none of the mapped fields".into() } else { has.join(", ") };
            Error::new(ErrorKind::Dataset, format!("no field {}", keys.join(" or "))).fix(format!(
                "the record has {has}: map `{role}` to one of its fields under [fields] of a manifest, or fix the line"
            ))
        };
        error.at(&self.origin)
    }

    fn wrong_type(&self, key: &str, value: &Value, wanted: &str) -> Error {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Error::new(ErrorKind::Dataset, format!("field `{key}` is {found}, not {wanted}"))
            .at(&self.origin)
            .fix("fix the line, or map the role to another field under [fields] of a manifest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str, roles: &[(&str, &str)], default: Option<Language>) -> Result<Record> {
        let Value::Object(values) = serde_json::from_str(json).unwrap() else { panic!("not an object") };
        let roles = roles.iter().map(|(role, key)| (role.to_string(), key.to_string())).collect();
        let making = Making { roles: Roles::new(&roles), written_in: WrittenIn::Code(default), shard: None };
        Record::new(Fields { values, ..Fields::default() }, Origin::line(Path::new("d.jsonl"), 7), &making)
    }

    fn usual(json: &str) -> Record {
        record(json, &[], None).unwrap()
    }

    #[test]
    fn the_usual_names_are_understood() {
        let codeparrot = usual(
            r#"{"repo_name":"a/b","path":"c/d.py","copies":"1","size":"9","content":"x = 1","license":"mit",
                "hash":-5}"#,
        );
        assert_eq!(codeparrot.id, "a/b/c/d.py");
        assert_eq!(codeparrot.text("text").unwrap(), "x = 1");
        assert_eq!(codeparrot.language, Some(Language::Python));
        let longbench = usual(r#"{"_id":"ab12","context":"c","language":"Java","all_classes":null}"#);
        assert_eq!((longbench.id.as_str(), longbench.language), ("ab12", Some(Language::Java)));
        assert_eq!(usual(r#"{"path":"a.py","text":"t"}"#).id, "a.py");
        assert_eq!(usual(r#"{"text":"t"}"#).id, "line 7");
    }

    #[test]
    fn content_goes_before_text() {
        assert_eq!(usual(r#"{"text":"a","content":"b"}"#).text("text").unwrap(), "b");
    }

    #[test]
    fn a_manifest_maps_roles_and_drops_the_rest() {
        let roles = [("text", "body"), ("id", "hash"), ("answers", "output"), ("length", "n")];
        let record = record(
            r#"{"body":"b","hash":-5,"output":["x","y"],"n":3,"rest":"r"}"#,
            &roles,
            Some(Language::Java),
        )
        .unwrap();
        assert_eq!((record.id.as_str(), record.language), ("-5", Some(Language::Java)));
        assert_eq!(record.text("text").unwrap(), "b");
        assert_eq!(record.texts("answers").unwrap(), ["x", "y"]);
        assert_eq!(record.texts("text").unwrap(), ["b"]);
        assert_eq!(record.count("length").unwrap(), 3);
        assert!(record.get("rest").unwrap().is_none());
        assert!(record.text("rest").unwrap_err().fix.unwrap().contains("rest = \"FIELD\""));
    }

    #[test]
    fn a_language_of_its_own_goes_before_the_default() {
        let language_of = |json| record(json, &[], Some(Language::Java)).unwrap().language;
        assert_eq!(language_of(r#"{"language":"python"}"#), Some(Language::Python));
        assert_eq!(language_of(r#"{"language":"csharp"}"#), Some(Language::CSharp));
        assert_eq!(language_of(r#"{"language":"C++"}"#), Some(Language::Cpp));
        assert_eq!(language_of(r#"{"language":"ruby"}"#), None);
        assert_eq!(language_of(r#"{"path":"a.py"}"#), Some(Language::Java));
    }

    #[test]
    fn prose_is_in_no_language() {
        let Value::Object(values) = serde_json::from_str(r#"{"language":"c","path":"a.py"}"#).unwrap() else {
            panic!("an object")
        };
        let making = Making { written_in: WrittenIn::Prose, ..Making::default() };
        let record = Record::new(
            Fields { values, ..Fields::default() },
            Origin::line(Path::new("d.jsonl"), 1),
            &making,
        );
        assert_eq!(record.unwrap().language, None);
    }

    #[test]
    fn a_missing_mapped_field_is_refused_when_read() {
        let error = record(r#"{"text":"t"}"#, &[("text", "body")], None).unwrap_err();
        assert!(error.what.contains("`body`"));
        assert_eq!(error.place.as_deref(), Some("d.jsonl:7"));
        let null = record(r#"{"body":null}"#, &[("text", "body")], None).unwrap_err();
        assert!(null.what.contains("`body`"));
        assert!(record(r#"{"body":"b"}"#, &[("text", "body"), ("language", "lang")], None).is_ok());
    }

    #[test]
    fn errors_name_line_field_and_type() {
        let text = usual(r#"{"content":3,"answers":["a",1],"length":-1}"#);
        let errors = [
            (text.text("text").unwrap_err(), "`content` is a number"),
            (text.texts("answers").unwrap_err(), "`answers` is a list"),
            (text.count("length").unwrap_err(), "`length` is a number"),
            (text.text("context").unwrap_err(), "no field `context`"),
            (usual("{}").text("text").unwrap_err(), "no field `content` or `text`"),
            (record(r#"{"_id":[1]}"#, &[], None).unwrap_err(), "`_id` is a list"),
            (record(r#"{"language":1}"#, &[], None).unwrap_err(), "`language` is a number"),
        ];
        for (error, what) in errors {
            assert!(error.what.contains(what), "{error}");
            assert_eq!(error.place.as_deref(), Some("d.jsonl:7"));
            assert!(error.fix.is_some() && error.kind == ErrorKind::Dataset);
        }
    }
}
