//! The REST interface: one method for each route of `qchat_proto::wire::api`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use qchat_proto::{
    ids::{AccountId, RoomId, Seq, UserName},
    wire::{
        api::{
            Challenge, ChallengeRequest, ClaimKeyPackages, ClaimedKeyPackages, CreateRoom, Directory,
            KeyPackageCount, Login, PutDeviceList, PutKeyPackages, Refresh, Register, Room, RoomInvitation,
            Rooms, ServerInfo, Session,
        },
        fault::{FaultBody, FaultCode},
        limits,
        tree::TreeHash,
    },
};
use reqwest::{Method, RequestBuilder, header::HeaderValue};
use serde::{Serialize, de::DeserializeOwned};
use url::{Host, Url};

use super::NetError;

/// Largest answer in JSON that is read, bytes: a hundred KeyPackages of the largest size.
const MOST: usize = 16 * 1024 * 1024;

/// How long a ratchet tree may take, megabytes as it is; the daemon waits as long.
const TREE: Duration = Duration::from_mins(10);

/// How long a connection is kept for the next request. The daemon closes one that idles for 5 s, and a request that
/// crosses its closing would fail.
const IDLE: Duration = Duration::from_secs(3);

/// How long requests that the daemon does not take yet are tried again.
const PATIENCE: Duration = Duration::from_secs(6);

/// A daemon's address, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    url: Url,
    host: String,
    port: u16,
}

impl Base {
    /// Takes plain http to this machine, and nothing else.
    ///
    /// # Errors
    /// [`NetError::PlainHttp`] for another machine, [`NetError::Address`] for another scheme or form.
    pub fn new(url: Url) -> Result<Self, NetError> {
        let wrong = || NetError::Address { url: url.to_string() };
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if url.scheme() != "http" || !bare {
            return Err(wrong());
        }
        let local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(wrong()),
        };
        if !local {
            return Err(NetError::PlainHttp { url: url.to_string() });
        }
        let host = url.host_str().ok_or_else(wrong)?.to_owned();
        let port = url.port_or_known_default().ok_or_else(wrong)?;
        Ok(Self { url, host, port })
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Where to connect to: loopback addresses, in the order to try. `localhost` is not looked up, since whoever
    /// answers the look-up could name another machine and be sent the token in the clear.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        let hosts = match self.url.host() {
            Some(Host::Ipv4(host)) => vec![IpAddr::V4(host)],
            Some(Host::Ipv6(host)) => vec![IpAddr::V6(host)],
            _ => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        };
        hosts.into_iter().map(|host| SocketAddr::new(host, self.port)).collect()
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// Speaks to one daemon; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    base: Base,
    http: reqwest::Client,
    timeout: Duration,
}

type Answer<T> = Result<T, NetError>;

