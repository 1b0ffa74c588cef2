//! The second phase of a run: which certificates need work. An index tells, without reading all of them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;

use super::core::Engine;
use super::decision::{Needed, Urgency};
use super::options::{RunOptions, Selection};
use super::ranks::Ranks;
use super::report::{JobError, JobReport, NotDue, RunError, Waiting};
use crate::renewal::Why;
use crate::store::{CertificateId, IndexEntry};

/// Certificates that are looked at more closely at a time.
const AT_ONCE: usize = 20;

/// What is to be done for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It is to be obtained.
    Obtain(Why),
    /// It is stored, and has targets to do.
    Deploy,
    /// Everything but the CA is to be tried.
    Rehearse,
}

/// The certificates that need work, and the others.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    pub(super) work: Vec<(CertificateId, Work)>,
    pub(super) not_due: Vec<NotDue>,
    pub(super) waiting: Vec<Waiting>,
    /// Certificates whose targets wait after failed attempts, and until when.
    pub(super) undeployed: Vec<(CertificateId, Timestamp)>,
    pub(super) failed: Vec<JobReport>,
    /// Certificates that are not due, as far as is known: the CA may want them to be renewed earlier.
    pub(super) looks: Vec<CertificateId>,
    /// The ends of the current versions of certificates.
    pub(super) ends: BTreeMap<CertificateId, Timestamp>,
    /// Certificates whose last attempt failed.
    pub(super) failing: BTreeSet<CertificateId>,
    /// Certificates of which a new version is wanted, and whose current one has targets to do: not before this time, if
    /// there is one.
    pub(super) stored: BTreeMap<CertificateId, Option<Timestamp>>,
}

impl Engine {
    pub(super) async fn plan(&self, options: &RunOptions) -> Result<Schedule, RunError> {
        let mut schedule = Schedule::default();
        match &options.selection {
            Selection::None => {}
            Selection::One(certificate) => {
                let id = certificate.id();
                let needed = async {
                    let entry = self.entry(id).await?;
                    let (configured, urgency) = (Some(&**certificate), options.urgency());
                    let needed = self.needed(&entry, configured, urgency).await?;
                    let stored = self.deployment_beside(&entry, configured, &needed, urgency);
                    schedule.add_stored(id, stored.await.as_ref());
                    Ok(needed)
                };
                let needed = needed.await;
                schedule.add(id.clone(), needed.map(Some), options.rehearse);
            }
            Selection::All => {
                let index = self.index().await?;
                let configured = self.certificates().iter();
                let configured = configured.map(|certificate| certificate.id().clone());
                let ids = index.keys().cloned().chain(configured).collect();
                self.plan_for(ids, &index, options, &mut schedule).await;
            }
            Selection::Ids(ids) => {
                let index = self.index().await?;
                self.plan_for(ids.clone(), &index, options, &mut schedule)
                    .await;
            }
        }
        Ok(schedule)
    }

    pub(super) async fn index(&self) -> Result<BTreeMap<CertificateId, IndexEntry>, RunError> {
        let index = self.parts.store.index().await?.into_iter();
        Ok(index.map(|entry| (entry.id.clone(), entry)).collect())
    }

    async fn plan_for(
        &self,
        ids: BTreeSet<CertificateId>,
        index: &BTreeMap<CertificateId, IndexEntry>,
        options: &RunOptions,
        schedule: &mut Schedule,
    ) {
        let are_named = matches!(options.selection, Selection::Ids(_));
        let urgency = options.urgency();
        let ids: Vec<_> = ids.difference(&options.except).cloned().collect();
        let needed = ids.into_iter().map(|id| async move {
            let entry = index.get(&id);
            let needed = self.needed_for(&id, entry, are_named, urgency).await;
            let stored = match (entry, &needed) {
                (Some(entry), Ok(Some(needed))) => {
                    let configured = self.certificates().get(&id).map(|one| &**one);
                    let stored = self.deployment_beside(entry, configured, needed, urgency);
                    stored.await
                }
                _ => None,
            };
            (id, needed, stored)
        });
        let mut needed = stream::iter(needed).buffered(AT_ONCE);
        while let Some((id, needed, stored)) = needed.next().await {
            schedule.add_stored(&id, stored.as_ref());
            if let Some(Some(Ok(current))) = index.get(&id).map(|entry| &entry.current) {
                schedule.ends.insert(id.clone(), current.not_after);
            }
            if index.get(&id).is_some_and(|entry| entry.status.failed > 0) {
                schedule.failing.insert(id.clone());
            }
            let is_nothing = matches!(needed, Ok(Some(Needed::Nothing(_))));
            if is_nothing
                && !options.rehearse
                && index.get(&id).is_some_and(|entry| self.is_look_due(entry))
            {
                schedule.looks.push(id.clone());
            }
            schedule.add(id, needed, options.rehearse);
        }
    }

