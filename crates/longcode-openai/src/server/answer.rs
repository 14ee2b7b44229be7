//! Answers in OpenAI's form.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::models::{Models, Prepared, TokenScore};
use super::output::Output;
use super::request::Request;

/// What all parts of an answer share.
pub(super) struct Head<M: Models> {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) models: Arc<M>,
    /// Number of the model.
    pub(super) model: usize,
    pub(super) request: Request,
}

impl<M: Models> Head<M> {
    fn is_chat(&self) -> bool {
        self.request.prompts.is_chat()
    }

    fn object(&self, kind: &str, choices: Vec<Value>) -> Value {
        let name = &self.models.names()[self.model];
        json!({"id": self.id, "object": kind, "created": self.created, "model": name, "choices": choices})
    }

    fn part(&self, choices: Vec<Value>) -> Value {
        self.object(if self.is_chat() { "chat.completion.chunk" } else { "text_completion" }, choices)
    }

    /// The whole answer. `outputs`: of each prompt its choices.
    pub(super) fn whole(&self, prompts: &[Arc<Prepared<M::Layout>>], outputs: &[Output]) -> Value {
        let of_prompts = prompts.iter().flat_map(|prompt| std::iter::repeat_n(&**prompt, self.request.n));
        let choices = outputs
            .iter()
            .zip(of_prompts)
            .enumerate()
            .map(|(index, (output, prompt))| self.choice(index, output, prompt));
        let kind = if self.is_chat() { "chat.completion" } else { "text_completion" };
        let mut answer = self.object(kind, choices.collect());
        answer["usage"] = usage(prompts, outputs);
        answer
    }

