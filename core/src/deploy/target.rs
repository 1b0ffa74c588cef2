//! The targets of a certificate.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::command::CommandTarget;
use super::files::FilesTarget;

/// Something that is done with a certificate that has changed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub enum Target {
    /// Files are written.
    Files(FilesTarget),
    /// A program runs.
    Command(CommandTarget),
}

impl Target {
    /// Tells it apart from others, and from itself before a change: a digest of everything but timeouts and passwords.
    pub fn identity(&self) -> u64 {
        hash(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// A digest of targets in their order, for an index; 0 if there are none.
pub fn digest_of(targets: &[Target]) -> u64 {
    if targets.is_empty() {
        return 0;
    }
    let identities = targets.iter().map(Target::identity);
    let octets: Vec<_> = identities.flat_map(u64::to_be_bytes).collect();
    hash(&octets)
}

fn hash(octets: &[u8]) -> u64 {
    let hash = digest(&SHA256, octets);
    let first = hash.as_ref().iter().take(size_of::<u64>());
    first.fold(0, |digest, octet| digest << 8 | u64::from(*octet))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Files(files) => files.fmt(f),
            Target::Command(command) => command.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn command(words: &[&str]) -> CommandTarget {
        CommandTarget::new(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_a_target_does_is_its_identity() {
        let one = Target::Command(command(&["a", "b"]));
        let other = Target::Command(command(&["a b"]));
        assert_ne!(one.identity(), other.identity());
        let slow = Target::Command(CommandTarget {
            timeout: Duration::from_secs(1),
            ..command(&["a", "b"])
        });
        assert_eq!(one.identity(), slow.identity());
        assert_eq!(digest_of(&[]), 0);
        let (both, turned) = ([one.clone(), other.clone()], [other, one]);
        assert_ne!(digest_of(&both), digest_of(&turned));
    }
}
