//! Why a text is not a name.

/// A text that is not a usable name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a usable domain name: {reason}", .name.escape_debug())]
pub struct NameError {
    /// The text.
    pub name: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// An IP address. DNS-01 cannot validate addresses.
    #[error("it is an IP address, and DNS-01 cannot validate one")]
    IpAddress,
    /// Two dots in a row, or a dot at the start.
    #[error("it has an empty label (two dots in a row, or a dot at the start)")]
    EmptyLabel,
    /// A label of more than 63 octets (RFC 1035 §2.3.4).
    #[error("the label `{0}` is {len} octets long, more than 63", len = .0.len())]
    LabelTooLong(String),
    /// A name of more than 253 octets with A-labels (RFC 1035 §2.3.4).
    #[error("it is {0} octets long with its labels in ASCII form, more than 253")]
    TooLong(usize),
    /// A character that is not allowed.
    #[error("the character `{}` is not allowed", .0.escape_debug())]
    Character(char),
    /// A label with a hyphen at its start or end.
    #[error("the label `{0}` begins or ends with a hyphen")]
    Hyphen(String),
    /// An internationalised name that cannot be converted to A-labels (UTS #46).
    #[error("it is not a valid internationalised name (IDNA, UTS #46)")]
    Idna,
    /// A `*` elsewhere than in front of the name.
    #[error("`*.` is allowed once only, in front of the name")]
    Wildcard,
    /// An underscore in a name for a certificate.
    #[error("a name in a certificate cannot contain an underscore")]
    Underscore,
    /// A name for a certificate that is a top-level domain.
    #[error("a name in a certificate needs at least two labels")]
    SingleLabel,
}
