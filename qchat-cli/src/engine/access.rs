//! Access to the daemon: the session's tokens, refreshed or won by a device proof, by one process at a time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use qchat_proto::{
    crypto::{entropy::Entropy, sign::DeviceSigningKey},
    identity::{AccountProof, Deed, JoinRequest, LoginProof},
    ids::{AccountId, DeviceId, RoomId, ServerId},
    invite::LinkSecret,
    wire::{
        api::{Binary, Challenge, ChallengeRequest, Login, Proof, Refresh, Session},
        fault::{Fault, FaultCode},
    },
};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::{clock, entropy::MixedEntropy, error::EngineError};
use crate::{
    net::{NetError, rest::Client},
    store::{Profile, SessionTokens, StoreError, Tx},
};

/// A token with less life than this is renewed before it is used, seconds.
const MARGIN: u64 = 30;
/// How long to wait for another process that is renewing, seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gives out access tokens.
#[derive(Clone)]
pub(crate) struct Access {
    profile: Profile,
    rest: Client,
    account: AccountId,
    device: DeviceId,
    server: ServerId,
    /// Present at an address that is not the profile's own: set once the daemon there has given the right name.
    named: Option<Arc<OnceCell<()>>>,
    /// What the daemon said when it refused because the session was ended: whoever asks later is told as well.
    ended: Arc<Mutex<Option<Fault>>>,
}

impl Access {
    pub(crate) fn new(
        profile: Profile,
        rest: Client,
        account: AccountId,
        device: DeviceId,
        server: ServerId,
    ) -> Self {
        Self { profile, rest, account, device, server, named: None, ended: Arc::default() }
    }

    /// Asks the daemon for its name before any token goes there: the user has given another address.
    pub(crate) fn ask_for_the_name(&mut self) {
        self.named = Some(Arc::default());
    }

    async fn named(&self) -> Result<(), EngineError> {
        let Some(named) = &self.named else { return Ok(()) };
        named.get_or_try_init(async || self.expect_server(self.rest.server().await?.server_id)).await.copied()
    }

    fn expect_server(&self, id: ServerId) -> Result<(), EngineError> {
        expect_server(self.server, id)
    }

