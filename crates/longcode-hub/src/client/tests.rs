//! Tests with servers that misbehave in every way, on loopback.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;

/// What a server writes to a client that asks for a path.
type Answering = dyn Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// A server and the heads of the requests that it got.
struct Server {
    endpoint: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (heads, answer): (Arc<Mutex<Vec<String>>>, Arc<Answering>) = (Arc::default(), Arc::new(answer));
        let kept = heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (kept.clone(), answer.clone());
                thread::spawn(move || -> io::Result<()> {
                    let mut stream = stream?;
                    let lines = BufReader::new(stream.try_clone()?).lines();
                    let head: Vec<String> =
                        lines.map_while(io::Result::ok).take_while(|line| !line.is_empty()).collect();
                    let path = head[0].split(' ').nth(1).unwrap_or_default().to_string();
                    kept.lock().unwrap().push(head.join("\n").to_lowercase());
                    // A client that goes away does not matter to the server.
                    answer(&path, &mut stream)
                });
            }
        });
        Server { endpoint, heads }
    }

    /// A server that writes this, and nothing more.
    fn of(answer: &'static str) -> Server {
        Server::start(move |_, stream| stream.write_all(answer.as_bytes()))
    }

    fn client(&self, patience: Patience) -> Client {
        Client::new(&self.endpoint, Some("secret".into()), patience).unwrap()
    }

    fn text(&self) -> Result<Vec<u8>, Failure> {
        self.client(Patience::default()).text("/a", 100)
    }
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

#[test]
fn the_token_goes_to_the_endpoint_alone() {
    let other = Server::of(OK);
    let target = format!("{}/there", other.endpoint);
    let server = Server::start(move |path, stream| {
        let answer = match path {
            "/base/a" => redirect("/base/b"),
            "/base/b" => redirect("c?d=e"),
            _ => redirect(&target),
        };
        stream.write_all(answer.as_bytes())
    });
    let endpoint = format!("{}/base/", server.endpoint);
    let client = Client::new(&endpoint, Some("secret".into()), Patience::default()).unwrap();
    assert_eq!(client.text("/a", 100).unwrap(), b"ok");
    let own = server.heads.lock().unwrap();
    let paths: Vec<&str> = own.iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
    assert_eq!(paths, ["/base/a", "/base/b", "/base/c?d=e"]);
    assert!(own.iter().all(|head| head.contains("authorization: bearer secret")), "{own:?}");
    let elsewhere = other.heads.lock().unwrap();
    assert_eq!(elsewhere.len(), 1);
    assert!(!elsewhere[0].contains("secret") && elsewhere[0].starts_with("get /there "), "{elsewhere:?}");
}

#[test]
fn whose_host_it_is() {
    let same = |a: &str, b: &str| origin(&a.parse().unwrap()) == origin(&b.parse().unwrap());
    assert!(same("https://hub.co/a", "https://HUB.co:443/b") && same("http://a:80", "http://a/x"));
    let others = [
        "http://hub.co",
        "https://hub.co:444",
        "https://hub.co.evil.org",
        "https://a.hub.co",
        "https://hub.co@evil.org/",
    ];
    for other in others {
        assert!(!same("https://hub.co", other), "{other}");
    }
}

#[test]
fn where_redirects_lead() {
    let from: Uri = "https://hub.co/a/b?c=d".parse().unwrap();
    let leads = |location: &str| follow(&from, location).map(|to| to.to_string()).ok();
    let good = [
        ("https://cdn.org/x#y", "https://cdn.org/x"),
        ("/x/y?z", "https://hub.co/x/y?z"),
        ("//cdn.org/x", "https://cdn.org/x"),
        ("x", "https://hub.co/a/x"),
    ];
    for (location, to) in good {
        assert_eq!(leads(location).as_deref(), Some(to), "{location}");
    }
    for bad in
        ["http://hub.co/a", "file:///etc/passwd", "javascript:1", "https://", "ftp://a/b", "https:/a", "a b"]
    {
        assert_eq!(leads(bad), None, "{bad}");
    }
}

#[test]
fn redirects_that_lead_nowhere() {
    let endless = Server::start(|path, stream| stream.write_all(redirect(&format!("{path}a")).as_bytes()));
    let loops = Server::start(|path, stream| stream.write_all(redirect(path).as_bytes()));
    for server in [endless, loops] {
        let failure = server.text().unwrap_err();
        assert!(matches!(&failure, Failure::Nonsense(what) if what.contains("10 redirects")), "{failure}");
        assert_eq!(server.heads.lock().unwrap().len(), 11);
    }
    let nowhere = Server::of("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").text().unwrap_err();
    assert!(matches!(&nowhere, Failure::Nonsense(what) if what.contains("where to")), "{nowhere}");
}

#[test]
fn answers_that_are_none() {
    let nonsense = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "longer than 100"),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", "compressed (gzip)"),
        ("HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nok", "does not say which"),
        (
            "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/2\r\nX-Linked-Size: 3\r\nContent-Length: 2\r\n\r\nok",
            "the hub says 3",
        ),
    ];
    for (answer, part) in nonsense {
        let failure = Server::of(answer).text().unwrap_err();
        assert!(matches!(&failure, Failure::Nonsense(what) if what.contains(part)), "{failure}");
    }
    let cut = Server::of("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nok").text().unwrap_err();
    assert!(matches!(cut, Failure::Connection(_)), "{cut}");
    let busy = Server::of("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").text().unwrap_err();
    assert!(matches!(busy, Failure::Status(503)), "{busy}");
    for endpoint in ["", "hub.co", "ftp://hub.co", "https://", "file:///etc"] {
        assert!(Client::new(endpoint, None, Patience::default()).is_err(), "{endpoint}");
    }
    assert!(Client::new("https://hub.co", Some("a\r\nb".into()), Patience::default()).is_err());
}

#[test]
fn bodies_without_an_end() {
    let endless = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"5\r\nbytes\r\n")?;
        }
    });
    let failure = endless.text().unwrap_err();
    assert!(matches!(&failure, Failure::Nonsense(what) if what.contains("longer than 100")), "{failure}");
    let head = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"X-Header: more and more and more\r\n")?;
        }
    });
    assert!(head.text().is_err());
}

#[test]
fn servers_that_take_their_time() {
    let patience = Patience { silence: Duration::from_millis(200), least_bytes: 1000 };
    let drip = |stream: &mut TcpStream, piece: &[u8]| -> io::Result<()> {
        loop {
            stream.write_all(piece)?;
            thread::sleep(Duration::from_millis(20));
        }
    };
    let servers = [
        Server::start(|_, _| {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }),
        Server::start(|_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n")?;
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }),
        Server::start(move |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n")?;
            drip(stream, b"a")
        }),
        Server::start(move |_, stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            drip(stream, b"1\r\na\r\n")
        }),
        Server::start(move |_, stream| drip(stream, b"H")),
    ];
    for server in servers {
        let failure = server.client(patience).text("/a", 1 << 20).unwrap_err();
        assert!(matches!(failure, Failure::Connection(_) | Failure::Nonsense(_)), "{failure}");
    }
}
