//! What holds sockets, threads and waiting hosts.

pub(crate) mod bell;
pub(crate) mod cancel;
pub(crate) mod chance;
pub(crate) mod desk;
pub(crate) mod discovery;
pub(crate) mod engine;
pub(crate) mod gate;
pub(crate) mod item;
pub(crate) mod late;
pub(crate) mod ledger;
pub(crate) mod listener;
pub(crate) mod oauth;
pub(crate) mod outlet;
pub(crate) mod probe;
pub(crate) mod queue;
pub(crate) mod race;
pub(crate) mod settled;
pub(crate) mod soon;
pub(crate) mod state;
pub(crate) mod statistics;
pub(crate) mod store;
pub(crate) mod sys;
pub(crate) mod thread;
pub(crate) mod threads;
pub(crate) mod token;
pub(crate) mod transport;
