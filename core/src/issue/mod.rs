//! The way of one certificate, from its names to its files.

mod error;
mod events;
mod pending;
mod preflight;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

pub use self::error::{IssueError, IssueFailure};
pub use self::events::{Observer, Step};
pub use self::preflight::{Aliases, Plan};
use crate::acme::{Account, AccountSettings, AcmeError, CertificateKey, KeyType, Order, Transport};
use crate::certificate;
use crate::crash::{self, Point};
use crate::delegation::{CaaIdentity, DelegationChecker, Finding};
use crate::dns::Dns;
use crate::ledger::Origin;
use crate::name::{DnsName, Identifier};
use crate::printable::printable;
use crate::store::{CertificateId, Store, Stored};
use crate::zone::{AliasZones, Publication, ZoneError};

/// A certificate that is wanted.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// The id under which it is stored.
    pub id: CertificateId,
    /// The names it shall hold for, each with the alias name that the settings give it.
    pub names: Vec<RequestedName>,
    /// The kind of its key.
    pub key_type: KeyType,
    /// The common name of the root that the chain shall lead to, where the CA offers several chains.
    pub preferred_chain: Option<String>,
    /// Take the alias names from the settings as they are, without looking at the delegations.
    pub skip_preflight: bool,
    /// Wait for another process that works on this certificate, instead of leaving.
    pub wait: bool,
}

/// A name for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedName {
    /// The name.
    pub identifier: Identifier,
    /// The alias name to write at; without one, the CNAME that is there is followed.
    pub alias: Option<DnsName>,
}

impl CertificateRequest {
    /// The names alone.
    pub fn identifiers(&self) -> Vec<Identifier> {
        self.names
            .iter()
            .map(|name| name.identifier.clone())
            .collect()
    }

    /// For whom DNS changes are made, as the ledger has it.
    fn origin(&self, order: Option<&str>) -> Origin {
        Origin {
            certificate: Some(self.id.to_string()),
            order: order.map(str::to_owned),
        }
    }
}

/// A certificate that was obtained.
#[derive(Debug)]
pub struct Issued {
    /// Where it is.
    pub stored: Stored,
    /// Findings about the delegations that did not stand in the way.
    pub warnings: Vec<Finding>,
    /// Why the chain is not the preferred one, in words.
    pub other_chain: Option<String>,
    /// What could not be withdrawn, although the certificate is there.
    pub left_behind: Option<ZoneError>,
}

/// What all certificates of one authority share: the way to it, and the account there.
pub struct Authority {
    transport: Transport,
    settings: AccountSettings,
    account: OnceCell<Account>,
}

impl Authority {
    /// An authority that nothing has been asked of yet.
    pub fn new(transport: Transport, settings: AccountSettings) -> Self {
        Authority {
            transport,
            settings,
            account: OnceCell::new(),
        }
    }

    /// The account, taken from the store or made now, once.
    async fn account(&self, store: &dyn Store) -> Result<&Account, IssueError> {
        self.account
            .get_or_try_init(async || self.restore_or_create(store).await)
            .await
    }

    async fn restore_or_create(&self, store: &dyn Store) -> Result<Account, IssueError> {
        let directory = &self.settings.directory;
        let _lock = store.lock_accounts().await?;
        if let Some(credentials) = store.account(directory).await? {
            return Ok(Account::restore(&self.transport, &credentials).await?);
        }
        let (account, credentials) = Account::create(&self.transport, &self.settings).await?;
        crash::point(Point::AccountMade);
        store.put_account(directory, &credentials).await?;
        crash::point(Point::AccountKept);
        Ok(account)
    }
}

/// An order, and what is to be published for it.
struct Opened {
    order: Order,
    key: CertificateKey,
    publication: Publication,
    warnings: Vec<Finding>,
}

/// Obtains certificates.
pub struct Issuer {
    /// Asks about delegations.
    pub dns: Arc<Dns>,
    /// As whom CAA records must let the authority issue, where that is known.
    pub issuance: Option<CaaIdentity>,
    /// Where TXT records may be written.
    pub zones: AliasZones,
    /// Who signs.
    pub authority: Arc<Authority>,
    /// Where the result goes.
    pub store: Arc<dyn Store>,
    /// Who is told of the progress.
    pub observer: Arc<dyn Observer>,
    /// Ends the work early; what was written is withdrawn all the same.
    pub cancel: CancellationToken,
}

impl Issuer {
    /// Obtains the certificate and stores it. An error leaves no TXT record behind that it does
    /// not name.
    pub async fn issue(&self, request: &CertificateRequest) -> Result<Issued, IssueFailure> {
        let _lock = self
            .or_cancelled(async {
                let lock = self.store.lock_certificate(&request.id, request.wait);
                Ok(lock.await?)
            })
            .await?;
        let Opened {
            order,
            key,
            publication,
            warnings,
        } = self.or_cancelled(self.open(request)).await?;
        let stored = self
            .or_cancelled(self.complete(request, order, key, &publication))
            .await;
        self.tell(request, &Step::Withdraw);
        let left_behind = publication.withdraw().await.err();
        match stored {
            Ok((stored, other_chain)) => Ok(Issued {
                stored,
                warnings,
                other_chain,
                left_behind,
            }),
            Err(error) => Err(IssueFailure { error, left_behind }),
        }
    }

