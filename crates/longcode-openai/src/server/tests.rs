//! A server of a model whose numbers are known, asked over loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::client::{Http, Key, Losses, Model, Patience, Prompt};

/// A model of bytes: after each byte comes the next one, with log-probability -0.5, until `z`.
struct Alphabet {
    names: Vec<String>,
    /// Milliseconds a token.
    slow: u64,
    /// Jobs that were given up since nobody listened.
    given_up: Arc<AtomicUsize>,
}

fn prepared(ids: Vec<u32>) -> Result<Prepared<()>, Refusal> {
    if ids.contains(&300) {
        return Err(Refusal::field("prompt", "id 300 is beyond the model's 256 embeddings"));
    }
    let text = ids.iter().map(|&id| char::from(id as u8)).collect();
    let starts = (0..ids.len()).collect();
    Ok(Prepared { ids, text, starts, layout: () })
}

fn bytes(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

fn score(id: u32) -> TokenScore {
    TokenScore { id, logprob: -0.5, top: vec![(id, -0.5), (48, -2.5)] }
}

impl Models for Alphabet {
    type Layout = ();

    fn names(&self) -> &[String] {
        &self.names
    }

    fn most_tokens(&self) -> usize {
        1000
    }

    fn trained_length(&self, _: usize) -> usize {
        100
    }

    fn text(&self, _: usize, text: &str) -> Result<Prepared<()>, Refusal> {
        prepared(bytes(text))
    }

    fn ids(&self, _: usize, ids: Vec<u32>) -> Result<Prepared<()>, Refusal> {
        prepared(ids)
    }

    fn chat(&self, _: usize, messages: &[Message]) -> Result<Prepared<()>, Refusal> {
        let said = messages.iter().map(|message| format!("<{}>{}", message.role, message.text()));
        prepared(bytes(&said.collect::<String>()))
    }

    fn tokenize(&self, _: usize, text: &str, special: bool) -> Result<Vec<u32>, Refusal> {
        Ok([1].into_iter().filter(|_| special).chain(bytes(text)).collect())
    }

    fn detokenize(&self, _: usize, ids: &[u32]) -> Result<String, Refusal> {
        Ok(prepared(ids.to_vec())?.text)
    }

    fn after(&self, _: usize, _: &[u32], ids: &[u32]) -> Result<String, Refusal> {
        Ok(prepared(ids.to_vec())?.text)
    }

    fn token_names(&self, _: usize, ids: &[u32]) -> Vec<String> {
        ids.iter().map(|&id| char::from(id as u8).to_string()).collect()
    }

    fn tokenizer_info(&self, _: usize) -> Value {
        json!({"eos_token": "z", "bos_token": null})
    }

    fn begin(&self, job: Job<()>) -> Result<(), Refusal> {
        let (slow, given_up) = (Duration::from_millis(self.slow), self.given_up.clone());
        thread::spawn(move || {
            let tell = |event| job.events.send((job.choice, event)).is_ok();
            if job.score {
                tell(Event::Prompt(job.prompt.ids[1..].iter().map(|&id| score(id)).collect()));
            }
            let mut last = job.prompt.ids[job.prompt.ids.len() - 1];
            for _ in 0..job.new_tokens {
                thread::sleep(slow);
                last += 1;
                if last == u32::from(b'z') {
                    tell(Event::EndOfText(score(last)));
                    return;
                }
                if job.is_given_up() || !tell(Event::Token(score(last))) {
                    given_up.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            tell(Event::End(Ended::Length));
        });
        Ok(())
    }
}

/// A server that ends with the test.
struct Running {
    address: SocketAddr,
    end: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    given_up: Arc<AtomicUsize>,
}

impl Running {
    fn start(slow: u64, key: Option<&str>, requests: usize) -> Running {
        let given_up = Arc::new(AtomicUsize::new(0));
        let names = vec!["abc".to_string(), "abc@rope".into()];
        let models = Alphabet { names, slow, given_up: given_up.clone() };
        let options = Options { key: key.map(String::from), requests };
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::new(models), options).unwrap();
        let (address, end) = (server.address().unwrap(), Arc::new(AtomicBool::new(false)));
        let ended = end.clone();
        let thread = thread::spawn(move || server.run(|| ended.load(Ordering::SeqCst)).unwrap());
        Running { address, end, thread: Some(thread), given_up }
    }

    /// The whole answer to a request: head and body.
    fn raw(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A server may answer before it has read all.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn post(&self, path: &str, body: Value) -> (u16, Value) {
        status_and_json(&self.raw("POST", path, "", &body.to_string()))
    }

    fn stop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
    }
}

fn status_and_json(answer: &str) -> (u16, Value) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}")))
}

