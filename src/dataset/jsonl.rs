//! JSON lines: one object a line, plain or gzip, whichever the first bytes say. Read line by line.

use std::io::{BufRead, ErrorKind as IoErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::record::{Origin, Record, Roles};
use super::{Dataset, Format, plain_or_gzip};
use crate::error::{Error, ErrorKind, Result};

pub(super) const ENTRY: Format = Format { name: "jsonl", takes, read, files };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn takes(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    path.is_file() && (name.ends_with(".jsonl") || name.ends_with(".json"))
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(vec![path.to_path_buf()])
}

fn read(dataset: &Dataset) -> Result<Vec<Result<Record>>> {
    let roles = Roles::new(&dataset.manifest.fields);
    let mut lines = Lines::open(&dataset.path)?;
    let mut records = Vec::new();
    while let Some((origin, line)) = lines.next()? {
        let object = parse(&line, &origin);
        let record = |object| Record::new(object, origin, roles.clone(), dataset.manifest.language);
        records.push(object.and_then(record));
    }
    Ok(records)
}

fn parse(line: &[u8], origin: &Origin) -> Result<Map<String, Value>> {
    let text = std::str::from_utf8(line).map_err(|e| {
        wrong(origin, format!("not valid UTF-8 at byte {} of the line", e.valid_up_to()))
            .fix("convert the file to UTF-8; an archive (.zip) must be unpacked to JSON lines first")
    })?;
    let value = serde_json::from_str(text).map_err(|e| {
        if e.is_eof() {
            wrong(origin, "the line is cut short: its JSON does not end").fix(
                "write each record on one line; if it is, the file was cut off: get it again. One JSON document that \
                 goes over several lines is read by a manifest with format = \"json\"",
            )
        } else {
            wrong(origin, format!("not JSON: {e}")).fix("mend the line: one JSON object a line")
        }
    })?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(wrong(origin, "the line is JSON, but not an object")
            .fix("write each record as {\"field\": value, ...} on a line of its own")),
    }
}

fn wrong(origin: &Origin, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Dataset, what).at(origin)
}

/// The lines of a file, numbered, without their ends. Blank lines are let pass at the end of the file only.
struct Lines {
    reader: Box<dyn BufRead>,
    file: PathBuf,
    line: usize,
}

impl Lines {
    fn open(path: &Path) -> Result<Lines> {
        Ok(Lines { reader: plain_or_gzip(path)?, file: path.to_path_buf(), line: 0 })
    }

    fn next(&mut self) -> Result<Option<(Origin, Vec<u8>)>> {
        let mut blank = None;
        while let Some(line) = self.read_line()? {
            let origin = Origin::line(&self.file, self.line);
            if line.trim_ascii().is_empty() {
                blank.get_or_insert(origin);
            } else if let Some(blank) = blank {
                return Err(wrong(&blank, "an empty line between records").fix("take the empty line out"));
            } else {
                return Ok(Some((origin, line)));
            }
        }
        Ok(None)
    }

    fn read_line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.line += 1;
        let length = self.reader.read_until(b'\n', &mut line).map_err(|e| self.damaged(&e))?;
        if self.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok((length > 0).then_some(line))
    }

    fn damaged(&self, error: &std::io::Error) -> Error {
        let origin = Origin::line(&self.file, self.line);
        let error = match error.kind() {
            IoErrorKind::UnexpectedEof => wrong(&origin, "the gzip data end early"),
            IoErrorKind::InvalidInput | IoErrorKind::InvalidData => {
                wrong(&origin, format!("the gzip data are damaged: {error}"))
            }
            _ => wrong(&origin, format!("cannot read: {error}")).fix("check the file and its permissions"),
        };
        error.fix("get the file again")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::record::Location;
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn records(name: &str, bytes: &[u8]) -> Result<Vec<Record>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), bytes).unwrap();
        Dataset::open(name, &[dir.path().to_path_buf()])?.records()
    }

    fn texts(name: &str, bytes: &[u8]) -> Vec<String> {
        records(name, bytes).unwrap().iter().map(|record| record.text("text").unwrap().to_owned()).collect()
    }

    const TWO: &[u8] = b"{\"text\":\"a\"}\n{\"text\":\"b\"}\n";

    #[test]
    fn plain_and_gzip_are_told_apart_by_their_bytes() {
        for name in ["d.jsonl", "d.jsonl.gz"] {
            assert_eq!(texts(name, TWO), ["a", "b"]);
            assert_eq!(texts(name, &gzip(TWO)), ["a", "b"]);
        }
        let members = [gzip(&TWO[..13]), gzip(&TWO[13..])].concat();
        assert_eq!(texts("members.json.gz", &members), ["a", "b"]);
    }

    #[test]
    fn line_ends_and_marks_do_not_matter() {
        assert_eq!(texts("d.jsonl", b"{\"text\":\"a\"}\r\n{\"text\":\"b\"}"), ["a", "b"]);
        assert_eq!(texts("d.jsonl", b"\xef\xbb\xbf{\"text\":\"a\"}\n\n \n"), ["a"]);
    }

    #[test]
    fn origins_count_lines_from_one() {
        let records = records("d.jsonl", TWO).unwrap();
        let origins: Vec<_> = records.iter().map(|record| &record.origin.at).collect();
        assert_eq!(origins, [&Location::Line(1), &Location::Line(2)]);
    }

    #[test]
    fn errors_name_the_line_and_a_fix() {
        let cases: [(&[u8], &str, usize); 6] = [
            (b"{\"text\":\"a\"}\n{\"text\":\"b", "cut short", 2),
            (b"{\"text\":\"a\"}\n{text}\n", "not JSON", 2),
            (b"{\"text\":\"a\"}\n[1]\n", "not an object", 2),
            (b"{\"text\":\"a\"}\n\n{\"text\":\"b\"}\n", "empty line", 2),
            (b"{\"text\":\"a\"}\n{\"text\":\"\xff\"}\n", "UTF-8 at byte 9", 2),
            (b"[\n  {\"text\":\"a\"}\n]\n", "cut short", 1),
        ];
        for (bytes, what, line) in cases {
            let error = records("d.jsonl", bytes).unwrap_err();
            assert!(error.what.contains(what), "{error}");
            assert!(error.place.as_ref().unwrap().ends_with(&format!("d.jsonl:{line}")), "{error}");
            assert!(error.fix.is_some() && error.kind == ErrorKind::Dataset);
        }
    }

    #[test]
    fn damaged_gzip_is_refused() {
        let line = format!("{{\"text\":\"{}\"}}\n", "abcdefghij".repeat(2000));
        let whole = gzip(line.as_bytes());
        let short = records("d.jsonl.gz", &whole[..whole.len() / 2]).unwrap_err();
        assert!(short.what.contains("end early"), "{short}");
        assert!(short.place.unwrap().ends_with("d.jsonl.gz:1"));
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0xff;
        assert!(records("d.jsonl.gz", &damaged).unwrap_err().what.contains("gzip"));
    }
}
