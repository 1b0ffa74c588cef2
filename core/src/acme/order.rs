//! An order, from its challenges to the certificate chain (RFC 8555 §7.4, §7.5).

use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeType, Error, Identifier as AcmeIdentifier, NewOrder, OrderStatus,
    RetryPolicy,
};

use super::account::Account;
use super::error::AcmeError;
use super::retry::{is_bad_nonce, retrying, translate};
use crate::crash::{self, Point};
use crate::name::{DnsName, Identifier};
use crate::printable::printable;
use crate::txt::TxtValue;

/// What the CA wants to see before it believes that a name is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The challenge name.
    pub challenge_name: DnsName,
    /// The TXT value that must be found from there.
    pub value: TxtValue,
}

/// An open order.
pub struct Order {
    inner: instant_acme::Order,
    names: Vec<Identifier>,
    account: Account,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order")
            .field("url", &self.inner.url())
            .finish_non_exhaustive()
    }
}

impl Order {
    pub(super) async fn open(account: &Account, names: &[Identifier]) -> Result<Self, AcmeError> {
        let identifiers: Vec<_> = names
            .iter()
            .map(|name| AcmeIdentifier::Dns(name.to_string()))
            .collect();
        let inner = retrying("the order", async || {
            account.inner.new_order(&NewOrder::new(&identifiers)).await
        })
        .await?;
        Ok(Order {
            inner,
            names: names.to_vec(),
            account: account.clone(),
        })
    }

    pub(super) async fn resume(
        account: &Account,
        url: &str,
        names: &[Identifier],
    ) -> Result<Option<Self>, AcmeError> {
        let resumed = retrying("the order", async || {
            account.inner.order(url.to_owned()).await
        });
        let resumed = resumed.await;
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

    /// The challenges that are still to be met; none for names that the CA validated before.
    pub async fn challenges(&mut self) -> Result<Vec<Challenge>, AcmeError> {
        retrying("the authorizations", async || {
            // Each authorization is fetched once; another attempt goes on where this one stops.
            let mut authorizations = self.inner.authorizations();
            while let Some(authorization) = authorizations.next().await {
                authorization?;
            }
            Ok(())
        })
        .await?;
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
                // The digest of a hash in base64url: 43 characters whatever the token was.
                value: value.parse().map_err(|error| AcmeError::NotAcme {
                    what: "the challenge",
                    cause: format!("{error}"),
                })?,
            });
        }
        Ok(challenges)
    }

    /// Tells the CA that all challenges can be met, and waits for what it finds.
    pub async fn validate(&mut self) -> Result<(), AcmeError> {
        let mut told = 0;
        let mut refusal = None;
        retrying("the challenges", async || {
            let mut authorizations = self.inner.authorizations();
            let mut index = 0;
            while let Some(authorization) = authorizations.next().await {
                let mut authorization = authorization?;
                if index >= told
                    && authorization.status == AuthorizationStatus::Pending
                    && let Some(mut challenge) = authorization.challenge(ChallengeType::Dns01)
                {
                    match challenge.set_ready().await {
                        // All others are told as well, so that all failures come together.
                        Err(error @ Error::Api(_)) if !is_bad_nonce(&error) => {
                            refusal = Some(error);
                        }
                        answer => answer?,
                    }
                }
                index += 1;
                told = told.max(index);
            }
            Ok(())
        })
        .await?;
        if let Some(refusal) = refusal {
            // The CA may have looked while it answered, and put what it found into the answer.
            let failures = self.failures().await?;
            return Err(if failures.is_empty() {
                translate("the challenges", refusal)
            } else {
                AcmeError::Validation(failures)
            });
        }
        if self.inner.state().status != OrderStatus::Pending {
            return Ok(());
        }
        let what = "the validation";
        let polls = self.polls();
        match retrying(what, async || poll_ready(&mut self.inner, &polls).await).await? {
            OrderStatus::Invalid => Err(AcmeError::Validation(self.failures().await?)),
            _ => Ok(()),
        }
    }

    /// Hands in the certification request (DER) and fetches the chain (PEM, leaf first).
    pub async fn finalize(&mut self, request: &[u8]) -> Result<String, AcmeError> {
        let mut again = false;
        retrying("the certification request", async || {
            // A reply may have been lost: what the order says now counts, not what we last heard.
            if again {
                self.inner.refresh().await?;
            }
            again = true;
            match self.inner.state().status {
                OrderStatus::Ready => self.inner.finalize_csr(request).await,
                // That was done before.
                _ => Ok(()),
            }
        })
        .await?;
        crash::point(Point::Finalized);
        let what = "the certificate";
        retrying(what, async || match self.inner.state().status {
            OrderStatus::Valid => match self.inner.certificate().await? {
                Some(chain) => Ok(chain),
                None => Err(Error::Str("a certificate in a valid order")),
            },
            _ => {
                let polls = self.polls();
                self.inner.poll_certificate(&polls).await
            }
        })
        .await
    }

    /// The chains (PEM, leaf first) that the CA offers beside the one it gave out (RFC 8555 §7.4.2).
    pub async fn alternate_chains(&mut self) -> Result<Vec<String>, AcmeError> {
        let what = "another chain";
        let Account { inner, transport } = &self.account;
        let url = self.inner.state().certificate.clone().unwrap_or_default();
        let mut chains = Vec::new();
        for url in transport.chains.take_offered(&url) {
            transport.chains.wait_for(&url);
            // An order is fetched as a chain is, by POST-as-GET; what comes is then none.
            let outcome = retrying(what, async || match inner.order(url.clone()).await {
                Ok(_) | Err(Error::Json(_)) => Ok(()),
                Err(error) => Err(error),
            })
            .await;
            let chain = transport.chains.take(&url);
            outcome?;
            let text = chain.and_then(|chain| String::from_utf8(chain.to_vec()).ok());
            chains.push(text.ok_or_else(|| AcmeError::NotAcme {
                what,
                cause: "it is no text".to_owned(),
            })?);
        }
        Ok(chains)
    }

    /// Polls begin at once and grow; a `Retry-After` of the CA takes precedence.
    fn polls(&self) -> RetryPolicy {
        RetryPolicy::new()
            .initial_delay(Duration::from_millis(20))
            .backoff(1.4)
            .timeout(self.account.transport.patience.order)
    }

    /// Why the CA did not find each name to be ours.
    async fn failures(&mut self) -> Result<Vec<(String, String)>, AcmeError> {
        let mut failures = Vec::new();
        retrying("the authorizations", async || {
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
                    Some((printable(&name), printable(&detail)))
                });
                failures.extend(problems);
            }
            Ok(())
        })
        .await?;
        Ok(failures)
    }
}

/// `poll_ready` reports an order that failed as an error without saying which name; its
/// authorizations do.
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
