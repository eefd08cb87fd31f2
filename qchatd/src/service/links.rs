//! How a new device comes to an account: by the password it may speak with one of the account's devices, through this
//! daemon, for 10 minutes, and nothing else. That it belongs to the account then, the account signs.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use qchat_proto::{
    crypto::{entropy::SystemEntropy, secret::Secret},
    ids::{AccountId, DeviceId, LinkId, UserName},
    wire::{
        api::{
            Binary, DeviceEntry, Devices, Granted, LinkSession, LinkState, OpenLink, PendingLink, PutAnswer,
            Salt,
        },
        fault::FaultCode,
        limits,
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    ServiceError,
    audit::{About, Audit},
    now_sql,
    password::Passwords,
    sessions::Caller,
};
use crate::{
    bus::Bus,
    limits::Limits,
    peer::Peer,
    store::{
        Connection, Store, StoreError,
        accounts::{self, Verifier},
        audit::{Act, Actor, Outcome},
        links::{self, Link},
        sessions::Digest,
    },
};

/// How long a link may take, seconds: 10 minutes.
const LIFE: u32 = 10 * 60;
/// Bytes of a commitment.
const COMMITMENT: usize = 48;

/// Brings new and old devices together.
pub struct Links {
    store: Store,
    bus: Bus,
    limits: Arc<Limits>,
    passwords: Passwords,
    audit: Audit,
    strangers: Secret<32>,
}

/// A token that is good for one link; only its digest is stored.
pub struct LinkToken(Digest);

impl LinkToken {
    /// Reads one as it stands in a header; what is none is one that nobody has.
    pub fn read(text: &str) -> Self {
        let bytes = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(text).unwrap_or_default());
        Self(Sha256::digest(&*bytes).into())
    }
}

impl Links {
    pub(super) fn new(
        store: Store,
        bus: Bus,
        limits: Arc<Limits>,
        (passwords, audit): (Passwords, Audit),
        strangers: Secret<32>,
    ) -> Self {
        Self { store, bus, limits, passwords, audit, strangers }
    }

