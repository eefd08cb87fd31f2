//! Where the daemon is, and by what it is known: an address that was checked before anything is sent to it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::{Host, Url};

use super::{
    NetError, Untrusted,
    tls::{Choice, KeyExchange, Link, Tls, Trust},
};

/// A connection to the daemon.
pub(super) type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// A daemon as the user names it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub url: Url,
    /// What makes it the right one, over TLS.
    pub trust: Trust,
    /// Which key exchanges will do, over TLS.
    pub key_exchange: KeyExchange,
}

impl Server {
    /// What was said about TLS.
    pub fn tls(&self) -> Choice {
        Choice { trust: Some(self.trust), key_exchange: self.key_exchange }
    }
}

/// An address alone: over https, the system's roots say whether it is the right server.
impl FromStr for Server {
    type Err = url::ParseError;

    fn from_str(url: &str) -> Result<Self, url::ParseError> {
        Ok(Self { url: url.parse()?, trust: Trust::default(), key_exchange: KeyExchange::default() })
    }
}

/// A daemon's address, checked. Clones share what TLS has read.
#[derive(Clone, Debug)]
pub struct Base {
    url: Url,
    host: Host,
    port: u16,
    trust: Trust,
    tls: Option<Tls>,
}

impl Base {
    /// Takes https, and plain http to this machine.
    ///
    /// # Errors
    /// [`NetError::PlainHttp`] for plain http to another machine, [`NetError::Address`] for another scheme or form.
    pub fn new(server: Server) -> Result<Self, NetError> {
        let Server { url, trust, key_exchange } = server;
        let wrong = || NetError::Address { url: url.to_string() };
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host().filter(|_| bare).ok_or_else(wrong)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(wrong)?;
        let local = match &host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost",
        };
        let tls = match url.scheme() {
            "https" => Some(Tls::new(&host, port, trust, key_exchange).ok_or_else(wrong)?),
            "http" if local => None,
            "http" => return Err(NetError::PlainHttp { url: url.to_string() }),
            _ => return Err(wrong()),
        };
        Ok(Self { url, host, port, trust, tls })
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What makes the server the right one, over TLS.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// What TLS is made of; none for plain http.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Where plain http connects to: loopback addresses, in the order to try. `localhost` is not looked up, since whoever
    /// answers the look-up could name another machine and be sent the token in the clear. None over TLS, where the
    /// certificate says whom one talks to.
    pub(super) fn local(&self) -> Vec<SocketAddr> {
        let hosts = match (&self.tls, &self.host) {
            (Some(_), _) => vec![],
            (None, Host::Ipv4(host)) => vec![IpAddr::V4(*host)],
            (None, Host::Ipv6(host)) => vec![IpAddr::V6(*host)],
            (None, Host::Domain(_)) => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        };
        hosts.into_iter().map(|host| SocketAddr::new(host, self.port)).collect()
    }

    /// Opens a connection, and says how it is protected.
    pub(super) async fn connect(&self) -> Result<(Stream, Link), NetError> {
        let tcp = self.dial().await?;
        let Some(tls) = &self.tls else { return Ok((Either::Left(tcp), Link::Local)) };
        let stream = tls.secure(tcp).await?;
        let link =
            Link::of(&stream).ok_or(NetError::Protocol("the server did not say how it encrypts".into()))?;
        Ok((Either::Right(stream), link))
    }

    async fn dial(&self) -> Result<TcpStream, NetError> {
        let connected = match (&self.tls, &self.host) {
            (None, _) => TcpStream::connect(&self.local()[..]).await,
            (Some(_), Host::Ipv4(host)) => TcpStream::connect((*host, self.port)).await,
            (Some(_), Host::Ipv6(host)) => TcpStream::connect((*host, self.port)).await,
            (Some(_), Host::Domain(name)) => TcpStream::connect((name.as_str(), self.port)).await,
        };
        let stream = connected.map_err(|error| self.unreachable(&error))?;
        stream.set_nodelay(true).map_err(|error| self.unreachable(&error))?;
        Ok(stream)
    }

    pub(super) fn untrusted(&self, why: Untrusted) -> NetError {
        NetError::Untrusted { address: self.address(), why }
    }

    pub(super) fn unreachable(&self, error: &io::Error) -> NetError {
        NetError::Unreachable { address: self.address(), reason: error.to_string() }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_only_for_this_machine() {
        enum Want {
            Plainly(&'static str),
            Encrypted(&'static str),
            Refused,
            Wrong,
        }
        for (url, want) in [
            ("http://127.0.0.1:8440", Want::Plainly("127.0.0.1:8440")),
            ("http://127.8.8.8:1/", Want::Plainly("127.8.8.8:1")),
            ("http://[::1]:9", Want::Plainly("[::1]:9")),
            ("http://localhost", Want::Plainly("localhost:80")),
            ("http://127.1:8440", Want::Plainly("127.0.0.1:8440")),
            ("http://[::ffff:127.0.0.1]:9", Want::Refused),
            ("http://127.0.0.1:8440/prefix", Want::Wrong),
            ("http://127.0.0.1:8440/?token=1", Want::Wrong),
            ("http://localhost.example.org:8440", Want::Refused),
            ("http://192.168.0.7:8440", Want::Refused),
            ("http://127.0.0.1.example.org", Want::Refused),
            ("http://0.0.0.0:8440", Want::Refused),
            ("https://chat.example.org", Want::Encrypted("chat.example.org:443")),
            ("https://localhost:8440", Want::Encrypted("localhost:8440")),
            ("https://192.0.2.7:8440", Want::Encrypted("192.0.2.7:8440")),
            ("https://[2001:db8::7]", Want::Encrypted("[2001:db8::7]:443")),
            ("https://chat.example.org/prefix", Want::Wrong),
            ("https://user@chat.example.org", Want::Wrong),
            ("wss://chat.example.org", Want::Wrong),
            ("ftp://127.0.0.1", Want::Wrong),
            ("http://user:password@127.0.0.1", Want::Wrong),
        ] {
            let base = Base::new(url.parse().unwrap());
            match (want, base) {
                (Want::Plainly(address), Ok(base)) => {
                    assert_eq!(base.address(), address);
                    assert!(base.tls().is_none(), "{url}");
                    assert!(base.local().iter().all(|socket| socket.ip().is_loopback()));
                }
                (Want::Encrypted(address), Ok(base)) => {
                    assert_eq!(base.address(), address);
                    assert!(base.tls().is_some(), "{url}");
                }
                (Want::Refused, Err(NetError::PlainHttp { .. }))
                | (Want::Wrong, Err(NetError::Address { .. })) => {}
                (_, other) => panic!("{url}: {other:?}"),
            }
        }
    }
}
