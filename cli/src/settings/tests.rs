//! What the settings take, and what they say of what they do not take.

mod csr;
mod forms;
mod layers;
mod run;

use std::time::Duration;

use acme_alias_core::certificate::KeyType;
use acme_alias_core::deploy::CommandTarget;
use acme_alias_core::dns::{Propagation, WaitFor};
use proptest::prelude::*;

use super::origins::DEFAULTS;
use super::*;
use crate::setup::Providers;

fn tree(layers: &[(&str, &str)]) -> Tree {
    let defaults = Layer::parse("default", &format!("state = \"/state\"\n{DEFAULTS}")).unwrap();
    let layers = layers
        .iter()
        .map(|(name, text)| Layer::parse(name, text).unwrap());
    Tree::new(std::iter::once(defaults).chain(layers).collect()).unwrap()
}

/// The settings without any mistake.
fn read(text: &str) -> Result<Settings, SettingsError> {
    let settings = Settings::read(&tree(&[("site.toml", text)]))?;
    settings.mistakes().map_or(Ok(settings), Err)
}

/// The message of the one mistake in `text`.
fn mistake(text: &str) -> String {
    let error = read(text).unwrap_err();
    assert_eq!(error.0.len(), 1, "{error}");
    error.to_string()
}

/// What is shown of the mistakes where there are no colours.
fn plain(error: &SettingsError) -> String {
    anstream::adapter::strip_str(&error.render()).to_string()
}

const GOOD: &str = r#"
[acme]
directory = "https://ca.example.com/directory"
contact = ["admin@example.com"]
agree-tos = true
[dns]
resolver = ["192.0.2.53", "[2001:db8::53]:5353"]
[[dns.zones]]
zone = "example.com"
servers = ["192.0.2.1"]
[certificates.web]
domains = ["example.com", "*.example.com", { name = "www.example.org", domain-alias = "x.auth2.example.net" }]
challenge-alias = "auth.example.net"
key-type = "rsa-2048"
deploy-hook = ["systemctl", "reload", "nginx"]
"#;

#[test]
fn good_settings_mean_what_they_say() {
    let settings = read(GOOD).unwrap();
    assert_eq!(settings.acme.directory, "https://ca.example.com/directory");
    assert!(settings.acme.agree_tos);
    let resolvers: Vec<_> = settings
        .dns
        .resolver
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(resolvers, ["192.0.2.53:53", "[2001:db8::53]:5353"]);
    assert_eq!(settings.dns.propagation_timeout, Duration::from_mins(5));
    let web = settings.certificates.values().next().unwrap();
    let aliases: Vec<_> = web
        .domains
        .iter()
        .map(|domain| domain.alias.as_ref().unwrap().to_string())
        .collect();
    let usual = "_acme-challenge.auth.example.net";
    assert_eq!(aliases, [usual, usual, "x.auth2.example.net"]);
    assert_eq!(web.key_type, KeyType::Rsa2048);
    let hook = ["systemctl", "reload", "nginx"].map(str::to_owned).into();
    let hook = TargetSettings::Command(CommandTarget::new(hook));
    assert_eq!(web.deploy, Some(vec![hook]));
}

