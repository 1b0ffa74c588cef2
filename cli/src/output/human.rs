//! Text for people.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use acme_alias_core::delegation::Finding;
use acme_alias_core::engine::{NotDue, Reconciliation};
use acme_alias_core::issue::Plan;
use acme_alias_core::ledger::{OpenValue, ZoneSerials};
use acme_alias_core::name::DnsName;
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::renewal::Why;
use acme_alias_core::store::CertificateId;

use super::deployment::undeployed;
use super::finding::of_finding;
use super::ledger::second;
use super::report::{Listed, Obtained, Renewal, Report};
use super::stream::{line, stderr, stdout};
use super::times::{counted, day, moment};
use super::{account, check, keys, managed_text, records};
use crate::failure::{Failure, forget_command};
use crate::settings::Shown;
use crate::settings::reference::promises;

/// A list that is longer is shortened, to so many lines.
const LIST_MAX: usize = 20;
const LIST_SHOWN: usize = 10;

const NO_PROVIDER: &str = "This program was built without any provider: it can look, and write nowhere.\n\
                           Build it with a feature such as `--features rfc2136`.\n";

pub(super) fn report(report: &Report) {
    let text = match report {
        Report::Issued(obtained) => self::obtained(obtained),
        Report::Kept(kept) => self::kept(kept),
        Report::Rehearsed { plans, failed, .. } => {
            failures(failed);
            plans.iter().map(|(id, plan)| rehearsed(id, plan)).collect()
        }
        Report::Renewed(renewal) => {
            failures(&renewal.failed);
            self::renewal(renewal)
        }
        Report::List {
            certificates,
            damaged,
        } if certificates.is_empty() && damaged.is_empty() => {
            "There is no certificate yet.\n".to_owned()
        }
        Report::List { certificates, .. } => certificates.iter().map(listed).collect(),
        Report::Providers(kinds) if kinds.is_empty() => NO_PROVIDER.to_owned(),
        Report::Providers(kinds) => kinds.iter().map(|kind| provider(kind)).collect(),
        Report::Settings(all) => settings(all),
        Report::SettingsGood { warnings: 0 } => "The settings are good.\n".to_owned(),
        Report::SettingsGood { .. } => "The settings can be used; see the warnings.\n".to_owned(),
        Report::LedgerWhole {
            lines,
            truncated,
            open,
        } => ledger_whole(*lines, *truncated, *open),
        Report::Policies(zones) => keys::policies(zones),
        Report::Audited(zones) => zones.iter().map(keys::audited).collect(),
        Report::Checked(checked) => check::checked(checked),
        Report::Offboarding(left) => check::offboarding(left),
        Report::Records {
            records,
            there,
            format,
        } => {
            if records.is_empty() && *there > 0 {
                line(&in_place(*there));
            }
            records::render(*format, records)
        }
        Report::Exported { runs, folder } => exported(*runs, folder),
        Report::Serials(zones) => all_serials(zones),
        Report::Reconciled(done) => reconciled(done),
        Report::Forgotten(values) => forgotten(values),
        Report::Certificate(shown) => managed_text::certificate(shown),
        Report::Revoked { revoked, reason } => managed_text::revoked(revoked, *reason),
        Report::ForgottenCertificate(forgotten) => managed_text::forgotten(forgotten),
        Report::Account(shown) => account::shown(shown),
    };
    stdout(&text);
}

fn exported(runs: usize, folder: &Path) -> String {
    let folder = folder.display();
    match runs {
        0 => format!("Everything is in {folder} already.\n"),
        1 => format!("1 run was committed in {folder}.\n"),
        runs => format!("{runs} runs were committed in {folder}.\n"),
    }
}

/// The serials of all zones on record.
fn all_serials(zones: &[(DnsName, ZoneSerials)]) -> String {
    if zones.is_empty() {
        return "No serial of an alias zone is on record.\n".to_owned();
    }
    let mut text: String = zones.iter().map(|(zone, of)| serials(zone, of)).collect();
    if zones.iter().any(|(_, of)| !of.foreign.is_empty()) {
        text.push_str(
            "help: somebody has changed a zone, with our key or another one, or the server has\n      \
             signed it anew; the server's log of updates tells with which key\n",
        );
    }
    text
}

