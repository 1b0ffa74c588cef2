//! TSIG keys (RFC 8945).

use std::fmt;
use std::str::FromStr;

use acme_alias_core::provider::OptionError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm as WireAlgorithm;
use hickory_proto::rr::{Name, TSigner};
use secrecy::{ExposeSecret, SecretString};

use crate::key_text::{Found, KeyText, same};

/// How far our clock and the server's may be apart, in seconds (RFC 8945 §10).
pub(crate) const FUDGE: u16 = 300;

/// The algorithm of a TSIG key (RFC 8945 §6). MD5, SHA-1 and SHA-224 are too weak and not supported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // they are the names in the RFC
pub enum TsigAlgorithm {
    #[default]
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// A word that names no supported algorithm.
enum Unsupported {
    /// An algorithm that is too weak.
    Weak(&'static str),
    /// Anything else.
    Unknown,
}

impl TsigAlgorithm {
    fn from_word(word: &str) -> Result<Self, Unsupported> {
        match word.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Ok(TsigAlgorithm::HmacSha256),
            "hmac-sha384" => Ok(TsigAlgorithm::HmacSha384),
            "hmac-sha512" => Ok(TsigAlgorithm::HmacSha512),
            "hmac-md5" | "hmac-md5.sig-alg.reg.int" => Err(Unsupported::Weak("hmac-md5")),
            "hmac-sha1" => Err(Unsupported::Weak("hmac-sha1")),
            "hmac-sha224" => Err(Unsupported::Weak("hmac-sha224")),
            _ => Err(Unsupported::Unknown),
        }
    }

    fn on_the_wire(self) -> WireAlgorithm {
        match self {
            TsigAlgorithm::HmacSha256 => WireAlgorithm::HmacSha256,
            TsigAlgorithm::HmacSha384 => WireAlgorithm::HmacSha384,
            TsigAlgorithm::HmacSha512 => WireAlgorithm::HmacSha512,
        }
    }
}

impl fmt::Display for TsigAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            TsigAlgorithm::HmacSha256 => "hmac-sha256",
            TsigAlgorithm::HmacSha384 => "hmac-sha384",
            TsigAlgorithm::HmacSha512 => "hmac-sha512",
        })
    }
}

impl FromStr for TsigAlgorithm {
    type Err = OptionError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        TsigAlgorithm::from_word(word).map_err(|unsupported| {
            let problem = match unsupported {
                Unsupported::Weak(name) => too_weak(name),
                Unsupported::Unknown => format!(
                    "must be hmac-sha256, hmac-sha384 or hmac-sha512, not `{}`",
                    word.escape_debug()
                ),
            };
            OptionError::new("tsig-algorithm", problem)
        })
    }
}

fn too_weak(name: &str) -> String {
    format!(
        "is {name}, which is too weak (RFC 8945 §6); make a new key with `tsig-keygen -a hmac-sha256`"
    )
}

/// A TSIG key: a name, an algorithm and a secret that client and server share.
///
/// `Debug` shows the name and the algorithm only. Errors name the option of the same meaning
/// (`tsig-key`, `tsig-algorithm`, `tsig-secret`) and never quote the secret.
///
/// ```
/// use acme_alias_rfc2136::{TsigAlgorithm, TsigKey};
///
/// let secret = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";
/// let key = TsigKey::new("acme-key", TsigAlgorithm::HmacSha256, secret)?;
///
/// let file = format!("key \"acme-key\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};");
/// assert_eq!(TsigKey::from_text(file)?.name(), key.name());
/// # Ok::<(), acme_alias_core::provider::OptionError>(())
/// ```
#[derive(Clone)]
pub struct TsigKey {
    name: String,
    algorithm: TsigAlgorithm,
    signer: TSigner,
    /// What the text is that it was read from.
    found: Found,
}

impl TsigKey {
    /// A key of this name, algorithm and secret, which is in base64.
    pub fn new(
        name: &str,
        algorithm: TsigAlgorithm,
        secret: impl Into<SecretString>,
    ) -> Result<Self, OptionError> {
        TsigKey::from_parts(name, algorithm, &secret.into())
    }

    /// The key in a text in which a server or its tools keep it: a file of BIND, Knot or NSD, what PowerDNS prints, or
    /// `algorithm:name:secret`.
    pub fn from_text(text: impl Into<SecretString>) -> Result<Self, OptionError> {
        TsigKey::from_text_with(&text.into(), None, None)
    }

