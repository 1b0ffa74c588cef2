//! Where the time of day comes from.
//!
//! Everything that asks what time it is gets a [`Clock`], so that tests can set it. Only this module
//! reads the system's clock. Timeouts and back-offs use tokio's monotonic time instead.

use std::fmt;

use jiff::Timestamp;

/// A source of the current time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
