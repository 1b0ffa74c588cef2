//! The targets of certificates that were stored. Identical commands run once for all of them. Files of many certificates
//! are written at a time, and commands run one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;

use super::certificates::CertificateConfig;
use super::context::JobContext;
use super::core::Engine;
use super::held_lease::HeldLease;
use super::report::{JobError, JobOutcome, JobReport, Undeployed};
use crate::crash::{self, Point};
use crate::deploy::{CommandTarget, DeployError, Progress, Target, next_commands};
use crate::store::{CertificateId, CertificateStatus, StoreError, StoredCertificate};

/// Certificates whose targets are looked up, or whose files are written, at a time.
const AT_ONCE: usize = 20;

/// After so many commands that did not end in time, a run starts no others: they are not to keep the next run waiting.
const TIMED_OUT_MAX: usize = 6;

/// Futures of many certificates. They are boxed because the compiler cannot see that closures over borrowed ones are
/// `Send`.
type Many<'a, T = ()> = Vec<BoxFuture<'a, T>>;

/// A certificate that is being deployed, under its lease.
struct Member {
    certificate: Arc<CertificateConfig>,
    stored: StoredCertificate,
    status: CertificateStatus,
    progress: Progress,
    /// The output of commands that failed in this run, by target.
    outputs: BTreeMap<u64, String>,
    /// What the store could not record.
    unrecorded: Option<StoreError>,
    lease: HeldLease,
}

impl Engine {
    /// Deploys the certificates that `jobs` obtained, and those of `ids`, which were obtained earlier; reports it in
    /// `jobs`.
    pub(super) async fn deploy(
        &self,
        jobs: &mut Vec<JobReport>,
        ids: Vec<CertificateId>,
        given: Option<Arc<CertificateConfig>>,
        context: &JobContext,
    ) {
        let obtained = jobs.iter().filter(|job| match &job.outcome {
            Ok(JobOutcome::Issued {
                issued, undeployed, ..
            }) => !issued.stored.deployed && undeployed.is_empty(),
            _ => false,
        });
        let all: Vec<_> = ids
            .into_iter()
            .chain(obtained.map(|job| job.id.clone()))
            .collect();
        if all.is_empty() {
            return;
        }
        let mut outcomes = self.deploy_all(all, given, context).await;
        for job in jobs.iter_mut() {
            let Ok(JobOutcome::Issued {
                issued, undeployed, ..
            }) = &mut job.outcome
            else {
                continue;
            };
            match outcomes.remove(&job.id) {
                Some(Ok(JobOutcome::Deployed {
                    stored,
                    undeployed: left,
                })) => {
                    issued.stored.deployed = stored.deployed;
                    *undeployed = left;
                }
                Some(Err(error)) => undeployed.push(Undeployed::because(&error)),
                // Another process has its lease, or there was nothing to do.
                Some(Ok(_)) | None => {}
            }
        }
        let others = outcomes.into_iter();
        jobs.extend(others.map(|(id, outcome)| JobReport::without_order(id, outcome)));
        jobs.sort_by(|one, other| one.id.cmp(&other.id));
    }

    async fn deploy_all(
        &self,
        ids: Vec<CertificateId>,
        given: Option<Arc<CertificateConfig>>,
        context: &JobContext,
    ) -> BTreeMap<CertificateId, Result<JobOutcome, JobError>> {
        let cancel = &context.cancel;
        let begun: Many<'_, _> = ids
            .iter()
            .map(|id| self.begin_deployment(id, given.clone(), context).boxed())
            .collect();
        let begun: Vec<_> = stream::iter(begun).buffered(AT_ONCE).collect().await;
        let (mut outcomes, mut members) = (BTreeMap::new(), Vec::new());
        for (id, member) in ids.into_iter().zip(begun) {
            match member {
                Ok(Some(member)) => members.push(member),
                Ok(None) => drop(outcomes.insert(id, Ok(JobOutcome::InProgress))),
                Err(error) => drop(outcomes.insert(id, Err(error))),
            }
        }
        // What failed before may take its whole time once more.
        members.sort_by_key(|member| member.progress.has_failed());
        let mut timed_out = 0;
        while !cancel.is_cancelled() {
            self.write_files(&mut members, cancel).await;
            if !self
                .run_commands(&mut members, &mut timed_out, cancel)
                .await
            {
                break;
            }
        }
        let ended: Many<'_, _> = members
            .into_iter()
            .map(|member| self.end_deployment(member).boxed())
            .collect();
        let mut ended = stream::iter(ended).buffer_unordered(AT_ONCE);
        while let Some((id, outcome)) = ended.next().await {
            outcomes.insert(id, Ok(outcome));
        }
        outcomes
    }