    /// The salt of an account's password. Who has no account has one, too, and it costs as much to find.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn salt(&self, name: UserName) -> Result<Salt, ServiceError> {
        let stranger = self.stranger(&name, b"salt")?;
        let known = self.store.read(move |conn| accounts::by_name(conn, &name)).await?;
        let salt = known.map_or_else(|| stranger[..16].to_vec(), |account| account.auth_salt.to_vec());
        Ok(Salt { auth_salt: salt.into() })
    }

    /// Lets a device that knows the password ask the account's devices. A link of before is over then.
    ///
    /// # Errors
    /// `unauthenticated` whether nobody has the name or the password is wrong, after the same work; `rate_limited`.
    pub async fn open(&self, request: OpenLink, from: Option<&Peer>) -> Result<LinkSession, ServiceError> {
        let auth_key =
            Secret::from_slice(request.auth_key.as_ref()).ok_or_else(|| bad("auth_key has 32 bytes"))?;
        let commitment = request.commitment.as_ref().to_vec();
        if commitment.len() != COMMITMENT {
            return Err(bad("a commitment has 48 bytes"));
        }
        // By name, whether somebody has it or not: each is a guess.
        self.limits.name(&request.name)?;
        let nobodys = Verifier {
            salt: *self.stranger(&request.name, b"verifier salt")?.first_chunk().unwrap_or(&[0; 16]),
            hash: self.stranger(&request.name, b"verifier")?,
        };
        let name = request.name.clone();
        let account = self.store.read(move |conn| accounts::by_name(conn, &name)).await?;
        let verifier = account.as_ref().map_or(&nobodys, |account| &account.verifier);
        let good = self.passwords.verify(auth_key, verifier).await?;
        // The account's owner sees who tries; of a name that nobody has, there is nobody to tell.
        let about = About { account: account.as_ref().map(|account| account.id), ..About::peer(from) };
        let Some(account) = account.filter(|_| good) else {
            self.audit.refused(Act::LinkDevice, Outcome::WrongPassphrase, about);
            return Err(ServiceError::refuse(
                FaultCode::Unauthenticated,
                "the name or the passphrase is wrong",
            ));
        };

        let token = Secret::<32>::random(&SystemEntropy)?;
        let link = LinkId::random(&SystemEntropy)?;
        let text = URL_SAFE_NO_PAD.encode(token.expose());
        let digest = Sha256::digest(token.expose()).into();
        let account = account.id;
        let devices = self
            .store
            .write(move |conn| {
                let now = now_sql();
                let begun = Link {
                    account,
                    id: link,
                    created_at: now,
                    expires_at: now + i64::from(LIFE),
                    commitment,
                    answered: None,
                    opening: None,
                    confirmed: false,
                };
                links::begin(conn, &begun, &digest)?;
                listed(conn, account)
            })
            .await?;
        self.audit.note(Act::LinkDevice, Outcome::Done, Actor::Unknown, about);
        tracing::info!(%account, %link, "a device asks to be linked");
        self.bus.account_changed(&devices);
        Ok(LinkSession { link_id: link, token: text, expires_in: LIFE })
    }

    /// How far the new device's link is.
    ///
    /// # Errors
    /// `unauthenticated` when it is over.
    pub async fn state(&self, token: LinkToken) -> Result<LinkState, ServiceError> {
        let link = self.store.read(move |conn| found(conn, &token)).await?;
        Ok(LinkState {
            answer: link.answered.as_ref().map(|(_, answer)| answer.clone().into()),
            expires_in: left(&link),
        })
    }

    /// Stores what the new device opens, once.
    ///
    /// # Errors
    /// `unauthenticated` when the link is over; `conflict` before there is an answer, or when something else was opened.
    pub async fn put_opening(&self, token: LinkToken, opening: Binary) -> Result<(), ServiceError> {
        sized(&opening, limits::LINK, "an opening")?;
        self.step(token, move |link| {
            let opening = opening.as_ref();
            match &link.opening {
                _ if link.answered.is_none() => Err(conflict("no device has answered yet")),
                Some(before) if before != opening => Err(conflict("something else was opened before")),
                _ => {
                    link.opening = Some(opening.to_vec());
                    Ok(())
                }
            }
        })
        .await
    }

    /// Stores that the new device's user has compared the codes.
    ///
    /// # Errors
    /// `unauthenticated` when the link is over; `conflict` before the new device has opened.
    pub async fn confirm(&self, token: LinkToken) -> Result<(), ServiceError> {
        self.step(token, |link| {
            if link.opening.is_none() {
                return Err(conflict("nothing was opened yet"));
            }
            link.confirmed = true;
            Ok(())
        })
        .await
    }

    /// Ends the new device's link.
    ///
    /// # Errors
    /// `unauthenticated` when it is over already.
    pub async fn cancel(&self, token: LinkToken) -> Result<(), ServiceError> {
        let (devices, link) = self
            .store
            .write(move |conn| {
                let link = found(conn, &token)?;
                links::end(conn, link.account)?;
                Ok::<_, ServiceError>((listed(conn, link.account)?, link))
            })
            .await?;
        tracing::info!(account = %link.account, link = %link.id, "a link was given up by the new device");
        self.bus.account_changed(&devices);
        Ok(())
    }

    /// The link that waits for the caller's account.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn pending(&self, caller: Caller) -> Result<PendingLink, ServiceError> {
        let link = self.store.read(move |conn| links::of_account(conn, caller.account, now_sql())).await?;
        let link = link.ok_or_else(none)?;
        Ok(PendingLink {
            link_id: link.id,
            commitment: link.commitment.clone().into(),
            created_at: u64::try_from(link.created_at).unwrap_or(0),
            expires_in: left(&link),
            answered_by: link.answered.map(|(device, _)| device),
            opening: link.opening.map(Binary::from),
            confirmed: link.confirmed,
        })
    }

    /// Answers a new device. The first of the account's devices to do so goes on with it.
    ///
    /// # Errors
    /// `not_found` when that link is over; `conflict` when another answer is there.
    pub async fn answer(&self, caller: Caller, request: PutAnswer) -> Result<(), ServiceError> {
        sized(&request.answer, limits::LINK, "an answer")?;
        self.store
            .write(move |conn| {
                let mut link = pending(conn, caller.account, request.link_id)?;
                let answered = (caller.device, request.answer.as_ref().to_vec());
                if link.answered.as_ref().is_some_and(|before| *before != answered) {
                    return Err(conflict("another device has answered"));
                }
                link.answered = Some(answered);
                Ok(links::advance(conn, &link)?)
            })
            .await
    }

    /// Refuses a new device: its link is over.
    ///
    /// # Errors
    /// `not_found` when that link is over already.
    pub async fn refuse(&self, caller: Caller, link: LinkId) -> Result<(), ServiceError> {
        let devices = self
            .store
            .write(move |conn| {
                pending(conn, caller.account, link)?;
                links::end(conn, caller.account)?;
                Ok::<_, ServiceError>(listed(conn, caller.account)?)
            })
            .await?;
        tracing::info!(account = %caller.account, device = %caller.device, %link, "a link was refused");
        self.bus.account_changed(&devices);
        Ok(())
    }

    /// What is sealed for the caller.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn grant(&self, caller: Caller) -> Result<Granted, ServiceError> {
        let sealed = self.store.read(move |conn| links::grant(conn, caller.device)).await?;
        let sealed = sealed
            .ok_or_else(|| ServiceError::refuse(FaultCode::NotFound, "nothing is kept for this device"))?;
        Ok(Granted { grant: sealed.into() })
    }

    /// The caller has taken what was sealed for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_grant(&self, caller: Caller) -> Result<(), ServiceError> {
        Ok(self.store.write(move |conn| links::forget_grant(conn, caller.device)).await?)
    }

    /// What is known of the account's devices beside what is signed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn devices(&self, caller: Caller) -> Result<Devices, ServiceError> {
        let known = self.store.read(move |conn| accounts::known_devices(conn, caller.account)).await?;
        let entry = |known: accounts::Known| DeviceEntry {
            device_id: known.device,
            label: known.label.map(Binary::from),
            last_seen: known.last_seen.and_then(|at| u64::try_from(at).ok()),
        };
        Ok(Devices { devices: known.into_iter().map(entry).collect() })
    }

    /// Replaces the caller's label.
    ///
    /// # Errors
    /// `bad_request` or `too_large`.
    pub async fn put_label(&self, caller: Caller, label: Binary) -> Result<(), ServiceError> {
        sized(&label, limits::LABEL, "a label")?;
        let label = label.as_ref().to_vec();
        Ok(self.store.write(move |conn| accounts::label_device(conn, caller.device, &label)).await?)
    }

    /// Changes the new device's link, and tells the account's devices.
    async fn step(
        &self,
        token: LinkToken,
        change: impl FnOnce(&mut Link) -> Result<(), ServiceError> + Send + 'static,
    ) -> Result<(), ServiceError> {
        let devices = self
            .store
            .write(move |conn| {
                let mut link = found(conn, &token)?;
                change(&mut link)?;
                links::advance(conn, &link)?;
                Ok::<_, ServiceError>(listed(conn, link.account)?)
            })
            .await?;
        self.bus.account_changed(&devices);
        Ok(())
    }

    /// 32 bytes that a name which nobody has keeps for as long as the key file is the same.
    fn stranger(&self, name: &UserName, what: &[u8]) -> Result<[u8; 32], ServiceError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.strangers.expose())
            .map_err(|_| ServiceError::Defect("a key of the wrong size"))?;
        mac.update(what);
        mac.update(&[0]);
        mac.update(name.as_str().as_bytes());
        Ok(mac.finalize().into_bytes().into())
    }
}