/// A file, where its mistake is, and words about it.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("[acme]\ncontatc = []\n", "2:1", "did you mean `contact`"),
    (
        "[acme]\ndirectory = \"letsencrpyt\"\n",
        "2:13",
        "did you mean `letsencrypt`",
    ),
    (
        "[acme]\ndirectory = \"http://ca.example\"\n",
        "2:13",
        "https://",
    ),
    ("[acme]\nagree-tos = \"perhaps\"\n", "2:13", "true or false"),
    ("[acme]\neab-kid = \"x\"\n", "2:11", "eab-hmac-key"),
    (
        "[acme]\ncontact = \"admin@example.com, hostmaster\"\n",
        "2:11",
        "no mail address: `hostmaster`",
    ),
    (
        "[certificates.web]\ndomains = [\"example.com\"]\nchallenge-alias = \"_acme-challenge.example.net\"\n",
        "3:19",
        "did you mean `domain-alias",
    ),
    ("[dns]\nresolver = \"dns.example\"\n", "2:12", "IP address"),
    ("[dns]\ntimeout = \"0s\"\n", "2:11", "above zero"),
    (
        "[dns]\npropagation = \"answer\"\n",
        "2:15",
        "did you mean `answering`",
    ),
    (
        "[dns]\npropagation-extra-wait = \"soon\"\n",
        "2:26",
        "a time above zero",
    ),
    (
        "[dns]\npropagation-resolvers = [\"dns.example\"]\n",
        "2:26",
        "IP address",
    ),
    (
        "[[dns.zones]]\nzone = \"example.com\"\n",
        "1:",
        "needs `servers`",
    ),
    (
        "[providers.x]\nkind = \"carrier-pigeon\"\n",
        "2:8",
        "carrier-pigeon",
    ),
    ("[providers.X]\nkind = \"rfc2136\"\n", "1:", "bad name"),
    (
        "[[alias-zones]]\nzone = \"auth.example.net\"\n",
        "1:",
        "needs `provider`",
    ),
    (
        "[certificates.web]\ndomains = []\n",
        "2:11",
        "at least one domain",
    ),
    ("[certificates.web]\n", "1:", "at least one domain"),
    (
        "[certificates.web]\ndomains = [\"192.0.2.1\"]\n",
        "2:12",
        "IP address",
    ),
    (
        "[certificates.web]\ndomains = [\"a..b\"]\n",
        "2:12",
        "empty label",
    ),
    (
        "[certificates.web]\ndomains = [\"example.com\", \"EXAMPLE.com.\"]\n",
        "2:27",
        "second time",
    ),
    (
        "[certificates.web]\ndomains = [{ nam = \"example.com\", name = \"example.com\" }]\n",
        "2:14",
        "did you mean `name`",
    ),
    (
        "[certificates.web]\ndomains = [\"example.com\"]\nkey-type = \"rsa\"\n",
        "3:12",
        "rsa-4096",
    ),
    (
        "[certificates.web]\ndomains = [\"example.com\"]\nprovider = \"x\"\n",
        "3:12",
        "names no provider",
    ),
    (
        "[certificates.web]\ndomains = [\"example.com\"]\nchallenge-alias = \"a.example\"\ndomain-alias = \"b.example\"\n",
        "4:16",
        "only one of them",
    ),
    (
        "[certificates.\"a.b\"]\ndomains = [\"example.com\"]\n",
        "1:",
        "certificate id",
    ),
];

fn assert_mistake(text: &str, at: &str, words: &str) {
    let message = mistake(text);
    assert!(
        message.starts_with(&format!("site.toml:{at}")),
        "{text}\n{message}"
    );
    assert!(message.contains(words), "{text}\n{message}");
}

#[test]
fn every_mistake_is_reported_with_its_file_line_and_column() {
    for (text, at, words) in MISTAKES {
        assert_mistake(text, at, words);
    }
    let many: Vec<_> = (0..101).map(|i| format!("\"h{i}.example.com\"")).collect();
    let text = format!("[certificates.web]\ndomains = [{}]\n", many.join(","));
    assert_mistake(&text, "2:11", "101 names");
}

/// Lines of a target, the place of a mistake in them, and words about it.
const MISTAKES_OF_TARGETS: &[(&str, &str, &str)] = &[
    ("key = '/x'", "1:", "needs `kind`"),
    ("kind = 'file'", "2:8", "did you mean `files`"),
    ("kind = 'command'", "1:", "needs a `command`"),
    (
        "kind = 'command'\ncommand = 'x'\nkey = '/x'",
        "4:7",
        "is not for",
    ),
    ("kind = 'files'", "1:", "needs a file to write"),
    ("kind = 'files'\nkey = 'x.pem'", "3:7", "absolute path"),
    ("kind = 'files'\nkey = '/a/../b'", "3:7", "absolute path"),
    ("kind = 'files'\nkey = '/'", "3:7", "absolute path"),
    (
        "kind = 'files'\nkey = '/a'\nchain = '/a'",
        "4:9",
        "another file",
    ),
    (
        "kind = 'files'\nkey = '/a'\nmode = '644'",
        "4:8",
        "takes 600, 640",
    ),
    (
        "kind = 'files'\nkey = '/a'\nname = 'x'",
        "4:8",
        "needs `letsencrypt`",
    ),
    (
        "kind = 'files'\nletsencrypt = '/a'\nname = '..'",
        "4:8",
        "name of a folder",
    ),
    ("kind = 'files'\npkcs12 = '/a'", "3:10", "needs `password`"),
    (
        "kind = 'files'\nkey = '/a'\npassword = { file = '/p' }",
        "4:12",
        "needs `pkcs12`",
    ),
];

