//! Tokens of service accounts, which the API server makes for those whom they shall convince.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use zeroize::Zeroizing;

/// A token of an account for some audiences.
pub async fn issue_token(
    client: &kube::Client,
    (namespace, account): (&str, &str),
    audiences: &[String],
    lifetime: Duration,
) -> kube::Result<Zeroizing<String>> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(audiences.to_vec()),
            expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await?;
    let token = answer.status.and_then(|status| status.token);
    Ok(Zeroizing::new(token.unwrap_or_default()))
}
