//! Why a server is not spoken to although it answers: what its certificate lacks, or what it cannot do. What the peer
//! has written into its certificate is not repeated.

use std::sync::Arc;

use qchat_proto::wire::server_key::ServerKey;
use rustls::{AlertDescription, CertificateError, InvalidMessage, OtherError};

use super::tls::KeyExchange;

/// The server is not trusted. Reads on after "the server at HOST".
#[derive(Clone, Debug, thiserror::Error)]
pub enum Untrusted {
    /// The key is not the pinned one.
    #[error(
        "shows another key than the one that it is known by: {shown}. Either it has a new one, or somebody sits in \
         between. Its operator sees the right one with `qchatd tls show`; `qchat login --server-key KEY` takes it"
    )]
    OtherKey {
        /// The key that it shows.
        shown: ServerKey,
    },
    /// Nobody whom this machine trusts has signed the certificate.
    #[error(
        "shows a certificate that nobody has signed whom this machine trusts, with the key {shown}. If its operator sees \
         that same key with `qchatd tls show`, say so with --server-key"
    )]
    Issuer {
        /// The key that it shows.
        shown: ServerKey,
    },
    /// The certificate is for others.
    #[error("shows a certificate for another name: check --server, or give its key with --server-key")]
    Name,
    /// The certificate's time is over.
    #[error(
        "shows a certificate that has expired: its operator has to renew it, unless this machine's clock is wrong"
    )]
    Expired,
    /// The certificate's time has not come.
    #[error("shows a certificate that is not valid yet: this machine's clock, or the server's, is wrong")]
    NotYet,
    /// No hybrid key exchange.
    #[error(
        "does not speak X25519MLKEM768, and this client was told to require it: the server needs a newer TLS, or allow \
         X25519 with --key-exchange prefer"
    )]
    NotPostQuantum,
    /// No key exchange in common.
    #[error("speaks neither X25519MLKEM768 nor X25519: it needs a newer TLS")]
    KeyExchange,
    /// No TLS at all.
    #[error("does not speak TLS, and plain http is only for this machine: give it a certificate")]
    Plain,
    /// An old protocol.
    #[error("does not speak TLS 1.3, and nothing older is good enough: it needs a newer TLS")]
    Version,
    /// There is nothing to check a certificate by.
    #[error(
        "may show any certificate, for this machine has no roots to check one by: install them (ca-certificates), name a \
         file in SSL_CERT_FILE, or give the server's key with --server-key"
    )]
    NoRoots,
    /// Anything else.
    #[error("cannot be trusted: {0}")]
    Other(String),
}

impl Untrusted {
    /// What is wrong with a certificate that shows this key.
    pub(super) fn certificate(error: rustls::Error, shown: ServerKey) -> Self {
        let rustls::Error::InvalidCertificate(error) = error else { return Self::Other(error.to_string()) };
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYet,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::Name,
            // Whatever else keeps a certificate from leading to a root: one that signs itself has many ways to fail.
            _ => Self::Issuer { shown },
        }
    }

    /// What a handshake failed by; `None` when it is no question of trust.
    pub(super) fn of(error: &rustls::Error, key_exchange: KeyExchange) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(own))) => {
                Some(own.downcast_ref::<Self>().cloned().unwrap_or_else(|| Self::Other(error.to_string())))
            }
            rustls::Error::InvalidCertificate(_) => {
                Some(Self::Other("its certificate is malformed".to_owned()))
            }
            rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => Some(match key_exchange {
                KeyExchange::Require => Self::NotPostQuantum,
                KeyExchange::Prefer => Self::KeyExchange,
            }),
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(_) => Some(Self::Version),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(Self::Plain),
            _ => None,
        }
    }
}

impl From<Untrusted> for rustls::Error {
    fn from(why: Untrusted) -> Self {
        CertificateError::Other(OtherError(Arc::new(why))).into()
    }
}
