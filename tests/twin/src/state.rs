//! Everything of an organization that changes, under one lock that is never held over I/O.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;
use uuid::Uuid;

use crate::armed::FaultSet;
use crate::config::{OrganizationConfig, Tokens, Wsdl};
use crate::counts::Counts;
use crate::fault::{Fault, FaultId};
use crate::fault_kind::FaultKind;
use crate::file_column::{Files, Uploads};
use crate::freeze::Freeze;
use crate::replication::{Change, ReplicationLog};
use crate::role::{Authority, Role};
use crate::store::{Applied, Key, Store, Version};

/// A row as it stands on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowView {
    /// The row's id.
    pub id: Uuid,
    /// The entity's logical name, `account`.
    pub entity: String,
    /// The row's `name`, if it has one.
    pub name: Option<String>,
    /// Whether the primary has it.
    pub primary: bool,
    /// Whether the alternate has it.
    pub alternate: bool,
    /// Whether both sides have the same version.
    pub same: bool,
    /// The attributes of the newest version.
    pub attributes: Map<String, Value>,
}

/// Rows of one entity that have one name and different ids, over both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicate {
    /// The entity's logical name.
    pub entity: String,
    /// The name that they share.
    pub name: String,
    /// Their ids.
    pub ids: Vec<Uuid>,
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve,
    /// Close if no request is under way.
    CloseIdle,
    Reset,
}

pub(crate) struct ConnectionState {
    pub(crate) command: watch::Sender<Command>,
    /// Requests that are under way on it.
    pub(crate) requests: u64,
    /// Whether a request has come on it.
    pub(crate) has_served: bool,
}

impl ConnectionState {
    pub(crate) fn is_idle(&self) -> bool {
        self.requests == 0
    }
}

#[derive(Default)]
pub(crate) struct SideState {
    pub(crate) store: Store,
    pub(crate) faults: FaultSet,
    pub(crate) counts: Counts,
    pub(crate) connections: BTreeMap<u64, ConnectionState>,
    pub(crate) uploads: Uploads,
    /// Of its sockets.
    pub(crate) freeze: Freeze,
}

impl SideState {
    pub(crate) fn add_fault(&mut self, id: FaultId, fault: Fault) {
        self.faults.add(id, fault);
        self.freeze.set(self.faults.is_black_hole());
    }

    pub(crate) fn remove_fault(&mut self, id: FaultId) -> bool {
        let was_set = self.faults.remove(id);
        self.freeze.set(self.faults.is_black_hole());
        was_set
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
        self.freeze.set(false);
    }

    /// Whether a request has come on the connection before.
    pub(crate) fn is_reused(&self, connection: u64) -> bool {
        let connection = self.connections.get(&connection);
        connection.is_some_and(|connection| connection.has_served)
    }

    pub(crate) fn count_fault(&mut self, kind: &str) {
        *self.counts.faults.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn begin_request(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.requests += 1;
            connection.has_served = true;
        }
    }

    pub(crate) fn end_request(&mut self, connection: u64) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.requests -= 1;
        }
    }
}

pub(crate) struct State {
    pub(crate) authority: Authority,
    pub(crate) passive: FaultKind,
    pub(crate) tokens: Tokens,
    pub(crate) wsdl: Wsdl,
    pub(crate) replication: ReplicationLog,
    pub(crate) conflicts: u64,
    pub(crate) replicated: u64,
    pub(crate) files: Files,
    commits: u64,
    sides: [SideState; 2],
}

/// What a change set goes back to when it fails.
pub(crate) struct Savepoint {
    store: Store,
    counts: Counts,
    commits: u64,
    waiting: u64,
}

/// A row that a side has.
#[derive(Clone, Copy)]
struct Living<'a> {
    commit: u64,
    row: &'a Map<String, Value>,
}

/// What one write did to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Created,
    Updated,
    Deleted,
}

impl State {
    pub(crate) fn new(config: &OrganizationConfig) -> State {
        State {
            authority: config.authority,
            passive: config.passive.clone(),
            tokens: config.tokens,
            wsdl: config.wsdl.clone(),
            replication: ReplicationLog::new(config.replication),
            conflicts: 0,
            replicated: 0,
            files: Files::new(),
            commits: 0,
            sides: Default::default(),
        }
    }

