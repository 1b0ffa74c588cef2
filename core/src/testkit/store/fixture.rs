//! What a store's test brings along, and versions to store.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use secrecy::SecretString;

use crate::certificate::{self, Chain};
use crate::store::{CertificateId, KeyAccess, NewVersion, Store, VersionOrigin};
use crate::testkit::ManualClock;

/// A store to check, empty at first.
#[async_trait]
pub trait Fixture: Sync {
    /// Opens the same data with a holder of its own, as another process would.
    async fn open(&self) -> Arc<dyn Store>;

    /// Ends the process behind a store, without releasing its leases.
    async fn kill(&self, store: Arc<dyn Store>);

    /// Whether the store notices that a holder died before the leases expire.
    fn notices_dead_holders(&self) -> bool;

    /// The clock of all stores.
    fn clock(&self) -> &ManualClock;

    /// How many versions of a certificate are kept.
    fn keep_versions(&self) -> usize;

    /// The private keys that are kept of a certificate, by version, read by other means than the
    /// contract.
    async fn keys(&self, id: &CertificateId) -> BTreeMap<u32, SecretString>;

    /// Damages the current version of a certificate.
    async fn damage(&self, id: &CertificateId);
}

/// A version to store: a self-signed certificate for one name, valid for 90 days from `not_before`.
/// Its key is the text `key`.
pub fn version(
    name: &str,
    not_before: Timestamp,
    key: &str,
) -> Result<NewVersion, Box<dyn Error + Send + Sync>> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    let not_after = not_before + SignedDuration::from_hours(90 * 24);
    params.not_before = system_time(not_before)?.into();
    params.not_after = system_time(not_after)?.into();
    let certificate = params.self_signed(&KeyPair::generate()?)?.pem();
    Ok(NewVersion {
        key: Some(key.into()),
        chain: Chain {
            info: certificate::inspect(certificate.as_bytes())?,
            certificate,
            intermediates: String::new(),
            doubts: Vec::new(),
        },
        origin: VersionOrigin {
            directory: "https://ca.example/directory".to_owned(),
            account: "https://ca.example/account/1".to_owned(),
            renewal_id: Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".to_owned()),
            ..VersionOrigin::default()
        },
        access: KeyAccess::default(),
    })
}

fn system_time(time: Timestamp) -> Result<SystemTime, Box<dyn Error + Send + Sync>> {
    let seconds = Duration::from_secs(time.as_second().try_into()?);
    Ok(SystemTime::UNIX_EPOCH + seconds)
}
