//! One request and its answer: TLS, bounded bodies, and nothing that lets a secret slip out. Repeating is for others.

use std::{
    error::Error,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode, Url,
    header::{self, HeaderValue},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    version::TLS13,
};
use tokio::{sync::OnceCell, time::Instant};
use zeroize::Zeroizing;

use super::{IbmError, config::Base};

/// Of a refusal, more is not read.
const MOST_REFUSAL: usize = 64 * 1024;
/// A connection that idles longer is not used again: the service may close it while a request is on its way.
const IDLE: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Body>,
    /// The largest answer, bytes.
    pub(super) most: usize,
    pub(super) timeout: Duration,
}

/// A body and what it is.
#[derive(Clone)]
pub(super) struct Body {
    pub(super) kind: &'static str,
    pub(super) bytes: Bytes,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The connections, made when they are first needed: reading the system's certificates takes a while.
pub(super) struct Http {
    client: OnceCell<reqwest::Client>,
    /// Whether any address is https,
    secure: bool,
    /// and whether any is not.
    plain: bool,
}

impl Http {
    pub(super) fn new(bases: &[&Base]) -> Self {
        let (secure, plain) =
            (bases.iter().any(|base| base.is_secure()), bases.iter().any(|base| !base.is_secure()));
        Self { client: OnceCell::new(), secure, plain }
    }

    async fn client(&self) -> Result<&reqwest::Client, IbmError> {
        let make = async || {
            let tls = if self.secure {
                // Files of the system, some hundred kilobytes.
                let made = tokio::task::spawn_blocking(trusting_the_system).await;
                made.map_err(|_| IbmError::Roots)??
            } else {
                trusting_nobody()?
            };
            let here = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .pool_idle_timeout(IDLE)
                // The token would follow to wherever the answer says.
                .redirect(reqwest::redirect::Policy::none())
                // Not looked up, since whoever answers could name another machine and be sent the key in the clear.
                .resolve_to_addrs("localhost", &here.map(|host| SocketAddr::new(host, 0)))
                .user_agent(concat!("qchat/", env!("CARGO_PKG_VERSION")));
            // A proxy carries https sealed; plain http to this machine needs none, and would be read there.
            let builder = if self.plain { builder.no_proxy() } else { builder };
            builder.build().map_err(|_| IbmError::Roots)
        };
        self.client.get_or_try_init(make).await
    }

    /// Sends a request with these headers beside its own.
    ///
    /// # Errors
    /// [`IbmError::Unreachable`] when nothing was sent; [`IbmError::Lost`] and [`IbmError::Timeout`] when it may have
    /// been; [`IbmError::TooLarge`].
    pub(super) async fn send(
        &self,
        ask: &Ask,
        headers: impl IntoIterator<Item = (&'static str, HeaderValue)>,
    ) -> Result<Answer, IbmError> {
        let mut request =
            self.client().await?.request(ask.method.clone(), ask.url.clone()).timeout(ask.timeout);
        request = request.header(header::ACCEPT, "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = &ask.body {
            request = request.header(header::CONTENT_TYPE, body.kind).body(body.bytes.clone());
        }
        let began = Instant::now();
        let answer = self.exchange(ask, request).await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (method, path) = (&ask.method, ask.url.path());
        match &answer {
            Ok(answer) => {
                tracing::debug!(%method, path, status = answer.status.as_u16(), bytes = answer.body.len(), ms, "answered");
            }
            Err(error) => tracing::debug!(%method, path, %error, ms, "not answered"),
        }
        answer
    }

    async fn exchange(&self, ask: &Ask, request: reqwest::RequestBuilder) -> Result<Answer, IbmError> {
        let lost = |error: reqwest::Error| failure(&ask.url, &error);
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(seconds);
        let most = if status.is_success() { ask.most } else { MOST_REFUSAL };
        let expected = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let mut body = Zeroizing::new(Vec::with_capacity(expected.min(most)));
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > most {
                if status.is_success() {
                    return Err(IbmError::TooLarge(most.div_ceil(1 << 20)));
                }
                break;
            }
            append(&mut body, &chunk);
        }
        Ok(Answer { status, retry_after, body })
    }
}

/// Appends without leaving a copy behind where a vector that grows would: answers are tokens and bits.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * body.capacity())));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

/// The seconds in `Retry-After`; the service writes no dates there.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn failure(url: &Url, error: &reqwest::Error) -> IbmError {
    let host = url.host_str().unwrap_or_default().to_owned();
    if error.is_connect() {
        return IbmError::Unreachable { host, reason: innermost(error) };
    }
    if error.is_timeout() {
        return IbmError::Timeout { host };
    }
    IbmError::Lost { host, reason: innermost(error) }
}

/// The cause of all, which alone says something; those around it repeat the address.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

/// TLS 1.3 alone, and what a recording would be opened by is agreed with ML-KEM where the service can.
fn versions(
    provider: CryptoProvider,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, IbmError> {
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13]);
    config.map_err(|_| IbmError::Roots)
}

fn provider() -> CryptoProvider {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

fn trusting_the_system() -> Result<ClientConfig, IbmError> {
    let verifier =
        rustls_platform_verifier::Verifier::new(Arc::new(provider())).map_err(|_| IbmError::Roots)?;
    let mut config = versions(provider())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// For those who speak plain http to this machine.
fn trusting_nobody() -> Result<ClientConfig, IbmError> {
    Ok(versions(provider())?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
