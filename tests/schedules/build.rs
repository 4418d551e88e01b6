//! The product's own files with shuttle's locks in the place of the standard library's, once as they
//! are and once for each defect that is planted.

use std::path::Path;
use std::{env, fs};

const FILES: [(&str, &str); 6] = [
    ("core/src/resource/queue.rs", "queue"),
    ("core/src/resource/gate.rs", "gate"),
    ("core/src/resource/store/queue.rs", "store_queue"),
    ("core/src/decide/offered.rs", "offered"),
    ("core/src/decide/ramp.rs", "ramp"),
    ("ffi-c/src/handle.rs", "handle"),
];

/// What is replaced: the locks, the time, and what is so large that few threads would never meet.
/// The last one: how many files have it.
const REPLACED: [(&str, &str, usize); 8] = [
    ("use std::sync::{Arc", "use shuttle::sync::{Arc", 3),
    ("use std::sync::{Condvar", "use shuttle::sync::{Condvar", 1),
    (
        "std::thread::yield_now()",
        "shuttle::thread::yield_now()",
        1,
    ),
    (
        "use std::sync::atomic::{AtomicBool",
        "use shuttle::sync::atomic::{AtomicBool",
        1,
    ),
    ("use tokio::time::timeout;", "use crate::time::timeout;", 1),
    ("Instant::now()", "crate::time::now()", 3),
    ("const FIRST: usize = 16;", "const FIRST: usize = 2;", 1),
    (
        "const SHARD_BITS: u32 = 4;",
        "const SHARD_BITS: u32 = 0;",
        1,
    ),
];

/// In which file, under which name, what is planted, and in the place of what.
const PLANTED: [(&str, &str, &str, &str); 6] = [
    // A wake-up that is lost: whoever waits does not hear that something has come.
    ("queue", "queue_put", "self.filled.notify_one();", ""),
    // The same of the end.
    ("queue", "queue_close", "self.filled.notify_all();", ""),
    // An answer lets nobody go.
    (
        "gate",
        "gate_leave",
        "self.let_go(crowd);\n        let is_over",
        "let is_over",
    ),
    // Who asked while a group was committed is not woken for the next.
    (
        "store_queue",
        "store_queue_next",
        "self.queue.done[next].notify_one();",
        "",
    ),
    // Nobody hears that a group was left.
    (
        "store_queue",
        "store_queue_left",
        "done.notify_all();",
        "let _ = done;",
    ),
    // A stale handle means a younger object.
    ("handle", "handle_reuse", "slot.generation += 1;", ""),
];

fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let mut found = [0; REPLACED.len()];
    for (path, name) in FILES {
        let path = Path::new("../..").join(path);
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).unwrap();
        let product = text.split("\n#[cfg(test)]\n").next().unwrap();
        // The documentation of a file cannot be included.
        let lines = product.lines().filter(|line| !line.starts_with("//!"));
        let mut product = lines.collect::<Vec<_>>().join("\n");
        for (count, (from, to, _)) in found.iter_mut().zip(REPLACED) {
            *count += usize::from(product.contains(from));
            product = product.replace(from, to);
        }
        fs::write(format!("{out}/{name}.rs"), &product).unwrap();
        for (_, planted, from, to) in PLANTED.iter().filter(|planted| planted.0 == name) {
            assert_eq!(product.matches(from).count(), 1, "{planted}: {from}");
            let text = product.replacen(from, to, 1);
            fs::write(format!("{out}/{planted}.rs"), text).unwrap();
        }
    }
    for (found, (from, _, expected)) in found.into_iter().zip(REPLACED) {
        assert_eq!(found, expected, "{from}");
    }
}
