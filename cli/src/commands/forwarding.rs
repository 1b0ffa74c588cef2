//! Whether updates go to secondaries, as the ledger shows.

use acme_alias_core::delegation::ForwardedUpdates;
use acme_alias_core::engine::Environment;
use acme_alias_core::ledger::late_servers;
use acme_alias_core::name::DnsName;
use jiff::SignedDuration;

use crate::failure::Failure;
use crate::output::CheckedName;
use crate::setup::Setup;

/// Each certificate is obtained anew in this time.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(100 * 24);

/// Adds a finding to each name whose alias zone is updated at a secondary that forwards updates.
pub(super) async fn note(
    setup: &Setup,
    environment: &Environment,
    names: &mut [CheckedName],
) -> Result<(), Failure> {
    let Some((_, ledger)) = setup.existing_state().await? else {
        return Ok(());
    };
    let since = setup.clock.now() - LOOK_BACK;
    let mut forwarded = Vec::new();
    for (zone, late) in late_servers(&*ledger, since).await? {
        if is_used(environment, &zone, &late.server).await {
            let found = ForwardedUpdates::of(environment.dns(), &zone, late);
            forwarded.extend(found.await);
        }
    }
    for CheckedName {
        identifiers,
        report,
        ..
    } in names
    {
        report.note_forwarded(identifiers, &forwarded);
    }
    Ok(())
}

/// Whether changes in this zone still go to this server.
async fn is_used(environment: &Environment, zone: &DnsName, server: &str) -> bool {
    let mut zones = environment.alias_zones().iter();
    let Some((_, provider)) = zones.find(|(apex, _)| *apex == zone) else {
        return false;
    };
    let Ok(opened) = provider.open().await else {
        return false;
    };
    let endpoint = opened.txt.identity().endpoint;
    endpoint.split(", ").any(|used| used == server)
}
