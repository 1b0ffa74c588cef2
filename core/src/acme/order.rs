//! An order, from its challenges to the certificate chain (RFC 8555 §7.4, §7.5).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::LOCATION;
use http::{HeaderValue, Response};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::account::Account;
use super::allowance::Allowance;
use super::authorization::{Authorization, Dns01};
use super::client::AT_ONCE;
use super::decode::{decode, lenient, status, url};
use super::error::{AcmeError, Operation, TransportError, ValidationFailure};
use super::link;
use super::new_order::{self, OrderRequest};
use super::polls::Polls;
use super::problem::{Problem, refusal};
use super::status::OrderStatus;
use super::transport::LOCATION_MAX;
use crate::crash::{self, Point};
use crate::name::{DnsName, Identifier};
use crate::txt::TxtValue;

/// Other chains that are fetched. CAs have two or three roots.
const ALTERNATES_MAX: usize = 10;

/// What the CA must find in the DNS to validate a name (RFC 8555 §8.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The challenge name.
    pub challenge_name: DnsName,
    /// The TXT value that the CA must find there, or at the target of the CNAME there.
    pub value: TxtValue,
}

/// An order at the CA.
pub struct Order {
    account: Account,
    url: String,
    names: Vec<Identifier>,
    state: State,
    /// Those that [`Order::challenges`] has read.
    authorizations: Vec<Authorization>,
    /// The URLs of other chains for the certificate that were not fetched yet.
    alternates: Vec<String>,
    time: Allowance,
}

/// What the CA reports about an order (RFC 8555 §7.1.3).
#[derive(Debug, Deserialize)]
pub(super) struct State {
    #[serde(deserialize_with = "status")]
    status: OrderStatus,
    authorizations: Option<Vec<String>>,
    #[serde(default, deserialize_with = "url")]
    finalize: Option<String>,
    #[serde(default, deserialize_with = "url")]
    certificate: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: Option<Problem>,
}

/// What the CA answered when it was told that a challenge is ready.
enum Submitted {
    Accepted,
    /// It has validated at once.
    Valid,
    Refused(AcmeError),
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Reads the state of an order for so many names.
    fn parse(
        operation: Operation,
        response: &Response<Bytes>,
        names: usize,
    ) -> Result<Self, AcmeError> {
        let state: State =
            decode(response.body()).map_err(|error| AcmeError::invalid(operation, error))?;
        let authorizations = state.authorizations.as_deref().unwrap_or_default();
        let count = authorizations.len();
        if count > names {
            let reason = format!("it has {count} authorizations for {names} names");
            return Err(AcmeError::invalid(Operation::Order, reason));
        }
        let urls = authorizations.iter().chain(&state.finalize);
        let lengths = urls.chain(&state.certificate).map(String::len);
        if let Some(octets) = lengths.max().filter(|octets| *octets > LOCATION_MAX) {
            let reason = format!("a URL in the order has {octets} octets");
            return Err(AcmeError::invalid(operation, reason));
        }
        Ok(state)
    }

    /// Why the order failed.
    pub(super) fn failure(&self, operation: Operation) -> Result<(), AcmeError> {
        match &self.error {
            Some(error) if !error.is_empty() => Err(refusal(operation, error)),
            _ => Ok(()),
        }
    }
}

impl Order {
    /// Opens an order (RFC 8555 §7.4).
    pub async fn open(account: &Account, request: &OrderRequest<'_>) -> Result<Self, AcmeError> {
        let operation = Operation::Order;
        let time = Allowance::of_stages(account.client.order_timeout());
        let opened = time.within(operation, new_order::post(account, request));
        let response = opened.await?;
        let url = response.headers().get(LOCATION);
        let url = url.and_then(|url: &HeaderValue| url.to_str().ok());
        let url = url.ok_or_else(|| AcmeError::invalid(operation, "it contains no order URL"))?;
        let state = State::parse(operation, &response, request.names.len())?;
        Ok(Order::new(account, url, request.names, state, time))
    }

