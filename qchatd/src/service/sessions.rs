//! Logins by a device's signature, and the two tokens that follow: a short-lived access token that every node can
//! check, and a refresh token that is good once.

use std::{collections::HashSet, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use qchat_proto::{
    crypto::{
        entropy::{Entropy, SystemEntropy},
        secret::Secret,
        sign::DevicePublicKey,
    },
    identity::{AccountProof, AccountRecord, DeviceCertificate, LoginProof},
    ids::{AccountId, DeviceId, ServerId},
    wire::{
        api::{Challenge, Login, Refresh, Session},
        fault::FaultCode,
    },
};
use sha2::{Digest as _, Sha256};

use super::{ServiceError, access, keys::ServerKeys, now, now_sql};
use crate::{
    bus::Bus,
    hub::Hub,
    limits::Limits,
    peer::Peer,
    service::{
        access::AccessTokens,
        audit::{About, Audit},
    },
    store::{
        Connection, Store, StoreError, accounts,
        audit::{Act, Actor, Outcome},
        erased,
        sessions::{self, Ended, Found, Owner, SessionId},
        token_keys::{self, TokenKey},
    },
};

/// Life of a refresh token, seconds; each exchange starts it anew.
const REFRESH_LIFE: i64 = 30 * 24 * 60 * 60;
/// Life of a challenge, seconds.
const CHALLENGE_LIFE: u64 = 60;
/// How long a retried exchange gets the same answer, seconds.
const RETRY: i64 = 30;
/// Seconds.
const HOUR: i64 = 60 * 60;
/// Sessions in one query; SQLite binds 32,766 values at most.
const ASKED: usize = 10_000;
/// Sizes that an idempotency key may have, bytes.
const IDEMPOTENCY_KEY: std::ops::RangeInclusive<usize> = 8..=64;

/// A caller whose access token is good and whose session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The session.
    pub session: SessionId,
}

/// Opens, renews and closes sessions.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    store: Store,
    hub: Arc<Hub>,
    bus: Bus,
    limits: Arc<Limits>,
    audit: Audit,
    server: ServerId,
    access: AccessTokens,
    refresh: Secret<32>,
    challenge: Secret<32>,
}

/// A session to be opened, with its first tokens: made before the transaction that stores it.
pub(super) struct NewSession {
    id: SessionId,
    refresh: RefreshToken,
    owner: Owner,
}

/// A refresh token in clear; only its digest is stored.
struct RefreshToken(Secret<32>);

impl RefreshToken {
    fn read(text: &str) -> Option<Self> {
        let bytes = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Secret::from_slice(&bytes).map(Self)
    }

    fn digest(&self) -> sessions::Digest {
        Sha256::digest(self.0.expose()).into()
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose())
    }
}

fn refused(message: &'static str) -> ServiceError {
    ServiceError::refuse(FaultCode::Unauthenticated, message)
}

/// What whoever has genuine tokens of an ended session is told.
fn ended(why: Ended) -> ServiceError {
    let message = match why {
        Ended::Everywhere => "all sessions of this account were ended from one of its devices; log in again",
        Ended::Reuse => {
            "a refresh token of this session was used twice, so somebody else may have a copy of it: the session is \
             closed for both; log in again"
        }
    };
    ServiceError::refuse(FaultCode::SessionEnded, message)
}

/// Makes a new signing key for access tokens, which all nodes use soon; returns all keys, the oldest first.
///
/// # Errors
/// When the database fails.
pub fn rotate_keys(conn: &mut Connection) -> Result<Vec<TokenKey>, ServiceError> {
    Ok(access::rotate(conn, true)?.0)
}

