//! What is sent in one attempt: the request, made ready for one endpoint.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, IF_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use super::Inner;
use super::attempt::Running;
use super::time::Time;
use crate::allowed_host::keep_for_allowed_host;
use crate::body::{Body, BodyReader};
use crate::operation::web_api;
use crate::resource::desk::Desk;
use crate::resource::late::in_time;
use crate::resource::transport::{Latch, SendBody, ask_for_codings, still_asks_for_codings};
use crate::rewrite::update_guard::{guard_parts, wants_update_guard};
use crate::{Cause, Fault, Outgoing, Request, Role, TokenPrecedence};

pub(super) struct Draft {
    pub(super) headers: HeaderMap,
    body: DraftBody,
    /// Codings were asked for by the library and not by the application.
    pub(super) decodes: bool,
    /// Opened when the server wants the body.
    pub(super) gate: Option<Latch>,
}

enum DraftBody {
    Bytes(Bytes),
    /// With its length, if it is known.
    Reader(Arc<BodyReader>, Option<u64>, Desk),
}

impl Draft {
    /// The body, from its beginning.
    pub(super) fn body(&self) -> SendBody {
        let body = match &self.body {
            DraftBody::Bytes(bytes) => SendBody::bytes(bytes.clone()),
            DraftBody::Reader(reader, length, desk) => {
                SendBody::reader(reader, *length, desk.clone())
            }
        };
        match &self.gate {
            Some(gate) => body.gated(gate),
            None => body,
        }
    }

    pub(super) fn is_read_while_sent(&self) -> bool {
        matches!(self.body, DraftBody::Reader(..))
    }

    /// Whether the body can be sent from its beginning without being rewound.
    pub(super) fn is_whole(&self) -> bool {
        match &self.body {
            DraftBody::Bytes(_) => true,
            DraftBody::Reader(reader, ..) => !reader.is_begun(),
        }
    }

    /// Why the application's reader could not give the body, if it could not.
    pub(super) fn body_failure(&self) -> Option<Fault> {
        match &self.body {
            DraftBody::Bytes(_) => None,
            DraftBody::Reader(reader, _, desk) => {
                lacked(desk).or_else(|| reader.failure().map(local))
            }
        }
    }

    /// How long the application's reader has been asked for this attempt's body.
    pub(super) fn time_in_reader(&self) -> Duration {
        match &self.body {
            DraftBody::Bytes(_) => Duration::ZERO,
            DraftBody::Reader(reader, ..) => reader.time(),
        }
    }
}

impl Inner {
    /// Makes a request ready for the endpoint of an attempt.
    pub(super) async fn draft(
        self: &Arc<Self>,
        request: &Request,
        desk: Option<&Desk>,
        running: &Running,
        time: Time,
    ) -> Result<Draft, Fault> {
        let mut headers = self.headers(request, running, time).await?;
        let mut decodes = self.settings.decompress && ask_for_codings(&mut headers);
        let mut body = request.body.clone();
        if let (Body::Bytes(bytes), Some(role)) = (&body, running.role())
            && let Some(rewritten) =
                crate::rewrite::body_for(&self.organization, role, &request.url, &headers, bytes)
        {
            body = Body::Bytes(rewritten);
        }
        if let (Body::Bytes(bytes), Some(_)) = (&body, running.role())
            && web_api::is_batch(web_api::path(&request.url))
            && self.guards_updates(request)
            && let Some(guarded) = guard_parts(&request.url, &headers, bytes)
        {
            body = Body::Bytes(guarded);
        }
        if let Some(prepare) = &self.settings.prepare {
            let outgoing = Outgoing {
                url: running.address.text().to_owned(),
                endpoint_url: running
                    .role()
                    .map(|role| self.organization.url(role).to_owned()),
                role: running.role(),
                epoch: running.place.epoch,
                number: running.number,
                method: request.method.clone(),
                headers,
                body: body.bytes().cloned(),
            };
            let prepare = Arc::clone(prepare);
            let prepared = at_desk(desk, time, move || {
                let mut outgoing = outgoing;
                prepare.prepare(&mut outgoing).map(|()| outgoing)
            })
            .await?;
            let prepared = prepared
                .map_err(|why| local(format!("the prepare hook refused the attempt: {why}")))?;
            headers = prepared.headers;
            decodes = decodes && still_asks_for_codings(&mut headers);
            if let Some(bytes) = prepared.body {
                body = Body::Bytes(bytes);
            }
        }
        if running.role().is_none() {
            // Again, because the hook may have put others there.
            keep_for_allowed_host(&mut headers, &self.settings.allowed_host_headers);
        }
        let sent = headers.get(AUTHORIZATION);
        if self.rules.keeps_authorization
            && let Some(role) = running.role()
            && running.token.get().is_none()
        {
            self.note_authorization(role, sent);
        }
        if let Some(sent) = sent {
            let _ = running.authorization.set(sent.clone());
        }
        let body = match body {
            Body::Bytes(bytes) => DraftBody::Bytes(bytes),
            Body::Reader(reader) => {
                let desk = desk.cloned().ok_or_else(no_desk)?;
                let length = request.length().map_err(|error| local(error.message()))?;
                rewind(&reader, length, &desk, time).await?;
                DraftBody::Reader(reader, length, desk)
            }
        };
        if let DraftBody::Bytes(bytes) = &body
            && !bytes.is_empty()
        {
            // Before it is copied for a connection: the copy would grow for it.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        }
        let expects = headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Ok(Draft {
            headers,
            body,
            decodes,
            gate: expects.then(Latch::default),
        })
    }

    async fn headers(
        self: &Arc<Self>,
        request: &Request,
        running: &Running,
        time: Time,
    ) -> Result<HeaderMap, Fault> {
        let mut headers = roomy(&request.headers);
        headers.insert(HOST, running.address.host().clone());
        let agent = headers.entry(USER_AGENT);
        agent.or_insert_with(|| self.user_agent.clone());
        let Some(role) = running.role() else {
            keep_for_allowed_host(&mut headers, &self.settings.allowed_host_headers);
            return Ok(headers);
        };
        if wants_update_guard(&request.method, &request.url, &headers)
            && self.guards_updates(request)
        {
            headers.insert(IF_MATCH, HeaderValue::from_static("*"));
        }
        if let Some(tokens) = &self.tokens
            && (self.settings.token_precedence == TokenPrecedence::Provider
                || !headers.contains_key(AUTHORIZATION))
        {
            let endpoint = self.organization.url(role);
            let header = pin!(tokens.header(role, endpoint));
            let header = time.limit(header, |_, _, limit| {
                let message = format!("the token provider gave no token {limit}");
                Fault::new(Cause::NoToken, message)
            });
            let header = header.await??;
            headers.insert(AUTHORIZATION, running.token.get_or_init(|| header).clone());
        }
        Ok(headers)
    }
}

impl Inner {
    /// Keeps what was sent as `Authorization` in the end, so that a probe says the same.
    fn note_authorization(&self, role: Role, sent: Option<&HeaderValue>) {
        let mut last = self.authorization(role);
        if last.as_ref() != sent {
            *last = sent.cloned().map(|mut sent| {
                sent.set_sensitive(true);
                sent
            });
        }
    }

