//! Which key services may be used, and who the environment says that we are to them.

use std::path::PathBuf;

use clap::Args;
use reqwest::Url;

use super::Failure;
use crate::unwrap::allow::{AllowList, Pattern, Service};
use crate::unwrap::credentials::{Credentials, Sensitive, Token};
use crate::unwrap::{Endpoints, Services, Settings, aws, azure, gcp, vault};

/// Key services that files may name.
#[derive(Args)]
#[command(next_help_heading = "Key services")]
pub(super) struct KeyServices {
    /// Let files use the keys that match: vault=https://HOST/ENGINE/KEY, aws=ARN, gcp=RESOURCE or
    /// azure=https://HOST/keys/KEY, where * stands for any letters but / and :. May be repeated; without it no file
    /// reaches any address.
    #[arg(long, value_name = "KIND=PATTERN")]
    sops_allow: Vec<Pattern>,
    /// Lend these clouds' identities of the process itself to files that nobody gave credentials for: what the
    /// environment names, and Google's metadata server.
    #[arg(long, value_name = "CLOUD", value_delimiter = ',', value_parser = parse_cloud)]
    sops_ambient_identity: Vec<Service>,
}

fn parse_cloud(text: &str) -> Result<Service, String> {
    [Service::Aws, Service::Gcp, Service::Azure]
        .into_iter()
        .find(|cloud| cloud.name() == text)
        .ok_or_else(|| "one of aws, gcp, azure".to_owned())
}

impl KeyServices {
    /// The identities of the process that a flag lends out.
    pub(super) fn lent(&self) -> Result<Credentials, Failure> {
        let lent = |cloud| self.sops_ambient_identity.contains(&cloud);
        let named = |found: bool, cloud: Service| match found {
            true => Ok(()),
            false => Err(Failure::new(format!(
                "--sops-ambient-identity={}: the environment names no identity",
                cloud.name()
            ))),
        };
        let mut credentials = Credentials::default();
        if lent(Service::Aws) {
            credentials.aws = aws_identity();
            named(credentials.aws.is_some(), Service::Aws)?;
        }
        if lent(Service::Gcp) {
            credentials.gcp = Some(gcp_identity()?.unwrap_or(gcp::Identity::MetadataServer));
        }
        if lent(Service::Azure) {
            credentials.azure = azure_identity();
            named(credentials.azure.is_some(), Service::Azure)?;
        }
        Ok(credentials)
    }

    /// Who the user is, as the sops program finds it out: a person runs a command, and means it.
    pub(super) fn of_user(&self) -> Result<Credentials, Failure> {
        let machine = self
            .sops_ambient_identity
            .contains(&Service::Gcp)
            .then_some(gcp::Identity::MetadataServer);
        Ok(Credentials {
            vault: vault_token().map(vault::Login::Token),
            aws: aws_identity(),
            gcp: gcp_identity()?.or(machine),
            azure: azure_identity(),
            ..Credentials::default()
        })
    }

    /// The way to the services, with these credentials where a file's owner has none.
    pub(super) fn services(&self, ambient: Credentials) -> Result<Services, Failure> {
        let settings = Settings {
            allowed: AllowList(self.sops_allow.clone()),
            ambient,
            endpoints: endpoints()?,
            authorities: authorities()?,
            ..Settings::default()
        };
        Services::new(settings).map_err(|refusal| Failure::new(format!("key services: {refusal}")))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn in_home(path: &str) -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(path))
}

fn vault_token() -> Option<Sensitive> {
    let lying = || std::fs::read_to_string(in_home(".vault-token")?).ok();
    let token = variable("VAULT_TOKEN").or_else(lying)?;
    Some(Sensitive::new(token.trim()))
}

fn aws_identity() -> Option<aws::Identity> {
    let key = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
    if let Some((id, secret)) = key {
        return Some(aws::Identity::Fixed {
            id,
            secret: Sensitive::new(secret),
            session: variable("AWS_SESSION_TOKEN").map(Sensitive::new),
        });
    }
    Some(aws::Identity::WebIdentity {
        role: variable("AWS_ROLE_ARN")?,
        token: Token::File(variable("AWS_WEB_IDENTITY_TOKEN_FILE")?.into()),
    })
}

fn gcp_identity() -> Result<Option<gcp::Identity>, Failure> {
    if let Some(text) = variable("GOOGLE_CREDENTIALS") {
        let file = PathBuf::from(&text);
        let text = match file.is_file() {
            true => read(&file)?,
            false => text,
        };
        return key_file("GOOGLE_CREDENTIALS", &text).map(Some);
    }
    if let Some(token) = variable("GOOGLE_OAUTH_ACCESS_TOKEN") {
        return Ok(Some(gcp::Identity::Token(Sensitive::new(token))));
    }
    if let Some(file) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
        let text = read(&PathBuf::from(file))?;
        return key_file("GOOGLE_APPLICATION_CREDENTIALS", &text).map(Some);
    }
    let login = in_home(".config/gcloud/application_default_credentials.json");
    match login.filter(|file| file.is_file()) {
        Some(file) => key_file(&file.to_string_lossy(), &read(&file)?).map(Some),
        None => Ok(None),
    }
}

fn key_file(name: &str, text: &str) -> Result<gcp::Identity, Failure> {
    gcp::Identity::of_process(text).map_err(|problem| Failure::new(format!("{name}: {problem}")))
}

fn azure_identity() -> Option<azure::Identity> {
    let (tenant, client) = (variable("AZURE_TENANT_ID")?, variable("AZURE_CLIENT_ID")?);
    if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
        let secret = Sensitive::new(secret);
        return Some(azure::Identity::Secret {
            tenant,
            client,
            secret,
        });
    }
    let token = Token::File(variable("AZURE_FEDERATED_TOKEN_FILE")?.into());
    Some(azure::Identity::Federated {
        tenant,
        client,
        token,
    })
}

/// Other addresses than the clouds' own, as their programs read them.
fn endpoints() -> Result<Endpoints, Failure> {
    let aws = |name| endpoint(&[name, "AWS_ENDPOINT_URL"]);
    Ok(Endpoints {
        aws_kms: aws("AWS_ENDPOINT_URL_KMS")?,
        aws_sts: aws("AWS_ENDPOINT_URL_STS")?,
        ..Endpoints::default()
    })
}

fn endpoint(names: &[&str]) -> Result<Option<Url>, Failure> {
    let found = names.iter().find_map(|name| Some((name, variable(name)?)));
    let Some((name, text)) = found else {
        return Ok(None);
    };
    Url::parse(&text)
        .map(Some)
        .map_err(|error| Failure::new(format!("{name}: {error}")))
}

/// Certificates that are trusted besides the well-known ones, where Vault's programs look for them.
fn authorities() -> Result<Option<Vec<u8>>, Failure> {
    variable("VAULT_CACERT")
        .map(|file| read(&PathBuf::from(file)).map(String::into_bytes))
        .transpose()
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::io("reading", file, &error))
}
