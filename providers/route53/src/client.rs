//! Calls to Route 53: paced, and repeated if Route 53 wants them later.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use acme_alias_core::provider::{Requests, Shared};
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_route53::Client as Api;
use aws_sdk_route53::config::http::HttpResponse;
use aws_sdk_route53::config::{Builder, Region, SharedCredentialsProvider};
use aws_sdk_route53::error::SdkError;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::OnceCell;
use tracing::debug;

use crate::answer_limit::AnswerLimit;
use crate::config::Config;
use crate::error::CallError;
use crate::parameters::EndpointUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts if Route 53 wants fewer requests: about 25 seconds in all.
const ATTEMPTS: u32 = 7;
/// Calls that are under way at a time: more large answers would not fit into memory.
const CALLS_AT_ONCE: usize = 4;
/// The pause after the first attempt; it doubles each time, and is made uneven.
const FIRST_PAUSE: Duration = Duration::from_millis(400);

/// What is known of the account without asking: profile, role and endpoint; and the pace.
type Account = (
    Option<String>,
    Option<String>,
    Option<EndpointUrl>,
    NonZeroU32,
);

/// AWS limits the requests of an account, so all providers of one account share one pace.
static PACES: Shared<Account, DefaultDirectRateLimiter> = Shared::new();

/// A client with one set of credentials, which are looked up at the first call.
pub(crate) struct Client {
    config: Config,
    /// What the caller has set up, instead of what is looked up.
    given: Option<SdkConfig>,
    sdk: OnceCell<SdkConfig>,
    api: OnceCell<Api>,
    pace: OnceLock<Arc<DefaultDirectRateLimiter>>,
    calls: Requests,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(config: Config) -> Self {
        Client {
            config,
            given: None,
            sdk: OnceCell::new(),
            api: OnceCell::new(),
            pace: OnceLock::new(),
            calls: Requests::at_once(CALLS_AT_ONCE),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration, to be changed before the first call.
    pub(crate) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Sets credentials, region and HTTP client, before the first call.
    pub(crate) fn set_sdk_config(&mut self, sdk: SdkConfig) {
        self.given = Some(sdk);
    }

    /// The name of the API, for messages.
    pub(crate) fn endpoint(&self) -> &str {
        let url = self.config.endpoint_url.as_ref();
        url.map_or("Route 53", EndpointUrl::as_str)
    }

    /// Makes a call as soon as the pace allows it, and again if Route 53 wants it later. `failed`
    /// converts the SDK's error.
    pub(crate) async fn call<T, E, F>(
        &self,
        send: impl Fn(&Api) -> F,
        failed: impl Fn(&SdkError<E, HttpResponse>) -> CallError,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let api = self.api.get_or_init(|| self.connect()).await;
        let mut pause = FIRST_PAUSE;
        let rate = self.pace();
        let attempt = async || {
            rate.until_ready().await;
            let turn = self.calls.turn(self.config.timeout).await;
            let _turn = turn.map_err(CallError::NotSent)?;
            send(api).await.map_err(|error| failed(&error))
        };
        for _ in 1..ATTEMPTS {
            match attempt().await {
                Err(error) if error.is_throttled() => {
                    debug!(%error, ?pause, "the request is sent again");
                    // A back-off, because Route 53 asked for it.
                    tokio::time::sleep(uneven(pause)).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
        attempt().await
    }

    fn pace(&self) -> &DefaultDirectRateLimiter {
        let config = &self.config;
        let make = || RateLimiter::direct(Quota::per_second(config.requests_per_second));
        self.pace.get_or_init(|| match self.given {
            // Whose credentials these are is unknown.
            Some(_) => Arc::new(make()),
            None => {
                let account = (
                    config.profile.clone(),
                    config.assume_role_arn.clone(),
                    config.endpoint_url.clone(),
                    config.requests_per_second,
                );
                PACES.get_or_make(account, make)
            }
        })
    }

    async fn connect(&self) -> Api {
        let config = &self.config;
        // Without the SDK's own retries: one after a lost reply would meet the change of the first
        // attempt, and turn a success into an error.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(config.timeout)
            .build();
        let mut builder = Builder::from(self.sdk().await)
            .interceptor(AnswerLimit)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(url) = &config.endpoint_url {
            builder = builder.endpoint_url(url.as_str());
        }
        Api::from_conf(builder.build())
    }

    /// The credentials and their settings; those of the role, if one is to be assumed.
    pub(crate) async fn sdk(&self) -> &SdkConfig {
        self.sdk.get_or_init(|| self.find_sdk()).await
    }

    async fn find_sdk(&self) -> SdkConfig {
        let found = match &self.given {
            Some(given) => given.clone(),
            None => find_credentials(&self.config).await,
        };
        let Some(arn) = &self.config.assume_role_arn else {
            return found;
        };
        let role = AssumeRoleProvider::builder(arn)
            .configure(&found)
            .session_name("acme-alias")
            .build()
            .await;
        let role = SharedCredentialsProvider::new(role);
        found.into_builder().credentials_provider(role).build()
    }
}

/// Follows the whole chain: environment, profile, SSO, process, container, instance role, web identity.
async fn find_credentials(config: &Config) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).region(Region::new(config.region.clone()));
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// A random part of a pause, at least half, so that two clients that were refused together do not
/// return together.
pub(crate) fn uneven(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
