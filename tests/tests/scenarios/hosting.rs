//! Whether the zone at the provider is the one that is delegated: its servers and the delegation are compared before
//! the account and the order.

use std::net::{IpAddr, SocketAddr};

use acme_alias_tests::{
    Outcome, QueryProxy, Result, SECOND_ALIAS_ZONE, Settings, THIRD_ALIAS_ZONE,
};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};

use crate::accounts::account_files;
use crate::clouds::Clouds;
use crate::hostile_zones::{TTL, name};

/// A domain with an alias name at Cloudflare, and one with an alias name at Route 53.
const AT_CLOUDFLARE: &str = "example.org";
const AT_ROUTE_53: &str = "example.edu";
/// The server that the zones above delegate each of the two alias zones to.
const DELEGATED: [&str; 2] = ["ns1.auth2.example.net", "ns1.auth3.example.net"];
/// A name with the address of that server.
const VANITY: &str = "ns.vanity.example";
/// A name with another address.
const ELSEWHERE: &str = "ns.elsewhere.example";

/// A bed in which the program finds the servers of the alias zones by their NS records.
struct Hosting {
    clouds: Clouds,
    resolver: QueryProxy,
    _name_server: QueryProxy,
}

impl Hosting {
    fn start() -> Result<Hosting> {
        let clouds = Clouds::start()?;
        // The CA asks the secondary.
        let name_server = QueryProxy::at_dns_port(clouds.bed.secondary())?;
        let resolver = resolver(clouds.bed.resolver(), name_server.address().ip())?;
        Ok(Hosting {
            clouds,
            resolver,
            _name_server: name_server,
        })
    }

    fn settings(&self) -> Result<Settings> {
        let mut settings = self.clouds.settings("", "")?;
        settings.resolver = self.resolver.address();
        "allow-special-addresses = true".clone_into(&mut settings.dns);
        for zone in &mut settings.alias_zones[1..] {
            zone.servers.clear();
        }
        Ok(settings)
    }

    fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let program = self.clouds.signed_in_with(self.settings()?)?;
        program.run(arguments)
    }

    /// Lets Route 53 have these servers for a hosted zone.
    fn serve_at(&self, hosted_zone: &str, servers: &[&str]) -> Result {
        let servers: Vec<_> = servers.iter().map(|server| format!("{server}.")).collect();
        let servers: Vec<_> = servers.iter().map(String::as_str).collect();
        let moto = &self.clouds.moto;
        moto.put_set(hosted_zone, THIRD_ALIAS_ZONE, "NS", 172_800, &servers)
    }

    /// Checks that nothing was asked of the CA, and nothing written.
    fn assert_untouched(&self) -> Result {
        let of_accounts = account_files(&self.clouds.bed, "state", ".json")?.len();
        let statuses = account_files(&self.clouds.bed, "state", ".status.json")?.len();
        assert_eq!(of_accounts, statuses, "there is an account");
        let mut requests = self.clouds.cloudflare.requests().into_iter();
        assert!(!requests.any(|(method, _)| method == "POST"));
        self.clouds.assert_clean(0)
    }
}

/// A resolver that answers like that of the bed, and gives the servers of the alias zones this address.
fn resolver(like: SocketAddr, address: IpAddr) -> Result<QueryProxy> {
    let IpAddr::V4(address) = address else {
        return Err(acme_alias_tests::Error::new("no IPv4 address"));
    };
    let at = [DELEGATED[0], DELEGATED[1], VANITY].map(|server| (name(server), address));
    let elsewhere = (name(ELSEWHERE), [192, 0, 2, 1].into());
    let known: Vec<_> = at.into_iter().chain([elsewhere]).collect();
    QueryProxy::start(like, move |question, mut answer| {
        let query = question.queries.first();
        let found = query.and_then(|query| {
            let mut known = known.iter();
            known.find(|(server, _)| server == query.name())
        });
        if let Some((server, address)) = found {
            let is_wanted = query.is_some_and(|query| query.query_type() == RecordType::A);
            let record = Record::from_rdata(server.clone(), TTL, RData::A(A(*address)));
            answer.metadata.response_code = ResponseCode::NoError;
            answer.answers = is_wanted.then_some(record).into_iter().collect();
        }
        vec![answer]
    })
}

