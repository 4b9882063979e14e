//! Why a server does not start. What goes wrong with a request is a [`shared::protocol::response::Failure`], what a peer does
//! wrong a [`shared::protocol::error::PeerMisbehaved`], what is wrong with a script a report.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use certs::CertsError;

/// Something that whoever runs the server has to put right. Each message ends in what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The operating system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        error: std::io::Error,
    },
    /// The configuration is wrong.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// A value of the configuration is wrong.
    #[error("{setting} is {value:?}: {rule}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A key or certificate is missing.
    #[error("{} does not exist: make it with `tapwire-certs make {role} {}`", path.display(), parent(path))]
    NoIdentity {
        /// The file.
        path: PathBuf,
        /// As the command line calls the role.
        role: &'static str,
    },
    /// A key is not secret.
    #[error("{} may be read by others: make new keys if somebody did, else `chmod 600` it", .0.display())]
    KeyNotSecret(PathBuf),
    /// A directory is not the server's own.
    #[error("{} belongs to somebody else, or others may write to it: give the server a directory of its own", .0.display())]
    NotPrivate(PathBuf),
    /// A key or certificate is none.
    #[error("{}: {message}: make it anew with `tapwire-certs`", path.display())]
    BadIdentity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A list cannot be read.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// The address is taken, or none of this host.
    #[error("cannot listen on {address}: {error}: choose another with `listen` or --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// TLS refused the configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// Another personal server is there.
    #[error("a server runs in {} already{}", dir.display(), process(*process_id))]
    AlreadyRuns {
        /// The directory.
        dir: PathBuf,
        /// Whose lock it is, where that is known.
        process_id: Option<u32>,
    },
}

impl ServerError {
    /// For `map_err`: what the operating system said about `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Io { path: path.to_owned(), error }
    }
}

fn parent(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}

fn process(id: Option<u32>) -> String {
    id.map(|id| format!(", as process {id}")).unwrap_or_default()
}
