//! What a queue holds: an event, a completion, or a piece of a body.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::listener::Listener;
use crate::thread_id::ThreadId;
use crate::{Decision, Error, ErrorKind, Event, ItemKind, Response};

/// One event or completion. Dropping it answers a decision with its default, and lets go on
/// whoever waits for the handler's end.
pub struct Item {
    kind: ItemKind,
    sequence: u64,
    dropped: u64,
    client_data: usize,
    event: Option<Event>,
    user_data: usize,
    result: Option<Result<Response, Error>>,
    piece: Option<Result<Bytes, Error>>,
    reply: Mutex<Option<oneshot::Sender<Decision>>>,
    is_decision: bool,
    delivery: Option<Delivery>,
}

/// An event that a host has taken and not dropped yet.
struct Delivery {
    listener: Arc<Listener>,
    /// Who took it out. Only then a handler runs.
    taken_by: Option<ThreadId>,
    /// The same, for who waits for that handler.
    is_taken: Arc<AtomicBool>,
    /// Whether its handler counts as running: until the decision is given, or the item dropped.
    is_handled: AtomicBool,
}

impl Item {
    pub(super) fn new(kind: ItemKind, client_data: usize) -> Item {
        Item {
            kind,
            sequence: 0,
            dropped: 0,
            client_data,
            event: None,
            user_data: 0,
            result: None,
            piece: None,
            reply: Mutex::new(None),
            is_decision: false,
            delivery: None,
        }
    }

    pub(crate) fn of_event(
        event: Event,
        client_data: usize,
        listener: &Arc<Listener>,
        reply: Option<oneshot::Sender<Decision>>,
        is_decision: bool,
    ) -> Item {
        let mut item = Item::new(event.kind, client_data);
        item.event = Some(event);
        item.reply = Mutex::new(reply);
        item.is_decision = is_decision;
        item.delivery = Some(Delivery {
            listener: Arc::clone(listener),
            taken_by: None,
            is_taken: Arc::default(),
            is_handled: AtomicBool::new(false),
        });
        item
    }

    /// Becomes true when the event is taken out of the queue.
    pub(crate) fn is_taken(&self) -> Arc<AtomicBool> {
        self.delivery
            .as_ref()
            .map(|delivery| Arc::clone(&delivery.is_taken))
            .unwrap_or_default()
    }

    pub(crate) fn of_completion(
        result: Result<Response, Error>,
        user_data: usize,
        client_data: usize,
    ) -> Item {
        let mut item = Item::new(ItemKind::Completion, client_data);
        item.user_data = user_data;
        item.result = Some(result);
        item
    }

    /// A piece of a streaming body.
    pub(crate) fn of_body(
        piece: Result<Bytes, Error>,
        user_data: usize,
        client_data: usize,
    ) -> Item {
        let mut item = Item::new(ItemKind::Body, client_data);
        item.user_data = user_data;
        item.piece = Some(piece);
        item
    }

    /// Its place in the queue.
    pub(super) fn number(&mut self, sequence: u64, dropped: u64) {
        self.sequence = sequence;
        self.dropped = dropped;
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> ItemKind {
        self.kind
    }

    /// What [`Client::open_with_queue`](crate::Client::open_with_queue) was given.
    #[must_use]
    pub fn client_data(&self) -> usize {
        self.client_data
    }

    /// Its number in the queue, from 1 on.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.sequence
    }

    /// How many chatty items were dropped since the item before it.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether somebody waits for a [`reply`](Item::reply).
    #[must_use]
    pub fn is_decision(&self) -> bool {
        self.is_decision
    }

    /// The event. `None` for a completion.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// What [`Client::submit`](crate::Client::submit) or
    /// [`Response::submit_read`] was given. `None` for an event.
    #[must_use]
    pub fn user_data(&self) -> Option<usize> {
        matches!(self.kind, ItemKind::Completion | ItemKind::Body).then_some(self.user_data)
    }

    /// What a submitted read gave: bytes, none at the end of the body. `None` for other items.
    #[must_use]
    pub fn body(&self) -> Option<&Result<Bytes, Error>> {
        self.piece.as_ref()
    }

    /// The end of the submitted call, once. `None` for an event, and the second time.
    pub fn take_result(&mut self) -> Option<Result<Response, Error>> {
        self.result.take()
    }

    /// Answers the decision.
    ///
    /// # Errors
    /// [`ErrorKind::NotAvailable`] for what is no decision, [`ErrorKind::Late`] when it was
    /// answered before or its time is over.
    pub fn reply(&self, decision: Decision) -> Result<(), Error> {
        if !self.is_decision {
            return Err(Error::new(
                ErrorKind::NotAvailable,
                "this item asks for no decision",
            ));
        }
        self.handled();
        let reply = self
            .reply
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        reply
            .and_then(|reply| reply.send(decision).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Late,
                    "the decision was already taken, by a reply or by handler_timeout",
                )
            })
    }

    /// It was taken out of the queue.
    pub(super) fn taken(&mut self) {
        let (is_decision, is_chatty) = (self.is_decision, self.kind.is_chatty());
        let Some(delivery) = &mut self.delivery else {
            return;
        };
        let thread = ThreadId::here();
        delivery.taken_by = Some(thread);
        delivery.is_taken.store(true, Ordering::Release);
        delivery.listener.begin_holding(thread);
        if !is_chatty {
            *delivery.is_handled.get_mut() = true;
            delivery.listener.begin_handler(thread, is_decision);
        }
    }

    /// The handler has ended, or said all that is waited for. Before the answer goes out, so that
    /// who gets it and asks again finds no handler running.
    fn handled(&self) {
        if let Some(delivery) = &self.delivery
            && let Some(thread) = delivery.taken_by
            && delivery.is_handled.swap(false, Ordering::AcqRel)
        {
            delivery.listener.end_handler(thread, self.is_decision);
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.handled();
        if let Some(delivery) = &self.delivery
            && let Some(thread) = delivery.taken_by
        {
            delivery.listener.end_holding(thread);
        }
    }
}
