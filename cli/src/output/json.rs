//! The JSON shapes, as `docs/json.md` documents them.

use acme_alias_core::delegation::{End, Finding};
use acme_alias_core::issue::Plan;
use acme_alias_core::provider::OptionKind;
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::store::{CertificateId, Stored};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Checked, Listed, Obtained, Renewal, Report};
use crate::failure::Failure;

pub(super) fn print(value: &Value) {
    use std::io::Write as _;
    // A reader that went away has seen what it wanted.
    let _ = writeln!(std::io::stdout(), "{value}");
}

pub(super) fn report(report: &Report) -> Value {
    match report {
        Report::Issued(obtained) => self::obtained(obtained),
        Report::Rehearsed { plans, failed } => {
            let plans: Vec<_> = plans
                .iter()
                .map(|(id, plan)| {
                    json!({
                        "certificate": id,
                        "delegations": delegations(plan),
                        "warnings": plan.warnings,
                    })
                })
                .collect();
            json!({ "dry_run": plans, "failed": self::failed(failed) })
        }
        Report::Renewed(renewal) => self::renewal(renewal),
        Report::List(all) => {
            json!({ "certificates": all.iter().map(listed).collect::<Vec<_>>() })
        }
        Report::Providers(kinds) => {
            json!({ "providers": kinds.iter().map(|kind| provider(kind)).collect::<Vec<_>>() })
        }
        Report::Settings(all) => {
            let all: Vec<_> = all
                .iter()
                .map(|shown| {
                    json!({ "key": shown.key, "value": shown.value, "source": shown.source })
                })
                .collect();
            json!({ "settings": all })
        }
        Report::SettingsGood { warnings } => json!({ "good": true, "warnings": warnings }),
        Report::Ledger(lines) => json!({ "changes": lines }),
        Report::LedgerWhole {
            lines,
            truncated,
            open,
        } => json!({ "whole": true, "lines": lines, "truncated": truncated, "open": open }),
        Report::Policies(zones) => {
            let zones = zones
                .iter()
                .map(|(zone, policies)| json!({ "zone": zone, "policies": policies }));
            json!({ "zones": zones.collect::<Vec<_>>() })
        }
        Report::Audited(zones) => {
            let zones = zones.iter().map(|audited| {
                json!({
                    "zone": audited.zone,
                    "key": audited.key,
                    "grade": audited.grade,
                    "rights": audited.rights,
                    "advice": audited.advice,
                })
            });
            json!({ "audited": zones.collect::<Vec<_>>() })
        }
        Report::Checked(checked) => self::checked(checked),
        Report::Offboarding(left) => {
            json!({ "domain": left.domain, "steps": left.steps, "unknown": left.unknown })
        }
        Report::Records { records, there, .. } => json!({ "records": records, "there": there }),
        Report::Exported { runs, folder } => json!({ "commits": runs, "path": folder }),
        Report::Serials(zones) => {
            let zones: Vec<_> = zones
                .iter()
                .map(|(zone, of)| {
                    let foreign: Vec<_> = of
                        .foreign
                        .iter()
                        .map(|foreign| {
                            json!({ "from": foreign.from, "to": foreign.to,
                                    "after": foreign.after, "until": foreign.until })
                        })
                        .collect();
                    json!({ "zone": zone, "changes": of.steps, "serial": of.last,
                            "time": of.time, "foreign": foreign })
                })
                .collect();
            json!({ "zones": zones })
        }
        Report::Reconciled { closed, left } => {
            let left: Vec<_> = left
                .iter()
                .map(|open| json!({ "run": open.run, "zone": open.zone, "name": open.name, "value": open.value }))
                .collect();
            json!({ "closed": closed, "left": left })
        }
    }
}

fn provider(kind: &ProviderKind) -> Value {
    let options = kind.options.iter().map(|option| {
        json!({
            "name": option.name,
            "help": option.help,
            "required": option.required,
            "secret": option.kind == OptionKind::Secret,
            "default": option.default,
        })
    });
    json!({
        "kind": kind.kind,
        "summary": kind.summary,
        "guarantees": kind.guarantees,
        "options": options.collect::<Vec<_>>(),
    })
}

pub(super) fn failure(failure: &Failure) -> Value {
    json!({ "error": error(failure) })
}

fn error(failure: &Failure) -> Value {
    json!({
        "code": failure.part.exit_code(),
        "kind": failure.part,
        "message": failure.message,
        "remedy": failure.remedy,
        "findings": failure.findings.iter().map(finding).collect::<Vec<_>>(),
        "left_behind": failure.left_behind,
    })
}

fn finding(finding: &Finding) -> Value {
    json!(finding)
}

fn delegations(plan: &Plan) -> Vec<Value> {
    plan.aliases
        .iter()
        .map(|(challenge_name, alias_name)| {
            let walk = plan
                .walks
                .iter()
                .find(|walk| walk.challenge_name == *challenge_name);
            json!({
                "challenge_name": challenge_name,
                "alias_name": alias_name,
                "hops": walk.map(|walk| &walk.hops),
            })
        })
        .collect()
}

fn obtained(obtained: &Obtained) -> Value {
    let mut value = certificate(&obtained.stored, obtained.due);
    value["left_behind"] = json!(obtained.left_behind);
    value["deploy_hook_failure"] = json!(obtained.hook_failure);
    value
}

fn checked(checked: &Checked) -> Value {
    let names: Vec<_> = checked
        .names
        .iter()
        .map(|name| {
            let found = &name.examination;
            json!({
                "domains": name.identifiers,
                "challenge_name": found.walk.challenge_name,
                "hops": found.walk.hops,
                "end": end(&found.walk.end),
                "alias_name": found.alias_name(),
                "source_zone": found.source,
                "zones_between": found.between,
                "alias_zone": found.alias,
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
        } => json!({
            "kind": "at", "server": server, "answer": answer, "exists": exists, "txt": txt,
        }),
        End::Loop(name) => json!({ "kind": "loop", "name": name }),
        End::TooLong => json!({ "kind": "too-long" }),
        End::BadTarget(target) => json!({ "kind": "bad-target", "target": target }),
        End::Unanswered(error) => json!({ "kind": "unanswered", "error": error.to_string() }),
    }
}

fn listed(listed: &Listed) -> Value {
    certificate(&listed.stored, listed.due)
}

fn certificate(stored: &Stored, due: Timestamp) -> Value {
    json!({
        "certificate": stored.id,
        "domains": stored.info.names,
        "not_before": stored.info.not_before,
        "not_after": stored.info.not_after,
        "due": due,
        "serial": stored.info.serial,
        "issuer": stored.info.issuer,
        "version": stored.version,
        "path": stored.path,
    })
}

fn renewal(renewal: &Renewal) -> Value {
    json!({
        "renewed": renewal.renewed.iter().map(obtained).collect::<Vec<_>>(),
        "skipped": renewal.skipped.iter().map(listed).collect::<Vec<_>>(),
        "failed": failed(&renewal.failed),
    })
}

fn failed(failed: &[(CertificateId, Failure)]) -> Vec<Value> {
    failed
        .iter()
        .map(|(id, failure)| json!({ "certificate": id, "error": error(failure) }))
        .collect()
}
