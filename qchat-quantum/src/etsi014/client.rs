//! The three methods of §5: status, fresh keys, and keys by their ids.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Credentials, Etsi014Error, Key, KeyId, SaeId, Status, tls,
    wire::{ErrorBody, KeyIds, KeyRequest, fresh_keys, named_keys},
};

/// The longest answer that is read, bytes: a hundred keys of the size of a room's, with what a vendor adds to each.
const MOST: usize = 64 * 1024;

/// Speaks to one KME.
///
/// Keys are wiped wherever this crate holds them, the answer that brought them included; what the libraries of HTTP and
/// TLS keep in their buffers is theirs.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    /// A client of the KME at `address`, whose requests take `timeout` at most, each.
    ///
    /// # Errors
    /// [`Etsi014Error::Address`] for anything but an `https` address; [`Etsi014Error::Credentials`].
    pub fn new(address: &str, credentials: &Credentials, timeout: Duration) -> Result<Self, Etsi014Error> {
        let refused = || Etsi014Error::Address(qchat_proto::sanitize::line(address).to_string());
        let base = Url::parse(address).map_err(|_| refused())?;
        // Whoever gave a password would find it in messages.
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Etsi014Error::Address("an address with a name or a password".to_owned()));
        }
        if base.scheme() != "https" || base.host().is_none() || base.query().or(base.fragment()).is_some() {
            return Err(refused());
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::configure(credentials)?)
            .https_only(true)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("qchat/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Etsi014Error::Credentials { what: "TLS", reason: error.to_string() })?;
        Ok(Self { base, http })
    }

    /// Asks what keys there are to share with an application: Get status (§5.1).
    ///
    /// # Errors
    /// [`Etsi014Error`], as every method here.
    pub async fn status(&self, slave: &SaeId) -> Result<Status, Etsi014Error> {
        let body = self.ask(Method::GET, slave, "status", None::<&()>).await?;
        serde_json::from_slice(&body).map_err(|_| Etsi014Error::Malformed("it is no status"))
    }

    /// Has `number` fresh keys of `size` bits given out, to be shared with `slave`: Get key (§5.2). Never tried again by
    /// itself: keys that are lost on the way are used up.
    ///
    /// # Errors
    /// As above; [`Etsi014Error::Size`] for a key of another size.
    pub async fn enc_keys(
        &self,
        slave: &SaeId,
        number: usize,
        size: usize,
    ) -> Result<Vec<Key>, Etsi014Error> {
        let body = self.ask(Method::POST, slave, "enc_keys", Some(&KeyRequest { number, size })).await?;
        fresh_keys(&body, number, size)
    }

    /// Gets the keys that `master` had given out, by their ids and in their order: Get key with key IDs (§5.3).
    ///
    /// # Errors
    /// As above; [`Etsi014Error::Missing`] when one is not in the answer.
    pub async fn dec_keys(&self, master: &SaeId, ids: &[KeyId]) -> Result<Vec<Key>, Etsi014Error> {
        let body = self.ask(Method::POST, master, "dec_keys", Some(&KeyIds::new(ids))).await?;
        named_keys(&body, ids)
    }

    async fn ask<B: Serialize>(
        &self,
        method: Method,
        sae: &SaeId,
        what: &str,
        body: Option<&B>,
    ) -> Result<Zeroizing<Vec<u8>>, Etsi014Error> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| Etsi014Error::Address(self.address()))?.pop_if_empty().extend([
            "api",
            "v1",
            "keys",
            sae.as_str(),
            what,
        ]);
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        // Of its final size at once: growing would leave copies of keys behind.
        let mut read = Zeroizing::new(Vec::with_capacity(MOST));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if read.len() + chunk.len() > MOST {
                return Err(Etsi014Error::TooLong(MOST));
            }
            read.extend_from_slice(&chunk);
        }
        match status {
            StatusCode::OK => Ok(read),
            StatusCode::BAD_REQUEST => Err(Etsi014Error::BadRequest(ErrorBody::said(&read))),
            StatusCode::UNAUTHORIZED => Err(Etsi014Error::Unauthorized(ErrorBody::said(&read))),
            StatusCode::SERVICE_UNAVAILABLE => Err(Etsi014Error::Unavailable(ErrorBody::said(&read))),
            other => Err(Etsi014Error::Answer { status: other.as_u16(), said: ErrorBody::said(&read) }),
        }
    }

    /// The KME, as messages name it.
    fn address(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> Etsi014Error {
        let address = self.address();
        match tls::fault(error) {
            Some(fault) => Etsi014Error::Untrusted { address, reason: fault.to_string() },
            None => Etsi014Error::Unreachable { address, reason: innermost(error) },
        }
    }
}

/// What the last in a chain of errors says: the others repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
