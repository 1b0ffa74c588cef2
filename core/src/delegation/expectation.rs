//! What is expected of a delegation.

use std::collections::BTreeSet;

use super::caa_identity::CaaIdentity;
use super::finding::{Finding, FindingKind, Severity};
use super::own_values::OwnValues;
use crate::name::{DnsName, Identifier};

/// One challenge name to check.
#[derive(Clone, Debug)]
pub struct DelegationCheck<'a> {
    /// The challenge name.
    pub challenge_name: &'a DnsName,
    /// What is expected there.
    pub expectation: Expectation<'a>,
    /// The certificate that it is for: the values of one certificate are in a zone at the same time. Checks
    /// without one count as for one and the same certificate.
    pub certificate: Option<&'a str>,
    /// Who must be allowed to issue by CAA records. They are not checked without it.
    pub caa: Option<&'a CaaIdentity>,
    /// The TXT values that may exist by our doing. Values at the alias name are not reported without them.
    pub own_values: Option<&'a OwnValues>,
}

impl<'a> DelegationCheck<'a> {
    /// A check of the delegation alone.
    pub fn new(challenge_name: &'a DnsName, expectation: Expectation<'a>) -> Self {
        DelegationCheck {
            challenge_name,
            expectation,
            certificate: None,
            caa: None,
            own_values: None,
        }
    }
}

/// What is expected of a challenge name.
#[derive(Clone, Debug)]
pub struct Expectation<'a> {
    /// The identifiers that share the challenge name.
    pub identifiers: &'a [Identifier],
    /// The configured alias name; without one, the CNAME that exists is followed.
    pub alias_name: Option<&'a DnsName>,
    /// The configured alias zones.
    pub alias_zones: &'a BTreeSet<DnsName>,
    /// Whether an alias name outside these zones is acceptable, because a provider is configured that finds
    /// its zone by the SOA record.
    pub any_zone: bool,
}

impl Expectation<'_> {
    /// The closest configured alias zone that contains `name`.
    pub(super) fn alias_zone_of(&self, name: &DnsName) -> Option<DnsName> {
        let mut ancestors = name.ancestors();
        ancestors.find(|ancestor| self.alias_zones.contains(ancestor))
    }

    /// The alias zone to which the CNAMEs probably lead: that of the configured alias name, or the only one.
    pub(super) fn probable_alias_zone(&self) -> Option<DnsName> {
        if let Some(name) = self.alias_name {
            return self.alias_zone_of(name);
        }
        let mut zones = self.alias_zones.iter();
        zones.next().filter(|_| zones.next().is_none()).cloned()
    }

    /// Where the CNAMEs probably should lead: to the configured alias name, or to the usual one of the only alias
    /// zone.
    pub(super) fn probable_alias_name(&self) -> Option<DnsName> {
        if let Some(name) = self.alias_name {
            return Some(name.clone());
        }
        self.probable_alias_zone()?.challenge_name().ok()
    }

    /// Whether TXT values can be written at `name`: it lies in a configured alias zone, or a provider finds its zone.
    pub(super) fn can_write_at(&self, name: &DnsName) -> bool {
        self.any_zone || self.is_in_alias_zone(name)
    }

    /// Whether `name` lies in a configured alias zone.
    pub(super) fn is_in_alias_zone(&self, name: &DnsName) -> bool {
        self.alias_zone_of(name).is_some()
    }

    /// A finding that makes a challenge fail.
    pub(super) fn error(
        &self,
        kind: FindingKind,
        name: &DnsName,
        answer: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Error,
            kind,
            domains: self.identifiers.to_vec(),
            name: name.clone(),
            server: None,
            answer: answer.into(),
            remedy: remedy.into(),
            record: None,
        }
    }

    /// A finding that does not.
    pub(super) fn warning(
        &self,
        kind: FindingKind,
        name: &DnsName,
        answer: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..self.error(kind, name, answer, remedy)
        }
    }
}
