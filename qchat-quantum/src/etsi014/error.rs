//! What can go wrong between an application and its KME, each with what to do about it.

use super::ids::KeyId;

/// No keys, and why.
#[derive(Debug, thiserror::Error)]
pub enum Etsi014Error {
    /// The address cannot be a KME's.
    #[error(
        "{0:?} is no address of a KME: give one like https://kme.example:8443, without name, password or query"
    )]
    Address(String),
    /// The application's certificate, its key or the authority's certificate is of no use.
    #[error("{what} cannot be used: {reason}")]
    Credentials {
        /// Which of the three.
        what: &'static str,
        /// In words, without a byte of a key.
        reason: String,
    },
    /// Nobody answers.
    #[error("the KME at {address} cannot be reached: {reason}. Check the address, and whether it is running")]
    Unreachable {
        /// Whom.
        address: String,
        /// In words.
        reason: String,
    },
    /// One of the two did not believe the other's certificate.
    #[error(
        "there is no secure connection with the KME at {address}: {reason}. Check that the authority's certificate is the \
         one that the KME's is signed by, and that the KME knows the certificate of this application"
    )]
    Untrusted {
        /// Whom.
        address: String,
        /// As TLS says it.
        reason: String,
    },
    /// Status 400.
    #[error(
        "the KME refused the request{0}. Check the SAE ids; a key may be given out once only, so ask for another"
    )]
    BadRequest(String),
    /// Status 401.
    #[error(
        "the KME says that this application may not have these keys{0}. Check the certificate and the SAE ids"
    )]
    Unauthorized(String),
    /// Status 503.
    #[error("the KME cannot serve keys now{0}. Try again later, or ask those who run the link")]
    Unavailable(String),
    /// Any other status that is not 200.
    #[error(
        "the KME answered with status {status}, which ETSI GS QKD 014 does not know here{said}. Check its address"
    )]
    Answer {
        /// The status.
        status: u16,
        /// What it says of it.
        said: String,
    },
    /// The answer is longer than any answer that was asked for.
    #[error("the KME's answer has more than {0} bytes and was not read. Check its address")]
    TooLong(usize),
    /// The answer is not what the standard says.
    #[error("the KME's answer is not what ETSI GS QKD 014 says: {0}. Report it to those who run the KME")]
    Malformed(&'static str),
    /// A key of another size.
    #[error(
        "the KME gave a key of {got} bits where {wanted} were asked for; it was not used. Ask for another key"
    )]
    Size {
        /// What came.
        got: usize,
        /// What was asked for.
        wanted: usize,
    },
    /// Other keys than those that were asked for.
    #[error("the KME did not give the key {0}. The other end may have another link; offer a key anew")]
    Missing(KeyId),
}
