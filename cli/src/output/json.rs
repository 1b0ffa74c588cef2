//! The JSON shapes, as `docs/json.md` documents them.

use acme_alias_core::delegation::End;
use acme_alias_core::engine::{NotDue, Undeployed, Waiting};
use acme_alias_core::issue::Plan;
use acme_alias_core::ledger::ZoneSerials;
use acme_alias_core::name::DnsName;
use acme_alias_core::printable::is_unprintable;
use acme_alias_core::provider::OptionKind;
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::rights::Policy;
use acme_alias_core::store::CertificateId;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::json_parts::{certificate, error};
use super::listing_json;
use super::managed_json::{self, left, open_value};
use super::report::{Audited, Checked, Deployed, Obtained, Renewal, Report};
use crate::failure::Failure;
use crate::settings::Shown;

pub(super) fn print(value: &Value) {
    use std::io::Write as _;
    // A reader that went away has seen what it wanted.
    let _ = writeln!(std::io::stdout(), "{}", text(value));
}

/// The value as text that controls no terminal. Outside of strings JSON has no such characters, and in strings it allows
/// them as they are and escaped.
pub(super) fn text(value: &Value) -> String {
    let raw = value.to_string();
    let mut text = String::with_capacity(raw.len());
    for c in raw.chars() {
        if is_unprintable(c) {
            // All of them are in the first plane of Unicode.
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

pub(super) fn report(report: &Report) -> Value {
    match report {
        Report::Issued(obtained) => self::obtained(obtained),
        Report::Kept(not_due) => json!({ "kept": self::not_due(not_due) }),
        Report::Rehearsed { plans, failed, .. } => {
            json!({ "dry_run": all(plans, rehearsed), "failed": self::failed(failed) })
        }
        Report::Renewed(renewal) => self::renewal(renewal),
        Report::List(listing) => listing_json::listing(listing),
        Report::Providers(kinds) => json!({ "providers": all(kinds, |kind| provider(kind)) }),
        Report::Settings { files, settings } => {
            json!({ "files": files, "settings": all(settings, setting) })
        }
        Report::SettingsGood { warnings, found } => json!({
            "good": true, "warnings": warnings,
            "found": all(found, |one| json!({ "provider": one.provider, "found": one.found })),
        }),
        Report::LedgerWhole {
            lines,
            truncated,
            open,
        } => json!({ "whole": true, "lines": lines, "truncated": truncated, "open": open }),
        Report::Policies(zones) => json!({ "zones": all(zones, policies) }),
        Report::Audited { keys, .. } => json!({ "audited": all(keys, audited) }),
        Report::Checked(checked) => self::checked(checked),
        Report::Offboarding(left) => {
            json!({ "domain": left.domain, "steps": left.steps, "unknown": left.unknown })
        }
        Report::Records {
            records,
            there,
            left_out,
            ..
        } => json!({ "records": records, "there": there, "left_out": left_out }),
        Report::Exported { runs, folder } => json!({ "commits": runs, "path": folder }),
        Report::Serials { zones, unread } => {
            json!({ "zones": all(zones, serials), "unread": unread })
        }
        Report::SerialsExplained(zones) => json!({ "acknowledged": all(zones, serials) }),
        Report::Reconciled(done) => json!({
            "closed": done.removed.len() + done.gone,
            "removed": all(&done.removed, open_value),
            "left": all(done.left.first(), left),
            "left_count": done.left.count(),
        }),
        Report::Forgotten(values) => json!({ "forgotten": all(values, open_value) }),
        Report::Certificate(shown) => managed_json::certificate(shown),
        Report::Revoked { revoked, reason } => managed_json::revoked(revoked, *reason),
        Report::ForgottenCertificate(forgotten) => managed_json::forgotten(forgotten),
        Report::Account(shown) => managed_json::account(shown),
        Report::Imported(imported) => imported.json(),
    }
}

pub(super) fn event(event: &str, message: &str) -> Value {
    json!({ "event": event, "message": message, "time": Timestamp::now() })
}

fn all<T>(items: &[T], value: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(value).collect()
}

fn rehearsed((id, plan): &(CertificateId, Plan)) -> Value {
    json!({
        "certificate": id,
        "delegations": delegations(plan),
        "warnings": plan.warnings,
    })
}

fn setting(shown: &Shown) -> Value {
    json!({ "key": shown.key, "value": shown.value, "source": shown.source })
}

fn policies((zone, policies): &(DnsName, Vec<Policy>)) -> Value {
    json!({ "zone": zone, "policies": policies })
}

fn audited(audited: &Audited) -> Value {
    json!({
        "zone": audited.zone,
        "key": audited.key,
        "grade": audited.grade,
        "rights": audited.rights,
        "advice": audited.advice,
    })
}

fn serials((zone, of): &(DnsName, ZoneSerials)) -> Value {
    let foreign = all(&of.foreign, |foreign| {
        json!({ "from": foreign.from, "to": foreign.to,
                "after": foreign.after, "until": foreign.until })
    });
    json!({ "zone": zone, "changes": of.steps, "serial": of.last,
            "time": of.time, "foreign": foreign })
}

fn provider(kind: &ProviderKind) -> Value {
    let options = kind.options.iter().map(|option| {
        json!({
            "name": option.name,
            "help": option.help,
            "required": option.required,
            "secret": matches!(option.kind, OptionKind::Secret | OptionKind::Secrets),
            "default": option.default,
        })
    });
    json!({
        "kind": kind.kind,
        "summary": kind.summary,
        "guarantees": kind.guarantees,
        "variants": kind.variants,
        "options": options.collect::<Vec<_>>(),
    })
}

pub(super) fn failure(failure: &Failure) -> Value {
    json!({ "error": error(failure) })
}

fn delegations(plan: &Plan) -> Vec<Value> {
    plan.aliases
        .iter()
        .map(|(challenge_name, alias_name)| {
            let chain = plan
                .chains
                .iter()
                .find(|chain| chain.challenge_name == *challenge_name);
            json!({
                "challenge_name": challenge_name,
                "alias_name": alias_name,
                "hops": chain.map(|chain| &chain.hops),
            })
        })
        .collect()
}

fn obtained(obtained: &Obtained) -> Value {
    let mut value = certificate(&obtained.stored, obtained.due);
    value["left_behind"] = json!(obtained.left_behind);
    let left_out = obtained.left_out.iter();
    let left_out = left_out.map(|(names, why)| json!({ "domains": names, "error": error(why) }));
    value["left_out"] = left_out.collect();
    value["undeployed"] = json!(all(&obtained.undeployed, undeployed));
    value
}

fn checked(checked: &Checked) -> Value {
    let names: Vec<_> = checked
        .names
        .iter()
        .map(|name| {
            let found = &name.report;
            json!({
                "domains": name.identifiers,
                "certificates": name.certificates,
                "challenge_name": found.chain.challenge_name,
                "hops": found.chain.hops,
                "end": end(&found.chain.end),
                "alias_name": found.alias_name(),
                "source_zone": found.source.as_deref(),
                "zones_between": found.between.iter().map(|zone| &**zone).collect::<Vec<_>>(),
                "alias_zone": found.alias.as_deref(),
                "findings": found.findings,
            })
        })
        .collect();
    let written = checked.probed.as_ref().map(|probed| {
        let zones = probed.published.iter().map(|published| {
            let servers = published.servers.iter().map(|reached| {
                json!({
                    "server": reached.server.to_string(),
                    "milliseconds": u64::try_from(reached.after.as_millis()).unwrap_or(u64::MAX),
                })
            });
            json!({ "zone": published.zone, "servers": servers.collect::<Vec<_>>() })
        });
        zones.collect::<Vec<_>>()
    });
    json!({
        "checked": names,
        "errors": checked.has_errors(),
        "seconds": checked.took.as_secs_f64(),
        "per_second": checked.per_second(),
        "written": written,
        "not_written": checked.probed.as_ref().map(|probed| &probed.left_out),
    })
}

/// Where the CNAMEs end.
fn end(end: &End) -> Value {
    match end {
        End::At {
            server,
            answer,
            exists,
            txt,
            ..
        } => json!({
            "kind": "at", "server": server, "answer": answer, "exists": exists,
            "txt": txt.first, "txt_count": txt.count,
        }),
        End::Loop(name) => json!({ "kind": "loop", "name": name }),
        End::TooLong => json!({ "kind": "too-long" }),
        End::BadTarget(target) => json!({ "kind": "bad-target", "target": target }),
        End::Unanswered(error) => json!({ "kind": "unanswered", "error": error.to_string() }),
    }
}

fn renewal(renewal: &Renewal) -> Value {
    json!({
        "renewed": renewal.renewed.iter().map(|one| renewed(renewal, one)).collect::<Vec<_>>(),
        "deployed": renewal.deployed.iter().map(deployed).collect::<Vec<_>>(),
        "skipped": renewal.not_due.iter().map(not_due).collect::<Vec<_>>(),
        "waiting": renewal.waiting.iter().map(waiting).collect::<Vec<_>>(),
        "up_to_date": renewal.up_to_date,
        "in_progress": renewal.in_progress,
        "failed": failed(&renewal.failed),
    })
}

fn deployed(deployed: &Deployed) -> Value {
    json!({ "certificate": deployed.id, "tried": deployed.tried,
            "undeployed": all(&deployed.undeployed, undeployed) })
}

/// A target that is not done.
fn undeployed(target: &Undeployed) -> Value {
    json!({ "target": target.target, "error": target.error,
            "output": target.output, "until": target.until })
}

/// A certificate that a run obtained, and why.
fn renewed(renewal: &Renewal, obtained: &Obtained) -> Value {
    let mut value = self::obtained(obtained);
    let why = renewal.why.get(&obtained.stored.id);
    value["why"] = json!(why.map(ToString::to_string));
    value
}

fn waiting(waiting: &Waiting) -> Value {
    let attempts = waiting.attempts.as_ref();
    json!({
        "certificate": waiting.id,
        "until": waiting.until,
        "why": waiting.why.to_string(),
        "failures": attempts.map(|attempts| attempts.failed),
        "error": attempts.map(|attempts| &attempts.error),
    })
}

fn not_due(not_due: &NotDue) -> Value {
    json!({
        "certificate": not_due.id,
        "due": not_due.due,
        "due_by": not_due.reason.to_string(),
        "not_after": not_due.not_after,
    })
}

fn failed(failed: &[(CertificateId, Failure)]) -> Vec<Value> {
    failed
        .iter()
        .map(|(id, failure)| json!({ "certificate": id, "error": error(failure) }))
        .collect()
}
