//! Cancelling a call: whatever it waits for, by whatever means, it ends and its peer is told.
//!
//! What a call waits for here lasts longer than the test's patience, so that one which would end only
//! with it fails.

mod support;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use d365_failover_core::{
    Client, Error, ErrorKind, FaultKind, Item, ItemKind, Pending, Queue, Request, TokenProvider,
    TokenRequest,
};
use d365_twin::{Condition, FaultKind as Twin_, OrgHandle, OrganizationConfig, Twin, TwinConfig};
use support::contoso::{LONG, WHO, get, settings};
use support::until;

#[derive(Clone, Copy, Debug)]
enum Way {
    /// A submitted call, by its handle.
    Submitted,
    /// A call that a thread waits for, by its handle.
    Handle,
    /// The same, by the function that it asks.
    Check,
}

const WAYS: [Way; 3] = [Way::Submitted, Way::Handle, Way::Check];

/// What a call waits for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    Answer,
    AnswerOfHttp2,
    Body,
    BodyOfHttp2,
    Handshake,
    Token,
    Decision,
    Gate,
    Policy,
}

const WAITS: [Wait; 9] = [
    Wait::Answer,
    Wait::AnswerOfHttp2,
    Wait::Body,
    Wait::BodyOfHttp2,
    Wait::Handshake,
    Wait::Token,
    Wait::Decision,
    Wait::Gate,
    Wait::Policy,
];

/// So many calls an endpoint gets at once after a switch.
const AT_ONCE: usize = 16;

/// Keeps what it is asked, and answers nothing.
#[derive(Default)]
struct Silent(Mutex<Vec<TokenRequest>>);

impl TokenProvider for Silent {
    fn provide(&self, request: TokenRequest) {
        self.0.lock().unwrap().push(request);
    }
}

/// An organization at which the next call will have to wait.
struct Stage {
    wait: Wait,
    org: OrgHandle,
    _twin: Twin,
    client: Client,
    queue: Arc<Queue>,
    tokens: Arc<Silent>,
    /// The connections of a peer that never shakes hands.
    mute: mpsc::Receiver<TcpStream>,
    in_the_way: Vec<Pending>,
}

impl Stage {
    fn set(wait: Wait) -> Stage {
        let mut config = OrganizationConfig::new("contoso");
        config.http2 = matches!(wait, Wait::AnswerOfHttp2 | Wait::BodyOfHttp2);
        let twin = Twin::start(TwinConfig::new([config])).unwrap();
        let org = twin.org("contoso").unwrap();
        let queue = Queue::new(0).unwrap();
        let tokens = Arc::new(Silent::default());
        let (port, mute) = mute();
        let mut settings = settings(&twin);
        settings.set("handler_timeout_ms", "60000").unwrap();
        match wait {
            Wait::Handshake => {
                let rule = format!("contoso.crm.twin.test:443:127.0.0.1:{port}");
                settings.set("connect_to", &rule).unwrap();
                settings.set("connect_timeout_ms", "60000").unwrap();
            }
            Wait::Token => settings.set_token_provider(Arc::clone(&tokens) as _),
            Wait::Policy => settings.set("auto_switch", "auto").unwrap(),
            _ => {}
        }
        let client = Client::open_with_queue(&settings, Arc::clone(&queue), 0).unwrap();
        let mut stage = Stage {
            wait,
            org,
            _twin: twin,
            client,
            queue,
            tokens,
            mute,
            in_the_way: Vec::new(),
        };
        stage.stop_what_is_waited_for();
        stage
    }

    fn stop_what_is_waited_for(&mut self) {
        let silence = Twin_::AcceptNeverAnswer;
        let primary = &self.org.primary;
        match self.wait {
            Wait::Answer | Wait::AnswerOfHttp2 | Wait::Policy => primary.fault(silence),
            Wait::Body | Wait::BodyOfHttp2 => primary.fault(Twin_::StallBody {
                ms: None,
                answer: None,
            }),
            Wait::Decision => {
                let required = ItemKind::EndpointSwitchRequired.bit();
                self.client.subscribe(required).unwrap();
                primary.fault(Twin_::Refuse {
                    keep_existing: false,
                })
            }
            Wait::Gate => {
                self.client.switch_endpoint().unwrap();
                let fault = self.org.alternate.fault(silence);
                for call in 0..AT_ONCE {
                    let pending = self.client.submit(&get(WHO), call + 1).unwrap();
                    self.in_the_way.push(pending);
                }
                let arrived = Condition::in_flight(AT_ONCE as u64);
                self.org.alternate.wait_for(arrived, LONG).unwrap();
                fault
            }
            Wait::Handshake | Wait::Token => return,
        }
        .unwrap();
    }

    /// What is kept of the call's way there, to be looked at when it was cancelled.
    fn arrived(&self) -> (Option<TcpStream>, Option<Item>) {
        match self.wait {
            Wait::Handshake => return (self.mute.recv_timeout(LONG).ok(), None),
            Wait::Decision => return (None, self.queue.next(Some(LONG)).ok()),
            Wait::Token => until("the token", || !self.tokens.0.lock().unwrap().is_empty()),
            // That it came so far nobody hears.
            Wait::Gate => {}
            _ => {
                let arrived = Condition::received(1);
                self.org.primary.wait_for(arrived, LONG).unwrap();
            }
        }
        (None, None)
    }

