//! Why an attempt failed.

use std::time::Duration;

/// The kind of a fault: what an application distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// There is no endpoint there: no such name, refused, unreachable, 404 without a service.
    EndpointNotFound = 1,
    /// The service says that this datacenter does not serve the organization now (0x8004B065).
    DatacenterNotAvailable = 2,
    /// No answer in time.
    Timeout = 3,
    /// A front end answers in the service's place, or the organization is disabled or moving.
    ServerUnavailable = 4,
    /// The connection was reset or closed.
    ConnectionLost = 5,
    /// The cause is on this machine: descriptors, ports, resolver.
    Local = 6,
    /// TLS failed: certificate, protocol, alert.
    Tls = 7,
    /// 401, 403, or the token provider failed.
    Authentication = 8,
    /// What came back is not HTTP, or breaks a limit.
    Protocol = 9,
    /// The application cancelled the call, or closed the client.
    Cancelled = 10,
    /// The service asks for less: 429 or a throttling code.
    Throttled = 11,
    /// Any other fault or status of the service.
    Service = 12,
}

impl FaultKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [FaultKind; 12] = [
        FaultKind::EndpointNotFound,
        FaultKind::DatacenterNotAvailable,
        FaultKind::Timeout,
        FaultKind::ServerUnavailable,
        FaultKind::ConnectionLost,
        FaultKind::Local,
        FaultKind::Tls,
        FaultKind::Authentication,
        FaultKind::Protocol,
        FaultKind::Cancelled,
        FaultKind::Throttled,
        FaultKind::Service,
    ];

    /// The name in lower case with underscores, as in every binding: `endpoint_not_found`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::EndpointNotFound => "endpoint_not_found",
            FaultKind::DatacenterNotAvailable => "datacenter_not_available",
            FaultKind::Timeout => "timeout",
            FaultKind::ServerUnavailable => "server_unavailable",
            FaultKind::ConnectionLost => "connection_lost",
            FaultKind::Local => "local",
            FaultKind::Tls => "tls",
            FaultKind::Authentication => "authentication",
            FaultKind::Protocol => "protocol",
            FaultKind::Cancelled => "cancelled",
            FaultKind::Throttled => "throttled",
            FaultKind::Service => "service",
        }
    }
}

