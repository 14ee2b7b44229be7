//! A small server that speaks the Hugging Face hub's API, with faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

/// The commit of everything.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a repository holds and how it goes wrong.
#[derive(Clone, Default)]
pub struct Repository {
    /// `models/org/name` or `datasets/org/name`.
    pub path: String,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Only who has this token may read.
    pub token: Option<String>,
    /// How many answers with a file's content end half way.
    pub cuts: usize,
    /// A file whose hash is another one than the server says.
    pub damaged: Option<String>,
}

/// The server, for as long as the test runs.
pub struct Hub {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    repositories: Vec<Repository>,
    /// Every request: path and range.
    requests: Vec<(String, Option<String>)>,
}

impl Hub {
    pub fn start(repositories: Vec<Repository>) -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { repositories, requests: Vec::new() }));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                // A client that goes away is none of the server's trouble.
                thread::spawn(move || stream.map(|stream| answer(stream, &shared)));
            }
        });
        Hub { endpoint, state }
    }

    /// Changes the first repository.
    pub fn change(&self, change: impl FnOnce(&mut Repository)) {
        change(&mut self.state.lock().unwrap().repositories[0]);
    }

    /// The requests so far, which are forgotten.
    pub fn requests(&self) -> Vec<(String, Option<String>)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    let path = request.split(' ').nth(1).unwrap().to_string();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_string());
    }
    let range = headers.get("range").cloned();
    let mut state = state.lock().unwrap();
    state.requests.push((path.clone(), range.clone()));
    let of = |repository: &Repository| {
        let rest = path.strip_prefix(&format!("/api/{}/revision/main", repository.path));
        let plain = repository.path.trim_start_matches("models/");
        let file = path.strip_prefix(&format!("/{plain}/resolve/main/"));
        (rest == Some("")).then_some(String::new()).or(file.map(str::to_string))
    };
    let found = state.repositories.iter_mut().find_map(|repository| Some((of(repository)?, repository)));
    let Some((file, repository)) = found else { return write_status(&mut stream, "404 Not Found") };
    let asks_as = headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if repository.token.as_deref().is_some_and(|token| asks_as != Some(token)) {
        return write_status(&mut stream, "401 Unauthorized");
    }
    if file.is_empty() {
        let siblings: Vec<_> = repository.files.keys().map(|name| json!({"rfilename": name})).collect();
        let body = json!({"sha": COMMIT, "siblings": siblings}).to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        return stream.write_all(format!("{head}{body}").as_bytes());
    }
    let Some(content) = repository.files.get(&file).cloned() else {
        return write_status(&mut stream, "404 Not Found");
    };
    let etag = match () {
        () if repository.damaged.as_ref() == Some(&file) => longcode::hash::sha256(b"something else"),
        // Large files go by their sha256, small ones by another hash.
        () if file.ends_with(".safetensors") => longcode::hash::sha256(&content),
        () => longcode::hash::sha256(&content)[..40].to_string(),
    };
    let range = range.unwrap();
    let (first, last) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    let (first, last): (usize, Option<usize>) = (first.parse().unwrap(), last.parse().ok());
    let end = last.map_or(content.len(), |last| last + 1).min(content.len()).max(first);
    let body = &content[first..end];
    let cut = last.is_none() && body.len() > 1 && repository.cuts > 0;
    repository.cuts -= usize::from(cut);
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/{}\r\nETag: \
         \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
        body.len(),
        end.saturating_sub(1),
        content.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(if cut { &body[..body.len() / 2] } else { body })
}

fn write_status(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}
