//! JSON that other programs write and the standard does not allow: `NaN`, `Infinity` and lone surrogates,
//! which Python's `json` writes without complaint, and numbers such as `1e999` that it reads as infinite. They
//! are taken out before the parser sees them, and the
//! fields that held one are marked, so that a record is refused only if such a field is asked for.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// What was taken out of which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The record, counted from 0 in the order of the text; lists in the place of records count too.
    pub record: usize,
    /// Its field.
    pub key: String,
    /// What the field held.
    pub what: &'static str,
}

/// A text without what the standard does not allow, and what was taken out; none if nothing was.
pub(super) fn cleaned(line: &[u8]) -> Option<(Vec<u8>, Vec<Mark>)> {
    let mut filter = Filter::of_records_at(0);
    line.iter().for_each(|&byte| filter.push(byte));
    filter.end();
    let marks = filter.marks.take();
    (!marks.is_empty()).then(|| (filter.out.into(), marks))
}

/// Reads a document this way.
pub(super) struct Lenient<R> {
    inner: R,
    filter: Filter,
}

impl<R: BufRead> Lenient<R> {
    /// For a document whose records are this deep: 0 if it is one, 1 in a list, 2 in an object of lists.
    pub(super) fn new(inner: R, depth: usize) -> Lenient<R> {
        Lenient { inner, filter: Filter::of_records_at(depth) }
    }

    /// What is taken out, filled while reading.
    pub(super) fn marks(&self) -> Rc<RefCell<Vec<Mark>>> {
        self.filter.marks.clone()
    }
}

impl<R: BufRead> Read for Lenient<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.filter.out.is_empty() {
            let some = self.inner.fill_buf()?;
            let length = some.len();
            some.iter().for_each(|&byte| self.filter.push(byte));
            self.inner.consume(length);
            if length == 0 {
                self.filter.end();
                break;
            }
        }
        self.filter.out.read(into)
    }
}

/// Bytes go in one by one and come out with `null` for NaN or an infinity and `\ufffd` for a lone surrogate.
struct Filter {
    out: VecDeque<u8>,
    marks: Rc<RefCell<Vec<Mark>>>,
    /// How many lists and objects enclose a record.
    depth_of_records: usize,
    /// How many are open now.
    depth: usize,
    /// Records that have begun.
    records: usize,
    /// Whether the next thing in a record is the name of a field.
    expects_key: bool,
    /// The name of the current field, as written.
    key: Vec<u8>,
    state: State,
}

enum State {
    /// Between values.
    Between,
    /// In letters, or after a minus sign.
    Word(Vec<u8>),
    /// In a number.
    Number(Vec<u8>),
    /// In a string; whether it is the name of a record's field.
    Text(bool),
    /// After a backslash in a string.
    Escape(bool),
    /// In the digits after `\u`, after the first half of a pair if there was one.
    Digits { is_key: bool, first: Option<[u8; 4]>, digits: Vec<u8> },
    /// After the first half of a pair: its digits, and how much of the second's `\u` has been read.
    Half { is_key: bool, first: [u8; 4], slash: bool },
}

/// Letters of the longest word for a number, `-Infinity`.
const LONGEST_WORD: usize = 9;

impl Filter {
    fn of_records_at(depth: usize) -> Filter {
        Filter {
            out: VecDeque::new(),
            marks: Rc::default(),
            depth_of_records: depth,
            depth: 0,
            records: 0,
            expects_key: false,
            key: Vec::new(),
            state: State::Between,
        }
    }