#[test]
fn completions() {
    let server = Running::start(0, None, 8);
    let (status, answer) =
        server.post("/v1/completions", json!({"prompt": "ab", "max_tokens": 3, "logprobs": 1}));
    let choice = &answer["choices"][0];
    assert_eq!((status, &choice["text"], &choice["finish_reason"]), (200, &json!("cde"), &json!("length")));
    assert_eq!(choice["logprobs"]["tokens"], json!(["c", "d", "e"]));
    assert_eq!(choice["logprobs"]["top_logprobs"][0], json!({"c": -0.5}));
    assert_eq!(choice["logprobs"]["text_offset"], json!([2, 3, 4]));
    assert_eq!(answer["usage"], json!({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}));
    assert_eq!((&answer["model"], &answer["object"]), (&json!("abc"), &json!("text_completion")));
    // The model ends a text, a stop string does, and the last token does.
    for (body, text, reason) in [
        (json!({"prompt": "w", "max_tokens": 9}), "xy", "stop"),
        (json!({"prompt": "a", "max_tokens": 9, "stop": ["ef", "zz"]}), "bcd", "stop"),
        (json!({"prompt": "a", "max_tokens": 9, "stop": "ghi"}), "bcdef", "stop"),
    ] {
        let (_, answer) = server.post("/v1/completions", body);
        assert_eq!(
            (&answer["choices"][0]["text"], &answer["choices"][0]["finish_reason"]),
            (&json!(text), &json!(reason))
        );
    }
    let (_, answer) = server
        .post("/v1/completions", json!({"prompt": ["a", "m"], "n": 2, "max_tokens": 1, "model": "abc@rope"}));
    let texts: Vec<_> =
        answer["choices"].as_array().unwrap().iter().map(|choice| choice["text"].clone()).collect();
    assert_eq!(texts, ["b", "b", "n", "n"]);
    assert_eq!(answer["usage"]["prompt_tokens"], json!(2));
}

#[test]
fn log_probabilities_of_a_prompt() {
    let server = Running::start(0, None, 8);
    for (prompt, most) in [(json!([97, 99]), 0), (json!("ac"), 1)] {
        let body = json!({"prompt": prompt, "max_tokens": most, "echo": true, "logprobs": 1, "temperature": 0, "seed": 1234});
        let (_, answer) = server.post("/v1/completions", body);
        let logprobs = &answer["choices"][0]["logprobs"];
        let count = 2 + most;
        assert_eq!(answer["choices"][0]["text"], json!(&"acd"[..count]));
        assert_eq!(logprobs["tokens"].as_array().unwrap().len(), count);
        assert_eq!(logprobs["token_logprobs"], json!(&[None, Some(-0.5), Some(-0.5)][..count]));
        assert_eq!(logprobs["top_logprobs"].as_array().unwrap().len(), count);
        assert_eq!(logprobs["text_offset"], json!(&[0, 1, 2][..count]));
    }
}

/// A harness sums log-probabilities up to the last but one, so each new token has one, the end of the text too.
#[test]
fn the_end_of_a_text_has_its_log_probability() {
    let server = Running::start(0, None, 8);
    let body = json!({"prompt": "xy", "max_tokens": 1, "echo": true, "logprobs": 1, "temperature": 0});
    let (_, answer) = server.post("/v1/completions", body);
    let choice = &answer["choices"][0];
    assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!("xy"), &json!("stop")));
    assert_eq!(choice["logprobs"]["tokens"], json!(["x", "y", "z"]));
    assert_eq!(choice["logprobs"]["text_offset"], json!([0, 1, 2]));
    assert_eq!(answer["usage"]["completion_tokens"], json!(1));
}

/// A choice that has ended is not computed further while others of its request are.
#[test]
fn a_choice_that_ends_early_is_given_up() {
    let server = Running::start(20, None, 1);
    let body = json!({"prompt": ["a", "k"], "max_tokens": 8, "stop": "d"});
    let (_, answer) = server.post("/v1/completions", body);
    let texts = [0, 1].map(|index| answer["choices"][index]["text"].clone());
    assert_eq!(texts, ["bc", "lmnopqrs"]);
    assert_eq!(server.given_up.load(Ordering::SeqCst), 1);
}

#[test]
fn chats() {
    let server = Running::start(0, None, 8);
    let messages = json!([{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "ab"}]}]);
    let body = json!({"messages": messages, "max_completion_tokens": 2, "logprobs": true, "top_logprobs": 2});
    let (_, answer) = server.post("/v1/chat/completions", body);
    assert_eq!(answer["choices"][0]["message"], json!({"role": "assistant", "content": "cd"}));
    let first = &answer["choices"][0]["logprobs"]["content"][0];
    assert_eq!((&first["token"], first["top_logprobs"].as_array().unwrap().len()), (&json!("c"), 2));
    assert_eq!(answer["object"], json!("chat.completion"));
}