    fn choice(&self, index: usize, output: &Output, prompt: &Prepared<M::Layout>) -> Value {
        let finish = output.ended.map(|ended| ended.name());
        if self.is_chat() {
            let logprobs = self.request.logprobs.map(|top| self.content(&output.of_new, top));
            let message = json!({"role": "assistant", "content": output.text});
            return json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish});
        }
        let logprobs = self.request.logprobs.map(|top| self.lists(prompt, output, top));
        let text =
            if self.request.echo { format!("{}{}", prompt.text, output.text) } else { output.text.clone() };
        json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish})
    }

    /// A part of a stream: text that is new, and the scores from number `from` on.
    pub(super) fn piece(
        &self,
        index: usize,
        (output, text, from): (&Output, &str, usize),
        prompt: &Prepared<M::Layout>,
    ) -> Value {
        let finish = output.ended.map(|ended| ended.name());
        if self.is_chat() {
            let logprobs = self.request.logprobs.map(|top| self.content(&output.of_new[from..], top));
            let choice = json!({"index": index, "delta": {"content": text}, "logprobs": logprobs, "finish_reason": finish});
            return self.part(vec![choice]);
        }
        let logprobs = self.request.logprobs.map(|top| {
            let mut lists = Lists::default();
            self.add(&mut lists, &output.of_new[from..], top);
            lists.offsets = offsets_of_new(&prompt.text, output).split_off(from);
            lists.value(top)
        });
        self.part(vec![json!({"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish})])
    }

    /// The first part of a chat's stream.
    pub(super) fn role(&self, index: usize) -> Value {
        let delta = json!({"role": "assistant", "content": ""});
        self.part(vec![json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": null})])
    }

    /// The last part of a stream that says what it used.
    pub(super) fn last(&self, prompts: &[Arc<Prepared<M::Layout>>], outputs: &[Output]) -> Value {
        let mut answer = self.part(Vec::new());
        answer["usage"] = usage(prompts, outputs);
        answer
    }

    /// `logprobs` of a completion, of the prompt's tokens too with echo.
    fn lists(&self, prompt: &Prepared<M::Layout>, output: &Output, top: usize) -> Value {
        let mut lists = Lists::default();
        if let (true, Some(first)) = (self.request.echo, prompt.ids.first()) {
            lists.tokens.extend(self.models.token_names(self.model, &[*first]));
            lists.logprobs.push(Value::Null);
            lists.tops.push(Value::Null);
            self.add(&mut lists, &output.of_prompt, top);
            lists.offsets = characters(&prompt.text, &prompt.starts);
        }
        self.add(&mut lists, &output.of_new, top);
        lists.offsets.extend(offsets_of_new(&prompt.text, output));
        lists.value(top)
    }

    /// Adds names, log-probabilities, and the most likely tokens by name.
    fn add(&self, lists: &mut Lists, scores: &[TokenScore], top: usize) {
        let ids: Vec<u32> = scores.iter().map(|score| score.id).collect();
        let names = self.models.token_names(self.model, &ids);
        for (score, name) in scores.iter().zip(names) {
            let best: Vec<(u32, f32)> = score.top.iter().take(top).copied().collect();
            let best_ids: Vec<u32> = best.iter().map(|(id, _)| *id).collect();
            let best_names = self.models.token_names(self.model, &best_ids);
            let own = (!best_ids.contains(&score.id)).then(|| (name.clone(), (score.id, score.logprob)));
            let mut map = Map::new();
            for (name, (id, logprob)) in best_names.into_iter().zip(best).chain(own) {
                // Two tokens may have one text.
                let name = if map.contains_key(&name) { format!("token_id:{id}") } else { name };
                map.insert(name, json!(logprob));
            }
            lists.tokens.push(name);
            lists.logprobs.push(json!(score.logprob));
            lists.tops.push(Value::Object(map));
        }
    }

    /// `logprobs` of a chat's answer.
    fn content(&self, scores: &[TokenScore], top: usize) -> Value {
        let entry = |(id, logprob): &(u32, f32)| {
            let name = self.models.token_names(self.model, &[*id]).pop().unwrap_or_default();
            json!({"token": name, "logprob": logprob, "bytes": name.as_bytes()})
        };
        let tokens = scores.iter().map(|score| {
            let mut token = entry(&(score.id, score.logprob));
            token["top_logprobs"] = score.top.iter().take(top).map(&entry).collect();
            token
        });
        json!({"content": tokens.collect::<Vec<_>>()})
    }
}

/// `logprobs` of a completion: four lists.
#[derive(Default)]
struct Lists {
    tokens: Vec<String>,
    logprobs: Vec<Value>,
    tops: Vec<Value>,
    offsets: Vec<usize>,
}

impl Lists {
    fn value(self, top: usize) -> Value {
        let tops = if top == 0 { Value::Null } else { json!(self.tops) };
        json!({"tokens": self.tokens, "token_logprobs": self.logprobs, "top_logprobs": tops, "text_offset": self.offsets})
    }
}

/// Tokens that were read and made.
fn usage<L>(prompts: &[Arc<Prepared<L>>], outputs: &[Output]) -> Value {
    let read: usize = prompts.iter().map(|prompt| prompt.ids.len()).sum();
    let made: usize = outputs.iter().map(|output| output.of_new.len()).sum();
    json!({"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made})
}

/// Where each new token begins, in characters of prompt and new text.
fn offsets_of_new(prompt: &str, output: &Output) -> Vec<usize> {
    let before = prompt.chars().count();
    characters(&output.text, &output.starts).into_iter().map(|start| before + start).collect()
}

/// Bytes, in order, as numbers of characters. A place within a character is that character's.
fn characters(text: &str, places: &[usize]) -> Vec<usize> {
    let mut counted = (0, 0);
    let place = |&place: &usize| {
        let place = text.floor_char_boundary(place.max(counted.0));
        counted = (place, counted.1 + text[counted.0..place].chars().count());
        counted.1
    };
    places.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        assert_eq!(characters("aäb", &[0, 1, 2, 3, 4, 9]), [0, 1, 1, 2, 3, 3]);
    }
}
