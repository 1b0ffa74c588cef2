//! What the third phase of a run hands over to the fourth, as it comes.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::report::JobReport;
use crate::store::CertificateId;

/// What the third phase hands over.
#[derive(Debug)]
pub(super) enum Arrival {
    /// A certificate was worked on.
    Reported(JobReport),
    /// Certificates that are stored and have targets to do.
    Stored(Vec<CertificateId>),
    /// The same, if no new version is obtained.
    Replaced(BTreeSet<CertificateId>),
    /// All certificates of one CA that were begun were worked on.
    CaDone,
}

/// Where it is handed over. The fourth phase listens for as long as one of these is left; nobody does if the run was dropped.
#[derive(Clone, Debug)]
pub(super) struct Arrivals(mpsc::UnboundedSender<Arrival>);

impl Arrivals {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Arrival>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arrivals(sender), receiver)
    }

    pub(super) fn send(&self, arrival: Arrival) {
        let _ = self.0.send(arrival);
    }
}
