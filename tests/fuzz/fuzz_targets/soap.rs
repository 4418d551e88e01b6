//! SOAP faults: whatever the bytes, and however they are cut.
#![no_main]

use d365_failover_core::classify_response;
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let headers = HeaderMap::new();
    let whole = classify_response(500, &headers, body).expect("a 500 is a fault");
    assert!(whole.message.len() < 1024);
    let half = classify_response(500, &headers, &body[..body.len() / 2]);
    assert!(half.is_some());
});
