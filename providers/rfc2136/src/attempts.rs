//! The addresses of one server, tried one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::{Cause, ExchangeError, not_sent, timed_out};
use crate::server::ServerAddress;

/// Addresses of one server that are tried. One name may have hundreds, and others each time.
const ADDRESSES_MAX: usize = 4;

/// The addresses of a server that are left to try, and why those before them failed.
///
/// All share one time limit, so that an address that hangs leaves time for the others.
pub(crate) struct Attempts {
    left: std::vec::IntoIter<SocketAddr>,
    count: usize,
    limit: Duration,
    deadline: Instant,
    failure: Option<ExchangeError>,
}

impl Attempts {
    /// Resolves the name of `server`.
    pub(crate) async fn at(server: &ServerAddress, limit: Duration) -> Result<Self, ExchangeError> {
        match timeout(limit, server.resolve()).await {
            Ok(Ok(addresses)) => Ok(Attempts::new(addresses, limit)),
            Ok(Err(error)) => {
                let cause = Cause::from(error).after(&"its name does not resolve");
                Err(not_sent(cause))
            }
            Err(_) => Err(not_sent(timed_out("its name did not resolve", limit))),
        }
    }

    fn new(mut addresses: Vec<SocketAddr>, limit: Duration) -> Self {
        addresses.truncate(ADDRESSES_MAX);
        Attempts {
            count: addresses.len(),
            left: addresses.into_iter(),
            limit,
            deadline: Instant::now() + limit,
            failure: None,
        }
    }

    /// The next address, and how long it may take: an equal part of the time that is left, and at
    /// least an equal part of all the time.
    pub(crate) fn next(&mut self) -> Option<(SocketAddr, Duration)> {
        let parts = u32::try_from(self.left.len()).unwrap_or(u32::MAX);
        let address = self.left.next()?;
        let all = u32::try_from(self.count).unwrap_or(u32::MAX);
        let time_left = self.deadline.saturating_duration_since(Instant::now());
        Some((address, (time_left / parts).max(self.limit / all)))
    }

    /// Notes a failure. It is returned if it is the server's answer, so that the other addresses
    /// would not answer differently.
    pub(crate) fn failed_at(
        &mut self,
        address: SocketAddr,
        error: ExchangeError,
    ) -> Result<(), ExchangeError> {
        if matches!(
            error,
            ExchangeError::Untrusted(_) | ExchangeError::Refused(_)
        ) {
            return Err(error);
        }
        let error = if self.count == 1 {
            error
        } else {
            error.at(address)
        };
        self.failure = Some(match self.failure.take() {
            None => error,
            Some(before) => before.and(error),
        });
        Ok(())
    }

    /// Why all addresses failed.
    pub(crate) fn into_error(self) -> ExchangeError {
        self.failure
            .unwrap_or_else(|| not_sent("its name has no address"))
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;

    use super::*;
    use crate::error::{Refusal, no_response};

    const LIMIT: Duration = Duration::from_secs(4);

    fn attempts(count: u8) -> Attempts {
        let addresses = (1..=count).map(|i| SocketAddr::from(([192, 0, 2, i], 53)));
        Attempts::new(addresses.collect(), LIMIT)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_hangs_uses_its_share_of_the_time_limit() {
        let mut attempts = attempts(2);
        let (first, share) = attempts.next().unwrap();
        assert_eq!(share, LIMIT / 2);
        tokio::time::advance(share).await;
        attempts.failed_at(first, no_response("no answer")).unwrap();
        assert_eq!(attempts.next().unwrap().1, LIMIT / 2);
        assert!(attempts.next().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_fails_at_once_leaves_its_share_to_the_others() {
        let mut attempts = attempts(3);
        let mut shares = Vec::new();
        while let Some((address, share)) = attempts.next() {
            shares.push(share);
            attempts.failed_at(address, not_sent("refused")).unwrap();
        }
        assert_eq!(shares, [LIMIT / 3, LIMIT / 2, LIMIT]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_of_many_addresses_are_tried() {
        let mut attempts = attempts(200);
        let mut tried = 0;
        while let Some((address, share)) = attempts.next() {
            assert!(share >= LIMIT / 4);
            tried += 1;
            attempts.failed_at(address, not_sent("refused")).unwrap();
        }
        assert_eq!(tried, ADDRESSES_MAX);
    }

    #[test]
    fn all_failed_addresses_are_named_and_an_unknown_outcome_stays_unknown() {
        let mut attempts = attempts(2);
        for error in [no_response("no answer"), not_sent("connection refused")] {
            let (address, _) = attempts.next().unwrap();
            attempts.failed_at(address, error).unwrap();
        }
        let ExchangeError::NoResponse(cause) = attempts.into_error() else {
            panic!("the first request was sent");
        };
        assert_eq!(
            cause.to_string(),
            "192.0.2.1:53: no answer; 192.0.2.2:53: connection refused"
        );
    }

    #[test]
    fn a_refusal_is_the_answer_of_the_server() {
        let mut attempts = attempts(2);
        let (address, _) = attempts.next().unwrap();
        let refusal = ExchangeError::Refused(Refusal {
            code: ResponseCode::Refused,
            tsig: None,
            clock_ahead: None,
        });
        assert!(attempts.failed_at(address, refusal).is_err());
    }
}
