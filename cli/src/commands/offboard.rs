//! `acme-alias check --offboard`: what still leads from a domain into the alias zones, in the order in which it
//! is to be removed.

use acme_alias_core::delegation::{CnameChain, End, Hop};
use acme_alias_core::name::{DnsName, Identifier};

use super::open_values::open_values;
use crate::failure::Failure;
use crate::output::{Offboarding, Output};
use crate::setup::Setup;

pub(super) async fn offboard(
    domain: &Identifier,
    setup: &Setup,
    output: Output,
) -> Result<Offboarding, Failure> {
    let settings = &setup.settings;
    let environment = setup.environment()?;
    let challenge_name = domain.challenge_name();
    let mut steps = certificates(challenge_name, setup, output).await?;

    let chain = CnameChain::follow(environment.dns(), challenge_name).await;
    let is_in_alias_zone = |name: &&DnsName| {
        let mut zones = settings.alias_zones.iter();
        zones.any(|zone| name.is_within(&zone.zone))
    };
    let targets = chain.hops.iter().map(|hop| &hop.target);
    let mut alias_names: Vec<_> = targets.filter(is_in_alias_zone).collect();
    let leads_here = !alias_names.is_empty();
    // The first record is the domain's own; the others may serve other domains as well.
    if let Some(own) = chain.hops.first().filter(|_| leads_here) {
        steps.push(removal(own));
    }
    if let Some(generated) = setup.aliases.generated_for(challenge_name) {
        steps.push(format!(
            "take the grant for `{generated}` out of the key\'s policy; the name stays reserved for {domain}"
        ));
        alias_names.push(generated);
    }
    let alias_names: Vec<_> = alias_names.into_iter().cloned().collect();
    if !open_values(setup, &alias_names).await?.is_empty() {
        steps.push("run `acme-alias ledger reconcile`: a value of ours may be there".to_owned());
    }
    Ok(Offboarding {
        domain: domain.clone(),
        steps,
        unknown: match &chain.end {
            End::Unanswered(error) if !leads_here => Some(error.to_string()),
            _ => None,
        },
    })
}

/// What to do with the certificates that have this challenge name.
async fn certificates(
    challenge_name: &DnsName,
    setup: &Setup,
    output: Output,
) -> Result<Vec<String>, Failure> {
    let settings = &setup.settings;
    let mut steps = Vec::new();
    for (id, certificate) in &settings.certificates {
        let identifiers = certificate.domains.iter().map(|domain| &domain.identifier);
        if let Some(names) = sharing(identifiers, challenge_name) {
            steps.push(format!(
                "take {names} out of `[certificates.{id}]` in the settings"
            ));
        }
    }
    if setup.existing_state().await?.is_none() {
        return Ok(steps);
    }
    let engine = setup.engine(output.observer()).await?.engine;
    for entry in engine.store().index().await? {
        let id = entry.id;
        if settings.certificates.contains_key(&id) || !entry.has_settings {
            continue;
        }
        match engine.certificate(&id).await {
            Ok(certificate) => {
                let identifiers = certificate.request.identifiers();
                if let Some(names) = sharing(identifiers.iter(), challenge_name) {
                    let path = settings.state.join("certificates").join(id.as_str());
                    steps.push(format!(
                        "issue `{id}` without {names} (`acme-alias issue --id {id} …`), or remove {}: it was \
                         issued with flags, and `renew` renews it",
                        path.display()
                    ));
                }
            }
            Err(error) => {
                let failure = Failure::from(error);
                output.warning(&format!(
                    "the names of the certificate `{id}` are unknown: {}",
                    failure.message
                ));
            }
        }
    }
    Ok(steps)
}

/// The names of a certificate that have this challenge name, as a list.
fn sharing<'a>(
    identifiers: impl Iterator<Item = &'a Identifier>,
    challenge_name: &DnsName,
) -> Option<String> {
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
