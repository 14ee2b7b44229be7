//! JSON lines: one object a line, plain or gzip, depending on the first bytes. Read line by line.

use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeSeed;

use super::fields::{Entry, EntrySeed, Fields};
use super::gathered::Gathered;
use super::lenient::cleaned;
use super::record::{Making, Origin, Record, Roles};
use super::{Format, open, unreadable_bytes};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits;

pub(super) const ENTRY: Format = Format { name: "jsonl", takes, read, files: None };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn takes(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    path.is_file() && (name.ends_with(".jsonl") || name.ends_with(".json"))
}

fn read(file: &Path, making: &Making, gathered: &mut Gathered) -> Result<()> {
    let mut lines = Lines {
        reader: open::plain_or_gzip(file)?,
        file: file.into(),
        line: 0,
        longest: limits::RECORD_BYTES,
    };
    while let Some((origin, line)) = lines.next()? {
        let fields = parse(&line, &origin, &making.roles);
        let bytes = fields.as_ref().map_or(0, |fields| fields.bytes);
        gathered.take(fields.and_then(|fields| Record::new(fields, origin, making)), bytes, file)?;
    }
    Ok(())
}

fn parse(line: &[u8], origin: &Origin, roles: &Roles) -> Result<Fields> {
    let text = std::str::from_utf8(line).map_err(|e| {
        wrong(origin, format!("not valid UTF-8 at byte {} of the line", e.valid_up_to()))
            .fix("convert the file to UTF-8; an archive (.zip) must be unpacked to JSON lines first")
    })?;
    let entry = entry(text.as_bytes(), roles).or_else(|e| lenient(text, roles).ok_or(e));
    match entry.map_err(|e| not_json(&e, origin))? {
        Entry::Object(fields) => Ok(fields),
        Entry::List | Entry::Other => Err(wrong(origin, "the line is JSON, but not an object")
            .fix("write each record as {\"field\": value, ...} on a line of its own")),
    }
}

fn entry(line: &[u8], roles: &Roles) -> serde_json::Result<Entry> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let entry = EntrySeed { roles }.deserialize(&mut json)?;
    json.end().map(|()| entry)
}

/// The contents of a line with something that the standard does not allow.
fn lenient(line: &str, roles: &Roles) -> Option<Entry> {
    let (line, marks) = cleaned(line.as_bytes())?;
    let mut entry = entry(&line, roles).ok()?;
    if let Entry::Object(fields) = &mut entry {
        marks.into_iter().for_each(|mark| fields.mark(mark));
    }
    Some(entry)
}

fn not_json(error: &serde_json::Error, origin: &Origin) -> Error {
    if error.is_eof() {
        wrong(origin, "the line is cut short: its JSON does not end").fix(
            "write each record on one line; if it is, the file was cut off: get it again. One JSON document that \
             goes over several lines is read by a manifest with format = \"json\"",
        )
    } else if error.is_data() {
        wrong(origin, format!("the line cannot be read: {error}")).fix(
            "write each key once, and name under [fields] of a manifest only what the task asks for; SECURITY.md lists \
             the limits",
        )
    } else {
        wrong(origin, format!("not JSON: {error}")).fix("fix the line: one JSON object on each line")
    }
}

fn wrong(origin: &Origin, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Dataset, what).at(origin)
}

/// The lines of a file, numbered, without their ends. Blank lines are accepted only at the end of the file.
struct Lines {
    reader: Box<dyn BufRead>,
    file: Arc<Path>,
    line: usize,
    /// Most bytes of a line.
    longest: usize,
}

