//! The TSIG key (RFC 8945): from base64, or from a BIND key file.

use std::fmt;

use acme_alias_core::provider::OptionError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, TSigner};
use secrecy::{ExposeSecret, SecretString};

/// How far our clock and the server's may be apart, in seconds (RFC 8945 §10).
pub(crate) const FUDGE: u16 = 300;

/// A key that messages are signed with. `Debug` shows its name and algorithm only.
#[derive(Clone)]
pub(crate) struct Key {
    signer: TSigner,
}

impl Key {
    /// Reads `secret`, which is base64 or a whole BIND key file; a key file knows its name and
    /// algorithm, and must not contradict the options.
    pub(crate) fn read(
        secret: &SecretString,
        name: Option<&str>,
        algorithm: Option<&str>,
    ) -> Result<Self, OptionError> {
        let text = secret.expose_secret().trim();
        let given = algorithm.map(|word| {
            known_algorithm(word).map_err(|weak| {
                let unknown = || {
                    format!(
                        "asks for the algorithm `{}`; there are hmac-sha256, hmac-sha384 and \
                         hmac-sha512",
                        word.escape_debug()
                    )
                };
                OptionError::new("tsig-algorithm", weak.unwrap_or_else(unknown))
            })
        });
        let given = given.transpose()?;
        if !text.contains('{') {
            let Some(name) = name else {
                return Err(OptionError::new(
                    "tsig-key",
                    "is missing: name the key, or give a whole BIND key file as `tsig-secret`",
                ));
            };
            return Key::new(text, name, given.unwrap_or(TsigAlgorithm::HmacSha256));
        }
        let file = KeyFile::parse(text).map_err(|problem| {
            OptionError::new("tsig-secret", format!("is no key file: {problem}"))
        })?;
        // Nothing of the file is quoted: where two of its words changed places, one is the secret.
        if let Some(name) = name.filter(|name| !same_name(name, &file.name)) {
            let problem = format!("is `{name}`, but the key file holds a key of another name");
            return Err(OptionError::new("tsig-key", problem));
        }
        let algorithm = known_algorithm(&file.algorithm).map_err(|weak| {
            let problem = weak.unwrap_or("asks for an algorithm that is not known".to_owned());
            OptionError::new("tsig-secret", problem)
        })?;
        if let Some(given) = given.filter(|given| *given != algorithm) {
            let problem = format!("is {given}, but the key file says {algorithm}");
            return Err(OptionError::new("tsig-algorithm", problem));
        }
        Key::new(&file.secret, &file.name, algorithm)
    }

    fn new(secret: &str, name: &str, algorithm: TsigAlgorithm) -> Result<Self, OptionError> {
        let secret = BASE64_STANDARD
            .decode(secret)
            .ok()
            .filter(|secret| !secret.is_empty());
        let Some(secret) = secret else {
            return Err(OptionError::new("tsig-secret", "is not base64"));
        };
        let name = Name::from_ascii(name.trim_end_matches('.').to_ascii_lowercase())
            .map_err(|_| OptionError::new("tsig-key", "is no key name: those are domain names"))?;
        let signer = TSigner::new(secret, algorithm, name, FUDGE).map_err(|error| {
            OptionError::new("tsig-algorithm", format!("cannot be used: {error}"))
        })?;
        Ok(Key { signer })
    }

    pub(crate) fn signer(&self) -> &TSigner {
        &self.signer
    }

    /// The key's name without its final dot.
    pub(crate) fn name(&self) -> String {
        self.signer
            .signer_name()
            .to_ascii()
            .trim_end_matches('.')
            .to_owned()
    }

    pub(crate) fn algorithm(&self) -> &TsigAlgorithm {
        self.signer.algorithm()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name())
            .field("algorithm", &self.algorithm().to_string())
            .finish_non_exhaustive()
    }
}

/// The algorithm of this name; the error says why a weak one is not taken, and nothing of an unknown
/// one.
fn known_algorithm(word: &str) -> Result<TsigAlgorithm, Option<String>> {
    match word.trim_end_matches('.').to_ascii_lowercase().as_str() {
        "hmac-sha256" => Ok(TsigAlgorithm::HmacSha256),
        "hmac-sha384" => Ok(TsigAlgorithm::HmacSha384),
        "hmac-sha512" => Ok(TsigAlgorithm::HmacSha512),
        weak @ ("hmac-md5" | "hmac-md5.sig-alg.reg.int" | "hmac-sha1" | "hmac-sha224") => {
            Err(Some(format!(
                "asks for {weak}, which is too weak (RFC 8945 §6); make a new key with \
                 `tsig-keygen -a hmac-sha256`"
            )))
        }
        _ => Err(None),
    }
}

