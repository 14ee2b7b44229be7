//! A checkpoint under an encoding, served, is what it is without a server between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::thread;

use crate::common::cli::{Ended, Workspace};
use crate::common::repository;
use serde_json::{Value, json};

/// A server that ends with the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Serves at a port that is free; arguments are divided at spaces.
    fn start(space: &Workspace, arguments: &str) -> Server {
        let mut child = space.command(&format!("serve --port 0 --device cpu {arguments}")).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = stderr.lines().map(Result::unwrap);
        let address =
            lines.find_map(|line| Some(line.split_once("http://")?.1.split_once("/v1")?.0.to_string()));
        let address = address.expect("it says where it listens");
        // What it says must go somewhere.
        thread::spawn(move || lines.for_each(drop));
        Server { child, address }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Ends it by a signal, and gives how it ended.
    fn end(mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SPEC: &str = "hirope:window=8,split=0.5";

fn source() -> String {
    (0..6).map(|n| format!("def f{n}(a):\n    b = a + {n}\n    return b * {n}\n\n")).collect()
}

#[test]
fn losses_and_texts_are_those_of_score_and_generate() {
    let space = Workspace::new();
    space.write("a.py", source());
    let server = Server::start(&space, &format!("--model model --encoding {SPEC}"));
    for (model, spec) in [("model".to_string(), "rope"), (format!("model@{SPEC}"), SPEC)] {
        let scored =
            space.longcode(&format!("score --model model --device cpu --json --encoding {spec} a.py"));
        let scored = &scored.done().json()[0];
        let body = json!({"model": model, "prompt": source(), "echo": true, "logprobs": 1, "max_tokens": 0});
        let answer = server.post("/v1/completions", &body);
        let logprobs = &answer["choices"][0]["logprobs"];
        let numbers = |list: &Value, sign: f64| -> Vec<f32> {
            list.as_array().unwrap().iter().filter_map(|n| Some((sign * n.as_f64()?) as f32)).collect()
        };
        assert_eq!(numbers(&logprobs["token_logprobs"], -1.0), numbers(&scored["nll"], 1.0), "{spec}");
        let hits = logprobs["token_logprobs"]
            .as_array()
            .unwrap()
            .iter()
            .zip(logprobs["top_logprobs"].as_array().unwrap());
        let hits = hits.skip(1).filter(|(own, top)| {
            top.as_object().unwrap().values().all(|value| value.as_f64() <= own.as_f64())
        });
        let accuracy = hits.count() as f64 / (scored["tokens"].as_f64().unwrap() - 1.0);
        assert!((accuracy - scored["accuracy"].as_f64().unwrap()).abs() < 1e-9, "{spec}");
        let made = space.longcode(&format!(
            "generate --model model --device cpu --json --max-new-tokens 12 --encoding {spec} a.py"
        ));
        let made = &made.done().json()[0];
        let body = json!({"model": model, "prompt": source(), "max_tokens": 12, "temperature": 0});
        assert_eq!(server.post("/v1/completions", &body)["choices"][0]["text"], made["text"], "{spec}");
        // Ids in, the same numbers out.
        let ids = server.post("/tokenize", &json!({"prompt": source()}))["tokens"].clone();
        let body = json!({"model": model, "prompt": ids, "echo": true, "logprobs": 1, "max_tokens": 1});
        let by_ids = server.post("/v1/completions", &body);
        let by_ids = numbers(&by_ids["choices"][0]["logprobs"]["token_logprobs"], -1.0);
        assert_eq!(by_ids[..by_ids.len() - 1], numbers(&scored["nll"], 1.0), "{spec}");
    }
    assert_eq!(server.end(), Some(0));
}

/// Many requests at once are each what they are alone.
#[test]
fn side_by_side_is_one_after_another() {
    let space = Workspace::new();
    let server = Server::start(&space, &format!("--model model --encoding {SPEC}"));
    let body = |n: usize| {
        let model = if n.is_multiple_of(2) { "model".to_string() } else { format!("model@{SPEC}") };
        let prompt = &source()[..40 + 13 * n];
        json!({"model": model, "prompt": prompt, "max_tokens": 10 + n, "temperature": 0.8, "seed": n, "n": 2})
    };
    let text = |n: usize| server.post("/v1/completions", &body(n))["choices"].clone();
    let alone: Vec<Value> = (0..8).map(text).collect();
    let together: Vec<Value> = thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|n| scope.spawn(move || text(n))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert_eq!(alone, together);
    assert_ne!(alone[3][0]["text"], alone[3][1]["text"], "choices differ in their draws");
}

/// Every task of `every-key.toml`, once on a checkpoint and once on the same checkpoint behind our server.
#[test]
fn every_task_gives_the_same_figures_through_a_server() {
    let space = Workspace::new();
    let nano = repository("models/nano");
    let server = Server::start(&space, &format!("--model {}", nano.display()));
    let every = std::fs::read_to_string(repository("configs/every-key.toml")).unwrap();
    // Ranks and entropies of tokens are what no server gives.
    let tasks = every[every.find("\n[[task]]").unwrap()..].replace("per_token = true", "per_token = false");
    let local = format!("path = {nano:?}\n[[encoding]]\nkind = \"rope\"\nname = \"as_served\"");
    let served =
        format!("endpoint = \"http://{}/v1\"\ntokenizer = {nano:?}\ntrained_length = 512", server.address);
    let mut summaries = Vec::new();
    for (name, model) in [("local", local), ("served", served)] {
        space.write("config.toml", format!("name = \"r\"\n[[model]]\nname = \"nano\"\n{model}\n{tasks}"));
        let (config, out) = (space.path("config.toml"), space.path(name));
        let arguments = format!("run {} --out {} --limit 1 --device cpu", config.display(), out.display());
        let ended: Ended = space.command(&arguments).current_dir(repository(".")).output().unwrap().into();
        ended.done();
        summaries.push(space.text(&format!("{name}/summary.csv")));
    }
    // How many keys were seen is what no server says.
    let local: Vec<&str> = summaries[0].lines().filter(|line| !line.contains(",seen,")).collect();
    let served: Vec<&str> = summaries[1].lines().collect();
    assert_eq!(local.len(), served.len(), "{local:#?}\n{served:#?}");
    for (local, served) in local.into_iter().zip(served) {
        let same = |(a, b): (&str, &str)| match (a.parse::<f64>(), b.parse::<f64>()) {
            // Likelihoods of candidates are read in other parts.
            (Ok(a), Ok(b)) => (a - b).abs() <= 1e-5 * a.abs().max(1.0),
            _ => a == b,
        };
        assert!(local.split(',').zip(served.split(',')).all(same), "{local}\n{served}");
    }
}

/// Prompts that begin alike share what was read, scored or not, and are what they are alone.
#[test]
fn beginnings_that_are_kept_change_nothing() {
    let space = Workspace::new();
    let kept = Server::start(&space, &format!("--model model --encoding {SPEC}"));
    let plain = Server::start(&space, &format!("--model model --encoding {SPEC} --cache-mb 0"));
    for model in ["model".to_string(), format!("model@{SPEC}")] {
        for tail in ["\n\nx = f1(2)\n", "\n\ny = f2(3) + f1(4)\n", "\n\n"] {
            let prompt = source() + tail;
            let body = json!({"model": model, "prompt": prompt, "echo": true, "logprobs": 2, "max_tokens": 4, "temperature": 0});
            let answers =
                [&kept, &plain].map(|server| server.post("/v1/completions", &body)["choices"][0].clone());
            assert_eq!(answers[0]["text"], answers[1]["text"], "{model}");
            let [a, b] =
                answers.map(|answer| answer["logprobs"]["token_logprobs"].as_array().unwrap().clone());
            assert_eq!(a.len(), b.len());
            let apart =
                a.iter().zip(&b).skip(1).map(|(a, b)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-5, "{model}: {a:?}\n{b:?}");
        }
    }
}

#[test]
fn what_cannot_be_served() {
    let space = Workspace::new();
    space.longcode("serve --model model --encoding rope:window=3").failed(2, &["window"]);
    space
        .longcode("serve --model model --encoding rerope:window=0")
        .failed(2, &["window is 0", "model@rerope:window=0"]);
    space.longcode("serve --model model --model model").failed(2, &["two models are named \"model\""]);
    space.longcode("serve --model model --api-key-env NO_SUCH_KEY").failed(2, &["NO_SUCH_KEY has no key"]);
    space.longcode("serve --model model --language klingon").failed(2, &["--language"]);
    let server = Server::start(&space, "--model model");
    let port = server.address.rsplit(':').next().unwrap();
    space
        .longcode(&format!("serve --model model --device cpu --port {port}"))
        .failed(2, &["cannot listen at"]);
}
