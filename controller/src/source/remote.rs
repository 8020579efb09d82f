//! Where a repository is: addresses that are safe to give to a Git client.

use std::fmt;
use std::time::Duration;

use super::access::Access;
use super::error::SourceError;

/// A repository, the way in, and how long it may take to answer.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it is.
    pub url: RemoteUrl,
    /// How to get in.
    pub access: Access,
    /// The limit of one look-up or fetch as a whole.
    pub timeout: Duration,
}

/// An address without user and password, so that it can be shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RemoteUrl {
    /// `http://` or `https://`.
    Http(String),
    /// `ssh://`.
    Ssh(String),
}

/// The parts of an `ssh://` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SshAddress {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    /// Where the repository is, as the server's program is told.
    pub(super) path: String,
}

impl SshAddress {
    pub(super) fn of(url: &str) -> Result<Self, SourceError> {
        let refuse = |problem: &str| SourceError::UrlInvalid {
            url: url.to_owned(),
            problem: problem.to_owned(),
        };
        let parsed = reqwest::Url::parse(url).map_err(|error| refuse(&error.to_string()))?;
        let host = parsed.host_str().unwrap_or_default();
        let path = decoded(parsed.path()).unwrap_or_default();
        if path.chars().any(char::is_control) {
            return Err(refuse("its path holds a control character"));
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: parsed.port().unwrap_or(22),
            user: decoded(parsed.username()).unwrap_or_else(|| "git".to_owned()),
            // The home of a user stands without the slash before it.
            path: match path.strip_prefix("/~") {
                Some(home) => format!("~{home}"),
                None => path,
            },
        })
    }
}

/// What `user:password@` in an address said. `Debug` shows no password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfo(***)")
    }
}

impl RemoteUrl {
    /// Reads an address that came from a cluster. Only `http`, `https` and `ssh` are taken: other forms make Git
    /// read local files or start programs (`file://`, `ext::`, `host:path` with options in the host).
    pub fn parse(text: &str) -> Result<(Self, UserInfo), SourceError> {
        let refuse = |problem: &str| SourceError::UrlInvalid {
            url: without_user_info(text),
            problem: problem.to_owned(),
        };
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(refuse("it holds a space or a control character"));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refuse("it has no scheme; http, https or ssh is needed"));
        };
        if !matches!(scheme, "http" | "https" | "ssh") {
            return Err(refuse("its scheme is not http, https or ssh"));
        }
        let mut url = reqwest::Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        let host = url.host_str().unwrap_or_default();
        if host.is_empty() || host.starts_with('-') || rest.starts_with('-') {
            return Err(refuse("it names no host"));
        }
        if url.path().trim_start_matches('/').starts_with('-') {
            return Err(refuse("its path begins with a dash"));
        }
        let info = UserInfo {
            user: decoded(url.username()),
            password: url.password().and_then(decoded),
        };
        let removed =
            url.set_password(None).is_ok() && (scheme == "ssh" || url.set_username("").is_ok());
        if !removed {
            return Err(refuse("its user cannot be told from its host"));
        }
        let url = url.as_str().trim_end_matches('/').to_owned();
        Ok(match scheme {
            "ssh" => (Self::Ssh(url), info),
            _ => (Self::Http(url), info),
        })
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) | Self::Ssh(url) => f.write_str(url),
        }
    }
}

/// The text of an address without what stands between `://` and the last `@` before the path.
fn without_user_info(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

fn decoded(part: &str) -> Option<String> {
    if part.is_empty() {
        return None;
    }
    let bytes = part.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = part
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 3;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Some(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_git_would_run_or_read_locally_are_refused() {
        for url in [
            "ext::sh -c touch% /tmp/x",
            "file:///etc",
            "git://host/repository",
            "git@host:owner/repository",
            "https://-oProxyCommand=x/repository",
            "ssh://-oProxyCommand=x/repository",
            "ssh://host/-repository",
            "https://host/a\nb",
            "--upload-pack=x",
            "/etc",
            "https://",
            "",
        ] {
            let refused = RemoteUrl::parse(url);
            assert!(
                matches!(refused, Err(SourceError::UrlInvalid { .. })),
                "{url:?}: {:?}",
                refused.map(|(url, _)| url)
            );
        }
    }

    #[test]
    fn user_and_password_leave_the_address() {
        let (url, info) = RemoteUrl::parse("https://me:p%40ss@host:8443/a/b.git").expect("valid");
        assert_eq!(url, RemoteUrl::Http("https://host:8443/a/b.git".to_owned()));
        assert_eq!(info.user.as_deref(), Some("me"));
        assert_eq!(info.password.as_deref(), Some("p@ss"));
    }

    #[test]
    fn a_refusal_does_not_show_the_password() {
        let error = RemoteUrl::parse("ftp://me:secret@host/a").expect_err("refused");
        assert!(!error.to_string().contains("secret"), "{error}");
        let error = RemoteUrl::parse("https://me:sec ret@host/a").expect_err("refused");
        assert!(!error.to_string().contains("ret@"), "{error}");
    }

    #[test]
    fn an_ssh_address_has_a_user_a_port_and_a_path() {
        let parts = |url| {
            let address = SshAddress::of(url).expect("valid");
            (address.user, address.host, address.port, address.path)
        };
        let of = |user: &str, host: &str, port, path: &str| {
            (user.to_owned(), host.to_owned(), port, path.to_owned())
        };
        assert_eq!(
            parts("ssh://host/a%20b.git"),
            of("git", "host", 22, "/a b.git")
        );
        assert_eq!(
            parts("ssh://deploy@[::1]:2222/~ada/a"),
            of("deploy", "::1", 2222, "~ada/a")
        );
        assert!(SshAddress::of("ssh://host/a%0ab").is_err());
    }

    #[test]
    fn ssh_keeps_its_user() {
        let (url, info) = RemoteUrl::parse("ssh://deploy@host/a.git").expect("valid");
        assert_eq!(url, RemoteUrl::Ssh("ssh://deploy@host/a.git".to_owned()));
        assert_eq!(info.user.as_deref(), Some("deploy"));
    }
}
