//! What a key may do: the narrowest grant for what is needed, and what it can really do.

use std::fmt;
use std::net::SocketAddr;

use serde::Serialize;

use crate::name::DnsName;

/// How far a grant reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// TXT at the alias names, and nowhere else.
    #[default]
    Name,
    /// TXT at the alias names and below them.
    Subdomain,
    /// TXT at any name of the alias zone, its apex among them.
    Zone,
}

/// What a key is to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The alias zone.
    pub zone: DnsName,
    /// The alias names in it.
    pub names: Vec<DnsName>,
    /// How far it reaches.
    pub scope: Scope,
    /// A new key for it; none where there is one already.
    pub key: Option<NewKey>,
}

/// A key that was made for a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its secret, in base64. It is printed, because that is what it was made for.
    pub secret: String,
}

/// A grant in the words of one kind of server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Which server, and which file or command.
    pub title: String,
    /// What to put there.
    pub text: String,
    /// What it does not prevent, in words.
    pub limits: Option<String>,
}

/// What an audit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The alias zone.
    pub zone: DnsName,
    /// The alias names that are in use.
    pub alias_names: Vec<DnsName>,
    /// The zones that certificates are for, with their servers.
    pub main_zones: Vec<(DnsName, Vec<SocketAddr>)>,
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
    /// Certificates for names that lead there later, or mail policies of the alias zone.
    Wide,
    /// The alias zone can be turned against those who trust it.
    Dangerous,
    /// The main zones, or everybody's updates.
    Fatal,
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
    /// What is needed is allowed, and nothing else that was asked for.
    Tight,
    /// TXT elsewhere in the alias zone is allowed as well.
    Wide,
    /// More of the alias zone is.
    Dangerous,
    /// The main zones, or unsigned updates, are.
    Fatal,
    /// What is needed is not shown to be allowed, so that the other answers say nothing.
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
        let allowed: Vec<_> = rights
            .iter()
            .filter(|right| right.verdict == Verdict::Allowed)
            .map(|right| right.weight)
            .collect();
        let is_shown = allowed.contains(&Weight::Needed);
        let is_open = rights
            .iter()
            .any(|right| right.verdict == Verdict::CannotTell);
        match allowed.into_iter().max() {
            // The worst counts, whatever else is not known.
            Some(Weight::Fatal) => Grade::Fatal,
            Some(Weight::Dangerous) => Grade::Dangerous,
            Some(Weight::Wide) if is_shown => Grade::Wide,
            Some(Weight::Needed) if !is_open => Grade::Tight,
            _ => Grade::CannotTell,
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
        assert_eq!(
            grade(&[right(Weight::Dangerous, CannotTell)]),
            Grade::CannotTell
        );
        assert_eq!(
            Grade::of(&[right(Weight::Needed, Denied)]),
            Grade::CannotTell
        );
    }
}
