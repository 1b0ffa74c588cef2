//! A simulated CA, for numbers of certificates at which a real one is the bottleneck.
//!
//! It speaks ACME (RFC 8555) with dns-01 only: directory, nonces, accounts, orders, authorizations,
//! challenges, finalization and download. It checks what a client must send, except for the
//! signatures of requests.

mod problem;
mod request;
mod resources;
mod response;
mod times;
mod validation;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use acme_alias_core::clock::{Clock, SystemClock};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;

use self::problem::Problem;
use self::request::{Signed, Signer};
use self::resources::{Resources, Status};
use self::response::{json, located};
pub use self::validation::Validation;
use crate::error::Result;
use crate::serve::{Protocol, Running, Tls, write_certificate};

/// Where renewal information is.
const RENEWAL_INFO: &str = "/renewal-info/";
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
    clock: Arc<dyn Clock>,
    has_renewal_info: bool,
    has_limits: bool,
    is_down: AtomicBool,
}

/// A certificate that the CA issued.
#[derive(Clone, Debug)]
pub struct IssuedByCa {
    /// The names.
    pub names: Vec<String>,
    /// When its order was opened.
    pub opened: Timestamp,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
}

impl SimulatedCa {
    /// Starts it on a thread of its own. It has no renewal information.
    pub fn start(validation: Validation) -> Result<SimulatedCa> {
        SimulatedCa::start_with(validation, Arc::new(SystemClock), false, false)
    }

    /// Starts it with a clock, and with renewal information (RFC 9773) if that is wanted. It has the lifetimes and the
    /// limits of Let's Encrypt then.
    pub fn start_at(
        validation: Validation,
        clock: Arc<dyn Clock>,
        has_renewal_info: bool,
    ) -> Result<SimulatedCa> {
        SimulatedCa::start_with(validation, clock, has_renewal_info, true)
    }

    fn start_with(
        validation: Validation,
        clock: Arc<dyn Clock>,
        has_renewal_info: bool,
        has_limits: bool,
    ) -> Result<SimulatedCa> {
        let folder = TempDir::with_prefix("acme-alias-ca-")?;
        let root = write_certificate(folder.path())?;
        // An error says that a provider is installed already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let file = |name| folder.path().join(name);
        let tls = Tls::read(&file("tls.pem"), &file("tls.key"), Protocol::Http1)?;

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
            clock,
            has_renewal_info,
            has_limits,
            is_down: AtomicBool::new(false),
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

    /// The certificates that were issued so far, in the order of their orders.
    pub fn issued(&self) -> Vec<IssuedByCa> {
        let resources = self.authority.resources();
        let dated = resources.dated.iter();
        let issued = dated.filter_map(|dated| {
            let issued = dated.issued.as_ref()?;
            Some(IssuedByCa {
                names: dated.names.clone(),
                opened: dated.opened,
                not_before: issued.not_before,
                not_after: issued.not_after,
            })
        });
        issued.collect()
    }

    /// Lets it answer every request with an error, or work again.
    pub fn set_down(&self, is_down: bool) {
        self.authority.is_down.store(is_down, Ordering::Relaxed);
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
    if let Some(date) = http_date(authority.clock.now()) {
        response.headers_mut().insert(header::DATE, date);
    }
    if let Ok(nonce) = nonce.parse() {
        response.headers_mut().insert("replay-nonce", nonce);
    }
    response
}

/// The time as HTTP has it (RFC 9110 §5.6.7).
fn http_date(time: Timestamp) -> Option<HeaderValue> {
    let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    text.parse().ok()
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
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Problem::new(503, "serverInternal", "not now"));
        }
        match (&parts.method, path) {
            (&Method::GET, "/dir") => return Ok(directory(&base, self.has_renewal_info)),
            (&Method::GET, path) if path.starts_with(RENEWAL_INFO) => {
                let id = &path[RENEWAL_INFO.len()..];
                let info = times::renewal_info(&self.resources().dated, id);
                let info = info.ok_or_else(|| Problem::new(404, "malformed", "unknown"))?;
                return Ok(json(200, &info));
            }
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
        let payload = signed.object()?;
        let names = request::identifiers(&payload)?;
        let mut resources = self.resources();
        let now = self.clock.now();
        let dated = times::dated(&mut resources.dated, now, &payload, names.clone())?;
        if self.has_limits {
            times::check_limits(&resources.dated, &dated)?;
        }
        resources.dated.push(dated);
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
        let profile = resources.dated[number].profile.as_deref();
        let validity = times::validity(self.clock.now(), profile);
        let leaf = resources::sign(&self.issuer, csr, &order.names, validity)?;
        resources.dated[number].issue(&leaf);
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
fn directory(base: &str, has_renewal_info: bool) -> Response {
    let mut directory = json!({
        "newNonce": format!("{base}/nonce"),
        "newAccount": format!("{base}/new-account"),
        "newOrder": format!("{base}/new-order"),
        "meta": { "termsOfService": format!("{base}/terms"), "profiles": times::profiles() },
    });
    if has_renewal_info {
        directory["renewalInfo"] = json!(format!("{base}{}", RENEWAL_INFO.trim_end_matches('/')));
    }
    json(200, &directory)
}
