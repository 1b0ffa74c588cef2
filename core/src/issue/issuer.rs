//! The flow of one certificate.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::error::{IssueError, IssueFailure};
use super::events::{Observer, Step};
use super::key::OrderKey;
use super::order::{self, Begun, PendingKey};
use super::preflight::{self, CheckedDelegations, Plan};
use super::request::{CertificateRequest, LeftOut};
use super::silent::{self, SilentServer};
use crate::acme::{AcmeError, Ca, CaError, Order};
use crate::certificate::{self, Chain};
use crate::clock::Clock;
use crate::crash::{self, Point};
use crate::delegation::{CaaIdentity, DelegationChecker, Finding};
use crate::dns::while_running;
use crate::lease::LeaseId;
use crate::ledger::{Origin, RunId};
use crate::name::DnsName;
use crate::printable::few;
use crate::store::{NewVersion, SetAside, Store, StoredCertificate, VersionOrigin};
use crate::zone::{ChangeContext, Publication, Published, Seat, Withdrawal, ZoneError, Zones};

/// The longest chain that is kept while others are fetched, in octets. It is fetched once more otherwise.
const KEPT_MAX: usize = 32 * 1024;

/// A certificate that was obtained.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate in the store.
    pub stored: StoredCertificate,
    /// Findings about the delegations that did not prevent it.
    pub warnings: Vec<Finding>,
    /// Why the chain is not as it might be, a sentence each.
    pub chain_warnings: Vec<String>,
    /// The names that it is without, and why.
    pub left_out: Vec<LeftOut>,
    /// What could not be withdrawn, one error for each zone.
    pub left_behind: Vec<ZoneError>,
    /// The servers of alias zones that did not answer, and that no warning names.
    pub silent: Vec<SilentServer>,
}

/// An order, and what is to be published for it.
struct Opened {
    order: Order,
    account: String,
    key: PendingKey,
    publication: Publication,
}

/// An order whose names the CA has validated.
struct Validated {
    order: Order,
    account: String,
    key: PendingKey,
}

/// Obtains one certificate, for one job.
pub struct Issuer<'a> {
    /// The CA that signs.
    pub ca: &'a Ca,
    /// Looks at the delegations.
    pub checker: &'a DelegationChecker,
    /// The zones that TXT records may be written in.
    pub zones: Zones,
    /// Where the result goes.
    pub store: &'a dyn Store,
    /// Tells the time.
    pub clock: &'a dyn Clock,
    /// Shows the progress.
    pub observer: &'a dyn Observer,
    /// Ends the work early. What was written is withdrawn all the same.
    pub cancel: &'a CancellationToken,
    /// The run, for the ledger.
    pub run: &'a RunId,
    /// The lease of the job, which covers the values that it writes.
    pub lease: &'a LeaseId,
}

