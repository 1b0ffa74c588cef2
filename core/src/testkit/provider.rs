//! The rules of [`TxtProvider`], held against a provider on a real backend.
//!
//! One call, [`run`], tries them all and reports every rule that does not hold. What the suite
//! needs beside the provider (another hand that writes, a connection that breaks) comes from a
//! [`Fixture`], which whoever tests a provider implements for the backend at hand.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::join;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::fmt::MakeWriter;

use crate::name::DnsName;
use crate::provider::{Applied, Failure, Guarantees, ProviderError, TxtProvider};
use crate::txt::{Action, TxtChange, TxtSets, TxtValue};

/// Rounds in which two writers meet at one name.
const ROUNDS: usize = 10;

/// A backend to test on.
#[async_trait]
pub trait Fixture: Sync {
    /// What the provider's registration promises.
    fn guarantees(&self) -> Guarantees;

    /// A zone that the provider may write in.
    fn zone(&self) -> DnsName;

    /// A zone that it may not write in.
    fn foreign_zone(&self) -> DnsName;

    /// A provider with connections of its own, as another process would have it.
    async fn provider(&self) -> Arc<dyn TxtProvider>;

    /// A provider to whom `fault` happens.
    async fn faulty_provider(&self, fault: Fault) -> Arc<dyn TxtProvider>;

    /// Adds a value in the zone by other means than the provider.
    async fn put(&self, name: &DnsName, value: &TxtValue);

    /// What must not appear anywhere.
    fn secrets(&self) -> Vec<SecretString>;
}

/// What happens between a provider and its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first write is carried out, and the reply to it is lost.
    ReplyLost,
    /// The first write is carried out and answered; later ones find nobody there.
    GoneAfterFirst,
}

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was seen.
    pub seen: String,
}

/// All rules that do not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules do not hold:", self.0.len())?;
        for Violation { rule, seen } in &self.0 {
            write!(f, "\n- {rule}: {seen}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

/// Holds every rule against the provider of `stand`.
///
/// The log is watched for secrets on this thread, so that the suite wants a runtime with one.
pub async fn run(stand: &dyn Fixture) -> Result<(), Violations> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let suite = Suite {
        stand,
        zone: stand.zone(),
        provider: stand.provider().await,
        errors: Mutex::default(),
    };
    let mut violations = Vec::new();
    let mut hold = |rule, outcome: Outcome| {
        violations.extend(outcome.err().map(|Seen(seen)| Violation { rule, seen }));
    };
    hold("add and remove are idempotent", suite.idempotent().await);
    hold("two values stand at one name", suite.two_values().await);
    hold("a foreign value survives", suite.foreign_value().await);
    hold(
        "one of ten values is removed by its content",
        suite.one_of_ten().await,
    );
    hold(
        "a hundred names take as many requests as the limits say",
        suite.hundred_names().await,
    );
    hold("two writers lose nothing", suite.two_writers().await);
    hold(
        "a partial failure is an error",
        suite.partial_failure().await,
    );
    hold(
        "a lost reply is resolved by reading back",
        suite.lost_reply().await,
    );
    hold(
        "a zone that is not ours is refused",
        suite.foreign_zone().await,
    );
    hold(
        "a name outside the zone is refused",
        suite.name_outside().await,
    );
    hold(
        "a value of 255 octets comes back as it was",
        suite.longest_value().await,
    );
    hold("names have no case", suite.upper_case().await);
    hold(
        "propagation is told if that was promised",
        suite.propagation().await,
    );
    drop(logging);
    hold("no secret is shown", suite.secrets(&log.text()));
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Violations(violations))
    }
}

/// What was seen in place of what the rule says.
struct Seen(String);

type Outcome = Result<(), Seen>;

struct Suite<'a> {
    stand: &'a dyn Fixture,
    zone: DnsName,
    provider: Arc<dyn TxtProvider>,
    /// Every error that was met, as text; no secret may be in them.
    errors: Mutex<Vec<String>>,
}