fn same_name(one: &str, other: &str) -> bool {
    one.trim_end_matches('.')
        .eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// The one `key` statement of a BIND key file.
struct KeyFile {
    name: String,
    algorithm: String,
    secret: String,
}

impl KeyFile {
    /// `key "name" { algorithm word; secret "base64"; };` with comments wherever BIND allows
    /// them. Problems are told without quoting the file, which is a secret.
    fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text)?.into_iter();
        let mut expect = |wanted: &str| match tokens.next() {
            Some(token) if token == wanted => Ok(()),
            _ => Err(format!("`{wanted}` is missing where it should stand")),
        };
        expect("key")?;
        let name = tokens.next().ok_or("the key's name is missing")?;
        if tokens.next().as_deref() != Some("{") {
            return Err("`{` is missing after the key's name".to_owned());
        }
        let (mut algorithm, mut secret) = (None, None);
        loop {
            let word = tokens.next().ok_or("the closing `}` is missing")?;
            let field = match word.as_str() {
                "}" => break,
                "algorithm" => &mut algorithm,
                "secret" => &mut secret,
                _ => return Err("only `algorithm` and `secret` may stand in a key".to_owned()),
            };
            *field = tokens.next();
            if tokens.next().as_deref() != Some(";") {
                return Err(format!("`;` is missing after `{word}`"));
            }
        }
        if tokens.any(|token| token != ";") {
            return Err("there is more than one statement in it".to_owned());
        }
        Ok(KeyFile {
            name,
            algorithm: algorithm.ok_or("`algorithm` is missing")?,
            secret: secret.ok_or("`secret` is missing")?,
        })
    }
}

/// Words, quoted strings without their quotes, and the three signs; comments are left out.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";

    fn file(secret: &str) -> String {
        format!("key \"acme-key\" {{\n\talgorithm hmac-sha384;\n\tsecret \"{secret}\";\n}};\n")
    }

    fn read(secret: &str, name: Option<&str>, algorithm: Option<&str>) -> Result<Key, OptionError> {
        Key::read(&secret.to_owned().into(), name, algorithm)
    }

    #[test]
    fn base64_needs_a_name_and_is_hmac_sha256_by_default() {
        let key = read(&format!("{SECRET}\n"), Some("acme-key."), None).unwrap();
        assert_eq!(key.name(), "acme-key");
        assert_eq!(*key.algorithm(), TsigAlgorithm::HmacSha256);
        assert_eq!(read(SECRET, None, None).unwrap_err().option, "tsig-key");
    }

    #[test]
    fn a_key_file_knows_its_name_and_algorithm() {
        let commented = format!("# one\n// two\n/* three\n */ {}", file(SECRET));
        for text in [file(SECRET), commented] {
            let key = read(&text, None, None).unwrap();
            assert_eq!(key.name(), "acme-key");
            assert_eq!(*key.algorithm(), TsigAlgorithm::HmacSha384);
        }
        assert!(read(&file(SECRET), Some("ACME-key."), Some("HMAC-SHA384")).is_ok());
    }

    #[test]
    fn options_that_contradict_the_key_file_are_refused() {
        assert_eq!(
            read(&file(SECRET), Some("other"), None).unwrap_err().option,
            "tsig-key"
        );
        let error = read(&file(SECRET), None, Some("hmac-sha256")).unwrap_err();
        assert_eq!(error.option, "tsig-algorithm");
        assert!(error.problem.contains("hmac-sha384"));
    }

    #[test]
    fn weak_and_unknown_algorithms_are_refused_with_the_reason() {
        let error = read(SECRET, Some("k"), Some("hmac-md5")).unwrap_err();
        assert!(error.problem.contains("too weak"), "{error}");
        let error = read(SECRET, Some("k"), Some("sha256")).unwrap_err();
        assert!(error.problem.contains("hmac-sha512"), "{error}");
    }

    #[test]
    fn a_damaged_key_file_is_refused_without_quoting_it() {
        let whole = file(SECRET);
        for end in 0..whole.trim_end().len() - 2 {
            if let Err(error) = read(&whole[..end], Some("acme-key"), Some("hmac-sha384")) {
                assert!(!error.to_string().contains(&SECRET[..8]), "{error}");
            }
        }
        assert!(
            read(&whole.repeat(2), None, None)
                .unwrap_err()
                .problem
                .contains("more than one")
        );
        assert!(
            read(&file("not base64!"), None, None)
                .unwrap_err()
                .problem
                .contains("base64")
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", read(&file(SECRET), None, None).unwrap());
        assert!(shown.contains("acme-key"));
        assert!(
            !shown.contains("1234567890") && !shown.contains(SECRET),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_an_error(text in "\\PC{0,200}", brace in any::<bool>()) {
            let text = if brace { format!("key {text} {{{text}}};") } else { text };
            let _ = read(&text, Some("k"), None);
        }
    }
}
