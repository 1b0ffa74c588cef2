//! What a key is to be allowed, and that in the words of a server.

use secrecy::SecretString;
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// Its secret, in base64, where this policy is to make it known to the server. It is printed then,
    /// because that is what it was made for.
    pub secret: Option<SecretString>,
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
