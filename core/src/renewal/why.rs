//! Why a certificate is obtained.

use std::fmt;

use super::due::Reason;
use super::terms::Change;
use crate::printable::few;

/// Why a certificate is obtained.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// There is none yet.
    Missing,
    /// The current version is damaged.
    Damaged,
    /// The caller wants it now.
    Forced,
    /// An order is under way, and may have been paid for.
    Unfinished,
    /// The current version was revoked.
    Revoked,
    /// The configuration asks for something else now.
    Changed(Vec<Change>),
    /// The current version lacks these names: they could not be had.
    Incomplete(Vec<String>),
    /// It is time.
    Due(Reason),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Missing => f.write_str("there is none yet"),
            Why::Damaged => f.write_str("the stored one is damaged"),
            Why::Forced => f.write_str("by force"),
            Why::Unfinished => f.write_str("its order is under way"),
            Why::Revoked => f.write_str("it was revoked"),
            Why::Changed(changes) => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                f.write_str(&changes.join("; "))
            }
            Why::Incomplete(names) => write!(f, "{} was left out", few(names, ", ")),
            Why::Due(reason) => write!(f, "due by {reason}"),
        }
    }
}