    /// The same. `name` and `algorithm` are those of a text that has none; they choose among several keys, and must not
    /// contradict the text.
    pub(crate) fn from_text_with(
        text: &SecretString,
        name: Option<&str>,
        algorithm: Option<TsigAlgorithm>,
    ) -> Result<Self, OptionError> {
        let invalid = |problem: String| OptionError::new("tsig-secret", problem);
        let key = KeyText::parse(text.expose_secret(), name)
            .map_err(|problem| invalid(format!("cannot be read: {problem}")))?;
        // What the text has is not quoted: if two of its words changed places, it is the secret.
        let own = key.algorithm.as_deref().map(TsigAlgorithm::from_word);
        let own = own.transpose().map_err(|unsupported| {
            invalid(match unsupported {
                Unsupported::Weak(name) => too_weak(name),
                Unsupported::Unknown => "has an unknown algorithm".to_owned(),
            })
        })?;
        if let (Some(given), Some(own)) = (algorithm, own)
            && given != own
        {
            let problem = format!("is {given}, but the key in `tsig-secret` has {own}");
            return Err(OptionError::new("tsig-algorithm", problem));
        }
        let name = match (name, &key.name) {
            (Some(given), Some(own)) if !same(given, own) => {
                let given = given.escape_debug();
                let problem =
                    format!("is `{given}`, but the key in `tsig-secret` has another name");
                return Err(OptionError::new("tsig-key", problem));
            }
            (_, Some(own)) => own,
            (Some(given), None) => given,
            (None, None) => {
                let problem =
                    "is missing: name the key, or let `tsig-secret` have a whole key file";
                return Err(OptionError::new("tsig-key", problem));
            }
        };
        let algorithm = own.or(algorithm).unwrap_or_default();
        let found = key.found;
        let key = TsigKey::from_parts(name, algorithm, &key.secret.into())?;
        Ok(TsigKey { found, ..key })
    }

    fn from_parts(
        name: &str,
        algorithm: TsigAlgorithm,
        secret: &SecretString,
    ) -> Result<Self, OptionError> {
        let secret = BASE64_STANDARD
            .decode(secret.expose_secret().trim())
            .ok()
            .filter(|secret| !secret.is_empty());
        let Some(secret) = secret else {
            return Err(OptionError::new("tsig-secret", "is not base64"));
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let on_the_wire = Name::from_ascii(&name).map_err(|_| {
            OptionError::new(
                "tsig-key",
                "is not a valid key name: it must be a domain name",
            )
        })?;
        let signer = TSigner::new(secret, algorithm.on_the_wire(), on_the_wire, FUDGE)
            .map_err(|error| OptionError::new("tsig-algorithm", format!("is unusable: {error}")))?;
        Ok(TsigKey {
            name,
            algorithm,
            signer,
            found: Found::default(),
        })
    }

    /// The key's name in lower case, without a final dot.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> TsigAlgorithm {
        self.algorithm
    }

    /// What was found where the key is kept, in words and without the secret.
    pub(crate) fn description(&self) -> String {
        let TsigKey {
            found,
            name,
            algorithm,
            ..
        } = self;
        format!("TSIG key file: {found}; `{name}` ({algorithm})")
    }

    pub(crate) fn signer(&self) -> &TSigner {
        &self.signer
    }
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TsigKey")
            .field("name", &self.name)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";

    fn file(secret: &str) -> String {
        format!("key \"acme-key\" {{\n\talgorithm hmac-sha384;\n\tsecret \"{secret}\";\n}};\n")
    }

    #[test]
    fn names_have_no_case_and_no_final_dot() {
        let key = TsigKey::new("ACME-key.", TsigAlgorithm::HmacSha256, SECRET).unwrap();
        assert_eq!(key.name(), "acme-key");
        let error = TsigKey::new("a..b", TsigAlgorithm::HmacSha256, SECRET).unwrap_err();
        assert_eq!(error.option, "tsig-key");
    }

    #[test]
    fn a_key_file_has_its_own_name_and_algorithm() {
        let key = TsigKey::from_text(file(SECRET)).unwrap();
        assert_eq!(key.name(), "acme-key");
        assert_eq!(key.algorithm(), TsigAlgorithm::HmacSha384);
    }

    #[test]
    fn weak_and_unknown_algorithms_are_refused_with_the_reason() {
        let weak = "HMAC-MD5".parse::<TsigAlgorithm>().unwrap_err();
        assert!(weak.problem.contains("too weak"), "{weak}");
        let unknown = "sha256".parse::<TsigAlgorithm>().unwrap_err();
        assert!(unknown.problem.contains("hmac-sha512"), "{unknown}");
        let in_file = file(SECRET).replace("sha384", "sha1");
        let error = TsigKey::from_text(in_file).unwrap_err();
        assert_eq!(error.option, "tsig-secret");
        assert!(error.problem.contains("too weak"), "{error}");
    }

    #[test]
    fn errors_never_quote_a_damaged_key_file() {
        let whole = file(SECRET);
        for end in 0..whole.trim_end().len() - 2 {
            if let Err(error) = TsigKey::from_text(&whole[..end]) {
                assert!(!error.to_string().contains(&SECRET[..8]), "{error}");
            }
        }
        let swapped = whole.replace("hmac-sha384", SECRET);
        let error = TsigKey::from_text(swapped).unwrap_err();
        assert!(!error.to_string().contains(&SECRET[..8]), "{error}");
        for (text, problem) in [
            (whole.repeat(2), "several keys"),
            (file("not base64!"), "base64"),
        ] {
            let error = TsigKey::from_text(text).unwrap_err();
            assert!(error.problem.contains(problem), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", TsigKey::from_text(file(SECRET)).unwrap());
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
            let _ = TsigKey::from_text(text);
        }
    }
}
