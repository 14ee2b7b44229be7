//! What templates expect of Python: methods of texts, and tests by what Python can do with a value.

use std::collections::HashSet;

use minijinja::value::{Kwargs, Rest, Value, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State};
use minijinja_contrib::pycompat;

use super::counted;

/// White space as defined by `str.isspace`.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A float as written by `repr`.
pub(super) fn float(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once('e') {
        None => text,
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{}e{sign}{exponent:0>2}", digits.trim_end_matches(".0"))
        }
    }
}

/// A value as `str` writes it: floats in lists too.
pub(super) fn text(value: &Value) -> String {
    /// Values that nest deeper are written as the library writes them.
    const DEEPEST: usize = 1000;
    let mut out = String::new();
    if value.as_str().is_some() || !write(&mut out, value, DEEPEST) { value.to_string() } else { out }
}

/// Writes a value as `repr` does; false if it nests deeper than that.
fn write(out: &mut String, value: &Value, deepest: usize) -> bool {
    let Some(left) = deepest.checked_sub(1) else { return false };
    let items = |out: &mut String, open: &str, close: &str| {
        out.push_str(open);
        let Ok(items) = value.try_iter() else { return false };
        for (number, item) in items.enumerate() {
            out.push_str(if number > 0 { ", " } else { "" });
            if !write(out, &item, left) {
                return false;
            }
        }
        out.push_str(close);
        true
    };
    match value.kind() {
        ValueKind::Number if !value.is_integer() => {
            out.push_str(&f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float));
            true
        }
        ValueKind::Seq if value.is_tuple() => {
            items(out, "(", if value.len() == Some(1) { ",)" } else { ")" })
        }
        ValueKind::Seq => items(out, "[", "]"),
        ValueKind::Map => {
            out.push('{');
            let Ok(keys) = value.try_iter() else { return false };
            for (number, key) in keys.enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                let held = value.get_item(&key).unwrap_or_default();
                if !write(out, &key, left) {
                    return false;
                }
                out.push_str(": ");
                if !write(out, &held, left) {
                    return false;
                }
            }
            out.push('}');
            true
        }
        ValueKind::String => {
            // In quotes, as the library writes it within a list.
            let quoted = Value::from(vec![value.clone()]).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
            true
        }
        _ => {
            out.push_str(&value.to_string());
            true
        }
    }
}

/// Whether `iter` accepts a value.
pub(super) fn is_iterable(value: &Value) -> bool {
    use ValueKind::*;
    value.is_undefined() || matches!(value.kind(), String | Bytes | Seq | Map | Iterable)
}

/// Whether a value has a length and items.
pub(super) fn is_sequence(value: &Value) -> bool {
    use ValueKind::*;
    let kind = value.kind();
    value.is_undefined()
        || matches!(kind, String | Bytes | Seq | Map)
        || (kind == Iterable && value.len().is_some())
}

/// Whether a value can be called.
pub(super) fn is_callable(value: &Value) -> bool {
    value.is_undefined() || value.kind() == ValueKind::Plain
}

/// The filter `int`: anything but a number becomes the default.
pub(super) fn int(value: Value, default: Option<Value>) -> Value {
    let default = || default.clone().unwrap_or_else(|| 0.into());
    match value.kind() {
        ValueKind::Bool => i64::from(value.is_true()).into(),
        ValueKind::Number if value.is_integer() => value,
        ValueKind::Number => whole(&value).unwrap_or_else(default),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default().trim_matches(is_space);
            let number = text.parse::<i128>().map(Value::from).ok();
            number.or_else(|| whole(&Value::from(text.parse::<f64>().ok()?))).unwrap_or_else(default)
        }
        _ => default(),
    }
}

/// A float without its fractional part.
fn whole(value: &Value) -> Option<Value> {
    let number = f64::try_from(value.clone()).ok().filter(|number| number.is_finite())?;
    Some(Value::from(number as i128))
}

/// The filter `float`: anything but a number becomes the default.
pub(super) fn to_float(value: Value, default: Option<Value>) -> Value {
    let number = match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value).ok(),
        ValueKind::String => value.as_str().and_then(|text| text.trim_matches(is_space).parse().ok()),
        _ => None,
    };
    number.map_or_else(|| default.unwrap_or_else(|| 0.0.into()), Value::from)
}

