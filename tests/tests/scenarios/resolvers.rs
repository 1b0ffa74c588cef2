//! Resolvers: those of `/etc/resolv.conf`, those on a network link, and those that do not answer.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use acme_alias_tests::{ALIAS_ZONE, Program, QueryProxy, Result, SilentServer, TestBed};
use hickory_proto::op::ResponseCode;

/// The time limit of one answer in the settings of the bed.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a run may take longer than another for other reasons.
const TOLERANCE: Duration = Duration::from_millis(900);

/// The program with these resolvers.
fn with(bed: &TestBed, resolvers: &[SocketAddr]) -> Result<Program> {
    let lines = format!("domains = ['example.com']\nchallenge-alias = '{ALIAS_ZONE}'");
    let resolvers: Vec<_> = resolvers.iter().map(ToString::to_string).collect();
    let program = bed.program(bed.settings().certificate("web", &lines))?;
    Ok(program.env("ACME_ALIAS_DNS__RESOLVER", resolvers.join(",")))
}

/// How long each of the commands takes that ask resolvers.
fn times(program: &Program) -> Result<[Duration; 2]> {
    let time = |arguments: &[&str]| -> Result<Duration> {
        let begun = Instant::now();
        program.run(arguments)?.assert_success();
        Ok(begun.elapsed())
    };
    Ok([time(&["check"])?, time(&["issue", "web", "--force"])?])
}

#[test]
fn dead_resolvers_cost_one_time_limit_in_all() -> Result {
    let bed = TestBed::start()?;
    let silent = [SilentServer::start()?, SilentServer::start()?];
    let silent = silent.each_ref().map(SilentServer::address);
    let refusing = bed.dead_port()?.address();
    // It fails for what it is asked about the root, as resolvers do that have no way there.
    let good = QueryProxy::start(bed.resolver(), |_, mut answer| {
        answer.metadata.response_code = ResponseCode::ServFail;
        answer.answers.clear();
        vec![answer]
    })?;
    let good = good.address();
    let alone = times(&with(&bed, &[good])?)?;
    for (dead, more) in [
        (vec![silent[0]], TIMEOUT),
        (vec![refusing], Duration::ZERO),
        (vec![silent[0], refusing, silent[1]], TIMEOUT),
    ] {
        let took = times(&with(&bed, &[&dead[..], &[good]].concat())?)?;
        for (took, alone) in took.into_iter().zip(alone) {
            let limit = alone + more + TOLERANCE;
            assert!(took < limit, "{dead:?}: {took:?}, alone {alone:?}");
        }
    }
    Ok(())
}

#[test]
fn resolvers_that_are_all_dead_are_named_within_seconds() -> Result {
    let bed = TestBed::start()?;
    let silent = SilentServer::start()?;
    let refusing = bed.dead_port()?.address();
    let mut program = with(&bed, &[silent.address(), refusing])?;
    // Nothing tells where the zone is but the resolvers.
    program.settings.zones.clear();
    for arguments in [&["check"][..], &["issue", "web"]] {
        let begun = Instant::now();
        let outcome = program.run(arguments)?;
        assert_eq!(outcome.code, Some(3), "{outcome}");
        let silent = format!("{}: no answer within 1s", silent.address());
        let refusing = format!("{refusing}: connection refused");
        outcome.assert_shown(&[&silent, &refusing]);
        assert!(begun.elapsed() < TIMEOUT * 4, "{:?}", begun.elapsed());
    }
    assert_eq!(bed.orders()?, 0);
    Ok(())
}

/// The program with `/etc/resolv.conf` as the commands of a shell make it, in namespaces of its own.
fn with_resolv_conf(bed: &TestBed, namespaces: &str, commands: &str) -> Result<Program> {
    let mut settings = bed.settings();
    settings.zones.clear();
    // Without a resolver in the settings, those of the system are asked.
    let program = bed.program(settings)?.env("ACME_ALIAS_DNS__RESOLVER", "");
    let script =
        format!("mount -t tmpfs none /etc && cd /etc && {commands} && cd / && exec \"$0\" \"$@\"");
    let path = bed.folder().join("script");
    fs::write(&path, script)?;
    let path = path.display();
    Ok(program.before(&format!(
        "exec unshare --map-root-user --mount {namespaces} sh -c \"$(cat {path})\" \"$0\" \"$@\""
    )))
}

const CHECK: [&str; 3] = ["-v", "check", "example.com"];

