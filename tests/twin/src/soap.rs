//! The organization service over SOAP: Create, Retrieve, Update and Delete, the same as requests to
//! Execute, and there also WhoAmI, ExecuteMultiple and ExecuteTransaction.

use bytes::Bytes;
use http::{Method, Request};
use roxmltree::{Document, Node};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::discovery;
use crate::execute::{self, Several};
use crate::reply::{Reply, ServiceError};
use crate::session::{Row, Session, id_attribute};
use crate::soap_envelope::{Addressing, Contract, SoapVersion};
use crate::soap_value::{SERIALIZATION, read_value, write_value};
use crate::store::Key;
use crate::xml::{child, child_text, children, escaped};

pub(crate) const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
pub(crate) const GENERIC: &str =
    "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
pub(crate) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An operation, read from the body's first element or from a request to Execute.
pub(crate) enum Operation {
    Create {
        entity: String,
        chosen: Option<Uuid>,
        row: Row,
    },
    Retrieve {
        key: Key,
        columns: Option<Vec<String>>,
    },
    Update {
        key: Key,
        row: Row,
        /// The version that the row must have.
        version: Option<u64>,
    },
    Delete {
        key: Key,
    },
    WhoAmI,
    Several(Several),
}

/// What came of an operation.
pub(crate) enum Done {
    Created(Key),
    /// The row's elements.
    Found(String),
    Nothing,
    /// The results of a request to Execute.
    Results(String),
}

pub(crate) fn invalid(text: &str) -> ServiceError {
    ServiceError::invalid(text)
}

impl Operation {
    fn read(operation: Node<'_, '_>) -> Result<Operation, ServiceError> {
        match operation.tag_name().name() {
            "Create" => Operation::create(entity_of(operation)?),
            "Update" => Operation::update(entity_of(operation)?, None),
            "Retrieve" => Ok(Operation::Retrieve {
                key: read_key(operation)?,
                columns: child(operation, "columnSet").and_then(read_columns),
            }),
            "Delete" => Ok(Operation::Delete {
                key: read_key(operation)?,
            }),
            "Execute" => {
                let request = child(operation, "request");
                execute::read(request.ok_or_else(|| invalid("Execute needs a request"))?)
            }
            other => Err(ServiceError::invalid(format!(
                "the twin has no operation {other}"
            ))),
        }
    }

    pub(crate) fn create(entity: Node<'_, '_>) -> Result<Operation, ServiceError> {
        let (entity, chosen, row) = read_entity(entity)?;
        Ok(Operation::Create {
            entity,
            chosen,
            row,
        })
    }

    pub(crate) fn update(
        entity: Node<'_, '_>,
        version: Option<u64>,
    ) -> Result<Operation, ServiceError> {
        let (key, row) = read_target(entity)?;
        Ok(Operation::Update { key, row, version })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Operation::Create { .. } => "Create",
            Operation::Retrieve { .. } => "Retrieve",
            Operation::Update { .. } => "Update",
            Operation::Delete { .. } => "Delete",
            Operation::WhoAmI => "WhoAmI",
            Operation::Several(several) => several.name(),
        }
    }

    pub(crate) fn done(self, session: &mut Session<'_>) -> Result<Done, ServiceError> {
        Ok(match self {
            Operation::Create {
                entity,
                chosen,
                row,
            } => Done::Created(session.create(&entity, chosen, row)?),
            Operation::Retrieve { key, columns } => {
                let (commit, row) = session.find(&key)?;
                Done::Found(write_entity(&key, commit, row, columns.as_deref()))
            }
            Operation::Update { key, row, version } => {
                session.check_version(&key, version)?;
                session.update(&key, row)?;
                Done::Nothing
            }
            Operation::Delete { key } => {
                session.delete(&key)?;
                Done::Nothing
            }
            Operation::WhoAmI => Done::Results(write_identity(session.identity)),
            Operation::Several(several) => Done::Results(several.done(session)?),
        })
    }
}

