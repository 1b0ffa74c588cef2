//! Text for people.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;

use acme_alias_core::delegation::Finding;
use acme_alias_core::engine::Reconciliation;
use acme_alias_core::issue::Plan;
use acme_alias_core::ledger::OpenValue;
use acme_alias_core::printable::few;
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::store::CertificateId;

use super::finding::of_finding;
use super::ledger::left_values;
use super::report::{FoundSecret, Obtained, Report};
use super::stream::{finished_message, fitted, message, result, stdout};
use super::words::{counted, day};
use super::{account, check, keys, listing_text, managed_text, records, renewal, serials, stream};
use crate::failure::Failure;
use crate::settings::Shown;
use crate::settings::reference::promises;

/// The certificates of one failure that are named; the others are counted.
const IDS_MAX: usize = 100;

const NO_PROVIDER: &str = "This program was built without any provider: it can look, and write nowhere.\n\
                           Build it with a feature such as `--features rfc2136`.\n";

/// `quiet` leaves out what needs no attention.
pub(super) fn report(report: &Report, quiet: bool) {
    let text = text(report, quiet);
    match report {
        // Files, or parts of files.
        Report::Settings { .. } | Report::Policies(_) | Report::Records { .. } => stdout(&text),
        // Tables.
        Report::List(_) | Report::Audited { .. } | Report::Checked(_) | Report::Imported(_) => {
            result(&text);
        }
        _ => result(&fitted(&text)),
    }
}

/// The result in words. Failures in it are printed at once.
fn text(report: &Report, quiet: bool) -> String {
    match report {
        Report::Issued(obtained) => {
            left_out(obtained);
            renewal::obtained(obtained)
        }
        Report::Kept(kept) => renewal::kept(kept),
        Report::Rehearsed { plans, failed, .. } => {
            failures(failed);
            plans.iter().map(|(id, plan)| rehearsed(id, plan)).collect()
        }
        Report::Renewed(renewal) => {
            failures(&renewal.failed);
            renewal.renewed.iter().for_each(left_out);
            if quiet {
                renewal::summary(renewal)
            } else {
                renewal::text(renewal)
            }
        }
        Report::List(listing) => listing_text::listing(listing, stream::width()),
        Report::Providers(kinds) if kinds.is_empty() => NO_PROVIDER.to_owned(),
        Report::Providers(kinds) => kinds.iter().map(|kind| provider(kind)).collect(),
        Report::Settings {
            files,
            settings: shown,
        } => settings(files, shown),
        Report::SettingsGood { warnings, found } => settings_good(*warnings, found),
        Report::LedgerWhole {
            lines,
            truncated,
            open,
        } => ledger_whole(*lines, *truncated, *open),
        Report::Policies(zones) => keys::policies(zones),
        Report::Audited { keys, full } => keys::audited(keys, *full),
        Report::Checked(checked) => check::checked(checked),
        Report::Offboarding(left) => check::offboarding(left),
        Report::Records {
            records,
            there,
            format,
            ..
        } => {
            if records.is_empty() && *there > 0 {
                message(&in_place(*there));
            }
            records::render(*format, records)
        }
        Report::Exported { runs, folder } => exported(*runs, folder),
        Report::Serials { zones, .. } => serials::compared(zones),
        Report::SerialsExplained(zones) => serials::explained(zones),
        Report::Reconciled(done) => reconciled(done),
        Report::Forgotten(values) => forgotten(values),
        Report::Certificate(shown) => managed_text::certificate(shown),
        Report::Revoked { revoked, reason } => managed_text::revoked(revoked, *reason),
        Report::ForgottenCertificate(forgotten) => managed_text::forgotten(forgotten),
        Report::Account(shown) => account::shown(shown),
        Report::Imported(imported) => imported.text(),
    }
}

fn settings_good(warnings: usize, found: &[FoundSecret]) -> String {
    let line = |one: &FoundSecret| format!("providers.{}: {}\n", one.provider, one.found);
    let mut text: String = found.iter().map(line).collect();
    text.push_str(match warnings {
        0 => "The settings are good.\n",
        _ => "The settings can be used; see the warnings.\n",
    });
    text
}

fn exported(runs: usize, folder: &Path) -> String {
    let folder = folder.display();
    match runs {
        0 => format!("Everything is in {folder} already.\n"),
        1 => format!("1 run was committed in {folder}.\n"),
        runs => format!("{runs} runs were committed in {folder}.\n"),
    }
}

