//! What can go wrong with keys and lists. Each message ends in what to do next.

use std::path::{Path, PathBuf};

use shared::trust::role::Role;

/// Why an identity was not made, or a list not changed.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// The operating system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// A key is never overwritten.
    #[error("{} exists already: use another directory, or replace it with `tapwire-certs rotate`", .0.display())]
    Exists(PathBuf),
    /// There is nothing to replace.
    #[error("{} does not exist: make the identity with `tapwire-certs make` first", .0.display())]
    NothingToRotate(PathBuf),
    /// The file is something else.
    #[error("{} is not a certificate in PEM form: name the `.crt` file that `tapwire-certs make` wrote", .0.display())]
    NotACertificate(PathBuf),
    /// The file is something else.
    #[error("{} is not a public signer key in PEM form: name the `.pub` file that `tapwire-certs make signer` wrote", .0.display())]
    NotASignerKey(PathBuf),
    /// The certificate belongs to another role.
    #[error("{} is no certificate of a {role}: its holder makes one with `tapwire-certs make {}`", path.display(), word(*role))]
    WrongRole {
        /// The file.
        path: PathBuf,
        /// The role it was offered for.
        role: Role,
    },
    /// Trusting it would trust nothing.
    #[error("{} expired: its holder makes a new one with `tapwire-certs rotate`", .0.display())]
    Expired(PathBuf),
    /// Another entry has the name.
    #[error("the list has an entry {name:?} with another key: choose a name with --name, or revoke that entry first")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The list has no such entry.
    #[error("{} has no entry {name:?}{}", list.display(), known(known_names))]
    NoSuchEntry {
        /// The list's directory.
        list: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        known_names: Vec<String>,
    },
    /// A name becomes a file name and stands in certificates.
    #[error("{0:?} cannot be a name: use 1 to 64 letters, digits and . _ - @, not starting with a dot")]
    BadName(String),
    /// The cryptographic library refused.
    #[error("cannot make a key or certificate: {0}")]
    Crypto(String),
}

impl CertsError {
    /// For `map_err`: what the operating system said about `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

/// What the command line calls a role.
#[must_use]
pub fn word(role: Role) -> &'static str {
    match role {
        Role::TlsPeer => "server",
        Role::Signer => "signer",
        Role::Client => "client",
    }
}

fn known(names: &[String]) -> String {
    if names.is_empty() { ": it is empty".to_owned() } else { format!(": it has {}", names.join(", ")) }
}
