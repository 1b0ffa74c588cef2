//! What `run` serves by HTTP, and the metrics that `renew` writes.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use acme_alias_tests::{ALIAS_ZONE, BELOW, Program, Result, Running, TestBed};
use jiff::Timestamp;
use serde_json::Value;

use crate::status_page::{bed, good_and_bad};

/// The answer to a request: the status line with headers, and the body.
fn exchange(mut stream: impl Read + Write, request: &str) -> Result<(String, String)> {
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.to_ascii_lowercase(), body.to_owned()))
}

fn ask(address: SocketAddr, method: &str, path: &str, host: &str) -> Result<(String, String)> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    exchange(stream, &request)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let (head, body) = ask(address, "GET", path, &address.to_string())?;
    assert!(head.starts_with("http/1.1 200 "), "{path}: {head}");
    Ok(body)
}

/// `run` with a server that listens there, after its first run and its first check of the delegations.
pub(crate) fn serving(bed: &TestBed, program: &Program, address: SocketAddr) -> Result<Running> {
    let running = program.spawn(&["run"])?;
    bed.wait_until("the first run has ended", |_| {
        let metrics = ask(address, "GET", "/metrics", "localhost");
        Ok(metrics.is_ok_and(|(_, text)| {
            text.contains("\nacme_alias_runs_total 1\n")
                && text.contains("\nacme_alias_delegations_checked_timestamp_seconds ")
        }))
    })?;
    Ok(running)
}

/// The settings, with a server that listens there.
pub(crate) fn program(bed: &TestBed, listen: &str) -> Result<Program> {
    let mut settings = good_and_bad(bed);
    settings.more.push_str("[acme.limits]\norders = 300\n");
    let program = bed.program(settings)?;
    listen_at(&program, listen)?;
    Ok(program)
}

fn listen_at(program: &Program, listen: &str) -> Result {
    let text = format!("[run]\nlisten = '{listen}'\n");
    Ok(fs::write(program.home().join(BELOW), text)?)
}

#[track_caller]
fn assert_has(text: &str, lines: &[&str]) {
    for line in lines {
        let has = text.lines().any(|one| one == *line);
        assert!(has, "`{line}` is not in\n{text}");
    }
}

#[test]
fn renew_writes_the_metrics_of_what_was_obtained_and_what_failed() -> Result {
    let bed = bed()?;
    let program = bed.program(good_and_bad(&bed))?;
    let folder = bed.folder().join("textfile");
    fs::create_dir(&folder)?;
    let file = folder.join("acme-alias.prom");
    let path = file.display().to_string();
    program
        .run(&["renew", "--metrics", &path])?
        .assert_failure(3, &[]);
    let text = fs::read_to_string(&file)?;
    assert_has(
        &text,
        &[
            "acme_alias_certificates{state=\"good\"} 1.0",
            "acme_alias_certificates{state=\"failed\"} 1.0",
            "acme_alias_certificate_consecutive_failures{certificate=\"bad\"} 1.0",
            "acme_alias_certificate_consecutive_failures{certificate=\"good\"} 0.0",
            "acme_alias_last_run_success 0.0",
            "acme_alias_last_run_failures 1.0",
            "acme_alias_open_txt_values 0.0",
        ],
    );
    let listed = program.run(&["list", "--output", "json"])?.json()?;
    let end = listed["certificates"][0]["not_after"]
        .as_str()
        .unwrap_or_default();
    let end = end.parse::<Timestamp>()?.as_second();
    assert!(
        text.contains(&format!(
            "not_after_timestamp_seconds{{certificate=\"good\"}} {end}.0\n"
        )),
        "{text}"
    );
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_dir(&folder)?.count(), 1);
    // What became of the certificates is told in any case.
    let outcome = program.run(&["renew", "good", "--metrics", "/nowhere/x.prom"])?;
    outcome.assert_success();
    outcome.assert_said(&["/nowhere/x.prom", "the folder /nowhere"]);
    Ok(())
}

#[test]
fn run_serves_its_health_metrics_certificates_and_the_page() -> Result {
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let program = program(&bed, &address.to_string())?;
    let running = serving(&bed, &program, address)?;
    assert_eq!(get(address, "/healthz")?, "ok\n");
    assert_has(
        &get(address, "/metrics")?,
        &[
            "acme_alias_healthy 1.0",
            "acme_alias_certificates{state=\"failed\"} 1.0",
        ],
    );
    let metrics = get(address, "/metrics")?;
    // The order that was not opened is given back.
    let left = metrics
        .lines()
        .find(|line| line.starts_with("acme_alias_orders_left{"));
    assert!(
        left.is_some_and(|left| left.ends_with(" 299.0")),
        "{metrics}"
    );
    let page = get(address, "/")?;
    // This process knows the remedy of the failure.
    let record = "_acme-challenge.nowhere.example.com.";
    assert!(
        page.contains("<h1>1 problem</h1>") && page.contains(record),
        "{page}"
    );
    let served: Value = serde_json::from_str(&get(address, "/api/v1/certificates")?)?;
    let listed = program.run(&["list", "--output", "json"])?.json()?;
    assert_eq!(served, listed);
    running.terminate()?;
    running.wait()?.assert_success();
    Ok(())
}

