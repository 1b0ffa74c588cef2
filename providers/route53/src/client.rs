//! Calls to Route 53: paced, and repeated where Route 53 wants them later.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use acme_alias_core::provider::Shared;
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

use crate::config::Config;
use crate::error::CallError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts where Route 53 wants fewer requests: some 25 seconds in all.
const ATTEMPTS: u32 = 7;
/// The first pause between those, doubled each time, and made uneven.
const FIRST_PAUSE: Duration = Duration::from_millis(400);

/// Who asks, as far as the settings tell: profile, role, endpoint; and how fast.
type Asker = (Option<String>, Option<String>, Option<String>, NonZeroU32);

/// An account has one pace for all that is done with it, so those who ask as the same have one too.
static PACES: Shared<Asker, DefaultDirectRateLimiter> = Shared::new();

/// A client with one set of credentials, which are looked for at the first call.
pub(crate) struct Client {
    config: Config,
    /// What the caller has set up, in place of what is found.
    given: Option<SdkConfig>,
    sdk: OnceCell<SdkConfig>,
    api: OnceCell<Api>,
    pace: Arc<DefaultDirectRateLimiter>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(config: Config, given: Option<SdkConfig>) -> Self {
        let asker = (
            config.profile.clone(),
            config.assume_role_arn.clone(),
            config.endpoint_url.clone(),
            config.requests_per_second,
        );
        let make = || RateLimiter::direct(Quota::per_second(config.requests_per_second));
        let pace = match &given {
            None => PACES.get_or_make(asker, make),
            // Whose credentials these are is not known.
            Some(_) => Arc::new(make()),
        };
        Client {
            pace,
            api: OnceCell::new(),
            config,
            given,
            sdk: OnceCell::new(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Where the API is, for messages.
    pub(crate) fn place(&self) -> &str {
        self.config.endpoint_url.as_deref().unwrap_or("Route 53")
    }

    /// Makes a call when it is its turn, and again where Route 53 wants it later. `failed` is what
    /// an error means.
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
        for _ in 1..ATTEMPTS {
            self.pace.until_ready().await;
            match send(api).await.map_err(|error| failed(&error)) {
                Err(error) if error.is_throttled() => {
                    debug!(%error, ?pause, "the request is sent again");
                    // A back-off: Route 53 wants time.
                    tokio::time::sleep(uneven(pause)).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
        self.pace.until_ready().await;
        send(api).await.map_err(|error| failed(&error))
    }

    async fn connect(&self) -> Api {
        let config = &self.config;
        // The SDK's own retries are off: one after a lost reply would meet what the first attempt
        // did, and turn a success into an error.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(config.timeout)
            .build();
        let mut builder = Builder::from(self.sdk().await)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(url) = &config.endpoint_url {
            builder = builder.endpoint_url(url);
        }
        Api::from_conf(builder.build())
    }

    /// The credentials and all that goes with them, of the role where one is to be assumed.
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

/// The whole chain: environment, profile, SSO, process, container, instance role, web identity.
async fn find_credentials(config: &Config) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).region(Region::new(config.region.clone()));
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// Half to all of a pause, so that two who were refused together do not come back together.
pub(crate) fn uneven(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
