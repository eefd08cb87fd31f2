//! The REST interface: one method for each route of `qchat_proto::wire::api`.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use qchat_proto::{
    ids::{AccountId, DeviceId, FileId, LinkId, RoomId, Seq, UserName},
    wire::{
        api::{
            AccountNotes, Activity, AddRecovered, Backups, Challenge, ChallengeRequest, ChangePassphrase,
            Chunks, ClaimKeyPackages, ClaimedKeyPackages, CompleteFile, CreateRoom, DeleteAccount, Devices,
            Directory, DirectoryGrowth, DirectoryHead, DirectoryHistory, ExportAccount, FileParts, FileQuota,
            Granted, IdentityKey, JoinRequests, KeyPackageCount, LinkSession, LinkState, Login, OpenLink,
            PassphraseSalt, PendingLink, PutAccountNotes, PutAnswer, PutBackup, PutDeviceList, PutFile,
            PutJoinRequest, PutKeyPackages, PutLabel, PutOpening, Recover, Recovered, RecoveryChallenge,
            RecoveryChallengeRequest, Refresh, Register, Room, RoomInvitation, Rooms, Salt, SaltRequest,
            ServerInfo, Session,
        },
        chunk::ChunkId,
        fault::{FaultBody, FaultCode},
        limits,
        trace::{self, TraceParent},
        tree::TreeHash,
    },
};
use reqwest::{Method, RequestBuilder, header::HeaderValue};
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::OnceCell;
use tracing::Instrument;

use super::{Base, NetError, Server, error::draw, tls};

/// Largest answer in JSON that is read, bytes: a hundred KeyPackages of the largest size.
const MOST: usize = 16 * 1024 * 1024;

/// How long a ratchet tree may take, megabytes as it is; the daemon waits as long.
const TREE: Duration = Duration::from_mins(10);

/// How long a connection is kept for the next request. The daemon closes one that idles for 5 s, and a request that
/// crosses its closing would fail.
const IDLE: Duration = Duration::from_secs(3);

/// How long requests that the daemon does not take yet are tried again.
const PATIENCE: Duration = Duration::from_secs(6);

/// Speaks to one daemon; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    base: Base,
    /// Made when it is first needed: many commands ask nothing of the daemon.
    http: Arc<OnceCell<reqwest::Client>>,
    timeout: Duration,
}

type Answer<T> = Result<T, NetError>;

