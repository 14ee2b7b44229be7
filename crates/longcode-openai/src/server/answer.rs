//! Answers in OpenAI's form.

use serde_json::{Map, Value, json};

use super::models::{Models, TokenScore};
use super::output::Output;
use super::request::Request;

/// What all parts of an answer share.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: usize,
    pub(super) name: String,
}

impl Head {
    fn object(&self, kind: &str, choices: Vec<Value>) -> Value {
        json!({"id": self.id, "object": kind, "created": self.created, "model": self.name, "choices": choices})
    }
}

/// Tokens that were read and made.
pub(super) fn usage(prompt_tokens: usize, outputs: &[Output]) -> Value {
    let new: usize = outputs.iter().map(|output| output.ids.len()).sum();
    json!({"prompt_tokens": prompt_tokens, "completion_tokens": new, "total_tokens": prompt_tokens + new})
}

/// The whole answer. `prompts`: the texts of the choices' prompts and their ids.
pub(super) fn whole(
    head: &Head,
    request: &Request,
    prompts: &[(&str, &[u32])],
    outputs: &[Output],
    models: &dyn Models,
) -> Value {
    let chat = request.prompts.is_chat();
    let choice = |(index, (output, prompt)): (usize, (&Output, &(&str, &[u32])))| {
        let finish = output.ended.map(|ended| ended.name());
        if chat {
            let logprobs = request.logprobs.map(|top| content(head.model, &output.of_new, top, models));
            return json!({
                "index": index,
                "message": {"role": "assistant", "content": output.text},
                "logprobs": logprobs,
                "finish_reason": finish,
            });
        }
        let (text, ids) = *prompt;
        let logprobs =
            request.logprobs.map(|top| lists(head.model, (text, ids), output, request.echo, top, models));
        let text = if request.echo { format!("{text}{}", output.text) } else { output.text.clone() };
        json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish})
    };
    let choices = outputs.iter().zip(prompts).enumerate().map(choice).collect();
    let tokens = prompts.chunks(request.n).map(|same| same[0].1.len()).sum();
    let mut answer = head.object(if chat { "chat.completion" } else { "text_completion" }, choices);
    answer["usage"] = usage(tokens, outputs);
    answer
}

/// A part of a stream: new text, or the end.
pub(super) fn piece(
    head: &Head,
    request: &Request,
    index: usize,
    (output, text, scores): (&Output, &str, &[TokenScore]),
    models: &dyn Models,
) -> Value {
    let finish = output.ended.map(|ended| ended.name());
    if request.prompts.is_chat() {
        let logprobs = request.logprobs.map(|top| content(head.model, scores, top, models));
        let choice = json!({"index": index, "delta": {"content": text}, "logprobs": logprobs, "finish_reason": finish});
        return head.object("chat.completion.chunk", vec![choice]);
    }
    let logprobs = request.logprobs.map(|top| {
        let names = named(head.model, scores, top, models);
        json!({"tokens": names.0, "token_logprobs": names.1, "top_logprobs": names.2, "text_offset": []})
    });
    let choice = json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish});
    head.object("text_completion", vec![choice])
}

/// The first part of a chat's stream.
pub(super) fn role(head: &Head, index: usize) -> Value {
    let choice = json!({"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null});
    head.object("chat.completion.chunk", vec![choice])
}

/// The last part of a stream that says what it used.
pub(super) fn last(head: &Head, chat: bool, prompt_tokens: usize, outputs: &[Output]) -> Value {
    let mut answer = head.object(if chat { "chat.completion.chunk" } else { "text_completion" }, Vec::new());
    answer["usage"] = usage(prompt_tokens, outputs);
    answer
}

/// `logprobs` of a completion: four lists, of the prompt's tokens too with echo.
fn lists(
    model: usize,
    (text, ids): (&str, &[u32]),
    output: &Output,
    echo: bool,
    top: usize,
    models: &dyn Models,
) -> Value {
    let (mut tokens, mut scores, mut tops) = (Vec::new(), Vec::new(), Vec::new());
    if let (true, Some(first)) = (echo, ids.first()) {
        tokens.extend(models.token_names(model, &[*first]));
        scores.push(Value::Null);
        tops.push(Value::Null);
        let (names, of_names, top_names) = named(model, &output.of_prompt, top, models);
        tokens.extend(names);
        scores.extend(of_names);
        tops.extend(top_names);
    }
    let (names, of_names, top_names) = named(model, &output.of_new, top, models);
    tokens.extend(names);
    scores.extend(of_names);
    tops.extend(top_names);
    let mut place = if echo { 0 } else { text.chars().count() };
    let offsets: Vec<usize> = tokens
        .iter()
        .map(|token| {
            place += token.chars().count();
            place - token.chars().count()
        })
        .collect();
    let tops = if top == 0 { Value::Null } else { json!(tops) };
    json!({"tokens": tokens, "token_logprobs": scores, "top_logprobs": tops, "text_offset": offsets})
}

/// Names, log-probabilities, and the most likely tokens by name.
fn named(
    model: usize,
    scores: &[TokenScore],
    top: usize,
    models: &dyn Models,
) -> (Vec<String>, Vec<Value>, Vec<Value>) {
    let ids: Vec<u32> = scores.iter().map(|score| score.id).collect();
    let names = models.token_names(model, &ids);
    let tops = scores.iter().zip(&names).map(|(score, name)| {
        let ids: Vec<u32> = score.top.iter().take(top).map(|(id, _)| *id).collect();
        let best = models.token_names(model, &ids).into_iter().zip(&score.top);
        let mut map: Map<String, Value> = best.map(|(name, (_, logprob))| (name, json!(logprob))).collect();
        if !ids.contains(&score.id) {
            map.insert(name.clone(), json!(score.logprob));
        }
        Value::Object(map)
    });
    let tops = tops.collect();
    let logprobs = scores.iter().map(|score| json!(score.logprob)).collect();
    (names, logprobs, tops)
}

/// `logprobs` of a chat's answer.
fn content(model: usize, scores: &[TokenScore], top: usize, models: &dyn Models) -> Value {
    let entry = |(id, logprob): &(u32, f32)| {
        let name = models.token_names(model, &[*id]).pop().unwrap_or_default();
        json!({"token": name, "logprob": logprob, "bytes": name.as_bytes()})
    };
    let tokens = scores.iter().map(|score| {
        let mut token = entry(&(score.id, score.logprob));
        token["top_logprobs"] = score.top.iter().take(top).map(&entry).collect();
        token
    });
    json!({"content": tokens.collect::<Vec<_>>()})
}
