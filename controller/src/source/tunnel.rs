//! The way through a proxy to a server that does not speak HTTP: CONNECT, or SOCKS5.
//!
//! What the proxy says is read to its last byte and no further: SSH servers speak first, and what they say often comes
//! in one piece with the proxy's answer.

use std::io;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::access::Proxy;
use super::error::SourceError;
use super::failure::Failure;

/// As many bytes as the answer to CONNECT may have.
const ANSWER_LIMIT: usize = 16 * 1024;

/// The kinds of proxies: how their addresses begin, the language, and the usual port. The name of the server is always
/// left to the proxy, as Flux does it.
const KINDS: [(&str, Language, u16); 3] = [
    ("http", Language::Connect, 80),
    ("socks5", Language::Socks, 1080),
    ("socks5h", Language::Socks, 1080),
];

/// What SOCKS5's refusals mean, from 1 on.
const REFUSALS: [&str; 8] = [
    "general failure",
    "connection not allowed",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "the time of the connection is over",
    "command not supported",
    "kind of address not supported",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Connect,
    Socks,
}

/// A proxy that connections go through.
#[derive(Clone)]
pub(super) struct Tunnel {
    language: Language,
    host: String,
    port: u16,
    account: Option<(String, String)>,
}

impl Tunnel {
    /// Reads the address of a proxy.
    pub(super) fn through(proxy: &Proxy) -> Result<Self, SourceError> {
        let refuse = |problem: &str| {
            let problem = format!("failed to configure proxy options: {problem}");
            SourceError::Authentication(problem)
        };
        let url =
            reqwest::Url::parse(&proxy.address).map_err(|_| refuse("'address' is not one"))?;
        let kind = KINDS.iter().find(|(scheme, _, _)| *scheme == url.scheme());
        let (_, language, port) = kind.ok_or_else(|| {
            refuse("to an ssh:// address lead proxies of http://, socks5:// and socks5h:// only")
        })?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(refuse("'address' names no host"));
        }
        Ok(Self {
            language: *language,
            host: host.to_owned(),
            port: url.port().unwrap_or(*port),
            account: proxy.account.clone(),
        })
    }

    /// A connection to a server, with all that the proxy has to say behind it.
    pub(super) async fn open(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let near = TcpStream::connect((self.host.as_str(), self.port)).await;
        let mut stream = near.map_err(|error| lost(&error))?;
        // Without it small packets wait for each other, and nothing else happens.
        let _ = stream.set_nodelay(true);
        let account = self.account.as_ref();
        match self.language {
            Language::Connect => connect(&mut stream, (host, port), account).await?,
            Language::Socks => socks(&mut stream, (host, port), account).await?,
        }
        Ok(stream)
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::Network(format!("proxy: {error}"))
}

fn refused(problem: impl std::fmt::Display) -> Failure {
    Failure::Protocol(format!("proxy: {problem}"))
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(|error| lost(&error))
}

async fn read<const LENGTH: usize>(stream: &mut TcpStream) -> Result<[u8; LENGTH], Failure> {
    let mut bytes = [0; LENGTH];
    let read = stream.read_exact(&mut bytes).await;
    read.map_err(|error| lost(&error))?;
    Ok(bytes)
}

/// Asks in HTTP.
async fn connect(
    stream: &mut TcpStream,
    (host, port): (&str, u16),
    account: Option<&(String, String)>,
) -> Result<(), Failure> {
    let target = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    let account = account.map(|(user, password)| {
        let pair = BASE64.encode(format!("{user}:{password}"));
        format!("Proxy-Authorization: Basic {pair}\r\n")
    });
    let account = account.unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{account}\r\n");
    send(stream, request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == ANSWER_LIMIT {
            return Err(refused("its answer has no end"));
        }
        answer.extend(read::<1>(stream).await?);
    }
    match status(&answer) {
        Some(200..=299) => Ok(()),
        Some(407) => Err(refused("authentication required")),
        Some(status) => Err(refused(format!("unexpected status {status}"))),
        None => Err(refused("it does not speak HTTP")),
    }
}