#[test]
fn resolv_conf_is_read_line_by_line() -> Result {
    let bed = TestBed::start()?;
    let good = bed.ca_resolver();
    let ip = good.ip();
    for (content, skipped) in [
        (format!("nameserver {ip}\n"), ""),
        (
            format!("options timeout:1 retrans:1 rotate ndots:x\nnameserver {ip}\n"),
            "",
        ),
        (
            format!("nameserver 10.0.0.1:53\nnameserver {ip}"),
            "line 1 is skipped: an address has no port",
        ),
        (
            format!("nameserver\nnameserver {ip}\n"),
            "line 1 is skipped: it has no address",
        ),
        (
            format!("nameserver fe80::1%v9\nnameserver {ip}\n"),
            "line 1 is skipped: this machine has no network",
        ),
        (
            format!("; a\r\n\tx\r\nnameserver\t{ip}\t# it\r\n"),
            "line 2 is skipped",
        ),
        (
            format!("lookup file bind\nnameserver {ip}\n"),
            "line 1 is skipped",
        ),
        (
            format!("\u{feff}# saved by an editor\nnameserver {ip}\n"),
            "line 1 is skipped",
        ),
    ] {
        let file = bed.folder().join("resolv.conf");
        fs::write(&file, &content)?;
        let copy = format!("cp {} resolv.conf", file.display());
        let link = format!("cp {} other && ln -s other resolv.conf", file.display());
        for commands in [copy, link] {
            let outcome = with_resolv_conf(&bed, "", &commands)?.run(&CHECK)?;
            // The resolver has named the server of the zone.
            outcome.assert_printed(&["no query is sent to its address 127.0.0.1"]);
            outcome.assert_said(&[skipped]);
        }
    }
    Ok(())
}

#[test]
fn without_a_name_server_in_resolv_conf_that_of_this_machine_is_asked() -> Result {
    let bed = TestBed::start()?;
    for (commands, words) in [
        ("true", "cannot be read"),
        ("ln -s resolv.conf resolv.conf", "cannot be read"),
        ("ln -s missing resolv.conf", "cannot be read"),
        ("mkdir resolv.conf", "cannot be read"),
        ("touch resolv.conf", ""),
        ("echo options timeout:1 > resolv.conf", ""),
    ] {
        let program = with_resolv_conf(&bed, "--net", &format!("ip link set lo up && {commands}"))?;
        let outcome = program.run(&CHECK)?;
        outcome.assert_printed(&["127.0.0.1:53: connection refused"]);
        outcome.assert_said(&[words]);
    }
    Ok(())
}

/// Answers each question with REFUSED, once it has said that it is ready.
const RESOLVER: &str = "
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind((\"::\", 53))
print(\"ready\", flush=True)
while True:
    question, client = server.recvfrom(65535)
    end = question.index(0, 12) + 5
    head = question[:2] + bytes([0x80, 5, 0, 1, 0, 0, 0, 0, 0, 0])
    server.sendto(head + question[12:end], client)
";

#[test]
fn a_resolver_on_a_network_link_is_asked_there() -> Result {
    let bed = TestBed::start()?;
    let resolver = bed.folder().join("resolver.py");
    fs::write(&resolver, RESOLVER)?;
    let ready = bed.folder().join("ready");
    // Two more links, on which the address is unknown.
    let links = format!(
        "ip link set lo up
        for n in 0 2 4; do
            ip link add br-$n type veth peer name v$((n+1)).p
            for l in br-$n v$((n+1)).p; do ip link set $l addrgenmode none; ip link set $l up; done
            ip addr add fe80::2/64 dev br-$n nodad
        done
        ip addr add fe80::1/64 dev v3.p nodad
        mkfifo {ready}
        python3 {resolver} > {ready} &
        read said < {ready}
        rm {ready}",
        ready = ready.display(),
        resolver = resolver.display()
    );
    for (resolv_conf, setting) in [
        ("fe80::1%br-2", ""),
        ("fe80::1%$(cat /sys/class/net/br-2/ifindex)", ""),
        ("192.0.2.1", "fe80::1%br-2"),
        ("192.0.2.1", "[fe80::1%br-2]"),
        ("192.0.2.1", "[fe80::1%br-2]:53"),
    ] {
        let commands = format!(
            "{links}\nmount -t sysfs none /sys && echo nameserver {resolv_conf} > resolv.conf"
        );
        let program = with_resolv_conf(&bed, "--net --pid --fork --kill-child", &commands)?;
        let program = program.env("ACME_ALIAS_DNS__RESOLVER", setting);
        let outcome = program.run(&CHECK)?;
        outcome.assert_printed(&["[fe80::1%", "]:53 answered REFUSED"]);
    }
    let mut settings = bed.settings();
    settings.dns = "propagation-resolvers = ['fe80::1%no-such.if']".to_owned();
    let outcome = bed.program(settings)?.run(&["config", "check"])?;
    outcome.assert_failure(2, &["has no network interface `no-such.if`", "ip link"]);
    Ok(())
}
