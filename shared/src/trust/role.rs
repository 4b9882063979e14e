//! Who holds a key, and what trusting that key means.

/// A role. The same key in two roles would be a mistake; the lists are apart so that it cannot happen by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A server one talks to: it sees scripts and host facts. Its certificate is in the client's list of servers.
    TlsPeer,
    /// A key whose artifacts a host loads. It is in the host's list of signers.
    Signer,
    /// A client that may ask a server to compile. Its certificate is in the server's list for its [`super::Privilege`].
    Client,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TlsPeer => "TLS peer",
            Self::Signer => "signer",
            Self::Client => "client",
        })
    }
}
