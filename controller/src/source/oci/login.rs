//! Who we are to registries, as Docker's configuration file has it: that is what pull secrets hold.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Address;
use crate::source::access::SecretData;

/// Users and passwords by what the names of repositories begin with.
#[derive(Clone, Default)]
pub struct Logins(Vec<(String, Login)>);

/// A user and a password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Zeroizing<String>,
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logins(***; {})", self.0.len())
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

impl Entry {
    fn login(self) -> Option<Login> {
        if !self.username.is_empty() {
            return Some(Login {
                user: self.username,
                password: Zeroizing::new(self.password),
            });
        }
        let bytes = Zeroizing::new(BASE64.decode(Zeroizing::new(self.auth).trim()).ok()?);
        let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        Some(Login {
            user: user.to_owned(),
            password: Zeroizing::new(password.trim_matches('\0').to_owned()),
        })
    }
}

impl Logins {
    /// Adds those of a pull secret; says what is wrong with one that holds none. No text of it is in that.
    pub fn add(&mut self, data: &SecretData) -> Result<(), String> {
        let entries = if let Some(bytes) = data.get(".dockerconfigjson") {
            let config: Config = parse(bytes)?;
            config.auths
        } else if let Some(bytes) = data.get(".dockercfg") {
            parse(bytes)?
        } else {
            return Err("it has no key .dockerconfigjson".to_owned());
        };
        for (registry, entry) in entries {
            self.0
                .extend(entry.login().map(|login| (plain(&registry), login)));
        }
        // The longest first: who logs in to one repository means it.
        self.0
            .sort_by_key(|(registry, _)| std::cmp::Reverse(registry.len()));
        Ok(())
    }

    /// The login for a repository.
    pub(super) fn find(&self, address: &Address) -> Option<&Login> {
        let name = format!("{}/{}", address.host, address.repository);
        let fits = |(registry, _): &&(String, Login)| fits(registry, &name);
        self.0.iter().find(fits).map(|(_, login)| login)
    }
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // The parser's own message may quote what it read.
    serde_json::from_slice(bytes).map_err(|_| "it is not a configuration of Docker".to_owned())
}

/// `https://index.docker.io/v1/` is `index.docker.io`, and so is `docker.io`.
fn plain(registry: &str) -> String {
    let name = registry
        .split_once("://")
        .map_or(registry, |(_, name)| name);
    let name = name.trim_end_matches('/');
    let name = ["/v1", "/v2"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    match name.strip_prefix("docker.io") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("index.docker.io{rest}"),
        _ => name.to_owned(),
    }
}

/// Whether a name is that of a registry or of something below it. `*` stands for one part of the host.
fn fits(registry: &str, name: &str) -> bool {
    let (host, path) = registry.split_once('/').unwrap_or((registry, ""));
    let (own_host, own_path) = name.split_once('/').unwrap_or((name, ""));
    let (parts, own): (Vec<&str>, Vec<&str>) =
        (host.split('.').collect(), own_host.split('.').collect());
    let same = |(wanted, part): (&&str, &&str)| *wanted == "*" || wanted == part;
    parts.len() == own.len()
        && parts.iter().zip(&own).all(same)
        && overlay::path::is_within(own_path, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, url: &str) -> Option<(String, String)> {
        let data = SecretData::from([(".dockerconfigjson".to_owned(), config.as_bytes().to_vec())]);
        let mut logins = Logins::default();
        logins.add(&data).expect("a configuration");
        let address = Address::parse(url, false).expect("an address");
        let login = logins.find(&address)?;
        Some((login.user.clone(), login.password.to_string()))
    }

    #[test]
    fn the_longest_name_that_fits_logs_in() {
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOmE6Yg=="},
            "ghcr.io": {"username": "all", "password": "1"},
            "ghcr.io/weir": {"username": "ours", "password": "2"},
            "*.example.org:5000": {"username": "star", "password": "3"}
        }}"#;
        let user = |url| found(config, url).map(|(user, _)| user);
        assert_eq!(
            found(config, "oci://docker.io/a/b"),
            Some(("hub".into(), "a:b".into()))
        );
        assert_eq!(user("oci://ghcr.io/other/a").as_deref(), Some("all"));
        assert_eq!(user("oci://ghcr.io/weir/a").as_deref(), Some("ours"));
        assert_eq!(user("oci://ghcr.io/weirder/a").as_deref(), Some("all"));
        assert_eq!(user("oci://eu.example.org:5000/a").as_deref(), Some("star"));
        assert_eq!(user("oci://a.eu.example.org:5000/a"), None);
    }

    #[test]
    fn what_is_no_configuration_is_told_without_its_text() {
        let data = SecretData::from([(".dockerconfigjson".to_owned(), b"hunter2".to_vec())]);
        let error = Logins::default().add(&data).expect_err("no configuration");
        assert!(!error.contains("hunter2"), "{error}");
        assert!(Logins::default().add(&SecretData::new()).is_err());
    }
}
