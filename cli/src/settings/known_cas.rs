//! CAs that are known by a word.

/// The words and the directory URLs.
pub(crate) const DIRECTORIES: &[(&str, &str)] = &[
    (
        "letsencrypt",
        "https://acme-v02.api.letsencrypt.org/directory",
    ),
    (
        "letsencrypt-staging",
        "https://acme-staging-v02.api.letsencrypt.org/directory",
    ),
    ("zerossl", "https://acme.zerossl.com/v2/DV90"),
    ("google", "https://dv.acme-v02.api.pki.goog/directory"),
];

/// The word by which the CA with this directory URL is known.
pub(crate) fn known_ca(directory: &str) -> Option<&'static str> {
    let mut known = DIRECTORIES.iter();
    let (word, _) = known.find(|(_, url)| *url == directory)?;
    Some(word)
}