/// What speaks HTTP to one address: it goes there itself, follows nobody elsewhere, and does not look up this machine.
pub(super) async fn http(base: &Base, timeout: Duration) -> Answer<reqwest::Client> {
    let tls = match base.tls() {
        Some(tls) => tls.config().await?,
        None => tls::none().map_err(|why| base.untrusted(why))?,
    };
    let builder = reqwest::Client::builder().tls_backend_preconfigured(ClientConfig::clone(&tls));
    let builder = match base.tls() {
        Some(_) => builder.https_only(true),
        None => builder.resolve_to_addrs("localhost", &base.local()),
    };
    builder
        .timeout(timeout)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        // The socket goes there directly, too.
        .no_proxy()
        .user_agent(concat!("qchat/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| NetError::Protocol(error.to_string().into()))
}

impl Client {
    /// A client whose requests take `timeout` at most.
    ///
    /// # Errors
    /// As [`Base::new`].
    pub fn new(server: Server, timeout: Duration) -> Answer<Self> {
        Ok(Self { base: Base::new(server)?, http: Arc::default(), timeout })
    }

    async fn http(&self) -> Answer<&reqwest::Client> {
        self.http.get_or_try_init(async || http(&self.base, self.timeout).await).await
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
        self.json(self.request(Method::GET, "server", None).await?).await
    }

    /// `POST /v1/accounts`
    pub async fn register(&self, body: &Register) -> Answer<Session> {
        self.post("accounts", None, body).await
    }

    /// `GET /v1/accounts/by-name/{name}`; `since`: the epoch of the newest head of the key directory that is known.
    pub async fn directory_by_name(
        &self,
        token: &str,
        name: &UserName,
        since: Option<u64>,
    ) -> Answer<Directory> {
        self.get(&format!("accounts/by-name/{name}{}", query(since)), token).await
    }

    /// `GET /v1/accounts/{id}`; `since` as above.
    pub async fn directory(&self, token: &str, account: AccountId, since: Option<u64>) -> Answer<Directory> {
        self.get(&format!("accounts/{account}{}", query(since)), token).await
    }

    /// `GET /v1/accounts/{id}/history`: what the key directory has said, the last `recent` times; `since` as above.
    pub async fn directory_history(
        &self,
        token: &str,
        account: AccountId,
        recent: u16,
        since: Option<u64>,
    ) -> Answer<DirectoryHistory> {
        let since = since.map_or_else(String::new, |epoch| format!("&since={epoch}"));
        self.get(&format!("accounts/{account}/history?recent={recent}{since}"), token).await
    }

    /// `GET /v1/directory/head`; `since` as above.
    pub async fn directory_head(&self, token: &str, since: Option<u64>) -> Answer<DirectoryHead> {
        self.get(&format!("directory/head{}", query(since)), token).await
    }

    /// `GET /v1/directory/audit`: how the key directory has grown after the epoch `from` up to `to`, a part of it.
    pub async fn directory_growth(&self, token: &str, from: u64, to: u64) -> Answer<DirectoryGrowth> {
        self.get(&format!("directory/audit?from={from}&to={to}"), token).await
    }

    /// `PUT /v1/account/device-list`
    pub async fn put_device_list(&self, token: &str, body: &PutDeviceList) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/device-list", Some(token)).await?.json(body)).await
    }

    /// `GET /v1/account/devices`
    pub async fn devices(&self, token: &str) -> Answer<Devices> {
        self.get("account/devices", token).await
    }

    /// `PUT /v1/account/label`
    pub async fn put_label(&self, token: &str, body: &PutLabel) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/label", Some(token)).await?.json(body)).await
    }

    /// `GET /v1/account/notes`
    pub async fn notes(&self, token: &str) -> Answer<AccountNotes> {
        self.get("account/notes", token).await
    }

    /// `PUT /v1/account/notes`
    pub async fn put_notes(&self, token: &str, body: &PutAccountNotes) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/notes", Some(token)).await?.json(body)).await
    }

    /// `PUT /v1/rooms/{id}/join-request`
    pub async fn put_join_request(&self, token: &str, room: RoomId, body: &PutJoinRequest) -> Answer<()> {
        let path = format!("rooms/{room}/join-request");
        self.done(self.request(Method::PUT, &path, Some(token)).await?.json(body)).await
    }

    /// `GET /v1/account/join-requests`
    pub async fn join_requests(&self, token: &str) -> Answer<JoinRequests> {
        self.get("account/join-requests", token).await
    }

    /// `DELETE /v1/rooms/{id}/join-requests/{account}`
    pub async fn forget_join_request(&self, token: &str, room: RoomId, account: AccountId) -> Answer<()> {
        let path = format!("rooms/{room}/join-requests/{account}");
        self.done(self.request(Method::DELETE, &path, Some(token)).await?).await
    }

    /// `POST /v1/links/salt`
    pub async fn salt(&self, body: &SaltRequest) -> Answer<Salt> {
        self.post("links/salt", None, body).await
    }

    /// `POST /v1/links`
    pub async fn open_link(&self, body: &OpenLink) -> Answer<LinkSession> {
        self.post("links", None, body).await
    }

    /// `GET /v1/link`, with the link's own token, as the three that follow.
    pub async fn link_state(&self, link_token: &str) -> Answer<LinkState> {
        self.get("link", link_token).await
    }

    /// `PUT /v1/link/opening`
    pub async fn put_opening(&self, link_token: &str, body: &PutOpening) -> Answer<()> {
        self.done(self.request(Method::PUT, "link/opening", Some(link_token)).await?.json(body)).await
    }

    /// `POST /v1/link/confirm`
    pub async fn confirm_link(&self, link_token: &str) -> Answer<()> {
        self.done(self.request(Method::POST, "link/confirm", Some(link_token)).await?).await
    }

    /// `DELETE /v1/link`
    pub async fn cancel_link(&self, link_token: &str) -> Answer<()> {
        self.done(self.request(Method::DELETE, "link", Some(link_token)).await?).await
    }

    /// `GET /v1/account/link`
    pub async fn pending_link(&self, token: &str) -> Answer<PendingLink> {
        self.get("account/link", token).await
    }

    /// `PUT /v1/account/link/answer`
    pub async fn answer_link(&self, token: &str, body: &PutAnswer) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/link/answer", Some(token)).await?.json(body)).await
    }

    /// `DELETE /v1/account/link/{id}`
    pub async fn refuse_link(&self, token: &str, link: LinkId) -> Answer<()> {
        self.done(self.request(Method::DELETE, &format!("account/link/{link}"), Some(token)).await?).await
    }

    /// `GET /v1/account/grant`
    pub async fn grant(&self, token: &str) -> Answer<Granted> {
        self.get("account/grant", token).await
    }

    /// `DELETE /v1/account/grant`
    pub async fn take_grant(&self, token: &str) -> Answer<()> {
        self.done(self.request(Method::DELETE, "account/grant", Some(token)).await?).await
    }

    /// `GET /v1/account/activity`
    pub async fn activity(&self, token: &str, before: Option<u64>, limit: u32) -> Answer<Activity> {
        let before = before.map(|seq| format!("&before={seq}")).unwrap_or_default();
        self.get(&format!("account/activity?limit={limit}{before}"), token).await
    }

    /// `GET /v1/account/passphrase`
    pub async fn passphrase_salt(&self, token: &str) -> Answer<PassphraseSalt> {
        self.get("account/passphrase", token).await
    }

    /// `PUT /v1/account/passphrase`
    pub async fn change_passphrase(&self, token: &str, body: &ChangePassphrase) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/passphrase", Some(token)).await?.json(body)).await
    }

    /// `POST /v1/account/export`, whose answer is read by [`Client::next_part`].
    pub async fn export(&self, token: &str, body: &ExportAccount) -> Answer<reqwest::Response> {
        let request = self.request(Method::POST, "account/export", Some(token)).await?.json(body);
        let request = request.timeout(TREE).build().map_err(|error| self.failed(&error))?;
        let mut response = self.http().await?.execute(request).await.map_err(|error| self.failed(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let mut refused = vec![];
        while let Some(part) = self.next_part(&mut response).await? {
            refused.extend_from_slice(&part);
            if refused.len() > MOST {
                break;
            }
        }
        Err(refusal(response.status(), &refused))
    }

    /// The next part of an answer that is too large to be read at once; `None` at its end.
    pub async fn next_part(&self, response: &mut reqwest::Response) -> Answer<Option<Bytes>> {
        let part = tokio::time::timeout(self.timeout, response.chunk()).await;
        part.map_err(|_| NetError::Timeout)?.map_err(|error| self.failed(&error))
    }

    /// `POST /v1/recovery/challenge`
    pub async fn recovery_challenge(&self, body: &RecoveryChallengeRequest) -> Answer<RecoveryChallenge> {
        self.post("recovery/challenge", None, body).await
    }

    /// `POST /v1/recovery`
    pub async fn recover(&self, body: &Recover) -> Answer<Recovered> {
        self.post("recovery", None, body).await
    }

    /// `POST /v1/recovery/device`
    pub async fn add_recovered(&self, body: &AddRecovered) -> Answer<()> {
        self.done(self.request(Method::POST, "recovery/device", None).await?.json(body)).await
    }

    /// `GET /v1/account/backups`
    pub async fn backups(&self, token: &str) -> Answer<Backups> {
        self.get("account/backups", token).await
    }

    /// `PUT /v1/account/backup`
    pub async fn put_backup(&self, token: &str, body: &PutBackup) -> Answer<()> {
        self.done(self.request(Method::PUT, "account/backup", Some(token)).await?.json(body)).await
    }

    /// `POST /v1/account/backup/missing`
    pub async fn missing_chunks(&self, token: &str, body: &Chunks) -> Answer<Chunks> {
        self.post("account/backup/missing", Some(token), body).await
    }

    /// `PUT /v1/account/backup/chunks/{id}`
    pub async fn put_chunk(&self, token: &str, chunk: ChunkId, bytes: Bytes) -> Answer<()> {
        let path = format!("account/backup/chunks/{chunk}");
        self.done(self.request(Method::PUT, &path, Some(token)).await?.body(bytes)).await
    }

    /// `GET /v1/account/backups/{device}/chunks/{id}`
    pub async fn chunk(&self, token: &str, device: DeviceId, chunk: ChunkId) -> Answer<Vec<u8>> {
        let path = format!("account/backups/{device}/chunks/{chunk}");
        self.body(self.request(Method::GET, &path, Some(token)).await?, limits::BACKUP_CHUNK).await
    }

    /// `DELETE /v1/account/backups/{device}`
    pub async fn delete_backup(&self, token: &str, device: DeviceId) -> Answer<()> {
        let path = format!("account/backups/{device}");
        self.done(self.request(Method::DELETE, &path, Some(token)).await?).await
    }

    /// `POST /v1/account/delete`
    pub async fn delete_account(&self, body: &DeleteAccount) -> Answer<()> {
        self.done(self.request(Method::POST, "account/delete", None).await?.json(body)).await
    }

    /// `GET /v1/accounts/{id}/identity-key`
    pub async fn erased_identity_key(&self, token: &str, account: AccountId) -> Answer<IdentityKey> {
        self.get(&format!("accounts/{account}/identity-key"), token).await
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
        self.done(self.request(Method::DELETE, "sessions", Some(token)).await?).await
    }

    /// `DELETE /v1/account/sessions`
    pub async fn logout_everywhere(&self, token: &str) -> Answer<()> {
        self.done(self.request(Method::DELETE, "account/sessions", Some(token)).await?).await
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
        let request = self.request(Method::GET, &path, Some(token)).await?.timeout(TREE);
        Ok(self.body(request, limits::RATCHET_TREE).await?.into())
    }

    /// `PUT /v1/rooms/{id}/trees/{hash}`
    pub async fn put_tree(&self, token: &str, room: RoomId, hash: TreeHash, tree: Bytes) -> Answer<()> {
        let request = self.request(Method::PUT, &format!("rooms/{room}/trees/{hash}"), Some(token)).await?;
        self.done(request.timeout(TREE).body(tree)).await
    }

    /// `PUT /v1/rooms/{id}/files/{file}`
    pub async fn put_file(
        &self,
        token: &str,
        room: RoomId,
        file: FileId,
        body: &PutFile,
    ) -> Answer<FileParts> {
        let request = self.request(Method::PUT, &format!("rooms/{room}/files/{file}"), Some(token)).await?;
        self.json(request.json(body)).await
    }

    /// `PUT /v1/rooms/{id}/files/{file}/parts/{number}`
    pub async fn put_file_part(
        &self,
        token: &str,
        room: RoomId,
        file: FileId,
        number: u64,
        part: Bytes,
    ) -> Answer<()> {
        let path = format!("rooms/{room}/files/{file}/parts/{number}");
        self.done(self.request(Method::PUT, &path, Some(token)).await?.timeout(TREE).body(part)).await
    }

    /// `POST /v1/rooms/{id}/files/{file}/complete`
    pub async fn complete_file(
        &self,
        token: &str,
        room: RoomId,
        file: FileId,
        body: &CompleteFile,
    ) -> Answer<()> {
        let path = format!("rooms/{room}/files/{file}/complete");
        self.done(self.request(Method::POST, &path, Some(token)).await?.json(body)).await
    }

    /// `GET /v1/rooms/{id}/files/{file}`, a stretch of it. Stops when nothing comes for as long as a request may take.
    pub async fn file(&self, token: &str, room: RoomId, file: FileId, range: Range<u64>) -> Answer<Vec<u8>> {
        let request = self.request(Method::GET, &format!("rooms/{room}/files/{file}"), Some(token)).await?;
        let most = usize::try_from(range.end - range.start).unwrap_or(MOST).min(MOST);
        let stretch = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        self.body(request.timeout(TREE).header(reqwest::header::RANGE, stretch), most).await
    }

    /// `DELETE /v1/rooms/{id}/files/{file}`
    pub async fn delete_file(&self, token: &str, room: RoomId, file: FileId) -> Answer<()> {
        let path = format!("rooms/{room}/files/{file}");
        self.done(self.request(Method::DELETE, &path, Some(token)).await?).await
    }

    /// `GET /v1/account/files`
    pub async fn file_quota(&self, token: &str) -> Answer<FileQuota> {
        self.get("account/files", token).await
    }

    /// `POST /v1/rooms/{id}/join`
    pub async fn join(&self, token: &str, room: RoomId) -> Answer<()> {
        self.done(self.request(Method::POST, &format!("rooms/{room}/join"), Some(token)).await?).await
    }

    /// `POST /v1/rooms/{id}/decline`
    pub async fn decline(&self, token: &str, room: RoomId) -> Answer<()> {
        self.done(self.request(Method::POST, &format!("rooms/{room}/decline"), Some(token)).await?).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Answer<T> {
        self.json(self.request(Method::GET, path, Some(token)).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Answer<T> {
        self.json(self.request(Method::POST, path, token).await?.json(body)).await
    }

    async fn request(&self, method: Method, path: &str, token: Option<&str>) -> Answer<RequestBuilder> {
        let scheme = if self.base.tls().is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/v1/{path}", self.base.address());
        let trace = draw()?;
        let mut request = self.http().await?.request(method, url).header(trace::HEADER, trace.to_string());
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

    /// Sends a request once, under its name in the logs of both sides.
    async fn once(&self, request: RequestBuilder, most: usize) -> Answer<Vec<u8>> {
        let request = request.build().map_err(|error| self.failed(&error))?;
        let header = request.headers().get(trace::HEADER).and_then(|value| value.to_str().ok());
        let trace = header.and_then(|value| value.parse().ok()).map(|parent: TraceParent| parent.trace());
        let span = tracing::info_span!(
            "request",
            trace = trace.map(tracing::field::display),
            method = %request.method(),
            path = request.url().path(),
        );
        let began = Instant::now();
        // Boxed: it is a part of nearly all that the engine does, and large.
        let answer = Box::pin(self.sent(request, most).instrument(span.clone())).await;
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        span.in_scope(|| match &answer {
            Ok(body) => tracing::debug!(bytes = body.len(), ms, "answered"),
            Err(error) => tracing::info!(%error, ms, "not carried out"),
        });
        answer.map_err(|error| match trace {
            Some(trace) => error.traced(trace),
            None => error,
        })
    }

    async fn sent(&self, request: reqwest::Request, most: usize) -> Answer<Vec<u8>> {
        let mut response = self.http().await?.execute(request).await.map_err(|error| self.failed(&error))?;
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
        Err(refusal(response.status(), &body))
    }

    fn failed(&self, error: &reqwest::Error) -> NetError {
        if error.is_timeout() {
            return NetError::Timeout;
        }
        if let Some(refused) = self.base.tls().and_then(|tls| tls.refused(error)) {
            return refused;
        }
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        NetError::Unreachable { address: self.base.address(), reason: reason.to_string() }
    }
}

fn refusal(status: reqwest::StatusCode, body: &[u8]) -> NetError {
    match serde_json::from_slice::<FaultBody>(body) {
        Ok(body) => NetError::fault(body.error),
        Err(_) => NetError::Protocol(format!("the server answered {status}").into()),
    }
}

fn query(since: Option<u64>) -> String {
    since.map_or_else(String::new, |epoch| format!("?since={epoch}"))
}
