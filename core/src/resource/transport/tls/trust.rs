//! Whom the client believes: the certificates of `ca_bundle`, or those of the machine.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use rustls::server::ParsedCertificate;

use super::der::Certificate;
use super::{pem, read_file, refuse};
use crate::resource::sys::{self, Certificates, is_exhausted};
use crate::{Error, ErrorKind};

/// So many broken entries are told of one by one.
const MOST_TOLD: usize = 10;

/// Read once.
static SYSTEM_STORE: OnceCell<Arc<Trust>> = OnceCell::new();

#[derive(Debug)]
pub(super) struct Trust {
    /// Who may have issued others.
    pub(super) roots: RootCertStore,
    /// All of them, to compare a server's own certificate with.
    pub(super) certificates: HashSet<CertificateDer<'static>>,
    /// What was left out, and why; one sentence each.
    pub(super) told: Vec<String>,
    /// Where they are from, for a sentence.
    pub(super) whence: String,
}

impl Trust {
    pub(super) fn of_bundle(path: &Path) -> Result<Trust, Error> {
        let refuse = |why: &str| refuse("ca_bundle", path, why);
        let text = read_file("ca_bundle", path)?;
        let mut store = Store::default();
        store.add(&format!("ca_bundle = {}", path.display()), &text);
        if store.certificates.is_empty() {
            let why = match store.broken.as_slice() {
                [] if store.keys > 0 => "there is no certificate in it, but a private key",
                [] => "there is no certificate in it",
                broken => &format!(
                    "none of its certificates can be used: {}",
                    broken.join("; ")
                ),
            };
            return Err(refuse(why));
        }
        Ok(store.trust(format!("ca_bundle ({})", path.display())))
    }

    pub(super) fn of_system() -> Result<Arc<Trust>, Error> {
        SYSTEM_STORE.get_or_try_init(read_system_store).cloned()
    }
}

/// Certificates that are gathered.
#[derive(Default)]
struct Store {
    /// Each with what is needed of it where it may have issued others.
    certificates: HashMap<CertificateDer<'static>, Option<TrustAnchor<'static>>>,
    /// Wherever else they are, they are not trusted.
    distrusted: HashSet<CertificateDer<'static>>,
    told: Vec<String>,
    /// The same without where it was.
    broken: Vec<String>,
    keys: usize,
}

impl Store {
    /// Adds what can be used of a text.
    fn add(&mut self, whence: &str, text: &[u8]) {
        let mut number = 0;
        for section in pem::sections(text) {
            if section.is_key() {
                self.keys += 1;
                self.told.push(format!(
                    "{whence}: there is a private key in it (line {}), which belongs into no file \
                     that others read; it is not used",
                    section.line
                ));
            }
            if !section.is_certificate() {
                continue;
            }
            number += 1;
            let which = format!("certificate {number} (line {})", section.line);
            let read = section.certificate().and_then(|certificate| {
                let is_distrusted = section.is_distrusted()?;
                match is_distrusted {
                    true => self.distrust(certificate),
                    false => self.add_one(certificate)?,
                }
                Ok(is_distrusted)
            });
            match read {
                Ok(false) => {}
                Ok(true) => {
                    let why = format!("{which} is marked as not trusted for servers");
                    self.leave_out(whence, why);
                }
                Err(why) => self.leave_out(whence, format!("{which} is broken: {why}")),
            }
        }
    }

    fn add_one(&mut self, certificate: CertificateDer<'static>) -> Result<(), String> {
        if self.certificates.contains_key(&certificate) || self.distrusted.contains(&certificate) {
            return Ok(());
        }
        let anchor = anchor(&certificate)
            .ok_or_else(|| "it is no X.509 certificate that can be read".to_owned())?;
        self.certificates.insert(certificate, anchor);
        Ok(())
    }

    fn distrust(&mut self, certificate: CertificateDer<'static>) {
        self.certificates.remove(&certificate);
        self.distrusted.insert(certificate);
    }

    fn leave_out(&mut self, whence: &str, why: String) {
        self.told.push(format!("{whence}: {why}; it is left out"));
        self.broken.push(why);
    }

