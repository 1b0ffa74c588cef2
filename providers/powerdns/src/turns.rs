//! The turns of the providers in this process at one zone: what one reads, writes and reads back is not mixed
//! with what another one does.

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::Shared;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// By endpoint and zone.
static ZONES: Shared<(String, DnsName), Mutex<()>> = Shared::new();

/// A turn, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _guard: OwnedMutexGuard<()>,
}

impl Turn {
    /// Waits for a turn at the zone. Turns come in the order in which they are waited for.
    pub(crate) async fn at(endpoint: String, zone: &DnsName) -> Turn {
        let lock = ZONES.get_or_make((endpoint, zone.clone()), Mutex::default);
        Turn {
            _guard: lock.lock_owned().await,
        }
    }
}
