//! Chat templates: how an instruct model wants to be asked, as transformers' `apply_chat_template` renders
//! it.
//!
//! A template is Jinja2: `chat_template.jinja` next to the model, `chat_template` of tokenizer_config.json,
//! or `tokenizer.chat_template` of a GGUF file.
//!
//! A template is a program by whoever made the model: it runs with counted steps and bytes, on a stack of its
//! own ([`bounds`] counts how deep it nests before it is parsed, [`counted`] charges for walking through
//! values). [`python`] is what templates expect of
//! Python, [`filters`] of Jinja2, [`json`] and [`strftime`] are two functions of it.

mod bounds;
mod counted;
mod filters;
mod json;
mod python;
mod strftime;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use minijinja::machinery::{eval, make_string_output};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Serde, Value as Jinja, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, ErrorKind as JinjaError, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Tokenizer;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use longcode_base::guard::guarded;
use longcode_base::limits::{
    CHAT_SECONDS, CHAT_STACK_BYTES, CHAT_STACK_BYTES_A_STEP, CHAT_STEPS, CHAT_STEPS_A_BYTE,
};
use longcode_base::messages::note_once;

/// A model's template and the tokens that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatTemplate {
    source: String,
    special: Map<String, Value>,
    /// Where it was read, for errors.
    file: Option<PathBuf>,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// A user's message, rendered by a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The whole text, up to where the model is to answer.
    pub text: String,
    /// Where in it the message is, in bytes; the whole if a template changes the message.
    pub said: Range<usize>,
}

impl Message {
    /// A user's message.
    pub fn user(content: &str) -> Message {
        Message { role: "user".into(), content: content.into() }
    }
}

impl ChatTemplate {
    /// The template of a directory, if it has one.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file that cannot be read.
    pub fn of_directory(dir: &Path) -> Result<Option<ChatTemplate>> {
        let config = Tokenizer::read_config(dir)?;
        let file = dir.join("chat_template.jinja");
        let config_file = dir.join("tokenizer_config.json");
        let in_config = || in_config(&config).map_err(|e| e.in_file(&config_file));
        let (source, read) = if file.exists() {
            let text = read_text(&file, ErrorKind::Tokenizer)?;
            if in_config()?.is_some_and(|other| other != text) {
                note_once(
                    "chat_template.jinja and tokenizer_config.json have different chat templates; the first counts, as in \
                     transformers",
                );
            }
            (Some(text), &file)
        } else {
            (in_config()?, &config_file)
        };
        Ok(source.map(|source| ChatTemplate::new(source, &config).of_file(read)))
    }

    /// A template, with the special tokens of a tokenizer_config.json, which it can name: `bos_token` and the
    /// like.
    pub fn new(source: String, config: &Value) -> ChatTemplate {
        let tokens = config.as_object().into_iter().flatten().filter(|(name, _)| name.ends_with("_token"));
        let special = tokens.filter_map(|(name, token)| {
            let text = token.get("content").unwrap_or(token).as_str()?;
            Some((name.clone(), text.into()))
        });
        ChatTemplate { source, special: special.collect(), file: None }
    }

    /// The file that it was read from, which its errors name.
    pub fn of_file(self, path: &Path) -> ChatTemplate {
        ChatTemplate { file: Some(path.to_path_buf()), ..self }
    }