impl Lines {
    fn next(&mut self) -> Result<Option<(Origin, Vec<u8>)>> {
        let mut blank = None;
        let mut bytes = 0;
        while let Some(line) = self.read_line()? {
            let origin = Origin::line(self.file.clone(), self.line);
            if line.trim_ascii().is_empty() {
                bytes += line.len();
                let first: &Origin = blank.get_or_insert(origin);
                if bytes > limits::BLANK_BYTES {
                    let what = format!("more than {} bytes of white space", limits::BLANK_BYTES);
                    return Err(wrong(first, what).fix("cut the file off behind its last record"));
                }
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
        // One byte more than allowed, so that an overlong line is noticed.
        let most = self.longest as u64 + 1;
        let origin = Origin::line(self.file.clone(), self.line);
        let length = (&mut self.reader)
            .take(most)
            .read_until(b'\n', &mut line)
            .map_err(|e| unreadable_bytes(&e).at(&origin))?;
        if line.len() > self.longest {
            return Err(wrong(&origin, format!("the line has more than {} bytes", self.longest)).fix(
                "write one record on a line and leave out what is not asked for; SECURITY.md lists the limits",
            ));
        }
        if self.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok((length > 0).then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::record::Location;
    use super::super::{Dataset, ErrorKind};
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
        let cases: [(&[u8], &str, usize); 7] = [
            (b"{\"text\":\"a\"}\n{\"text\":\"b\",\"text\":\"c\"}\n", "`text` is there twice", 2),
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

    #[test]
    fn a_line_may_not_go_on_for_ever() {
        let bytes = [TWO, b"{\"text\":\"", "x".repeat(100).as_bytes(), b"\"}\n"].concat();
        let lines = |longest| {
            let reader: Box<dyn BufRead> = Box::new(std::io::Cursor::new(bytes.clone()));
            let mut lines = Lines { reader, file: Path::new("d.jsonl").into(), line: 0, longest };
            std::iter::from_fn(|| lines.next().transpose()).collect::<Result<Vec<_>>>()
        };
        assert_eq!(lines(112).unwrap().len(), 3);
        let error = lines(111).unwrap_err();
        assert!(error.what.contains("more than 111 bytes") && error.fix.is_some(), "{error}");
        assert_eq!(error.place.as_deref(), Some("d.jsonl:3"));
    }

    /// 10 MB of zeros are 10 kB of gzip, so a file of some kB reaches the limits.
    #[test]
    fn what_unpacks_to_far_more_than_it_is_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.jsonl.gz");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let line = [b"{\"text\":\"", "x".repeat(1 << 20).as_bytes(), b"\"}\n"].concat();
        for _ in 0..8 {
            encoder.write_all(&line).unwrap();
        }
        std::fs::write(&path, encoder.finish().unwrap()).unwrap();
        let mut unpacked = open::plain_or_gzip_up_to(&path, 1 << 20, 100).unwrap();
        let error = unreadable_bytes(&std::io::copy(&mut unpacked, &mut std::io::sink()).unwrap_err());
        assert!(error.what.contains("100 times") && error.fix.unwrap().contains("gunzip"));
        assert_eq!(Dataset::open("d.jsonl.gz", &[dir.path().into()]).unwrap().records().unwrap().len(), 8);
    }

    #[test]
    fn blank_lines_without_end_are_refused() {
        let bytes = [TWO, "\n".repeat(limits::BLANK_BYTES + 1).as_bytes()].concat();
        let error = records("d.jsonl", &bytes).unwrap_err();
        assert!(error.what.contains("white space"), "{error}");
        assert!(error.place.unwrap().ends_with("d.jsonl:3"));
    }

    /// As written by Python's `json`.
    #[test]
    fn what_json_does_not_have_harms_only_who_asks_for_it() {
        let lines =
            b"{\"text\":\"a\",\"score\":NaN,\"more\":[-Infinity,\"\\ud800\"]}\n{\"text\":\"\\ud800\"}\n";
        let records = records("d.jsonl", lines).unwrap();
        assert_eq!(records[0].text("text").unwrap(), "a");
        for (record, role, what) in [(0, "score", "NaN"), (0, "more", "infinite"), (1, "text", "surrogate")] {
            let error = records[record].text(role).unwrap_err();
            assert!(error.what.contains(what) && error.what.contains(role), "{error}");
            assert!(error.place.unwrap().ends_with(&format!("d.jsonl:{}", record + 1)));
            assert!(records[record].get(role).is_err());
        }
    }

    #[test]
    fn json_nested_deep_is_an_error_or_not_looked_at() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let records_of = |line: String| records("d.jsonl", line.as_bytes());
        let error = records_of(format!("{{\"text\":{deep}}}\n")).unwrap_err();
        assert!(error.what.contains("recursion limit"), "{error}");
        assert_eq!(records_of(format!("{{\"text\":\"a\",\"rest\":{deep}}}\n")).unwrap().len(), 1);
        assert!(error.place.unwrap().ends_with("d.jsonl:1") && error.fix.is_some());
    }
}
