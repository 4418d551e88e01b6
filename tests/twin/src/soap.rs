//! The organization service over SOAP: Create, Retrieve, Update, Delete, and Execute of WhoAmI and
//! Update.

use bytes::Bytes;
use http::{Method, Request};
use roxmltree::{Document, Node};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::discovery;
use crate::reply::{Reply, ServiceError};
use crate::session::{Row, Session, id_attribute};
use crate::soap_envelope::{Addressing, Contract, SoapVersion};
use crate::soap_value::{SERIALIZATION, read_value, write_value};
use crate::store::Key;
use crate::xml::{child, child_text, children, escaped};

const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const MESSAGES: &str = "http://schemas.microsoft.com/crm/2011/Contracts";
const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An operation, read from the body's first element.
enum Operation {
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
        /// Whether it came as a request to Execute.
        executed: bool,
    },
    Delete {
        key: Key,
    },
    WhoAmI,
}

fn invalid(text: &str) -> ServiceError {
    ServiceError::invalid(text)
}

impl Operation {
    fn read(operation: Node<'_, '_>) -> Result<Operation, ServiceError> {
        match operation.tag_name().name() {
            "Create" => {
                let (entity, chosen, row) = read_entity(entity_of(operation)?)?;
                Ok(Operation::Create {
                    entity,
                    chosen,
                    row,
                })
            }
            "Update" => {
                let (key, row) = read_target(entity_of(operation)?)?;
                Ok(Operation::Update {
                    key,
                    row,
                    version: None,
                    executed: false,
                })
            }
            "Retrieve" => {
                let columns = read_columns(operation);
                Ok(Operation::Retrieve {
                    key: read_key(operation)?,
                    columns,
                })
            }
            "Delete" => Ok(Operation::Delete {
                key: read_key(operation)?,
            }),
            "Execute" => {
                let request = child(operation, "request");
                match request.and_then(|request| child_text(request, "RequestName")) {
                    Some("WhoAmI") => Ok(Operation::WhoAmI),
                    Some("Update") => read_update_request(operation),
                    other => Err(ServiceError::invalid(format!(
                        "the twin does not execute {}",
                        other.unwrap_or("a request without a name")
                    ))),
                }
            }
            other => Err(ServiceError::invalid(format!(
                "the twin has no operation {other}"
            ))),
        }
    }
}

fn parse_id(text: &str) -> Result<Uuid, ServiceError> {
    Uuid::try_parse(text).map_err(|_| ServiceError::invalid(format!("'{text}' is no id")))
}

fn read_key(operation: Node<'_, '_>) -> Result<Key, ServiceError> {
    let entity = child_text(operation, "entityName").ok_or_else(|| invalid("no entityName"))?;
    let id = child_text(operation, "id").ok_or_else(|| invalid("no id"))?;
    Ok(Key {
        entity: entity.to_owned(),
        id: parse_id(id)?,
    })
}

/// The columns that are asked for; none for all.
fn read_columns(operation: Node<'_, '_>) -> Option<Vec<String>> {
    let set = child(operation, "columnSet")?;
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

/// An UpdateRequest: the row, and with `IfRowVersionMatches` the version that it must have.
fn read_update_request(operation: Node<'_, '_>) -> Result<Operation, ServiceError> {
    let parameters = child(operation, "request").and_then(|request| child(request, "Parameters"));
    let parameter = |name| {
        let mut pairs = children(parameters?, "KeyValuePairOfstringanyType");
        let pair = pairs.find(|pair| child_text(*pair, "key") == Some(name))?;
        child(pair, "value")
    };
    let target = parameter("Target").ok_or_else(|| invalid("Update needs a Target"))?;
    let behavior = parameter("ConcurrencyBehavior").and_then(|behavior| behavior.text());
    let version = match behavior {
        Some("IfRowVersionMatches") => {
            let version = child_text(target, "RowVersion").and_then(|text| text.parse().ok());
            Some(version.ok_or_else(|| invalid("IfRowVersionMatches needs a RowVersion"))?)
        }
        _ => None,
    };
    let (key, row) = read_target(target)?;
    Ok(Operation::Update {
        key,
        row,
        version,
        executed: true,
    })
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
        Ok(Operation::WhoAmI) | Err(_) => (None, None),
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
            Operation::read(operation).and_then(|operation| execute(session, operation))
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

/// The content of the operation's answer.
fn execute(session: &mut Session<'_>, operation: Operation) -> Result<String, ServiceError> {
    Ok(match operation {
        Operation::Create {
            entity,
            chosen,
            row,
        } => {
            let key = session.create(&entity, chosen, row)?;
            format!("<CreateResult>{}</CreateResult>", key.id)
        }
        Operation::Retrieve { key, columns } => {
            let (commit, row) = session.find(&key)?;
            write_entity(&key, commit, row, columns.as_deref())
        }
        Operation::Update {
            key,
            row,
            version,
            executed,
        } => {
            session.check_version(&key, version)?;
            session.update(&key, row)?;
            match executed {
                true => write_response("Update", ""),
                false => String::new(),
            }
        }
        Operation::Delete { key } => {
            session.delete(&key)?;
            String::new()
        }
        Operation::WhoAmI => write_who_am_i(session.identity),
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
        r#"<RetrieveResult xmlns:a="{CONTRACTS}" xmlns:i="{INSTANCE}"><a:Attributes xmlns:b="{GENERIC}">{pairs}</a:Attributes><a:EntityState i:nil="true"/><a:FormattedValues xmlns:b="{GENERIC}"/><a:Id>{}</a:Id><a:LogicalName>{}</a:LogicalName><a:RelatedEntities xmlns:b="{GENERIC}"/><a:RowVersion>{commit}</a:RowVersion></RetrieveResult>"#,
        key.id,
        escaped(&key.entity)
    )
}

fn write_guid(id: Uuid) -> String {
    format!(r#"<b:value i:type="c:guid" xmlns:c="{SERIALIZATION}">{id}</b:value>"#)
}

fn write_who_am_i(identity: [Uuid; 3]) -> String {
    let names = ["BusinessUnitId", "UserId", "OrganizationId"];
    let pairs: String = names
        .iter()
        .zip(identity)
        .map(|(name, id)| {
            format!(
                "<a:KeyValuePairOfstringanyType><b:key>{name}</b:key>{}</a:KeyValuePairOfstringanyType>",
                write_guid(id)
            )
        })
        .collect();
    write_response("WhoAmI", &pairs)
}

fn write_response(name: &str, pairs: &str) -> String {
    format!(
        r#"<ExecuteResult i:type="m:{name}Response" xmlns:m="{MESSAGES}" xmlns:a="{CONTRACTS}" xmlns:i="{INSTANCE}"><a:ResponseName>{name}</a:ResponseName><a:Results xmlns:b="{GENERIC}">{pairs}</a:Results></ExecuteResult>"#
    )
}
