//! What an answer says.

use serde_json::Value;

/// Log-probabilities of a prompt's tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptScores {
    /// Of each token but the first given those before it, nats.
    pub logprobs: Vec<f64>,
    /// Whether each of them was the most likely one.
    pub greedy: Vec<bool>,
    /// All tokens, as the server names them.
    pub tokens: PromptTokens,
}

/// A prompt's tokens as a server names them.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptTokens {
    /// By their texts.
    Texts(Vec<String>),
    /// By their ids; none where a server gives no name.
    Ids(Vec<Option<u32>>),
}

/// What a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It has as many tokens as it may have.
    Length,
    /// The model ended it.
    Stop,
}

/// The text of a completion.
pub(super) fn text(answer: &Value) -> Result<Text, String> {
    let choice = choice(answer)?;
    written(choice, choice.get("text"))
}

/// The text of a chat's answer.
pub(super) fn chat_text(answer: &Value) -> Result<Text, String> {
    let choice = choice(answer)?;
    written(choice, choice.pointer("/message/content"))
}

fn written(choice: &Value, text: Option<&Value>) -> Result<Text, String> {
    let text = match text {
        // A model that ends at once has no content for some servers.
        Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        _ => return Err("the answer has no text".into()),
    };
    let ended = match choice.get("finish_reason").and_then(Value::as_str) {
        Some("length") => Ended::Length,
        _ => Ended::Stop,
    };
    Ok(Text { text, ended })
}

/// The first of an answer's choices.
pub(super) fn choice(answer: &Value) -> Result<&Value, String> {
    answer.pointer("/choices/0").ok_or_else(|| "the answer has no `choices`".into())
}

/// Scores of `echo` and `logprobs`: of the prompt's tokens, and perhaps of a new one.
pub(super) fn echoed(answer: &Value, sent: usize) -> Result<PromptScores, String> {
    let logprobs = choice(answer)?.get("logprobs").filter(|logprobs| !logprobs.is_null());
    let logprobs = logprobs.ok_or("the answer has no `logprobs`")?;
    let list = |key: &str| logprobs.get(key).and_then(Value::as_array);
    let scores = list("token_logprobs").ok_or("the answer's `logprobs` have no `token_logprobs`")?;
    let names = list("tokens").ok_or("the answer's `logprobs` have no `tokens`")?;
    if scores.len() < sent || names.len() < sent {
        return Err(format!("{} log-probabilities came for {sent} tokens", scores.len().min(names.len())));
    }
    let prompt_tokens = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
    if let Some(there) = prompt_tokens.filter(|&there| there != sent as u64) {
        return Err(format!("the server counts {there} tokens where {sent} were sent"));
    }
    // At most one token is new.
    if prompt_tokens.is_none() && scores.len() > sent + 1 {
        return Err(format!("{} log-probabilities came for {sent} tokens", scores.len()));
    }
    let mut found =
        PromptScores { logprobs: Vec::new(), greedy: Vec::new(), tokens: PromptTokens::Texts(Vec::new()) };
    let top = list("top_logprobs");
    for (number, score) in scores.iter().enumerate().take(sent).skip(1) {
        let score = number_of(score, number)?;
        let best = top.and_then(|top| top.get(number)?.as_object());
        let best = best.into_iter().flat_map(|best| best.values().filter_map(Value::as_f64));
        found.greedy.push(best.fold(f64::NEG_INFINITY, f64::max) <= score);
        found.logprobs.push(score);
    }
    let names = names.iter().take(sent).map(|name| name.as_str().unwrap_or_default().to_string());
    found.tokens = PromptTokens::Texts(names.collect());
    Ok(found)
}

/// Scores of vLLM's `prompt_logprobs`: for each token a map of ids, that of the token itself among them.
pub(super) fn prompt_logprobs(answer: &Value, ids: &[u32]) -> Result<PromptScores, String> {
    let list = choice(answer)?.get("prompt_logprobs").or_else(|| answer.get("prompt_logprobs"));
    let list = list.and_then(Value::as_array).ok_or("the answer has no `prompt_logprobs`")?;
    if list.len() != ids.len() {
        return Err(format!("{} log-probabilities came for {} tokens", list.len(), ids.len()));
    }
    let mut found =
        PromptScores { logprobs: Vec::new(), greedy: Vec::new(), tokens: PromptTokens::Ids(Vec::new()) };
    let mut names = vec![ids.first().copied()];
    for (number, (entry, id)) in list.iter().zip(ids).enumerate().skip(1) {
        let entry = entry.as_object().ok_or_else(|| format!("token {number} has no log-probability"))?;
        let own = entry.get(&id.to_string());
        names.push(own.map(|_| *id).or_else(|| entry.keys().find_map(|key| key.parse().ok())));
        let own = own.unwrap_or(&Value::Null);
        let score = own.get("logprob").unwrap_or(&Value::Null);
        found.logprobs.push(number_of(score, number).unwrap_or(f64::NAN));
        found.greedy.push(own.get("rank").and_then(Value::as_u64) == Some(1));
    }
    found.tokens = PromptTokens::Ids(names);
    Ok(found)
}

fn number_of(score: &Value, token: usize) -> Result<f64, String> {
    let number = score.as_f64().filter(|score| score.is_finite() && *score <= 1e-3);
    number.ok_or_else(|| format!("token {token}'s log-probability is {score}"))
}
