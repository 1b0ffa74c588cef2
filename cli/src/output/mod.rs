//! What a person, or a program, gets to see.
//!
//! Results go to standard output; progress, warnings and errors go to standard error. With
//! `--output json` standard output carries one JSON object and nothing else, errors included.

mod check;
mod human;
mod json;
mod keys;
mod progress;
mod records;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::delegation::{DelegationReport, Finding, ZoneRecord};
use acme_alias_core::issue::{Issued, Observer, Plan};
use acme_alias_core::ledger::{Line, Open, ZoneSerials};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::rights::{Grade, Policy, Right};
use acme_alias_core::store::{CertificateId, Stored};
use acme_alias_core::zone::Published;
use jiff::Timestamp;

pub(crate) use self::records::RecordFormat;
use crate::failure::{Failure, Part};
use crate::settings::Shown;

/// Prints a page that is no result.
pub(crate) fn page(text: &str) {
    human::stdout(text);
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Human,
    Json,
}

/// The result of a command.
pub(crate) enum Report {
    Issued(Obtained),
    Rehearsed {
        plans: Vec<(CertificateId, Plan)>,
        failed: Vec<(CertificateId, Failure)>,
    },
    Renewed(Renewal),
    List(Vec<Listed>),
    Providers(Vec<&'static ProviderKind>),
    Settings(Vec<Shown>),
    SettingsGood {
        warnings: usize,
    },
    Ledger(Vec<Line>),
    LedgerWhole {
        lines: usize,
        /// Whether the last line was cut off by a crash.
        truncated: bool,
        /// Values that may still be in a zone.
        open: usize,
    },
    /// By alias zone.
    Policies(Vec<(DnsName, Vec<Policy>)>),
    Audited(Vec<Audited>),
    Checked(Checked),
    Offboarding(Offboarding),
    Records {
        records: Vec<ZoneRecord>,
        /// Records that are there already, and left out.
        there: usize,
        format: RecordFormat,
    },
    Exported {
        runs: usize,
        folder: PathBuf,
    },
    /// By alias zone.
    Serials(Vec<(DnsName, ZoneSerials)>),
    Reconciled {
        closed: usize,
        /// What nobody in the settings can look after.
        left: Vec<Open>,
    },
}

/// What the key of an alias zone can do.
pub(crate) struct Audited {
    pub(crate) zone: DnsName,
    pub(crate) key: Option<String>,
    pub(crate) rights: Vec<Right>,
    pub(crate) grade: Grade,
    /// What would narrow it.
    pub(crate) advice: Vec<Policy>,
}

impl Audited {
    /// Whether somebody should do something about it.
    fn is_bad(&self) -> bool {
        !matches!(self.grade, Grade::Tight | Grade::Wide)
    }
}

/// Delegations that were looked at.
pub(crate) struct Checked {
    pub(crate) names: Vec<CheckedName>,
    pub(crate) took: Duration,
    /// What came of writing to the alias zones, where that was wanted.
    pub(crate) probed: Option<Probed>,
}

/// Probes that were written at alias names, and withdrawn.
pub(crate) struct Probed {
    pub(crate) published: Vec<Published>,
    /// The challenge names whose delegations are not in order.
    pub(crate) left_out: Vec<DnsName>,
}

/// One challenge name, and whose it is.
pub(crate) struct CheckedName {
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) examination: DelegationReport,
}

impl Checked {
    pub(crate) fn has_errors(&self) -> bool {
        self.names.iter().any(|name| name.examination.has_errors())
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.names
            .iter()
            .flat_map(|name| &name.examination.findings)
    }

    /// Challenge names that were looked at in a second.
    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let names = self.names.len() as f64;
        names / self.took.as_secs_f64()
    }
}

/// What still leads from a domain into the alias zones.
pub(crate) struct Offboarding {
    pub(crate) domain: Identifier,
    /// What to do, one after the other.
    pub(crate) steps: Vec<String>,
    /// Why it is not known where the domain leads.
    pub(crate) unknown: Option<String>,
}

