//! Why records are bogus. The chain of trust is followed from the root down to the first link that is not valid.

use hickory_proto::dnssec::Proof;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};

use super::records::{dnskeys, ds, is_vouched_for, key_tags, list, signatures};
use super::security::Security;
use super::validator::Validator;
use super::validity::out_of_time;
use crate::dns::{dns_name, is_of_root};
use crate::printable::printable;

/// Zones above one another that are checked.
const ZONES_MAX: usize = 32;

/// Records of one type at one name.
struct Link {
    name: Name,
    kind: RecordType,
}

impl Validator {
    /// What is wrong with records that are bogus; another verdict if that is not the zone's fault.
    pub(super) async fn fault(&self, name: &Name, kind: RecordType) -> Security {
        match self.reason(name, kind).await {
            Ok(reason) => Security::Bogus(reason),
            Err(verdict) => verdict,
        }
    }

    async fn reason(&self, name: &Name, kind: RecordType) -> Result<String, Security> {
        for link in self.chain(name, kind).await?.iter().rev() {
            match self.proof(&link.name, link.kind).await {
                Ok(Proof::Bogus) => {
                    let reason = self.explain(link).await?;
                    // New keys of the root, a resolver with a root of its own, a wrong clock: no CA sees that.
                    if link.name.is_root() {
                        return Err(Security::Unknown(reason));
                    }
                    return Ok(reason);
                }
                Ok(_) => {}
                Err(reason) => {
                    self.needed(&link.name, link.kind).await?;
                    return Err(Security::Unknown(reason));
                }
            }
        }
        Err(Security::Unknown(format!(
            "the chain of trust to {name} changed during validation"
        )))
    }

    /// Records that the chain needs. A zone that answers queries for others and not for these is bogus to every
    /// validating resolver. A zone that cannot be reached from here may be reached by others.
    async fn needed(&self, name: &Name, kind: RecordType) -> Result<Message, Security> {
        let reason = match self.source.ask(name, kind).await {
            Ok(message) => return Ok(message),
            Err(reason) => reason,
        };
        if is_of_root(name, kind) || self.apex(name, kind).await.is_err() {
            return Err(Security::Unknown(reason));
        }
        Err(Security::Bogus(format!(
            "the {kind} records of {} could not be looked up, and validation needs them: {reason}",
            printable(&name.to_ascii())
        )))
    }

    /// The links from these records up to the keys of the root.
    async fn chain(&self, name: &Name, kind: RecordType) -> Result<Vec<Link>, Security> {
        let mut chain = vec![Link {
            name: name.clone(),
            kind,
        }];
        let mut zone = self.zone_of(name, kind).await?;
        for _ in 0..ZONES_MAX {
            let (name, kind) = (zone.clone(), RecordType::DNSKEY);
            chain.push(Link { name, kind });
            if zone.is_root() {
                return Ok(chain);
            }
            let (name, kind) = (zone.clone(), RecordType::DS);
            zone = self.zone_of(&name, kind).await?;
            chain.push(Link { name, kind });
        }
        Err(Security::Unknown(format!(
            "{name} lies below more than {ZONES_MAX} zones"
        )))
    }

    /// The zone that these records are in: it signed them, or should have.
    async fn zone_of(&self, name: &Name, kind: RecordType) -> Result<Name, Security> {
        let signer = {
            let message = self.needed(name, kind).await?;
            let mut signatures = signatures(&message, name, kind);
            signatures
                .next()
                .map(|first| first.input().signer_name.clone())
        };
        match signer {
            Some(signer) => Ok(signer),
            None => self.apex(name, kind).await,
        }
    }

    /// The same by its SOA record.
    async fn apex(&self, name: &Name, kind: RecordType) -> Result<Name, Security> {
        let above = match kind {
            RecordType::DS => name.base_name(),
            _ => name.clone(),
        };
        let Some(above) = dns_name(&above) else {
            return Ok(Name::root());
        };
        let apex = self.source.dns().apex(&above).await;
        let apex = apex.map_err(|error| Security::Unknown(error.to_string()))?;
        Name::from_ascii(apex.fqdn()).map_err(|error| Security::Unknown(error.to_string()))
    }