fn parse_id(text: &str) -> Result<Uuid, ServiceError> {
    Uuid::try_parse(text).map_err(|_| ServiceError::invalid(format!("'{text}' is no id")))
}

fn read_key(operation: Node<'_, '_>) -> Result<Key, ServiceError> {
    key_of(operation, "entityName", "id")
}

/// A row, by the elements with its entity and its id.
pub(crate) fn key_of(
    node: Node<'_, '_>,
    entity: &'static str,
    id: &'static str,
) -> Result<Key, ServiceError> {
    let missing = |name: &str| invalid(&format!("no {name}"));
    let entity = child_text(node, entity).ok_or_else(|| missing(entity))?;
    let id = child_text(node, id).ok_or_else(|| missing(id))?;
    Ok(Key {
        entity: entity.to_owned(),
        id: parse_id(id)?,
    })
}

/// The columns of a set; none for all.
pub(crate) fn read_columns(set: Node<'_, '_>) -> Option<Vec<String>> {
    if child_text(set, "AllColumns") == Some("true") {
        return None;
    }
    let columns = child(set, "Columns")?;
    let names = columns
        .children()
        .filter(Node::is_element)
        .filter_map(|column| column.text());
    Some(names.map(str::to_owned).collect())
}

fn entity_of<'a, 'input>(operation: Node<'a, 'input>) -> Result<Node<'a, 'input>, ServiceError> {
    child(operation, "entity").ok_or_else(|| invalid("no entity"))
}

/// A row that is to be changed.
fn read_target(node: Node<'_, '_>) -> Result<(Key, Row), ServiceError> {
    let (entity, id, row) = read_entity(node)?;
    let id = id.ok_or_else(|| invalid("Update needs the entity's Id"))?;
    Ok((Key { entity, id }, row))
}

/// Logical name, id and attributes of an entity. The id of all zeros is none, and the
/// attribute of the primary key counts as the id.
fn read_entity(node: Node<'_, '_>) -> Result<(String, Option<Uuid>, Row), ServiceError> {
    let entity = child_text(node, "LogicalName").ok_or_else(|| invalid("no LogicalName"))?;
    let mut row = Row::new();
    if let Some(attributes) = child(node, "Attributes") {
        for pair in children(attributes, "KeyValuePairOfstringanyType") {
            let key = child_text(pair, "key").ok_or_else(|| invalid("an attribute has no key"))?;
            let value = child(pair, "value").map_or(Value::Null, read_value);
            row.insert(key.to_owned(), value);
        }
    }
    let in_row = row.get(&id_attribute(entity)).and_then(Value::as_str);
    let id = match child_text(node, "Id").or(in_row) {
        Some(text) => Some(parse_id(text)?).filter(|id| !id.is_nil()),
        None => None,
    };
    Ok((entity.to_owned(), id, row))
}

/// Reads the envelope's text.
fn parsed(body: &[u8]) -> Result<Document<'_>, ServiceError> {
    let text = std::str::from_utf8(body).map_err(|_| invalid("the envelope is not UTF-8"))?;
    Document::parse(text)
        .map_err(|error| ServiceError::invalid(format!("the envelope is no XML: {error}")))
}

/// The `name` and the id that a request to the organization service carries.
pub(crate) fn subject(version: SoapVersion, body: &[u8]) -> (Option<String>, Option<Uuid>) {
    let name = |row: &Row| row.get("name").and_then(Value::as_str).map(str::to_owned);
    let operation = parsed(body).and_then(|document| {
        let operation = version.operation(&document, Contract::Organization)?;
        Operation::read(operation)
    });
    match operation {
        Ok(Operation::Create { chosen, row, .. }) => (name(&row), chosen),
        Ok(Operation::Update { key, row, .. }) => (name(&row), Some(key.id)),
        Ok(Operation::Retrieve { key, .. } | Operation::Delete { key }) => (None, Some(key.id)),
        Ok(Operation::WhoAmI | Operation::Several(_)) | Err(_) => (None, None),
    }
}

