//! Where a repository lies, as the addresses that Git uses say it, and where the API of its forge is.

use reqwest::Url;

use super::{ForgeError, Kind};

/// A repository on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The server's name, with its port where the address is one of HTTP.
    pub host: String,
    /// `owner/name`.
    pub repository: String,
    /// Whether it is reached without TLS.
    pub is_plain: bool,
}

/// Names in which a server says what it is.
const KINDS: [(&str, Kind); 5] = [
    ("github", Kind::GitHub),
    ("gitlab", Kind::GitLab),
    ("gitea", Kind::Gitea),
    ("forgejo", Kind::Gitea),
    ("codeberg.org", Kind::Gitea),
];

/// Reads the address of a remote: `https://host/owner/name.git`, `ssh://git@host/owner/name`, `git@host:owner/name`.
pub fn place_of(remote: &str) -> Option<Place> {
    let (host, path, is_plain) = match Url::parse(remote) {
        Ok(url) if url.has_host() => {
            let name = url.host_str()?.to_owned();
            let port = url.port().filter(|_| url.scheme().starts_with("http"));
            let host = port.map_or(name.clone(), |port| format!("{name}:{port}"));
            (host, url.path().to_owned(), url.scheme() == "http")
        }
        _ if remote.contains("://") => return None,
        _ => {
            let (server, path) = remote.split_once(':')?;
            let host = server.rsplit_once('@').map_or(server, |(_, host)| host);
            (host.to_owned(), path.to_owned(), false)
        }
    };
    let path = path.trim_matches('/');
    let repository = path.strip_suffix(".git").unwrap_or(path);
    let is_one = repository.contains('/') && !host.is_empty() && !host.contains('/');
    is_one.then(|| Place {
        host,
        repository: repository.to_owned(),
        is_plain,
    })
}

impl Place {
    /// The kind of forge that the server's name tells.
    pub fn kind(&self) -> Option<Kind> {
        let host = self.host.to_ascii_lowercase();
        let found = KINDS.iter().find(|(name, _)| host.contains(name));
        found.map(|(_, kind)| *kind)
    }
}

/// Where a server of a kind has its API.
pub fn api_of(kind: Kind, place: &Place) -> String {
    let scheme = if place.is_plain { "http" } else { "https" };
    let host = &place.host;
    match kind {
        Kind::GitHub if host == "github.com" => "https://api.github.com".to_owned(),
        Kind::GitHub => format!("{scheme}://{host}/api/v3"),
        Kind::GitLab => format!("{scheme}://{host}/api/v4"),
        Kind::Gitea => format!("{scheme}://{host}/api/v1"),
    }
}

/// An address that requests can be sent to; without user, password and query.
pub(super) fn parsed(address: &str) -> Result<Url, ForgeError> {
    let refused = |problem: &str| ForgeError::Address {
        address: address.to_owned(),
        problem: problem.to_owned(),
    };
    let url = Url::parse(address).map_err(|error| refused(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.query().is_none() => Ok(url),
        "http" | "https" => Err(refused("it has more than a server and a path")),
        _ => Err(refused("it is not http or https")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_remote_name_the_same_repository() {
        for (remote, api) in [
            (
                "https://github.com/acme/fleet.git",
                "https://api.github.com",
            ),
            ("git@github.com:acme/fleet.git", "https://api.github.com"),
            (
                "ssh://git@github.acme.io:2222/acme/fleet",
                "https://github.acme.io/api/v3",
            ),
            (
                "https://me@gitlab.acme.io:8443/acme/fleet/",
                "https://gitlab.acme.io:8443/api/v4",
            ),
            (
                "http://gitea.local:3000/acme/fleet",
                "http://gitea.local:3000/api/v1",
            ),
            ("git@codeberg.org:acme/fleet", "https://codeberg.org/api/v1"),
        ] {
            let place = place_of(remote).unwrap_or_else(|| panic!("{remote}"));
            assert_eq!(place.repository, "acme/fleet", "{remote}");
            let kind = place.kind().unwrap_or_else(|| panic!("{remote}"));
            assert_eq!(api_of(kind, &place), api, "{remote}");
        }
    }

    #[test]
    fn what_is_no_server_is_none() {
        for remote in [
            "/srv/fleet.git",
            "../fleet",
            "file:///srv/acme/fleet",
            "host:fleet",
        ] {
            assert_eq!(place_of(remote), None, "{remote}");
        }
        let place = place_of("git@git.acme.io:group/sub/fleet.git").expect("a place");
        assert_eq!(
            (place.kind(), &*place.repository),
            (None, "group/sub/fleet")
        );
    }

    #[test]
    fn an_address_is_a_server_and_a_path() {
        for address in ["ftp://x/", "x", "https://me:secret@x/", "https://x/?a=b"] {
            assert!(parsed(address).is_err(), "{address}");
        }
    }
}