    /// Follows every delegation, and only then asks the CA for an order and its challenges.
    async fn open(&self, request: &CertificateRequest) -> Result<Opened, IssueError> {
        self.tell(request, &Step::Preflight);
        let plan = self.preflight(request).await?;
        self.tell(request, &Step::Planned(&plan));
        let account = self.authority.account(&*self.store).await?;
        self.tell(request, &Step::Order);
        let (mut order, key) = pending::order(&*self.store, account, request).await?;
        let challenges = order.challenges().await?;
        let origin = request.origin(Some(order.url()));
        let records = plan.aliases.records(challenges)?;
        let publication = self.zones.publication(records, origin)?;
        Ok(Opened {
            order,
            key,
            publication,
            warnings: plan.warnings,
        })
    }

    /// From the TXT records to the stored certificate.
    async fn complete(
        &self,
        request: &CertificateRequest,
        mut order: Order,
        key: CertificateKey,
        publication: &Publication,
    ) -> Result<(Stored, Option<String>), IssueError> {
        self.tell(request, &Step::Publish(publication));
        let published = publication.publish().await?;
        self.tell(request, &Step::Validate(&published));
        order.validate().await?;
        self.tell(request, &Step::Finalize);
        let names = request.identifiers();
        let signing_request = key.request(&names).map_err(AcmeError::from)?;
        let usual = order.finalize(&signing_request).await?;
        let (pem, other_chain) = match &request.preferred_chain {
            Some(root) => preferred(&mut order, usual, root).await,
            None => (usual, None),
        };
        let judged = certificate::judge(&pem, &key.public(), &names, Timestamp::now());
        self.tell(request, &Step::Store);
        let (id, store) = (&request.id, &*self.store);
        let stored = match judged {
            Ok(chain) => Ok(store.put_certificate(id, &key.to_pem(), &chain).await?),
            Err(error) => Err(error.into()),
        };
        crash::point(Point::Stored);
        // The order has come to its end, with or without a certificate that can be used.
        store.remove_order(id).await?;
        stored.map(|stored| (stored, other_chain))
    }

    /// Does everything that concerns the DNS with a probe value at each alias name, and asks
    /// nothing of the CA.
    pub async fn rehearse(&self, request: &CertificateRequest) -> Result<Plan, IssueFailure> {
        let prepared = self.or_cancelled(async {
            self.tell(request, &Step::Preflight);
            let plan = self.preflight(request).await?;
            self.tell(request, &Step::Planned(&plan));
            let probes = plan.aliases.probes()?;
            let publication = self.zones.publication(probes, request.origin(None))?;
            Ok((plan, publication))
        });
        let (plan, publication) = prepared.await?;
        self.tell(request, &Step::Publish(&publication));
        let published = self
            .or_cancelled(async { Ok(publication.publish().await?) })
            .await;
        self.tell(request, &Step::Withdraw);
        let left_behind = publication.withdraw().await.err();
        match (published, left_behind) {
            (Ok(_), None) => Ok(plan),
            (Ok(_), Some(error)) => Err(IssueError::Zone(error).into()),
            (Err(error), left_behind) => Err(IssueFailure { error, left_behind }),
        }
    }

    async fn preflight(&self, request: &CertificateRequest) -> Result<Plan, IssueError> {
        let examiner = DelegationChecker::new(Arc::clone(&self.dns), self.issuance.clone());
        preflight::plan(&examiner, &self.zones, request).await
    }

    async fn or_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, IssueError>>,
    ) -> Result<T, IssueError> {
        self.cancel
            .run_until_cancelled(work)
            .await
            .unwrap_or(Err(IssueError::Interrupted))
    }

    fn tell(&self, request: &CertificateRequest, step: &Step<'_>) {
        self.observer.step(&request.id, step);
        crash::point(step.point());
    }
}

/// The chain that leads to the root of this name; or the usual one, and why.
async fn preferred(order: &mut Order, usual: String, root: &str) -> (String, Option<String>) {
    let mut chains = vec![usual];
    let failure = match order.alternate_chains().await {
        Ok(others) => {
            chains.extend(others);
            None
        }
        Err(error) => Some(error),
    };
    // What is no chain leads nowhere.
    let roots: Vec<_> = chains
        .iter()
        .map(|chain| certificate::root_name(chain).ok())
        .collect();
    let is_it = |name: &Option<String>| {
        name.as_ref()
            .is_some_and(|name| name.eq_ignore_ascii_case(root))
    };
    let found = roots.iter().position(is_it);
    let other = found.is_none().then(|| match failure {
        Some(error) => format!("the CA's other chains could not be fetched: {error}"),
        None => format!(
            "no chain of the CA leads to `{root}`; there are: {}",
            printable(&roots.into_iter().flatten().collect::<Vec<_>>().join(", "))
        ),
    });
    (chains.swap_remove(found.unwrap_or_default()), other)
}
