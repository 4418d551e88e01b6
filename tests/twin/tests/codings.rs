//! Content codings: as the client accepts them, and as a fault makes them.

mod support;

use std::io::{self, ErrorKind, Read};

use d365_twin::{Coding, Fault, FaultKind, OrgHandle, OrganizationConfig, SideHandle, Twin};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use support::{ACCOUNTS, Raw, SOAP, WHO_AM_I, contoso, kind, twin};

fn offering(codings: &[Coding]) -> (Twin, OrgHandle) {
    twin(OrganizationConfig {
        codings: codings.to_vec(),
        alternate_codings: Some(Vec::new()),
        ..OrganizationConfig::new("contoso")
    })
}

fn fault(text: Value) -> Fault {
    serde_json::from_value(text).unwrap()
}

/// Head and body of an answer to a GET that accepts these codings.
fn get(twin: &Twin, side: &SideHandle, path: &str, accepts: &str) -> (String, Vec<u8>) {
    let mut raw = Raw::connect(twin, side).unwrap();
    raw.send_bytes(&format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept-Encoding: {accepts}\r\n\r\n",
        side.host()
    ));
    let head = raw.read_head();
    let body = raw.read_raw(support::content_length(&head));
    (head, body)
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut decoded)?;
    Ok(decoded)
}

fn unbr(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut decoder = brotli::Decompressor::new(bytes, 4096);
    decoder.read_to_end(&mut decoded).unwrap();
    decoded
}

#[test]
fn a_side_codes_what_it_offers_and_the_client_accepts() {
    let (twin, org) = offering(&[Coding::Gzip, Coding::Br]);
    let side = &org.primary;
    let (head, body) = get(&twin, side, WHO_AM_I, "gzip, br");
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    assert!(head.contains("vary: Accept-Encoding\r\n"), "{head}");
    let plain: Value = serde_json::from_slice(&gunzip(&body).unwrap()).unwrap();
    assert!(plain["UserId"].is_string());
    let (head, body) = get(&twin, side, WHO_AM_I, "gzip;q=0.2, br");
    assert!(head.contains("content-encoding: br\r\n"), "{head}");
    assert_eq!(
        serde_json::from_slice::<Value>(&unbr(&body)).unwrap(),
        plain
    );
    let entry = twin.journal().pop().unwrap();
    assert_eq!(
        entry.accept_encoding.as_deref(),
        Some("gzip;q=0.2, br"),
        "{entry:?}"
    );
    for (side, accepts) in [(side, "identity"), (&org.alternate, "gzip, br")] {
        let (head, body) = get(&twin, side, WHO_AM_I, accepts);
        assert!(!head.contains("content-encoding"), "{head}");
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["UserId"], plain["UserId"]);
    }
}

#[test]
fn errors_and_soap_are_coded_and_answers_without_a_body_are_not() {
    let (twin, org) = offering(&[Coding::Gzip]);
    let side = &org.primary;
    let nobody = format!("{ACCOUNTS}(00000000-0000-0000-0000-000000000001)");
    let (head, body) = get(&twin, side, &nobody, "gzip");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let body = String::from_utf8(gunzip(&body).unwrap()).unwrap();
    assert!(body.contains("0x80040217"), "{body}");
    let (head, body) = get(&twin, side, SOAP, "gzip");
    assert!(head.starts_with("HTTP/1.1 500"), "{head}");
    let body = String::from_utf8(gunzip(&body).unwrap()).unwrap();
    assert!(body.contains("OrganizationServiceFault"), "{body}");
    side.fault(fault(
        json!({"kind": "html_page", "status": 503, "times": 1}),
    ))
    .unwrap();
    let (_, body) = get(&twin, side, WHO_AM_I, "gzip");
    assert!(gunzip(&body).unwrap().starts_with(b"<!DOCTYPE html>"));
    side.fault(fault(json!({"kind": "status", "status": 204})))
        .unwrap();
    let (head, _) = get(&twin, side, WHO_AM_I, "gzip");
    assert!(!head.contains("content-encoding"), "{head}");
}

#[test]
fn a_fault_codes_whatever_the_client_accepts() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let answer = json!({"kind": "status", "status": 503, "body": "a body"});
    for (coding, decode) in [
        (
            "gzip",
            &(|bytes: &[u8]| gunzip(bytes).unwrap()) as &dyn Fn(&[u8]) -> Vec<u8>,
        ),
        ("br", &unbr),
    ] {
        side.clear().unwrap();
        side.fault(fault(
            json!({"kind": "coded", "coding": coding, "answer": answer}),
        ))
        .unwrap();
        let (head, body) = get(&twin, side, WHO_AM_I, "identity");
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        assert!(
            head.contains(&format!("content-encoding: {coding}\r\n")),
            "{head}"
        );
        assert_eq!(decode(&body), b"a body");
    }
    side.clear().unwrap();
    side.fault(FaultKind::Coded {
        coding: Coding::Gzip,
        inflated: None,
        truncated: true,
        answer: None,
    })
    .unwrap();
    let (head, body) = get(&twin, side, WHO_AM_I, "gzip");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(
        gunzip(&body).unwrap_err().kind(),
        ErrorKind::UnexpectedEof,
        "the length fits, the coding does not"
    );
}

#[test]
fn a_coded_answer_is_cut_in_the_middle() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let coded = json!({"kind": "coded", "coding": "gzip"});
    side.fault(fault(json!({"kind": "cut_body", "answer": coded})))
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "GET", WHO_AM_I, "");
    let head = raw.read_head();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let (bytes, end) = raw.read_to_end();
    assert_eq!(bytes.len(), support::content_length(&head) / 2);
    assert_eq!(kind(&end), Some(ErrorKind::UnexpectedEof));
    assert!(gunzip(&bytes).is_err());
}

#[test]
fn a_bomb_is_small_on_the_wire() {
    const INFLATED: u64 = 1 << 26;
    let (twin, org) = contoso();
    let side = &org.primary;
    for coding in ["gzip", "br"] {
        side.clear().unwrap();
        side.fault(fault(
            json!({"kind": "coded", "coding": coding, "inflated": INFLATED}),
        ))
        .unwrap();
        let (head, body) = get(&twin, side, WHO_AM_I, "gzip, br");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!((body.len() as u64) < INFLATED / 500, "{}", body.len());
        let decoded = match coding {
            "gzip" => io::copy(&mut GzDecoder::new(&body[..]), &mut io::sink()),
            _ => io::copy(
                &mut brotli::Decompressor::new(&body[..], 1 << 16),
                &mut io::sink(),
            ),
        };
        assert_eq!(decoded.unwrap(), INFLATED, "{coding}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let twice = json!({"kind": "coded", "coding": "br"});
    for (text, word) in [
        (json!({"kind": "coded", "coding": "zip"}), "zip"),
        (
            json!({"kind": "coded", "coding": "br", "answer": twice}),
            "no answer",
        ),
        (
            json!({"kind": "coded", "coding": "br", "inflated": u64::MAX}),
            "at most",
        ),
        (
            json!({"kind": "coded", "coding": "br", "infalted": 1}),
            "infalted",
        ),
    ] {
        let error = serde_json::from_value::<Fault>(text).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}
