//! One JSON document, plain or gzip: an array whose objects are the records, or an object of such arrays,
//! whose records get the key of their array as the field `key` (RepoQA's languages).

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::fields::{Entry, EntrySeed};
use super::gathered::Gathered;
use super::lenient::{Lenient, Mark};
use super::record::{Location, Making, Origin, Record};
use super::{Format, open};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits;

pub(super) const ENTRY: Format = Format { name: "json", takes, read, files: None };

/// The field that holds the key of a record's array.
const KEY: &str = "key";

/// A file named `.json` that is an array: an object may as well be the first of JSON lines.
fn takes(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_file()
        && name.strip_suffix(".gz").unwrap_or(&name).ends_with(".json")
        && open::plain_or_gzip(path).ok().and_then(|mut bytes| first_byte(&mut bytes)) == Some(b'[')
}

/// The first byte that is not white space, near the beginning.
fn first_byte(bytes: &mut dyn BufRead) -> Option<u8> {
    bytes.fill_buf().ok()?.trim_ascii_start().first().copied()
}

fn read(file: &Path, making: &Making, gathered: &mut Gathered) -> Result<()> {
    let so_far = gathered.so_far();
    let error = match strict(file, making, gathered)? {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    // If that was the reason, try again without what the standard does not allow.
    gathered.go_back(so_far);
    match error.classify() {
        Category::Syntax if lenient(file, making, gathered)? => Ok(()),
        _ => Err(damaged(file, &error)),
    }
}

/// Reads the document strictly; the inner error is the parser's.
fn strict(file: &Path, making: &Making, gathered: &mut Gathered) -> Result<serde_json::Result<()>> {
    let bytes = Metered::new(open::plain_or_gzip(file)?);
    let since = bytes.since.clone();
    document(
        bytes,
        Document { file, shared: file.into(), making, gathered, since, marks: None, failed: None },
    )
}

/// Whether the document can be read without what the standard does not allow.
fn lenient(file: &Path, making: &Making, gathered: &mut Gathered) -> Result<bool> {
    let mut bytes = open::plain_or_gzip(file)?;
    let depth = if first_byte(&mut bytes) == Some(b'{') { 2 } else { 1 };
    let lenient = Lenient::new(bytes, depth);
    let marks = lenient.marks();
    let bytes = Metered::new(lenient);
    let since = bytes.since.clone();
    let take = move |record| {
        let mut marks = marks.borrow_mut();
        let of_record = marks.iter().filter(|mark| mark.record == record).cloned().collect();
        marks.retain(|mark| mark.record > record);
        of_record
    };
    let marks: Option<Box<dyn FnMut(usize) -> Vec<Mark>>> = Some(Box::new(take));
    Ok(document(bytes, Document { file, shared: file.into(), making, gathered, since, marks, failed: None })?
        .is_ok())
}

/// Reads a document; the inner error is the parser's, the outer one the recipient's.
fn document(bytes: impl Read, mut document: Document) -> Result<serde_json::Result<()>> {
    let mut json = serde_json::Deserializer::from_reader(io::BufReader::new(bytes));
    let read = document.deserialize(&mut json).and_then(|()| json.end());
    match document.failed {
        Some(error) => Err(error),
        None => Ok(read),
    }
}

fn damaged(file: &Path, error: &serde_json::Error) -> Error {
    let (what, fix) = match error.classify() {
        Category::Eof => ("the JSON does not end".to_string(), "the file was cut off: get it again"),
        Category::Io => (
            format!("cannot read: {error}"),
            "get the file again; check its permissions; SECURITY.md lists the limits",
        ),
        Category::Data => (
            format!("the JSON is of another form: {error}"),
            "give an array of objects, or an object of such arrays",
        ),
        Category::Syntax => (
            format!("not JSON: {error}"),
            "give one JSON document, or a manifest with format = \"jsonl\" for an object a line",
        ),
    };
    Error::new(ErrorKind::Dataset, what).at(Origin::line(file, error.line())).fix(fix)
}

/// Bytes of a document, which end with an error if no record ends for too long.
struct Metered<R> {
    inner: R,
    /// Bytes since the last record.
    since: Rc<Cell<usize>>,
}

impl<R: Read> Metered<R> {
    fn new(inner: R) -> Metered<R> {
        Metered { inner, since: Rc::default() }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.since.set(self.since.get().saturating_add(read));
        if self.since.get() > limits::RECORD_BYTES {
            let what = format!("a record has more than {} bytes", limits::RECORD_BYTES);
            Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
        } else {
            Ok(read)
        }
    }
}

/// Takes the records of a document one by one, so that fields that no role asks for are never all in memory.
struct Document<'a> {
    file: &'a Path,
    /// The same, for the records.
    shared: Arc<Path>,
    making: &'a Making,
    gathered: &'a mut Gathered,
    /// Bytes since the last record.
    since: Rc<Cell<usize>>,
    /// What was taken out of an object or list in the place of a record, by its number.
    marks: Option<Box<dyn FnMut(usize) -> Vec<Mark>>>,
    /// Why no more records are taken.
    failed: Option<Error>,
}

