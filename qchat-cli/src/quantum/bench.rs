//! How quantum and classical ways to make keys compare, and post-quantum algorithms with those they stand beside: measured on
//! this machine, now, on one thread.

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    agreement::{self, UnparsedPublicKey, X25519, agree},
    error::Unspecified,
    kem::{DecapsulationKey, ML_KEM_768},
    signature::{self, ED25519, Ed25519KeyPair, KeyPair as _},
};
use qchat_proto::crypto::{
    entropy::{Entropy as _, SystemEntropy},
    hpke,
    sign::{DeviceSigningKey, SignatureUse},
};
use qchat_quantum::bb84;
use serde::Serialize;

use super::{
    error::QuantumError,
    local, outcome,
    task::{Noise, Qrng, Task},
};

/// How long each thing is done over and over.
const LONG: Duration = Duration::from_millis(150);
/// Pulses of the protocol.
const PULSES: usize = 1_000_000;
/// What is signed.
const MESSAGE: &[u8] = &[0x5a; 256];

/// One thing measured.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// What it compares with: `keys` or `algorithms`.
    pub group: &'static str,
    /// What it is.
    pub name: String,
    /// Microseconds for one of it.
    pub microseconds: f64,
    /// Bits of keys a second.
    pub bits_per_second: Option<f64>,
    /// US dollars for a key of 256 bits.
    pub dollars: f64,
    /// Bytes that go over the wire: a public key and what answers it, or a public key and a signature.
    pub wire_bytes: Option<usize>,
    /// Whether it withstands a quantum computer; nothing where that is no question.
    pub post_quantum: Option<bool>,
}

/// A job on a quantum computer that has ended: the bits that it gave, and what it took.
#[derive(Clone, PartialEq, Debug)]
pub struct Paid {
    /// Where.
    pub backend: String,
    /// Bits for keys.
    pub bits: f64,
    /// Seconds of the computer.
    pub seconds: f64,
}

/// Things that are measured.
const MEASURED: u64 = 8;

/// Measures everything. Takes some seconds of a thread's time. `paid`: what quantum computers have done before; nothing is
/// spent for this. A second of one costs `price` US dollars. `tell` hears how many of how many things are measured.
///
/// # Errors
/// When a library fails.
pub fn run(paid: &[Paid], price: f64, tell: &dyn Fn(u64, u64)) -> Result<Vec<Figure>, QuantumError> {
    let done = Cell::new(0);
    let tell = || {
        done.set(done.get() + 1);
        tell(done.get(), MEASURED);
    };
    let mut figures = keys(&tell)?;
    for paid in paid {
        let seconds_a_key = paid.seconds / paid.bits.max(1.0) * 256.0;
        figures.push(Figure {
            group: "keys",
            name: format!("{} (a job that you have paid for)", paid.backend),
            microseconds: seconds_a_key * 1e6,
            bits_per_second: Some(paid.bits / paid.seconds.max(1e-9)),
            dollars: seconds_a_key * price,
            wire_bytes: None,
            post_quantum: None,
        });
    }
    figures.extend(algorithms(&tell).map_err(|Unspecified| QuantumError::Library)?);
    Ok(figures)
}

/// The best of all runs in [`LONG`], and of three at least.
fn best<E>(mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let begun = Instant::now();
    let (mut least, mut runs) = (Duration::MAX, 0);
    while runs < 3 || begun.elapsed() < LONG {
        let start = Instant::now();
        work()?;
        least = least.min(start.elapsed());
        runs += 1;
    }
    Ok(least)
}

/// Ways to 256 bits.
fn keys(tell: &dyn Fn()) -> Result<Vec<Figure>, QuantumError> {
    let figure = |name: &str, time: Duration, bits: f64| Figure {
        group: "keys",
        name: name.to_owned(),
        microseconds: time.as_secs_f64() * 1e6 / (bits / 256.0),
        bits_per_second: Some(bits / time.as_secs_f64()),
        dollars: 0.0,
        wire_bytes: None,
        post_quantum: None,
    };
    let system = best(|| {
        let mut key = [0; 32];
        SystemEntropy.fill(black_box(&mut key))
    })?;
    tell();
    let task = Task::Qrng(Qrng { bits: 256, seed: None, noise: Noise::None });
    let simulated = best(|| {
        let samples = local::run(&task)?;
        outcome::of(&task, local::NAME, None, &samples).map(|made| drop(black_box(made)))
    })?;
    tell();
    let settings = bb84::Settings { qubits: PULSES, seed: 1, ..bb84::Settings::default() };
    let mut bits = 0;
    let protocol = best(|| {
        bits = bb84::run(&settings).final_key_bits;
        Ok::<_, QuantumError>(())
    })?;
    tell();
    #[expect(clippy::cast_precision_loss, reason = "a count of bits")]
    let bits = bits.max(1) as f64;
    Ok(vec![
        figure("operating system", system, 256.0),
        figure("simulated random bits, tested and extracted", simulated, 256.0),
        figure("simulated BB84, 1,000,000 pulses", protocol, bits),
    ])
}

