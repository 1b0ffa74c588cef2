//! Asking CAs when to renew (RFC 9773), beside the work of a run: no answer, or a bad one, delays or prevents nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::SignedDuration;
use tokio::time::{Instant, timeout};

use super::core::Engine;
use super::decision::{Needed, Urgency};
use super::held_lease::HeldLease;
use super::options::RunOptions;
use super::report::JobError;
use crate::acme::Ca;
use crate::lease::JobName;
use crate::renewal::{Look, RenewalInfo};
use crate::store::{CaStatus, CertificateId, StoreError, StoredCertificate, change_ca_status};

/// Looks at a CA at a time. A CA limits the requests of each address.
const AT_ONCE: usize = 20;
/// How long one look may take, the directory included.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a run looks at one CA. Thousands of answers may each be just in time.
const ALL_LIMIT: Duration = Duration::from_mins(5);
/// After so many looks without an answer, a CA is asked no more in this run.
const UNANSWERED_MAX: u32 = 3;
/// How long a CA is not asked that has no renewal information, or does not answer.
const PAUSE: SignedDuration = SignedDuration::from_hours(6);
const SHORT_PAUSE: SignedDuration = SignedDuration::from_mins(30);

/// The looks of a run.
pub(super) struct Looks {
    engine: Engine,
    urgency: Urgency,
    /// What is known of each CA, by its directory URL.
    cas: Mutex<BTreeMap<String, Known>>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    /// Whether the CA is asked no more in this run.
    is_paused: bool,
    unanswered: u32,
}

impl Looks {
    pub(super) fn new(engine: &Engine, options: &RunOptions) -> Self {
        Looks {
            engine: engine.clone(),
            urgency: options.urgency(),
            cas: Mutex::default(),
        }
    }

    /// Looks for these certificates of one CA, which need nothing as far as is known. Returns what they need now, if anything
    /// new is known.
    pub(super) async fn all(&self, ids: Vec<CertificateId>) -> Vec<(CertificateId, Needed)> {
        let until = Instant::now() + ALL_LIMIT;
        let looks = ids.into_iter().map(|id| async move {
            if Instant::now() > until {
                return None;
            }
            match self.one(&id).await {
                Ok(needed) => needed.map(|needed| (id, needed)),
                Err(error) => {
                    tracing::warn!(certificate = %id, %error, "no look at the renewal information");
                    None
                }
            }
        });
        let looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        looks.filter_map(std::future::ready).collect().await
    }

    async fn one(&self, id: &CertificateId) -> Result<Option<Needed>, JobError> {
        let certificate = self.engine.certificate(id).await?;
        let ca = certificate.environment.ca();
        if self.is_paused(ca).await? {
            return Ok(None);
        }
        let store = &self.engine.parts.store;
        let Some(stored) = store.certificate(id).await? else {
            return Ok(None);
        };
        let is_of_ca = stored.origin.directory == ca.directory();
        let Some(renewal_id) = stored.origin.renewal_id.as_deref().filter(|_| is_of_ca) else {
            return Ok(None);
        };
        let Some(look) = self.ask(ca, renewal_id).await? else {
            return Ok(None);
        };
        if !self.record(id, &stored, look).await? {
            return Ok(None);
        }
        let entry = self.engine.entry(id).await?;
        let needed = self.engine.needed(&entry, Some(&certificate), self.urgency);
        needed.await.map(Some)
    }

    /// Whether the CA is not to be asked.
    async fn is_paused(&self, ca: &Ca) -> Result<bool, StoreError> {
        if let Some(known) = self.known(ca) {
            return Ok(known.is_paused);
        }
        let parts = &self.engine.parts;
        let status = parts.store.ca_status(ca.directory()).await?;
        let now = parts.clock.now();
        // One that is far away was written when the clock was ahead.
        let is_paused = status
            .no_looks_before
            .is_some_and(|until| until > now && until <= now + PAUSE);
        let known = Known {
            is_paused,
            unanswered: 0,
        };
        self.set(ca, known);
        Ok(is_paused)
    }

    /// `None` if the CA has no renewal information.
    async fn ask(&self, ca: &Ca, renewal_id: &str) -> Result<Option<Look>, StoreError> {
        let look = timeout(LIMIT, ca.renewal_info(renewal_id)).await;
        let look = look.unwrap_or(Some(Look::Unanswered));
        let known = self.known(ca).unwrap_or_default();
        match &look {
            None => self.pause(ca, PAUSE).await?,
            Some(Look::Unanswered) if known.unanswered + 1 >= UNANSWERED_MAX => {
                self.pause(ca, SHORT_PAUSE).await?;
            }
            Some(Look::Unanswered) => self.set(
                ca,
                Known {
                    unanswered: known.unanswered + 1,
                    ..known
                },
            ),
            Some(_) => {}
        }
        Ok(look)
    }

    async fn pause(&self, ca: &Ca, pause: SignedDuration) -> Result<(), StoreError> {
        let known = self.known(ca).unwrap_or_default();
        if known.is_paused {
            return Ok(());
        }
        self.set(
            ca,
            Known {
                is_paused: true,
                ..known
            },
        );
        let parts = &self.engine.parts;
        let until = parts.clock.now() + pause;
        let set = |status: &mut CaStatus| status.no_looks_before = Some(until);
        change_ca_status(parts.store.as_ref(), ca.directory(), set).await
    }

    /// Records a look. Returns whether it is recorded: not if somebody works on the certificate, or did.
    async fn record(
        &self,
        id: &CertificateId,
        stored: &StoredCertificate,
        look: Look,
    ) -> Result<bool, StoreError> {
        let parts = &self.engine.parts;
        let job = JobName::certificate(id);
        let lease = match HeldLease::acquire(&parts.store, &job, false).await {
            Err(StoreError::Busy { .. }) => return Ok(false),
            lease => lease?,
        };
        let recorded = async {
            let mut status = parts.store.status(id).await?;
            let before = status.renewal_info.as_ref();
            let (now, drawn) = (parts.clock.now(), rand::random());
            let info = RenewalInfo::after(before, stored.version, look, now, drawn);
            status.renewal_info = Some(info);
            parts.store.put_status(id, &status).await
        };
        let recorded = recorded.await;
        lease.release().await?;
        recorded.map(|()| true)
    }

    fn known(&self, ca: &Ca) -> Option<Known> {
        let cas = self.cas.lock().unwrap_or_else(PoisonError::into_inner);
        cas.get(ca.directory()).copied()
    }

    fn set(&self, ca: &Ca, known: Known) {
        let mut cas = self.cas.lock().unwrap_or_else(PoisonError::into_inner);
        cas.insert(ca.directory().to_owned(), known);
    }
}