    /// The peer hears of the end. The policy's reading is everybody's, and goes on.
    fn is_told(&self, connection: Option<TcpStream>) {
        match self.wait {
            Wait::Answer | Wait::AnswerOfHttp2 | Wait::Body | Wait::BodyOfHttp2 => {
                self.org.primary.wait_for(Condition::idle(), LONG).unwrap();
            }
            Wait::Handshake => {
                let mut connection = connection.unwrap();
                connection.set_read_timeout(Some(LONG)).unwrap();
                // The client's hello, then the end.
                while connection.read(&mut [0; 4096]).unwrap() > 0 {}
            }
            // The gate opens by time: whether the call was still there nobody knows.
            Wait::Token | Wait::Decision | Wait::Gate | Wait::Policy => {}
        }
    }

    fn request(&self) -> Request {
        match self.wait {
            Wait::Policy => Request::discover(),
            _ => get(WHO),
        }
    }
}

/// A peer that accepts, and says nothing.
fn mute() -> (u16, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = sender.send(stream);
        }
    });
    (port, receiver)
}

/// Begins the call; gives what cancels it, and where its end is told.
fn begin(stage: &Stage, way: Way) -> (Box<dyn Fn()>, mpsc::Receiver<Error>) {
    const OURS: usize = 1000;
    let (sender, ended) = mpsc::channel();
    let (client, request) = (stage.client.clone(), stage.request());
    match way {
        Way::Submitted => {
            let pending = client.submit(&request, OURS).unwrap();
            let queue = Arc::clone(&stage.queue);
            let take = move || loop {
                let mut item = queue.next(Some(LONG)).unwrap();
                if item.user_data() == Some(OURS) {
                    return item.take_result().unwrap().unwrap_err();
                }
            };
            let cancel = move || {
                pending.cancel();
                sender.send(take()).unwrap();
            };
            (Box::new(cancel), ended)
        }
        Way::Handle => {
            let ours = Pending::new();
            let pending = ours.clone();
            std::thread::spawn(move || {
                let result = client.send_cancellable(&request, &pending, None);
                sender.send(result.unwrap_err()).unwrap();
            });
            (Box::new(move || ours.cancel()), ended)
        }
        Way::Check => {
            let is_over = Arc::new(AtomicBool::new(false));
            let asked = Arc::clone(&is_over);
            std::thread::spawn(move || {
                let result = client.send_with_check(&request, &mut || asked.load(Ordering::SeqCst));
                sender.send(result.unwrap_err()).unwrap();
            });
            (
                Box::new(move || is_over.store(true, Ordering::SeqCst)),
                ended,
            )
        }
    }
}

#[test]
fn a_call_that_is_cancelled_ends_whatever_it_waits_for() {
    for wait in WAITS {
        for way in WAYS {
            let case = format!("{wait:?}, {way:?}");
            let stage = Stage::set(wait);
            let (cancel, ended) = begin(&stage, way);
            let (connection, _decision) = stage.arrived();
            let begun = Instant::now();
            cancel();
            let error = ended.recv_timeout(LONG).expect(&case);
            stage.is_told(connection);
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(5), "{case}: {took:?}");
            let kind = error.kind();
            assert_eq!(kind, ErrorKind::Call(FaultKind::Cancelled), "{case}");
        }
    }
}

/// The same is true of a call whose time is over, and which nobody drives from then on.
#[test]
fn a_call_whose_time_is_over_tells_its_peer() {
    let is_told = |wait| {
        let stage = Stage::set(wait);
        let mut request = stage.request();
        // It must have come to its peer by then.
        request.set_timeout(Duration::from_secs(3)).unwrap();
        let error = stage.client.send(&request).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Call(FaultKind::Timeout),
            "{wait:?}"
        );
        stage.is_told(None);
    };
    std::thread::scope(|scope| {
        for wait in [
            Wait::Answer,
            Wait::AnswerOfHttp2,
            Wait::Body,
            Wait::BodyOfHttp2,
        ] {
            scope.spawn(move || is_told(wait));
        }
    });
}

/// So is a body that nobody reads when it is cancelled, or whose reader leaves because of it.
#[test]
fn a_body_that_is_cancelled_between_two_reads_tells_its_peer() {
    for (wait, by_check) in [
        (Wait::Body, false),
        (Wait::BodyOfHttp2, false),
        (Wait::Body, true),
        (Wait::BodyOfHttp2, true),
    ] {
        let stage = Stage::set(wait);
        let mut request = stage.request();
        request.set_streaming(true);
        let response = stage.client.send(&request).unwrap();
        assert!(response.read(&mut [0; 1]).unwrap() > 0, "{wait:?}");
        let mut rest = [0; 4096];
        if by_check {
            let mut check = || {
                response.cancel();
                true
            };
            while response.read_with_check(&mut rest, &mut check).is_ok() {}
        } else {
            response.cancel();
        }
        stage.is_told(None);
        let end = std::iter::from_fn(|| match response.read(&mut rest) {
            Ok(0) => panic!("{wait:?}: a body that was cut has no end"),
            Ok(_) => Some(None),
            Err(error) => Some(Some(error.kind())),
        });
        let kind = end.flatten().next();
        assert_eq!(
            kind,
            Some(ErrorKind::Call(FaultKind::Cancelled)),
            "{wait:?}"
        );
    }
}

#[test]
fn what_a_call_is_cancelled_by_is_for_one_call() {
    let stage = Stage::set(Wait::Token);
    let pending = Pending::new();
    pending.cancel();
    let client = &stage.client;
    let cancelled = client.send_cancellable(&get(WHO), &pending, None);
    let kind = cancelled.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Call(FaultKind::Cancelled));
    assert_eq!(stage.org.primary.counts().received, 0);
    let again = client.send_cancellable(&get(WHO), &pending, None);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let submitted = client.submit(&get(WHO), 1).unwrap();
    let again = client.send_cancellable(&get(WHO), &submitted, None);
    assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidArgument);
}
