//! What an audit asks about: the records that a key is for, and those that a thief would like to write.

use super::audit::{Subject, Weight};
use crate::name::{DnsName, NameError};

/// A record that a key may be able to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its owner.
    pub name: DnsName,
    /// Its type.
    pub kind: ProbeKind,
    /// The right in words, with the name.
    pub right: String,
    /// What it is worth.
    pub weight: Weight,
}

/// The types that are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // they are the mnemonics
pub enum ProbeKind {
    Txt,
    Cname,
    Ns,
    Caa,
    A,
}

impl Subject {
    /// Every record of the alias zone that an audit asks about, what is needed first. Names that are made up
    /// are nobody's: they have 32 random bits.
    pub fn probes(&self) -> Result<Vec<Probe>, NameError> {
        let zone = &self.zone;
        let label = format!("acme-alias-audit-{:08x}", rand::random::<u32>());
        let (own, sibling) = (zone.challenge_name()?, zone.child(&label)?);
        let mut probes: Vec<_> = self.alias_names.iter().map(Probe::needed).collect();
        for (name, what) in [
            (zone, "TXT at the apex"),
            (&own, "TXT at the zone's own challenge name"),
            (&sibling, "TXT at another name"),
        ] {
            if !self.alias_names.contains(name) {
                probes.push(Probe::wide(name, what));
            }
        }
        let dangerous = Probe::dangerous;
        for name in &self.alias_names {
            // No address: BIND refuses one at a name with `_` whatever the policy says (`check-names`).
            probes.extend([
                Probe::wide(&name.child(&label)?, "TXT below an alias name"),
                dangerous(name, ProbeKind::Cname, "CNAME at an alias name"),
                dangerous(name, ProbeKind::Ns, "NS at an alias name"),
                dangerous(name, ProbeKind::Caa, "CAA at an alias name"),
            ]);
        }
        probes.extend([
            dangerous(&sibling, ProbeKind::Cname, "CNAME"),
            dangerous(&sibling, ProbeKind::Ns, "NS: a delegation"),
            dangerous(zone, ProbeKind::Caa, "CAA at the apex"),
            dangerous(&sibling, ProbeKind::A, "A: an address"),
        ]);
        Ok(probes)
    }
}

impl Probe {
    /// TXT at a challenge name of a main zone.
    pub fn main_zone(challenge_name: &DnsName) -> Self {
        let what = "TXT in a main zone";
        Probe::new(challenge_name, ProbeKind::Txt, what, Weight::Fatal)
    }

    fn needed(name: &DnsName) -> Self {
        Probe::new(name, ProbeKind::Txt, "TXT at an alias name", Weight::Needed)
    }

    fn wide(name: &DnsName, what: &str) -> Self {
        Probe::new(name, ProbeKind::Txt, what, Weight::Wide)
    }

    fn dangerous(name: &DnsName, kind: ProbeKind, what: &str) -> Self {
        Probe::new(name, kind, what, Weight::Dangerous)
    }

    fn new(name: &DnsName, kind: ProbeKind, what: &str, weight: Weight) -> Self {
        Probe {
            right: format!("{what} ({name})"),
            name: name.clone(),
            kind,
            weight,
        }
    }
}
