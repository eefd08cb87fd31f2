//! What can be said of a daemon before anybody logs in: who it is, and how the way to it is protected.

use std::time::{Duration, Instant};

use qchat_proto::ids::ServerId;
use url::Url;

use super::{error::EngineError, handle::Handle, parts, transparency};
use crate::{
    net::{
        self, NetError, Server,
        rest::Client,
        tls::{Choice, Link, Trust},
    },
    store::{Profile, Tx},
};

/// A daemon that was asked.
#[derive(Clone, Debug)]
pub struct ServerReport {
    /// Its address.
    pub url: Url,
    /// Its name.
    pub id: ServerId,
    /// How the way to it is protected.
    pub link: Link,
    /// By what it is known, where TLS protects the way.
    pub trust: Trust,
    /// SHA-384 of the key that signs its key directory, if it has one.
    pub directory_key: Option<[u8; 48]>,
    /// Whether the profile knows its directory by another key.
    pub other_directory: bool,
}

impl Handle {
    /// How long the daemon takes to answer the shortest question there is, the way there and back with it.
    ///
    /// # Errors
    /// Why it does not answer.
    pub async fn latency(&self) -> Result<Duration, EngineError> {
        let asked = Instant::now();
        self.0.rest.server().await?;
        Ok(asked.elapsed())
    }
}

/// Asks a daemon, the profile's or the one that is given. Nothing secret is sent.
///
/// # Errors
/// [`EngineError`]; [`EngineError::Invalid`] when there is neither profile nor address.
pub async fn server(
    profile: Option<&Profile>,
    given: Option<Url>,
    tls: Choice,
    timeout: Duration,
) -> Result<ServerReport, EngineError> {
    let own = match profile {
        Some(profile) => profile.read_async(Tx::identity).await?,
        None => None,
    };
    let server = match (own, given) {
        (Some(own), given) => parts::server(&own, given, tls)?,
        (None, Some(url)) => {
            Server { url, trust: tls.trust.unwrap_or_default(), key_exchange: tls.key_exchange }
        }
        (None, None) => {
            return Err(EngineError::Invalid(
                "say which server: --server URL, or QCHAT_SERVER in the environment".to_owned(),
            ));
        }
    };
    let (url, trust) = (server.url.clone(), server.trust);
    let rest = Client::new(server, timeout)?;
    let link =
        tokio::time::timeout(timeout, net::look(rest.base())).await.map_err(|_| NetError::Timeout)??;
    let info = rest.server().await?;
    let pinned = match profile {
        Some(profile) => profile.read_async(Tx::directory).await?,
        None => None,
    };
    let key = transparency::parse(info.directory_key.as_ref());
    let other_directory = pinned.is_some_and(|known| known.key != info.directory_key.as_ref());
    Ok(ServerReport {
        url,
        id: info.server_id,
        link,
        trust,
        directory_key: key.map(|key| key.hash()),
        other_directory,
    })
}
