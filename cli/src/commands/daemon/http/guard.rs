//! Which requests are answered, and what every answer says to browsers.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use super::shared::Shared;
use crate::settings::Listen;

/// For answers that are no page.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Under which hosts a server may be asked. A page of somebody else, whose name leads to this address, makes the browser
/// of a user send its own name (DNS rebinding).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// A Unix socket: no browser gets there by itself, and the server in front of it checks names.
    All,
    /// `localhost`, loopback addresses, and the names in the settings.
    Loopback,
    /// Those and every address: an address cannot be made to lead elsewhere.
    Addresses,
}

impl Allowed {
    /// For a server that listens there.
    pub(super) fn at(listen: &Listen) -> Self {
        match listen {
            Listen::Unix(_) => Allowed::All,
            Listen::Tcp(address) if address.ip().is_loopback() => Allowed::Loopback,
            Listen::Tcp(_) => Allowed::Addresses,
        }
    }

    /// Whether a request with this URI and these headers is answered. `hosts` are the names in the settings.
    fn answers(self, uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
        if self == Allowed::All {
            return true;
        }
        let mut given = headers.get_all(HOST).iter();
        let (Some(host), None) = (given.next(), given.next()) else {
            return false;
        };
        let host = host.to_str().ok().and_then(|host| host.parse().ok());
        let is_good = |authority: &Authority| self.answers_to(authority, hosts);
        // A request to a proxy has a whole URL.
        host.as_ref().is_some_and(is_good) && uri.authority().is_none_or(is_good)
    }

    fn answers_to(self, authority: &Authority, hosts: &[String]) -> bool {
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host().to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            Ok(address) => self == Allowed::Addresses || address.is_loopback(),
            Err(_) => host == "localhost" || hosts.contains(&host),
        }
    }
}

/// Answers what may be answered. A handler that panics is an error 500, and harms nothing else.
pub(super) async fn guard(
    State((shared, allowed)): State<(Arc<Shared>, Allowed)>,
    request: Request,
    next: Next,
) -> Response {
    let is_answered =
        shared.with_hosts(|hosts| allowed.answers(request.uri(), request.headers(), hosts));
    let response = if is_answered {
        caught(next.run(request)).await
    } else {
        let reason = "This host name is not served. Use localhost or an IP address, or add the name to `run.hosts`.\n";
        (StatusCode::MISDIRECTED_REQUEST, reason).into_response()
    };
    protected(response)
}

/// The answer, or an error if making it panics.
async fn caught(answer: impl Future<Output = Response>) -> Response {
    let answered = AssertUnwindSafe(answer).catch_unwind().await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// The answer, with what keeps browsers from doing more with it than showing it.
fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(allowed: Allowed, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        let hosts = ["status.example.net".to_owned()];
        allowed.answers(&Uri::from_static("/"), &headers, &hosts)
    }

    #[test]
    fn only_names_of_this_machine_and_of_the_settings_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:9105",
            "127.0.0.1:9105",
            "127.1.2.3",
            "[::1]:9105",
            "status.example.net",
        ] {
            assert!(answers(Allowed::Loopback, host), "{host}");
            assert!(answers(Allowed::Addresses, host), "{host}");
        }
        for host in [
            "attacker.example",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "status.example.net.",
            "localhost@attacker.example",
            "attacker.example@localhost",
            "",
            "a b",
            "[::1",
            "127.1",
        ] {
            assert!(!answers(Allowed::Loopback, host), "{host}");
            assert!(!answers(Allowed::Addresses, host), "{host}");
        }
        assert!(!answers(Allowed::Loopback, "192.0.2.1:9105"));
        assert!(answers(Allowed::Addresses, "192.0.2.1:9105"));
        assert!(answers(Allowed::All, "attacker.example"));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_one_request() {
        let response = caught(async { panic!("a defect") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            caught(async { StatusCode::OK.into_response() })
                .await
                .status(),
            StatusCode::OK
        );
    }

    #[test]
    fn a_request_without_a_host_or_with_two_is_not_answered() {
        let uri = Uri::from_static("/");
        let mut headers = HeaderMap::new();
        assert!(!Allowed::Loopback.answers(&uri, &headers, &[]));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(Allowed::Loopback.answers(&uri, &headers, &[]));
        let whole = Uri::from_static("http://attacker.example/");
        assert!(!Allowed::Loopback.answers(&whole, &headers, &[]));
        headers.append(HOST, HeaderValue::from_static("localhost"));
        assert!(!Allowed::Loopback.answers(&uri, &headers, &[]));
    }
}
