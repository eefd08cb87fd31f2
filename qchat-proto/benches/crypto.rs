//! What each primitive costs, and what those cost that could stand in its place. Signatures: the product's ML-DSA beside
//! other libraries', and round-3 Dilithium as the yardstick.
//!
//! `cargo bench -p qchat-proto --bench crypto -- --verbose` prints medians.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::{hint::black_box, marker::PhantomData, time::Duration};

use aws_lc_rs::signature::{
    KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair,
};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use ed25519_dalek::Signer;
use ml_dsa::{MlDsa65, MlDsa87, MlDsaParams};
use ml_kem::{Decapsulate, FromSeed, MlKem768};
use qchat_proto::crypto::{
    aead,
    entropy::{Entropy, SystemEntropy},
    password::{KdfParams, derive_auth_key, derive_vault_key},
    sign::{Account, Device, Level, PublicKey, SignatureUse, SigningKey},
};
use x_wing::Decapsulator;

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes).unwrap();
    bytes
}

/// A way to sign. Keys are made from fresh random bytes, public keys parsed before they verify if the library can.
trait Scheme {
    type Secret;
    type Public;
    fn generate() -> Self::Secret;
    fn public(secret: &Self::Secret) -> Self::Public;
    fn sign(secret: &Self::Secret, message: &[u8]) -> Vec<u8>;
    fn verify(public: &Self::Public, message: &[u8], signature: &[u8]) -> bool;
}

/// aws-lc-rs, with which the product signs.
macro_rules! aws_lc {
    ($scheme:ident, $signing:ident, $verification:ident) => {
        struct $scheme;

        impl Scheme for $scheme {
            type Secret = PqdsaKeyPair;
            type Public = ParsedPublicKey;
            fn generate() -> PqdsaKeyPair {
                PqdsaKeyPair::from_seed(&$signing, &random::<32>()).unwrap()
            }
            fn public(secret: &PqdsaKeyPair) -> ParsedPublicKey {
                ParsedPublicKey::new(&$verification, secret.public_key()).unwrap()
            }
            fn sign(secret: &PqdsaKeyPair, message: &[u8]) -> Vec<u8> {
                let mut signature = vec![0; $signing.signature_len()];
                secret.sign(message, &mut signature).unwrap();
                signature
            }
            fn verify(public: &ParsedPublicKey, message: &[u8], signature: &[u8]) -> bool {
                public.verify_sig(message, signature).is_ok()
            }
        }
    };
}

aws_lc!(AwsLc65, ML_DSA_65_SIGNING, ML_DSA_65);
aws_lc!(AwsLc87, ML_DSA_87_SIGNING, ML_DSA_87);

/// The pure-Rust library of the tests.
struct MlDsa<P>(PhantomData<P>);

impl<P: MlDsaParams> Scheme for MlDsa<P> {
    type Secret = ml_dsa::SigningKey<P>;
    type Public = ml_dsa::VerifyingKey<P>;
    fn generate() -> Self::Secret {
        ml_dsa::SigningKey::from_seed(&random::<32>().into())
    }
    fn public(secret: &Self::Secret) -> Self::Public {
        secret.expanded_key().verifying_key()
    }
    fn sign(secret: &Self::Secret, message: &[u8]) -> Vec<u8> {
        // FIPS 204 algorithm 2, its two zeros: no pre-hash, no context.
        let signature = secret.expanded_key().sign_internal(&[&[0, 0], message], &random::<32>().into());
        signature.encode().to_vec()
    }
    fn verify(public: &Self::Public, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|signature| public.verify_with_context(message, b"", &signature))
    }
}

macro_rules! libcrux {
    ($scheme:ident, $module:ident, $key_pair:ident, $public:ident, $signature:ident) => {
        struct $scheme;

        impl Scheme for $scheme {
            type Secret = libcrux_ml_dsa::$module::$key_pair;
            type Public = libcrux_ml_dsa::$module::$public;
            fn generate() -> Self::Secret {
                libcrux_ml_dsa::$module::generate_key_pair(random())
            }
            fn public(secret: &Self::Secret) -> Self::Public {
                secret.verification_key.clone()
            }
            fn sign(secret: &Self::Secret, message: &[u8]) -> Vec<u8> {
                let signature =
                    libcrux_ml_dsa::$module::sign(&secret.signing_key, message, b"", random()).unwrap();
                signature.as_slice().to_vec()
            }
            fn verify(public: &Self::Public, message: &[u8], signature: &[u8]) -> bool {
                let signature = libcrux_ml_dsa::$module::$signature::new(signature.try_into().unwrap());
                libcrux_ml_dsa::$module::verify(public, message, b"", &signature).is_ok()
            }
        }
    };
}

