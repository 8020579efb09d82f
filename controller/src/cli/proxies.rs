//! The proxies that the environment of the process names.

use super::setting;
use crate::source::client::EnvironmentProxies;

/// For servers for which nothing else is configured.
pub(super) fn proxies() -> EnvironmentProxies {
    let read = |names: [&str; 2]| names.into_iter().find_map(setting);
    EnvironmentProxies {
        http: read(["HTTP_PROXY", "http_proxy"]),
        https: read(["HTTPS_PROXY", "https_proxy"]),
        none: read(["NO_PROXY", "no_proxy"]),
    }
}
