//! A SOAP request to the organization or the discovery service: what it asks for, and where that
//! stands in it.

use std::ops::{ControlFlow, Range};

use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use quick_xml::events::BytesStart;
use uuid::Uuid;

use crate::classify::xml::{Ended, Name, Visit, walk};
use crate::classify::{CONTRACTS, DISCOVERY_CONTRACTS, SOAP_1_1, SOAP_1_2, WS_ADDRESSING};
use crate::content_type;

/// The namespace of the organization service's operations.
pub(crate) const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
/// What stands before the operation's name in an action of the organization service.
pub(crate) const ACTIONS: &str =
    "http://schemas.microsoft.com/xrm/2011/Contracts/Services/IOrganizationService/";
/// The namespace of keys and values in collections.
pub(crate) const GENERIC: &str =
    "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
pub(crate) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SIGNATURES: &str = "http://www.w3.org/2000/09/xmldsig#";

/// A request, as far as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SoapRequest {
    pub(crate) version: Version,
    /// WS-Addressing's Action.
    pub(crate) action: Option<Placed>,
    /// WS-Addressing's MessageID.
    pub(crate) message_id: Option<String>,
    /// The namespace of WS-Addressing that the request speaks.
    pub(crate) addressing: Option<&'static str>,
    /// The name of the first element of the Body.
    pub(crate) operation: Option<String>,
    pub(crate) is_discovery: bool,
    /// The row that is to be created or updated, or the target of the request that is to be executed.
    pub(crate) entity: Entity,
    pub(crate) request: ExecuteRequest,
    /// Everything that the operation says was read.
    pub(crate) has_ended: bool,
    /// Where the content of the Body stands, once it has ended.
    pub(crate) body: Option<Range<usize>>,
    has_signature: bool,
    has_action_id: bool,
    has_body_id: bool,
}

/// The version of SOAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    #[default]
    V1_1,
    V1_2,
}

impl Version {
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Version::V1_1 => SOAP_1_1,
            Version::V1_2 => SOAP_1_2,
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Version::V1_1 => "text/xml",
            Version::V1_2 => "application/soap+xml",
        }
    }
}

/// A text of the document, and where it stands as content of an element.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) text: String,
    pub(crate) at: Range<usize>,
}

/// An entity, or a reference to one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entity {
    /// An Id that stands before the LogicalName. The service's serializer reads members in the
    /// order of the alphabet, and passes over what comes late without a word.
    pub(crate) id: Option<Placed>,
    pub(crate) logical_name: Option<String>,
}

impl Entity {
    /// The id, unless it is none.
    pub(crate) fn chosen_id(&self) -> Option<Uuid> {
        let id = Uuid::try_parse(&self.id.as_ref()?.text).ok()?;
        (!id.is_nil()).then_some(id)
    }
}

/// The request of an Execute.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecuteRequest {
    /// The local name of its `i:type`.
    pub(crate) type_name: Option<String>,
    pub(crate) request_name: Option<String>,
    /// The parameter ConcurrencyBehavior.
    pub(crate) concurrency: Option<String>,
    /// The key of the parameter that is being read.
    key: String,
}

/// What an element under the Body tells.
#[derive(Clone, Copy)]
enum Fact {
    Id,
    LogicalName,
    Type,
    RequestName,
    Key,
    Value,
    TargetId,
    TargetLogicalName,
    DeletedId,
    DeletedName,
}

/// The namespace of an element: the operation's own, or one of the data contracts'.
#[derive(Clone, Copy)]
enum Of {
    Service,
    Contracts,
    Generic,
}
use Of::{Contracts, Generic, Service};

const PAIR: &str = "KeyValuePairOfstringanyType";

/// Where the facts stand under the Body.
#[rustfmt::skip]
const FACTS: [(Fact, &[(Of, &str)]); 12] = [
    (Fact::Id, &[(Service, "Create"), (Service, "entity"), (Contracts, "Id")]),
    (Fact::LogicalName, &[(Service, "Create"), (Service, "entity"), (Contracts, "LogicalName")]),
    (Fact::Id, &[(Service, "Update"), (Service, "entity"), (Contracts, "Id")]),
    (Fact::LogicalName, &[(Service, "Update"), (Service, "entity"), (Contracts, "LogicalName")]),
    (Fact::DeletedName, &[(Service, "Delete"), (Service, "entityName")]),
    (Fact::DeletedId, &[(Service, "Delete"), (Service, "id")]),
    (Fact::Type, &[(Service, "Execute"), (Service, "request")]),
    (Fact::RequestName, &[(Service, "Execute"), (Service, "request"), (Contracts, "RequestName")]),
    (Fact::Key, &[(Service, "Execute"), (Service, "request"), (Contracts, "Parameters"), (Contracts, PAIR), (Generic, "key")]),
    (Fact::Value, &[(Service, "Execute"), (Service, "request"), (Contracts, "Parameters"), (Contracts, PAIR), (Generic, "value")]),
    (Fact::TargetId, &[(Service, "Execute"), (Service, "request"), (Contracts, "Parameters"), (Contracts, PAIR), (Generic, "value"), (Contracts, "Id")]),
    (Fact::TargetLogicalName, &[(Service, "Execute"), (Service, "request"), (Contracts, "Parameters"), (Contracts, PAIR), (Generic, "value"), (Contracts, "LogicalName")]),
];

