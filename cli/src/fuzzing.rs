//! What hostile settings go through: by the target in `fuzz/`, and with its seeds by a test here.

use crate::settings::{Layer, Settings, SettingsError, Tree, mask_secrets};

/// Whatever is in a settings file is settings, or mistakes that can be shown.
#[expect(
    clippy::missing_panics_doc,
    reason = "it panics where a promise is broken"
)]
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let masked = mask_secrets(text);
    assert_eq!(masked.len(), text.len(), "every place stays where it was");
    let read = Layer::parse("fuzz.toml", text)
        .and_then(|layer| Tree::new(vec![layer]))
        .map_err(SettingsError::from)
        .and_then(|tree| Settings::read(&tree));
    if let Err(error) = read {
        assert!(!error.to_string().is_empty());
        assert!(!error.render().is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every seed, and everything that it begins with.
    #[test]
    fn seeds_of_settings() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/settings");
        let mut count = 0;
        for seed in fs::read_dir(folder).unwrap() {
            let data = fs::read(seed.unwrap().path()).unwrap();
            (0..=data.len()).for_each(|length| settings(&data[..length]));
            count += 1;
        }
        assert!(count >= 3, "there are {count} seeds");
    }
}