impl Suite<'_> {
    async fn idempotent(&self) -> Outcome {
        let name = self.name("idempotent")?;
        for _ in 0..2 {
            self.expect(&[change(Action::Add, &name, "v")?]).await?;
            self.is_there(&name, &["v"]).await?;
        }
        for _ in 0..2 {
            self.expect(&[change(Action::Remove, &name, "v")?]).await?;
            self.is_there(&name, &[]).await?;
        }
        Ok(())
    }

    async fn two_values(&self) -> Outcome {
        let name = self.name("two")?;
        let both = changes(Action::Add, &name, &["apex", "wildcard"])?;
        self.expect(&both).await?;
        self.is_there(&name, &["apex", "wildcard"]).await?;
        self.expect(&[
            change(Action::Remove, &name, "apex")?,
            change(Action::Add, &name, "next")?,
        ])
        .await?;
        self.is_there(&name, &["next", "wildcard"]).await?;
        self.clear(&name, &["next", "wildcard"]).await
    }

    async fn foreign_value(&self) -> Outcome {
        let name = self.name("foreign")?;
        self.stand.put(&name, &value("not-ours")?).await;
        self.expect(&[change(Action::Add, &name, "ours")?]).await?;
        self.is_there(&name, &["ours", "not-ours"]).await?;
        self.expect(&[change(Action::Remove, &name, "ours")?])
            .await?;
        self.is_there(&name, &["not-ours"]).await?;
        self.clear(&name, &["not-ours"]).await
    }

    async fn one_of_ten(&self) -> Outcome {
        let name = self.name("ten")?;
        // Values that a comparison by beginning, end or case would confuse.
        let ten = [
            "a", "A", "aa", "a a", "ab", "ba", "a\"", "a\\", "\"a\"", "a;b",
        ];
        self.expect(&changes(Action::Add, &name, &ten)?).await?;
        self.is_there(&name, &ten).await?;
        for (gone, value) in ten.iter().enumerate() {
            self.expect(&[change(Action::Remove, &name, value)?])
                .await?;
            self.is_there(&name, &ten[gone + 1..]).await?;
        }
        Ok(())
    }

    async fn hundred_names(&self) -> Outcome {
        let adds = (0..100)
            .map(|i| change(Action::Add, &self.name(&format!("h{i}"))?, &"x".repeat(43)))
            .collect::<Result<Vec<_>, Seen>>()?;
        let applied = self.expect(&adds).await?;
        let most = adds
            .len()
            .div_ceil(self.provider.limits().changes_per_request);
        if applied.requests == 0 || applied.requests > most {
            let seen = format!("{} requests, and the limits say {most}", applied.requests);
            return Err(Seen(seen));
        }
        self.holds(&adds, true).await?;
        let removals = reversed(&adds);
        self.expect(&removals).await?;
        self.holds(&adds, false).await
    }

    async fn two_writers(&self) -> Outcome {
        let name = self.name("writers")?;
        let (one, other) = (self.stand.provider().await, self.stand.provider().await);
        let texts = |writer: &str| -> Vec<_> {
            (0..ROUNDS)
                .map(|round| format!("{writer}{round}"))
                .collect()
        };
        let (ours, theirs) = (texts("one"), texts("other"));
        for action in [Action::Add, Action::Remove] {
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let (ours, theirs) = (
                    [change(action, &name, ours)?],
                    [change(action, &name, theirs)?],
                );
                let (ours, theirs) =
                    join(self.applied(&*one, &ours), self.applied(&*other, &theirs)).await;
                ours.and(theirs).map_err(|error| Seen(error.to_string()))?;
            }
            let all: Vec<_> = match action {
                Action::Add => ours.iter().chain(&theirs).map(String::as_str).collect(),
                Action::Remove => Vec::new(),
            };
            self.is_there(&name, &all).await?;
        }
        Ok(())
    }

    async fn partial_failure(&self) -> Outcome {
        let adds = self.more_than_one_request().await?;
        let faulty = self.stand.faulty_provider(Fault::GoneAfterFirst).await;
        match self.applied(&*faulty, &adds).await {
            Ok(_) => return Err(Seen("a success".to_owned())),
            Err(error) if error.remedy.is_empty() => {
                return Err(Seen("an error without a remedy".to_owned()));
            }
            Err(_) => {}
        }
        let (there, all) = (self.count(&adds).await?, adds.len());
        if there == 0 || there == all {
            let seen = format!("{there} of {all} changes carried out, which is not in part");
            return Err(Seen(seen));
        }
        // Whatever was carried out is removed by value.
        self.expect(&reversed(&adds)).await?;
        self.holds(&adds, false).await
    }

    /// Changes that do not fit into one request, none of them carried out.
    async fn more_than_one_request(&self) -> Result<Vec<TxtChange>, Seen> {
        let least = 2 * self.provider.limits().changes_per_request;
        // The limit holds for the longest names and values; these may be shorter.
        for count in [least, 2 * least, 4 * least, 8 * least, 16 * least] {
            let add = |i| {
                let name = self.name(&format!("p{i}"))?;
                change(Action::Add, &name, &"y".repeat(255))
            };
            let adds = (0..count).map(add).collect::<Result<Vec<_>, Seen>>()?;
            let applied = self.expect(&adds).await?;
            self.expect(&reversed(&adds)).await?;
            if applied.requests > 1 {
                return Ok(adds);
            }
        }
        let seen = format!(
            "{} changes in one request, far more than its limit",
            16 * least
        );
        Err(Seen(seen))
    }

    async fn lost_reply(&self) -> Outcome {
        let name = self.name("lost")?;
        let add = [change(Action::Add, &name, "v")?];
        let faulty = self.stand.faulty_provider(Fault::ReplyLost).await;
        match self.applied(&*faulty, &add).await {
            Ok(_) => {}
            Err(error) if error.failure == Failure::UnknownOutcome => {}
            Err(error) => {
                return Err(Seen(format!(
                    "{:?}, which says that nothing was changed: {error}",
                    error.failure
                )));
            }
        }
        self.is_there(&name, &["v"]).await?;
        self.expect(&add).await?;
        self.clear(&name, &["v"]).await
    }

    async fn foreign_zone(&self) -> Outcome {
        let zone = self.stand.foreign_zone();
        let name = zone.child("conformance").map_err(|e| Seen(e.to_string()))?;
        let add = [change(Action::Add, &name, "v")?];
        self.refused(self.provider.apply(&zone, &add).await)
    }

    async fn name_outside(&self) -> Outcome {
        let name = self
            .stand
            .foreign_zone()
            .child("conformance")
            .map_err(|error| Seen(error.to_string()))?;
        let inside = self.name("inside")?;
        let adds = [
            change(Action::Add, &inside, "v")?,
            change(Action::Add, &name, "v")?,
        ];
        let outcome = self.provider.apply(&self.zone, &adds).await;
        if let Err(error) = &outcome
            && error.failure != Failure::Rejected
        {
            return Err(Seen(format!("{:?}: {error}", error.failure)));
        }
        self.refused(outcome)?;
        self.is_there(&inside, &[]).await
    }

    async fn longest_value(&self) -> Outcome {
        let name = self.name("long")?;
        let longest = format!("{} \\\"; {}", "z".repeat(200), "w".repeat(50));
        self.expect(&[change(Action::Add, &name, &longest)?])
            .await?;
        self.is_there(&name, &[&longest]).await?;
        self.clear(&name, &[&longest]).await
    }

    async fn upper_case(&self) -> Outcome {
        let (lower, upper) = (self.name("case")?, self.name("CASE")?);
        self.expect(&[change(Action::Add, &upper, "Value")?])
            .await?;
        self.is_there(&lower, &["Value"]).await?;
        self.clear(&upper, &["Value"]).await
    }

    async fn propagation(&self) -> Outcome {
        let name = self.name("settled")?;
        let applied = self.expect(&[change(Action::Add, &name, "v")?]).await?;
        self.clear(&name, &["v"]).await?;
        let promised = self.stand.guarantees().tells_propagation;
        if promised == applied.pending.is_empty() {
            return Err(Seen(format!(
                "it was {}, and there are {} changes to wait for",
                if promised { "promised" } else { "not promised" },
                applied.pending.len()
            )));
        }
        Ok(())
    }

    fn secrets(&self, log: &str) -> Outcome {
        let debug = format!("{:?}", self.provider);
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        for secret in self.stand.secrets() {
            let shown = |text: &str| text.contains(secret.expose_secret());
            if shown(&debug) {
                return Err(Seen("a secret is in the provider's `Debug`".to_owned()));
            }
            if shown(log) {
                return Err(Seen("a secret is in the log".to_owned()));
            }
            if errors.iter().any(|error| shown(error)) {
                return Err(Seen("a secret is in an error".to_owned()));
            }
        }
        Ok(())
    }

    fn name(&self, label: &str) -> Result<DnsName, Seen> {
        let text = format!("conformance-{label}.{}", self.zone);
        text.parse()
            .map_err(|error| Seen(format!("{text}: {error}")))
    }

    /// Applies the changes; an error is kept, because no secret may be in it.
    async fn applied(
        &self,
        provider: &dyn TxtProvider,
        changes: &[TxtChange],
    ) -> Result<Applied, ProviderError> {
        let outcome = provider.apply(&self.zone, changes).await;
        let outcome = match outcome {
            Ok(applied) => provider
                .settle(&self.zone, &applied)
                .await
                .map(|()| applied),
            Err(error) => Err(error),
        };
        outcome.inspect_err(|error| self.keep(error))
    }

    async fn expect(&self, changes: &[TxtChange]) -> Result<Applied, Seen> {
        let applied = self.applied(&*self.provider, changes).await;
        applied.map_err(|error| Seen(format!("{:?}: {error}", error.failure)))
    }

    async fn clear(&self, name: &DnsName, texts: &[&str]) -> Outcome {
        self.expect(&changes(Action::Remove, name, texts)?).await?;
        self.is_there(name, &[]).await
    }

    async fn values(&self, names: &[DnsName]) -> Result<TxtSets, Seen> {
        let values = self.provider.values(&self.zone, names).await;
        values.map_err(|error| {
            self.keep(&error);
            Seen(format!("reading: {:?}: {error}", error.failure))
        })
    }

    /// Exactly these values are at the name.
    async fn is_there(&self, name: &DnsName, texts: &[&str]) -> Outcome {
        let there = self.values(std::slice::from_ref(name)).await?;
        let there = there.get(name).cloned().unwrap_or_default();
        let expected = texts
            .iter()
            .map(|text| value(text))
            .collect::<Result<BTreeSet<_>, Seen>>()?;
        if there == expected {
            return Ok(());
        }
        let seen = format!("at {name} there is {there:?}, and there should be {expected:?}");
        Err(Seen(seen))
    }

    /// How many of the changes have been carried out.
    async fn count(&self, changes: &[TxtChange]) -> Result<usize, Seen> {
        let names: Vec<_> = changes.iter().map(|change| change.name.clone()).collect();
        let there = self.values(&names).await?;
        let is_there = |change: &&TxtChange| {
            there
                .get(&change.name)
                .is_some_and(|values| values.contains(&change.value))
        };
        Ok(changes.iter().filter(is_there).count())
    }

    async fn holds(&self, changes: &[TxtChange], there: bool) -> Outcome {
        let expected = if there { changes.len() } else { 0 };
        let count = self.count(changes).await?;
        if count == expected {
            return Ok(());
        }
        let seen = format!("{count} values are there, and {expected} should be");
        Err(Seen(seen))
    }

    /// An error that says that nothing was changed, and what to do.
    fn refused(&self, outcome: Result<Applied, ProviderError>) -> Outcome {
        let Err(error) = outcome else {
            return Err(Seen("a success".to_owned()));
        };
        self.keep(&error);
        if !matches!(error.failure, Failure::Denied | Failure::Rejected) {
            return Err(Seen(format!("{:?}: {error}", error.failure)));
        }
        if error.remedy.is_empty() {
            return Err(Seen("an error without a remedy".to_owned()));
        }
        Ok(())
    }

    fn keep(&self, error: &ProviderError) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.push(format!("{error:?} {error}"));
    }
}

fn value(text: &str) -> Result<TxtValue, Seen> {
    text.parse()
        .map_err(|error| Seen(format!("{text}: {error}")))
}

fn change(action: Action, name: &DnsName, text: &str) -> Result<TxtChange, Seen> {
    Ok(TxtChange {
        name: name.clone(),
        value: value(text)?,
        action,
    })
}

fn changes(action: Action, name: &DnsName, texts: &[&str]) -> Result<Vec<TxtChange>, Seen> {
    texts
        .iter()
        .map(|text| change(action, name, text))
        .collect()
}

fn reversed(adds: &[TxtChange]) -> Vec<TxtChange> {
    let removal = |add: &TxtChange| TxtChange {
        action: Action::Remove,
        ..add.clone()
    };
    adds.iter().map(removal).collect()
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}
