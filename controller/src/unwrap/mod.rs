//! The network keys of encrypted files: a key service unwraps a data key, where the operator allows it.
//!
//! ```text
//! build ──asked──▶ ask (this file) ──allow list──▶ vault · aws · gcp · azure ──answers──▶ the same build again
//! ```
//! Addresses, regions and names come from the files, and whoever writes a file may write any: none is looked at before
//! the operator's list says yes, no redirect is followed, no proxy used, and an identity of the process only lent out
//! where a flag of its own says so.

pub mod account;
pub mod allow;
pub mod aws;
pub mod azure;
pub mod credentials;
pub mod gcp;
mod http;
mod memory;
mod refusal;
mod signature;
pub mod vault;

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use reqwest::Url;
use sops::{Answer, Answers, Recipient, Wrapped};
use tokio::time::Instant;
use zeroize::Zeroizing;

use allow::{AllowList, Service};
use credentials::Credentials;
use http::Http;
use memory::Memory;
pub use refusal::Refusal;

/// How many key services are asked at once.
const AT_ONCE: usize = 8;

/// How long all answers of one build may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an unwrapped data key is remembered: a key that its owner takes back works no longer than this.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// A data key or a share of one has 32 or 33 bytes; nothing else is an answer.
const DATA_KEY: std::ops::RangeInclusive<usize> = 32..=33;

/// A key that lies with a service.
pub trait Unwrap: Send + Sync {
    /// All that it uses, in the words of the operator's list; every letter of it is checked.
    fn targets(&self) -> Vec<String>;

    /// Unwraps a data key.
    fn unwrap<'a>(
        &'a self,
        services: &'a Services,
        credentials: &'a Credentials,
        ciphertext: &'a str,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, Refusal>>;
}

/// What the operator decides about key services.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The keys that may be used.
    pub allowed: AllowList,
    /// Whose word is used where an owner has no credentials; empty but for what a flag allows.
    pub ambient: Credentials,
    /// Where the clouds are.
    pub endpoints: Endpoints,
    /// Certificates (PEM) that are trusted besides the well-known ones.
    pub authorities: Option<Vec<u8>>,
    /// How long one exchange may take.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allowed: AllowList::default(),
            ambient: Credentials::default(),
            endpoints: Endpoints::default(),
            authorities: None,
            patience: Duration::from_secs(10),
        }
    }
}

/// Other addresses than the clouds' own. They come from whoever starts the process, never from a file of a repository.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// AWS Key Management Service.
    pub aws_kms: Option<Url>,
    /// AWS Security Token Service.
    pub aws_sts: Option<Url>,
    /// Google Cloud Key Management Service.
    pub gcp_kms: Option<Url>,
    /// Google's tokens, for accounts and for federated identities.
    pub gcp_tokens: Option<Url>,
    /// Google's metadata server.
    pub gcp_metadata: Option<Url>,
    /// Where Azure Key Vaults are, whatever their names.
    pub azure_key_vault: Option<Url>,
    /// Azure's tokens.
    pub azure_tokens: Option<Url>,
}

/// The way to all key services.
pub struct Services {
    settings: Settings,
    http: Http,
    memory: Memory,
}

impl Services {
    /// Makes the way; nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, Refusal> {
        Ok(Self {
            http: Http::new(settings.authorities.as_deref(), settings.patience)?,
            settings,
            memory: Memory::default(),
        })
    }

    /// How many unwrapped data keys and tokens are remembered.
    pub fn remembered(&self) -> usize {
        self.memory.len()
    }
}

/// What key services said.
#[derive(Debug, Default)]
pub struct Told {
    /// The answer for each entry that was asked for.
    pub answers: Answers,
    /// A refusal may pass by itself.
    pub transient: bool,
}

/// Asks for the data keys of a build: all groups at once, the entries of a group one after the other until one opens.
pub async fn ask(
    services: &Services,
    credentials: &Credentials,
    groups: Vec<Vec<Wrapped>>,
) -> Told {
    let deadline = Instant::now() + PATIENCE;
    let told: Vec<Told> = futures::stream::iter(groups)
        .map(|group| ask_group(services, credentials, group, deadline))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut all = Told::default();
    for told in told {
        all.transient |= told.transient;
        for (wrapped, answer) in told.answers {
            let opened = matches!(all.answers.get(&wrapped), Some(Answer::Opened(_)));
            if !opened {
                all.answers.insert(wrapped, answer);
            }
        }
    }
    all
}

