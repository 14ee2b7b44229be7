//! Steps for what the library does not count: walking through values.
//!
//! The library charges a comparison for the items at the top of two lists, and a filter for the text that it
//! returns. A value that holds another one twice, a hundred times over, then takes years to compare or print,
//! for one step. So the operators, filters, tests and methods of a compiled template are replaced by functions
//! that first pay for all that they may walk through.

use minijinja::machinery::{CodeGenerator, Instruction, Instructions, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Tuple, Value, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, tests};

use Instruction as I;

use super::{filters, python};

/// 64ths of a step for a value that is walked through; a byte is one.
const VALUE: u64 = 8;

/// Filters and tests that look at the outermost value alone.
const SHALLOW: [&str; 26] = [
    "length",
    "count",
    "first",
    "last",
    "default",
    "d",
    "list",
    "items",
    "batch",
    "slice",
    "reverse",
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "integer",
    "float",
    "boolean",
    "mapping",
    "sequence",
    "iterable",
    "callable",
    "true",
    "false",
    "sameas",
];

/// Filters that hand each item to another filter or test, which pays for the texts that it reads.
const BY_ITEM: [&str; 5] = ["map", "select", "reject", "selectattr", "rejectattr"];

// Names of the functions: no name of a template is spelled like these.
const FILTER: &str = "|";
const TEST: &str = "is ";
const METHOD: &str = ".";
const KEY: &str = "[]";
const KEYS: &str = "{}";
const PAIR: &str = "<>";
const TEXTS: &str = "~";
const SUM: &str = "+";

/// Compiles a template to instructions that pay for what they walk through.
///
/// # Errors
/// Those of the parser.
pub(super) fn compiled(source: &str, syntax: SyntaxConfig) -> Result<Instructions<'_>, Error> {
    const NAME: &str = "<string>";
    let tree = parse(source, NAME, syntax)?;
    let mut generator = CodeGenerator::new(NAME, source);
    generator.compile_stmt(&tree);
    let plain = generator.finish().0;
    let each: Vec<_> = (0..).map_while(|at| Some((plain.get(at)?, plain.get_line(at)))).collect();
    let mut places: Vec<u32> = Vec::with_capacity(each.len() + 1);
    let mut all = Vec::new();
    for (instruction, line) in each {
        places.push(all.len() as u32);
        all.extend(paid(instruction).into_iter().map(|instruction| (instruction, line)));
    }
    places.push(all.len() as u32);
    let mut made = Instructions::new(NAME, source);
    for (mut instruction, line) in all {
        if let Some(place) = target(&mut instruction) {
            *place = places[*place as usize];
        }
        match line {
            Some(line) => made.add_with_line(instruction, u16::try_from(line).unwrap_or(u16::MAX)),
            None => made.add(instruction),
        };
    }
    Ok(made)
}

/// Where an instruction may go on.
fn target<'a>(instruction: &'a mut Instruction<'_>) -> Option<&'a mut u32> {
    match instruction {
        I::Jump(to)
        | I::JumpIfFalse(to)
        | I::JumpIfFalseOrPop(to)
        | I::JumpIfTrueOrPop(to)
        | I::Iterate(to)
        | I::BuildMacro(_, to, _) => Some(to),
        _ => None,
    }
}

/// What stands for an instruction.
fn paid<'s>(instruction: &Instruction<'s>) -> Vec<Instruction<'s>> {
    let call = |name, arguments| I::CallFunction(name, Some(arguments));
    match instruction {
        I::Eq => vec![call("==", 2)],
        I::Ne => vec![call("!=", 2)],
        I::Lt => vec![call("<", 2)],
        I::Lte => vec![call("<=", 2)],
        I::Gt => vec![call(">", 2)],
        I::Gte => vec![call(">=", 2)],
        I::In => vec![call("in ", 2)],
        // These leave the right value below their result, or need both.
        I::CompareAndPreserve(_) => vec![call(PAIR, 2), I::UnpackList(2), instruction.clone()],
        I::StringConcat => vec![call(TEXTS, 2), I::UnpackList(2), I::StringConcat],
        I::Add => vec![call(SUM, 2), I::UnpackList(2), I::Add],
        // The library has no `%` of texts.
        I::Rem => vec![call("%", 2)],
        I::GetItem => vec![call(KEY, 1), I::GetItem],
        I::BuildMap(pairs) => vec![
            I::LoadConst((2 * pairs).into()),
            I::CallFunction(KEYS, None),
            I::UnpackList(2 * pairs),
            I::BuildMap(*pairs),
        ],
        I::ApplyFilter(name, arguments, _) => named(FILTER, name, *arguments),
        I::PerformTest(name, arguments, _) => named(TEST, name, *arguments),
        I::CallMethod(name, arguments) => named(METHOD, name, *arguments),
        other => vec![other.clone()],
    }
}

