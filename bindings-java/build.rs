//! The linker's part in a JNI library that can live beside other copies of itself.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // --exclude-libs: the C functions of the rlib are not exported, so that no other library's calls end here. It
        // has no effect with LTO, hence the profile `dist-binding`.
        // -Bsymbolic: calls of this library do not end in another copy, even where they are exported.
        // nodelete: a class loader that is collected unloads its libraries while threads of this one may still run.
        // soname: the C library has one of its own; under that, a library that needs the real one would be given this
        // one, which exports none of its functions.
        let soname = "-soname,libd365_failover_jni.so";
        for argument in ["--exclude-libs,ALL", "-Bsymbolic", "-z,nodelete", soname] {
            println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
        }
    }
}
