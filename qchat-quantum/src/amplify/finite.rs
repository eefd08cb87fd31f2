//! How many secret bits a finite run yields (Tomamichel, Lim, Gisin, Renner: "Tight finite-key analysis for quantum
//! cryptography", Nature Communications 3, 634, 2012).

/// h(p) = −p·log₂ p − (1−p)·log₂(1−p) in bits; 0 at both ends and for what is no probability.
pub fn binary_entropy(p: f64) -> f64 {
    if p > 0.0 && p < 1.0 { -p * p.log2() - (1.0 - p) * (1.0 - p).log2() } else { 0.0 }
}

/// μ, by how much the error rate of `key` bits may exceed that of `test` bits chosen at random beside them, but with
/// probability `eps_sec`: √[(n+k)/(nk) · (k+1)/k · ln(4/ε)].
///
/// Infinite where there are no bits to test or to use.
pub fn statistical_deviation(key: u64, test: u64, eps_sec: f64) -> f64 {
    let (n, k) = (float(key), float(test));
    if n == 0.0 || k == 0.0 {
        return f64::INFINITY;
    }
    ((n + k) / (n * k) * (k + 1.0) / k * (4.0 / eps_sec).ln()).sqrt()
}

/// What decides over the length of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// n: reconciled bits that the key is made from.
    pub key_bits: u64,
    /// k: bits in the other basis that were compared and given up.
    pub test_bits: u64,
    /// Q: the error rate among the test bits.
    pub error_rate: f64,
    /// Bits about the key that were said in public, parities and verification hash.
    pub leaked_bits: u64,
    /// ε_sec: how far the key may be from a secret one.
    pub eps_sec: f64,
    /// ε_cor: the probability with which both ends may have different keys unnoticed.
    pub eps_cor: f64,
}

/// ℓ = ⌊n(1 − h(Q+μ)) − leak − log₂(2/(ε_sec²·ε_cor))⌋, at least 0; 0 too where Q+μ reaches one half, or a rate or an ε
/// is no probability.
pub fn key_length(run: &Run) -> u64 {
    let probability = |p: f64| p > 0.0 && p < 1.0;
    if !(probability(run.eps_sec) && probability(run.eps_cor) && (0.0..=1.0).contains(&run.error_rate)) {
        return 0;
    }
    let phase_error = run.error_rate + statistical_deviation(run.key_bits, run.test_bits, run.eps_sec);
    if phase_error >= 0.5 {
        return 0;
    }
    // Logarithms one by one: the product of small ε would be rounded to zero.
    let security = 1.0 - 2.0 * run.eps_sec.log2() - run.eps_cor.log2();
    let length =
        float(run.key_bits) * (1.0 - binary_entropy(phase_error)) - float(run.leaked_bits) - security;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative becomes 0")]
    {
        length.floor() as u64
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of bits are far below 2⁵²")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_the_one_computed_by_hand() {
        assert!((statistical_deviation(10_000, 10_000, 1e-10) - 0.069_878).abs() < 5e-7);
        assert!(
            statistical_deviation(0, 10, 1e-10).is_infinite()
                && statistical_deviation(10, 0, 1e-10).is_infinite()
        );
    }

    #[test]
    fn lengths_are_those_computed_with_other_arithmetic() {
        // By Python's decimal module with 60 digits.
        let run = |key_bits, test_bits, error_rate, leaked_bits| Run {
            key_bits,
            test_bits,
            error_rate,
            leaked_bits,
            eps_sec: 1e-10,
            eps_cor: 1e-15,
        };
        for (run, length) in LENGTHS.map(|((n, k, q, leak), length)| (run(n, k, q, leak), length)) {
            assert_eq!(key_length(&run), length, "{run:?}");
        }
        let good = run(1_000_000, 100_000, 0.01, 0);
        for bad in [
            Run { eps_sec: 0.0, ..good },
            Run { eps_cor: 1.0, ..good },
            Run { eps_sec: f64::NAN, ..good },
            Run { error_rate: f64::NAN, ..good },
            Run { error_rate: -0.1, ..good },
            Run { error_rate: 0.5, ..good },
        ] {
            assert_eq!(key_length(&bad), 0, "{bad:?}");
        }
    }

    type Case = ((u64, u64, f64, u64), u64);
    const LENGTHS: [Case; 5] = [
        ((10_000, 10_000, 0.01, 900), 4965),
        ((10_000, 10_000, 0.0, 0), 6228),
        ((100_000, 20_000, 0.02, 15_000), 52_827),
        ((562_500, 62_500, 0.03, 112_000), 287_300),
        ((1000, 1000, 0.01, 90), 12),
    ];
}