#[test]
fn mistakes_of_targets_are_reported_at_their_places() {
    let certificate = "[certificates.web]\ndomains = ['example.com']\n";
    for (lines, at, words) in MISTAKES_OF_TARGETS {
        let target = format!("[[certificates.web.deploy]]\n{lines}\n");
        assert_mistake(&format!("{target}{certificate}"), at, words);
    }
    // Files for all certificates need different paths.
    let all = "[[deploy]]\nkind = 'files'\nkey = '/a.pem'\n";
    assert_mistake(all, "3:7", "needs `{id}`");
    assert_mistake("[notify]\ndays = 3\n", "1:", "needs a `command`");
    assert_mistake("key-mode = '604'\n", "1:12", "takes 600, 640");
}

#[test]
fn contacts_may_have_their_scheme_and_stand_in_one_text() {
    let text =
        "[acme]\ncontact = [\"mailto:a@example.com, b@example.com\", \"MAILTO:c@example.com\"]\n";
    let contact = read(text).unwrap().acme.contact;
    assert_eq!(contact, ["a@example.com", "b@example.com", "c@example.com"]);
}

#[test]
fn mistakes_of_a_certificate_concern_no_other() {
    let long = format!("{0}.{0}.{0}.example.com", "x".repeat(63));
    let bad = [
        "domains = []".to_owned(),
        "domain = ['example.com']\ndomains = ['example.com']".to_owned(),
        "domains = ['example.com']\nprovider = 'none'".to_owned(),
        format!(
            "domains = ['{long}']\nchallenge-alias = '{long}.{}.example'",
            "y".repeat(40)
        ),
        format!("domains = ['www.{long}.{}.example']", "y".repeat(50)),
    ];
    let tables = bad.iter().enumerate();
    let tables = tables.map(|(n, lines)| format!("[certificates.bad{n}]\n{lines}\n"));
    let ids = ["Bad", "'bad.6'", &"b".repeat(101), "'../good'", "''"];
    let bad_ids = ids.map(|id| format!("[certificates.{id}]\ndomains = ['example.com']\n"));
    let bad_ids = bad_ids.concat();
    let text =
        tables.collect::<String>() + &bad_ids + "[certificates.good]\ndomains = ['example.org']\n";
    let settings = Settings::read(&tree(&[("site.toml", &text)])).unwrap();
    for (id, certificate) in &settings.certificates {
        let is_good = id.as_str() == "good";
        assert_eq!(certificate.mistakes.is_none(), is_good, "{id}");
    }
    assert_eq!(settings.certificates.len(), bad.len() + ids.len() + 1);
}

#[test]
fn two_targets_that_write_one_file_are_a_mistake() {
    let certificate = |id: &str, target: &str| {
        format!(
            "[certificates.{id}]\ndomains = ['{id}.example.com']\n\
             [[certificates.{id}.deploy]]\nkind = 'files'\n{target}\n"
        )
    };
    let two = |one: &str, other: &str| certificate("a", one) + &certificate("b", other);
    for (one, other) in [
        ("key = '/k'", "fullchain = '/k'"),
        (
            "letsencrypt = '/l'\nname = 'x'",
            "letsencrypt = '/l'\nname = 'x'",
        ),
    ] {
        let at = format!("{}:1", 5 + one.lines().count());
        assert_mistake(&two(one, other), &at, "and so does the certificate `a`");
    }
    let apart = two(
        "letsencrypt = '/l'\nkey = '/k-a'",
        "letsencrypt = '/l'\nkey = '/k-b'",
    );
    assert!(read(&apart).is_ok());
    // Those for all, with a path in which `{id}` is no whole name.
    let shared = "[[deploy]]\nkind = 'files'\nkey = '/{id}'\n";
    let taken = "[certificates.c]\ndomains = ['c.example.com']\n".to_owned();
    let error = read(&(shared.to_owned() + &certificate("a", "key = '/c'") + &taken));
    assert!(error.unwrap_err().to_string().contains("/c"));
}

