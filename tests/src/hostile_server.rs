//! An authoritative server that answers by a script, as no server should, and counts what it gets; and servers
//! that never answer.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::{A, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;
use rand::RngExt;

use crate::error::{Error, Result};
use crate::port::Port;

const MESSAGE_MAX: usize = 65_535;
/// What is larger goes over TCP.
const UDP_MAX: usize = 1_232;
const DNS_PORT: u16 = 53;
const ATTEMPTS: usize = 100;

/// What the server does with a query.
#[derive(Clone, Debug)]
pub enum HostileAnswer {
    /// It sends this message.
    Now(Message),
    /// It sends this message after a while.
    Late(Duration, Message),
    /// It sends this message, with its answer records so many times.
    Repeated(usize, Message),
    /// It sends this message, with so many more records of its last section, which are encoded for where they begin.
    Longer(Message, u16, fn(u16) -> Vec<u8>),
    /// It never answers.
    Never,
}

type Script = Arc<dyn Fn(&Name, RecordType, Message) -> HostileAnswer + Send + Sync>;

/// Queries by name and type.
type Asked = Arc<Mutex<BTreeMap<(String, RecordType), usize>>>;

/// The running server.
#[derive(Debug)]
pub struct HostileServer {
    address: SocketAddr,
    asked: Asked,
    _port: Port,
}

