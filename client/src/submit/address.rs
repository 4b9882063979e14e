//! Where a server is: `HOST[:PORT]`, as `--use-server` takes it.

use std::net::{Ipv6Addr, SocketAddr};

use shared::protocol::version::PORT;

/// A host's name or address, and a UDP port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerAddress {
    /// A name, an IPv4 or an IPv6 address (without brackets).
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

/// Why a text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST, HOST:PORT or [IPV6]:PORT")]
pub struct AddressError;

impl std::str::FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or(AddressError)?;
            host.split('%').next().and_then(|host| host.parse::<Ipv6Addr>().ok()).ok_or(AddressError)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(AddressError)?) })
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| AddressError))?;
        let is_name = |host: &str| {
            (1..=253).contains(&host.len()) && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        };
        if port == 0 || !is_name(host) {
            return Err(AddressError);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Only an IPv6 address has colons.
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, host, port) in [
            ("farm", "farm", PORT),
            ("farm.example.org:7000", "farm.example.org", 7000),
            ("10.0.0.1", "10.0.0.1", PORT),
            ("::1", "::1", PORT),
            ("[::1]", "::1", PORT),
            ("[::1]:7000", "::1", 7000),
            ("[fe80::1%eth0]:7000", "fe80::1%eth0", 7000),
        ] {
            let expected = ServerAddress { host: host.to_owned(), port };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in
            ["", ":7000", "farm:", "farm:0", "farm:65536", "farm:7:8", "[::1", "[::1]7000", "[farm]:1", "a b", "a/b"]
        {
            assert!(text.parse::<ServerAddress>().is_err(), "{text:?} was taken for an address");
        }
    }

    #[test]
    fn an_address_reads_back() {
        for text in ["farm:7000", "[::1]:7000", "[fe80::1%eth0]:7000", "10.0.0.1:1"] {
            let address: ServerAddress = text.parse().expect("an address");
            assert_eq!(address.to_string(), text);
        }
    }
}
