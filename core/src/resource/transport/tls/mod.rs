//! TLS by rustls with ring. Nothing process-wide is installed.

mod der;
mod identity;
mod pem;
mod told;
mod trust;
mod verifier;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_rustls::TlsConnector;

pub(crate) use self::der::in_pkcs8;
pub(super) use self::told::told;
use self::trust::Trust;
use self::verifier::Verifier;
use crate::{Error, ErrorKind, Settings};

/// How a client speaks TLS, by whether it is to the organization's own endpoints: who they are shown
/// that the application is, others are not.
pub(super) struct Tls {
    own: Versions,
    others: Versions,
    /// `None`: everybody is believed.
    trust: Option<Arc<Trust>>,
}

struct Versions {
    all: TlsConnector,
    http1: TlsConnector,
}

impl Tls {
    pub(super) fn new(settings: &Settings) -> Result<Tls, Error> {
        let trust = match (&settings.ca_bundle, settings.tls_verify) {
            (_, false) => None,
            (Some(path), true) => Some(Arc::new(Trust::of_bundle(path)?)),
            (None, true) => Some(Trust::of_system()?),
        };
        Ok(Tls {
            own: Versions::new(settings, trust.as_ref(), own_files(settings)?)?,
            others: Versions::new(settings, trust.as_ref(), None)?,
            trust,
        })
    }

    /// What of the certificates could not be used, one sentence each.
    pub(super) fn told(&self) -> &[String] {
        self.trust.as_ref().map_or(&[], |trust| &trust.told)
    }

    pub(super) fn connector(&self, is_own: bool, may_be_http2: bool) -> &TlsConnector {
        let versions = if is_own { &self.own } else { &self.others };
        if may_be_http2 {
            &versions.all
        } else {
            &versions.http1
        }
    }
}

impl Versions {
    fn new(
        settings: &Settings,
        trust: Option<&Arc<Trust>>,
        identity: Option<Files<'_>>,
    ) -> Result<Versions, Error> {
        let mut all = client_config(trust, identity)?;
        all.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http1 = TlsConnector::from(Arc::new(all.clone()));
        if settings.http2 {
            all.alpn_protocols.insert(0, b"h2".to_vec());
        }
        let all = TlsConnector::from(Arc::new(all));
        Ok(Versions { all, http1 })
    }
}

/// The certificate with its chain, and the key, in the file that a setting names.
pub(crate) fn identity(setting: &str, path: &Path) -> Result<identity::Identity, Error> {
    let (chain, key) = identity::read(setting, path, None)?;
    let together = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider());
    match together {
        Err(error @ rustls::Error::InconsistentKeys(_)) => {
            Err(identity::refused(setting, path, &error))
        }
        // Which kinds of keys can be used is the caller's.
        _ => Ok((chain, key)),
    }
}

/// The files of `client_certificate` and `client_key`.
type Files<'a> = (&'a Path, Option<&'a Path>);

fn own_files(settings: &Settings) -> Result<Option<Files<'_>>, Error> {
    let key = settings.client_key.as_deref();
    match (settings.client_certificate.as_deref(), key) {
        (Some(path), key) => Ok(Some((path, key))),
        (None, None) => Ok(None),
        (None, Some(key)) => Err(refuse("client_key", key, "there is no client_certificate")),
    }
}

fn client_config(
    trust: Option<&Arc<Trust>>,
    identity: Option<Files<'_>>,
) -> Result<ClientConfig, Error> {
    let defect = |error: &dyn Display| Error::new(ErrorKind::Internal, format!("TLS: {error}"));
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Some(trust) => Arc::new(Verifier {
            trust: Arc::clone(trust),
            provider: Arc::clone(&provider),
        }),
        None => Arc::new(Anyone(Arc::clone(&provider))),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| defect(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((path, key)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let (chain, key) = identity::read("client_certificate", path, key)?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map_err(|error| identity::refused("client_certificate", path, &error))
}

/// What signs, agrees on keys and encrypts.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn refuse(key: &str, path: &Path, why: &str) -> Error {
    let message = format!("{key} = {}: {why}", path.display());
    Error::new(ErrorKind::InvalidSetting, message)
}

/// What a setting's file holds. That this machine has no descriptor for it is not the setting's fault.
fn read_file(key: &str, path: &Path) -> Result<Vec<u8>, Error> {
    pem::read(path).map_err(|unread| {
        let refused = refuse(key, path, &unread.why);
        match unread.is_exhausted {
            true => Error::new(ErrorKind::NoResources, refused.message()),
            false => refused,
        }
    })
}

/// Believes every certificate: the setting `tls_verify` is off.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
