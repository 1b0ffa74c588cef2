//! TLS certificates by ACME's DNS-01 challenge (RFC 8555 §8.4) through a CNAME alias.
//!
//! The CA asks for a TXT record at `_acme-challenge.example.com`, the *challenge name*. If that name is a CNAME
//! into another zone, the CA follows it. So a client needs write access to one *alias zone* only, with a
//! key that may write TXT there and nothing else.
//!
//! An [`Engine`](engine::Engine) obtains and renews certificates in this way. It is built from a store, a ledger, a
//! CA, alias zones with their providers, and the certificates that are wanted:
//!
//! ```
//! use std::sync::Arc;
//!
//! use acme_alias_core::acme::CaConfig;
//! use acme_alias_core::clock::SystemClock;
//! use acme_alias_core::engine::{Engine, RunOptions, Selection};
//! use acme_alias_core::issue::CertificateRequest;
//! use acme_alias_core::testkit::memory_provider::MemoryProvider;
//! use acme_alias_core::testkit::{MemoryLedger, MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(SystemClock);
//! let zone = "auth.example.net".parse()?;
//! let engine = Engine::builder(
//!     Arc::new(MemoryStore::new(clock.clone())),
//!     Arc::new(MemoryLedger::new(clock)),
//! )
//! .ca(CaConfig::lets_encrypt_staging().with_agree_tos(true))
//! .alias_zone("auth.example.net".parse()?, MemoryProvider::new([zone]))
//! .certificate(CertificateRequest::new("web".parse()?, ["example.com".parse()?]))
//! .build()?;
//!
//! // `Selection::All` obtains what is due. This run only cleans up what earlier ones left.
//! let options = RunOptions {
//!     selection: Selection::None,
//!     ..RunOptions::default()
//! };
//! let report = engine.run(&options).await?;
//! assert!(report.reconciliation.left.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! `examples/issue.rs` obtains a certificate with [`FileStore`](store::FileStore),
//! [`FileLedger`](ledger::FileLedger) and the provider for DNS UPDATE.
//!
//! To add a backend, implement [`TxtProvider`](provider::TxtProvider) and hold it against the suite in
//! [`testkit`] (feature `testkit`). Stores and ledgers have contracts and suites of the same kind.

pub mod acme;
pub mod certificate;
pub mod child_environment;
pub mod clock;
pub mod crash;
pub mod delegation;
pub mod deploy;
pub mod dns;
pub mod dnssec;
pub mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod issue;
pub mod lease;
pub mod ledger;
pub mod name;
mod platform;
pub mod printable;
pub mod program;
pub mod provider;
pub mod registry;
pub mod renewal;
pub mod rights;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod trusted;
pub mod txt;
pub mod zone;
