//! The twin's certificate authority, and a TLS server identity for each side.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::TwinError;
use crate::fault_kind::Certificate;

/// Signs the certificates of one twin; made anew with every twin.
pub(crate) struct CertificateAuthority {
    issuer: Issuer,
    /// Nobody trusts this one.
    unknown: Issuer,
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// What a side can show in the handshake.
pub(crate) struct Identities {
    own: TlsAcceptor,
    other_host: TlsAcceptor,
    other_ca: TlsAcceptor,
    expired: TlsAcceptor,
}

impl Identities {
    /// The certificate that a healthy side shows.
    pub(crate) fn own(&self) -> TlsAcceptor {
        self.own.clone()
    }

    pub(crate) fn shown_instead(&self, which: Certificate) -> TlsAcceptor {
        match which {
            Certificate::OtherHost => self.other_host.clone(),
            Certificate::OtherCa => self.other_ca.clone(),
            Certificate::Expired => self.expired.clone(),
        }
    }
}

const NAME: &str = "d365-twin test CA";
const OTHER_HOST: &str = "another-host.twin.test";

fn failed(host: &str) -> impl FnOnce(rcgen::Error) -> TwinError {
    let host = host.to_owned();
    move |source| TwinError::Certificate { host, source }
}

impl CertificateAuthority {
    pub(crate) fn new() -> Result<CertificateAuthority, TwinError> {
        Ok(CertificateAuthority {
            issuer: issuer(NAME)?,
            unknown: issuer("another test CA")?,
        })
    }

    pub(crate) fn write_pem(&self, path: &Path) -> Result<(), TwinError> {
        std::fs::write(path, self.issuer.pem()).map_err(TwinError::io(path.display().to_string()))
    }

    /// Server identities for `hosts`, with HTTP/1.1, and HTTP/2 where wanted.
    pub(crate) fn identities(
        &self,
        hosts: &[String],
        http2: bool,
    ) -> Result<Identities, TwinError> {
        let other_host = [OTHER_HOST.to_owned()];
        Ok(Identities {
            own: acceptor(hosts, &self.issuer, http2, |_| {})?,
            other_host: acceptor(&other_host, &self.issuer, http2, |_| {})?,
            other_ca: acceptor(hosts, &self.unknown, http2, |_| {})?,
            expired: acceptor(hosts, &self.issuer, http2, |params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            })?,
        })
    }
}

fn issuer(name: &str) -> Result<Issuer, TwinError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(failed(name))?;
    CertifiedIssuer::self_signed(params, key).map_err(failed(name))
}

fn acceptor(
    hosts: &[String],
    issuer: &Issuer,
    http2: bool,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<TlsAcceptor, TwinError> {
    let name = hosts.join(", ");
    let mut params = CertificateParams::new(hosts).map_err(failed(&name))?;
    params
        .distinguished_name
        .push(DnType::CommonName, "d365-twin");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let key = KeyPair::generate().map_err(failed(&name))?;
    let certificate = params.signed_by(&key, issuer).map_err(failed(&name))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}
