//! The settings `client_certificate` and `client_key`, who the application is to its own endpoints, and
//! `oauth_certificate`, who it is to a token server.

use std::path::Path;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, PeerIncompatible};

use super::{pem, read_file, refuse};
use crate::Error;

/// A certificate with its chain, and its key.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads one out of one file, or out of two.
pub(super) fn read(setting: &str, path: &Path, key: Option<&Path>) -> Result<Identity, Error> {
    let text = read_file(setting, path)?;
    let chain = chain(setting, path, &text)?;
    let key = match key {
        None => private_key(setting, path, &text)?,
        Some(path) => private_key("client_key", path, &read_file("client_key", path)?)?,
    };
    Ok((chain, key))
}

fn chain(setting: &str, path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let refuse = |why: &str| refuse(setting, path, why);
    let sections = pem::sections(text);
    let mut chain = Vec::new();
    for section in sections.iter().filter(|section| section.is_certificate()) {
        let certificate = section.certificate().map_err(|why| {
            let number = chain.len() + 1;
            refuse(&format!(
                "certificate {number} (line {}) is broken: {why}",
                section.line
            ))
        })?;
        chain.push(certificate);
    }
    if chain.is_empty() {
        return Err(refuse(
            "there is no certificate in it; it has to have the certificate, its chain, and its \
             key, one after the other",
        ));
    }
    Ok(chain)
}

fn private_key(setting: &str, path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    let refuse = |why: &str| refuse(setting, path, why);
    let sections = pem::sections(text);
    let Some(key) = sections.iter().find(|section| section.is_key()) else {
        return Err(refuse(match setting {
            "client_certificate" => {
                "there is no private key in it; append the certificate's own to the file, or name \
                 its file in client_key"
            }
            "client_key" => "there is no private key in it",
            _ => "there is no private key in it; append the certificate's own to the file",
        }));
    };
    if key.is_encrypted_key() {
        return Err(refuse(&format!(
            "the private key (line {}) is encrypted, and the library asks for no passphrase; \
             openssl pkey -in FILE -out KEY.pem takes it off, and file permissions guard the key \
             then",
            key.line
        )));
    }
    // The parser's words could show a piece of the key.
    key.key().ok_or_else(|| {
        refuse(&format!(
            "the private key (line {}) cannot be read; PKCS #8, SEC 1 and PKCS #1 can: openssl \
             pkey -in FILE -out KEY.pem makes the first of others",
            key.line
        ))
    })
}

/// Why a certificate and a key that were read cannot be used together.
pub(super) fn refused(setting: &str, path: &Path, error: &rustls::Error) -> Error {
    let why = match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the private key is not that of the first certificate; the certificate's own key has \
             to be with it, and the certificate has to stand before its chain"
                .to_owned()
        }
        rustls::Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon)
        | rustls::Error::General(_) => format!(
            "the private key is of no kind that can be used (RSA from 2048 bits, ECDSA P-256 and \
             P-384, Ed25519): {error}"
        ),
        _ => error.to_string(),
    };
    refuse(setting, path, &why)
}
