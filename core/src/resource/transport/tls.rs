//! TLS by rustls with ring. Nothing process-wide is installed.

use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::resource::scarce::is_exhausted;
use crate::{Error, ErrorKind, Settings};

/// The machine's certificate store, read once.
static SYSTEM_STORE: OnceCell<Arc<RootCertStore>> = OnceCell::new();

/// How a client speaks TLS, by whether it is to the organization's own endpoints: who they are shown
/// that the application is, others are not.
pub(super) struct Tls {
    own: Versions,
    others: Versions,
}

struct Versions {
    all: TlsConnector,
    http1: TlsConnector,
}

impl Tls {
    pub(super) fn new(settings: &Settings) -> Result<Tls, Error> {
        Ok(Tls {
            own: Versions::new(settings, settings.client_certificate.as_deref())?,
            others: Versions::new(settings, None)?,
        })
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
    fn new(settings: &Settings, certificate: Option<&Path>) -> Result<Versions, Error> {
        let mut all = client_config(settings, certificate)?;
        all.alpn_protocols = vec![b"http/1.1".to_vec()];
        let http1 = TlsConnector::from(Arc::new(all.clone()));
        if settings.http2 {
            all.alpn_protocols.insert(0, b"h2".to_vec());
        }
        let all = TlsConnector::from(Arc::new(all));
        Ok(Versions { all, http1 })
    }
}

fn client_config(settings: &Settings, certificate: Option<&Path>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, format!("TLS: {error}")))?;
    let builder = if settings.tls_verify {
        let roots = match &settings.ca_bundle {
            Some(path) => Arc::new(read_bundle(path)?),
            None => Arc::clone(SYSTEM_STORE.get_or_try_init(read_system_store)?),
        };
        builder.with_root_certificates(roots)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    };
    match certificate {
        None => Ok(builder.with_no_client_auth()),
        Some(path) => {
            let (chain, key) = read_identity(path)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| refuse("client_certificate", path, &error.to_string()))
        }
    }
}

/// What a setting's file holds. That this machine has no descriptor for it is not the setting's fault.
fn read_file(key: &str, path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| {
        let mut refused = refuse(key, path, &error.to_string());
        if is_exhausted(&error) {
            refused = Error::new(ErrorKind::NoResources, refused.message());
        }
        refused
    })
}

fn refuse(key: &str, path: &Path, why: &str) -> Error {
    let message = format!("{key} = {}: {why}", path.display());
    Error::new(ErrorKind::InvalidSetting, message)
}

/// A certificate with its chain, and its key, out of one file.
fn read_identity(
    path: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let refuse = |why: &str| refuse("client_certificate", path, why);
    let text = read_file("client_certificate", path)?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| refuse(&error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse("there is no certificate in it"));
    }
    // The parser's words could show a piece of the key.
    let key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| refuse("there is no private key in it that can be read (PKCS #8, SEC 1, PKCS #1; not encrypted)"))?;
    Ok((chain, key))
}

fn read_bundle(path: &Path) -> Result<RootCertStore, Error> {
    let refuse = |why: String| refuse("ca_bundle", path, &why);
    let mut roots = RootCertStore::empty();
    let text = read_file("ca_bundle", path)?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("there is no certificate in it".to_owned()));
    }
    Ok(roots)
}

fn read_system_store() -> Result<Arc<RootCertStore>, Error> {
    let found = rustls_native_certs::load_native_certs();
    // What was not read for want of a descriptor would be missing as long as the process lives.
    for error in &found.errors {
        if let rustls_native_certs::ErrorKind::Io { inner, path } = &error.kind
            && is_exhausted(inner)
        {
            let message = format!("the certificate store: {}: {inner}", path.display());
            return Err(Error::new(ErrorKind::NoResources, message));
        }
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::new(
            ErrorKind::NoCaStore,
            "this machine has no certificate store to verify servers with; install one \
             (Debian: ca-certificates) or set ca_bundle to a PEM file",
        ));
    }
    Ok(Arc::new(roots))
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
