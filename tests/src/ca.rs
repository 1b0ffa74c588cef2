//! A simulated CA, for numbers of certificates at which a real one is the bottleneck.
//!
//! It speaks ACME (RFC 8555) with dns-01 only: directory, nonces, accounts, orders, authorizations,
//! challenges, finalization and download. It checks what a client must send, except for the
//! signatures of requests.

mod problem;
mod request;
mod resources;
mod response;
mod validation;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use self::problem::Problem;
use self::request::{Signed, Signer};
use self::resources::{Resources, Status};
use self::response::{json, located};
pub use self::validation::Validation;
use crate::error::Result;
use crate::serve::{Running, Tls, write_certificate};

const BODY_MAX: usize = 256 * 1024;

/// A simulated CA, running until this is dropped.
#[derive(Debug)]
pub struct SimulatedCa {
    server: Running,
    authority: Arc<Authority>,
    root: PathBuf,
    _folder: TempDir,
}

/// What all requests share.
#[derive(Debug)]
struct Authority {
    validation: Validation,
    issuer: Issuer<'static, KeyPair>,
    /// The certificate of the issuer, in PEM.
    issuer_pem: String,
    resources: Mutex<Resources>,
}

impl SimulatedCa {
    /// Starts it on a thread of its own.
    pub fn start(validation: Validation) -> Result<SimulatedCa> {
        let folder = TempDir::with_prefix("acme-alias-ca-")?;
        let root = write_certificate(folder.path())?;
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let file = |name| folder.path().join(name);
        let tls = Tls::read(&file("tls.pem"), &file("tls.key"))?;

        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Simulated CA");
        let issuer_pem = params.self_signed(&key)?.pem();
        let authority = Arc::new(Authority {
            validation,
            issuer: Issuer::new(params, key),
            issuer_pem,
            resources: Mutex::default(),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&authority));
        Ok(SimulatedCa {
            server: Running::start_tls(app, tls)?,
            authority,
            root,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address())
    }

    /// The file with the root certificate of its HTTPS.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Orders that were opened so far.
    pub fn orders(&self) -> usize {
        self.authority.resources().orders.len()
    }

    /// Certificates that were issued so far.
    pub fn certificates(&self) -> usize {
        let resources = self.authority.resources();
        let orders = resources.orders.iter();
        orders.filter(|order| order.chain.is_some()).count()
    }

    /// Requests that were answered so far.
    pub fn requests(&self) -> usize {
        self.authority.resources().requests
    }
}

async fn answer(State(authority): State<Arc<Authority>>, request: Request) -> Response {
    let mut response = match authority.answer(request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let nonce = {
        let mut resources = authority.resources();
        resources.requests += 1;
        resources.new_nonce()
    };
    if let Ok(nonce) = nonce.parse() {
        response.headers_mut().insert("replay-nonce", nonce);
    }
    response
}

impl Authority {
    fn resources(&self) -> MutexGuard<'_, Resources> {
        self.resources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: &Arc<Self>, request: Request) -> std::result::Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let host = parts.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let base = format!("https://{}", host.unwrap_or_default());
        let path = parts.uri.path();
        match (&parts.method, path) {
            (&Method::GET, "/dir") => return Ok(directory(&base)),
            (&Method::HEAD, "/nonce") => return Ok(StatusCode::OK.into_response()),
            (&Method::GET, "/nonce") => return Ok(StatusCode::NO_CONTENT.into_response()),
            (&Method::POST, _) => {}
            _ => return Err(Problem::malformed("no such resource")),
        }
        let body = to_bytes(body, BODY_MAX).await.map_err(Problem::malformed)?;
        let signed = request::read(&parts.headers, &format!("{base}{path}"), &body)?;
        if !self.resources().use_nonce(&signed.nonce) {
            return Err(Problem::new(400, "badNonce", "this nonce is not valid"));
        }
        self.post(&base, path, &signed)
    }

    fn post(
        self: &Arc<Self>,
        base: &str,
        path: &str,
        signed: &Signed,
    ) -> std::result::Result<Response, Problem> {
        let signer = match &signed.signer {
            Signer::Key { thumbprint } if path == "/new-account" => {
                return self.new_account(base, thumbprint, signed);
            }
            Signer::Key { .. } => return Err(Problem::malformed("`kid` is missing")),
            Signer::Account(url) => url.strip_prefix(&format!("{base}/account/")),
        };
        let account = signer.and_then(|number| number.parse().ok());
        let account = account.filter(|account| *account < self.resources().accounts.len());
        let Some(account) = account else {
            let detail = "the account of `kid` does not exist";
            return Err(Problem::new(400, "accountDoesNotExist", detail));
        };
        if path == "/new-order" {
            return self.new_order(base, account, signed);
        }
        let (kind, number) = path[1..].split_once('/').unwrap_or_default();
        let number = number
            .parse()
            .map_err(|_| Problem::malformed("no such resource"))?;
        match kind {
            "order" => {
                signed.expect_empty()?;
                Ok(self.resources().order(account, number)?.response(base, 200))
            }
            "authorization" => {
                signed.expect_empty()?;
                let resources = self.resources();
                let authorization = resources.authorization(account, number)?;
                Ok(json(200, &authorization.body(base)))
            }
            "challenge" => self.challenge(base, account, number, signed),
            "finalize" => self.finalize(base, account, number, signed),
            "certificate" => self.certificate(account, number, signed),
            _ => Err(Problem::malformed("no such resource")),
        }
    }

