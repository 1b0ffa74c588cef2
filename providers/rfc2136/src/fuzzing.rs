//! What a hostile key file goes through: by the target in `fuzz/`, and with its seeds by a test here.

use secrecy::SecretString;

use crate::key::Key;

/// Stands for a secret in the seeds.
const SECRET: &str = "VEVMTFRBTEU";

/// Whatever is in a key file is a key, or a problem that is told without the secret.
#[expect(
    clippy::missing_panics_doc,
    reason = "it panics where a promise is broken"
)]
pub fn tsig_key_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let secret = SecretString::from(text);
    for name in [None, Some("acme-key")] {
        match Key::read(&secret, name, None) {
            Ok(key) => assert!(!format!("{key:?}").contains(SECRET), "{key:?}"),
            Err(error) => assert!(!error.to_string().contains(SECRET), "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every seed, and everything that it begins with.
    #[test]
    fn seeds_of_tsig_key_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/tsig_key_file");
        let mut count = 0;
        for seed in fs::read_dir(folder).unwrap() {
            let data = fs::read(seed.unwrap().path()).unwrap();
            (0..=data.len()).for_each(|length| tsig_key_file(&data[..length]));
            count += 1;
        }
        assert!(count >= 3, "there are {count} seeds");
    }
}