/// Methods that the value itself does not have.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(text) = value.as_str()
        && let Some(done) = text_method(state, text, method, arguments)
    {
        return done;
    }
    if method == "count" {
        counted::pay(state, [value])?;
    }
    pycompat::unknown_method_callback(state, value, method, arguments)
}

/// Methods of strings that the library lacks, implements differently from Python, or does not bound.
fn text_method(
    state: &State<'_, '_>,
    text: &str,
    method: &str,
    arguments: &[Value],
) -> Option<Result<Value, Error>> {
    let done = match (method, arguments) {
        ("strip", _) => stripped(arguments).map(|is_cut| text.trim_matches(is_cut).into()),
        ("lstrip", _) => stripped(arguments).map(|is_cut| text.trim_start_matches(is_cut).into()),
        ("rstrip", _) => stripped(arguments).map(|is_cut| text.trim_end_matches(is_cut).into()),
        ("removeprefix", _) => one_text(arguments).map(|part| text.strip_prefix(part).unwrap_or(text).into()),
        ("removesuffix", _) => one_text(arguments).map(|part| text.strip_suffix(part).unwrap_or(text).into()),
        ("partition", _) => {
            one_text(arguments).map(|part| parts(text.split_once(part), part, [text, "", ""]))
        }
        ("rpartition", _) => {
            one_text(arguments).map(|part| parts(text.rsplit_once(part), part, ["", "", text]))
        }
        ("rsplit", [_, ..]) => rsplit(text, arguments),
        ("splitlines", _) => splitlines(text, arguments),
        ("casefold", []) => Ok(text.to_lowercase().into()),
        ("ljust", _) => filled(state, text, arguments, Side::Right),
        ("rjust", _) => filled(state, text, arguments, Side::Left),
        ("center", _) => filled(state, text, arguments, Side::Both),
        ("zfill", _) => zero_filled(state, text, arguments),
        ("swapcase", []) => Ok(swapped(text).into()),
        ("index" | "rindex", _) => index(text, arguments, method == "rindex"),
        ("join", _) => check_joined(arguments).err().map(Err)?,
        ("format", _) => charge_format(state, text, arguments).err().map(Err)?,
        _ => return None,
    };
    Some(done)
}

/// Where a text gets more characters.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Left,
    Right,
    Both,
}

/// `ljust`, `rjust` and `center`.
pub(super) fn padded(
    state: &State<'_, '_>,
    text: &str,
    width: usize,
    with: char,
    side: Side,
) -> Result<String, Error> {
    let missing = width.saturating_sub(text.chars().count());
    state.consume_fuel(missing as u64 / 16)?;
    let before = match side {
        Side::Left => missing,
        Side::Right => 0,
        Side::Both => missing / 2 + (missing & width & 1),
    };
    let fill = |count: usize| with.to_string().repeat(count);
    Ok(format!("{}{text}{}", fill(before), fill(missing - before)))
}

fn filled(state: &State<'_, '_>, text: &str, arguments: &[Value], side: Side) -> Result<Value, Error> {
    let (width, with): (i64, Option<&str>) = from_args(arguments)?;
    let mut with = with.unwrap_or(" ").chars();
    match (with.next(), with.next()) {
        (Some(with), None) => padded(state, text, width.max(0) as usize, with, side).map(Value::from),
        _ => Err(invalid("the fill character must be exactly one character long")),
    }
}

fn zero_filled(state: &State<'_, '_>, text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (width,): (i64,) = from_args(arguments)?;
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    let width = (width.max(0) as usize).saturating_sub(sign.len());
    Ok(format!("{sign}{}", padded(state, digits, width, '0', Side::Left)?).into())
}

fn swapped(text: &str) -> String {
    let swap = |c: char| -> String {
        if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
    };
    text.chars().map(swap).collect()
}

/// Where a part is in a text, in characters.
fn index(text: &str, arguments: &[Value], last: bool) -> Result<Value, Error> {
    let part = one_text(arguments)?;
    let at = if last { text.rfind(part) } else { text.find(part) };
    let at = at.ok_or_else(|| invalid("substring not found"))?;
    Ok(text[..at].chars().count().into())
}

pub(super) fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.to_string())
}

fn one_text(arguments: &[Value]) -> Result<&str, Error> {
    let (text,): (&str,) = from_args(arguments)?;
    Ok(text)
}

