//! What is measured, and who does it.

use acme_alias_tests::{Result, TestBed, Usage};

/// Something to obtain: certificates, each with its names.
pub(crate) struct Case {
    pub(crate) title: &'static str,
    pub(crate) certificates: Vec<Vec<String>>,
}

/// A program that can be measured.
pub(crate) trait Contender {
    fn title(&self) -> &'static str;
    /// Obtains the certificates of a case.
    fn obtain(&self, bed: &TestBed, case: &Case) -> Result<Usage>;
}
