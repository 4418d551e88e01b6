//! The values that a write sends, and those that a row has, as far as they can be compared.

pub(crate) mod odata;
pub(crate) mod soap;

use std::collections::BTreeMap;

use uuid::Uuid;

/// A value by its type on the wire.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it is written: a decimal has more digits than a float keeps.
    Number(String),
    /// Texts, dates, ids.
    Text(String),
}

impl Value {
    pub(crate) fn id(&self) -> Option<Uuid> {
        match self {
            Value::Text(text) => Uuid::try_parse(text).ok(),
            _ => None,
        }
    }
}

/// What a row has, by column.
pub(crate) type Columns = BTreeMap<String, Value>;

/// A row that was read.
#[derive(Default)]
pub(crate) struct RowValues {
    pub(crate) columns: Columns,
    /// A column that is not there is null: so SOAP answers.
    pub(crate) leaves_out_null: bool,
    /// What a write names that wants just this version.
    pub(crate) version: Option<String>,
}

/// What a write sends.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) values: Vec<SentValue>,
    /// The names of what cannot be compared.
    pub(crate) left_out: Vec<String>,
}

/// One value of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SentValue {
    /// As the write names it.
    pub(crate) name: String,
    /// Where the row has it.
    pub(crate) column: String,
    pub(crate) value: Value,
}

impl Sent {
    /// The columns to read.
    pub(crate) fn columns(&self) -> Vec<String> {
        let columns = self.values.iter().map(|sent| sent.column.clone());
        columns.collect()
    }
}
