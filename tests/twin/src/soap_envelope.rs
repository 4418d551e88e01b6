//! SOAP's two versions: reading an envelope, and writing answers and faults in it.

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use roxmltree::{Document, Node};

use crate::reply::{Reply, ServiceError, with_body};
use crate::xml::{child, child_text, escaped};

const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
const GENERIC: &str = "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";

/// A version of SOAP; 1.2 comes with WS-Addressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoapVersion {
    V11,
    V12,
}

/// Which of the two services a SOAP endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    Organization,
    Discovery,
}

impl Contract {
    /// The namespace of the operations.
    pub(crate) fn namespace(self) -> &'static str {
        match self {
            Contract::Organization => "http://schemas.microsoft.com/xrm/2011/Contracts/Services",
            Contract::Discovery => "http://schemas.microsoft.com/xrm/2011/Contracts/Discovery",
        }
    }

    /// The name of the port type.
    pub(crate) fn interface(self) -> &'static str {
        match self {
            Contract::Organization => "IOrganizationService",
            Contract::Discovery => "IDiscoveryService",
        }
    }

    /// What stands before an operation's name in its action.
    pub(crate) fn action(self) -> String {
        format!("{}/{}/", self.namespace(), self.interface())
    }

    /// The element of a fault's detail.
    pub(crate) fn fault(self) -> &'static str {
        match self {
            Contract::Organization => "OrganizationServiceFault",
            Contract::Discovery => "DiscoveryServiceFault",
        }
    }
}

/// What the fault of a contract says, in the namespace of the contracts.
pub(crate) fn fault_fields(error: &ServiceError) -> String {
    let text = escaped(&error.message);
    let time = time::OffsetDateTime::now_utc()
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    let details = error.retry_after.as_deref().map_or(String::new(), |duration| {
        format!(
            r#"<KeyValuePairOfstringanyType><a:key>Retry-After</a:key><a:value i:type="c:duration" xmlns:c="{SERIALIZATION}">{}</a:value></KeyValuePairOfstringanyType>"#,
            escaped(duration)
        )
    });
    format!(
        r#"<ErrorCode>{}</ErrorCode><ErrorDetails xmlns:a="{GENERIC}">{details}</ErrorDetails><Message>{text}</Message><Timestamp>{time}</Timestamp><InnerFault i:nil="true"/><TraceText i:nil="true"/>"#,
        error.code.signed()
    )
}

