//! An access token: a JWT signed with HS512, read by that one algorithm, for this server and by the clock.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::Error};
use qchat_proto::ids::{AccountId, DeviceId, ServerId};
use serde::{Deserialize, Serialize};

/// By how much the clocks of two nodes may differ, seconds.
pub(super) const SKEW: u64 = 5;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    /// The account.
    pub(super) sub: AccountId,
    /// The device.
    pub(super) dev: DeviceId,
    /// The session, 16 bytes in hex.
    pub(super) sid: String,
    /// The server.
    pub(super) aud: ServerId,
    /// Issued at, seconds since the Unix epoch.
    pub(super) iat: u64,
    /// Not valid before.
    pub(super) nbf: u64,
    /// Not valid from this second on.
    pub(super) exp: u64,
}

/// How tokens of this server are checked.
pub(super) fn validation(server: ServerId) -> Validation {
    let mut validation = Validation::new(Algorithm::HS512);
    validation.set_audience(&[server]);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = SKEW;
    validation
}

/// Signs with the key named `kid`.
pub(super) fn sign(claims: &Claims, kid: &str, key: &EncodingKey) -> Result<String, Error> {
    let mut header = Header::new(Algorithm::HS512);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key)
}

/// The key that the token says it was signed with.
pub(super) fn kid(token: &str) -> Option<String> {
    jsonwebtoken::decode_header(token).ok()?.kid
}

/// What the token says, if `key` has signed it and it is in time; `now`: seconds since the Unix epoch.
pub(super) fn read(token: &str, key: &DecodingKey, validation: &Validation, now: u64) -> Option<Claims> {
    let claims = jsonwebtoken::decode::<Claims>(token, key, validation).ok()?.claims;
    (claims.iat <= now + SKEW).then_some(claims)
}
