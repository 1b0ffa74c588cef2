//! Cached queries about zones. What may be cached is a type of its own: it has no TXT and no CNAME records,
//! so that no answer about a challenge or an alias is ever cached.

use hickory_proto::rr::RecordType;
use tokio::time::Instant;

use super::answer::Answer;
use super::cache::Timed;
use super::client::{AnswerKey, Dns};
use super::error::DnsError;
use super::lifetime;
use super::server::ZoneCut;
use crate::name::DnsName;

/// The records that authoritative servers are asked for and of which the answers are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InfrastructureKind {
    /// Where a zone begins.
    Soa,
    /// The servers of a zone.
    Ns,
    /// Which CAs may issue, at a name that many identifiers lie below.
    Caa,
    /// The keys of a zone.
    Dnskey,
    /// The digests of the keys of a zone, in the zone above.
    Ds,
}

impl From<InfrastructureKind> for RecordType {
    fn from(kind: InfrastructureKind) -> Self {
        match kind {
            InfrastructureKind::Soa => RecordType::SOA,
            InfrastructureKind::Ns => RecordType::NS,
            InfrastructureKind::Caa => RecordType::CAA,
            InfrastructureKind::Dnskey => RecordType::DNSKEY,
            InfrastructureKind::Ds => RecordType::DS,
        }
    }
}

impl InfrastructureKind {
    /// The kind of records of this type, if they are cached.
    pub(crate) fn of(kind: RecordType) -> Option<Self> {
        let kinds = [
            InfrastructureKind::Soa,
            InfrastructureKind::Ns,
            InfrastructureKind::Caa,
            InfrastructureKind::Dnskey,
            InfrastructureKind::Ds,
        ];
        kinds
            .into_iter()
            .find(|known| RecordType::from(*known) == kind)
    }

    /// Whether an answer is kept. Names without NS records are no zones: they are looked up on the way to one,
    /// and a challenge name or an alias name may be among them.
    fn is_kept(self, answer: &Answer) -> bool {
        self != InfrastructureKind::Ns || !answer.name_servers().is_empty()
    }
}

impl Dns {
    /// The cached answer about a zone, or else one of its servers. A failure is not cached.
    pub(crate) async fn ask_infrastructure(
        &self,
        name: &DnsName,
        kind: InfrastructureKind,
    ) -> Result<Timed<Answer>, DnsError> {
        self.ask_cached(name, kind, false).await
    }

    /// The same as [`ask_infrastructure`](Dns::ask_infrastructure), with the signatures if they are wanted.
    pub(super) async fn ask_cached(
        &self,
        name: &DnsName,
        kind: InfrastructureKind,
        signed: bool,
    ) -> Result<Timed<Answer>, DnsError> {
        let key = AnswerKey {
            name: name.clone(),
            kind: kind.into(),
            of_resolver: false,
            signed,
        };
        let fetch = async {
            let answer = self.ask_now(name, key.kind, signed).await?;
            let expires = if kind.is_kept(&answer) {
                lifetime::expiry(answer.message())
            } else {
                Instant::now()
            };
            Ok(Timed {
                value: answer,
                expires,
            })
        };
        // A search contains searches of its own.
        self.answers.get_or_fetch(&key, Box::pin(fetch)).await
    }

    /// The apex of the zone that holds `name`: the first ancestor, `name` included, for which a server gives
    /// an authoritative SOA record whose owner is that ancestor.
    pub async fn apex(&self, name: &DnsName) -> Result<DnsName, DnsError> {
        self.cut(name).await.map(|cut| cut.apex)
    }

    /// The same, with the server that did not say in which zone `name` is. `name` may be an alias name, so it
    /// is queried now; the zones above it are cached.
    pub(crate) async fn cut(&self, name: &DnsName) -> Result<ZoneCut, DnsError> {
        let search = async {
            let answer = self.ask(name, RecordType::SOA).await?;
            if answer.is_apex() {
                return Ok(ZoneCut {
                    apex: name.clone(),
                    without_soa: None,
                });
            }
            let zone = answer.zone_of_denial();
            let mut without_soa = (!answer.names_its_zone()).then_some(answer.server);
            // It may be large, and the search may take long.
            drop(answer);
            if let Some(apex) = self.confirmed_apex(zone).await {
                return Ok(ZoneCut {
                    apex,
                    without_soa: None,
                });
            }
            for candidate in name.ancestors().skip(1) {
                let soa = InfrastructureKind::Soa;
                let answer = self.ask_infrastructure(&candidate, soa).await?.value;
                if answer.is_apex() {
                    return Ok(ZoneCut {
                        apex: candidate,
                        without_soa,
                    });
                }
                if !answer.names_its_zone() {
                    without_soa.get_or_insert(answer.server);
                }
            }
            Err(DnsError::NoZone { name: name.clone() })
        };
        self.in_time(name, Box::pin(search)).await
    }

    /// `zone`, if it is the apex of a zone by an SOA record of its own. An SOA record beside a denial names a
    /// zone without another query for the name (RFC 2308 §3), but its owner is believed only if it has one.
    pub(crate) async fn confirmed_apex(&self, zone: Option<DnsName>) -> Option<DnsName> {
        let zone = zone?;
        let soa = self.ask_infrastructure(&zone, InfrastructureKind::Soa);
        let answer = soa.await.ok()?.value;
        answer.is_apex().then_some(zone)
    }
}
