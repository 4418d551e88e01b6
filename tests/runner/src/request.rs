//! The requests that scenarios make, as they are written there, and as they are sent.

use std::collections::BTreeMap;

use quick_xml::escape::escape;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::protocol::{BodyReader, Call};

const SOAP_PATH: &str = "/XRMServices/2011/Organization.svc/web";
const SOAP12_PATH: &str = "/XRMServices/2011/Organization.svc";
const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const CRM_CONTRACTS: &str = "http://schemas.microsoft.com/crm/2011/Contracts";
/// Of the messages that came later.
const LATER_CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2012/Contracts";
const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// Which service is called, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Service {
    WebApi,
    /// SOAP 1.1.
    Soap,
    /// SOAP 1.2 with WS-Addressing.
    Soap12,
}

/// A request as a scenario writes it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ScenarioRequest {
    /// Any request, word for word.
    Plain {
        method: String,
        url: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body as text.
        #[serde(default)]
        body: Option<String>,
        /// Body as JSON; the content type is set.
        #[serde(default)]
        json: Option<Value>,
        /// A body of so many bytes `x`.
        #[serde(default)]
        fill: Option<usize>,
        /// A body that is read while it is sent.
        #[serde(default)]
        body_reader: Option<BodyReader>,
    },
    /// The cheapest read.
    WhoAmI(Service),
    /// Creates an account, with an id of the server's or of the caller's choice.
    Create {
        via: Service,
        name: String,
        #[serde(default)]
        id: Option<String>,
    },
    /// Reads an account.
    Retrieve { via: Service, id: String },
    /// Creates accounts by one request to Execute, over SOAP.
    ExecuteMultiple {
        via: Service,
        creates: Vec<NewAccount>,
        /// All or none: ExecuteTransaction.
        #[serde(default)]
        transaction: bool,
        #[serde(default)]
        continue_on_error: bool,
        #[serde(default)]
        return_responses: bool,
    },
}

/// An account to create.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    name: String,
    #[serde(default)]
    id: Option<String>,
}

impl ScenarioRequest {
    pub(crate) fn call(&self, client: &str) -> Call {
        match self {
            ScenarioRequest::Plain {
                method,
                url,
                headers,
                body,
                json,
                fill,
                body_reader,
            } => {
                let mut call = call(client, method, url);
                call.headers.clone_from(headers);
                call.body = fill.map(|size| "x".repeat(size)).or_else(|| body.clone());
                call.body_reader.clone_from(body_reader);
                match json {
                    Some(json) => with_json(call, json),
                    None => call,
                }
            }
            ScenarioRequest::WhoAmI(Service::WebApi) => {
                call(client, "GET", "/api/data/v9.2/WhoAmI")
            }
            ScenarioRequest::WhoAmI(service) => soap(client, *service, "Execute", &who_am_i()),
            ScenarioRequest::Create {
                via: Service::WebApi,
                name,
                id,
            } => {
                let mut row = json!({ "name": name });
                if let Some(id) = id {
                    row["accountid"] = json!(id);
                }
                with_json(call(client, "POST", "/api/data/v9.2/accounts"), &row)
            }
            ScenarioRequest::Create { via, name, id } => soap(
                client,
                *via,
                "Create",
                &create(name, id.as_deref().unwrap_or(NO_ID)),
            ),
            ScenarioRequest::Retrieve {
                via: Service::WebApi,
                id,
            } => call(client, "GET", &format!("/api/data/v9.2/accounts({id})")),
            ScenarioRequest::Retrieve { via, id } => soap(client, *via, "Retrieve", &retrieve(id)),
            ScenarioRequest::ExecuteMultiple {
                via,
                creates,
                transaction: true,
                return_responses,
                ..
            } => {
                let more = parameter(
                    "ReturnResponses",
                    "x:boolean",
                    &return_responses.to_string(),
                );
                let body = several("ExecuteTransaction", creates, &more);
                soap(client, *via, "Execute", &body)
            }
            ScenarioRequest::ExecuteMultiple {
                via,
                creates,
                continue_on_error,
                return_responses,
                ..
            } => {
                let settings = format!(
                    "<l:ContinueOnError>{continue_on_error}</l:ContinueOnError>\
                     <l:ReturnResponses>{return_responses}</l:ReturnResponses>"
                );
                let more = parameter("Settings", "l:ExecuteMultipleSettings", &settings);
                let body = several("ExecuteMultiple", creates, &more);
                soap(client, *via, "Execute", &body)
            }
        }
    }
}

fn call(client: &str, method: &str, url: &str) -> Call {
    Call {
        client: client.to_owned(),
        method: method.to_owned(),
        url: url.to_owned(),
        headers: BTreeMap::new(),
        body: None,
        body_reader: None,
        timeout_ms: None,
        connect_timeout_ms: None,
        attempt_timeout_ms: None,
        operation: None,
        stream: None,
        guarded_create: false,
        upsert: false,
        tag: None,
    }
}