    /// A token that is good for at least half a minute. The profile that was logged out stays so.
    pub(crate) async fn token(&self) -> Result<Zeroizing<String>, EngineError> {
        self.named().await?;
        if let Some(token) = self.fresh().await? {
            return Ok(token);
        }
        let _lock = self.profile.lock(PATIENCE).await?;
        // Whoever held the lock may have renewed it.
        if let Some(token) = self.fresh().await? {
            return Ok(token);
        }
        let tokens = self.stored().await?.ok_or_else(|| self.logged_out())?;
        match self.refresh(tokens).await {
            Ok(session) => self.keep(session).await,
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::Unauthenticated => {
                self.prove().await
            }
            Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::SessionEnded => {
                self.profile.write_async(Tx::forget_session).await?;
                Err(self.was_ended(fault))
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets the session of a token, after the daemon has said that it was ended on purpose: this device logs in
    /// again when its user says so, and not by itself. Gives the error to go on with.
    pub(crate) async fn forget(&self, token: &str, fault: Fault) -> Result<EngineError, EngineError> {
        let _lock = self.profile.lock(PATIENCE).await?;
        if self.stored().await?.is_some_and(|tokens| tokens.access_token.as_str() == token) {
            self.profile.write_async(Tx::forget_session).await?;
        }
        Ok(self.was_ended(fault))
    }

    fn was_ended(&self, fault: Fault) -> EngineError {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
        NetError::Fault(fault).into()
    }

    fn logged_out(&self) -> EngineError {
        match &*self.ended.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => NetError::Fault(fault.clone()).into(),
            None => EngineError::LoggedOut,
        }
    }

    /// Makes a request with a token, and once more with a new one when the daemon refuses a token that looked good: its
    /// key or its session is gone.
    pub(crate) async fn ask<T, F>(&self, request: impl Fn(Zeroizing<String>) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, NetError>>,
    {
        let token = self.token().await?;
        match request(token.clone()).await {
            Err(NetError::Fault(fault)) if fault.code == FaultCode::Unauthenticated => {
                Ok(request(self.renew(&token).await?).await?)
            }
            Err(NetError::Fault(fault)) if fault.code == FaultCode::SessionEnded => {
                Err(self.forget(&token, fault).await?)
            }
            other => Ok(other?),
        }
    }

    /// A token in place of one that the daemon refused although its time was not over.
    pub(crate) async fn renew(&self, refused: &str) -> Result<Zeroizing<String>, EngineError> {
        let _lock = self.profile.lock(PATIENCE).await?;
        let tokens = self.stored().await?.ok_or_else(|| self.logged_out())?;
        if tokens.access_token.as_str() == refused { self.prove().await } else { Ok(tokens.access_token) }
    }

    /// Logs in by the device key, whatever the stored tokens are.
    pub(crate) async fn login(&self) -> Result<Zeroizing<String>, EngineError> {
        let _lock = self.profile.lock(PATIENCE).await?;
        self.prove().await
    }

    /// Ends the session here and at the daemon.
    pub(crate) async fn logout(&self) -> Result<(), EngineError> {
        let _lock = self.profile.lock(PATIENCE).await?;
        let Some(tokens) = self.stored().await? else { return Ok(()) };
        self.named().await?;
        let told = self.rest.logout(&tokens.access_token).await;
        self.profile.write_async(Tx::forget_session).await?;
        match told {
            // An expired token means that there is nothing left to end but the refresh token, which is forgotten here.
            Err(NetError::Fault(fault)) if fault.code == FaultCode::Unauthenticated => Ok(()),
            other => Ok(other?),
        }
    }

    /// Ends the sessions of all devices of the account at the daemon, and then this one's here.
    pub(crate) async fn logout_everywhere(&self) -> Result<(), EngineError> {
        self.ask(|token| async move { self.rest.logout_everywhere(&token).await }).await?;
        let _lock = self.profile.lock(PATIENCE).await?;
        self.profile.write_async(Tx::forget_session).await?;
        Ok(())
    }

    async fn stored(&self) -> Result<Option<SessionTokens>, StoreError> {
        self.profile.read_async(Tx::session).await
    }

    async fn fresh(&self) -> Result<Option<Zeroizing<String>>, EngineError> {
        let tokens = self.stored().await?.ok_or_else(|| self.logged_out())?;
        Ok((tokens.expires_at > clock::seconds() + MARGIN).then_some(tokens.access_token))
    }

    async fn refresh(&self, tokens: SessionTokens) -> Result<Session, EngineError> {
        // The attempt's key is stored first: a retry after a crash is the same exchange, not a reuse.
        let attempt = if let Some(attempt) = tokens.refresh_attempt {
            attempt
        } else {
            let mut attempt = [0; 16];
            MixedEntropy.fill(&mut attempt).map_err(|error| EngineError::Keys(error.to_string()))?;
            let begun = SessionTokens { refresh_attempt: Some(attempt), ..tokens.clone() };
            self.profile.write_async(move |tx| tx.put_session(&begun)).await?;
            attempt
        };
        let request = Refresh {
            refresh_token: tokens.refresh_token.to_string(),
            idempotency_key: Binary::from(attempt.to_vec()),
        };
        Ok(self.rest.refresh(&request).await?)
    }

    /// This device's word for something that is to be done to its account.
    pub(crate) async fn account_proof(&self, deed: Deed<'_>) -> Result<Proof, EngineError> {
        let (own, _) = self.keys().await?;
        let (challenge, nonce) = challenge(&self.rest, (self.account, self.device), self.server).await?;
        let proof = AccountProof {
            nonce,
            server: self.server,
            expires_at: challenge.expires_at,
            account: self.account,
            device: self.device,
        };
        let signature = proof.sign(deed, &own).map_err(|error| EngineError::Keys(error.to_string()))?;
        Ok(Proof { nonce: challenge.nonce, signature: signature.into() })
    }

    /// What this device says to be let into a room, by a link's secret.
    pub(crate) async fn join_request(
        &self,
        room: RoomId,
        secret: &LinkSecret,
    ) -> Result<Vec<u8>, EngineError> {
        let (own, _) = self.keys().await?;
        let request = JoinRequest {
            server: self.server,
            room,
            link: secret.id(),
            account: self.account,
            device: self.device,
            created_at: clock::seconds(),
        };
        request.seal(secret, &own).map_err(|error| EngineError::Keys(error.to_string()))
    }

    /// This device's key, and the next one while that is on its way to the daemon.
    async fn keys(&self) -> Result<(DeviceSigningKey, Option<DeviceSigningKey>), EngineError> {
        let keys = self.profile.read_async(|tx| Ok::<_, StoreError>((tx.identity()?, tx.next_key()?)));
        let (own, next) = keys.await?;
        let own = own.ok_or(EngineError::LoggedOut)?;
        let key =
            |seed| DeviceSigningKey::from_seed(seed).map_err(|error| EngineError::Keys(error.to_string()));
        Ok((key(own.device_key)?, next.map(|next| key(next.key.seed)).transpose()?))
    }

    /// Logs in by the device key. While another is on its way to the daemon, that may have it already: only the answer was
    /// lost.
    async fn prove(&self) -> Result<Zeroizing<String>, EngineError> {
        let (own, next) = self.keys().await?;
        let who = (self.account, self.device);
        let session = match (prove(&self.rest, who, self.server, &own).await, next) {
            (Err(EngineError::Net(NetError::Fault(fault))), Some(next))
                if fault.code == FaultCode::Unauthenticated =>
            {
                prove(&self.rest, who, self.server, &next).await
            }
            (outcome, _) => outcome,
        }?;
        self.keep(session).await
    }

    async fn keep(&self, session: Session) -> Result<Zeroizing<String>, EngineError> {
        let tokens = tokens(session);
        let access = tokens.access_token.clone();
        self.profile.write_async(move |tx| tx.put_session(&tokens)).await?;
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(access)
    }
}

fn expect_server(expected: ServerId, id: ServerId) -> Result<(), EngineError> {
    if id == expected {
        return Ok(());
    }
    Err(EngineError::Refused(
        "this is not the server that the account was registered with; check --server".to_owned(),
    ))
}

/// Something for a device to sign, from the server that is expected, with its nonce read.
async fn challenge(
    rest: &Client,
    (account, device): (AccountId, DeviceId),
    server: ServerId,
) -> Result<(Challenge, [u8; 32]), EngineError> {
    let challenge = rest.challenge(&ChallengeRequest { account_id: account, device_id: device }).await?;
    expect_server(server, challenge.server_id)?;
    let nonce = challenge
        .nonce
        .as_ref()
        .try_into()
        .map_err(|_| EngineError::Net(NetError::Protocol("the login challenge is malformed".into())))?;
    Ok((challenge, nonce))
}

/// Logs a device in by its key.
pub(crate) async fn prove(
    rest: &Client,
    (account, device): (AccountId, DeviceId),
    server: ServerId,
    key: &DeviceSigningKey,
) -> Result<Session, EngineError> {
    let (challenge, nonce) = challenge(rest, (account, device), server).await?;
    let proof = LoginProof { nonce, server, expires_at: challenge.expires_at, account, device };
    let signature = proof.sign(key).map_err(|error| EngineError::Keys(error.to_string()))?;
    let login =
        Login { account_id: account, device_id: device, nonce: challenge.nonce, signature: signature.into() };
    Ok(rest.login(&login).await?)
}

/// A session as it is stored.
pub(crate) fn tokens(session: Session) -> SessionTokens {
    SessionTokens {
        access_token: Zeroizing::new(session.access_token),
        expires_at: clock::seconds() + u64::from(session.expires_in),
        refresh_token: Zeroizing::new(session.refresh_token),
        refresh_attempt: None,
    }
}
