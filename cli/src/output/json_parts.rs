//! JSON that several results have.

use acme_alias_core::renewal::Due;
use acme_alias_core::store::StoredCertificate;
use serde_json::{Value, json};

use crate::failure::Failure;

pub(super) fn certificate(stored: &StoredCertificate, due: Due) -> Value {
    json!({
        "certificate": stored.id,
        "domains": stored.info.names,
        "not_before": stored.info.not_before,
        "not_after": stored.info.not_after,
        "due": due.at,
        "due_by": due.reason.to_string(),
        "key_type": stored.info.key_type,
        "external_key": stored.origin.external_key,
        "serial": stored.info.serial,
        "issuer": stored.info.issuer,
        "version": stored.version,
        "path": stored.location,
    })
}

pub(super) fn error(failure: &Failure) -> Value {
    json!({
        "code": failure.part.exit_code(),
        "kind": failure.part,
        "message": failure.message,
        "remedy": failure.remedy,
        "findings": failure.findings,
        "left_behind": failure.left_behind,
        "kept_until": failure.kept_until,
        "silent_servers": failure.silent.iter().map(|silent| &silent.server).collect::<Vec<_>>(),
    })
}
