//! Certificates that were shown, revoked or forgotten, for people.

use acme_alias_core::acme::{RevocationReason, RevokedBy};
use acme_alias_core::certificate::ChainLink;
use acme_alias_core::engine::{
    Defined, Description, KeptVersion, LeftValues, Next, RevokedCertificate,
};
use acme_alias_core::printable::few;
use acme_alias_core::renewal::{Attempts, RenewalInfo};
use acme_alias_core::store::StoredCertificate;

use super::ledger::left_values;
use super::managed::{ForgottenCertificate, ShownCertificate};
use super::words::{counted, moment};

/// A line of a description.
fn row(name: &str, value: &str) -> String {
    format!("  {name:<13} {value}\n")
}

pub(super) fn certificate(shown: &ShownCertificate) -> String {
    let Description {
        id,
        defined,
        current,
        versions,
        has_order,
        status,
        ..
    } = &shown.description;
    let mut text = format!("{id}: {}\n", shown.names().join(", "));
    text.push_str(&row(
        "defined in",
        match defined {
            Defined::Configured => "the settings",
            Defined::Stored => "the settings that are stored with it (it was issued by flags)",
            Defined::Nowhere => "no settings any more; it is not renewed",
        },
    ));
    if let Some(error) = shown.settings_error() {
        text.push_str(&row("settings", &format!("cannot be used: {error}")));
    }
    if let Some(ca) = shown.ca() {
        text.push_str(&row("CA", ca));
    }
    match current {
        None => text.push_str(&row("current", "there is no certificate yet")),
        Some(Err(error)) => text.push_str(&row("current", &format!("damaged: {error}"))),
        Some(Ok(stored)) => text.push_str(&version(stored, shown.is_revoked())),
    }
    for kept in versions {
        text.push_str(&kept_version(kept));
    }
    text.push_str(&row("next", &next(shown)));
    let info = status.renewal_info.as_ref();
    let number = shown.current().map(|current| current.version);
    if let Some(info) = info.filter(|info| Some(info.version) == number) {
        text.push_str(&window(info));
    }
    if *has_order {
        text.push_str(&row(
            "order",
            "an order is kept; the next run resumes it if the CA still has it",
        ));
    }
    if let Some(failed) = &status.attempts {
        text.push_str(&attempts(failed));
    }
    text.push_str(&deployment(shown));
    text.push_str(&row("files", &shown.folder.display().to_string()));
    text
}

fn version(stored: &StoredCertificate, is_revoked: bool) -> String {
    let info = &stored.info;
    let key_type = info
        .key_type
        .map_or_else(|| "of another kind".to_owned(), |it| it.to_string());
    let key = match &stored.origin.external_key {
        Some(_) => {
            format!("{key_type}; the private key is not stored here (certification request)")
        }
        None => key_type,
    };
    let revoked = if is_revoked { ", revoked" } else { "" };
    let validity = format!(
        "version {}, valid from {} until {}{revoked}",
        stored.version,
        moment(info.not_before),
        moment(info.not_after)
    );
    let left_out: Vec<_> = stored.origin.left_out.iter().collect();
    let lacks = if left_out.is_empty() {
        String::new()
    } else {
        row("left out", &few(&left_out, ", "))
    };
    row("current", &validity) + &row("key", &key) + &lacks
}

fn kept_version(kept: &KeptVersion) -> String {
    let name = format!("version {}", kept.number);
    match &kept.chain {
        Err(error) => row(&name, &format!("cannot be read: {error}")),
        Ok(chain) => {
            let lines = chain.iter().enumerate().map(|(index, link)| {
                let name = if index == 0 { &*name } else { "" };
                row(name, &chain_link(link))
            });
            lines.collect()
        }
    }
}

fn chain_link(link: &ChainLink) -> String {
    // Certificates of today have no subject beside their names.
    let subject = if link.subject.is_empty() {
        "the certificate"
    } else {
        &link.subject
    };
    format!(
        "{subject}, issued by {}, serial {}, {} to {}",
        link.issuer,
        link.serial,
        moment(link.not_before),
        moment(link.not_after)
    )
}

/// What the next run does.
fn next(shown: &ShownCertificate) -> String {
    if let Some(failure) = &shown.unusable {
        return format!("the next run fails: {failure}");
    }
    match &shown.description.next {
        Ok(Next::Renewal(why)) => format!("the next run obtains a new one: {why}"),
        Ok(Next::Waiting(waiting)) => format!(
            "a new one is obtained after {}: {}",
            moment(waiting.until),
            waiting.why
        ),
        Ok(Next::DeploymentLater) => {
            "a later run deploys the current version: its targets failed a short time ago"
                .to_owned()
        }
        Ok(Next::Deployment) => "the next run deploys the current version".to_owned(),
        Ok(Next::NotDue(not_due)) => format!(
            "renewal from {} on, by {}",
            moment(not_due.due),
            not_due.reason
        ),
        Ok(Next::Never) => "nothing; `acme-alias forget` deletes what is kept".to_owned(),
        Err(error) => format!("the next run fails: {error}"),
    }
}