impl Sessions {
    pub(super) fn new(
        (store, hub, bus): (Store, Arc<Hub>, Bus),
        limits: Arc<Limits>,
        audit: Audit,
        server: ServerId,
        keys: &ServerKeys,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            hub,
            bus,
            limits,
            audit,
            server,
            access: AccessTokens::new(&keys.access, server),
            refresh: Secret::from_bytes(*keys.refresh.expose()),
            challenge: Secret::from_bytes(*keys.challenge.expose()),
        }))
    }

    /// Something to sign. The nonce authenticates itself, so that asking costs the database nothing.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn challenge(&self, account: AccountId, device: DeviceId) -> Result<Challenge, ServiceError> {
        let expires_at = now() + CHALLENGE_LIFE;
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&expires_at.to_be_bytes());
        SystemEntropy.fill(&mut nonce[8..16])?;
        let tag = self.nonce_tag(&nonce, account, device)?;
        nonce[16..].copy_from_slice(&tag);
        Ok(Challenge { nonce: nonce.to_vec().into(), server_id: self.0.server, expires_at })
    }

    /// Opens a session for a device that proves itself.
    ///
    /// # Errors
    /// `unauthenticated` when anything about the proof is wrong, without saying what; `rate_limited`.
    pub async fn log_in(&self, login: Login, from: Option<&Peer>) -> Result<Session, ServiceError> {
        let (account, device) = (login.account_id, login.device_id);
        let about = About { account: Some(account), device: Some(device), from };
        let forged = |error: ServiceError| {
            self.0.audit.refused(Act::SignIn, Outcome::WrongProof, About::peer(from));
            error
        };
        let nonce: [u8; 32] = login
            .nonce
            .as_ref()
            .try_into()
            .map_err(|_| forged(refused("the login proof does not verify")))?;
        let expires_at = self.check_nonce(&nonce, account, device).map_err(forged)?;
        let proof = LoginProof { nonce, server: self.0.server, expires_at, account, device };
        let session = NewSession::draw(Owner { account, device })?;
        let answer = self.answer(&session)?;
        let proved = move |conn: &mut Connection| {
            let Some(key) = device_key(conn, account, device)? else {
                if erased::by_id(conn, account)?.is_some() {
                    return Err(ServiceError::refuse(FaultCode::AccountDeleted, "this account was deleted"));
                }
                return Ok(None);
            };
            Ok::<_, ServiceError>(Some(proof.verify(login.signature.as_ref(), &key, now()).is_ok()))
        };
        // The signature is checked before the write: nobody without the key gets a durable commit out of us.
        match self.0.store.read(proved).await? {
            Some(true) => {}
            proved => {
                // A device that is not there is nobody's.
                let about = if proved.is_some() { about } else { About::peer(from) };
                self.0.audit.refused(Act::SignIn, Outcome::WrongProof, about);
                return Err(refused("the login proof does not verify"));
            }
        }
        self.0.limits.account_login(account).inspect_err(|_| {
            self.0.audit.note(Act::SignIn, Outcome::RateLimited, Actor::Account, about);
        })?;
        self.0
            .store
            .write(move |conn| {
                let expires = i64::try_from(expires_at).unwrap_or(i64::MAX);
                if !sessions::spend_nonce(conn, &nonce, expires, now_sql())? {
                    return Err(refused("this challenge was used before; ask for a new one"));
                }
                session.store(conn).map_err(ServiceError::from)
            })
            .await
            .inspect_err(|error| {
                if matches!(error, ServiceError::Refused(_)) {
                    self.0.audit.refused(Act::SignIn, Outcome::WrongProof, about);
                }
            })?;
        self.0.audit.done(Act::SignIn, about);
        Ok(answer)
    }

    /// Exchanges a refresh token for the next pair.
    ///
    /// # Errors
    /// `unauthenticated` when it is unknown, expired, or a repetition that comes late; `session_ended` when it was used
    /// before, which ends the session for everybody who has a token of it, and when the session has been ended.
    pub async fn refresh(&self, request: &Refresh, from: Option<&Peer>) -> Result<Session, ServiceError> {
        const UNKNOWN: &str = "the refresh token is not good; log in again";
        let key = request.idempotency_key.as_ref();
        if !IDEMPOTENCY_KEY.contains(&key.len()) {
            return Err(ServiceError::refuse(FaultCode::BadRequest, "an idempotency key has 8 to 64 bytes"));
        }
        let bad = || {
            self.0.audit.refused(Act::Refresh, Outcome::BadToken, About::peer(from));
            refused(UNKNOWN)
        };
        let old = RefreshToken::read(&request.refresh_token).ok_or_else(bad)?;
        let (old_digest, with): (_, [u8; 32]) = (old.digest(), Sha256::digest(key).into());
        // Derived, so that a retry gets the same one although only its digest is stored.
        let new = RefreshToken(self.successor(&old, key)?);
        let new_digest = new.digest();
        let exchanged = self
            .0
            .store
            .write(move |conn| exchange(conn, &old_digest, &with, &new_digest).map_err(ServiceError::from))
            .await?;
        match exchanged {
            Exchange::Done(session, owner) => Ok(Session {
                access_token: self.0.access.issue(owner, &session)?,
                expires_in: access::LIFE,
                refresh_token: new.text(),
            }),
            Exchange::Unknown => Err(bad()),
            Exchange::Ended(why) => Err(ended(why)),
            Exchange::Late(session) => {
                self.end(&HashSet::from([session]));
                Err(refused(UNKNOWN))
            }
            Exchange::Reused(session, owner) => {
                tracing::warn!(
                    account = %owner.account,
                    device = %owner.device,
                    "a refresh token was used twice: its session is closed"
                );
                let about = About { account: Some(owner.account), device: Some(owner.device), from };
                self.0.audit.refused(Act::Refresh, Outcome::TokenReused, about);
                self.end(&HashSet::from([session]));
                Err(ended(Ended::Reuse))
            }
        }
    }

    /// Ends the caller's session: its tokens and sockets.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_out(&self, caller: Caller, from: Option<&Peer>) -> Result<(), ServiceError> {
        self.0.store.write(move |conn| sessions::close(conn, &caller.session)).await?;
        self.end(&HashSet::from([caller.session]));
        self.0.audit.done(Act::SignOut, About::caller(&caller, from));
        Ok(())
    }

    /// Ends every session of the caller's account, the caller's own included: tokens and sockets, on all nodes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_out_everywhere(&self, caller: Caller, from: Option<&Peer>) -> Result<(), ServiceError> {
        let all = move |conn: &mut Connection| sessions::end_all(conn, caller.account, Ended::Everywhere);
        let ended = self.0.store.write(all).await?;
        self.end(&ended.into_iter().collect());
        self.0.audit.done(Act::SignOutEverywhere, About::caller(&caller, from));
        Ok(())
    }

    /// Who an access token belongs to, if it is genuine, in time, and its session is open.
    ///
    /// # Errors
    /// `session_ended` when it is genuine and its session was ended; `unauthenticated` otherwise, without saying why.
    pub async fn authenticate(&self, token: &str, from: Option<&Peer>) -> Result<Caller, ServiceError> {
        const UNKNOWN: &str =
            "this needs a good access token (Authorization: Bearer …); refresh yours or log in again";
        let unknown = || {
            // Who has none has not tried one.
            if !token.is_empty() {
                self.0.audit.refused(Act::Access, Outcome::BadToken, About::peer(from));
            }
            refused(UNKNOWN)
        };
        let (claimed, session) = self.0.access.check(token).ok_or_else(unknown)?;
        let found = self.0.store.read(move |conn| sessions::find(conn, &session, now_sql())).await?;
        match found {
            Some(Found { owner, ended: why }) if owner == claimed => match why {
                None => Ok(Caller { account: owner.account, device: owner.device, session }),
                Some(why) => Err(ended(why)),
            },
            _ => Err(unknown()),
        }
    }

    /// Closes the sockets whose sessions are no longer open: what other nodes have ended, and what has expired.
    ///
    /// # Errors
    /// When the database fails; then nothing is closed that it has not answered for.
    pub async fn end_revoked(&self) -> Result<(), ServiceError> {
        self.end_revoked_among(self.0.hub.sessions().into_iter().collect()).await
    }

    /// As [`end_revoked`](Self::end_revoked), of these sessions alone.
    ///
    /// # Errors
    /// When the database fails; then nothing is closed that it has not answered for.
    pub async fn end_revoked_among(&self, mut sessions: Vec<SessionId>) -> Result<(), ServiceError> {
        while !sessions.is_empty() {
            let asked = sessions.split_off(sessions.len().saturating_sub(ASKED));
            let gone = self
                .0
                .store
                .read(move |conn| {
                    let open = sessions::open_among(conn, &asked, now_sql())?;
                    Ok::<HashSet<_>, StoreError>(asked.into_iter().filter(|id| !open.contains(id)).collect())
                })
                .await?;
            self.0.hub.end_sessions(&gone);
        }
        Ok(())
    }

    /// What these two were asked to sign, if the nonce is ours, for them, and in time.
    pub(super) fn challenged(
        &self,
        nonce: &[u8],
        account: AccountId,
        device: DeviceId,
    ) -> Option<AccountProof> {
        let nonce: [u8; 32] = nonce.try_into().ok()?;
        let expires_at = self.check_nonce(&nonce, account, device).ok()?;
        Some(AccountProof { nonce, server: self.0.server, expires_at, account, device })
    }

    /// Closes the sockets of sessions that were ended here, at all nodes.
    pub(super) fn end(&self, ended: &HashSet<SessionId>) {
        self.0.hub.end_sessions(ended);
        self.0.bus.ended(ended);
    }

    /// Learns the keys of access tokens that the database tells of, and makes one when it is time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_keys(&self) -> Result<(), ServiceError> {
        let mut keys = self.0.store.read(token_keys::all).await?;
        if access::is_due(&keys, now_sql()) {
            let (all, made) = self.0.store.write(|conn| access::rotate(conn, false)).await?;
            keys = all;
            if made {
                self.0.audit.note(Act::RotateKeys, Outcome::Done, Actor::Daemon, About::default());
            }
        }
        self.0.access.take(keys)
    }

    /// What a client gets for a session that is about to be stored.
    pub(super) fn answer(&self, session: &NewSession) -> Result<Session, ServiceError> {
        Ok(Session {
            access_token: self.0.access.issue(session.owner, &session.id)?,
            expires_in: access::LIFE,
            refresh_token: session.refresh.text(),
        })
    }

    /// The nonce's expiry, if it is ours, for these two, and in time.
    fn check_nonce(
        &self,
        nonce: &[u8; 32],
        account: AccountId,
        device: DeviceId,
    ) -> Result<u64, ServiceError> {
        let genuine = self.nonce_mac(nonce, account, device)?.verify_truncated_left(&nonce[16..]).is_ok();
        let mut expires_at = [0; 8];
        expires_at.copy_from_slice(&nonce[..8]);
        let expires_at = u64::from_be_bytes(expires_at);
        if genuine && now() < expires_at {
            Ok(expires_at)
        } else {
            Err(refused("the challenge is not good any more; ask for a new one"))
        }
    }

    fn nonce_tag(
        &self,
        nonce: &[u8; 32],
        account: AccountId,
        device: DeviceId,
    ) -> Result<[u8; 16], ServiceError> {
        let mut tag = [0; 16];
        let whole = self.nonce_mac(nonce, account, device)?.finalize().into_bytes();
        tag.copy_from_slice(&whole[..16]);
        Ok(tag)
    }

    fn nonce_mac(
        &self,
        nonce: &[u8; 32],
        account: AccountId,
        device: DeviceId,
    ) -> Result<Hmac<Sha256>, ServiceError> {
        let mut mac = keyed(&self.0.challenge)?;
        mac.update(&nonce[..16]);
        mac.update(account.as_bytes());
        mac.update(device.as_bytes());
        Ok(mac)
    }

    fn successor(&self, old: &RefreshToken, idempotency_key: &[u8]) -> Result<Secret<32>, ServiceError> {
        let mut mac = keyed(&self.0.refresh)?;
        mac.update(old.0.expose());
        mac.update(idempotency_key);
        Ok(Secret::from_bytes(mac.finalize().into_bytes().into()))
    }
}

