//! The name server of the namespace.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

/// What the name server answers to the questions for a name.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// These addresses, each to the question for its kind. With none of a kind: no data.
    Addresses(Vec<IpAddr>),
    /// NXDOMAIN. The answer for every name that was not set.
    NoSuchName,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// None at all.
    Silence,
    /// Addresses of version 4; to the question for those of version 6 none at all.
    SilenceOverIpv6(Ipv4Addr),
}

impl Answer {
    /// One address, or several.
    pub(crate) fn of<const N: usize>(addresses: [&str; N]) -> Answer {
        Answer::Addresses(addresses.map(|text| text.parse().unwrap()).to_vec())
    }
}

#[derive(Default)]
struct Zone {
    answers: HashMap<String, Answer>,
    questions: HashMap<String, usize>,
}

/// Listens at 127.0.0.1, port 53, as long as the process lives.
pub(crate) struct NameServer(Arc<Mutex<Zone>>);

impl NameServer {
    pub(crate) fn start() -> NameServer {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap();
        let zone = Arc::<Mutex<Zone>>::default();
        let served = NameServer(Arc::clone(&zone));
        std::thread::spawn(move || served.serve(&socket));
        NameServer(zone)
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the answer for a name.
    pub(crate) fn set(&self, name: &str, answer: Answer) {
        self.zone().answers.insert(name.to_owned(), answer);
    }

    /// How many questions came for a name.
    pub(crate) fn questions(&self, name: &str) -> usize {
        self.zone().questions.get(name).copied().unwrap_or_default()
    }

    fn serve(&self, socket: &UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            // An error is the answer to an earlier answer: who asked has left.
            let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let Ok(question) = Message::from_vec(&buffer[..length]) else {
                continue;
            };
            if let Some(answer) = self.answer(&question) {
                let _ = socket.send_to(&answer.to_vec().unwrap(), peer);
            }
        }
    }

    fn answer(&self, question: &Message) -> Option<Message> {
        let query = question.queries.first()?;
        let name = query.name().to_ascii();
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut zone = self.zone();
        *zone.questions.entry(name.clone()).or_default() += 1;
        let mut message = Message::response(question.metadata.id, OpCode::Query);
        message.metadata.recursion_desired = question.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        message.add_query(query.clone());
        message.metadata.response_code = match zone.answers.get(&name) {
            None | Some(Answer::NoSuchName) => ResponseCode::NXDomain,
            Some(Answer::ServerFailure) => ResponseCode::ServFail,
            Some(Answer::Refused) => ResponseCode::Refused,
            Some(Answer::Silence) => return None,
            Some(Answer::SilenceOverIpv6(_)) if query.query_type() != RecordType::A => return None,
            Some(Answer::SilenceOverIpv6(address)) => {
                message.add_answers(records(query, &[IpAddr::V4(*address)]));
                ResponseCode::NoError
            }
            Some(Answer::Addresses(addresses)) => {
                message.add_answers(records(query, addresses));
                ResponseCode::NoError
            }
        };
        Some(message)
    }
}

/// Those of the addresses that the question is for.
fn records(query: &Query, addresses: &[IpAddr]) -> impl Iterator<Item = Record> {
    addresses
        .iter()
        .filter_map(|address| match (address, query.query_type()) {
            (IpAddr::V4(address), RecordType::A) => Some(RData::A((*address).into())),
            (IpAddr::V6(address), RecordType::AAAA) => Some(RData::AAAA((*address).into())),
            _ => None,
        })
        .map(|data| Record::from_rdata(query.name().clone(), 0, data))
}