/// Each setting with its source beside it.
fn settings(files: &[String], all: &[Shown]) -> String {
    let width = all
        .iter()
        .map(|shown| shown.key.len() + shown.value.len() + 3)
        .max();
    let width = width.unwrap_or(0).min(70);
    let line = |shown: &Shown| {
        let setting = format!("{} = {}", shown.key, shown.value);
        format!("{setting:width$}  # {}\n", shown.source)
    };
    let read = match files {
        [] => "none".to_owned(),
        files => files.join(", "),
    };
    let lines: String = all.iter().map(line).collect();
    format!("# settings files: {read}\n{lines}")
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
        let values = counted(left.count(), "value", "values");
        text.push_str(&format!("{values} may still be in a zone:\n"));
    }
    text.push_str(&left_values(left));
    text
}

fn forgotten(values: &[Arc<OpenValue>]) -> String {
    if values.is_empty() {
        return "The ledger has no such value that could be dropped.\n".to_owned();
    }
    let line = |value: &Arc<OpenValue>| {
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
        1 => "The record is already in place.\n".to_owned(),
        all => format!("All {all} records are already in place.\n"),
    }
}

pub(super) fn failure(failure: &Failure) {
    finished_message(&of_failure(failure));
}

/// A failure as it is printed.
fn of_failure(failure: &Failure) -> String {
    let (shown, mut text) = match &failure.settings {
        Some(error) => (error.render(), String::new()),
        None => (String::new(), format!("error: {}\n", failure.message)),
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
    if let Some(until) = failure.kept_until {
        text.push_str(&format!(
            "also: the certificate in use has the names that failed; from {} on it is renewed without \
             them\n",
            day(until)
        ));
    }
    for silent in &failure.silent {
        text.push_str(&format!("also: {} did not answer\n", silent.server));
    }
    shown + &fitted(&text)
}

/// Certificates that failed beside others that did not. A reason that several share is printed once.
fn failures(failed: &[(CertificateId, Failure)]) {
    // The texts themselves would take much memory if many certificates failed, each for a reason of its own.
    let hashes = RandomState::new();
    let mut causes: Vec<(&Failure, Vec<&CertificateId>)> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (id, one) in failed {
        let place = *places
            .entry(hashes.hash_one(of_failure(one)))
            .or_insert_with(|| {
                causes.push((one, Vec::new()));
                causes.len() - 1
            });
        causes[place].1.push(id);
    }
    for (one, ids) in causes {
        message(&match ids.as_slice() {
            [id] => format!("{id}: failed\n"),
            ids => {
                let mut named: Vec<_> = ids.iter().take(IDS_MAX).map(ToString::to_string).collect();
                if ids.len() > IDS_MAX {
                    named.push(format!("{} more", ids.len() - IDS_MAX));
                }
                let named = named.join(", ");
                format!(
                    "{} certificates failed for the same reason: {named}\n",
                    ids.len()
                )
            }
        });
        failure(one);
    }
}

/// Names that a certificate was obtained without.
fn left_out(obtained: &Obtained) {
    for (names, why) in &obtained.left_out {
        let names = few(names, ", ");
        message(&format!(
            "{}: obtained without {names}\n",
            obtained.stored.id
        ));
        failure(why);
    }
}

pub(super) fn warning(warning: &str) {
    message(&format!("warning: {warning}\n"));
}

pub(super) fn finding(finding: &Finding) {
    message(&format!("{}\n", of_finding(finding)));
}

fn rehearsed(id: &CertificateId, plan: &Plan) -> String {
    let mut text =
        format!("{id}: everything is in order; the CA was asked for nothing (dry run)\n");
    for (challenge_name, alias_name) in plan.aliases.iter() {
        text.push_str(&format!("  {challenge_name} -> {alias_name}\n"));
    }
    text
}

fn provider(kind: &ProviderKind) -> String {
    let mut text = format!("{}: {}\n", kind.kind, kind.summary);
    for (what, how) in promises(&kind.guarantees) {
        text.push_str(&format!("  {what}: {how}\n"));
    }
    for variant in kind.variants {
        text.push_str(&format!(
            "  with {} = \"{}\":\n",
            variant.option, variant.value
        ));
        for (what, how) in promises(&variant.guarantees) {
            text.push_str(&format!("    {what}: {how}\n"));
        }
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