/// Whether bytes that nobody here can read have a size that is possible.
pub(super) fn sized(bytes: &Binary, most: usize, what: &str) -> Result<(), ServiceError> {
    match bytes.as_ref().len() {
        0 => Err(ServiceError::refuse(FaultCode::BadRequest, format!("{what} is empty"))),
        size if size > most => {
            Err(ServiceError::refuse(FaultCode::TooLarge, format!("{what} has at most {most} bytes")))
        }
        _ => Ok(()),
    }
}

/// The devices that are told of an account's changes.
pub(super) fn listed(conn: &mut Connection, account: AccountId) -> Result<Vec<DeviceId>, StoreError> {
    let devices = accounts::devices(conn, account)?;
    Ok(devices.into_iter().filter(|device| device.listed).map(|device| device.id).collect())
}

/// The link of this id that waits for an account.
pub(super) fn pending(conn: &mut Connection, account: AccountId, link: LinkId) -> Result<Link, ServiceError> {
    let found = links::of_account(conn, account, now_sql())?;
    found.filter(|found| found.id == link).ok_or_else(none)
}

fn found(conn: &mut Connection, token: &LinkToken) -> Result<Link, ServiceError> {
    links::by_token(conn, &token.0, now_sql())?.ok_or_else(|| {
        ServiceError::refuse(
            FaultCode::Unauthenticated,
            "this link is over: it was completed, refused, replaced by another, or took too long",
        )
    })
}

fn left(link: &Link) -> u32 {
    u32::try_from(link.expires_at - now_sql()).unwrap_or(0)
}

fn none() -> ServiceError {
    ServiceError::refuse(
        FaultCode::NotFound,
        "no device waits to be linked: it was given up, replaced by another, or took too long",
    )
}

fn conflict(message: &'static str) -> ServiceError {
    ServiceError::refuse(FaultCode::Conflict, message)
}

fn bad(message: &'static str) -> ServiceError {
    ServiceError::refuse(FaultCode::BadRequest, message)
}
