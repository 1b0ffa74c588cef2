//! Whether the CA takes orders of the account now.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::error::AcmeError;

/// So many orders in a row that are refused with a time to wait concern the account, and not their names.
const REFUSED_MAX: u32 = 3;
/// No CA is believed that asks for a longer pause.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Closes when the CA refuses several orders in a row and asks to wait: the others would be refused as well.
///
/// A limit may also be one of the names, which their owner can use up elsewhere. Therefore an order that reaches a limit
/// counts only if the CA says that it is one of the account: nobody closes the gate for others.
#[derive(Debug, Default)]
pub(super) struct OrderGate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    refused: u32,
    closed: Option<(Timestamp, AcmeError)>,
}

impl OrderGate {
    /// The refusal that closed the gate, if it is closed.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), AcmeError> {
        match &self.state().closed {
            Some((until, refusal)) if *until > now => {
                Err(AcmeError::NotAsked(Box::new(refusal.clone())))
            }
            _ => Ok(()),
        }
    }

    /// When it opens again, if it is closed.
    pub(super) fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let closed = self.state().closed.as_ref().map(|(until, _)| *until);
        closed.filter(|until| *until > now)
    }

    /// Notes how the CA answered to an order.
    pub(super) fn note<T>(&self, answer: &Result<T, AcmeError>, now: Timestamp) {
        let limit = answer.as_ref().err().and_then(AcmeError::limit);
        if limit.is_some_and(|limit| !is_of_account(limit)) {
            return;
        }
        let mut state = self.state();
        let pause = answer.as_ref().err().and_then(AcmeError::asked_pause);
        let (Some(pause), Err(refusal)) = (pause, answer) else {
            if answer.is_ok() {
                *state = State::default();
            }
            return;
        };
        state.refused += 1;
        if state.refused >= REFUSED_MAX {
            let pause = SignedDuration::try_from(pause).unwrap_or(PAUSE_MAX);
            state.closed = Some((now + pause.min(PAUSE_MAX), refusal.clone()));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a limit is one of the account, by what the CA reports. A name of an order or a URL in that is no word.
fn is_of_account(limit: &str) -> bool {
    let mut words = limit.split_whitespace();
    words.any(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        !word.contains(['.', '/']) && word.to_lowercase().contains("account")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::acme::{Operation, TransportError};

    fn refusal(retry_after: Option<u64>) -> Result<(), AcmeError> {
        Err(AcmeError::Transport(TransportError::Status {
            url: "https://ca.example/new-order".to_owned(),
            status: 503,
            retry_after: retry_after.map(Duration::from_secs),
            detail: String::new(),
        }))
    }

    fn limit(detail: &str) -> Result<(), AcmeError> {
        Err(AcmeError::Problem {
            operation: Operation::Order,
            kind: "rateLimited".to_owned(),
            detail: detail.to_owned(),
            subproblems: Vec::new(),
            retry_after: Some(Duration::from_mins(1)),
        })
    }

    #[test]
    fn the_third_refusal_in_a_row_closes_it_for_as_long_as_the_ca_asks() {
        let (gate, now) = (OrderGate::default(), Timestamp::UNIX_EPOCH);
        gate.note(&refusal(Some(60)), now);
        gate.note(&refusal(Some(60)), now);
        gate.note(&Ok(()), now);
        for _ in 0..2 {
            gate.note(&refusal(Some(60)), now);
            // Without a time to wait it may be about the names.
            gate.note(&refusal(None), now);
            assert!(gate.check(now).is_ok());
        }
        gate.note(&refusal(Some(60)), now);
        let end = now + SignedDuration::from_secs(60);
        assert!(gate.check(now).is_err());
        assert_eq!(gate.closed_until(now), Some(end));
        assert!(gate.check(end).is_ok());
    }

    #[test]
    fn limits_close_it_if_they_are_those_of_the_account() {
        let now = Timestamp::UNIX_EPOCH;
        for (detail, is_of_account) in [
            (
                "too many new orders (300) from this account in the last 3h0m0s",
                true,
            ),
            ("Quota of the per-account limit \"orders\" exceeded.", true),
            (
                "too many certificates (50) already issued for \"account.example\" in the last 168h0m0s",
                false,
            ),
            ("see https://ca.example/account/limits", false),
            ("too many certificates", false),
        ] {
            let gate = OrderGate::default();
            for _ in 0..3 {
                gate.note(&limit(detail), now);
            }
            let closed = gate.check(now);
            assert_eq!(
                matches!(closed, Err(AcmeError::NotAsked(_))),
                is_of_account,
                "{detail}"
            );
        }
    }
}
