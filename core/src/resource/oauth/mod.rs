//! OAuth 2.0 client credentials: a provider of the library's own.

mod answer;
mod assertion;

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::sleep;
use url::{Url, form_urlencoded};

use self::answer::{Answer, Next};
use self::assertion::Signer;
use super::chance::Chance;
use super::engine::Engine;
use super::late::in_time;
use super::transport::{Address, Exchange, Progress, SendBody, Transport};
use crate::client_credentials::{ClientCredentials, Proof};
use crate::lock::lock;
use crate::{Error, ErrorKind, TokenProvider, TokenRequest};

/// One question, whole.
const ATTEMPT: Duration = Duration::from_secs(10);
/// An answer has a few kilobytes.
const LARGEST: usize = 256 << 10;

const BY_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Asks a token server, on the client's own transport: by the same proxy, `connect_to` and certificate
/// store as calls, and by a connection of its own each time, since an hour lies between two.
pub(crate) struct OAuth {
    engine: Arc<Engine>,
    server: Arc<Server>,
}

struct Server {
    transport: Arc<Transport>,
    address: Address,
    user_agent: HeaderValue,
    client_id: String,
    key: Key,
    chance: Chance,
    silences: Mutex<Vec<Silence>>,
}

/// Until when nothing is asked, and why.
struct Silence {
    /// `None`: for either endpoint.
    endpoint: Option<String>,
    until: Instant,
    why: String,
}

enum Key {
    Secret(String),
    Certificate(Signer),
}

impl OAuth {
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a certificate that cannot be used.
    pub(crate) fn new(
        credentials: ClientCredentials,
        transport: &Arc<Transport>,
        engine: &Arc<Engine>,
        user_agent: &HeaderValue,
    ) -> Result<OAuth, Error> {
        let key = match credentials.proof {
            Proof::Secret(secret) => Key::Secret(secret),
            Proof::Certificate(path) => Key::Certificate(Signer::read(&path)?),
        };
        let address = Address::of(&credentials.token_url).ok_or_else(|| {
            let message = "oauth_authority: the library cannot connect to this host";
            Error::new(ErrorKind::InvalidSetting, message)
        })?;
        Ok(OAuth {
            engine: Arc::clone(engine),
            server: Arc::new(Server {
                transport: Arc::clone(transport),
                address,
                user_agent: user_agent.clone(),
                client_id: credentials.client_id,
                key,
                chance: Chance::default(),
                silences: Mutex::default(),
            }),
        })
    }
}

impl TokenProvider for OAuth {
    fn provide(&self, request: TokenRequest) {
        let server = Arc::clone(&self.server);
        match self.engine.reserve() {
            Ok(task) => {
                let asking = async move { server.provide(request).await };
                self.engine.run(task, Box::pin(asking));
            }
            Err(error) => request.fail(&format!("no thread to ask the token server with: {error}")),
        }
    }
}

impl Server {
    async fn provide(&self, request: TokenRequest) {
        if let Some(why) = self.silence(request.url(), Instant::now()) {
            return request.fail(&why);
        }
        for attempt in 1.. {
            let answer = self.ask(request.url()).await;
            match &answer {
                Answer::Token { token, life } => return request.reply(token.clone(), Some(*life)),
                Answer::Refused(why) | Answer::RefusedHere(why) | Answer::NotNow(why, _) => {
                    match answer.next(attempt, self.chance.draw()) {
                        Next::AskAgainIn(pause) => sleep(pause).await,
                        Next::GiveUp(silence) => {
                            let why = format!("{}: {why}", self.name());
                            let is_of_one = matches!(answer, Answer::RefusedHere(_));
                            let endpoint = is_of_one.then(|| request.url().to_owned());
                            self.silence_for(silence, endpoint, why.clone());
                            return request.fail(&why);
                        }
                    }
                }
            }
        }
    }

    fn silence_for(&self, time: Duration, endpoint: Option<String>, why: String) {
        let until = Instant::now() + time;
        let mut silences = lock(&self.silences);
        silences.retain(|other| other.endpoint != endpoint);
        silences.push(Silence {
            endpoint,
            until,
            why,
        });
    }

    /// Why nothing is asked now for an endpoint, if nothing is.
    fn silence(&self, endpoint: &str, now: Instant) -> Option<String> {
        let silences = lock(&self.silences);
        let Silence { until, why, .. } = silences.iter().find(|silence| {
            let is_for = silence.endpoint.as_deref().is_none_or(|of| of == endpoint);
            is_for && now < silence.until
        })?;
        let left = until.saturating_duration_since(now).as_secs() + 1;
        Some(format!(
            "{why}; it is asked again in {left} s at the earliest"
        ))
    }

    fn name(&self) -> String {
        format!("the token server {}", self.address.name())
    }

    async fn ask(&self, endpoint: &str) -> Answer {
        let Some(form) = self.form(endpoint) else {
            return Answer::Refused("the assertion could not be signed".to_owned());
        };
        let form = Bytes::from(form);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, self.address.host().clone());
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form_type);
        let progress = Progress::default();
        let body = || SendBody::bytes(form.clone());
        let exchange = Exchange {
            method: &Method::POST,
            body: &body,
            ..Exchange::get(&self.address, &headers, LARGEST, &progress)
        };
        let answer = pin!(self.transport.exchange_apart(&exchange));
        match in_time((Instant::now() + ATTEMPT).into(), answer).await {
            Some(Ok(())) => {}
            Some(Err(fault)) => return Answer::NotNow(fault.message, None),
            None => {
                let why = format!("no answer within {} s", ATTEMPT.as_secs());
                return Answer::NotNow(why, None);
            }
        }
        match progress.take_answer() {
            Some((head, body)) => Answer::read(head.status, &head.headers, &body),
            None => Answer::NotNow("no answer".to_owned(), None),
        }
    }

    /// The question for a token of an endpoint.
    fn form(&self, endpoint: &str) -> Option<String> {
        let origin = Url::parse(endpoint).ok()?.origin().ascii_serialization();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", &format!("{origin}/.default"));
        match &self.key {
            Key::Secret(secret) => form.append_pair("client_secret", secret),
            Key::Certificate(signer) => {
                let audience = self.address.text();
                let signed = signer.sign(&self.client_id, audience, SystemTime::now())?;
                form.append_pair("client_assertion_type", BY_ASSERTION)
                    .append_pair("client_assertion", &signed)
            }
        };
        Some(form.finish())
    }
}
