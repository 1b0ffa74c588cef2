//! What a key should be allowed to do, and policies that allow it.

use secrecy::SecretString;
use serde::Serialize;

use crate::name::DnsName;

/// The names that a grant covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// TXT at the alias names only.
    #[default]
    Name,
    /// TXT at the alias names and below them.
    Subdomain,
    /// TXT at any name of the alias zone, including its apex.
    Zone,
}

/// What a key should be allowed to do.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The alias zone.
    pub zone: DnsName,
    /// The alias names in it.
    pub names: Vec<DnsName>,
    /// The names that it covers.
    pub scope: Scope,
    /// A new key; none if the existing one stays.
    pub key: Option<NewKey>,
}

/// A new key.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its secret, in base64, if this policy adds the key to the server. The policy shows it.
    pub secret: Option<SecretString>,
}

/// A grant in the syntax of one kind of server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The kind of server, and the file or command.
    pub title: String,
    /// The text to put there.
    pub text: String,
    /// What it still allows, in words.
    pub limits: Option<String>,
}
