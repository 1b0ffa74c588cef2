//! What a run is to do.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::certificates::CertificateConfig;
use super::decision::Urgency;
use crate::store::CertificateId;

/// What a run is to do.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// For which certificates.
    pub selection: Selection,
    /// Certificates that are left alone, although the selection has them: their configuration cannot be used. Somebody
    /// is notified if they end soon.
    pub except: BTreeSet<CertificateId>,
    /// Obtain them even if they are not due, and without a pause after failed attempts that the CA does not ask for.
    pub force: bool,
    /// Wait for other processes that work on them.
    pub wait: bool,
    /// Try everything but the CA, with probe values, and obtain nothing.
    pub rehearse: bool,
    /// Ends the run early. What was written is withdrawn.
    pub cancel: CancellationToken,
}

impl RunOptions {
    /// The certificate, if the selection has it itself.
    pub(super) fn given(&self) -> Option<Arc<CertificateConfig>> {
        match &self.selection {
            Selection::One(certificate) => Some(Arc::clone(certificate)),
            _ => None,
        }
    }

    pub(super) fn urgency(&self) -> Urgency {
        Urgency {
            force: self.force,
            now: matches!(self.selection, Selection::Ids(_) | Selection::One(_)),
            replace: match self.selection {
                Selection::One(_) => true,
                Selection::Ids(_) => self.force,
                Selection::All | Selection::None => false,
            },
        }
    }
}

/// The certificates that a run is for. Those that are named do not wait after failed attempts, unless the CA asks for
/// it.
#[derive(Clone, Debug, Default)]
pub enum Selection {
    /// No certificate: the run only cleans up.
    #[default]
    None,
    /// All that are configured or stored, as far as they are due.
    All,
    /// These, as far as they are due.
    Ids(BTreeSet<CertificateId>),
    /// This one, as far as it is due. It is an error if another process works on it.
    One(Arc<CertificateConfig>),
}