/// Each setting with its source beside it.
fn settings(all: &[Shown]) -> String {
    let width = all
        .iter()
        .map(|shown| shown.key.len() + shown.value.len() + 3)
        .max();
    let width = width.unwrap_or(0).min(70);
    let line = |shown: &Shown| {
        let setting = format!("{} = {}", shown.key, shown.value);
        format!("{setting:width$}  # {}\n", shown.source)
    };
    all.iter().map(line).collect()
}

fn ledger_whole(lines: u64, truncated: bool, open: usize) -> String {
    let mut text = format!("The ledger is whole: {lines} lines.\n");
    if truncated {
        text.push_str("Its last line was cut off by a crash, and will be written over.\n");
    }
    if open > 0 {
        text.push_str(&format!(
            "{open} values may be in a zone: those of runs under way, or left by killed ones.\n"
        ));
    }
    text
}

fn reconciled(done: &Reconciliation) -> String {
    let Reconciliation {
        removed,
        gone,
        left,
    } = done;
    if removed.is_empty() && *gone == 0 && left.is_empty() {
        return "Nothing to clean up.\n".to_owned();
    }
    let mut text = String::new();
    for value in removed {
        text.push_str(&format!(
            "Removed a TXT value at {} in {}.\n",
            value.name, value.zone
        ));
    }
    if *gone > 0 {
        text.push_str(&format!(
            "{} gone already.\n",
            counted(*gone, "value was", "values were")
        ));
    }
    if !left.is_empty() {
        let values = counted(left.len(), "value", "values");
        text.push_str(&format!("{values} may still be in a zone:\n"));
    }
    for left in left {
        text.push_str(&format!(
            "  {} in {}: {}\n    to drop it from the ledger: {}\n",
            left.value.name,
            left.value.zone,
            left.reason,
            forget_command(&left.value)
        ));
    }
    text
}

fn forgotten(values: &[OpenValue]) -> String {
    if values.is_empty() {
        return "The ledger has no such value that could be dropped.\n".to_owned();
    }
    let line = |value: &OpenValue| {
        format!(
            "Dropped from the ledger: {} in {}, \"{}\". It may still be in the zone.\n",
            value.name, value.zone, value.value
        )
    };
    values.iter().map(line).collect()
}

/// What is said of records that need not be added.
fn in_place(records: usize) -> String {
    match records {
        1 => "The record is already in place.".to_owned(),
        all => format!("All {all} records are already in place."),
    }
}

pub(super) fn failure(failure: &Failure) {
    let mut text = match &failure.settings {
        Some(error) => error.render(),
        None => format!("error: {}\n", failure.message),
    };
    if !failure.findings.is_empty() {
        text.extend(
            failure
                .findings
                .iter()
                .map(|finding| format!("\n{}", of_finding(finding))),
        );
        text.push('\n');
    }
    if let Some(remedy) = &failure.remedy {
        text.push_str(&format!("help: {remedy}\n"));
    }
    if let Some(left_behind) = &failure.left_behind {
        text.push_str(&format!(
            "also: TXT values may be left in a zone: {left_behind}\n"
        ));
    }
    for silent in &failure.silent {
        text.push_str(&format!("also: {} did not answer\n", silent.server));
    }
    stderr(&text);
}

/// Certificates that failed beside others that did not.
fn failures(failed: &[(CertificateId, Failure)]) {
    for (id, one) in failed {
        line(&format!("{id}: failed"));
        failure(one);
    }
}

pub(super) fn warning(warning: &str) {
    stderr(&format!("warning: {warning}\n"));
}

pub(super) fn finding(finding: &Finding) {
    stderr(&format!("{}\n", of_finding(finding)));
}

fn obtained(obtained: &Obtained) -> String {
    let stored = &obtained.stored;
    let mut text = format!(
        "{}: {}\n  valid until {}, to be renewed from {} on\n  {}\n",
        stored.id,
        stored.info.names.join(", "),
        moment(stored.info.not_after),
        day(obtained.due.at),
        PathBuf::from(&stored.location)
            .join("fullchain.pem")
            .display(),
    );
    if let Some(left_behind) = &obtained.left_behind {
        text.push_str(&format!(
            "  but TXT values may be left in a zone: {left_behind}\n"
        ));
    }
    if !obtained.undeployed.is_empty() {
        text.push_str("  but it is not deployed:\n");
        text.push_str(&undeployed(&obtained.undeployed));
    }
    text
}

