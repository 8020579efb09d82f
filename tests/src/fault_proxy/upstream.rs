//! The way from the proxy to the API server, over TLS.

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::ControlPlane;
use crate::http_server::Body;

/// A client of one API server.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    server: String,
}

impl Upstream {
    pub(super) fn new(control_plane: &ControlPlane) -> Upstream {
        let authority = CertificateDer::from_pem_file(control_plane.certificate_authority());
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.expect("read the certificate authority"))
            .expect("trust an authority");
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocols")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Upstream {
            client,
            server: control_plane.server().to_owned(),
        }
    }

    /// Sends a request on; the answer's body comes through as it arrives, as a watch needs it.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> io::Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.server)
            .parse::<Uri>()
            .map_err(io::Error::other)?;
        parts.headers.remove(HOST);
        let request = Request::from_parts(parts, body);
        let response = self
            .client
            .request(request)
            .await
            .map_err(io::Error::other)?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}
