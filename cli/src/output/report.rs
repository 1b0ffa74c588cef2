//! The results of the commands, before they are printed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::acme::RevocationReason;
use acme_alias_core::delegation::{DelegationReport, Finding, Severity, ZoneRecord};
use acme_alias_core::engine::{NotDue, Reconciliation, RevokedCertificate, Undeployed, Waiting};
use acme_alias_core::issue::{Issued, Plan};
use acme_alias_core::ledger::{OpenValue, ZoneSerials};
use acme_alias_core::name::{DnsName, Identifier};
use acme_alias_core::registry::ProviderKind;
use acme_alias_core::renewal::{Due, Why};
use acme_alias_core::rights::{Grade, Policy, Right};
use acme_alias_core::store::{CertificateId, StoredCertificate};
use acme_alias_core::zone::Published;

use super::imported::Imported;
use super::listing::Listing;
use super::managed::{ForgottenCertificate, ShownAccount, ShownCertificate};
use super::records::RecordFormat;
use crate::failure::{Failure, Part, of_left_out, zone_in_words};
use crate::settings::Shown;

/// What was found where a secret is kept, in words without the secret.
pub(crate) struct FoundSecret {
    /// The id of the provider.
    pub(crate) provider: String,
    pub(crate) found: String,
}

/// The result of a command.
pub(crate) enum Report {
    Issued(Box<Obtained>),
    /// The stored certificate is valid and has what the settings ask for. It was kept.
    Kept(NotDue),
    Rehearsed {
        plans: Vec<(CertificateId, Plan)>,
        failed: Vec<(CertificateId, Failure)>,
        interrupted: bool,
    },
    Renewed(Renewal),
    List(Listing),
    Providers(Vec<&'static ProviderKind>),
    Settings {
        /// The files that were read, lowest first.
        files: Vec<String>,
        settings: Vec<Shown>,
    },
    SettingsGood {
        warnings: usize,
        found: Vec<FoundSecret>,
    },
    LedgerWhole {
        lines: u64,
        /// Whether the last line was cut off by a crash.
        truncated: bool,
        /// Values that may still be in a zone.
        open: usize,
    },
    /// By alias zone.
    Policies(Vec<(DnsName, Vec<Policy>)>),
    Audited {
        keys: Vec<Audited>,
        /// Whether all that was found is shown, and not only what is wrong.
        full: bool,
    },
    Checked(Checked),
    Offboarding(Offboarding),
    Records {
        records: Vec<ZoneRecord>,
        /// Records that are there already, and left out.
        there: usize,
        /// Names of which it is not known what they need.
        left_out: usize,
        format: RecordFormat,
    },
    Exported {
        runs: usize,
        folder: PathBuf,
    },
    Serials {
        /// By alias zone.
        zones: Vec<(DnsName, ZoneSerials)>,
        /// The zones whose current serial could not be read.
        unread: Vec<DnsName>,
    },
    /// The movements that the ledger counts as explained from now on, by alias zone.
    SerialsExplained(Vec<(DnsName, ZoneSerials)>),
    Reconciled(Reconciliation),
    /// The values that the ledger does not have any more.
    Forgotten(Vec<Arc<OpenValue>>),
    Certificate(Box<ShownCertificate>),
    Revoked {
        revoked: RevokedCertificate,
        reason: RevocationReason,
    },
    ForgottenCertificate(Box<ForgottenCertificate>),
    Account(Box<ShownAccount>),
    Imported(Box<Imported>),
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
    /// Whether everything that was seen is shown, and not only what is wrong.
    pub(crate) full: bool,
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
    /// The certificates that have it.
    pub(crate) certificates: Vec<CertificateId>,
    pub(crate) report: DelegationReport,
}

impl Checked {
    pub(crate) fn has_errors(&self) -> bool {
        self.names.iter().any(|name| name.report.has_errors())
    }

    /// How severe the worst finding about each challenge name is, for whichever of its certificates.
    pub(crate) fn worst(&self) -> BTreeMap<&DnsName, Option<Severity>> {
        let mut worst: BTreeMap<_, Option<Severity>> = BTreeMap::new();
        for CheckedName { report, .. } in &self.names {
            let found = report.findings.first().map(|finding| finding.severity);
            let of_name = worst.entry(&report.chain.challenge_name).or_default();
            *of_name = found.max(*of_name);
        }
        worst
    }

    /// How many challenge names have this as their worst finding, or none at all.
    pub(crate) fn count(&self, worst: Option<Severity>) -> usize {
        let found = self.worst().into_values();
        found.filter(|found| *found == worst).count()
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.names.iter().flat_map(|name| &name.report.findings)
    }

