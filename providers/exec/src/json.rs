//! The protocol `json`: one document on the standard input of the program, one on its standard output. `docs/exec.md`
//! describes it for those who write programs.

use std::collections::BTreeSet;
use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::printable::{few, printable, shortened};
use acme_alias_core::program::{Input, check_runnable};
use acme_alias_core::provider::{Applied, Failure, Limited, ProviderError};
use acme_alias_core::txt::{Action, TxtChange, TxtSets};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{no_turn, of_program};
use crate::parameters::Program;
use crate::places::Places;
use crate::runner::Run;
use crate::single::in_part;

/// The version of the documents.
const VERSION: u32 = 1;
/// Records or names in one document.
pub(crate) const BATCH: usize = 100;
/// Octets of an answer, and those more for each record or name that the program is asked for: a hundred values of
/// challenges have less. Answers to many certificates at once must not fill the memory.
const ANSWER_MAX: usize = 512 << 10;
const ANSWER_MAX_EACH: usize = 32 << 10;
/// Characters of a document that are shown.
const SHOWN: usize = 200;

/// Characters of what a program reports that are shown and recorded.
const REPORTED: usize = 1000;

/// What the program is asked for.
#[derive(Debug, Serialize)]
struct Request<'a> {
    version: u32,
    action: &'static str,
    zone: &'a str,
    #[serde(flatten)]
    subject: Subject<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Subject<'a> {
    Records(Vec<Record<'a>>),
    Names(Vec<&'a str>),
}

impl Subject<'_> {
    /// Octets that an answer may have.
    fn answer_max(&self) -> usize {
        let count = match self {
            Subject::Records(records) => records.len(),
            Subject::Names(names) => names.len(),
        };
        ANSWER_MAX + count * ANSWER_MAX_EACH
    }
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    name: &'a str,
    value: &'a str,
    /// In seconds; for records that are added.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
}

/// What the program answers.
#[derive(Debug, Deserialize)]
struct Answer {
    version: u32,
    /// Why the whole request failed.
    #[serde(default)]
    error: Option<AnswerError>,
    /// What became of each record, in the order of the request; none if all was done.
    #[serde(default)]
    results: Option<Limited<RecordResult>>,
    /// The records that exist.
    #[serde(default)]
    records: Option<Limited<Existing>>,
}

#[derive(Debug, Deserialize)]
struct RecordResult {
    #[serde(default)]
    error: Option<AnswerError>,
}

#[derive(Debug, Deserialize)]
struct Existing {
    name: String,
    value: String,
    /// In seconds.
    #[serde(default)]
    ttl: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
struct AnswerError {
    kind: String,
    #[serde(default)]
    message: String,
    /// In seconds.
    #[serde(default, rename = "retry-after")]
    retry_after: Option<u64>,
}

impl AnswerError {
    fn failure(&self) -> Failure {
        match self.kind.as_str() {
            "denied" => Failure::Denied,
            "throttled" => Failure::Throttled {
                retry_after: self.retry_after.map(Duration::from_secs),
            },
            "unavailable" => Failure::Unavailable,
            "conflict" => Failure::Conflict,
            "rejected" => Failure::Rejected,
            "too-many" => Failure::TooMany,
            _ => Failure::UnknownOutcome,
        }
    }

    fn in_words(&self, config: &Config) -> String {
        // Before characters are escaped that a secret may have.
        let in_words = |text| printable(&config.environment.hide(text));
        let (kind, message) = (in_words(&self.kind), in_words(&self.message));
        if message.is_empty() {
            kind
        } else {
            format!("{kind}: {message}")
        }
    }
}

/// A program that is called by this protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a> {
    pub(crate) config: &'a Config,
    pub(crate) program: &'a Program,
    pub(crate) places: &'a Places,
}

