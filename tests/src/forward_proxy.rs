//! A proxy as companies have them between their machines and all others: CONNECT, plain requests with a whole address,
//! and SOCKS5, all on one port, as the first byte says.
//!
//! It knows names that no resolver does, so that whoever arrives there has come through it. What a server says first goes
//! back in one piece with the proxy's own answer, as it happens on real networks.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// How long a server may take to speak first.
const FIRST_WORDS: Duration = Duration::from_millis(100);

/// A proxy on a free port.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk {
    account: Option<(String, String)>,
    ways: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
    refused: Mutex<usize>,
}

impl ForwardProxy {
    /// Starts a proxy for everybody, or for those who know a user and a password.
    pub fn start(account: Option<(&str, &str)>) -> ForwardProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let desk = Arc::new(Desk {
            account: account.map(|(user, password)| (user.to_owned(), password.to_owned())),
            ..Desk::default()
        });
        let shared = desk.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let desk = shared.clone();
                // A client that leaves is no concern of the others.
                std::thread::spawn(move || desk.serve(stream));
            }
        });
        ForwardProxy { address, desk }
    }

    /// Where a name and a port lead, both as `HOST:PORT`.
    pub fn lead(&self, name: &str, to: &str) {
        let mut ways = self.desk.ways.lock().unwrap();
        ways.insert(name.to_owned(), to.to_owned());
    }

    /// The proxy's address, in one of the languages that it speaks: `http`, `socks5`, `socks5h`.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// Whom connections were made to so far, as `HOST:PORT`.
    pub fn asked(&self) -> Vec<String> {
        self.desk.asked.lock().unwrap().clone()
    }

    /// How many clients did not say who they are.
    pub fn refused(&self) -> usize {
        *self.desk.refused.lock().unwrap()
    }
}

impl Desk {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut first = [0];
        client.peek(&mut first)?;
        match first {
            [5] => self.socks(client),
            _ => self.http(client),
        }
    }

    /// A connection to the server of that name, and what that says first.
    fn reach(&self, target: &str) -> io::Result<(TcpStream, Vec<u8>)> {
        self.asked.lock().unwrap().push(target.to_owned());
        let known = self.ways.lock().unwrap().get(target).cloned();
        let mut server = TcpStream::connect(known.as_deref().unwrap_or(target))?;
        server.set_read_timeout(Some(FIRST_WORDS))?;
        let mut words = vec![0; 1024];
        let length = server.read(&mut words).unwrap_or(0);
        words.truncate(length);
        server.set_read_timeout(None)?;
        Ok((server, words))
    }

    fn refuse(&self) {
        *self.refused.lock().unwrap() += 1;
    }

    fn http(&self, mut client: TcpStream) -> io::Result<()> {
        let head = head(&mut client)?;
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let (mut rest, mut given) = (String::new(), None);
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "proxy-authorization" => given = Some(value.to_owned()),
                "connection" | "proxy-connection" => {}
                _ => rest += &format!("{line}\r\n"),
            }
        }
        let pair =
            |(user, password): &(String, String)| BASE64.encode(format!("{user}:{password}"));
        let wanted = self
            .account
            .as_ref()
            .map(|account| format!("Basic {}", pair(account)));
        if wanted.is_some() && wanted != given {
            self.refuse();
            let answer =
                "HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return client.write_all(answer.as_bytes());
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if method == "CONNECT" {
            let Ok((server, words)) = self.reach(target) else {
                let answer = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
                return client.write_all(answer.as_bytes());
            };
            let answer = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &words].concat();
            client.write_all(&answer)?;
            return pipe(client, server);
        }
        let target = target.trim_start_matches("http://");
        let (host, path) = target.split_once('/').unwrap_or((target, ""));
        let host = match host.contains(':') {
            true => host.to_owned(),
            false => format!("{host}:80"),
        };
        let (mut server, _) = self.reach(&host)?;
        let request = format!("{method} /{path} HTTP/1.1\r\n{rest}Connection: close\r\n\r\n");
        server.write_all(request.as_bytes())?;
        pipe(client, server)
    }

    fn socks(&self, mut client: TcpStream) -> io::Result<()> {
        let [_, count] = exactly::<2>(&mut client)?;
        let offered = several(&mut client, count)?;
        let method = if self.account.is_some() { 2 } else { 0 };
        if !offered.contains(&method) {
            self.refuse();
            return client.write_all(&[5, 0xff]);
        }
        client.write_all(&[5, method])?;
        if let Some((user, password)) = &self.account {
            let [_, length] = exactly::<2>(&mut client)?;
            let given = several(&mut client, length)?;
            let [length] = exactly::<1>(&mut client)?;
            let knows =
                given == user.as_bytes() && several(&mut client, length)? == password.as_bytes();
            client.write_all(&[1, u8::from(!knows)])?;
            if !knows {
                self.refuse();
                return Ok(());
            }
        }
        let [_, _, _, kind] = exactly::<4>(&mut client)?;
        let host = match kind {
            1 => std::net::Ipv4Addr::from(exactly::<4>(&mut client)?).to_string(),
            4 => format!(
                "[{}]",
                std::net::Ipv6Addr::from(exactly::<16>(&mut client)?)
            ),
            _ => {
                let [length] = exactly::<1>(&mut client)?;
                String::from_utf8_lossy(&several(&mut client, length)?).into_owned()
            }
        };
        let port = u16::from_be_bytes(exactly::<2>(&mut client)?);
        match self.reach(&format!("{host}:{port}")) {
            Ok((server, words)) => {
                let answer = [&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &words].concat();
                client.write_all(&answer)?;
                pipe(client, server)
            }
            Err(_) => client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]),
        }
    }
}

/// The first lines of a request.
fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.extend(exactly::<1>(stream)?);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn exactly<const LENGTH: usize>(stream: &mut TcpStream) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn several(stream: &mut TcpStream, length: u8) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Carries bytes both ways until both sides have said all.
fn pipe(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    let there = std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (server, client);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
    let _ = there.join();
    Ok(())
}
