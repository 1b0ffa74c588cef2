//! Who must be allowed to issue.

/// The CA that issues, and our account there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaIdentity {
    /// The domain by which CAA records name the CA.
    pub issuer: String,
    /// Other domains that name the same CA.
    pub others: Vec<String>,
    /// The URL of our account there, if there is one.
    pub account: Option<String>,
}

impl CaaIdentity {
    /// Whether this domain names the CA.
    pub(super) fn is_named(&self, domain: &str) -> bool {
        let mut names = std::iter::once(&self.issuer).chain(&self.others);
        names.any(|name| name.eq_ignore_ascii_case(domain))
    }
}
