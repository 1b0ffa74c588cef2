//! The statuses of orders, authorizations and challenges (RFC 8555 §7.1.6).

use serde::Deserialize;

/// The status of an order.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderStatus {
    /// Not all names are validated.
    #[default]
    Pending,
    /// The CA expects the certification request.
    Ready,
    /// The CA is issuing the certificate.
    Processing,
    /// There is a certificate.
    Valid,
    /// There will be none.
    Invalid,
}

/// The status of an authorization.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthorizationStatus {
    /// A challenge is to be answered.
    #[default]
    Pending,
    /// The CA has validated the name.
    Valid,
    /// The CA could not validate the name.
    Invalid,
    /// The CA has taken it back.
    Revoked,
    /// Its time has passed.
    Expired,
    /// The account has given it up.
    Deactivated,
}

impl AuthorizationStatus {
    /// Why the name will not be validated; `None` if it is, or may be.
    pub(super) fn lost(self) -> Option<&'static str> {
        match self {
            AuthorizationStatus::Pending | AuthorizationStatus::Valid => None,
            AuthorizationStatus::Invalid => Some("its authorization is invalid"),
            AuthorizationStatus::Revoked => Some("its authorization was revoked"),
            AuthorizationStatus::Expired => Some("its authorization has expired"),
            AuthorizationStatus::Deactivated => Some("its authorization was deactivated"),
        }
    }
}

/// The status of a challenge.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChallengeStatus {
    /// It is to be answered.
    #[default]
    Pending,
    /// The CA looks at the answer.
    Processing,
    /// The answer was right.
    Valid,
    /// The answer was wrong.
    Invalid,
}