/// Serves a request, also one that fails.
pub(crate) fn answer(
    session: &mut Session<'_>,
    request: &Request<Bytes>,
    version: SoapVersion,
    contract: Contract,
) -> Reply {
    let fault =
        |error: &ServiceError, relates_to: Option<&str>| version.fault(contract, error, relates_to);
    if request.method() != Method::POST {
        return fault(&invalid("SOAP requests are sent with POST"), None);
    }
    let document = match parsed(request.body()) {
        Ok(document) => document,
        Err(error) => return fault(&error, None),
    };
    let addressing = match version {
        SoapVersion::V11 => None,
        SoapVersion::V12 => Some(Addressing::read(&document, request)),
    };
    let relates_to = addressing
        .as_ref()
        .and_then(|addressing| addressing.message_id.as_deref());
    let operation = match version.operation(&document, contract) {
        Ok(operation) => operation,
        Err(error) => return fault(&error, relates_to),
    };
    let name = operation.tag_name().name();
    if let Some(addressing) = &addressing
        && let Some(refusal) = addressing.refusal(contract, name, |to| is_own(session, to))
    {
        return refusal;
    }
    let content = match contract {
        Contract::Organization => {
            Operation::read(operation).and_then(|operation| content(session, name, operation))
        }
        Contract::Discovery => discovery::answer(session, operation),
    };
    match content {
        Ok(content) => version.reply(contract, name, relates_to, &content),
        Err(error) => fault(&error, relates_to),
    }
}

/// Whether a message to this address is for the side.
fn is_own(session: &Session<'_>, to: &str) -> bool {
    to == ANONYMOUS || Url::parse(to).is_ok_and(|to| session.is_own_authority(to.authority()))
}

/// The content of the answer to an operation, which came by itself or in Execute.
fn content(
    session: &mut Session<'_>,
    asked: &str,
    operation: Operation,
) -> Result<String, ServiceError> {
    let name = operation.name();
    let done = operation.done(session)?;
    if asked == "Execute" {
        return Ok(execute::write(name, &done));
    }
    Ok(match done {
        Done::Created(key) => format!("<CreateResult>{}</CreateResult>", key.id),
        Done::Found(row) => format!(
            r#"<RetrieveResult xmlns:a="{CONTRACTS}" xmlns:i="{INSTANCE}">{row}</RetrieveResult>"#
        ),
        Done::Nothing | Done::Results(_) => String::new(),
    })
}

fn write_entity(key: &Key, commit: u64, row: &Row, columns: Option<&[String]>) -> String {
    let id_attribute = id_attribute(&key.entity);
    let wanted = |name: &String| {
        *name == id_attribute || columns.is_none_or(|columns| columns.contains(name))
    };
    let pairs: String = row
        .iter()
        .filter(|(name, value)| wanted(name) && !value.is_null())
        .map(|(name, value)| {
            let value = if *name == id_attribute { write_guid(key.id) } else { write_value(value) };
            format!(
                "<a:KeyValuePairOfstringanyType><b:key>{}</b:key>{value}</a:KeyValuePairOfstringanyType>",
                escaped(name)
            )
        })
        .collect();
    format!(
        r#"<a:Attributes xmlns:b="{GENERIC}">{pairs}</a:Attributes><a:EntityState i:nil="true"/><a:FormattedValues xmlns:b="{GENERIC}"/><a:Id>{}</a:Id><a:LogicalName>{}</a:LogicalName><a:RelatedEntities xmlns:b="{GENERIC}"/><a:RowVersion>{commit}</a:RowVersion>"#,
        key.id,
        escaped(&key.entity)
    )
}

pub(crate) fn write_guid(id: Uuid) -> String {
    format!(r#"<b:value i:type="c:guid" xmlns:c="{SERIALIZATION}">{id}</b:value>"#)
}

fn write_identity(identity: [Uuid; 3]) -> String {
    let names = ["BusinessUnitId", "UserId", "OrganizationId"];
    let pairs = names.iter().zip(identity);
    pairs
        .map(|(name, id)| execute::pair(name, &write_guid(id)))
        .collect()
}
