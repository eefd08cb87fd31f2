//! What measurements gave: for every classical bit one string with its value in each shot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bits::Bits;

/// The results of some shots of a circuit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    shots: usize,
    columns: Vec<Bits>,
}

impl Samples {
    pub(crate) fn new(shots: usize, bits: usize) -> Self {
        Self { shots, columns: vec![Bits::zeros(shots); bits] }
    }

    /// The results whose classical bits have these values, shot by shot; nothing when not all have as many.
    pub fn from_columns(columns: Vec<Bits>) -> Option<Self> {
        let shots = columns.first().map_or(0, Bits::len);
        columns.iter().all(|column| column.len() == shots).then_some(Self { shots, columns })
    }

    pub(crate) fn set_column(&mut self, bit: usize, values: Bits) {
        self.columns[bit] = values;
    }

    /// How many shots there were.
    pub fn shots(&self) -> usize {
        self.shots
    }

    /// How many classical bits each has.
    pub fn bits(&self) -> usize {
        self.columns.len()
    }

    /// The values of a classical bit, shot by shot; none beyond the last bit.
    pub fn column(&self, bit: usize) -> Option<&Bits> {
        self.columns.get(bit)
    }

    /// All classical bits of a shot, bit 0 first.
    pub fn shot(&self, shot: usize) -> Bits {
        self.columns.iter().map(|column| column.get(shot)).collect()
    }

    /// How often each outcome came, written as a binary number: classical bit 0 is the last digit.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for shot in 0..self.shots {
            let digits = self.columns.iter().rev().map(|column| if column.get(shot) { '1' } else { '0' });
            *counts.entry(digits.collect()).or_default() += 1;
        }
        counts
    }

    /// All bits in one string, shot after shot.
    pub fn concatenated(&self) -> Bits {
        (0..self.shots).flat_map(|shot| self.columns.iter().map(move |column| column.get(shot))).collect()
    }
}
