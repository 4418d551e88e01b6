//! A call as a scenario wants it, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use d365_failover_core::{Client, Error, ErrorKind, Operation, Request, Response};

use super::body::{self, Asked};
use super::handler::Shared;
use super::reading::read;
use super::records::{error_record, response_record};
use crate::protocol::{Answer, Call, Stream};
use crate::subject::Broken;

/// What is still needed of a call when it has ended.
#[derive(Default)]
pub(super) struct Sent {
    asked: Option<Arc<Asked>>,
    stream: Option<Stream>,
    shared: Arc<Shared>,
}

impl Sent {
    /// The answer; a stream is read here.
    pub(super) fn told(&self, result: Result<Response, Error>) -> Result<Answer, Broken> {
        let mut answer = match result {
            Ok(response) => {
                let read = self
                    .stream
                    .map(|stream| read(&response, stream, &self.shared))
                    .transpose()?;
                // What a batch's parts say is known by now.
                let mut record = response_record(&response);
                if let Some((read, text)) = read {
                    (record.read, record.body) = (Some(read), text);
                }
                Answer::response(record)
            }
            Err(error) => Answer::refused(error_record(&error)),
        };
        let asked = self.asked.as_ref().map(|asked| asked.record());
        if let Some(response) = &mut answer.response {
            response.body_reads = asked;
        }
        if let Some(error) = &mut answer.error {
            error.body_reads = asked;
        }
        Ok(answer)
    }
}

/// A call that is ready to be sent.
pub(super) struct Ready {
    pub(super) client: Client,
    pub(super) request: Request,
    pub(super) sent: Sent,
}

impl Ready {
    pub(super) fn new(client: &Client, shared: &Arc<Shared>, call: &Call) -> Result<Ready, Error> {
        let mut request = request(call)?;
        let reader = call.body_reader.as_ref();
        Ok(Ready {
            client: client.clone(),
            sent: Sent {
                asked: reader.map(|reader| body::set(&mut request, reader)),
                stream: call.stream,
                shared: Arc::clone(shared),
            },
            request,
        })
    }
}

fn request(call: &Call) -> Result<Request, Error> {
    let mut request = Request::new(&call.method, &call.url)?;
    for (name, value) in &call.headers {
        request.add_header(name, value)?;
    }
    if let Some(body) = &call.body {
        request.set_body(body.clone());
    }
    if let Some(ms) = call.timeout_ms {
        request.set_timeout(Duration::from_millis(ms))?;
    }
    if let Some(ms) = call.connect_timeout_ms {
        request.set_connect_timeout(Duration::from_millis(ms))?;
    }
    if let Some(ms) = call.attempt_timeout_ms {
        request.set_attempt_timeout(Duration::from_millis(ms))?;
    }
    if let Some(operation) = &call.operation {
        request.set_operation(Some(operation_of(operation)?));
    }
    request.set_guarded_create(call.guarded_create);
    request.set_upsert(call.upsert);
    if let Some(tag) = &call.tag {
        request.set_tag(tag)?;
    }
    request.set_streaming(call.stream.is_some());
    Ok(request)
}

fn operation_of(name: &str) -> Result<Operation, Error> {
    Ok(match name {
        "read" => Operation::Read,
        "idempotent" => Operation::Idempotent,
        "guarded" => Operation::Guarded,
        "unsafe" => Operation::Unsafe,
        other => {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("no operation `{other}`"),
            ));
        }
    })
}
