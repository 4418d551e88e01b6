//! What the tests have in common.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod contoso;
pub(crate) mod script;
pub(crate) mod secure;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod strict;

use std::time::{Duration, Instant};

/// Waits until something is so; long, because the machine may be busy.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "it never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many threads of this process have a name that begins so.
pub(crate) fn threads_named(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.flatten().filter_map(|task| {
        // One that has ended meanwhile has no name.
        std::fs::read_to_string(task.path().join("comm")).ok()
    });
    names.filter(|name| name.starts_with(prefix)).count()
}
