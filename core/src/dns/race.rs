//! Futures that run at the same time: attempts that are alternatives, each with a head start before the next (as
//! in RFC 8305, "happy eyeballs"), and work beside other work.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;

/// Starts one attempt after the other: the next one as soon as `head_start` has passed since the last one
/// began, or the last one has failed. After `silent_max` attempts whose head start has passed, no other one is
/// started. Returns the first success, or all errors in the order of the attempts that were started.
pub(super) async fn race<T, E>(
    attempts: Vec<impl Future<Output = Result<T, E>>>,
    head_start: Duration,
    silent_max: usize,
) -> Result<T, Vec<E>> {
    let mut running = FuturesUnordered::new();
    let mut errors = Vec::new();
    let mut silent = 0;
    for (position, attempt) in attempts.into_iter().enumerate() {
        if silent == silent_max {
            break;
        }
        // An async block would have room for the attempt twice.
        running.push(attempt.map(move |result| (position, result)));
        let mut next = pin!(sleep(head_start));
        loop {
            tokio::select! {
                biased;
                Some((ended, result)) = running.next() => match result {
                    Ok(success) => return Ok(success),
                    Err(error) => {
                        errors.push((ended, error));
                        if ended == position {
                            break;
                        }
                    }
                },
                () = &mut next => {
                    silent += 1;
                    break;
                }
            }
        }
    }
    while let Some((position, result)) = running.next().await {
        match result {
            Ok(success) => return Ok(success),
            Err(error) => errors.push((position, error)),
        }
    }
    errors.sort_by_key(|(position, _)| *position);
    Err(errors.into_iter().map(|(_, error)| error).collect())
}

/// The result of `main`. `beside` runs at the same time, and ends with it at the latest.
pub(crate) async fn while_running<T>(
    main: impl Future<Output = T>,
    beside: impl Future<Output = ()>,
) -> T {
    let (main, beside) = (pin!(main), pin!(beside));
    match select(main, beside).await {
        Either::Left((result, _)) => result,
        Either::Right(((), main)) => main.await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SILENT_MAX: usize = 3;

    /// Seconds until an attempt ends, and how.
    type Attempt = (u64, Result<&'static str, &'static str>);

    /// The result of a race with a head start of one second, and how long it took.
    async fn result(attempts: &[Attempt]) -> (Result<&'static str, Vec<&'static str>>, Duration) {
        let began = Instant::now();
        let attempts = attempts.iter().map(|(seconds, result)| async {
            sleep(Duration::from_secs(*seconds)).await;
            *result
        });
        let result = race(attempts.collect(), Duration::from_secs(1), SILENT_MAX).await;
        (result, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_costs_its_head_start() {
        let attempts = [(100, Err("hung")), (2, Ok("second")), (1, Ok("third"))];
        let expected = (Ok("second"), Duration::from_secs(3));
        assert_eq!(result(&attempts).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_fails_lets_the_next_one_begin_at_once() {
        let attempts = [(0, Err("refused")), (0, Err("refused")), (0, Ok("third"))];
        assert_eq!(result(&attempts).await, (Ok("third"), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_fails_late_does_not_shorten_the_head_start_of_another() {
        let attempts = [(1, Err("first")), (9, Err("second")), (1, Ok("third"))];
        let expected = (Ok("third"), Duration::from_secs(3));
        assert_eq!(result(&attempts).await, expected);
        let attempts = [(3, Err("first")), (2, Err("second")), (1, Ok("third"))];
        assert_eq!(result(&attempts).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_attempt_still_wins_if_it_ends_first() {
        let attempts = [(2, Ok("first")), (5, Ok("second"))];
        let expected = (Ok("first"), Duration::from_secs(2));
        assert_eq!(result(&attempts).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn work_beside_other_work_ends_with_it() {
        let began = Instant::now();
        for seconds in [1, 100] {
            let main = async {
                sleep(Duration::from_secs(2)).await;
                "main"
            };
            let beside = sleep(Duration::from_secs(seconds));
            assert_eq!(while_running(main, beside).await, "main");
        }
        assert_eq!(began.elapsed(), Duration::from_secs(4));
    }

    #[tokio::test(start_paused = true)]
    async fn all_errors_are_returned_in_the_order_of_the_attempts() {
        let attempts = [(9, Err("first")), (1, Err("second")), (4, Err("third"))];
        let errors = Err(vec!["first", "second", "third"]);
        assert_eq!(result(&attempts).await, (errors, Duration::from_secs(9)));
        assert_eq!(result(&[]).await, (Err(Vec::new()), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn after_some_attempts_that_hang_no_other_one_is_started() {
        let hangs = ["first", "second", "third"].map(|name| (9, Err(name)));
        let attempts = [&hangs[..], &[(1, Ok("fourth"))]].concat();
        let errors = Err(vec!["first", "second", "third"]);
        assert_eq!(result(&attempts).await, (errors, Duration::from_secs(11)));
    }
}