    /// The template itself.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// A user's message in the template, and where it is.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn ask(&self, says: &str) -> Result<Asked> {
        // Private use characters: a text that no template looks into, to see what it puts around any text.
        const ANY: &str = "\u{e000}\u{e001}\u{e000}";
        let text = self.render(&[Message::user(says)])?;
        let around = self.render(&[Message::user(ANY)])?;
        let said = around.split_once(ANY).filter(|(before, after)| {
            before.len() + after.len() <= text.len() && text.starts_with(before) && text.ends_with(after)
        });
        let said = said.map_or(0..text.len(), |(before, after)| before.len()..text.len() - after.len());
        Ok(Asked { text, said })
    }

    /// The text of a conversation, up to where the model is to answer.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the template's file, when the template is not valid, or refuses the conversation.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let mut context = self.special.clone();
        context.insert("messages".into(), serde_json::to_value(messages).expect("plain data"));
        context.insert("add_generation_prompt".into(), true.into());
        context.insert("tools".into(), Value::Null);
        context.insert("documents".into(), Value::Null);
        let said: usize = messages.iter().map(|message| message.role.len() + message.content.len()).sum();
        let steps = CHAT_STEPS.saturating_add(CHAT_STEPS_A_BYTE.saturating_mul(said as u64));
        let source = self.source.clone();
        let stack = CHAT_STACK_BYTES.saturating_add(CHAT_STACK_BYTES_A_STEP.saturating_mul(steps as usize));
        let time = Duration::from_secs(CHAT_SECONDS);
        on_own_stack(stack, time, move || rendered(&source, context, steps)).map_err(|what| {
            let what = format!("the chat template cannot be rendered: {what}");
            let error = Error::new(ErrorKind::Tokenizer, what).fix("ask in plain text, without the template");
            self.file.iter().fold(error, |error, file| error.in_file(file))
        })
    }
}

/// Renders on a thread with a stack of this many bytes, as a template's values can nest. Counted steps end it;
/// the time is for what might have escaped the count, and then the thread is abandoned.
fn on_own_stack(
    stack: usize,
    time: Duration,
    render: impl FnOnce() -> std::result::Result<String, String> + Send + 'static,
) -> std::result::Result<String, String> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name("chat template".into()).stack_size(stack);
    // Nobody listens any more when the time is over.
    let thread = thread.spawn(move || drop(sender.send(guarded(render).flatten())));
    thread.map_err(|e| format!("no thread with {} MB of stack: {e}", stack >> 20))?;
    receiver.recv_timeout(time).unwrap_or_else(|_| Err(format!("it takes longer than {} s", time.as_secs())))
}

fn rendered(source: &str, context: Map<String, Value>, steps: u64) -> std::result::Result<String, String> {
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("the usual delimiters");
    let source = bounds::checked(source, &syntax)?;
    let mut environment = environment(syntax.clone());
    environment.set_fuel(Some(steps));
    let in_words = |e: minijinja::Error| match e.kind() {
        JinjaError::OutOfFuel => "it takes too many steps, or makes too long a text".into(),
        _ => words(&e),
    };
    let instructions = counted::compiled(&source, syntax).map_err(in_words)?;
    let (mut text, no_blocks) = (String::new(), BTreeMap::new());
    let mut output = make_string_output(&mut text);
    let context = Jinja::from(Serde(context));
    eval(&environment, &instructions, context, &no_blocks, &mut output, AutoEscape::None)
        .map_err(in_words)?;
    Ok(text)
}

/// The template in tokenizer_config.json: one, or several by name, of which `default` is used.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] if it is something else, or none of several is `default`.
fn in_config(config: &Value) -> Result<Option<String>> {
    const KEY: &str = "chat_template";
    let wrong = |what: &str| {
        Error::new(ErrorKind::Tokenizer, format!("{KEY} {what}"))
            .at_key(KEY)
            .fix("compare it with the model's own tokenizer_config.json")
    };
    let templates = match config.get(KEY) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(template)) => return Ok(Some(template.clone())),
        Some(Value::Array(templates)) => templates,
        Some(_) => return Err(wrong("is neither a text nor a list of named texts")),
    };
    let mut default = None;
    for template in templates {
        match (template["name"].as_str(), template["template"].as_str()) {
            (Some("default"), Some(text)) => default = Some(text.to_string()),
            (Some(_), Some(_)) => (),
            _ => return Err(wrong("has an entry without a name or a text")),
        }
    }
    default.map(Some).ok_or_else(|| wrong("has no template by the name of default"))
}

