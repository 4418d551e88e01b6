//! The JNI library beneath the Java package `io.github.d365failover`.
//!
//! Every native method of `impl.Native` is here, and nothing else: it unpacks its arguments, calls the C ABI, and packs
//! what came of it into one `byte[]` (see [`packet`]). No class of the application's is looked up and no thread of the
//! library enters the JVM: events, completions and token requests are fetched by Java's own daemon threads, and what a
//! call asks of the application is asked on the Java thread that is inside of it (see [`upcall`]). So no class loader is
//! a special one, and nothing here keeps a JVM from exiting.

mod client;
mod failure;
mod jvm;
mod ledger;
mod outgoing;
mod owned;
mod packet;
mod queue;
mod request;
mod response;
mod result;
mod token;
mod tools;
mod upcall;
