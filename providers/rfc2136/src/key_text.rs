//! TSIG keys as people have them: as BIND, Knot, NSD and PowerDNS print and keep them, and on one line.

use std::fmt;

/// Whose form a text with keys has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    Bind,
    Knot,
    Nsd,
    PowerDns,
    OneLine,
    /// The secret alone, in base64.
    #[default]
    Secret,
}

/// What a text with keys is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) form: Form,
    /// The keys in it.
    pub(crate) keys: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Bind => "BIND",
            Form::Knot => "Knot",
            Form::Nsd => "NSD",
            Form::PowerDns => "PowerDNS",
            Form::OneLine => "algorithm:name:secret",
            Form::Secret => return f.write_str("the secret alone"),
        };
        let plural = if self.keys == 1 { "" } else { "s" };
        write!(f, "{form}, {} key{plural}", self.keys)
    }
}

/// A key in a text. What the text does not have is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyText {
    /// What the text is that it was read from.
    pub(crate) found: Found,
    pub(crate) name: Option<String>,
    pub(crate) algorithm: Option<String>,
    pub(crate) secret: String,
}

impl KeyText {
    /// Reads the key of this name, or the only one. These are read:
    ///
    /// - statements of BIND (`tsig-keygen`, `ddns-confgen`, a part of `named.conf`); others than `key` are skipped,
    /// - the sections `key` of Knot (`keymgr -t`) and NSD,
    /// - `algorithm:name:secret` and `name:secret`, as `dig -y` takes them,
    /// - what `pdnsutil generate-tsig-key` and `pdnsutil list-tsig-keys` print,
    /// - the secret alone.
    ///
    /// Errors never quote the text, because it is a secret.
    pub(crate) fn parse(text: &str, name: Option<&str>) -> Result<Self, String> {
        let text = unquoted(text.trim_start_matches('\u{feff}').trim());
        let is_section = |line: &str| {
            let line = line.trim_start_matches(['-', ' ', '\t']);
            starts_with(line, "key:") && line[4..].trim().is_empty()
        };
        let (form, keys) = if text.contains('{') {
            (Form::Bind, statements(text)?)
        } else if text.lines().any(is_section) {
            sections(text)
        } else {
            lines(text)
        };
        let found = Found {
            form,
            keys: keys.len(),
        };
        let key = chosen(keys, name)?;
        Ok(KeyText { found, ..key })
    }
}

/// The key of this name; without one, or if there is only one key, that one.
fn chosen(mut keys: Vec<KeyText>, name: Option<&str>) -> Result<KeyText, String> {
    if keys.len() > 1 {
        let Some(name) = name else {
            return Err("it has several keys: name one by `tsig-key`".to_owned());
        };
        keys.retain(|key| key.name.as_deref().is_some_and(|known| same(known, name)));
        if keys.is_empty() {
            return Err("none of its keys has the name in `tsig-key`".to_owned());
        }
    }
    let key = keys.into_iter().next().ok_or("it has no key")?;
    if key.secret.is_empty() {
        return Err("`secret` is missing".to_owned());
    }
    Ok(key)
}

/// Whether two names of keys are equal: case and the final dot do not count.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    plain(one) == plain(other)
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// The text without quotes around all of it.
fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let inner = inner('"').or_else(|| inner('\''));
    inner.map_or(text, str::trim)
}

/// The `key` statements: `key "name" { algorithm word; secret "base64"; };`.
fn statements(text: &str) -> Result<Vec<KeyText>, String> {
    let mut tokens = tokens(text)?.into_iter().peekable();
    let mut keys = Vec::new();
    while let Some(token) = tokens.next() {
        if token.eq_ignore_ascii_case("key") {
            keys.push(statement(&mut tokens)?);
            continue;
        }
        // Another statement: up to the semicolon behind its blocks.
        let mut token = Some(token);
        let mut depth = 0_usize;
        while let Some(word) = token {
            match word.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => break,
                _ => {}
            }
            token = tokens.next();
        }
    }
    if keys.is_empty() {
        return Err("it has no `key` statement".to_owned());
    }
    Ok(keys)
}

