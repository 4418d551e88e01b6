//! The twin's certificate authority, and a TLS server identity for each side.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::TwinError;

/// Signs the certificates of one twin; made anew with every twin.
pub(crate) struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

const NAME: &str = "d365-twin test CA";

fn failed(host: &str) -> impl FnOnce(rcgen::Error) -> TwinError {
    let host = host.to_owned();
    move |source| TwinError::Certificate { host, source }
}

impl CertificateAuthority {
    pub(crate) fn new() -> Result<CertificateAuthority, TwinError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed(NAME))?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(failed(NAME))?;
        Ok(CertificateAuthority { issuer })
    }

    pub(crate) fn write_pem(&self, path: &Path) -> Result<(), TwinError> {
        std::fs::write(path, self.issuer.pem()).map_err(TwinError::io(path.display().to_string()))
    }

    /// A server identity for `hosts`, HTTP/1.1 only.
    pub(crate) fn acceptor(&self, hosts: &[String]) -> Result<TlsAcceptor, TwinError> {
        let name = hosts.join(", ");
        let mut params = CertificateParams::new(hosts).map_err(failed(&name))?;
        params
            .distinguished_name
            .push(DnType::CommonName, "d365-twin");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(failed(&name))?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(failed(&name))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
