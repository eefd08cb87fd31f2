//! How quantum and classical ways to make keys compare, and post-quantum algorithms with those they stand beside: measured on
//! this machine, now, on one thread.

use std::{
    cell::Cell,
    hint::black_box,
    path::Path,
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
    secret::Secret,
    sign::{DeviceSigningKey, SignatureUse},
};
use qchat_quantum::bb84;
use serde::Serialize;

use super::{
    cloud::Cloud,
    error::QuantumError,
    local,
    outcome::{self, Source},
    task::{MOST_BITS, Noise, Qrng, Task, WIDTH},
};
use crate::store::quantum::{JobId, NewJob, QuantumStore};

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
    /// Whether it was measured, and not believed.
    pub measured: bool,
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
const MEASURED: u64 = 9;

/// Measures everything. Takes some seconds of a thread's time. `paid`: what quantum computers have done before; nothing is
/// spent for this, and where there was nothing it is said what is believed of them. A second of one costs `price` US dollars. Jobs
/// are stored below `dir` meanwhile. `tell` hears how many of how many things are measured.
///
/// # Errors
/// When a library fails.
pub fn run(
    paid: &[Paid],
    price: f64,
    dir: &Path,
    tell: &dyn Fn(u64, u64),
) -> Result<Vec<Figure>, QuantumError> {
    let done = Cell::new(0);
    let tell = || {
        done.set(done.get() + 1);
        tell(done.get(), MEASURED);
    };
    let mut figures = keys(dir, &tell)?;
    let on_a_device = |name: String, bits: f64, seconds: f64, measured: bool| Figure {
        group: "keys",
        name,
        microseconds: seconds / bits.max(1.0) * 256e6,
        bits_per_second: Some(bits / seconds.max(1e-9)),
        dollars: seconds / bits.max(1.0) * 256.0 * price,
        wire_bytes: None,
        post_quantum: None,
        measured,
    };
    for paid in paid {
        let name = format!("{} (a job that you have paid for)", paid.backend);
        figures.push(on_a_device(name, paid.bits, paid.seconds, true));
    }
    if paid.is_empty() {
        for (bits, name) in [
            (256, "IBM Quantum, believed: a key a job"),
            (MOST_BITS, "IBM Quantum, believed: 256 keys a job"),
        ] {
            let (circuits, shots) =
                Task::Qrng(Qrng { bits, seed: None, noise: Noise::None }).circuits(WIDTH)?;
            #[expect(clippy::cast_precision_loss, reason = "a count of bits")]
            let figure =
                on_a_device(name.to_owned(), bits as f64, Cloud::estimate(circuits.len() * shots), false);
            figures.push(figure);
        }
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

/// A job of random bits from the first line in the database to bits in the pool, each step durable before the next.
fn stored(store: &QuantumStore, task: &Task) -> Result<(), QuantumError> {
    let text = serde_json::to_string(task).map_err(|_| QuantumError::Malformed("task"))?;
    let job = NewJob { task: &text, backend: local::NAME, ..NewJob::default() };
    let job = store.add_job(JobId::random(&SystemEntropy)?, &job)?;
    let measured = outcome::encode(&local::run(task)?)?;
    let job = store.measured(&job, &measured, None)?;
    let made = outcome::of(task, &Source::LOCAL, &outcome::decode(&measured)?)?;
    store.finish(&job, false, &made.bytes, |added| outcome::kept(&made.report, added * 8))?;
    // A pool that is full would take no more.
    store.draw()?;
    Ok(())
}

/// Ways to 256 bits.
fn keys(dir: &Path, tell: &dyn Fn()) -> Result<Vec<Figure>, QuantumError> {
    let figure = |name: &str, time: Duration, bits: f64| Figure {
        group: "keys",
        name: name.to_owned(),
        microseconds: time.as_secs_f64() * 1e6 / (bits / 256.0),
        bits_per_second: Some(bits / time.as_secs_f64()),
        dollars: 0.0,
        wire_bytes: None,
        post_quantum: None,
        measured: true,
    };
    let system = best(|| {
        let mut key = [0; 32];
        SystemEntropy.fill(black_box(&mut key))
    })?;
    tell();
    let task = Task::Qrng(Qrng { bits: 256, seed: None, noise: Noise::None });
    let simulated = best(|| {
        let samples = local::run(&task)?;
        outcome::of(&task, &Source::LOCAL, &samples).map(|made| drop(black_box(made)))
    })?;
    tell();
    let key = {
        let mut key = [0; 32];
        SystemEntropy.fill(&mut key)?;
        Secret::from_bytes(key)
    };
    let store = QuantumStore::open(dir, key)?;
    let durable = best(|| stored(&store, &task))?;
    drop(store);
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
        figure("the same as a job, stored and drawn", durable, 256.0),
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
        measured: true,
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
        let dir = tempfile::tempdir().unwrap();
        let paid = Paid { backend: "ibm_example".to_owned(), bits: 512.0, seconds: 2.0 };
        let told = Cell::new((0, 0));
        let figures = run(&[paid], 1.6, dir.path(), &|done, of| told.set((done, of))).unwrap();
        assert_eq!(told.get(), (MEASURED, MEASURED));
        assert!(figures.iter().all(|figure| figure.microseconds > 0.0 && figure.measured));
        let of = |name: &str| figures.iter().find(|figure| figure.name.starts_with(name)).unwrap();
        assert!((of("ibm_example").dollars - 1.6).abs() < 1e-9);
        assert_eq!(of("operating system").dollars.to_bits(), 0.0_f64.to_bits());
        assert!(of("the same as a job").bits_per_second.is_some());
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
        // Before a job has run there it is said what is believed, and that it is.
        let dir = tempfile::tempdir().unwrap();
        let figures = run(&[], 2.0, dir.path(), &|_, _| {}).unwrap();
        let believed: Vec<_> = figures.iter().filter(|figure| !figure.measured).collect();
        assert_eq!(believed.len(), 2);
        // 2 s and 256 runs of 0.25 ms for one key; 2 s and 10,256 for 256.
        assert!((believed[0].dollars - 2.0 * 2.064).abs() < 1e-9, "{believed:?}");
        assert!((believed[1].microseconds - (2.0 + 10_256.0 * 250e-6) / 256.0 * 1e6).abs() < 1e-3);
    }
}
