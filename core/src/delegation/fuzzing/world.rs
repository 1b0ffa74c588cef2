//! Zones without faults, and what their servers answer: what happens where the script says nothing.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The only resolver. It is at an address at which no zone may have a server.
pub(super) const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53));
/// The names with a meaning; a script points to them.
pub(super) const NAMES: [&str; 16] = [
    "example.com",
    "_acme-challenge.example.com",
    "*._acme-challenge.example.com",
    "ns1.example.com",
    "ns2.example.com",
    "www.example.com",
    "_acme-challenge.www.example.com",
    "sub.example.com",
    "alias.test",
    "a.alias.test",
    "b.alias.test",
    "ns1.alias.test",
    "victim.test",
    "com",
    "test",
    "",
];

const TTL: u32 = 60;

/// A zone and its servers.
struct Zone {
    apex: &'static str,
    servers: &'static [(&'static str, [u8; 4])],
}

const ZONES: [Zone; 5] = [
    Zone {
        apex: "com",
        servers: &[("ns.com", [9, 1, 0, 1])],
    },
    Zone {
        apex: "test",
        servers: &[("ns.test", [9, 1, 0, 2])],
    },
    Zone {
        apex: "example.com",
        servers: &[
            ("ns1.example.com", [9, 2, 0, 1]),
            ("ns2.example.com", [9, 2, 0, 2]),
        ],
    },
    Zone {
        apex: "sub.example.com",
        servers: &[("ns.sub.example.com", [9, 2, 0, 3])],
    },
    Zone {
        apex: "alias.test",
        servers: &[("ns1.alias.test", [9, 3, 0, 1])],
    },
];

const CNAMES: [(&str, &str); 2] = [
    ("_acme-challenge.example.com", "a.alias.test"),
    ("_acme-challenge.www.example.com", "b.alias.test"),
];

/// The name without its final dot; none if it cannot be used.
pub(super) fn wire(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap_or_default()
}

/// Completes the answer of `server` to a question. A server that is not known serves all zones.
pub(super) fn complete(answer: &mut Message, server: IpAddr, name: &Name, kind: RecordType) {
    let name = name.to_lowercase();
    // The zone above has the DS records (RFC 4035 §3.1.4.1).
    let holder = match kind {
        RecordType::DS => name.base_name(),
        _ => name.clone(),
    };
    let enclosing = ZONES.iter().filter(|zone| wire(zone.apex).zone_of(&holder));
    let closest = enclosing.max_by_key(|zone| zone.apex.len());
    let served = |zone: &&Zone| {
        zone.servers
            .iter()
            .any(|(_, at)| IpAddr::from(*at) == server)
    };
    let own = ZONES.iter().find(served);
    match (closest, own) {
        (Some(zone), Some(own)) if zone.apex != own.apex => refer(answer, zone),
        _ => records(answer, closest, &name, kind),
    }
    answer.metadata.recursion_available = server == RESOLVER;
}

fn refer(answer: &mut Message, zone: &Zone) {
    for (server, address) in zone.servers {
        let (owner, server) = (wire(zone.apex), wire(server));
        let data = RData::NS(NS(server.clone()));
        answer
            .authorities
            .push(Record::from_rdata(owner, TTL, data));
        let data = RData::A(A(Ipv4Addr::from(*address)));
        answer
            .additionals
            .push(Record::from_rdata(server, TTL, data));
    }
}

fn records(answer: &mut Message, zone: Option<&Zone>, name: &Name, kind: RecordType) {
    answer.metadata.authoritative = true;
    let all = records_at(name);
    let wanted = |data: &&RData| [kind, RecordType::CNAME].contains(&data.record_type());
    let wanted = all.iter().filter(wanted);
    let records = wanted.map(|data| Record::from_rdata(name.clone(), TTL, data.clone()));
    answer.answers.extend(records);
    if answer.answers.is_empty() {
        let apex = wire(zone.map_or("", |zone| zone.apex));
        answer
            .authorities
            .push(Record::from_rdata(apex, TTL, soa()));
    }
    let exists = NAMES.iter().any(|known| name.zone_of(&wire(known)));
    if all.is_empty() && !exists {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
}

fn records_at(name: &Name) -> Vec<RData> {
    let mut records = Vec::new();
    for zone in &ZONES {
        if wire(zone.apex) == *name {
            let servers = zone.servers.iter().map(|(server, _)| wire(server));
            records.push(soa());
            records.extend(servers.map(|server| RData::NS(NS(server))));
        }
        let servers = zone
            .servers
            .iter()
            .filter(|(server, _)| wire(server) == *name);
        records.extend(servers.map(|(_, address)| RData::A(A(Ipv4Addr::from(*address)))));
    }
    let targets = CNAMES.iter().filter(|(owner, _)| wire(owner) == *name);
    records.extend(targets.map(|(_, target)| RData::CNAME(CNAME(wire(target)))));
    records
}

pub(super) fn soa() -> RData {
    let server = wire("ns1.example.com");
    RData::SOA(SOA::new(server.clone(), server, 1, 1, 1, 1, TTL))
}
