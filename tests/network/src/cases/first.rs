//! What must come first in the process, and in this order: no thread has ended yet, and then, the
//! resolver has not read a file yet.

use std::sync::mpsc;

use d365_failover_core::AutoSwitch;

use super::machine::{NO_RESOURCES, goes_on};
use crate::machine::{NoDescriptors, NoThreads};
use crate::stage::{LONG, Stage, create};

pub(super) fn no_thread_to_look_up_with(stage: &Stage) {
    NO_RESOURCES.is_shown_with(AutoSwitch::On, stage, |_, client, _| {
        // Of no capacity: who sends knows that the thread runs.
        let (begin, begins) = mpsc::sync_channel(0);
        let (end, ends) = mpsc::channel();
        let caller = client.clone();
        // Not joined: a call that hangs is to fail the case, and not to hang it.
        std::thread::spawn(move || {
            begins.recv().unwrap();
            begins.recv().unwrap();
            let _ = end.send(caller.send(&create()));
        });
        begin.send(()).unwrap();
        let none = NoThreads::new();
        begin.send(()).unwrap();
        let result = ends.recv_timeout(LONG);
        drop(none);
        let result = result.expect("the call hangs");
        goes_on(client);
        result
    });
}

pub(super) fn no_descriptor_to_look_up_the_first_name_with(stage: &Stage) {
    NO_RESOURCES.is_shown_with(AutoSwitch::On, stage, |_, client, request| {
        let _none = NoDescriptors::new();
        client.send(request)
    });
}
