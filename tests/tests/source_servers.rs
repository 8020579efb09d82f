//! Servers that misbehave: they send us elsewhere, fall silent, stop half-way, or speak rubbish.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use controller::source::client::EnvironmentProxies;
use controller::source::{
    Access, Credentials as SourceCredentials, Fetched, Proxy, Reference, Remote, RemoteUrl,
    Repositories, SourceError, refresh,
};
use weir_tests::{Credentials, GitServer, GitServerOptions};

const USER: &str = "weir";
const PASSWORD: &str = "open-sesame";

/// A server that answers every request with the same bytes, and keeps what it was asked.
struct Puppet {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Puppet {
    fn start(answer: impl Fn(&str, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = head(&mut stream);
                seen.lock().unwrap().push(request.clone());
                answer(&request, &mut stream);
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}/moved.git", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The first lines of a request.
fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

fn sends_to(target: String) -> impl Fn(&str, &mut TcpStream) + Send + 'static {
    move |request, stream| {
        let path = request.split(' ').nth(1).unwrap();
        let tail = path.trim_start_matches("/moved.git");
        let answer = format!(
            "HTTP/1.1 301 Moved\r\nLocation: {target}{tail}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

async fn look(url: &str, access: Access, timeout: Duration) -> Result<Fetched, SourceError> {
    let storage = tempfile::tempdir().unwrap();
    let repositories = Arc::new(Repositories::new(storage.path().to_owned()));
    let remote = Remote {
        url: RemoteUrl::parse(url)?.0,
        access,
        timeout,
    };
    let reference = Reference::Branch("main".to_owned());
    refresh(&repositories, "ns/name", &remote, &reference).await
}

fn access() -> Access {
    Access {
        credentials: SourceCredentials::Basic {
            username: USER.to_owned(),
            password: PASSWORD.to_owned(),
        },
        ..Access::default()
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn forge(closed: bool) -> GitServer {
    let credentials = closed.then(|| Credentials {
        username: USER.to_owned(),
        password: PASSWORD.to_owned(),
    });
    let server = GitServer::start(GitServerOptions {
        credentials,
        ..GitServerOptions::default()
    });
    server
        .create_repository("real")
        .write("a.txt", "one")
        .publish("first");
    server
}

#[tokio::test]
async fn a_redirect_is_followed_without_the_credentials() {
    let open = forge(false);
    let puppet = Puppet::start(sends_to(open.url("real")));
    assert!(look(&puppet.url(), access(), PATIENCE).await.is_ok());
    let asked = puppet.asked();
    assert!(
        asked[0].to_lowercase().contains("authorization: basic"),
        "{asked:?}"
    );

    let closed = forge(true);
    assert!(look(&closed.url("real"), access(), PATIENCE).await.is_ok());
    let puppet = Puppet::start(sends_to(closed.url("real")));
    let error = look(&puppet.url(), access(), PATIENCE).await.err().unwrap();
    assert!(
        error.to_string().contains("authentication required"),
        "{error}"
    );
}

#[tokio::test]
async fn a_redirect_to_what_is_not_http_is_refused() {
    for target in [
        "file:///etc",
        "ftp://127.0.0.1/real.git",
        "http://127.0.0.1:1/other?x=",
    ] {
        let puppet = Puppet::start(sends_to(target.to_owned()));
        let error = look(&puppet.url(), access(), PATIENCE).await.err().unwrap();
        assert_eq!(error.reason(), "GitOperationFailed", "{target}: {error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(listener);
}

#[tokio::test]
async fn redirects_without_end_are_given_up() {
    let puppet = Puppet::start(|_, stream| {
        let answer = "HTTP/1.1 302 Found\r\nLocation: /moved.git/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let error = look(&puppet.url(), access(), PATIENCE).await.err().unwrap();
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let puppet = Puppet::start(|_, stream| {
        let held = stream.try_clone().unwrap();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(30));
            drop(held);
        });
    });
    let begin = Instant::now();
    let error = look(&puppet.url(), access(), Duration::from_millis(500))
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("context deadline exceeded"),
        "{error}"
    );
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn half_an_answer_and_rubbish_are_errors() {
    let advertised = "Content-Type: application/x-git-upload-pack-advertisement\r\n";
    let answers = [
        format!("HTTP/1.1 200 OK\r\n{advertised}Content-Length: 1000\r\n\r\n001e# service=git"),
        format!("HTTP/1.1 200 OK\r\n{advertised}Connection: close\r\n\r\nrubbish rubbish rubbish"),
        format!("HTTP/1.1 200 OK\r\n{advertised}Connection: close\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n{advertised}Connection: close\r\n\r\nffff"),
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Sign in</html>".to_owned(),
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        "HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH\r\n".to_owned(),
        String::new(),
    ];
    for answer in answers {
        let text = answer.clone();
        let puppet = Puppet::start(move |_, stream| stream.write_all(text.as_bytes()).unwrap());
        let error = look(&puppet.url(), access(), PATIENCE).await.err();
        let error = error.unwrap_or_else(|| panic!("{answer:?} was taken for a repository"));
        assert_eq!(error.reason(), "GitOperationFailed", "{answer:?}: {error}");
        assert!(!error.to_string().contains(PASSWORD), "{error}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_in_place_of_the_server() {
    let puppet = Puppet::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
    });
    let mut access = access();
    access.proxy = Some(Proxy {
        address: format!("http://{}", puppet.address),
        account: Some(("someone".to_owned(), "hush".to_owned())),
    });
    let error = look("http://git.example.org/a.git", access, PATIENCE)
        .await
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("unexpected status 502"),
        "{error}"
    );
    let asked = &puppet.asked()[0];
    assert!(
        asked.starts_with("GET http://git.example.org/a.git/info/refs"),
        "{asked}"
    );
    assert!(
        asked.to_lowercase().contains("proxy-authorization: basic"),
        "{asked}"
    );
}

#[tokio::test]
async fn proxies_of_the_process_are_for_those_that_name_none() {
    let answer = "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let puppet = || Puppet::start(move |_, stream| stream.write_all(answer.as_bytes()).unwrap());
    let (of_process, of_source) = (puppet(), puppet());
    let storage = tempfile::tempdir().unwrap();
    let environment = EnvironmentProxies {
        http: Some(format!("http://{}", of_process.address)),
        https: None,
        none: Some("localhost,.internal".to_owned()),
    };
    let repositories = Repositories::new(storage.path().to_owned()).through(environment);
    let repositories = Arc::new(repositories);
    let visit = async |url: &str, access: Access| {
        let remote = Remote {
            url: RemoteUrl::parse(url).unwrap().0,
            access,
            timeout: PATIENCE,
        };
        let reference = Reference::Branch("main".to_owned());
        let result = refresh(&repositories, "ns/name", &remote, &reference).await;
        result.map(|_| ()).unwrap_err().to_string()
    };
    let error = visit("http://git.example.org/a.git", Access::default()).await;
    assert!(error.contains("unexpected status 502"), "{error}");
    assert_eq!(of_process.asked().len(), 1);

    let access = Access {
        proxy: Some(Proxy {
            address: format!("http://{}", of_source.address),
            account: None,
        }),
        ..Access::default()
    };
    visit("http://git.example.org/a.git", access).await;
    visit("http://git.internal/a.git", Access::default()).await;
    assert_eq!((of_process.asked().len(), of_source.asked().len()), (1, 1));
}
