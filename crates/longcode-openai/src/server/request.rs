//! What is asked. Every field is known, or refused by its name.

use longcode_base::limits;
use serde_json::{Map, Value};

use super::Refusal;
use super::models::Message;

/// A request for completions or for a chat's answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    /// The model's name; none for the first.
    pub(super) model: Option<String>,
    pub(super) prompts: Prompts,
    pub(super) max_tokens: usize,
    pub(super) echo: bool,
    /// How many of the most likely tokens to show with each; none without log-probabilities.
    pub(super) logprobs: Option<usize>,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    pub(super) seed: Option<u64>,
    pub(super) stop: Vec<String>,
    pub(super) n: usize,
    pub(super) stream: bool,
    /// Whether a stream ends with what it used.
    pub(super) include_usage: bool,
}

/// What is to be continued.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Prompts {
    Texts(Vec<String>),
    Ids(Vec<Vec<u32>>),
    Chat(Vec<Message>),
}

impl Prompts {
    pub(super) fn count(&self) -> usize {
        match self {
            Prompts::Texts(texts) => texts.len(),
            Prompts::Ids(ids) => ids.len(),
            Prompts::Chat(_) => 1,
        }
    }

    /// Takes what was asked; what is left is of the same form, and empty.
    pub(super) fn take(&mut self) -> Prompts {
        match self {
            Prompts::Texts(texts) => Prompts::Texts(std::mem::take(texts)),
            Prompts::Ids(ids) => Prompts::Ids(std::mem::take(ids)),
            Prompts::Chat(messages) => Prompts::Chat(std::mem::take(messages)),
        }
    }

    pub(super) fn is_chat(&self) -> bool {
        matches!(self, Prompts::Chat(_))
    }
}

/// Fields that change nothing at these values, and cannot have others.
const NEUTRAL: [(&str, &[&str]); 8] = [
    ("presence_penalty", &["0", "0.0"]),
    ("frequency_penalty", &["0", "0.0"]),
    ("best_of", &["1"]),
    ("suffix", &[]),
    ("logit_bias", &["{}"]),
    ("tools", &["[]"]),
    ("tool_choice", &["\"none\""]),
    ("response_format", &["{\"type\":\"text\"}"]),
];

/// New tokens without `max_tokens`: of completions as OpenAI has it.
const NEW_TOKENS: usize = 16;
/// The same of a chat.
const NEW_TOKENS_OF_CHAT: usize = 512;

impl Request {
    /// # Errors
    /// [`Refusal`] that names the field.
    pub(super) fn completion(body: Value) -> Result<Request, Refusal> {
        let mut fields = Fields::of(body)?;
        let prompts = prompts(fields.take("prompt"))?;
        let max_tokens = fields.count("max_tokens")?.unwrap_or(NEW_TOKENS);
        let echo = fields.flag("echo")?;
        let logprobs = fields.count("logprobs")?;
        fields.rest(prompts, max_tokens, echo, logprobs)
    }

    /// # Errors
    /// [`Refusal`] that names the field.
    pub(super) fn chat(body: Value) -> Result<Request, Refusal> {
        let mut fields = Fields::of(body)?;
        let messages = messages(fields.take("messages"))?;
        let max_tokens = fields.count("max_tokens")?;
        let max_tokens = fields.count("max_completion_tokens")?.or(max_tokens).unwrap_or(NEW_TOKENS_OF_CHAT);
        let top = fields.count("top_logprobs")?;
        let logprobs = match (fields.flag("logprobs")?, top) {
            (true, top) => Some(top.unwrap_or(0)),
            (false, Some(_)) => {
                return Err(Refusal::field("top_logprobs", "top_logprobs needs logprobs: true"));
            }
            (false, None) => None,
        };
        fields.rest(Prompts::Chat(messages), max_tokens, false, logprobs)
    }
}

