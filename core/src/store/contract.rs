//! The contract of a store.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::SecretString;

use super::certificate::{IndexEntry, NewVersion, SetAside, StoredCertificate, VersionPem};
use super::error::StoreError;
use super::id::CertificateId;
use super::status::{CaStatus, CertificateStatus};
use crate::lease::{JobName, Lease};
use crate::name::DnsName;

/// Keeps certificates, accounts, alias names and leases.
///
/// Several processes may use the same data at once, each through a store of its own. Their writes
/// do not mix: a reader sees the old state or the new one. Every write is durable when the call
/// returns. Dropping a future leaves the old state or the new one.
///
/// Private keys, orders and account credentials are secrets. They appear in no error, no log line
/// and no `Debug` output.
///
/// `acme_alias_core::testkit::store` (feature `testkit`) checks a store against these rules.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Fails if a certificate that is ordered now could not be stored. It is asked before an account or an order is
    /// made, and may do the work once per process.
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns the credentials of the account at the CA with this directory URL.
    async fn account(&self, directory: &str) -> Result<Option<SecretString>, StoreError>;

    /// Stores the credentials of an account in place of earlier ones.
    async fn put_account(
        &self,
        directory: &str,
        credentials: &SecretString,
    ) -> Result<(), StoreError>;

    /// Returns the credentials that a change of the account's key was begun with, if it has not ended.
    async fn pending_account(&self, directory: &str) -> Result<Option<SecretString>, StoreError>;

    /// Stores the credentials that a change of the account's key is begun with; `None` when it has ended.
    async fn put_pending_account(
        &self,
        directory: &str,
        credentials: Option<&SecretString>,
    ) -> Result<(), StoreError>;

    /// Copies the credentials of the account, and those of a change of its key that has not ended, to a place where they
    /// stay: the CA may have either key. Does nothing if there are none.
    async fn keep_former_account(&self, directory: &str) -> Result<(), StoreError>;

    /// Returns the credentials that were kept by [`Store::keep_former_account`], oldest first.
    async fn former_accounts(&self, directory: &str) -> Result<Vec<SecretString>, StoreError>;

    /// Returns what is known of the CA with this directory URL. What is missing or damaged is empty.
    async fn ca_status(&self, directory: &str) -> Result<CaStatus, StoreError>;

    /// Stores what is known of a CA if it is still `before`. Returns whether it was. Nobody else changes it meanwhile.
    ///
    /// [`change_ca_status`](super::change_ca_status) does so again until it succeeds.
    async fn replace_ca_status(
        &self,
        directory: &str,
        before: &CaStatus,
        status: &CaStatus,
    ) -> Result<bool, StoreError>;

    /// Returns the current version of a certificate.
    async fn certificate(
        &self,
        id: &CertificateId,
    ) -> Result<Option<StoredCertificate>, StoreError>;

    /// Returns the numbers of the versions that are kept of a certificate, oldest first, also if it is damaged.
    async fn versions(&self, id: &CertificateId) -> Result<Vec<u32>, StoreError>;

    /// Returns the certificate of a version and its intermediates, in PEM, without reading its key. `None` if there is
    /// no such version.
    async fn chain(&self, id: &CertificateId, version: u32) -> Result<Option<String>, StoreError>;

    /// Stores a version, which is not deployed yet, and makes it the current one.
    ///
    /// Version numbers grow. Then prunes: the newest versions stay (3 unless configured
    /// otherwise), older ones are deleted, private keys first. If pruning fails the call still
    /// succeeds, and the next one tries again.
    async fn put_certificate(
        &self,
        id: &CertificateId,
        version: NewVersion,
    ) -> Result<StoredCertificate, StoreError>;

    /// Keeps a certificate that cannot be used, with its key, and returns where, for people. It is no version. The
    /// newest three of a certificate stay; [`Store::forget`] with `purge` deletes them all.
    async fn set_aside(&self, id: &CertificateId, unusable: SetAside)
    -> Result<String, StoreError>;

    /// Returns the key, if the store has it, and the certificates of a version; `None` if it does not exist any more.
    async fn pem(&self, id: &CertificateId, version: u32)
    -> Result<Option<VersionPem>, StoreError>;

    /// Records that the current version was deployed. Does nothing if another version is current.
    async fn mark_deployed(&self, id: &CertificateId, version: u32) -> Result<(), StoreError>;

    /// Returns what became of the work for a certificate. One that is missing or damaged is empty.
    async fn status(&self, id: &CertificateId) -> Result<CertificateStatus, StoreError>;

    /// Stores what became of the work for a certificate. The caller has the lease of the certificate.
    async fn put_status(
        &self,
        id: &CertificateId,
        status: &CertificateStatus,
    ) -> Result<(), StoreError>;

    /// Deletes the settings, the order and the status of a certificate. With `purge`, also deletes its versions, private
    /// keys first; without, they stay as they are. Succeeds if there is nothing. The caller has the lease of the
    /// certificate.
    async fn forget(&self, id: &CertificateId, purge: bool) -> Result<(), StoreError>;

    /// Returns an entry for each certificate that is stored, has settings, a status or an order under
    /// way, by id.
    ///
    /// Agrees with [`Store::certificate`], but does not read every certificate: 100,000 take about
    /// a second. A damaged certificate is an error in its own entry only.
    async fn index(&self) -> Result<Vec<IndexEntry>, StoreError>;

    /// Returns the settings that a certificate was ordered with, as the program wrote them.
    async fn settings(&self, id: &CertificateId) -> Result<Option<String>, StoreError>;

    /// Stores the settings that a certificate is ordered with.
    async fn put_settings(&self, id: &CertificateId, settings: &str) -> Result<(), StoreError>;

    /// Returns the order under way for a certificate. It contains a private key.
    async fn order(&self, id: &CertificateId) -> Result<Option<SecretString>, StoreError>;

    /// Stores an order that is under way in place of an earlier one.
    async fn put_order(&self, id: &CertificateId, order: &SecretString) -> Result<(), StoreError>;

    /// Deletes the order of a certificate. Succeeds if there is none.
    async fn remove_order(&self, id: &CertificateId) -> Result<(), StoreError>;

    /// Returns the alias names that were generated, by challenge name.
    async fn alias_names(&self) -> Result<BTreeMap<DnsName, DnsName>, StoreError>;

    /// Adds generated alias names, by challenge name, in one write.
    ///
    /// An alias name that is stored stays if it has the same parent as the fresh one; otherwise the
    /// fresh one replaces it. Returns the alias names that hold now, for the same challenge names.
    async fn add_alias_names(
        &self,
        fresh: &BTreeMap<DnsName, DnsName>,
    ) -> Result<BTreeMap<DnsName, DnsName>, StoreError>;

    /// Takes the lease of a job if nobody holds it, not even this store; otherwise fails with
    /// [`StoreError::Busy`].
    ///
    /// The lease ends when it is released, when it expires, or earlier if the store can tell that
    /// its holder died. Durations are limited to [`Lease::MAX_DURATION`].
    async fn acquire_lease(
        &self,
        job: &JobName,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError>;

    /// Moves the expiry of a lease to now + `duration`.
    ///
    /// Fails with [`StoreError::LeaseLost`] if the lease expired and somebody else took it since,
    /// even if they have released it already. A store may also report a lost lease when another
    /// call noticed the expiry first.
    async fn renew_lease(
        &self,
        lease: &Lease,
        duration: SignedDuration,
    ) -> Result<Lease, StoreError>;

    /// Ends a lease. Does nothing if it is lost.
    async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Returns all leases that are held now, by job.
    async fn live_leases(&self) -> Result<Vec<Lease>, StoreError>;
}
