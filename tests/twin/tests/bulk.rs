//! Transfers of any size, which no side keeps.

mod support;

use std::io::{self, ErrorKind, Read};

use bytes::Bytes;
use d365_twin::{Condition, Fault, OrgHandle, OrganizationConfig, Scheme, SideHandle, Twin};
use http::Method;
use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use support::h2_client::{H2, take};
use support::{LONG, Raw, client, contoso, kind, twin, url};

/// More than any buffer on the way.
const LARGE: u64 = 50_000_000;

fn hex(context: Context) -> String {
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn digest_of(mut body: impl Read) -> io::Result<(u64, String)> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match body.read(&mut buffer)? {
            0 => return Ok((bytes, hex(context))),
            read => {
                context.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// What the twin says of so many bytes.
fn said(twin: &Twin, side: &SideHandle, bytes: u64) -> (u64, String) {
    let path = format!("/bulk/{bytes}/digest");
    let request = client(twin).get(url(side, &path));
    told(&request.send().unwrap().json().unwrap())
}

fn told(answer: &Value) -> (u64, String) {
    (
        answer["bytes"].as_u64().unwrap(),
        answer["sha256"].as_str().unwrap().to_owned(),
    )
}

fn scheme(scheme: Scheme) -> (Twin, OrgHandle) {
    twin(OrganizationConfig {
        scheme,
        ..OrganizationConfig::new("contoso")
    })
}

/// So many zeros.
struct Zeros(u64);

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.min(buffer.len() as u64);
        buffer[..read as usize].fill(0);
        self.0 -= read;
        Ok(read as usize)
    }
}

#[test]
fn downloads_have_the_digest_that_is_said() {
    for (twin, org) in [scheme(Scheme::Https), scheme(Scheme::Http)] {
        let side = &org.primary;
        for (path, length) in [
            (format!("/bulk/{LARGE}"), Some(LARGE)),
            (format!("/bulk/{LARGE}?chunked=1"), None),
            ("/bulk/0".to_owned(), Some(0)),
        ] {
            let response = client(&twin).get(url(side, &path)).send().unwrap();
            assert_eq!(response.status(), 200, "{path}");
            let claimed = response.headers().get("content-length");
            let claimed = claimed.map(|length| length.to_str().unwrap().parse().unwrap());
            assert_eq!(claimed, length, "{path}");
            let bytes = if path.starts_with("/bulk/0") {
                0
            } else {
                LARGE
            };
            assert_eq!(digest_of(response).unwrap(), said(&twin, side, bytes));
        }
        side.wait_for(Condition::idle(), LONG).unwrap();
        assert_eq!(side.counts().received_by["GET bulk"], 6);
    }
}

#[test]
fn uploads_are_digested() {
    for (twin, org) in [scheme(Scheme::Https), scheme(Scheme::Http)] {
        let side = &org.primary;
        let expected = digest_of(Zeros(LARGE)).unwrap();
        for method in [Method::PUT, Method::POST] {
            let known = reqwest::blocking::Body::sized(Zeros(LARGE), LARGE);
            let unknown = reqwest::blocking::Body::new(Zeros(LARGE));
            for body in [known, unknown] {
                let request = client(&twin).request(method.clone(), url(side, "/bulk"));
                let response = request.body(body).send().unwrap();
                assert_eq!(response.status(), 200);
                assert_eq!(told(&response.json().unwrap()), expected);
            }
        }
    }
}

#[test]
fn a_download_is_cut_in_the_middle() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(serde_json::from_value::<Fault>(json!({"kind": "cut_body"})).unwrap())
        .unwrap();
    let mut raw = Raw::connect(&twin, side).unwrap();
    raw.send(side, "GET", &format!("/bulk/{LARGE}"), "");
    assert_eq!(support::content_length(&raw.read_head()) as u64, LARGE);
    let (bytes, end) = raw.read_to_end();
    assert_eq!(bytes.len() as u64, LARGE / 2);
    assert_eq!(kind(&end), Some(ErrorKind::UnexpectedEof));
    let path = format!("/bulk/{LARGE}?chunked=1");
    let mut response = client(&twin).get(url(side, &path)).send().unwrap();
    let mut read = Vec::new();
    assert!(response.read_to_end(&mut read).is_err());
    assert_eq!(bytes, read);
}