fn with_json(mut call: Call, body: &Value) -> Call {
    call.headers
        .insert("Content-Type".into(), "application/json".into());
    call.body = Some(body.to_string());
    call
}

fn soap(client: &str, service: Service, operation: &str, body: &str) -> Call {
    let action = format!("{SERVICES}/IOrganizationService/{operation}");
    let is_12 = service == Service::Soap12;
    let (path, content_type, envelope) = match is_12 {
        true => (
            SOAP12_PATH,
            "application/soap+xml; charset=utf-8",
            format!(
                "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
                 xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
                 <a:Action s:mustUnderstand=\"1\">{action}</a:Action>\
                 <a:MessageID>urn:uuid:5d0c8b5c-7a5b-4a0e-9b1e-3f6f0d1c2b3a</a:MessageID>\
                 </s:Header><s:Body>{body}</s:Body></s:Envelope>"
            ),
        ),
        false => (
            SOAP_PATH,
            "text/xml; charset=utf-8",
            format!(
                "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">\
                 <s:Body>{body}</s:Body></s:Envelope>"
            ),
        ),
    };
    let mut call = call(client, "POST", path);
    call.headers
        .insert("Content-Type".into(), content_type.into());
    if !is_12 {
        call.headers
            .insert("SOAPAction".into(), format!("\"{action}\""));
    }
    call.body = Some(envelope);
    call
}

fn who_am_i() -> String {
    format!(
        "<Execute xmlns=\"{SERVICES}\" xmlns:i=\"{INSTANCE}\">\
         <request i:type=\"c:WhoAmIRequest\" xmlns:a=\"{CONTRACTS}\" xmlns:c=\"{CRM_CONTRACTS}\">\
         <a:Parameters xmlns:b=\"{GENERIC}\"/><a:RequestId i:nil=\"true\"/>\
         <a:RequestName>WhoAmI</a:RequestName></request></Execute>"
    )
}

fn create(name: &str, id: &str) -> String {
    format!(
        "<Create xmlns=\"{SERVICES}\" xmlns:i=\"{INSTANCE}\"><entity xmlns:a=\"{CONTRACTS}\">{}\
         </entity></Create>",
        account(name, id)
    )
}

/// What an entity says that is an account.
fn account(name: &str, id: &str) -> String {
    format!(
        "<a:Attributes xmlns:b=\"{GENERIC}\"><a:KeyValuePairOfstringanyType><b:key>name</b:key>\
         <b:value i:type=\"x:string\" xmlns:x=\"http://www.w3.org/2001/XMLSchema\">{}</b:value>\
         </a:KeyValuePairOfstringanyType></a:Attributes><a:EntityState i:nil=\"true\"/>\
         <a:FormattedValues xmlns:b=\"{GENERIC}\"/><a:Id>{}</a:Id>\
         <a:LogicalName>account</a:LogicalName><a:RelatedEntities xmlns:b=\"{GENERIC}\"/>",
        escape(name),
        escape(id)
    )
}

fn parameter(key: &str, kind: &str, value: &str) -> String {
    format!(
        "<a:KeyValuePairOfstringanyType><b:key>{key}</b:key><b:value i:type=\"{kind}\">{value}</b:value>\
         </a:KeyValuePairOfstringanyType>"
    )
}

fn several(name: &str, creates: &[NewAccount], more: &str) -> String {
    let requests: String = creates
        .iter()
        .map(|new| {
            let id = new.id.as_deref().unwrap_or(NO_ID);
            format!(
                "<a:OrganizationRequest i:type=\"a:CreateRequest\"><a:Parameters>{}</a:Parameters>\
                 <a:RequestId i:nil=\"true\"/><a:RequestName>Create</a:RequestName>\
                 </a:OrganizationRequest>",
                parameter("Target", "a:Entity", &account(&new.name, id))
            )
        })
        .collect();
    format!(
        "<Execute xmlns=\"{SERVICES}\" xmlns:i=\"{INSTANCE}\"><request i:type=\"l:{name}Request\" \
         xmlns:a=\"{CONTRACTS}\" xmlns:l=\"{LATER_CONTRACTS}\" xmlns:b=\"{GENERIC}\" \
         xmlns:x=\"http://www.w3.org/2001/XMLSchema\"><a:Parameters>{}{more}</a:Parameters>\
         <a:RequestId i:nil=\"true\"/><a:RequestName>{name}</a:RequestName></request></Execute>",
        parameter("Requests", "l:OrganizationRequestCollection", &requests)
    )
}

fn retrieve(id: &str) -> String {
    format!(
        "<Retrieve xmlns=\"{SERVICES}\" xmlns:i=\"{INSTANCE}\"><entityName>account</entityName>\
         <id>{}</id><columnSet xmlns:a=\"{CONTRACTS}\"><a:AllColumns>true</a:AllColumns>\
         <a:Columns xmlns:b=\"http://schemas.microsoft.com/2003/10/Serialization/Arrays\"/>\
         </columnSet></Retrieve>",
        escape(id)
    )
}
