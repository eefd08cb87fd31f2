//! Where the service is and who asks: addresses that were checked, the instance, the API key, and how hard to try.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{IbmError, error::shown, pace::Pace};

/// The service in the global region; others have their name before it.
const HOST: &str = "quantum.cloud.ibm.com";
const GLOBAL: &str = "us-east";
const IDENTITY: &str = "https://iam.cloud.ibm.com/";
/// Longer ones are not keys.
const MOST_KEY: usize = 512;

/// The key of an IBM Cloud account: whoever has it can spend the account's money. Zeroised, and never shown.
#[derive(Clone)]
pub struct ApiKey(Arc<Zeroizing<String>>);

impl ApiKey {
    /// Takes a key, white space around it left off.
    ///
    /// # Errors
    /// [`IbmError::KeyForm`] for what is empty or not one word of ASCII.
    pub fn new(key: &Zeroizing<String>) -> Result<Self, IbmError> {
        let word = key.trim();
        if word.is_empty() || word.len() > MOST_KEY || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IbmError::KeyForm);
        }
        Ok(Self(Arc::new(Zeroizing::new(word.to_owned()))))
    }

    /// The key itself, for the one request that carries it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

/// How to reach an instance of IBM Quantum.
#[derive(Debug, Clone)]
pub struct Config {
    /// The service, with the version in its path: `https://quantum.cloud.ibm.com/api/v1`.
    pub api_url: Url,
    /// IBM's identity service, which exchanges the key for tokens: `https://iam.cloud.ibm.com`.
    pub iam_url: Url,
    /// The instance's Cloud Resource Name.
    pub crn: String,
    /// The account's key.
    pub key: ApiKey,
    /// How long a request may take; submissions and results may take ten times as long.
    pub timeout: Duration,
    /// How often and how fast a request that may succeed later is repeated.
    pub pace: Pace,
}

impl Config {
    /// The public service in the region that the instance's CRN names: `us-east` is the global address, others such as
    /// `eu-de` stand before it, as IBM's own client has it.
    ///
    /// # Errors
    /// [`IbmError::Crn`].
    pub fn new(crn: &str, key: ApiKey) -> Result<Self, IbmError> {
        let crn = crn.trim().to_owned();
        let region = region(&crn).ok_or(IbmError::Crn)?;
        let host = if region == GLOBAL { HOST.to_owned() } else { format!("{region}.{HOST}") };
        let api_url = Url::parse(&format!("https://{host}/api/v1")).map_err(|_| IbmError::Crn)?;
        let iam_url = Url::parse(IDENTITY).map_err(|_| IbmError::Crn)?;
        Ok(Self { api_url, iam_url, crn, key, timeout: Duration::from_secs(30), pace: Pace::default() })
    }
}

/// The region in `crn:v1:bluemix:public:quantum-computing:REGION:a/ACCOUNT:INSTANCE::`.
fn region(crn: &str) -> Option<&str> {
    let parts: Vec<&str> = crn.split(':').collect();
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    let fits = parts.len() == 10 && parts[0] == "crn" && parts[4] == "quantum-computing";
    let region = parts.get(5).filter(|part| word(part) && !part.contains(['.', '/', '_']))?;
    (fits && parts[1..8].iter().all(|part| word(part))).then_some(*region)
}

/// An address at which a service may be asked.
#[derive(Debug, Clone)]
pub(super) struct Base(Url);