fn window(info: &RenewalInfo) -> String {
    let mut text = match info.window {
        Some(window) => row(
            "CA's window",
            &format!("{} to {}", moment(window.start), moment(window.end)),
        ),
        None => String::new(),
    };
    if let Some(explanation) = &info.explanation {
        text.push_str(&row("explanation", explanation));
    }
    text
}

fn attempts(failed: &Attempts) -> String {
    let count = usize::try_from(failed.failed).unwrap_or(usize::MAX);
    let attempts = counted(count, "attempt failed", "attempts failed");
    let until = failed
        .pause
        .until
        .max(failed.pause.asked.unwrap_or(failed.pause.until));
    row(
        "failures",
        &format!(
            "{attempts}, the last at {}: {}",
            moment(failed.pause.failed_at),
            failed.error
        ),
    ) + &row("next attempt", &format!("after {}", moment(until)))
}

/// Where the current version was deployed.
fn deployment(shown: &ShownCertificate) -> String {
    let Some(stored) = shown.current() else {
        return String::new();
    };
    let verdict = if stored.deployed {
        "deployed"
    } else {
        "not deployed yet"
    };
    let mut text = row("deployment", verdict);
    for target in shown.targets() {
        let state = match &target.attempts {
            _ if target.done => "done".to_owned(),
            None => "pending".to_owned(),
            Some(failed) => format!(
                "failed at {}, tried again after {}: {}",
                moment(failed.pause.failed_at),
                moment(failed.pause.until),
                failed.error
            ),
        };
        text.push_str(&row("", &format!("{}: {state}", target.name)));
    }
    text
}

pub(super) fn revoked(revoked: &RevokedCertificate, reason: RevocationReason) -> String {
    let RevokedCertificate {
        stored,
        info,
        revocation,
        is_renewed,
        has_external_key,
    } = revoked;
    let names = info.names.join(", ");
    let what = match stored {
        Some((id, version)) => format!("{id}: version {version} ({names})"),
        None => names,
    };
    let by = match revocation.by {
        RevokedBy::Account => "the account",
        RevokedBy::CertificateKey => "the certificate's key",
    };
    let how = if revocation.already {
        "was revoked before".to_owned()
    } else {
        format!("is revoked (reason: {reason}; signed by {by})")
    };
    let mut text = format!("{what} {how}\n");
    let next = match (is_renewed, has_external_key, reason) {
        (false, ..) => return text,
        (true, false, _) => "The next `acme-alias renew` obtains a new one, with a new key.",
        (true, true, RevocationReason::KeyCompromise) => {
            "Replace its certification request by one for a new key before the next `acme-alias renew`."
        }
        (true, true, _) => {
            "The next `acme-alias renew` obtains a new one, for the key of its certification request."
        }
    };
    text.push_str(&format!("  {next}\n"));
    text
}

pub(super) fn forgotten(forgotten: &ForgottenCertificate) -> String {
    match forgotten.done.as_ref().filter(|_| forgotten.is_left()) {
        Some(done) => left(forgotten, &done.left),
        None => deleted(forgotten),
    }
}

/// Values that could not be removed, so that nothing was deleted.
fn left(forgotten: &ForgottenCertificate, left: &LeftValues) -> String {
    let mut text = format!(
        "{}: nothing was deleted, because what is stored with it is needed to remove these TXT values:\n",
        forgotten.remains.id
    );
    text.push_str(&left_values(left));
    text
}

fn deleted(forgotten: &ForgottenCertificate) -> String {
    let ForgottenCertificate {
        remains,
        purge,
        folder,
        done,
    } = forgotten;
    let (id, folder) = (&remains.id, folder.display());
    let values = done
        .as_ref()
        .map_or(remains.values.len(), |done| done.removed.len());
    let files = counted(remains.versions.len(), "version", "versions");
    let has_files = !remains.versions.is_empty() || remains.current.is_some();
    let verb = if done.is_some() {
        "deleted"
    } else {
        "would be deleted"
    };
    let mut text = String::new();
    for (there, what) in [
        (remains.settings, "the settings stored with it".to_owned()),
        (
            remains.order,
            "the order under way, with its key".to_owned(),
        ),
        (
            remains.status,
            "failed attempts, renewal information and revocations on record".to_owned(),
        ),
        (
            values > 0,
            counted(values, "TXT value in a zone", "TXT values in zones"),
        ),
        (
            has_files && *purge,
            format!("{files} with keys in {folder}"),
        ),
    ] {
        if there {
            text.push_str(&format!("{id}: {verb}: {what}\n"));
        }
    }
    if has_files && !purge {
        text.push_str(&format!(
            "{id}: kept: {files} in {folder}; `--purge` deletes them, too\n"
        ));
    }
    if let Some(Err(error)) = &remains.current {
        text.push_str(&format!("{id}: the current version is damaged: {error}\n"));
    }
    if done.is_none() {
        text.push_str("Nothing was changed (dry run).\n");
    }
    text
}
