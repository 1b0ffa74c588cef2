//! TSIG keys, made afresh for every bed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;

/// How a key signs (RFC 8945 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// hmac-sha1, which nobody should use any more
    Sha1,
    /// hmac-sha256
    Sha256,
    /// hmac-sha384
    Sha384,
    /// hmac-sha512
    Sha512,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Sha1 => "hmac-sha1",
            Algorithm::Sha256 => "hmac-sha256",
            Algorithm::Sha384 => "hmac-sha384",
            Algorithm::Sha512 => "hmac-sha512",
        })
    }
}

/// A TSIG key of the bed.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name, which both ends must agree on.
    pub name: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Its secret, in base64.
    pub secret: String,
}

impl Key {
    /// A key with a fresh secret.
    pub fn generate(name: &str, algorithm: Algorithm) -> Key {
        let mut secret = [0; 32];
        rand::rng().fill_bytes(&mut secret);
        Key {
            name: name.to_owned(),
            algorithm,
            secret: STANDARD.encode(secret),
        }
    }
}

/// The statement of BIND's configuration, as `tsig-keygen` prints it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "key \"{}\" {{\n\talgorithm {};\n\tsecret \"{}\";\n}};\n",
            self.name, self.algorithm, self.secret
        )
    }
}
