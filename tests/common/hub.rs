//! A small server that speaks the Hugging Face hub's API, with faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

/// The commit of everything.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a repository holds and how it goes wrong.
#[derive(Clone, Default)]
pub(crate) struct Repository {
    /// `models/org/name` or `datasets/org/name`.
    pub path: String,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Only who has this token may read.
    pub token: Option<String>,
    /// How many answers with a file's content end half way.
    pub cuts: usize,
    /// A file whose hash is another one than the server says.
    pub damaged: Option<String>,
    /// Beside `main`.
    pub revision: Option<String>,
    /// Names that are listed beside those of the files.
    pub also_listed: Vec<String>,
    /// What the server says in place of [`COMMIT`].
    pub commit: Option<String>,
    /// What the server says in place of each file's hash.
    pub etag: Option<String>,
    /// A server that the files' contents are to be had from.
    pub elsewhere: Option<String>,
    /// What stands in the list of files behind all that is needed.
    pub listing_tail: String,
}

/// What somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

/// The server, for as long as the test runs.
pub(crate) struct Hub {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    repositories: Vec<Repository>,
    requests: Vec<Request>,
}

impl Hub {
    pub(crate) fn start(repositories: Vec<Repository>) -> Hub {
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
    pub(crate) fn change(&self, change: impl FnOnce(&mut Repository)) {
        change(&mut self.state.lock().unwrap().repositories[0]);
    }

    /// The requests so far, which are forgotten.
    pub(crate) fn requests(&self) -> Vec<Request> {
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
    let authorization = headers.get("authorization").cloned();
    let mut state = state.lock().unwrap();
    let request = Request { path: path.clone(), range: range.clone(), authorization: authorization.clone() };
    state.requests.push(request);
    let found = state.repositories.iter_mut().find_map(|one| Some((asked_of(one, &path)?, one)));
    let Some((file, repository)) = found else { return write_status(&mut stream, "404 Not Found") };
    let asks_as = authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    if repository.token.as_deref().is_some_and(|token| asks_as != Some(token)) {
        return write_status(&mut stream, "401 Unauthorized");
    }
    if file.is_empty() {
        let body = listing(repository);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        return stream.write_all(format!("{head}{body}").as_bytes());
    }
    let Some(content) = repository.files.get(&file).cloned() else {
        return write_status(&mut stream, "404 Not Found");
    };
    let etag = etag(repository, &file, &content);
    let commit = repository.commit.as_deref().unwrap_or(COMMIT);
    if let Some(elsewhere) = &repository.elsewhere {
        let head = format!(
            "HTTP/1.1 302 Found\r\nLocation: {elsewhere}{path}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: \
             {}\r\nX-Repo-Commit: {commit}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            content.len()
        );
        return stream.write_all(head.as_bytes());
    }
    let range = range.unwrap();
    let (first, last) = range.trim_start_matches("bytes=").split_once('-').unwrap();
    let (first, last): (usize, Option<usize>) = (first.parse().unwrap(), last.parse().ok());
    let end = last.map_or(content.len(), |last| last + 1).min(content.len()).max(first);
    let body = &content[first..end];
    let cut = last.is_none() && body.len() > 1 && repository.cuts > 0;
    repository.cuts -= usize::from(cut);
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/{}\r\nETag: \
         \"{etag}\"\r\nX-Repo-Commit: {commit}\r\nConnection: close\r\n\r\n",
        body.len(),
        end.saturating_sub(1),
        content.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(if cut { &body[..body.len() / 2] } else { body })
}

/// The file of a repository that a path asks for, an empty name for the list of files.
fn asked_of(repository: &Repository, path: &str) -> Option<String> {
    let of = |revision: &str| {
        let list = format!("/api/{}/revision/{revision}", repository.path);
        let plain = repository.path.trim_start_matches("models/");
        let file = path.strip_prefix(&format!("/{plain}/resolve/{revision}/"));
        (path == list).then_some(String::new()).or(file.map(str::to_string))
    };
    let other = repository.revision.as_ref().map(|revision| revision.replace('/', "%2F"));
    ["main", COMMIT].into_iter().chain(other.as_deref()).find_map(of)
}

fn listing(repository: &Repository) -> String {
    let names = repository.files.keys().chain(&repository.also_listed);
    let siblings: Vec<_> = names.map(|name| json!({"rfilename": name})).collect();
    let commit = repository.commit.as_deref().unwrap_or(COMMIT);
    let (commit, siblings) = (json!(commit), json!(siblings));
    format!("{{\"sha\": {commit}, \"siblings\": {siblings}{}}}", repository.listing_tail)
}

fn etag(repository: &Repository, file: &str, content: &[u8]) -> String {
    match () {
        () if repository.etag.is_some() => repository.etag.clone().unwrap(),
        () if repository.damaged.as_deref() == Some(file) => longcode::hash::sha256(b"something else"),
        // Large files go by their sha256, small ones as in git.
        () if file.ends_with(".safetensors") => longcode::hash::sha256(content),
        () => git_blob(content),
    }
}

fn write_status(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

/// The name that git has for a file of these bytes.
pub(crate) fn git_blob(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    longcode::hash::git_blob(file.path()).unwrap()
}
