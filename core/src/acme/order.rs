//! An order, from its challenges to the certificate chain (RFC 8555 §7.4, §7.5).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeType, Error, Identifier as AcmeIdentifier, NewOrder, OrderStatus,
    RetryPolicy,
};

use super::account::Account;
use super::error::{AcmeError, Operation, ValidationFailure};
use super::problem::{self, convert, is_bad_nonce};
use super::retry::retry;
use crate::crash::{self, Point};
use crate::name::{DnsName, Identifier};
use crate::printable::printable;
use crate::txt::TxtValue;

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
    inner: instant_acme::Order,
    names: Vec<Identifier>,
    account: Account,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("url", &self.inner.url())
            .finish_non_exhaustive()
    }
}

impl Order {
    /// Opens an order for these names (RFC 8555 §7.4).
    pub async fn open(account: &Account, names: &[Identifier]) -> Result<Self, AcmeError> {
        let identifiers: Vec<_> = names
            .iter()
            .map(|name| AcmeIdentifier::Dns(name.to_string()))
            .collect();
        let inner = retry!(Operation::Order, {
            account.inner.new_order(&NewOrder::new(&identifiers)).await
        })?;
        Ok(Order {
            inner,
            names: names.to_vec(),
            account: account.clone(),
        })
    }

    /// Resumes an order that was opened before. Returns `None` if the CA no longer has it, or if it
    /// failed.
    pub async fn resume(
        account: &Account,
        url: &str,
        names: &[Identifier],
    ) -> Result<Option<Self>, AcmeError> {
        let resumed = retry!(Operation::Order, {
            account.inner.order(url.to_owned()).await
        });
        let mut inner = match resumed {
            Ok(inner) => inner,
            // It has expired, or belongs to another account.
            Err(AcmeError::Problem { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if inner.state().status == OrderStatus::Invalid {
            return Ok(None);
        }
        Ok(Some(Order {
            inner,
            names: names.to_vec(),
            account: account.clone(),
        }))
    }

    /// The order's URL.
    pub fn url(&self) -> &str {
        self.inner.url()
    }

    /// Returns the challenges to fulfil. There are none for names that the CA has validated before.
    pub async fn challenges(&mut self) -> Result<Vec<Challenge>, AcmeError> {
        retry!(Operation::Authorizations, {
            // Each authorization is fetched once. A repeated attempt continues with the next one.
            let mut authorizations = self.inner.authorizations();
            while let Some(authorization) = authorizations.next().await {
                authorization?;
            }
            Ok(())
        })?;
        let mut challenges = Vec::new();
        let mut authorizations = self.inner.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let name = authorization.identifier().to_string();
            let ours = self.names.iter().find(|ours| ours.to_string() == name);
            let Some(ours) = ours else {
                return Err(AcmeError::ForeignAuthorization(
                    name.escape_debug().to_string(),
                ));
            };
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let Some(challenge) = authorization.challenge(ChallengeType::Dns01) else {
                return Err(AcmeError::NoDns01(printable(&name)));
            };
            let value = challenge.key_authorization().dns_value();
            challenges.push(Challenge {
                challenge_name: ours.challenge_name().clone(),
                // A hash in base64url: 43 characters, whatever the token is.
                value: value.parse().map_err(|error| AcmeError::InvalidAnswer {
                    operation: Operation::Challenges,
                    source: Arc::new(error),
                })?,
            });
        }
        Ok(challenges)
    }

    /// Asks the CA to validate all challenges (RFC 8555 §7.5.1), and waits for the result.
    pub async fn validate(&mut self) -> Result<(), AcmeError> {
        let mut submitted = 0;
        let mut refusal = None;
        retry!(Operation::Challenges, {
            let mut authorizations = self.inner.authorizations();
            let mut index = 0;
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization?;
                if index >= submitted
                    && authorization.status == AuthorizationStatus::Pending
                    && let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01)
                {
                    match challenge.set_ready().await {
                        // The others are submitted as well, so that all failures are reported.
                        Err(error @ Error::Api(_)) if !is_bad_nonce(&error) => {
                            refusal = Some(error);
                        }
                        answer => answer?,
                    }
                }
                index += 1;
                submitted = submitted.max(index);
            }
            Ok(())
        })?;
        if let Some(refusal) = refusal {
            // The CA may have validated at once, and answered with the result.
            let failures = self.failures().await?;
            return Err(if failures.is_empty() {
                convert(Operation::Challenges, refusal)
            } else {
                AcmeError::Validation(failures)
            });
        }
        if self.inner.state().status != OrderStatus::Pending {
            return Ok(());
        }
        let polls = self.polls();
        let status = retry!(Operation::Validation, {
            poll_ready(&mut self.inner, &polls).await
        });
        match status? {
            OrderStatus::Invalid => Err(AcmeError::Validation(self.failures().await?)),
            _ => Ok(()),
        }
    }