    fn push(&mut self, byte: u8) {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => self.between(byte),
            State::Word(mut word) if byte.is_ascii_alphabetic() && word.len() < LONGEST_WORD => {
                word.push(byte);
                self.state = State::Word(word);
            }
            State::Word(word) if word == b"-" && byte.is_ascii_digit() => {
                self.state = State::Number(vec![b'-', byte]);
            }
            State::Word(word) => {
                self.word(&word);
                self.between(byte);
            }
            State::Number(mut number) if matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => {
                number.push(byte);
                self.state = State::Number(number);
            }
            State::Number(number) => {
                self.number(&number);
                self.between(byte);
            }
            State::Text(is_key) => self.text(byte, is_key),
            State::Escape(is_key) if byte == b'u' => {
                self.state = State::Digits { is_key, first: None, digits: Vec::new() };
            }
            State::Escape(is_key) => {
                self.write(b"\\", is_key);
                self.write(&[byte], is_key);
                self.state = State::Text(is_key);
            }
            State::Digits { is_key, first, digits } => self.digits(byte, is_key, first, digits),
            State::Half { is_key, first, slash: false } if byte == b'\\' => {
                self.state = State::Half { is_key, first, slash: true };
            }
            State::Half { is_key, first, slash: true } if byte == b'u' => {
                self.state = State::Digits { is_key, first: Some(first), digits: Vec::new() };
            }
            State::Half { is_key, slash, .. } => {
                self.lone(is_key);
                self.state = if slash { State::Escape(is_key) } else { State::Text(is_key) };
                self.push(byte);
            }
        }
    }

    fn end(&mut self) {
        // If anything else is in progress, the text is incomplete: the parser reports that.
        match std::mem::replace(&mut self.state, State::Between) {
            State::Word(word) => self.word(&word),
            State::Number(number) => self.number(&number),
            _ => {}
        }
    }

    fn between(&mut self, byte: u8) {
        let is_in_record = self.depth == self.depth_of_records + 1;
        match byte {
            b'"' => {
                let is_key = is_in_record && self.expects_key;
                if is_key {
                    self.key.clear();
                }
                self.state = State::Text(is_key);
            }
            b'-' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.state = State::Word(vec![byte]);
                return;
            }
            b'0'..=b'9' => {
                self.state = State::Number(vec![byte]);
                return;
            }
            b'{' | b'[' => {
                self.records += usize::from(self.depth == self.depth_of_records);
                self.expects_key = self.depth == self.depth_of_records && byte == b'{';
                self.depth += 1;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if is_in_record => self.expects_key = true,
            b':' if is_in_record => self.expects_key = false,
            _ => {}
        }
        self.out.push_back(byte);
    }

    fn word(&mut self, word: &[u8]) {
        match word {
            b"NaN" | b"-NaN" => self.mark("NaN"),
            b"Infinity" | b"-Infinity" => self.mark("an infinite number"),
            _ => return self.out.extend(word),
        }
        self.out.extend(b"null");
    }

    fn number(&mut self, number: &[u8]) {
        let value = std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok());
        if value.is_some_and(f64::is_infinite) {
            self.mark("an infinite number");
            self.out.extend(b"null");
        } else {
            self.out.extend(number);
        }
    }

    fn text(&mut self, byte: u8, is_key: bool) {
        match byte {
            b'"' => self.out.push_back(byte),
            b'\\' => self.state = State::Escape(is_key),
            _ => {
                self.write(&[byte], is_key);
                self.state = State::Text(is_key);
            }
        }
    }

    fn digits(&mut self, byte: u8, is_key: bool, first: Option<[u8; 4]>, mut digits: Vec<u8>) {
        if !byte.is_ascii_hexdigit() {
            // Not an escape at all: the parser reports that.
            self.write(b"\\u", is_key);
            self.write(&digits, is_key);
            self.state = State::Text(is_key);
            return self.push(byte);
        }
        digits.push(byte);
        let Ok(four) = <[u8; 4]>::try_from(&digits[..]) else {
            self.state = State::Digits { is_key, first, digits };
            return;
        };
        self.state = State::Text(is_key);
        match (half_of(&four), first) {
            (Half::Second, Some(first)) => {
                self.write(&[b"\\u", &first[..], b"\\u", &four[..]].concat(), is_key);
            }
            (half, first) => {
                if first.is_some() {
                    self.lone(is_key);
                }
                match half {
                    Half::First => self.state = State::Half { is_key, first: four, slash: false },
                    Half::Second => self.lone(is_key),
                    Half::None => self.write(&[b"\\u", &four[..]].concat(), is_key),
                }
            }
        }
    }

    fn lone(&mut self, is_key: bool) {
        self.write(b"\\ufffd", is_key);
        self.mark("a lone surrogate");
    }

    fn write(&mut self, bytes: &[u8], is_key: bool) {
        self.out.extend(bytes);
        if is_key {
            self.key.extend(bytes);
        }
    }

    fn mark(&mut self, what: &'static str) {
        let quoted = [b"\"", &self.key[..], b"\""].concat();
        let key = serde_json::from_slice(&quoted).unwrap_or_default();
        self.marks.borrow_mut().push(Mark { record: self.records.saturating_sub(1), key, what });
    }
}

