//! A certificate without names that fail.

use std::sync::Arc;

use super::certificates::CertificateConfig;
use super::core::Engine;
use super::decision::{Urgency, info_of};
use super::report::JobError;
use crate::issue::{self, IssueFailure, Step};
use crate::renewal::{Change, InUse, Omission, Why};
use crate::store::StoreError;

impl Engine {
    /// The certificate as the order under way has it: without the names that this order left out.
    pub(super) async fn as_ordered(
        &self,
        certificate: Arc<CertificateConfig>,
    ) -> Result<Arc<CertificateConfig>, StoreError> {
        if !certificate.request.partial {
            return Ok(certificate);
        }
        let store = &*self.parts.store;
        let directory = certificate.environment.ca().directory();
        let ordered = issue::as_ordered(store, &certificate.request, directory).await?;
        Ok(ordered.map_or_else(
            || Arc::clone(&certificate),
            |request| certificate.with_request(request),
        ))
    }

    /// The certificate without the names that failed, if it is to be obtained without them now; the failure
    /// otherwise.
    pub(super) async fn without_failed(
        &self,
        certificate: &CertificateConfig,
        failure: IssueFailure,
        urgency: Urgency,
    ) -> Result<Arc<CertificateConfig>, IssueFailure> {
        let Some(request) = certificate.request.without_failed(&failure.error) else {
            return Err(failure);
        };
        // Without a look at the version in use nothing is given up.
        let Ok(in_use) = self.in_use(certificate, urgency).await else {
            return Err(failure);
        };
        let rest = request
            .identifiers()
            .iter()
            .map(ToString::to_string)
            .collect();
        let now = self.parts.clock.now();
        let omission = in_use.map_or(Omission::Now, |in_use| {
            in_use.omission(&request.names_left_out(), &rest, now)
        });
        let kept_until = match omission {
            Omission::Now => {
                if let Some(left_out) = request.left_out.last() {
                    let step = Step::LeaveOut(left_out);
                    self.parts.observer.step(&request.id, &step);
                }
                return Ok(certificate.with_request(request));
            }
            Omission::From(from) => Some(from),
            Omission::Useless => None,
        };
        Err(IssueFailure {
            kept_until,
            ..failure
        })
    }

    /// The version that stays in use if the certificate is not obtained; `None` if it is of no use, or if the caller
    /// wants another one in any case.
    async fn in_use(
        &self,
        certificate: &CertificateConfig,
        urgency: Urgency,
    ) -> Result<Option<InUse>, JobError> {
        let entry = self.entry(certificate.id()).await?;
        let Some(Ok(current)) = &entry.current else {
            return Ok(None);
        };
        let Some(stored) = self.parts.store.certificate(certificate.id()).await? else {
            return Ok(None);
        };
        let is_of_a_ca_of_it = self.is_of_a_ca_of(certificate, &stored.origin.directory);
        if urgency.force || entry.status.revoked == Some(current.version) || !is_of_a_ca_of_it {
            return Ok(None);
        }
        // Another CA of it is asked because the usual one fails, and not because another version is wanted.
        let is_other =
            |change: &Change| !matches!(change, Change::Names { .. } | Change::Ca { .. });
        let why = self.why_other(&entry, current, Some(certificate)).await?;
        let is_other = matches!(why, Some(Why::Changed(changes)) if changes.iter().any(is_other));
        let due = self.due(&entry, current, Some(certificate)).at;
        let window = info_of(&entry, current).and_then(|info| info.window);
        Ok(Some(InUse {
            validity: current.validity(),
            window_end: window.map(|window| window.end),
            names: stored.info.names.into_iter().collect(),
            is_due: is_other || due <= self.parts.clock.now(),
        }))
    }

    /// Whether this is the directory of the CA of a certificate, or of the other one that is asked in its place.
    fn is_of_a_ca_of(&self, certificate: &CertificateConfig, directory: &str) -> bool {
        let usual = self.certificates().get(certificate.id());
        let usual = usual.map(|usual| &usual.environment);
        let other = certificate.fallback.as_ref();
        let other = other.map(|fallback| &fallback.environment);
        let mut all = [&certificate.environment]
            .into_iter()
            .chain(usual)
            .chain(other);
        all.any(|environment| environment.ca().directory() == directory)
    }
}