/// Jinja as configured by transformers.
fn environment(syntax: SyntaxConfig) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(python::method);
    environment.add_filter("tojson", json::filter);
    environment.add_filter("string", python::string);
    environment.add_filter("trim", python::trim);
    environment.add_filter("indent", filters::indent);
    environment.add_filter("truncate", filters::truncate);
    environment.add_filter("wordcount", filters::wordcount);
    environment.add_filter("center", filters::center);
    environment.add_filter("urlencode", filters::urlencode);
    environment.add_filter("escape", filters::escape);
    environment.add_filter("e", filters::escape);
    environment.set_formatter(filters::print);
    environment.add_filter("int", python::int);
    environment.add_filter("float", python::to_float);
    environment.add_test("callable", python::is_callable);
    environment.remove_global("debug");
    // Jinja2 has none of these.
    ["chain", "zip", "split", "lines", "bool"].into_iter().for_each(|name| environment.remove_filter(name));
    environment.add_test("iterable", python::is_iterable);
    environment.add_test("sequence", python::is_sequence);
    environment.add_function(
        "raise_exception",
        |state: &State<'_, '_>, what: &Jinja| -> std::result::Result<Jinja, minijinja::Error> {
            counted::pay(state, [what])?;
            Err(minijinja::Error::new(JinjaError::InvalidOperation, what.to_string()))
        },
    );
    environment.add_function("strftime_now", |state: &State<'_, '_>, format: &str| {
        state.consume_fuel(strftime::longest(format) / 64)?;
        Ok::<_, minijinja::Error>(strftime::strftime(chrono::Local::now().naive_local(), format))
    });
    // They are there for Jinja2, and so they are defined; no published template calls one.
    for name in ["cycler", "joiner", "lipsum"] {
        let refuse = move |_: Rest<ValueOrKwargs>| -> std::result::Result<Jinja, minijinja::Error> {
            Err(minijinja::Error::new(JinjaError::UnknownFunction, format!("{name} cannot be called here")))
        };
        environment.add_function(name, refuse);
    }
    counted::add_to(&mut environment);
    environment
}

