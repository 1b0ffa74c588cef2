//! Sending signed requests (RFC 8555 §6.2).

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};

use super::client::Client;
use super::error::{AcmeError, Operation};
use super::jws::{Header, Signer, SigningKey};
use super::problem::check;
use super::retry::Retry;

/// A key that signs requests, and whose it is.
pub(super) struct Signing<'a> {
    pub(super) client: &'a Client,
    pub(super) key: &'a SigningKey,
    pub(super) signer: Signer<'a>,
}

impl Signing<'_> {
    /// Sends a signed request, again if the CA refuses the nonce or is overloaded. An error says what for.
    pub(super) async fn post(
        &self,
        operation: Operation,
        url: &str,
        payload: &[u8],
    ) -> Result<Response<Bytes>, AcmeError> {
        let mut retry = Retry::of(operation);
        loop {
            match self.attempt(operation, url, payload).await {
                Ok(response) => return Ok(response),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    async fn attempt(
        &self,
        operation: Operation,
        url: &str,
        payload: &[u8],
    ) -> Result<Response<Bytes>, AcmeError> {
        let nonce = self.client.nonce().await?;
        let header = Header {
            signer: self.signer.clone(),
            nonce: Some(&nonce),
            url,
        };
        let body = self.key.sign(header, payload).map_err(AcmeError::damaged)?;
        let request = Request::post(url).header(CONTENT_TYPE, "application/jose+json");
        let request = request.body(Bytes::from(body));
        let request = request.map_err(|error| AcmeError::invalid(operation, error))?;
        let response = self.client.send(request).await?;
        check(operation, response, self.client.now())
    }
}