fn fact(path: &[Name]) -> Option<Fact> {
    let service = path.first()?.namespace.as_str();
    let is = |name: &Name, &(of, local): &(Of, &str)| {
        let namespace = match of {
            Service => service,
            Contracts => CONTRACTS,
            Generic => GENERIC,
        };
        name.is(namespace, local)
    };
    FACTS.iter().find_map(|&(fact, place)| {
        let is_here = path.len() == place.len()
            && path.iter().zip(place).all(|(name, place)| is(name, place));
        is_here.then_some(fact)
    })
}

/// The text of a body, without a byte order mark, and at most so many bytes of it: as far as it is
/// UTF-8. `None`: it is coded. The number is how many bytes stand before the text.
pub(crate) fn text<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    limit: usize,
) -> Option<(usize, &'a str)> {
    if headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    let mark = if body.starts_with(b"\xEF\xBB\xBF") {
        3
    } else {
        0
    };
    let prefix = &body[mark..body.len().min(limit.saturating_add(mark))];
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&prefix[..error.valid_up_to()]).unwrap_or_default(),
    };
    Some((mark, text))
}

/// The names of the operation in the HTTP headers: `SOAPAction` of 1.1, `action` of 1.2.
pub(crate) fn header_actions(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let action = headers.get_all("soapaction").into_iter().map(|value| {
        // What is no text names no operation, and so agrees with none.
        value.to_str().unwrap_or("?").trim_matches([' ', '\t', '"'])
    });
    let parameter = content_type::of(headers)
        .and_then(|content_type| content_type::parameter(content_type, "action"));
    action.map(str::to_owned).chain(parameter)
}

