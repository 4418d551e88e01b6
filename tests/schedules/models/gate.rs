use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use shuttle::future::block_on;
use shuttle::thread::{spawn, yield_now};

/// Of an application that has offered so much that time is no bound.
fn ramped() -> Gate {
    let before = crate::time::now() - LOOK * 3;
    let gate = Gate::opened(before);
    (0..1000).for_each(|_| gate.begins(before + LOOK));
    gate.ramp(0.0);
    gate
}

/// No time goes by for those who wait, so that it is others' answers and failures alone that let
/// them go; and some leave meanwhile, or do not use their turn.
pub(crate) fn whoever_waits_is_let_go() {
    let gate = ramped();
    let calls: Vec<_> = (0..6)
        .map(|number| {
            let gate = gate.clone();
            spawn(move || {
                if number == 5 {
                    block_on(async {
                        let mut enter = pin!(gate.enter(None));
                        poll_fn(|context| Poll::Ready(enter.as_mut().poll(context).is_ready()))
                            .await
                    });
                    return;
                }
                let leave = block_on(gate.enter(None));
                yield_now();
                match number {
                    0 => drop(leave),
                    1 => leave.take().ended(Became::Failed),
                    2 => leave.take().ended(Became::Untold),
                    _ => leave.take().ended(Became::Answered),
                }
            })
        })
        .collect();
    for call in calls {
        call.join().unwrap();
    }
    // Everything was given back.
    block_on(gate.enter(None)).take().ended(Became::Answered);
    block_on(gate.enter(None)).take().ended(Became::Answered);
    assert!(lock(&gate.0.crowd).waiting.is_empty());
}

/// A second switch meets those who wait from the first.
pub(crate) fn a_second_ramp_leaves_nobody_behind() {
    let gate = ramped();
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let gate = gate.clone();
            spawn(move || {
                let leave = block_on(gate.enter(None));
                yield_now();
                leave.take().ended(Became::Answered);
            })
        })
        .collect();
    gate.ramp(0.0);
    for call in calls {
        call.join().unwrap();
    }
    assert!(lock(&gate.0.crowd).waiting.is_empty());
}
