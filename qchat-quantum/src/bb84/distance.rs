//! How far a key reaches: the same run over longer and longer fibre.

use rayon::prelude::*;

use super::{Settings, run};

/// Loss of good fibre, decibels a kilometre.
pub const LOSS_PER_KM: f64 = 0.2;

/// The final key's length in bits after each of these lengths of fibre in kilometres, all else being as in `settings`; 0
/// where a run ends without a key. Runs on all threads; `tried` is called after each length.
pub fn key_lengths(settings: &Settings, kilometres: &[f64], tried: &(dyn Fn() + Sync)) -> Vec<usize> {
    kilometres
        .par_iter()
        .map(|kilometres| {
            let mut there = *settings;
            there.line.loss_db += kilometres * LOSS_PER_KM;
            let bits = run(&there).final_key_bits;
            tried();
            bits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bb84::light::Detector;

    #[test]
    fn keys_get_shorter_with_distance_until_there_are_none() {
        let detector = Detector { efficiency: 0.5, dark_counts: 1e-5 };
        let settings = Settings { qubits: 200_000, detector, seed: 3, ..Settings::default() };
        let lengths = key_lengths(&settings, &[0.0, 10.0, 25.0, 300.0], &|| {});
        assert!(
            lengths.is_sorted_by(|near, far| near > far) && lengths[0] > 0 && lengths[3] == 0,
            "{lengths:?}"
        );
        assert_eq!(lengths[0], run(&settings).final_key_bits);
    }
}
