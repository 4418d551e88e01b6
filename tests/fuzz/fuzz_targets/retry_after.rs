//! Waits, in the header and in a fault's details: the value, and after a line break the Date.
#![no_main]

use std::time::Duration;

use d365_failover_core::classify_response;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const DAY: Duration = Duration::from_secs(86_400);

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (value, date) = (lines.next().unwrap_or_default(), lines.next());
    let mut headers = HeaderMap::new();
    if let Some(date) = date.and_then(|date| HeaderValue::from_bytes(date).ok()) {
        headers.insert("date", date);
    }
    let body = format!(
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><detail>
        <OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts">
        <ErrorDetails><p><key>Retry-After</key><value>{}</value></p></ErrorDetails>
        </OrganizationServiceFault></detail></s:Fault></s:Body></s:Envelope>"#,
        String::from_utf8_lossy(value)
    );
    let in_body = classify_response(500, &headers, body.as_bytes()).expect("a fault");
    assert!(in_body.retry_after.is_none_or(|wait| wait <= DAY));
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert("retry-after", value);
        let in_header = classify_response(429, &headers, b"").expect("a fault");
        assert!(in_header.retry_after.is_none_or(|wait| wait <= DAY));
    }
});