libcrux!(Libcrux65, ml_dsa_65, MLDSA65KeyPair, MLDSA65VerificationKey, MLDSA65Signature);
libcrux!(Libcrux87, ml_dsa_87, MLDSA87KeyPair, MLDSA87VerificationKey, MLDSA87Signature);

/// Round-3 Dilithium: the sizes of ML-DSA, but neither its keys nor its signatures.
macro_rules! dilithium {
    ($scheme:ident, $module:ident) => {
        struct $scheme;

        impl Scheme for $scheme {
            type Secret = (pqcrypto_dilithium::$module::PublicKey, pqcrypto_dilithium::$module::SecretKey);
            type Public = pqcrypto_dilithium::$module::PublicKey;
            fn generate() -> Self::Secret {
                pqcrypto_dilithium::$module::keypair()
            }
            fn public((public, _): &Self::Secret) -> Self::Public {
                *public
            }
            fn sign((_, secret): &Self::Secret, message: &[u8]) -> Vec<u8> {
                use pqcrypto_traits::sign::DetachedSignature;
                pqcrypto_dilithium::$module::detached_sign(message, secret).as_bytes().to_vec()
            }
            fn verify(public: &Self::Public, message: &[u8], signature: &[u8]) -> bool {
                use pqcrypto_traits::sign::DetachedSignature;
                let signature =
                    pqcrypto_dilithium::$module::DetachedSignature::from_bytes(signature).unwrap();
                pqcrypto_dilithium::$module::verify_detached_signature(&signature, message, public).is_ok()
            }
        }
    };
}

dilithium!(Dilithium3, dilithium3);
dilithium!(Dilithium5, dilithium5);

struct Ed25519;

impl Scheme for Ed25519 {
    type Secret = ed25519_dalek::SigningKey;
    type Public = ed25519_dalek::VerifyingKey;
    fn generate() -> Self::Secret {
        ed25519_dalek::SigningKey::from_bytes(&random())
    }
    fn public(secret: &Self::Secret) -> Self::Public {
        secret.verifying_key()
    }
    fn sign(secret: &Self::Secret, message: &[u8]) -> Vec<u8> {
        secret.sign(message).to_bytes().to_vec()
    }
    fn verify(public: &Self::Public, message: &[u8], signature: &[u8]) -> bool {
        signature.try_into().is_ok_and(|signature| public.verify_strict(message, &signature).is_ok())
    }
}

/// What the product signs with, whole.
struct Composite<L>(PhantomData<L>);

impl<L: Level> Scheme for Composite<L> {
    type Secret = SigningKey<L>;
    type Public = PublicKey<L>;
    fn generate() -> SigningKey<L> {
        SigningKey::generate(&SystemEntropy).unwrap()
    }
    fn public(secret: &SigningKey<L>) -> PublicKey<L> {
        secret.public().clone()
    }
    fn sign(secret: &SigningKey<L>, message: &[u8]) -> Vec<u8> {
        secret.sign(SignatureUse::Mls, message).unwrap()
    }
    fn verify(public: &PublicKey<L>, message: &[u8], signature: &[u8]) -> bool {
        public.verify(SignatureUse::Mls, message, signature).is_ok()
    }
}

/// Messages have 114 bytes, as what the halves of a composite sign, and no two are the same: how long ML-DSA signs
/// depends on the message, and the yardstick has no other randomness.
fn messages() -> impl FnMut() -> [u8; 114] {
    let mut message = random::<114>();
    let mut count = 0_u64;
    move || {
        count += 1;
        message[..8].copy_from_slice(&count.to_be_bytes());
        message
    }
}

fn scheme<S: Scheme>(c: &mut Criterion, name: &str) {
    let mut group = c.benchmark_group(name);
    group.bench_function("key pair", |b| b.iter(S::generate));
    let secret = S::generate();
    let mut next = messages();
    group.bench_function("sign", |b| {
        b.iter_batched(&mut next, |message| S::sign(&secret, &message), BatchSize::SmallInput);
    });
    let public = S::public(&secret);
    let message = next();
    let signature = S::sign(&secret, &message);
    assert!(S::verify(&public, &message, &signature), "{name}");
    assert!(!S::verify(&public, &next(), &signature), "{name}");
    group.bench_function("verify", |b| {
        b.iter(|| S::verify(black_box(&public), black_box(&message), black_box(&signature)));
    });
    group.finish();
}

