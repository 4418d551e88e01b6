//! Keeps the C symbols of the library inside the extension module.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // Without the first, every d365_* function is exported again and can be interposed by another copy of the
        // library in the process. Link-time optimization defeats it; then the second still binds the calls.
        // The C library has a soname of its own; under that, a library that needs the real one would be given this one,
        // which exports none of its functions.
        let soname = "-soname,d365_failover._native";
        for argument in ["--exclude-libs,ALL", "-Bsymbolic", "-z,nodelete", soname] {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
        }
    }
}
