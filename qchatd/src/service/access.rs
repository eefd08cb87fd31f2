//! The keys that sign access tokens, and which of them checks one.
//!
//! The signing key changes by itself: a new one is announced in the database before it signs, and the old one is taken
//! until the last token that it signed has expired. So nobody is logged out by it.

use std::sync::{Arc, PoisonError, RwLock};

use super::{
    ServiceError, now, now_sql,
    token::{self, Claims, SKEW},
};
use crate::store::{
    Connection,
    sessions::{Owner, SessionId},
    token_keys::{self, TokenKey},
};
use jsonwebtoken::{DecodingKey, EncodingKey, Validation};
use qchat_proto::{
    crypto::{
        entropy::{Entropy, SystemEntropy},
        kdf,
        secret::Secret,
    },
    ids::ServerId,
};

/// Life of an access token, seconds.
pub(super) const LIFE: u32 = 5 * 60;
/// How long before it signs a key is announced, seconds: every node looks for new keys more often than that.
const LEAD: i64 = 6;
/// How long a key signs, seconds.
const KEY_LIFE: i64 = 7 * 24 * 60 * 60;
/// How long a key is taken after its successor signs, seconds: the life of a token, and what clocks differ by.
const AFTERLIFE: i64 = LIFE as i64 + 2 * SKEW.cast_signed();

/// Issues and checks access tokens.
pub(super) struct AccessTokens {
    root: Secret<64>,
    server: ServerId,
    validation: Validation,
    ring: RwLock<Arc<Ring>>,
}

/// The keys that this node knows, the oldest first.
#[derive(Default)]
struct Ring {
    rows: Vec<TokenKey>,
    keys: Vec<Key>,
}

struct Key {
    kid: String,
    signs_from: i64,
    ends_at: Option<i64>,
    signing: EncodingKey,
    checking: DecodingKey,
}

impl AccessTokens {
    /// Knows no key until [`Self::take`] gives it some.
    pub(super) fn new(root: &Secret<64>, server: ServerId) -> Self {
        let validation = token::validation(server);
        Self { root: Secret::from_bytes(*root.expose()), server, validation, ring: RwLock::default() }
    }

    /// Takes over what the database says about the keys.
    pub(super) fn take(&self, rows: Vec<TokenKey>) -> Result<(), ServiceError> {
        if self.ring().rows == rows {
            return Ok(());
        }
        let keys = rows.iter().map(|row| self.key(row)).collect::<Result<_, _>>()?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Ring { rows, keys });
        Ok(())
    }

    fn key(&self, row: &TokenKey) -> Result<Key, ServiceError> {
        let info = [b"qchatd 2 access token ".as_slice(), &row.salt].concat();
        let secret: Secret<64> = kdf::derive(self.root.expose(), &info)
            .map_err(|_| ServiceError::Defect("a token key could not be derived"))?;
        Ok(Key {
            kid: hex::encode(row.id),
            signs_from: row.signs_from,
            ends_at: row.ends_at,
            signing: EncodingKey::from_secret(secret.expose()),
            checking: DecodingKey::from_secret(secret.expose()),
        })
    }

    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn issue(&self, owner: Owner, session: &SessionId) -> Result<String, ServiceError> {
        let ring = self.ring();
        let time = now_sql();
        // By a clock that is behind, none may sign yet: then the first, which every node knows.
        let key = ring.keys.iter().rev().find(|key| key.signs_from <= time).or(ring.keys.first());
        let key = key.ok_or(ServiceError::Defect("there is no key to sign an access token"))?;
        let now = now();
        let claims = Claims {
            sub: owner.account,
            dev: owner.device,
            sid: hex::encode(session),
            aud: self.server,
            iat: now,
            nbf: now,
            exp: now + u64::from(LIFE),
        };
        token::sign(&claims, &key.kid, &key.signing)
            .map_err(|_| ServiceError::Defect("an access token could not be signed"))
    }

    /// Who the token is about, if it is genuine and in time.
    pub(super) fn check(&self, token: &str) -> Option<(Owner, SessionId)> {
        let ring = self.ring();
        let kid = token::kid(token)?;
        let key = ring.keys.iter().find(|key| key.kid == kid)?;
        if key.ends_at.is_some_and(|end| end <= now_sql()) {
            return None;
        }
        let claims = token::read(token, &key.checking, &self.validation, now())?;
        let mut session = SessionId::default();
        hex::decode_to_slice(&claims.sid, &mut session).ok()?;
        Some((Owner { account: claims.sub, device: claims.dev }, session))
    }
}

/// Whether a key has to be made: there is none, or the newest has signed for its time.
pub(super) fn is_due(keys: &[TokenKey], now: i64) -> bool {
    keys.iter().map(|key| key.signs_from).max().is_none_or(|newest| newest + KEY_LIFE <= now)
}

/// Makes a new key if one is due, or in any case if `asked` for; returns what there is then, the oldest first, and whether
/// one has taken the place of another.
pub(super) fn rotate(conn: &mut Connection, asked: bool) -> Result<(Vec<TokenKey>, bool), ServiceError> {
    token_keys::lock(conn)?;
    let now = now_sql();
    let keys = token_keys::all(conn)?;
    if !asked && !is_due(&keys, now) {
        return Ok((keys, false));
    }
    let signs_from = if keys.is_empty() { now } else { now + LEAD };
    let mut new = TokenKey { id: [0; 8], salt: [0; 32], signs_from, ends_at: None };
    SystemEntropy.fill(&mut new.id)?;
    SystemEntropy.fill(&mut new.salt)?;
    token_keys::succeed(conn, &new, signs_from + AFTERLIFE, now)?;
    Ok((token_keys::all(conn)?, !keys.is_empty()))
}
