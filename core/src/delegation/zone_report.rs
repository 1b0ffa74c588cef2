//! A zone on the way, with every server that is named for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, join3};
use hickory_proto::rr::RecordType;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::dns::{Dns, Server, Soa, Timed, ask_at_once};
use crate::dnssec::{Security, Validator};
use crate::name::DnsName;

/// The longest time for which a report is kept.
const KEPT_MAX: Duration = Duration::from_mins(5);
/// The longest time for which a report of a problem is kept: somebody may be solving it.
const PROBLEM_KEPT_MAX: Duration = Duration::from_secs(30);
/// Pauses before servers that are behind are asked again: a zone transfer takes a moment, and a zone that is
/// written to is always in one.
const TRANSFER_PAUSES: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(750),
    Duration::from_secs(1),
];
/// The shortest time for which a report is kept.
const KEPT_MIN: Duration = Duration::from_secs(5);

/// A zone and its servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneReport {
    /// The apex.
    pub zone: DnsName,
    /// Each server that is named for it, by the zone itself or by the zone above.
    pub servers: Vec<ServerReport>,
    /// For how many seconds resolvers cache that a name does not exist (RFC 2308 §5).
    pub negative_ttl: Option<u32>,
    /// Whether the zone above delegates it; null if that is not known.
    pub delegated: Option<bool>,
    /// The servers of the zone above that report that there is no such zone.
    pub denied_by: Vec<String>,
    /// Whether the records of the zone are valid, by its SOA record.
    pub dnssec: Security,
    /// Whether its servers are configured, so that its NS records do not count.
    #[serde(skip)]
    pub(super) has_configured_servers: bool,
    /// The octets that signatures take in an answer with one `RRset`; 0 if there are none.
    pub signature_octets: usize,
}

/// One server of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerReport {
    /// Its name and address.
    pub server: String,
    /// Whether the zone above names it, and the zone itself does not.
    pub above_only: bool,
    /// The serial of the zone that it serves; none if it does not serve the zone.
    pub serial: Option<u32>,
    /// What it answered instead.
    pub problem: Option<String>,
    /// Whether it stays behind the newest version of the zone.
    #[serde(skip)]
    pub(super) is_behind: bool,
    /// Whom to ask about names in the zone.
    #[serde(skip)]
    pub(super) address: Server,
}

impl ZoneReport {
    /// Asks the zone above and each of the zone's servers. The report expires with the records that it rests on.
    pub(super) async fn of(dns: &Dns, validator: &Validator, zone: &DnsName) -> Timed<Arc<Self>> {
        let signatures = async {
            let verdict = validator.zone_verdict(zone).await;
            (verdict, validator.signature_octets(zone).await)
        };
        let ((mut answers, own_expires), delegation, (dnssec, signature_octets)) =
            join3(ask_own(dns, zone), dns.delegation(zone), signatures).await;
        // Servers that are configured are asked instead of those that are named.
        if !dns.is_configured(zone) {
            let is_own = |server: &Server| {
                let mut own = answers.iter().map(|answer| &answer.report.address);
                own.any(|own| own.name == server.name)
            };
            let above_only = delegation.servers.into_iter();
            let above_only = above_only.filter(|server| !is_own(server)).collect();
            answers.extend(ask_all(dns, zone, above_only, true).await);
        }
        wait_for_transfers(dns, zone, &mut answers).await;
        let ttl = answers.iter().filter_map(|answer| answer.ttl).min();
        let negative_ttls = answers.iter().filter_map(|answer| answer.negative_ttl);
        let report = ZoneReport {
            negative_ttl: negative_ttls.max(),
            servers: answers.into_iter().map(|answer| answer.report).collect(),
            delegated: delegation.exists,
            denied_by: delegation.denied_by,
            dnssec,
            has_configured_servers: dns.is_configured(zone),
            signature_octets,
            zone: zone.clone(),
        };
        let now = Instant::now();
        let longest = if report.is_in_order() {
            KEPT_MAX
        } else {
            PROBLEM_KEPT_MAX
        };
        let soa_expires = now + Duration::from_secs(ttl.unwrap_or(0).into());
        let expires = soa_expires.min(own_expires);
        Timed {
            expires: expires.clamp(now + KEPT_MIN, now + longest),
            value: Arc::new(report),
        }
    }

    /// Whether all servers serve the same version of the zone, and DNSSEC has a good result.
    fn is_in_order(&self) -> bool {
        let mut servers = self.servers.iter();
        !self.servers.is_empty()
            && servers.all(|server| server.serial.is_some() && !server.is_behind)
            && matches!(self.dnssec, Security::Secure | Security::Insecure)
            && self.denied_by.is_empty()
    }

    /// The servers that serve the zone.
    pub(super) fn serving(&self) -> impl Iterator<Item = &Server> {
        let serving = self
            .servers
            .iter()
            .filter(|server| server.problem.is_none());
        serving.map(|server| &server.address)
    }
}

/// What one server answered.
struct ServerAnswer {
    report: ServerReport,
    /// Time to live of its SOA record, in seconds.
    ttl: Option<u32>,
    /// For how many seconds resolvers cache that a name does not exist.
    negative_ttl: Option<u32>,
}

/// Asks the servers that the zone names itself, or that are configured; with the moment at which these must be
/// looked up again.
async fn ask_own(dns: &Dns, zone: &DnsName) -> (Vec<ServerAnswer>, Instant) {
    let Ok(own) = dns.servers_and_expiry(zone).await else {
        return (Vec::new(), Instant::now());
    };
    let answers = ask_all(dns, zone, own.value, false).await;
    (answers, own.expires)
}

