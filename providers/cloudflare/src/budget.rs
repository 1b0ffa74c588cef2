//! How many requests may still be sent with one token.
//!
//! Cloudflare allows each user 1,200 requests in five minutes, over all tokens and programs, and then
//! none for five minutes (<https://developers.cloudflare.com/fundamentals/api/reference/limits/>).

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use acme_alias_core::provider::Shared;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;
use tracing::debug;

use crate::parameters::ApiToken;

/// Together with what is added in five minutes, 1,100 requests.
const BURST: NonZeroU32 = NonZeroU32::new(500).unwrap();
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// A longer pause is an error that says how long it is.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A longer pause is taken for a mistake.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// By endpoint and a keyed hash of the token.
static BUDGETS: Shared<(String, u64), Budget> = Shared::new();
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The budget of one token at one endpoint.
pub(crate) struct Budget {
    rate: DefaultDirectRateLimiter,
    paused_until: Mutex<Option<Instant>>,
}

impl Budget {
    /// The budget that all providers of this token share.
    pub(crate) fn of(endpoint: &str, token: &ApiToken) -> Arc<Budget> {
        let key = (endpoint.to_owned(), HASHER.hash_one(token.expose()));
        BUDGETS.get_or_make(key, || Budget {
            rate: RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(BURST)),
            paused_until: Mutex::default(),
        })
    }

    /// Waits until one more request may be sent. If that takes too long, the error says how long.
    pub(crate) async fn turn(&self) -> Result<(), Duration> {
        loop {
            let paused_until = *self.paused_until();
            let now = Instant::now();
            match paused_until {
                Some(until) if until > now => {
                    let wait = until - now;
                    if wait > LONGEST_WAIT {
                        return Err(wait);
                    }
                    debug!(?wait, "waiting, because the API asked for a pause");
                    // A back-off, because the API asked for it.
                    tokio::time::sleep_until(until).await;
                }
                _ => break,
            }
        }
        self.rate.until_ready().await;
        Ok(())
    }

    /// Notes what an answer says about later requests. Returns the pause that it asks for.
    pub(crate) fn note(&self, status: u16, headers: &HeaderMap) -> Option<Duration> {
        let pause = pause_in(status, headers)?.min(LONGEST_PAUSE);
        *self.paused_until() = Some(Instant::now() + pause);
        Some(pause)
    }

    fn paused_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause in these headers: `retry-after` with 429, or `ratelimit: "default";r=0;t=30` with any
/// answer, which means that this was the last request for 30 seconds.
fn pause_in(status: u16, headers: &HeaderMap) -> Option<Duration> {
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
    fn both_headers_ask_for_a_pause() {
        let seconds = |status, name, value| {
            pause_in(status, &headers(name, value)).map(|wait| wait.as_secs())
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
    fn providers_with_the_same_token_share_its_budget() {
        let token = |text: &str| ApiToken::new(text).unwrap();
        let (one, other) = (token("one"), token("other"));
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
    async fn a_short_pause_is_waited_and_a_long_one_is_an_error() {
        let budget = Budget::of("https://pause.example", &ApiToken::new("one").unwrap());
        let start = Instant::now();
        budget.note(429, &headers("retry-after", "20"));
        assert_eq!(budget.turn().await, Ok(()));
        assert_eq!(start.elapsed().as_secs(), 20);
        budget.note(429, &headers("retry-after", "18446744073709551615"));
        assert_eq!(budget.turn().await, Err(LONGEST_PAUSE));
        budget.note(429, &headers("retry-after", "300"));
        assert_eq!(budget.turn().await, Err(Duration::from_mins(5)));
    }
}