/// What `strip` and the like cut off: white space, or the characters of a text.
fn stripped(arguments: &[Value]) -> Result<impl Fn(char) -> bool, Error> {
    let (chars,): (Option<&str>,) = from_args(arguments)?;
    let chars: Option<HashSet<char>> = chars.map(|chars| chars.chars().collect());
    Ok(move |c| chars.as_ref().map_or_else(|| is_space(c), |chars| chars.contains(&c)))
}

fn parts(found: Option<(&str, &str)>, part: &str, whole: [&str; 3]) -> Value {
    let [a, b, c] = found.map_or(whole, |(before, after)| [before, part, after]);
    Value::from(minijinja::value::Tuple::from([a.into(), b.into(), c.into()]))
}

fn rsplit(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (part, most): (&str, Option<i64>) = from_args(arguments)?;
    if part.is_empty() {
        return Err(invalid("empty separator"));
    }
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let mut pieces: Vec<&str> = text.rsplitn(most.saturating_add(1), part).collect();
    pieces.reverse();
    Ok(pieces.into_iter().map(Value::from).collect())
}

/// Splits lines at everything that Python considers a line end.
fn splitlines(text: &str, arguments: &[Value]) -> Result<Value, Error> {
    let keeps = match arguments {
        [] => false,
        [keeps] if Kwargs::try_from(keeps.clone()).is_err() => keeps.is_true(),
        [named] => Kwargs::try_from(named.clone())?.get("keepends")?,
        _ => return Err(invalid("splitlines takes one argument")),
    };
    Ok(lines(text, keeps).into_iter().map(Value::from).collect())
}

/// The lines of a text, with their ends or without.
pub(super) fn lines(text: &str, keeps_ends: bool) -> Vec<&str> {
    let ends = |c: char| matches!(c, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(ends) {
        let end = rest[at..].chars().next().map_or(0, char::len_utf8);
        let end = at + if rest[at..].starts_with("\r\n") { 2 } else { end };
        lines.push(if keeps_ends { &rest[..end] } else { &rest[..at] });
        rest = &rest[end..];
    }
    lines.extend(Some(rest).filter(|rest| !rest.is_empty()));
    lines
}

/// Python joins only strings.
fn check_joined(arguments: &[Value]) -> Result<(), Error> {
    let (values,): (&Value,) = from_args(arguments)?;
    if values.try_iter()?.all(|value| value.as_str().is_some()) {
        Ok(())
    } else {
        Err(invalid("join takes texts"))
    }
}

/// Pays for what `format` can make: each field as wide as any number in the text, or all arguments.
fn charge_format(state: &State<'_, '_>, text: &str, arguments: &[Value]) -> Result<(), Error> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let widths = numbers.map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX)).fold(0, u64::saturating_add);
    let mut given = 0_u64;
    for value in arguments {
        given = given.saturating_add(match value.kind() {
            ValueKind::String => value.as_str().map_or(0, str::len) as u64,
            ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::Undefined => 64,
            // Keyword arguments.
            ValueKind::Map if value.is_kwargs() => sizes(value)?,
            _ => return Err(invalid("format takes texts and numbers")),
        });
    }
    let fields = text.matches('{').count() as u64;
    state.consume_fuel(fields.saturating_mul(given).saturating_add(widths) / 64)
}

fn sizes(named: &Value) -> Result<u64, Error> {
    let mut size = 0;
    for key in named.try_iter()? {
        let value = named.get_item(&key)?;
        match value.kind() {
            ValueKind::String => size += value.as_str().map_or(0, str::len) as u64,
            ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::Undefined => size += 64,
            _ => return Err(invalid("format takes texts and numbers")),
        }
    }
    Ok(size)
}

/// The filter `string`.
pub(super) fn string(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    // `SHALLOW` speaks of the test of this name.
    counted::pay(state, [value])?;
    if value.kind() == ValueKind::String { Ok(value.clone()) } else { Ok(text(value).into()) }
}

/// The filter `trim`.
pub(super) fn trim(value: Value, arguments: Rest<Value>) -> Result<String, Error> {
    if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Err(invalid("trim takes a text"));
    }
    let text = value.to_string();
    Ok(text.trim_matches(stripped(&arguments)?).to_string())
}
