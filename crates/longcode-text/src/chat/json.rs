//! `tojson` of templates: JSON in the form of Python's `json.dumps`.

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use super::python::float;
use longcode_base::limits::CHAT_JSON_DEPTH;

/// The filter, with the arguments of transformers': `ensure_ascii`, `indent`, `separators`, `sort_keys`.
pub(super) fn filter(
    state: &State<'_, '_>,
    value: Value,
    arguments: Rest<Value>,
    named: Kwargs,
) -> Result<String, Error> {
    let mut given = arguments.iter();
    let mut argument = |name: &str| -> Result<Value, Error> {
        match given.next() {
            Some(_) if named.has(name) => Err(invalid(format!("tojson takes {name} once"))),
            Some(value) => Ok(value.clone()),
            None => Ok(named.get::<Option<Value>>(name)?.unwrap_or_default()),
        }
    };
    let ascii = argument("ensure_ascii")?.is_true();
    let indent = indentation(&argument("indent")?)?;
    let separators = separators(&argument("separators")?, indent.is_some())?;
    let sorted = argument("sort_keys")?.is_true();
    if given.next().is_some() {
        return Err(invalid("tojson takes four arguments"));
    }
    named.assert_all_used()?;
    let mut writer = Writer { state, ascii, indent, separators, sorted, out: String::new(), charged: 0 };
    writer.value(&value, 0)?;
    writer.charge()?;
    Ok(writer.out)
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// The text of one step of indentation, if any.
fn indentation(value: &Value) -> Result<Option<String>, Error> {
    /// Spaces of a step; more are of no use.
    const MOST: i64 = 1000;
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(None),
        ValueKind::String => Ok(value.as_str().map(str::to_string)),
        _ => match i64::try_from(value.clone()) {
            Ok(spaces) if spaces <= MOST => Ok(Some(" ".repeat(spaces.max(0) as usize))),
            _ => Err(invalid("indent is neither a text nor a small number")),
        },
    }
}

/// The separators between items, and between key and value.
fn separators(value: &Value, indented: bool) -> Result<[String; 2], Error> {
    if value.is_none() || value.is_undefined() {
        return Ok([if indented { "," } else { ", " }.to_string(), ": ".to_string()]);
    }
    let texts: Vec<String> = value.try_iter()?.filter_map(|text| text.as_str().map(str::to_string)).collect();
    texts.try_into().map_err(|_| invalid("separators are not two texts"))
}

struct Writer<'a, 't, 'e> {
    state: &'a State<'t, 'e>,
    ascii: bool,
    indent: Option<String>,
    separators: [String; 2],
    sorted: bool,
    out: String,
    /// Bytes that have been paid for.
    charged: usize,
}

impl Writer<'_, '_, '_> {
    /// Pays for what has been written.
    fn charge(&mut self) -> Result<(), Error> {
        let steps = (self.out.len() - self.charged) / 16 + 1;
        self.charged = self.out.len();
        self.state.consume_fuel(steps as u64)
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > CHAT_JSON_DEPTH {
            return Err(invalid(format!("a value nests more than {CHAT_JSON_DEPTH} deep")));
        }
        self.charge()?;
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq => self.list(value, depth)?,
            // A list that is read from its end.
            ValueKind::Iterable if value.len().is_some() => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            other => return Err(invalid(format!("{other} has no JSON"))),
        }
        Ok(())
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut items = 0;
        for item in value.try_iter()? {
            self.before_item(items, depth + 1);
            self.value(&item, depth + 1)?;
            items += 1;
        }
        self.close(items, ']', depth);
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = value.try_iter()?.collect();
        if self.sorted {
            if keys.windows(2).any(|pair| pair[0].kind() != pair[1].kind()) {
                return Err(invalid("keys of several kinds have no order"));
            }
            keys.sort();
        }
        self.out.push('{');
        for (items, key) in keys.iter().enumerate() {
            self.before_item(items, depth + 1);
            match key.kind() {
                ValueKind::String => self.text(key.as_str().unwrap_or_default()),
                ValueKind::None => self.text("null"),
                ValueKind::Bool => self.text(if key.is_true() { "true" } else { "false" }),
                ValueKind::Number => self.text(&number(key)),
                other => return Err(invalid(format!("{other} cannot be a JSON key"))),
            }
            self.out.push_str(&self.separators[1]);
            self.value(&value.get_item(key)?, depth + 1)?;
        }
        self.close(keys.len(), '}', depth);
        Ok(())
    }

    fn before_item(&mut self, items: usize, depth: usize) {
        if items > 0 {
            self.out.push_str(&self.separators[0]);
        }
        self.line(depth);
    }

    fn close(&mut self, items: usize, bracket: char, depth: usize) {
        if items > 0 {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            (0..depth).for_each(|_| self.out.push_str(indent));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !(' '..='~').contains(&c)) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn number(value: &Value) -> String {
    match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => match number {
            n if n.is_nan() => "NaN".into(),
            n if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.into(),
            n => float(n),
        },
        _ => value.to_string(),
    }
}
