//! Which clusters may be developed on: those on the developer's own machine, and those that are named.

use kube::config::Kubeconfig;

use crate::cli::Failure;
use crate::cli::connection::Connection;

/// What the contexts of clusters on one's own machine are called; `*` stands for anything.
const LOCAL: [&str; 9] = [
    "kind-*",
    "k3d-*",
    "minikube",
    "docker-desktop",
    "rancher-desktop",
    "orbstack",
    "colima*",
    "microk8s",
    "weir-dev*",
];

/// Contexts that are allowed besides, with commas between them.
const VARIABLE: &str = "WEIR_DEV_CONTEXTS";

/// The context that is used: the one that was named, whatever it is, else the current one if it is on the list.
pub(super) fn allowed(connection: &Connection) -> Result<String, Failure> {
    if let Some(named) = &connection.context {
        return Ok(named.clone());
    }
    let read = match &connection.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let read = read.map_err(|error| Failure::new(format!("reading the kubeconfig: {error}")))?;
    let current = read.current_context.unwrap_or_default();
    let own = std::env::var(VARIABLE).unwrap_or_default();
    match is_listed(&current, &own) {
        true => Ok(current),
        false => Err(Failure::with_hint(
            format!("the context `{current}` is not on the list of clusters to develop on"),
            format!("name it with --context {current}, or put it in {VARIABLE}"),
        )),
    }
}

fn is_listed(context: &str, own: &str) -> bool {
    let own = own
        .split(',')
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty());
    !context.is_empty()
        && LOCAL
            .into_iter()
            .chain(own)
            .any(|pattern| fits(context, pattern))
}

fn fits(context: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => context.starts_with(start),
        None => context == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_of_the_own_machine_and_named_ones_are_listed() {
        for (context, own, listed) in [
            ("kind-shop", "", true),
            ("minikube", "", true),
            ("minikube-prod", "", false),
            ("prod-eu", "", false),
            ("prod-eu", "lab, prod-*", true),
            ("lab", "lab, prod-*", true),
            ("", "", false),
            ("", "lab,,", false),
        ] {
            assert_eq!(is_listed(context, own), listed, "{context} {own}");
        }
    }
}
