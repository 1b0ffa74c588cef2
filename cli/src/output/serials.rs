//! The serials of alias zones, for people.

use acme_alias_core::ledger::{ForeignMovement, ZoneSerials};
use acme_alias_core::name::DnsName;

use super::ledger::second;
use super::words::counted;

/// The serials of all zones on record.
pub(super) fn compared(zones: &[(DnsName, ZoneSerials)]) -> String {
    if zones.is_empty() {
        return "No serial of an alias zone is on record.\n".to_owned();
    }
    let mut text: String = zones.iter().map(|(zone, of)| serials(zone, of)).collect();
    if zones.iter().any(|(_, of)| !of.foreign.is_empty()) {
        text.push_str(
            "help: somebody changed a zone, with our key or another one, or the server signed it anew. The log of \
             updates of the server names the key. To record that you know it:\n      \
             acme-alias ledger diff-serial --acknowledge \"new NS records\"\n",
        );
    }
    text
}

/// The movements that are not reported any more.
pub(super) fn explained(zones: &[(DnsName, ZoneSerials)]) -> String {
    if zones.is_empty() {
        return "There was nothing to acknowledge.\n".to_owned();
    }
    let zones = zones.iter().map(|(zone, of)| {
        let movements: String = of.foreign.iter().map(movement).collect();
        format!("{zone}: acknowledged in the ledger\n{movements}")
    });
    zones.collect()
}

fn serials(zone: &DnsName, of: &ZoneSerials) -> String {
    let foreign = of.foreign.iter().map(|foreign| {
        let movement = movement(foreign);
        format!(
            "{}: not explained by any known change\n",
            movement.trim_end()
        )
    });
    let foreign = foreign.collect::<Vec<_>>().concat();
    format!(
        "{zone}: {}, the last with serial {} at {} UTC\n{foreign}",
        counted(of.steps, "change of ours", "changes of ours"),
        of.last,
        second(of.time)
    )
}

fn movement(foreign: &ForeignMovement) -> String {
    let when = match foreign.until {
        Some(until) => format!(
            "between {} and {} UTC",
            second(foreign.after),
            second(until)
        ),
        None => format!("since {} UTC", second(foreign.after)),
    };
    format!("  {} -> {} {when}\n", foreign.from, foreign.to)
}
