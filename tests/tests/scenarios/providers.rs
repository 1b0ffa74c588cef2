//! The program with each provider, chosen by the settings for its alias zone; and what is wrong with
//! their settings, told before an order is opened.

#![expect(clippy::unwrap_used, reason = "a stand of tests may fail as they do")]

use acme_alias_tests::{
    ALIAS_ZONE, CloudflareFake, Moto, Outcome, Program, Reply, Result, SECOND_ALIAS_ZONE, Stub,
    THIRD_ALIAS_ZONE, TestBed, Token,
};

const TOKEN: &str = "a-token-that-nobody-shall-see";
const SECRET_KEY: &str = "a-key-that-nobody-shall-see";
const SESSION: &str = "a-session-that-nobody-shall-see";
/// Whose challenge names lead to a zone of BIND, of Cloudflare and of Route 53.
const DOMAINS: [&str; 3] = ["example.com", "example.org", "example.edu"];

/// A bed whose second alias zone is Cloudflare's, and whose third is Route 53's.
struct Clouds {
    bed: TestBed,
    cloudflare: CloudflareFake,
    cloudflare_zone: String,
    moto: Moto,
    moto_zone: String,
}

impl Clouds {
    fn start() -> Result<Clouds> {
        let zones = [ALIAS_ZONE, SECOND_ALIAS_ZONE, THIRD_ALIAS_ZONE];
        let builder = DOMAINS.iter().zip(zones).fold(
            TestBed::builder().third_alias_zone(),
            |builder, (domain, zone)| {
                let name = format!("_acme-challenge.{domain}");
                builder.cname(&name, &format!("_acme-challenge.{zone}"))
            },
        );
        let bed = builder.start()?;

        let cloudflare = CloudflareFake::start()?;
        let cloudflare_zone = cloudflare.add_zone(SECOND_ALIAS_ZONE);
        let mirror = bed.mirror(SECOND_ALIAS_ZONE)?;
        cloudflare.on_change(move |_, records| {
            let txt = records.iter().filter(|record| record.kind == "TXT");
            let plain = |content: &str| content.trim_matches('"').to_owned();
            let txt: Vec<_> = txt.map(|r| (r.name.clone(), plain(&r.content))).collect();
            mirror.show(&txt).unwrap();
        });

        let moto = Moto::start()?;
        let moto_zone = moto.add_zone(THIRD_ALIAS_ZONE, false)?;
        let mirror = bed.mirror(THIRD_ALIAS_ZONE)?;
        moto.on_change(move |txt| mirror.show(txt).unwrap());

        let clouds = Clouds {
            bed,
            cloudflare,
            cloudflare_zone,
            moto,
            moto_zone,
        };
        clouds.allow("active");
        Ok(clouds)
    }

    /// Lets Cloudflare know the token, in this state.
    fn allow(&self, status: &'static str) {
        let zones = vec![self.cloudflare_zone.clone()];
        let may = Token {
            status,
            dns_read: zones.clone(),
            dns_edit: zones,
            zone_read: true,
        };
        self.cloudflare.add_token(TOKEN, may);
    }

    /// Lets the token edit this zone as well, and perhaps ask for the names of both.
    fn allow_more(&self, zone: &str, zone_read: bool) {
        let zones = vec![self.cloudflare_zone.clone(), zone.to_owned()];
        let may = Token {
            status: "active",
            dns_read: zones.clone(),
            dns_edit: zones,
            zone_read,
        };
        self.cloudflare.add_token(TOKEN, may);
    }

    /// The program; `cloudflare` and `route53` are more options, as lines of TOML.
    fn program(&self, cloudflare: &str, route53: &str) -> Result<Program> {
        let token = self.bed.write_secret("cloudflare.token", TOKEN)?;
        let mut settings = self.bed.settings();
        settings.providers.truncate(1);
        settings.alias_zones[1].provider = "cf";
        settings.alias_zones[2].provider = "aws";
        let endpoint = format!("http://{}", self.moto.address());
        let lines = |given: &str, name: &str, usual: String| {
            let is_given = given.lines().any(|line| line.starts_with(name));
            if is_given { String::new() } else { usual }
        };
        settings.more = format!(
            "[providers.cf]\nkind = \"cloudflare\"\n{}{}{cloudflare}\n\
             [providers.aws]\nkind = \"route53\"\n{}{route53}\n",
            lines(
                cloudflare,
                "base-url",
                format!("base-url = \"{}\"\n", self.cloudflare.base_url())
            ),
            lines(
                cloudflare,
                "api-token",
                format!("api-token = {{ file = \"{}\" }}\n", token.display())
            ),
            lines(
                route53,
                "endpoint-url",
                format!("endpoint-url = \"{endpoint}\"\n")
            ),
        );
        let program = self.bed.program(settings)?;
        Ok(program.env("AWS_EC2_METADATA_DISABLED", "true"))
    }

