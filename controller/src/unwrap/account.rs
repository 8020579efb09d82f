//! Workload identity: a Kubernetes service account, its tokens, and who its annotations say it is to the clouds. The
//! annotations are those that the clouds' own webhooks read, and one of Flux's.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};

use super::credentials::{Credentials, Sensitive, Token};
use super::{Refusal, aws, azure, gcp, is_name};
use crate::cluster::issue_token;

/// How long a token lasts: it is exchanged at once.
const LIFETIME: Duration = Duration::from_secs(600);

const AWS_ROLE: &str = "eks.amazonaws.com/role-arn";
const AZURE_TENANT: &str = "azure.workload.identity/tenant-id";
const AZURE_CLIENT: &str = "azure.workload.identity/client-id";
const GCP_PROVIDER: &str = "gcp.auth.fluxcd.io/workload-identity-provider";
const GCP_EMAIL: &str = "iam.gke.io/gcp-service-account";

/// Whom a token for AWS shall convince.
const AWS_AUDIENCE: &str = "sts.amazonaws.com";
/// The same for Azure.
const AZURE_AUDIENCE: &str = "api://AzureADTokenExchange";

/// Annotations of an object.
type Annotations = BTreeMap<String, String>;

/// A service account.
#[derive(Clone)]
pub struct Account {
    client: kube::Client,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Account {
    /// An account, asked for through a client that may have its tokens made.
    pub fn new(client: kube::Client, namespace: &str, name: &str) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self {
            client,
            namespace,
            name,
        }
    }

    /// The account that a client speaks as; none for a person's.
    pub async fn own(client: &kube::Client) -> kube::Result<Option<Self>> {
        let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
        let review = reviews
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await?;
        let user = review.status.and_then(|status| status.user_info);
        let user = user.and_then(|user| user.username).unwrap_or_default();
        let account = user.strip_prefix("system:serviceaccount:");
        let account = account.and_then(|account| account.split_once(':'));
        Ok(account.map(|(namespace, name)| Self::new(client.clone(), namespace, name)))
    }

    /// Who the account is to the clouds. What it is to none of them is left out, and borrowed from nobody.
    pub async fn credentials(&self) -> Result<Credentials, String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = accounts.get_metadata_opt(&self.name).await;
        let account = found
            .map_err(|error| format!("service account '{self}': {}", problem(&error)))?
            .ok_or_else(|| format!("service account '{self}' not found"))?;
        let annotations = account.metadata.annotations.unwrap_or_default();
        let wrong = |annotation| format!("service account '{self}': {annotation} is not valid");
        Ok(Credentials {
            aws: self.aws(&annotations).map_err(wrong)?,
            azure: self.azure(&annotations).map_err(wrong)?,
            gcp: self.gcp(&annotations).map_err(wrong)?,
            alone: true,
            ..Credentials::default()
        })
    }

    /// A token for one audience.
    pub(super) async fn token(&self, audience: &str) -> Result<Sensitive, Refusal> {
        let account = (self.namespace.as_str(), self.name.as_str());
        let token = issue_token(&self.client, account, &[audience.to_owned()], LIFETIME).await;
        let token = token.map_err(|error| Refusal::NoToken {
            account: self.to_string(),
            problem: problem(&error),
            transient: !matches!(&error, kube::Error::Api(status) if status.code < 500),
        })?;
        Ok(Sensitive::new(token.as_str()))
    }

    fn issued(&self, audience: &str) -> Token {
        Token::Issued {
            account: self.clone(),
            audience: audience.to_owned(),
        }
    }

    fn aws(&self, annotations: &Annotations) -> Result<Option<aws::Identity>, &'static str> {
        let Some(role) = annotations.get(AWS_ROLE) else {
            return Ok(None);
        };
        let is_role = aws::is_role(role);
        is_role.then_some(()).ok_or(AWS_ROLE)?;
        Ok(Some(aws::Identity::WebIdentity {
            role: role.clone(),
            token: self.issued(AWS_AUDIENCE),
        }))
    }

    fn azure(&self, annotations: &Annotations) -> Result<Option<azure::Identity>, &'static str> {
        let named = |name: &'static str| match annotations.get(name) {
            Some(text) if is_name(text) => Ok(text.clone()),
            _ => Err(name),
        };
        if !annotations.contains_key(AZURE_CLIENT) {
            return Ok(None);
        }
        Ok(Some(azure::Identity::Federated {
            tenant: named(AZURE_TENANT)?,
            client: named(AZURE_CLIENT)?,
            token: self.issued(AZURE_AUDIENCE),
        }))
    }

    /// With a provider, an identity of elsewhere; with an account of Google's alone, one of Google's own clusters.
    fn gcp(&self, annotations: &Annotations) -> Result<Option<gcp::Identity>, &'static str> {
        let account = annotations.get(GCP_EMAIL).cloned();
        if account.as_deref().is_some_and(|email| !is_email(email)) {
            return Err(GCP_EMAIL);
        }
        let Some(provider) = annotations.get(GCP_PROVIDER) else {
            let of_google = |email| gcp::Identity::OfCluster {
                of: self.clone(),
                account: email,
            };
            return Ok(account.map(of_google));
        };
        is_provider(provider).then_some(()).ok_or(GCP_PROVIDER)?;
        let audience = format!("//iam.googleapis.com/{provider}");
        Ok(Some(gcp::Identity::Federated {
            token: self.issued(&audience),
            kind: gcp::JWT.to_owned(),
            audience,
            account,
        }))
    }
}

fn is_email(text: &str) -> bool {
    let parts = text
        .strip_suffix(".iam.gserviceaccount.com")
        .and_then(|text| text.split_once('@'));
    parts.is_some_and(|(name, project)| is_name(name) && is_name(project))
}

fn is_provider(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let [
        "projects",
        project,
        "locations",
        "global",
        "workloadIdentityPools",
        pool,
        "providers",
        provider,
    ] = parts[..]
    else {
        return false;
    };
    [project, pool, provider].iter().all(|part| is_name(part))
}

/// What an answer of the API server comes to, in its own fixed words.
fn problem(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.reason, status.code),
        _ => "the API server cannot be asked".to_owned(),
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        (&self.namespace, &self.name) == (&other.namespace, &other.name)
    }
}

impl Eq for Account {}

impl Hash for Account {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.namespace, &self.name).hash(state);
    }
}
