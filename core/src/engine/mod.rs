//! What one process shares, and what it does with it.
//!
//! An [`Engine`] is built once, from typed configuration: it reads no settings files and prints nothing. It has
//! the store, the ledger, the zone writers and an index of the certificates; an [`Environment`] is
//! what certificates have in common besides: the CA, DNS with its cache, the delegation checker and the alias
//! zones. One pass over the certificates is a run ([`Engine::run`]), in five phases: reconcile, plan,
//! issue, deploy, export.
//!
//! Dropping the future of a run stops it at once. Values that it had written stay in their zones then,
//! recorded in the ledger, and the reconciliation of the next run removes them. To stop without leaving
//! anything, cancel the token of [`RunOptions`] and await the run.

mod ahead;
mod arrivals;
mod budgets;
mod builder;
mod by_ca;
mod certificates;
mod contacts;
mod context;
mod core;
mod decision;
mod deployer;
mod deployment;
mod describe;
mod done;
mod environment;
mod forget;
mod groups;
mod guard;
mod held_lease;
mod in_turn;
mod job;
mod left_out;
mod left_values;
mod leftover_clients;
mod limits;
mod looks;
mod next_round;
mod next_run;
mod notification;
mod notify;
mod obtain;
mod options;
mod order_count;
mod overview;
mod pipeline;
mod plan;
mod prepared;
mod providers;
mod ranks;
mod reconcile;
mod record;
mod rehearsal;
mod report;
mod revoke;
mod rounds;
mod run;
#[cfg(test)]
mod tests;

pub use self::budgets::OrderBudget;
pub use self::builder::{BuildError, EngineBuilder};
pub use self::certificates::{
    CertificateConfig, Certificates, Fallback, SettingsReader, UnreadableSettings,
};
pub use self::core::Engine;
pub use self::describe::{Defined, Description, KeptVersion, Next};
pub use self::environment::{Environment, EnvironmentConfig};
pub use self::forget::{Forgotten, Remains};
pub use self::held_lease::HeldLease;
pub use self::left_values::{LeftReason, LeftValue, LeftValues};
pub use self::notify::Notify;
pub use self::options::{RunOptions, Selection};
pub use self::overview::{CurrentVersion, Overview, WantedBy};
pub use self::report::{
    JobError, JobOutcome, JobReport, NotDue, NotifyError, Reconciliation, RunError, RunReport,
    Undeployed, WaitReason, Waiting,
};
pub use self::revoke::{RevokeError, RevokedCertificate};
pub use self::run::Run;