/// What exactly was seen. Finer than the kind, because the presets draw their lines here. Its number
/// is that of the C ABI, and never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// DNS: there is no such name.
    NoSuchName = 1,
    /// DNS: try again later.
    NameTryAgain = 2,
    /// The connection was refused.
    Refused = 3,
    /// The network or the host is unreachable.
    Unreachable = 4,
    /// The connection was not established in time.
    ConnectTimeout = 5,
    /// 404 without a service's mark.
    NotFound = 6,
    /// 410 without a service's mark.
    Gone = 7,
    /// The 400 page of http.sys that says "Invalid Hostname".
    InvalidHostname = 8,
    /// A SOAP fault with WS-Addressing `DestinationUnreachable`.
    DestinationUnreachable = 9,
    /// Code 0x8004B065, outermost.
    DatacenterNotAvailable = 10,
    /// No whole answer within the attempt's time.
    AttemptTimeout = 11,
    /// No whole answer, or no decision, within the call's deadline.
    Deadline = 12,
    /// 504.
    GatewayTimeout = 13,
    /// The endpoint was left while the call waited for its answer.
    EndpointLeft = 14,
    /// 502.
    BadGateway = 15,
    /// 503, or a SOAP fault with WS-Addressing `EndpointUnavailable`.
    Unavailable = 16,
    /// An HTML page where a service should answer.
    HtmlPage = 17,
    /// A 2xx to a write without a mark of the service that was asked.
    NoServiceMark = 35,
    /// No endpoint of the organization answers, and the call has waited for one.
    Outage = 38,
    /// The organization is disabled or in motion.
    OrganizationOff = 18,
    /// The connection was reset.
    Reset = 19,
    /// The connection was closed before the whole answer had come.
    Closed = 20,
    /// The connection was closed in the TLS handshake, or before a byte of the request had left.
    ClosedUnsent = 21,
    /// What shows that the peer did not process the request: HTTP/2's REFUSED_STREAM; a GOAWAY whose
    /// last stream is below ours (RFC 9113, 8.7); HTTP_1_1_REQUIRED, of our stream or of a connection
    /// that it turned down at its first one. Or the library's own word: a kept connection was dead
    /// before a byte of the request had left, and of its body, which the application gives, something
    /// was read already.
    Unprocessed = 22,
    /// Something on this machine failed: the application's own code for the call, say.
    LocalFailure = 23,
    /// This machine has no thread, no descriptor, no memory for it.
    NoResources = 37,
    /// The proxy failed, or refused.
    Proxy = 24,
    /// The TLS handshake or a TLS record failed: a certificate that was refused, say.
    Tls = 25,
    /// The peer has ended TLS with an alert: a front end that is starting, say.
    TlsAlert = 26,
    /// 401.
    Unauthorized = 27,
    /// 403.
    Forbidden = 28,
    /// The token provider gave no token.
    NoToken = 29,
    /// The answer is larger than its limits, or its coding cannot be taken off.
    BadMessage = 30,
    /// What came is not HTTP: no status line, no length or two, a chunk that is none, a frame that
    /// breaks the protocol. Another try may find better.
    Malformed = 31,
    /// The application cancelled the call.
    Cancelled = 32,
    /// The service throttles.
    Throttled = 33,
    /// The service's database was not to be had for a moment: it moves to another server.
    DatabaseMoving = 36,
    /// Any other fault or status.
    ServiceFault = 34,
}

impl Cause {
    /// All causes, in the order of their numbers.
    pub const ALL: [Cause; 38] = [
        Cause::NoSuchName,
        Cause::NameTryAgain,
        Cause::Refused,
        Cause::Unreachable,
        Cause::ConnectTimeout,
        Cause::NotFound,
        Cause::Gone,
        Cause::InvalidHostname,
        Cause::DestinationUnreachable,
        Cause::DatacenterNotAvailable,
        Cause::AttemptTimeout,
        Cause::Deadline,
        Cause::GatewayTimeout,
        Cause::EndpointLeft,
        Cause::BadGateway,
        Cause::Unavailable,
        Cause::HtmlPage,
        Cause::OrganizationOff,
        Cause::Reset,
        Cause::Closed,
        Cause::ClosedUnsent,
        Cause::Unprocessed,
        Cause::LocalFailure,
        Cause::Proxy,
        Cause::Tls,
        Cause::TlsAlert,
        Cause::Unauthorized,
        Cause::Forbidden,
        Cause::NoToken,
        Cause::BadMessage,
        Cause::Malformed,
        Cause::Cancelled,
        Cause::Throttled,
        Cause::ServiceFault,
        Cause::NoServiceMark,
        Cause::DatabaseMoving,
        Cause::NoResources,
        Cause::Outage,
    ];

