//! `acme-alias key`: the narrowest grant for what the settings need, and what the keys can really do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::ProviderError;
use acme_alias_core::registry::Provider;
use acme_alias_core::rights::{
    Audit, Grade, Grant, KeyRights, NewKey, Right, Subject, Verdict, Weight,
};
use acme_alias_core::store::{FileStore, Store};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::SignedDuration;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;

use crate::cli::{AuditArgs, PolicyArgs};
use crate::failure::{Failure, Part};
use crate::needs::Needs;
use crate::output::{Audited, Report};
use crate::run::{Job, Run};
use crate::settings::Settings;
use crate::workshop;

/// How often somebody is warned of a key.
const WARN_EVERY: SignedDuration = SignedDuration::from_hours(24);
/// How long it may take to find out whether there is something to warn of: the certificate is there already.
const WARN_WITHIN: Duration = Duration::from_secs(15);
/// Octets of a secret: as many as the longest hash has (RFC 8945 §10.2).
const SECRET_OCTETS: usize = 64;

/// What the settings need, in the words of each server.
pub(crate) async fn policy(run: &Run, args: &PolicyArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    let needs = needs(run, &settings).await?;
    let mut has_new_key = BTreeSet::new();
    let mut policies = Vec::new();
    for (alias_zone, subject) in needs.subjects()? {
        let provider = settings.build_provider(&alias_zone.provider).await?;
        let key = match &args.new_key {
            Some(name) => {
                // A server that has several zones is told of a key once.
                let is_first = has_new_key.insert(&alias_zone.provider);
                let secret = is_first.then(fresh_secret).transpose()?;
                let name = name.to_string();
                Some(NewKey { name, secret })
            }
            None => None,
        };
        let grant = Grant {
            zone: subject.zone,
            names: subject.alias_names,
            scope: args.scope.into(),
            key,
        };
        let policies_of = |rights: &Arc<dyn KeyRights>| rights.policies(&grant);
        let printed = provider
            .rights
            .as_ref()
            .map(policies_of)
            .unwrap_or_default();
        let kind = provider.txt.identity().kind;
        if printed.is_empty() {
            run.output.warning(&format!(
                "what a `{kind}` key may do is not decided by a policy that could be printed; \
                 docs/providers/{kind}.md has how little it can be allowed"
            ));
        }
        if let Some(name) = &args.new_key
            && !printed
                .iter()
                .any(|policy| policy.text.contains(name.as_str()))
        {
            run.output.warning(&format!(
                "`--new-key` is left out for {}: the credentials of a `{kind}` provider are made where \
                 its zones are kept",
                alias_zone.zone
            ));
        }
        policies.push((alias_zone.zone.clone(), printed));
    }
    if policies.is_empty() {
        return Err(no_alias_zone("to grant anything in"));
    }
    Ok(Report::Policies(policies))
}

/// What the keys can really do. Nothing is changed.
pub(crate) async fn audit(run: &Run, args: &AuditArgs) -> Result<Report, Failure> {
    let settings = run.settings()?;
    if let Some(only) = &args.provider
        && !settings.providers.contains_key(only)
    {
        // It says which there are.
        settings.build_provider(only).await?;
    }
    let needs = needs(run, &settings).await?;
    let mut audited = Vec::new();
    for (alias_zone, subject) in needs.subjects()? {
        let is_wanted = |only: &String| *only == alias_zone.provider;
        if args.provider.as_ref().is_none_or(is_wanted) {
            let provider = settings.build_provider(&alias_zone.provider).await?;
            audited.push(audit_one(run, &provider, &subject).await);
        }
    }
    if audited.is_empty() {
        return Err(no_alias_zone("to audit"));
    }
    Ok(Report::Audited(audited))
}