impl Document<'_> {
    /// Takes the entry with that number in its list, and that number among all objects and lists.
    fn take<E: serde::de::Error>(
        &mut self,
        entry: Entry,
        number: usize,
        key: Option<&str>,
        of_all: &mut usize,
    ) -> std::result::Result<(), E> {
        self.since.set(0);
        let place = format!("{}[{number}]", key.unwrap_or_default());
        let origin = Origin { file: self.shared.clone(), at: Location::Entry(place) };
        let count = *of_all;
        *of_all += usize::from(!matches!(entry, Entry::Other));
        let Entry::Object(mut fields) = entry else {
            let error = Error::new(ErrorKind::Dataset, "the entry is not an object").at(&origin);
            return self.give(Err(error.fix("write each record as {\"field\": value, ...}")), 0);
        };
        let marks = self.marks.as_mut().map(|marks| marks(count)).unwrap_or_default();
        marks.into_iter().for_each(|mark| fields.mark(mark));
        if let Some(key) = key {
            fields.values.insert(KEY.into(), key.into());
        }
        let bytes = fields.bytes;
        self.give(Record::new(fields, origin, self.making), bytes)
    }

    fn give<E: serde::de::Error>(
        &mut self,
        record: Result<Record>,
        bytes: usize,
    ) -> std::result::Result<(), E> {
        self.gathered.take(record, bytes, self.file).map_err(|error| {
            let shown = E::custom(&error.what);
            self.failed = Some(error);
            shown
        })
    }
}

impl<'de> DeserializeSeed<'de> for &mut Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects, or an object of such arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> std::result::Result<(), A::Error> {
        List { document: self, key: None, of_all: &mut 0 }.visit_seq(array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<(), A::Error> {
        let mut of_all = 0;
        while let Some(key) = object.next_key::<String>()? {
            object.next_value_seed(List { document: self, key: Some(&key), of_all: &mut of_all })?;
        }
        Ok(())
    }
}

/// A list of records.
struct List<'a, 'd> {
    document: &'a mut Document<'d>,
    key: Option<&'a str>,
    of_all: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> std::result::Result<(), A::Error> {
        let List { document, key, of_all } = self;
        let mut number = 0;
        while let Some(entry) = array.next_element_seed(EntrySeed { roles: &document.making.roles })? {
            document.take(entry, number, key, of_all)?;
            number += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::Dataset;
    use super::*;
    use longcode_structure::Language;

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
        assert!(records[1].get("rest").unwrap().is_none());
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

    #[test]
    fn what_json_does_not_have_harms_only_who_asks_for_it() {
        let bytes = b"[{\"text\":\"a\",\"score\":NaN},[NaN],3,{\"text\":\"\\udc00\"},{\"text\":\"b\"}]";
        let (records, refused) = read(bytes, "").unwrap();
        assert_eq!((records.len(), refused.len()), (3, 2));
        assert_eq!((records[0].text("text").unwrap(), records[2].text("text").unwrap()), ("a", "b"));
        assert!(records[0].get("score").unwrap_err().what.contains("`score` holds NaN"));
        assert!(records[1].text("text").unwrap_err().to_string().contains("d.json: [3]"));
        let bytes = b"{\"python\":[{\"text\":\"a\"}],\"java\":[{\"text\":\"b\",\"n\":-Infinity}]}";
        let (records, _) = read(bytes, "").unwrap();
        assert!(records[0].get("n").unwrap().is_none() && records[1].get("n").is_err());
    }

    #[test]
    fn json_nested_deep_is_an_error() {
        let deep = "[".repeat(100_000);
        for text in [deep.clone(), format!("[{{\"text\":{deep}"), format!("{{\"a\":{deep}")] {
            let error = read(text.as_bytes(), "").unwrap_err();
            assert!(error.place.as_ref().unwrap().ends_with("d.json:1") && error.fix.is_some(), "{error}");
        }
    }
}