fn signatures(c: &mut Criterion) {
    scheme::<AwsLc65>(c, "ML-DSA-65, aws-lc-rs");
    scheme::<Libcrux65>(c, "ML-DSA-65, libcrux-ml-dsa");
    scheme::<MlDsa<MlDsa65>>(c, "ML-DSA-65, ml-dsa");
    scheme::<Dilithium3>(c, "Dilithium3, pqcrypto-dilithium");
    scheme::<AwsLc87>(c, "ML-DSA-87, aws-lc-rs");
    scheme::<Libcrux87>(c, "ML-DSA-87, libcrux-ml-dsa");
    scheme::<MlDsa<MlDsa87>>(c, "ML-DSA-87, ml-dsa");
    scheme::<Dilithium5>(c, "Dilithium5, pqcrypto-dilithium");
    scheme::<Ed25519>(c, "Ed25519, ed25519-dalek");
    scheme::<Composite<Device>>(c, "composite of devices");
    scheme::<Composite<Account>>(c, "composite of accounts");
}

fn key_encapsulation(c: &mut Criterion) {
    let mut group = c.benchmark_group("X25519, x25519-dalek");
    let pair = || {
        let secret = x25519_dalek::StaticSecret::from(random::<32>());
        let public = x25519_dalek::PublicKey::from(&secret);
        (secret, public)
    };
    let (secret, public) = pair();
    group.bench_function("key pair", |b| b.iter(pair));
    group.bench_function("encapsulate", |b| {
        b.iter(|| {
            let (ephemeral, encapsulated) = pair();
            (encapsulated, ephemeral.diffie_hellman(&public).to_bytes())
        });
    });
    let (_, encapsulated) = pair();
    group.bench_function("decapsulate", |b| {
        b.iter(|| secret.diffie_hellman(black_box(&encapsulated)).to_bytes());
    });
    group.finish();

    let mut group = c.benchmark_group("ML-KEM-768, ml-kem");
    let (secret, public) = MlKem768::from_seed(&random::<64>().into());
    group.bench_function("key pair", |b| b.iter(|| MlKem768::from_seed(&random::<64>().into())));
    let encapsulate = || public.encapsulate_deterministic(&random::<32>().into());
    group.bench_function("encapsulate", |b| b.iter(encapsulate));
    let (encapsulated, shared) = encapsulate();
    assert_eq!(secret.decapsulate(&encapsulated), shared);
    group.bench_function("decapsulate", |b| b.iter(|| secret.decapsulate(black_box(&encapsulated))));
    group.finish();

    let mut group = c.benchmark_group("X-Wing, x-wing");
    let pair = || x_wing::DecapsulationKey::from(random::<32>());
    let secret = pair();
    let public = secret.encapsulation_key();
    group.bench_function("key pair", |b| b.iter(pair));
    let encapsulate = || public.encapsulate_deterministic(&random::<64>().into());
    group.bench_function("encapsulate", |b| b.iter(encapsulate));
    let (encapsulated, shared) = encapsulate();
    assert_eq!(secret.decapsulate(&encapsulated), shared);
    group.bench_function("decapsulate", |b| b.iter(|| secret.decapsulate(black_box(&encapsulated))));
    group.finish();
}

fn authenticated_encryption(c: &mut Criterion) {
    let (key, nonce) = (random(), random());
    for size in [100, 4096, 65_536] {
        let mut group = c.benchmark_group(format!("AES-256-GCM, {size} bytes"));
        group.throughput(Throughput::Bytes(size as u64));
        let text = vec![0xa5; size];
        group.bench_function("seal", |b| b.iter(|| aead::seal(&key, &nonce, b"", black_box(&text))));
        let sealed = aead::seal(&key, &nonce, b"", &text).unwrap();
        group.bench_function("open", |b| b.iter(|| aead::open(&key, &nonce, b"", black_box(&sealed))));
        group.finish();
    }
}

fn passwords(c: &mut Criterion) {
    let mut group = c.benchmark_group("Argon2id");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let salt = random();
    group.bench_function("64 MiB, for the server", |b| {
        b.iter(|| derive_auth_key("correct horse", &salt, KdfParams::AUTH).unwrap());
    });
    group.bench_function("256 MiB, for the local vault", |b| {
        b.iter(|| derive_vault_key("correct horse", &salt, KdfParams::VAULT).unwrap());
    });
    group.finish();
}

criterion_group! {
    name = benches;
    // Some 50 functions in less than two minutes.
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = signatures, key_encapsulation, authenticated_encryption, passwords
}
criterion_main!(benches);
