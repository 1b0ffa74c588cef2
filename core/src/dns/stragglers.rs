//! Servers that are asked at once, of which some may never answer.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};

/// How long a server may take after another one has answered. A query is sent several times meanwhile.
const STRAGGLER_TIME: Duration = Duration::from_secs(1);

/// Runs all queries at once. As soon as one has an answer by `is_answer`, the others have one second left: a dead
/// server does not cost its whole time limit. The results are in the order of the queries, `None` for those that
/// had no time left.
pub(crate) async fn ask_at_once<T>(
    queries: impl IntoIterator<Item = impl Future<Output = T>>,
    is_answer: impl Fn(&T) -> bool,
) -> Vec<Option<T>> {
    let mut running = FuturesUnordered::new();
    let mut results = Vec::new();
    for (position, query) in queries.into_iter().enumerate() {
        // An async block would have room for the query twice.
        running.push(query.map(move |result| (position, result)));
        results.push(None);
    }
    let mut deadline = None;
    loop {
        let next = running.next();
        let next = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.ok().flatten(),
            None => next.await,
        };
        let Some((position, result)) = next else {
            return results;
        };
        if is_answer(&result) {
            deadline.get_or_insert_with(|| Instant::now() + STRAGGLER_TIME);
        }
        results[position] = Some(result);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

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
    async fn without_an_answer_all_queries_end_by_themselves() {
        let expected = vec![Some(""), Some("")];
        let took = Duration::from_secs(9);
        assert_eq!(results(&[(9, ""), (1, "")]).await, (expected, took));
        assert_eq!(results(&[]).await, (Vec::new(), Duration::ZERO));
    }
}