    /// What a certificate needs; `None` if nobody wants it any more.
    async fn needed_for(
        &self,
        id: &CertificateId,
        entry: Option<&IndexEntry>,
        is_named: bool,
        urgency: Urgency,
    ) -> Result<Option<Needed>, JobError> {
        let configured = self
            .certificates()
            .get(id)
            .map(|certificate| &**certificate);
        if configured.is_none() && !entry.is_some_and(|entry| entry.has_settings) {
            // What is left of it stays until somebody forgets it.
            let unknown = || JobError::Unknown { id: id.clone() };
            return if is_named { Err(unknown()) } else { Ok(None) };
        }
        let needed = match entry {
            Some(entry) => self.needed(entry, configured, urgency).await?,
            None => Needed::Certificate(Why::Missing),
        };
        Ok(Some(needed))
    }
}

impl Schedule {
    /// Why certificates are to be obtained.
    pub(super) fn why(&self) -> BTreeMap<CertificateId, Why> {
        let work = self.work.iter();
        let why = work.filter_map(|(id, work)| match work {
            Work::Obtain(why) => Some((id.clone(), why.clone())),
            _ => None,
        });
        why.collect()
    }

    /// The certificates that are stored and have targets to do.
    pub(super) fn deployments(&self) -> Vec<CertificateId> {
        let work = self.work.iter();
        let deploy = work.filter(|(_, work)| *work == Work::Deploy);
        deploy.map(|(id, _)| id.clone()).collect()
    }

    /// The certificates that are to be obtained.
    pub(super) fn obtained(&self) -> Vec<CertificateId> {
        self.why().into_keys().collect()
    }

    /// The certificates for which everything but the CA is to be tried.
    pub(super) fn rehearsed(&self) -> Vec<CertificateId> {
        let work = self.work.iter();
        let rehearsed = work.filter(|(_, work)| *work == Work::Rehearse);
        rehearsed.map(|(id, _)| id.clone()).collect()
    }

    /// Takes out what the certificates are known by.
    pub(super) fn ranks(&mut self) -> Ranks {
        Ranks {
            failing: std::mem::take(&mut self.failing),
            ends: std::mem::take(&mut self.ends),
        }
    }

    /// Lets the current versions of certificates be deployed that are not to be obtained in this run. The others stay in
    /// `stored`.
    pub(super) fn deploy_stored(&mut self) {
        let obtained: BTreeSet<_> = self.obtained().into_iter().collect();
        let is_kept = |id: &CertificateId, _: &mut _| !obtained.contains(id);
        for (id, until) in self.stored.extract_if(.., is_kept) {
            match until {
                Some(until) => self.undeployed.push((id, until)),
                None => self.work.push((id, Work::Deploy)),
            }
        }
    }

    /// The certificates that may be obtained, and whose current versions have targets to do now.
    pub(super) fn replaced(&self) -> BTreeSet<CertificateId> {
        let stored = self.stored.iter();
        let now = stored.filter(|(_, until)| until.is_none());
        now.map(|(id, _)| id.clone()).collect()
    }

    fn add_stored(&mut self, id: &CertificateId, deployment: Option<&Needed>) {
        let until = match deployment {
            Some(Needed::Deployment) => None,
            Some(Needed::DeploymentLater(until)) => Some(*until),
            _ => return,
        };
        self.stored.insert(id.clone(), until);
    }

    /// Lets certificates wait, and adds them to `behind` as they are here.
    pub(super) fn wait(&mut self, waiting: Vec<Waiting>, behind: &mut Schedule) {
        let late: BTreeSet<_> = waiting.iter().map(|one| one.id.clone()).collect();
        behind
            .work
            .extend(self.work.extract_if(.., |(id, _)| late.contains(id)));
        for id in &late {
            if let Some(end) = self.ends.get(id) {
                behind.ends.insert(id.clone(), *end);
            }
        }
        behind
            .failing
            .extend(late.intersection(&self.failing).cloned());
        self.waiting.extend(waiting);
    }

    /// Adds certificates that are to be worked on.
    pub(super) fn add_all(&mut self, others: Schedule) {
        self.work.extend(others.work);
        self.ends.extend(others.ends);
        self.failing.extend(others.failing);
    }

    /// Whether what is stored is kept.
    pub(super) fn obtains_nothing(&self) -> bool {
        let is_deployment = |(_, work): &(_, Work)| *work == Work::Deploy;
        self.work.iter().all(is_deployment)
    }

    pub(super) fn add(
        &mut self,
        id: CertificateId,
        needed: Result<Option<Needed>, JobError>,
        rehearse: bool,
    ) {
        match needed {
            Ok(None) => {}
            Ok(Some(_)) if rehearse => self.work.push((id, Work::Rehearse)),
            Ok(Some(Needed::Certificate(why))) => self.work.push((id, Work::Obtain(why))),
            Ok(Some(Needed::Deployment)) => self.work.push((id, Work::Deploy)),
            Ok(Some(Needed::DeploymentLater(until))) => self.undeployed.push((id, until)),
            Ok(Some(Needed::Later(waiting))) => self.waiting.push(waiting),
            Ok(Some(Needed::Nothing(not_due))) => self.not_due.push(not_due),
            Err(error) => self.failed.push(JobReport::without_order(id, Err(error))),
        }
    }
}