#[test]
fn requests_that_no_monitoring_sends_are_refused() -> Result {
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let program = program(&bed, &address.to_string())?;
    let running = serving(&bed, &program, address)?;
    for host in [
        "attacker.example",
        "localhost.attacker.example:9105",
        "192.0.2.1",
    ] {
        for path in [
            "/",
            "/metrics",
            "/healthz",
            "/api/v1/certificates",
            "/nowhere",
        ] {
            let (head, body) = ask(address, "GET", path, host)?;
            assert!(head.starts_with("http/1.1 421 "), "{host}: {head}");
            assert!(body.contains("run.hosts"), "{body}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (head, _) = ask(address, method, "/metrics", "localhost")?;
        assert!(head.starts_with("http/1.1 405 "), "{method}: {head}");
    }
    let (head, body) = ask(address, "HEAD", "/", "localhost")?;
    assert!(
        head.starts_with("http/1.1 200 ") && body.is_empty(),
        "{head}"
    );
    for header in [
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'",
    ] {
        assert!(head.contains(header), "`{header}` is not in {head}");
    }
    assert!(
        ask(address, "GET", "/nowhere", "localhost")?
            .0
            .starts_with("http/1.1 404 ")
    );
    let long = "x".repeat(100_000);
    let (head, _) =
        ask(address, "GET", "/", &format!("localhost\r\nX-Long: {long}")).unwrap_or_default();
    assert!(
        head.is_empty() || head.starts_with("http/1.1 431 "),
        "{head}"
    );
    assert_eq!(get(address, "/healthz")?, "ok\n");
    running.terminate()?;
    running.wait()?.assert_success();
    Ok(())
}

#[test]
fn run_listens_elsewhere_after_a_reload() -> Result {
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let program = program(&bed, &address.to_string())?;
    let running = serving(&bed, &program, address)?;
    let refused = "The settings files cannot be used";
    listen_at(&program, "nonsense")?;
    running.hang_up()?;
    bed.wait_until("the page shows the mistake", |_| {
        let page = get(address, "/")?;
        Ok(page.contains(refused) && page.contains("takes an IP address with a port"))
    })?;
    assert_eq!(get(address, "/healthz")?, "ok\n");
    // An address that is taken: the old one stays.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    listen_at(&program, &silent.local_addr()?.to_string())?;
    running.hang_up()?;
    bed.wait_until("the mistake is gone from the page", |_| {
        Ok(!get(address, "/")?.contains(refused))
    })?;
    let socket = bed.folder().join("http.sock");
    listen_at(&program, &format!("unix:{}", socket.display()))?;
    running.hang_up()?;
    bed.wait_until("it listens at the socket", |_| {
        Ok(UnixStream::connect(&socket).is_ok())
    })?;
    let request = "GET /healthz HTTP/1.1\r\nHost: status.example.net\r\n\r\n";
    let (head, body) = exchange(UnixStream::connect(&socket)?, request)?;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, "ok\n");
    assert_eq!(fs::metadata(&socket)?.permissions().mode() & 0o777, 0o660);
    bed.wait_until("it does not listen at the port", |_| {
        Ok(TcpStream::connect(address).is_err())
    })?;
    running.terminate()?;
    running.wait()?.assert_success();
    assert!(!socket.exists());
    Ok(())
}

#[test]
fn an_address_that_cannot_be_used_is_an_error_with_a_remedy() -> Result {
    let bed = bed()?;
    for (listen, words) in [
        (
            "unix:/nowhere/http.sock",
            ["/nowhere/http.sock", "create its folder"],
        ),
        ("0.0.0.0:9105", ["other machines", "allow-remote"]),
        (
            "9105",
            ["takes an IP address with a port", "127.0.0.1:9105"],
        ),
        (
            "unix:http.sock",
            ["takes an absolute path", "/run/acme-alias/http.sock"],
        ),
    ] {
        program(&bed, listen)?
            .run(&["run"])?
            .assert_failure(2, &words);
    }
    Ok(())
}

#[test]
fn a_cname_that_has_gone_is_reported_before_the_renewal_that_needs_it() -> Result {
    let gone = "www.example.com";
    let names = ["example.com", gone, "unseen.example.com"];
    let bed = TestBed::builder().delegate(&names).start()?;
    let lines = |name: &str| format!("domains = ['{name}']\nchallenge-alias = '{ALIAS_ZONE}'");
    let settings = bed
        .settings()
        .certificate("stays", &lines("example.com"))
        .certificate("goes", &lines(gone))
        // Its zone may be out of reach from here.
        .certificate(
            "unseen",
            &format!("{}\nskip-preflight = true", lines("unseen.example.com")),
        );
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    bed.update_main_zones(&format!(
        "zone example.com.\nupdate delete _acme-challenge.{gone}. CNAME\n\
         update delete _acme-challenge.unseen.example.com. CNAME\nsend\n"
    ))?;
    let port = bed.dead_port()?;
    let address = port.address();
    listen_at(&program, &address.to_string())?;
    let running = serving(&bed, &program, address)?;
    assert_has(
        &get(address, "/metrics")?,
        &[
            "acme_alias_delegations{verdict=\"good\"} 1.0",
            "acme_alias_delegations{verdict=\"warning\"} 0.0",
            "acme_alias_delegations{verdict=\"error\"} 1.0",
            "acme_alias_last_run_success 1.0",
        ],
    );
    let page = get(address, "/")?;
    let record = format!("_acme-challenge.{gone}. 600 IN CNAME _acme-challenge.auth.example.net.");
    for text in ["<h1>1 problem</h1>", "1 that would fail", &record] {
        assert!(page.contains(text), "`{text}` is not in {page}");
    }
    running.terminate()?;
    let ended = running.wait()?;
    ended.assert_success();
    ended.assert_said(&[&format!("error: {gone}"), &record]);
    assert_eq!(bed.orders()?, 3);
    Ok(())
}
