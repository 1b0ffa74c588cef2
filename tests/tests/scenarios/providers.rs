//! The program with each provider, chosen by the settings for its alias zone; and what is wrong with
//! their settings, told before an order is opened.

use acme_alias_tests::{Outcome, Program, Reply, Result, Stub};

use crate::clouds::{Clouds, DOMAINS, SECRET_KEY, SESSION, TOKEN, assert_no_secret};

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
    // Cloudflare has no shorter TTL than a minute.
    let later = program.clock("+61s");
    later.run(&["renew", "--force"])?.assert_success();
    clouds.assert_clean(6)
}

#[test]
fn aws_credentials_come_from_a_profile_and_a_role_can_be_assumed() -> Result {
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
        program.run(&["issue", "example.edu", "--force"])
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
fn wrong_cloudflare_settings_are_an_error_before_the_order() -> Result {
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
            &["`zone-id` is not that of", "contains example.net"],
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

/// Runs the program, which must fail before it opens an order.
fn route53_refused(clouds: &Clouds, program: &Program, code: i32, words: &[&str]) -> Result {
    let outcome = program.run(&["issue", "example.edu"])?;
    outcome.assert_failure(code, words);
    assert_no_secret(&outcome);
    clouds.assert_clean(0)
}

#[test]
fn wrong_route53_settings_are_an_error_before_the_order() -> Result {
    let clouds = Clouds::start()?;
    let refused = |options: &str, code, words: &[&str]| -> Result {
        let program = clouds.signed_in("", options)?;
        route53_refused(&clouds, &program, code, words)
    };
    let without_credentials = clouds.program("", "")?;
    let words = ["no AWS credentials", "`profile`"];
    route53_refused(&clouds, &without_credentials, 4, &words)?;
    refused(
        "hosted-zone-id = \"Z00000000000000000000\"",
        4,
        &["NoSuchHostedZone", "`hosted-zone-id`"],
    )?;
    let other = clouds.moto.add_zone("example.net", false)?;
    refused(
        &format!("hosted-zone-id = \"{other}\""),
        4,
        &[
            "`hosted-zone-id` is not that of",
            "it is that of example.net.",
        ],
    )?;
    refused(
        "hosted-zone-id = \"x y\"",
        2,
        &["providers.aws.hosted-zone-id"],
    )?;
    refused(
        "endpoint-url = \"http://127.0.0.1:1\"",
        4,
        &["could not be reached", "`endpoint-url`"],
    )?;
    refused(
        "profil = \"x\"",
        2,
        &["`providers.aws.profil`", "`profile`"],
    )
}

#[test]
fn refused_aws_credentials_are_an_error_that_does_not_show_them() -> Result {
    let clouds = Clouds::start()?;
    let at = |stub: &Stub| {
        let options = format!("endpoint-url = \"http://{}\"", stub.address());
        clouds.signed_in("", &options)
    };
    let expired = Stub::start(|_| {
        let body = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>too old</Message>\
                    </Error></ErrorResponse>";
        Reply::Answer(403, body.to_owned())
    })?;
    let words = ["ExpiredToken", "have expired"];
    route53_refused(&clouds, &at(&expired)?, 4, &words)?;

    // The message quotes what was signed; it must be shown neither in the error nor in a log.
    let mismatch = Stub::start(|_| {
        let body = format!(
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>The canonical \
             string was x-amz-security-token:{SESSION}</Message></Error></ErrorResponse>"
        );
        Reply::Answer(403, body)
    })?;
    let outcome = at(&mismatch)?.run(&["issue", "example.edu", "-vvv"])?;
    outcome.assert_failure(4, &["SignatureDoesNotMatch", "credentials are wrong"]);
    assert_no_secret(&outcome);
    clouds.assert_clean(0)
}

#[test]
fn a_missing_option_is_an_error_and_an_inline_secret_a_warning() -> Result {
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