    fn signed_in(&self, cloudflare: &str, route53: &str) -> Result<Program> {
        let program = self.program(cloudflare, route53)?;
        Ok(program
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_SESSION_TOKEN", SESSION))
    }

    /// Checks that nothing is left, and no order was opened where `orders` is zero.
    fn assert_clean(&self, orders: usize) -> Result {
        assert_eq!(self.bed.orders()?, orders);
        assert_eq!(self.cloudflare.records(&self.cloudflare_zone), []);
        assert!(
            !self
                .moto
                .sets(&self.moto_zone)?
                .contains("<Type>TXT</Type>")
        );
        assert_eq!(self.bed.txt()?, []);
        Ok(())
    }
}

fn assert_no_secret(outcome: &Outcome) {
    for secret in [TOKEN, SECRET_KEY, SESSION] {
        assert!(!outcome.stderr.contains(secret), "{outcome}");
        assert!(!outcome.stdout.contains(secret), "{outcome}");
    }
}

#[test]
fn one_order_spans_a_zone_of_bind_one_of_cloudflare_and_one_of_route53() -> Result {
    let clouds = Clouds::start()?;
    let names = ["example.com", "*.example.org", "example.org", "example.edu"];
    let arguments = [&["issue", "--id", "all", "-vvv"][..], &names].concat();
    let outcome = clouds.signed_in("", "")?.run(&arguments)?;
    outcome.assert_success();
    let mut names = names;
    names.sort_unstable();
    assert_eq!(clouds.bed.certificate("all")?.names, names);
    assert_no_secret(&outcome);
    clouds.assert_clean(1)
}

#[test]
fn the_settings_choose_the_provider_of_each_alias_zone() -> Result {
    let clouds = Clouds::start()?;
    let program = clouds.signed_in("", "")?;
    for domain in DOMAINS {
        program.run(&["issue", domain])?.assert_success();
        let id = domain.replace('.', "-");
        assert_eq!(clouds.bed.certificate(&id)?.names, [domain]);
    }
    program.run(&["renew", "--force"])?.assert_success();
    clouds.assert_clean(6)
}

#[test]
fn aws_credentials_come_from_a_profile_and_a_role_can_be_taken_on() -> Result {
    let clouds = Clouds::start()?;
    let keys =
        format!("[acme]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET_KEY}\n");
    let file = clouds.bed.write_secret("aws-credentials", &keys)?;
    let run = |options: &str| -> Result<Outcome> {
        let program = clouds.program("", options)?;
        let program = program
            .env("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string())
            .env(
                "AWS_ENDPOINT_URL_STS",
                format!("http://{}", clouds.moto.other_services()),
            );
        program.run(&["issue", "example.edu"])
    };
    let outcome = run("profile = \"nobody\"")?;
    outcome.assert_failure(4, &["no AWS credentials"]);
    clouds.assert_clean(0)?;
    run("profile = \"acme\"")?.assert_success();
    let role = "assume-role-arn = \"arn:aws:iam::123456789012:role/acme\"";
    let outcome = run(&format!("profile = \"acme\"\n{role}"))?;
    outcome.assert_success();
    assert_no_secret(&outcome);
    clouds.assert_clean(2)
}

#[test]
fn cloudflare_settings_that_cannot_work_are_told_before_the_order() -> Result {
    let clouds = Clouds::start()?;
    let other = clouds.cloudflare.add_zone("example.net");
    let foreign = format!("zone-id = \"{other}\"");
    let refused = |options: &str, code, words: &[&str]| -> Result {
        let outcome = clouds
            .signed_in(options, "")?
            .run(&["issue", "example.org"])?;
        outcome.assert_failure(code, words);
        assert_no_secret(&outcome);
        clouds.assert_clean(0)
    };
    let nobody = clouds.bed.write_secret("wrong.token", "wrong")?;
    let wrong = format!("api-token = {{ file = \"{}\" }}", nobody.display());
    refused(&wrong, 4, &["does not know the token", "`api-token`"])?;
    refused(
        "zone-id = \"00000000000000000000000000000000\"",
        4,
        &["`zone-id`"],
    )?;
    refused(&foreign, 4, &["edit the zone", "DNS:Edit"])?;
    for zone_read in [true, false] {
        clouds.allow_more(&other, zone_read);
        refused(
            &foreign,
            4,
            &["`zone-id` is not that of", "there is example.net"],
        )?;
    }
    refused(
        "zone-id = \"x\"",
        2,
        &["providers.cf.zone-id", "32 hexadecimal digits"],
    )?;
    refused(
        "base-url = \"http://127.0.0.1:1\"",
        4,
        &["could not be reached"],
    )?;
    refused(
        "api-tokn = \"x\"",
        2,
        &["`providers.cf.api-tokn`", "`api-token`"],
    )?;
    clouds.allow("expired");
    refused("", 4, &["expired", "`api-token`"])
}

#[test]
fn route53_settings_that_cannot_work_are_told_before_the_order() -> Result {
    let clouds = Clouds::start()?;
    let refused = |program: Program, code, words: &[&str]| -> Result {
        let outcome = program.run(&["issue", "example.edu"])?;
        outcome.assert_failure(code, words);
        assert_no_secret(&outcome);
        clouds.assert_clean(0)
    };
    let signed_in = |options: &str| clouds.signed_in("", options);
    refused(
        clouds.program("", "")?,
        4,
        &["no AWS credentials", "`profile`"],
    )?;
    let nowhere = "hosted-zone-id = \"Z00000000000000000000\"";
    refused(
        signed_in(nowhere)?,
        4,
        &["NoSuchHostedZone", "`hosted-zone-id`"],
    )?;
    let other = clouds.moto.add_zone("example.net", false)?;
    refused(
        signed_in(&format!("hosted-zone-id = \"{other}\""))?,
        4,
        &[
            "`hosted-zone-id` is not that of",
            "it is that of example.net.",
        ],
    )?;
    refused(
        signed_in("hosted-zone-id = \"x y\"")?,
        2,
        &["providers.aws.hosted-zone-id"],
    )?;
    refused(
        signed_in("endpoint-url = \"http://127.0.0.1:1\"")?,
        4,
        &["could not be reached", "`endpoint-url`"],
    )?;
    refused(
        signed_in("profil = \"x\"")?,
        2,
        &["`providers.aws.profil`", "`profile`"],
    )?;

    let expired = Stub::start(|_| {
        let body = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>too old</Message>\
                    </Error></ErrorResponse>";
        Reply::Answer(403, body.to_owned())
    })?;
    let options = format!("endpoint-url = \"http://{}\"", expired.address());
    refused(signed_in(&options)?, 4, &["ExpiredToken", "have expired"])?;

    // The message quotes what was signed; it must be shown neither in the error nor in a log.
    let mismatch = Stub::start(|_| {
        let body = format!(
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>The canonical \
             string was x-amz-security-token:{SESSION}</Message></Error></ErrorResponse>"
        );
        Reply::Answer(403, body)
    })?;
    let options = format!("endpoint-url = \"http://{}\"", mismatch.address());
    let outcome = signed_in(&options)?.run(&["issue", "example.edu", "-vvv"])?;
    outcome.assert_failure(4, &["SignatureDoesNotMatch", "credentials are wrong"]);
    assert_no_secret(&outcome);
    clouds.assert_clean(0)
}

#[test]
fn a_missing_option_is_told_and_an_inline_secret_warned_of() -> Result {
    let clouds = Clouds::start()?;
    let mut program = clouds.signed_in("", "")?;
    let more = &mut program.settings.more;
    *more = more.replace("api-token =", "# api-token =");
    let outcome = program.run(&["issue", "example.org"])?;
    outcome.assert_failure(2, &["`providers.cf.api-token` is missing", "DNS:Edit"]);
    clouds.assert_clean(0)?;

    let inline = format!("api-token = \"{TOKEN}\"");
    let outcome = clouds
        .signed_in(&inline, "")?
        .run(&["issue", "example.org"])?;
    outcome.assert_success();
    outcome.assert_said(&["warning", "`providers.cf.api-token`", "file"]);
    assert_no_secret(&outcome);
    clouds.assert_clean(1)
}
