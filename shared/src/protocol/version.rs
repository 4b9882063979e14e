//! The protocol's version, settled in the TLS handshake.

/// The application protocol (RFC 7301) that both sides offer. The number changes with any type of this module or of the
/// artifact; a side that speaks several offers several.
pub const ALPN: &[u8] = b"tapwire/2";

/// The UDP port a server listens on where its configuration names none.
pub const PORT: u16 = 7027;