/// An error with its causes on one line, cut if long: a template may put any text in it.
fn words(error: &minijinja::Error) -> String {
    const LONGEST: usize = 500;
    let text: String = error.to_string().chars().take(LONGEST).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[derive(Deserialize)]
    struct Fixtures {
        conversations: Vec<Vec<Message>>,
        cases: Vec<Case>,
        formats: Vec<String>,
        times: Vec<Time>,
    }

    #[derive(Deserialize)]
    struct Time {
        time: String,
        texts: Vec<String>,
    }

    fn fixtures() -> Fixtures {
        serde_json::from_str(include_str!("../tests/chat_templates.json")).unwrap()
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        template: String,
        special: Value,
        /// None if the template refuses the conversation.
        rendered: Vec<Option<String>>,
    }

    #[test]
    fn rendered_as_transformers_renders() {
        let fixtures = fixtures();
        let (mut rendered, mut refused, mut wrong) = (0, 0, String::new());
        for Case { name, template, special, rendered: expected } in fixtures.cases {
            let chat = ChatTemplate::new(template.clone(), &special);
            for (number, (messages, expected)) in fixtures.conversations.iter().zip(expected).enumerate() {
                match (chat.render(messages), expected) {
                    (Ok(text), Some(expected)) if text == expected => rendered += 1,
                    (Err(e), None) => {
                        assert!(e.what.contains("chat template") && e.fix.is_some(), "{name}: {e}");
                        refused += 1;
                    }
                    (text, expected) => {
                        writeln!(wrong, "{name}, {number}: {template}\n  {text:?}\n  {expected:?}").unwrap();
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        assert!(rendered >= 700 && refused >= 40, "{rendered}, {refused}");
    }

    #[test]
    fn times_as_python_writes_them() {
        let Fixtures { formats, times, .. } = fixtures();
        for Time { time, texts } in times {
            let time = time.parse().unwrap();
            for (format, expected) in formats.iter().zip(texts) {
                assert_eq!(strftime::strftime(time, format), expected, "{format} of {time}");
            }
        }
    }

    #[test]
    fn what_never_ends_or_nests_too_deep_is_refused() {
        let deep = |part: &str| format!("{{{{ {}1 }}}}", part.repeat(20_000));
        let after = |part: &str| format!("{{{{ a{} }}}}", part.repeat(20_000));
        let twice = |body: &str| {
            format!(
                "{{% set ns = namespace(a='ab', l=[1]) %}}{{% for i in range(100) %}}{body}{{% endfor %}}{{{{ ns.a | length }}}}"
            )
        };
        let cases = [
            deep("not "),
            deep("- "),
            deep("+"),
            deep("1 + "),
            deep("1 ~ "),
            deep("1 and "),
            deep("1 if 1 else "),
            deep("("),
            deep("["),
            deep("f("),
            deep("{1:"),
            after("|upper"),
            after(".a"),
            after("()"),
            after("[0]"),
            after(" is string"),
            after(" == 1"),
            after(" ** 1"),
            format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(20_000)),
            "{% if 1 %}".repeat(20_000),
            "{% for i in [1] %}".repeat(20_000),
            "{% generation %}".repeat(20_000),
            format!("{{% set {}a = 1 %}}", "(".repeat(20_000)),
            twice("{% set ns.a = ns.a + ns.a %}"),
            twice("{% set ns.a = ns.a ~ ns.a %}"),
            twice("{% set ns.a = ns.a * 9 %}"),
            twice("{% set ns.a = ns.a.replace('a', ns.a) %}"),
            twice("{% set ns.a = ns.a | replace('a', ns.a) %}"),
            twice("{% set ns.a = ns.a.join([ns.a, ns.a]) %}"),
            twice("{% set ns.a = [ns.a, ns.a] | join(ns.a) %}"),
            twice("{% set ns.a = '{0}{0}{0}'.format(ns.a) %}"),
            twice("{% set ns.a = '%s%s' | format(ns.a, ns.a) %}"),
            twice("{% set ns.l = ns.l + ns.l %}"),
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l | tojson }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l | string }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l ~ 'a' }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ ''.join([ns.l]) }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ ns.l | trim }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ '{}'.format(ns.l) }}",
            twice("{% set ns.l = [ns.l, ns.l] %}") + "{{ '{a}'.format(a=ns.l) }}",
            "{{ '{:>9999999999}'.format(1) }}".into(),
            "{{ '%9999999999d' | format(1) }}".into(),
            "{{ 'a\nb' | indent(9999999999) }}".into(),
            "{{ [1] | tojson(indent=9999999999) }}".into(),
            "{{ [1] | batch(9999999999, 'x') }}".into(),
            "{{ [1] | slice(9999999999, 'x') | list }}".into(),
            "{{ 'a' * 9999999999 }}".into(),
            "{{ [1] * 9999999999 }}".into(),
            "{{ range(9999999999) | list }}".into(),
            "{{ 2 ** 9999999999 }}".into(),
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}".into(),
            "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}".into(),
            "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}".into(),
            "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}".into(),
            "x".repeat(2 << 20),
        ];
        for template in cases.into_iter().chain(values_that_hold_others_often()) {
            let start: String = template.chars().take(120).collect();
            let chat = ChatTemplate::new(template, &Value::Null);
            match chat.render(&[Message::user("a")]) {
                Ok(text) => panic!("{start}: {} bytes", text.len()),
                Err(e) => {
                    assert!(e.what.contains("chat template") && e.fix.is_some(), "{start}: {e}");
                    assert!(e.what.len() < 2_000, "{start}: {e}");
                    // Steps end it, not the clock.
                    assert!(!e.what.contains("longer than"), "{start}: {e}");
                }
            }
        }
    }

    /// Templates with two lists that hold 2^100 others, and what walks through them.
    fn values_that_hold_others_often() -> Vec<String> {
        let walks = [
            "ns.l == ns.m",
            "ns.l != ns.m",
            "ns.l < ns.m",
            "ns.l >= ns.m",
            "1 == 1 == (ns.l == ns.m)",
            "ns.l == ns.m == ns.l",
            "ns.l in [ns.m]",
            "ns.l not in [ns.m]",
            "[ns.m].count(ns.l)",
            "{ns.l: 1}",
            "{'a': 1}[ns.l]",
            "{'a': 1}.get(ns.l)",
            "{'a': ns.l} == {'a': ns.m}",
            "[ns.l, ns.m] | unique | list | length",
            "[ns.l, ns.m] | sort | length",
            "[ns.l, ns.m] | min | length",
            "[ns.l, ns.m] | max | length",
            "[{'a': ns.l}, {'a': ns.m}] | sort(attribute='a') | length",
            "[{'a': ns.l}, {'a': ns.m}] | groupby('a') | length",
            "{'a': ns.l, 'b': ns.m} | dictsort(by='value') | length",
            "[ns.l] | select('==', ns.m) | list | length",
            "[ns.l] | reject('in', [ns.m]) | list | length",
            "[{'a': ns.l}] | selectattr('a', 'eq', ns.m) | list | length",
            "[ns.l] | map('string') | list | length",
            "ns.l is eq(ns.m)",
            "ns.l is in([ns.m])",
            "ns.l | items | list | length if ns.l is mapping else ns.l | upper",
            "ns.l | join",
            "'a' | join(ns.l)",
            "'a' | replace('a', ns.l)",
            "'a'.replace('a', ns.l)",
            "ns.l ~ ns.m",
            "ns.l | e",
            "ns.l | urlencode",
            "ns.l | pprint",
            "'%s' | format(ns.l)",
            "'a' | indent(ns.l)",
            "raise_exception(ns.l)",
            "[ns.l] | reverse | list == [ns.m]",
            "ns.l[::-1] == ns.m[::-1]",
            "[ns.l] | sum(start=[]) == ns.m",
            "ns.l | batch(1) | list == ns.m | batch(1) | list",
        ];
        let pairs = "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}\
                     {% set ns.m = [ns.m, ns.m] %}{% endfor %}";
        // Without a list of two in the template: batches of two, then twice as many.
        let batches = "{% set ns = namespace(l=[1, 1], m=[1, 1]) %}{% for i in range(100) %}\
                       {% set ns.l = (ns.l | batch(2) | list) * 2 %}{% set ns.m = (ns.m | batch(2) | list) * 2 %}\
                       {% endfor %}{{ ns.l == ns.m }}";
        let dicts = "{% set ns = namespace(l={}, m={}) %}{% for i in range(100) %}{% set ns.l = dict(a=ns.l, b=ns.l) %}\
                     {% set ns.m = dict(a=ns.m, b=ns.m) %}{% endfor %}{{ ns.l == ns.m }}";
        let texts = "{% set ns = namespace(l='a' * 1000000) %}{% for i in range(90000) %}{% set x = ACT %}{% endfor %}";
        let slow = [
            "(ns.l ~ 'b') == (ns.l ~ 'c')",
            "{'a': 1}[ns.l]",
            "ns.l in [ns.l ~ 'b']",
            "ns.l.strip('b' + ns.l)",
        ];
        let mut made: Vec<_> = walks.iter().map(|walk| format!("{pairs}{{{{ {walk} }}}}")).collect();
        made.extend([batches, dicts].map(str::to_string));
        made.extend(slow.map(|act| texts.replace("ACT", act)));
        made.push(format!("{{{{ strftime_now('{}' * 100000) }}}}", "%1000Y".repeat(10)));
        made
    }

    /// What is paid for changes no result.
    #[test]
    fn counted_operators_are_the_librarys() {
        for (expression, expected) in [
            ("1 < 2 < 3", "True"),
            ("1 < 3 < 2", "False"),
            ("1 in [1] == true", "False"),
            ("[1, [2]] == [1, [2]] and {'a': 1} != {'a': 2}", "True"),
            ("'a' in 'ab' in ['ab']", "True"),
            ("2 not in (1, 3) and not (1 in none) if false else 'b'", "b"),
            ("{'a': 1, 'b': [2]}['a' if false else 'b'][0] ~ 'c' ~ 1.5", "2c1.5"),
            ("[3, 1, 2] | sort(reverse=true) | join('-')", "3-2-1"),
            ("['a', 'b'] | map('upper') | list", "['A', 'B']"),
            ("[1, 2, 3] | select('gt', 1) | map('string') | join", "23"),
            ("'aXbX'.strip('X' + 'b') ~ ' a '.lstrip() ~ '|'", "aa |"),
            ("[1, [2], [2]].count([2])", "2"),
            ("5 is divisibleby(5) and 5 is not divisibleby 2 and 4 is even", "True"),
            ("[1] + [2, [3]] + [] == [1, 2, [3]] and (1,) + (2,) == (1, 2) and 1 + 2.5 == 3.5", "True"),
            ("([1] + [2])[1] ~ ('a' + 'b') ~ ((1,) + (2, 3))", "2ab(1, 2, 3)"),
            (
                "[[1.0, -2e-5], {'a': 1e20}] | string ~ [1e20] ~ 1e-7",
                "[[1.0, -2e-05], {'a': 1e+20}][1e+20]1e-07",
            ),
            ("['it\\'s', \"b\"]", "[\"it's\", 'b']"),
            ("('a', 1) == ('a', 1) and x is undefined and x | default('z') == 'z'", "True"),
        ] {
            let chat = ChatTemplate::new(format!("{{{{ {expression} }}}}"), &Value::Null);
            let text = chat.render(&[]).unwrap_or_else(|e| panic!("{expression}: {e}"));
            assert_eq!(text.to_lowercase(), expected.to_lowercase(), "{expression}");
        }
        let flow = "{% macro m(a, b=2) %}{% if a > b %}>{% elif a == b %}={% else %}<{% endif %}{% endmacro %}\
                    {% for i in range(5) if i != 3 %}{{ m(i) }}{% else %}none{% endfor %}{{ m(1, b=0) }}\
                    {% for i in [[1, 2], [3, 4]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{% endif %}{% endfor %}";
        let text = ChatTemplate::new(flow.into(), &Value::Null).render(&[]).unwrap();
        assert_eq!(text, "<<=>>(12)(34)");
    }

    /// Values that nest as deep as there are steps to nest them: a list in a list in a list.
    #[test]
    fn deep_values_are_within_the_stack() {
        for after in [
            "",
            "{{ ns.l }}",
            "{{ ns.l | string | length }}",
            "{{ ns.l | tojson }}",
            "{{ ns.l == ns.m }}",
            "{{ ns.l in [ns.m] }}",
            "{{ [ns.l, ns.m] | unique | list | length }}",
            "{{ [ns.l, ns.m] | sort | length }}",
            "{{ {ns.l: 1} | length }}",
        ] {
            let nest = "{% set ns = namespace(l=[], m=[]) %}{% for i in range(100000) %}{% for j in range(100000) %}\
                        {% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% if i * 1000 + j > N %}{% break %}{% endif %}\
                        {% endfor %}{% if i * 1000 + j > N %}{% break %}{% endif %}{% endfor %}";
            for most in ["1000", "10000", "90000000"] {
                let chat = ChatTemplate::new(nest.replace('N', most) + after, &Value::Null);
                let _ = chat.render(&[Message::user(&"a".repeat(100_000))]);
            }
        }
        let dicts = "{% set ns = namespace(l={}) %}{% for i in range(100000) %}{% set ns.l = {'a': ns.l} %}{% endfor %}{{ ns.l }}";
        let _ = ChatTemplate::new(dicts.into(), &Value::Null).render(&[Message::user("a")]);
    }

    #[test]
    fn no_namespace_holds_itself() {
        for template in [
            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
            "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}",
            "{% set ns = namespace() %}{% set m = ns %}{% set ns.a = m %}{{ ns.a }}",
            "{% set c = [namespace()] %}{% for n in c %}{% set n.a = c %}{% endfor %}{{ c }}",
            "{% set f = namespace %}{% set ns = f() %}{% set ns.a = ns %}",
            "{% macro f(x) %}{% set ns.a = x %}{% endmacro %}{% set ns = namespace() %}{{ f(ns) }}",
            "{% with ns = namespace() %}{% set ns.a = ns %}{% endwith %}",
            "{% set ns = namespace() if true else 1 %}{% set ns.a = ns %}",
        ] {
            let e =
                ChatTemplate::new(template.into(), &Value::Null).render(&[Message::user("a")]).unwrap_err();
            assert!(e.what.contains("namespace"), "{template}: {e}");
        }
        let usual = "{% set ns = namespace(a=1, ns=2) %}{% if ns is defined %}{% set ns.a = ns.a + ns['a'] %}{% endif %}{{ ns.a }}";
        let usual = ChatTemplate::new(usual.into(), &Value::Null).render(&[Message::user("a")]);
        assert_eq!(usual.unwrap(), "2");
    }

    /// Jinja2 defines them.
    #[test]
    fn functions_that_are_left_out_are_defined_and_refused_by_name() {
        let said = [Message::user("a")];
        let render = |source: &str| ChatTemplate::new(source.into(), &Value::Null).render(&said);
        let names = ["joiner", "cycler", "lipsum"];
        for name in names {
            assert_eq!(render(&format!("{{{{ {name} is defined }}}}")).unwrap(), "True");
            let error = render(&format!("{{{{ {name}('a') }}}}")).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_takes_too_long_is_left() {
        let slow = || {
            thread::sleep(Duration::from_secs(5));
            Ok(String::new())
        };
        assert!(on_own_stack(1 << 20, Duration::from_millis(1), slow).unwrap_err().contains("longer"));
        assert!(on_own_stack(1 << 20, Duration::from_secs(5), || panic!("a b")).unwrap_err().contains("a b"));
    }

    #[test]
    fn wide_templates_are_read() {
        let list = format!("{{{{ [{}] | length }}}}", "[1, 'a', (2 + 3)], ".repeat(5_000));
        let said = ChatTemplate::new(list, &Value::Null).render(&[Message::user("a")]).unwrap();
        assert_eq!(said, "5000");
        let long = "a".repeat(4 << 20);
        let chat = ChatTemplate::new("{{ messages[0].content | trim }}{{ '<a>' }}".into(), &Value::Null);
        assert_eq!(chat.ask(&long).unwrap().said, 0..long.len());
    }

    #[test]
    fn what_the_user_says_is_found() {
        let template = |source: &str| ChatTemplate::new(source.into(), &Value::Null);
        let plain = "<u>{{ messages[0].content }}</u><a>";
        let trims = "user: {{ messages[0]['content'] | trim }} a: user: ";
        for (source, says, said) in
            [(plain, "<u>", "<u>"), (trims, " a: user: \n", "a: user:"), (plain, "", ""), (trims, " ", "")]
        {
            let asked = template(source).ask(says).unwrap();
            assert_eq!(&asked.text[asked.said.clone()], said, "{source} {says:?}");
        }
        let changes = template("{% if 'x' in messages[0].content %}long{% endif %}{{ messages[0].content }}");
        let asked = changes.ask("x").unwrap();
        assert_eq!((asked.text.as_str(), asked.said), ("longx", 0..5));
    }

    #[test]
    fn templates_of_a_config() {
        let named =
            serde_json::json!([{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}]);
        let found = |template: Value| in_config(&serde_json::json!({ "chat_template": template }));
        assert_eq!(found(named).unwrap().as_deref(), Some("b"));
        assert_eq!(found("c".into()).unwrap().as_deref(), Some("c"));
        assert_eq!(found(Value::Null).unwrap(), None);
        assert_eq!(in_config(&Value::Null).unwrap(), None);
        for wrong in
            ["5", "{}", "[]", "[1]", r#"[{"name": "default"}]"#, r#"[{"name": "x", "template": "a"}]"#]
        {
            let e = found(serde_json::from_str(wrong).unwrap()).unwrap_err();
            assert!(
                e.fix.is_some() && e.place.is_some_and(|place| place.contains("chat_template")),
                "{wrong}"
            );
        }
        let broken = ChatTemplate::new("{% for %}".into(), &Value::Null).render(&[Message::user("a")]);
        assert!(broken.unwrap_err().what.contains("cannot be rendered"));
    }
}
