//! For tests (feature `testkit`): the contracts as suites for implementers, and versions in memory.

mod clock;
pub mod memory_provider;
pub mod provider;

pub use self::clock::ManualClock;
