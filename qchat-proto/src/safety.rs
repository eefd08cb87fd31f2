//! The safety number: what two people compare to know that the server has given neither of them keys of its own. The same
//! on both sides, as 60 digits to read out, as emoji to see at a glance, and as a text for a QR code. docs/PROTOCOL.md,
//! "Safety numbers".
//!
//! What goes in is all that a pin protects: ids, names, identity keys and recovery keys of both accounts. Devices do not:
//! the identity key vouches for them, so that the number stays when a device comes, goes or gets a new key.
//!
//! One number stands for the pair, and not one half for each account as elsewhere: who sits between the two has to find
//! two keys whose numbers agree, which takes 2^100 trials, and against one side alone twice the bits. Halves of 30 digits
//! would be as good against a classical search, and half as good against Grover's. Each trial is 65,536 hashes.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{self, Context, SHA512};

use crate::{
    crypto::kdf,
    emoji::{self, Emoji},
    identity::AccountRecord,
    ids::AccountId,
};

const NUMBER_LABEL: &[u8] = b"qchat safety number v1";
const EMOJI_LABEL: &[u8] = b"qchat safety emoji v1";
const CODE_LABEL: &[u8] = b"qchat safety code v1";
/// How often the digest is hashed with what it is of: some 40 ms for one comparison, and for each try of who looks for keys
/// with the same number.
const ROUNDS: u32 = 65_536;
const DIGITS: usize = 60;
const GROUP: usize = 5;
const CODE_PREFIX: &str = "QCHAT-VERIFY:1:";
const CODE_DIGEST: usize = 32;

/// What two people compare, of one's account and another's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafetyNumber {
    own: AccountId,
    other: AccountId,
    digest: [u8; 64],
}

/// What was typed, pasted or scanned is nothing to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SafetyError {
    /// Both records are of one account.
    #[error("an account has no safety number with itself")]
    Same,
    /// Not 60 digits.
    #[error("a safety number has 60 digits; spaces between them do not matter")]
    Digits,
    /// Neither a text of this form nor of a later one.
    #[error("this is no text of a safety number; it begins with {CODE_PREFIX}")]
    Code,
    /// Made by a newer version.
    #[error("this text is of a newer version; the older of the two programs has to be upgraded")]
    Version,
}

impl SafetyNumber {
    /// The number of two accounts by their records; the same whichever is one's own. Takes 65,536 hashes.
    ///
    /// # Errors
    /// [`SafetyError::Same`].
    pub fn of(own: &AccountRecord, other: &AccountRecord) -> Result<Self, SafetyError> {
        if own.account == other.account {
            return Err(SafetyError::Same);
        }
        let mut records = [own, other];
        records.sort_by_key(|record| record.account);
        let mut first = Context::new(&SHA512);
        first.update(NUMBER_LABEL);
        for record in records {
            first.update(record.account.as_bytes());
            // A user name has 32 bytes at most.
            first.update(&[u8::try_from(record.name.as_str().len()).unwrap_or(u8::MAX)]);
            first.update(record.name.as_str().as_bytes());
            first.update(record.identity_key.as_bytes());
            first.update(record.recovery_key.as_bytes());
        }
        let first = first.finish();
        // What is hashed in each round: the digest so far, and the first one.
        let mut hashed = [0; 128];
        hashed[..64].copy_from_slice(first.as_ref());
        hashed[64..].copy_from_slice(first.as_ref());
        for _ in 0..ROUNDS {
            let next = digest::digest(&SHA512, &hashed);
            hashed[..64].copy_from_slice(next.as_ref());
        }
        let (digest, _) = hashed.split_first_chunk().unwrap_or((&[0; 64], &[]));
        Ok(Self { own: own.account, other: other.account, digest: *digest })
    }

