//! What the program sent to the servers of a bed, counted by relays.

use std::collections::BTreeMap;
use std::time::Instant;

use hickory_proto::op::{Header, MessageType, OpCode, Query};
use hickory_proto::rr::RecordType;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// A server of the bed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BedServer {
    /// The name server of the main zones.
    Main,
    /// The primary of the alias zones.
    Primary,
    /// The secondary of the alias zones, which is the resolver of the program as well.
    Secondary,
    /// The CA.
    Ca,
}

/// How a DNS message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// What a DNS message asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DnsRequest {
    /// The server that it was for.
    pub server: BedServer,
    /// How it was sent.
    pub protocol: Protocol,
    /// Whether it was a dynamic update (RFC 2136). Everything else is a query.
    pub is_update: bool,
    /// The name in its question, in lower case and without the final dot; of an update, the zone.
    pub name: String,
    /// The type in its question; of an update, SOA.
    pub kind: RecordType,
}

/// Connections to one server, and octets in both directions, without those of IP, UDP and TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// TCP connections that were opened.
    pub connections: usize,
    /// Octets to the server.
    pub sent: u64,
    /// Octets from the server.
    pub received: u64,
}

/// Something that the program sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A DNS request.
    Dns(DnsRequest),
    /// The first packet of a TCP connection to this server.
    Connection(BedServer),
    /// Octets on a connection to the CA.
    ToCa(usize),
}

/// Everything that passed the relays of a bed up to one moment.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    requests: BTreeMap<DnsRequest, usize>,
    volumes: BTreeMap<BedServer, Volume>,
    timeline: Vec<(Instant, Sent)>,
}

impl Traffic {
    /// DNS requests for which `counts` returns true.
    pub fn count(&self, counts: impl Fn(&DnsRequest) -> bool) -> usize {
        let requests = self.requests.iter();
        requests
            .filter(|(request, _)| counts(request))
            .map(|(_, times)| times)
            .sum()
    }

    /// DNS queries to all servers, updates not included.
    pub fn dns_queries(&self) -> usize {
        self.count(|request| !request.is_update)
    }

    /// Update messages to one server, whatever became of them.
    pub fn updates(&self, server: BedServer) -> usize {
        self.count(|request| request.is_update && request.server == server)
    }

    /// DNS queries by the type in their question.
    pub fn queries_by_type(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for (request, times) in &self.requests {
            if !request.is_update {
                *types.entry(request.kind.to_string()).or_default() += times;
            }
        }
        types
    }

    /// Every DNS request, with the number of times that it was sent.
    pub fn requests(&self) -> impl Iterator<Item = (&DnsRequest, usize)> {
        self.requests
            .iter()
            .map(|(request, times)| (request, *times))
    }

    /// Connections to one server and octets in both directions.
    pub fn volume(&self, server: BedServer) -> Volume {
        self.volumes.get(&server).copied().unwrap_or_default()
    }

    /// What the program sent, in order, and when.
    pub fn timeline(&self) -> &[(Instant, Sent)] {
        &self.timeline
    }