/// The key of one zone. A zone of which nothing can be found out is a result as well.
async fn audit_one(run: &Run, provider: &Provider, subject: &Subject) -> Audited {
    let zone = &subject.zone;
    let serial = async || provider.txt.serial(zone).await.ok().flatten();
    let before = serial().await;
    let audit = match &provider.rights {
        Some(rights) => rights.audit(subject).await,
        None => Ok(Audit::default()),
    };
    let Audit { rights, advice } = audit.unwrap_or_else(|error| nothing_known(subject, &error));
    let mut grade = Grade::of(&rights);
    let after = serial().await;
    if before != after {
        grade = Grade::CannotTell;
        run.output.warning(&format!(
            "the zone {zone} changed meanwhile: its serial went from {} to {}; the audit itself changes \
             nothing",
            shown(before),
            shown(after)
        ));
    }
    Audited {
        zone: zone.clone(),
        key: provider.txt.identity().key,
        grade,
        rights,
        advice,
    }
}

fn shown(serial: Option<u32>) -> String {
    serial.map_or_else(|| "unknown".to_owned(), |serial| serial.to_string())
}

fn nothing_known(subject: &Subject, error: &ProviderError) -> Audit {
    let rights = subject.alias_names.iter().map(|name| Right {
        right: format!("TXT at {name}"),
        weight: Weight::Needed,
        verdict: Verdict::CannotTell,
        evidence: format!("{error}; {}", error.remedy),
    });
    Audit::new(rights.collect(), Vec::new())
}

/// Warns of keys that can do more than write TXT in their alias zones, once a day at most. Nothing is
/// said where that cannot be found out soon: a certificate was obtained, and that is what was wanted.
pub(crate) async fn warn(run: &Run, jobs: &[&Job]) {
    let looked = async {
        for job in jobs {
            // What is said of a key is help, and no reason to fail.
            let _ = warn_of_one(run, job).await;
        }
    };
    let looked = tokio::time::timeout(WARN_WITHIN, looked);
    let _ = run.cancel.run_until_cancelled(looked).await;
}

async fn warn_of_one(run: &Run, job: &Job) -> Result<(), Failure> {
    let settings = &job.settings;
    let store = FileStore::open(&settings.state)?;
    let dns = workshop::dns(settings)?;
    let needs = Needs::of(settings, [&job.certificate], &dns).await?;
    for (alias_zone, subject) in needs.subjects()? {
        let zone = &alias_zone.zone;
        let note = format!("audit of {zone}");
        if !needs.are_in(alias_zone) || !store.is_due(&note, WARN_EVERY).await? {
            continue;
        }
        let provider = settings.build_provider(&alias_zone.provider).await?;
        let Some(rights) = provider.rights else {
            continue;
        };
        let Ok(audit) = rights.audit(&subject).await else {
            continue;
        };
        if matches!(audit.grade(), Grade::Dangerous | Grade::Fatal) {
            let too_much = audit.rights.iter().filter(|right| {
                right.verdict == Verdict::Allowed && right.weight >= Weight::Dangerous
            });
            let too_much: Vec<_> = too_much.map(|right| right.right.as_str()).collect();
            run.output.warning(&format!(
                "the key for {zone} can do more than it must: {}; `acme-alias key audit` says what would \
                 narrow it",
                too_much.join(", ")
            ));
        }
    }
    Ok(())
}

/// What all certificates of the settings need.
async fn needs(run: &Run, settings: &Settings) -> Result<Needs, Failure> {
    let dns = workshop::dns(settings)?;
    let needs = Needs::of(settings, settings.certificates.values(), &dns).await?;
    for name in &needs.nowhere {
        run.output.warning(&format!(
            "{name} leads nowhere yet, and is left out; see `acme-alias check`"
        ));
    }
    for name in &needs.outside {
        run.output.warning(&format!(
            "{name} lies in no alias zone that is known, and is left out; see `acme-alias check`"
        ));
    }
    Ok(needs)
}

fn no_alias_zone(what_for: &str) -> Failure {
    Failure::new(
        Part::Settings,
        &format!("there is no alias zone {what_for}"),
        "add `[[alias-zones]]` with the provider that writes there".to_owned(),
    )
}

/// From the system's own randomness.
fn fresh_secret() -> Result<SecretString, Failure> {
    let mut octets = [0; SECRET_OCTETS];
    let filled = SysRng.try_fill_bytes(&mut octets);
    filled.map_err(|error| Failure::new(Part::Unexpected, &error, None))?;
    Ok(BASE64_STANDARD.encode(octets).into())
}
