//! Filters and printing where the library differs from Jinja2 and Python.

use minijinja::value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Error, Output, State, escape_formatter};

use super::{counted, python};

/// The filter `indent`: lines end as in Python, and the end of the last one stays.
pub(super) fn indent(
    state: &State<'_, '_>,
    text: &str,
    arguments: Rest<ValueOrKwargs>,
) -> Result<String, Error> {
    let arguments = arguments.into_values();
    let (width, first, blank, named): (Option<Value>, Option<bool>, Option<bool>, Kwargs) =
        from_args(&arguments)?;
    let width = width.map_or_else(|| named.get::<Option<Value>>("width"), |width| Ok(Some(width)))?;
    let first = first.map_or_else(|| named.get::<Option<bool>>("first"), |first| Ok(Some(first)))?;
    let blank = blank.map_or_else(|| named.get::<Option<bool>>("blank"), |blank| Ok(Some(blank)))?;
    named.assert_all_used()?;
    let width = width.unwrap_or_else(|| 4.into());
    let spaces = if width.as_str().is_some() { 0 } else { i64::try_from(width.clone())?.max(0) as usize };
    let text = format!("{text}\n");
    let lines = python::lines(&text, false);
    let each = spaces.saturating_add(width.as_str().map_or(0, str::len));
    state.consume_fuel(lines.len().saturating_mul(each) as u64 / 64)?;
    let before = width.as_str().map_or_else(|| " ".repeat(spaces), str::to_string);
    let mut made = String::new();
    for (number, line) in lines.iter().enumerate() {
        let indents = match number {
            0 => first == Some(true),
            _ => blank == Some(true) || !line.is_empty(),
        };
        made.push_str(if number > 0 { "\n" } else { "" });
        made.push_str(if indents { &before } else { "" });
        made.push_str(line);
    }
    Ok(made)
}

/// The filter `truncate`: at most so many characters and five, cut between words unless asked otherwise.
pub(super) fn truncate(text: &str, arguments: Rest<ValueOrKwargs>) -> Result<String, Error> {
    /// How much longer a text may be that stays whole.
    const LEEWAY: usize = 5;
    let arguments = arguments.into_values();
    let (length, kills, end, leeway, named): (
        Option<usize>,
        Option<bool>,
        Option<String>,
        Option<usize>,
        Kwargs,
    ) = from_args(&arguments)?;
    let length = length.map_or_else(|| named.get("length"), |length| Ok(Some(length)))?.unwrap_or(255);
    let kills = kills.map_or_else(|| named.get("killwords"), |kills| Ok(Some(kills)))?.unwrap_or(false);
    let end = end.map_or_else(|| named.get("end"), |end| Ok(Some(end)))?.unwrap_or_else(|| "...".into());
    let leeway = leeway.map_or_else(|| named.get("leeway"), |leeway| Ok(Some(leeway)))?.unwrap_or(LEEWAY);
    named.assert_all_used()?;
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.into());
    }
    let kept = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| python::invalid("truncate takes a length of at least its end's"))?;
    let start: String = text.chars().take(kept).collect();
    let whole = if kills { &start } else { start.rsplit_once(' ').map_or(&start[..], |(words, _)| words) };
    Ok(format!("{whole}{end}"))
}

/// The filter `wordcount`.
pub(super) fn wordcount(text: &str) -> usize {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).count()
}

/// The filter `center`.
pub(super) fn center(state: &State<'_, '_>, text: String, width: Option<usize>) -> Result<String, Error> {
    python::padded(state, &text, width.unwrap_or(80), ' ', python::Side::Both)
}