    /// As digits. This is what decides.
    pub fn digits(&self) -> SafetyDigits {
        let mut digits = [b'0'; DIGITS];
        for (group, bytes) in digits.chunks_exact_mut(GROUP).zip(self.digest.chunks_exact(GROUP)) {
            let mut rest = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % 100_000;
            for digit in group.iter_mut().rev() {
                *digit += u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
        SafetyDigits(digits)
    }

    /// As seven emoji. Others prove that keys were swapped; the same prove little: of 42 bits, who sits between the two
    /// finds a pair of keys that agree in 2^21 tries or so.
    pub fn emoji(&self) -> [Emoji; 7] {
        let hash = kdf::sha384(&[EMOJI_LABEL, &self.digest]);
        let (bits, _) = hash.split_first_chunk().unwrap_or((&[0; 6], &[]));
        emoji::seven(*bits)
    }

    /// What the other side scans or pastes.
    pub fn code(&self) -> SafetyCode {
        let hash = kdf::sha384(&[CODE_LABEL, &self.digest]);
        let (digest, _) = hash.split_first_chunk().unwrap_or((&[0; CODE_DIGEST], &[]));
        SafetyCode { from: self.own, about: self.other, digest: *digest }
    }

    /// What a text of the other side's says.
    pub fn check(&self, code: &SafetyCode) -> Checked {
        if *code == self.code() {
            return Checked::Own;
        }
        if (code.from, code.about) != (self.other, self.own) {
            return Checked::Elsewhere;
        }
        if code.digest == self.code().digest { Checked::Matches } else { Checked::Differs }
    }
}

/// What comes of holding a text against a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checked {
    /// Both sides have the same keys.
    Matches,
    /// The two accounts are the right ones, and their keys are not: one of the sides was given others.
    Differs,
    /// It is of other accounts than these two: somebody else's text, or one of the sides was given another account.
    Elsewhere,
    /// It is this side's own text, which proves nothing.
    Own,
}

/// The 60 digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SafetyDigits([u8; DIGITS]);

impl SafetyDigits {
    /// Twelve groups of five.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.chunks_exact(GROUP).map(|group| std::str::from_utf8(group).unwrap_or_default())
    }
}

impl fmt::Display for SafetyDigits {
    /// All 60, without spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.groups().try_for_each(|group| f.write_str(group))
    }
}

impl fmt::Debug for SafetyDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyDigits({self})")
    }
}

impl FromStr for SafetyDigits {
    type Err = SafetyError;

    /// Reads them as people write them: white space does not matter, anything else does.
    fn from_str(text: &str) -> Result<Self, SafetyError> {
        let mut written = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
        let mut digits = [0; DIGITS];
        for digit in &mut digits {
            *digit = written.next().filter(u8::is_ascii_digit).ok_or(SafetyError::Digits)?;
        }
        if written.next().is_some() { Err(SafetyError::Digits) } else { Ok(Self(digits)) }
    }
}

/// A number as a text that travels from one side to the other, in a QR code or by hand:
/// `QCHAT-VERIFY:1:` and 128 hexadecimal digits in capitals, all of which a QR code holds in its short form.
///
/// | bytes | content |
/// |---|---|
/// | 16 | the account that shows it |
/// | 16 | the account that is to read it |
/// | 32 | the first bytes of SHA-384 of `qchat safety code v1` and the digest |
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SafetyCode {
    /// Who shows it.
    pub from: AccountId,
    /// Whom it is for.
    pub about: AccountId,
    digest: [u8; CODE_DIGEST],
}

impl fmt::Display for SafetyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.from.as_bytes()[..], self.about.as_bytes(), &self.digest].concat();
        write!(f, "{CODE_PREFIX}{}", hex::encode_upper(bytes))
    }
}

impl FromStr for SafetyCode {
    type Err = SafetyError;

    /// Reads a text; white space around it and the case of its letters do not matter.
    fn from_str(text: &str) -> Result<Self, SafetyError> {
        let text = text.trim_ascii().to_ascii_uppercase();
        let Some(digits) = text.strip_prefix(CODE_PREFIX) else {
            let (family, _) = CODE_PREFIX.split_at(CODE_PREFIX.len() - 2);
            return Err(if text.starts_with(family) { SafetyError::Version } else { SafetyError::Code });
        };
        let mut bytes = [0; 32 + CODE_DIGEST];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| SafetyError::Code)?;
        let code = bytes.split_first_chunk().and_then(|(from, rest)| {
            let (about, digest) = rest.split_first_chunk()?;
            let (from, about) = (AccountId::from_bytes(*from), AccountId::from_bytes(*about));
            Some(Self { from, about, digest: digest.try_into().ok()? })
        });
        code.ok_or(SafetyError::Code)
    }
}
