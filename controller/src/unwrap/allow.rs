//! The operator's list of keys that files may name: `vault=https://vault.example:8200/transit/weir-*`.

use std::str::FromStr;

use reqwest::Url;

use super::Refusal;

/// A kind of key service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Service {
    /// HashiCorp Vault and OpenBao, transit engine.
    Vault,
    /// AWS Key Management Service.
    Aws,
    /// Google Cloud Key Management Service.
    Gcp,
    /// Azure Key Vault.
    Azure,
}

impl Service {
    /// As it is written in the list.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }
}

/// Keys that may be used; none by default.
#[derive(Clone, Debug, Default)]
pub struct AllowList(pub Vec<Pattern>);

impl AllowList {
    /// Refuses a key that no pattern covers.
    pub fn check(&self, service: Service, target: &str) -> Result<(), Refusal> {
        let covers = |pattern: &Pattern| {
            pattern.service == service && matches(pattern.text.as_bytes(), target.as_bytes())
        };
        match self.0.iter().any(covers) {
            true => Ok(()),
            false => Err(Refusal::NotAllowed {
                service,
                target: target.to_owned(),
            }),
        }
    }
}

/// One entry of the list. `*` stands for any letters but `/` and `:`, and never in what says whose the key is: a host,
/// an account, a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    service: Service,
    text: String,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, pattern) = text
            .split_once('=')
            .ok_or("write it as vault=URL, aws=ARN, gcp=RESOURCE or azure=URL")?;
        let services = [Service::Vault, Service::Aws, Service::Gcp, Service::Azure];
        let service = services
            .into_iter()
            .find(|known| known.name() == service)
            .ok_or_else(|| format!("{service} is none of vault, aws, gcp, azure"))?;
        let text = match service {
            Service::Vault | Service::Azure => address(pattern)?,
            Service::Aws => owned(pattern, ':', 4, "arn:aws:kms:eu-west-1:111122223333:key/*")?,
            Service::Gcp => owned(
                pattern,
                '/',
                1,
                "projects/shop/locations/global/keyRings/weir/cryptoKeys/*",
            )?,
        };
        Ok(Self { service, text })
    }
}

/// An address as keys have it: default ports left out, the host in small letters and without `*`.
fn address(pattern: &str) -> Result<String, String> {
    let url = Url::parse(pattern).map_err(|error| format!("{pattern}: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "https" | "http") || host.is_empty() || host.contains('*') {
        return Err(format!(
            "{pattern}: write it as https://HOST/…, without * in the host"
        ));
    }
    if !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{pattern}: an address and a path, nothing else"));
    }
    Ok(url.as_str().to_owned())
}

/// A name whose part at `place` says whose the key is.
fn owned(pattern: &str, separator: char, place: usize, example: &str) -> Result<String, String> {
    match pattern.split(separator).nth(place) {
        Some(owner) if !owner.is_empty() && !owner.contains('*') => Ok(pattern.to_owned()),
        _ => Err(format!(
            "{pattern}: write it like {example}, with * only behind the owner"
        )),
    }
}

/// Whether a pattern covers a text. It never tries an earlier `*` again, so it takes at most the product of lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut star = None;
    while position < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, position));
            at += 1;
        } else if pattern.get(at) == Some(&text[position]) {
            at += 1;
            position += 1;
        } else {
            // The last `*` takes one letter more, unless that is one it may not take.
            let Some((star_at, star_position)) = star else {
                return false;
            };
            if matches!(text[star_position], b'/' | b':') {
                return false;
            }
            star = Some((star_at, star_position + 1));
            (at, position) = (star_at + 1, star_position + 1);
        }
    }
    pattern[at..].iter().all(|&letter| letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(pattern: &str, target: &str) -> bool {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        let service = pattern.service;
        AllowList(vec![pattern]).check(service, target).is_ok()
    }

    #[test]
    fn patterns_cover_what_they_say_and_no_more() {
        let vault = "vault=https://Vault.example:443/transit/weir-*";
        for (pattern, target, expected) in [
            (vault, "https://vault.example/transit/weir-prod", true),
            (vault, "https://vault.example/transit/weir-", true),
            (vault, "https://vault.example/transit/other", false),
            (vault, "https://vault.example/transit/weir-a/b", false),
            (vault, "https://vault.example/other/transit/weir-a", false),
            (vault, "http://vault.example/transit/weir-a", false),
            (vault, "https://vault.example:8200/transit/weir-a", false),
            (
                vault,
                "https://vault.example.evil.test/transit/weir-a",
                false,
            ),
            ("vault=https://v.test/*/a*c", "https://v.test/t/abbc", true),
            (
                "vault=https://v.test/*/a*c",
                "https://v.test/t/u/abc",
                false,
            ),
            (
                "aws=arn:aws:kms:*:111122223333:key/*",
                "arn:aws:kms:eu-west-1:111122223333:key/a-b",
                true,
            ),
            (
                "aws=arn:aws:kms:*:111122223333:key/*",
                "arn:aws:kms:eu-west-1:444455556666:key/a-b",
                false,
            ),
            (
                "aws=arn:aws:kms:*:111122223333:key/*",
                "arn:aws:kms:x:y:111122223333:key/a",
                false,
            ),
            (
                "gcp=projects/shop/locations/*/keyRings/weir/cryptoKeys/*",
                "projects/shop/locations/global/keyRings/weir/cryptoKeys/sops",
                true,
            ),
            (
                "gcp=projects/shop/locations/*/keyRings/weir/cryptoKeys/*",
                "projects/shop/locations/global/keyRings/other/cryptoKeys/sops",
                false,
            ),
        ] {
            assert_eq!(allows(pattern, target), expected, "{pattern} {target}");
        }
    }

    #[test]
    fn nothing_is_allowed_by_default_and_the_flag_is_named() {
        let refused = AllowList::default().check(Service::Vault, "https://v.test/transit/a");
        let refusal = refused.expect_err("no list").to_string();
        assert!(
            refusal.ends_with("--sops-allow=vault=https://v.test/transit/a"),
            "{refusal}"
        );
    }

    #[test]
    fn an_owner_is_never_a_pattern() {
        for text in [
            "vault=https://*/transit/*",
            "vault=https://*.example/transit/*",
            "vault=transit/weir",
            "vault=https://u:p@v.test/transit/a",
            "azure=ftp://v.test/keys/a",
            "aws=arn:aws:kms:eu-west-1:*:key/a",
            "aws=*",
            "gcp=projects/*/locations/global/keyRings/weir/cryptoKeys/a",
            "gcp=*",
            "huawei=x",
            "https://v.test/transit/a",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
