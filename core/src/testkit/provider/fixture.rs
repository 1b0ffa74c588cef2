//! What the suite needs in addition to the provider.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::name::DnsName;
use crate::provider::{Guarantees, TxtProvider};
use crate::txt::TxtValue;

/// A backend to test a provider on.
#[async_trait]
pub trait Fixture: Sync {
    /// The guarantees that the provider registers.
    fn guarantees(&self) -> Guarantees;

    /// A zone that the provider may write in.
    fn zone(&self) -> DnsName;

    /// A zone that it may not write in.
    fn foreign_zone(&self) -> DnsName;

    /// A provider with connections of its own, like one in another process.
    async fn provider(&self) -> Arc<dyn TxtProvider>;

    /// A provider with this fault between it and the backend.
    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider>;

    /// Adds a value in the zone by other means than the provider.
    async fn put(&self, name: &DnsName, value: &TxtValue);

    /// The secrets that must not appear anywhere.
    fn secrets(&self) -> Vec<SecretString>;
}

/// A fault between a provider and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first write is carried out, and its reply is lost.
    ReplyLost,
    /// The first write is carried out and answered. After it, nobody answers.
    GoneAfterFirst,
}