    /// Submits the certificate request (DER) and fetches the chain (PEM, leaf first).
    pub async fn finalize(&mut self, request: &[u8]) -> Result<String, AcmeError> {
        let mut is_repeated = false;
        retry!(Operation::Finalization, {
            // The first answer may have been lost, so read the state of the order again.
            if is_repeated {
                self.inner.refresh().await?;
            }
            is_repeated = true;
            match self.inner.state().status {
                OrderStatus::Ready => self.inner.finalize_csr(request).await,
                // The request was submitted before.
                _ => Ok(()),
            }
        })?;
        crash::point(Point::Finalized);
        retry!(Operation::Certificate, {
            match self.inner.state().status {
                OrderStatus::Valid => match self.inner.certificate().await? {
                    Some(chain) => Ok(chain),
                    None => Err(Error::Str("a certificate in a valid order")),
                },
                _ => {
                    let polls = self.polls();
                    self.inner.poll_certificate(&polls).await
                }
            }
        })
    }

    /// Fetches the alternate chains (PEM, leaf first) that the CA offers for the certificate (RFC 8555
    /// §7.4.2).
    pub async fn alternate_chains(&mut self) -> Result<Vec<String>, AcmeError> {
        let operation = Operation::AlternateChain;
        let Account { inner, transport } = &self.account;
        let url = self.inner.state().certificate.clone().unwrap_or_default();
        let mut chains = Vec::new();
        for url in transport.chains.take_offered(&url) {
            transport.chains.request(&url);
            // A chain is fetched like an order, by POST-as-GET. The answer is not an order, which is
            // not an error here.
            let outcome = retry!(
                operation,
                match inner.order(url.clone()).await {
                    Ok(_) | Err(Error::Json(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            );
            let chain = transport.chains.take(&url);
            outcome?;
            let text = String::from_utf8(chain.unwrap_or_default().to_vec());
            chains.push(text.map_err(|error| AcmeError::InvalidAnswer {
                operation,
                source: Arc::new(error),
            })?);
        }
        Ok(chains)
    }

    /// The pauses between polls grow from a short one. `Retry-After` takes precedence.
    fn polls(&self) -> RetryPolicy {
        RetryPolicy::new()
            .initial_delay(Duration::from_millis(20))
            .backoff(1.4)
            .timeout(self.account.transport.timeouts.order)
    }

    /// Reads why the CA could not validate names.
    async fn failures(&mut self) -> Result<Vec<ValidationFailure>, AcmeError> {
        let mut failures = Vec::new();
        retry!(Operation::Authorizations, {
            failures.clear();
            let mut authorizations = self.inner.authorizations();
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization?;
                let name = authorization.identifier().to_string();
                let state = authorization.refresh().await?;
                let problems = state.challenges.iter().filter_map(|challenge| {
                    let problem = challenge.error.as_ref()?;
                    let detail = problem.detail.clone();
                    let detail = detail.unwrap_or_else(|| problem.to_string());
                    Some(ValidationFailure {
                        identifier: printable(&name),
                        kind: problem::kind(problem),
                        detail: printable(&detail),
                    })
                });
                failures.extend(problems);
            }
            Ok(())
        })?;
        Ok(failures)
    }
}

/// Waits until the order is ready or has failed. `Order::poll_ready` reports a failed order as an
/// error that does not contain the names, but the authorizations contain them.
async fn poll_ready(
    order: &mut instant_acme::Order,
    polls: &RetryPolicy,
) -> Result<OrderStatus, Error> {
    match order.poll_ready(polls).await {
        Err(Error::Api(_)) if order.state().status == OrderStatus::Invalid => {
            Ok(OrderStatus::Invalid)
        }
        other => other,
    }
}