/// A certificate that was not ordered anew.
fn kept(kept: &NotDue) -> String {
    format!(
        "{}: kept, because it is as it shall be, and valid until {}\n  It is renewed from {} on, by {}; `--force` \
         obtains a new one now.\n",
        kept.id,
        moment(kept.not_after),
        day(kept.due),
        kept.reason,
    )
}

fn rehearsed(id: &CertificateId, plan: &Plan) -> String {
    let mut text =
        format!("{id}: everything is in order; the CA was asked for nothing (dry run)\n");
    for (challenge_name, alias_name) in plan.aliases.iter() {
        text.push_str(&format!("  {challenge_name} -> {alias_name}\n"));
    }
    text
}

fn renewal(renewal: &Renewal) -> String {
    let mut text = String::new();
    for one in &renewal.renewed {
        text.push_str(&obtained(one));
        if let Some(why @ Why::Changed(_)) = renewal.why.get(&one.stored.id) {
            text.push_str(&format!("  obtained because {why}\n"));
        }
    }
    for deployed in &renewal.deployed {
        let id = &deployed.id;
        text.push_str(&match deployed.undeployed.as_slice() {
            [] => format!("{id}: deployed; it was obtained in an earlier run\n"),
            left => format!("{id}: not deployed\n{}", undeployed(left)),
        });
    }
    for id in &renewal.up_to_date {
        text.push_str(&format!("{id}: another process obtained it meanwhile\n"));
    }
    for id in &renewal.in_progress {
        text.push_str(&format!("{id}: another process is working on it\n"));
    }
    for waiting in &renewal.waiting {
        text.push_str(&format!(
            "{}: waits until {} after failed attempts\n",
            waiting.id,
            moment(waiting.until)
        ));
    }
    text.push_str(&not_due(&renewal.not_due));
    if renewal.interrupted {
        text.push_str("Interrupted; run the same command again.\n");
    }
    if text.is_empty() && renewal.failed.is_empty() {
        text.push_str("There is no certificate to renew.\n");
    }
    text
}

/// The certificates that are not due; a long list is counted.
fn not_due(all: &[NotDue]) -> String {
    let shown = if all.len() > LIST_MAX {
        LIST_SHOWN
    } else {
        all.len()
    };
    let lines = all.iter().take(shown);
    let mut text = String::new();
    for one in lines {
        let _ = writeln!(text, "{}: not due before {}", one.id, day(one.due));
    }
    if shown < all.len() {
        let more = all.len() - shown;
        let _ = writeln!(text, "{more} more certificates are not due");
    }
    text
}

fn listed(listed: &Listed) -> String {
    let stored = &listed.stored;
    let renewal = if listed.is_defined {
        format!("to be renewed from {} on", day(listed.due.at))
    } else {
        "no longer in the settings, so not renewed".to_owned()
    };
    format!(
        "{}: {}\n  valid until {}, {renewal}\n  {}\n",
        stored.id,
        stored.info.names.join(", "),
        moment(stored.info.not_after),
        stored.location,
    )
}

fn provider(kind: &ProviderKind) -> String {
    let mut text = format!("{}: {}\n", kind.kind, kind.summary);
    for (what, how) in promises(&kind.guarantees) {
        text.push_str(&format!("  {what}: {how}\n"));
    }
    text.push_str("  options:\n");
    for option in kind.options {
        let note = match (option.required, option.default) {
            (true, _) => " (required)".to_owned(),
            (false, Some(default)) => format!(" (default: {default})"),
            (false, None) => String::new(),
        };
        text.push_str(&format!("    {:16} {}{note}\n", option.name, option.help));
    }
    text
}

fn serials(zone: &DnsName, of: &ZoneSerials) -> String {
    let mut text = format!(
        "{zone}: {} changes of ours, the last with serial {} at {}\n",
        of.steps,
        of.last,
        second(of.time)
    );
    for foreign in &of.foreign {
        let when = match foreign.until {
            Some(until) => format!("between {} and {}", second(foreign.after), second(until)),
            None => format!("since {}", second(foreign.after)),
        };
        text.push_str(&format!(
            "  {} -> {} {when}: by no change in this ledger\n",
            foreign.from, foreign.to
        ));
    }
    text
}
