//! A door in front of any server without TLS: it lets in those with a certificate of its own authority, and carries what
//! they say further.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::listening::Listening;

/// A door that stands open for as long as it lives.
#[derive(Debug)]
pub struct TlsDoor {
    listening: Listening,
    /// The authority of both certificates, in PEM.
    pub authority: String,
    /// The certificate that opens the door, and its key, in PEM.
    pub certificate: (String, String),
}

impl TlsDoor {
    /// Stands in front of `HOST:PORT`.
    pub fn before(server: &str) -> TlsDoor {
        let authority = Authority::create();
        let (certificate, key) = authority.issue("client");
        let acceptor = authority.acceptor();
        let server = server.to_owned();
        TlsDoor {
            listening: Listening::start(move |listener| stand(listener, acceptor, server)),
            authority: authority.pem,
            certificate: (certificate.pem(), key.serialize_pem()),
        }
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.listening.address.to_string()
    }
}

async fn stand(listener: TcpListener, acceptor: TlsAcceptor, server: String) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (acceptor, server) = (acceptor.clone(), server.clone());
        tokio::spawn(async move {
            let Ok(mut near) = acceptor.accept(stream).await else {
                return;
            };
            if let Ok(mut far) = TcpStream::connect(server).await {
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

/// Who signs certificates.
struct Authority {
    pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn create() -> Self {
        let key = KeyPair::generate().expect("make a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut parameters.distinguished_name;
        name.push(DnType::CommonName, "authority");
        let made = parameters.self_signed(&key).expect("sign a certificate");
        Self {
            pem: made.pem(),
            certificate: made.der().clone(),
            issuer: Issuer::new(parameters, key),
        }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("make a key");
        let parameters = CertificateParams::new([name.to_owned()]).expect("a name");
        let made = parameters.signed_by(&key, &self.issuer);
        (made.expect("sign a certificate"), key)
    }

    fn acceptor(&self) -> TlsAcceptor {
        let (certificate, key) = self.issue("127.0.0.1");
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .expect("trust an authority");
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let verifier = verifier.build().expect("check clients");
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocols")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("use a certificate just made");
        TlsAcceptor::from(Arc::new(config))
    }
}
