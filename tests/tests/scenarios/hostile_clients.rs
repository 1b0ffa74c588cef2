//! Other users of the machine at the HTTP server of `run`.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use acme_alias_tests::{BELOW, Result, TestBed};

use crate::metrics::{get, program, serving};
use crate::status_page::bed;

/// Another user. The tests run as root.
const STRANGER: Option<u32> = Some(65534);
/// Slow clients lose their connections after 10 seconds if others wait, and else after 30.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// As many clients as the server answers at a time.
const CLIENTS: usize = 32;

/// A client that reads a little of the answer, and then nothing.
fn slow_client(address: SocketAddr, path: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.read_exact(&mut [0; 100])?;
    Ok(stream)
}

#[test]
fn slow_clients_share_one_answer() -> Result {
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let program = program(&bed, &address.to_string())?;
    // Certificates that no run works on, with a list of more than half a megabyte.
    let mut more = fs::read_to_string(program.home().join(BELOW))?;
    let names: Vec<_> = (0..100).map(|name| format!("{name}.example.com")).collect();
    for id in 0..300 {
        writeln!(
            more,
            "[certificates.c{id}]\ndomains = {names:?}\nprovider = 'none'"
        )?;
    }
    fs::write(program.home().join(BELOW), more)?;
    let running = program.spawn(&["run"])?;
    bed.wait_until("it listens", |_| Ok(TcpStream::connect(address).is_ok()))?;
    let list = get(address, "/api/v1/certificates")?;
    assert!(list.len() > 600 << 10, "{}", list.len());
    get(address, "/")?;
    let before = running.peak_memory()?;
    let clients = (0..CLIENTS).map(|_| slow_client(address, "/api/v1/certificates"));
    let clients = clients.collect::<Result<Vec<_>>>()?;
    let more = running.peak_memory()?.saturating_sub(before);
    assert!(more < 10 << 20, "{more} octets more for {CLIENTS} clients");
    // They keep nobody else waiting.
    let begun = Instant::now();
    assert_eq!(get(address, "/healthz")?, "ok\n");
    assert!(begun.elapsed() < WAIT_MAX, "{:?}", begun.elapsed());
    drop(clients);
    running.terminate()?;
    running.wait()?;
    Ok(())
}

#[test]
fn a_socket_in_a_folder_that_others_can_change_is_refused() -> Result {
    let bed = bed()?;
    let folder = bed.folder().join("of-another-user");
    fs::create_dir(&folder)?;
    chown(&folder, STRANGER, STRANGER)?;
    let path = folder.join("http.sock");
    let program = program(&bed, &format!("unix:{}", path.display()))?;
    let outcome = program.run(&["run"])?;
    outcome.assert_failure(2, &["`run.listen`", "of-another-user", "chown"]);
    assert!(!path.exists());
    Ok(())
}

#[test]
fn clients_that_send_nothing_keep_nobody_waiting() -> Result {
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let running = program(&bed, &address.to_string())?.spawn(&["run"])?;
    bed.wait_until("it listens", |_| Ok(TcpStream::connect(address).is_ok()))?;
    let clients = (0..10 * CLIENTS).map(|_| TcpStream::connect(address));
    let clients = clients.collect::<std::io::Result<Vec<_>>>()?;
    let begun = Instant::now();
    assert_eq!(get(address, "/healthz")?, "ok\n");
    println!("{:?}", begun.elapsed());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    drop(clients);
    running.terminate()?;
    running.wait()?;
    Ok(())
}

#[test]
fn clients_that_hang_up_cause_no_work_each() -> Result {
    const CERTIFICATES: usize = 3_000;
    let bed = bed()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let program = program(&bed, &address.to_string())?;
    program.run(&["renew"])?.assert_failure(3, &[]);
    let all = bed.folder().join("state/certificates");
    for id in 0..CERTIFICATES {
        let copy = all.join(format!("c{id}"));
        let mut cp = Command::new("cp");
        cp.arg("-a").arg(all.join("good")).arg(copy).status()?;
    }
    let running = serving(&bed, &program, address)?;
    // Nothing of `/metrics` was made before, so that nothing is fresh.
    get(address, "/api/v1/certificates")?;
    let before = running.peak_memory()?;
    let end = Instant::now() + Duration::from_secs(12);
    let hang_ups = || -> Result<usize> {
        let mut count = 0;
        while Instant::now() < end {
            let mut stream = TcpStream::connect(address)?;
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            thread::sleep(Duration::from_millis(3));
            count += 1;
        }
        Ok(count)
    };
    let clients = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(hang_ups)).collect();
        let counts = clients
            .into_iter()
            .map(|client| client.join().unwrap_or(Ok(0)));
        counts.sum::<Result<usize>>()
    })?;
    assert!(clients > 1_000, "{clients} clients");
    let more = running.peak_memory()?.saturating_sub(before);
    println!("{more} octets more for {clients} clients");
    assert!(more < 30 << 20, "{more} octets more for {clients} clients");
    assert_eq!(get(address, "/healthz")?, "ok\n");
    running.terminate()?;
    running.wait()?;
    Ok(())
}

#[test]
fn an_address_at_which_another_user_listens_stops_no_renewal() -> Result {
    let hosts = ["example.com", "example.org"];
    let bed = TestBed::builder().delegate(&hosts).start()?;
    let port = bed.dead_port()?;
    let address = port.address();
    let program = bed.program(bed.settings().certificates(&hosts[..1]))?;
    let listen = format!("[run]\nlisten = '{address}'\n");
    fs::write(program.home().join(BELOW), &listen)?;
    let running = program.spawn(&["run"])?;
    bed.wait_until("an order", |bed| Ok(bed.orders()? > 0))?;
    running.kill()?;
    // Another user is faster than the service manager.
    let taken = TcpListener::bind(address)?;
    let added = format!("{listen}[certificates.added]\ndomains = ['{}']\n", hosts[1]);
    fs::write(program.home().join(BELOW), added)?;
    let running = program.spawn(&["run"])?;
    bed.wait_until("the certificates", |bed| {
        let ids = ["example-com", "added"];
        Ok(ids.iter().all(|id| bed.certificate(id).is_ok()))
    })?;
    drop(taken);
    bed.wait_until("it listens", |_| Ok(get(address, "/healthz").is_ok()))?;
    running.terminate()?;
    let outcome = running.wait()?;
    outcome.assert_success();
    outcome.assert_said(&["could not listen at 127.0.0.1", "set another port"]);
    Ok(())
}
