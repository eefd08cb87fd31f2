//! TLS as others speak it: clients and servers that can do less than ours.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use qchat_proto::wire::server_key::ServerKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, NamedGroup, ServerConfig, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
        verify_tls13_signature,
    },
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    version::TLS13,
};

use crate::{certificate::Pair, process::DEADLINE};

/// What a side can do.
#[derive(Clone, Copy)]
pub struct Ability {
    /// Key exchanges.
    pub groups: &'static [&'static dyn SupportedKxGroup],
    /// Versions.
    pub versions: &'static [&'static SupportedProtocolVersion],
}

/// A connection of a client that believes any certificate.
pub struct Visit {
    /// The group in which the keys were agreed.
    pub group: NamedGroup,
    /// The key that the server has shown.
    pub key: ServerKey,
    stream: StreamOwned<ClientConnection, TcpStream>,
}

fn provider(ability: Ability) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: ability.groups.to_vec(), ..aws_lc_rs::default_provider() })
}

/// What the daemon asks for when it asks for most.
pub const HYBRID: Ability = Ability { groups: &[aws_lc_rs::kx_group::X25519MLKEM768], versions: &[&TLS13] };

/// A client that believes whatever it is shown, and shakes hands anew each time.
pub fn credulous(ability: Ability) -> ClientConfig {
    let provider = provider(ability);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(ability.versions)
        .expect("versions that the library knows")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider.signature_verification_algorithms)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// Shakes hands with a server, believing whatever it shows.
///
/// # Errors
/// Why there is no connection, as TLS says it.
pub fn visit(address: SocketAddr, ability: Ability) -> Result<Visit, Error> {
    let config = credulous(ability);
    let name = ServerName::try_from("localhost").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut tcp = TcpStream::connect(address).expect("a connection");
    tcp.set_read_timeout(Some(DEADLINE)).expect("a socket");
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).map_err(|error| match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::General(error.to_string()),
        })?;
    }
    let shown = connection.peer_certificates().and_then(|chain| chain.first()).expect("a certificate");
    let key =
        ServerKey::of(&ParsedCertificate::try_from(shown).expect("a certificate").subject_public_key_info());
    let group = connection.negotiated_key_exchange_group().expect("a key exchange").name();
    Ok(Visit { group, key, stream: StreamOwned::new(connection, tcp) })
}

impl Visit {
    /// A `GET` over this connection: the response with its head.
    pub fn get(mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let mut response = Vec::new();
        drop(self.stream.write_all(request.as_bytes()).and_then(|()| self.stream.read_to_end(&mut response)));
        String::from_utf8_lossy(&response).into_owned()
    }
}

/// A server that takes TLS off and passes on what is in it: an old proxy in front of a daemon.
pub struct Terminator(SocketAddr);

impl Terminator {
    /// Starts one that is able to do so much; it ends with the test.
    pub fn start(pair: &Pair, ability: Ability, behind: SocketAddr) -> Self {
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider(ability))
            .with_protocol_versions(ability.versions)
            .expect("versions that the library knows")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate with its key");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let config = Arc::clone(&config);
                thread::spawn(move || pass(&config, stream, behind));
            }
        });
        Self(address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

/// One request and its answer: the daemon is asked to close after it.
fn pass(config: &Arc<ServerConfig>, stream: TcpStream, behind: SocketAddr) -> Option<()> {
    let connection = rustls::ServerConnection::new(Arc::clone(config)).ok()?;
    let mut client = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        request.extend(byte);
    }
    let request = String::from_utf8_lossy(&request).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let mut daemon = TcpStream::connect(behind).ok()?;
    daemon.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    daemon.read_to_end(&mut answer).ok()?;
    client.write_all(&answer).ok()?;
    client.conn.send_close_notify();
    client.flush().ok()?;
    client.sock.shutdown(Shutdown::Write).ok()
}

/// Believes every certificate.
#[derive(Debug)]
struct Credulous(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
