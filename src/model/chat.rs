//! Chat templates: how an instruct model wants to be asked, as transformers' `apply_chat_template` renders it.
//!
//! A template is Jinja2: `chat_template.jinja` beside the model, `chat_template` of tokenizer_config.json, or of a GGUF
//! file `tokenizer.chat_template`.

use std::ops::Range;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value as Jinja};
use minijinja::{Environment, ErrorKind as JinjaError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::format::{self, CheckpointFormat};
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;

/// Tokens that templates name, as tokenizer_config.json calls them.
const SPECIAL: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A model's template and the tokens that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatTemplate {
    source: String,
    special: Map<String, Value>,
}

/// What somebody says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// What a user says, in the words of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The whole, up to where the model is to answer.
    pub text: String,
    /// Where in it stands what the user says, in bytes; the whole where a template changes it.
    pub said: Range<usize>,
}

impl Message {
    /// What the user says.
    pub fn user(content: &str) -> Message {
        Message { role: "user".into(), content: content.into() }
    }
}

impl ChatTemplate {
    /// That of a checkpoint, a directory or a GGUF file.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when it has none, or its files cannot be read.
    pub fn read(path: &Path) -> Result<ChatTemplate> {
        ChatTemplate::of_format(format::open(path)?.as_ref(), path)
    }

    /// That of a checkpoint's form, which lies at `path`.
    pub(super) fn of_format(format: &dyn CheckpointFormat, path: &Path) -> Result<ChatTemplate> {
        format.chat_template()?.ok_or_else(|| {
            Error::new(ErrorKind::Tokenizer, "the model has no chat template")
                .in_file(path)
                .fix("use an instruct model, or ask in plain text")
        })
    }

    /// That of a directory, if it has one.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file that cannot be read.
    pub(super) fn of_directory(dir: &Path) -> Result<Option<ChatTemplate>> {
        let config = dir.join("tokenizer_config.json");
        let config: Value = match config.exists() {
            true => serde_json::from_str(&read_text(&config, ErrorKind::Tokenizer)?).map_err(|e| {
                Error::new(ErrorKind::Tokenizer, format!("not valid JSON: {e}"))
                    .in_file(&config)
                    .fix("copy it again")
            })?,
            false => Value::Null,
        };
        let file = dir.join("chat_template.jinja");
        let source = match file.exists() {
            true => Some(read_text(&file, ErrorKind::Tokenizer)?),
            false => in_config(&config),
        };
        Ok(source.map(|source| ChatTemplate::new(source, &config)))
    }

    /// A template, and the special tokens of a tokenizer_config.json.
    pub fn new(source: String, config: &Value) -> ChatTemplate {
        let token = |name: &str| {
            let token = config.get(name)?;
            let text = token.get("content").unwrap_or(token).as_str()?;
            Some((name.to_string(), text.into()))
        };
        ChatTemplate { source, special: SPECIAL.into_iter().filter_map(token).collect() }
    }

    /// What a user says, and where in the template's words it stands.
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
    /// [`ErrorKind::Tokenizer`] when the template is no template, or refuses the conversation.
    pub fn render(&self, messages: &[Message]) -> Result<String> {
        let mut context = self.special.clone();
        context.insert("messages".into(), serde_json::to_value(messages).expect("plain data"));
        context.insert("add_generation_prompt".into(), true.into());
        context.insert("tools".into(), Value::Null);
        context.insert("documents".into(), Value::Null);
        environment().render_str(&self.source, Jinja::from(Serde(context))).map_err(|e| {
            let what = format!("the chat template cannot be rendered: {}", words(&e));
            Error::new(ErrorKind::Tokenizer, what).fix("ask in plain text, without the template")
        })
    }
}

/// The template in tokenizer_config.json: one, or several by name of which `default` counts.
fn in_config(config: &Value) -> Option<String> {
    let template = config.get("chat_template")?;
    let named = |templates: &Vec<Value>| {
        let default = templates.iter().find(|template| template["name"] == "default")?;
        Some(default["template"].as_str()?.to_string())
    };
    template.as_str().map(str::to_string).or_else(|| template.as_array().and_then(named))
}

/// Jinja as transformers sets it up.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters"));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", to_json);
    environment.add_function(
        "raise_exception",
        |what: String| -> std::result::Result<Jinja, minijinja::Error> {
            Err(minijinja::Error::new(JinjaError::InvalidOperation, what))
        },
    );
    environment
        .add_function("strftime_now", |format: String| chrono::Local::now().format(&format).to_string());
    environment
}

/// JSON as Python writes it, with `, ` and `: ` between, or indented.
fn to_json(value: Jinja, options: Kwargs) -> std::result::Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    let bad = |e: serde_json::Error| minijinja::Error::new(JinjaError::BadSerialization, e.to_string());
    match indent {
        Some(indent) => {
            let indent = " ".repeat(indent);
            let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter)).map_err(bad)?;
        }
        None => {
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced)).map_err(bad)?
        }
    }
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

/// `json.dumps`' separators.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

/// An error with its causes on one line.
fn words(error: &minijinja::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Fixtures {
        conversations: Vec<Vec<Message>>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        template: String,
        special: Value,
        /// None where the template refuses the conversation.
        rendered: Vec<Option<String>>,
    }

    #[test]
    fn rendered_as_transformers_renders() {
        let fixtures: Fixtures =
            serde_json::from_str(include_str!("../../tests/fixtures/chat_templates.json")).unwrap();
        let (mut rendered, mut refused) = (0, 0);
        for Case { name, template, special, rendered: expected } in fixtures.cases {
            let template = ChatTemplate::new(template, &special);
            for (messages, expected) in fixtures.conversations.iter().zip(expected) {
                match (template.render(messages), expected) {
                    (Ok(text), Some(expected)) => {
                        assert_eq!(text, expected, "{name}");
                        rendered += 1;
                    }
                    (Err(e), None) => {
                        assert!(e.what.contains("chat template") && e.fix.is_some(), "{name}: {e}");
                        refused += 1;
                    }
                    (text, expected) => panic!("{name}: {text:?} for {expected:?}"),
                }
            }
        }
        assert!(rendered >= 40 && refused >= 3, "{rendered}, {refused}");
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
        assert_eq!(in_config(&serde_json::json!({"chat_template": named})).as_deref(), Some("b"));
        assert_eq!(in_config(&serde_json::json!({"chat_template": "c"})).as_deref(), Some("c"));
        assert_eq!(in_config(&serde_json::json!({})), None);
        let broken = ChatTemplate::new("{% for %}".into(), &Value::Null).render(&[Message::user("a")]);
        assert!(broken.unwrap_err().what.contains("cannot be rendered"));
    }
}
