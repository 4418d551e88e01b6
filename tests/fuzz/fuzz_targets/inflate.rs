//! Compressed bodies. The first byte chooses the Content-Encoding, the second the limit.
#![no_main]

use d365_failover_core::{classify_response, fuzzing};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const CODINGS: [&str; 6] = [
    "gzip",
    "deflate",
    "br",
    "gzip, br",
    "br, deflate",
    "gzip, gzip, gzip",
];

fuzz_target!(|input: &[u8]| {
    let [coding, limit, body @ ..] = input else {
        return;
    };
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let limit = usize::from(*limit) * 64;
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", HeaderValue::from_static(coding));
    let decoded = fuzzing::inflate(&headers, body, limit);
    assert!(decoded.len() <= limit);
    let more = fuzzing::inflate(&headers, body, limit + 1000);
    assert!(
        more.starts_with(&decoded),
        "a larger limit gives no other bytes"
    );
    let _ = classify_response(500, &headers, body);
});
