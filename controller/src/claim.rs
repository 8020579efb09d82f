//! Signed claims: JSON Web Tokens that an RSA key signs (RS256), which services give tokens of their own for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use zeroize::Zeroizing;

/// Signs a claim with a private key (PEM). The error says what is wrong with the key, and shows nothing of it.
pub(crate) fn signed(
    header: &Value,
    claims: &Value,
    key: &str,
) -> Result<Zeroizing<String>, &'static str> {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut claim = Zeroizing::new(format!("{}.{}", part(header), part(claims)));
    let key =
        PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| "the private key is not PEM")?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key)
        .map_err(|_| "the private key is of no known kind")?;
    let signer = key
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or("the private key is not RSA")?;
    let signature = signer
        .sign(claim.as_bytes())
        .map_err(|_| "the private key does not sign")?;
    claim.push('.');
    claim.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(claim)
}
