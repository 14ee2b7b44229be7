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
