//! Where the AWS SDK finds credentials: every link of its chain leads to a signed request.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use acme_alias_tests::{Outcome, Program, Reply, Result, Stub, StubRequest, TestBed};

const SECRET: &str = "a-key-that-nobody-shall-see";
const EXPIRES: &str = "2099-01-01T00:00:00Z";

/// A server that is the metadata service, STS, SSO and Route 53 at once; it gives credentials, and
/// refuses to do anything with them.
struct Amazon {
    bed: TestBed,
    stub: Stub,
    /// The `authorization` of the requests to Route 53.
    signatures: Arc<Mutex<Vec<String>>>,
}

impl Amazon {
    fn start() -> Result<Amazon> {
        let bed = TestBed::start()?;
        let signatures = Arc::new(Mutex::new(Vec::new()));
        let signed = Arc::clone(&signatures);
        let stub = Stub::start(move |asked| {
            if asked.path.contains("/2013-04-01/") {
                let mut signed = signed.lock().unwrap_or_else(PoisonError::into_inner);
                signed.extend(asked.authorization.clone());
                let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message>\
                            </Error></ErrorResponse>";
                return Reply::Answer(403, body.to_owned());
            }
            credentials(asked)
        })?;
        Ok(Amazon {
            bed,
            stub,
            signatures,
        })
    }

    /// The program, with the alias zone in Route 53.
    fn program(&self, options: &str) -> Result<Program> {
        let mut settings = self.bed.settings();
        settings.alias_zones[0].provider = "aws";
        settings.more = format!(
            "[providers.aws]\nkind = \"route53\"\nendpoint-url = \"{}\"\n{options}\n",
            self.url()
        );
        self.bed.program(settings)
    }

    fn url(&self) -> String {
        format!("http://{}", self.stub.address())
    }

    /// Runs the program, which must have signed with the key of this id.
    fn assert_signed_with(&self, program: &Program, key: &str) -> Result {
        let outcome: Outcome = program.run(&["issue", "example.com"])?;
        outcome.assert_failure(4, &["AccessDenied"]);
        assert!(!format!("{outcome}").contains(SECRET), "{outcome}");
        let mut signatures = self
            .signatures
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let with = format!("Credential={key}/");
        assert!(!signatures.is_empty(), "{outcome}");
        for signature in signatures.drain(..) {
            assert!(signature.contains(&with), "{signature}");
        }
        assert_eq!(self.bed.orders()?, 0);
        Ok(())
    }
}

/// What the other services say.
fn credentials(asked: &StubRequest) -> Reply {
    let keys = |id: &str| {
        format!(
            r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{id}","SecretAccessKey":"{SECRET}","Token":"t","Expiration":"{EXPIRES}"}}"#
        )
    };
    let path = asked.path.as_str();
    if path == "/latest/api/token" {
        let lifetime = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        return Reply::Headed(lifetime, "token".to_owned());
    }
    let body = if path.ends_with("/security-credentials/") {
        "role".to_owned()
    } else if path.ends_with("/security-credentials/role") {
        keys("AKIDINSTANCE")
    } else if path == "/container" {
        keys("AKIDCONTAINER")
    } else if path.starts_with("/federation/credentials") {
        format!(
            r#"{{"roleCredentials":{{"accessKeyId":"AKIDSSO","secretAccessKey":"{SECRET}","sessionToken":"t","expiration":4070908800000}}}}"#
        )
    } else if asked.body.contains("AssumeRoleWithWebIdentity") {
        format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>AKIDIDENTITY</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <SessionToken>t</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
    } else {
        return Reply::Answer(404, String::new());
    };
    Reply::Answer(200, body)
}

#[test]
fn every_source_of_the_credential_chain_works() -> Result {
    let amazon = Amazon::start()?;
    let program = |options: &str| amazon.program(options);
    let no_instance = |program: Program| program.env("AWS_EC2_METADATA_DISABLED", "true");

    let environment = no_instance(program("")?)
        .env("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
        .env("AWS_SECRET_ACCESS_KEY", SECRET);
    amazon.assert_signed_with(&environment, "AKIDENVIRONMENT")?;

    let answer =
        format!(r#"{{"Version":1,"AccessKeyId":"AKIDPROCESS","SecretAccessKey":"{SECRET}"}}"#);
    let answer = amazon.bed.write_secret("process.json", &answer)?;
    let config = format!(
        "[profile by-process]\ncredential_process = cat {}\n[profile by-sso]\nsso_session = acme\nsso_account_id = 123456789012\n\
         sso_role_name = acme\nregion = us-east-1\n[sso-session acme]\nsso_region = us-east-1\n\
         sso_start_url = https://acme.awsapps.example/start\n",
        answer.display()
    );
    let config = amazon.bed.write_secret("aws-config", &config)?;
    let by = |profile: &str| -> Result<Program> {
        let program = program(&format!("profile = \"{profile}\""))?;
        Ok(no_instance(program).env("AWS_CONFIG_FILE", config.display().to_string()))
    };
    amazon.assert_signed_with(&by("by-process")?, "AKIDPROCESS")?;

    // The SDK keeps what a login gave in a file with the SHA-1 of the session's name.
    let by_sso = by("by-sso")?.env("AWS_ENDPOINT_URL_SSO", amazon.url());
    let cache = by_sso.home().join(".aws/sso/cache");
    fs::create_dir_all(&cache)?;
    fs::write(
        cache.join("293abb6b76d7791c0732cc517d38c4b5c734b87f.json"),
        format!(r#"{{"accessToken":"t","expiresAt":"{EXPIRES}","region":"us-east-1"}}"#),
    )?;
    amazon.assert_signed_with(&by_sso, "AKIDSSO")?;

    let identity = amazon.bed.write_secret("identity.token", "token")?;
    let by_identity = no_instance(program("")?)
        .env(
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            identity.display().to_string(),
        )
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/acme")
        .env("AWS_ENDPOINT_URL_STS", amazon.url());
    amazon.assert_signed_with(&by_identity, "AKIDIDENTITY")?;

    let container = format!("{}/container", amazon.url());
    let in_container =
        no_instance(program("")?).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", container);
    amazon.assert_signed_with(&in_container, "AKIDCONTAINER")?;

    let on_instance = program("")?.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", amazon.url());
    amazon.assert_signed_with(&on_instance, "AKIDINSTANCE")
}