    /// Whether an update would create a row that only has not come over yet: the fields that it
    /// holds, and nothing else.
    fn guards_updates(&self, request: &Request) -> bool {
        let settings = &self.settings;
        self.rules.guards_updates
            && settings.update_guard
            && !request.is_upsert
            && self
                .board()
                .switch
                .has_changed_within(settings.replication_window, std::time::Instant::now())
    }
}

/// A copy with room for what the library adds. A clone has none, and is moved to grow; but of many headers it is cheaper.
fn roomy(headers: &HeaderMap) -> HeaderMap {
    const FEW: usize = 3;
    const ADDED: usize = 5;
    if headers.len() > FEW {
        return headers.clone();
    }
    let mut roomy = HeaderMap::with_capacity(headers.len() + ADDED);
    for (name, value) in headers {
        roomy.append(name.clone(), value.clone());
    }
    roomy
}

/// Has a job of the application's done, within the call's deadline. A job that panics has failed.
async fn at_desk<T: Send + 'static>(
    desk: Option<&Desk>,
    time: Time,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let desk = desk.ok_or_else(no_desk)?;
    let done = in_time(time.deadline, pin!(desk.run(job))).await;
    let done = done.ok_or_else(|| local("the application's code took all of the call's time"))?;
    done.ok_or_else(|| {
        lacked(desk).unwrap_or_else(|| local("the application's code for the attempt has panicked"))
    })
}

async fn rewind(
    reader: &Arc<BodyReader>,
    length: Option<u64>,
    desk: &Desk,
    time: Time,
) -> Result<(), Fault> {
    reader.begin();
    if reader.is_begun() {
        let job = Arc::clone(reader);
        let rewound = at_desk(Some(desk), time, move || job.rewind()).await?;
        rewound
            .map_err(|error| local(format!("the body's reader could not be rewound: {error}")))?;
    }
    if length == Some(0) {
        // A body of no bytes is sent without being asked for any.
        let job = Arc::clone(reader);
        let read = at_desk(Some(desk), time, move || job.read(&mut [0; 1])).await?;
        match read {
            Ok(0) => {}
            Ok(_) => return Err(local("the body's reader gave more than the length 0")),
            Err(error) => return Err(local(format!("the body's reader failed: {error}"))),
        }
    }
    Ok(())
}

fn local(message: impl Into<String>) -> Fault {
    Fault::new(Cause::LocalFailure, message)
}

fn lacked(desk: &Desk) -> Option<Fault> {
    let lacked = desk.lacked()?;
    Some(Fault::new(Cause::NoResources, lacked))
}

fn no_desk() -> Fault {
    Fault::new(
        Cause::LocalFailure,
        "a call that needs the application's thread was sent without one: a defect of this library",
    )
}
