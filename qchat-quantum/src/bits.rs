//! A string of bits, 64 to a word: what measurements give, what keys are made of, what parities are taken over.

use std::fmt;

use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bits in order. Bit `i` is bit `i % 64` of word `i / 64`, and bit `i % 8` of byte `i / 8`: the lowest comes first.
///
/// Bits behind the end are always zero. They may be a key: debug output shows the length alone, and they are wiped where they are
/// dropped or moved to more room.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    /// No bits.
    pub fn new() -> Self {
        Self::default()
    }

    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        Self { words: vec![0; length.div_ceil(64)], length }
    }

    /// `length` uniform bits from a generator.
    pub fn random(length: usize, generator: &mut impl Rng) -> Self {
        Self::from_words((0..length.div_ceil(64)).map(|_| generator.next_u64()).collect(), length)
    }

    /// The first `length` bits of `words`; fewer when there are fewer words.
    pub fn from_words(mut words: Vec<u64>, length: usize) -> Self {
        let length = length.min(words.len() * 64);
        words.truncate(length.div_ceil(64));
        if let Some(last) = words.last_mut() {
            *last &= lowest(length - (length - 1) / 64 * 64);
        }
        Self { words, length }
    }

    /// All bits of `bytes`, the lowest bit of the first byte first.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let words = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            })
            .collect();
        Self { words, length: bytes.len() * 8 }
    }

    /// As bytes; the last is filled up with zeros.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.length.div_ceil(8));
        bytes
    }

    /// How many bits there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The words; bits behind the end are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bit `index`; false behind the end.
    pub fn get(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Sets bit `index`; nothing happens behind the end.
    pub fn set(&mut self, index: usize, value: bool) {
        if index < self.length {
            let mask = 1 << (index % 64);
            self.words[index / 64] = self.words[index / 64] & !mask | if value { mask } else { 0 };
        }
    }

    /// Inverts bit `index`; nothing happens behind the end.
    pub fn flip(&mut self, index: usize) {
        self.set(index, !self.get(index));
    }

    /// Appends a bit.
    pub fn push(&mut self, value: bool) {
        if self.length.is_multiple_of(64) {
            if self.words.len() == self.words.capacity() {
                let mut larger = Vec::with_capacity(2 * self.words.len() + 1);
                larger.extend_from_slice(&self.words);
                std::mem::replace(&mut self.words, larger).zeroize();
            }
            self.words.push(0);
        }
        self.length += 1;
        if value {
            let index = self.length - 1;
            self.words[index / 64] |= 1 << (index % 64);
        }
    }

    /// How many bits are one.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// In how many places two strings differ; places that only one of them has are not counted.
    pub fn distance(&self, other: &Self) -> usize {
        let shared = self.length.min(other.length);
        let (one, two) = (self.words.iter(), other.words.iter());
        one.zip(two)
            .enumerate()
            .map(|(n, (a, b))| ((a ^ b) & lowest(shared.saturating_sub(n * 64))).count_ones() as usize)
            .sum()
    }

    /// The bits from `start` on, `length` of them, fewer at the end.
    #[must_use]
    pub fn slice(&self, start: usize, length: usize) -> Self {
        let start = start.min(self.length);
        let length = length.min(self.length - start);
        let (first, shift) = (start / 64, start % 64);
        let word = |n: usize| self.words.get(n).copied().unwrap_or(0);
        let words = (0..length.div_ceil(64))
            .map(|n| {
                let low = word(first + n) >> shift;
                if shift == 0 { low } else { low | word(first + n + 1) << (64 - shift) }
            })
            .collect();
        Self::from_words(words, length)
    }

    /// The bits where `mask` has a one, in order.
    #[must_use]
    pub fn select(&self, mask: &Self) -> Self {
        let mut chosen = Self::new();
        for (n, (word, places)) in self.words.iter().zip(&mask.words).enumerate() {
            let mut places = places & lowest(self.length - n * 64);
            while places != 0 {
                chosen.push(word >> places.trailing_zeros() & 1 == 1);
                places &= places - 1;
            }
        }
        chosen
    }

    /// All bits in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        (0..self.length).map(|index| self.get(index))
    }
}

/// A word with ones in the lowest `count` places.
fn lowest(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({})", self.length)
    }
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut all = Self::new();
        for bit in bits {
            all.push(bit);
        }
        all
    }
}

impl Extend<bool> for Bits {
    fn extend<I: IntoIterator<Item = bool>>(&mut self, bits: I) {
        for bit in bits {
            self.push(bit);
        }
    }
}

/// On the wire: `[length, hexadecimal digits of the bytes]`.
impl Serialize for Bits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write as _;
        let mut digits = String::with_capacity(self.length / 4 + 2);
        for byte in self.to_bytes() {
            let _ = write!(digits, "{byte:02x}");
        }
        (self.length, digits).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (length, digits) = <(usize, String)>::deserialize(deserializer)?;
        if digits.len() != length.div_ceil(8).saturating_mul(2) {
            return Err(D::Error::custom("the digits are not those of so many bits"));
        }
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            digits.as_bytes().chunks(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect();
        let whole = Self::from_bytes(&bytes.ok_or_else(|| D::Error::custom("not hexadecimal"))?);
        let bits = whole.slice(0, length);
        if bits.count_ones() != whole.count_ones() {
            return Err(D::Error::custom("there are ones behind the end"));
        }
        Ok(bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_bits_are_the_bits_that_went_in(
            plain in prop::collection::vec(any::<bool>(), 0..300),
            other in prop::collection::vec(any::<bool>(), 0..300),
            start in 0usize..310,
            length in 0usize..310,
        ) {
            let bits: Bits = plain.iter().copied().collect();
            prop_assert_eq!(bits.len(), plain.len());
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), plain.clone());
            prop_assert_eq!(bits.count_ones(), plain.iter().filter(|bit| **bit).count());
            let packed: Bits = other.iter().copied().collect();
            prop_assert_eq!(bits.distance(&packed), plain.iter().zip(&other).filter(|(a, b)| a != b).count());
            prop_assert_eq!(
                bits.select(&packed).iter().collect::<Vec<_>>(),
                plain.iter().zip(&other).filter(|(_, keep)| **keep).map(|(bit, _)| *bit).collect::<Vec<_>>()
            );
            let part: Vec<bool> = plain.iter().copied().skip(start).take(length).collect();
            prop_assert_eq!(bits.slice(start, length).iter().collect::<Vec<_>>(), part);
            prop_assert_eq!(&Bits::from_bytes(&bits.to_bytes()).slice(0, bits.len()), &bits);
            let text = serde_json::to_string(&bits).unwrap();
            prop_assert_eq!(serde_json::from_str::<Bits>(&text).unwrap(), bits);
        }
    }

    #[test]
    fn bits_are_wiped_where_they_are_dropped() {
        fn are_wiped<T: ZeroizeOnDrop>() {}
        are_wiped::<Bits>();
    }

    #[test]
    fn what_is_no_string_of_bits_is_refused() {
        for text in [
            r#"[9,"ff"]"#,
            r#"[8,"fg"]"#,
            r#"[7,"ff"]"#,
            r#"[0,"00"]"#,
            r#"[8,"é"]"#,
            r#"[18446744073709551615,""]"#,
        ] {
            assert!(serde_json::from_str::<Bits>(text).is_err(), "{text}");
        }
    }
}
