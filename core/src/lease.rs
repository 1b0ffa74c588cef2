//! Names and ids of leases.
//!
//! A lease is the right to work on one job, such as a certificate. It has a holder and expires by
//! itself. [`Store`](crate::store::Store) hands leases out. Ledger lines name the lease under which
//! a DNS change was made.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ledger::RunId;
use crate::store::id::{CertificateId, account_name};

/// The longest kind of a job, in octets.
const KIND_MAX: usize = 30;
/// The longest name of a job after its kind, in octets. Both fit into a file name.
const NAME_MAX: usize = 160;

/// What a lease is for: a kind, `/` and a name, such as `certificate/web`.
///
/// Both parts consist of lower-case letters, digits, `-`, `_` and `.`, and begin with a letter or a
/// digit. A kind has at most 30 octets, a name at most 160.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobName(String);

impl JobName {
    /// A job of this kind.
    pub fn new(kind: &str, name: &str) -> Result<Self, InvalidLeaseText> {
        let text = format!("{kind}/{name}");
        if is_part(kind, KIND_MAX) && is_part(name, NAME_MAX) {
            Ok(JobName(text))
        } else {
            Err(InvalidLeaseText {
                text,
                expected: "a job name (kind/name in lower-case letters, digits, `-`, `_` and `.`)",
            })
        }
    }

    /// Work on a certificate.
    pub fn certificate(id: &CertificateId) -> Self {
        JobName(format!("certificate/{id}"))
    }

    /// A run. It has ended when nobody holds its lease.
    pub fn run(run: &RunId) -> Self {
        JobName(format!("run/{run}"))
    }

    /// Work on the account at the CA with this directory URL.
    pub fn account(directory: &str) -> Self {
        let name = account_name(directory).to_ascii_lowercase();
        // A text that is not a URL may begin with these; the hash at its end always remains.
        JobName(format!("account/{}", name.trim_start_matches(['-', '.'])))
    }

    /// The text before the `/`.
    pub fn kind(&self) -> &str {
        self.0.split_once('/').map_or("", |(kind, _)| kind)
    }

    /// The text after the `/`.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for JobName {
    type Err = InvalidLeaseText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Without a `/` the name is empty, which is not valid.
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        JobName::new(kind, name)
    }
}

impl TryFrom<String> for JobName {
    type Error = InvalidLeaseText;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JobName> for String {
    fn from(job: JobName) -> Self {
        job.0
    }
}

/// Identifies one acquisition of a lease; no two are equal.
///
/// Written in the alphabet of [`JobName`], without a `/`, in at most 60 octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaseId(String);

impl LeaseId {
    /// The longest id, in octets.
    const MAX: usize = 60;

    /// A new id: 16 hexadecimal digits, chosen at random.
    pub fn random() -> Self {
        LeaseId(format!("{:016x}", rand::random::<u64>()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LeaseId {
    type Err = InvalidLeaseText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_part(text, Self::MAX) {
            Ok(LeaseId(text.to_owned()))
        } else {
            Err(InvalidLeaseText {
                text: text.to_owned(),
                expected: "a lease id (lower-case letters, digits, `-`, `_` and `.`)",
            })
        }
    }
}

impl TryFrom<String> for LeaseId {
    type Error = InvalidLeaseText;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LeaseId> for String {
    fn from(id: LeaseId) -> Self {
        id.0
    }
}

/// A lease that was acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Unique for each acquisition.
    pub id: LeaseId,
    /// What it is for.
    pub job: JobName,
    /// Who holds it, as text for people.
    pub holder: String,
    /// When it ends, unless it is renewed.
    pub expires: Timestamp,
}

impl Lease {
    /// The longest duration. Longer ones are shortened to it.
    pub const MAX_DURATION: SignedDuration = SignedDuration::from_hours(24);

    /// When a lease of this duration expires that is taken or renewed now.
    pub fn expiry(now: Timestamp, duration: SignedDuration) -> Timestamp {
        now.saturating_add(duration.min(Self::MAX_DURATION))
            .unwrap_or(now)
    }

    /// Whether the lease has expired.
    ///
    /// An expiry more than [`Lease::MAX_DURATION`] away was computed by a clock that has been set
    /// back since. It counts as expired; otherwise such a lease would block its job until the clock
    /// reaches that time again.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        Self::is_past(self.expires, now)
    }

    /// Whether a lease with this expiry has expired, see [`Lease::has_expired`].
    pub(crate) fn is_past(expires: Timestamp, now: Timestamp) -> bool {
        expires <= now || expires.duration_since(now) > Self::MAX_DURATION
    }
}

/// A text that is not a [`JobName`] or not a [`LeaseId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not {expected}", .text.escape_debug())]
pub struct InvalidLeaseText {
    /// The text.
    pub text: String,
    /// What was expected in its place.
    pub expected: &'static str,
}

fn is_part(text: &str, max: usize) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.as_bytes().first().is_some_and(alphanumeric)
        && text.len() <= max
        && text
            .bytes()
            .all(|b| alphanumeric(&b) || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_names_have_a_kind_and_a_name() {
        let job: JobName = "certificate/example-com_2.x".parse().unwrap();
        assert_eq!((job.kind(), job.name()), ("certificate", "example-com_2.x"));
        assert_eq!(job, JobName::new("certificate", "example-com_2.x").unwrap());
        for text in [
            "",
            "/",
            "certificate",
            "certificate/",
            "/web",
            "a/b/c",
            "a/..",
            "../a",
            "A/b",
            "a/b c",
            "a/b\0",
            &format!("a/{}", "b".repeat(161)),
        ] {
            assert!(text.parse::<JobName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_directory_url_has_a_valid_job_name() {
        let urls = [
            "https://ca.example/dir",
            "https://CA.example/dir",
            "https://../../etc/passwd",
            "https://-x/",
            "",
            &format!("https://{}/", "a".repeat(300)),
        ];
        let jobs: Vec<_> = urls.iter().map(|url| JobName::account(url)).collect();
        for job in &jobs {
            assert_eq!(job.as_str().parse().as_ref(), Ok(job));
        }
        assert_ne!(jobs[0], jobs[1]);
    }

    #[test]
    fn lease_ids_are_unique_and_become_no_path() {
        assert_ne!(LeaseId::random(), LeaseId::random());
        let id = LeaseId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "..", "a/b", "A", &"a".repeat(61)] {
            assert!(text.parse::<LeaseId>().is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<LeaseId>("\"../x\"").is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_lease_immortal() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let lease = Lease {
            id: LeaseId::random(),
            job: JobName::new("run", "1").unwrap(),
            holder: "x".to_owned(),
            expires: Lease::expiry(now, SignedDuration::from_hours(1000)),
        };
        assert_eq!(lease.expires, now + Lease::MAX_DURATION);
        assert!(!lease.has_expired(now));
        assert!(lease.has_expired(lease.expires));
        assert!(lease.has_expired(now - SignedDuration::from_secs(1)));
    }
}
