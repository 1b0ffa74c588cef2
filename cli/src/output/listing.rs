//! Certificates in a list: what is wrong with each, and in which order they are listed.

use std::path::PathBuf;

use acme_alias_core::engine::{CurrentVersion, Overview, WantedBy};
use acme_alias_core::renewal::Validity;
use acme_alias_core::store::StoredCertificate;
use jiff::{SignedDuration, Timestamp};

use super::words::{counted, in_words, moment};
use crate::failure::Failure;

/// With fewer days left there is an alarm, unless others are chosen.
const WARN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The certificates, those with problems first.
pub(crate) struct Listing {
    pub(crate) all: Vec<Listed>,
    pub(crate) now: Timestamp,
    /// The state folder.
    pub(crate) state: PathBuf,
    /// Only problems are listed, and are an alarm.
    pub(crate) check: Option<Warn>,
}

/// With how much time left a certificate is an alarm.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Warn {
    /// The chosen number of days.
    pub(crate) days: Option<u32>,
}

/// A certificate in a list.
pub(crate) struct Listed {
    pub(crate) overview: Overview,
    /// What its CA is called.
    pub(crate) ca: String,
    /// Whether something is run when it has changed.
    pub(crate) has_hook: bool,
    /// Why its settings cannot be used.
    pub(crate) unusable: Option<Failure>,
    /// Why it cannot be read.
    pub(crate) damage: Option<Failure>,
    /// The current version, if all of it is shown.
    pub(crate) stored: Option<StoredCertificate>,
}

/// The state of a certificate, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Damaged,
    Expired,
    Failed,
    Undeployed,
    Due,
    Good,
}

impl Listing {
    pub(crate) fn new(
        mut all: Vec<Listed>,
        now: Timestamp,
        state: PathBuf,
        check: Option<Warn>,
    ) -> Self {
        all.sort_by_cached_key(|listed| {
            let overview = &listed.overview;
            (
                listed.state(now),
                listed.current().map(|current| current.indexed.not_after),
                overview.id.clone(),
            )
        });
        Listing {
            all,
            now,
            state,
            check,
        }
    }

    /// Whether the check found a problem.
    pub(super) fn has_alarm(&self) -> bool {
        self.alarms().next().is_some()
    }

    /// The certificates with problems, if that is what is wanted.
    pub(super) fn alarms(&self) -> impl Iterator<Item = (&Listed, String)> {
        let all = self.check.iter().flat_map(|warn| {
            let alarm = |listed: &Listed| listed.alarm(self.now, *warn);
            self.all.iter().map(move |listed| (listed, alarm(listed)))
        });
        all.filter_map(|(listed, alarm)| Some((listed, alarm?)))
    }
}

impl Warn {
    /// The time that must be left.
    fn limit(self, validity: Validity) -> SignedDuration {
        match self.days {
            Some(days) => SignedDuration::from_hours(i64::from(days) * 24),
            None if validity.is_short() => validity.lifetime() / 4,
            None => WARN,
        }
    }
}

impl Listed {
    pub(super) fn current(&self) -> Option<&CurrentVersion> {
        self.overview.current.as_ref()?.as_ref().ok()
    }

    /// The time until it expires, negative afterwards.
    pub(super) fn left(&self, now: Timestamp) -> Option<SignedDuration> {
        let current = self.current()?;
        Some(current.indexed.not_after.duration_since(now))
    }

    pub(super) fn state(&self, now: Timestamp) -> State {
        let overview = &self.overview;
        if self.damage.is_some() {
            State::Damaged
        } else if self.left(now).is_some_and(|left| !left.is_positive()) {
            State::Expired
        } else if overview.attempts.is_some() || self.unusable.is_some() {
            State::Failed
        } else if self.is_undeployed() {
            State::Undeployed
        } else if overview.why.is_some() {
            State::Due
        } else {
            State::Good
        }
    }

    /// Whether it was stored and not deployed, and nobody is at it.
    fn is_undeployed(&self) -> bool {
        let is_deployed = |current: &CurrentVersion| current.indexed.deployed;
        let overview = &self.overview;
        overview.wanted_by != WantedBy::Nobody
            && !overview.is_busy
            && !self.current().is_none_or(is_deployed)
    }

    /// What is wrong, a sentence each.
    pub(super) fn notes(&self, now: Timestamp) -> Vec<String> {
        let overview = &self.overview;
        let mut notes = Vec::new();
        if let Some(damage) = &self.damage {
            let remedy = damage.remedy.as_deref().unwrap_or_default();
            notes.push(format!("{damage}; {remedy}"));
        }
        match self.left(now) {
            Some(left) if !left.is_positive() => {
                notes.push(format!("expired {} ago", in_words(left.abs())));
            }
            Some(_) => {}
            None if overview.wanted_by == WantedBy::Nobody || self.damage.is_some() => {}
            None => notes.push("not obtained yet".to_owned()),
        }
        if let Some(unusable) = &self.unusable {
            notes.push(format!("its settings cannot be used: {unusable}"));
        }
        notes.extend(self.failures());
        if self.is_undeployed() {
            notes.push("stored, but not deployed; the next `acme-alias renew` tries again".into());
        }
        if !overview.changes.is_empty() {
            let changes = overview.changes.iter().map(ToString::to_string);
            let changes: Vec<_> = changes.collect();
            notes.push(format!("the settings have changed: {}", changes.join("; ")));
        }
        notes
    }

    /// The attempts that failed, and what follows.
    fn failures(&self) -> Option<String> {
        let overview = &self.overview;
        let attempts = overview.attempts.as_ref()?;
        let next = match overview.next_try {
            Some(next) => format!("not before {}", moment(next)),
            None if overview.wanted_by == WantedBy::Nobody => "never".to_owned(),
            None => "by the next `acme-alias renew`".to_owned(),
        };
        let failed = usize::try_from(attempts.failed).unwrap_or(usize::MAX);
        Some(format!(
            "{} failed, the last at {}: {}; tried again {next}",
            counted(failed, "attempt", "attempts"),
            moment(attempts.pause.failed_at),
            attempts.error,
        ))
    }

    /// What an administrator must know, in one line.
    fn alarm(&self, now: Timestamp, warn: Warn) -> Option<String> {
        let mut alarms = Vec::new();
        if let (Some(left), Some(current)) = (self.left(now), self.current())
            && left.is_positive()
            && left < warn.limit(current.indexed.validity())
        {
            let not_after = moment(current.indexed.not_after);
            alarms.push(format!("expires in {}, at {not_after}", in_words(left)));
        }
        let is_alarm = match self.state(now) {
            State::Damaged | State::Expired | State::Undeployed => true,
            // As long as there is a valid certificate, failures have time.
            State::Failed => {
                self.current().is_none() || self.unusable.is_some() || self.is_undeployed()
            }
            State::Due | State::Good => false,
        };
        if !is_alarm && alarms.is_empty() {
            return None;
        }
        if self.overview.wanted_by == WantedBy::Nobody {
            alarms.push("no longer in the settings".to_owned());
        }
        alarms.extend(self.notes(now));
        Some(alarms.join("; "))
    }
}
