//! Whom to notify, and of what.

use std::time::Duration;

/// A program that runs, without a shell, when certificates need the attention of somebody: once for all of a run, as far
/// as they fit into a variable, and once for each reason of a certificate.
///
/// It reads a line for each certificate on its standard input. It gets variables: `ACME_ALIAS_HOOK_CERTIFICATES` (the
/// ids, separated by spaces) and `ACME_ALIAS_HOOK_MESSAGE` (the same lines).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// After so many attempts in a row that failed; 0 for never.
    pub failures: u32,
    /// When fewer days than these are left; 0 for never.
    pub days: u32,
}
