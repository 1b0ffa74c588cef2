//! Every setting there is: declared once, and from that the check for unknown keys, the reading
//! of environment variables, the JSON schema and the reference.

use acme_alias_core::provider::{OptionKind, OptionSpec};
use acme_alias_core::registry::{self, ProviderKind};

use super::deploy_schema::{DEPLOY, NOTIFY};
use super::key::key;
pub(crate) use super::key::{Key, Shape};
use super::run_schema::RUN;

pub(crate) const SETTINGS: &[Key] = &[
    key(
        "state",
        Shape::Text,
        "folder for certificates, keys and accounts",
    )
    .or("`/var/lib/acme-alias` for root, else `~/.local/state/acme-alias` (`$XDG_STATE_HOME`)"),
    key(
        "state-group",
        Shape::Text,
        "group that may change the state folder, such as the `fsGroup` of Kubernetes; its members can do what acme-alias \
         can",
    )
    .or("a group of this process that nobody else is in; none for root"),
    key(
        "keep-versions",
        Shape::Number,
        "versions of each certificate that are kept; older ones are deleted with their keys",
    )
    .or("`3`"),
    key(
        "renew-before",
        Shape::Text,
        "renew certificates this long before their end at the latest, or when this part of their lifetime is left: \
         `30d`, `1/3`, `50%`",
    )
    .or("when the CA asks for it (ARI), or else a third of the lifetime (half below ten days)"),
    KEY_MODE,
    KEY_GROUP,
    key(
        "deploy",
        Shape::Tables(DEPLOY),
        "what to do with each certificate that has changed, unless it has `deploy` or `deploy-hook` of its own",
    ),
    key(
        "notify",
        Shape::Table(NOTIFY),
        "whom to notify when certificates fail or end soon",
    ),
    key(
        "renew-every",
        Shape::Duration,
        "how often `renew` runs; the last run in the time that the CA suggests (ARI) renews",
    )
    .or("`12h`"),
    key(
        "audit-git",
        Shape::Text,
        "a git repository, or a folder in one, that `issue`, `renew` and `ledger reconcile` export the ledger to",
    ),
    key(
        "audit",
        Shape::Word(&["optional", "required"]),
        "what to do if the export fails: `optional` warns, `required` stops before anything is changed",
    )
    .or("`optional`"),
    key(
        "other-ledgers",
        Shape::Texts,
        "folders with the ledgers of other hosts that change the same alias zones, or copies of them, for \
         `ledger diff-serial`",
    ),
    key(
        "acme",
        Shape::Table(ACME),
        "the certification authority (CA)",
    ),
    key(
        "cas",
        Shape::ById(ACME),
        "other CAs, each with the keys of `[acme]`; `contact` and the time limits are those of `[acme]`, unless given",
    ),
    key("run", Shape::Table(RUN), "what `run` serves to monitoring"),
    key("dns", Shape::Table(DNS), "how questions are asked"),
    key("providers", Shape::Providers, "who writes TXT records"),
    key(
        "alias-zones",
        Shape::Tables(ALIAS_ZONE),
        "alias zones; the longest that contains an alias name counts",
    ),
    key(
        "certificates",
        Shape::ById(CERTIFICATE),
        "certificates that are wanted",
    ),
];

const ACME: &[Key] = &[
    key(
        "directory",
        Shape::Word(&["letsencrypt", "letsencrypt-staging", "zerossl", "google"]),
        "the CA, or an https:// URL",
    )
    .or("`letsencrypt`"),
    key("contact", Shape::Texts, "mail addresses for the CA"),
    key(
        "agree-tos",
        Shape::Truth,
        "agree to the CA's terms of service",
    )
    .or("`false`"),
    key(
        "ca-file",
        Shape::Text,
        "root certificate (PEM) of a private CA, trusted as well",
    ),
    key(
        "caa-issuer",
        Shape::Text,
        "the domain by which CAA records name the CA",
    )
    .or("that of a known CA"),
    key(
        "timeout",
        Shape::Duration,
        "how long the CA may take for one answer",
    )
    .or("`30s`"),
    key(
        "order-timeout",
        Shape::Duration,
        "how long the CA may take to validate an order, and again to sign",
    )
    .or("`5m`"),
    key(
        "limits",
        Shape::Table(LIMITS),
        "what the CA allows the account; more certificates wait for a later run",
    )
    .or("those of Let's Encrypt, for its directory; none for others"),
    key(
        "eab-kid",
        Shape::Text,
        "external account binding: the key's identifier",
    ),
    key(
        "eab-hmac-key",
        Shape::Secret,
        "external account binding: the key",
    ),
];

