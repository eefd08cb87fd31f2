//! How much of an address the audit log keeps.

use std::{fmt, str::FromStr};

use ipnet::IpNet;

use crate::peer::Peer;

/// Bits of an IPv4 address that a network keeps, and of an IPv6 address.
const PREFIX: (u8, u8) = (24, 48);

/// How much of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addresses {
    /// Nothing.
    None,
    /// The network: 24 bits of IPv4, 48 of IPv6.
    #[default]
    Prefix,
    /// All of it, but no port.
    Full,
}

impl Addresses {
    /// What is noted of where a request comes from; `None` where that is not known, as behind a Unix socket.
    pub fn of(self, peer: Option<&Peer>) -> Option<String> {
        let address = peer?.address?.ip().to_canonical();
        match self {
            Self::None => None,
            Self::Full => Some(address.to_string()),
            Self::Prefix => {
                let bits = if address.is_ipv4() { PREFIX.0 } else { PREFIX.1 };
                // Neither is longer than its address.
                IpNet::new(address, bits).ok().map(|network| network.trunc().to_string())
            }
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Prefix => "prefix",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Addresses {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::None, Self::Prefix, Self::Full]
            .into_iter()
            .find(|choice| choice.word() == text)
            .ok_or("is none, prefix or full")
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn an_address_is_noted_as_coarsely_as_is_configured() {
        for (address, prefix, full) in [
            ("203.0.113.77", "203.0.113.0/24", "203.0.113.77"),
            ("::ffff:203.0.113.77", "203.0.113.0/24", "203.0.113.77"),
            ("2001:db8:aaaa:bbbb::1", "2001:db8:aaaa::/48", "2001:db8:aaaa:bbbb::1"),
            ("::1", "::/48", "::1"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            let peer = Peer { address: Some((address, 5000).into()), encrypted: true };
            assert_eq!(Addresses::None.of(Some(&peer)), None);
            assert_eq!(Addresses::Prefix.of(Some(&peer)).as_deref(), Some(prefix));
            assert_eq!(Addresses::Full.of(Some(&peer)).as_deref(), Some(full));
        }
        assert_eq!(Addresses::Full.of(Some(&Peer { address: None, encrypted: false })), None);
        assert_eq!(Addresses::Full.of(None), None);
        // The longest fits into its column.
        let longest: IpAddr = "2001:db80:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().unwrap();
        assert!(longest.to_string().len() <= 64);
    }
}
