//! How much may still be asked for with one token. Cloudflare counts 1,200 requests in five minutes
//! per user, over all that the user does, and then takes none for five minutes
//! (<https://developers.cloudflare.com/fundamentals/api/reference/limits/>).

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use acme_alias_core::provider::Shared;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::debug;

/// With what may go out at once and what is added in five minutes, 1,100 requests.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(500).unwrap();
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Where the API is closed for longer, the caller is told.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is asked for beyond this is a mistake of somebody.
const LONGEST_CLOSED: Duration = Duration::from_hours(24);

/// By endpoint and a keyed hash of the token.
static BUDGETS: Shared<(String, u64), Budget> = Shared::new();
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The budget of one token at one endpoint.
pub(crate) struct Budget {
    rate: DefaultDirectRateLimiter,
    closed_until: Mutex<Option<Instant>>,
}

impl Budget {
    /// The budget that all providers of this token share.
    pub(crate) fn of(endpoint: &str, token: &SecretString) -> Arc<Budget> {
        let key = (endpoint.to_owned(), HASHER.hash_one(token.expose_secret()));
        BUDGETS.get_or_make(key, || Budget {
            rate: RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(AT_ONCE)),
            closed_until: Mutex::default(),
        })
    }

    /// Waits until one more request may go out; the error says for how long none may, where that
    /// is too long to wait.
    pub(crate) async fn turn(&self) -> Result<(), Duration> {
        loop {
            let closed_until = *self.closed_until();
            let now = Instant::now();
            match closed_until {
                Some(until) if until > now => {
                    let wait = until - now;
                    if wait > LONGEST_WAIT {
                        return Err(wait);
                    }
                    debug!(?wait, "the API wants no request for now");
                    // A back-off that the API asked for.
                    tokio::time::sleep_until(until).await;
                }
                _ => break,
            }
        }
        self.rate.until_ready().await;
        Ok(())
    }

    /// Takes note of what an answer says about the requests to come; how long there shall be none.
    pub(crate) fn heed(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        let closed_for = closed_for(status, headers)?.min(LONGEST_CLOSED);
        *self.closed_until() = Some(Instant::now() + closed_for);
        Some(closed_for)
    }

    fn closed_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// `retry-after` comes with 429 only; `ratelimit: "default";r=0;t=30`, with any answer, says that
/// this was the last request for 30 seconds.
fn closed_for(status: u16, headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = |text: &str| text.trim().parse().ok().map(Duration::from_secs);
    let retry_after = text(RETRY_AFTER.as_str()).filter(|_| status == 429);
    let exhausted = || {
        text("ratelimit")?
            .split(',')
            .filter(|item| parameter(item, "r=") == Some("0"))
            .filter_map(|item| seconds(parameter(item, "t=")?))
            .max()
    };
    retry_after.and_then(seconds).or_else(exhausted)
}

fn parameter<'a>(item: &'a str, name: &str) -> Option<&'a str> {
    item.split(';')
        .find_map(|parameter| parameter.trim().strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn both_headers_tell_how_long_to_wait() {
        let seconds = |status, name, value| {
            closed_for(status, &headers(name, value)).map(|wait| wait.as_secs())
        };
        assert_eq!(seconds(429, "retry-after", "30"), Some(30));
        assert_eq!(seconds(429, "retry-after", "soon"), None);
        assert_eq!(
            seconds(200, "ratelimit", "\"default\";r=0;t=240"),
            Some(240)
        );
        assert_eq!(seconds(200, "ratelimit", "\"default\";r=7;t=240"), None);
        let two = "\"burst\";r=0;t=4, \"default\";r=900;t=200";
        assert_eq!(seconds(200, "ratelimit", two), Some(4));
    }

    #[test]
    fn providers_of_one_token_share_what_is_left_of_it() {
        let (one, other) = (SecretString::from("one"), SecretString::from("other"));
        let budget = Budget::of("https://a.example", &one);
        assert!(Arc::ptr_eq(&budget, &Budget::of("https://a.example", &one)));
        assert!(!Arc::ptr_eq(
            &budget,
            &Budget::of("https://a.example", &other)
        ));
        assert!(!Arc::ptr_eq(
            &budget,
            &Budget::of("https://b.example", &one)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_pause_is_kept_and_a_long_one_is_told() {
        let budget = Budget::of("https://pause.example", &SecretString::from("one"));
        let start = Instant::now();
        budget.heed(429, &headers("retry-after", "20"));
        assert_eq!(budget.turn().await, Ok(()));
        assert_eq!(start.elapsed().as_secs(), 20);
        budget.heed(429, &headers("retry-after", "18446744073709551615"));
        assert_eq!(budget.turn().await, Err(LONGEST_CLOSED));
        budget.heed(429, &headers("retry-after", "300"));
        assert_eq!(budget.turn().await, Err(Duration::from_mins(5)));
    }
}