/// The fields of a request that nobody has taken yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// # Errors
    /// [`Refusal`] for what is no object.
    pub(super) fn of(body: Value) -> Result<Fields, Refusal> {
        match body {
            Value::Object(fields) => Ok(Fields(fields)),
            _ => Err(Refusal::bad("the body is not a JSON object")),
        }
    }

    /// A field's value; none for null too.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// # Errors
    /// [`Refusal`] for another type.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Refusal::field(name, format!("{name} is {}, not a text", shown(&other)))),
        }
    }

    /// # Errors
    /// [`Refusal`] for another type.
    pub(super) fn flag_or(&mut self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => {
                Err(Refusal::field(name, format!("{name} is {}, not true or false", shown(&other))))
            }
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        self.flag_or(name, false)
    }

    fn count(&mut self, name: &str) -> Result<Option<usize>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count as usize)),
                None => Err(Refusal::field(name, format!("{name} is {}, not a count", shown(&value)))),
            },
        }
    }

    fn number(&mut self, name: &str, default: f64, most: f64) -> Result<f64, Refusal> {
        let Some(value) = self.take(name) else { return Ok(default) };
        let number = value.as_f64().filter(|number| (0.0..=most).contains(number));
        number.ok_or_else(|| {
            Refusal::field(name, format!("{name} is {}, not a number of 0 to {most}", shown(&value)))
        })
    }

    /// # Errors
    /// [`Refusal`] that names the first field that nobody has taken.
    pub(super) fn none_left(mut self) -> Result<(), Refusal> {
        for (name, neutral) in NEUTRAL {
            if let Some(value) = self.take(name)
                && !neutral.contains(&value.to_string().as_str())
            {
                return Err(Refusal::field(name, format!("{name} is not supported: leave it out")));
            }
        }
        self.0.retain(|_, value| !value.is_null());
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let known: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
                Err(Refusal::field(&known, format!("unknown field `{known}`: leave it out")))
            }
        }
    }

    /// What completions and chats share.
    fn rest(
        mut self,
        prompts: Prompts,
        max_tokens: usize,
        echo: bool,
        logprobs: Option<usize>,
    ) -> Result<Request, Refusal> {
        let (n, stream) = (self.count("n")?.unwrap_or(1), self.flag("stream")?);
        let include_usage = self.include_usage(stream)?;
        self.take("user");
        let request = Request {
            model: self.text("model")?,
            max_tokens,
            echo,
            logprobs,
            temperature: self.number("temperature", 1.0, 100.0)?,
            top_p: self.number("top_p", 1.0, 1.0)?,
            seed: self.seed()?,
            stop: self.stop()?,
            n,
            stream,
            include_usage,
            prompts,
        };
        self.none_left()?;
        request.check()?;
        Ok(request)
    }

    /// Of `stream_options`, which a stream alone has.
    fn include_usage(&mut self, stream: bool) -> Result<bool, Refusal> {
        let wrong = |what: String| Refusal::field("stream_options", what);
        let Some(options) = self.take("stream_options") else { return Ok(false) };
        if !stream {
            return Err(wrong("stream_options needs stream: true".into()));
        }
        let mut options = Fields::of(options).map_err(|_| wrong("stream_options is not an object".into()))?;
        let include_usage = options.flag("include_usage")?;
        options.none_left().map_err(|e| wrong(format!("stream_options: {}", e.message)))?;
        Ok(include_usage)
    }

    /// # Errors
    /// [`Refusal`] for what is not a list of ids.
    pub(super) fn ids(&mut self, name: &str) -> Result<Vec<u32>, Refusal> {
        let list = self.take(name);
        let found = list.as_ref().and_then(Value::as_array).and_then(|list| ids(list));
        found.ok_or_else(|| Refusal::field(name, format!("{name} is not a list of ids")))
    }

    /// Any whole number is a seed.
    fn seed(&mut self) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.take("seed") else { return Ok(None) };
        let seed = value.as_u64().or_else(|| value.as_i64().map(|seed| seed as u64));
        seed.map(Some)
            .ok_or_else(|| Refusal::field("seed", format!("seed is {}, not a whole number", shown(&value))))
    }

    fn stop(&mut self) -> Result<Vec<String>, Refusal> {
        let wrong = || {
            Refusal::field(
                "stop",
                format!("stop is not a text or a list of at most {} texts", limits::SERVE_STOPS),
            )
        };
        let stops = match self.take("stop") {
            None => Vec::new(),
            Some(Value::String(stop)) => vec![stop],
            Some(Value::Array(stops)) => {
                let texts = stops.into_iter().map(|stop| stop.as_str().map(str::to_string));
                texts.collect::<Option<_>>().ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        if stops.len() > limits::SERVE_STOPS || stops.iter().any(String::is_empty) {
            Err(wrong())
        } else {
            Ok(stops)
        }
    }
}

impl Request {
    fn check(&self) -> Result<(), Refusal> {
        let most = limits::SERVE_LOGPROBS;
        if self.logprobs.is_some_and(|top| top > most) {
            let name = if self.prompts.is_chat() { "top_logprobs" } else { "logprobs" };
            return Err(Refusal::field(name, format!("{name} is more than {most}")));
        }
        if self.n == 0 {
            return Err(Refusal::field("n", "n is 0: ask for at least 1"));
        }
        let choices = self.n.saturating_mul(self.prompts.count());
        if choices > limits::SERVE_CHOICES {
            let most = limits::SERVE_CHOICES;
            return Err(Refusal::field(
                "n",
                format!("{choices} choices are more than {most} of one request"),
            ));
        }
        if self.max_tokens == 0 && !self.echo {
            return Err(Refusal::field("max_tokens", "max_tokens is 0, which makes sense with echo alone"));
        }
        if self.stream && self.echo {
            return Err(Refusal::field("echo", "echo and stream together are not supported"));
        }
        Ok(())
    }
}

fn ids(list: &[Value]) -> Option<Vec<u32>> {
    list.iter().map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok())).collect()
}

