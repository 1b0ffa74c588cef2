//! Rules on requests: how many, at the same time, and settled.

use futures_util::future::join;

use super::changes::{change, reversed};
use super::outcome::{Mismatch, Outcome};
use super::suite::Suite;
use crate::txt::Action;

/// How often two writers meet at one name.
const ROUNDS: usize = 10;

impl Suite<'_> {
    pub(crate) async fn hundred_names(&self) -> Outcome {
        let adds = (0..100)
            .map(|i| change(Action::Add, &self.name(&format!("h{i}"))?, &"x".repeat(43)))
            .collect::<Result<Vec<_>, Mismatch>>()?;
        let applied = self.expect(&adds).await?;
        let most = adds
            .len()
            .div_ceil(self.provider.limits().changes_per_request);
        if applied.requests == 0 || applied.requests > most {
            return Err(Mismatch::new(format!(
                "{} requests; the limits allow {most}",
                applied.requests
            )));
        }
        self.all_exist(&adds, true).await?;
        self.expect(&reversed(&adds)).await?;
        self.all_exist(&adds, false).await
    }

    pub(crate) async fn two_writers(&self) -> Outcome {
        let name = self.name("writers")?;
        let (one, other) = (self.fixture.provider().await, self.fixture.provider().await);
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
                    join(self.apply(&*one, &ours), self.apply(&*other, &theirs)).await;
                ours.and(theirs)
                    .map_err(|error| Mismatch::new(error.to_string()))?;
            }
            let all: Vec<_> = match action {
                Action::Add => ours.iter().chain(&theirs).map(String::as_str).collect(),
                Action::Remove => Vec::new(),
            };
            self.has_exactly(&name, &all).await?;
        }
        Ok(())
    }

    pub(crate) async fn propagation(&self) -> Outcome {
        let name = self.name("settled")?;
        let applied = self.expect(&[change(Action::Add, &name, "v")?]).await?;
        self.clear(&name, &["v"]).await?;
        let guaranteed = self.fixture.guarantees().tells_propagation;
        if guaranteed == applied.pending.is_empty() {
            return Err(Mismatch::new(format!(
                "it is {}guaranteed, and {} changes are pending",
                if guaranteed { "" } else { "not " },
                applied.pending.len()
            )));
        }
        Ok(())
    }

    /// A serial that is reported increases with every change (RFC 1982).
    pub(crate) async fn serial(&self) -> Outcome {
        let name = self.name("serial")?;
        let before = self.current_serial().await?;
        self.expect(&[change(Action::Add, &name, "v")?]).await?;
        let after = self.current_serial().await?;
        self.clear(&name, &["v"]).await?;
        match (before, after) {
            (None, None) => Ok(()),
            (Some(before), Some(after)) if (1..1 << 31).contains(&after.wrapping_sub(before)) => {
                Ok(())
            }
            _ => Err(Mismatch::new(format!("{before:?}, then {after:?}"))),
        }
    }

    async fn current_serial(&self) -> Result<Option<u32>, Mismatch> {
        let serial = self.provider.serial(&self.zone).await;
        serial.map_err(|error| Mismatch::new(format!("{:?}: {error}", error.failure)))
    }
}
