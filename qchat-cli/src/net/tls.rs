//! TLS 1.3 to the daemon: which key exchanges are offered, and by what the daemon is known. REST and the socket use the
//! same configuration, made when it is first needed: the system's roots take a while to read.

use std::{error::Error, fmt, io, str::FromStr, sync::Arc};

use qchat_proto::wire::server_key::{ServerKey, ServerKeyError};
use rustls::{
    ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms,
        aws_lc_rs::{self, kx_group},
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    version::TLS13,
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, sync::OnceCell};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

use super::{NetError, Untrusted};

/// What makes a server the right one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// A certificate for its name that the system's roots vouch for.
    #[default]
    Roots,
    /// This key, whatever the certificate says besides: neither names nor dates nor issuers are looked at.
    Key(ServerKey),
}

impl Trust {
    /// The key, if it is by one that the server is known.
    pub fn key(self) -> Option<ServerKey> {
        match self {
            Self::Roots => None,
            Self::Key(key) => Some(key),
        }
    }
}

impl FromStr for Trust {
    type Err = ServerKeyError;

    fn from_str(text: &str) -> Result<Self, ServerKeyError> {
        if text == "roots" { Ok(Self::Roots) } else { text.parse().map(Self::Key) }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots => f.write_str("roots"),
            Self::Key(key) => key.fmt(f),
        }
    }
}

/// Which key exchanges will do. X25519MLKEM768 comes first either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyExchange {
    /// X25519 too, with servers that do not speak X25519MLKEM768.
    #[default]
    Prefer,
    /// X25519MLKEM768 alone.
    Require,
}

impl KeyExchange {
    /// All choices.
    pub const EVERY: [Self; 2] = [Self::Prefer, Self::Require];

    /// The word for it in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

/// What the user says about TLS; what is not said is as it was at registration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// What makes the server the right one.
    pub trust: Option<Trust>,
    /// Which key exchanges will do.
    pub key_exchange: KeyExchange,
}

/// How the way to the daemon is protected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// It does not leave this machine.
    Local,
    /// By TLS 1.3.
    Tls {
        /// The group in which the keys were agreed, by its name in TLS.
        key_exchange: String,
        /// Whether a quantum computer does not help to find them.
        post_quantum: bool,
        /// The server's key.
        key: ServerKey,
    },
}

/// TLS to one server.
#[derive(Clone)]
pub(super) struct Tls(Arc<Inner>);

struct Inner {
    name: ServerName<'static>,
    address: String,
    trust: Trust,
    key_exchange: KeyExchange,
    config: OnceCell<Arc<ClientConfig>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("trust", &self.0.trust).finish_non_exhaustive()
    }
}

impl Tls {
    /// `None` for a host that no certificate can name.
    pub(super) fn new(host: &Host, port: u16, trust: Trust, key_exchange: KeyExchange) -> Option<Self> {
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.clone()).ok()?,
            Host::Ipv4(address) => std::net::IpAddr::V4(*address).into(),
            Host::Ipv6(address) => std::net::IpAddr::V6(*address).into(),
        };
        let address = format!("{host}:{port}");
        Some(Self(Arc::new(Inner { name, address, trust, key_exchange, config: OnceCell::new() })))
    }

    /// The configuration of every connection to this server.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, NetError> {
        let (trust, key_exchange) = (self.0.trust, self.0.key_exchange);
        let made = self.0.config.get_or_try_init(async || {
            let provider = Arc::new(provider(key_exchange));
            let known = match trust {
                Trust::Key(key) => Known::ByKey(key),
                Trust::Roots => {
                    let provider = Arc::clone(&provider);
                    // Files of the system, some hundred kilobytes.
                    let read = move || rustls_platform_verifier::Verifier::new(provider);
                    let read = tokio::task::spawn_blocking(read).await.map_err(|_| Untrusted::NoRoots)?;
                    Known::ByRoots(read.map_err(|_| Untrusted::NoRoots)?)
                }
            };
            let verifier = Verifier { known, algorithms: provider.signature_verification_algorithms };
            configure(provider, verifier).map(Arc::new)
        });
        made.await.cloned().map_err(|why| self.untrusted(why))
    }

    /// Makes a connection secure.
    pub(super) async fn secure(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, NetError> {
        let connector = TlsConnector::from(self.config().await?);
        let connected = connector.connect(self.0.name.clone(), tcp).await;
        connected.map_err(|error| self.refused(&error).unwrap_or_else(|| self.unreachable(&error)))
    }

    /// The failure of a handshake in words; `None` when it was something else that failed.
    pub(super) fn refused(&self, error: &(dyn Error + 'static)) -> Option<NetError> {
        let error = tls_error(error)?;
        match Untrusted::of(error, self.0.key_exchange) {
            Some(why) => Some(self.untrusted(why)),
            None => Some(self.unreachable(error)),
        }
    }

    fn untrusted(&self, why: Untrusted) -> NetError {
        NetError::Untrusted { address: self.0.address.clone(), why }
    }

    fn unreachable(&self, error: &dyn Error) -> NetError {
        NetError::Unreachable { address: self.0.address.clone(), reason: error.to_string() }
    }
}

impl Link {
    /// What was agreed on a connection.
    pub(super) fn of(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let (_, connection) = stream.get_ref();
        let group = connection.negotiated_key_exchange_group()?.name();
        Some(Self::Tls {
            key_exchange: format!("{group:?}"),
            post_quantum: group == NamedGroup::X25519MLKEM768,
            key: key_of(connection.peer_certificates()?.first()?).ok()?,
        })
    }
}

/// A configuration for those who speak plain http: it lets nobody in.
pub(super) fn none() -> Result<Arc<ClientConfig>, Untrusted> {
    let provider = Arc::new(provider(KeyExchange::Require));
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let config = config.map_err(|error| Untrusted::Other(error.to_string()))?;
    Ok(Arc::new(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth()))
}

fn provider(key_exchange: KeyExchange) -> CryptoProvider {
    let kx_groups = match key_exchange {
        KeyExchange::Require => vec![kx_group::X25519MLKEM768],
        KeyExchange::Prefer => vec![kx_group::X25519MLKEM768, kx_group::X25519],
    };
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

fn configure(provider: Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig, Untrusted> {
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]);
    let mut config = config
        .map_err(|error| Untrusted::Other(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Every connection proves the server's key anew.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The name of a certificate's key.
fn key_of(certificate: &CertificateDer<'_>) -> Result<ServerKey, rustls::Error> {
    Ok(ServerKey::of(&ParsedCertificate::try_from(certificate)?.subject_public_key_info()))
}

/// The TLS error in a chain of others. What `io::Error` wraps is not among its sources.
fn tls_error<'a>(mut error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    loop {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        error = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => wrapped,
            None => error.source()?,
        };
    }
}

/// Says whether a certificate is the right one. That its key is the peer's own is shown by the handshake's signature.
#[derive(Debug)]
struct Verifier {
    known: Known,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Known {
    ByKey(ServerKey),
    ByRoots(rustls_platform_verifier::Verifier),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = key_of(certificate)?;
        match &self.known {
            Known::ByKey(key) if *key == shown => Ok(ServerCertVerified::assertion()),
            Known::ByKey(_) => Err(Untrusted::OtherKey { shown }.into()),
            Known::ByRoots(roots) => roots
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
                .map_err(|error| Untrusted::certificate(error, shown).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Never offered.
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