    /// What passed after an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        let mut traffic = self.clone();
        traffic.timeline.drain(..earlier.timeline.len());
        traffic.requests.retain(|request, times| {
            *times -= earlier.requests.get(request).copied().unwrap_or_default();
            *times > 0
        });
        for (server, volume) in &mut traffic.volumes {
            let before = earlier.volume(*server);
            volume.connections -= before.connections;
            volume.sent -= before.sent;
            volume.received -= before.received;
        }
        traffic
    }

    /// Counts octets that came from a server.
    pub(crate) fn add_received(&mut self, server: BedServer, octets: usize) {
        self.volume_mut(server).received += octets as u64;
    }

    /// Counts octets that were sent to a server.
    pub(crate) fn add_sent(&mut self, server: BedServer, octets: usize) {
        self.volume_mut(server).sent += octets as u64;
        if server == BedServer::Ca && octets > 0 {
            self.note(Sent::ToCa(octets));
        }
    }

    /// Counts a connection.
    pub(crate) fn add_connection(&mut self, server: BedServer) {
        self.volume_mut(server).connections += 1;
        self.note(Sent::Connection(server));
    }

    fn volume_mut(&mut self, server: BedServer) -> &mut Volume {
        self.volumes.entry(server).or_default()
    }

    fn note(&mut self, sent: Sent) {
        self.timeline.push((Instant::now(), sent));
    }

    /// Counts a DNS message to a server. What is not a DNS request is not counted.
    pub(crate) fn add_dns(&mut self, server: BedServer, protocol: Protocol, message: &[u8]) {
        if let Some(request) = parse(server, protocol, message) {
            self.note(Sent::Dns(request.clone()));
            *self.requests.entry(request).or_default() += 1;
        }
    }
}

/// The header and the first question (RFC 1035 §4.1) or zone (RFC 2136 §2.3).
fn parse(server: BedServer, protocol: Protocol, message: &[u8]) -> Option<DnsRequest> {
    let mut decoder = BinDecoder::new(message);
    let header = Header::read(&mut decoder).ok()?;
    if header.message_type != MessageType::Query {
        return None;
    }
    let question = Query::read(&mut decoder).ok()?;
    let name = question.name().to_lowercase().to_ascii();
    Some(DnsRequest {
        server,
        protocol,
        is_update: header.op_code == OpCode::Update,
        name: name.trim_end_matches('.').to_owned(),
        kind: question.query_type(),
    })
}

/// Takes DNS messages out of the octets of a connection (RFC 1035 §4.2.2).
#[derive(Debug, Default)]
pub(crate) struct Messages(Vec<u8>);

impl Messages {
    /// Adds octets, and returns the messages that are complete now.
    pub(crate) fn add(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.0.extend_from_slice(octets);
        let mut complete = Vec::new();
        while let Some((length, rest)) = self.0.split_first_chunk() {
            let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length))) else {
                break;
            };
            let message = message.to_vec();
            self.0.drain(..length.len() + message.len());
            complete.push(message);
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;
    use hickory_proto::rr::Name;

    use super::*;

    fn query(name: &str) -> Vec<u8> {
        let mut message = Message::query();
        let name = Name::from_ascii(name).unwrap();
        message.add_query(Query::query(name, RecordType::TXT));
        message.to_vec().unwrap()
    }

    #[test]
    fn requests_are_counted_by_server_name_and_type() {
        let mut traffic = Traffic::default();
        for name in ["a.Example.", "A.example.", "b.example."] {
            traffic.add_dns(BedServer::Main, Protocol::Udp, &query(name));
        }
        let earlier = traffic.clone();
        traffic.add_dns(BedServer::Primary, Protocol::Tcp, &query("a.example."));
        traffic.add_dns(BedServer::Primary, Protocol::Tcp, b"not a message");
        assert_eq!(traffic.dns_queries(), 4);
        assert_eq!(traffic.count(|request| request.name == "a.example"), 3);
        assert_eq!(traffic.queries_by_type(), [("TXT".into(), 4)].into());
        let since = traffic.since(&earlier);
        let left: Vec<_> = since
            .requests()
            .map(|(r, times)| (r.server, times))
            .collect();
        assert_eq!(left, [(BedServer::Primary, 1)]);
    }

    #[test]
    fn messages_of_a_connection_are_found_however_it_is_cut() {
        let stream = [&[0, 2][..], b"ab", &[0, 0], &[0, 3], b"cde", &[0, 9], b"f"].concat();
        let mut messages = Messages::default();
        let found: Vec<_> = stream
            .chunks(1)
            .flat_map(|octet| messages.add(octet))
            .collect();
        assert_eq!(found, [&b"ab"[..], b"", b"cde"]);
    }
}
