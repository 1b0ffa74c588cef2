//! What a key can really do.

use std::fmt;

use serde::Serialize;

use super::grant::Policy;
use crate::dns::{DnsError, Server};
use crate::name::DnsName;

/// What an audit looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The alias zone.
    pub zone: DnsName,
    /// The alias names that are in use.
    pub alias_names: Vec<DnsName>,
    /// The zones of the certificates.
    pub main_zones: Vec<MainZone>,
}

/// A zone of certificates, where no key of an alias zone may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainZone {
    /// The zone; if it was not found, the name whose zone was looked for.
    pub zone: DnsName,
    /// The challenge names in it.
    pub challenge_names: Vec<DnsName>,
    /// Its servers, or why they are unknown.
    pub servers: Result<Vec<Server>, DnsError>,
}

/// What a key can really do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Every right that was probed; empty if nothing could be probed.
    pub rights: Vec<Right>,
    /// Changes that take away the rights that are not needed, in the server's syntax; empty if there are
    /// none.
    pub advice: Vec<Policy>,
}

impl Audit {
    /// An audit with these results. If everything that is needed is refused, no refusal is trusted: a
    /// frozen zone, or a server without the key, refuses everything.
    pub fn new(mut rights: Vec<Right>, advice: Vec<Policy>) -> Self {
        let mut needed = rights.iter().filter(|right| right.weight == Weight::Needed);
        if needed.all(|right| right.verdict == Verdict::Denied) {
            for right in &mut rights {
                right.doubt(Verdict::Denied, "the server also refuses what is needed");
            }
        }
        Audit { rights, advice }
    }

    /// The grade of the rights.
    pub fn grade(&self) -> Grade {
        Grade::of(&self.rights)
    }
}

/// Something that a key may be able to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    /// The right in words: `TXT at x.example`.
    pub right: String,
    /// How bad it is if it is allowed and not needed.
    pub weight: Weight,
    /// Whether it is allowed.
    pub verdict: Verdict,
    /// The answer that shows it.
    pub evidence: String,
}

/// How useful a right is to a thief of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The key needs it.
    Needed,
    /// It allows certificates for names that are delegated later, mail policies of the alias zone, or
    /// reading all of it.
    Wide,
    /// It allows attacks on those who trust the alias zone.
    Dangerous,
    /// It allows changes of main zones, or updates by anyone.
    Fatal,
}

impl Right {
    /// Whether it should be taken away: it is not needed and not proven to be refused.
    pub fn is_too_much(&self) -> bool {
        self.weight != Weight::Needed && self.verdict != Verdict::Denied
    }

    /// Changes this verdict, if it is the one, to "cannot tell", for this reason.
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
    /// The server would do it.
    Allowed,
    /// The server refuses it.
    Denied,
    /// The answers do not show it.
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

/// The worst of several rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Only what is needed is allowed.
    Tight,
    /// TXT elsewhere in the alias zone, its transfer, or a weak signature is also allowed.
    Wide,
    /// Other records of the alias zone are also allowed.
    Dangerous,
    /// Changes of main zones, or unsigned updates, are also allowed.
    Fatal,
    /// What is needed is not proven to be allowed, or something worse than what is allowed is not proven
    /// to be refused.
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
            // The worst counts, even if other rights are unknown.
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
    fn the_worst_allowed_right_counts_and_nothing_is_tight_without_a_control() {
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
