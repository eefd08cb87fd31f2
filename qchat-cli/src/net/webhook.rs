//! A web service that is told of messages, over https or on this machine.

use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::OnceCell;
use url::Url;

use super::{Base, NetError, Server, rest, tls};

/// Somebody to be told.
pub struct Webhook {
    base: Base,
    /// It may have a secret in it, and is never shown.
    url: Url,
    timeout: Duration,
    http: OnceCell<reqwest::Client>,
}

/// It was not told.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is no way to it.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The way broke, or it took too long.
    #[error("no answer: {0}")]
    Lost(String),
    /// It says no.
    #[error("it answered {0}")]
    Refused(StatusCode),
}

impl WebhookError {
    /// Whether another try makes sense.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Net(NetError::Unreachable { .. }) | Self::Lost(_) => true,
            Self::Net(_) => false,
            Self::Refused(status) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
            }
        }
    }
}

impl Webhook {
    /// Takes https, trusted by the system's roots, and plain http to this machine.
    ///
    /// # Errors
    /// As [`Base::new`].
    pub fn new(url: Url, timeout: Duration) -> Result<Self, NetError> {
        let mut origin = url.clone();
        origin.set_path("/");
        origin.set_query(None);
        origin.set_fragment(None);
        let server =
            Server { url: origin, trust: tls::Trust::default(), key_exchange: tls::KeyExchange::default() };
        Ok(Self { base: Base::new(server)?, url, timeout, http: OnceCell::new() })
    }

    /// Posts a JSON object. `key`: the same when it is posted again.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn post(&self, key: &str, object: &[u8]) -> Result<(), WebhookError> {
        let http = self.http.get_or_try_init(async || rest::http(&self.base, self.timeout).await).await?;
        let sending = http
            .post(self.url.clone())
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", key)
            .body(object.to_vec())
            .send();
        let answer = sending.await.map_err(|error| WebhookError::Lost(error.without_url().to_string()))?;
        if answer.status().is_success() { Ok(()) } else { Err(WebhookError::Refused(answer.status())) }
    }
}
