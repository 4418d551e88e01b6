//! What a failure of TLS means, and what to do next.

use std::error::Error as StdError;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use rustls::{
    AlertDescription, CertificateError, InvalidMessage, OtherError, PeerIncompatible,
    PeerMisbehaved,
};

use super::provider;
use super::verifier::{UnknownIssuer, is_ca_used_as_server, webpki_error};

/// So many of a certificate's names are told.
const MOST_NAMES: usize = 6;

/// What rustls said, in an error that may be one of something else. `None`: nothing that is known
/// here.
pub(in super::super) fn told(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return of_rustls(error);
        }
        // Where an error of the system's wraps another, its source is that one's source.
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn of_rustls(error: &rustls::Error) -> Option<String> {
    Some(match error {
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::InvalidCertificate(error) => of_certificate(error)?,
        rustls::Error::PeerIncompatible(error) => {
            let why = match error {
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired => {
                    "the server speaks only a TLS version that is too old"
                }
                PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NamedGroupsExtensionRequired => {
                    "there is no group for the key exchange that both know"
                }
                PeerIncompatible::ExtendedMasterSecretExtensionRequired => {
                    "the server does not know TLS 1.2's extended master secret (RFC 7627)"
                }
                _ => "the server speaks TLS in no way that both know",
            };
            format!("{why} ({error:?}); {}", offer())
        }
        rustls::Error::PeerMisbehaved(
            PeerMisbehaved::SelectedUnofferedCipherSuite
            | PeerMisbehaved::SelectedUnusableCipherSuiteForVersion,
        ) => format!(
            "the server has chosen a cipher suite that was not offered ({error}); {}",
            offer()
        ),
        rustls::Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedKxGroup) => format!(
            "the server has chosen a group that was not offered ({error}); {}",
            offer()
        ),
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => format!(
            "what answers there speaks no TLS ({error}); the port may be one for plain http, or a \
             proxy may have answered: check URL, connect_to and proxy"
        ),
        _ => return None,
    })
}

/// What the library offers a server.
fn offer() -> String {
    let provider = provider();
    let mut text = "the library offers".to_owned();
    for (version, name) in [
        (rustls::ProtocolVersion::TLSv1_3, "TLS 1.3"),
        (rustls::ProtocolVersion::TLSv1_2, "TLS 1.2"),
    ] {
        let suites = provider.cipher_suites.iter();
        let suites: Vec<&str> = suites
            .filter(|suite| suite.version().version == version)
            .filter_map(|suite| suite.suite().as_str())
            .collect();
        let begin = if version == rustls::ProtocolVersion::TLSv1_3 {
            ""
        } else {
            ", and"
        };
        let _ = write!(text, "{begin} {name} with {}", suites.join(", "));
    }
    let groups = provider.kx_groups.iter();
    let groups: Vec<String> = groups.map(|group| format!("{:?}", group.name())).collect();
    let _ = write!(
        text,
        ", and the groups {}; switch one of these on at the server, or at what ends TLS in front \
         of it",
        groups.join(", ")
    );
    text
}

fn of_alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let name = alert.as_str().unwrap_or("unknown");
    let said = format!(
        "the server has ended TLS with the alert {name} ({})",
        u8::from(alert)
    );
    let advice = match alert {
        Alert::ProtocolVersion => format!(
            "none of its TLS versions fits (only TLS 1.0 or 1.1, say); {}",
            offer()
        ),
        Alert::HandshakeFailure | Alert::InsufficientSecurity => format!(
            "no cipher suite, group or signature fits it (only RSA key exchange, say), or it wants \
             a certificate of the client's (client_certificate); {}",
            offer()
        ),
        Alert::NoApplicationProtocol => {
            "it takes neither h2 nor http/1.1; try the setting http2 off".to_owned()
        }
        Alert::UnrecognisedName => {
            "it serves no host of this name; check URL and connect_to".to_owned()
        }
        Alert::CertificateRequired | Alert::NoCertificate => {
            "it wants a certificate of the client's; set client_certificate".to_owned()
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => {
            "it does not accept the client's certificate; check client_certificate: its issuer, \
             its time and its chain"
                .to_owned()
        }
        _ => "why, only its own log says; a front end that is starting does so, too".to_owned(),
    };
    format!("{said}: {advice}")
}

fn of_certificate(error: &CertificateError) -> Option<String> {
    Some(match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate, or one of its chain, has expired on {} (here it is {}); it \
             has to be renewed there, unless this machine's clock is wrong",
            shown(*not_after),
            shown(*time)
        ),
        CertificateError::Expired => {
            "the server's certificate ends before it begins; it has to be renewed there".to_owned()
        }
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate is not valid before {} (here it is {}); check this machine's \
             clock",
            shown(*not_before),
            shown(*time)
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let expected = expected.to_str();
            match presented.as_slice() {
                [] => format!(
                    "the server's certificate names no host in subjectAltName, so that it is not \
                     for {expected}; a common name does not count: it has to be made anew"
                ),
                presented => format!(
                    "the server's certificate is for {}, and not for {expected}; check URL, \
                     alternate_url and connect_to, or have one made for this name",
                    names(presented)
                ),
            }
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers (key usage, extended key usage); it has \
             to be made anew"
                .to_owned()
        }
        CertificateError::Other(OtherError(other)) if other.is::<UnknownIssuer>() => {
            of_unknown_issuer(other.downcast_ref()?)
        }
        _ if is_ca_used_as_server(error) => {
            "the server's certificate is one of a certificate authority (CA:TRUE); have one made \
             for the server, or put this very certificate into ca_bundle"
                .to_owned()
        }
        _ if webpki_error(error) == Some(&webpki::Error::UnsupportedCertVersion) => {
            "the server's certificate is X.509 version 1, which names no host; have one made with \
             subjectAltName"
                .to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate, or one of its chain, is signed in a way that is too old, or \
             not known here (SHA-1, RSA below 2048 bits, say); it has to be made anew"
                .to_owned()
        }
        CertificateError::BadEncoding => {
            "the server's certificate cannot be read; it has to be made anew".to_owned()
        }
        _ => return None,
    })
}

fn of_unknown_issuer(unknown: &UnknownIssuer) -> String {
    let whence = &unknown.whence;
    if unknown.is_self_issued {
        return format!(
            "the server's certificate is self-signed (unknown issuer), and not itself in {whence}; \
             if it is the right one, put it into ca_bundle"
        );
    }
    let issuer = match &unknown.issuer {
        Some(issuer) => format!(" ({issuer:?})"),
        None => String::new(),
    };
    format!(
        "the server's certificate is of an unknown issuer{issuer}: nothing in {whence} has issued \
         it; set ca_bundle to a PEM file with the issuer's certificate, or have the server send \
         its whole chain"
    )
}

fn names(presented: &[String]) -> String {
    let mut shown: Vec<&str> = presented
        .iter()
        .take(MOST_NAMES)
        .map(|name| {
            let inner = name
                .split_once('"')
                .and_then(|(_, rest)| rest.split_once('"'));
            inner.map_or(name.as_str(), |(inner, _)| inner)
        })
        .collect();
    let more = presented.len().saturating_sub(MOST_NAMES);
    let told = format!("and {more} more");
    if more > 0 {
        shown.push(&told);
    }
    shown.join(", ")
}

fn shown(time: UnixTime) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    // Years beyond 9999 are no HTTP date.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    match time {
        Some(time) if time <= SystemTime::UNIX_EPOCH + LAST => httpdate::fmt_http_date(time),
        _ => "a day after the year 9999".to_owned(),
    }
}
