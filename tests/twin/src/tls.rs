//! The twin's certificate authority, and a TLS server identity for each side.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::ClientCertificates;
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

    /// Writes a certificate for clients with its chain and its private key, which no other user of
    /// the machine can read: one that leads to the twin's CA through an intermediate one, or to
    /// a CA that nobody knows.
    pub(crate) fn write_client_pem(&self, path: &Path, known: bool) -> Result<(), TwinError> {
        let root = if known { &self.issuer } else { &self.unknown };
        let mut between = ca_params("d365-twin clients");
        between.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        between.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed(NAME))?;
        let between = CertifiedIssuer::signed_by(between, key, root).map_err(failed(NAME))?;
        let mut params = CertificateParams::default();
        let name = "d365-twin client";
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(failed(name))?;
        let certificate = params.signed_by(&key, &between).map_err(failed(name))?;
        let pem = [certificate.pem(), between.pem(), key.serialize_pem()].concat();
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(path)
            .and_then(|mut file| file.write_all(pem.as_bytes()))
            .map_err(TwinError::io(path.display().to_string()))
    }

    /// Server identities for `hosts`, with HTTP/1.1, and HTTP/2 where wanted.
    pub(crate) fn identities(
        &self,
        hosts: &[String],
        http2: bool,
        clients: ClientCertificates,
    ) -> Result<Identities, TwinError> {
        let other_host = [OTHER_HOST.to_owned()];
        let acceptor = |hosts: &[String], issuer: &Issuer, change: fn(&mut CertificateParams)| {
            acceptor(hosts, issuer, http2, self.verifier(clients)?, change)
        };
        Ok(Identities {
            own: acceptor(hosts, &self.issuer, |_| {})?,
            other_host: acceptor(&other_host, &self.issuer, |_| {})?,
            other_ca: acceptor(hosts, &self.unknown, |_| {})?,
            expired: acceptor(hosts, &self.issuer, |params| {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            })?,
        })
    }

    fn verifier(&self, clients: ClientCertificates) -> Result<Verifier, TwinError> {
        if clients == ClientCertificates::Off {
            return Ok(WebPkiClientVerifier::no_client_auth());
        }
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let builder = match clients {
            ClientCertificates::Ask => builder.allow_unauthenticated(),
            ClientCertificates::Require | ClientCertificates::Off => builder,
        };
        let built = builder.build();
        built.map_err(|error| TwinError::Tls(rustls::Error::General(error.to_string())))
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn issuer(name: &str) -> Result<Issuer, TwinError> {
    let key = KeyPair::generate().map_err(failed(name))?;
    CertifiedIssuer::self_signed(ca_params(name), key).map_err(failed(name))
}

type Verifier = Arc<dyn ClientCertVerifier>;

fn acceptor(
    hosts: &[String],
    issuer: &Issuer,
    http2: bool,
    verifier: Verifier,
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
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, b"h2".to_vec());
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}
