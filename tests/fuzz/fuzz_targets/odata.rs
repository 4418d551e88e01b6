//! OData errors in JSON and XML, and the pages that come in their place.
#![no_main]

use d365_failover_core::classify_response;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let mut headers = HeaderMap::new();
    for content_type in ["application/json", "text/html"] {
        headers.insert("content-type", HeaderValue::from_static(content_type));
        for status in [200, 302, 400, 404, 429, 503] {
            let fault = classify_response(status, &headers, body);
            assert!(fault.is_some() || status == 200);
            assert!(fault.is_none_or(|fault| fault.code.is_none() || status >= 400));
        }
    }
});