/// A call with the name of what is wanted as its last argument.
fn named<'s>(function: &'s str, name: &'s str, arguments: Option<u16>) -> Vec<Instruction<'s>> {
    let name = I::LoadConst(name.into());
    match arguments {
        Some(count) => vec![name, I::CallFunction(function, Some(count + 1))],
        // The number of arguments is on the stack.
        None => vec![I::LoadConst(1.into()), I::Add, name, I::Swap, I::CallFunction(function, None)],
    }
}

/// Adds the functions that compiled templates call.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    macro_rules! compare {
        ($($name:literal $operator:tt)*) => {$(
            environment.add_function($name, |state: &State<'_, '_>, a: ValueOrKwargs, b: ValueOrKwargs| {
                pay_for_comparison(state, &a, &b).map(|()| *a $operator *b)
            });
        )*};
    }
    compare!("==" == "!=" != "<" < "<=" <= ">" > ">=" >=);
    environment.add_function("in ", contains);
    environment.add_function(PAIR, |state: &State<'_, '_>, a: Value, b: Value| {
        pay(state, [&a, &b])?;
        // They are unpacked from the end.
        Ok::<_, Error>(Value::from(vec![b, a]))
    });
    environment.add_function(TEXTS, |state: &State<'_, '_>, a: Value, b: Value| {
        pay(state, [&a, &b])?;
        let as_text = |value: Value| match value.kind() {
            ValueKind::Number | ValueKind::Seq | ValueKind::Map => python::text(&value).into(),
            _ => value,
        };
        Ok::<_, Error>(Value::from(vec![as_text(b), as_text(a)]))
    });
    environment.add_function(SUM, joined);
    environment.add_function("%", filters::remainder);
    environment.add_function(KEY, |state: &State<'_, '_>, key: Value| {
        pay_key(state, &key)?;
        Ok::<_, Error>(key)
    });
    environment.add_function(KEYS, |state: &State<'_, '_>, mut values: Rest<ValueOrKwargs>| {
        values.iter().step_by(2).try_for_each(|key| pay_key(state, key))?;
        values.reverse();
        Ok::<_, Error>(Value::from(values.0.into_iter().map(ValueOrKwargs::into_value).collect::<Vec<_>>()))
    });
    environment.add_function(FILTER, |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
        let arguments = arguments.into_values();
        let (name, values) = called(state, &arguments)?;
        state.apply_filter(&name, values).map_err(|e| unknown(e, ErrorKind::UnknownFilter, "filter", &name))
    });
    environment.add_function(TEST, |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
        let arguments = arguments.into_values();
        let (name, values) = called(state, &arguments)?;
        state.perform_test(&name, values).map_err(|e| unknown(e, ErrorKind::UnknownTest, "test", &name))
    });
    environment.add_function(METHOD, |state: &mut State<'_, '_>, arguments: Rest<ValueOrKwargs>| {
        let arguments = arguments.into_values();
        let [object, values @ .., name] = &arguments[..] else { return Err(invalid("a method of nothing")) };
        let name = name.as_str().unwrap_or_default();
        pay_text(state, object)?;
        values.iter().try_for_each(|value| pay_key(state, value))?;
        object.call_method(state, name, values)
    });
}

/// What is to be added: two lists are joined first, and nothing is left to add. The library would hold both and
/// count their items again each time, which takes years if a list holds itself a hundred times.
fn joined(state: &State<'_, '_>, a: Value, b: Value) -> Result<Value, Error> {
    let is_list = |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable);
    if !(is_list(&a) && is_list(&b)) || a.is_tuple() != b.is_tuple() {
        return Ok(Value::from(vec![b, a]));
    }
    let mut items = Vec::new();
    for item in a.try_iter()?.chain(b.try_iter()?) {
        if items.len() % (64 / VALUE as usize) == 0 {
            state.consume_fuel(1)?;
        }
        items.push(item);
    }
    let (all, nothing) = if a.is_tuple() {
        (Value::from(Tuple::from(items)), Value::from(Tuple::from(Vec::new())))
    } else {
        (Value::from(items), Value::from(Vec::<Value>::new()))
    };
    Ok(Value::from(vec![nothing, all]))
}