    /// The name in lower case with underscores, as in every binding: `no_such_name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::NoSuchName => "no_such_name",
            Cause::NameTryAgain => "name_try_again",
            Cause::Refused => "refused",
            Cause::Unreachable => "unreachable",
            Cause::ConnectTimeout => "connect_timeout",
            Cause::NotFound => "not_found",
            Cause::Gone => "gone",
            Cause::InvalidHostname => "invalid_hostname",
            Cause::DestinationUnreachable => "destination_unreachable",
            Cause::DatacenterNotAvailable => "datacenter_not_available",
            Cause::AttemptTimeout => "attempt_timeout",
            Cause::Deadline => "deadline",
            Cause::GatewayTimeout => "gateway_timeout",
            Cause::EndpointLeft => "endpoint_left",
            Cause::BadGateway => "bad_gateway",
            Cause::Unavailable => "unavailable",
            Cause::HtmlPage => "html_page",
            Cause::OrganizationOff => "organization_off",
            Cause::Reset => "reset",
            Cause::Closed => "closed",
            Cause::ClosedUnsent => "closed_unsent",
            Cause::Unprocessed => "unprocessed",
            Cause::LocalFailure => "local_failure",
            Cause::NoResources => "no_resources",
            Cause::Proxy => "proxy",
            Cause::Tls => "tls",
            Cause::TlsAlert => "tls_alert",
            Cause::Unauthorized => "unauthorized",
            Cause::Forbidden => "forbidden",
            Cause::NoToken => "no_token",
            Cause::BadMessage => "bad_message",
            Cause::Malformed => "malformed",
            Cause::Cancelled => "cancelled",
            Cause::Throttled => "throttled",
            Cause::ServiceFault => "service_fault",
            Cause::NoServiceMark => "no_service_mark",
            Cause::DatabaseMoving => "database_moving",
            Cause::Outage => "outage",
        }
    }

    /// The kind that this cause belongs to.
    #[must_use]
    pub fn kind(self) -> FaultKind {
        match self {
            Cause::NoSuchName
            | Cause::Refused
            | Cause::Unreachable
            | Cause::ConnectTimeout
            | Cause::NotFound
            | Cause::Gone
            | Cause::InvalidHostname
            | Cause::DestinationUnreachable => FaultKind::EndpointNotFound,
            Cause::DatacenterNotAvailable => FaultKind::DatacenterNotAvailable,
            Cause::AttemptTimeout
            | Cause::Deadline
            | Cause::GatewayTimeout
            | Cause::EndpointLeft => FaultKind::Timeout,
            Cause::BadGateway
            | Cause::Unavailable
            | Cause::HtmlPage
            | Cause::NoServiceMark
            | Cause::Outage
            | Cause::OrganizationOff => FaultKind::ServerUnavailable,
            Cause::Reset | Cause::Closed | Cause::ClosedUnsent | Cause::Unprocessed => {
                FaultKind::ConnectionLost
            }
            Cause::NameTryAgain | Cause::LocalFailure | Cause::NoResources | Cause::Proxy => {
                FaultKind::Local
            }
            Cause::Tls | Cause::TlsAlert => FaultKind::Tls,
            Cause::Unauthorized | Cause::Forbidden | Cause::NoToken => FaultKind::Authentication,
            Cause::BadMessage | Cause::Malformed => FaultKind::Protocol,
            Cause::Cancelled => FaultKind::Cancelled,
            Cause::Throttled => FaultKind::Throttled,
            Cause::DatabaseMoving | Cause::ServiceFault => FaultKind::Service,
        }
    }
}

/// Why an attempt failed, with everything that the answer told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind, for the application.
    pub kind: FaultKind,
    /// The cause, for the decisions.
    pub cause: Cause,
    /// The status of the answer, if there was one.
    pub http_status: Option<u16>,
    /// The service's outermost error code, as the signed number that the SDK shows.
    pub code: Option<i32>,
    /// How long the service asks to wait.
    pub retry_after: Option<Duration>,
    /// What the token provider has given with its failure, if that is why.
    pub provider_data: Option<i64>,
    /// One line for a person; with the service's own sentence, cut, where it said one.
    pub message: String,
}

impl Fault {
    /// A fault without an answer.
    #[must_use]
    pub fn new(cause: Cause, message: impl Into<String>) -> Fault {
        Fault {
            kind: cause.kind(),
            cause,
            http_status: None,
            code: None,
            retry_after: None,
            provider_data: None,
            message: message.into(),
        }
    }

    /// Whether a call that ends with this fault gives its response rather than an error.
    #[must_use]
    pub(crate) fn ends_as_response(&self) -> bool {
        match self.kind {
            FaultKind::Throttled | FaultKind::Service => true,
            FaultKind::Authentication => self.http_status.is_some(),
            _ => false,
        }
    }
}
