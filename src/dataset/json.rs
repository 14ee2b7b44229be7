//! One JSON document, plain or gzip: an array whose objects are the records, or an object of such arrays, whose records
//! have the key of their array as the field `key` (RepoQA's languages).

use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;

use super::record::{Location, Origin, Record, Roles};
use super::{Dataset, Format, plain_or_gzip};
use crate::error::{Error, ErrorKind, Result};

pub(super) const ENTRY: Format = Format { name: "json", takes, read, files };

/// The field that holds the key of a record's array.
const KEY: &str = "key";

/// A file that says `.json` and is an array: an object may as well be the first of JSON lines.
fn takes(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_array = || {
        let mut bytes = plain_or_gzip(path).ok()?;
        let start = bytes.fill_buf().ok()?.trim_ascii_start();
        Some(start.starts_with(b"["))
    };
    path.is_file() && name.strip_suffix(".gz").unwrap_or(&name).ends_with(".json") && is_array() == Some(true)
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(vec![path.to_path_buf()])
}

fn read(dataset: &Dataset) -> Result<Vec<Result<Record>>> {
    let mut records = Vec::new();
    let document = Document { dataset, roles: Roles::new(&dataset.manifest.fields), records: &mut records };
    let mut json = serde_json::Deserializer::from_reader(plain_or_gzip(&dataset.path)?);
    let read = document.deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|e| damaged(dataset, &e)).map(|()| records)
}

fn damaged(dataset: &Dataset, error: &serde_json::Error) -> Error {
    let origin = Origin::line(&dataset.path, error.line());
    let (what, fix) = match error.classify() {
        Category::Eof => ("the JSON does not end".to_string(), "the file was cut off: get it again"),
        Category::Io => (format!("cannot read: {error}"), "get the file again; check its permissions"),
        Category::Data => (
            format!("the JSON is of another form: {error}"),
            "give an array of objects, or an object of such arrays",
        ),
        Category::Syntax => (
            format!("not JSON: {error}"),
            "give one JSON document, or a manifest with format = \"jsonl\" for an object a line",
        ),
    };
    Error::new(ErrorKind::Dataset, what).at(origin).fix(fix)
}

/// Takes the records of a document one by one, so that fields that no role asks for are never all in memory.
struct Document<'a> {
    dataset: &'a Dataset,
    roles: Roles,
    records: &'a mut Vec<Result<Record>>,
}

impl Document<'_> {
    fn take(&mut self, value: Value, number: usize, key: Option<&str>) {
        let entry = format!("{}[{number}]", key.unwrap_or_default());
        let origin = Origin { file: self.dataset.path.clone(), at: Location::Entry(entry) };
        let Value::Object(mut fields) = value else {
            let error = Error::new(ErrorKind::Dataset, "the entry is not an object").at(&origin);
            return self.records.push(Err(error.fix("write each record as {\"field\": value, ...}")));
        };
        if let Some(key) = key {
            fields.insert(KEY.into(), key.into());
        }
        let record = Record::new(fields, origin, self.roles.clone(), self.dataset.manifest.language);
        self.records.push(record);
    }
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects, or an object of such arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> std::result::Result<(), A::Error> {
        let mut number = 0;
        while let Some(value) = array.next_element()? {
            self.take(value, number, None);
            number += 1;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> std::result::Result<(), A::Error> {
        while let Some((key, values)) = object.next_entry::<String, Vec<Value>>()? {
            for (number, value) in values.into_iter().enumerate() {
                self.take(value, number, Some(&key));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::structure::Language;

    fn read(bytes: &[u8], fields: &str) -> Result<(Vec<Record>, Vec<Error>)> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("datasets")).unwrap();
        std::fs::write(dir.path().join("d.json"), bytes).unwrap();
        let manifest = "name = \"d\"\nwhat = \"w\"\nlicence = \"MIT\"\nsource = \"s\"\nobtain = \"o\"\nformat = \"json\"\n\
                        path = \"../d.json\"\n";
        std::fs::write(dir.path().join("datasets/d.toml"), format!("{manifest}{fields}")).unwrap();
        Dataset::open("d", &[dir.path().into()]).unwrap().whole_records()
    }

    #[test]
    fn an_array_is_read_without_a_manifest_too() {
        let dir = tempfile::tempdir().unwrap();
        let text = b" [\n{\"text\":\"a\"},\n{\"text\":\"b\",\"id\":\"x\"}]\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text).unwrap();
        for bytes in [&text[..], &gzip.finish().unwrap()] {
            std::fs::write(dir.path().join("d.json"), bytes).unwrap();
            let records = Dataset::open("d.json", &[dir.path().into()]).unwrap().records().unwrap();
            let ids: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
            assert_eq!(ids, ["[0]", "x"]);
            assert!(records[1].origin.to_string().ends_with("d.json: [1]"));
        }
    }

    #[test]
    fn the_key_of_an_array_is_a_field() {
        let fields = "[fields]\ntext = \"body\"\nlanguage = \"key\"\n";
        let bytes = b"{\"python\":[{\"body\":\"a\"}],\"java\":[{\"body\":\"b\",\"rest\":1}]}";
        let (records, _) = read(bytes, fields).unwrap();
        assert_eq!(records[0].language, Some(Language::Python));
        assert_eq!((records[1].language, records[1].id.as_str()), (Some(Language::Java), "java[0]"));
        assert!(records[1].get("rest").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (whole, refused) = read(b"[{\"text\":\"a\"}, 3, {\"id\":[]}]", "").unwrap();
        assert_eq!((whole.len(), refused.len()), (1, 2));
        assert!(refused[0].to_string().contains("d.json: [1]") && refused[0].what.contains("not an object"));
        for (bytes, what, line) in [
            (&b"[{\"text\":\"a\"},\n{\"te"[..], "does not end", 2),
            (b"[\n\n{text}]", "not JSON", 3),
            (b"{\"python\": 3}", "of another form", 1),
            (b"3", "an array of objects", 1),
            (b"[] []", "trailing", 1),
        ] {
            let error = read(bytes, "").unwrap_err();
            assert!(error.what.contains(what), "{error}");
            assert!(error.place.as_ref().unwrap().ends_with(&format!("d.json:{line}")), "{error}");
            assert!(error.fix.is_some());
        }
    }
}