/// Name and arguments of a filter or test, paid for.
fn called<'a>(state: &State<'_, '_>, arguments: &'a [Value]) -> Result<(String, &'a [Value]), Error> {
    let Some((name, values)) = arguments.split_last() else { return Err(invalid("a filter of nothing")) };
    let name: String = name.as_str().unwrap_or_default().split_ascii_whitespace().collect();
    let Some((first, rest)) = values.split_first() else { return Ok((name, values)) };
    pay_text(state, first)?;
    let rest_holds_more = rest.iter().any(|value| value.as_object().is_some() && !value.is_kwargs());
    if !SHALLOW.contains(&&*name) || rest_holds_more {
        let reads_texts = !BY_ITEM.contains(&&*name);
        walk(state, first, 1, reads_texts)?;
        // Sorting compares each item that often; `map` and `select` use the others for each item.
        let items = first.len().unwrap_or(1).max(1) as u64;
        walk(state, first, u64::from(items.ilog2()), reads_texts)?;
        for value in rest {
            let bytes = value.as_str().map_or(0, str::len) as u64;
            state.consume_fuel(items.saturating_mul(bytes) / 64)?;
            walk(state, value, items, true)?;
        }
    }
    Ok((name, values))
}

fn unknown(error: Error, kind: ErrorKind, what: &str, name: &str) -> Error {
    if error.kind() == kind { Error::new(kind, format!("{what} {name} is unknown")) } else { error }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

/// The operator `in`.
fn contains(state: &State<'_, '_>, value: ValueOrKwargs, container: ValueOrKwargs) -> Result<bool, Error> {
    if container.as_object().is_none() && container.as_str().is_none() && !container.is_undefined() {
        return Err(invalid("cannot perform a containment check on this value"));
    }
    pay_key(state, &value)?;
    let is_long = value.as_str().is_some_and(|text| text.len() > 64);
    if is_long || value.as_object().is_some() {
        pay(state, [&*container])?;
    }
    tests::is_in(state, &value, &container)
}

/// Pays for comparing: texts up to the shorter one's length, other values whole.
fn pay_for_comparison(state: &State<'_, '_>, a: &Value, b: &Value) -> Result<(), Error> {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => state.consume_fuel(a.len().min(b.len()) as u64 / 64),
        _ if a.as_object().is_some() && b.as_object().is_some() => pay(state, [a, b]),
        _ => Ok(()),
    }
}

/// Pays for a value that is hashed or looked for.
fn pay_key(state: &State<'_, '_>, key: &Value) -> Result<(), Error> {
    pay_text(state, key)?;
    pay(state, [key])
}

/// Pays for reading a text once.
fn pay_text(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    value.as_str().map_or(Ok(()), |text| state.consume_fuel(text.len() as u64 / 64))
}

/// Pays for walking through values: everything in them, as often as it is held.
///
/// # Errors
/// [`ErrorKind::OutOfFuel`].
pub(super) fn pay<'v>(
    state: &State<'_, '_>,
    values: impl IntoIterator<Item = &'v Value>,
) -> Result<(), Error> {
    values.into_iter().try_for_each(|value| walk(state, value, 1, true))
}

/// Pays for walking so often through a list or a map, and for reading the texts in it or not.
fn walk(state: &State<'_, '_>, value: &Value, times: u64, reads_texts: bool) -> Result<(), Error> {
    if value.as_object().is_none() || times == 0 {
        return Ok(());
    }
    let mut open = Vec::new();
    // 64ths of a step that are not paid yet.
    let mut owed = 0_u64;
    // Paid before it is kept: a list may say that it holds 10^10 others.
    let mut meet = |value: Value, open: &mut Vec<Value>| {
        let bytes = value.as_str().filter(|_| reads_texts).map_or(0, str::len) as u64;
        owed = owed.saturating_add((VALUE + bytes).saturating_mul(times));
        state.consume_fuel(owed / 64)?;
        owed %= 64;
        if value.as_object().is_some() {
            open.push(value);
        }
        Ok::<_, Error>(())
    };
    meet(value.clone(), &mut open)?;
    while let Some(value) = open.pop() {
        match value.kind() {
            ValueKind::Map => {
                for key in value.try_iter()? {
                    meet(value.get_item(&key)?, &mut open)?;
                    meet(key, &mut open)?;
                }
            }
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()? {
                    meet(item, &mut open)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
