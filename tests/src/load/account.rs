//! The accounts that make the load, each with one device: registered over REST, which costs the daemon a slow hash each,
//! or those of a database that `qchatd admin seed` has filled, whose keys follow from the seed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use qchat_proto::{
    crypto::sign::DeviceSigningKey,
    identity::LoginProof,
    ids::{AccountId, DeviceId, RoomId},
    wire::{
        api::{Challenge, ChallengeRequest, CreateRoom, Login, Register, Room, Session},
        tree::TreeHash,
    },
};
use qchatd::service::seed::Plan;
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::measure::Progress;
use crate::{
    device::{noise, registration},
    tls,
};

/// Requests that are underway at once.
const AT_ONCE: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// A token is good for five minutes; from this age on another is asked for.
const FRESH: Duration = Duration::from_mins(4);

/// Where accounts come from.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// New ones.
    Register,
    /// Those of a filled database.
    Seeded(Plan),
}

/// An account with its device.
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// The newest access token.
    pub token: String,
    key: DeviceSigningKey,
    since: Instant,
}

/// The daemon's REST interface.
#[derive(Clone)]
pub struct Rest {
    server: Url,
    http: reqwest::Client,
}

impl Rest {
    /// The daemon at this URL.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn new(server: Url) -> Result<Self> {
        let http = match server.scheme() {
            "https" => reqwest::Client::builder().tls_backend_preconfigured(tls::credulous(tls::HYBRID)),
            _ => crate::http::builder(),
        };
        Ok(Self { server, http: http.timeout(PATIENCE).build()? })
    }

    /// The daemon's URL.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// `count` accounts that are logged in.
    ///
    /// # Errors
    /// When the daemon refuses one, or the seed has not so many.
    pub async fn accounts(&self, source: Source, count: usize, progress: &Progress) -> Result<Vec<Account>> {
        let mut names = [0; 6];
        names.copy_from_slice(&noise(6));
        let made = (0..count).map(|number| async move {
            match source {
                Source::Register => self.register(&format!("load-{}-{number}", hex::encode(names))).await,
                Source::Seeded(plan) => self.seeded(plan, number).await,
            }
        });
        let mut made = futures_util::stream::iter(made).buffered(AT_ONCE);
        let mut accounts = Vec::with_capacity(count);
        while let Some(account) = made.try_next().await? {
            accounts.push(account);
            progress.say(|| format!("{} of {count} accounts", accounts.len()));
        }
        Ok(accounts)
    }

    async fn register(&self, name: &str) -> Result<Account> {
        let (body, key): (Register, _) = registration(name);
        let (id, device) = (body.account_id, body.device_id);
        let session: Session = self.post("v1/accounts", None, &body).await?;
        Ok(Account { id, device, token: session.access_token, key, since: Instant::now() })
    }

    async fn seeded(&self, plan: Plan, number: usize) -> Result<Account> {
        let number = u32::try_from(number + 1)?;
        let person = tokio::task::spawn_blocking(move || plan.person(number)).await??;
        let (id, device) = (person.account, person.device);
        let token = self.log_in(id, device, &person.key).await.with_context(|| {
            format!("{} of seed {} cannot log in: is the database filled with it?", person.name, plan.seed)
        })?;
        Ok(Account { id, device, token, key: person.key, since: Instant::now() })
    }

    async fn log_in(&self, account: AccountId, device: DeviceId, key: &DeviceSigningKey) -> Result<String> {
        let asked = ChallengeRequest { account_id: account, device_id: device };
        let challenge: Challenge = self.post("v1/sessions/challenge", None, &asked).await?;
        let proof = LoginProof {
            nonce: challenge.nonce.as_ref().try_into().context("a nonce has 32 bytes")?,
            server: challenge.server_id,
            expires_at: challenge.expires_at,
            account,
            device,
        };
        let signature = proof.sign(key)?.into();
        let login = Login { account_id: account, device_id: device, nonce: challenge.nonce, signature };
        let session: Session = self.post("v1/sessions", None, &login).await?;
        Ok(session.access_token)
    }

    /// Logs in those again whose tokens are about to expire.
    ///
    /// # Errors
    /// When the daemon refuses one.
    pub async fn freshen(&self, accounts: &mut [Account]) -> Result<()> {
        let old = accounts.iter_mut().filter(|account| account.since.elapsed() >= FRESH);
        let renewed = old.map(|account| async {
            account.token = self.log_in(account.id, account.device, &account.key).await?;
            account.since = Instant::now();
            anyhow::Ok(())
        });
        futures_util::stream::iter(renewed).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Logs in again: the token has expired, whatever the clocks say.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn log_in_again(&self, account: &mut Account) -> Result<()> {
        account.token = self.log_in(account.id, account.device, &account.key).await?;
        account.since = Instant::now();
        Ok(())
    }

    /// Creates a room of this account's.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn create_room(&self, token: &str, room_id: RoomId) -> Result<()> {
        let _: Room = self.post("v1/rooms", Some(token), &CreateRoom { room_id }).await?;
        Ok(())
    }

    /// Asks for a room, and gives the answer whatever it is: the status and the text.
    ///
    /// # Errors
    /// When there is none.
    pub async fn try_create_room(&self, token: &str, room_id: RoomId) -> Result<(u16, String)> {
        let url = self.server.join("v1/rooms")?;
        let response = self.http.post(url).bearer_auth(token).json(&CreateRoom { room_id }).send().await?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// Puts a tree there, ahead of the commit that names it.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn put_tree(&self, token: &str, room: RoomId, tree: Vec<u8>) -> Result<TreeHash> {
        let hash = TreeHash::of(&tree);
        let url = self.server.join(&format!("v1/rooms/{room}/trees/{hash}"))?;
        answered(self.http.put(url).bearer_auth(token).body(tree)).await?;
        Ok(hash)
    }

    /// Accepts an invitation.
    ///
    /// # Errors
    /// When the daemon refuses.
    pub async fn join(&self, token: &str, room: RoomId) -> Result<()> {
        let url = self.server.join(&format!("v1/rooms/{room}/join"))?;
        answered(self.http.post(url).bearer_auth(token)).await?;
        Ok(())
    }

    async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        body: &impl Serialize,
    ) -> Result<A> {
        let mut request = self.http.post(self.server.join(path)?).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Ok(answered(request).await?.json().await?)
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
    let response = request.send().await?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (path, status) = (response.url().path().to_owned(), response.status());
    bail!("{path}: {status} {}", response.text().await.unwrap_or_default())
}
