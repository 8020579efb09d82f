//! AWS Key Management Service: one signed call of Decrypt, with a fixed key or a role that a token is exchanged for.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use overlay::yaml::Node;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::credentials::{Credentials, Sensitive, Token, field};
use super::http::Request;
use super::memory::digest;
use super::signature::{Scope, SigningKey, sign};
use super::{Refusal, Services, Unwrap, address, parse};

/// How AWS's logs name us.
const SESSION: &str = "weir";

/// The keys of a role last an hour unless one asks for less.
const ROLE_LIFETIME: Duration = Duration::from_secs(3000);

/// Parts of the cloud, and where their services are.
const PARTITIONS: [(&str, &str); 3] = [
    ("aws", "amazonaws.com"),
    ("aws-us-gov", "amazonaws.com"),
    ("aws-cn", "amazonaws.com.cn"),
];

/// Who we are to AWS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A key of a user, or of a session.
    Fixed {
        /// Its name.
        id: String,
        /// The key.
        secret: Sensitive,
        /// What shows that a session made it.
        session: Option<Sensitive>,
    },
    /// A role that a token of a service account stands for.
    WebIdentity {
        /// The role.
        role: String,
        /// The token.
        token: Token,
    },
}

impl Identity {
    /// Reads `sops.aws-kms`.
    pub(super) fn fixed(document: &Node) -> Result<Self, &'static str> {
        let needed = "it needs aws_access_key_id and aws_secret_access_key";
        let secret = |name| field(document, name).map(Sensitive::new);
        Ok(Self::Fixed {
            id: field(document, "aws_access_key_id").ok_or(needed)?,
            secret: secret("aws_secret_access_key").ok_or(needed)?,
            session: secret("aws_session_token"),
        })
    }
}

/// A key of the service.
pub struct Key {
    arn: String,
    region: String,
    domain: &'static str,
    role: Option<String>,
    context: BTreeMap<String, String>,
}

impl Key {
    /// Checks what a file says.
    pub(super) fn parse(
        arn: &str,
        role: &str,
        context: &BTreeMap<String, String>,
        profile: &str,
    ) -> Result<Self, Refusal> {
        if !profile.is_empty() {
            return Err(Refusal::BadKey("it names a profile, and none is read"));
        }
        let wrong = || Refusal::BadKey("its ARN is not that of a key");
        let (domain, region) = located(arn, "kms", &["key/", "alias/"]).ok_or_else(wrong)?;
        if region.is_empty() {
            return Err(wrong());
        }
        let assumed = (!role.is_empty()).then(|| role.to_owned());
        if assumed.is_some() && !is_role(role) {
            return Err(Refusal::BadKey("its role is not the ARN of one"));
        }
        Ok(Self {
            arn: arn.to_owned(),
            region: region.to_owned(),
            domain,
            role: assumed,
            context: context.clone(),
        })
    }

    async fn signing_key(
        &self,
        services: &Services,
        identity: &Identity,
    ) -> Result<SigningKey, Refusal> {
        let own = match identity {
            Identity::Fixed {
                id,
                secret,
                session,
            } => SigningKey {
                id: id.clone(),
                secret: Zeroizing::new(secret.to_string()),
                session: session
                    .as_ref()
                    .map(|text| Zeroizing::new(text.to_string())),
            },
            Identity::WebIdentity { role, token } => {
                let token = token.read().await?;
                let fields = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", SESSION),
                    ("WebIdentityToken", &*token),
                ];
                self.assume(services, &fields, None).await?
            }
        };
        let Some(role) = &self.role else {
            return Ok(own);
        };
        let fields = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", role.as_str()),
            ("RoleSessionName", SESSION),
        ];
        self.assume(services, &fields, Some(&own)).await
    }

    /// Asks for the keys of a role, signed unless a token says who asks.
    async fn assume(
        &self,
        services: &Services,
        fields: &[(&str, &str)],
        own: Option<&SigningKey>,
    ) -> Result<SigningKey, Refusal> {
        let memory = digest(&("aws role", fields, own.map(|own| &own.id), &self.region));
        if let Some(known) = services.memory.get(&memory) {
            return role_key(&known);
        }
        let host = format!("https://sts.{}.{}/", self.region, self.domain);
        let url = address(&services.settings.endpoints.aws_sts, &host, "/")?;
        let request = Request::form(url, fields);
        let request = match own {
            Some(own) => sign(request, own, &self.scope("sts")),
            None => request,
        };
        let answer = services.http.send(request).await?;
        let key = role_key(&answer)?;
        services.memory.put(memory, &answer, ROLE_LIFETIME);
        Ok(key)
    }

    fn scope<'a>(&'a self, service: &'a str) -> Scope<'a> {
        Scope {
            region: &self.region,
            service,
            time: Timestamp::now(),
        }
    }

    async fn decrypt(
        &self,
        services: &Services,
        credentials: &Credentials,
        ciphertext: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        if STANDARD.decode(ciphertext).is_err() {
            return Err(Refusal::BadCiphertext);
        }
        let identity = credentials.or_lent(services, |credentials| credentials.aws.as_ref());
        let identity = identity.ok_or(Refusal::NoCredentials(
            "there is no sops.aws-kms in the decryption Secret, no service account that stands for an identity, and none of the process is lent out",
        ))?;
        let key = self.signing_key(services, identity).await?;
        let mut body = json!({ "KeyId": self.arn, "CiphertextBlob": ciphertext });
        if !self.context.is_empty() {
            body["EncryptionContext"] = json!(self.context);
        }
        let host = format!("https://kms.{}.{}/", self.region, self.domain);
        let url = address(&services.settings.endpoints.aws_kms, &host, "/")?;
        let request = Request::post(url, "application/x-amz-json-1.1", body.to_string())
            .header("x-amz-target", "TrentService.Decrypt");
        let request = sign(request, &key, &self.scope("kms"));
        let answer = services.http.send(request).await?;
        let encoded = Zeroizing::new(parse::<Decrypted>(&answer)?.plaintext);
        STANDARD
            .decode(&*encoded)
            .map(Zeroizing::new)
            .map_err(|_| Refusal::Answer("the data key is not base64"))
    }
}

