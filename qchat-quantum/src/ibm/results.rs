//! What a job measured, out of the service's answer, which is believed in nothing: the number of results, of shots and of
//! bits must be what was asked for, and reading takes no more memory than that.
//!
//! The sampler gives `results[i].data.c.samples`, one hexadecimal number such as `"0x3"` for each shot, whose lowest bit
//! is bit 0 of the register.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use zeroize::Zeroizing;

use super::{IbmError, Program, error::not_json, executor, submission::Expected};
use crate::{bits::Bits, simulator::Samples};

/// The text of an answer with results. Those of a private job can be read once: it is kept before it is looked into.
pub struct Raw(Zeroizing<Vec<u8>>);

impl Raw {
    /// A text that was kept.
    pub fn new(text: Zeroizing<Vec<u8>>) -> Self {
        Self(text)
    }

    /// The text, to be kept: it holds the measured bits.
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// What was measured, for each circuit in order.
    ///
    /// # Errors
    /// [`IbmError::CutOff`], [`IbmError::Protocol`].
    pub fn read(&self, expected: &Expected) -> Result<Vec<Samples>, IbmError> {
        match expected.program {
            Program::Sampler => samples(&self.0, expected),
            Program::Executor => executor::read(&self.0, expected),
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

fn samples(body: &[u8], expected: &Expected) -> Result<Vec<Samples>, IbmError> {
    let mut read = Vec::new();
    let mut text = serde_json::Deserializer::from_slice(body);
    let parsed = Field("results", List { expected, read: &mut read }).deserialize(&mut text);
    match parsed.and_then(|()| text.end()) {
        Ok(()) => Ok(read),
        Err(error) => Err(not_json(
            &error,
            "results with the circuits, shots and bits that were asked for were expected",
        )),
    }
}

/// One field of an object; the others are passed over. It must be there once.
struct Field<S>(&'static str, S);

impl<'de, S: DeserializeSeed<'de, Value = ()>> DeserializeSeed<'de> for Field<S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for Field<S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(name, seed) = self;
        let mut seed = Some(seed);
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key != name {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(seed) = seed.take() {
                map.next_value_seed(seed)?;
            } else {
                return Err(A::Error::duplicate_field(name));
            }
        }
        if seed.is_some() { Err(A::Error::missing_field(name)) } else { Ok(()) }
    }
}

/// The results of all circuits.
struct List<'a> {
    expected: &'a Expected,
    read: &'a mut Vec<Samples>,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} results", self.expected.bits.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let shots = self.expected.shots;
        for &bits in &self.expected.bits {
            let mut columns = vec![Bits::zeros(shots); bits];
            let register = Field("samples", Register { shots, columns: &mut columns });
            if list.next_element_seed(Field("data", Field("c", register)))?.is_none() {
                return Err(A::Error::invalid_length(self.read.len(), &self));
            }
            let mut samples = Samples::new(shots, bits);
            for (bit, column) in columns.into_iter().enumerate() {
                samples.set_column(bit, column);
            }
            self.read.push(samples);
        }
        if list.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::invalid_length(self.read.len() + 1, &self));
        }
        Ok(())
    }
}

/// The numbers of one register.
struct Register<'a> {
    shots: usize,
    columns: &'a mut [Bits],
}

impl<'de> DeserializeSeed<'de> for Register<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Register<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} numbers of {} bits", self.shots, self.columns.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for shot in 0..self.shots {
            let number = list.next_element::<&'de str>()?;
            let number = number.ok_or_else(|| A::Error::invalid_length(shot, &self))?;
            if set(self.columns, shot, number).is_none() {
                return Err(A::Error::custom("a sample is no number of the register's bits"));
            }
        }
        if list.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::invalid_length(self.shots + 1, &self));
        }
        Ok(())
    }
}

/// Sets the bits of one shot; none when the text is no number, or has ones above the register.
fn set(columns: &mut [Bits], shot: usize, number: &str) -> Option<()> {
    let digits = number.strip_prefix("0x").filter(|digits| !digits.is_empty())?;
    for (place, digit) in digits.bytes().rev().enumerate() {
        let value = char::from(digit).to_digit(16)?;
        for bit in (0..4).filter(|bit| value >> bit & 1 == 1) {
            columns.get_mut(place.checked_mul(4)? + bit)?.set(shot, true);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(shots: usize, bits: &[usize]) -> Expected {
        Expected { program: Program::Sampler, shots, bits: bits.to_vec() }
    }

    fn read(text: &str, asked: &Expected) -> Result<Vec<Samples>, IbmError> {
        Raw::new(Zeroizing::new(text.as_bytes().to_vec())).read(asked)
    }

    const GOOD: &str = r#"{"results": [
        {"data": {"c": {"samples": ["0x0", "0x3", "0x12"], "num_bits": 5}}, "metadata": {"a": [1, {}]}},
        {"data": {"c": {"num_bits": 1, "samples": ["0x1", "0x0", "0x0001"]}}, "metadata": {}}
    ], "metadata": {"version": 2}}"#;

    #[test]
    fn samples_are_numbers_whose_lowest_bit_is_bit_0() {
        let samples = read(GOOD, &expected(3, &[5, 1])).unwrap();
        let counts = samples[0].counts();
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["00000", "00011", "10010"]);
        assert_eq!(samples[1].column(0).unwrap().iter().collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn what_is_not_what_was_asked_for_is_an_error() {
        let asked = expected(3, &[5, 1]);
        for (from, to) in [
            ("\"0x3\"", "\"0x3\", \"0x3\""),
            ("\"0x3\",", ""),
            ("0x12", "0x20"),
            ("0x12", "0xfffffffffffffffffffffffffffffffffffff"),
            ("0x12", "12"),
            ("0x12", "0x"),
            ("0x12", "0xg"),
            ("0x12", "0x-1"),
            ("\"0x12\"", "18"),
            ("\"0x12\"", "null"),
            ("\"c\"", "\"meas\""),
            ("\"data\"", "\"no_data\""),
            ("{\"version\": 2}}", "{}} {}"),
            ("\"metadata\": {\"version\": 2}", "\"results\": []"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = read(&GOOD.replace(from, to), &asked).unwrap_err();
            assert!(matches!(error, IbmError::Protocol(_)), "{from} → {to}: {error:?}");
        }
        for wrong in [expected(3, &[5]), expected(3, &[5, 1, 1]), expected(2, &[5, 1]), expected(3, &[4, 1])]
        {
            assert!(read(GOOD, &wrong).is_err(), "{wrong:?}");
        }
        for text in ["null", "[]", "3", "{}", "{\"results\": {}}", &"[".repeat(100_000)] {
            assert!(read(text, &asked).is_err());
        }
    }

    #[test]
    fn a_text_that_ends_too_early_may_be_asked_for_again() {
        for length in 0..GOOD.len() {
            let error = read(&GOOD[..length], &expected(3, &[5, 1])).unwrap_err();
            assert!(error.is_passing(), "{length}: {error:?}");
        }
    }

    #[test]
    fn nobody_sees_the_bits_in_a_debug_text() {
        let raw = Raw::new(Zeroizing::new(GOOD.as_bytes().to_vec()));
        assert_eq!(format!("{raw:?}"), format!("Raw({} bytes)", GOOD.len()));
    }
}