    /// Challenge names that were looked at in a second.
    pub(crate) fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let names = self.worst().len() as f64;
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
            Report::List(listing) if listing.has_alarm() => return Part::Unexpected.exit_code(),
            Report::Reconciled(done) if !done.left.is_empty() => return Part::Dns.exit_code(),
            Report::ForgottenCertificate(forgotten) if forgotten.is_left() => {
                return Part::Dns.exit_code();
            }
            Report::Audited { keys, .. } if keys.iter().any(Audited::is_bad) => {
                return Part::Dns.exit_code();
            }
            Report::Checked(checked) if checked.has_errors() => {
                return Part::Delegation.exit_code();
            }
            Report::Records { left_out: 1.., .. } => return Part::Delegation.exit_code(),
            Report::Offboarding(left) if !left.steps.is_empty() || left.unknown.is_some() => {
                return Part::Delegation.exit_code();
            }
            Report::Serials { zones, .. }
                if zones.iter().any(|(_, zone)| !zone.foreign.is_empty()) =>
            {
                return Part::Unexpected.exit_code();
            }
            Report::Serials { unread, .. } if !unread.is_empty() => return Part::Dns.exit_code(),
            Report::Rehearsed {
                failed,
                interrupted: true,
                ..
            } if failed.is_empty() => return Part::Interrupted.exit_code(),
            Report::Renewed(renewal) if renewal.failed.is_empty() && renewal.interrupted => {
                return Part::Interrupted.exit_code();
            }
            Report::Imported(imported) => return imported.exit_code(),
            Report::Issued(obtained) => (std::slice::from_ref(&**obtained), [].as_slice()),
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
        } else if let Some((_, why)) = obtained.iter().find_map(|one| one.left_out.first()) {
            why.part
        } else if matches!(self, Report::Issued(obtained) if obtained.is_interrupted()) {
            Part::Interrupted
        } else if obtained
            .iter()
            .any(|obtained| !obtained.undeployed.is_empty())
            || matches!(self, Report::Renewed(renewal) if renewal.is_undeployed())
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
    pub(crate) stored: StoredCertificate,
    pub(crate) due: Due,
    /// TXT values that may still be in a zone, in words.
    pub(crate) left_behind: Option<String>,
    /// The names that it is without, and why.
    pub(crate) left_out: Vec<(Vec<String>, Failure)>,
    /// The targets that are not done.
    pub(crate) undeployed: Vec<Undeployed>,
    /// Whether the run was interrupted.
    pub(crate) interrupted: bool,
}

impl Obtained {
    pub(crate) fn new(issued: Issued, due: Due, undeployed: Vec<Undeployed>) -> Self {
        let left_behind = issued.left_behind.iter().map(zone_in_words);
        let left_behind: Vec<_> = left_behind.collect();
        let left_out = issued.left_out.into_iter();
        let left_out = left_out.map(|one| {
            let names = one.names.iter().map(ToString::to_string).collect();
            (names, of_left_out(one.error))
        });
        Obtained {
            due,
            stored: issued.stored,
            left_behind: (!left_behind.is_empty()).then(|| left_behind.join("; ")),
            left_out: left_out.collect(),
            undeployed,
            interrupted: false,
        }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted && !self.undeployed.is_empty()
    }
}

/// A certificate that was obtained in an earlier run and had targets to do.
pub(crate) struct Deployed {
    pub(crate) id: CertificateId,
    /// Whether targets were tried in this run. Otherwise those that are left wait for their next attempts.
    pub(crate) tried: bool,
    /// The targets that are not done.
    pub(crate) undeployed: Vec<Undeployed>,
}

/// What a renewal run did.
#[derive(Default)]
pub(crate) struct Renewal {
    pub(crate) renewed: Vec<Obtained>,
    pub(crate) deployed: Vec<Deployed>,
    pub(crate) not_due: Vec<NotDue>,
    /// Certificates that are due, and wait after failed attempts.
    pub(crate) waiting: Vec<Waiting>,
    /// Why certificates were to be obtained.
    pub(crate) why: BTreeMap<CertificateId, Why>,
    /// Certificates that another process obtained meanwhile.
    pub(crate) up_to_date: Vec<CertificateId>,
    /// Certificates that another process is working on.
    pub(crate) in_progress: Vec<CertificateId>,
    pub(crate) failed: Vec<(CertificateId, Failure)>,
    pub(crate) interrupted: bool,
}

impl Renewal {
    /// How many certificates failed, or were obtained and not deployed.
    pub(crate) fn failed_or_undeployed(&self) -> usize {
        let obtained = self.renewed.iter().map(|one| &one.undeployed);
        let all = obtained.chain(self.deployed.iter().map(|one| &one.undeployed));
        self.failed.len() + all.filter(|undeployed| !undeployed.is_empty()).count()
    }

    /// Whether a certificate that was obtained in an earlier run has targets that are not done.
    fn is_undeployed(&self) -> bool {
        self.deployed
            .iter()
            .any(|deployed| !deployed.undeployed.is_empty())
    }
}
