//! Rehearsing many certificates at a time.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use tokio::sync::Semaphore;

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::guard::{guarded, making_room};
use super::pipeline::SLOW_AFTER;
use super::report::JobReport;
use super::run::Run;
use crate::store::CertificateId;

/// Certificates that are rehearsed at a time, beside those that are slow.
const AT_ONCE: usize = 20;
/// The same with those that are slow.
const ALL_AT_ONCE: usize = 400;

impl Run {
    /// Rehearses. A certificate that takes long makes room for another one.
    pub(super) async fn rehearse_all(
        &self,
        ids: Vec<CertificateId>,
        given: Option<Arc<CertificateConfig>>,
        context: JobContext,
    ) -> Vec<JobReport> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let tasks = ids.into_iter().map(|id| {
            let (engine, context, given) = (self.engine().clone(), context.clone(), given.clone());
            let places = Arc::clone(&places);
            async move {
                // The semaphore is never closed.
                let place = places.acquire_owned().await.ok()?;
                if context.cancel.is_cancelled() {
                    return None;
                }
                let rehearsal = guarded(&id, engine.rehearse(id.clone(), given, &context));
                let outcome = making_room(rehearsal, place, SLOW_AFTER).await;
                engine.parts.observer.ended(&id);
                Some(JobReport::without_order(id, outcome))
            }
        });
        let done = stream::iter(tasks).buffer_unordered(ALL_AT_ONCE);
        done.filter_map(async |report| report).collect().await
    }
}