async fn ask_group(
    services: &Services,
    credentials: &Credentials,
    group: Vec<Wrapped>,
    deadline: Instant,
) -> Told {
    let mut told = Told::default();
    let mut asked = HashSet::new();
    for wrapped in group {
        if !asked.insert(wrapped.clone()) {
            continue;
        }
        let answer = ask_one(services, credentials, &wrapped);
        let answer = tokio::time::timeout_at(deadline, answer).await;
        match answer.unwrap_or(Err(Refusal::TooSlow)) {
            Ok(data_key) => {
                told.answers.insert(wrapped, Answer::Opened(data_key));
                break;
            }
            Err(refusal) => {
                told.transient |= refusal.is_transient();
                let reason = match name(&wrapped.recipient) {
                    Some(service) => format!("{}: {refusal}", service.name()),
                    None => refusal.to_string(),
                };
                told.answers.insert(wrapped, Answer::Refused(reason));
            }
        }
    }
    told
}

async fn ask_one(
    services: &Services,
    credentials: &Credentials,
    wrapped: &Wrapped,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let service = name(&wrapped.recipient).ok_or(Refusal::Unsupported)?;
    let key = key(&wrapped.recipient)?;
    let trusted = credentials.trusts(&wrapped.recipient);
    for target in key.targets().iter().filter(|_| !trusted) {
        services.settings.allowed.check(service, target)?;
    }
    let memory = memory::digest(&(credentials, wrapped));
    if let Some(data_key) = services.memory.get(&memory) {
        return Ok(data_key);
    }
    let (service, recipient) = (service.name(), key.targets().join(" "));
    tracing::debug!(service, recipient, "unwrapping a data key");
    let data_key = key
        .unwrap(services, credentials, &wrapped.ciphertext)
        .await?;
    if !DATA_KEY.contains(&data_key.len()) {
        return Err(Refusal::Answer("what it unwrapped is no data key"));
    }
    services.memory.put(memory, &data_key, REMEMBERED);
    Ok(data_key)
}

fn name(recipient: &Recipient) -> Option<Service> {
    match recipient {
        Recipient::VaultTransit { .. } => Some(Service::Vault),
        Recipient::AwsKms { .. } => Some(Service::Aws),
        Recipient::GcpKms { .. } => Some(Service::Gcp),
        Recipient::AzureKeyVault { .. } => Some(Service::Azure),
        Recipient::Age { .. } | Recipient::Pgp { .. } | Recipient::HuaweiKms { .. } => None,
    }
}

/// The key that a file names, with every letter checked.
fn key(recipient: &Recipient) -> Result<Box<dyn Unwrap>, Refusal> {
    Ok(match recipient {
        Recipient::VaultTransit {
            address,
            engine_path,
            key_name,
        } => Box::new(vault::Key::parse(address, engine_path, key_name)?),
        Recipient::AwsKms {
            arn,
            role,
            context,
            profile,
        } => Box::new(aws::Key::parse(arn, role, context, profile)?),
        Recipient::GcpKms { resource_id } => Box::new(gcp::Key::parse(resource_id)?),
        Recipient::AzureKeyVault {
            vault_url,
            name,
            version,
        } => Box::new(azure::Key::parse(vault_url, name, version)?),
        Recipient::Age { .. } | Recipient::Pgp { .. } | Recipient::HuaweiKms { .. } => {
            return Err(Refusal::Unsupported);
        }
    })
}

/// The address of a service, or what stands in for it, with a path.
fn address(endpoint: &Option<Url>, own: &str, path: &str) -> Result<Url, Refusal> {
    let mut url = match endpoint {
        Some(url) => url.clone(),
        None => Url::parse(own).map_err(|_| Refusal::BadKey("its address is none"))?,
    };
    url.set_path(path);
    Ok(url)
}

/// An answer of a service.
fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // The parser's error may quote the answer.
    serde_json::from_slice(body).map_err(|_| Refusal::Answer("it is not what was asked for"))
}

/// True for a text of such letters as names of keys have, and never a step up.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && !matches!(text, "." | "..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
