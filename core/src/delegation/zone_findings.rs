//! What is wrong with a zone, whichever name in it is checked.

use super::expectation::Expectation;
use super::finding::{Finding, FindingKind};
use super::zone_report::ZoneReport;

/// A negative TTL up to this, in seconds, does no harm.
const NEGATIVE_TTL_GOOD: u32 = 300;

impl ZoneReport {
    /// What is wrong with the zone.
    pub(super) fn findings(&self, expectation: &Expectation<'_>) -> Vec<Finding> {
        let mut findings = self.lame(expectation);
        findings.extend(self.serials(expectation));
        findings.extend(self.not_delegated(expectation));
        findings
    }

    /// Servers that are named for the zone and do not serve it.
    fn lame(&self, expectation: &Expectation<'_>) -> Vec<Finding> {
        let apex = &self.zone;
        let lame = self.servers.iter().filter_map(|report| {
            let problem = report.problem.as_ref()?;
            let (by, set) = if report.above_only {
                (" by the zone above", "the delegation in the zone above")
            } else if self.has_configured_servers {
                ("", "the servers that are configured for the zone")
            } else {
                ("", "its NS set")
            };
            let server = &report.server;
            let is_special = report.address.addresses.is_empty() && report.address.refused.is_some();
            let (kind, remedy) = if is_special {
                let remedy = "give it a public address, or allow such addresses if they are your own servers";
                (FindingKind::SpecialAddress, remedy.to_owned())
            } else {
                let risk = if self.has_configured_servers {
                    ""
                } else {
                    ": a CA may query it"
                };
                let remedy = format!("remove it from {set}, or make it serve the zone{risk}");
                (FindingKind::LameServer, remedy)
            };
            let answer = format!("{server} is named as a server of {apex}{by}: {problem}");
            let finding = expectation.warning(kind, apex, answer, remedy);
            Some(finding.asked(Some(server)))
        });
        lame.collect()
    }

    /// Servers that stay behind the newest version of the zone, each with its own finding.
    fn serials(&self, expectation: &Expectation<'_>) -> Vec<Finding> {
        let servers = self.servers.iter();
        let (behind, current): (Vec<_>, Vec<_>) = servers
            .filter(|report| report.serial.is_some())
            .partition(|report| report.is_behind);
        let serials = current.iter().filter_map(|report| {
            let serial = report.serial?;
            Some(format!("{serial} at {}", report.server))
        });
        let serials = serials.collect::<Vec<_>>().join(", ");
        let findings = behind.into_iter().filter_map(|report| {
            let finding = expectation.warning(
                FindingKind::SerialsDiffer,
                &self.zone,
                format!(
                    "its servers have different serials: {} at {}, but {serials}",
                    report.serial?, report.server
                ),
                format!(
                    "check the zone transfers (NOTIFY, `allow-transfer`): every server must have a value \
                     before the CA queries it{}",
                    self.above_only_note()
                ),
            );
            Some(finding.asked(Some(&report.server)))
        });
        findings.collect()
    }

    /// Whether the zone can be found from the root.
    fn not_delegated(&self, expectation: &Expectation<'_>) -> Option<Finding> {
        if self.denied_by.is_empty() {
            return None;
        }
        let answer = if self.delegated == Some(true) {
            format!(
                "some servers of the zone above do not delegate it: {}",
                self.denied_by.join(", ")
            )
        } else {
            "the zone above does not delegate it, so a CA cannot find it from the root".to_owned()
        };
        let zone = &self.zone;
        Some(expectation.warning(
            FindingKind::NotDelegated,
            zone,
            answer,
            format!(
                "add NS records for {zone} to the zone above, unless the CA has another way to find it"
            ),
        ))
    }

    /// Whether resolvers cache for long that a name in the zone does not exist.
    pub(super) fn negative_ttl_finding(&self, expectation: &Expectation<'_>) -> Option<Finding> {
        let ttl = self.negative_ttl.filter(|ttl| *ttl > NEGATIVE_TTL_GOOD)?;
        let apex = &self.zone;
        Some(expectation.warning(
            FindingKind::NegativeTtl,
            apex,
            format!(
                "negative answers are cached for {ttl} s (SOA minimum): the first certificate may have to \
                 wait that long"
            ),
            format!("lower the SOA minimum of {apex}, the last number of its SOA record, to 60"),
        ))
    }

    /// A remedy for a delegation that still names the servers of before a move: no zone transfer helps there.
    pub(super) fn above_only_note(&self) -> String {
        let mut above_only = self.servers.iter().filter(|report| report.above_only);
        match above_only.next() {
            Some(report) => format!(
                "; {} is named by the zone above only: correct the delegation there",
                report.server
            ),
            None => String::new(),
        }
    }
}