impl HostileServer {
    /// Listens for as long as the test runs. `script` gets the name and the type of a query, and an empty
    /// authoritative answer to begin with.
    pub fn start(
        script: impl Fn(&Name, RecordType, Message) -> HostileAnswer + Send + Sync + 'static,
    ) -> Result<HostileServer> {
        let (port, udp, tcp) = Port::bound()?;
        let server = Serving {
            asked: Asked::default(),
            script: Arc::new(script),
        };
        let asked = Arc::clone(&server.asked);
        let over_tcp = server.clone();
        std::thread::spawn(move || server.udp(&udp));
        std::thread::spawn(move || {
            for client in tcp.incoming().flatten() {
                let server = over_tcp.clone();
                // Where either side ends the connection, there is nothing left to do.
                std::thread::spawn(move || server.tcp(client).ok());
            }
        });
        Ok(HostileServer {
            address: port.address(),
            asked,
            _port: port,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Queries so far.
    pub fn queries(&self) -> usize {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.values().sum()
    }
}

/// What the threads of a server share.
#[derive(Clone)]
struct Serving {
    asked: Asked,
    script: Script,
}

impl Serving {
    fn udp(&self, socket: &UdpSocket) {
        let mut query = vec![0; MESSAGE_MAX];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            let (delay, answer) = match self.answer(&query[..length]) {
                Some(HostileAnswer::Repeated(_, mut answer)) => {
                    answer.metadata.truncation = true;
                    answer.answers.clear();
                    (Duration::ZERO, answer)
                }
                Some(HostileAnswer::Longer(mut answer, ..)) => {
                    answer.metadata.truncation = true;
                    (Duration::ZERO, answer)
                }
                Some(HostileAnswer::Now(answer)) => (Duration::ZERO, answer),
                Some(HostileAnswer::Late(delay, answer)) => (delay, answer),
                Some(HostileAnswer::Never) | None => continue,
            };
            let octets = over_udp(answer);
            let Ok(socket) = socket.try_clone() else {
                continue;
            };
            let send = move || {
                std::thread::sleep(delay);
                let _ = socket.send_to(&octets, client);
            };
            if delay.is_zero() {
                send();
            } else {
                std::thread::spawn(send);
            }
        }
    }

    fn tcp(&self, mut client: TcpStream) -> std::io::Result<()> {
        loop {
            let mut length = [0; 2];
            client.read_exact(&mut length)?;
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            client.read_exact(&mut query)?;
            let octets = match self.answer(&query) {
                Some(HostileAnswer::Now(answer)) => compressed(answer, 1),
                Some(HostileAnswer::Repeated(times, answer)) => compressed(answer, times),
                Some(HostileAnswer::Longer(answer, records, encode)) => {
                    longer(&answer, records, encode)
                }
                Some(HostileAnswer::Late(delay, answer)) => {
                    std::thread::sleep(delay);
                    compressed(answer, 1)
                }
                Some(HostileAnswer::Never) | None => continue,
            };
            let octets = octets.unwrap_or_default();
            let length = u16::try_from(octets.len()).unwrap_or_default();
            client.write_all(&[&length.to_be_bytes(), octets.as_slice()].concat())?;
        }
    }

    fn answer(&self, query: &[u8]) -> Option<HostileAnswer> {
        let query = Message::from_vec(query).ok()?;
        let question = query.queries.first()?;
        let (name, kind) = (question.name().to_lowercase(), question.query_type());
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked.entry((name.to_ascii(), kind)).or_default() += 1;
        drop(asked);
        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.add_query(question.clone());
        answer.metadata.authoritative = true;
        Some((self.script)(&name, kind, answer))
    }
}

/// The octets of an answer, with its answer records so many times. Each owner of one, and each server of that name, is
/// a pointer to the question (RFC 1035 section 4.1.4), so that as many records as possible fit.
fn compressed(mut answer: Message, times: usize) -> Option<Vec<u8>> {
    const COUNT_OF_ANSWERS: std::ops::Range<usize> = 6..8;
    const POINTER_TO_QUESTION: [u8; 2] = [0xc0, 12];
    /// Type, class and TTL.
    const FIXED_FIELDS: usize = 8;
    let question = answer
        .queries
        .first()
        .map(|question| question.name().clone());
    let moved = |record: &Record| Some(&record.name) == question.as_ref();
    if !answer.authorities.is_empty() || !answer.answers.iter().all(moved) {
        return answer.to_vec().ok();
    }
    let records = std::mem::take(&mut answer.answers);
    let mut octets = answer.to_vec().ok()?;
    let count = u16::try_from(records.len() * times).unwrap_or(u16::MAX);
    octets[COUNT_OF_ANSWERS].copy_from_slice(&count.to_be_bytes());
    let mut encoded = Vec::new();
    for record in records {
        let owner = record.name.to_bytes().ok()?.len();
        encoded.extend(POINTER_TO_QUESTION);
        let rest = &record.to_bytes().ok()?[owner..];
        match &record.data {
            RData::NS(NS(server)) if *server == record.name => {
                encoded.extend(&rest[..FIXED_FIELDS]);
                encoded.extend([0, 2]);
                encoded.extend(POINTER_TO_QUESTION);
            }
            _ => encoded.extend(rest),
        }
    }
    octets.extend(encoded.repeat(times));
    Some(octets)
}

/// The octets of an answer with so many more records of its authority section.
fn longer(answer: &Message, records: u16, encode: fn(u16) -> Vec<u8>) -> Option<Vec<u8>> {
    const COUNT_OF_AUTHORITIES: std::ops::Range<usize> = 8..10;
    let mut octets = answer.to_vec().ok()?;
    let count = u16::try_from(answer.authorities.len()).ok()? + records;
    octets[COUNT_OF_AUTHORITIES].copy_from_slice(&count.to_be_bytes());
    octets.extend(encode(u16::try_from(octets.len()).ok()?));
    Some(octets)
}

/// The answer as it goes into a datagram; an empty one that is truncated if it is too large.
fn over_udp(mut answer: Message) -> Vec<u8> {
    match answer.to_vec() {
        Ok(octets) if octets.len() <= UDP_MAX => octets,
        _ => {
            answer.metadata.truncation = true;
            answer.answers.clear();
            answer.authorities.clear();
            answer.additionals.clear();
            answer.edns = None;
            answer.to_vec().unwrap_or_default()
        }
    }
}

/// Makes the answer a referral to `zone`, with these servers and their addresses, if they have any.
#[must_use]
pub fn referral(
    mut answer: Message,
    zone: &Name,
    servers: impl IntoIterator<Item = (Name, Option<Ipv4Addr>)>,
) -> Message {
    const TTL: u32 = 600;
    answer.metadata.authoritative = false;
    for (server, address) in servers {
        let ns = RData::NS(NS(server.clone()));
        answer
            .authorities
            .push(Record::from_rdata(zone.clone(), TTL, ns));
        let glue = address.map(|address| Record::from_rdata(server, TTL, RData::A(A(address))));
        answer.additionals.extend(glue);
    }
    answer
}

/// Servers at port 53 of many addresses of this machine that take packets and never answer.
#[derive(Debug)]
pub struct SilentServers(Vec<(Ipv4Addr, UdpSocket)>);

impl SilentServers {
    /// Begins to be silent at so many addresses.
    pub fn start(count: u16) -> Result<SilentServers> {
        let mut rng = rand::rng();
        for _ in 0..ATTEMPTS {
            let second: u8 = rng.random_range(128..=254);
            let sockets = (1..=count).map(|number| {
                let [third, fourth] = number.to_be_bytes();
                let address = Ipv4Addr::new(127, second, third, fourth);
                let socket = UdpSocket::bind((address, DNS_PORT))?;
                socket.set_nonblocking(true)?;
                Ok::<_, std::io::Error>((address, socket))
            });
            let sockets: std::io::Result<Vec<_>> = sockets.collect();
            if let Ok(sockets) = sockets {
                return Ok(SilentServers(sockets));
            }
        }
        Err(Error::new("no free addresses in 127.128.0.0/9 at port 53"))
    }

    /// Their addresses.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        self.0.iter().map(|(address, _)| *address).collect()
    }

    /// Packets since the last call, at all addresses.
    pub fn packets(&self) -> usize {
        let mut packet = [0; 512];
        let mut count = |socket: &UdpSocket| {
            let mut count = 0;
            while socket.recv(&mut packet).is_ok() {
                count += 1;
            }
            count
        };
        let sockets = self.0.iter().map(|(_, socket)| socket);
        sockets.map(&mut count).sum()
    }
}
