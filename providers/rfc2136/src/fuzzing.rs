//! Feeds hostile key files to the parser: for the target in `fuzz/`, and with its seeds as a test.

use secrecy::SecretString;

use crate::config::tsig_key;

/// Stands for a secret in the seeds.
const SECRET: &str = "VEVMTFRBTEU";

/// Reads `data` as a key file: it is a key, or an error that does not quote the secret.
#[expect(
    clippy::missing_panics_doc,
    reason = "a panic is how a fuzz target fails"
)]
pub fn tsig_key_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let secret = SecretString::from(text);
    for name in [None, Some("acme-key")] {
        match tsig_key(&secret, name, None) {
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

    /// Every seed, and every beginning of it.
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
