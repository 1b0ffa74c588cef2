//! Remedies of findings, with the settings and commands of this program.

use acme_alias_core::delegation::{Finding, FindingKind};

/// The remedy, and the keys or commands that help with it.
pub(super) fn of_finding(finding: &Finding) -> String {
    match hint(finding.kind) {
        Some(hint) => format!("{} ({hint})", finding.remedy),
        None => finding.remedy.clone(),
    }
}

fn hint(kind: FindingKind) -> Option<&'static str> {
    Some(match kind {
        FindingKind::Unanswered => {
            "`dns.resolver`, `[[dns.zones]]`; `--skip-preflight` leaves this check out"
        }
        FindingKind::Intercepted => "`skip-preflight`, `dns.propagation-resolvers`",
        FindingKind::OutsideAliasZones => "`[[alias-zones]]`, `--provider`",
        FindingKind::AliasIsCname | FindingKind::CnameElsewhere => {
            "`domain-alias`, `challenge-alias`"
        }
        FindingKind::SpecialAddress => {
            "`dns.allow-special-addresses`, `dns.allow-private-addresses`"
        }
        FindingKind::LameServer => {
            "if the settings name it: `servers` under `[[alias-zones]]` or `[[dns.zones]]`"
        }
        FindingKind::ForwardsUpdates => "`server` of the provider",
        FindingKind::ZoneCut => "`zone` under `[[alias-zones]]`",
        FindingKind::StaleValue => "`acme-alias ledger reconcile` removes them at once",
        FindingKind::SharedAlias | FindingKind::LargeAnswer => "`acme-alias delegate --unique`",
        FindingKind::Caa => "`acme-alias delegate --caa` prints the record",
        _ => return None,
    })
}