/// Key agreements and signatures.
fn algorithms(tell: &dyn Fn()) -> Result<Vec<Figure>, Unspecified> {
    let figure = |name: &str, time: Duration, wire: usize, post_quantum| Figure {
        group: "algorithms",
        name: name.to_owned(),
        microseconds: time.as_secs_f64() * 1e6,
        bits_per_second: None,
        dollars: 0.0,
        wire_bytes: Some(wire),
        post_quantum: Some(post_quantum),
    };
    let failed = |_| Unspecified;

    let mut wire = [0; 4];
    let x25519 = best(|| {
        let (ours, theirs) =
            (agreement::PrivateKey::generate(&X25519)?, agreement::PrivateKey::generate(&X25519)?);
        let (our_half, their_half) = (ours.compute_public_key()?, theirs.compute_public_key()?);
        wire[0] = our_half.as_ref().len() + their_half.as_ref().len();
        for (private, public) in [(&ours, &their_half), (&theirs, &our_half)] {
            let public = UnparsedPublicKey::new(&X25519, public.as_ref());
            agree(private, public, Unspecified, |secret| {
                black_box(secret);
                Ok(())
            })?;
        }
        Ok::<_, Unspecified>(())
    })?;
    tell();
    let ml_kem = best(|| {
        let secret = DecapsulationKey::generate(&ML_KEM_768)?;
        let public = secret.encapsulation_key()?;
        let (ciphertext, _) = public.encapsulate()?;
        wire[1] = public.key_bytes().map_err(failed)?.as_ref().len() + ciphertext.as_ref().len();
        black_box(secret.decapsulate(ciphertext)?.as_ref());
        Ok::<_, Unspecified>(())
    })?;
    tell();
    let hybrid = best(|| {
        let (secret, public) = hpke::generate_key_pair(&SystemEntropy).map_err(|_| Unspecified)?;
        let sealed =
            hpke::seal(&SystemEntropy, &public, &[], None, &[], &[0; 32]).map_err(|_| Unspecified)?;
        wire[2] = public.len() + sealed.encapsulated_key.len();
        let both = (&sealed.encapsulated_key[..], &sealed.ciphertext[..]);
        hpke::open(secret.expose(), both, &[], None, &[])
            .map(|key| drop(black_box(key)))
            .map_err(|_| Unspecified)
    })?;
    tell();
    let ed25519 = best(|| {
        let key = Ed25519KeyPair::generate()?;
        let public = key.public_key().as_ref();
        let signed = key.sign(MESSAGE);
        wire[3] = public.len() + signed.as_ref().len();
        signature::UnparsedPublicKey::new(&ED25519, public).verify(MESSAGE, signed.as_ref())
    })?;
    tell();
    let mut composite_wire = 0;
    let composite = best(|| {
        let key = DeviceSigningKey::generate(&SystemEntropy).map_err(|_| Unspecified)?;
        let signed = key.sign(SignatureUse::Mls, MESSAGE).map_err(|_| Unspecified)?;
        composite_wire = key.public().as_bytes().len() + signed.len();
        key.public().verify(SignatureUse::Mls, MESSAGE, &signed).map_err(|_| Unspecified)
    })?;
    tell();
    Ok(vec![
        figure("X25519: two key pairs, both agree", x25519, wire[0], false),
        figure("ML-KEM-768: key pair, encapsulate, decapsulate", ml_kem, wire[1], true),
        figure("X-Wing (both) with HPKE: key pair, seal, open", hybrid, wire[2], true),
        figure("Ed25519: key pair, sign, verify", ed25519, wire[3], false),
        figure("ML-DSA-65 and Ed25519: key pair, sign, verify", composite, composite_wire, true),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_measured_and_says_what_it_costs() {
        let paid = Paid { backend: "ibm_example".to_owned(), bits: 512.0, seconds: 2.0 };
        let told = Cell::new((0, 0));
        let figures = run(&[paid], 1.6, &|done, of| told.set((done, of))).unwrap();
        assert_eq!(told.get(), (MEASURED, MEASURED));
        assert!(figures.iter().all(|figure| figure.microseconds > 0.0));
        let of = |name: &str| figures.iter().find(|figure| figure.name.starts_with(name)).unwrap();
        assert!((of("ibm_example").dollars - 1.6).abs() < 1e-9);
        assert_eq!(of("operating system").dollars.to_bits(), 0.0_f64.to_bits());
        for (name, wire, post_quantum) in [
            ("X25519", 64, false),
            ("ML-KEM-768", 1_184 + 1_088, true),
            ("X-Wing", 1_216 + 1_120, true),
            ("Ed25519", 32 + 64, false),
            ("ML-DSA-65", 1_952 + 32 + 3_309 + 64, true),
        ] {
            let figure = of(name);
            assert_eq!((figure.wire_bytes, figure.post_quantum), (Some(wire), Some(post_quantum)), "{name}");
        }
    }
}
