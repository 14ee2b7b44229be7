//! A model that somebody else serves, beside one on this machine.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::cli::{CONFIG, Ended, Workspace};
use serde_json::{Value, json};

/// A key that must be nowhere.
const KEY: &str = "sk-not-to-be-seen-7531";

/// What a stub of a server can do.
#[derive(Clone, Copy, PartialEq)]
enum Stub {
    Whole,
    /// No log-probabilities of prompts.
    TextsAlone,
    /// Names of tokens that are of another tokenizer.
    OtherTokens,
    /// A part of the answers is missing, broken or an error, and quotes the request.
    Faulty,
}

/// Starts a stub; gives its base address and counts its requests.
fn serve(stub: Stub, delay: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counted = counted.clone();
            thread::spawn(move || answer(&mut stream?, stub, delay, &counted));
        }
        io::Result::Ok(())
    });
    (base, count)
}

fn answer(stream: &mut TcpStream, stub: Stub, delay: Duration, counted: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let respond = |stream: &mut TcpStream, status: &str, body: &str| {
        write!(
            stream,
            "HTTP/1.1 {status}\r\nServer: stub/1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    if head.starts_with("GET /v1/models") {
        return respond(stream, "200 OK", r#"{"data": [{"id": "org/stub", "owned_by": "nobody"}]}"#);
    }
    if !head.contains("/v1/completions") {
        return respond(stream, "404 Not Found", "");
    }
    let number = counted.fetch_add(1, Ordering::SeqCst);
    thread::sleep(delay);
    if stub == Stub::Faulty && number > 2 && !number.is_multiple_of(3) {
        return match number % 3 {
            1 => respond(stream, "429 Too Many", &json!({"error": {"message": head}}).to_string()),
            _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
        };
    }
    let ids = body["prompt"].as_array().cloned().unwrap_or_default();
    let mut choice = json!({"text": " 7\n", "finish_reason": "length", "logprobs": null});
    if body["echo"] == json!(true) {
        if stub == Stub::TextsAlone {
            return respond(stream, "400 Bad", r#"{"error": {"message": "echo is not supported here"}}"#);
        }
        // The log-probability of an id is a number of its own.
        let score = |id: &Value| -0.001 * id.as_f64().unwrap() - 0.5;
        let scores =
            ids.iter().enumerate().map(|(n, id)| if n == 0 { Value::Null } else { json!(score(id)) });
        let name = if stub == Stub::OtherTokens { "zzz" } else { "" };
        choice["logprobs"] = json!({
            "token_logprobs": scores.chain([json!(-1.0)]).collect::<Vec<_>>(),
            "top_logprobs": ids.iter().chain([&json!(0)]).map(|_| json!({"a": -0.25})).collect::<Vec<_>>(),
            "tokens": ids.iter().chain([&json!(0)]).map(|_| name).collect::<Vec<_>>(),
        });
    }
    if body.get("prompt_logprobs").is_some() {
        return respond(stream, "200 OK", &json!({"choices": [choice]}).to_string());
    }
    respond(
        stream,
        "200 OK",
        &json!({"choices": [choice], "usage": {"prompt_tokens": ids.len()}}).to_string(),
    )
}

/// The usual config, with a served model beside the local one.
fn space(base: &str) -> Workspace {
    let space = Workspace::new();
    let served = format!(
        "[[model]]\nname = \"served\"\nendpoint = \"{base}\"\ntokenizer = \"model\"\nkey_env = \"STUB_KEY\"\nconcurrency = 3\n\
         price = [2.0, 8.0]\n\n[[encoding]]\nname = \"RoPE\""
    );
    space.write("config.toml", CONFIG.replacen("[[encoding]]\nname = \"RoPE\"", &served, 1));
    space
}

fn run(space: &Workspace, arguments: &str) -> Ended {
    let arguments = format!("run config.toml --device cpu {arguments}");
    space.command(&arguments).env("STUB_KEY", KEY).output().unwrap().into()
}

#[test]
fn served_and_local_rows_are_in_one_table() {
    let (base, _) = serve(Stub::Whole, Duration::ZERO);
    let space = space(&base);
    let ended = run(&space, "").done();
    for said in [
        "model \"served\": its numbers are from a server: \"org/stub\" at http://127.0.0.1",
        "stub/1, nobody",
        "model \"served\": left out for it: RoPE, HiRoPE, as its encoding is its server's",
        "model \"tiny\": left out for it: as_served, as it is not served",
    ] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let stored: BTreeSet<[String; 2]> =
        space.stored("results/tiny").into_iter().map(|[model, encoding, ..]| [model, encoding]).collect();
    let rows = [["served", "as_served"], ["tiny", "HiRoPE"], ["tiny", "RoPE"]];
    assert_eq!(stored, rows.map(|row| row.map(String::from)).into());
    let environment: Value = serde_json::from_str(&space.text("results/tiny/environment.json")).unwrap();
    let served = &environment["models"][1]["served"];
    // Rows that cannot run on a model are no part of the run, and nothing is unfinished without them.
    assert_eq!(environment["planned"], space.stored("results/tiny").len());
    assert!(!space.text("results/tiny/report.md").contains("Unfinished"));
    assert_eq!((served["served_as"].as_str(), served["losses"].as_str()), (Some("org/stub"), Some("echo")));
    let summary = space.text("results/tiny/summary.csv");
    assert!(summary.contains("served") && summary.contains("tiny,RoPE"), "{summary}");
    assert!(space.text("results/tiny/report.md").contains("as_served"));
    run(&space, "").done();
    nowhere(&space, &ended.stderr);
}

/// The key is in no file of the results, and not in what was said.
fn nowhere(space: &Workspace, said: &str) {
    assert!(!said.contains(KEY), "{said}");
    for (path, bytes) in space.files("results/tiny") {
        assert!(!String::from_utf8_lossy(&bytes).contains(KEY), "{}", path.display());
    }
}

#[test]
fn what_a_server_cannot_do_is_refused_before_any_work() {
    let (base, count) = serve(Stub::TextsAlone, Duration::ZERO);
    let space = space(&base);
    let ended = run(&space, "");
    ended
        .failed(2, &["the task needs losses", "echo is not supported here", "task \"lm\", model \"served\""]);
    assert!(!space.path("results/tiny").exists());
    // The probe alone.
    assert!(count.load(Ordering::SeqCst) < 6);
}

#[test]
fn other_tokens_are_refused_with_what_was_seen() {
    let (base, _) = serve(Stub::OtherTokens, Duration::ZERO);
    run(&space(&base), "")
        .failed(2, &["is \"zzz\" on the server and", "give the tokenizer of the model that is served"]);
}

#[test]
fn killed_twice_with_faults_and_resumed() {
    let (base, _) = serve(Stub::Whole, Duration::ZERO);
    let undisturbed = space(&base);
    run(&undisturbed, "").done();
    let (base, _) = serve(Stub::Faulty, Duration::from_millis(30));
    let space = space(&base);
    for kill in 1..=2 {
        let mut child = space.command("run config.toml --device cpu").env("STUB_KEY", KEY).spawn().unwrap();
        let before = space.stored("results/tiny").len();
        while child.try_wait().unwrap().is_none() && space.stored("results/tiny").len() < before + 1 {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "kill {kill}");
    }
    let ended = run(&space, "").done();
    assert!(ended.stderr.contains("again in") && ended.stderr.contains("[key]"), "{}", ended.stderr);
    let sorted =
        |space: &Workspace| -> BTreeSet<[String; 4]> { space.stored("results/tiny").into_iter().collect() };
    assert_eq!(sorted(&space), sorted(&undisturbed));
    assert_eq!(space.stored("results/tiny").len(), sorted(&space).len());
    assert_eq!(space.text("results/tiny/summary.csv"), undisturbed.text("results/tiny/summary.csv"));
    nowhere(&space, &ended.stderr);
}

#[test]
fn a_plan_counts_requests_tokens_and_money() {
    let (base, _) = serve(Stub::Whole, Duration::ZERO);
    let space = space(&base);
    let ended = space.command("plan config.toml --device cpu --json").env("STUB_KEY", KEY).output().unwrap();
    let rows: Vec<Value> = Ended::from(ended).done().json();
    let row = rows.iter().find(|row| row["encoding"] == "as_served").unwrap();
    assert_eq!((row["requests"]["count"].as_f64(), row["samples"].as_u64()), (Some(6.0), Some(6)));
    let money = (row["tokens"].as_f64().unwrap() * 2.0 + 6.0 * 8.0) / 1e6;
    assert!((row["requests"]["cost"].as_f64().unwrap() - money).abs() < 1e-12);
}

#[test]
fn bad_keys_of_a_served_model() {
    let (base, _) = serve(Stub::Whole, Duration::ZERO);
    let space = space(&base);
    space.longcode("run config.toml --device cpu").failed(2, &["STUB_KEY is not set", "key `key_env`"]);
    space.replace("config.toml", "\"STUB_KEY\"", "\"sk-abc/def\"");
    let ended = space.longcode("run config.toml --device cpu");
    let ended = ended.failed(2, &["key_env is not the name of an environment variable"]);
    assert!(!ended.stderr.contains("sk-abc"), "what stands there may be a key");
    space.replace("config.toml", "\"sk-abc/def\"", "\"STUB_KEY\"");
    for (from, to, says) in [
        ("concurrency = 3", "concurrency = 0", "concurrency is 0"),
        ("concurrency = 3", "concurency = 3", "unknown field `concurency`"),
        ("price = [2.0, 8.0]", "price = [-1.0, 8.0]", "price is [-1, 8]"),
        ("tokenizer = \"model\"", "", "a served model has no `tokenizer`"),
        (base.as_str(), "127.0.0.1", "it is no address of a server"),
    ] {
        let before = space.text("config.toml");
        space.replace("config.toml", from, to);
        let command = "run config.toml --device cpu --set model.served.timeout=1";
        let ended: Ended = space.command(command).env("STUB_KEY", KEY).output().unwrap().into();
        ended.failed(2, &[says]);
        space.write("config.toml", before);
    }
}
