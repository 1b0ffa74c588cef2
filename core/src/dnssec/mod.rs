//! DNSSEC validation (RFC 4033 §5), as the validating resolver of a CA does it.
//!
//! hickory validates. This module gives it answers from authoritative servers, and finds the reason if records
//! are bogus, which hickory does not report.

mod fault;
mod records;
mod security;
mod source;
mod validator;
mod validity;

pub use self::security::Security;
pub(crate) use self::validator::Validator;
