//! One request and its answer, in HTTP/1.1 over mutual TLS.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, pki_types::CertificateDer};

use crate::process::DEADLINE;

/// A request, as far as a KME looks at it.
pub(super) struct Request {
    pub(super) method: String,
    /// Segments of the path.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// An answer: its status, and JSON.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Reads a request and writes what `answer` makes of it and of the certificate that the client has shown.
pub(super) fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    answer: impl FnOnce(Option<&CertificateDer<'static>>, &Request) -> Answer,
) -> io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let request = read(&mut reader)?;
    let mut stream = reader.into_inner();
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first()).cloned();
    let shown = shown.map(CertificateDer::into_owned);
    let Answer { status, body } = answer(shown.as_ref(), &request);
    write!(
        stream,
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn read(reader: &mut impl BufRead) -> io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut request = Request {
        method: method.to_owned(),
        path: path.split('/').skip(1).map(str::to_owned).collect(),
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: vec![],
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(request)
}