impl SoapRequest {
    /// Reads a message until it is enough, or not a message any more. `None`: it is no SOAP
    /// envelope.
    pub(crate) fn read(
        document: &str,
        is_enough: impl Fn(&SoapRequest) -> bool,
    ) -> Option<SoapRequest> {
        let mut request = None::<SoapRequest>;
        walk(document, |path, visit| {
            let [envelope, section, rest @ ..] = path else {
                return match envelope_version(&path[0]) {
                    Some(version) => {
                        request.get_or_insert_with(|| SoapRequest {
                            version,
                            ..SoapRequest::default()
                        });
                        ControlFlow::Continue(())
                    }
                    None => ControlFlow::Break(()),
                };
            };
            let Some(request) = &mut request else {
                return ControlFlow::Break(());
            };
            let is_news = if section.is(&envelope.namespace, "Header") {
                request.read_header(rest, &visit);
                false
            } else if section.is(&envelope.namespace, "Body") {
                match rest {
                    [] => request.read_body(&visit),
                    [operation] => request.read_operation(operation, &visit),
                    _ if request.has_ended => false,
                    _ => fact(rest).is_some_and(|fact| request.read_fact(fact, &visit)),
                }
            } else {
                false
            };
            if is_news && is_enough(request) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        request
    }

    fn read_header(&mut self, path: &[Name], visit: &Visit<'_>) {
        match (path, visit) {
            ([.., last], Visit::Start(..)) if last.is(SIGNATURES, "Signature") => {
                self.has_signature = true;
            }
            ([name], visit) => {
                let Some(addressing) = WS_ADDRESSING.into_iter().find(|n| *n == name.namespace)
                else {
                    return;
                };
                match (name.local.as_str(), visit) {
                    ("Action", Visit::Start(start, _)) => self.has_action_id |= has_id(start),
                    ("Action", Visit::End(ended)) if self.action.is_none() => {
                        self.addressing = Some(addressing);
                        self.action = Some(placed(ended));
                    }
                    ("MessageID", Visit::End(ended)) => {
                        self.message_id = Some(ended.text.to_owned());
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn read_body(&mut self, visit: &Visit<'_>) -> bool {
        match visit {
            Visit::Start(start, _) => self.has_body_id |= has_id(start),
            Visit::End(ended) => self.body = Some(ended.content.clone()),
        }
        matches!(visit, Visit::End(_))
    }

    /// The service takes the first element of the Body.
    fn read_operation(&mut self, name: &Name, visit: &Visit<'_>) -> bool {
        match (visit, &self.operation) {
            (Visit::Start(..), None) => {
                let is_known = [SERVICES, DISCOVERY_CONTRACTS].contains(&name.namespace.as_str());
                self.is_discovery = name.namespace == DISCOVERY_CONTRACTS;
                // Another service may mean anything by the same name.
                self.operation = Some(match is_known {
                    true => name.local.clone(),
                    false => String::new(),
                });
            }
            (Visit::End(_), Some(_)) => self.has_ended = true,
            _ => {}
        }
        true
    }

    /// Whether it told something new.
    fn read_fact(&mut self, fact: Fact, visit: &Visit<'_>) -> bool {
        let ended = match (fact, visit) {
            (Fact::Type, Visit::Start(start, scope)) => {
                let type_name = scope.attribute(start, INSTANCE, "type");
                self.request.name_type(type_name.as_deref());
                return true;
            }
            (Fact::Type, Visit::End(_)) | (_, Visit::Start(..)) => return false,
            (_, Visit::End(ended)) => ended,
        };
        let is_target = self.request.key == "Target";
        match fact {
            Fact::Key => ended.text.clone_into(&mut self.request.key),
            Fact::Value => {
                if self.request.key == "ConcurrencyBehavior" {
                    self.request.concurrency = Some(ended.text.to_owned());
                }
                self.request.key.clear();
            }
            Fact::RequestName => {
                if self.request.request_name.is_none() && !ended.text.is_empty() {
                    self.request.name(ended.text);
                    return true;
                }
            }
            Fact::TargetId | Fact::TargetLogicalName if !is_target => {}
            Fact::Id | Fact::TargetId => {
                if self.entity.id.is_none() && self.entity.logical_name.is_none() {
                    self.entity.id = Some(placed(ended));
                }
            }
            Fact::DeletedId => {
                self.entity.id.get_or_insert_with(|| placed(ended));
                return true;
            }
            Fact::LogicalName | Fact::TargetLogicalName | Fact::DeletedName => {
                self.entity
                    .logical_name
                    .get_or_insert_with(|| ended.text.to_owned());
                return true;
            }
            Fact::Type => {}
        }
        false
    }

    /// Whether it creates one row, and nothing else.
    pub(crate) fn is_create(&self) -> bool {
        match self.operation.as_deref() {
            Some("Create") => true,
            Some("Execute") => !self.is_discovery && self.message_name() == Some("Create"),
            _ => false,
        }
    }

    /// Whether it updates one row, and does nothing else.
    pub(crate) fn is_update(&self) -> bool {
        match self.operation.as_deref() {
            Some("Update") => !self.is_discovery,
            Some("Execute") => !self.is_discovery && self.message_name() == Some("Update"),
            _ => false,
        }
    }

    /// Whether another content of the Body would break a signature.
    pub(crate) fn is_body_signed(&self) -> bool {
        self.has_signature && self.has_body_id
    }

    /// Whether another Action would break a signature.
    pub(crate) fn is_action_signed(&self) -> bool {
        self.has_signature && self.has_action_id
    }

    /// The name of the message that is executed: by RequestName, else by the type. `None`: by
    /// neither, or the two disagree.
    pub(crate) fn message_name(&self) -> Option<&str> {
        self.request.message_name()
    }

    /// Whether the headers and WS-Addressing name the operation that the Body names, as far as they
    /// name one.
    pub(crate) fn agrees_with(&self, headers: &HeaderMap) -> bool {
        let operation = self.operation.as_deref().unwrap_or_default();
        let agrees = |action: &str| {
            action.is_empty() || action.rsplit('/').next().unwrap_or_default() == operation
        };
        self.action
            .as_ref()
            .is_none_or(|action| agrees(&action.text))
            && header_actions(headers).all(|action| agrees(&action))
    }
}

impl ExecuteRequest {
    /// Takes the value of its `i:type`.
    pub(crate) fn name_type(&mut self, value: Option<&str>) {
        self.type_name = value.map(|name| {
            let local = name.rsplit(':').next().unwrap_or_default();
            local.trim().to_owned()
        });
    }

    /// Takes its RequestName, unless it is empty.
    pub(crate) fn name(&mut self, name: &str) {
        if !name.is_empty() {
            self.request_name = Some(name.to_owned());
        }
    }

    /// See [`SoapRequest::message_name`].
    pub(crate) fn message_name(&self) -> Option<&str> {
        match (self.request_name.as_deref(), self.typed_name()) {
            (Some(named), Some(typed)) if named != typed => None,
            (named, typed) => named.or(typed),
        }
    }

    /// The name that the type stands for. Of the type that all others derive from: none.
    pub(crate) fn typed_name(&self) -> Option<&str> {
        let type_name = self.type_name.as_deref()?;
        if type_name == "OrganizationRequest" {
            return None;
        }
        // A type of another make stands for itself: it agrees with nothing.
        Some(type_name.strip_suffix("Request").unwrap_or(type_name))
    }
}

fn envelope_version(name: &Name) -> Option<Version> {
    [Version::V1_1, Version::V1_2]
        .into_iter()
        .find(|version| name.is(version.namespace(), "Envelope"))
}

/// Whether a signature can refer to an element: it is signed by its id, whatever prefix that has.
fn has_id(start: &BytesStart<'_>) -> bool {
    let mut attributes = start.attributes().flatten();
    attributes.any(|attribute| {
        let name = attribute.key.local_name().into_inner();
        name.eq_ignore_ascii_case("id")
    })
}

fn placed(ended: &Ended<'_>) -> Placed {
    Placed {
        text: ended.text.to_owned(),
        at: ended.content.clone(),
    }
}
