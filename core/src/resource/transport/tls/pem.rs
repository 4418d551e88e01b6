//! PEM (RFC 7468) as it is found: with a byte order mark, any line ends, text around, attributes,
//! and a broken section beside good ones.

use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::der::{
    ANY_USAGE, Element, OCTET_STRING, OID, SEQUENCE, SERVER_AUTH, UTF8_STRING, names_one,
};
use crate::resource::sys::is_exhausted;

/// More than any store of certificates has.
const LARGEST_FILE: u64 = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What stands between a `BEGIN` and its `END`.
pub(super) struct Section<'a> {
    label: &'a [u8],
    /// Where it begins, from 1.
    pub(super) line: usize,
    base64: Vec<u8>,
    /// The key is encrypted, says a header of OpenSSL's old form.
    has_encrypted_header: bool,
    /// It has no end of its own.
    is_cut: bool,
}

/// Why a file was not read.
pub(super) struct Unread {
    pub(super) why: String,
    /// This machine has no descriptor for it.
    pub(super) is_exhausted: bool,
}

/// Reads a file. What is no text of PEM says so, and what to do.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Unread> {
    let failed = |error: std::io::Error| Unread {
        why: error.to_string(),
        is_exhausted: is_exhausted(&error),
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err("it is a directory; name a PEM file".to_owned().into());
    }
    let mut text = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    check(&text)?;
    Ok(text)
}

impl From<String> for Unread {
    fn from(why: String) -> Unread {
        Unread {
            why,
            is_exhausted: false,
        }
    }
}

fn check(text: &[u8]) -> Result<(), String> {
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("it is larger than {} MB", LARGEST_FILE >> 20));
    }
    if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 text; save it as ASCII or UTF-8".to_owned());
    }
    // A whole element and nothing else.
    if Element::first(text).is_some_and(|(first, rest)| first.tag == SEQUENCE && rest.is_empty()) {
        return Err(
            "it is DER, and PEM is wanted: openssl x509 -inform der -in FILE -out FILE.pem makes \
             it of a certificate, openssl pkcs12 -nodes -in FILE -out FILE.pem of a PKCS #12 file \
             (.pfx, .p12)"
                .to_owned(),
        );
    }
    Ok(())
}

/// The sections of a text, broken ones among them.
pub(super) fn sections(text: &[u8]) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut open: Option<Section<'_>> = None;
    for (index, line) in lines(text).enumerate() {
        if let Some(label) = marker(line, b"-----BEGIN ") {
            sections.extend(open.take());
            open = Some(Section {
                label,
                line: index + 1,
                base64: Vec::new(),
                has_encrypted_header: false,
                is_cut: true,
            });
        } else if let Some(label) = marker(line, b"-----END ") {
            if let Some(mut section) = open.take() {
                section.is_cut = section.label != label;
                sections.push(section);
            }
        } else if let Some(section) = &mut open {
            if line.contains(&b':') {
                section.has_encrypted_header |= line.ends_with(b"ENCRYPTED");
            } else {
                section.base64.extend_from_slice(line);
                section.base64.push(b'\n');
            }
        }
    }
    sections.extend(open);
    sections
}

/// Without white space around, nor the byte order marks that joined files bring along.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = if text.contains(&b'\n') { b'\n' } else { b'\r' };
    text.split(move |byte| *byte == end).map(|line| {
        let line = line.trim_ascii();
        line.strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(line)
            .trim_ascii()
    })
}

fn marker<'a>(line: &'a [u8], begin: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(begin)?.strip_suffix(b"-----")
}

impl Section<'_> {
    pub(super) fn is_certificate(&self) -> bool {
        let labels: [&[u8]; 3] = [b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"];
        labels.contains(&self.label)
    }

    pub(super) fn is_key(&self) -> bool {
        self.label.ends_with(b"PRIVATE KEY")
    }

    pub(super) fn is_encrypted_key(&self) -> bool {
        self.is_key() && (self.has_encrypted_header || self.label == b"ENCRYPTED PRIVATE KEY")
    }

    /// Its certificate. Of OpenSSL's own form it is the first of two elements.
    pub(super) fn certificate(&self) -> Result<CertificateDer<'static>, String> {
        let bytes = self.certificate_bytes()?;
        let (first, _) = Element::first(&bytes)
            .ok_or_else(|| "there is no whole certificate in it".to_owned())?;
        Ok(CertificateDer::from(first.whole.to_vec()))
    }

    fn certificate_bytes(&self) -> Result<CertificateDer<'static>, String> {
        if self.is_cut {
            return Err("its END line is missing, or names something else".to_owned());
        }
        let text = self.text(b"CERTIFICATE");
        CertificateDer::from_pem_slice(&text).map_err(|_| "it is not base64".to_owned())
    }

    /// Whether the form that OpenSSL has for it says that it is not trusted for servers. What cannot be
    /// read of that may say so.
    pub(super) fn is_distrusted(&self) -> Result<bool, String> {
        if self.label != b"TRUSTED CERTIFICATE" {
            return Ok(false);
        }
        let bytes = self.certificate_bytes()?;
        match Element::first(&bytes) {
            Some((_, told)) if !told.is_empty() => {
                is_distrust(told).ok_or_else(|| "what it is trusted for cannot be read".to_owned())
            }
            _ => Ok(false),
        }
    }

    /// Its private key. `None`: it cannot be read.
    pub(super) fn key(&self) -> Option<PrivateKeyDer<'static>> {
        if self.is_cut {
            return None;
        }
        PrivateKeyDer::from_pem_slice(&self.text(self.label)).ok()
    }

    fn text(&self, label: &[u8]) -> Vec<u8> {
        [
            b"-----BEGIN ",
            label,
            b"-----\n",
            &self.base64,
            b"-----END ",
            label,
            b"-----\n",
        ]
        .concat()
    }
}

/// Whether what follows a certificate in OpenSSL's form takes servers from what it is trusted for:
/// lists of usages, trusted and rejected ones, a name, a number and others, each of them optional.
fn is_distrust(told: &[u8]) -> Option<bool> {
    const REJECTED: u8 = 0xa0;
    const ORDER: [u8; 5] = [SEQUENCE, REJECTED, UTF8_STRING, OCTET_STRING, 0xa1];
    let (told, rest) = Element::first(told)?;
    let parts = told.all_parts()?;
    let places = parts
        .iter()
        .map(|part| ORDER.iter().position(|tag| *tag == part.tag));
    let places: Vec<usize> = places.collect::<Option<_>>()?;
    let is_ordered = places.is_sorted_by(|one, next| one < next);
    (told.tag == SEQUENCE && rest.is_empty() && is_ordered).then_some(())?;
    let names_servers = |tag, without_list| {
        let Some(list) = parts.iter().find(|part| part.tag == tag) else {
            return Some(without_list);
        };
        let is_list = list.all_parts()?.iter().all(|usage| usage.tag == OID);
        is_list.then(|| names_one(*list, &[SERVER_AUTH, ANY_USAGE]))
    };
    Some(names_servers(REJECTED, false)? || !names_servers(SEQUENCE, true)?)
}
