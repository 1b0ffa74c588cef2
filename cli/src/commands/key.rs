//! `acme-alias key`: the narrowest grant for what the settings need, and what the keys can really do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::ProviderError;
use acme_alias_core::registry::Provider;
use acme_alias_core::rights::{
    Audit, Grade, Grant, KeyRights, NewKey, Right, Subject, Verdict, Weight,
};
use acme_alias_core::zone;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;
use tracing::debug;

use crate::cli::{AuditArgs, PolicyArgs};
use crate::failure::{Failure, Part};
use crate::output::{Audited, Output, Report};
use crate::setup::Setup;
use crate::setup::needs::Needs;

/// Octets of a secret: as many as the longest hash has (RFC 8945 §10.2).
const SECRET_OCTETS: usize = 64;

/// What the settings need, in the words of each server.
pub(crate) async fn policy(
    args: &PolicyArgs,
    setup: &Setup,
    output: Output,
) -> Result<Report, Failure> {
    let settings = &setup.settings;
    let needs = needs(setup, output).await?;
    let mut has_new_key = BTreeSet::new();
    let mut policies = Vec::new();
    let mut keys = KeysOfZones::default();
    for needed in needs.subjects()? {
        let provider = setup.environments.provider(settings, &needed.provider)?;
        let provider = provider.open().await?;
        keys.add(&needed.zone, provider);
        let subject = needed.subject;
        let key = match &args.new_key {
            Some(name) => {
                // A server that has several zones is told of a key once.
                let is_first = has_new_key.insert(needed.provider.clone());
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
            output.warning(&format!(
                "what a `{kind}` key may do is not decided by a policy that could be printed; \
                 docs/providers/{kind}.md has how little it can be allowed"
            ));
        }
        if let Some(name) = &args.new_key
            && !printed
                .iter()
                .any(|policy| policy.text.contains(name.as_str()))
        {
            output.warning(&format!(
                "`--new-key` is left out for {}: the credentials of a `{kind}` provider are made where \
                 its zones are kept",
                needed.zone
            ));
        }
        policies.push((needed.zone, printed));
    }
    keys.warn(output);
    if policies.is_empty() {
        return Err(no_alias_zone("to grant anything in"));
    }
    Ok(Report::Policies(policies))
}

/// What the keys can really do. Nothing is changed.
pub(crate) async fn audit(
    args: &AuditArgs,
    setup: &Setup,
    output: Output,
) -> Result<Report, Failure> {
    let settings = &setup.settings;
    if let Some(only) = &args.provider {
        // An unknown one is reported with those that exist.
        setup.environments.provider(settings, only)?;
    }
    let needs = needs(setup, output).await?;
    let mut audited = Vec::new();
    let mut keys = KeysOfZones::default();
    for needed in needs.subjects()? {
        let is_wanted = |only: &String| needed.providers.contains(only);
        if args.provider.as_ref().is_none_or(is_wanted) {
            let provider = setup.environments.provider(settings, &needed.provider)?;
            let provider = provider.open().await?;
            keys.add(&needed.zone, provider);
            use_delegated_zone(setup, &needed.zone, provider).await?;
            audited.push(audit_one(provider, &needed.subject, output).await);
        }
    }
    keys.warn(output);
    if audited.is_empty() {
        return Err(no_alias_zone("to audit"));
    }
    Ok(Report::Audited {
        keys: audited,
        full: output.logging || args.provider.is_some(),
    })
}

/// Lets the provider use, of several zones of one name, the one that is delegated. What is wrong with the zone is
/// reported by the audit.
async fn use_delegated_zone(
    setup: &Setup,
    zone: &DnsName,
    provider: &Provider,
) -> Result<(), Failure> {
    let environment = setup.environment()?;
    let chosen = zone::use_delegated_zone(environment.dns(), zone, &*provider.txt).await;
    if let Err(error) = chosen {
        debug!(%zone, %error, "the zone cannot be used");
    }
    Ok(())
}

/// The keys that write in each zone.
#[derive(Default)]
struct KeysOfZones(BTreeMap<DnsName, BTreeSet<String>>);

impl KeysOfZones {
    fn add(&mut self, zone: &DnsName, provider: &Provider) {
        let key = provider.txt.identity().key;
        self.0.entry(zone.clone()).or_default().extend(key);
    }

    /// A zone has one policy, and each printed text has the rules of one key.
    fn warn(&self, output: Output) {
        for (zone, keys) in self.0.iter().filter(|(_, keys)| keys.len() > 1) {
            let listed: Vec<_> = keys.iter().map(String::as_str).collect();
            output.warning(&format!(
                "{} keys write in {zone} ({}): put the rules of all of them into its policy",
                keys.len(),
                listed.join(", ")
            ));
        }
    }
}

/// The key of one zone. A zone of which nothing can be found out is a result as well.
async fn audit_one(provider: &Provider, subject: &Subject, output: Output) -> Audited {
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
        output.warning(&format!(
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

/// What all certificates of the settings need.
async fn needs(setup: &Setup, output: Output) -> Result<Needs, Failure> {
    let needs = Needs::of(setup).await?;
    for name in &needs.nowhere {
        output.warning(&format!(
            "{name} leads nowhere yet, and is left out; see `acme-alias check`"
        ));
    }
    for (name, error) in &needs.unknown {
        output.warning(&format!(
            "the alias name of {name} is unknown, and is left out: {error}; repeat this command when the server \
             answers, before you restrict a key"
        ));
    }
    for name in &needs.outside {
        output.warning(&format!(
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
