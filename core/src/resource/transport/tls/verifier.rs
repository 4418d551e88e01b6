//! Who a server is, as webpki says it, but for a certificate that is itself among those that are
//! trusted.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, ExtendedKeyPurpose, OtherError, SignatureScheme,
};

use super::der::Certificate;
use super::trust::Trust;

#[derive(Debug)]
pub(super) struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    trust: Arc<Trust>,
}

impl Verifier {
    pub(super) fn new(
        trust: Arc<Trust>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Verifier, String> {
        let roots = Arc::clone(&trust.roots);
        let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        Ok(Verifier {
            webpki: webpki.map_err(|error| error.to_string())?,
            trust,
        })
    }

    /// A server's certificate that is itself trusted needs no issuer, and may be a CA's: development
    /// servers have one for both. webpki has looked at its validity by then, but not at its name
    /// and, of a CA's, not at what its key is for.
    fn verify_own(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        is_ca: bool,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_for_servers =
            !is_ca || Certificate::parse(certificate).is_some_and(|own| own.is_for_servers());
        if !is_for_servers {
            return Err(CertificateError::InvalidPurposeContext {
                required: ExtendedKeyPurpose::ServerAuth,
                presented: Vec::new(),
            }
            .into());
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    /// That nobody who is trusted has issued it, with who has.
    fn unknown_issuer(&self, certificate: &CertificateDer<'_>) -> rustls::Error {
        let parsed = Certificate::parse(certificate);
        let is_self_issued = parsed.as_ref().is_some_and(Certificate::is_self_issued);
        let unknown = UnknownIssuer {
            issuer: parsed.and_then(|parsed| parsed.issuer()),
            is_self_issued,
            whence: self.trust.whence.clone(),
        };
        CertificateError::Other(OtherError(Arc::new(unknown))).into()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let webpki = &self.webpki;
        let refused = match webpki.verify_server_cert(certificate, others, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(refused)) => refused,
            verified => return verified,
        };
        let is_ca = is_ca_used_as_server(&refused);
        let is_unknown = refused == CertificateError::UnknownIssuer;
        if (is_ca || is_unknown) && self.trust.certificates.contains(certificate) {
            return self.verify_own(certificate, name, is_ca);
        }
        let is_self_issued =
            || Certificate::parse(certificate).is_some_and(|it| it.is_self_issued());
        Err(match is_unknown || is_ca && is_self_issued() {
            true => self.unknown_issuer(certificate),
            false => refused.into(),
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether that is why a certificate was refused; nothing else of it was looked at then but its
/// validity.
pub(super) fn is_ca_used_as_server(error: &CertificateError) -> bool {
    webpki_error(error) == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// webpki's own word, where rustls has none for it.
pub(super) fn webpki_error(error: &CertificateError) -> Option<&webpki::Error> {
    match error {
        CertificateError::Other(OtherError(other)) => other.downcast_ref(),
        _ => None,
    }
}

/// Nobody who is trusted has issued a server's certificate.
#[derive(Debug)]
pub(super) struct UnknownIssuer {
    pub(super) issuer: Option<String>,
    pub(super) is_self_issued: bool,
    pub(super) whence: String,
}

impl fmt::Display for UnknownIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown issuer")
    }
}

impl std::error::Error for UnknownIssuer {}
