//! Where keys and lists lie, below a directory of each side: names only, nobody opens a file here.
//!
//! A client's directory is `/etc/tapwire` for the host and `~/.config/tapwire` for a user; a server's is `/etc/tapwired`.
//! A list is a directory with one PEM file an entry, named for whom it belongs to: trusting is copying a file into it,
//! revoking is removing the file.

use super::Privilege;

/// The host's directory.
pub const HOST_DIR: &str = "/etc/tapwire";

/// A user's directory, below the home directory.
pub const USER_DIR: &str = ".config/tapwire";

/// The server's directory.
pub const SERVER_DIR: &str = "/etc/tapwired";

/// On a client: certificates of servers trusted as TLS peers.
pub const SERVERS: &str = "servers";

/// On a client: public keys trusted as signers.
pub const SIGNERS: &str = "signers";

/// On a client: its own certificate and key.
pub const CLIENT: Identity = Identity { certificate: "client.crt", key: "client.key" };

/// On a server: its own certificate and key.
pub const SERVER: Identity = Identity { certificate: "server.crt", key: "server.key" };

/// On a server: the key it signs artifacts with.
pub const SIGNER_KEY: &str = "signer.key";

/// On a server: the public half of it, for handing out.
pub const SIGNER_PUBLIC_KEY: &str = "signer.pub";

/// On a client: the host's policy.
pub const POLICY: &str = "policy.toml";

/// A certificate and its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The file with the certificate.
    pub certificate: &'static str,
    /// The file with the private key.
    pub key: &'static str,
}

/// On a server: certificates of clients authorised at a privilege level.
#[must_use]
pub fn clients(privilege: Privilege) -> String {
    format!("clients/{privilege}")
}

/// Whether a file in a list's directory is an entry, by its name: all are but those with a dot in front, which editors and
/// package managers leave.
#[must_use]
pub fn is_entry(file_name: &str) -> bool {
    !file_name.starts_with('.')
}

/// The name in every server certificate, which clients ask for: a server is known by its certificate, not by its address.
pub const SERVER_NAME: &str = "tapwired";

/// Names of a personal server's directory: one directory is both sides', so a client finds there, under the names above, its
/// identity ([`CLIENT`]), the server to talk to (in [`SERVERS`]) and the signer to trust (in [`SIGNERS`]), and the server
/// its own identities and its list of clients.
pub mod personal {
    /// The name of the server's entry in [`super::SERVERS`], of the signer's in [`super::SIGNERS`] and of the client's in
    /// [`super::clients`] of stapdev.
    pub const NAME: &str = "personal";

    /// Where the server listens: `127.0.0.1:PORT` and a newline. Written whole once it listens, removed when it ends.
    pub const ADDRESS: &str = "address";

    /// Locked (flock(2), exclusive) for as long as a server runs, so that two never do. It holds the server's process id.
    pub const LOCK: &str = "lock";
}