    /// Takes the lease of a certificate, and finds out what is to be done; `None` if another process has the lease.
    async fn begin_deployment(
        &self,
        id: &CertificateId,
        given: Option<Arc<CertificateConfig>>,
        context: &JobContext,
    ) -> Result<Option<Member>, JobError> {
        let certificate = match given {
            Some(certificate) => certificate,
            None => self.certificate(id).await?,
        };
        let Some(lease) = self.lease(id, context, context.wait).await? else {
            return Ok(None);
        };
        let store = &self.parts.store;
        let read = async {
            let stored = store.certificate(id).await?;
            let mut stored = stored.ok_or_else(|| JobError::Unknown { id: id.clone() })?;
            stored.info.order_names(&certificate.request.identifiers());
            Ok((stored, store.status(id).await?))
        };
        match read.await {
            Ok((stored, status)) => Ok(Some(Member {
                progress: Progress::begin(
                    status.deployments.as_ref(),
                    stored.version,
                    &certificate.targets,
                    self.parts.clock.now(),
                    context.urgency.force || context.urgency.now,
                ),
                certificate,
                stored,
                status,
                outputs: BTreeMap::new(),
                unrecorded: None,
                lease,
            })),
            Err(error) => {
                lease.end().await;
                Err(error)
            }
        }
    }

    /// Writes the files that come next, of many certificates at a time.
    async fn write_files(&self, members: &mut [Member], cancel: &CancellationToken) {
        let writes: Many<'_> = members
            .iter_mut()
            .map(|member| self.write_files_of(member, cancel).boxed())
            .collect();
        stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }

    async fn write_files_of(&self, member: &mut Member, cancel: &CancellationToken) {
        let mut is_changed = false;
        while !cancel.is_cancelled()
            && let Some(Target::Files(files)) = member.progress.next()
        {
            let (files, stored) = (files.clone(), &member.stored);
            let pem = self.parts.store.pem(&stored.id, stored.version);
            let written = match pem.await {
                Ok(Some(pem)) => files.write(pem, stored.id.as_str()).await,
                Ok(None) => Err(DeployError::Replaced),
                Err(error) => Err(error.into()),
            };
            self.settle(member, written);
            is_changed = true;
        }
        if is_changed {
            self.record_deployment(member).await;
        }
    }

    /// Runs the commands that come next, one after the other; returns whether there may be more. Counts those that did
    /// not end in time.
    async fn run_commands(
        &self,
        members: &mut [Member],
        timed_out: &mut usize,
        cancel: &CancellationToken,
    ) -> bool {
        let all: Vec<_> = members
            .iter()
            .map(|member| (&member.stored, &member.progress))
            .collect();
        let groups = next_commands(&all);
        let is_any = !groups.is_empty();
        for (command, places) in groups {
            if cancel.is_cancelled() {
                break;
            }
            if *timed_out == TIMED_OUT_MAX {
                return false;
            }
            let outcome = self.run_command(&command, &places, members, cancel).await;
            *timed_out += usize::from(outcome.is_err_and(|error| error.is_timeout()));
        }
        is_any
    }

