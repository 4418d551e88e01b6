//! Answers, and the forms that an error takes on each service.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Response, response};
use serde_json::{Value, json};

use crate::error_code::ErrorCode;
use crate::odata_v2;
use crate::service::Service;
use crate::xml::escaped;

/// A whole answer.
pub(crate) type Reply = Response<Bytes>;

pub(crate) const ODATA_JSON: &str = "application/json; odata.metadata=minimal";

pub(crate) fn empty(builder: response::Builder) -> Reply {
    with_body(builder, Bytes::new())
}

/// Statuses and headers are checked where they are set, so that nothing is left to fail here but
/// a mistake in this crate.
pub(crate) fn with_body(builder: response::Builder, body: impl Into<Bytes>) -> Reply {
    builder
        .body(body.into())
        .expect("status and headers were checked")
}

pub(crate) fn json_reply(status: u16, body: &Value) -> Reply {
    let builder = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, ODATA_JSON)
        .header("OData-Version", "4.0");
    with_body(builder, body.to_string())
}

pub(crate) fn html_reply(status: u16, text: &str) -> Reply {
    let builder = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/html; charset=utf-8");
    let text = escaped(text);
    with_body(
        builder,
        format!(
            "<!DOCTYPE html><html><head><title>{text}</title></head><body><h2>{text}</h2></body></html>"
        ),
    )
}

/// An error of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceError {
    pub(crate) code: ErrorCode,
    /// The HTTP status on the Web API.
    pub(crate) status: u16,
    pub(crate) message: String,
    /// How long to wait, as a SOAP fault says it.
    pub(crate) retry_after: Option<String>,
}

/// 0x8004B065.
pub(crate) const DATACENTER_NOT_AVAILABLE: ErrorCode = ErrorCode(0x8004_B065);
pub(crate) const OBJECT_DOES_NOT_EXIST: ErrorCode = ErrorCode(0x8004_0217);
pub(crate) const DUPLICATE_RECORD: ErrorCode = ErrorCode(0x8004_0237);
pub(crate) const DUPLICATE_ENTITY_KEY: ErrorCode = ErrorCode(0x8006_0892);
pub(crate) const NO_ROW_WITH_ENTITY_KEY: ErrorCode = ErrorCode(0x8006_0891);
pub(crate) const VERSION_MISMATCH: ErrorCode = ErrorCode(0x8006_0882);
pub(crate) const INVALID_ARGUMENT: ErrorCode = ErrorCode(0x8004_0203);
pub(crate) const NO_SUCH_RESOURCE: ErrorCode = ErrorCode(0x8006_0888);

impl ServiceError {
    pub(crate) fn new(code: ErrorCode, status: u16, message: impl Into<String>) -> ServiceError {
        ServiceError {
            code,
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn datacenter_not_available(status: u16) -> ServiceError {
        let message = "The datacenter that serves the organization is not available.";
        ServiceError::new(DATACENTER_NOT_AVAILABLE, status, message)
    }

    /// What the twin does not do, or cannot read.
    pub(crate) fn invalid(message: impl Into<String>) -> ServiceError {
        ServiceError::new(INVALID_ARGUMENT, 400, message)
    }

    /// In the form of the service that was asked.
    pub(crate) fn reply(&self, service: Service) -> Reply {
        match service {
            Service::Soap { version, contract } => version.fault(contract, self, None),
            Service::ODataV2 => odata_v2::error(self),
            Service::WebApi | Service::Wsdl(_) | Service::Bulk | Service::Other => self.odata(),
        }
    }

    pub(crate) fn odata(&self) -> Reply {
        let code = self.code.to_string();
        json_reply(
            self.status,
            &json!({"error": {"code": code, "message": self.message}}),
        )
    }
}