impl Json<'_> {
    /// Fails if the program cannot be run.
    pub(crate) async fn check(&self) -> Result<(), ProviderError> {
        let name = self.program.name();
        let checked = check_runnable(name).await;
        checked.map_err(|error| of_program(name, &error))
    }

    /// Carries out changes, each value's last one: removals first, each batch in one run.
    pub(crate) async fn apply(
        self,
        zone: &DnsName,
        changes: &[&TxtChange],
        applied: &mut Applied,
    ) -> Result<(), ProviderError> {
        let (removals, adds): (Vec<_>, Vec<_>) = changes
            .iter()
            .partition(|change| change.action == Action::Remove);
        let batches = removals.chunks(BATCH).chain(adds.chunks(BATCH));
        let batches: Vec<_> = batches.collect();
        let (mut first_error, mut failed) = (None, BTreeSet::new());
        for (index, batch) in batches.iter().enumerate() {
            let Err(error) = self.change(zone, batch).await else {
                applied.requests += 1;
                continue;
            };
            let is_part = !error.failed.is_empty();
            if is_part {
                failed.extend(error.failed.iter().cloned());
            } else {
                let rest = batches[index..].iter().copied().flatten();
                failed.extend(rest.map(|change| change.record()));
            }
            first_error.get_or_insert(error);
            if !is_part {
                break;
            }
        }
        if let Some(error) = first_error {
            return Err(in_part(error, failed, changes.len()));
        }
        "done".clone_into(&mut applied.response);
        Ok(())
    }

    /// Makes changes that are all additions or all removals, in one run. If the program has made a part of them, the
    /// error has the others.
    async fn change(self, zone: &DnsName, batch: &[&&TxtChange]) -> Result<(), ProviderError> {
        let is_add = batch.iter().all(|change| change.action == Action::Add);
        let word = if is_add { "add" } else { "remove" };
        let records = batch.iter().map(|change| Record {
            name: change.name.as_str(),
            value: change.value.as_str(),
            ttl: is_add.then(|| change.ttl.unwrap_or(self.config.ttl)),
        });
        let subject = Subject::Records(records.collect());
        let answer = self.ask(zone, word, subject).await?;
        let Some(Limited(results)) = answer.results else {
            return Ok(());
        };
        if results.len() != batch.len() {
            let problem = format!("{} results for {} records", results.len(), batch.len());
            return Err(self.garbage(&problem));
        }
        let failed: Vec<_> = results
            .iter()
            .zip(batch)
            .filter_map(|(result, change)| Some((result.error.as_ref()?, change)))
            .collect();
        let Some((first, _)) = failed.first() else {
            return Ok(());
        };
        let first_failure = first.failure();
        // If a part was done, or the reasons differ, nothing simple can be said.
        let is_whole = failed.len() == batch.len()
            && failed
                .iter()
                .all(|(error, _)| error.failure() == first_failure);
        let failure = if is_whole {
            first_failure
        } else {
            Failure::UnknownOutcome
        };
        let each: Vec<_> = failed
            .iter()
            .map(|(error, change)| format!("{}: {}", change.name, error.in_words(self.config)))
            .collect();
        let records = failed.iter().map(|(_, change)| change.record());
        let error = self.reported(failure, &few(&each, "; "));
        Err(in_part(error, records.collect(), batch.len()))
    }

    /// The records at these names.
    pub(crate) async fn values(
        self,
        zone: &DnsName,
        names: &[DnsName],
    ) -> Result<TxtSets, ProviderError> {
        let mut sets = TxtSets::new();
        for batch in names.chunks(BATCH) {
            let asked = batch.iter().map(DnsName::as_str).collect();
            let answer = self.ask(zone, "values", Subject::Names(asked)).await?;
            let Some(Limited(records)) = answer.records else {
                return Err(self.garbage("it has no `records`"));
            };
            for record in records {
                let Ok(name) = record.name.parse::<DnsName>() else {
                    let name = printable(&self.config.environment.hide(&record.name));
                    return Err(self.garbage(&format!("`{name}` is no name")));
                };
                if batch.contains(&name) {
                    let set = sets.entry(name).or_default();
                    set.add(record.ttl, record.value.parse().ok());
                }
            }
        }
        Ok(sets)
    }

    /// One run of the program; an error that it reports is one.
    async fn ask(
        self,
        zone: &DnsName,
        action: &'static str,
        subject: Subject<'_>,
    ) -> Result<Answer, ProviderError> {
        let max = subject.answer_max();
        let request = Request {
            version: VERSION,
            action,
            zone: zone.as_str(),
            subject,
        };
        let input = serde_json::to_string(&request).map_err(|error| {
            let what = format!("the request could not be written: {error}");
            ProviderError::new(Failure::Rejected, what, "report this as a defect")
        })?;
        let run = Run {
            command: self.program.with([]),
            input: Input::Text(input + "\n"),
            ..Run::default()
        };
        let (label, limit) = (self.program.name(), self.config.timeout);
        let place = self.places.take(limit).await;
        let _place = place.ok_or_else(|| no_turn(label, limit))?;
        let printed = run.answer(label, self.config, max).await?;
        let answer: Answer = serde_json::from_slice(&printed).map_err(|error| {
            let text = String::from_utf8_lossy(&printed);
            let text = self.config.environment.hide(text.trim());
            let shown: String = text.chars().take(SHOWN).collect();
            self.garbage(&format!("{error}; it begins with `{}`", printable(&shown)))
        })?;
        if answer.version != VERSION {
            let problem = format!("it has the version {}, not {VERSION}", answer.version);
            return Err(self.garbage(&problem));
        }
        match &answer.error {
            Some(error) => Err(self.reported(error.failure(), &error.in_words(self.config))),
            None => Ok(answer),
        }
    }

    fn reported(self, failure: Failure, words: &str) -> ProviderError {
        let name = self.program.name();
        ProviderError::new(
            failure,
            format!("`{name}` reports: {}", shortened(words, REPORTED)),
            format!("correct what `{name}` reports"),
        )
    }

    /// An answer that does not say what was done.
    fn garbage(self, problem: &str) -> ProviderError {
        let name = self.program.name();
        let problem = shortened(&self.config.environment.hide(problem), REPORTED);
        ProviderError::new(
            Failure::UnknownOutcome,
            format!("the answer of `{name}` is not as the protocol json says: {problem}"),
            "let it print one JSON document as docs/exec.md describes, and other text on standard error",
        )
    }
}
