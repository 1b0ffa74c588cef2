//! What a certificate is ordered with, and whether that has changed.

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::certificate::KeyType;
use crate::printable::few;

/// What a certificate is ordered with.
///
/// A member that is `None` in the terms of a stored version was not recorded, or is not known. It is not compared,
/// except for the external key: versions without one have a key of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The names. Their order does not matter.
    pub names: BTreeSet<String>,
    /// The type of the key.
    pub key_type: Option<KeyType>,
    /// The directory URL of the CA.
    pub directory: Option<String>,
    /// What else the order asks for.
    pub chosen: Option<Chosen>,
    /// The SHA-256 of the public key of a certification request that others made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_key: Option<String>,
}

/// What an order may ask for, and need not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// The profile of the CA (draft-aaron-acme-profiles).
    pub profile: Option<String>,
    /// The common name of the root that the chain should lead to.
    pub preferred_chain: Option<String>,
}

/// What the configuration asks for, and a stored version does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Names came, or went.
    Names {
        /// The names that the version lacks.
        added: Vec<String>,
        /// The names that it has and that are not wanted any more.
        removed: Vec<String>,
    },
    /// Another type of key.
    KeyType {
        /// That of the version.
        from: KeyType,
        /// The wanted one.
        to: KeyType,
    },
    /// A key of others in place of ours, the other way round, or another one of others.
    ExternalKey {
        /// The fingerprint of that of the version, if others have its key.
        from: Option<String>,
        /// The fingerprint of that of the wanted certification request, if there is one.
        to: Option<String>,
    },
    /// Another CA.
    Ca {
        /// The directory URL of that of the version.
        from: String,
        /// That of the wanted one.
        to: String,
    },
    /// Another profile.
    Profile {
        /// That of the version, if it has one.
        from: Option<String>,
        /// The wanted one.
        to: Option<String>,
    },
    /// Another preferred chain.
    PreferredChain {
        /// That of the version, if it has one.
        from: Option<String>,
        /// The wanted one.
        to: Option<String>,
    },
}

impl Terms {
    /// What `wanted` has otherwise than these terms of a stored version.
    pub fn changes(&self, wanted: &Terms) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.names != wanted.names {
            changes.push(Change::Names {
                added: wanted.names.difference(&self.names).cloned().collect(),
                removed: self.names.difference(&wanted.names).cloned().collect(),
            });
        }
        if let Some((from, to)) = differ(self.key_type.as_ref(), wanted.key_type.as_ref()) {
            changes.push(Change::KeyType { from, to });
        }
        if self.external_key != wanted.external_key {
            changes.push(Change::ExternalKey {
                from: self.external_key.clone(),
                to: wanted.external_key.clone(),
            });
        }
        if let Some((from, to)) = differ(self.directory.as_ref(), wanted.directory.as_ref()) {
            changes.push(Change::Ca { from, to });
        }
        if let (Some(from), Some(to)) = (&self.chosen, &wanted.chosen) {
            if from.profile != to.profile {
                let (from, to) = (from.profile.clone(), to.profile.clone());
                changes.push(Change::Profile { from, to });
            }
            if from.preferred_chain != to.preferred_chain {
                let (from, to) = (from.preferred_chain.clone(), to.preferred_chain.clone());
                changes.push(Change::PreferredChain { from, to });
            }
        }
        changes
    }

    /// A short form for an index. Equal terms have equal digests.
    pub fn digest(&self) -> u64 {
        // Such a value has nothing that JSON could not express.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let hash = digest(&SHA256, &json);
        let first = hash.as_ref().iter().take(size_of::<u64>());
        first.fold(0, |digest, octet| digest << 8 | u64::from(*octet))
    }
}

