//! Keeps the C symbols of the library inside the extension module.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The C library has a soname of its own; under that, a library that needs the real one would be given this one,
        // which exports none of its functions.
        let soname = "-soname,d365_failover._native";
        for argument in ["-z,nodelete", soname] {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
        }
    }
}
