//! Waiting until an endpoint answers.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as Clock};

use tokio::time::{Instant, timeout_at};

use super::Inner;
use crate::Cause;
use crate::decide::place::Place;
use crate::decide::switch::WaitOut;
use crate::resource::race::race;
use crate::resource::settled::settled;

/// Why a call waits no longer, although no endpoint answers.
pub(super) struct Unanswered {
    /// What its fault is if it has none of its own.
    pub(super) cause: Cause,
    /// `max_waiting` calls wait already.
    pub(super) is_full: bool,
    /// It has waited for as long as `outage_wait` says.
    pub(super) is_over: bool,
    /// Completes the sentence of its error.
    pub(super) message: String,
}

/// A call that is counted as waiting.
struct Turn<'a>(&'a Inner);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.board().switch.waits_no_more();
    }
}

impl Inner {
    /// Waits until the outage is over, or calls go elsewhere.
    pub(super) async fn outlast(self: &Arc<Self>, deadline: Instant) -> Result<(), Unanswered> {
        let began = Instant::now();
        let mut moved = pin!(self.moved.notified());
        moved.as_mut().enable();
        let (mut until, end) = {
            let mut board = self.board();
            match board.switch.wait_out(began.into_std()) {
                WaitOut::Over => return Ok(()),
                WaitOut::Full => {
                    drop(board);
                    let most = self.settings.max_waiting;
                    let why = format!("{most} calls wait already until one does: max_waiting");
                    return Err(self.unanswered(Cause::Outage, true, &why));
                }
                WaitOut::Until(until) => (Instant::from_std(until), board.end.clone()),
            }
        };
        let _turn = Turn(self);
        let end = async {
            match end {
                Some(end) => settled(end).await,
                None => None,
            }
        };
        let mut over = pin!(race(end, moved));
        loop {
            if timeout_at(until.min(deadline), over.as_mut()).await.is_ok() {
                return Ok(());
            }
            let (now, board) = (Instant::now(), self.board());
            if board.switch.outage().is_none() {
                return Ok(());
            }
            let switch = &board.switch;
            let next = switch.waits_until(began.into_std(), now.into_std());
            let is_over = deadline <= now;
            if is_over || Instant::from_std(next) <= now {
                let what = switch.has_waited_for(began.into_std(), until.into_std());
                drop(board);
                let waited = (now - began).as_millis();
                return Err(if is_over {
                    let why =
                        format!("the call's deadline was over after it had waited {waited} ms");
                    self.unanswered(Cause::Deadline, false, &why)
                } else {
                    let why = format!("the call has waited {waited} ms: {what}");
                    self.unanswered(Cause::Outage, false, &why)
                });
            }
            until = Instant::from_std(next);
        }
    }

    /// Whether a call of which nothing was sent goes although no endpoint answers.
    pub(super) fn tries(&self, unanswered: &Unanswered) -> bool {
        unanswered.is_over && self.board().switch.tries()
    }

    /// What came of such a call's attempt.
    pub(super) fn was_tried(&self, place: Place, is_answered: bool) {
        if is_answered {
            self.board().switch.is_answered(place, Clock::now());
            self.hastened.notify_one();
        }
    }

    /// A call was answered. In an outage that is a reason to look.
    pub(super) fn hints(&self) {
        if self.is_out.load(Ordering::Relaxed) {
            self.board().switch.hints(Clock::now());
            self.hastened.notify_one();
        }
    }

    fn unanswered(&self, cause: Cause, is_full: bool, why: &str) -> Unanswered {
        let board = self.board();
        let outage = board.switch.outage();
        let state = match outage {
            Some(outage) if outage.answered().is_some() => {
                "an endpoint answers again, and it is not decided yet whether calls go there"
                    .to_owned()
            }
            outage => {
                let (lasted, looks) = outage.map_or((Duration::ZERO, 0), |outage| {
                    (outage.lasted(Clock::now()), outage.looks())
                });
                let millis = lasted.as_millis();
                let who = board.who_is_silent();
                format!("{who} a probe, for {millis} ms and in {}", in_words(looks))
            }
        };
        let message = format!("{state}; {why}; {}", board.findings());
        Unanswered {
            cause,
            is_full,
            is_over: cause == Cause::Outage && !is_full,
            message,
        }
    }
}

fn in_words(looks: u32) -> String {
    match looks {
        0 => "no look".to_owned(),
        1 => "one look".to_owned(),
        _ => format!("{looks} looks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_counted_in_words() {
        let table = [(0, "no look"), (1, "one look"), (2, "2 looks")];
        for (looks, words) in table {
            assert_eq!(in_words(looks), words);
        }
    }
}
