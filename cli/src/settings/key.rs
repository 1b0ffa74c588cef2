//! How a key of the settings is declared.

/// The declaration of one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// One phrase for people, without a final stop.
    pub(crate) help: &'static str,
    /// What holds where it is not given, in words.
    pub(crate) default: Option<&'static str>,
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Text,
    /// One of these words, or something else where the help says so.
    Word(&'static [&'static str]),
    Truth,
    Number,
    Duration,
    /// A text, or a list of texts.
    Texts,
    /// A reference to a secret.
    Secret,
    /// References to secrets, each under a name that the user chooses.
    Secrets,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A list of tables with these keys.
    Tables(&'static [Key]),
    /// A list of texts, each of which may be a table with these keys instead.
    TextsOrTables(&'static [Key]),
    /// Tables with these keys, each under an id of its own.
    ById(&'static [Key]),
    /// Tables under ids of their own, with the keys that their `kind` declares.
    Providers,
}

pub(super) const fn key(name: &'static str, shape: Shape, help: &'static str) -> Key {
    Key {
        name,
        shape,
        help,
        default: None,
    }
}

impl Key {
    pub(super) const fn or(self, default: &'static str) -> Key {
        Key {
            default: Some(default),
            ..self
        }
    }
}
