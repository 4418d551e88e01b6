//! One request's view of the rows of its side.

use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::reply::{DUPLICATE_RECORD, OBJECT_DOES_NOT_EXIST, ServiceError};
use crate::role::Role;
use crate::state::{State, Write};
use crate::store::Key;

/// A row's attributes; the id is an attribute as well.
pub(crate) type Row = Map<String, Value>;

/// One request's view of the rows of its side.
pub(crate) struct Session<'a> {
    state: &'a mut State,
    role: Role,
    /// `https://host`, as the client named it.
    pub(crate) base: String,
    /// Business unit, user, organization.
    pub(crate) identity: [Uuid; 3],
    written: Option<Uuid>,
}

/// The attribute that holds an entity's id.
pub(crate) fn id_attribute(entity: &str) -> String {
    format!("{entity}id")
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        state: &'a mut State,
        role: Role,
        base: String,
        identity: [Uuid; 3],
    ) -> Session<'a> {
        Session {
            state,
            role,
            base,
            identity,
            written: None,
        }
    }

    /// The row that was written.
    pub(crate) fn written(&self) -> Option<Uuid> {
        self.written
    }

    /// The row, with the commit that is its etag.
    pub(crate) fn get(&self, key: &Key) -> Option<(u64, &Row)> {
        self.state.side(self.role).store.row(key)
    }

    /// The row, or the error that says that it does not exist.
    pub(crate) fn find(&self, key: &Key) -> Result<(u64, &Row), ServiceError> {
        self.get(key).ok_or_else(|| {
            ServiceError::new(
                OBJECT_DOES_NOT_EXIST,
                StatusCode::NOT_FOUND.as_u16(),
                format!("{} With Id = {} Does Not Exist", key.entity, key.id),
            )
        })
    }

    pub(crate) fn rows_of<'s>(
        &'s self,
        entity: &'s str,
    ) -> impl Iterator<Item = (Uuid, u64, &'s Row)> {
        self.state.side(self.role).store.rows_of(entity)
    }

    /// Creates a row under the id that was chosen, or a new one.
    pub(crate) fn create(
        &mut self,
        entity: &str,
        chosen: Option<Uuid>,
        row: Row,
    ) -> Result<Key, ServiceError> {
        let key = Key {
            entity: entity.to_owned(),
            id: chosen.unwrap_or_else(Uuid::new_v4),
        };
        if self.get(&key).is_some() {
            return Err(ServiceError::new(
                DUPLICATE_RECORD,
                StatusCode::PRECONDITION_FAILED.as_u16(),
                "Cannot insert duplicate key.",
            ));
        }
        self.put(&key, row, Write::Created);
        Ok(key)
    }

    /// Changes the attributes that are given, and leaves the others.
    pub(crate) fn update(&mut self, key: &Key, changes: Row) -> Result<(), ServiceError> {
        let mut row = self.find(key)?.1.clone();
        row.extend(changes);
        self.put(key, row, Write::Updated);
        Ok(())
    }

    pub(crate) fn delete(&mut self, key: &Key) -> Result<(), ServiceError> {
        self.find(key)?;
        self.state
            .commit(self.role, key.clone(), None, Write::Deleted);
        self.written = Some(key.id);
        Ok(())
    }

    fn put(&mut self, key: &Key, mut row: Row, write: Write) {
        row.insert(id_attribute(&key.entity), Value::String(key.id.to_string()));
        self.state.commit(self.role, key.clone(), Some(row), write);
        self.written = Some(key.id);
    }
}
