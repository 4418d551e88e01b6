//! The requests that Execute carries, and those that hold several others.

use roxmltree::Node;

use crate::reply::ServiceError;
use crate::session::Session;
use crate::soap::{
    CONTRACTS, Done, GENERIC, INSTANCE, Operation, invalid, key_of, read_columns, write_guid,
};
use crate::soap_envelope::fault_fields;
use crate::xml::{child, child_text, children};

const MESSAGES: &str = "http://schemas.microsoft.com/crm/2011/Contracts";
/// Of the messages that came later.
const LATER: &str = "http://schemas.microsoft.com/xrm/2012/Contracts";

/// Several requests in one.
pub(crate) struct Several {
    requests: Vec<Result<Operation, ServiceError>>,
    /// All of them or none: ExecuteTransaction.
    is_transaction: bool,
    /// `ContinueOnError`.
    goes_on: bool,
    /// `ReturnResponses`.
    tells_all: bool,
}

/// Reads a request by its name.
pub(crate) fn read(request: Node<'_, '_>) -> Result<Operation, ServiceError> {
    let target = || parameter(request, "Target").ok_or_else(|| invalid("it needs a Target"));
    match child_text(request, "RequestName") {
        Some("WhoAmI") => Ok(Operation::WhoAmI),
        Some("Create") => Operation::create(target()?),
        Some("Update") => Operation::update(target()?, version(request, target()?)?),
        Some("Delete") => Ok(Operation::Delete {
            key: key_of(target()?, "LogicalName", "Id")?,
        }),
        Some("Retrieve") => Ok(Operation::Retrieve {
            key: key_of(target()?, "LogicalName", "Id")?,
            columns: parameter(request, "ColumnSet").and_then(read_columns),
        }),
        Some(name @ ("ExecuteMultiple" | "ExecuteTransaction")) => {
            Several::read(request, name == "ExecuteTransaction").map(Operation::Several)
        }
        other => Err(ServiceError::invalid(format!(
            "the twin does not execute {}",
            other.unwrap_or("a request without a name")
        ))),
    }
}

/// The value of a parameter.
fn parameter<'a, 'input>(request: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    let parameters = child(request, "Parameters")?;
    let mut pairs = children(parameters, "KeyValuePairOfstringanyType");
    let pair = pairs.find(|pair| child_text(*pair, "key") == Some(name))?;
    child(pair, "value")
}

/// With `IfRowVersionMatches` the version that the row must have.
fn version(request: Node<'_, '_>, target: Node<'_, '_>) -> Result<Option<u64>, ServiceError> {
    let behavior = parameter(request, "ConcurrencyBehavior").and_then(|value| value.text());
    if behavior != Some("IfRowVersionMatches") {
        return Ok(None);
    }
    let version = child_text(target, "RowVersion").and_then(|text| text.parse().ok());
    version
        .map(Some)
        .ok_or_else(|| invalid("IfRowVersionMatches needs a RowVersion"))
}

