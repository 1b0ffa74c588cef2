//! Servers that are asked at once, of which some may never answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::waits::Waits;

/// How long a server may take after another one has answered, and after the queries were sent. A query is sent several
/// times meanwhile.
const STRAGGLER_TIME: Duration = Duration::from_secs(1);

/// Runs all queries at once. As soon as one has an answer by `is_answer`, the others have one second left: a dead
/// server does not cost its whole time limit. That second begins anew while a query waits until it may be sent. The
/// results are in the order of the queries, `None` for those that had no time left.
pub(crate) async fn ask_at_once<T>(
    queries: impl IntoIterator<Item = impl Future<Output = T>>,
    is_answer: impl Fn(&T) -> bool,
) -> Vec<Option<T>> {
    let waits = Arc::<Waits>::default();
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    for (position, query) in queries.into_iter().enumerate() {
        // An async block would have room for the query twice.
        let query = waits.scope(query);
        running.push(query.map(move |result| (position, result)));
        results.push(None);
    }
    let mut answered: Option<Instant> = None;
    // When the last second begins.
    let begin = |answered: Instant| waits.last_end().map_or(answered, |end| end.max(answered));
    loop {
        let begun = answered.map(begin);
        let next = match begun {
            Some(begun) => timeout_at(begun + STRAGGLER_TIME, running.next()).await,
            None => Ok(running.next().await),
        };
        match next {
            Ok(Some((position, result))) => {
                if is_answer(&result) {
                    answered.get_or_insert_with(Instant::now);
                }
                results[position] = Some(result);
            }
            // Another query was sent meanwhile, or still waits.
            Err(_) if answered.map(begin) > begun => {}
            Ok(None) | Err(_) => return results,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::super::waits::counted;
    use super::*;

    /// What becomes of queries that take so many seconds, and how long that takes. Only those with a word are
    /// answers.
    async fn results(queries: &[(u64, &'static str)]) -> (Vec<Option<&'static str>>, Duration) {
        let begun = Instant::now();
        let queries = queries.iter().map(async |(seconds, word)| {
            sleep(Duration::from_secs(*seconds)).await;
            *word
        });
        let results = ask_at_once(queries, |word| !word.is_empty()).await;
        (results, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_without_an_end_ends_one_second_after_the_first_answer() {
        let expected = vec![None, Some("two"), Some("")];
        let took = Duration::from_secs(3);
        let queries = [(100, "never"), (2, "two"), (1, "")];
        assert_eq!(results(&queries).await, (expected, took));
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_begins_when_the_last_query_was_sent() {
        let begun = Instant::now();
        let seconds = |seconds| sleep(Duration::from_secs(seconds));
        // How long each query waits, and how long it takes then.
        let queries = [(0, 1), (5, 0), (7, 100), (0, 100)].map(async |(waits, takes)| {
            counted(seconds(waits)).await;
            seconds(takes).await;
            waits
        });
        let results = ask_at_once(queries, |_| true).await;
        assert_eq!(results, [Some(0), Some(5), None, None]);
        assert_eq!(begun.elapsed(), Duration::from_secs(8));
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_all_queries_end_by_themselves() {
        let expected = vec![Some(""), Some("")];
        let took = Duration::from_secs(9);
        assert_eq!(results(&[(9, ""), (1, "")]).await, (expected, took));
        assert_eq!(results(&[]).await, (Vec::new(), Duration::ZERO));
    }
}
