//! Where connections come from: TCP, a Unix socket for a proxy, or sockets that the service manager holds.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use crate::config::Listen;

/// A connection's bytes, before TLS.
pub(super) type Stream = Either<TcpStream, UnixStream>;

/// Something that accepts connections.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, Option<OwnPath>),
}

/// The path of a Unix socket that this daemon has made; removed with it, unless another has taken its place.
pub(super) struct OwnPath {
    path: PathBuf,
    inode: u64,
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// The sockets that the service manager has opened for this process (`LISTEN_FDS`, sd_listen_fds(3)). Takes them out of
/// the environment: to be called once, while the process has one thread.
///
/// # Errors
/// When one of them does not accept streams.
pub fn activated() -> io::Result<Activated> {
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..given.len() {
        let socket = match given.take_tcp_listener(number) {
            Ok(Some(listener)) => Socket::Tcp(listener),
            _ => match given.take_unix_listener(number)? {
                Some(listener) => Socket::Unix(listener),
                None => continue,
            },
        };
        sockets.push(socket);
    }
    Ok(Activated(sockets))
}

/// Sockets of the service manager's.
#[derive(Debug, Default)]
pub struct Activated(Vec<Socket>);

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Activated {
    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Begins to accept.
    pub(super) fn listen(self) -> io::Result<Vec<Listener>> {
        let listen = |socket| match socket {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Listener::Tcp)
            }
            Socket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Ok(Listener::Unix(UnixListener::from_std(listener)?, None))
            }
        };
        self.0.into_iter().map(listen).collect()
    }
}

impl Listener {
    /// Binds; `mode` is a Unix socket's.
    pub(super) fn bind(listen: &Listen, mode: u32) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => tcp(*address).map(Self::Tcp),
            Listen::Unix(path) => {
                let (listener, own) = bind_unix(path, mode)?;
                Ok(Self::Unix(listener, Some(own)))
            }
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Self::Unix(_, Some(own)) => Ok(Listen::Unix(own.path.clone())),
            Self::Unix(listener, None) => {
                let address = listener.local_addr()?;
                Ok(Listen::Unix(address.as_pathname().map(Path::to_owned).unwrap_or_default()))
            }
        }
    }

    /// The next connection, and who made it: nobody known on a Unix socket.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Small frames go out when they are written, not when the peer has acknowledged the one before.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                Ok((Either::Left(stream), Some(address)))
            }
            Self::Unix(listener, _) => Ok((Either::Right(listener.accept().await?.0), None)),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Ok(address) => address.fmt(f),
            Err(_) => f.write_str("a socket"),
        }
    }
}

/// Binds under another name and moves the socket into place: nobody connects before it has its mode. What a killed daemon
/// has left there is replaced; a socket that somebody listens on is not, nor anything else.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, OwnPath)> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there"));
        }
        Ok(_) => match StdUnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    let inode = fs::symlink_metadata(&new)?.ino();
    fs::rename(&new, path)?;
    Ok((listener, OwnPath { path: path.to_owned(), inode }))
}

/// Connections that wait to be accepted, as far as the system allows (`net.core.somaxconn`, 4,096 where nobody has changed it).
/// Of a crowd that comes back at once the standard library's 128 would turn most away, each for seconds.
const BACKLOG: u32 = 4096;

/// Listens on a TCP address, which a daemon before this one may have left just now.
fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