impl Client {
    /// A client whose requests take `timeout` at most.
    ///
    /// # Errors
    /// As [`Base::new`].
    pub fn new(server: Url, timeout: Duration) -> Answer<Self> {
        let base = Base::new(server)?;
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            .resolve_to_addrs("localhost", &base.sockets())
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the environment has no business between two programs on one machine.
            .no_proxy()
            .user_agent(concat!("qchat/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| NetError::Protocol(error.to_string().into()))?;
        Ok(Self { base, http, timeout })
    }

    /// The daemon's address.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// `GET /v1/server`
    ///
    /// # Errors
    /// [`NetError`], as every method here.
    pub async fn server(&self) -> Answer<ServerInfo> {
        self.json(self.request(Method::GET, "server", None)?).await
    }

    /// `POST /v1/accounts`
    pub async fn register(&self, body: &Register) -> Answer<Session> {
        self.post("accounts", None, body).await
    }

    /// `GET /v1/accounts/by-name/{name}`
    pub async fn directory_by_name(&self, token: &str, name: &UserName) -> Answer<Directory> {
        self.get(&format!("accounts/by-name/{name}"), token).await
    }

    /// `GET /v1/accounts/{id}`
    pub async fn directory(&self, token: &str, account: AccountId) -> Answer<Directory> {
        self.get(&format!("accounts/{account}"), token).await
    }

    /// `PUT /v1/account/device-list`
    pub async fn put_device_list(&self, token: &str, body: &PutDeviceList) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/device-list", Some(token))?.json(body)).await
    }

    /// `POST /v1/sessions/challenge`
    pub async fn challenge(&self, body: &ChallengeRequest) -> Answer<Challenge> {
        self.post("sessions/challenge", None, body).await
    }

    /// `POST /v1/sessions`
    pub async fn login(&self, body: &Login) -> Answer<Session> {
        self.post("sessions", None, body).await
    }

    /// `POST /v1/sessions/refresh`
    pub async fn refresh(&self, body: &Refresh) -> Answer<Session> {
        self.post("sessions/refresh", None, body).await
    }

    /// `DELETE /v1/sessions`
    pub async fn logout(&self, token: &str) -> Answer<()> {
        self.done(self.request(Method::DELETE, "sessions", Some(token))?).await
    }

    /// `DELETE /v1/account/sessions`
    pub async fn logout_everywhere(&self, token: &str) -> Answer<()> {
        self.done(self.request(Method::DELETE, "account/sessions", Some(token))?).await
    }

    /// `POST /v1/key-packages`
    pub async fn put_key_packages(&self, token: &str, body: &PutKeyPackages) -> Answer<KeyPackageCount> {
        self.post("key-packages", Some(token), body).await
    }

    /// `GET /v1/key-packages`
    pub async fn key_package_count(&self, token: &str) -> Answer<KeyPackageCount> {
        self.get("key-packages", token).await
    }

    /// `POST /v1/key-packages/claim`
    pub async fn claim_key_packages(
        &self,
        token: &str,
        body: &ClaimKeyPackages,
    ) -> Answer<ClaimedKeyPackages> {
        self.post("key-packages/claim", Some(token), body).await
    }

    /// `POST /v1/rooms`
    pub async fn create_room(&self, token: &str, body: &CreateRoom) -> Answer<Room> {
        self.post("rooms", Some(token), body).await
    }

    /// `GET /v1/rooms`
    pub async fn rooms(&self, token: &str) -> Answer<Rooms> {
        self.get("rooms", token).await
    }

    /// `GET /v1/rooms/{id}`
    pub async fn room(&self, token: &str, room: RoomId) -> Answer<Room> {
        self.get(&format!("rooms/{room}"), token).await
    }

    /// `GET /v1/rooms/{id}/invitation`
    pub async fn invitation(&self, token: &str, room: RoomId) -> Answer<RoomInvitation> {
        self.get(&format!("rooms/{room}/invitation"), token).await
    }

    /// `GET /v1/rooms/{id}/invitation/{seq}/tree`. Stops when nothing comes for as long as a request may take.
    pub async fn tree(&self, token: &str, room: RoomId, seq: Seq) -> Answer<Bytes> {
        let path = format!("rooms/{room}/invitation/{}/tree", seq.0);
        let request = self.request(Method::GET, &path, Some(token))?.timeout(TREE);
        Ok(self.body(request, limits::RATCHET_TREE).await?.into())
    }

    /// `PUT /v1/rooms/{id}/trees/{hash}`
    pub async fn put_tree(&self, token: &str, room: RoomId, hash: TreeHash, tree: Bytes) -> Answer<()> {
        let request = self.request(Method::PUT, &format!("rooms/{room}/trees/{hash}"), Some(token))?;
        self.done(request.timeout(TREE).body(tree)).await
    }

    /// `POST /v1/rooms/{id}/join`
    pub async fn join(&self, token: &str, room: RoomId) -> Answer<()> {
        self.done(self.request(Method::POST, &format!("rooms/{room}/join"), Some(token))?).await
    }

    /// `POST /v1/rooms/{id}/decline`
    pub async fn decline(&self, token: &str, room: RoomId) -> Answer<()> {
        self.done(self.request(Method::POST, &format!("rooms/{room}/decline"), Some(token))?).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Answer<T> {
        self.json(self.request(Method::GET, path, Some(token))?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Answer<T> {
        self.json(self.request(Method::POST, path, token)?.json(body)).await
    }

    fn request(&self, method: Method, path: &str, token: Option<&str>) -> Answer<RequestBuilder> {
        let url = format!("http://{}/v1/{path}", self.base.address());
        let mut request = self.http.request(method, url);
        if let Some(token) = token {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| NetError::Protocol("the access token is malformed".into()))?;
            bearer.set_sensitive(true);
            request = request.header(reqwest::header::AUTHORIZATION, bearer);
        }
        Ok(request)
    }

    async fn done(&self, request: RequestBuilder) -> Answer<()> {
        self.body(request, MOST).await.map(|_| ())
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Answer<T> {
        let body = self.body(request, MOST).await?;
        // What exactly is wrong with the answer could quote it, and answers hold tokens.
        serde_json::from_slice(&body)
            .map_err(|_| NetError::Protocol("the server's answer is not what the protocol says".into()))
    }

    /// Sends a request; one that comes too early is sent again when the daemon takes it, if that is soon.
    async fn body(&self, mut request: RequestBuilder, most: usize) -> Answer<Vec<u8>> {
        let until = Instant::now() + PATIENCE.min(self.timeout);
        loop {
            let again = request.try_clone();
            let refused = match self.once(request, most).await {
                Err(NetError::Fault(fault)) if fault.code == FaultCode::RateLimited => fault,
                other => return other,
            };
            let pause = refused.retry_after.map(|seconds| Duration::from_secs(seconds.into()));
            match (again, pause) {
                (Some(again), Some(pause)) if Instant::now() + pause < until => {
                    tokio::time::sleep(pause).await;
                    request = again;
                }
                _ => return Err(NetError::Fault(refused)),
            }
        }
    }

    async fn once(&self, request: RequestBuilder, most: usize) -> Answer<Vec<u8>> {
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let mut body = vec![];
        loop {
            let chunk = tokio::time::timeout(self.timeout, response.chunk()).await;
            let chunk = chunk.map_err(|_| NetError::Timeout)?.map_err(|error| self.failed(&error))?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > most {
                return Err(NetError::Protocol("the server's answer is too large".into()));
            }
            body.extend_from_slice(&chunk);
        }
        if response.status().is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<FaultBody>(&body) {
            Ok(body) => Err(NetError::fault(body.error)),
            Err(_) => Err(NetError::Protocol(format!("the server answered {}", response.status()).into())),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> NetError {
        if error.is_timeout() {
            return NetError::Timeout;
        }
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        NetError::Unreachable { address: self.base.address(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_only_for_this_machine() {
        enum Want {
            Taken(&'static str),
            Plain,
            Wrong,
        }
        for (url, want) in [
            ("http://127.0.0.1:8440", Want::Taken("127.0.0.1:8440")),
            ("http://127.8.8.8:1/", Want::Taken("127.8.8.8:1")),
            ("http://[::1]:9", Want::Taken("[::1]:9")),
            ("http://localhost", Want::Taken("localhost:80")),
            ("http://127.1:8440", Want::Taken("127.0.0.1:8440")),
            ("http://[::ffff:127.0.0.1]:9", Want::Plain),
            ("http://127.0.0.1:8440/prefix", Want::Wrong),
            ("http://127.0.0.1:8440/?token=1", Want::Wrong),
            ("http://localhost.example.org:8440", Want::Plain),
            ("http://192.168.0.7:8440", Want::Plain),
            ("http://127.0.0.1.example.org", Want::Plain),
            ("http://0.0.0.0:8440", Want::Plain),
            ("https://chat.example.org", Want::Wrong),
            ("ftp://127.0.0.1", Want::Wrong),
            ("http://user:password@127.0.0.1", Want::Wrong),
        ] {
            let base = Base::new(url.parse().unwrap());
            match (want, base) {
                (Want::Taken(address), Ok(base)) => {
                    assert_eq!(base.address(), address);
                    assert!(base.sockets().iter().all(|socket| socket.ip().is_loopback()));
                }
                (Want::Plain, Err(NetError::PlainHttp { .. }))
                | (Want::Wrong, Err(NetError::Address { .. })) => {}
                (_, other) => panic!("{url}: {other:?}"),
            }
        }
    }
}