    /// RFC 8555 §7.3.
    fn new_account(
        &self,
        base: &str,
        thumbprint: &str,
        signed: &Signed,
    ) -> std::result::Result<Response, Problem> {
        let payload = signed.object()?;
        let mut resources = self.resources();
        let known = resources.accounts.iter().position(|a| a == thumbprint);
        let (status, number) = match known {
            Some(number) => (200, number),
            None if payload["onlyReturnExisting"] == true => {
                let detail = "no account has this key";
                return Err(Problem::new(400, "accountDoesNotExist", detail));
            }
            None if payload["termsOfServiceAgreed"] != true => {
                let detail = "the terms of service are not agreed to";
                return Err(Problem::new(403, "userActionRequired", detail));
            }
            None => {
                resources.accounts.push(thumbprint.to_owned());
                (201, resources.accounts.len() - 1)
            }
        };
        let body = json!({ "status": "valid", "contact": payload["contact"] });
        Ok(located(
            json(status, &body),
            &format!("{base}/account/{number}"),
        ))
    }

    /// RFC 8555 §7.4.
    fn new_order(
        &self,
        base: &str,
        account: usize,
        signed: &Signed,
    ) -> std::result::Result<Response, Problem> {
        let names = request::identifiers(&signed.object()?)?;
        let mut resources = self.resources();
        let number = resources.open_order(account, names);
        Ok(resources.order(account, number)?.response(base, 201))
    }

    /// RFC 8555 §7.5.1.
    fn challenge(
        self: &Arc<Self>,
        base: &str,
        account: usize,
        number: usize,
        signed: &Signed,
    ) -> std::result::Result<Response, Problem> {
        let mut resources = self.resources();
        let thumbprint = resources.accounts[account].clone();
        let authorization = resources.authorization_mut(account, number)?;
        if !signed.payload.is_empty() {
            signed.object()?;
            if authorization.status == Status::Pending {
                authorization.status = Status::Processing;
                let name = format!("_acme-challenge.{}", authorization.name);
                let expected = validation::expected(&authorization.token, &thumbprint);
                let authority = Arc::clone(self);
                tokio::spawn(async move {
                    let found = validation::validate(authority.validation, &name, &expected).await;
                    authority.resources().authorizations[number].settle(found);
                });
            }
        }
        let up = format!("<{base}/authorization/{number}>;rel=\"up\"");
        let mut response = json(200, &authorization.challenge(base));
        if let Ok(up) = up.parse() {
            response.headers_mut().insert(header::LINK, up);
        }
        Ok(response)
    }

    /// RFC 8555 §7.4.
    fn finalize(
        &self,
        base: &str,
        account: usize,
        number: usize,
        signed: &Signed,
    ) -> std::result::Result<Response, Problem> {
        let payload = signed.object()?;
        let csr = payload["csr"].as_str().unwrap_or_default();
        let csr = URL_SAFE_NO_PAD.decode(csr).map_err(Problem::malformed)?;
        let mut resources = self.resources();
        let order = resources.order(account, number)?;
        if order.status != Status::Ready {
            let detail = "the order is not ready";
            return Err(Problem::new(403, "orderNotReady", detail));
        }
        let leaf = resources::sign(&self.issuer, csr, &order.names)?;
        resources.orders[number].chain = Some(format!("{leaf}{}", self.issuer_pem));
        Ok(resources.order(account, number)?.response(base, 200))
    }

    /// RFC 8555 §7.4.2.
    fn certificate(
        &self,
        account: usize,
        number: usize,
        signed: &Signed,
    ) -> std::result::Result<Response, Problem> {
        signed.expect_empty()?;
        let resources = self.resources();
        resources.order(account, number)?;
        let chain = resources.orders[number].chain.clone();
        let chain = chain.ok_or_else(|| Problem::malformed("no such certificate"))?;
        let kind = [(header::CONTENT_TYPE, "application/pem-certificate-chain")];
        Ok((kind, chain).into_response())
    }
}

/// RFC 8555 §7.1.1.
fn directory(base: &str) -> Response {
    let directory = json!({
        "newNonce": format!("{base}/nonce"),
        "newAccount": format!("{base}/new-account"),
        "newOrder": format!("{base}/new-order"),
        "meta": { "termsOfService": format!("{base}/terms") },
    });
    json(200, &directory)
}
