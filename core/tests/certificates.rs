//! Whom the client believes, who it is itself, and what it says when that does not work out: files
//! of certificates as they are found, and handshakes that end.

#![allow(
    clippy::print_stdout,
    reason = "a process tells its test what came of it"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use d365_failover_core::{
    Cause, Client, Error, ErrorKind, FaultKind, ItemKind, Level, Queue, Request, Settings,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;

const HOST: &str = "contoso.crm.script.test";
const ALTERNATE: &str = "contoso--s.crm.script.test";

/// A certificate and its key.
struct Made {
    der: CertificateDer<'static>,
    key: KeyPair,
    params: CertificateParams,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![HOST.to_owned(), ALTERNATE.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn own(params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().clone();
    Made { der, key, params }
}

fn issued(params: CertificateParams, issuer: &Made) -> Made {
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&issuer.params, &issuer.key);
    let der = params.signed_by(&key, &issuer).unwrap().der().clone();
    Made { der, key, params }
}

fn authority(name: &str) -> Made {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    own(params)
}

/// A self-signed server that is its own authority, as development servers are made.
fn both(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = params("a server for development");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    own(params)
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (index, three) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 16 == 0 {
            text.push('\n');
        }
        let bits = three
            .iter()
            .chain(std::iter::repeat(&0))
            .take(3)
            .fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
        for digit in 0..4 {
            if digit <= three.len() {
                text.push(LETTERS[(bits >> (18 - 6 * digit)) as usize & 63] as char);
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn certificate(made: &Made) -> String {
    pem("CERTIFICATE", &made.der)
}

/// A server that shows this certificate. Its port.
fn serve(made: &Made) -> u16 {
    support::secure::serve(made.der.clone(), made.key.serialize_der())
}

/// A server that says these bytes to whoever comes, once something has come.
fn say(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                let _ = stream.write_all(bytes);
                // Until the peer has read it and closes.
                let _ = stream.read(&mut [0; 4096]);
            }
        }
    });
    port
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("d365-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(port: u16, pairs: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::new(&format!("https://{HOST}")).unwrap();
    let to = format!("{HOST}:443:127.0.0.1:{port},{ALTERNATE}:443:127.0.0.1:{port}");
    let fixed = [
        ("connect_to", &*to),
        ("auto_switch", "off"),
        ("max_attempts", "1"),
    ];
    for (key, value) in fixed.iter().chain(pairs) {
        settings.set(key, value).unwrap();
    }
    settings
}

fn call(settings: &Settings) -> Result<u16, Error> {
    let request = Request::new("GET", "/api/data/v9.2/WhoAmI").unwrap();
    let response = Client::open(settings)?.send(&request)?;
    Ok(response.status())
}

/// Opens a client whose log is read, and gives what it said at WARN.
fn warnings(settings: Settings) -> Vec<String> {
    let queue = Queue::new(100).unwrap();
    let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
    client.subscribe(ItemKind::Log.bit()).unwrap();
    let mut told = Vec::new();
    while let Ok(item) = queue.next(Some(std::time::Duration::ZERO)) {
        let event = item.event().unwrap();
        if event.level == Level::Warn {
            told.push(event.message.clone());
        }
    }
    told
}

type Bundle<'a> = (&'a str, Vec<u8>, Option<&'a str>, &'a [&'a str]);
type Said<'a> = (&'a str, &'static [u8], Cause, &'a [&'a str]);

/// A certificate of version 1, and its key: no library makes them any more.
const V1: &str = include_str!("certificates/v1.pem");

#[test]
fn a_ca_bundle_is_taken_as_it_is_found() {
    let folder = Folder::new("bundles");
    let root = authority("A Root");
    let server = issued(params("a server"), &root);
    let port = serve(&server);
    let good = certificate(&root);
    let der = root.der.as_ref();
    // CertAux: SEQUENCE { trust SEQUENCE OF OID | reject [0] SEQUENCE OF OID }, of serverAuth, or
    // of emailProtection alone.
    let server_auth = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let email = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, 4];
    let with = |aux: &[u8]| pem("TRUSTED CERTIFICATE", &[der, aux].concat());
    let trusted = |tag: u8, oid: &[u8]| with(&[&[0x30, 12, tag, 10][..], oid].concat());
    let rejected_within = |tag: u8, length: u8| {
        let head = [0x30, 12, tag, length];
        [&head[..], &server_auth].concat()
    };
    let other = certificate(&authority("B"));
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let no_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let key = root.key.serialize_pem();
    let utf16: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain(good.encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    // name, content, what the error says (none: it is used), what the log says
    let table: Vec<Bundle<'_>> = vec![
        ("plain", good.clone().into(), None, &[]),
        ("mark", format!("\u{feff}{good}").into(), None, &[]),
        (
            "marks within",
            format!("{V1}\u{feff}{good}").into(),
            None,
            &["private key", "line 1"],
        ),
        ("CRLF", good.replace('\n', "\r\n").into(), None, &[]),
        ("CR", good.replace('\n', "\r").into(), None, &[]),
        ("blanks", good.replace('\n', " \t\n  ").into(), None, &[]),
        ("no last line end", good.trim_end().into(), None, &[]),
        (
            "text around",
            format!("# A Root\nsubject: A Root\n{good}and so on\n").into(),
            None,
            &[],
        ),
        (
            "OpenSSL's own form",
            trusted(0x30, &server_auth).into(),
            None,
            &[],
        ),
        (
            "without trust",
            pem("TRUSTED CERTIFICATE", der).into(),
            None,
            &[],
        ),
        (
            "the old name",
            pem("X509 CERTIFICATE", der).into(),
            None,
            &[],
        ),
        (
            "twice",
            [good.clone(), good.clone()].concat().into(),
            None,
            &[],
        ),
        (
            "a key beside it",
            [good.clone(), key.clone()].concat().into(),
            None,
            &["private key"],
        ),
        (
            "broken first",
            [broken, &good].concat().into(),
            None,
            &["certificate 1 (line 1)"],
        ),
        (
            "broken last",
            [&good, no_base64].concat().into(),
            None,
            &["certificate 2 (line", "not base64"],
        ),
        (
            "cut first",
            [cut, &good].concat().into(),
            None,
            &["certificate 1 (line 1)", "END"],
        ),
        (
            "cut last",
            [&good, cut].concat().into(),
            None,
            &["certificate 2", "END"],
        ),
        (
            "rejected",
            trusted(0xa0, &server_auth).into(),
            Some("not trusted for servers"),
            &[],
        ),
        (
            "for mail alone",
            trusted(0x30, &email).into(),
            Some("not trusted for servers"),
            &[],
        ),
        (
            "rejected beside",
            [trusted(0xa0, &server_auth), other.clone()].concat().into(),
            Some("unknown issuer"),
            &["not trusted"],
        ),
        (
            "rejected, and plain",
            [trusted(0xa0, &server_auth), good.clone()].concat().into(),
            Some("not trusted for servers"),
            &[],
        ),
        (
            "plain, and rejected",
            [good.clone(), trusted(0xa0, &server_auth), other.clone()]
                .concat()
                .into(),
            Some("unknown issuer"),
            &["not trusted"],
        ),
        (
            "trust that is cut",
            with(&[0x30, 12, 0xa0, 10, 0x06, 8]).into(),
            Some("what it is trusted for"),
            &[],
        ),
        (
            "trust of a length that it has not, beside",
            [with(&rejected_within(0xa0, 11)), other.clone()]
                .concat()
                .into(),
            Some("unknown issuer"),
            &["what it is trusted for"],
        ),
        (
            "trust that is none",
            with(&rejected_within(0xa5, 10)).into(),
            Some("what it is trusted for"),
            &[],
        ),
        (
            "trust, and more",
            with(&[&rejected_within(0x30, 10)[..], &[5, 0]].concat()).into(),
            Some("what it is trusted for"),
            &[],
        ),
        ("empty", Vec::new(), Some("no certificate in it"), &[]),
        ("text", b"hello".to_vec(), Some("no certificate in it"), &[]),
        ("a key alone", key.into(), Some("but a private key"), &[]),
        (
            "all broken",
            [no_base64, broken].concat().into(),
            Some("certificate 2 (line 4)"),
            &[],
        ),
        ("DER", der.to_vec(), Some("openssl x509 -inform der"), &[]),
        ("UTF-16", utf16, Some("UTF-16"), &[]),
    ];
    for (name, content, refused, told) in table {
        let path = folder.file("bundle.pem", content);
        let path = path.to_str().unwrap();
        let settings = settings(port, &[("ca_bundle", path)]);
        match (call(&settings), refused) {
            (Ok(200), None) => {}
            (Err(error), Some(says)) => {
                assert!(error.message().contains(says), "{name}: {error}");
                if error.kind() == ErrorKind::InvalidSetting {
                    assert!(error.message().contains(path), "{name}: {error}");
                    continue;
                }
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
        let said = warnings(settings);
        let all = said.join("\n");
        assert_eq!(said.is_empty(), told.is_empty(), "{name}: {all}");
        for words in told {
            assert!(all.contains(words) && all.contains(path), "{name}: {all}");
        }
    }
    for (path, says) in [
        (folder.0.clone(), "directory"),
        (folder.0.join("none.pem"), "none.pem"),
    ] {
        let error = call(&settings(port, &[("ca_bundle", path.to_str().unwrap())])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        assert!(error.message().contains(says), "{error}");
    }
}

#[test]
fn an_authority_of_version_1_is_one() {
    let folder = Folder::new("v1");
    let bundle = folder.file("v1.pem", V1);
    let key = KeyPair::from_pem(V1).unwrap();
    let mut named = CertificateParams::default();
    named.distinguished_name = rcgen::DistinguishedName::new();
    named
        .distinguished_name
        .push(DnType::CommonName, "An Old Root");
    let root = Made {
        der: CertificateDer::from(Vec::new()),
        key,
        params: named,
    };
    let port = serve(&issued(params("a server"), &root));
    let settings = settings(port, &[("ca_bundle", bundle.to_str().unwrap())]);
    assert_eq!(call(&settings).unwrap(), 200);
}

/// As curl has it: what is trusted may be the server's own, whatever it is else. Its time, its name
/// and what its key is for count all the same.
#[test]
fn a_certificate_in_the_bundle_may_be_the_server_s_own() {
    let folder = Folder::new("own");
    let root = authority("A Root");
    let year = rcgen::date_time_ymd;
    let other_name = || CertificateParams::new(vec!["other.test".to_owned()]).unwrap();
    // name, the server's certificate, what the error says (none: it is believed)
    let table: Vec<(&str, Made, Option<&str>)> = vec![
        ("CA:TRUE", both(|_| {}), None),
        (
            "CA:TRUE, path length 0",
            both(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
            None,
        ),
        (
            "CA:FALSE",
            both(|params| params.is_ca = IsCa::ExplicitNoCa),
            None,
        ),
        (
            "no constraints",
            both(|params| params.is_ca = IsCa::NoCa),
            None,
        ),
        ("issued by another", issued(params("a server"), &root), None),
        (
            "of a name it has not",
            both(|params| params.subject_alt_names = other_name().subject_alt_names),
            Some("is for other.test"),
        ),
        (
            "issued, of a name it has not",
            issued(other_name(), &root),
            Some("is for other.test"),
        ),
        (
            "without a name",
            both(|params| params.subject_alt_names.clear()),
            Some("subjectAltName"),
        ),
        (
            "over",
            both(|params| params.not_after = year(2020, 1, 1)),
            Some("expired on Wed, 01 Jan 2020"),
        ),
        (
            "not yet",
            both(|params| params.not_before = year(2100, 1, 1)),
            Some("not valid before Fri, 01 Jan 2100"),
        ),
        (
            "for clients",
            both(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Some("not for servers"),
        ),
        (
            "for servers",
            both(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            None,
        ),
        (
            "for certificates alone",
            both(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]),
            Some("not for servers"),
        ),
        (
            "CA:FALSE, for certificates alone",
            both(|params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            }),
            Some("not for servers"),
        ),
        (
            "CA:FALSE, for clients",
            both(|params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            Some("not for servers"),
        ),
        (
            "CA:FALSE, of a name it has not",
            both(|params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.subject_alt_names = other_name().subject_alt_names;
            }),
            Some("is for other.test"),
        ),
        (
            "CA:FALSE, over",
            both(|params| {
                params.is_ca = IsCa::ExplicitNoCa;
                params.not_after = year(2020, 1, 1);
            }),
            Some("expired on Wed, 01 Jan 2020"),
        ),
        (
            "for certificates and signatures",
            both(|params| {
                params.key_usages = vec![
                    KeyUsagePurpose::KeyCertSign,
                    KeyUsagePurpose::DigitalSignature,
                ]
            }),
            None,
        ),
    ];
    for (name, made, refused) in table {
        let port = serve(&made);
        let bundle = folder.file("own.pem", certificate(&made));
        let settings = settings(port, &[("ca_bundle", bundle.to_str().unwrap())]);
        match (call(&settings), refused) {
            (Ok(200), None) => {}
            (Err(error), Some(says)) => {
                assert_eq!(error.kind(), ErrorKind::Call(FaultKind::Tls), "{name}");
                assert_eq!(error.fault().unwrap().cause, Cause::Tls, "{name}");
                assert!(error.message().contains(says), "{name}: {error}");
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
        as_curl_does(
            &format!("the bundle has it: {name}"),
            port,
            &bundle,
            refused.is_none(),
        );
    }
    // A server's certificate speaks for itself alone, and not for what its key has signed.
    let no_authority = |change: &dyn Fn(&mut CertificateParams)| both(|params| change(params));
    let explicit = no_authority(&|params| params.is_ca = IsCa::ExplicitNoCa);
    let implicit = no_authority(&|params| params.is_ca = IsCa::NoCa);
    let no_issuer = no_authority(&|params| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    });
    // Not byte for byte the one that is trusted.
    for (name, made, bundle, says) in [
        (
            "of a server, CA:FALSE",
            issued(params("another"), &explicit),
            explicit,
            "\"a server for development\"",
        ),
        (
            "of a server, no constraints",
            issued(params("another"), &implicit),
            implicit,
            "\"a server for development\"",
        ),
        (
            "of CA:TRUE that signs no certificates",
            issued(params("another"), &no_issuer),
            no_issuer,
            "\"a server for development\"",
        ),
        ("its twin", both(|_| {}), both(|_| {}), "self-signed"),
        (
            "of an authority",
            issued(both(|_| {}).params, &root),
            authority("A Root"),
            "CA:TRUE",
        ),
        (
            "of nobody",
            issued(params("a server"), &root),
            authority("B Root"),
            "\"A Root\"",
        ),
    ] {
        let port = serve(&made);
        let bundle = folder.file("other.pem", certificate(&bundle));
        let settings = settings(port, &[("ca_bundle", bundle.to_str().unwrap())]);
        let error = call(&settings).unwrap_err();
        assert_eq!(error.fault().unwrap().cause, Cause::Tls, "{name}");
        assert!(error.message().contains(says), "{name}: {error}");
        as_curl_does(name, port, &bundle, false);
    }
}

/// Asks curl the same, where it is there and speaks TLS by OpenSSL.
fn as_curl_does(name: &str, port: u16, bundle: &std::path::Path, is_believed: bool) {
    let version = Command::new("curl").arg("--version").output();
    if !version.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("OpenSSL")) {
        return;
    }
    let output = Command::new("curl")
        .args([
            "-q",
            "-sS",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            "--cacert",
        ])
        .arg(bundle)
        .args(["--connect-to", &format!("{HOST}:443:127.0.0.1:{port}")])
        .arg(format!("https://{HOST}/"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), is_believed, "{name}: curl: {said}");
}

/// A store of the machine's is read once a process, so this is a process of its own.
#[test]
fn the_machine_s_store_is_taken_as_it_is_found() {
    let folder = Folder::new("store");
    let root = authority("A Root");
    let port = serve(&issued(params("a server"), &root));
    let good = certificate(&root);
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let certificates = folder.0.join("certificates");
    std::fs::create_dir_all(certificates.join("a folder")).unwrap();
    std::fs::write(certificates.join("README"), "hello").unwrap();
    std::fs::write(certificates.join("root.pem"), [broken, &good].concat()).unwrap();
    let file = folder.file("all.pem", format!("\u{feff}{good}{broken}"));
    let none = folder.0.join("none.pem");
    // the variable, what it names, what is said: at WARN where it is used, else in the error
    for (variable, path, is_used, says) in [
        ("SSL_CERT_FILE", &file, true, "certificate 2 (line"),
        (
            "SSL_CERT_DIR",
            &certificates,
            true,
            "root.pem: certificate 1 (line 1)",
        ),
        ("SSL_CERT_FILE", &none, false, "none.pem"),
        (
            "SSL_CERT_FILE",
            &folder.file("empty.pem", ""),
            false,
            "SSL_CERT_FILE",
        ),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_client_by_the_machine_s_store",
                "--ignored",
                "--nocapture",
            ])
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .env(variable, path)
            .env("D365_TEST_PORT", port.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.contains("answered 200"), is_used, "{variable}: {said}");
        assert!(said.contains(says), "{variable}: {said}");
    }
}

#[test]
#[ignore = "the other half of the_machine_s_store_is_taken_as_it_is_found"]
fn a_client_by_the_machine_s_store() {
    let port = std::env::var("D365_TEST_PORT").unwrap().parse().unwrap();
    let settings = settings(port, &[]);
    match call(&settings) {
        Ok(status) => {
            println!("answered {status}");
            println!("{}", warnings(settings).join("\n"));
        }
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_key_may_have_a_file_of_its_own() {
    let folder = Folder::new("keys");
    let port = serve(&both(|_| {}));
    let own = issued(params("a client"), &authority("A Root"));
    let (cert, key) = (certificate(&own), own.key.serialize_pem());
    let other = KeyPair::generate().unwrap().serialize_pem();
    let both_in_one = [&*cert, &other].concat();
    // client_certificate, client_key, what the error says (none: they are used)
    let table: [(Option<&str>, &str, Option<&str>); 5] = [
        (Some(&cert), &key, None),
        (Some(&both_in_one), &key, None),
        (
            Some(&cert),
            &other,
            Some("not that of the first certificate"),
        ),
        (Some(&cert), &cert, Some("there is no private key in it")),
        (None, &key, Some("there is no client_certificate")),
    ];
    for (index, (certificate, key, refused)) in table.into_iter().enumerate() {
        let paths = [
            folder.file("cert.pem", certificate.unwrap_or_default()),
            folder.file("key.pem", key),
        ];
        let [cert_path, key_path] = paths.each_ref().map(|path| path.to_str().unwrap());
        let mut pairs = vec![("tls_verify", "off"), ("client_key", key_path)];
        pairs.extend(certificate.map(|_| ("client_certificate", cert_path)));
        match (call(&settings(port, &pairs)), refused) {
            (Ok(200), None) => {}
            (Err(error), Some(says)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{index}: {error}");
                assert!(error.message().contains(says), "{index}: {error}");
            }
            (result, _) => panic!("{index}: {result:?}"),
        }
    }
}

#[test]
fn a_client_s_certificate_is_taken_as_it_is_found() {
    let folder = Folder::new("identities");
    let port = serve(&both(|_| {}));
    let root = authority("A Root");
    let own = issued(params("a client"), &root);
    let (cert, chain, key) = (
        certificate(&own),
        certificate(&root),
        own.key.serialize_pem(),
    );
    let other = KeyPair::generate().unwrap().serialize_pem();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted_before = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    // name, content, what the error says (none: it is used)
    let table: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("plain", [&*cert, &chain, &key].concat().into(), None),
        ("key first", [&*key, &cert, &chain].concat().into(), None),
        ("mark", format!("\u{feff}{cert}\u{feff}{key}").into(), None),
        (
            "mark before the key",
            format!("\u{feff}{key}{cert}").into(),
            None,
        ),
        (
            "CRLF",
            [&*cert, &key].concat().replace('\n', "\r\n").into(),
            None,
        ),
        (
            "attributes",
            format!("Bag Attributes\n    friendlyName: a\n{cert}Key Attributes: none\n{key}")
                .into(),
            None,
        ),
        (
            "parameters",
            [parameters, &key, &cert].concat().into(),
            None,
        ),
        (
            "OpenSSL's own form",
            [&pem("TRUSTED CERTIFICATE", &own.der), &*key]
                .concat()
                .into(),
            None,
        ),
        (
            "encrypted",
            [&*cert, encrypted].concat().into(),
            Some("encrypted"),
        ),
        (
            "encrypted in the old form",
            [&*cert, encrypted_before].concat().into(),
            Some("encrypted"),
        ),
        (
            "another's key",
            [&*cert, &other].concat().into(),
            Some("not that of the first certificate"),
        ),
        (
            "the chain first",
            [&*chain, &cert, &key].concat().into(),
            Some("not that of the first certificate"),
        ),
        (
            "a broken certificate",
            [
                &*cert,
                "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                &key,
            ]
            .concat()
            .into(),
            Some("certificate 2 (line"),
        ),
        (
            "no certificate",
            key.clone().into(),
            Some("no certificate in it"),
        ),
        ("no key", cert.clone().into(), Some("no private key in it")),
        (
            "a key of SSH's",
            [&*cert, ssh].concat().into(),
            Some("cannot be read"),
        ),
        (
            "a cut key",
            [&*cert, &key[..60]].concat().into(),
            Some("cannot be read"),
        ),
        ("empty", Vec::new(), Some("no certificate in it")),
        ("PKCS #12, or DER", own.der.to_vec(), Some("openssl pkcs12")),
    ];
    for (name, content, refused) in table {
        let path = folder.file("identity.pem", content);
        let path = path.to_str().unwrap();
        let pairs = [("tls_verify", "off"), ("client_certificate", path)];
        match (call(&settings(port, &pairs)), refused) {
            (Ok(200), None) => {}
            (Err(error), Some(says)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidSetting, "{name}: {error}");
                let said = error.message();
                assert!(
                    said.contains(says) && said.contains(path),
                    "{name}: {error}"
                );
                assert!(
                    !said.contains("MIIB") && !said.contains(&key[30..50]),
                    "{name}: {error}"
                );
            }
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
}

/// What a handshake ends with is told with what to do; its cause is the one that it always was.
#[test]
fn a_handshake_that_fails_says_what_to_do() {
    /// An alert, fatal.
    macro_rules! alert {
        ($number:literal) => {
            &[0x15, 3, 3, 0, 2, 2, $number]
        };
    }
    // A ServerHello with the cipher suite ECDHE-RSA-AES128-SHA.
    macro_rules! hello {
        ($version:literal, $suite:literal) => {{
            const HELLO: [u8; 47] = {
                let mut hello = [7; 47];
                let head = [0x16, 3, $version, 0, 42, 2, 0, 0, 38, 3, $version];
                let mut index = 0;
                while index < head.len() {
                    hello[index] = head[index];
                    index += 1;
                }
                hello[43] = 0;
                hello[44] = ($suite >> 8) as u8;
                hello[45] = ($suite & 0xff) as u8;
                hello[46] = 0;
                hello
            };
            &HELLO
        }};
    }
    let offer = &[
        "TLS 1.3 with TLS13_AES_256_GCM",
        "TLS 1.2 with TLS_ECDHE_",
        "X25519",
    ][..];
    // what a server says, the cause, what the error says
    let table: &[Said] = &[
        (
            "protocol_version",
            alert!(70),
            Cause::TlsAlert,
            &[
                "none of its TLS versions fits",
                offer[0],
                offer[1],
                offer[2],
            ],
        ),
        (
            "handshake_failure",
            alert!(40),
            Cause::TlsAlert,
            &[
                "no cipher suite",
                "client_certificate",
                offer[0],
                offer[1],
                offer[2],
            ],
        ),
        (
            "insufficient_security",
            alert!(71),
            Cause::TlsAlert,
            &["no cipher suite", offer[1]],
        ),
        (
            "no_application_protocol",
            alert!(120),
            Cause::TlsAlert,
            &["http2"],
        ),
        (
            "unrecognized_name",
            alert!(112),
            Cause::TlsAlert,
            &["no host of this name"],
        ),
        (
            "certificate_required",
            alert!(116),
            Cause::TlsAlert,
            &["set client_certificate"],
        ),
        (
            "unknown_ca",
            alert!(48),
            Cause::TlsAlert,
            &["client_certificate: its issuer"],
        ),
        (
            "internal_error",
            alert!(80),
            Cause::TlsAlert,
            &["its own log"],
        ),
        (
            "TLS 1.1",
            hello!(2, 0xc013),
            Cause::Tls,
            &["too old", offer[0], offer[1]],
        ),
        (
            "TLS 1.0",
            hello!(1, 0x002f),
            Cause::Tls,
            &["too old", offer[0]],
        ),
        (
            "RSA key exchange",
            hello!(3, 0x002f),
            Cause::Tls,
            &["cipher suite that was not offered", offer[1]],
        ),
        (
            "http",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            Cause::Tls,
            &["speaks no TLS"],
        ),
    ];
    for (name, bytes, cause, says) in table {
        let settings = settings(say(bytes), &[("tls_verify", "off")]);
        let error = call(&settings).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::Tls),
            "{name}: {error}"
        );
        assert_eq!(error.fault().unwrap().cause, *cause, "{name}: {error}");
        for words in *says {
            assert!(error.message().contains(words), "{name}: {error}");
        }
    }
}
