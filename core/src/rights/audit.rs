//! What a key can really do.

use std::fmt;

use serde::Serialize;

use super::grant::Policy;
use crate::dns::{DnsError, Server};
use crate::name::DnsName;

/// What an audit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The alias zone.
    pub zone: DnsName,
    /// The alias names that are in use.
    pub alias_names: Vec<DnsName>,
    /// The zones that certificates are for.
    pub main_zones: Vec<MainZone>,
}

/// A zone that certificates are for, which no key shall be able to write in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainZone {
    /// The zone; where it was not found, the name that is in it.
    pub zone: DnsName,
    /// The challenge names in it.
    pub challenge_names: Vec<DnsName>,
    /// Its servers, or why they are not known.
    pub servers: Result<Vec<Server>, DnsError>,
}

/// What a key can really do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Every right that was asked about; empty where nothing can be asked.
    pub rights: Vec<Right>,
    /// What would take away those that are not needed, in the words of the server that was asked; empty
    /// where nothing would.
    pub advice: Vec<Policy>,
}

impl Audit {
    /// An audit with these results. Where all that is needed is refused, no refusal is believed: a frozen
    /// zone, or a server that does not know the key, refuses everything.
    pub fn new(mut rights: Vec<Right>, advice: Vec<Policy>) -> Self {
        let mut needed = rights.iter().filter(|right| right.weight == Weight::Needed);
        if needed.all(|right| right.verdict == Verdict::Denied) {
            for right in &mut rights {
                right.doubt(Verdict::Denied, "what is needed is refused as well");
            }
        }
        Audit { rights, advice }
    }

    /// What the rights amount to.
    pub fn grade(&self) -> Grade {
        Grade::of(&self.rights)
    }
}

/// One thing that a key may be able to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    /// What, in words: `TXT at x.example`.
    pub right: String,
    /// How bad it is if it is allowed and not needed.
    pub weight: Weight,
    /// Whether it is.
    pub verdict: Verdict,
    /// How that is known.
    pub evidence: String,
}

/// What a right is worth to whoever steals the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The key is for it.
    Needed,
    /// Certificates for names that lead there later, mail policies of the alias zone, or a look at all of it.
    Wide,
    /// The alias zone can be turned against those who trust it.
    Dangerous,
    /// The main zones, or everybody's updates.
    Fatal,
}

impl Right {
    /// Whether somebody should take it away: it is not needed, and not shown to be refused.
    pub fn is_too_much(&self) -> bool {
        self.weight != Weight::Needed && self.verdict != Verdict::Denied
    }

    /// Where the verdict is this one, it becomes "cannot tell", for this reason.
    pub fn doubt(&mut self, verdict: Verdict, reason: &str) {
        if self.verdict == verdict {
            self.verdict = Verdict::CannotTell;
            self.evidence.push_str("; but ");
            self.evidence.push_str(reason);
        }
    }
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is.
    Allowed,
    /// It is not.
    Denied,
    /// The answers do not say.
    CannotTell,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Allowed => "allowed",
            Verdict::Denied => "denied",
            Verdict::CannotTell => "cannot tell",
        })
    }
}

/// What rights amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// All that is needed is allowed, and nothing else that was asked about.
    Tight,
    /// TXT elsewhere in the alias zone, its transfer, or a weak signature is allowed as well.
    Wide,
    /// More of the alias zone is.
    Dangerous,
    /// The main zones, or unsigned updates, are.
    Fatal,
    /// What is needed is not shown to be allowed, or something worse than what is allowed is not shown to be
    /// refused.
    CannotTell,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::Tight => "tight",
            Grade::Wide => "wide",
            Grade::Dangerous => "dangerous",
            Grade::Fatal => "fatal",
            Grade::CannotTell => "cannot tell",
        })
    }
}

impl Grade {
    /// The grade of these rights.
    pub fn of(rights: &[Right]) -> Self {
        let (needed, others): (Vec<_>, Vec<_>) = rights
            .iter()
            .partition(|right| right.weight == Weight::Needed);
        let worst = |verdict| {
            let with = others.iter().filter(|right| right.verdict == verdict);
            with.map(|right| right.weight).max()
        };
        let (allowed, open) = (worst(Verdict::Allowed), worst(Verdict::CannotTell));
        let is_shown =
            !needed.is_empty() && needed.iter().all(|right| right.verdict == Verdict::Allowed);
        match allowed {
            // The worst counts, whatever else is not known.
            Some(Weight::Fatal) => Grade::Fatal,
            Some(Weight::Dangerous) => Grade::Dangerous,
            _ if !is_shown || open > allowed => Grade::CannotTell,
            Some(_) => Grade::Wide,
            None => Grade::Tight,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Allowed, CannotTell, Denied};
    use super::*;

    #[test]
    fn the_worst_that_is_allowed_counts_and_nothing_is_passed_without_a_control() {
        let right = |weight, verdict| Right {
            right: String::new(),
            weight,
            verdict,
            evidence: String::new(),
        };
        let control = right(Weight::Needed, Allowed);
        let grade = |more: &[Right]| Grade::of(&[std::slice::from_ref(&control), more].concat());
        assert_eq!(grade(&[right(Weight::Dangerous, Denied)]), Grade::Tight);
        assert_eq!(grade(&[right(Weight::Wide, Allowed)]), Grade::Wide);
        assert_eq!(
            grade(&[right(Weight::Wide, Allowed), right(Weight::Fatal, Allowed)]),
            Grade::Fatal
        );
        for open in [
            &[right(Weight::Dangerous, CannotTell)][..],
            &[
                right(Weight::Wide, Allowed),
                right(Weight::Fatal, CannotTell),
            ],
            &[right(Weight::Needed, Denied)],
        ] {
            assert_eq!(grade(open), Grade::CannotTell, "{open:?}");
        }
        let both = [
            right(Weight::Wide, Allowed),
            right(Weight::Wide, CannotTell),
        ];
        assert_eq!(grade(&both), Grade::Wide);
        assert_eq!(
            Grade::of(&[right(Weight::Needed, Denied)]),
            Grade::CannotTell
        );
    }
}
