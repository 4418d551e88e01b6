//! What an application was told of rows, against the rows that there are.

use std::collections::{BTreeMap, BTreeSet};

use d365_twin::RowView;
use serde::Serialize;
use uuid::Uuid;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) name: String,
}

/// Rows of one name. Each create of an application has a name of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DuplicateRows {
    pub(crate) name: String,
    pub(crate) ids: Vec<Uuid>,
}

/// The rows of one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Rows that it was told of.
    pub(crate) told: usize,
    /// Of these, rows that are on neither side, or there under another name.
    pub(crate) missing: Vec<Row>,
    /// Rows that are there and that it was never told of.
    pub(crate) untold: Vec<Row>,
    pub(crate) duplicates: Vec<DuplicateRows>,
}

impl Comparison {
    /// Of the twin's rows those count whose name begins with `<language>-`.
    pub(crate) fn new(language: &str, told: &[(Uuid, &str)], rows: &[RowView]) -> Comparison {
        let prefix = format!("{language}-");
        let mut names: BTreeMap<Uuid, &str> = BTreeMap::new();
        let mut by_name: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.primary || row.alternate) {
            let name = row.name.as_deref().unwrap_or("");
            if name.starts_with(&prefix) {
                names.insert(row.id, name);
                by_name.entry(name).or_default().push(row.id);
            }
        }
        let told: BTreeSet<(Uuid, &str)> = told.iter().copied().collect();
        let row = |(id, name): (Uuid, &str)| Row {
            id,
            name: name.to_owned(),
        };
        let found = |(id, name): &(Uuid, &str)| names.get(id) == Some(name);
        let missing = told.iter().filter(|told| !found(told)).copied().map(row);
        let there = names.iter().map(|(id, name)| (*id, *name));
        let duplicates = by_name.into_iter().filter(|(_, ids)| ids.len() > 1);
        Comparison {
            told: told.len(),
            missing: missing.collect(),
            untold: there.filter(|row| !told.contains(row)).map(row).collect(),
            duplicates: duplicates
                .map(|(name, ids)| DuplicateRows {
                    name: name.to_owned(),
                    ids,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(id: u128, name: &str) -> RowView {
        RowView {
            id: Uuid::from_u128(id),
            entity: "account".into(),
            name: Some(name.into()),
            primary: id.is_multiple_of(2),
            alternate: !id.is_multiple_of(2),
            same: false,
            attributes: Default::default(),
        }
    }

    #[test]
    fn told_and_found_are_compared_by_id_and_by_name() {
        let rows = [
            there(1, "c-web-1"),
            there(2, "c-web-2"),
            there(3, "c-web-2"),
            there(4, "c-soap-9"),
            there(5, "java-web-1"),
        ];
        let told = [
            (1, "c-web-1"),
            (2, "c-web-2"),
            (4, "c-soap-4"),
            (6, "c-web-6"),
        ];
        let told = told.map(|(id, name)| (Uuid::from_u128(id), name));
        let compared = Comparison::new("c", &told, &rows);
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        assert_eq!(compared.told, 4);
        assert_eq!(names(&compared.missing), ["c-soap-4", "c-web-6"]);
        assert_eq!(names(&compared.untold), ["c-web-2", "c-soap-9"]);
        let ids = [2, 3].map(Uuid::from_u128).to_vec();
        let name = "c-web-2".to_owned();
        assert_eq!(compared.duplicates, [DuplicateRows { name, ids }]);
    }
}
