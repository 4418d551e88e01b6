//! The WS-Addressing `To` of SOAP messages.
#![no_main]

use bytes::Bytes;
use d365_failover_core::{Organization, Role, fuzzing};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const CONTENT_TYPES: [&str; 1] = ["application/soap+xml"];

fuzz_target!(|body: &[u8]| {
    let pair = |primary, alternate| Organization::new(primary, alternate, None).unwrap();
    let organizations = [
        pair("https://contoso.crm.test", None),
        pair("http://crm.test/Contoso", Some("https://dr.test:8443/a&b")),
    ];
    let body = Bytes::copy_from_slice(body);
    for content_type in CONTENT_TYPES {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        for organization in &organizations {
            for role in [Role::Primary, Role::Alternate] {
                let rewritten = fuzzing::body_for(organization, role, &headers, &body);
                let Some(there) = rewritten else { continue };
                assert_ne!(there, body);
                // What is there already is left alone.
                assert_eq!(
                    fuzzing::body_for(organization, role, &headers, &there),
                    None
                );
            }
        }
    }
});
