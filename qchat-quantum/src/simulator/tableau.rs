//! The stabilizer tableau, one shot at a time (Aaronson and Gottesman, "Improved simulation of stabilizer circuits",
//! Physical Review A 70, 052328, 2004), with the bits of a row packed into words.

use rand::Rng;

use crate::circuit::Clifford;

/// n destabilizers, then n stabilizers; each a Pauli operator with a sign.
pub(super) struct Tableau {
    qubits: usize,
    rows: Vec<Row>,
}

#[derive(Clone)]
struct Row {
    x: Vec<u64>,
    z: Vec<u64>,
    negative: bool,
}

impl Row {
    fn identity(qubits: usize) -> Self {
        let words = qubits.div_ceil(64);
        Self { x: vec![0; words], z: vec![0; words], negative: false }
    }

    /// Becomes its product with another row that commutes with it, or whose sign nobody will ask for.
    fn multiply(&mut self, other: &Self) {
        // Powers of i from each qubit, +1 and −1 counted apart.
        let (mut plus, mut minus) = (0, 0);
        let own = self.x.iter_mut().zip(&mut self.z);
        for ((x2, z2), (x1, z1)) in own.zip(other.x.iter().zip(&other.z)) {
            let (y1, x1_only, z1_only) = (x1 & z1, x1 & !z1, !x1 & z1);
            plus += (y1 & *z2 & !*x2 | x1_only & *x2 & *z2 | z1_only & *x2 & !*z2).count_ones();
            minus += (y1 & *x2 & !*z2 | x1_only & *z2 & !*x2 | z1_only & *x2 & *z2).count_ones();
            *x2 ^= x1;
            *z2 ^= z1;
        }
        let quarter = (plus + 3 * minus) % 4;
        self.negative ^= other.negative ^ (quarter >= 2);
    }
}

fn bit(words: &[u64], index: usize) -> bool {
    words[index / 64] >> (index % 64) & 1 == 1
}

impl Tableau {
    /// All qubits zero.
    pub(super) fn new(qubits: usize) -> Self {
        let row = |n: usize| {
            let mut row = Row::identity(qubits);
            let qubit = n % qubits;
            (if n < qubits { &mut row.x } else { &mut row.z })[qubit / 64] |= 1 << (qubit % 64);
            row
        };
        Self { qubits, rows: (0..2 * qubits).map(row).collect() }
    }

    pub(super) fn one(&mut self, gate: Clifford, qubit: usize) {
        let (word, shift) = (qubit / 64, qubit % 64);
        for row in &mut self.rows {
            let (x, z) = (row.x[word] >> shift & 1, row.z[word] >> shift & 1);
            match gate {
                Clifford::H => {
                    row.negative ^= x & z == 1;
                    row.x[word] ^= (x ^ z) << shift;
                    row.z[word] ^= (x ^ z) << shift;
                }
                Clifford::S => {
                    row.negative ^= x & z == 1;
                    row.z[word] ^= x << shift;
                }
                Clifford::X => row.negative ^= z == 1,
                Clifford::Z => row.negative ^= x == 1,
            }
        }
    }

    pub(super) fn cx(&mut self, control: usize, target: usize) {
        for row in &mut self.rows {
            let (xc, zc) = (bit(&row.x, control), bit(&row.z, control));
            let (xt, zt) = (bit(&row.x, target), bit(&row.z, target));
            row.negative ^= xc && zt && (xt == zc);
            row.x[target / 64] ^= u64::from(xc) << (target % 64);
            row.z[control / 64] ^= u64::from(zt) << (control % 64);
        }
    }

    /// Measures in the Z basis.
    pub(super) fn measure(&mut self, qubit: usize, random: &mut impl Rng) -> bool {
        let n = self.qubits;
        if let Some(pivot) = (n..2 * n).find(|&row| bit(&self.rows[row].x, qubit)) {
            let own = self.rows[pivot].clone();
            for (number, row) in self.rows.iter_mut().enumerate() {
                if number != pivot && bit(&row.x, qubit) {
                    row.multiply(&own);
                }
            }
            let outcome = random.next_u32() & 1 == 1;
            self.rows[pivot - n] = own;
            self.rows[pivot] = Row::identity(n);
            self.rows[pivot].z[qubit / 64] |= 1 << (qubit % 64);
            self.rows[pivot].negative = outcome;
            return outcome;
        }
        let mut product = Row::identity(n);
        for destabilizer in 0..n {
            if bit(&self.rows[destabilizer].x, qubit) {
                product.multiply(&self.rows[destabilizer + n]);
            }
        }
        product.negative
    }

    pub(super) fn reset(&mut self, qubit: usize, random: &mut impl Rng) {
        if self.measure(qubit, random) {
            self.one(Clifford::X, qubit);
        }
    }
}