impl Base {
    /// Takes https, and plain http to this machine.
    pub(super) fn new(url: &Url) -> Result<Self, IbmError> {
        // Not the address itself where a password could stand in it.
        let bare = url.username().is_empty() && url.password().is_none();
        let named = if bare { url.as_str() } else { url.scheme() };
        let wrong = || IbmError::Address { url: shown(named, 200) };
        let host = url.host().filter(|_| bare && url.query().is_none() && url.fragment().is_none());
        let host = host.ok_or_else(wrong)?;
        let local = match &host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => *name == "localhost",
        };
        match url.scheme() {
            "https" => {}
            "http" if local => {}
            "http" => return Err(IbmError::PlainHttp { url: shown(named, 200) }),
            _ => return Err(wrong()),
        }
        Ok(Self(url.clone()))
    }

    pub(super) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address of something below this one; each part is one segment of the path, whatever it holds.
    pub(super) fn below(&self, parts: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

/// What must not be seen in anything that the service says: it was sent the key and the token, and could repeat them.
#[derive(Clone, Default)]
pub(super) struct Scrub {
    key: Option<ApiKey>,
    token: Option<HeaderValue>,
}

impl Scrub {
    /// `token` as it is sent: `Bearer …`.
    pub(super) fn new(key: &ApiKey, token: Option<HeaderValue>) -> Self {
        Self { key: Some(key.clone()), token }
    }

    /// A text of the service without our secrets, for one line of a terminal.
    pub(super) fn clean(&self, text: &str, most: usize) -> String {
        let token = self.token.as_ref().and_then(|token| token.to_str().ok());
        let secrets =
            [self.key.as_ref().map(ApiKey::reveal), token.and_then(|token| token.strip_prefix("Bearer "))];
        let mut kept = text.to_owned();
        for secret in secrets.into_iter().flatten().filter(|secret| !secret.is_empty()) {
            if kept.contains(secret) {
                kept = kept.replace(secret, "[removed]");
            }
        }
        shown(&kept, most)
    }
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrub")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<ApiKey, IbmError> {
        ApiKey::new(&Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_region_of_the_instance_says_where_to_ask() {
        for (region, url) in [
            ("us-east", "https://quantum.cloud.ibm.com/api/v1"),
            ("eu-de", "https://eu-de.quantum.cloud.ibm.com/api/v1"),
        ] {
            let crn = format!(" crn:v1:bluemix:public:quantum-computing:{region}:a/0af1:9b-1c:: \n");
            let config = Config::new(&crn, key("k").unwrap()).unwrap();
            assert_eq!(config.api_url.as_str(), url);
            assert_eq!(config.iam_url.as_str(), "https://iam.cloud.ibm.com/");
        }
        for crn in [
            "",
            "crn",
            "crn:v1:bluemix:public:kms:us-east:a/1:2::",
            "crn:v1:bluemix:public:quantum-computing:evil.example/:a/1:2::",
            "crn:v1:bluemix:public:quantum-computing::a/1:2::",
            "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2\r\nX: y::",
        ] {
            assert!(matches!(Config::new(crn, key("k").unwrap()), Err(IbmError::Crn)), "{crn}");
        }
    }

    #[test]
    fn a_key_is_one_word_and_is_never_shown() {
        for text in ["", " ", "two words", "line\nline", "ключ", &"x".repeat(513)] {
            assert!(matches!(key(text), Err(IbmError::KeyForm)), "{text:?}");
        }
        let crn = "crn:v1:bluemix:public:quantum-computing:us-east:a/1:2::";
        let config = Config::new(crn, key(" hunter2-hunter2\n").unwrap()).unwrap();
        assert!(!format!("{config:?} {:?}", Scrub::new(&config.key, None)).contains("hunter2"));
    }

    #[test]
    fn plain_http_is_only_for_this_machine() {
        for (url, local) in [
            ("http://127.0.0.1:8440/api/v1", Some(false)),
            ("http://[::1]:9/", Some(false)),
            ("http://localhost/api", Some(false)),
            ("https://quantum.cloud.ibm.com/api/v1", Some(true)),
            ("https://192.0.2.7", Some(true)),
        ] {
            let base = Base::new(&url.parse().unwrap()).unwrap();
            assert_eq!(Some(base.is_secure()), local, "{url}");
        }
        for url in [
            "http://192.168.0.7",
            "http://localhost.example.org",
            "http://0.0.0.0",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(matches!(Base::new(&url.parse().unwrap()), Err(IbmError::PlainHttp { .. })), "{url}");
        }
        for url in ["ftp://127.0.0.1", "https://user:secret@h/", "https://h/?k=v", "https://h/#f", "data:x"] {
            let error = Base::new(&url.parse().unwrap()).unwrap_err();
            assert!(matches!(error, IbmError::Address { .. }), "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_name_stays_one_part_of_a_path() {
        let base = Base::new(&"http://localhost/api/v1/".parse().unwrap()).unwrap();
        let url = base.below(&["jobs", "a/../b?c#d"], &[("tags", "x&y=z")]);
        assert_eq!(url.as_str(), "http://localhost/api/v1/jobs/a%2F..%2Fb%3Fc%23d?tags=x%26y%3Dz");
    }

    #[test]
    fn secrets_that_come_back_are_taken_out() {
        let mut token = HeaderValue::from_static("Bearer to.ke.n");
        token.set_sensitive(true);
        let scrub = Scrub::new(&key("hunter2").unwrap(), Some(token));
        let text = scrub.clean("you sent hunter2 and to.ke.n, hunter2!", 200);
        assert_eq!(text, "you sent [removed] and [removed], [removed]!");
    }
}
