//! Tests with servers that misbehave in every way, on loopback.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    head: String,
    body: Value,
}

type Answering = dyn Fn(&Request, usize, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// A server and the requests that it got.
struct Server {
    base: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` writes to the client that made a request, the given one of all to its path.
    fn start(
        answer: impl Fn(&Request, usize, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let (kept, answer): (Arc<Mutex<Vec<Request>>>, Arc<Answering>) = (Arc::default(), Arc::new(answer));
        let requests = kept.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (kept.clone(), answer.clone());
                thread::spawn(move || -> io::Result<()> {
                    let mut stream = stream?;
                    let request = read_request(&stream)?;
                    let number = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request.clone());
                        kept.iter().filter(|one| one.path == request.path).count() - 1
                    };
                    // A client that goes away does not matter to the server.
                    answer(&request, number, &mut stream)
                });
            }
        });
        Server { base, requests }
    }

    fn http(&self) -> Http {
        let patience = Patience {
            answer: Duration::from_millis(400),
            tries: 3,
            first_wait: Duration::from_millis(1),
            longest_wait: Duration::from_millis(50),
        };
        Http::new(&self.base, Key::new("sk-secret"), patience).unwrap()
    }

    fn open(&self) -> Result<Model, Failure> {
        Model::open(self.http(), None, PROBE)
    }

    fn count(&self, path: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.path == path).count()
    }
}

fn read_request(stream: &TcpStream) -> io::Result<Request> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            break;
        }
    }
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_string();
    Ok(Request { path, head, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

const PROBE: Prompt = Prompt { ids: &[5, 6, 7], text: "a b c", message: None };
const MODELS: &str = r#"{"data": [{"id": "m", "max_model_len": 4096, "owned_by": "somebody"}]}"#;

/// What a server that can do all says: each token after the first has log-probability -0.5, and -0.5 is the best at
/// every second one.
fn whole_answer(request: &Request) -> String {
    if request.path == "/v1/models" {
        return MODELS.into();
    }
    if request.path.ends_with("/chat/completions") {
        return json!({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}).to_string();
    }
    let ids = request.body["prompt"].as_array().cloned().unwrap_or_default();
    let mut choice = json!({"text": " more", "finish_reason": "length", "logprobs": null});
    if request.body["echo"] == json!(true) {
        let count = ids.len() + 1;
        let scores: Vec<Value> = (0..count).map(|n| if n == 0 { Value::Null } else { json!(-0.5) }).collect();
        let top: Vec<Value> =
            (0..count).map(|n| json!({"x": if n % 2 == 0 { -0.5 } else { -0.1 }})).collect();
        let tokens: Vec<String> = (0..count).map(|n| format!("t{n}")).collect();
        choice["logprobs"] = json!({"token_logprobs": scores, "top_logprobs": top, "tokens": tokens});
    }
    json!({"choices": [choice], "usage": {"prompt_tokens": ids.len()}}).to_string()
}

fn whole() -> Server {
    Server::start(|request, _, stream| respond(stream, "200 OK", "Server: it/1\r\n", &whole_answer(request)))
}

#[test]
fn a_server_that_can_do_all() {
    let server = whole();
    let model = server.open().unwrap();
    assert_eq!((model.name(), model.about().most_tokens), ("m", Some(4096)));
    assert_eq!(model.about().server, "it/1, somebody");
    assert_eq!(model.abilities().losses, Ok(Losses::Echo));
    assert!(model.abilities().prompts == Prompts::Ids && model.abilities().chat);
    let scores = model.score(PROBE).unwrap();
    assert_eq!((scores.logprobs, scores.greedy), (vec![-0.5, -0.5], vec![false, true]));
    assert_eq!(scores.tokens, PromptTokens::Texts(vec!["t0".into(), "t1".into(), "t2".into()]));
    let text = model.generate(PROBE, 7, &[]).unwrap();
    assert_eq!(text, Text { text: " more".into(), ended: Ended::Length });
    let asked = server.requests.lock().unwrap().last().unwrap().clone();
    assert_eq!((&asked.body["max_tokens"], &asked.body["prompt"]), (&json!(7), &json!([5, 6, 7])));
    assert!(asked.head.to_lowercase().contains("authorization: bearer sk-secret"));
    let chat = model.generate(Prompt { message: Some("hi"), ..PROBE }, 7, &[]).unwrap();
    assert_eq!(chat, Text { text: "hello".into(), ended: Ended::Stop });
}

#[test]
fn prompt_logprobs_where_echo_is_refused() {
    let server = Server::start(|request, _, stream| {
        if request.body["echo"] == json!(true) {
            return respond(stream, "400 Bad", "", r#"{"error": {"message": "no echo"}}"#);
        }
        let mut answer: Value = serde_json::from_str(&whole_answer(request)).unwrap();
        if request.body.get("prompt_logprobs").is_some() {
            let entry = |id: &str, rank: u32| json!({id: {"logprob": -0.25, "rank": rank}, "9": {"logprob": -0.1, "rank": 1}});
            answer["choices"][0]["prompt_logprobs"] = json!([null, entry("6", 1), entry("7", 2)]);
        }
        respond(stream, "200 OK", "", &answer.to_string())
    });
    let model = server.open().unwrap();
    assert_eq!(model.abilities().losses, Ok(Losses::PromptLogprobs));
    let scores = model.score(PROBE).unwrap();
    assert_eq!((scores.logprobs, scores.greedy), (vec![-0.25, -0.25], vec![true, false]));
    assert_eq!(scores.tokens, PromptTokens::Ids(vec![Some(5), Some(6), Some(7)]));
}

#[test]
fn a_server_without_log_probabilities_says_why() {
    let server = Server::start(|request, _, stream| {
        if request.body.get("logprobs").is_some() || request.body.get("prompt_logprobs").is_some() {
            return respond(stream, "400 Bad", "", r#"{"error": {"message": "logits_all=False"}}"#);
        }
        respond(stream, "200 OK", "", &whole_answer(request))
    });
    let model = server.open().unwrap();
    let why = model.abilities().losses.clone().unwrap_err();
    assert!(why.contains("`echo`") && why.contains("status 400: logits_all=False"), "{why}");
    assert!(model.generate(PROBE, 3, &[]).is_ok());
}

#[test]
fn texts_where_ids_are_refused_and_chats_where_nothing_else_is() {
    let texts = Server::start(|request, _, stream| match &request.body["prompt"] {
        Value::Array(_) => respond(stream, "422 Bad", "", r#"{"detail": "prompt is not a string"}"#),
        _ => respond(stream, "200 OK", "", &whole_answer(request)),
    });
    let model = texts.open().unwrap();
    assert_eq!(model.abilities().prompts, Prompts::Texts);
    model.generate(PROBE, 3, &[]).unwrap();
    assert_eq!(texts.requests.lock().unwrap().last().unwrap().body["prompt"], json!("a b c"));
    let chats = Server::start(|request, _, stream| match &request.path[..] {
        "/v1/completions" => respond(stream, "404 Not Found", "", ""),
        _ => respond(stream, "200 OK", "", &whole_answer(request)),
    });
    let model = chats.open().unwrap();
    let why = model.abilities().completions.clone().unwrap_err();
    assert!(model.abilities().chat && why.contains("404"), "{why}");
}

#[test]
fn what_passes_is_tried_again() {
    type Fault = fn(&mut TcpStream) -> io::Result<()>;
    let faults: [(&str, Fault); 6] = [
        ("429", |stream| {
            respond(stream, "429 Too Many", "Retry-After: 0.01\r\n", r#"{"error": {"message": "slow"}}"#)
        }),
        ("500", |stream| respond(stream, "500 Oops", "", "oops")),
        ("broken", |stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"choi")),
        ("closed", |_| Ok(())),
        ("wrong JSON", |stream| respond(stream, "200 OK", "", "<html>busy</html>")),
        ("hangs", |_| {
            thread::sleep(Duration::from_secs(2));
            Ok(())
        }),
    ];
    for (name, fault) in faults {
        let server = Server::start(move |request, number, stream| {
            // The first question after the probe fails, the second does not.
            let failing = request.path == "/v1/completions" && request.body["max_tokens"] == json!(9);
            if failing && number % 2 == 0 {
                fault(stream)
            } else {
                respond(stream, "200 OK", "", &whole_answer(request))
            }
        });
        let model = server.open().unwrap();
        let before = server.count("/v1/completions");
        // The probe makes two requests, so that the next is even.
        assert_eq!(before % 2, 0, "{name}");
        assert!(model.generate(PROBE, 9, &[]).is_ok(), "{name}");
        assert_eq!(server.count("/v1/completions"), before + 2, "{name}");
    }
}

#[test]
fn nothing_is_tried_for_ever() {
    for (status, says, tries) in [
        ("503 Busy", "status 503: busy, after 3 tries", 3),
        ("400 Bad", "status 400: busy", 1),
        ("401 No", "status 401: busy", 1),
    ] {
        let server = Server::start(move |request, _, stream| {
            if request.body["max_tokens"] == json!(9) {
                // A key that the server quotes is not shown.
                return respond(stream, status, "Retry-After: 3600\r\n", r#"{"error": {"message": "busy"}}"#);
            }
            respond(stream, "200 OK", "", &whole_answer(request))
        });
        let model = server.open().unwrap();
        let (before, started) = (server.count("/v1/completions"), Instant::now());
        let failure = model.generate(PROBE, 9, &[]).unwrap_err().to_string();
        assert!(failure.contains(says), "{failure}");
        assert_eq!(server.count("/v1/completions") - before, tries);
        assert!(started.elapsed() < Duration::from_secs(2), "a wait of an hour is not waited");
    }
}

#[test]
fn a_key_that_a_server_quotes_is_not_shown() {
    let server = Server::start(|request, _, stream| {
        let body = json!({"error": {"message": format!("no such key: {}", request.head)}}).to_string();
        respond(stream, "401 No", "", &body)
    });
    let failure = server.open().err().unwrap();
    let said = format!("{failure} {failure:?} {:?}", server.http());
    assert!(said.contains("[key]") && !said.contains("sk-secret"), "{said}");
}

#[test]
fn fewer_and_other_tokens_are_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 4] = [
        (
            |answer| answer["choices"][0]["logprobs"]["token_logprobs"] = json!([null, -0.5]),
            "2 log-probabilities came for 3",
        ),
        (
            |answer| answer["usage"]["prompt_tokens"] = json!(4),
            "the server counts 4 tokens where 3 were sent",
        ),
        (
            |answer| answer["choices"][0]["logprobs"]["token_logprobs"][2] = json!(null),
            "token 2's log-probability is null",
        ),
        (
            |answer| answer["choices"][0]["logprobs"]["token_logprobs"][2] = json!(3.5),
            "token 2's log-probability is 3.5",
        ),
    ];
    for (change, says) in cases {
        let server = Server::start(move |request, number, stream| {
            let mut answer: Value = serde_json::from_str(&whole_answer(request)).unwrap();
            if request.body["echo"] == json!(true) && number > 1 {
                change(&mut answer);
            }
            respond(stream, "200 OK", "", &answer.to_string())
        });
        let failure = server.open().unwrap().score(PROBE).unwrap_err().to_string();
        assert!(failure.contains(says), "{failure}");
    }
}

#[test]
fn a_redirect_to_another_host_is_refused_and_one_within_followed() {
    let elsewhere = whole();
    let to = elsewhere.base.clone();
    let server = Server::start(move |_, _, stream| {
        respond(stream, "307 Moved", &format!("Location: {to}/models\r\n"), "")
    });
    let failure = server.open().err().unwrap().to_string();
    assert!(failure.contains("redirects to") && failure.contains(&elsewhere.base), "{failure}");
    assert_eq!(elsewhere.requests.lock().unwrap().len(), 0);
    let within = Server::start(|request, _, stream| {
        if request.path == "/v1/models" {
            return respond(stream, "307 Moved", "Location: /there/models\r\n", "");
        }
        let body = if request.path == "/there/models" { MODELS.into() } else { whole_answer(request) };
        respond(stream, "200 OK", "", &body)
    });
    assert_eq!(within.open().unwrap().name(), "m");
}

#[test]
fn names_on_the_server() {
    let server = Server::start(|request, _, stream| {
        let body = match &request.path[..] {
            "/v1/models" => r#"{"data": [{"id": "a"}, {"id": "b"}]}"#.into(),
            _ => whole_answer(request),
        };
        respond(stream, "200 OK", "", &body)
    });
    assert_eq!(Model::open(server.http(), Some("b"), PROBE).unwrap().name(), "b");
    for (wanted, says) in
        [(None, "the server has \"a\", \"b\": `served_as`"), (Some("c"), "no \"c\", but \"a\", \"b\"")]
    {
        let failure = Model::open(server.http(), wanted, PROBE).err().unwrap().to_string();
        assert!(failure.contains(says), "{failure}");
    }
}

#[test]
fn what_is_no_address() {
    for base in ["", "127.0.0.1:80", "ftp://a/b", "http://user:word@a/v1", "http://a/v1?key=b", "http:///v1"]
    {
        assert!(Http::new(base, None, Patience::default()).is_err(), "{base}");
    }
    for key in ["", " ", "a\nb", "a b"] {
        assert!(Key::new(key).is_none(), "{key:?}");
    }
}
