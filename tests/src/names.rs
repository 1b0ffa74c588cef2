//! The zones and names of every bed.

/// The alias zone: `update-policy { grant acme-key zonesub TXT; }`.
pub const ALIAS_ZONE: &str = "auth.example.net";
/// The alias name that belongs to [`ALIAS_ZONE`] as a `challenge-alias`.
pub const ALIAS_NAME: &str = "_acme-challenge.auth.example.net";
/// The other alias zone, on the same server under another key.
pub const SECOND_ALIAS_ZONE: &str = "auth2.example.net";
/// One more alias zone, where a test asks for it.
pub const THIRD_ALIAS_ZONE: &str = "auth3.example.net";
/// The zones that certificates are for. Nobody may update them.
pub const MAIN_ZONES: [&str; 5] = [
    "example.com",
    "example.org",
    "example.edu",
    "corp.example",
    "shop.example",
];