#[test]
fn a_download_stalls_until_it_is_released() {
    let (twin, org) = contoso();
    let side = &org.primary;
    side.fault(serde_json::from_value::<Fault>(json!({"kind": "stall_body"})).unwrap())
        .unwrap();
    let path = format!("/bulk/{LARGE}?chunked=1");
    let mut response = client(&twin).get(url(side, &path)).send().unwrap();
    let mut half = vec![0; LARGE as usize / 2];
    response.read_exact(&mut half).unwrap();
    assert_eq!(side.counts().in_flight, 1);
    side.clear().unwrap();
    let whole = digest_of(half.as_slice().chain(response)).unwrap();
    assert_eq!(whole, said(&twin, side, LARGE));
}

#[test]
fn on_http2_it_is_the_same() {
    let (twin, org) = twin(OrganizationConfig {
        http2: true,
        ..OrganizationConfig::new("contoso")
    });
    let side = &org.primary;
    let h2 = H2::connect(&twin, side);
    let download = |path: String| {
        let (response, _) = h2.begin(h2.request(Method::GET, &path), true);
        h2.wait(async {
            let mut body = response.await?.into_body();
            let mut context = Context::new(&SHA256);
            let mut bytes = 0;
            while let Some(data) = body.data().await {
                let data = take(&mut body, data?);
                context.update(&data);
                bytes += data.len() as u64;
            }
            Ok::<_, h2::Error>((bytes, hex(context)))
        })
    };
    let whole = download(format!("/bulk/{LARGE}")).unwrap();
    assert_eq!(whole, said(&twin, side, LARGE));

    let (response, mut stream) = h2.begin(h2.request(Method::PUT, "/bulk"), false);
    h2.wait(async {
        let mut left = LARGE as usize;
        while left > 0 {
            stream.reserve_capacity(left.min(1 << 16));
            let granted = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
            let piece = granted.unwrap().unwrap().min(left);
            left -= piece;
            stream
                .send_data(Bytes::from(vec![0; piece]), left == 0)
                .unwrap();
        }
    });
    let answer = h2.answer(response).unwrap();
    let expected = digest_of(Zeros(LARGE)).unwrap();
    assert_eq!(told(&serde_json::from_str(&answer.body).unwrap()), expected);

    side.fault(serde_json::from_value::<Fault>(json!({"kind": "cut_body"})).unwrap())
        .unwrap();
    assert!(download(format!("/bulk/{LARGE}")).is_err());
}

#[test]
fn other_methods_and_hosts_are_refused() {
    let (twin, org) = contoso();
    let side = &org.primary;
    let answer = client(&twin).delete(url(side, "/bulk/7")).send().unwrap();
    assert_eq!(answer.status(), 405);
    let head = client(&twin).head(url(side, "/bulk/7")).send().unwrap();
    assert_eq!(head.headers()["content-length"], "7");
    org.set_authority(d365_twin::Authority::Alternate);
    let answer = client(&twin).get(url(side, "/bulk/7")).send().unwrap();
    assert_eq!(answer.status(), 503);
}

/// Seen with `cargo test -p d365-twin --test bulk -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout)]
fn a_gigabyte() {
    for (twin, org) in [scheme(Scheme::Http), scheme(Scheme::Https)] {
        let side = &org.primary;
        let started = std::time::Instant::now();
        let response = client(&twin).get(url(side, "/bulk/1000000000")).send();
        let bytes = io::copy(&mut response.unwrap(), &mut io::sink()).unwrap();
        let down = started.elapsed();
        let body = reqwest::blocking::Body::sized(Zeros(bytes), bytes);
        let request = client(&twin).put(url(side, "/bulk")).body(body);
        assert_eq!(request.send().unwrap().status(), 200);
        let up = started.elapsed() - down;
        said(&twin, side, bytes);
        let digest = started.elapsed() - down - up;
        println!(
            "{}: down {down:?}, up {up:?}, digest {digest:?}",
            side.url()
        );
    }
}