impl Report {
    /// The exit code: that of the first failure, where there is one among successes.
    pub(crate) fn exit_code(&self) -> u8 {
        let (obtained, failed) = match self {
            Report::Reconciled { left, .. } if !left.is_empty() => return Part::Dns.exit_code(),
            Report::Audited(zones) if zones.iter().any(Audited::is_bad) => {
                return Part::Dns.exit_code();
            }
            Report::Checked(checked) if checked.has_errors() => {
                return Part::Delegation.exit_code();
            }
            Report::Offboarding(left) if !left.steps.is_empty() || left.unknown.is_some() => {
                return Part::Delegation.exit_code();
            }
            Report::Serials(zones) if zones.iter().any(|(_, zone)| !zone.foreign.is_empty()) => {
                return Part::Unexpected.exit_code();
            }
            Report::Issued(obtained) => (std::slice::from_ref(obtained), [].as_slice()),
            Report::Renewed(renewal) => (renewal.renewed.as_slice(), renewal.failed.as_slice()),
            Report::Rehearsed { failed, .. } => ([].as_slice(), failed.as_slice()),
            _ => ([].as_slice(), [].as_slice()),
        };
        let part = if let Some((_, failure)) = failed.first() {
            failure.part
        } else if obtained
            .iter()
            .any(|obtained| obtained.left_behind.is_some())
        {
            Part::Dns
        } else if obtained
            .iter()
            .any(|obtained| obtained.hook_failure.is_some())
        {
            Part::Unexpected
        } else {
            return 0;
        };
        part.exit_code()
    }
}

/// A certificate obtained in this run.
pub(crate) struct Obtained {
    pub(crate) stored: Stored,
    pub(crate) due: Timestamp,
    /// TXT values that may still be in a zone, in words.
    pub(crate) left_behind: Option<String>,
    /// What went wrong in the deploy hook, in words.
    pub(crate) hook_failure: Option<String>,
}

impl Obtained {
    pub(crate) fn new(issued: Issued, hook_failure: Option<String>) -> Self {
        Obtained {
            due: acme_alias_core::renewal::due(&issued.stored.info),
            stored: issued.stored,
            left_behind: issued.left_behind.as_ref().map(crate::failure::in_words),
            hook_failure,
        }
    }
}

/// What a renewal run did.
#[derive(Default)]
pub(crate) struct Renewal {
    pub(crate) renewed: Vec<Obtained>,
    pub(crate) skipped: Vec<Listed>,
    pub(crate) failed: Vec<(CertificateId, Failure)>,
}

/// A certificate in the store.
pub(crate) struct Listed {
    pub(crate) stored: Stored,
    pub(crate) due: Timestamp,
}

impl Listed {
    pub(crate) fn new(stored: Stored) -> Self {
        Listed {
            due: acme_alias_core::renewal::due(&stored.info),
            stored,
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due <= Timestamp::now()
    }
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
    /// Someone who shows the progress of a run with this many certificates.
    pub(crate) fn observer(self, certificates: usize) -> Arc<dyn Observer> {
        if self.quiet {
            Arc::new(progress::Silent)
        } else if std::io::stderr().is_terminal() && !self.logging {
            Arc::new(progress::Display::new(certificates))
        } else {
            Arc::new(progress::Lines::default())
        }
    }

    pub(crate) fn report(self, report: &Report) {
        match self.format {
            Format::Human => human::report(report),
            Format::Json => json::print(&json::report(report)),
        }
    }

    pub(crate) fn failure(self, failure: &Failure) {
        match self.format {
            Format::Human => human::failure(failure),
            Format::Json => json::print(&json::failure(failure)),
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

    /// What is not as it might be with a certificate that was obtained.
    pub(crate) fn warn_issued(self, issued: &Issued) {
        self.warn_findings(&issued.warnings);
        if let Some(other) = &issued.other_chain {
            let id = &issued.stored.id;
            self.warning(&format!("{id}: {other}; the CA's choice was stored"));
        }
    }
}