    fn trust(mut self, whence: String) -> Trust {
        if self.told.len() > MOST_TOLD {
            let more = self.told.len() - MOST_TOLD;
            self.told.truncate(MOST_TOLD);
            self.told.push(format!("{whence}: and {more} more"));
        }
        let mut certificates = HashSet::new();
        let mut roots = RootCertStore::empty();
        for (certificate, anchor) in self.certificates {
            certificates.insert(certificate);
            roots.extend(anchor);
        }
        Trust {
            roots,
            certificates,
            told: self.told,
            whence,
        }
    }
}

/// What a certificate's issues are recognized by. A server's own speaks for nobody else, whoever has
/// its key: it has none. `None`: it cannot be read.
fn anchor(certificate: &CertificateDer<'_>) -> Option<Option<TrustAnchor<'static>>> {
    if Certificate::parse(certificate)?.is_authority() {
        let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
        return Some(Some(anchor.to_owned()));
    }
    ParsedCertificate::try_from(certificate).ok()?;
    Some(None)
}

fn read_system_store() -> Result<Arc<Trust>, Error> {
    let (places, whence) = places();
    let mut store = Store {
        told: places.unread,
        ..Store::default()
    };
    for certificate in places.certificates {
        if let Err(why) = store.add_one(certificate) {
            store.leave_out(&whence, format!("a certificate is broken: {why}"));
        }
    }
    let mut seen = HashSet::new();
    for file in places.files {
        read_place(&file, &mut seen, &mut store, true)?;
    }
    for folder in places.folders {
        match std::fs::read_dir(&folder) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    // What else lies there need not be PEM.
                    read_place(&entry.path(), &mut seen, &mut store, false)?;
                }
            }
            Err(error) if is_exhausted(&error) => {
                return Err(exhausted(&folder, &error.to_string()));
            }
            Err(error) => store.told.push(format!("{}: {error}", folder.display())),
        }
    }
    if store.certificates.is_empty() {
        let why = match store.told.as_slice() {
            [] => "no certificate".to_owned(),
            told => told[..told.len().min(MOST_TOLD)].join("; "),
        };
        let message = format!(
            "this machine has no certificate store to verify servers with ({whence}: {why}); \
             {} or set ca_bundle to a PEM file",
            sys::NO_CERTIFICATE_STORE
        );
        return Err(Error::new(ErrorKind::NoCaStore, message));
    }
    Ok(Arc::new(store.trust(whence)))
}

/// Where the machine's certificates are, as OpenSSL's variables say or as the system has them.
fn places() -> (Certificates, String) {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let (file, folders) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
    if file.is_none() && folders.is_none() {
        return (sys::certificates(), "this machine's store".to_owned());
    }
    let whence = match (&file, &folders) {
        (Some(_), Some(_)) => "SSL_CERT_FILE and SSL_CERT_DIR",
        (Some(_), None) => "SSL_CERT_FILE",
        _ => "SSL_CERT_DIR",
    };
    let folders = folders.as_deref().map(std::env::split_paths);
    let folders = folders.into_iter().flatten();
    let folders = folders.filter(|path| !path.as_os_str().is_empty());
    let places = Certificates {
        files: file.map(PathBuf::from).into_iter().collect(),
        folders: folders.collect(),
        ..Certificates::default()
    };
    (places, whence.to_owned())
}

/// Adds a file of the machine's, once by whatever names.
fn read_place(
    path: &Path,
    seen: &mut HashSet<PathBuf>,
    store: &mut Store,
    must_be_one: bool,
) -> Result<(), Error> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if !seen.insert(path.clone()) || !(must_be_one || path.is_file()) {
        return Ok(());
    }
    match pem::read(&path) {
        Ok(text) => store.add(&path.display().to_string(), &text),
        Err(unread) if unread.is_exhausted => return Err(exhausted(&path, &unread.why)),
        Err(unread) if must_be_one => {
            store
                .told
                .push(format!("{}: {}", path.display(), unread.why));
        }
        Err(_) => {}
    }
    Ok(())
}

/// What was not read for want of a descriptor would be missing as long as the process lives.
fn exhausted(path: &Path, why: &str) -> Error {
    let message = format!("the certificate store: {}: {why}", path.display());
    Error::new(ErrorKind::NoResources, message)
}
