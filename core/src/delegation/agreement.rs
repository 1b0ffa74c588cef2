//! Whether all servers of a zone return the same CNAME.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use hickory_proto::rr::RecordType;

use super::expectation::Expectation;
use super::finding::{Finding, FindingKind};
use super::zone_report::ZoneReport;
use crate::dns::{Dns, Server};
use crate::name::DnsName;
use crate::printable::printable;

/// What one server returned already, so that it is not asked again.
#[derive(Clone, Debug)]
pub(super) struct KnownAnswer {
    /// The address of the server.
    pub(super) server: String,
    /// The target of the CNAME, if there is one.
    pub(super) target: Option<DnsName>,
}

/// Compares the CNAME at `name` on all servers that serve `zone`; those that do not have a finding already.
pub(super) async fn agreement(
    dns: &Dns,
    expectation: &Expectation<'_>,
    zone: &ZoneReport,
    name: &DnsName,
    known: Option<&KnownAnswer>,
) -> Option<Finding> {
    let asked = zone.serving().map(|server| async move {
        let target = match known.filter(|known| is_at(server, &known.server)) {
            Some(known) => known.target.as_ref().map(DnsName::fqdn),
            None => ask(dns, server, name).await?,
        };
        Some((server.to_string(), target))
    });
    let mut by_target: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for (server, target) in join_all(asked).await.into_iter().flatten() {
        by_target.entry(target).or_default().push(server);
    }
    if by_target.len() < 2 {
        return None;
    }
    let answers: Vec<_> = by_target
        .iter()
        .map(|(target, servers)| {
            let target = target.as_deref().unwrap_or("no CNAME");
            format!("{target} at {}", servers.join(", "))
        })
        .collect();
    Some(expectation.error(
        FindingKind::ServersDisagree,
        name,
        format!(
            "the servers of {} do not agree: {}",
            zone.zone,
            answers.join("; ")
        ),
        format!(
            "wait for the zone transfers, or find out why they fail: the CA may query any of these servers{}",
            zone.above_only_note()
        ),
    ))
}

impl ZoneReport {
    /// Whether all servers serve the zone with the same serial.
    pub(super) fn has_one_version(&self) -> bool {
        let mut serials = self.servers.iter().map(|server| server.serial);
        let first = serials.next().flatten();
        first.is_some() && serials.all(|serial| serial == first)
    }
}

fn is_at(server: &Server, address: &str) -> bool {
    let mut addresses = server.addresses.iter();
    addresses.any(|known| known.to_string() == address)
}

/// The CNAME target that a server returns now; the outer option is none if it does not answer.
async fn ask(dns: &Dns, server: &Server, name: &DnsName) -> Option<Option<String>> {
    let answer = dns.ask_server(server, name, RecordType::CNAME).await.ok()?;
    let target = answer.cname().map(|cname| match cname.target {
        Ok(target) => target.fqdn(),
        Err(unusable) => printable(&unusable),
    });
    answer.is_authoritative().then_some(target)
}