/// Asks all servers at once, and notes which of them do not serve the zone.
async fn ask_all(
    dns: &Dns,
    zone: &DnsName,
    servers: Vec<Server>,
    above_only: bool,
) -> Vec<ServerAnswer> {
    let asked = servers
        .iter()
        .map(|server| ask(dns, zone, server, above_only));
    let serves = |answer: &ServerAnswer| answer.report.problem.is_none();
    let answers = ask_at_once(asked.collect::<Vec<_>>(), serves).await;
    let answers = servers.iter().zip(answers).map(|(server, answer)| {
        answer.unwrap_or_else(|| {
            let problem = "no answer, although other servers of the zone answered".to_owned();
            ServerAnswer::none(server, above_only, problem)
        })
    });
    let answers: Vec<_> = answers.collect();
    for ServerReport {
        address, problem, ..
    } in answers.iter().map(|answer| &answer.report)
    {
        match problem {
            Some(problem) => dns.note_silent(zone, address, problem),
            None => dns.note_answering(zone, address),
        }
    }
    answers
}

async fn ask(dns: &Dns, zone: &DnsName, server: &Server, above_only: bool) -> ServerAnswer {
    let problem = match dns.ask_server(server, zone, RecordType::SOA).await {
        Ok(answer) if answer.is_authoritative() => match answer.soa() {
            Some(soa) => return ServerAnswer::with(server, above_only, soa),
            None => "an authoritative answer without an SOA record".to_owned(),
        },
        Ok(answer) => answer.to_string(),
        Err(error) => error.to_string(),
    };
    ServerAnswer::none(server, above_only, problem)
}

impl ServerAnswer {
    fn with(server: &Server, above_only: bool, soa: Soa) -> Self {
        let mut answer = Self::none(server, above_only, String::new());
        answer.ttl = Some(soa.ttl);
        answer.negative_ttl = Some(soa.negative_ttl);
        (answer.report.serial, answer.report.problem) = (Some(soa.serial), None);
        answer
    }

    fn none(server: &Server, above_only: bool, problem: String) -> Self {
        ServerAnswer {
            ttl: None,
            negative_ttl: None,
            report: ServerReport {
                server: server.to_string(),
                above_only,
                serial: None,
                problem: Some(problem),
                is_behind: false,
                address: server.clone(),
            },
        }
    }
}

/// Asks servers that are behind the newest version again, and notes which of them stay behind.
async fn wait_for_transfers(dns: &Dns, zone: &DnsName, answers: &mut [ServerAnswer]) {
    let serials = answers.iter().filter_map(|answer| answer.report.serial);
    let Some(newest) = serials.reduce(|one, other| if is_older(one, other) { other } else { one })
    else {
        return;
    };
    for pause in TRANSFER_PAUSES {
        let behind = answers.iter_mut().map(|answer| &mut answer.report);
        let behind = behind.filter(|report| report.serial.is_some_and(|own| is_older(own, newest)));
        let behind: Vec<_> = behind.collect();
        if behind.is_empty() {
            return;
        }
        sleep(pause).await;
        let asked = behind.into_iter().map(async |report| {
            let answer = dns.ask_server(&report.address, zone, RecordType::SOA).await;
            if let Some(soa) = answer.ok().and_then(|answer| answer.soa()) {
                report.serial = Some(soa.serial);
            }
        });
        join_all(asked).await;
    }
    for answer in answers {
        let serial = answer.report.serial;
        answer.report.is_behind = serial.is_some_and(|own| is_older(own, newest));
    }
}

/// Whether a serial is older than another one (RFC 1982).
fn is_older(serial: u32, other: u32) -> bool {
    other.wrapping_sub(serial).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hickory_proto::op::{Message, Query};
    use hickory_proto::rr::rdata::SOA;
    use hickory_proto::rr::{RData, Record};

    use super::*;
    use crate::dns::test_network::network;
    use crate::dns::{Config, ZoneServers, scripted};

    /// The report of a zone with so many servers, each of which takes so long.
    async fn report_of(servers: u8, each: Duration) -> Arc<ZoneReport> {
        let zone: DnsName = "example.com".parse().unwrap();
        let servers = (1..=servers).map(|last| ([192, 0, 2, last], 53).into());
        let dns = Arc::new(Dns::new(Config {
            zones: vec![ZoneServers {
                zone: zone.clone(),
                servers: servers.collect(),
            }],
            queries_per_name: 1_000,
            ..Config::default()
        }));
        let script = move |_: SocketAddr, query: &Query, answer: &mut Message| {
            let name = query.name().clone();
            let soa = SOA::new(name.clone(), name.clone(), 1, 1, 1, 1, 60);
            answer.metadata.authoritative = true;
            answer
                .answers
                .push(Record::from_rdata(name, 60, RData::SOA(soa)));
            Some(each)
        };
        let validator = Validator::new(Arc::clone(&dns));
        let report = Box::pin(ZoneReport::of(&dns, &validator, &zone));
        // The name has a limited number of queries under way.
        let limits = dns.name_limits();
        let report = scripted::within(network(script), limits.scope(report));
        report.await.value
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_whose_query_had_to_wait_is_not_lame() {
        let report = report_of(60, Duration::from_millis(900)).await;
        let problems = report.servers.iter().filter_map(|server| {
            let problem = server.problem.as_ref()?;
            Some(format!("{}: {problem}", server.server))
        });
        assert_eq!(problems.collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn serials_are_compared_around_the_wrap() {
        assert!(is_older(1, 2) && is_older(u32::MAX, 0) && is_older(u32::MAX - 5, 5));
        assert!(!is_older(2, 1) && !is_older(7, 7) && !is_older(0, u32::MAX));
    }
}