const LIMITS: &[Key] = &[
    key(
        "orders",
        Shape::Number,
        "new orders, without renewals that the CA asks for (ARI); `0`: no limit",
    ),
    key(
        "orders-per",
        Shape::Duration,
        "the time in which they count",
    )
    .or("`3h`"),
    key(
        "identical",
        Shape::Number,
        "certificates with the same names; `0`: no limit",
    ),
    key(
        "identical-per",
        Shape::Duration,
        "the time in which they count",
    )
    .or("`168h`"),
    key(
        "failed-validations",
        Shape::Number,
        "validations of one certificate that fail; `0`: no limit",
    ),
    key(
        "failed-validations-per",
        Shape::Duration,
        "the time in which they count",
    )
    .or("`1h`"),
];

const DNS: &[Key] = &[
    key("resolver", Shape::Texts, "where DNS walks start").or("the system's resolvers"),
    key(
        "trust-anchor",
        Shape::Text,
        "a file with the DNSKEY records that DNSSEC validation trusts",
    )
    .or("the keys of the root zone"),
    key(
        "timeout",
        Shape::Duration,
        "how long one question to one server may take",
    )
    .or("`3s`"),
    key(
        "queries-per-name",
        Shape::Number,
        "how many queries the check of one challenge name may send",
    )
    .or("`120`"),
    key(
        "allow-special-addresses",
        Shape::Truth,
        "query name servers that zones place at loopback, link-local or reserved addresses",
    )
    .or("`false`"),
    key(
        "allow-private-addresses",
        Shape::Truth,
        "query name servers that zones place in private networks (RFC 1918, RFC 6598, RFC 4193)",
    )
    .or("`true`"),
    key(
        "propagation-timeout",
        Shape::Duration,
        "how long values may take to reach every server",
    )
    .or("`5m`"),
    key(
        "propagation",
        Shape::Word(&["answering", "all"]),
        "which name servers must have the values before the CA is asked to validate: `answering` ignores servers that do \
         not answer, `all` does not",
    )
    .or("`answering`"),
    key(
        "propagation-extra-wait",
        Shape::Duration,
        "how long to wait in addition, after these servers have the values",
    ),
    key(
        "propagation-resolvers",
        Shape::Texts,
        "resolvers to ask for the values in place of the name servers, for networks that block or intercept \
         port 53",
    ),
    key(
        "zones",
        Shape::Tables(DNS_ZONE),
        "zones with servers to ask in place of their NS sets: split horizon, closed networks",
    ),
];

const DNS_ZONE: &[Key] = &[
    key("zone", Shape::Text, "the zone"),
    key("servers", Shape::Texts, "its servers, as addresses"),
];

const ALIAS_ZONE: &[Key] = &[
    key("zone", Shape::Text, "the zone"),
    key(
        "provider",
        Shape::Text,
        "the id of the provider that writes there",
    ),
    key(
        "servers",
        Shape::Texts,
        "servers to wait for in place of the NS set: hidden primaries",
    )
    .or("the NS set"),
];

pub(super) const CERTIFICATE: &[Key] = &[
    key(
        "domains",
        Shape::TextsOrTables(DOMAIN),
        "the names; one with an alias of its own is a table",
    )
    .or("with `csr`: those of the request"),
    key(
        "csr",
        Shape::Text,
        "path of a certification request (PKCS#10; PEM or DER) to send, for a private key that stays where it is: for \
         DANE and hardware keys",
    )
    .or("acme-alias generates the key"),
    CHALLENGE_ALIAS,
    DOMAIN_ALIAS,
    key(
        "key-type",
        Shape::Word(&["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-4096"]),
        "the kind of the key",
    )
    .or("`ecdsa-p256`"),
    key("ca", Shape::Text, "id of the CA in `[cas]`").or("that of `[acme]`"),
    key(
        "fallback-ca",
        Shape::Text,
        "id of the CA that is asked when the other one has failed; `acme` is that of `[acme]`",
    ),
    key(
        "fallback-after",
        Shape::Number,
        "failures of the CA in a row after which the other one is asked",
    )
    .or("`3`"),
    key(
        "key",
        Shape::Word(&["new", "reuse"]),
        "whether a renewal makes a new key, or uses the same one: for DANE and pinning",
    )
    .or("`new`"),
    key(
        "provider",
        Shape::Text,
        "provider for alias names outside every alias zone; their zone is found by its SOA",
    ),
    key(
        "renew-before",
        Shape::Text,
        "renew it this long before its end at the latest, as the setting of the same name for all",
    ),
    key(
        "profile",
        Shape::Text,
        "profile of the CA, such as `shortlived`",
    )
    .or("the CA's choice"),
    key(
        "preferred-chain",
        Shape::Text,
        "common name of the root that the chain should lead to, where the CA offers several",
    )
    .or("the CA's choice"),
    key(
        "partial",
        Shape::Truth,
        "obtain it without the names that fail, if some do",
    )
    .or("`false`"),
    KEY_MODE,
    KEY_GROUP,
    key(
        "deploy",
        Shape::Tables(DEPLOY),
        "what to do when the certificate has changed, one after the other",
    ),
    key(
        "deploy-hook",
        Shape::Texts,
        "short form of a last `deploy` table with this `command`",
    ),
    key(
        "skip-preflight",
        Shape::Truth,
        "use the configured aliases without checking the delegations: split horizon",
    )
    .or("`false`"),
];

