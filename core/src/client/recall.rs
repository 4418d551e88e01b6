//! What others have found out, and what the operator says.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant as Clock, SystemTime};

use super::Inner;
use super::switch::Board;
use super::tell::Reason;
use crate::decide::place::Place;
use crate::decide::switch::{Action, Heed};
use crate::resource::state::{Hears, News, OnRecord};
use crate::{Error, ErrorKind, Level, Order, Override, Role};

impl Inner {
    /// Begins the look that goes before calls where only others know that their endpoint serves.
    /// Whether it has begun.
    pub(super) fn look_first(self: &Arc<Self>, board: &mut Board) -> bool {
        let from = board.switch.place();
        let Some((number, actions)) = board.switch.look_first(Clock::now()) else {
            return false;
        };
        self.begin_inquiry(board, number, from, actions, Reason::StoredState)
    }

    /// Begins an inquiry that no fault has led to. Whether it has begun: without a thread nobody looks.
    fn begin_inquiry(
        self: &Arc<Self>,
        board: &mut Board,
        number: u64,
        from: Place,
        actions: Vec<Action>,
        reason: Reason<'static>,
    ) -> bool {
        let (inner, makers) = (Arc::clone(self), board.begins());
        let spawned = self.engine.spawn(async move {
            inner.inquire(number, from, actions, reason, makers).await;
        });
        if spawned.is_err() {
            board.switch.give_up(number);
        }
        spawned.is_ok()
    }

    /// The operator says something else.
    pub(super) fn obey(self: &Arc<Self>, order: Option<Order>) {
        let from = {
            let mut board = self.board();
            let from = board.switch.place();
            if board.switch.order() == order {
                return;
            }
            let actions = board.switch.obey(order, Clock::now());
            self.tell(&board, &actions, from, Reason::Override);
            self.hastened.notify_one();
            (board.switch.place() != from).then_some(from)
        };
        self.log(Level::Warn, || match order {
            Some(order) => order.why().to_owned(),
            None => {
                "the operator's override is over: calls go by the client's own rules".to_owned()
            }
        });
        if let Some(from) = from {
            self.left(from);
        }
    }

    /// What is on record of where calls go was looked at.
    pub(super) fn recalled(&self, holds: bool) {
        let Some(state) = &self.state else {
            return;
        };
        if holds {
            self.tells_again(self.place().role);
        } else {
            state.tell(News::Forget);
        }
        self.log(Level::Info, || {
            let holds = if holds { "holds" } else { "holds no more" };
            format!("what the store has on record of where calls go {holds}")
        });
    }

    /// Calls go there now. What one process alone was told by its environment is no news for others.
    pub(super) fn went(&self, role: Role, reason: Reason<'_>) {
        if let Some(state) = &self.state {
            state.tell(News::Went {
                role,
                by_fault: !matches!(reason, Reason::Hand | Reason::Override),
                max_age: self.settings.state_max_age,
            });
        }
    }

    /// The active endpoint has answered a call.
    pub(super) fn notes_answer(&self) {
        if self.state.is_some() && !self.has_answered.load(Ordering::Relaxed) {
            self.has_answered.store(true, Ordering::Relaxed);
        }
    }

    /// The operator's word, for all processes that name the store.
    pub(super) fn set_override(
        &self,
        value: Option<Override>,
        until: Option<SystemTime>,
    ) -> Result<(), Error> {
        let Some(state) = &self.state else {
            let message = "the client has no store; set store, or D365_FAILOVER in the environment";
            return Err(Error::new(ErrorKind::NotAvailable, message));
        };
        if until.is_some_and(|until| until <= SystemTime::now()) {
            let message = "an override ends in the future, or when it is taken away";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        state.tell_and_wait(News::Order(value.map(|value| (value, until))))
    }
}

impl Hears for Inner {
    fn hears(self: Arc<Self>, told: &OnRecord) {
        if self.check_is_usable().is_err() {
            return;
        }
        let (wall, now) = (SystemTime::now(), Clock::now());
        self.obey(Order::in_force(self.environment, told.order, wall));
        let Some(record) = &told.whereabouts else {
            return;
        };
        let max_age = self.settings.state_max_age;
        let mut board = self.board();
        let from = board.switch.place();
        let heed = board.switch.hears_of(record, max_age, wall, now);
        match heed {
            Heed::Look(number, actions) => {
                let reason = Reason::OtherProcess;
                self.begin_inquiry(&mut board, number, from, actions, reason);
            }
            Heed::Sooner => self.hastened.notify_one(),
            Heed::Nothing | Heed::Later => {}
        }
        drop(board);
        let is_ours = record.role == from.role && record.is_due(max_age, wall);
        if is_ours && self.has_answered.swap(false, Ordering::Relaxed) {
            self.tells_again(from.role);
        }
    }
}

impl Inner {
    /// Calls still go there, and are answered.
    fn tells_again(&self, role: Role) {
        if let Some(state) = &self.state {
            let older_than = self.settings.state_max_age / 4;
            state.tell(News::Confirmed { role, older_than });
        }
    }
}