impl SoapVersion {
    fn namespace(self) -> &'static str {
        match self {
            SoapVersion::V11 => "http://schemas.xmlsoap.org/soap/envelope/",
            SoapVersion::V12 => "http://www.w3.org/2003/05/soap-envelope",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            SoapVersion::V11 => "text/xml; charset=utf-8",
            SoapVersion::V12 => "application/soap+xml; charset=utf-8",
        }
    }

    fn name(self) -> &'static str {
        match self {
            SoapVersion::V11 => "1.1",
            SoapVersion::V12 => "1.2",
        }
    }

    /// The first element of the body, which is the operation.
    pub(crate) fn operation<'a, 'input>(
        self,
        document: &'a Document<'input>,
        contract: Contract,
    ) -> Result<Node<'a, 'input>, ServiceError> {
        let envelope = document.root_element();
        if !envelope.has_tag_name((self.namespace(), "Envelope")) {
            return Err(ServiceError::invalid(format!(
                "the root element is no SOAP {} envelope",
                self.name()
            )));
        }
        child(envelope, "Body")
            .and_then(|body| body.first_element_child())
            .filter(|operation| operation.tag_name().namespace() == Some(contract.namespace()))
            .ok_or_else(|| ServiceError::invalid("the body holds no operation of the service"))
    }

    /// An answer with the result of an operation.
    pub(crate) fn reply(
        self,
        contract: Contract,
        operation: &str,
        relates_to: Option<&str>,
        content: &str,
    ) -> Reply {
        let namespace = contract.namespace();
        let action = format!("{}{operation}Response", contract.action());
        let content =
            format!(r#"<{operation}Response xmlns="{namespace}">{content}</{operation}Response>"#);
        self.enveloped(200, &action, relates_to, &content)
    }

    /// An error as the contract's fault.
    pub(crate) fn fault(
        self,
        contract: Contract,
        error: &ServiceError,
        relates_to: Option<&str>,
    ) -> Reply {
        let text = escaped(&error.message);
        let name = contract.fault();
        let detail = format!(
            r#"<{name} xmlns="{CONTRACTS}" xmlns:i="{INSTANCE}">{}</{name}>"#,
            fault_fields(error)
        );
        let fault = match self {
            SoapVersion::V11 => format!(
                r#"<s:Fault><faultcode>s:Client</faultcode><faultstring xml:lang="en-US">{text}</faultstring><detail>{detail}</detail></s:Fault>"#
            ),
            SoapVersion::V12 => format!(
                r#"<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault>"#
            ),
        };
        let action = format!("{}Execute{name}Fault", contract.action());
        self.enveloped(500, &action, relates_to, &fault)
    }

    fn enveloped(self, status: u16, action: &str, relates_to: Option<&str>, body: &str) -> Reply {
        let namespace = self.namespace();
        let header = match self {
            SoapVersion::V11 => String::new(),
            SoapVersion::V12 => {
                let relates_to = relates_to.map_or(String::new(), |id| {
                    format!("<a:RelatesTo>{}</a:RelatesTo>", escaped(id))
                });
                format!(
                    r#"<s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>{relates_to}</s:Header>"#
                )
            }
        };
        let builder = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, self.content_type());
        with_body(
            builder,
            format!(
                r#"<s:Envelope xmlns:s="{namespace}" xmlns:a="{ADDRESSING}">{header}<s:Body>{body}</s:Body></s:Envelope>"#
            ),
        )
    }
}

/// The WS-Addressing headers of a request.
#[derive(Debug, Default)]
pub(crate) struct Addressing {
    pub(crate) message_id: Option<String>,
    action: Option<String>,
    to: Option<String>,
}

impl Addressing {
    /// Reads the headers; the action may stand in `Content-Type` alone.
    pub(crate) fn read<B>(document: &Document<'_>, request: &Request<B>) -> Addressing {
        let header = child(document.root_element(), "Header");
        let text = |name| {
            let node = child(header?, name)?;
            let is_addressing = node.tag_name().namespace() == Some(ADDRESSING);
            is_addressing.then(|| child_text(header?, name).map(str::to_owned))?
        };
        let content_type = request.headers().get(CONTENT_TYPE);
        let parameter = content_type
            .and_then(|value| value.to_str().ok())
            .and_then(|value| crate::multipart::parameter(value, "action"));
        Addressing {
            message_id: text("MessageID"),
            action: text("Action").or(parameter),
            to: text("To"),
        }
    }

    /// What WCF's dispatcher refuses: a message to another address, and one whose action is not
    /// the operation's.
    pub(crate) fn refusal(
        &self,
        contract: Contract,
        operation: &str,
        is_own: impl FnOnce(&str) -> bool,
    ) -> Option<Reply> {
        if let Some(to) = self.to.as_deref().filter(|to| !is_own(to)) {
            return Some(self.refuse(
                "DestinationUnreachable",
                &format!(
                    "The message with To '{to}' cannot be processed at the receiver, due to an \
                     AddressFilter mismatch at the EndpointDispatcher."
                ),
            ));
        }
        let action = self.action.as_deref().unwrap_or_default();
        if action != format!("{}{operation}", contract.action()) {
            return Some(self.refuse(
                "ActionNotSupported",
                &format!(
                    "The message with Action '{action}' cannot be processed at the receiver, due \
                     to a ContractFilter mismatch at the EndpointDispatcher."
                ),
            ));
        }
        None
    }

    fn refuse(&self, subcode: &str, reason: &str) -> Reply {
        let fault = format!(
            r#"<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>a:{subcode}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">{}</s:Text></s:Reason></s:Fault>"#,
            escaped(reason)
        );
        let action = format!("{ADDRESSING}/fault");
        SoapVersion::V12.enveloped(500, &action, self.message_id.as_deref(), &fault)
    }
}