#[test]
fn a_hosted_zone_with_other_servers_is_refused_before_the_account() -> Result {
    let hosting = Hosting::start()?;
    let zone = &hosting.clouds.moto_zone;
    hosting.serve_at(zone, &[ELSEWHERE])?;
    let outcome = hosting.run(&["issue", AT_ROUTE_53])?;
    let words = [
        "auth3.example.net is delegated to ns1.auth3.example.net",
        "serves it at ns.elsewhere.example",
        "delegate auth3.example.net to ns.elsewhere.example",
    ];
    outcome.assert_failure(4, &words);
    let probe = hosting.run(&["check", AT_ROUTE_53, "--write"])?;
    probe.assert_failure(4, &words);
    hosting.assert_untouched()?;

    // Servers that are configured are believed: NS records do not count.
    let mut settings = hosting.settings()?;
    settings.alias_zones[2].servers = vec![hosting.clouds.bed.secondary()];
    let program = hosting.clouds.signed_in_with(settings)?;
    let arguments = ["issue", AT_ROUTE_53, "--dry-run"];
    program.run(&arguments)?.assert_success();

    // Another name of the same server.
    hosting.serve_at(zone, &[VANITY])?;
    hosting.run(&arguments)?.assert_success();

    hosting.serve_at(zone, &[ELSEWHERE, DELEGATED[1]])?;
    hosting.run(&["issue", AT_ROUTE_53])?.assert_success();
    hosting.clouds.assert_clean(1)
}

#[test]
fn a_cloudflare_zone_with_other_servers_is_refused_before_the_account() -> Result {
    let hosting = Hosting::start()?;
    let (cloudflare, zone) = (&hosting.clouds.cloudflare, &hosting.clouds.cloudflare_zone);
    let outcome = hosting.run(&["issue", AT_CLOUDFLARE])?;
    let words = [
        "auth2.example.net is delegated to ns1.auth2.example.net",
        "serves it at anna.ns.cloudflare.com and bob.ns.cloudflare.com",
        "delegate auth2.example.net to anna.ns.cloudflare.com and bob.ns.cloudflare.com",
    ];
    outcome.assert_failure(4, &words);
    hosting.assert_untouched()?;
    cloudflare.set_name_servers(zone, &[DELEGATED[0]]);
    hosting.run(&["issue", AT_CLOUDFLARE])?.assert_success();
    hosting.clouds.assert_clean(1)
}

#[test]
fn of_several_zones_of_one_name_the_one_that_is_delegated_is_used() -> Result {
    let hosting = Hosting::start()?;
    let Clouds {
        cloudflare,
        cloudflare_zone,
        moto,
        moto_zone,
        ..
    } = &hosting.clouds;
    hosting.serve_at(moto_zone, &[ELSEWHERE])?;
    let hosted = moto.add_zone(THIRD_ALIAS_ZONE, false)?;
    hosting.serve_at(&hosted, &[DELEGATED[1]])?;
    let other = cloudflare.add_zone(SECOND_ALIAS_ZONE);
    cloudflare.set_name_servers(&other, &[DELEGATED[0]]);
    hosting.clouds.allow_more(&other, true);

    let domains = [AT_CLOUDFLARE, AT_ROUTE_53];
    let arguments = [&["issue", "--dry-run", "-vv"][..], &domains].concat();
    let outcome = hosting.run(&arguments)?;
    outcome.assert_success();
    for id in [&hosted, &other] {
        assert!(outcome.stderr.contains(id), "{id}: {outcome}");
    }
    let writes = cloudflare.requests().into_iter();
    let writes = writes.filter(|(method, _)| method == "POST");
    let writes: Vec<_> = writes.map(|(_, path)| path).collect();
    assert!(!writes.is_empty());
    assert!(
        writes.iter().all(|path| path.contains(&other)),
        "{writes:?}"
    );

    for provider in ["cf", "aws"] {
        let audit = hosting.run(&["key", "audit", "--provider", provider, "--output", "json"])?;
        let json = audit.json()?;
        let needed = &json["audited"][0]["rights"][0];
        assert_eq!(needed["verdict"], "allowed", "{audit}");
    }

    // None of them is delegated.
    hosting.serve_at(&hosted, &[ELSEWHERE])?;
    let outcome = hosting.run(&["issue", AT_ROUTE_53])?;
    let words = [
        &format!("{moto_zone} (at ns.elsewhere.example)"),
        &format!("{hosted} (at ns.elsewhere.example)"),
        "is delegated to ns1.auth3.example.net, which none of them has",
        "`hosted-zone-id`",
    ];
    outcome.assert_failure(4, &words);
    cloudflare.set_name_servers(&other, &[ELSEWHERE]);
    let outcome = hosting.run(&["issue", AT_CLOUDFLARE])?;
    let words = [
        &format!("{other} (at ns.elsewhere.example)"),
        &format!("{cloudflare_zone} (at anna.ns.cloudflare.com and bob.ns.cloudflare.com)"),
        "is delegated to ns1.auth2.example.net, which none of them has",
        "`zone-id`",
    ];
    outcome.assert_failure(4, &words);
    hosting.clouds.assert_clean(0)
}
