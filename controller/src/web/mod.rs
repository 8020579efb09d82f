//! The HTTP side: health, readiness, metrics, artifacts; and the lease that says who leads.

pub mod health;
pub mod lease;
pub mod metrics;
pub mod receiver;

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is not one.
    #[error("{address:?} is not an address to listen on; write HOST:PORT or :PORT")]
    Address {
        /// As given.
        address: String,
    },
    /// The address is taken, or may not be listened on.
    #[error("listening on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Reads an address as Go's flags write it: `:8080` listens on all interfaces.
pub fn address(text: &str) -> Result<SocketAddr, WebError> {
    let full = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.replacen("localhost", "127.0.0.1", 1),
    };
    full.parse().map_err(|_| WebError::Address {
        address: text.to_owned(),
    })
}

/// Starts a server that ends when `stopping` says so; gives back the address it listens on.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) -> Result<SocketAddr, WebError> {
    let failed = |source| WebError::Listen { address, source };
    let listener = match TcpListener::bind(address).await {
        // A machine without IPv6 has no [::].
        Err(_) if address.ip() == std::net::Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind(("0.0.0.0", address.port()))
                .await
                .map_err(failed)?
        }
        bound => bound.map_err(failed)?,
    };
    let local = listener.local_addr().map_err(failed)?;
    let stopped = async move {
        // The sender lives as long as the process wants servers.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router)
            .with_graceful_shutdown(stopped)
            .await
        {
            tracing::error!(%error, "server ended");
        }
    });
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        assert_eq!(address(":8080").expect("valid").port(), 8080);
        assert_eq!(
            address("127.0.0.1:0").expect("valid").to_string(),
            "127.0.0.1:0"
        );
        assert_eq!(
            address("localhost:80").expect("valid").to_string(),
            "127.0.0.1:80"
        );
        assert!(address("8080").is_err());
    }
}