    async fn run_command(
        &self,
        command: &CommandTarget,
        places: &[usize],
        members: &mut [Member],
        cancel: &CancellationToken,
    ) -> Result<(), DeployError> {
        crash::point(Point::Command);
        let certificates: Vec<_> = places.iter().map(|place| &members[*place].stored).collect();
        let ran = command.run(&certificates, cancel).await;
        let ran = ran.map_err(DeployError::from);
        if ran.as_ref().is_err_and(DeployError::is_interruption) {
            return ran;
        }
        crash::point(Point::CommandSucceeded);
        let of_group = members.iter_mut().enumerate();
        let of_group = of_group.filter(|(place, _)| places.contains(place));
        let records: Many<'_> = of_group
            .map(|(_, member)| {
                self.settle(member, ran.clone());
                self.record_deployment(member).boxed()
            })
            .collect();
        stream::iter(records)
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
        ran
    }

    /// Notes what became of the target that comes next.
    fn settle(&self, member: &mut Member, outcome: Result<(), DeployError>) {
        match outcome {
            Ok(()) => member.progress.succeeded(),
            Err(error) => {
                if let Some(target) = member.progress.next() {
                    let output = error.output().to_owned();
                    member.outputs.insert(target.identity(), output);
                }
                member
                    .progress
                    .failed(self.parts.clock.now(), error.to_string());
            }
        }
    }

    /// Stores what became of the targets so far, unless that is stored already.
    async fn record_deployment(&self, member: &mut Member) {
        let mut state = member.progress.state().clone();
        state.shared = self.shared_targets(member.certificate.id());
        if member.status.deployments.as_ref() == Some(&state) || member.lease.lost().is_cancelled()
        {
            return;
        }
        member.status.deployments = Some(state);
        let put = self
            .parts
            .store
            .put_status(&member.stored.id, &member.status);
        if let Err(error) = put.await {
            // The targets are done again by the next run.
            member.unrecorded = Some(error);
        }
    }

    /// Marks a certificate as deployed if all its targets are done, and gives its lease back.
    async fn end_deployment(&self, mut member: Member) -> (CertificateId, JobOutcome) {
        self.record_deployment(&mut member).await;
        let Member {
            mut stored,
            progress,
            outputs,
            mut unrecorded,
            lease,
            ..
        } = member;
        if progress.is_complete() && unrecorded.is_none() {
            crash::point(Point::TargetsRecorded);
            let marked = self.parts.store.mark_deployed(&stored.id, stored.version);
            match marked.await {
                Ok(()) => stored.deployed = true,
                Err(error) => unrecorded = Some(error),
            }
        }
        lease.end().await;
        let pending = progress.state().pending();
        let undeployed = pending.map(|target| Undeployed::of(target, outputs.get(&target.target)));
        let mut undeployed: Vec<_> = undeployed.collect();
        let unrecorded = unrecorded.map(DeployError::Record);
        undeployed.extend(unrecorded.map(|error| Undeployed::because(&error)));
        let id = stored.id.clone();
        let stored = Box::new(stored);
        (id, JobOutcome::Deployed { stored, undeployed })
    }

    /// What the targets of a certificate depend on beside its stored settings; `None` if the configuration defines it.
    pub(super) fn shared_targets(&self, id: &CertificateId) -> Option<u64> {
        let is_configured = self.certificates().get(id).is_some();
        let reader = self.parts.settings_reader.as_ref();
        reader
            .filter(|_| !is_configured)
            .map(|reader| reader.shared_targets())
    }

    /// The targets of certificates that wait after failed attempts.
    pub(super) async fn undeployed(
        &self,
        ids: Vec<CertificateId>,
    ) -> BTreeMap<CertificateId, Vec<Undeployed>> {
        let mut undeployed = BTreeMap::new();
        for id in ids {
            let status = self.parts.store.status(&id).await.unwrap_or_default();
            let deployments = status.deployments.unwrap_or_default();
            let pending = deployments
                .pending()
                .map(|target| Undeployed::of(target, None));
            undeployed.insert(id, pending.collect());
        }
        undeployed
    }
}