fn prompts(value: Option<Value>) -> Result<Prompts, Refusal> {
    let wrong = || {
        Refusal::field(
            "prompt",
            "prompt is not a text, a list of texts, a list of ids, or a list of lists of ids",
        )
    };
    match value {
        None => Err(Refusal::field("prompt", "no `prompt`")),
        Some(Value::String(text)) => Ok(Prompts::Texts(vec![text])),
        Some(Value::Array(list)) => match list.first() {
            Some(Value::String(_)) => {
                let texts = list.into_iter().map(|text| text.as_str().map(str::to_string));
                texts.collect::<Option<_>>().map(Prompts::Texts).ok_or_else(wrong)
            }
            Some(Value::Number(_)) => ids(&list).map(|ids| Prompts::Ids(vec![ids])).ok_or_else(wrong),
            Some(Value::Array(_)) => {
                let lists = list.iter().map(|list| ids(list.as_array()?));
                lists.collect::<Option<_>>().map(Prompts::Ids).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

/// A conversation. A text may come as parts; images and the like are refused by their type.
fn messages(value: Option<Value>) -> Result<Vec<Message>, Refusal> {
    let wrong = |what: &str| Refusal::field("messages", what);
    let Some(Value::Array(list)) = value else { return Err(wrong("messages is not a list")) };
    if list.is_empty() {
        return Err(wrong("messages is empty"));
    }
    let numbered = list.into_iter().enumerate();
    numbered
        .map(|(number, value)| message(value).map_err(|e| wrong(&format!("message {number}: {}", e.message))))
        .collect()
}

fn message(value: Value) -> Result<Message, Refusal> {
    let mut fields = Fields::of(value).map_err(|_| Refusal::bad("not an object"))?;
    let role = fields.text("role")?.ok_or_else(|| Refusal::bad("no role"))?;
    let parts = match fields.take("content") {
        None => Vec::new(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(parts)) => parts.into_iter().map(part).collect::<Result<_, _>>()?,
        Some(_) => return Err(Refusal::bad("its content is not a text")),
    };
    fields.none_left()?;
    Ok(Message { role, parts })
}

fn part(value: Value) -> Result<String, Refusal> {
    let mut fields = Fields::of(value).map_err(|_| Refusal::bad("a part of it is not an object"))?;
    match fields.text("type")?.as_deref() {
        Some("text") => {
            let text = fields.text("text")?.ok_or_else(|| Refusal::bad("a part of it has no text"))?;
            fields.none_left()?;
            Ok(text)
        }
        kind => Err(Refusal::bad(format!(
            "a part of it is of type `{}`: only text is supported",
            kind.unwrap_or("none")
        ))),
    }
}

/// A value in an error, shortened.
fn shown(value: &Value) -> String {
    value.to_string().chars().filter(|c| !c.is_control()).take(60).collect()
}
