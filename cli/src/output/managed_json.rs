//! The JSON shapes of the commands that manage certificates and accounts, as `docs/json.md` documents them.

use std::sync::Arc;

use acme_alias_core::acme::RevocationReason;
use acme_alias_core::deploy::Deployment;
use acme_alias_core::engine::{
    Defined, Description, KeptVersion, LeftValue, LeftValues, Next, RevokedCertificate,
};
use acme_alias_core::ledger::OpenValue;
use acme_alias_core::renewal::Attempts;
use serde_json::{Value, json};

use super::managed::{AccountAction, ForgottenCertificate, ShownAccount, ShownCertificate};

pub(super) fn certificate(shown: &ShownCertificate) -> Value {
    let Description {
        id,
        defined,
        current,
        versions,
        has_order,
        status,
        due,
        ..
    } = &shown.description;
    let defined = match defined {
        Defined::Configured => "settings",
        Defined::Stored => "stored",
        Defined::Nowhere => "nowhere",
    };
    let stored = shown.current();
    let number = stored.map(|stored| stored.version);
    let info = status.renewal_info.as_ref();
    let info = info.filter(|info| Some(info.version) == number);
    json!({
        "certificate": id,
        "domains": shown.names(),
        "defined": defined,
        "settings_error": shown.settings_error(),
        "ca": shown.ca(),
        "account": stored.map(|stored| &stored.origin.account),
        "version": number,
        "not_before": stored.map(|stored| stored.info.not_before),
        "not_after": stored.map(|stored| stored.info.not_after),
        "serial": stored.map(|stored| &stored.info.serial),
        "issuer": stored.map(|stored| &stored.info.issuer),
        "key_type": stored.and_then(|stored| stored.info.key_type),
        "external_key": stored.and_then(|stored| stored.origin.external_key.as_ref()),
        "damage": current.as_ref().and_then(|it| it.as_ref().err()).map(ToString::to_string),
        "revoked": shown.is_revoked(),
        "left_out": stored.map(|stored| &stored.origin.left_out),
        "deployed": stored.map(|stored| stored.deployed),
        "targets": shown.targets().iter().map(target).collect::<Vec<_>>(),
        "versions": versions.iter().map(kept).collect::<Vec<_>>(),
        "due": due.map(|due| due.at),
        "due_by": due.map(|due| due.reason.to_string()),
        "next": next(shown),
        "window": info.and_then(|info| info.window).map(|window| {
            json!({ "start": window.start, "end": window.end, "renew_at": window.renew_at })
        }),
        "explanation": info.and_then(|info| info.explanation.as_ref()),
        "order_under_way": has_order,
        "attempts": status.attempts.as_ref().map(attempts),
        "path": shown.folder,
    })
}

fn kept(kept: &KeptVersion) -> Value {
    match &kept.chain {
        Ok(chain) => json!({ "version": kept.number, "chain": chain, "damage": null }),
        Err(damage) => json!({ "version": kept.number, "chain": [], "damage": damage }),
    }
}

fn target(target: &Deployment) -> Value {
    json!({
        "target": target.name,
        "done": target.done,
        "attempts": target.attempts.as_ref().map(attempts),
    })
}

fn attempts(failed: &Attempts) -> Value {
    json!({
        "failed": failed.failed,
        "error": failed.error,
        "failed_at": failed.pause.failed_at,
        "until": failed.pause.until.max(failed.pause.asked.unwrap_or(failed.pause.until)),
    })
}

fn next(shown: &ShownCertificate) -> Value {
    if let Some(failure) = &shown.unusable {
        return json!({ "action": "fail", "at": null, "why": failure.message });
    }
    let (action, at, why) = match &shown.description.next {
        Ok(Next::Renewal(why)) => ("renew", None, Some(why.to_string())),
        Ok(Next::Waiting(waiting)) => ("wait", Some(waiting.until), Some(waiting.why.to_string())),
        Ok(Next::Deployment | Next::DeploymentLater) => ("deploy", None, None),
        Ok(Next::NotDue(not_due)) => ("none", Some(not_due.due), Some(not_due.reason.to_string())),
        Ok(Next::Never) => ("never", None, None),
        Err(error) => ("fail", None, Some(error.to_string())),
    };
    json!({ "action": action, "at": at, "why": why })
}

pub(super) fn revoked(revoked: &RevokedCertificate, reason: RevocationReason) -> Value {
    let (id, version) = revoked
        .stored
        .as_ref()
        .map_or((None, None), |(id, version)| (Some(id), Some(version)));
    json!({ "revoked": {
        "certificate": id,
        "version": version,
        "domains": revoked.info.names,
        "serial": revoked.info.serial,
        "reason": reason,
        "by": revoked.revocation.by,
        "already": revoked.revocation.already,
        "renewed": revoked.is_renewed,
    }})
}

pub(super) fn forgotten(forgotten: &ForgottenCertificate) -> Value {
    let remains = &forgotten.remains;
    let done = forgotten.done.as_ref();
    let removed = done.map(|done| &done.removed).into_iter().flatten();
    let left = done.map(|done| &done.left);
    let first = left.map(LeftValues::first).into_iter().flatten();
    json!({
        "certificate": remains.id,
        "dry_run": done.is_none(),
        "purge": forgotten.purge,
        "settings": remains.settings,
        "order": remains.order,
        "status": remains.status,
        "versions": remains.versions,
        "path": forgotten.folder,
        "values": remains.values.iter().map(open_value).collect::<Vec<_>>(),
        "removed": removed.map(open_value).collect::<Vec<_>>(),
        "left": first.map(self::left).collect::<Vec<_>>(),
        "left_count": left.map_or(0, LeftValues::count),
    })
}

pub(super) fn account(shown: &ShownAccount) -> Value {
    let action = match shown.action {
        AccountAction::None => None,
        AccountAction::Updated => Some("updated"),
        AccountAction::RolledOver => Some("rolled-over"),
        AccountAction::Deactivated => Some("deactivated"),
        AccountAction::Created => Some("created"),
    };
    json!({ "account": {
        "action": action,
        "directory": shown.account.directory(),
        "url": shown.account.url(),
        "status": shown.state.status,
        "contact": shown.state.contact,
        "contact_in_settings": shown.configured,
        "thumbprint": shown.account.thumbprint(),
        "terms": shown.terms,
        "terms_agreed": shown.state.terms_agreed,
        "former": shown.former,
    }})
}

pub(super) fn left(left: &LeftValue) -> Value {
    let mut value = open_value(&left.value);
    value["reason"] = json!(left.reason.to_string());
    value
}

pub(super) fn open_value(open: &Arc<OpenValue>) -> Value {
    json!({ "run": open.run, "zone": open.zone, "name": open.name, "value": open.value })
}
