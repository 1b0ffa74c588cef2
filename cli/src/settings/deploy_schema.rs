//! The settings of deployment and notification.

use super::key::{Key, Shape, key};

/// The keys of a target, of all kinds.
pub(super) const DEPLOY: &[Key] = &[
    key(
        "kind",
        Shape::Word(&["command", "files"]),
        "what the target is: `command` or `files`",
    ),
    key(
        "command",
        Shape::Texts,
        "`command`: program and arguments, run without a shell once for all certificates of a run that have it",
    ),
    key(
        "each",
        Shape::Truth,
        "`command`: run it once for each certificate instead",
    )
    .or("`false`"),
    key(
        "timeout",
        Shape::Duration,
        "`command`: how long it may take until it is stopped",
    )
    .or("`5m`"),
    key("key", Shape::Text, "`files`: path of the private key (PEM)"),
    key(
        "certificate",
        Shape::Text,
        "`files`: path of the certificate alone (PEM)",
    ),
    key(
        "chain",
        Shape::Text,
        "`files`: path of the intermediate certificates (PEM)",
    ),
    key(
        "fullchain",
        Shape::Text,
        "`files`: path of the certificate and the intermediate certificates (PEM)",
    ),
    key(
        "combined",
        Shape::Text,
        "`files`: path of one file with `fullchain` and the private key (PEM), as HAProxy reads it",
    ),
    key(
        "key-der",
        Shape::Text,
        "`files`: path of the private key (DER, PKCS#8)",
    ),
    key(
        "certificate-der",
        Shape::Text,
        "`files`: path of the certificate alone (DER)",
    ),
    key(
        "pkcs12",
        Shape::Text,
        "`files`: path of a key store with the private key and all certificates (PKCS#12)",
    ),
    key(
        "password",
        Shape::Secret,
        "`files`: the password of the key store",
    ),
    key(
        "letsencrypt",
        Shape::Text,
        "`files`: a folder in which `live/NAME` is kept as certbot does it: `privkey.pem`, `cert.pem`, `chain.pem` and \
         `fullchain.pem`",
    ),
    key("name", Shape::Text, "`files`: the NAME in `live/NAME`").or("the id of the certificate"),
    key("owner", Shape::Text, "`files`: their owner").or("the user who runs acme-alias"),
    key("group", Shape::Text, "`files`: their group").or("that of the file that is replaced"),
    key(
        "mode",
        Shape::Text,
        "`files`: mode of those with the private key: `600`, `640`, `400` or `440`",
    )
    .or("that of the file that is replaced, at first `600`; others get `644`"),
];

pub(super) const NOTIFY: &[Key] = &[
    key(
        "command",
        Shape::Texts,
        "program and arguments, run without a shell; it reads a line for each certificate on standard input",
    ),
    key(
        "failures",
        Shape::Number,
        "after so many attempts in a row that failed; `0` for never",
    )
    .or("`3`"),
    key(
        "days",
        Shape::Number,
        "when a certificate is valid for fewer days than these; `0` for never",
    )
    .or("`7`"),
    key(
        "timeout",
        Shape::Duration,
        "how long the command may take until it is stopped",
    )
    .or("`5m`"),
];
