//! For tests (feature `testkit`): a suite for each contract, and implementations in memory.

mod clock;
pub mod ledger;
mod memory_ledger;
pub mod memory_provider;
mod memory_store;
pub mod provider;
pub mod store;
mod suite;

pub use self::clock::ManualClock;
pub use self::memory_ledger::MemoryLedger;
pub use self::memory_store::{MemoryStore, StoreBehaviour};
pub use self::suite::{Violation, Violations};
