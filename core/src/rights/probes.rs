//! The records that an audit probes: those that the key needs, and those that a thief would write.

use super::audit::{Subject, Weight};
use crate::name::{DnsName, NameError};

/// A record that a key may be able to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its owner name.
    pub name: DnsName,
    /// Its type.
    pub kind: ProbeKind,
    /// The right, in words.
    pub right: String,
    /// How useful it is to a thief.
    pub weight: Weight,
}

/// The types that are probed.
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
    /// Every record of the alias zone that an audit probes, the needed ones first. Made-up names have 32
    /// random bits, so that nobody uses them.
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
            // No address: BIND refuses one at a name with `_`, regardless of the policy (`check-names`).
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