/// Which half of a pair of surrogates an escape is.
enum Half {
    None,
    First,
    Second,
}

fn half_of(digits: &[u8; 4]) -> Half {
    let code = std::str::from_utf8(digits).ok().and_then(|digits| u16::from_str_radix(digits, 16).ok());
    match code {
        Some(0xd800..=0xdbff) => Half::First,
        Some(0xdc00..=0xdfff) => Half::Second,
        _ => Half::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Marks = Vec<(usize, String, &'static str)>;

    fn of(text: &str) -> Option<(String, Marks)> {
        let (bytes, marks) = cleaned(text.as_bytes())?;
        let marks = marks.into_iter().map(|mark| (mark.record, mark.key, mark.what)).collect();
        Some((String::from_utf8(bytes).unwrap(), marks))
    }

    #[test]
    fn what_is_json_is_left() {
        for text in [
            r#"{"a":[1,-2.5e3,true,null,"NaN \" Infinity","\ud83d\ude00\u00e9"],"NaN":{"b":"\\ud800"}}"#,
            "",
            "{",
            r#""\ud8"#,
            r#"{"a":"\u12zz"}"#,
            r#"{"a":[1e308,-1E-999,0.5],"1e999":"1e999","b":1e,"c":-,"d":12345678901234567890}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_that_are_none() {
        let (text, marks) = of(r#"{"a":NaN,"b\n":[1,{"c":-Infinity}],"d":1,"e":Infinity}"#).unwrap();
        assert_eq!(text, r#"{"a":null,"b\n":[1,{"c":null}],"d":1,"e":null}"#);
        let infinite = "an infinite number";
        assert_eq!(marks, [(0, "a".into(), "NaN"), (0, "b\n".into(), infinite), (0, "e".into(), infinite)]);
    }

    /// Python reads these as infinite.
    #[test]
    fn numbers_beyond_all_floats() {
        let long = "9".repeat(400);
        let (text, marks) = of(&format!(r#"{{"a":1e999,"b":[-1.5E+400],"c":{long},"d":1}}"#)).unwrap();
        assert_eq!(text, r#"{"a":null,"b":[null],"c":null,"d":1}"#);
        assert_eq!(marks, ["a", "b", "c"].map(|key| (0, key.into(), "an infinite number")));
        assert_eq!(of("1e999").unwrap().0, "null");
    }

    #[test]
    fn lone_surrogates() {
        for (text, expected) in [
            (r#"{"a":"x\ud800y"}"#, r#"{"a":"x\ufffdy"}"#),
            (r#"{"a":"\udc00"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\ud800\n"}"#, r#"{"a":"\ufffd\n"}"#),
            (r#"{"a":"\ud800\ud83d\ude00"}"#, r#"{"a":"\ufffd\ud83d\ude00"}"#),
            (r#"{"a":"\ud800\u0041"}"#, r#"{"a":"\ufffd\u0041"}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ufffd"}"#),
        ] {
            let (cleaned, marks) = of(text).unwrap();
            assert_eq!((&cleaned[..], &marks[0].1[..]), (expected, "a"), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(&cleaned).is_ok(), "{cleaned}");
        }
    }

    #[test]
    fn records_of_a_document_are_counted() {
        let read = |text: &str, depth| {
            let mut lenient = Lenient::new(text.as_bytes(), depth);
            let mut out = String::new();
            lenient.read_to_string(&mut out).unwrap();
            serde_json::from_str::<serde_json::Value>(&out).unwrap();
            let marks = lenient.marks();
            let marks = marks.borrow();
            marks.iter().map(|mark| (mark.record, mark.key.clone())).collect::<Vec<_>>()
        };
        assert_eq!(read(r#"[{"a":1},{"b":[NaN]},{"c":"\ud800"}]"#, 1), [(1, "b".into()), (2, "c".into())]);
        assert_eq!(read(r#"{"x":[{"a":1}],"y":[{"b":NaN}]}"#, 2), [(1, "b".into())]);
    }
}