impl Issuer<'_> {
    /// Follows every delegation, and looks whether the alias zones can be changed. Nothing is asked of the CA
    /// before all of it is in order. What was seen before is not followed again.
    pub async fn prepare(
        &self,
        request: &CertificateRequest,
        seen: &mut CheckedDelegations,
    ) -> Result<Plan, IssueError> {
        let identity = self.ca.caa_identity(self.store).boxed();
        self.prepare_with(request, identity, seen).await
    }

    async fn prepare_with(
        &self,
        request: &CertificateRequest,
        identity: impl Future<Output = Result<Option<CaaIdentity>, CaError>>,
        seen: &mut CheckedDelegations,
    ) -> Result<Plan, IssueError> {
        self.or_cancelled(async {
            self.begin(request, &Step::Preflight);
            let plan = self.preflight(request, identity.await?, seen).await?;
            self.begin(request, &Step::Planned(&plan));
            Ok(plan)
        })
        .await
    }

    /// Obtains the certificate that was prepared and stores it. An error leaves no TXT record behind that it
    /// does not name. After a success the withdrawal may still be under way, for the others of the round: what it
    /// leaves behind belongs into [`Issued::left_behind`].
    pub async fn issue(
        &self,
        request: &CertificateRequest,
        plan: &Plan,
        mut seat: Seat,
    ) -> Result<(Issued, Withdrawal), IssueFailure> {
        let failed = |error, left_behind, published: &[Published]| IssueFailure {
            silent: silent::all(&plan.warnings, published),
            left_behind,
            ..IssueFailure::from(error)
        };
        let opened = self.or_cancelled(self.open(request, plan)).await;
        let opened = opened.map_err(|error| failed(error, Vec::new(), &[]))?;
        let mut published = Vec::new();
        let validated = self.validate(request, plan, opened, &mut seat, &mut published);
        let validated = self.or_cancelled(validated).await;
        self.begin(request, &Step::Withdraw);
        // The CA has looked at the values, whatever it says of them.
        let withdrawal = seat.withdraw();
        let stored = match validated {
            Ok(validated) => self.or_cancelled(self.complete(request, validated)).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok((stored, chain_warnings)) => {
                let issued = Issued {
                    stored,
                    warnings: silent::still_true(&plan.warnings, &published),
                    silent: silent::of_publication(&plan.warnings, &published),
                    chain_warnings,
                    left_out: request.left_out.clone(),
                    left_behind: Vec::new(),
                };
                Ok((issued, withdrawal))
            }
            Err(error) => Err(failed(error, withdrawal.done().await, &published)),
        }
    }

    /// Opens an order, or resumes the one that was opened before.
    async fn open(&self, request: &CertificateRequest, plan: &Plan) -> Result<Opened, IssueError> {
        self.store.check().await?;
        let account = self.ca.account(self.store).await?;
        if let Some(settings) = &request.settings {
            // A run that dies from here on leaves what the next one needs to renew.
            self.store.put_settings(&request.id, settings).await?;
        }
        self.begin(request, &Step::Order);
        let Begun { mut order, key } =
            order::begin(self.store, account, request, self.clock.now()).await?;
        let challenges = order.challenges().await?;
        let records = plan.aliases.records(challenges)?;
        let context = self.context(request, Some(order.url()));
        let existing = Arc::clone(&plan.existing);
        let publication = self.zones.publication(records, existing, context).await;
        let publication = publication.map_err(|error| IssueError::in_zone(&plan.aliases, error))?;
        Ok(Opened {
            order,
            account: account.url().to_owned(),
            key,
            publication,
        })
    }

    /// Publishes the TXT records, and lets the CA look at them.
    async fn validate(
        &self,
        request: &CertificateRequest,
        plan: &Plan,
        opened: Opened,
        seat: &mut Seat,
        published: &mut Vec<Published>,
    ) -> Result<Validated, IssueError> {
        let Opened {
            mut order,
            account,
            key,
            publication,
        } = opened;
        self.begin(request, &Step::Publish(&publication));
        let waiting = |wait: &_| self.begin(request, &Step::OutlastCache(wait));
        let names = publication.names();
        let seen = while_running(
            seat.publish(&publication, waiting),
            self.report_lagging(request, &names),
        );
        let seen = seen.await;
        *published = seen.map_err(|error| IssueError::in_zone(&plan.aliases, error))?;
        self.begin(request, &Step::Validate(published));
        order.validate().await?;
        Ok(Validated {
            order,
            account,
            key,
        })
    }

    /// Reports the servers that are waited for, with the values at these names.
    async fn report_lagging(&self, request: &CertificateRequest, names: &BTreeSet<DnsName>) {
        let mut news = self.zones.dns.lagging_news();
        loop {
            match news.recv().await {
                Ok(lagging) if names.contains(&lagging.name) => {
                    self.begin(request, &Step::Lagging(&lagging));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// From the validated order to the stored certificate.
    async fn complete(
        &self,
        request: &CertificateRequest,
        validated: Validated,
    ) -> Result<(StoredCertificate, Vec<String>), IssueError> {
        let Validated {
            mut order,
            account,
            key,
        } = validated;
        // It may have to wait for keys of others. The values are withdrawn meanwhile.
        let key = key.stored(self.store, request).await?;
        self.begin(request, &Step::Finalize);
        let names = request.identifiers();
        let signing_request = key.request(&names).map_err(AcmeError::from)?;
        let usual = order.finalize(&signing_request).await?;
        let (pem, other_chain) = match &request.chosen.preferred_chain {
            Some(root) => preferred(&mut order, usual, root).await?,
            None => (usual, None),
        };
        self.begin(request, &Step::Store);
        let mut warnings: Vec<_> = other_chain.into_iter().collect();
        let stored = match certificate::verify(&pem, &key.public(), &names, self.clock.now()) {
            Ok(mut chain) => {
                warnings.append(&mut chain.doubts);
                let version = self.version(request, account, &key, chain);
                Ok(self.store.put_certificate(&request.id, version).await?)
            }
            Err(source) => {
                let unusable = SetAside {
                    order: order.url().to_owned(),
                    reason: source.to_string(),
                    chain: pem,
                    key: key.to_pem(),
                };
                let location = self.store.set_aside(&request.id, unusable).await?;
                Err(IssueError::Certificate { source, location })
            }
        };
        crash::point(Point::Stored);
        if let Ok(stored) = &stored {
            self.observer.step(&request.id, &Step::Stored(stored));
        }
        // The order has come to its end, with or without a certificate that can be used.
        self.store.remove_order(&request.id).await?;
        stored.map(|stored| (stored, warnings))
    }

    fn version(
        &self,
        request: &CertificateRequest,
        account: String,
        key: &OrderKey,
        chain: Chain,
    ) -> NewVersion {
        let origin = VersionOrigin {
            directory: self.ca.directory().to_owned(),
            account,
            renewal_id: chain.info.renewal_id.clone(),
            chosen: Some(request.chosen.clone()),
            left_out: request.names_left_out(),
            external_key: key.external(),
        };
        NewVersion {
            key: key.to_pem(),
            chain,
            origin,
            access: request.key_access.clone(),
        }
    }

    /// Does everything that concerns the DNS with a probe value at each alias name, and asks
    /// nothing of the CA.
    pub async fn rehearse(&self, request: &CertificateRequest) -> Result<Plan, IssueFailure> {
        let identity = self.ca.known_caa_identity(self.store).boxed();
        let mut seen = CheckedDelegations::default();
        let plan = self.prepare_with(request, identity, &mut seen).await?;
        let context = self.context(request, None);
        let existing = Arc::clone(&plan.existing);
        let records = plan.aliases.probes();
        let publication = self.zones.publication(records, existing, context).await;
        let in_zone = |failure| IssueError::in_zone(&plan.aliases, failure);
        let publication = publication.map_err(in_zone)?;
        self.begin(request, &Step::Publish(&publication));
        let publish = async { publication.publish().await.map_err(in_zone) };
        let published = self.or_cancelled(publish).await;
        self.begin(request, &Step::Withdraw);
        let mut left_behind = publication.withdraw().await;
        let silent = silent::all(&plan.warnings, published.as_deref().unwrap_or_default());
        match published {
            Ok(published) if left_behind.is_empty() => Ok(Plan {
                warnings: silent::still_true(&plan.warnings, &published),
                ..plan
            }),
            published => {
                let error = match published {
                    Ok(_) => IssueError::Zone {
                        challenge_names: BTreeSet::new(),
                        source: Box::new(left_behind.remove(0)),
                    },
                    Err(error) => error,
                };
                Err(IssueFailure {
                    left_behind,
                    silent,
                    ..IssueFailure::from(error)
                })
            }
        }
    }

    async fn preflight(
        &self,
        request: &CertificateRequest,
        identity: Option<CaaIdentity>,
        seen: &mut CheckedDelegations,
    ) -> Result<Plan, IssueError> {
        let plan = preflight::plan(self.checker, identity.as_ref(), &self.zones, request, seen);
        // In a box, so that the type of the flow stays within what the compiler evaluates.
        plan.boxed().await
    }

    fn context(&self, request: &CertificateRequest, order: Option<&str>) -> ChangeContext {
        ChangeContext {
            run: self.run.clone(),
            origin: Origin {
                certificate: Some(request.id.to_string()),
                order: order.map(str::to_owned),
                lease: Some(self.lease.clone()),
            },
        }
    }

    async fn or_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, IssueError>>,
    ) -> Result<T, IssueError> {
        let done = self.cancel.run_until_cancelled(work).await;
        done.unwrap_or(Err(IssueError::Interrupted))
    }

    fn begin(&self, request: &CertificateRequest, step: &Step<'_>) {
        self.observer.step(&request.id, step);
        if let Some(point) = step.point() {
            crash::point(point);
        }
    }
}

/// The chain that leads to the root of this name; or the usual one, and why.
async fn preferred(
    order: &mut Order,
    usual: String,
    root: &str,
) -> Result<(String, Option<String>), AcmeError> {
    let mut roots = vec![certificate::root_name(&usual).ok()];
    // What is no chain leads nowhere.
    let is_preferred = |name: Option<&Option<String>>| {
        let name = name.and_then(Option::as_deref);
        name.is_some_and(|name| name.eq_ignore_ascii_case(root))
    };
    if is_preferred(roots.last()) {
        return Ok((usual, None));
    }
    // Large chains of many certificates would not fit into memory while the CA takes its time for others.
    let kept = Some(usual).filter(|usual| usual.len() <= KEPT_MAX);
    let reason = loop {
        match order.next_alternate().await {
            Ok(Some(chain)) => {
                roots.push(certificate::root_name(&chain).ok());
                if is_preferred(roots.last()) {
                    return Ok((chain, None));
                }
            }
            Ok(None) => {
                let offered: Vec<_> = roots.into_iter().flatten().collect();
                let offered = few(&offered, ", ");
                break format!("no chain of the CA leads to `{root}`; it offers: {offered}");
            }
            Err(error) => break format!("the CA's other chains could not be fetched: {error}"),
        }
    };
    let usual = match kept {
        Some(usual) => usual,
        None => order.usual_chain().await?,
    };
    Ok((usual, Some(reason)))
}
