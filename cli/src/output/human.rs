//! Text for people.

use std::io::Write as _;

use acme_alias_core::delegation::{Finding, Severity};
use acme_alias_core::issue::Plan;
use acme_alias_core::ledger::{Line, Open, ZoneSerials};
use acme_alias_core::name::DnsName;
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::store::CertificateId;
use jiff::Timestamp;

use super::{Listed, Obtained, Renewal, Report, check, keys, records};
use crate::failure::Failure;
use crate::settings::Shown;
use crate::settings::reference::promises;

pub(super) fn report(report: &Report) {
    let text = match report {
        Report::Issued(obtained) => self::obtained(obtained),
        Report::Rehearsed { plans, failed } => {
            failures(failed);
            plans.iter().map(|(id, plan)| rehearsed(id, plan)).collect()
        }
        Report::Renewed(renewal) => {
            failures(&renewal.failed);
            self::renewal(renewal)
        }
        Report::List(all) if all.is_empty() => "There is no certificate yet.\n".to_owned(),
        Report::List(all) => all.iter().map(listed).collect(),
        Report::Providers(kinds) if kinds.is_empty() => {
            "This program was built without any provider: it can look, and write nowhere.\n\
             Build it with a feature such as `--features rfc2136`.\n"
                .to_owned()
        }
        Report::Providers(kinds) => kinds.iter().map(|kind| provider(kind)).collect(),
        Report::Settings(all) => settings(all),
        Report::SettingsGood { warnings: 0 } => "The settings are good.\n".to_owned(),
        Report::SettingsGood { .. } => "The settings can be used; see the warnings.\n".to_owned(),
        Report::Ledger(lines) if lines.is_empty() => "No DNS change is on record.\n".to_owned(),
        Report::Ledger(lines) => lines.iter().map(ledger_line).collect(),
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
                line(&format!("All {there} records are there already."));
            }
            records::render(*format, records)
        }
        Report::Exported { runs: 0, folder } => {
            format!("Everything is in {} already.\n", folder.display())
        }
        Report::Exported { runs, folder } => {
            format!("{runs} commits were made in {}.\n", folder.display())
        }
        Report::Serials(zones) if zones.is_empty() => {
            "No serial of an alias zone is on record.\n".to_owned()
        }
        Report::Serials(zones) => {
            let mut text: String = zones.iter().map(|(zone, of)| serials(zone, of)).collect();
            if zones.iter().any(|(_, of)| !of.foreign.is_empty()) {
                text.push_str(
                    "help: somebody has changed a zone, with our key or another one, or the server has\n      \
                     signed it anew; the server's log of updates tells with which key\n",
                );
            }
            text
        }
        Report::Reconciled { closed, left } => reconciled(*closed, left),
    };
    stdout(&text);
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

fn ledger_whole(lines: usize, truncated: bool, open: usize) -> String {
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

fn reconciled(closed: usize, left: &[Open]) -> String {
    let mut text = format!("{closed} values of killed runs were looked after.\n");
    for open in left {
        text.push_str(&format!(
            "{} in {}: no provider in the settings can look after it\n",
            open.name, open.zone
        ));
    }
    text
}

pub(super) fn stdout(text: &str) {
    // A reader that went away has seen what it wanted.
    let _ = std::io::stdout().write_all(text.as_bytes());
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

pub(super) fn of_finding(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let domains: Vec<_> = finding.domains.iter().map(ToString::to_string).collect();
    let mut text = format!("{severity}: {}\n", domains.join(", "));
    text.push_str(&format!("  {}: {}\n", finding.name.fqdn(), finding.answer));
    if let Some(server) = &finding.server {
        text.push_str(&format!("  asked: {server}\n"));
    }
    text.push_str(&format!("  help: {}\n", finding.remedy));
    if let Some(record) = &finding.record {
        text.push_str(&format!("\n      {record}\n"));
    }
    text
}

fn obtained(obtained: &Obtained) -> String {
    let stored = &obtained.stored;
    let mut text = format!(
        "{}: {}\n  valid until {}, to be renewed from {} on\n  {}\n",
        stored.id,
        stored.info.names.join(", "),
        moment(stored.info.not_after),
        day(obtained.due),
        stored.path.join("fullchain.pem").display(),
    );
    if let Some(left_behind) = &obtained.left_behind {
        text.push_str(&format!(
            "  but TXT values may be left in a zone: {left_behind}\n"
        ));
    }
    if let Some(failure) = &obtained.hook_failure {
        text.push_str(&format!("  but the deploy hook failed: {failure}\n"));
    }
    text
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
    text.extend(renewal.renewed.iter().map(obtained));
    for skipped in &renewal.skipped {
        text.push_str(&format!(
            "{}: not due before {}\n",
            skipped.stored.id,
            day(skipped.due)
        ));
    }
    if text.is_empty() && renewal.failed.is_empty() {
        text.push_str("There is no certificate to renew.\n");
    }
    text
}

fn listed(listed: &Listed) -> String {
    let stored = &listed.stored;
    format!(
        "{}: {}\n  valid until {}, to be renewed from {} on\n  {}\n",
        stored.id,
        stored.info.names.join(", "),
        moment(stored.info.not_after),
        day(listed.due),
        stored.path.display(),
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

fn ledger_line(line: &Line) -> String {
    let entry = &line.entry;
    let mut text = format!(
        "{:>6}  {}  {:12} {:6} {}  {}  {}\n",
        line.sequence,
        second(line.time),
        entry.event,
        entry.action,
        entry.name,
        entry.value,
        entry.origin.certificate.as_deref().unwrap_or("-"),
    );
    if let Some(response) = &entry.response {
        text.push_str(&format!("        {response}\n"));
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

fn second(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn moment(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn day(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d").to_string()
}

fn stderr(text: &str) {
    // Where standard error is closed, nobody is there to be told.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

pub(super) fn line(text: &str) {
    stderr(&format!("{text}\n"));
}