impl NewSession {
    pub(super) fn draw(owner: Owner) -> Result<Self, ServiceError> {
        let mut id = [0; 16];
        SystemEntropy.fill(&mut id)?;
        Ok(Self { id, refresh: RefreshToken(Secret::random(&SystemEntropy)?), owner })
    }

    pub(super) fn store(&self, conn: &mut Connection) -> Result<(), StoreError> {
        let (now, expires_at) = (now_sql(), now_sql() + REFRESH_LIFE);
        sessions::open(conn, &self.id, self.owner.device, now, expires_at)?;
        accounts::seen(conn, self.owner.device, now - now % HOUR)?;
        sessions::insert_token(conn, &self.refresh.digest(), &self.id, expires_at)
    }
}

enum Exchange {
    Done(SessionId, Owner),
    Unknown,
    /// The session was ended before.
    Ended(Ended),
    /// A repetition whose first answer nobody has used, after the time for retries. The session is closed.
    Late(SessionId),
    /// Somebody else has the token. The session is closed.
    Reused(SessionId, Owner),
}

fn exchange(
    conn: &mut Connection,
    old: &sessions::Digest,
    with: &sessions::Digest,
    new: &sessions::Digest,
) -> Result<Exchange, StoreError> {
    let now = now_sql();
    let Some(token) = sessions::token(conn, old)? else { return Ok(Exchange::Unknown) };
    let Some(found) = sessions::find(conn, &token.session, now)? else { return Ok(Exchange::Unknown) };
    if let Some(why) = found.ended {
        return Ok(Exchange::Ended(why));
    }
    match token.used {
        Some((used_at, used_with)) if used_with == with && now - used_at <= RETRY => {}
        // The answer was lost, and the owner comes back late: no reason for alarm, as long as nobody has gone on
        // with what was answered.
        Some((_, used_with))
            if used_with == with && sessions::token(conn, new)?.is_some_and(|next| next.used.is_none()) =>
        {
            sessions::close(conn, &token.session)?;
            return Ok(Exchange::Late(token.session));
        }
        Some(_) => {
            sessions::end(conn, &token.session, Ended::Reuse)?;
            return Ok(Exchange::Reused(token.session, found.owner));
        }
        None if token.expires_at <= now => return Ok(Exchange::Unknown),
        None => {
            sessions::use_token(conn, old, &token.session, now, with)?;
            sessions::insert_token(conn, new, &token.session, now + REFRESH_LIFE)?;
            sessions::extend(conn, &token.session, now + REFRESH_LIFE)?;
            accounts::seen(conn, found.owner.device, now - now % HOUR)?;
        }
    }
    Ok(Exchange::Done(token.session, found.owner))
}

/// The key in the stored certificate of a listed device of this account, checked under the account's own key again.
pub(super) fn device_key(
    conn: &mut Connection,
    account: AccountId,
    device: DeviceId,
) -> Result<Option<DevicePublicKey>, StoreError> {
    let Some(stored) = accounts::device(conn, device)? else { return Ok(None) };
    let Some(owner) = accounts::by_id(conn, account)? else { return Ok(None) };
    if stored.account != account || !stored.listed {
        return Ok(None);
    }
    let record =
        AccountRecord::verify(&owner.record).map_err(|_| StoreError::Corrupt("an account record"))?;
    let certificate = DeviceCertificate::verify(&stored.certificate, &record.identity_key)
        .map_err(|_| StoreError::Corrupt("a device certificate"))?;
    Ok(Some(certificate.device_key))
}

fn keyed(key: &Secret<32>) -> Result<Hmac<Sha256>, ServiceError> {
    Hmac::new_from_slice(key.expose()).map_err(|_| ServiceError::Defect("a key of the wrong size"))
}
