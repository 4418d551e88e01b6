//! How commits of one side reach the other.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::role::Role;
use crate::store::{Key, Version};

/// How commits of one side reach the other, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replication {
    /// When; `off` by default.
    #[serde(default)]
    pub mode: ReplicationMode,
    /// With mode `lag`: milliseconds after the commit. 0, the default, is before the answer.
    #[serde(default)]
    pub lag_ms: u64,
    /// True: nothing crosses; what was committed waits until the partition ends. Faults at the
    /// sockets do not stop replication, only this does. False by default.
    #[serde(default)]
    pub partition: bool,
}

/// When a commit reaches the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicationMode {
    /// Never: what is committed now, and what waited, is lost to the other side.
    #[default]
    Off,
    /// After `lag_ms`.
    Lag,
    /// When `replicate` is called.
    Manual,
}

impl Replication {
    /// Commits never cross.
    pub fn off() -> Replication {
        Replication::default()
    }

    /// Commits cross after `lag_ms` milliseconds.
    pub fn lag(lag_ms: u64) -> Replication {
        Replication {
            mode: ReplicationMode::Lag,
            lag_ms,
            partition: false,
        }
    }

    /// Commits cross when `replicate` is called.
    pub fn manual() -> Replication {
        Replication {
            mode: ReplicationMode::Manual,
            ..Replication::default()
        }
    }

    /// The same with a partition between the sides.
    pub fn partitioned(self) -> Replication {
        Replication {
            partition: true,
            ..self
        }
    }
}

/// One commit on its way to the other side.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) to: Role,
    pub(crate) key: Key,
    /// The commit that this one replaced on its own side, 0 for none: if the other side has
    /// another one, both were changed without knowledge of each other.
    pub(crate) base: u64,
    pub(crate) version: Version,
    pub(crate) committed_at: Instant,
}

/// The commits on their way, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ReplicationLog {
    pub(crate) settings: Replication,
    waiting: VecDeque<Change>,
}

impl ReplicationLog {
    pub(crate) fn new(settings: Replication) -> ReplicationLog {
        ReplicationLog {
            settings,
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn set(&mut self, settings: Replication) {
        self.settings = settings;
        if settings.mode == ReplicationMode::Off {
            self.waiting.clear();
        }
    }

    pub(crate) fn push(&mut self, change: Change) {
        if self.settings.mode != ReplicationMode::Off {
            self.waiting.push_back(change);
        }
    }

    /// Drops what was pushed after that many waited.
    pub(crate) fn forget_after(&mut self, waiting: u64) {
        self.waiting
            .truncate(usize::try_from(waiting).unwrap_or(usize::MAX));
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// When the next change crosses by itself.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.settings.mode != ReplicationMode::Lag || self.settings.partition {
            return None;
        }
        let lag = Duration::from_millis(self.settings.lag_ms);
        self.waiting.front().map(|change| change.committed_at + lag)
    }

    /// Takes the next change that has crossed by `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Change> {
        let due = self.next_due()?;
        if due <= now {
            self.waiting.pop_front()
        } else {
            None
        }
    }

    /// Takes everything that waits.
    pub(crate) fn take_all(&mut self) -> Result<VecDeque<Change>, &'static str> {
        if self.settings.partition {
            return Err("the sides are partitioned: set `partition` to false first");
        }
        Ok(std::mem::take(&mut self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_names_mode_and_lag() {
        let text = json!({"mode": "lag", "lag_ms": 20, "partition": false});
        let replication: Replication = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(replication, Replication::lag(20));
        assert_eq!(serde_json::to_value(replication).unwrap(), text);
        let replication: Replication = serde_json::from_value(json!({"mode": "off"})).unwrap();
        assert_eq!(replication, Replication::off());
    }
}