    pub(crate) fn side(&self, role: Role) -> &SideState {
        &self.sides[role.index()]
    }

    pub(crate) fn side_mut(&mut self, role: Role) -> &mut SideState {
        &mut self.sides[role.index()]
    }

    /// Commits a row, or with `None` its deletion, on a side; returns the commit's number.
    pub(crate) fn commit(
        &mut self,
        role: Role,
        key: Key,
        row: Option<Map<String, Value>>,
        write: Write,
    ) -> u64 {
        self.commits += 1;
        let version = Version {
            commit: self.commits,
            row,
        };
        let side = self.side_mut(role);
        let base = side.store.put(key.clone(), version.clone());
        side.counts.committed += 1;
        match write {
            Write::Created => side.counts.creates += 1,
            Write::Updated => side.counts.updates += 1,
            Write::Deleted => side.counts.deletes += 1,
        }
        let to = role.other();
        self.replication.push(Change {
            to,
            key,
            base,
            version,
            committed_at: Instant::now(),
        });
        self.commits
    }

    /// What a change set of this side goes back to. Nothing may settle in between.
    pub(crate) fn savepoint(&self, role: Role) -> Savepoint {
        let side = self.side(role);
        Savepoint {
            store: side.store.clone(),
            counts: side.counts.clone(),
            commits: self.commits,
            waiting: self.replication.waiting(),
        }
    }

    /// Undoes every commit since.
    pub(crate) fn rollback(&mut self, role: Role, before: Savepoint) {
        let side = self.side_mut(role);
        side.store = before.store;
        let counts = &mut side.counts;
        counts.creates = before.counts.creates;
        counts.updates = before.counts.updates;
        counts.deletes = before.counts.deletes;
        counts.committed = before.counts.committed;
        self.commits = before.commits;
        self.replication.forget_after(before.waiting);
    }

    /// Lets everything cross that is due. Called on every lock, so that no reader sees a row late
    /// and no task is needed.
    pub(crate) fn settle(&mut self, now: Instant) {
        while let Some(change) = self.replication.pop_due(now) {
            self.apply(change);
        }
    }

    /// Lets everything cross that waits; returns how many commits did.
    pub(crate) fn replicate(&mut self) -> Result<u64, &'static str> {
        let changes = self.replication.take_all()?;
        let count = changes.len() as u64;
        changes.into_iter().for_each(|change| self.apply(change));
        Ok(count)
    }

    fn apply(&mut self, change: Change) {
        let Change {
            to,
            key,
            base,
            version,
            ..
        } = change;
        self.replicated += 1;
        if self.side_mut(to).store.apply(key, base, version) == Applied::OverConflict {
            self.conflicts += 1;
        }
    }

    /// The rows of both sides, united by id.
    pub(crate) fn rows(&self) -> Vec<RowView> {
        let mut united: BTreeMap<&Key, [Option<Living<'_>>; 2]> = BTreeMap::new();
        for role in Role::ALL {
            for (key, commit, row) in self.side(role).store.rows() {
                united.entry(key).or_default()[role.index()] = Some(Living { commit, row });
            }
        }
        let view = |(key, sides): (&Key, [Option<Living<'_>>; 2])| {
            let [primary, alternate] = sides;
            let newest = sides
                .into_iter()
                .flatten()
                .max_by_key(|living| living.commit)?;
            Some(RowView {
                id: key.id,
                entity: key.entity.clone(),
                name: newest
                    .row
                    .get("name")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                primary: primary.is_some(),
                alternate: alternate.is_some(),
                same: primary.map(|living| living.commit) == alternate.map(|living| living.commit),
                attributes: newest.row.clone(),
            })
        };
        united.into_iter().filter_map(view).collect()
    }

    /// Rows that share entity and name.
    pub(crate) fn duplicates(&self) -> Vec<Duplicate> {
        let mut by_name: BTreeMap<(String, String), Vec<Uuid>> = BTreeMap::new();
        for row in self.rows() {
            if let Some(name) = row.name {
                by_name.entry((row.entity, name)).or_default().push(row.id);
            }
        }
        by_name
            .into_iter()
            .filter(|(_, ids)| ids.len() > 1)
            .map(|((entity, name), ids)| Duplicate { entity, name, ids })
            .collect()
    }
}
