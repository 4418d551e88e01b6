//! A twin datacenter that plays the primary and the alternate of Dynamics 365 organizations.
//!
//! A real server on 127.0.0.1: TLS, the Web API and SOAP over rows in a store per side, the WSDL
//! with its failover policy, replication between the sides, and the faults that a datacenter
//! shows, made at the socket and switched while it runs.
//!
//! Beside the organizations: hosts that are none ([`OrganizationConfig::foreign`]), forward proxies
//! ([`Proxy`]), certificates for clients ([`Datacenter::client_certificate_file`]), and on every
//! side transfers of any size: `GET /bulk/<bytes>` (with `?chunked=1` without a length),
//! `GET /bulk/<bytes>/digest`, and `PUT` or `POST /bulk`.
//!
//! ```
//! use d365_twin::{Authority, Condition, Fault, FaultKind, OrganizationConfig, Twin, TwinConfig};
//! use std::time::Duration;
//!
//! let twin = Twin::start(TwinConfig::new([OrganizationConfig::new("contoso")]))?;
//! let org = twin.org("contoso")?;
//! assert_eq!(org.primary.url(), "https://contoso.crm.twin.test");
//! org.set_authority(Authority::Primary);
//! org.primary.fault(Fault::from(FaultKind::CommitThenReset).method("POST").times(1))?;
//! // … a client that takes twin.ca_file() and twin.connect_to() sends requests …
//! # let none = Condition::idle();
//! # org.primary.wait_for(none, Duration::from_secs(10))?;
//! assert!(org.duplicates().is_empty());
//! # Ok::<(), d365_twin::TwinError>(())
//! ```

mod admission;
mod alternate_key;
mod armed;
mod batch;
mod bomb;
mod bulk;
mod coding;
mod config;
mod connection;
mod content;
mod control;
mod counts;
mod delivery;
mod discovery;
mod entity;
mod error;
mod error_code;
mod exchange;
mod execute;
mod expectation;
mod fault;
mod fault_check;
mod fault_kind;
mod file_column;
mod frames;
mod freeze;
mod gathering;
mod handshake;
mod http1;
mod http2;
mod journal;
mod json_batch;
mod listener;
mod multipart;
mod odata_query;
mod odata_v2;
mod org_handle;
mod organization;
mod paging;
mod plan;
mod prefer;
mod proxy;
mod proxy_server;
mod replication;
mod reply;
mod role;
mod routes;
mod service;
mod session;
mod side_handle;
mod soap;
mod soap_envelope;
mod soap_value;
mod socket;
mod state;
mod store;
mod tls;
mod token;
mod twin;
mod web_api;
mod wsdl;
mod xml;

pub use armed::FaultStatus;
pub use coding::Coding;
pub use config::{ClientCertificates, OrganizationConfig, Plays, Scheme, Tokens, TwinConfig, Wsdl};
pub use counts::{Condition, Counts};
pub use error::TwinError;
pub use error_code::ErrorCode;
pub use fault::{Fault, FaultId};
pub use fault_kind::{Broken, Certificate, FaultKind, LastStream};
pub use journal::JournalEntry;
pub use org_handle::{OrgDescription, OrgHandle};
pub use proxy::{
    Proxy, ProxyCondition, ProxyConfig, ProxyCredentials, ProxyDescription, ProxyEntry, ProxyFault,
    ProxyFaultKind,
};
pub use replication::{Replication, ReplicationMode};
pub use role::{Authority, Role};
pub use routes::control_routes;
pub use side_handle::{SideDescription, SideHandle};
pub use state::{Duplicate, RowView};
pub use twin::{Datacenter, Twin, TwinDescription};