#[test]
fn streams() {
    let server = Running::start(0, None, 8);
    let pieces = |path: &str, body: Value| -> Vec<Value> {
        let answer = server.raw("POST", path, "", &body.to_string());
        assert!(answer.to_lowercase().contains("content-type: text/event-stream"));
        let data: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.last(), Some(&"[DONE]"));
        data[..data.len() - 1].iter().map(|data| serde_json::from_str(data).unwrap()).collect()
    };
    let body = json!({"prompt": "a", "max_tokens": 9, "stop": "efx", "stream": true, "stream_options": {"include_usage": true}});
    let found = pieces("/v1/completions", body);
    let text: String = found.iter().filter_map(|piece| piece["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "bcdefghij");
    // What may be the start of a stop string waits until it is known.
    assert!(found.iter().any(|piece| piece["choices"][0]["text"] == json!("efg")), "{found:?}");
    assert_eq!(found.last().unwrap()["usage"]["completion_tokens"], json!(9));
    let body = json!({"messages": [{"role": "user", "content": "w"}], "stream": true});
    let found = pieces("/v1/chat/completions", body);
    assert_eq!(found[0]["choices"][0]["delta"]["role"], json!("assistant"));
    let text: String =
        found.iter().filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((&text[..], &found.last().unwrap()["choices"][0]["finish_reason"]), ("xy", &json!("stop")));
}

#[test]
fn what_is_refused_is_named() {
    let server = Running::start(0, None, 8);
    let chat = |more: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "a"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (path, body, status, param, says) in [
        ("/v1/completions", json!({"prompt": "a", "top_k": 3}), 400, "top_k", "unknown field `top_k`"),
        ("/v1/completions", json!({"prompt": "a", "suffix": "b"}), 400, "suffix", "suffix is not supported"),
        ("/v1/completions", json!({"prompt": "a", "logprobs": 21}), 400, "logprobs", "more than 20"),
        ("/v1/completions", json!({"prompt": "a", "max_tokens": -1}), 400, "max_tokens", "max_tokens is -1"),
        ("/v1/completions", json!({"prompt": "a", "max_tokens": 0}), 400, "max_tokens", "echo alone"),
        (
            "/v1/completions",
            json!({"prompt": "a", "max_tokens": 1000}),
            400,
            "max_tokens",
            "1000 are the most",
        ),
        (
            "/v1/completions",
            json!({"prompt": "a", "temperature": "hot"}),
            400,
            "temperature",
            "temperature is \"hot\"",
        ),
        ("/v1/completions", json!({"prompt": "a", "n": 129}), 400, "n", "129 choices"),
        ("/v1/completions", json!({"prompt": [97, 300]}), 400, "prompt", "id 300"),
        ("/v1/completions", json!({"prompt": [[97], "a"]}), 400, "prompt", "prompt is not"),
        ("/v1/completions", json!({"prompt": ""}), 400, "prompt", "no token"),
        (
            "/v1/completions",
            json!({"prompt": "a", "model": "gpt"}),
            404,
            "model",
            "no model `gpt`: there are abc, abc@rope",
        ),
        (
            "/v1/chat/completions",
            chat(json!({"tools": [{"type": "function"}]})),
            400,
            "tools",
            "tools is not supported",
        ),
        ("/v1/chat/completions", chat(json!({"top_logprobs": 2})), 400, "top_logprobs", "needs logprobs"),
        (
            "/v1/chat/completions",
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            400,
            "messages",
            "only text",
        ),
        (
            "/v1/chat/completions",
            json!({"messages": [{"role": "user", "content": "a", "tool_calls": [1]}]}),
            400,
            "messages",
            "message 0: unknown field `tool_calls`",
        ),
        (
            "/v1/completions",
            json!({"prompt": "a", "stream_options": {}}),
            400,
            "stream_options",
            "needs stream",
        ),
        (
            "/v1/completions",
            json!({"prompt": "a", "stream": true, "stream_options": {"x": 1}}),
            400,
            "stream_options",
            "unknown field `x`",
        ),
        ("/detokenize", json!({"tokens": "a"}), 400, "tokens", "not a list of ids"),
    ] {
        let (found, answer) = server.post(path, body);
        let error = &answer["error"];
        assert_eq!((found, &error["param"]), (status, &json!(param)), "{answer}");
        assert!(error["message"].as_str().unwrap().contains(says), "{answer}");
    }
    let neutral = json!({"prompt": "a", "presence_penalty": 0, "logit_bias": null, "best_of": 1, "user": "me", "stop": null});
    assert_eq!(server.post("/v1/completions", neutral).0, 200);
    let large = format!("{{\"prompt\": \"{}\"}}", "a".repeat(longcode_base::limits::SERVE_BODY_BYTES));
    for (method, path, body, status) in [
        ("GET", "/v1/completions", "", 405),
        ("GET", "/nothing", "", 404),
        ("POST", "/v1/completions", "{\"prompt\"", 400),
        ("POST", "/v1/completions", "[]", 400),
        ("POST", "/v1/completions", &large, 413),
    ] {
        let answer = server.raw(method, path, "", body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{}", &answer[..answer.len().min(300)]);
        assert!(answer.contains("\"error\""));
    }
}

/// A page in a browser may reach this machine under a name of its own, and has no key.
#[test]
fn a_server_without_a_key_has_no_other_name() {
    let server = Running::start(0, None, 1);
    let status = |host: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!("GET /v1/models HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        status_and_json(&answer).0
    };
    let hosts =
        ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:9", "evil.example", "127.0.0.1.evil:80"];
    assert_eq!(hosts.map(status), [200, 200, 200, 200, 403, 403]);
}

#[test]
fn keys_and_places() {
    let server = Running::start(40, Some("sk-a"), 1);
    let body = json!({"prompt": "a", "max_tokens": 9}).to_string();
    let with_key = "Authorization: Bearer sk-a\r\n";
    for headers in ["", "Authorization: Bearer sk-b\r\n", "Authorization: sk-a\r\n"] {
        assert_eq!(status_and_json(&server.raw("POST", "/v1/completions", headers, &body)).0, 401);
    }
    assert_eq!(status_and_json(&server.raw("GET", "/health", "", "")).0, 200);
    thread::scope(|scope| {
        let first = scope.spawn(|| server.raw("POST", "/v1/completions", with_key, &body));
        thread::sleep(Duration::from_millis(150));
        let second = server.raw("POST", "/v1/completions", with_key, &body);
        assert!(
            second.starts_with("HTTP/1.1 429") && second.to_lowercase().contains("retry-after: 1"),
            "{second}"
        );
        assert!(first.join().unwrap().starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_client_that_goes_away_frees_its_place() {
    for stream in [false, true] {
        let server = Running::start(20, None, 1);
        let body = json!({"prompt": "a", "max_tokens": 500, "stream": stream, "stop": "never"}).to_string();
        let mut client = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(head.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(100));
        drop(client);
        let started = Instant::now();
        while server.given_up.load(Ordering::SeqCst) == 0 && started.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(server.given_up.load(Ordering::SeqCst), 1, "stream {stream}");
        assert_eq!(server.post("/v1/completions", json!({"prompt": "a", "max_tokens": 1})).0, 200);
    }
}

#[test]
fn what_is_under_way_is_finished_at_the_end() {
    let mut server = Running::start(30, None, 4);
    let address = server.address;
    let body = json!({"prompt": "a", "max_tokens": 9}).to_string();
    let asked = thread::spawn(move || {
        let other = Running { address, end: Arc::default(), thread: None, given_up: Arc::default() };
        other.raw("POST", "/v1/completions", "", &body)
    });
    thread::sleep(Duration::from_millis(100));
    server.stop();
    assert_eq!(status_and_json(&asked.join().unwrap()).1["choices"][0]["text"], json!("bcdefghij"));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn our_own_client() {
    let server = Running::start(0, Some("sk-a"), 8);
    let base = format!("http://{}/v1", server.address);
    let http = Http::new(&base, Key::new("sk-a"), Patience { tries: 1, ..Patience::default() }).unwrap();
    let prompt = Prompt { ids: &[97, 98, 99], text: "abc", message: None };
    let model = Model::open(http, Some("abc@rope"), prompt).unwrap();
    assert_eq!((&model.abilities().losses, model.abilities().chat), (&Ok(Losses::Echo), true));
    assert_eq!((model.about().most_tokens, model.about().trained_length), (Some(1000), Some(100)));
    let scores = model.score(prompt).unwrap();
    assert_eq!((scores.logprobs, scores.greedy), (vec![-0.5, -0.5], vec![true, true]));
    assert_eq!(model.generate(prompt, 2, &[]).unwrap().text, "de");
    assert_eq!(model.generate(Prompt { message: Some("x"), ..prompt }, 9, &[]).unwrap().text, "y");
    let (_, tokens) = status_and_json(&server.raw(
        "POST",
        "/tokenize",
        "Authorization: Bearer sk-a\r\n",
        &json!({"prompt": "ab", "add_special_tokens": false}).to_string(),
    ));
    assert_eq!(tokens["tokens"], json!([97, 98]));
}