/// The filter `urlencode` of a text.
pub(super) fn urlencode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => {
                out.push(byte.into())
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The operator `%`: the remainder of Python, or a text's `%s` and the like filled in.
pub(super) fn remainder(state: &mut State<'_, '_>, a: Value, b: Value) -> Result<Value, Error> {
    if a.as_str().is_some() {
        let parts = if b.is_tuple() { b.try_iter()?.collect() } else { vec![b] };
        let arguments: Vec<Value> = [a].into_iter().chain(parts).collect();
        for value in &arguments[1..] {
            counted::pay(state, [value])?;
        }
        return state.apply_filter("format", &arguments);
    }
    let by_zero = || python::invalid("division or modulo by zero");
    let number = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if !(number(&a) && number(&b)) {
        return Err(python::invalid("% takes numbers, or a text on its left"));
    }
    let is_float = |value: &Value| value.kind() == ValueKind::Number && !value.is_integer();
    let whole = |value: &Value| {
        if is_float(value) { None } else { i128::try_from(value.clone()).ok() }
    };
    match (whole(&a), whole(&b)) {
        (Some(_), Some(0)) => Err(by_zero()),
        (Some(a), Some(b)) => {
            let rest = a.wrapping_rem(b);
            Ok((if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }).into())
        }
        _ => {
            let (a, b) = (f64::try_from(a)?, f64::try_from(b)?);
            let rest = if b == 0.0 { return Err(by_zero()) } else { a % b };
            Ok((if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }).into())
        }
    }
}

/// The filters `escape` and `e`, with the escapes of Python's markupsafe.
pub(super) fn escape(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value);
    }
    let mut made = String::new();
    for c in value.to_string().chars() {
        match c {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '\'' => made.push_str("&#39;"),
            '"' => made.push_str("&#34;"),
            c => made.push(c),
        }
    }
    state.consume_fuel(made.len() as u64 / 64)?;
    Ok(Value::from_safe_string(made))
}

/// What `{{ }}` prints: floats as Python does.
pub(super) fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    counted::pay(state, [value])?;
    match value.kind() {
        ValueKind::Number | ValueKind::Seq | ValueKind::Map => {
            let text = python::text(value);
            state.consume_fuel(text.len() as u64 / 64)?;
            out.write_str(&text).map_err(Error::from)
        }
        _ => escape_formatter(out, state, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::ChatTemplate;

    /// Compares each with Jinja2 3.1.
    #[test]
    fn as_jinja_writes_them() {
        for (template, expected) in [
            (r"{{ 'a\n\nb\n' | indent(2) }}|", "a\n\n  b\n|"),
            (r"{{ 'a\n\nb\n' | indent(2, true, blank=true) }}|", "  a\n  \n  b\n  |"),
            (r"{{ 'a\r\nb\x0bc' | indent(width='> ', first=true) }}|", "> a\n> b\n> c|"),
            (r"{{ '' | indent }}|{{ '' | indent(first=true) }}|", "|    |"),
            ("{{ '<a href=\"x\">\\'/&' | e }}", "&lt;a href=&#34;x&#34;&gt;&#39;/&amp;"),
            ("{{ '<' | e | escape }} {{ '<' | safe | e }} {{ 1.5 | e }}", "&lt; < 1.5"),
            (
                "{{ 'a %s, %d' % ('b', 3) }}|{{ '%.2f%%' % 1.5 }}|{{ -7 % 3 }} {{ 7 % -3 }} {{ -7.5 % 2 }}",
                "a b, 3|1.50%|2 -2 0.5",
            ),
            (
                "{{ 'one two three four' | truncate(9) }}|{{ 'one two three four' | truncate(9, true, '!', 0) }}|{{ 'abc' | truncate(2) }}",
                "one...|one two !|abc",
            ),
            (
                "{{ 'a b_c, größe!' | wordcount }} {{ 'ab' | center(5) }}|{{ 'ä /?&' | urlencode }}",
                "3   ab |%C3%A4%20/%3F%26",
            ),
            (
                "{{ 'ab'.ljust(4, '.') }}{{ 'ab'.rjust(4) }}{{ 'ab'.center(5, '*') }}{{ '-7'.zfill(4) }}{{ 'aBc'.swapcase() }}{{ 'abc'.index('c') }}",
                "ab..  ab**ab*-007AbC2",
            ),
            (
                "{{ 1e20 }} {{ 1.5e-7 }} {{ 10 ** 20 }} {{ 2.0 }} {{ 0.1 + 0.2 }}",
                "1e+20 1.5e-07 100000000000000000000 2.0 0.30000000000000004",
            ),
        ] {
            let made = ChatTemplate::new(template.into(), &Value::Null).render(&[]).unwrap();
            assert_eq!(made, expected, "{template}");
        }
        let endless = ChatTemplate::new("{{ 'a' | indent(1000000000000, true) }}".into(), &Value::Null);
        assert!(endless.render(&[]).is_err());
    }
}
