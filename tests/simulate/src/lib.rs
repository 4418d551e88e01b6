//! Ten thousand clients of one organization in virtual time: what the decisions of this library and
//! the rules of others do in sixteen disasters.
//!
//! No socket, no thread, no clock: a [`World`](world::World) of two [sides](side) with capacity, a
//! queue and rows; [calls](arrivals) that begin at the same moments whatever the rules are; and
//! [rule sets](rules) that send them. Those of this library are its own machines, driven as its client
//! drives them. What the clients are told is compared with what was [executed](truth).
//!
//! What it does not have: tokens that must be fetched, handlers that take time, HTTP's own resends, and TCP's: what was sent into a black hole stays there.

mod agenda;
pub mod arrivals;
pub mod chart;
pub mod disaster;
pub mod figures;
pub mod outcome;
pub mod rules;
pub mod run;
pub mod side;
pub mod table;
pub mod truth;
pub mod world;

/// Time since the beginning.
pub type Time = std::time::Duration;
