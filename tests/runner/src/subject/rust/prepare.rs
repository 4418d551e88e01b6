//! The prepare hook that a scenario asks for.

use std::sync::{Mutex, PoisonError};

use d365_failover_core::{Outgoing, Prepare};

use crate::protocol::{self, PreparedRecord};

/// What it does, and what it was handed.
pub(super) struct Hook {
    orders: protocol::Prepare,
    seen: Mutex<Vec<PreparedRecord>>,
}

impl Hook {
    pub(super) fn new(orders: protocol::Prepare) -> Hook {
        Hook {
            orders,
            seen: Mutex::default(),
        }
    }

    pub(super) fn seen(&self) -> Vec<PreparedRecord> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Prepare for Hook {
    fn prepare(&self, outgoing: &mut Outgoing) -> Result<(), String> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(record(outgoing));
        let orders = &self.orders;
        for (name, value) in &orders.set_header {
            outgoing
                .set_header(name, value)
                .map_err(|error| error.to_string())?;
        }
        for name in &orders.remove_header {
            outgoing
                .remove_header(name)
                .map_err(|error| error.to_string())?;
        }
        if let Some(body) = &orders.set_body {
            outgoing.set_body(body.clone());
        }
        let fails = outgoing.number() >= orders.fail_from.unwrap_or(1);
        match &orders.fail {
            Some(why) if fails => Err(why.clone()),
            _ => Ok(()),
        }
    }
}

fn record(outgoing: &Outgoing) -> PreparedRecord {
    PreparedRecord {
        url: outgoing.url().to_owned(),
        endpoint_url: outgoing.endpoint_url().map(str::to_owned),
        role: outgoing.role().map(|role| role.name().to_owned()),
        epoch: outgoing.epoch(),
        attempt: outgoing.number(),
        method: outgoing.method().to_owned(),
        has_authorization: outgoing.headers().contains_key(http::header::AUTHORIZATION),
        body: outgoing
            .body()
            .map(|body| String::from_utf8_lossy(body).into_owned()),
    }
}
