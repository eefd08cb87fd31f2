//! TLS on the connections that are accepted: the handshake with its time limit, and the certificate that may be
//! exchanged while connections live on.

use std::{
    io,
    sync::{PoisonError, RwLock},
};

use qchat_proto::wire::server_key::ServerKey;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::tls::{self, Certified, TlsError};

/// TLS as it is in force.
pub(super) struct Tls {
    settings: tls::Tls,
    certified: RwLock<Certified>,
}

impl Tls {
    /// Reads the files; blocks the thread.
    pub(super) fn load(settings: tls::Tls) -> Result<Self, TlsError> {
        let certified = RwLock::new(settings.load()?);
        Ok(Self { settings, certified })
    }

    /// The name of the key in force.
    pub(super) fn key(&self) -> ServerKey {
        self.certified().key
    }

    /// Reads the files anew, for the connections to come; blocks the thread. Files that cannot be used change nothing.
    pub(super) fn reload(&self) -> Result<ServerKey, TlsError> {
        let fresh = self.settings.load()?;
        let key = fresh.key;
        *self.certified.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(key)
    }

    /// Takes a connection. An error concerns this one alone.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.certified().config);
        timeout(self.settings.handshake, acceptor.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")))
    }

    fn certified(&self) -> Certified {
        self.certified.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
