//! The `PROXY` protocol, version 2: a proxy in front of the daemon says who its client is, before anything else.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::{io, net::SocketAddr, time::Duration};

use ipnet::IpNet;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// How long a header may take: a proxy sends it at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// Largest rest of a header, bytes: addresses and what else the proxy says, of which TLS fields are the most.
const REST: usize = 2048;

/// Who may say so.
pub(super) struct Proxies(pub(super) Vec<IpNet>);

/// A connection that is not from a proxy, or does not speak like one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    /// From elsewhere.
    #[error("not from a trusted proxy")]
    Untrusted,
    /// No header in time, or not all of it.
    #[error("no PROXY header came: {0}")]
    Missing(#[from] io::Error),
    /// Version 1, something else, or malformed.
    #[error("what came is no PROXY header of version 2")]
    Malformed,
}

impl Proxies {
    /// Reads the header, and not a byte more; gives the client's address. A proxy that connects on its own behalf (a health
    /// check) is its own client.
    pub(super) async fn client(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        from: Option<SocketAddr>,
    ) -> Result<Option<SocketAddr>, ProxyError> {
        // Whoever reaches a Unix socket was let in by its mode.
        if let Some(from) = from {
            let from = from.ip().to_canonical();
            if !self.0.iter().any(|network| network.contains(&from)) {
                return Err(ProxyError::Untrusted);
            }
        }
        let said = timeout(PATIENCE, read(stream)).await.map_err(io::Error::from)??;
        Ok(said.or(from))
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, ProxyError> {
    let mut header = vec![0; FIXED];
    stream.read_exact(&mut header).await?;
    // It has to be one before its length is believed.
    let config = ParseConfig { include_tlvs: false, allow_v1: false, allow_v2: true };
    match ProxyHeader::parse(&header, config) {
        Ok(_) | Err(proxy_header::Error::BufferTooShort) => {}
        Err(_) => return Err(ProxyError::Malformed),
    }
    let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if rest > REST {
        return Err(ProxyError::Malformed);
    }
    header.resize(FIXED + rest, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    match ProxyHeader::parse(&header, config) {
        Ok((parsed, length)) if length == header.len() => match parsed.proxied_address() {
            Some(client) if client.protocol == Protocol::Stream => Ok(Some(client.source)),
            Some(_) => Err(ProxyError::Malformed),
            None => Ok(None),
        },
        _ => Err(ProxyError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest, b"GET / HTTP/1.1\r\n"].concat()
    }

    #[tokio::test]
    async fn only_the_second_version_is_taken_and_nothing_after_it() {
        let proxies = Proxies(vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        let v4: &[u8] = &[203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 0, 80];
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        v6[15] = 9;
        let with_fields = [v4, &[0x04, 0, 1, 0]].concat();
        let proxy = "192.0.2.9:7";
        for (what, from, bytes, expected) in [
            ("IPv4", proxy, header(0x21, 0x11, v4), Some("203.0.113.7:4660")),
            ("IPv4 and fields", proxy, header(0x21, 0x11, &with_fields), Some("203.0.113.7:4660")),
            ("IPv6", proxy, header(0x21, 0x21, &v6), Some("[2001::9]:0")),
            ("mapped proxy", "[::ffff:192.0.2.9]:7", header(0x21, 0x11, v4), Some("203.0.113.7:4660")),
            ("IPv6 proxy", "[2001:db8::7]:7", header(0x21, 0x11, v4), Some("203.0.113.7:4660")),
            ("on its own behalf", proxy, header(0x20, 0x11, v4), Some(proxy)),
            ("of unknown origin", proxy, header(0x21, 0x00, &[]), Some(proxy)),
            ("somebody else", "198.51.100.1:7", header(0x21, 0x11, v4), None),
            ("datagram", proxy, header(0x21, 0x12, v4), None),
            ("version 3", proxy, header(0x31, 0x11, v4), None),
            ("command 2", proxy, header(0x22, 0x11, v4), None),
            ("short addresses", proxy, header(0x21, 0x11, &v4[..8]), None),
            ("too long", proxy, header(0x21, 0x11, &vec![0; REST + 1]), None),
            ("cut off", proxy, header(0x21, 0x11, v4)[..20].to_vec(), None),
            ("version 1", proxy, b"PROXY TCP4 203.0.113.7 192.0.2.1 4660 80\r\nGET /".to_vec(), None),
            ("none", proxy, b"GET /v1/server HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), None),
        ] {
            let mut stream = bytes.as_slice();
            let client = proxies.client(&mut stream, Some(from.parse().unwrap())).await;
            assert_eq!(client.ok().flatten(), expected.map(|text| text.parse().unwrap()), "{what}");
            if expected.is_some() {
                assert_eq!(stream, b"GET / HTTP/1.1\r\n", "{what}");
            }
        }
        let mut stream = &header(0x21, 0x11, v4)[..];
        let client = proxies.client(&mut stream, None).await.unwrap();
        assert_eq!(client, Some("203.0.113.7:4660".parse().unwrap()), "over a Unix socket");
    }
}
