//! A kubeconfig that somebody else has written: it says where a cluster is and who one is there, and nothing more.
//!
//! It comes out of a Secret that a tenant may write. So it may neither run a program, nor read a file of ours, nor
//! send what it holds over a road that others can listen to.

use kube::config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Why a kubeconfig is not used. Texts hold nothing of it but names of fields: it is full of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It is no kubeconfig.
    #[error("it is no kubeconfig")]
    Unreadable,
    /// It names no context, or one that it does not have.
    #[error("its current-context leads to no cluster and user")]
    NoContext,
    /// It asks for what is never done.
    #[error("{0} is not allowed in it")]
    Refused(&'static str),
    /// What it holds cannot be used.
    #[error("its certificates, key or address cannot be used")]
    Unusable,
}

/// Reads a kubeconfig; `insecure` allows connections that others can listen to.
pub async fn read(text: &str, insecure: bool) -> Result<kube::Config, KubeconfigError> {
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| KubeconfigError::Unreadable)?;
    let (cluster, user) = current(&kubeconfig).ok_or(KubeconfigError::NoContext)?;
    check_cluster(cluster, insecure)?;
    check_user(user)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|_| KubeconfigError::Unusable)?;
    // What is in the environment is for Weir's own cluster.
    config.proxy_url = None;
    config.connect_timeout = Some(CONNECT);
    Ok(config)
}

fn current(kubeconfig: &Kubeconfig) -> Option<(&Cluster, &AuthInfo)> {
    let name = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig
        .contexts
        .iter()
        .find(|named| named.name == *name)?;
    let context = context.context.as_ref()?;
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|named| named.name == context.cluster)?;
    let user = kubeconfig
        .auth_infos
        .iter()
        .find(|named| Some(&named.name) == context.user.as_ref())?;
    Some((cluster.cluster.as_ref()?, user.auth_info.as_ref()?))
}

fn check_cluster(cluster: &Cluster, insecure: bool) -> Result<(), KubeconfigError> {
    let server = cluster.server.as_deref().unwrap_or_default();
    refuse(&[
        (
            cluster.certificate_authority.is_some(),
            "certificate-authority",
        ),
        (cluster.proxy_url.is_some(), "proxy-url"),
        (
            !insecure && cluster.insecure_skip_tls_verify == Some(true),
            "insecure-skip-tls-verify",
        ),
        (
            !insecure && !server.starts_with("https://"),
            "a server without https",
        ),
    ])
}

fn check_user(user: &AuthInfo) -> Result<(), KubeconfigError> {
    refuse(&[
        (user.exec.is_some(), "exec"),
        (user.auth_provider.is_some(), "auth-provider"),
        (user.token_file.is_some(), "tokenFile"),
        (user.client_certificate.is_some(), "client-certificate"),
        (user.client_key.is_some(), "client-key"),
    ])
}

fn refuse(fields: &[(bool, &'static str)]) -> Result<(), KubeconfigError> {
    match fields.iter().find(|(is_set, _)| *is_set) {
        Some((_, field)) => Err(KubeconfigError::Refused(field)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: there\ncontexts:\n- name: there\n  context: {{cluster: there, user: me}}\n\
             clusters:\n- name: there\n  cluster: {{{cluster}}}\nusers:\n- name: me\n  user: {{{user}}}\n"
        )
    }

    #[tokio::test]
    async fn an_address_and_a_token_are_enough() {
        let text = text("server: 'https://there:6443'", "token: hunter2");
        let config = read(&text, false).await.expect("a plain kubeconfig");
        assert_eq!(config.cluster_url.to_string(), "https://there:6443/");
        assert_eq!(config.proxy_url, None);
    }

    #[tokio::test]
    async fn what_reaches_out_of_it_is_refused_by_name() {
        let server = "server: 'https://there:6443'";
        for (cluster, user, field) in [
            (
                server.to_owned(),
                "exec: {apiVersion: v1, command: hunter2}",
                "exec",
            ),
            (
                server.to_owned(),
                "auth-provider: {name: gcp, config: {a: hunter2}}",
                "auth-provider",
            ),
            (server.to_owned(), "tokenFile: /hunter2", "tokenFile"),
            (
                server.to_owned(),
                "client-certificate: /hunter2",
                "client-certificate",
            ),
            (server.to_owned(), "client-key: /hunter2", "client-key"),
            (
                format!("{server}, certificate-authority: /hunter2"),
                "token: a",
                "certificate-authority",
            ),
            (
                format!("{server}, proxy-url: 'http://hunter2'"),
                "token: a",
                "proxy-url",
            ),
            (
                format!("{server}, insecure-skip-tls-verify: true"),
                "token: a",
                "insecure-skip-tls-verify",
            ),
            (
                "server: 'http://there'".to_owned(),
                "token: a",
                "a server without https",
            ),
        ] {
            let error = read(&text(&cluster, user), false).await.expect_err(field);
            assert_eq!(error, KubeconfigError::Refused(field));
            assert!(!error.to_string().contains("hunter2"));
        }
        let insecure = text("server: 'http://there'", "token: a");
        assert!(read(&insecure, true).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_none_is_told_apart() {
        assert_eq!(
            read("[hunter2", false).await.expect_err("no YAML"),
            KubeconfigError::Unreadable
        );
        let lost = text("server: 'https://there'", "token: a")
            .replace("current-context: there", "current-context: gone");
        assert_eq!(
            read(&lost, false).await.expect_err("no such context"),
            KubeconfigError::NoContext
        );
        let unusable = text(
            "server: 'https://there', certificate-authority-data: hunter2",
            "token: a",
        );
        assert_eq!(
            read(&unusable, false).await.expect_err("no certificate"),
            KubeconfigError::Unusable
        );
    }
}
