//! What a person, or a program, gets to see.
//!
//! Results go to standard output; progress, warnings and errors go to standard error. With
//! `--output json` standard output carries one JSON object and nothing else, errors included.

mod account;
mod check;
mod deployment;
mod finding;
mod format;
mod human;
mod imported;
mod json;
mod json_parts;
mod keys;
mod layout;
mod ledger;
mod listing;
mod listing_json;
mod listing_text;
mod managed;
mod managed_json;
mod managed_text;
mod progress;
mod records;
mod remedy;
mod renewal;
mod report;
mod serials;
mod stream;
mod table;
mod warnings;
pub(crate) mod words;

use std::sync::Arc;

use acme_alias_core::delegation::Finding;
use acme_alias_core::issue::{NoObserver, Observer};

pub(crate) use self::format::Format;
pub(crate) use self::imported::Imported;
use self::ledger::LedgerPrinter;
pub(crate) use self::listing::{Listed, Listing, State, Warn};
pub(crate) use self::managed::{
    AccountAction, ForgottenCertificate, ShownAccount, ShownCertificate,
};
pub(crate) use self::records::RecordFormat;
pub(crate) use self::report::{
    Audited, Checked, CheckedName, Deployed, FoundSecret, Obtained, Offboarding, Probed, Renewal,
    Report,
};
pub(crate) use self::warnings::Warnings;
use crate::failure::Failure;

/// The list of certificates as `list --output json` prints it.
#[cfg(feature = "http")]
pub(crate) fn list_as_json(listing: &Listing) -> String {
    json::text(&listing_json::listing(listing))
}

/// Prints a page that is no result.
pub(crate) fn page(text: &str) {
    stream::stdout(text);
}

/// Prints text for people that no result follows.
pub(crate) fn notice(text: &str) {
    stream::message(text);
}

/// Where everything that is printed goes through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    /// Log lines go to standard error, where a moving display would be torn by them.
    pub(crate) logging: bool,
}

impl Output {
    /// Shows the progress of a run.
    pub(crate) fn observer(self) -> Arc<dyn Observer> {
        if self.quiet {
            Arc::new(NoObserver)
        } else if stream::is_moving() && !self.logging {
            Arc::new(progress::Display::default())
        } else {
            Arc::new(progress::Lines::default())
        }
    }

    pub(crate) fn report(self, report: &Report) {
        match self.format {
            Format::Human => human::report(report, self.quiet),
            Format::Json => json::print(&json::report(report)),
        }
    }

    pub(crate) fn failure(self, failure: &Failure) {
        match self.format {
            Format::Human => human::failure(failure),
            Format::Json => json::print(&json::failure(failure)),
        }
    }

    /// Prints the lines of the ledger one by one.
    pub(crate) fn ledger_printer(self) -> LedgerPrinter {
        LedgerPrinter::new(self.format)
    }

    /// Something that happened, and needs no action.
    pub(crate) fn note(self, note: &str) {
        if !self.quiet {
            stream::message(&format!("{note}\n"));
        }
    }

    /// Something that happened to a process that goes on. A program knows it by `event`.
    pub(crate) fn event(self, event: &str, message: &str) {
        match self.format {
            Format::Human => self.note(message),
            Format::Json => json::print(&json::event(event, message)),
        }
    }

    pub(crate) fn warning(self, warning: &str) {
        if !self.quiet {
            human::warning(warning);
        }
    }

    pub(crate) fn warn_findings(self, findings: &[Finding]) {
        if !self.quiet {
            findings.iter().for_each(human::finding);
        }
    }

    /// What is not as it might be with the certificates of a run: each finding, and each name server that did
    /// not answer, once.
    pub(crate) fn warn_of_all(self, warnings: Warnings) {
        let (findings, others) = warnings.into_parts();
        self.warn_findings(&findings);
        for warning in others {
            self.warning(&warning);
        }
    }
}
