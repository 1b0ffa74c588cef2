//! A bed in which each provider has an alias zone.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail as they do")]

use acme_alias_tests::{
    ALIAS_ZONE, Builder, CloudflareFake, Moto, Outcome, Program, Result, SECOND_ALIAS_ZONE,
    Settings, THIRD_ALIAS_ZONE, TestBed, Token,
};

pub(crate) const TOKEN: &str = "a-token-that-nobody-shall-see";
pub(crate) const SECRET_KEY: &str = "a-key-that-nobody-shall-see";
pub(crate) const SESSION: &str = "a-session-that-nobody-shall-see";
/// Whose challenge names lead to a zone of BIND, of Cloudflare and of Route 53.
pub(crate) const DOMAINS: [&str; 3] = ["example.com", "example.org", "example.edu"];

/// A bed whose second alias zone is Cloudflare's, and whose third is Route 53's.
pub(crate) struct Clouds {
    pub(crate) bed: TestBed,
    pub(crate) cloudflare: CloudflareFake,
    pub(crate) cloudflare_zone: String,
    pub(crate) moto: Moto,
    pub(crate) moto_zone: String,
}

impl Clouds {
    pub(crate) fn start() -> Result<Clouds> {
        Clouds::start_with(|builder| builder)
    }

    /// On a bed that is not the usual one. The CA caches no record of the clouds, so that a test need not wait
    /// a minute before it uses a name again.
    pub(crate) fn start_with(build: impl FnOnce(Builder) -> Builder) -> Result<Clouds> {
        Clouds::start_with_ttl(0, build)
    }

    /// The same with this time to live, in seconds, of the records of Cloudflare, where the shortest is 60.
    pub(crate) fn start_with_ttl(
        ttl: u32,
        build: impl FnOnce(Builder) -> Builder,
    ) -> Result<Clouds> {
        let zones = [ALIAS_ZONE, SECOND_ALIAS_ZONE, THIRD_ALIAS_ZONE];
        let builder = DOMAINS.iter().zip(zones).fold(
            TestBed::builder().third_alias_zone(),
            |builder, (domain, zone)| {
                let name = format!("_acme-challenge.{domain}");
                builder.cname(&name, &format!("_acme-challenge.{zone}"))
            },
        );
        let bed = build(builder).start()?;

        let cloudflare = CloudflareFake::start()?;
        let cloudflare_zone = cloudflare.add_zone(SECOND_ALIAS_ZONE);
        let mirror = bed.mirror(SECOND_ALIAS_ZONE, ttl)?;
        cloudflare.on_change(move |_, records| {
            let txt = records.iter().filter(|record| record.kind == "TXT");
            let plain = |content: &str| content.trim_matches('"').to_owned();
            let txt: Vec<_> = txt.map(|r| (r.name.clone(), plain(&r.content))).collect();
            mirror.show(&txt).unwrap();
        });

        let moto = Moto::start()?;
        let moto_zone = moto.add_zone(THIRD_ALIAS_ZONE, false)?;
        let mirror = bed.mirror(THIRD_ALIAS_ZONE, 0)?;
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
    pub(crate) fn allow(&self, status: &'static str) {
        let zones = vec![self.cloudflare_zone.clone()];
        let may = Token {
            status,
            dns_read: zones.clone(),
            dns_edit: zones,
            zone_read: true,
            expires_on: None,
        };
        self.cloudflare.add_token(TOKEN, may);
    }

    /// Lets the token edit this zone as well, and perhaps ask for the names of both.
    pub(crate) fn allow_more(&self, zone: &str, zone_read: bool) {
        let zones = vec![self.cloudflare_zone.clone(), zone.to_owned()];
        let may = Token {
            status: "active",
            dns_read: zones.clone(),
            dns_edit: zones,
            zone_read,
            expires_on: None,
        };
        self.cloudflare.add_token(TOKEN, may);
    }

    /// The program; `cloudflare` and `route53` are more options, as lines of TOML.
    pub(crate) fn program(&self, cloudflare: &str, route53: &str) -> Result<Program> {
        self.program_with(self.settings(cloudflare, route53)?)
    }

    /// The settings of that program.
    pub(crate) fn settings(&self, cloudflare: &str, route53: &str) -> Result<Settings> {
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
        Ok(settings)
    }

    fn program_with(&self, settings: Settings) -> Result<Program> {
        let endpoint = format!("http://{}", self.moto.address());
        let program = self.bed.program(settings)?;
        Ok(program
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL_IAM", &endpoint)
            .env("AWS_ENDPOINT_URL_STS", &endpoint))
    }

    pub(crate) fn signed_in(&self, cloudflare: &str, route53: &str) -> Result<Program> {
        self.signed_in_with(self.settings(cloudflare, route53)?)
    }

    /// The same with these settings.
    pub(crate) fn signed_in_with(&self, settings: Settings) -> Result<Program> {
        let program = self.program_with(settings)?;
        Ok(program
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_SESSION_TOKEN", SESSION))
    }

    /// Checks that nothing is left, and no order was opened where `orders` is zero.
    pub(crate) fn assert_clean(&self, orders: usize) -> Result {
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

pub(crate) fn assert_no_secret(outcome: &Outcome) {
    for secret in [TOKEN, SECRET_KEY, SESSION] {
        assert!(!outcome.stderr.contains(secret), "{outcome}");
        assert!(!outcome.stdout.contains(secret), "{outcome}");
    }
}
