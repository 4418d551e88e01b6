//! Faults in the TLS handshake, seen from the bare socket.

mod support;

use std::io;

use d365_twin::{
    Broken, Certificate, Fault, FaultKind, OrganizationConfig, Scheme, SideHandle, Twin,
};
use rustls::{AlertDescription, CertificateError, Error};
use support::{ACCOUNTS, Raw, contoso, kind, twin};

fn refused(twin: &Twin, side: &SideHandle) -> io::Error {
    Raw::connect(twin, side)
        .map(drop)
        .expect_err("no handshake")
}

fn tls_error(error: &io::Error) -> &Error {
    let inner = error.get_ref().expect("an inner error");
    inner.downcast_ref().expect("an error of TLS")
}

#[test]
fn a_broken_handshake_ends_as_it_is_told() {
    for (how, expected) in [
        (Broken::Alert, None),
        (Broken::Eof, Some(io::ErrorKind::UnexpectedEof)),
        (Broken::Reset, Some(io::ErrorKind::ConnectionReset)),
    ] {
        let (twin, org) = contoso();
        let side = &org.primary;
        side.fault(FaultKind::BreakHandshake { how }).unwrap();
        let error = refused(&twin, side);
        match expected {
            Some(expected) => assert_eq!(error.kind(), expected),
            None => assert_eq!(
                *tls_error(&error),
                Error::AlertReceived(AlertDescription::HandshakeFailure)
            ),
        }
        let counts = side.counts();
        assert_eq!((counts.connections, counts.received), (1, 0));
        assert_eq!(counts.faults["break_handshake"], 1);
    }
}

#[test]
fn another_certificate_is_refused_for_its_own_reason() {
    let (twin, org) = contoso();
    let side = &org.primary;
    for which in [
        Certificate::OtherHost,
        Certificate::OtherCa,
        Certificate::Expired,
    ] {
        side.clear().unwrap();
        side.fault(FaultKind::Certificate { which }).unwrap();
        let error = refused(&twin, side);
        let Error::InvalidCertificate(reason) = tls_error(&error) else {
            panic!("{which:?}: {error}");
        };
        let fits = match which {
            Certificate::OtherHost => matches!(
                reason,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ),
            Certificate::OtherCa => matches!(reason, CertificateError::UnknownIssuer),
            Certificate::Expired => matches!(
                reason,
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ),
        };
        assert!(fits, "{which:?}: {reason:?}");
    }
    assert_eq!(side.counts().faults["certificate"], 3);
}

#[test]
fn the_handshakes_faults_count_connections_and_spare_those_that_are_open() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let mut open = Raw::connect(&twin, side).unwrap();
    let broken = FaultKind::BreakHandshake { how: Broken::Eof };
    side.fault(Fault::from(broken).skip(1).times(1)).unwrap();
    let mut passed = Raw::connect(&twin, side).unwrap();
    refused(&twin, side);
    let mut spent = Raw::connect(&twin, side).unwrap();
    for raw in [&mut open, &mut passed, &mut spent] {
        raw.send(side, "POST", ACCOUNTS, "{}");
        assert!(raw.read_answer().starts_with("HTTP/1.1 204"));
    }
}

#[test]
fn a_client_that_leaves_a_broken_handshake_is_forgotten() {
    let (_twin, org) = contoso();
    let side = &org.primary;
    side.fault(FaultKind::BreakHandshake { how: Broken::Alert })
        .unwrap();
    drop(Raw::tcp(side).unwrap());
    let gone = d365_twin::Condition {
        connections_at_least: Some(1),
        open_connections_at_most: Some(0),
        ..d365_twin::Condition::default()
    };
    side.wait_for(gone, support::LONG).unwrap();
}

#[test]
fn where_no_hands_are_shaken_the_fault_is_refused() {
    let mut config = OrganizationConfig::new("contoso");
    config.scheme = Scheme::Http;
    let (_twin, org) = twin(config);
    let error = org
        .primary
        .fault(FaultKind::BreakHandshake { how: Broken::Eof })
        .unwrap_err();
    assert!(error.to_string().contains("scheme http"), "{error}");
    let matched = Fault::from(FaultKind::Certificate {
        which: Certificate::Expired,
    });
    assert!(org.primary.fault(matched.method("GET")).is_err());
    assert_eq!(kind(&Raw::tcp(&org.primary).map(drop)), None);
}
