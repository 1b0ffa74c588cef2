//! `acme-alias check --offboard`: what still leads from a domain into the alias zones, in the order in which it
//! is to be removed.

use acme_alias_core::delegation::{CnameChain, End, Hop};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::store::Store;

use super::check::open_values;
use crate::aliases::AliasNames;
use crate::failure::Failure;
use crate::output::Offboarding;
use crate::run::{Run, open_store};
use crate::settings::{CertificateSettings, Settings};
use crate::workshop;

pub(super) async fn offboard(
    run: &Run,
    settings: &Settings,
    domain: &Identifier,
) -> Result<Offboarding, Failure> {
    let dns = workshop::dns(settings)?;
    let challenge_name = domain.challenge_name();
    let mut steps = certificates(run, settings, challenge_name).await?;

    let walk = CnameChain::follow(&dns, challenge_name).await;
    let is_in_alias_zone = |name: &&DnsName| {
        let mut zones = settings.alias_zones.iter();
        zones.any(|zone| name.is_within(&zone.zone))
    };
    let targets = walk.hops.iter().map(|hop| &hop.target);
    let mut alias_names: Vec<_> = targets.filter(is_in_alias_zone).collect();
    let leads_here = !alias_names.is_empty();
    // The first record is the domain's own; others on the way may serve other domains as well.
    if let Some(own) = walk.hops.first().filter(|_| leads_here) {
        steps.push(removal(own));
    }

    let aliases = AliasNames::of(settings).await?;
    if let Some(kept) = aliases.kept(challenge_name) {
        steps.push(format!(
            "take the grant for `{kept}` out of the key\'s policy; the name stays kept for {domain}"
        ));
        alias_names.push(kept);
    }
    let left = open_values(settings)?;
    if left.iter().any(|open| alias_names.contains(&&open.name)) {
        steps.push("run `acme-alias ledger reconcile`: a value of ours may be there".to_owned());
    }
    Ok(Offboarding {
        domain: domain.clone(),
        steps,
        unknown: match &walk.end {
            End::Unanswered(error) if !leads_here => Some(error.to_string()),
            _ => None,
        },
    })
}

/// How the certificates with this challenge name are to do without it.
async fn certificates(
    run: &Run,
    settings: &Settings,
    challenge_name: &DnsName,
) -> Result<Vec<String>, Failure> {
    let mut steps = Vec::new();
    for (id, certificate) in &settings.certificates {
        if let Some(names) = sharing(certificate, challenge_name) {
            steps.push(format!(
                "take {names} out of `[certificates.{id}]` in the settings"
            ));
        }
    }
    let Some(store) = open_store(&settings.state)? else {
        return Ok(steps);
    };
    for id in store.certificates().await? {
        if settings.certificates.contains_key(&id) || store.settings(&id).await?.is_none() {
            continue;
        }
        match run.known_job(&id, settings).await {
            Ok(job) => {
                if let Some(names) = sharing(&job.certificate, challenge_name) {
                    let path = settings.state.join("certificates").join(id.as_str());
                    steps.push(format!(
                        "issue `{id}` without {names} (`acme-alias issue --id {id} …`), or remove {}: it was \
                         issued with flags, and `renew` renews it",
                        path.display()
                    ));
                }
            }
            Err(failure) => run.output.warning(&format!(
                "which names the certificate `{id}` has is not known: {}",
                failure.message
            )),
        }
    }
    Ok(steps)
}

/// The names of a certificate that have this challenge name, as a list.
fn sharing(certificate: &CertificateSettings, challenge_name: &DnsName) -> Option<String> {
    let identifiers = certificate.domains.iter().map(|domain| &domain.identifier);
    let sharing = identifiers.filter(|identifier| identifier.challenge_name() == challenge_name);
    let names: Vec<_> = sharing.map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// How the domain's own way out is removed.
fn removal(own: &Hop) -> String {
    let Hop {
        name, target, ttl, ..
    } = own;
    let (owner, target) = (name.fqdn(), target.fqdn());
    match (&own.dname, &own.wildcard) {
        (Some(dname), _) => format!(
            "{owner} has no CNAME of its own: the DNAME at {} makes it, as it does for all names there; \
             let the target of that DNAME have no {} any more, or remove the DNAME, and wait {ttl} s until \
             nobody remembers it",
            dname.fqdn(),
            name.labels().next().unwrap_or_default()
        ),
        (None, Some(wildcard)) => format!(
            "{owner} has no CNAME of its own: {} makes it; remove that one, if no other name needs it, or \
             give {owner} a record of another type, and wait {ttl} s until nobody remembers it",
            wildcard.fqdn()
        ),
        (None, None) => format!(
            "remove this line from its zone, and wait {ttl} s until nobody remembers it:\n\n      \
             {owner} {ttl} IN CNAME {target}\n"
        ),
    }
}