fn status(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.strip_prefix("HTTP/1.")?.split_ascii_whitespace();
    words.nth(1)?.parse().ok()
}

/// Asks in SOCKS5 (RFC 1928).
async fn socks(
    stream: &mut TcpStream,
    (host, port): (&str, u16),
    account: Option<&(String, String)>,
) -> Result<(), Failure> {
    let methods: &[u8] = match account {
        Some(_) => &[5, 2, 0, 2],
        None => &[5, 1, 0],
    };
    send(stream, methods).await?;
    match (read::<2>(stream).await?, account) {
        ([5, 0], _) => {}
        ([5, 2], Some(account)) => introduce(stream, account).await?,
        ([5, _], _) => return Err(refused("authentication required")),
        _ => return Err(refused("it does not speak SOCKS5")),
    }
    let mut request = vec![5, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => request.extend([&[1][..], &address.octets()].concat()),
        Ok(IpAddr::V6(address)) => request.extend([&[4][..], &address.octets()].concat()),
        Err(_) => request.extend([vec![3], short(host)?].concat()),
    }
    request.extend(port.to_be_bytes());
    send(stream, &request).await?;
    let [_, code, _, kind] = read::<4>(stream).await?;
    if code != 0 {
        let known = REFUSALS.get(usize::from(code) - 1);
        return Err(refused(known.unwrap_or(&"a failure that has no name")));
    }
    // Where the connection begins is nothing to us, but must be read.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(read::<1>(stream).await?[0]),
        _ => return Err(refused("it does not speak SOCKS5")),
    };
    let mut rest = vec![0; length + 2];
    let read = stream.read_exact(&mut rest).await;
    read.map_err(|error| lost(&error)).map(drop)
}

/// Says who we are (RFC 1929).
async fn introduce(
    stream: &mut TcpStream,
    (user, password): &(String, String),
) -> Result<(), Failure> {
    let message = [vec![1], short(user)?, short(password)?].concat();
    send(stream, &message).await?;
    match read::<2>(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(refused("authentication required")),
    }
}

/// A text behind its length, which is one byte.
fn short(text: &str) -> Result<Vec<u8>, Failure> {
    let length = u8::try_from(text.len());
    let length = length.map_err(|_| refused("a name or a password has more than 255 bytes"))?;
    Ok([&[length], text.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(address: &str) -> Result<(Language, String, u16), String> {
        let proxy = Proxy {
            address: address.to_owned(),
            account: None,
        };
        let read = Tunnel::through(&proxy).map_err(|error| error.to_string())?;
        Ok((read.language, read.host, read.port))
    }

    #[test]
    fn an_address_says_what_is_spoken_and_where() {
        let read = |host: &str, language, port| Ok((language, host.to_owned(), port));
        let (connect, socks) = (Language::Connect, Language::Socks);
        assert_eq!(tunnel("http://proxy"), read("proxy", connect, 80));
        assert_eq!(tunnel("http://[::1]:3128"), read("::1", connect, 3128));
        assert_eq!(tunnel("socks5://proxy"), read("proxy", socks, 1080));
        assert_eq!(tunnel("socks5h://10.0.0.1:9"), read("10.0.0.1", socks, 9));
        for (wrong, problem) in [
            ("proxy:3128", "only"),
            ("https://proxy", "only"),
            ("socks4://proxy", "only"),
            ("socks5://", "no host"),
            ("", "is not one"),
        ] {
            let refused = tunnel(wrong).expect_err(wrong);
            assert!(refused.contains(problem), "{wrong}: {refused}");
        }
    }

    #[test]
    fn the_status_of_an_answer_is_its_second_word() {
        assert_eq!(
            status(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Some(200)
        );
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        assert_eq!(status(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(status(b"HTTP/1.1 OK\r\n\r\n"), None);
    }
}