#[test]
fn nobody_can_choose_an_id_to_replace_the_key_of_others() {
    let shared = |one: &str, other: &str| {
        read(&format!(
            "[[deploy]]\nkind = 'files'\nfullchain = '{one}'\n\
             [[deploy]]\nkind = 'files'\nkey = '{other}'\n"
        ))
    };
    for (one, other) in [
        ("/x/{id}.pem", "/x/key-{id}.pem"),
        ("/x/{id}-key.pem", "/x/{id}.pem"),
        ("/x/a-{id}", "/x/{id}-b"),
        ("/x/{id}/a", "/x/y/{id}"),
        ("/x/{id}/a.pem", "/x/key-{id}/a.pem"),
    ] {
        let error = shared(one, other).unwrap_err().to_string();
        assert!(error.contains("of another certificate"), "{one}: {error}");
    }
    for (one, other) in [
        ("/x/{id}.pem", "/x/{id}.key"),
        ("/x/{id}.pem", "/x/{id}.key.pem"),
        ("/x/{id}.pem", "/x/key.{id}.pem"),
        ("/x/{id}.pem", "/y/key-{id}.pem"),
        ("/x/{id}/a", "/x/{id}/b"),
        ("/x/{id}", "/x/y/{id}"),
        ("/x/{id}/{id}.pem", "/x/{id}/{id}-key.pem"),
    ] {
        assert!(shared(one, other).is_ok(), "{one}");
    }
}

#[test]
fn a_hook_is_the_last_target_of_its_certificate() {
    let settings = read(
        "[[deploy]]\nkind = 'command'\ncommand = 'all'\n\
         [certificates.web]\ndomains = ['example.com']\ndeploy-hook = 'hook'\n\
         deploy = [{ kind = 'command', command = ['one', 'two'], timeout = '9s', each = true }]\n\
         [certificates.none]\ndomains = ['example.org']\ndeploy = []\n\
         [certificates.usual]\ndomains = ['example.net']\n",
    );
    let settings = settings.unwrap();
    let command =
        |words: &[&str]| CommandTarget::new(words.iter().map(|word| (*word).to_owned()).collect());
    let own = CommandTarget {
        timeout: Duration::from_secs(9),
        each: true,
        ..command(&["one", "two"])
    };
    let targets = |id: &str| settings.certificates[&id.parse().unwrap()].deploy.clone();
    let [own, hook, all] =
        [own, command(&["hook"]), command(&["all"])].map(TargetSettings::Command);
    assert_eq!(targets("web"), Some(vec![own, hook]));
    assert_eq!(targets("none"), Some(Vec::new()));
    assert_eq!(targets("usual"), None);
    assert_eq!(settings.deploy, [all]);
}

#[test]
fn all_mistakes_are_told_at_once_with_a_caret_each() {
    let error = read("[acme]\ncontatc = []\ndirectory = \"x\"\n[dsn]\n").unwrap_err();
    let text = plain(&error);
    assert_eq!(text.matches("╰── here").count(), 3, "{text}");
    for place in ["site.toml:2:1", "site.toml:3:13", "site.toml:4:"] {
        assert!(text.contains(place), "{text}");
    }
}

#[test]
fn what_is_no_toml_is_shown_where_it_breaks() {
    let error =
        SettingsError::from(Layer::parse("site.toml", "[acme]\ncontact = [\n").unwrap_err());
    assert!(error.to_string().starts_with("site.toml:"), "{error}");
    assert!(plain(&error).contains("TOML"), "{}", plain(&error));
}

#[test]
fn servers_that_do_not_answer_are_waited_for_on_request_only() {
    let propagation = |text| read(text).unwrap().dns.propagation;
    assert_eq!(propagation(""), Propagation::default());
    let all = propagation(
        "[dns]\npropagation = \"all\"\npropagation-extra-wait = \"30s\"\npropagation-resolvers = \"192.0.2.1\"\n",
    );
    assert_eq!(all.wait_for, WaitFor::All);
    assert_eq!(all.extra_wait, Duration::from_secs(30));
    assert_eq!(all.resolvers, ["192.0.2.1:53".parse().unwrap()]);
}

#[test]
fn a_zone_is_configured_once() {
    let zone = "[[dns.zones]]\nzone = \"example.com\"\nservers = [\"192.0.2.1\"]\n";
    assert!(mistake(&zone.repeat(2)).contains("example.com a second time"));
}

#[cfg(feature = "rfc2136")]
mod with_a_provider {
    use super::*;

