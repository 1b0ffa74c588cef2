//! Ids of runs.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One run of the program: when it began, and a random number.
///
/// Written in lower-case letters, digits and `-`, in at most 40 octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A new id for a run that began at this time.
    pub fn new(began: Timestamp) -> Self {
        let began = began.strftime("%Y%m%dt%H%M%Sz");
        RunId(format!("{began}-{:08x}", rand::random::<u32>()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ids are read from files and may become part of a path, so they are checked.
impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=40).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(RunId(text.to_owned()))
        } else {
            Err(InvalidRunId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

/// A text that is no [`RunId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not the id of a run", .0.escape_debug())]
pub struct InvalidRunId(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_unique_and_become_no_path() {
        let began = "2026-11-25T06:00:01Z".parse().unwrap();
        let run = RunId::new(began);
        assert!(run.as_str().starts_with("20261125t060001z-"), "{run}");
        assert_ne!(run, RunId::new(began));
        assert_eq!(run.to_string().parse(), Ok(run));
        for text in ["", "..", "a/b", "A", &"a".repeat(41)] {
            assert!(text.parse::<RunId>().is_err(), "{text:?}");
        }
        assert!(serde_json::from_str::<RunId>("\"../x\"").is_err());
    }
}
