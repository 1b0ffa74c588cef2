//! The folders of the system for settings and state, as its users expect them: `hier(7)` of FreeBSD, and the Filesystem
//! Hierarchy Standard 3.0 elsewhere.

/// Below it, `acme-alias/config.toml` has the settings of the system.
pub(crate) const SETTINGS: &str = if cfg!(target_os = "freebsd") {
    "/usr/local/etc"
} else {
    "/etc"
};

/// The state folder of root.
pub(crate) const STATE: &str = if cfg!(target_os = "freebsd") {
    "/var/db/acme-alias"
} else {
    "/var/lib/acme-alias"
};
