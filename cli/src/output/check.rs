//! Delegations that were looked at, for people.

use std::collections::BTreeMap;

use acme_alias_core::delegation::{End, Examination, Severity, ZoneState};
use acme_alias_core::name::DnsName;

use super::human::of_finding;
use super::{Checked, CheckedName, Offboarding};

pub(super) fn checked(checked: &Checked) -> String {
    let mut text = String::new();
    let mut zones: BTreeMap<&DnsName, &ZoneState> = BTreeMap::new();
    for CheckedName {
        identifiers,
        examination,
    } in &checked.names
    {
        let Examination {
            walk,
            source,
            alias,
            findings,
        } = examination;
        zones.extend(source.iter().chain(alias).map(|state| (&state.zone, state)));
        let identifiers: Vec<_> = identifiers.iter().map(ToString::to_string).collect();
        let verdict = match findings.first().map(|finding| finding.severity) {
            None => "good",
            Some(Severity::Warning) => "works, with warnings",
            Some(Severity::Error) => "would fail",
        };
        text.push_str(&format!("{}: {verdict}\n", identifiers.join(", ")));
        for hop in &walk.hops {
            text.push_str(&format!(
                "  {} {} CNAME {}  (asked: {})\n",
                hop.name.fqdn(),
                hop.ttl,
                hop.target.fqdn(),
                hop.server
            ));
        }
        if let End::At { server, answer } = &walk.end {
            let name = walk.last().fqdn();
            text.push_str(&format!("  {name} {answer}  (asked: {server})\n"));
        }
        for finding in findings {
            text.push('\n');
            text.push_str(&of_finding(finding));
        }
        text.push('\n');
    }
    for state in zones.into_values() {
        text.push_str(&zone_state(state));
    }
    for published in checked.written.iter().flatten() {
        text.push_str(&format!(
            "zone {}: a probe was written, and",
            published.zone
        ));
        for reached in &published.servers {
            let millis = reached.after.as_millis();
            text.push_str(&format!("\n  {} had it after {millis} ms", reached.server));
        }
        text.push_str("\n  it was withdrawn\n");
    }
    let count = |wanted| {
        let found = checked.names.iter().filter(|name| {
            name.examination
                .findings
                .first()
                .map(|finding| finding.severity)
                == wanted
        });
        found.count()
    };
    let (errors, warnings) = (count(Some(Severity::Error)), count(Some(Severity::Warning)));
    text.push_str(&format!(
        "{} challenge names: {} good, {warnings} with warnings, {errors} with errors; {:.1} s\n",
        checked.names.len(),
        count(None),
        checked.took.as_secs_f64()
    ));
    text
}

fn zone_state(state: &ZoneState) -> String {
    let mut text = format!("zone {}:", state.zone);
    for server in &state.servers {
        match server.serial {
            Some(serial) => text.push_str(&format!(" {} has serial {serial};", server.server)),
            None => text.push_str(&format!(" {} does not serve it;", server.server)),
        }
    }
    if let Some(ttl) = state.negative_ttl {
        text.push_str(&format!(
            " a name that is not there is remembered for {ttl} s;"
        ));
    }
    text + &format!(" DNSSEC: {}\n", state.dnssec)
}

pub(super) fn offboarding(Offboarding { domain, steps }: &Offboarding) -> String {
    if steps.is_empty() {
        return format!("Nothing leads from {domain} into an alias zone.\n");
    }
    let steps = steps.iter().zip(1..);
    let steps = steps.map(|(step, number)| format!("{number}. {step}\n"));
    format!("{domain} still leads into an alias zone:\n") + &steps.collect::<String>()
}
