//! A connection's bytes, in the clear or under TLS, without waiting.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use anyhow::Result;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// Bytes that wait to be encrypted or to be sent: more are not taken.
const WAITING: usize = 256 * 1024;

/// One connection.
pub(super) struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// How the daemon at an address is spoken to.
#[derive(Clone)]
pub(super) enum Manner {
    /// In the clear.
    Plain,
    /// Over TLS, under this name.
    Tls(Arc<ClientConfig>, ServerName<'static>),
}

impl Wire {
    /// Speaks over a stream that does not block.
    ///
    /// # Errors
    /// When there can be no TLS.
    pub(super) fn new(stream: TcpStream, manner: &Manner) -> Result<Self> {
        let tls = match manner {
            Manner::Plain => None,
            Manner::Tls(config, name) => {
                let mut tls = ClientConnection::new(Arc::clone(config), name.clone())?;
                tls.set_buffer_limit(Some(WAITING));
                Some(Box::new(tls))
            }
        };
        Ok(Self { stream, tls })
    }

    /// The stream beneath.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads into `buffer` what one system call brings. What was said is what is returned, which `plain` holds under TLS.
    ///
    /// # Errors
    /// As a stream that does not block; [`ErrorKind::UnexpectedEof`] at its end.
    pub(super) fn read<'b>(&mut self, buffer: &'b mut [u8], plain: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        let count = self.stream.read(buffer)?;
        if count == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the daemon hung up"));
        }
        let Some(tls) = &mut self.tls else { return Ok(buffer.get(..count).unwrap_or_default()) };
        let mut sealed = buffer.get(..count).unwrap_or_default();
        plain.clear();
        while !sealed.is_empty() {
            tls.read_tls(&mut sealed)?;
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            match tls.reader().read_to_end(plain) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                other => drop(other?),
            }
        }
        Ok(plain)
    }

    /// Takes some of `bytes`, and sends what there is room for.
    ///
    /// # Errors
    /// As a stream that does not block.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        if tls.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        match tls.writer().write(bytes)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    /// Sends what TLS has still to send; whether all of it could be.
    ///
    /// # Errors
    /// As a stream that does not block, except for [`ErrorKind::WouldBlock`].
    pub(super) fn drain(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether nothing can be sent before the peer has been heard.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
