//! Batches that find out what the credentials may do and change nothing: each deletes a value that does
//! not exist, beside what is probed.
//!
//! Route 53 carries out a batch entirely or not at all, and checks permissions first.

use acme_alias_core::rights::{Probe, ProbeKind, Verdict};
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};

use crate::client::Client;
use crate::parameters::HostedZoneId;

/// Time to live of records that are never made, in seconds.
const TTL: i64 = 60;

/// Whether the deletion of a value that does not exist is refused, as Route 53 does it. A service that
/// only resembles Route 53 might carry out the rest of a batch.
pub(crate) async fn refuses_missing_values(
    client: &Client,
    zone: &HostedZoneId,
    probe: &Probe,
) -> bool {
    let Some(batch) = batch(probe, None) else {
        return false;
    };
    let changed = client.change(zone, batch).await;
    changed.is_err_and(|error| error.is_batch_refused() || error.is_denied())
}

/// Whether the credentials may make this record, by the answer of Route 53. CREATE and UPSERT cannot
/// be probed alone, because they would be carried out.
pub(crate) async fn may_write(
    client: &Client,
    zone: &HostedZoneId,
    probe: &Probe,
) -> (Verdict, String) {
    let unknown = |evidence: String| (Verdict::CannotTell, evidence);
    for action in [ChangeAction::Create, ChangeAction::Upsert] {
        let Some(batch) = batch(probe, Some(action)) else {
            return unknown("the batch could not be built".to_owned());
        };
        match client.change(zone, batch).await {
            Err(error) if error.is_batch_refused() => {
                let evidence = "InvalidChangeBatch: the test batch passed the permission check and \
                                stopped at its impossible deletion";
                return (Verdict::Allowed, evidence.to_owned());
            }
            Err(error) if error.is_denied() => {}
            Err(error) => return unknown(error.to_string()),
            Ok(_) => return unknown("Route 53 reports success, which is impossible".to_owned()),
        }
    }
    let evidence = "AccessDenied to CREATE and to UPSERT, each beside a DELETE";
    (Verdict::Denied, evidence.to_owned())
}

/// The type of the record.
pub(crate) fn rr_type(kind: ProbeKind) -> RrType {
    match kind {
        ProbeKind::Txt => RrType::Txt,
        ProbeKind::Cname => RrType::Cname,
        ProbeKind::Ns => RrType::Ns,
        ProbeKind::Caa => RrType::Caa,
        ProbeKind::A => RrType::A,
    }
}

/// A batch that deletes a value of 128 random bits, and makes one beside it. Both have the same name
/// and type, so a policy that allows one allows the batch.
fn batch(probe: &Probe, action: Option<ChangeAction>) -> Option<ChangeBatch> {
    let random = format!("acme-alias-audit-{:032x}", rand::random::<u128>());
    let [missing, created] = match probe.kind {
        ProbeKind::Txt => [format!("\"{random}\""), "\"acme-alias-audit\"".to_owned()],
        ProbeKind::Caa => [format!("0 issue \"{random}\""), "0 issue \";\"".to_owned()],
        // For documentation (RFC 5737), at a name of random bits.
        ProbeKind::A => ["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
        ProbeKind::Cname | ProbeKind::Ns => [
            format!("{random}.invalid."),
            "acme-alias.invalid.".to_owned(),
        ],
    };
    let mut changes = vec![change(ChangeAction::Delete, probe, &missing)?];
    if let Some(action) = action {
        changes.push(change(action, probe, &created)?);
    }
    ChangeBatch::builder()
        .set_changes(Some(changes))
        .build()
        .ok()
}

fn change(action: ChangeAction, probe: &Probe, value: &str) -> Option<Change> {
    let record = ResourceRecord::builder().value(value).build().ok()?;
    let set = ResourceRecordSet::builder()
        .name(probe.name.fqdn())
        .r#type(rr_type(probe.kind))
        .ttl(TTL)
        .resource_records(record)
        .build()
        .ok()?;
    Change::builder()
        .action(action)
        .resource_record_set(set)
        .build()
        .ok()
}
