//! The guides in `docs/`, with their own words.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use acme_alias_tests::{
    ALIAS_ZONE, BELOW, Error, Outcome, PowerDnsLaunch, Program, Result, SECOND_ALIAS_ZONE,
    SimulatedCa, THIRD_ALIAS_ZONE, TestBed, Validation, output_of,
};
use tempfile::TempDir;

use crate::clouds::{Clouds, SECRET_KEY};
use crate::exec::programs;
use crate::guide_text::{blocks, commands, read};

/// Gives the program the settings of a page, below those that are the bed's own.
fn write_settings(program: &Program, page: &str) -> Result {
    let path = program.home().join(BELOW);
    Ok(fs::write(path, blocks(page, "toml").concat())?)
}

/// Gives the program the settings of a page and runs every command of the page; returns how many
/// there were.
fn run_page(program: &Program, page: &str) -> Result<usize> {
    write_settings(program, page)?;
    let commands = commands(page);
    for command in &commands {
        program.run(command)?.assert_success();
    }
    Ok(commands.len())
}

/// What stands in a printed policy in place of an id that is not known.
const POLICY_PLACEHOLDER: &str = "THE-ID-OF-THE-HOSTED-ZONE";

/// The IAM policy among what was printed.
fn policy_in(printed: &Outcome) -> Result<String> {
    let text = &printed.stdout;
    let ends = text.find('{').zip(text.rfind('}'));
    let (start, end) = ends.ok_or_else(|| Error::new(printed))?;
    Ok(text[start..=end].to_owned())
}

/// A page about the domain and the alias zone that the bed has at a cloud. The CNAME of the page must
/// be the one that the bed has.
fn for_the_bed(page: &str, domain: &str, alias_zone: &str) -> Result<String> {
    let page = read(page)?
        .replace("example.com", domain)
        .replace(ALIAS_ZONE, alias_zone);
    let line = format!("_acme-challenge.{domain}. 600 IN CNAME _acme-challenge.{alias_zone}.");
    assert!(blocks(&page, "text").contains(&line), "{page}");
    Ok(page)
}

#[test]
fn the_guide_to_cloudflare_works_as_it_stands() -> Result {
    let page = for_the_bed("cloudflare.md", "example.org", SECOND_ALIAS_ZONE)?;
    let clouds = Clouds::start()?;
    let token = clouds
        .bed
        .write_secret("cloudflare.token", crate::clouds::TOKEN)?;
    let mut settings = clouds.bed.settings();
    settings.providers.clear();
    let zone = settings.alias_zones.remove(1);
    settings.alias_zones.clear();
    settings.zones.push((zone.zone, zone.servers));
    settings.more = format!(
        "[providers.cf]\nbase-url = \"{}\"\napi-token = {{ file = \"{}\" }}\n",
        clouds.cloudflare.base_url(),
        token.display()
    );
    let program = clouds.bed.program(settings)?;
    assert_eq!(run_page(&program, &page)?, 4);
    assert_eq!(
        clouds.bed.certificate("web")?.names,
        ["*.example.org", "example.org"]
    );
    let audit = program.run(&["key", "audit"])?;
    assert!(audit.stdout.contains("the credentials: wide"), "{audit}");
    clouds.assert_clean(1)
}

#[test]
fn the_guide_to_route_53_works_as_it_stands() -> Result {
    let page = for_the_bed("route53.md", "example.edu", THIRD_ALIAS_ZONE)?;
    let clouds = Clouds::start()?;
    let mut settings = clouds.bed.settings();
    settings.providers.clear();
    let zone = settings.alias_zones.remove(2);
    settings.alias_zones.clear();
    settings.zones.push((zone.zone, zone.servers));
    let endpoint = format!("http://{}", clouds.moto.address());
    settings.more = format!("[providers.aws]\nendpoint-url = \"{endpoint}\"\n");
    let program = clouds.bed.program(settings)?;
    let program = program
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_IAM", &endpoint)
        .env("AWS_ENDPOINT_URL_STS", &endpoint)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    // The policy that the page has printed is the one that holds for the rest of it.
    write_settings(&program, &page)?;
    let policy = policy_in(&program.run(&["key", "policy"])?)?;
    assert!(page.contains(POLICY_PLACEHOLDER), "{page}");
    clouds
        .moto
        .permit(&policy.replace(POLICY_PLACEHOLDER, &clouds.moto_zone))?;
    assert_eq!(run_page(&program, &page)?, 4);
    assert_eq!(
        clouds.bed.certificate("web")?.names,
        ["*.example.edu", "example.edu"]
    );
    let audit = program.run(&["key", "audit"])?;
    assert!(audit.stdout.contains("the credentials: tight"), "{audit}");
    clouds.assert_clean(1)
}

