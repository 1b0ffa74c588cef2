//! The conformance suite, with each provider on its real backend.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

mod cloudflare;
mod exec;
mod powerdns;
mod rfc2136;
mod route53;
// End of the providers.
