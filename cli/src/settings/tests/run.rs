//! What `run` serves.

use super::*;

#[test]
fn run_serves_nothing_unless_it_is_wanted() {
    let settings = read(GOOD).unwrap().run;
    assert_eq!(
        (settings.listen, settings.per_certificate_metrics),
        (None, 1_000)
    );
}

#[test]
fn run_serves_loopback_addresses_and_sockets_and_others_only_on_request() {
    for (text, expected) in [
        (
            "listen = '127.0.0.1:9105'",
            Listen::Tcp("127.0.0.1:9105".parse().unwrap()),
        ),
        (
            "listen = '[::1]:9105'",
            Listen::Tcp("[::1]:9105".parse().unwrap()),
        ),
        (
            "listen = 'unix:/run/a.sock'",
            Listen::Unix("/run/a.sock".into()),
        ),
        (
            "listen = '[::]:9105'\nallow-remote = true",
            Listen::Tcp("[::]:9105".parse().unwrap()),
        ),
    ] {
        let settings = read(&format!("[run]\n{text}\n{GOOD}")).unwrap();
        assert_eq!(settings.run.listen, Some(expected), "{text}");
    }
    for address in [
        "0.0.0.0:9105",
        "[::]:9105",
        "192.0.2.1:9105",
        "[::ffff:127.0.0.1]:9105",
    ] {
        let mistake = mistake(&format!("[run]\nlisten = '{address}'\n{GOOD}"));
        assert!(
            mistake.contains("is an address that other machines reach"),
            "{mistake}"
        );
    }
    for listen in [
        "localhost:9105",
        "127.0.0.1",
        "9105",
        "unix:",
        "unix:a.sock",
    ] {
        let mistake = mistake(&format!("[run]\nlisten = '{listen}'\n{GOOD}"));
        assert!(mistake.contains("run.listen"), "{mistake}");
    }
    let hosts = read(&format!("[run]\nhosts = ['Status.Example.NET']\n{GOOD}"));
    assert_eq!(hosts.unwrap().run.hosts, ["status.example.net"]);
}
