//! The FailoverPolicy of a WSDL.
#![no_main]

use d365_failover_core::read_failover_policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    let document = String::from_utf8_lossy(document);
    if let Some(policy) = read_failover_policy(&document) {
        // The first policy counts, so what follows it changes nothing.
        let longer = format!("{document}<x>");
        assert_eq!(read_failover_policy(&longer), Some(policy));
    }
});
