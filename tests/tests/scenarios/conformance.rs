//! The contract of the providers, held against each of them on its real backend.

#![expect(clippy::unwrap_used, reason = "a stand of tests may fail as they do")]

mod cloudflare;
mod rfc2136;
mod route53;
// End of the providers.