fn statement(tokens: &mut impl Iterator<Item = String>) -> Result<KeyText, String> {
    let name = tokens.next().ok_or("the key's name is missing")?;
    if tokens.next().as_deref() != Some("{") {
        return Err("`{` is missing after the key's name".to_owned());
    }
    let (mut algorithm, mut secret) = (None, None);
    loop {
        let word = tokens.next().ok_or("the closing `}` is missing")?;
        let (field, word) = match word.to_ascii_lowercase().as_str() {
            "}" => break,
            "algorithm" => (&mut algorithm, "algorithm"),
            "secret" => (&mut secret, "secret"),
            _ => return Err("a key has only `algorithm` and `secret`".to_owned()),
        };
        *field = tokens.next();
        if tokens.next().as_deref() != Some(";") {
            return Err(format!("`;` is missing after `{word}`"));
        }
    }
    Ok(KeyText {
        found: Found::default(),
        name: Some(name),
        algorithm: Some(algorithm.ok_or("`algorithm` is missing")?),
        secret: secret.ok_or("`secret` is missing")?,
    })
}

/// The words, the quoted strings without their quotes, and `{`, `}` and `;`. Comments are skipped.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '#' => (None, rest.split_once('\n').map_or("", |(_, after)| after)),
            '/' if rest.starts_with("//") => {
                (None, rest.split_once('\n').map_or("", |(_, after)| after))
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.split_once("*/").ok_or("a comment does not end")?;
                (None, end.1)
            }
            '{' | '}' | ';' => (Some(first.to_string()), &rest[1..]),
            '"' => {
                let (inner, after) = rest[1..]
                    .split_once('"')
                    .ok_or("a quoted string does not end")?;
                (Some(inner.to_owned()), after)
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"'))
                    .unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
        };
        tokens.extend(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// The keys in the sections `key` of Knot, where each begins with `- id`, and of NSD, where each has a section.
fn sections(text: &str) -> (Form, Vec<KeyText>) {
    // Knot names its keys by `id`, and NSD by `name`.
    let mut form = Form::Nsd;
    let mut keys: Vec<KeyText> = Vec::new();
    let mut is_key = false;
    for line in text.lines() {
        let line = line.split_once(" #").map_or(line, |(line, _)| line).trim();
        let is_item = line.starts_with('-');
        let line = line.trim_start_matches(['-', ' ', '\t']);
        let Some((field, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value = unquoted(value.trim());
        if value.is_empty() {
            is_key = field.eq_ignore_ascii_case("key");
            if is_key {
                keys.push(KeyText::default());
            }
            continue;
        }
        if !is_key {
            continue;
        }
        if is_item && keys.last().is_some_and(|key| *key != KeyText::default()) {
            keys.push(KeyText::default());
        }
        let Some(key) = keys.last_mut() else { continue };
        match field.to_ascii_lowercase().as_str() {
            "id" => {
                form = Form::Knot;
                key.name = Some(value.to_owned());
            }
            "name" => key.name = Some(value.to_owned()),
            "algorithm" => key.algorithm = Some(value.to_owned()),
            "secret" => value.clone_into(&mut key.secret),
            _ => {}
        }
    }
    keys.retain(|key| *key != KeyText::default());
    (form, keys)
}

/// The keys of a text with a key on each line; or else all of it is one secret.
fn lines(text: &str) -> (Form, Vec<KeyText>) {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Option<Vec<_>> = lines.map(line).collect();
    match keys {
        Some(keys) => {
            let is_one_word = text.lines().all(|line| line.split_whitespace().count() < 2);
            let form = if is_one_word {
                Form::OneLine
            } else {
                Form::PowerDns
            };
            (form, keys)
        }
        None => {
            // A secret may be wrapped.
            let secret = text.split_whitespace().collect();
            let key = KeyText {
                secret,
                ..KeyText::default()
            };
            (Form::Secret, vec![key])
        }
    }
}

/// A key with its name on one line.
fn line(line: &str) -> Option<KeyText> {
    let words: Vec<_> = line.split_whitespace().collect();
    let parts: Vec<_> = match words.as_slice() {
        [word] => word.split(':').collect(),
        // `pdnsutil` prints words before them when it makes a key.
        [.., name, algorithm, secret] => vec![*algorithm, *name, *secret],
        _ => return None,
    };
    let (algorithm, name, secret) = match parts.as_slice() {
        [name, secret] => (None, *name, *secret),
        [algorithm, name, secret] if starts_with(algorithm, "hmac-") => {
            (Some(*algorithm), *name, *secret)
        }
        _ => return None,
    };
    Some(KeyText {
        found: Found::default(),
        name: Some(name.to_owned()),
        algorithm: algorithm.map(str::to_owned),
        secret: secret.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2VjcmV0IHNlY3JldA==";

    /// Name, algorithm and secret.
    fn read(text: &str, name: Option<&str>) -> (String, String, String) {
        let key = KeyText::parse(text, name).unwrap();
        let text = Option::unwrap_or_default;
        (text(key.name), text(key.algorithm), key.secret)
    }

    fn error(text: &str, name: Option<&str>) -> String {
        KeyText::parse(text, name).unwrap_err()
    }

    #[test]
    fn every_form_in_which_a_key_is_kept_is_read() {
        let confgen = "# To activate this key, place the following in named.conf:\r\n\
            key \"acme-key\" {\r\n\talgorithm hmac-sha256;\r\n\tsecret \"SECRET\";\r\n};\r\n\
            # Then, in the zone statement:\r\nupdate-policy {\r\n\t  grant acme-key zonesub ANY;\r\n};\r\n\
            nsupdate -k <keyfile>\r\n";
        let keymgr = "# hmac-sha256:acme-key:SECRET\nkey:\n  - id: acme-key\n    algorithm: hmac-sha256\n    \
            secret: SECRET\n";
        let nsd = "server:\n\tip-address: 192.0.2.1\nkey:\n\tname: \"acme-key\"\n\talgorithm: hmac-sha256 # strong\n\t\
            secret: \"SECRET\"\nzone:\n\tname: other\n";
        for text in [
            "key acme-key { algorithm hmac-sha256; secret SECRET; };",
            "KEY \"acme-key\" { Algorithm hmac-sha256; Secret \"SECRET\"; };",
            "options { directory \"/x\"; listen-on { any; }; };\nkey acme-key { algorithm hmac-sha256; secret SECRET; };",
            confgen,
            keymgr,
            nsd,
            "hmac-sha256:acme-key:SECRET",
            "'hmac-sha256:acme-key:SECRET'\n",
            "\u{feff}hmac-sha256:acme-key:SECRET\r\n",
            "Create new TSIG key acme-key hmac-sha256 SECRET",
            "acme-key hmac-sha256 SECRET\n",
        ] {
            let text = text.replace("SECRET", SECRET);
            let expected = ("acme-key".into(), "hmac-sha256".into(), SECRET.into());
            assert_eq!(read(&text, None), expected, "{text}");
            assert_eq!(read(&text, Some("ACME-KEY.")), expected, "{text}");
        }
        let named = (String::from("acme-key"), String::new(), SECRET.to_owned());
        assert_eq!(read(&format!("acme-key:{SECRET}"), None), named);
    }

    #[test]
    fn a_secret_alone_may_be_quoted_and_wrapped() {
        for text in [
            SECRET.to_owned(),
            format!("\"{SECRET}\"\r\n"),
            format!("{}\n{}\n", &SECRET[..8], &SECRET[8..]),
            format!("{} {} {}", &SECRET[..4], &SECRET[4..8], &SECRET[8..]),
        ] {
            let expected = (String::new(), String::new(), SECRET.to_owned());
            assert_eq!(read(&text, None), expected, "{text}");
        }
    }

    #[test]
    fn of_several_keys_the_named_one_is_read() {
        let bind = "key a { algorithm hmac-sha256; secret AAAA; };\nkey b { algorithm hmac-sha512; secret BBBB; };";
        let knot = "key:\n  - id: a\n    algorithm: hmac-sha256\n    secret: AAAA\n  - id: b\n    algorithm: \
            hmac-sha512\n    secret: BBBB\n";
        let list = "a. hmac-sha256. AAAA\nb. hmac-sha512. BBBB\n";
        for text in [bind, knot, list] {
            let (name, algorithm, secret) = read(text, Some("b"));
            assert!(
                same(&name, "b") && same(&algorithm, "hmac-sha512"),
                "{text}"
            );
            assert_eq!(secret, "BBBB");
            assert!(error(text, None).contains("several keys"), "{text}");
            assert!(
                error(text, Some("c")).contains("none of its keys"),
                "{text}"
            );
        }
    }

    #[test]
    fn comments_are_skipped() {
        let text = "# one\n// two\n/* three\n */ key a { // four\nalgorithm b; secret \"c\"; };\n";
        assert_eq!(read(text, None), ("a".into(), "b".into(), "c".into()));
    }

    #[test]
    fn each_missing_part_is_named() {
        for (text, problem) in [
            ("", "has no key"),
            ("zone x { type primary; };", "no `key` statement"),
            ("key {", "`{` is missing"),
            ("key a {", "`}` is missing"),
            ("key a { secret \"c\" }", "`;` is missing after `secret`"),
            ("key a { secret \"c\"; }", "`algorithm` is missing"),
            ("key a { algorithm b; }", "`secret` is missing"),
            ("key a { secret \"c", "quoted string does not end"),
            ("key { /* key", "comment does not end"),
            ("key a { other b; }", "only `algorithm` and `secret`"),
            ("key:\n  - id: a\n    algorithm: b\n", "`secret` is missing"),
        ] {
            assert!(error(text, None).contains(problem), "{text}");
        }
    }
}
