//! What a call does: one row of a table per kind.

use d365_failover_core::Operation;
use uuid::Uuid;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `GET` of a row.
    Retrieve,
    /// `GET` of the rows that have a name.
    Query,
    /// SOAP's Retrieve.
    SoapRetrieve,
    /// `POST`; the service chooses the id.
    Create,
    /// `POST` with the id in the body.
    CreateWithId,
    /// `POST` that the library is asked to guard.
    GuardedCreate,
    /// `PATCH` with `If-None-Match: *`.
    CreateOnly,
    /// `PATCH` of a row that is not there, declared an upsert.
    Upsert,
    /// `PATCH` of a row that is there.
    Update,
    /// `PATCH` of a row that is there on the primary, and has not crossed.
    UpdateLone,
    /// `PATCH` of a row that is there, with `If-Match: *`.
    UpdateOnly,
    /// The same with the row's etag.
    UpdateVersion,
    /// `DELETE`.
    Delete,
    /// `DELETE` with the row's etag.
    DeleteVersion,
    /// SOAP's Create; the service chooses the id.
    SoapCreate,
    /// SOAP's Create with an id.
    SoapCreateWithId,
    /// SOAP's Create without an id that the library is asked to guard.
    SoapGuardedCreate,
    /// SOAP's Update.
    SoapUpdate,
    /// SOAP's Delete.
    SoapDelete,
    /// `$batch` of two creates.
    Batch,
    /// `$batch` of a change set of two creates.
    ChangeSet,
}

/// Where the row of a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOf {
    /// Another call's, which is read.
    Another,
    /// New, with an id that the application does not know before.
    Unknown,
    /// New, with an id that the application has chosen.
    Chosen,
    /// There before the history begins, and no other call writes it.
    Seeded,
    /// The same, on the primary alone; it crosses when it is written there.
    Lone,
}

/// What stands in the table about a kind.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// The kind.
    pub kind: Kind,
    /// What a repeat of it does at the service.
    pub operation: Operation,
    /// Where its row comes from.
    pub row: RowOf,
    /// How many rows it makes under its name.
    pub rows_made: usize,
    /// How often it is drawn.
    pub weight: usize,
}

const fn traits(
    kind: Kind,
    operation: Operation,
    row: RowOf,
    rows_made: usize,
    weight: usize,
) -> Traits {
    Traits {
        kind,
        operation,
        row,
        rows_made,
        weight,
    }
}

/// Every kind.
pub const TABLE: [Traits; 21] = {
    use Operation::{Guarded, Idempotent, Read, Unsafe};
    use RowOf::{Another, Chosen, Lone, Seeded, Unknown};
    [
        traits(Kind::Retrieve, Read, Another, 0, 10),
        traits(Kind::Query, Read, Another, 0, 8),
        traits(Kind::SoapRetrieve, Read, Another, 0, 5),
        traits(Kind::Create, Unsafe, Unknown, 1, 12),
        traits(Kind::CreateWithId, Guarded, Chosen, 1, 3),
        traits(Kind::GuardedCreate, Guarded, Unknown, 1, 8),
        traits(Kind::CreateOnly, Guarded, Chosen, 1, 6),
        traits(Kind::Upsert, Idempotent, Chosen, 1, 5),
        traits(Kind::Update, Idempotent, Seeded, 1, 5),
        traits(Kind::UpdateLone, Idempotent, Lone, 1, 4),
        traits(Kind::UpdateOnly, Idempotent, Seeded, 1, 4),
        traits(Kind::UpdateVersion, Guarded, Seeded, 1, 6),
        traits(Kind::Delete, Idempotent, Seeded, 0, 5),
        traits(Kind::DeleteVersion, Guarded, Seeded, 0, 3),
        traits(Kind::SoapCreate, Unsafe, Unknown, 1, 6),
        traits(Kind::SoapCreateWithId, Guarded, Chosen, 1, 3),
        traits(Kind::SoapGuardedCreate, Guarded, Unknown, 1, 5),
        traits(Kind::SoapUpdate, Idempotent, Seeded, 1, 4),
        traits(Kind::SoapDelete, Idempotent, Seeded, 0, 2),
        traits(Kind::Batch, Unsafe, Unknown, 2, 4),
        traits(Kind::ChangeSet, Unsafe, Unknown, 2, 4),
    ]
};

impl Kind {
    /// What stands in the table about it.
    #[must_use]
    pub fn traits(self) -> &'static Traits {
        let found = TABLE.iter().find(|traits| traits.kind == self);
        found.unwrap_or(&TABLE[0])
    }

    /// Whether it travels over SOAP.
    #[must_use]
    pub fn is_soap(self) -> bool {
        matches!(
            self,
            Kind::SoapRetrieve
                | Kind::SoapCreate
                | Kind::SoapCreateWithId
                | Kind::SoapGuardedCreate
                | Kind::SoapUpdate
                | Kind::SoapDelete
        )
    }
}

/// What one call is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The kind.
    pub kind: Kind,
    /// The row that it names, where the application knows it.
    pub row: Option<Uuid>,
    /// The names that its rows get, or for [`Kind::Query`] the one that it looks for.
    pub names: Vec<String>,
    /// The call whose row is read; of a write its own number.
    pub of: u32,
}

impl Work {
    /// What a repeat of it does at the service.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.kind.traits().operation
    }

    /// Whether it reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.operation() == Operation::Read
    }

    /// The name of the row that it finds, where that is there before.
    #[must_use]
    pub fn seeded_name(&self) -> Option<String> {
        let row = self.kind.traits().row;
        matches!(row, RowOf::Seeded | RowOf::Lone).then(|| seeded_name(self.of))
    }
}

/// What the requests of a call carry in their URLs.
pub(crate) fn tag(number: u32) -> String {
    format!("tag_{number:06}")
}

/// The call that a URL was tagged for.
pub(crate) fn tagged(path: &str) -> Option<u32> {
    number_after(path, "tag_")
}

/// The call that a row's name was given by.
pub(crate) fn named(name: &str) -> Option<u32> {
    number_after(name, "call_")
}

fn number_after(text: &str, word: &str) -> Option<u32> {
    let at = text.rfind(word)? + word.len();
    text.get(at..at + 6)?.parse().ok()
}

/// The name that a call gives to the row that it makes or changes.
pub(crate) fn name(number: u32) -> String {
    format!("call_{number:06}")
}

/// The name of a call's row before the history begins.
pub(crate) fn seeded_name(number: u32) -> String {
    format!("seed_{number:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_the_table_once() {
        for traits in &TABLE {
            let same = TABLE.iter().filter(|other| other.kind == traits.kind);
            assert_eq!(same.count(), 1, "{:?}", traits.kind);
            let reads = traits.operation == Operation::Read;
            assert_eq!(reads, traits.row == RowOf::Another, "{:?}", traits.kind);
        }
    }

    #[test]
    fn tags_and_names_are_told_apart() {
        let path = format!("/x?$filter=name eq '{}'&$select={}", name(3), tag(17));
        assert_eq!(tagged(&path), Some(17));
        assert_eq!(named(&format!("{}-1", name(3))), Some(3));
        assert_eq!(tagged("/api/data/v9.2/WhoAmI"), None);
        assert_eq!(named(&seeded_name(4)), None);
    }
}