impl Unwrap for Key {
    fn targets(&self) -> Vec<String> {
        [&self.arn].into_iter().chain(&self.role).cloned().collect()
    }

    fn unwrap<'a>(
        &'a self,
        services: &'a Services,
        credentials: &'a Credentials,
        ciphertext: &'a str,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, Refusal>> {
        self.decrypt(services, credentials, ciphertext).boxed()
    }
}

/// Whether a text is the ARN of a role.
pub(super) fn is_role(arn: &str) -> bool {
    located(arn, "iam", &["role/"]).is_some()
}

/// The domain and the region that an ARN of a service leads to; `None` for anything else.
fn located<'a>(arn: &'a str, service: &str, kinds: &[&str]) -> Option<(&'static str, &'a str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, of, region, account, resource] = parts[..] else {
        return None;
    };
    let (_, domain) = PARTITIONS.iter().find(|(name, _)| *name == partition)?;
    let plain = |text: &str, others: &[u8]| {
        text.len() <= 256
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let is_resource = kinds.iter().any(|kind| resource.starts_with(kind));
    (prefix == "arn"
        && of == service
        && is_account
        && is_resource
        && plain(region, b"-")
        && plain(resource, b"-_/+=,.@"))
    .then_some((*domain, region))
}

/// The keys of a role in the answer, which is XML of a fixed form without attributes or escapes.
fn role_key(answer: &[u8]) -> Result<SigningKey, Refusal> {
    let missing = || Refusal::Answer("it has no keys of the role");
    let text = std::str::from_utf8(answer).map_err(|_| missing())?;
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.to_owned())
    };
    Ok(SigningKey {
        id: element("AccessKeyId").ok_or_else(missing)?,
        secret: element("SecretAccessKey").ok_or_else(missing)?.into(),
        session: element("SessionToken").map(Zeroizing::new),
    })
}

#[derive(Deserialize)]
struct Decrypted {
    #[serde(rename = "Plaintext")]
    plaintext: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_a_key_of_a_region_and_nothing_else() {
        let parse = |arn: &str, role: &str| Key::parse(arn, role, &BTreeMap::new(), "");
        let arn = "arn:aws-cn:kms:cn-north-1:111122223333:alias/team/weir";
        let key = parse(arn, "").expect("a key");
        assert_eq!(
            (key.region.as_str(), key.domain),
            ("cn-north-1", "amazonaws.com.cn")
        );
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/1";
        let role = "arn:aws:iam::111122223333:role/weir";
        assert_eq!(parse(arn, role).expect("a key").targets(), [arn, role]);
        for (arn, role) in [
            ("arn:aws:kms:evil.test/:111122223333:key/1", ""),
            ("arn:aws:kms:evil.test#:111122223333:key/1", ""),
            ("arn:aws:kms::111122223333:key/1", ""),
            ("arn:evil:kms:eu-west-1:111122223333:key/1", ""),
            ("arn:aws:sts:eu-west-1:111122223333:key/1", ""),
            ("arn:aws:kms:eu-west-1:1111:key/1", ""),
            ("arn:aws:kms:eu-west-1:111122223333:key/1\n", ""),
            ("alias/weir", ""),
            (arn, "weir"),
            (arn, "arn:aws:iam::111122223333:user/weir"),
        ] {
            assert!(parse(arn, role).is_err(), "{arn} {role}");
        }
        assert!(Key::parse(arn, "", &BTreeMap::new(), "other").is_err());
    }
}