    async fn explain(&self, Link { name, kind }: &Link) -> Result<String, Security> {
        let message = self.needed(name, *kind).await?;
        if *kind == RecordType::DNSKEY
            && let Some(reason) = self.broken_delegation(name, &message).await?
        {
            return Ok(reason);
        }
        let shown = printable(&name.to_ascii());
        let mut records = message.answers.iter();
        if !records.any(|record| record.record_type() == *kind && record.name == *name) {
            return Ok(format!(
                "the proof that there are no {kind} records at {shown} is not valid (NSEC, NSEC3)"
            ));
        }
        let what = format!("the {kind} records of {shown}");
        let signatures: Vec<_> = signatures(&message, name, *kind).collect();
        let Some(signer) = signatures.first().map(|first| &first.input().signer_name) else {
            self.is_what_others_see(&self.zone_of(name, *kind).await?)?;
            return Ok(format!(
                "{what} have no signature (RRSIG), and the zone above has a DS record for this zone"
            ));
        };
        let times = signatures.iter().map(|signature| (*signature).into());
        if let Some(reason) = out_of_time(times, self.source.dns().clock().now()) {
            return Ok(format!("the signature of {what} {reason}"));
        }
        let keys = self.needed(signer, RecordType::DNSKEY).await?;
        let known = key_tags(&keys);
        let used = signatures.iter().map(|signature| signature.input().key_tag);
        let used: Vec<_> = used.collect();
        if used.iter().any(|tag| known.contains(tag)) {
            let from_wildcard = signatures
                .iter()
                .any(|signature| signature.input().num_labels < name.num_labels());
            let or_its_proof = if from_wildcard {
                ", or the proof that they are made from a wildcard (NSEC, NSEC3) is not valid"
            } else {
                ""
            };
            return Ok(format!(
                "the signature of {what} by key {} does not match them{or_its_proof}",
                list(&used)
            ));
        }
        Ok(format!(
            "the signature of {what} is by key {}, which is not among the keys of {} ({})",
            list(&used),
            printable(&signer.to_ascii()),
            list(&known)
        ))
    }

    /// An error if others may see a zone without signatures signed: a hidden primary, which is configured, may
    /// lack the signatures that the zone's public servers have.
    fn is_what_others_see(&self, zone: &Name) -> Result<(), Security> {
        match dns_name(zone) {
            Some(zone) if self.source.dns().is_configured(&zone) => {
                Err(Security::Unknown(format!(
                    "the servers configured for {zone} serve it without signatures, and the zone above has a DS \
                     record for it: check the zone's public servers"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Why the keys of a zone do not match the DS records in the zone above, or the trust anchor.
    async fn broken_delegation(
        &self,
        zone: &Name,
        keys: &Message,
    ) -> Result<Option<String>, Security> {
        let shown = printable(&zone.to_ascii());
        let tags = key_tags(keys);
        if zone.is_root() {
            let trusted = dnskeys(keys).any(|key| self.anchors.shared().contains(key.public_key()));
            return Ok((!trusted).then(|| {
                format!(
                    "none of the keys of the root zone ({}) is a trust anchor; if these are its right keys, \
                     configure them as trust anchors",
                    list(&tags)
                )
            }));
        }
        let above = self.needed(zone, RecordType::DS).await?;
        let delegations: Vec<_> = ds(&above, zone).collect();
        let ds_tags: Vec<_> = delegations.iter().map(|ds| ds.key_tag()).collect();
        if delegations.is_empty() {
            return Ok(Some(format!(
                "the zone above has no DS record of {shown}, and does not prove that this zone is unsigned: \
                 check that it delegates the zone (NS)"
            )));
        }
        if tags.is_empty() {
            self.is_what_others_see(zone)?;
            return Ok(Some(format!(
                "the zone {shown} has no keys (DNSKEY), and the zone above has a DS record for it (key {})",
                list(&ds_tags)
            )));
        }
        let vouched = is_vouched_for(zone, &delegations, keys);
        Ok((!vouched).then(|| {
            format!(
                "the DS records of {shown} in the zone above (key {}) match none of its keys ({})",
                list(&ds_tags),
                list(&tags)
            )
        }))
    }
}
