//! What the check of one rule gives.

/// What happened instead of what a rule requires.
pub(crate) struct Mismatch(pub(crate) String);

impl Mismatch {
    pub(crate) fn new(observed: impl Into<String>) -> Self {
        Mismatch(observed.into())
    }
}

/// The outcome of one rule.
pub(crate) type Outcome = Result<(), Mismatch>;
