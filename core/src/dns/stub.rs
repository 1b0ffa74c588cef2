//! A name server for tests: authoritative for one zone, and a resolver for it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::client::Dns;
use super::config::Config;
use crate::name::DnsName;

/// The apex of the zone.
pub(crate) const ZONE: &str = "example.com";
/// A challenge name in it, with a CNAME to [`ALIAS_NAME`].
pub(crate) const CHALLENGE_NAME: &str = "_acme-challenge.example.com";
/// An alias name in it, with a TXT record.
pub(crate) const ALIAS_NAME: &str = "alias.example.com";
/// Time to live of all records.
pub(crate) const TTL: u32 = 60;

pub(crate) fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

/// Lets the time pass that tokio measures.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

fn wire(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

/// What the server does with queries of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Servfail(RecordType),
}

#[derive(Default)]
struct State {
    queries: Mutex<Vec<RecordType>>,
    fault: Mutex<Option<Fault>>,
    addresses: Mutex<Vec<[u8; 4]>>,
    is_silent: AtomicBool,
}

/// The running server. It ends with the process.
pub(crate) struct StubServer {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl StubServer {
    /// A server at 127.0.0.1 whose name has this address.
    pub(crate) fn start() -> Self {
        let server = StubServer::bind(([127, 0, 0, 1], 0).into());
        server.set_addresses(&[[127, 0, 0, 1]]);
        server
    }

    /// A server that never answers, at another address and the port of `beside`.
    pub(crate) fn silent_beside(beside: &StubServer) -> Self {
        let server = StubServer::bind(([127, 0, 0, 2], beside.address.port()).into());
        server.set_silent(true);
        server
    }

    /// Whether it answers no query from now on.
    pub(crate) fn set_silent(&self, is_silent: bool) {
        self.state.is_silent.store(is_silent, Ordering::SeqCst);
    }

    fn bind(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::new(State::default());
        let server = StubServer {
            address,
            state: Arc::clone(&state),
        };
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let query = Message::from_vec(&buffer[..length]).unwrap();
                if let Some(answer) = state.answer(&query) {
                    socket.send_to(&answer.to_vec().unwrap(), client).unwrap();
                }
            }
        });
        server
    }

    /// A client that starts at these resolvers and finds servers at the port of this one.
    pub(crate) fn client(&self, resolvers: &[SocketAddr], timeout: Duration) -> Dns {
        Dns::new(Config {
            resolvers: resolvers.to_vec(),
            port: self.address.port(),
            timeout,
            allow_special_addresses: true,
            ..Config::default()
        })
    }

    /// The addresses of the zone's server.
    pub(crate) fn set_addresses(&self, addresses: &[[u8; 4]]) {
        *self.state.addresses.lock().unwrap() = addresses.to_vec();
    }

    /// Answers queries of this type with SERVFAIL from now on; all are answered again if it is none.
    pub(crate) fn fail(&self, kind: Option<RecordType>) {
        *self.state.fault.lock().unwrap() = kind.map(Fault::Servfail);
    }

    /// Queries of this type so far.
    pub(crate) fn count(&self, kind: RecordType) -> usize {
        let queries = self.state.queries.lock().unwrap();
        queries.iter().filter(|asked| **asked == kind).count()
    }

    /// All queries so far.
    pub(crate) fn total(&self) -> usize {
        self.state.queries.lock().unwrap().len()
    }
}

impl State {
    fn answer(&self, query: &Message) -> Option<Message> {
        let asked = query.queries.first()?;
        let (owner, kind) = (asked.name().to_lowercase(), asked.query_type());
        self.queries.lock().unwrap().push(kind);
        if self.is_silent.load(Ordering::SeqCst) {
            return None;
        }
        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.add_query(asked.clone());
        answer.metadata.authoritative = true;
        if *self.fault.lock().unwrap() == Some(Fault::Servfail(kind)) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return Some(answer);
        }
        let records = self.records(&owner);
        let is_wanted =
            |data: &&RData| data.record_type() == kind || data.record_type() == RecordType::CNAME;
        let wanted = records.iter().filter(is_wanted);
        answer.answers = wanted
            .map(|data| Record::from_rdata(owner.clone(), TTL, data.clone()))
            .collect();
        if answer.answers.is_empty() {
            answer.authorities = vec![Record::from_rdata(wire(ZONE), TTL, soa())];
        }
        if records.is_empty() {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        Some(answer)
    }

    fn records(&self, owner: &Name) -> Vec<RData> {
        match owner.to_ascii().trim_end_matches('.') {
            // The zone above, at the same server.
            "com" => vec![RData::NS(NS(wire("ns.example.com")))],
            ZONE => vec![soa(), RData::NS(NS(wire("ns.example.com")))],
            "ns.example.com" => {
                let addresses = self.addresses.lock().unwrap();
                let address = |octets: &[u8; 4]| RData::A(A((*octets).into()));
                addresses.iter().map(address).collect()
            }
            CHALLENGE_NAME => vec![RData::CNAME(CNAME(wire(ALIAS_NAME)))],
            ALIAS_NAME => vec![RData::TXT(TXT::new(vec!["value".to_owned()]))],
            _ => Vec::new(),
        }
    }
}

fn soa() -> RData {
    let name = wire("ns.example.com");
    RData::SOA(SOA::new(name.clone(), name, 1, 1, 1, 1, TTL))
}