fn differ<T: PartialEq + Clone>(from: Option<&T>, to: Option<&T>) -> Option<(T, T)> {
    match (from, to) {
        (Some(from), Some(to)) if from != to => Some((from.clone(), to.clone())),
        _ => None,
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        match self {
            Change::Names { added, removed } => {
                let list = |names: &[String]| few(names, ", ");
                match (added.as_slice(), removed.as_slice()) {
                    (added, []) => write!(f, "{} was added", list(added)),
                    ([], removed) => write!(f, "{} was removed", list(removed)),
                    (added, removed) => {
                        write!(f, "{} was added, {} removed", list(added), list(removed))
                    }
                }
            }
            Change::KeyType { from, to } => write!(f, "the key type is {to} instead of {from}"),
            Change::ExternalKey { from: None, .. } => {
                f.write_str("the key is that of a certification request")
            }
            Change::ExternalKey { to: None, .. } => {
                f.write_str("the key is not that of a certification request any more")
            }
            Change::ExternalKey { .. } => {
                f.write_str("the certification request is for another key")
            }
            Change::Ca { from, to } => write!(f, "the CA is {to} instead of {from}"),
            Change::Profile { from, to } => {
                write!(f, "the profile is {} instead of {}", named(to), named(from))
            }
            Change::PreferredChain { from, to } => {
                let (from, to) = (named(from), named(to));
                write!(f, "the preferred chain is {to} instead of {from}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(names: &[&str]) -> Terms {
        Terms {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            key_type: Some(KeyType::EcdsaP256),
            directory: Some("https://ca.example/directory".to_owned()),
            chosen: Some(Chosen::default()),
            external_key: None,
        }
    }

    fn said(stored: &Terms, wanted: &Terms) -> Vec<String> {
        assert_ne!(stored.digest(), wanted.digest());
        let changes = stored.changes(wanted).into_iter();
        changes.map(|change| change.to_string()).collect()
    }

    #[test]
    fn the_order_of_names_does_not_matter() {
        let (one, other) = (
            terms(&["a.example", "b.example"]),
            terms(&["b.example", "a.example"]),
        );
        assert_eq!(one.changes(&other), []);
        assert_eq!(one.digest(), other.digest());
    }

    #[test]
    fn every_change_is_told() {
        let stored = terms(&["a.example", "b.example"]);
        let wanted = terms(&["a.example", "c.example"]);
        assert_eq!(
            said(&stored, &wanted),
            ["c.example was added, b.example removed"]
        );
        assert_eq!(
            said(&stored, &terms(&["a.example"])),
            ["b.example was removed"]
        );
        let mut wanted = stored.clone();
        wanted.key_type = Some(KeyType::Rsa2048);
        wanted.directory = Some("https://other.example/directory".to_owned());
        wanted.chosen = Some(Chosen {
            profile: Some("shortlived".to_owned()),
            preferred_chain: Some("Root".to_owned()),
        });
        let expected = [
            "the key type is rsa-2048 instead of ecdsa-p256",
            "the CA is https://other.example/directory instead of https://ca.example/directory",
            "the profile is shortlived instead of none",
            "the preferred chain is Root instead of none",
        ];
        assert_eq!(said(&stored, &wanted), expected);
    }

    #[test]
    fn every_change_of_who_has_the_key_is_told() {
        let own = terms(&["a.example"]);
        let external = |key: &str| Terms {
            key_type: None,
            external_key: Some(key.to_owned()),
            ..own.clone()
        };
        let (one, other) = (external("01"), external("02"));
        for (stored, wanted, expected) in [
            (&own, &one, "the key is that of a certification request"),
            (
                &one,
                &own,
                "the key is not that of a certification request any more",
            ),
            (&one, &other, "the certification request is for another key"),
        ] {
            assert_eq!(said(stored, wanted), [expected]);
        }
    }

    #[test]
    fn terms_without_an_external_key_have_the_digest_of_earlier_versions() {
        let json = serde_json::to_string(&terms(&["a.example"])).unwrap();
        assert!(!json.contains("external"), "{json}");
    }

    #[test]
    fn what_was_not_recorded_is_not_compared() {
        let wanted = terms(&["a.example"]);
        let stored = Terms {
            names: wanted.names.clone(),
            ..Terms::default()
        };
        assert_eq!(said(&stored, &wanted), Vec::<String>::new());
    }
}