    /// Resumes an order that was opened before. Returns `None` if the CA no longer has it, if it failed, or if one of
    /// its names cannot be validated any more. Nothing was asked of the DNS then.
    pub async fn resume(
        account: &Account,
        url: &str,
        names: &[Identifier],
    ) -> Result<Option<Self>, AcmeError> {
        let time = Allowance::of_stages(account.client.order_timeout());
        let read = time.within(Operation::Order, account.get(Operation::Order, url));
        let response = match read.await {
            Ok(response) => response,
            // It has expired, or belongs to another account.
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(state) = State::parse(Operation::Order, &response, names.len()) else {
            return Ok(None);
        };
        let mut order = Order::new(account, url, names, state, time);
        if order.state.status == OrderStatus::Pending {
            let time = order.time.clone();
            let read = order.read_authorizations();
            order.authorizations = match time.within(Operation::Authorizations, read).await {
                Ok(authorizations) => authorizations,
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        let is_lost = order.authorizations.iter().any(Authorization::is_lost);
        let is_invalid = order.state.status == OrderStatus::Invalid;
        Ok((!is_lost && !is_invalid).then_some(order))
    }

    fn new(
        account: &Account,
        url: &str,
        names: &[Identifier],
        state: State,
        time: Allowance,
    ) -> Self {
        Order {
            account: account.clone(),
            url: url.to_owned(),
            names: names.to_vec(),
            state,
            authorizations: Vec::new(),
            alternates: Vec::new(),
            time,
        }
    }

    /// The order's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the certificate can be fetched.
    pub fn is_valid(&self) -> bool {
        self.state.status == OrderStatus::Valid
    }

    /// Returns the challenges to fulfil; none for names that the CA has validated before. Authorizations are read only while
    /// the order is pending: later they are not needed, and may have expired.
    pub async fn challenges(&mut self) -> Result<Vec<Challenge>, AcmeError> {
        if self.authorizations.is_empty() && self.state.status == OrderStatus::Pending {
            let time = self.time.clone();
            let read = self.read_authorizations();
            self.authorizations = time.within(Operation::Authorizations, read).await?;
        }
        let mut challenges = Vec::new();
        for authorization in &self.authorizations {
            if authorization.is_valid() {
                continue;
            }
            let name = authorization.name_of(&self.names)?;
            let value = self.account.dns_value(authorization.token()?);
            challenges.push(Challenge {
                challenge_name: name.challenge_name().clone(),
                // A hash in base64url: 43 characters, whatever the token is.
                value: value
                    .parse()
                    .map_err(|error| AcmeError::invalid(Operation::Challenges, error))?,
            });
        }
        // While the TXT records are published.
        self.account.client.prepare(challenges.len());
        Ok(challenges)
    }

    /// Reads all authorizations (RFC 8555 §7.5) at the same time.
    async fn read_authorizations(&self) -> Result<Vec<Authorization>, AcmeError> {
        let urls = self.state.authorizations.as_deref().unwrap_or_default();
        let reads: Vec<_> = urls
            .iter()
            .map(|url| self.read_authorization(url))
            .collect();
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }

    async fn read_authorization(&self, url: &str) -> Result<Authorization, AcmeError> {
        let operation = Operation::Authorizations;
        let response = self.account.get(operation, url).await?;
        let authorization = Authorization::parse(response.body());
        authorization.map_err(|error| AcmeError::invalid(operation, error))
    }

    /// Asks the CA to validate all challenges that [`Order::challenges`] returned (RFC 8555 §7.5.1), and
    /// waits for the result.
    pub async fn validate(&mut self) -> Result<(), AcmeError> {
        let time = self.time.clone();
        time.within(Operation::Validation, self.submit_all()).await
    }

    async fn submit_all(&mut self) -> Result<(), AcmeError> {
        let pending = self.authorizations.iter();
        let pending = pending.filter_map(Authorization::pending_challenge);
        let submissions: Vec<_> = pending.map(|url| self.submit(url)).collect();
        // All are submitted even if one is refused, so that all failures are reported.
        let answers: Vec<_> = stream::iter(submissions)
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let all_valid = answers.iter().all(|one| matches!(one, Submitted::Valid));
        let all_valid = all_valid && !answers.is_empty();
        for answer in answers {
            if let Submitted::Refused(refusal) = answer {
                // The CA may have validated at once, and answered with the result.
                let failures = self.failures().await?;
                return Err(if failures.is_empty() {
                    refusal
                } else {
                    AcmeError::Validation(failures)
                });
            }
        }
        if all_valid && self.state.status == OrderStatus::Pending {
            // An order is ready when all its names are validated (RFC 8555 §7.1.6).
            self.state.status = OrderStatus::Ready;
        }
        self.poll_validation().await?;
        if self.state.status != OrderStatus::Invalid {
            return Ok(());
        }
        let failures = self.failures().await?;
        if failures.is_empty() {
            self.state.failure(Operation::Validation)?;
            let why = "the order is invalid, and nothing says why";
            return Err(AcmeError::invalid(Operation::Validation, why));
        }
        Err(AcmeError::Validation(failures))
    }

    /// Reads the state of the order until it is not pending any more. A CA may take its time to notice that a name
    /// cannot be validated: after some polls the names are looked at as well.
    async fn poll_validation(&mut self) -> Result<(), AcmeError> {
        let mut polls = self.polls(Operation::Validation);
        while is_pending(self.state.status) {
            let pause = self.refresh(polls.operation()).await?;
            if !is_pending(self.state.status) {
                break;
            }
            self.state.failure(polls.operation())?;
            if polls.is_slow() {
                let authorizations = self.read_authorizations().await?;
                let lost = authorizations.iter().filter(|one| one.is_lost());
                let failures: Vec<_> = lost.filter_map(Authorization::failure).collect();
                if !failures.is_empty() {
                    return Err(AcmeError::Validation(failures));
                }
            }
            polls.wait(pause).await?;
        }
        Ok(())
    }

    /// Tells the CA that a challenge is ready.
    async fn submit(&self, url: &str) -> Result<Submitted, AcmeError> {
        let operation = Operation::Challenges;
        let response = match self.account.post(operation, url, b"{}").await {
            Ok(response) => response,
            Err(refusal @ AcmeError::Problem { .. }) => return Ok(Submitted::Refused(refusal)),
            Err(error) => return Err(error),
        };
        let challenge = Dns01::parse(response.body());
        let challenge = challenge.map_err(|error| AcmeError::invalid(operation, error))?;
        Ok(match challenge.error() {
            Some(problem) => Submitted::Refused(refusal(operation, problem)),
            None if challenge.is_valid() => Submitted::Valid,
            None => Submitted::Accepted,
        })
    }

    /// Reads why the CA could not validate names.
    async fn failures(&self) -> Result<Vec<ValidationFailure>, AcmeError> {
        let authorizations = self.read_authorizations().await?;
        let failures = authorizations.iter().filter_map(Authorization::failure);
        Ok(failures.collect())
    }

    /// Submits the certificate request (DER) and fetches the chain (PEM, leaf first).
    pub async fn finalize(&mut self, request: &[u8]) -> Result<String, AcmeError> {
        let time = self.time.clone();
        let chain = self.request_chain(request);
        time.within(Operation::Certificate, chain).await
    }

    async fn request_chain(&mut self, request: &[u8]) -> Result<String, AcmeError> {
        let csr = json!({ "csr": BASE64_URL_SAFE_NO_PAD.encode(request) });
        self.submit_request(csr.to_string().as_bytes()).await?;
        crash::point(Point::Finalized);
        let operation = Operation::Certificate;
        let mut polls = self.polls(operation);
        self.poll_while(&mut polls, is_open).await?;
        self.state.failure(operation)?;
        let Some(url) = self.state.certificate.clone() else {
            return Err(AcmeError::invalid(operation, "no certificate in the order"));
        };
        let response = self.account.get(operation, &url).await?;
        if let Ok(base) = Url::parse(&url) {
            self.alternates = link::targets(response.headers(), "alternate", &base);
            self.alternates.retain(|url| url.len() <= LOCATION_MAX);
            self.alternates.truncate(ALTERNATES_MAX);
        }
        chain(operation, &response)
    }

    /// Fetches the chain that [`Order::finalize`] returned once more.
    pub async fn usual_chain(&mut self) -> Result<String, AcmeError> {
        let operation = Operation::Certificate;
        let url = self.state.certificate.as_deref().unwrap_or_default();
        let read = self.account.get(operation, url);
        chain(operation, &self.time.within(operation, read).await?)
    }

    /// Submits the certificate request, unless an earlier run did.
    async fn submit_request(&mut self, payload: &[u8]) -> Result<(), AcmeError> {
        let operation = Operation::Finalization;
        let mut polls = self.polls(operation);
        while self.state.status == OrderStatus::Ready {
            let Some(url) = &self.state.finalize else {
                return Err(AcmeError::invalid(
                    operation,
                    "no finalize URL in the order",
                ));
            };
            let refusal = match self.account.post(operation, url, payload).await {
                Ok(response) => return self.update(operation, &response),
                Err(error) => error,
            };
            let AcmeError::Problem { kind, .. } = &refusal else {
                return Err(refusal);
            };
            // The answer to an earlier attempt may have been lost.
            let Ok(pause) = self.refresh(operation).await else {
                return Err(refusal);
            };
            match self.state.status {
                OrderStatus::Processing | OrderStatus::Valid => return Ok(()),
                // The CA has not noticed all its validations yet.
                OrderStatus::Ready | OrderStatus::Pending if kind == "orderNotReady" => {}
                _ => return Err(refusal),
            }
            polls.wait(pause).await?;
            self.poll_while(&mut polls, is_pending).await?;
        }
        Ok(())
    }

    /// Fetches the next alternate chain (PEM, leaf first) that the CA offers for the certificate (RFC 8555 §7.4.2).
    /// Returns `None` after the last one.
    pub async fn next_alternate(&mut self) -> Result<Option<String>, AcmeError> {
        if self.alternates.is_empty() {
            return Ok(None);
        }
        let url = self.alternates.remove(0);
        let operation = Operation::AlternateChain;
        let read = self.account.get(operation, &url);
        let response = self.time.within(operation, read).await?;
        chain(operation, &response).map(Some)
    }

    /// Reads the state of the order. Returns how long the CA asks to wait before the next time.
    async fn refresh(&mut self, operation: Operation) -> Result<Option<Duration>, AcmeError> {
        let response = self.account.get(operation, &self.url).await?;
        self.update(operation, &response)?;
        Ok(self.account.client.poll_after(response.headers()))
    }

    /// Takes over what an answer contains. URLs that it leaves out are kept.
    fn update(
        &mut self,
        operation: Operation,
        response: &Response<Bytes>,
    ) -> Result<(), AcmeError> {
        let mut state = State::parse(operation, response, self.names.len())?;
        state.authorizations = state.authorizations.or(self.state.authorizations.take());
        state.finalize = state.finalize.or(self.state.finalize.take());
        state.certificate = state.certificate.or(self.state.certificate.take());
        self.state = state;
        Ok(())
    }

    /// Reads the state of the order, at once and then with pauses, until its status is another one.
    async fn poll_while(
        &mut self,
        polls: &mut Polls,
        is_waiting: fn(OrderStatus) -> bool,
    ) -> Result<(), AcmeError> {
        let operation = polls.operation();
        while is_waiting(self.state.status) {
            let pause = self.refresh(operation).await?;
            if is_waiting(self.state.status) {
                self.state.failure(operation)?;
                polls.wait(pause).await?;
            }
        }
        Ok(())
    }

    fn polls(&self, operation: Operation) -> Polls {
        Polls::new(operation, self.account.client.order_timeout())
    }
}

/// Whether the CA does not have what was asked for.
fn is_gone(error: &AcmeError) -> bool {
    match error {
        AcmeError::Problem { kind, .. } => kind != "rateLimited",
        AcmeError::Transport(TransportError::Status { status, .. }) => {
            (400..500).contains(status) && *status != 429
        }
        AcmeError::InvalidAnswer { .. } => true,
        _ => false,
    }
}

fn is_pending(status: OrderStatus) -> bool {
    status == OrderStatus::Pending
}

/// Whether the CA may still issue the certificate.
fn is_open(status: OrderStatus) -> bool {
    !matches!(status, OrderStatus::Valid | OrderStatus::Invalid)
}

/// The chain in an answer.
fn chain(operation: Operation, response: &Response<Bytes>) -> Result<String, AcmeError> {
    let chain = String::from_utf8(response.body().to_vec());
    chain.map_err(|error| AcmeError::invalid(operation, error))
}
