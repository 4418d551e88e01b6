//! A client that shows who it is by a certificate: a signed assertion (RFC 7523, 2.2), as Entra ID
//! takes it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use ring::digest::{SHA256, digest};
use rustls::pki_types::PrivateKeyDer;
use serde::Serialize;
use uuid::Uuid;

use crate::resource::transport::{identity, in_pkcs8};
use crate::{Error, ErrorKind};

/// How long one is good for. It is used at once.
const LIFE: Duration = Duration::from_secs(300);

pub(super) struct Signer {
    key: EncodingKey,
    /// Of the certificate, by which the server finds it.
    thumbprint: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: u64,
    exp: u64,
}

impl Signer {
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a file that has not both, or another key than of RSA.
    pub(super) fn read(path: &Path) -> Result<Signer, Error> {
        let (chain, key) = identity("oauth_certificate", path)?;
        let key = match &key {
            PrivateKeyDer::Pkcs1(key) => Some(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => in_pkcs8(key.secret_pkcs8_der()),
            _ => None,
        };
        let key = key.map(EncodingKey::from_rsa_der);
        let signer = key.zip(chain.first()).map(|(key, certificate)| Signer {
            key,
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate)),
        });
        // A key that cannot sign says so now.
        let signer = signer.filter(|signer| signer.sign("", "", SystemTime::now()).is_some());
        signer.ok_or_else(|| {
            let message = format!(
                "oauth_certificate = {}: its key is no RSA key of 2048 bits or more; Entra ID takes \
                 no other",
                path.display()
            );
            Error::new(ErrorKind::InvalidSetting, message)
        })
    }

    /// An assertion for `audience`, the token server's URL.
    pub(super) fn sign(&self, client_id: &str, audience: &str, now: SystemTime) -> Option<String> {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: Uuid::new_v4().to_string(),
            nbf: now.as_secs(),
            exp: (now + LIFE).as_secs(),
        };
        let header = Header {
            x5t_s256: Some(self.thumbprint.clone()),
            ..Header::new(Algorithm::PS256)
        };
        encode(&header, &claims, &self.key).ok()
    }
}
