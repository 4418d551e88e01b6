//! The linker's part in a JNI library that can live beside other copies of itself.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // nodelete: a class loader that is collected unloads its libraries while threads of this one may still run.
        // soname: the C library has one of its own; under that, a library that needs the real one would be given this
        // one, which exports none of its functions.
        let soname = "-soname,libd365_failover_jni.so";
        for argument in ["-z,nodelete", soname] {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
        }
    }
}
