//! What a server is and can do, found by few requests about a short text.

use serde_json::{Value, json};

use super::Prompt;
use super::http::{Failure, Http};
use super::read::{self, PromptScores};

/// Who serves a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What the server calls itself, in words; empty if it does not.
    pub server: String,
    /// Most tokens of a sequence there, if it says.
    pub most_tokens: Option<usize>,
    /// Tokens that the model was trained at, if it says.
    pub trained_length: Option<usize>,
}

/// In what form a server takes prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompts {
    /// As ids of tokens.
    Ids,
    /// As texts, which it tokenizes itself.
    Texts,
}

/// How a server gives the log-probabilities of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    /// By `echo` with `logprobs`.
    Echo,
    /// By `prompt_logprobs`, as vLLM does without `echo`.
    PromptLogprobs,
}

impl Losses {
    /// The question for a prompt's log-probabilities.
    pub(super) fn body(self, model: &str, prompt: Value) -> Value {
        let mut body =
            json!({"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "seed": 0});
        match self {
            Losses::Echo => {
                body["echo"] = json!(true);
                body["logprobs"] = json!(1);
            }
            Losses::PromptLogprobs => body["prompt_logprobs"] = json!(1),
        }
        body
    }

    pub(super) fn scores(self, answer: &Value, ids: &[u32]) -> Result<PromptScores, String> {
        match self {
            Losses::Echo => read::echoed(answer, ids.len()),
            Losses::PromptLogprobs => read::prompt_logprobs(answer, ids),
        }
    }
}

/// What a server can do.
#[derive(Debug, Clone)]
pub struct Abilities {
    /// In what form it takes prompts.
    pub prompts: Prompts,
    /// How it gives the log-probabilities of a prompt, or why it does not.
    pub losses: Result<Losses, String>,
    /// Whether it continues prompts as they are, or why not: some only chat.
    pub completions: Result<(), String>,
    /// Whether it takes messages.
    pub chat: bool,
}

/// The model's name on a server, and what the server says about itself.
pub(super) fn about(http: &Http, wanted: Option<&str>) -> Result<(String, About), Failure> {
    let answer = match (http.get("models"), wanted) {
        (Ok(answer), _) => answer,
        // Not every server lists what it has.
        (Err(Failure::Status(404 | 405, _)), Some(name)) => return Ok((name.into(), About::default())),
        (Err(failure), _) => return Err(failure),
    };
    let models = answer.body.get("data").and_then(Value::as_array);
    let models = models.ok_or_else(|| Failure::Nonsense("the list of models has no `data`".into()))?;
    let name_of = |model: &Value| model.get("id").and_then(Value::as_str).map(str::to_string);
    let names: Vec<String> = models.iter().filter_map(name_of).collect();
    let name = match (wanted, &names[..]) {
        (Some(wanted), _) if names.iter().any(|name| name == wanted) => wanted.to_string(),
        (None, [only]) => only.clone(),
        (wanted, _) => return Err(Failure::Nonsense(another(wanted, &names))),
    };
    let model = models.iter().find(|model| name_of(model).as_ref() == Some(&name));
    let count = |place: &str| model.and_then(|model| model.pointer(place)?.as_u64());
    let most = count("/max_model_len").or_else(|| count("/meta/n_ctx_train"));
    let said =
        |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_string);
    let owner = model.and_then(|model| model.get("owned_by")?.as_str());
    let version = http.get_once("/version").ok().and_then(|answer| version(&answer.body));
    let parts = [said("server"), owner.map(str::to_string), version];
    let mut known: Vec<String> = Vec::new();
    for part in parts.into_iter().flatten().filter(|part| !part.trim().is_empty()) {
        if !known.contains(&part) {
            known.push(part.chars().filter(|c| !c.is_control()).take(80).collect());
        }
    }
    let tokens = |count: Option<u64>| count.and_then(|count| usize::try_from(count).ok());
    let (most_tokens, trained_length) = (tokens(most), tokens(count("/trained_length")));
    Ok((name, About { server: known.join(", "), most_tokens, trained_length }))
}

fn version(body: &Value) -> Option<String> {
    body.get("version")?.as_str().map(|version| format!("version {version}"))
}

fn another(wanted: Option<&str>, names: &[String]) -> String {
    const SHOWN: usize = 10;
    let there = match names {
        [] => "no model".into(),
        _ => names.iter().take(SHOWN).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
    };
    match wanted {
        Some(wanted) => format!("the server has no \"{wanted}\", but {there}"),
        None => format!("the server has {there}: `served_as` says which"),
    }
}

/// What a model can do, tried on a short prompt.
pub(super) fn abilities(http: &Http, model: &str, probe: Prompt) -> Result<Abilities, Failure> {
    let plain = |prompt: Value| json!({"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0});
    let asked = |prompt: Value| {
        let answer = http.ask("completions", &plain(prompt))?;
        read::text(&answer).map_err(Failure::Nonsense)
    };
    let by_ids = asked(json!(probe.ids));
    let chat = {
        let messages = json!([{"role": "user", "content": probe.text}]);
        let body = json!({"model": model, "messages": messages, "max_tokens": 1, "temperature": 0});
        move || http.ask("chat/completions", &body).is_ok_and(|answer| read::chat_text(&answer).is_ok())
    };
    let (prompts, completions) = match by_ids {
        Ok(_) => (Prompts::Ids, Ok(())),
        Err(refused @ Failure::Status(400.., _)) if !is_about_the_user(&refused) => {
            match asked(json!(probe.text)) {
                Ok(_) => (Prompts::Texts, Ok(())),
                Err(why @ Failure::Status(400.., _)) => (Prompts::Texts, Err(why)),
                Err(failure) => return Err(failure),
            }
        }
        Err(failure) => return Err(failure),
    };
    let chat = chat();
    if let (Err(why), false) = (&completions, chat) {
        return Err(why.clone());
    }
    let completions = completions.map_err(|why| why.to_string());
    let losses = match &completions {
        Ok(()) => losses(http, model, prompts, probe),
        Err(why) => Err(format!("it has no /completions ({why})")),
    };
    Ok(Abilities { prompts, losses, completions, chat })
}

/// Whether a refusal is not about the request but about who asks.
fn is_about_the_user(failure: &Failure) -> bool {
    matches!(failure, Failure::Status(401..=403 | 429, _))
}

fn losses(http: &Http, model: &str, prompts: Prompts, probe: Prompt) -> Result<Losses, String> {
    let prompt = match prompts {
        Prompts::Ids => json!(probe.ids),
        Prompts::Texts => json!(probe.text),
    };
    let mut why = Vec::new();
    for (losses, name) in [(Losses::Echo, "echo"), (Losses::PromptLogprobs, "prompt_logprobs")] {
        let tried = http.ask("completions", &losses.body(model, prompt.clone())).map_err(|e| e.to_string());
        match tried.and_then(|answer| losses.scores(&answer, probe.ids)) {
            Ok(_) => return Ok(losses),
            Err(what) => why.push(format!("with `{name}` {what}")),
        }
    }
    Err(why.join("; "))
}
