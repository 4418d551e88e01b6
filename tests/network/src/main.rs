//! Failures of names, routes and sockets that loopback alone cannot make, against the real client
//! and the real system: its resolver, its routes, its firewall.
//!
//! The program starts itself again in namespaces of its own, so that the machine is not touched.
//! Where the machine does not allow that, it says `SKIPPED` and why; with `D365_REQUIRE_NETNS=1`
//! that is a failure.
#![allow(clippy::print_stdout, reason = "a test program's output is its result")]

mod cases;
mod dns;
mod failure;
mod firewall;
mod machine;
mod namespace;
mod stage;

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use libtest_mimic::{Arguments, Trial};

use crate::stage::Stage;

/// Set to 1 it makes a failure of a machine that does not allow the namespaces.
const REQUIRE: &str = "D365_REQUIRE_NETNS";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if !arguments.list && !namespace::is_inside() {
        let why = namespace::enter();
        println!("SKIPPED: {why}");
        return match std::env::var_os(REQUIRE) {
            Some(value) if value == "1" => {
                println!("{REQUIRE}=1 makes that a failure");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        };
    }
    // Rules, routes and limits are the whole process's.
    arguments.test_threads = Some(1);
    let stage = Arc::new(LazyLock::new(Stage::start as fn() -> Stage));
    let trials = cases::ALL
        .iter()
        .map(|(name, case)| {
            let stage = Arc::clone(&stage);
            Trial::test(*name, move || {
                case(&stage);
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
