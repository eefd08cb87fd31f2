//! The program `executor` (schema 2.0 of IBM's published `ibm-quantum-schemas`): what it takes, and the packed bits that
//! it gives.
//!
//! A tensor is `{"data", "shape", "dtype"}`; the data are compressed by zlib (RFC 1950) and in base64, the elements in C
//! order, those of type `bool` eight to a byte, the lowest bit first. A register of n bits over s shots has the shape
//! \[s, n\], bit 0 first.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    IbmError,
    error::parse,
    submission::{Expected, Written},
};
use crate::{bits::Bits, simulator::Samples};

const SCHEMA: &str = "v2.0";
/// No numbers, compressed: circuits without parameters have no arguments.
const NOTHING: &str = "eJwDAAAAAAE=";

pub(super) fn params(circuits: &[Written], shots: u32) -> Value {
    let texts: Vec<&str> = circuits.iter().map(|circuit| circuit.qasm.as_str()).collect();
    let item = json!({
        "item_type": "circuit",
        "circuit_arguments": {"data": NOTHING, "shape": [0], "dtype": "f64"},
        "shape": [],
        "chunk_size": "auto",
    });
    json!({
        "schema_version": SCHEMA,
        "quantum_program": {
            "shots": shots,
            "circuits": {"data": texts},
            "items": vec![item; circuits.len()],
            "meas_level": "classified",
        },
        "options": {"init_qubits": true},
    })
}

#[derive(Deserialize)]
struct Document<'a> {
    schema_version: &'a str,
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    results: BTreeMap<Cow<'a, str>, Tensor<'a>>,
}

#[derive(Deserialize)]
struct Tensor<'a> {
    data: &'a str,
    // Two numbers and no list, which could be long.
    shape: (usize, usize),
    dtype: &'a str,
}

/// Reads the results of a job.
pub(super) fn read(body: &[u8], expected: &Expected) -> Result<Vec<Samples>, IbmError> {
    let document: Document<'_> = parse(body, "results of the executor were expected")?;
    if document.schema_version != SCHEMA {
        return Err(IbmError::Protocol("the executor answers in another schema"));
    }
    if document.data.len() != expected.bits.len() {
        return Err(IbmError::Protocol("the number of results is not that of the circuits"));
    }
    document.data.iter().zip(&expected.bits).map(|(item, &bits)| item.samples(expected.shots, bits)).collect()
}

impl Item<'_> {
    fn samples(&self, shots: usize, bits: usize) -> Result<Samples, IbmError> {
        let wrong = IbmError::Protocol;
        let tensor = self.results.get("c").ok_or(wrong("a result has no register c"))?;
        if tensor.dtype != "bool" || tensor.shape != (shots, bits) {
            return Err(wrong("a register has not the shots and bits that were asked for"));
        }
        let bytes = shots.checked_mul(bits).ok_or(wrong("a register is too large"))?.div_ceil(8);
        let packed = STANDARD.decode(tensor.data).map_err(|_| wrong("a register is not in base64"))?;
        let plain = decompress_to_vec_zlib_with_limit(&packed, bytes);
        let plain =
            Zeroizing::new(plain.map_err(|_| wrong("a register is not compressed, or has too many bits"))?);
        if plain.len() != bytes {
            return Err(wrong("a register has too few bits"));
        }
        let all = Bits::from_bytes(&plain);
        let mut samples = Samples::new(shots, bits);
        for bit in 0..bits {
            samples.set_column(bit, (0..shots).map(|shot| all.get(shot * bits + bit)).collect());
        }
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::compress_to_vec_zlib;

    use super::*;
    use crate::ibm::Program;

    fn expected(shots: usize, bits: &[usize]) -> Expected {
        Expected { program: Program::Executor, shots, bits: bits.to_vec() }
    }

    fn answer(packed: &[u8], shape: &[usize], dtype: &str) -> String {
        let data = STANDARD.encode(compress_to_vec_zlib(packed, 6));
        json!({
            "schema_version": "v2.0", "metadata": {"chunk_timing": []},
            "data": [{"results": {"c": {"data": data, "shape": shape, "dtype": dtype}}, "metadata": {}}],
        })
        .to_string()
    }

    #[test]
    fn packed_bits_are_shots_of_bits_the_first_bit_lowest() {
        // Shots 110, 001, 011 (bit 0 first): 1,1,0, 0,0,1, 0,1,1.
        let samples =
            read(answer(&[0b1010_0011, 1], &[3, 3], "bool").as_bytes(), &expected(3, &[3])).unwrap();
        let shots: Vec<Vec<bool>> = (0..3).map(|shot| samples[0].shot(shot).iter().collect()).collect();
        assert_eq!(shots, [[true, true, false], [false, false, true], [false, true, true]]);
    }

    #[test]
    fn no_arguments_are_written_as_the_schema_wants_them() {
        assert_eq!(STANDARD.decode(NOTHING).unwrap(), compress_to_vec_zlib(&[], 6));
        let params = params(&[Written { qasm: "q".to_owned(), bits: 1 }], 9);
        assert_eq!(params["quantum_program"]["items"].as_array().unwrap().len(), 1);
        assert_eq!(params["quantum_program"]["circuits"]["data"], json!(["q"]));
    }

    #[test]
    fn what_is_not_what_was_asked_for_is_an_error() {
        let good = answer(&[0b1010_0011, 1], &[3, 3], "bool");
        for (text, asked) in [
            (good.clone(), expected(3, &[2])),
            (good.clone(), expected(4, &[3])),
            (good.clone(), expected(3, &[3, 3])),
            (good.replace("v2.0", "v9.0"), expected(3, &[3])),
            (good.replace("\"c\"", "\"d\""), expected(3, &[3])),
            (good[..good.len() - 9].to_owned(), expected(3, &[3])),
            (answer(&[1], &[3, 3], "bool"), expected(3, &[3])),
            (answer(&vec![0; 1 << 20], &[3, 3], "bool"), expected(3, &[3])),
            (answer(&[0; 72], &[3, 3], "f64"), expected(3, &[3])),
            (answer(&[0; 2], &[3, 3, 1], "bool"), expected(3, &[3])),
            (good.replace("eJ", "!!"), expected(3, &[3])),
        ] {
            assert!(read(text.as_bytes(), &asked).is_err(), "{text}");
        }
    }
}
