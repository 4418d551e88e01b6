//! One request's view of the rows of its side.

use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::alternate_key::AlternateKey;
use crate::config::OrganizationConfig;
use crate::file_column::{Files, Uploads};
use crate::organization::Organization;
use crate::reply::{
    DUPLICATE_ENTITY_KEY, DUPLICATE_RECORD, OBJECT_DOES_NOT_EXIST, ServiceError, VERSION_MISMATCH,
};
use crate::role::Role;
use crate::state::{Savepoint, State, Write};
use crate::store::Key;

/// A row's attributes; the id is an attribute as well.
pub(crate) type Row = Map<String, Value>;

/// One request's view of the rows of its side.
pub(crate) struct Session<'a> {
    state: &'a mut State,
    role: Role,
    config: &'a OrganizationConfig,
    /// `https://host`, as the client named it.
    pub(crate) base: String,
    /// Business unit, user, organization.
    pub(crate) identity: [Uuid; 3],
    written: Option<Uuid>,
}

/// What a session goes back to when its change set fails.
pub(crate) struct SessionSavepoint {
    state: Savepoint,
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
        organization: &'a Organization,
    ) -> Session<'a> {
        Session {
            state,
            role,
            config: &organization.config,
            base,
            identity: organization.identity,
            written: None,
        }
    }

    pub(crate) fn savepoint(&self) -> SessionSavepoint {
        SessionSavepoint {
            state: self.state.savepoint(self.role),
            written: self.written,
        }
    }

    /// Undoes every write since.
    pub(crate) fn rollback(&mut self, before: SessionSavepoint) {
        self.state.rollback(self.role, before.state);
        self.written = before.written;
    }

    pub(crate) fn organization_name(&self) -> &str {
        &self.config.name
    }

    /// Whether a host, with or without a port, is one of the side's.
    pub(crate) fn is_own_authority(&self, authority: &str) -> bool {
        self.config.is_own_authority(self.role, authority)
    }

    /// Counts a request to another host than the side's, and says what is wrong with it.
    pub(crate) fn wrong_host(&mut self, authority: &str) -> ServiceError {
        self.state.side_mut(self.role).counts.wrong_host += 1;
        ServiceError::invalid(format!("'{authority}' is no host of this organization"))
    }

    /// The uploads that have begun here.
    pub(crate) fn uploads(&mut self) -> &mut Uploads {
        &mut self.state.side_mut(self.role).uploads
    }

    /// The files that rows of the organization name.
    pub(crate) fn files(&mut self) -> &mut Files {
        &mut self.state.files
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

    /// The first row that has the key's values.
    pub(crate) fn locate(&self, entity: &str, key: &AlternateKey) -> Option<Key> {
        let mut named = self.rows_of(entity).filter(|(_, _, row)| key.matches(row));
        let (id, ..) = named.next()?;
        Some(Key {
            entity: entity.to_owned(),
            id,
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
        self.check_alternate_keys(&key, &row)?;
        self.put(&key, row, Write::Created);
        Ok(key)
    }

    /// Changes the attributes that are given, and leaves the others.
    pub(crate) fn update(&mut self, key: &Key, changes: Row) -> Result<(), ServiceError> {
        let mut row = self.find(key)?.1.clone();
        row.extend(changes);
        self.check_alternate_keys(key, &row)?;
        self.put(key, row, Write::Updated);
        Ok(())
    }

    /// Refuses a row of another version than the wanted one.
    pub(crate) fn check_version(&self, key: &Key, wanted: Option<u64>) -> Result<(), ServiceError> {
        let (commit, _) = self.find(key)?;
        if wanted.is_none_or(|wanted| wanted == commit) {
            return Ok(());
        }
        Err(ServiceError::new(
            VERSION_MISMATCH,
            StatusCode::PRECONDITION_FAILED.as_u16(),
            "The version of the existing record doesn't match the RowVersion property provided.",
        ))
    }

    pub(crate) fn delete(&mut self, key: &Key) -> Result<(), ServiceError> {
        self.find(key)?;
        self.state
            .commit(self.role, key.clone(), None, Write::Deleted);
        self.written = Some(key.id);
        Ok(())
    }

    /// Refuses a row whose values of a declared alternate key another row has.
    fn check_alternate_keys(&self, key: &Key, row: &Row) -> Result<(), ServiceError> {
        let declared = self.config.alternate_keys.get(&key.entity);
        for attributes in declared.into_iter().flatten() {
            let values = |row: &Row| -> Option<Vec<Value>> {
                let value = |name| row.get(name).filter(|value| !value.is_null()).cloned();
                attributes.iter().map(value).collect()
            };
            let Some(wanted) = values(row) else { continue };
            let mut others = self.rows_of(&key.entity).filter(|(id, ..)| *id != key.id);
            if others.any(|(_, _, other)| values(other).as_ref() == Some(&wanted)) {
                return Err(ServiceError::new(
                    DUPLICATE_ENTITY_KEY,
                    StatusCode::PRECONDITION_FAILED.as_u16(),
                    format!(
                        "Entity Key {} violated. A record with the same value already exists. A \
                         duplicate record cannot be created.",
                        attributes.join(", ")
                    ),
                ));
            }
        }
        Ok(())
    }

    fn put(&mut self, key: &Key, mut row: Row, write: Write) {
        row.insert(id_attribute(&key.entity), Value::String(key.id.to_string()));
        self.state.commit(self.role, key.clone(), Some(row), write);
        self.written = Some(key.id);
    }
}
