//! The rows of one side.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

/// Names a row: the entity's logical name (`account`), and the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) entity: String,
    pub(crate) id: Uuid,
}

/// What one commit left of a row; `None` is the trace of a deletion.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Version {
    /// Counts the organization's commits from 1, over both sides; also the row's etag.
    pub(crate) commit: u64,
    pub(crate) row: Option<Map<String, Value>>,
}

/// The rows of one side; tables are schemaless, and come with their first row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    versions: BTreeMap<Key, Version>,
}

/// What became of a replicated version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It follows the version that was there.
    Clean,
    /// It replaced an older version that it did not know.
    OverConflict,
    /// A newer version is there.
    Stale,
}

impl Store {
    /// The living row, with its commit.
    pub(crate) fn row(&self, key: &Key) -> Option<(u64, &Map<String, Value>)> {
        let version = self.versions.get(key)?;
        Some((version.commit, version.row.as_ref()?))
    }

    /// The living rows of an entity.
    pub(crate) fn rows_of<'a>(
        &'a self,
        entity: &'a str,
    ) -> impl Iterator<Item = (Uuid, u64, &'a Map<String, Value>)> {
        let first = Key {
            entity: entity.to_owned(),
            id: Uuid::nil(),
        };
        self.versions
            .range(first..)
            .take_while(move |(key, _)| key.entity == entity)
            .filter_map(|(key, version)| Some((key.id, version.commit, version.row.as_ref()?)))
    }

    /// Every living row.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Key, u64, &Map<String, Value>)> {
        self.versions
            .iter()
            .filter_map(|(key, version)| Some((key, version.commit, version.row.as_ref()?)))
    }

    /// Puts a version and returns the commit that it replaced, 0 for none.
    pub(crate) fn put(&mut self, key: Key, version: Version) -> u64 {
        self.versions
            .insert(key, version)
            .map_or(0, |before| before.commit)
    }

    /// Puts a version that comes from the other side: the last write wins.
    pub(crate) fn apply(&mut self, key: Key, base: u64, version: Version) -> Applied {
        let here = self.versions.get(&key).map_or(0, |here| here.commit);
        if here >= version.commit {
            return Applied::Stale;
        }
        self.versions.insert(key, version);
        if here == base {
            Applied::Clean
        } else {
            Applied::OverConflict
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(commit: u64, name: &str) -> Version {
        Version {
            commit,
            row: json!({ "name": name }).as_object().cloned(),
        }
    }

    fn key() -> Key {
        Key {
            entity: "account".into(),
            id: Uuid::from_u128(7),
        }
    }

    #[test]
    fn the_last_write_wins_and_only_the_overwriting_is_a_conflict() {
        let (mut one, mut two) = (Store::default(), Store::default());
        one.put(key(), version(1, "one"));
        two.put(key(), version(2, "two"));
        assert_eq!(two.apply(key(), 0, version(1, "one")), Applied::Stale);
        assert_eq!(
            one.apply(key(), 0, version(2, "two")),
            Applied::OverConflict
        );
        assert_eq!(one.row(&key()), two.row(&key()));
    }

    #[test]
    fn versions_that_follow_each_other_are_clean() {
        let mut other = Store::default();
        assert_eq!(other.apply(key(), 0, version(1, "a")), Applied::Clean);
        assert_eq!(other.apply(key(), 1, version(4, "b")), Applied::Clean);
        assert_eq!(
            other.apply(
                key(),
                4,
                Version {
                    commit: 5,
                    row: None
                }
            ),
            Applied::Clean
        );
        assert!(other.row(&key()).is_none());
    }

    #[test]
    fn rows_of_one_entity_do_not_show_another() {
        let mut store = Store::default();
        store.put(key(), version(1, "a"));
        store.put(
            Key {
                entity: "accountx".into(),
                ..key()
            },
            version(2, "b"),
        );
        assert_eq!(store.rows_of("account").count(), 1);
        assert_eq!(store.rows().count(), 2);
    }
}
