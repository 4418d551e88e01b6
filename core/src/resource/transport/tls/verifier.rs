//! Who a server is, as webpki says it, but for a certificate that is itself among those that are
//! trusted.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, ExtendedKeyPurpose, OtherError, SignatureScheme,
};

use super::der::Certificate;
use super::trust::Trust;

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) trust: Arc<Trust>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// A server's certificate that is itself trusted needs no issuer, and may be a CA's: development
    /// servers have one for both. webpki has looked at its validity by then, but not at its name
    /// and not at all that its key is for.
    fn verify_own(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let own = Certificate::parse(certificate);
        let is_for_servers = own.is_some_and(|own| own.is_for_servers());
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
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let roots = &self.trust.roots;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed =
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, others, now, algorithms);
        let refused = match signed {
            Ok(()) => {
                verify_server_name(&parsed, name)?;
                return Ok(ServerCertVerified::assertion());
            }
            Err(rustls::Error::InvalidCertificate(refused)) => refused,
            Err(error) => return Err(error),
        };
        let is_ca = is_ca_used_as_server(&refused);
        let is_unknown = refused == CertificateError::UnknownIssuer;
        if (is_ca || is_unknown) && self.trust.certificates.contains(certificate) {
            return self.verify_own(certificate, name);
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
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
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