    const PROVIDER: &str = "[providers.bind]\nkind = \"rfc2136\"\nserver = \"192.0.2.1\"\n\
                            tsig-key = \"acme-key\"\n";

    #[test]
    fn options_are_checked_against_what_the_provider_declares() {
        let secret = "tsig-secret = { file = \"/x\" }\n";
        assert!(read(&format!("{PROVIDER}{secret}")).is_ok());
        assert!(
            mistake(&format!("{PROVIDER}{secret}sevrer = \"x\"\n"))
                .contains("did you mean `server`")
        );
        assert!(mistake(PROVIDER).contains("`providers.bind.tsig-secret` is missing"));
        let odd = format!("{PROVIDER}tsig-secret = {{ fiel = \"/x\" }}\n");
        assert!(mistake(&odd).contains("did you mean `file`"));
        let both = format!("{PROVIDER}tsig-secret = {{ file = \"/x\", env = \"X\" }}\n");
        assert!(mistake(&both).contains("takes one of"));
    }

    #[test]
    fn an_alias_zone_names_a_provider_that_there_is_and_stands_once() {
        let provider = format!("{PROVIDER}tsig-secret = {{ env = \"X\" }}\n");
        let zone = |provider| {
            format!("[[alias-zones]]\nzone = \"auth.example.net\"\nprovider = \"{provider}\"\n")
        };
        assert!(mistake(&format!("{provider}{}", zone("bnid"))).contains("did you mean `bind`"));
        let twice = format!("{provider}{}{}", zone("bind"), zone("bind"));
        assert!(mistake(&twice).contains("auth.example.net a second time"));
    }

    #[test]
    fn a_secret_in_the_settings_is_warned_of_and_shown_nowhere() {
        let text = format!("{PROVIDER}tsig-secret = \"canary\"\n");
        let tree = tree(&[("site.toml", &text)]);
        let settings = Settings::read(&tree).unwrap();
        assert!(settings.warnings[0].contains("providers.bind.tsig-secret"));
        let shown = show(&tree);
        let secret = shown
            .iter()
            .find(|shown| shown.key == "providers.bind.tsig-secret")
            .unwrap();
        assert_eq!(secret.value, "[hidden]");
        let broken = read(&format!("{text}oops = 1\n")).unwrap_err();
        for text in [
            format!("{settings:?}"),
            format!("{shown:?}"),
            format!("{:?}", settings.warnings),
            plain(&broken),
            format!("{broken} {broken:?}"),
        ] {
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_wrong_secret_names_its_setting_and_not_itself() {
        let text = format!("{PROVIDER}tsig-secret = \"canary!\"\n");
        let settings = read(&text).unwrap();
        let providers = Providers::default();
        let provider = providers.get(&settings, "bind").unwrap();
        let error = provider.open().await.unwrap_err().to_string();
        let expected = "`providers.bind.tsig-secret` is not base64";
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("canary"));
    }
}

proptest! {
    #[test]
    fn the_highest_layer_that_has_a_key_wins_and_is_named(
        values in proptest::collection::vec(proptest::option::of("[a-z]{1,8}@example\\.com"), 1..6)
    ) {
        let texts: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let name = format!("layer {index}");
                let text = value.as_ref().map(|value| format!("[acme]\ncontact = [\"{value}\"]\n"));
                (name, text.unwrap_or_default())
            })
            .collect();
        let layers: Vec<_> =
            texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let tree = tree(&layers);
        let contact = Settings::read(&tree).unwrap().acme.contact;
        let highest = values.iter().enumerate().rev().find_map(|(index, value)| {
            value.as_ref().map(|value| (index, value.clone()))
        });
        let shown = show(&tree).into_iter().find(|shown| shown.key == "acme.contact");
        match highest {
            Some((index, value)) => {
                prop_assert_eq!(contact, [value]);
                prop_assert_eq!(shown.unwrap().source, format!("layer {index}"));
            }
            None => {
                prop_assert!(contact.is_empty());
                prop_assert!(shown.is_none());
            }
        }
    }

    #[test]
    fn any_text_is_settings_or_an_error(text in "\\PC{0,200}") {
        if let Ok(layer) = Layer::parse("any", &text)
            && let Ok(tree) = Tree::new(vec![layer]) {
                let _ = Settings::read(&tree);
                let _ = show(&tree);
            }
    }
}
