//! Leads calls back to the primary.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant as Clock;

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::tell::Reason;
use crate::Level;
use crate::decide::place::Place;
use crate::resource::race::{First, race};

impl Inner {
    /// Looks at the primary from time to time, if that may lead calls back which have just left it.
    pub(super) fn watch_home(self: &Arc<Self>) {
        let board = self.board();
        let (place, is_wanted) = (board.switch.place(), board.switch.look_home().is_some());
        drop(board);
        if !is_wanted {
            return;
        }
        let inner = Arc::clone(self);
        let spawned = self.engine.spawn(async move {
            race(Box::pin(inner.come_home(place)), inner.flights.cancelled()).await;
        });
        if let Err(error) = spawned {
            self.log(Level::Warn, || {
                format!("no thread to look at the primary with, for a failback: {error}")
            });
        }
    }

    async fn come_home(self: &Arc<Self>, from: Place) {
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            let next = {
                let board = self.board();
                let next = board.switch.look_home();
                next.filter(|_| board.switch.place() == from)
            };
            let Some((due, look)) = next else {
                return;
            };
            let due = sleep_until(Instant::from_std(due));
            if let First::Right(()) = race(due, moved).await {
                continue;
            }
            let found = self.look(from.role, look).await;
            let began = {
                let mut board = self.board();
                let began = board.switch.looked_home(from, found, Clock::now());
                began.map(|(number, actions)| (number, actions, board.begins()))
            };
            if let Some((number, actions, makers)) = began {
                self.inquire(number, from, actions, Reason::Failback, makers)
                    .await;
            }
        }
    }
}