impl Several {
    fn read(request: Node<'_, '_>, is_transaction: bool) -> Result<Several, ServiceError> {
        let requests = parameter(request, "Requests");
        let requests = requests.ok_or_else(|| invalid("it needs Requests"))?;
        let settings = parameter(request, "Settings");
        let setting = |name: &str| settings.and_then(|settings| child_text(settings, name));
        let tells_all = match is_transaction {
            true => parameter(request, "ReturnResponses").and_then(|value| value.text()),
            false => setting("ReturnResponses"),
        };
        let requests =
            children(requests, "OrganizationRequest").map(|request| match read(request)? {
                Operation::Several(_) => Err(invalid("one that holds several holds no other")),
                operation => Ok(operation),
            });
        Ok(Several {
            requests: requests.collect(),
            is_transaction,
            goes_on: setting("ContinueOnError") == Some("true"),
            tells_all: tells_all == Some("true"),
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.is_transaction {
            true => "ExecuteTransaction",
            false => "ExecuteMultiple",
        }
    }

    /// The results: what was done, where that is asked for, and what failed.
    pub(crate) fn done(self, session: &mut Session<'_>) -> Result<String, ServiceError> {
        match self.is_transaction {
            true => self.together(session),
            false => Ok(self.one_by_one(session)),
        }
    }

    fn one_by_one(self, session: &mut Session<'_>) -> String {
        let mut items = String::new();
        let mut is_faulted = false;
        for (index, request) in self.requests.into_iter().enumerate() {
            let done = request.and_then(|request| {
                let name = request.name();
                Ok((name, request.done(session)?))
            });
            match done {
                Ok((name, done)) if self.tells_all => {
                    let response = response(name, &done);
                    items += &item(index, r#"<l:Fault i:nil="true"/>"#, &response);
                }
                Ok(_) => {}
                Err(error) => {
                    is_faulted = true;
                    let fault = format!(
                        r#"<l:Fault xmlns="{CONTRACTS}">{}</l:Fault>"#,
                        fault_fields(&error)
                    );
                    items += &item(index, &fault, r#"<l:Response i:nil="true"/>"#);
                    if !self.goes_on {
                        break;
                    }
                }
            }
        }
        let items = format!(
            r#"<b:value i:type="l:ExecuteMultipleResponseItemCollection" xmlns:l="{LATER}">{items}</b:value>"#
        );
        let faulted = format!(
            r#"<b:value i:type="x:boolean" xmlns:x="http://www.w3.org/2001/XMLSchema">{is_faulted}</b:value>"#
        );
        pair("Responses", &items) + &pair("IsFaulted", &faulted)
    }

    fn together(self, session: &mut Session<'_>) -> Result<String, ServiceError> {
        let before = session.savepoint();
        let mut responses = String::new();
        for request in self.requests {
            let done = request.and_then(|request| {
                let name = request.name();
                Ok((name, request.done(session)?))
            });
            match done {
                Ok((name, done)) if self.tells_all => {
                    let fields = fields(name, &done);
                    responses +=
                        &format!("<a:OrganizationResponse>{fields}</a:OrganizationResponse>");
                }
                Ok(_) => {}
                Err(error) => {
                    session.rollback(before);
                    return Err(error);
                }
            }
        }
        let responses = format!(
            r#"<b:value i:type="l:OrganizationResponseCollection" xmlns:l="{LATER}">{responses}</b:value>"#
        );
        Ok(pair("Responses", &responses))
    }
}

fn item(index: usize, fault: &str, response: &str) -> String {
    format!(
        "<l:ExecuteMultipleResponseItem>{fault}<l:RequestIndex>{index}</l:RequestIndex>{response}\
         </l:ExecuteMultipleResponseItem>"
    )
}

fn response(name: &str, done: &Done) -> String {
    format!("<l:Response>{}</l:Response>", fields(name, done))
}

/// What an OrganizationResponse says.
fn fields(name: &str, done: &Done) -> String {
    let results = match done {
        Done::Created(key) => pair("id", &write_guid(key.id)),
        Done::Found(row) => pair(
            "Entity",
            &format!(r#"<b:value i:type="a:Entity">{row}</b:value>"#),
        ),
        Done::Nothing => String::new(),
        Done::Results(results) => results.clone(),
    };
    format!(
        r#"<a:ResponseName>{name}</a:ResponseName><a:Results xmlns:b="{GENERIC}">{results}</a:Results>"#
    )
}

/// One result.
pub(crate) fn pair(key: &str, value: &str) -> String {
    format!(
        "<a:KeyValuePairOfstringanyType><b:key>{key}</b:key>{value}</a:KeyValuePairOfstringanyType>"
    )
}

/// What Execute answers.
pub(crate) fn write(name: &str, done: &Done) -> String {
    format!(
        r#"<ExecuteResult i:type="m:{name}Response" xmlns:m="{MESSAGES}" xmlns:a="{CONTRACTS}" xmlns:i="{INSTANCE}">{}</ExecuteResult>"#,
        fields(name, done)
    )
}
