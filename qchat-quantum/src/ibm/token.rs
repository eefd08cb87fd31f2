//! Access tokens: what IBM's identity service gives for the API key, kept for as long as they are good.
//!
//! `POST /identity/token` takes the form `grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey=…` and gives
//! `access_token` and `expires_in`, 3,600 s as a rule.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, header::HeaderValue};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{
    ApiKey, IbmError,
    config::{Base, Scrub},
    error::{Asked, parse, refusal},
    http::{Ask, Body, Http},
};

const GRANT: &str = "urn:ibm:params:oauth:grant-type:apikey";
const FORM: &str = "application/x-www-form-urlencoded";
/// Largest answer, bytes: a token has two or three thousand.
const MOST: usize = 64 * 1024;
/// No token is taken for good for longer, whatever the answer says.
const LONGEST: u64 = 24 * 3600;

const NO_TOKEN: &str = "a token was expected";

/// The token in use, as the header that carries it.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Option<Token>>);

struct Token {
    header: HeaderValue,
    /// When another is fetched: after four fifths of its time, as IBM's own client does.
    renew: Instant,
}

/// Where and how tokens are fetched.
pub(super) struct Identity<'a> {
    pub(super) http: &'a Http,
    pub(super) base: &'a Base,
    pub(super) key: &'a ApiKey,
    pub(super) timeout: Duration,
}

impl Tokens {
    /// A token that is good, fetched if need be; it is asked for once, since who needs it tries again as a whole. The
    /// lock is held meanwhile: whoever waits for it would fetch the same.
    pub(super) async fn current(&self, identity: &Identity<'_>) -> Result<HeaderValue, IbmError> {
        let mut held = self.0.lock().await;
        if let Some(token) = held.as_ref().filter(|token| Instant::now() < token.renew) {
            return Ok(token.header.clone());
        }
        let token = identity.fetch().await?;
        let header = token.header.clone();
        *held = Some(token);
        Ok(header)
    }

    /// Gives up a token that was refused, unless another has taken its place.
    pub(super) async fn forget(&self, refused: &HeaderValue) {
        let mut held = self.0.lock().await;
        if held.as_ref().is_some_and(|token| token.header == refused) {
            *held = None;
        }
    }
}

#[derive(Deserialize)]
struct Issued<'a> {
    access_token: &'a str,
    expires_in: u64,
}

impl Identity<'_> {
    async fn fetch(&self) -> Result<Token, IbmError> {
        let ask = Ask {
            method: Method::POST,
            url: self.base.below(&["identity", "token"], &[]),
            body: Some(Body { kind: FORM, bytes: form(self.key) }),
            most: MOST,
            timeout: self.timeout,
        };
        let answer = self.http.send(&ask, []).await?;
        if !answer.status.is_success() {
            let scrub = Scrub::new(self.key, None);
            return Err(refusal(Asked::Token, answer.status, answer.retry_after, &answer.body, &scrub));
        }
        let issued: Issued<'_> = parse(&answer.body, NO_TOKEN)?;
        let header = bearer(issued.access_token).ok_or(IbmError::Protocol(NO_TOKEN))?;
        let life = Duration::from_secs(issued.expires_in.min(LONGEST));
        Ok(Token { header, renew: Instant::now() + life * 4 / 5 })
    }
}

/// The form that carries the key, zeroised when it is sent.
fn form(key: &ApiKey) -> Bytes {
    let escaped: Vec<Zeroizing<String>> = form_urlencoded::byte_serialize(key.reveal().as_bytes())
        .map(|part| Zeroizing::new(part.to_owned()))
        .collect();
    let grant: String = form_urlencoded::byte_serialize(GRANT.as_bytes()).collect();
    let begin = format!("grant_type={grant}&apikey=");
    let length = begin.len() + escaped.iter().map(|part| part.len()).sum::<usize>();
    let mut form = Zeroizing::new(Vec::with_capacity(length));
    form.extend_from_slice(begin.as_bytes());
    for part in &escaped {
        form.extend_from_slice(part.as_bytes());
    }
    Bytes::from_owner(form)
}

/// The header, whose bytes are zeroised when the last copy of it is gone; none for what cannot be a token.
fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = Zeroizing::new(Vec::with_capacity("Bearer ".len() + token.len()));
    value.extend_from_slice(b"Bearer ");
    value.extend_from_slice(token.as_bytes());
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_documented_one_whatever_the_key_holds() {
        let key = ApiKey::new(&Zeroizing::new("a_B-1&x=y+z".to_owned())).unwrap();
        let form = form(&key);
        assert_eq!(
            form,
            "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=a_B-1%26x%3Dy%2Bz".as_bytes()
        );
    }

    #[test]
    fn a_token_is_a_header_that_shows_nothing() {
        let header = bearer("aaa.bbb.ccc").unwrap();
        assert_eq!(header, "Bearer aaa.bbb.ccc");
        assert!(!format!("{header:?}").contains("aaa"));
        for text in ["", "two words", "line\r\nX-Other: 1", "ü"] {
            assert!(bearer(text).is_none(), "{text:?}");
        }
    }
}