/// Runs a line of a page in a shell; returns what it prints.
fn in_shell(line: &str) -> Result<String> {
    let output = Command::new("sh").args(["-c", line]).output()?;
    assert!(output.status.success(), "{line}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn the_guide_to_powerdns_works_as_it_stands() -> Result {
    let page = for_the_bed("powerdns.md", "example.com", ALIAS_ZONE)?;
    let folder = TempDir::new()?;
    let secret = folder.path().join("powerdns.key");
    let [key, zone, _] = blocks(&page, "sh")
        .try_into()
        .map_err(|_| Error::new("three blocks of commands were expected"))?;
    let mut hash = String::new();
    for line in key.lines() {
        let path = secret.display().to_string();
        hash = in_shell(&line.replace("/etc/acme-alias/powerdns.key", &path))?;
    }
    let configuration = blocks(&page, "text").remove(0);
    let configuration = configuration.replace("THE-HASH", hash.trim());
    let launch = PowerDnsLaunch::default().config(&configuration);
    let commands = zone
        .lines()
        .filter_map(|line| line.strip_prefix("pdnsutil "));
    let launch = commands.fold(launch, PowerDnsLaunch::command);
    let server = launch.config("primary=yes").start()?;

    let bed = TestBed::builder().delegate(&["example.com"]);
    let bed = bed.alias_server(server.address()).start()?;
    let mut settings = bed.settings();
    settings.providers.clear();
    settings.alias_zones.clear();
    let servers = vec![server.address()];
    settings.zones.push((ALIAS_ZONE.to_owned(), servers));
    settings.more = format!(
        "[providers.pdns]\nurl = \"http://{}\"\napi-key = {{ file = \"{}\" }}\n",
        server.api(),
        secret.display()
    );
    let program = bed.program(settings)?;
    assert_eq!(run_page(&program, &page)?, 4);
    assert_eq!(
        bed.certificate("web")?.names,
        ["*.example.com", "example.com"]
    );
    let audit = program.run(&["key", "audit"])?;
    let grade = "the credentials: dangerous";
    assert!(audit.stdout.contains(grade), "{audit}");
    assert_eq!(server.txt()?, []);
    Ok(())
}

#[test]
fn the_guide_to_programs_works_as_it_stands() -> Result {
    let page = for_the_bed("exec.md", "example.com", ALIAS_ZONE)?;
    let bed = TestBed::builder().delegate(&["example.com"]).start()?;
    let protocols = programs::every_protocol(&bed)?;
    // The first block of settings is complete. Each of the others is the provider for another protocol.
    let tables = blocks(&page, "toml");
    let [complete, lego, acme_sh] = tables.as_slice() else {
        return Err(Error::new("three blocks of settings were expected"));
    };
    let (before, rest) = complete.split_once("[providers.own]").unwrap_or_default();
    let (_, after) = rest.split_once("\n\n").unwrap_or_default();
    for (index, own) in [None, Some(lego), Some(acme_sh)].into_iter().enumerate() {
        let text = own.map_or(complete.clone(), |own| format!("{before}{own}\n\n{after}"));
        let text = text
            .replace("dns_cf", "dns_bed")
            .replace("CF_Token", "BED_KEY");
        let mut settings = bed.settings();
        settings.state = bed.folder().join(format!("state-{index}"));
        let servers = settings.alias_zones[0].servers.clone();
        settings.zones.push((ALIAS_ZONE.to_owned(), servers));
        settings.providers.clear();
        settings.alias_zones.clear();
        let (_, options) = &protocols[index];
        settings.more = format!("[providers.own]\n{options}\n");
        let program = bed.program(settings)?;
        let of_the_page = format!(
            "```toml\n{text}\n```\n```sh\n{}\n```\n",
            blocks(&page, "sh")[0]
        );
        assert_eq!(run_page(&program, &of_the_page)?, 3);
        let names = bed.certificate_in(&format!("state-{index}"), "web")?.names;
        assert_eq!(names, ["*.example.com", "example.com"]);
    }
    assert_eq!(bed.txt()?, []);
    Ok(())
}

#[test]
fn the_guide_to_deployment_works_as_it_stands() -> Result {
    let bed = TestBed::start()?;
    let etc = bed.folder().join("etc");
    for folder in ["haproxy/certs", "tomcat", "letsencrypt", "acme-alias"] {
        fs::create_dir_all(etc.join(folder))?;
    }
    let password = etc.join("acme-alias/app.password");
    fs::write(&password, "a password")?;
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
    // The programs of the page write down how they were called.
    let (programs, called) = (bed.folder().join("programs"), bed.folder().join("called"));
    fs::create_dir(&programs)?;
    for name in ["systemctl", "mail"] {
        let program = programs.join(name);
        let script = format!("#!/bin/sh\necho {name} \"$@\" >> {}\n", called.display());
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    }
    let page = read("deploy.md")?
        .replace("/etc/", &format!("{}/", etc.display()))
        .replace("\"ssl-cert\"", "\"root\"")
        .replace("group = \"haproxy\"", "group = \"root\"")
        // So that there is something to notify of.
        .replace("days = 7 ", "days = 10000 ");
    for (index, block) in blocks(&page, "toml").into_iter().enumerate() {
        let mut settings = bed.settings();
        settings.state = bed.folder().join(format!("state-{index}"));
        match block.split_once("\n\n") {
            Some((top, rest)) if !top.starts_with('[') => {
                (settings.top, settings.more) = (top.to_owned(), rest.to_owned());
            }
            _ => settings.more = block,
        }
        let path = format!("{}:/usr/bin:/bin", programs.display());
        let program = bed.program(settings)?.env("PATH", path);
        program.run(&["renew"])?.assert_success();
    }
    for file in [
        "haproxy/certs/web.pem",
        "haproxy/certs/mail.pem",
        "tomcat/app.p12",
        "letsencrypt/live/example.com/fullchain.pem",
    ] {
        assert!(etc.join(file).exists(), "{file}");
    }
    let called = fs::read_to_string(&called)?;
    let expected = [
        "systemctl reload nginx",
        "systemctl reload nginx",
        "systemctl reload haproxy",
        "systemctl reload haproxy",
        "mail -s Certificates need attention root",
    ];
    assert_eq!(called.lines().collect::<Vec<_>>(), expected);
    Ok(())
}

#[test]
fn the_pages_of_the_providers_have_the_policies_that_are_printed() -> Result {
    let bed = TestBed::start()?;
    let mut settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    settings.alias_zones.truncate(1);
    let printed = bed.program(settings)?.run(&["key", "policy"])?;
    let page = read("providers/rfc2136.md")?;
    let knot = blocks(&page, "yaml").remove(0);
    assert!(printed.stdout.contains(&knot), "{printed}");
    let bind = blocks(&page, "text").remove(0);
    let rule = bind
        .trim_start_matches("update-policy { ")
        .trim_end_matches(" };");
    assert!(printed.stdout.contains(rule), "{printed}");

    let mut settings = bed
        .settings()
        .certificate("web", "domains = [\"example.com\"]");
    settings.providers.clear();
    settings.alias_zones.truncate(1);
    settings.alias_zones[0].provider = "aws";
    settings.more =
        "[providers.aws]\nkind = \"route53\"\nhosted-zone-id = \"Z0123456789ABC\"\n".to_owned();
    let printed = bed.program(settings)?.run(&["key", "policy"])?;
    let page = read("providers/route53.md")?;
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    assert_eq!(
        value(&blocks(&page, "json").remove(0))?,
        value(&policy_in(&printed)?)?
    );
    Ok(())
}

#[test]
fn the_page_on_renewal_works_as_it_stands() -> Result {
    let names = [
        "example.com",
        "example.org",
        "www.example.com",
        "example.edu",
        "mail.example.com",
    ];
    let bed = TestBed::builder().delegate(&names).start()?;
    let second = SimulatedCa::start(Validation::Trust)?;
    let directory = format!(
        "directory = \"{}\"\nca-file = \"{}\"",
        second.directory(),
        second.root().display()
    );
    let folder = bed.folder().display();
    let page = read("renewal.md")?
        .replace("directory = \"zerossl\"", &directory)
        .replace("/etc/acme-alias/", &format!("{folder}/"))
        .replace("smtp.key", &format!("{folder}/smtp.key"));
    output_of(&format!(
        "openssl ecparam -name prime256v1 -genkey -noout -out {folder}/smtp.key"
    ))?;
    for block in blocks(&page, "sh") {
        for command in block.lines().filter(|line| line.starts_with("openssl ")) {
            output_of(command)?;
        }
    }
    let mut settings = bed.settings();
    for block in blocks(&page, "toml") {
        match block.split_once("\n\n") {
            Some((top, rest)) if !top.starts_with('[') => {
                settings.top += top;
                settings.more += rest;
            }
            _ => settings.more += &block,
        }
        settings.more += "\n";
    }
    let program = bed.program(settings)?;
    program.run(&["renew"])?.assert_success();
    assert_eq!((bed.orders()?, second.certificates()), (5, 1));
    let key = bed.folder().join("state/certificates/api/privkey.pem");
    let before = fs::read(&key)?;
    program.run(&["renew", "api", "--force"])?.assert_success();
    assert_eq!(fs::read(&key)?, before);
    for command in commands(&page) {
        program.run(&command)?.assert_success();
    }
    assert_eq!(bed.orders()?, 8);
    bed.assert_only_txt_was_touched(&[])
}
