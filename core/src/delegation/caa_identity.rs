//! Who must be allowed to issue.

/// The CA that issues, and our account there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaIdentity {
    /// The domain by which CAA records name the CA.
    pub issuer: String,
    /// The URL of our account there, if there is one.
    pub account: Option<String>,
}