const KEY_MODE: Key = key(
    "key-mode",
    Shape::Text,
    "mode of the private keys in the state folder: `600`, `640`, `400` or `440`",
)
.or("as at the version before, at first `600`, or `640` with `key-group`");
const KEY_GROUP: Key = key(
    "key-group",
    Shape::Text,
    "group that may read the private keys in the state folder, and enter the folders on the way",
)
.or("as at the version before");

const DOMAIN: &[Key] = &[
    key("name", Shape::Text, "the name"),
    CHALLENGE_ALIAS,
    DOMAIN_ALIAS,
];

const CHALLENGE_ALIAS: Key = key(
    "challenge-alias",
    Shape::Text,
    "the TXT goes to `_acme-challenge.` and this name",
)
.or("follow the CNAME");
const DOMAIN_ALIAS: Key = key(
    "domain-alias",
    Shape::Text,
    "the TXT goes to this very name",
)
.or("follow the CNAME");

/// Where a secret is kept; one of these stands in its place.
pub(crate) const SECRET: &[Key] = &[
    key("file", Shape::Text, "a file that only its owner can read"),
    key("env", Shape::Text, "a variable of the environment"),
    key(
        "credential",
        Shape::Text,
        "a credential that systemd passes (`LoadCredential=`)",
    ),
    key(
        "command",
        Shape::Texts,
        "a program and its arguments, run without a shell, that prints it",
    ),
];

/// The keys of a provider of this kind.
pub(crate) fn of_provider(kind: &ProviderKind) -> Vec<Key> {
    let of_option = |option: &OptionSpec| Key {
        name: option.name,
        shape: match option.kind {
            OptionKind::Text => Shape::Text,
            OptionKind::List => Shape::Texts,
            OptionKind::Number => Shape::Number,
            OptionKind::Duration => Shape::Duration,
            OptionKind::Secret => Shape::Secret,
            OptionKind::Secrets => Shape::Secrets,
        },
        help: option.help,
        default: option.default,
    };
    let kind_key = key("kind", Shape::Text, "the kind of the provider");
    std::iter::once(kind_key)
        .chain(kind.options.iter().map(of_option))
        .collect()
}

/// The key of this name, an underscore standing for a hyphen.
pub(crate) fn find<'a>(keys: &'a [Key], name: &str) -> Option<&'a Key> {
    keys.iter()
        .find(|key| key.name.replace('-', "_") == name.replace('-', "_"))
}

/// The names of all keys that hold a secret.
pub(super) fn secret_keys() -> Vec<&'static str> {
    let kinds = registry::kinds().unwrap_or_default();
    let options = kinds.into_iter().flat_map(of_provider);
    options
        .chain(ACME.iter().copied())
        .chain(DEPLOY.iter().copied())
        .filter(|key| matches!(key.shape, Shape::Secret))
        .map(|key| key.name)
        .collect()
}

/// The names of all keys that hold several secrets.
pub(super) fn keys_of_secrets() -> Vec<&'static str> {
    let kinds = registry::kinds().unwrap_or_default();
    let options = kinds.into_iter().flat_map(|kind| kind.options);
    let several = options.filter(|option| option.kind == OptionKind::Secrets);
    several.map(|option| option.name).collect()
}

/// Whether the key at the end of `path` holds a secret.
pub(crate) fn is_secret(path: &str) -> bool {
    let mut keys = path.rsplit('.');
    let key = keys.next().unwrap_or(path);
    let is_one_of_several = keys
        .next()
        .is_some_and(|above| path.starts_with("providers.") && keys_of_secrets().contains(&above));
    is_one_of_several || secret_keys().contains(&key)
}
