//! Certificates in a list: what is wrong with each, and in which order they are listed.

use std::path::PathBuf;

use acme_alias_core::engine::{CurrentVersion, Overview, WantedBy};
use acme_alias_core::printable::few;
use acme_alias_core::renewal::{Attempts, Validity, Why};
use acme_alias_core::store::StoredCertificate;
use jiff::{SignedDuration, Timestamp};

use super::words::{counted, in_words, moment, whole_days};
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
    /// Why its settings cannot be used.
    pub(crate) unusable: Option<Failure>,
    /// Why it cannot be read.
    pub(crate) damage: Option<Failure>,
    /// The current version, if all of it is shown.
    pub(crate) stored: Option<StoredCertificate>,
}

/// The state of a certificate, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
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
                listed.left(now).map(whole_days),
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

    /// All of them, for a place that has room for some only. Those with problems come first; of these, certificates that
    /// were never obtained come last, because no service uses them.
    pub(crate) fn obtained_first(&self) -> Vec<&Listed> {
        let mut all: Vec<_> = self.all.iter().collect();
        all.sort_by_cached_key(|listed| {
            let is_good = listed.state(self.now) == State::Good
                && listed.alarm(self.now, Warn::default()).is_none();
            (is_good, listed.overview.current.is_none())
        });
        all
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
    pub(crate) fn current(&self) -> Option<&CurrentVersion> {
        self.overview.current.as_ref()?.as_ref().ok()
    }

    /// The time until it expires, negative afterwards.
    pub(crate) fn left(&self, now: Timestamp) -> Option<SignedDuration> {
        let current = self.current()?;
        Some(current.indexed.not_after.duration_since(now))
    }

    pub(crate) fn state(&self, now: Timestamp) -> State {
        let overview = &self.overview;
        if self.damage.is_some() {
            State::Damaged
        } else if self.left(now).is_some_and(|left| !left.is_positive()) {
            State::Expired
        } else if self.attempts().is_some() || self.unusable.is_some() {
            State::Failed
        } else if self.is_undeployed() {
            State::Undeployed
        } else if overview.why.is_some() {
            State::Due
        } else {
            State::Good
        }
    }

    /// The attempts that failed, if somebody still wants the certificate.
    pub(crate) fn attempts(&self) -> Option<&Attempts> {
        let attempts = self.overview.attempts.as_ref();
        attempts.filter(|_| self.overview.wanted_by != WantedBy::Nobody)
    }

    /// Whether it was stored and not deployed, and nobody is at it.
    pub(crate) fn is_undeployed(&self) -> bool {
        let is_deployed = |current: &CurrentVersion| current.indexed.deployed;
        let overview = &self.overview;
        overview.wanted_by != WantedBy::Nobody
            && !overview.is_busy
            && !self.current().is_none_or(is_deployed)
    }

    /// What is wrong, a sentence each.
    pub(crate) fn notes(&self, now: Timestamp) -> Vec<String> {
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
            notes.extend(self.undeployed());
        }
        match &overview.other {
            Some(changed @ Why::Changed(_)) => {
                notes.push(format!("the settings have changed: {changed}"));
            }
            Some(Why::Incomplete(names)) => {
                notes.push(format!(
                    "it lacks {}, which could not be had",
                    few(names, ", ")
                ));
            }
            _ => {}
        }
        notes
    }

    /// The last result in a word or two, and whether it is deployed.
    pub(crate) fn in_words(&self, now: Timestamp) -> String {
        let overview = &self.overview;
        let word = match self.state(now) {
            State::Damaged => "damaged",
            State::Expired => "expired",
            State::Failed => {
                let failed = self.attempts().map_or(0, |one| one.failed);
                match usize::try_from(failed).unwrap_or(usize::MAX) {
                    0 => "bad settings",
                    failed => return counted(failed, "failure", "failures"),
                }
            }
            State::Undeployed => "not deployed",
            State::Due | State::Good if overview.is_busy => "in progress",
            State::Due | State::Good => match self.current() {
                None if overview.wanted_by == WantedBy::Nobody => "-",
                None => "not obtained",
                Some(_) if overview.has_targets => "deployed",
                Some(_) => "obtained",
            },
        };
        word.to_owned()
    }

    /// The attempts that failed, and what follows.
    fn failures(&self) -> Option<String> {
        let attempts = self.attempts()?;
        let next = match self.overview.next_try {
            Some(next) => format!("; the next one is made after {}", moment(next)),
            None => "; the next `acme-alias renew` tries again".to_owned(),
        };
        let failed = usize::try_from(attempts.failed).unwrap_or(usize::MAX);
        Some(format!(
            "{} failed, the last at {}: {}{next}",
            counted(failed, "attempt", "attempts"),
            moment(attempts.pause.failed_at),
            attempts.error,
        ))
    }

    /// The targets that failed, or that some were not tried.
    fn undeployed(&self) -> Vec<String> {
        let failed = self.overview.undeployed.iter().filter_map(|target| {
            let attempts = target.attempts.as_ref()?;
            let (name, error) = (&target.name, &attempts.error);
            let until = moment(attempts.pause.until);
            let what = if error.starts_with(name.as_str()) {
                error.clone()
            } else {
                format!("{name}: {error}")
            };
            Some(format!(
                "stored, but not deployed: {what}; the next attempt is made after {until}"
            ))
        });
        let failed: Vec<_> = failed.collect();
        if failed.is_empty() {
            return vec![
                "stored, but not deployed; the next `acme-alias renew` does it".to_owned(),
            ];
        }
        failed
    }

    /// What an administrator must know, in one line.
    pub(crate) fn alarm(&self, now: Timestamp, warn: Warn) -> Option<String> {
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
        let is_alarm = is_alarm || matches!(self.overview.other, Some(Why::Incomplete(_)));
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

#[cfg(test)]
mod tests {
    use acme_alias_core::engine::CurrentVersion;
    use acme_alias_core::renewal::{self, Pause};
    use acme_alias_core::store::{IndexedVersion, StoreError};

    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    /// A certificate with a version that has so many of 90 days left.
    fn with_left(id: &str, days: i32) -> Listed {
        let not_after = now() + DAY * days;
        let not_before = not_after - DAY * 90;
        let indexed = IndexedVersion {
            version: 1,
            not_before,
            not_after,
            deployed: true,
            terms: 0,
            incomplete: false,
            has_external_key: false,
        };
        let current = CurrentVersion {
            due: renewal::due(indexed.validity(), None, None),
            indexed,
        };
        Listed {
            overview: Overview {
                current: Some(Ok(current)),
                why: None,
                ..without_version(id)
            },
            ca: "letsencrypt".to_owned(),
            unusable: None,
            damage: None,
            stored: None,
        }
    }

    fn without_version(id: &str) -> Overview {
        Overview::not_obtained(id.parse().unwrap(), vec!["example.com".to_owned()])
    }

    fn attempts() -> Attempts {
        Attempts {
            failed: 2,
            at_ca: 0,
            pause: Pause {
                failed_at: now(),
                until: now(),
                asked: None,
                asked_by: None,
            },
            error: "it failed".to_owned(),
        }
    }

    fn undeployed(id: &str) -> Listed {
        let mut listed = with_left(id, 80);
        if let Some(Ok(current)) = &mut listed.overview.current {
            current.indexed.deployed = false;
        }
        listed
    }

    #[test]
    fn the_worst_comes_first_and_then_what_expires_first() {
        let mut damaged = with_left("damaged", 80);
        damaged.damage = Some(Failure::from(StoreError::Damaged {
            location: "cert.pem".to_owned(),
            cause: "it does not exist".to_owned(),
        }));
        let mut failed = with_left("failed", 10);
        failed.overview.attempts = Some(attempts());
        let mut due = with_left("due", 20);
        due.overview.why = Some(Why::Unfinished);
        let all = vec![
            with_left("later", 60),
            with_left("sooner", 50),
            due,
            undeployed("undeployed"),
            failed,
            with_left("expired", -1),
            damaged,
        ];
        let listing = Listing::new(all, now(), PathBuf::new(), None);
        let ids = listing.all.iter().map(|listed| listed.overview.id.as_str());
        let expected = [
            "damaged",
            "expired",
            "failed",
            "undeployed",
            "due",
            "sooner",
            "later",
        ];
        assert_eq!(ids.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn certificates_that_were_never_obtained_come_after_those_with_problems() {
        let never = |id: &str| {
            let mut listed = with_left(id, 0);
            listed.overview.current = None;
            listed.overview.attempts = Some(attempts());
            listed
        };
        let mut failed = with_left("failed", 10);
        failed.overview.attempts = Some(attempts());
        let all = vec![
            with_left("good", 60),
            never("never"),
            with_left("ending", 3),
            undeployed("undeployed"),
            failed,
        ];
        let listing = Listing::new(all, now(), PathBuf::new(), None);
        let ids = listing.obtained_first().into_iter();
        let ids = ids.map(|listed| listed.overview.id.as_str());
        let expected = ["failed", "undeployed", "ending", "never", "good"];
        assert_eq!(ids.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_a_process_works_on_or_nobody_wants_is_not_undeployed() {
        let mut busy = undeployed("busy");
        busy.overview.is_busy = true;
        let mut gone = undeployed("gone");
        gone.overview.wanted_by = WantedBy::Nobody;
        gone.overview.attempts = Some(attempts());
        for listed in [busy, gone] {
            assert_eq!(listed.state(now()), State::Good);
            assert_eq!(listed.alarm(now(), Warn::default()), None);
        }
    }

    #[test]
    fn failures_are_an_alarm_if_there_is_no_certificate_yet() {
        let mut listed = with_left("web", 80);
        listed.overview.attempts = Some(attempts());
        assert_eq!(listed.alarm(now(), Warn::default()), None);
        listed.overview.current = None;
        let alarm = listed.alarm(now(), Warn::default()).unwrap_or_default();
        let expected = "not obtained yet; 2 attempts failed";
        assert!(alarm.starts_with(expected), "{alarm}");
    }
}
