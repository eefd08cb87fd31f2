//! Access tokens: JWTs signed with HS512, checked against that one algorithm, this server and the clock.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use qchat_proto::{
    crypto::secret::Secret,
    ids::{AccountId, DeviceId, ServerId},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ServiceError, now};
use crate::store::sessions::{Owner, SessionId};

/// By how much the clocks of two nodes may differ, seconds.
const SKEW: u64 = 5;

/// What a token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    /// The account.
    sub: AccountId,
    /// The device.
    dev: DeviceId,
    /// The session, hex.
    sid: String,
    /// The server.
    aud: ServerId,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// Issues and checks access tokens.
pub(super) struct AccessTokens {
    header: Header,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    server: ServerId,
}

impl AccessTokens {
    pub(super) fn new(key: &Secret<64>, server: ServerId) -> Self {
        let mut header = Header::new(Algorithm::HS512);
        header.kid = Some(hex::encode(&Sha256::digest(key.expose())[..8]));
        let mut validation = Validation::new(Algorithm::HS512);
        validation.set_audience(&[server]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = SKEW;
        Self {
            header,
            signing: EncodingKey::from_secret(key.expose()),
            checking: DecodingKey::from_secret(key.expose()),
            validation,
            server,
        }
    }

    pub(super) fn issue(&self, owner: Owner, session: &SessionId, life: u32) -> Result<String, ServiceError> {
        let now = now();
        let claims = Claims {
            sub: owner.account,
            dev: owner.device,
            sid: hex::encode(session),
            aud: self.server,
            iat: now,
            nbf: now,
            exp: now + u64::from(life),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.signing)
            .map_err(|_| ServiceError::Defect("an access token could not be signed"))
    }

    /// Who the token is about, if it is genuine and in time.
    pub(super) fn check(&self, token: &str) -> Option<(Owner, SessionId)> {
        let token = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation).ok()?;
        if token.header.kid != self.header.kid {
            return None;
        }
        let mut session = SessionId::default();
        hex::decode_to_slice(&token.claims.sid, &mut session).ok()?;
        Some((Owner { account: token.claims.sub, device: token.claims.dev }, session))
    }
}
