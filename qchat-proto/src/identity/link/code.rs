//! What two people compare: 42 bits of everything that both devices have said.

use std::fmt;

use subtle::ConstantTimeEq;

use super::NONCE;
use crate::{
    crypto::kdf,
    emoji::{self, Emoji},
};

const TRANSCRIPT: &[u8] = b"qchat link transcript v1";
const CODE: &[u8] = b"qchat link code v1";
/// Digits of a code: two for each six bits.
const DIGITS: usize = 14;

/// Everything that was said before the grant, hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Transcript([u8; 48]);

impl Transcript {
    /// SHA-384 of the label `qchat link transcript v1`, the commitment, the new device's nonce, the hello with its length
    /// (4 bytes) before it, and the answer.
    pub(super) fn new(commitment: &[u8; 48], nonce: &[u8; NONCE], hello: &[u8], answer: &[u8]) -> Self {
        let length = u32::try_from(hello.len()).unwrap_or(u32::MAX).to_be_bytes();
        Self(kdf::sha384(&[TRANSCRIPT, commitment, nonce, &length, hello, answer]))
    }

    /// The hash.
    pub(super) fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }

    /// What is to be compared: the first 42 bits of SHA-384 of the label `qchat link code v1` and the transcript.
    pub fn code(&self) -> Code {
        let hash = kdf::sha384(&[CODE, &self.0]);
        let mut bits = [0; 6];
        bits.copy_from_slice(&hash[..6]);
        Code(bits)
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcript")
    }
}

/// 42 bits that two people compare, as pictures or as digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; 6]);

impl Code {
    /// As seven pictures.
    pub fn emoji(&self) -> [Emoji; 7] {
        emoji::seven(self.0)
    }

    /// As seven numbers from 00 to 63, the places of the pictures in their table: for who cannot see those.
    pub fn digits(&self) -> String {
        let number = self.0.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let numbers: Vec<_> = (0..7).map(|place| format!("{:02}", number >> (42 - 6 * place) & 63)).collect();
        numbers.join(" ")
    }

    /// Whether `text` are these digits, whatever white space and hyphens are between them; in a time that does not depend
    /// on where they differ.
    pub fn is(&self, text: &str) -> bool {
        let only = |text: &str| -> Vec<u8> {
            text.chars()
                .filter(|c| !c.is_whitespace() && *c != '-')
                .map(|c| u8::try_from(c).unwrap_or(0))
                .collect()
        };
        let (said, own) = (only(text), only(&self.digits()));
        said.len() == DIGITS && said.ct_eq(&own).into()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_the_places_of_the_pictures() {
        let code = Code([0b0000_0100, 0b0010_0000, 0b1100_0100, 0b0001_0100, 0b0110_0001, 0b1111_1111]);
        assert_eq!(code.digits(), "01 02 03 04 05 06 07");
        assert_eq!(code.emoji().map(|emoji| emoji.name)[0], "cat");
        for (text, same) in [
            ("01 02 03 04 05 06 07", true),
            (" 0102-0304 05-0607\n", true),
            ("01 02 03 04 05 06 08", false),
            ("01 02 03 04 05 06", false),
            ("01 02 03 04 05 06 07 00", false),
            ("", false),
            ("０1 02 03 04 05 06 07", false),
        ] {
            assert_eq!(code.is(text), same, "{text:?}");
        }
    }

    #[test]
    fn the_code_depends_on_everything_that_was_said() {
        let code = |commitment, nonce, hello: &[u8], answer: &[u8]| {
            Transcript::new(&[commitment; 48], &[nonce; NONCE], hello, answer).code().digits()
        };
        let own = code(1, 2, b"hello", b"answer");
        assert_eq!(code(1, 2, b"hello", b"answer"), own);
        for other in [
            code(9, 2, b"hello", b"answer"),
            code(1, 9, b"hello", b"answer"),
            code(1, 2, b"jello", b"answer"),
            code(1, 2, b"hello", b"answew"),
            // What belongs to one cannot pass for the other.
            code(1, 2, b"helloa", b"nswer"),
        ] {
            assert_ne!(other, own);
        }
    }
}
