//! What a CA could do to have far more connections to it than requests are under way.

#![expect(clippy::unwrap_used, reason = "a stand of tests may fail as they do")]

use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use acme_alias_tests::{Exchange, Result, SimulatedCa, Spoilt, TestBed, Validation};
use serde_json::{Value, json};
use tokio::io::{copy, copy_bidirectional, sink};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use super::hostile_zones::GOOD;

/// Certificates of the hostile CA, and the names of each.
const CERTIFICATES: usize = 20;
const NAMES: usize = 60;
/// Connections to it, at most: 64 requests are under way at a time, 32 connections are opened, and 64 are kept to each of
/// two hosts.
const MOST: usize = 224;

/// Ports in front of a server.
#[derive(Default)]
struct Front {
    ports: OnceLock<Vec<u16>>,
    open: AtomicUsize,
    most: AtomicUsize,
    begun: AtomicUsize,
}

impl Front {
    /// Listens at so many ports. The first connections are passed to the server, and the others get no answer.
    fn open(self: &Arc<Self>, ports: usize, server: SocketAddr, passed: usize) {
        let listeners = (0..ports).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let listeners: Vec<_> = listeners.collect();
        let ports = listeners.iter().map(|one| one.local_addr().unwrap().port());
        self.ports.set(ports.collect()).unwrap();
        let front = Arc::clone(self);
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for listener in listeners {
                    tokio::spawn(Arc::clone(&front).serve(listener, server, passed));
                }
                pending::<()>().await;
            });
        });
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, server: SocketAddr, passed: usize) {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((mut client, _)) = listener.accept().await {
            let front = Arc::clone(&self);
            tokio::spawn(async move {
                let open = front.open.fetch_add(1, Ordering::SeqCst) + 1;
                front.most.fetch_max(open, Ordering::SeqCst);
                if front.begun.fetch_add(1, Ordering::SeqCst) < passed {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                } else {
                    let _ = copy(&mut client, &mut sink()).await;
                }
                front.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    /// Moves the URLs of authorizations in an order, each to another port, and answers there.
    fn spread(&self, exchange: &Exchange) -> Spoilt {
        if exchange.path.starts_with("/authZ") && exchange.answer.is_empty() {
            let name = json!({ "type": "dns", "value": "other.example" });
            let answer = json!({ "status": "pending", "identifier": name, "challenges": [] });
            return Spoilt::Instead(200, Vec::new(), answer.to_string());
        }
        let mut answer: Value = serde_json::from_str(&exchange.answer).unwrap_or_default();
        let Some(urls) = answer["authorizations"].as_array_mut() else {
            return Spoilt::No;
        };
        let ports = self.ports.get().unwrap();
        for url in urls {
            let path = url.as_str().unwrap().splitn(4, '/').nth(3).unwrap();
            let port = ports[self.begun.fetch_add(1, Ordering::SeqCst) % ports.len()];
            *url = format!("https://127.0.0.1:{port}/{path}").into();
        }
        Spoilt::Changed(answer.to_string())
    }
}

/// Renews good certificates beside those of a hostile CA: all that come to it through `front`, or what it says is spread
/// over its ports.
fn renew_beside(ports: usize, passed: usize, is_spread: bool) -> Result {
    let good: Vec<_> = (0..GOOD).map(|n| format!("good{n}.example.com")).collect();
    let names = |one| (0..NAMES).map(move |n| format!("a{one}-{n}.example.com"));
    let hostile: Vec<Vec<_>> = (0..CERTIFICATES).map(|one| names(one).collect()).collect();
    let builder = TestBed::builder().delegate_apart(&good);
    let bed = builder.delegate(&hostile.concat()).start()?;
    let ca = SimulatedCa::start(Validation::Trust)?;
    let front = Arc::new(Front::default());
    let spread = Arc::clone(&front);
    let proxy = bed.acme_proxy(move |exchange| {
        if is_spread {
            spread.spread(exchange)
        } else {
            Spoilt::No
        }
    })?;
    let mut directory = proxy.directory();
    let address = directory["https://".len()..].trim_end_matches("/dir");
    front.open(ports, address.parse()?, passed);
    if !is_spread {
        let port = front.ports.get().unwrap()[0];
        directory = format!("https://127.0.0.1:{port}/dir");
    }
    let mut settings = bed.settings_with(&ca);
    for (number, names) in hostile.iter().enumerate() {
        let lines = format!("domains = {}\nca = \"other\"", json!(names));
        settings = settings.certificate(&format!("a{number}"), &lines);
    }
    let mut settings = settings.certificates(&good);
    let root = bed.settings().ca_file.unwrap_or_default();
    settings.more += &format!(
        "[cas.other]\ndirectory = \"{directory}\"\nca-file = \"{}\"\nagree-tos = true\n",
        root.display()
    );
    let program = bed.program(settings)?.before("ulimit -n 1024");
    let outcome = program.run(&["renew"])?;
    let is_short = outcome.stderr.contains("Too many open files");
    assert_eq!((ca.certificates(), is_short), (GOOD, false), "{outcome}");
    let most = front.most.load(Ordering::SeqCst);
    assert!((1..=MOST).contains(&most), "{most} connections");
    Ok(())
}

#[test]
fn a_ca_whose_urls_have_a_thousand_hosts_leaves_file_descriptors_to_others() -> Result {
    renew_beside(CERTIFICATES * NAMES, usize::MAX, true)
}

#[test]
fn a_ca_that_takes_long_to_begin_connections_leaves_file_descriptors_to_others() -> Result {
    renew_beside(1, 6, false)
}
