//! Where an artifact lies: the host of the registry, and the name of the repository on it.

use super::OciError;

/// Docker Hub, as people call it, and the host that answers for it.
const HUB: (&str, &str) = ("docker.io", "index.docker.io");

/// A repository on a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host and, if need be, port.
    pub host: String,
    /// The name of the repository.
    pub repository: String,
    /// Without TLS.
    pub insecure: bool,
}

impl Address {
    /// Reads `oci://host/organisation/repository`.
    pub fn parse(url: &str, insecure: bool) -> Result<Self, OciError> {
        let refuse = |problem: &str| OciError::Address {
            url: url.to_owned(),
            problem: problem.to_owned(),
        };
        let name = url
            .strip_prefix("oci://")
            .ok_or_else(|| refuse("URL must be in format 'oci://<domain>/<org>/<repo>'"))?;
        let (host, repository) = split(name);
        if let Some((_, tag)) = repository.split_once(':') {
            return Err(refuse(&format!(
                "URL must not contain a tag; remove ':{tag}'"
            )));
        }
        let is_part = |part: &str| {
            let plain = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            };
            part.bytes().all(plain) && part.bytes().any(|byte| byte.is_ascii_alphanumeric())
        };
        if repository.is_empty() || !repository.split('/').all(is_part) {
            return Err(refuse("the name of the repository is none"));
        }
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if !host.bytes().all(is_host) {
            return Err(refuse("the host is none"));
        }
        Ok(Self {
            host,
            repository,
            insecure,
        })
    }

    /// The address of something on the registry.
    pub(super) fn at(&self, path: &str) -> String {
        let scheme = if self.insecure { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}/{path}", self.host, self.repository)
    }
}

/// Host and repository. A first part that is no host is one of Docker Hub's organisations.
fn split(name: &str) -> (String, String) {
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let (host, repository) = match name.split_once('/') {
        Some((host, repository)) if is_host(host) => (host, repository.trim_end_matches('/')),
        _ => (HUB.0, name.trim_end_matches('/')),
    };
    let is_hub = host == HUB.0 || host == HUB.1;
    match is_hub {
        true if !repository.contains('/') => (HUB.1.to_owned(), format!("library/{repository}")),
        true => (HUB.1.to_owned(), repository.to_owned()),
        false => (host.to_owned(), repository.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        for (url, host, repository) in [
            (
                "oci://ghcr.io/stefanprodan/manifests/podinfo",
                "ghcr.io",
                "stefanprodan/manifests/podinfo",
            ),
            ("oci://localhost:5000/apps/", "localhost:5000", "apps"),
            ("oci://localhost/apps", "localhost", "apps"),
            ("oci://docker.io/weir/apps", "index.docker.io", "weir/apps"),
            ("oci://weir/apps", "index.docker.io", "weir/apps"),
            ("oci://docker.io/apps", "index.docker.io", "library/apps"),
        ] {
            let read = Address::parse(url, false).expect(url);
            assert_eq!(
                (read.host.as_str(), read.repository.as_str()),
                (host, repository),
                "{url}"
            );
        }
        for (url, problem) in [
            ("https://ghcr.io/a/b", "format"),
            ("oci://ghcr.io/a/b:v1", "remove ':v1'"),
            ("oci://ghcr.io/", "name"),
            ("oci://ghcr.io/../etc", "name"),
            ("oci://ghcr.io/a?b", "name"),
            ("oci://a.b@evil.io/a", "host"),
        ] {
            let error = Address::parse(url, false).expect_err(url);
            assert!(
                error.stalls() && error.to_string().contains(problem),
                "{error}"
            );
        }
    }
}
