//! The control endpoint: what the library offers, for other processes, as JSON over plain HTTP.

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use url::form_urlencoded;

use crate::config::{OrganizationConfig, Tokens, Wsdl};
use crate::counts::Condition;
use crate::error::TwinError;
use crate::fault::{Fault, FaultId};
use crate::fault_kind::FaultKind;
use crate::org_handle::OrgHandle;
use crate::proxy::{Proxy, ProxyCondition, ProxyConfig, ProxyFault};
use crate::replication::Replication;
use crate::role::{Authority, Role};
use crate::routes;
use crate::twin::Datacenter;

/// The endpoint's socket, before and while it serves.
pub(crate) struct Endpoint {
    listener: TcpListener,
    port: u16,
}

impl Endpoint {
    pub(crate) fn open(runtime: &Handle, port: u16) -> Result<Endpoint, TwinError> {
        let _context = runtime.enter();
        let open = || {
            let listener = StdListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
            listener.set_nonblocking(true)?;
            let port = listener.local_addr()?.port();
            Ok(Endpoint {
                listener: TcpListener::from_std(listener)?,
                port,
            })
        };
        open().map_err(TwinError::io(format!("control endpoint on port {port}")))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) async fn serve(self, datacenter: Arc<Datacenter>) {
        loop {
            let Ok((tcp, _)) = self.listener.accept().await else {
                // Out of descriptors: those in use will be given back.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let datacenter = datacenter.clone();
            tokio::spawn(serve_connection(datacenter, tcp));
        }
    }
}

/// Serves one connection; passes a request to shut down on when its answer has left, since the
/// owner may end the process at once.
async fn serve_connection(datacenter: Arc<Datacenter>, tcp: TcpStream) {
    let asked_to_end = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| handle(datacenter.clone(), asked_to_end.clone(), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(tcp), service);
    // A client that is gone has got what it wanted, or will not get it.
    let _ = connection.await;
    if asked_to_end.load(Ordering::SeqCst) {
        datacenter.request_shutdown();
    }
}

async fn handle(
    datacenter: Arc<Datacenter>,
    asked_to_end: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let ends = asked_to_end.clone();
    // Faults and waits block, as they do in the library.
    let answer = tokio::task::spawn_blocking(move || {
        let query = head.uri.query().unwrap_or_default();
        let call = Call {
            datacenter: &datacenter,
            asked_to_end: &ends,
            path: head.uri.path(),
            query,
            body: &body,
        };
        call.route(&head.method)
    })
    .await
    .unwrap_or(Err(Refusal::Twin(TwinError::Stopped)));
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(refusal) => (refusal.status(), json!({"error": refusal.to_string()})),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    if asked_to_end.load(Ordering::SeqCst) {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Twin(#[from] TwinError),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    NotFound(String),
}

impl Refusal {
    fn status(&self) -> u16 {
        match self {
            Refusal::NotFound(_)
            | Refusal::Twin(TwinError::UnknownOrganization(_) | TwinError::UnknownProxy(_)) => 404,
            Refusal::Twin(TwinError::TimedOut { .. }) => 408,
            Refusal::Twin(TwinError::Invalid(_)) | Refusal::Malformed(_) => 400,
            Refusal::Twin(_) => 500,
        }
    }
}

pub(crate) type Answer = Result<Value, Refusal>;

fn to_json(value: impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::Malformed(error.to_string()))
}

/// Takes `timeout_ms` out of the keys; 10 s by default.
fn timeout(keys: &mut Map<String, Value>) -> Result<Duration, Refusal> {
    let milliseconds = match keys.remove("timeout_ms") {
        None => 10_000,
        Some(value) => value
            .as_u64()
            .ok_or_else(|| Refusal::Malformed("timeout_ms takes milliseconds".into()))?,
    };
    Ok(Duration::from_millis(milliseconds))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAuthority {
    org: String,
    active: Authority,
    passive: Option<FaultKind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrgOnly {
    org: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearFaults {
    org: Option<String>,
    side: Option<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetTokens {
    org: String,
    tokens: Tokens,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetWsdl {
    org: String,
    wsdl: Wsdl,
}

fn done() -> Answer {
    Ok(json!({}))
}

/// One request to the endpoint.
pub(crate) struct Call<'a> {
    datacenter: &'a Datacenter,
    asked_to_end: &'a AtomicBool,
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    fn route(&self, method: &Method) -> Answer {
        let path = self.path;
        match routes::find(method.as_str(), path) {
            Some(answer) => answer(self),
            None => Err(Refusal::NotFound(format!(
                "no route {method} {path}; there are {}",
                routes::names()
            ))),
        }
    }

    pub(crate) fn set_authority(&self) -> Answer {
        let SetAuthority {
            org,
            active,
            passive,
        } = self.read()?;
        let org = self.datacenter.org(&org)?;
        if let Some(passive) = passive {
            org.set_passive(passive)?;
        }
        org.set_authority(active);
        done()
    }

    pub(crate) fn set_replication(&self) -> Answer {
        let mut keys: Map<String, Value> = self.read()?;
        let org = self.named_org(&mut keys)?;
        org.set_replication(from_json::<Replication>(keys.into())?);
        done()
    }

    pub(crate) fn replicate(&self) -> Answer {
        let OrgOnly { org } = self.read()?;
        Ok(json!({"crossed": self.datacenter.org(&org)?.replicate()?}))
    }

    pub(crate) fn set_tokens(&self) -> Answer {
        let SetTokens { org, tokens } = self.read()?;
        self.datacenter.org(&org)?.set_tokens(tokens);
        done()
    }

    pub(crate) fn set_wsdl(&self) -> Answer {
        let SetWsdl { org, wsdl } = self.read()?;
        self.datacenter.org(&org)?.set_wsdl(wsdl)?;
        done()
    }

    pub(crate) fn proxy_wait(&self) -> Answer {
        let mut keys = self.asked_keys();
        let proxy = self.named_proxy(&mut keys)?;
        let timeout = timeout(&mut keys)?;
        proxy.wait_for(&from_json::<ProxyCondition>(keys.into())?, timeout)?;
        to_json(proxy.describe())
    }

    pub(crate) fn set_proxy_fault(&self) -> Answer {
        let mut keys: Map<String, Value> = self.read()?;
        let proxy = self.named_proxy(&mut keys)?;
        proxy.fault(from_json::<ProxyFault>(keys.into())?)?;
        done()
    }

    pub(crate) fn state(&self) -> Answer {
        to_json(self.datacenter.describe())
    }

    pub(crate) fn rows(&self) -> Answer {
        to_json(self.asked_org()?.rows())
    }

    pub(crate) fn duplicates(&self) -> Answer {
        to_json(self.asked_org()?.duplicates())
    }

    pub(crate) fn add_organization(&self) -> Answer {
        let config: OrganizationConfig = self.read()?;
        to_json(self.datacenter.add_organization(config)?.describe())
    }

    pub(crate) fn add_proxy(&self) -> Answer {
        let config: ProxyConfig = self.read()?;
        to_json(self.datacenter.add_proxy(config)?.describe())
    }

    pub(crate) fn proxy_journal(&self) -> Answer {
        to_json(self.named_proxy(&mut self.asked_keys())?.journal())
    }

    pub(crate) fn clear_proxy(&self) -> Answer {
        let mut keys: Map<String, Value> = self.read()?;
        self.named_proxy(&mut keys)?.clear();
        done()
    }

    pub(crate) fn shut_down(&self) -> Answer {
        self.asked_to_end.store(true, Ordering::SeqCst);
        done()
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|error| Refusal::Malformed(format!("body: {error}")))
    }

    fn asked(&self) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned()
    }

    fn asked_org(&self) -> Result<OrgHandle, Refusal> {
        let name = self
            .asked()
            .find(|(name, _)| name == "org")
            .map(|(_, org)| org);
        let name = name.ok_or_else(|| Refusal::Malformed("say which: ?org=<name>".into()))?;
        Ok(self.datacenter.org(&name)?)
    }

    /// Takes `org` out of the body's keys.
    fn named_org(&self, keys: &mut Map<String, Value>) -> Result<OrgHandle, Refusal> {
        match keys.remove("org") {
            Some(Value::String(name)) => Ok(self.datacenter.org(&name)?),
            _ => Err(Refusal::Malformed(
                "say which organization: \"org\": \"<name>\"".into(),
            )),
        }
    }

    pub(crate) fn journal(&self) -> Answer {
        let mut entries = self.datacenter.journal();
        for (name, value) in self.asked() {
            match (name.as_str(), value.parse::<u64>()) {
                ("org", _) => entries.retain(|entry| entry.org == value),
                ("after", Ok(seq)) => entries.retain(|entry| entry.seq > seq),
                _ => {
                    return Err(Refusal::Malformed(format!(
                        "/journal takes org=<name> and after=<seq>, not {name}={value}"
                    )));
                }
            }
        }
        to_json(entries)
    }

    /// The query's keys; numbers are numbers.
    fn asked_keys(&self) -> Map<String, Value> {
        let number = |value: String| {
            value
                .parse::<u64>()
                .map_or(Value::String(value), Value::from)
        };
        let pairs = self.asked().map(|(name, value)| (name, number(value)));
        pairs.collect()
    }

    /// Takes `proxy`, its default name where it is not given, out of the keys.
    fn named_proxy(&self, keys: &mut Map<String, Value>) -> Result<Proxy, Refusal> {
        let default = || Value::String(ProxyConfig::default().name);
        let name: String = from_json(keys.remove("proxy").unwrap_or_else(default))?;
        Ok(self.datacenter.proxy(&name)?)
    }

    pub(crate) fn wait(&self) -> Answer {
        let mut keys = self.asked_keys();
        let org = self.named_org(&mut keys)?;
        let side = keys.remove("side").unwrap_or(Value::Null);
        let role: Role = from_json(side)
            .map_err(|_| Refusal::Malformed("say which: side=primary or side=alternate".into()))?;
        let timeout = timeout(&mut keys)?;
        let condition: Condition = from_json(keys.into())?;
        let side = org.side(role);
        side.wait_for(condition, timeout)?;
        to_json(side.counts())
    }

    pub(crate) fn set_fault(&self) -> Answer {
        let mut keys: Map<String, Value> = self.read()?;
        let org = self.named_org(&mut keys)?;
        let role: Role = from_json(keys.remove("side").unwrap_or(Value::Null)).map_err(|_| {
            Refusal::Malformed("say which: \"side\": \"primary\" or \"alternate\"".into())
        })?;
        let id = org.side(role).fault(Fault::try_from(keys)?)?;
        Ok(json!({"fault_id": id}))
    }

    pub(crate) fn clear_fault(&self) -> Answer {
        let id = self.path.trim_start_matches("/faults/");
        let unknown = || Refusal::NotFound(format!("fault {id} is not set: see GET /state"));
        let id = FaultId(id.parse().map_err(|_| unknown())?);
        if self.datacenter.clear_fault(id)? {
            Ok(json!({}))
        } else {
            Err(unknown())
        }
    }

    pub(crate) fn clear(&self) -> Answer {
        let ClearFaults { org, side } = match self.body {
            [] => ClearFaults {
                org: None,
                side: None,
            },
            _ => self.read()?,
        };
        let orgs = match org {
            Some(name) => vec![self.datacenter.org(&name)?],
            None => self.datacenter.organizations(),
        };
        for org in orgs {
            for role in Role::ALL {
                if side.is_none_or(|side| side == role) {
                    org.side(role).clear()?;
                }
            }
        }
        Ok(json!({}))
    }
}
