//! What TLS needs before there is a connection: certificate and key out of their files, and the one configuration that
//! connections are taken by. TLS 1.3 alone, keys agreed by X25519 and ML-KEM-768 together.

mod generate;

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use qchat_proto::wire::server_key::ServerKey;
use rustls::{
    ServerConfig,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::ParsedCertificate,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use self::generate::{GenerateError, generate};
use crate::service::keys::{self, KeyFileError};

/// Largest certificate or key file that is read, bytes. A chain has some kilobytes.
const MOST: u64 = 1024 * 1024;

/// Which key exchanges are offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyExchange {
    /// X25519MLKEM768 alone: who does not speak it does not get in.
    #[default]
    Require,
    /// X25519MLKEM768, and X25519 for those who do not speak it.
    Prefer,
}

impl fmt::Display for KeyExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Require => "require",
            Self::Prefer => "prefer",
        })
    }
}

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate chain, PEM, the daemon's own first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// The settings.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate and key.
    pub files: Files,
    /// Which key exchanges are offered.
    pub key_exchange: KeyExchange,
    /// How long a client may take for the handshake.
    pub handshake: Duration,
}

/// Certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be read.
    #[error("certificate {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key cannot be read, or others can.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file does not hold what it should.
    #[error("{} holds no {what} in PEM: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The two do not belong together, or are of a kind that TLS 1.3 does not know.
    #[error("certificate {} and its key cannot be used: {reason}", path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// Why.
        reason: rustls::Error,
    },
}

/// Certificate and key, ready to take connections.
#[derive(Clone)]
pub struct Certified {
    /// How connections are taken.
    pub config: Arc<ServerConfig>,
    /// The name of the key, by which clients may know the daemon.
    pub key: ServerKey,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(&self) -> Result<Certified, TlsError> {
        let provider = Arc::new(provider(self.key_exchange));
        let unusable = |reason| TlsError::Unusable { path: self.files.certificate.clone(), reason };
        let chain = certificates(&self.files.certificate)?;
        let key = private_key(&self.files.key)?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(unusable)?;
        let own = certified.end_entity_cert().and_then(ParsedCertificate::try_from).map_err(unusable)?;
        let key = ServerKey::of(&own.subject_public_key_info());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // No session is taken up again: every connection shows the certificate in force and agrees on keys anew, and
        // nothing has to be kept for those that are gone.
        config.send_tls13_tickets = 0;
        Ok(Certified { config: Arc::new(config), key })
    }
}

fn provider(key_exchange: KeyExchange) -> CryptoProvider {
    let kx_groups = match key_exchange {
        KeyExchange::Require => vec![kx_group::X25519MLKEM768],
        KeyExchange::Prefer => vec![kx_group::X25519MLKEM768, kx_group::X25519],
    };
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Io { path: path.to_owned(), source };
    let mut pem = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MOST).read_to_end(&mut pem).map_err(failed)?;
    let wrong = |reason: String| TlsError::Pem { path: path.to_owned(), what: "certificate", reason };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut pem = Zeroizing::new(Vec::new());
    keys::open_private(path)?.take(MOST).read_to_end(&mut pem).map_err(failed)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TlsError::Pem {
        path: path.to_owned(),
        what: "private key",
        reason: error.to_string(),
    })
}
