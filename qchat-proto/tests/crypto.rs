//! What the suite's encryption refuses: wrong keys, changed bits, shortened tags, and randomness that failed.

use std::sync::Arc;

use mls_rs_core::crypto::{CipherSuiteProvider, HpkeContextR, HpkeContextS, HpkePsk, HpkePublicKey};
use proptest::prelude::*;
use qchat_proto::{
    crypto::{
        aead::{self, AeadError},
        entropy::{Entropy, EntropyError, SystemEntropy},
        hpke::{self, HpkeError, Psk},
        secret::Secret,
        sign::{DeviceSigningKey, SignError},
    },
    mls::provider::{QchatCrypto, SuiteError},
};

const KEY: [u8; 32] = [1; 32];
const NONCE: [u8; 12] = [2; 12];

/// A source that gives nothing.
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _out: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

#[test]
fn every_shorter_tag_is_refused() {
    for text in [&b""[..], b"x", b"sixteen bytes ..", &[7; 300]] {
        let sealed = aead::seal(&KEY, &NONCE, b"aad", text).unwrap();
        assert_eq!(sealed.len(), text.len() + aead::TAG);
        assert_eq!(**aead::open(&KEY, &NONCE, b"aad", &sealed).unwrap(), *text);
        for tag in 0..aead::TAG {
            let cut = &sealed[..text.len() + tag];
            assert_eq!(aead::open(&KEY, &NONCE, b"aad", cut), Err(AeadError), "a tag of {tag} bytes");
        }
        // A short tag in front of nothing, or one that was made longer.
        assert_eq!(aead::open(&KEY, &NONCE, b"aad", &sealed[text.len()..][1..]), Err(AeadError));
        assert_eq!(aead::open(&KEY, &NONCE, b"aad", &[&sealed[..], &[0]].concat()), Err(AeadError));
    }
}

proptest! {
    #[test]
    fn what_was_not_sealed_so_does_not_open(text: Vec<u8>, aad: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let sealed = aead::seal(&KEY, &NONCE, &aad, &text).unwrap();
        let flip = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            bytes
        };
        let key: [u8; 32] = flip(&KEY).try_into().unwrap();
        let nonce: [u8; 12] = flip(&NONCE).try_into().unwrap();
        prop_assert_eq!(&**aead::open(&KEY, &NONCE, &aad, &sealed).unwrap(), &text);
        prop_assert_eq!(aead::open(&key, &NONCE, &aad, &sealed), Err(AeadError));
        prop_assert_eq!(aead::open(&KEY, &nonce, &aad, &sealed), Err(AeadError));
        prop_assert_eq!(aead::open(&KEY, &NONCE, &[&aad[..], &[0]].concat(), &sealed), Err(AeadError));
        prop_assert_eq!(aead::open(&KEY, &NONCE, &aad, &flip(&sealed)), Err(AeadError));
    }
}

#[test]
fn hpke_opens_only_what_was_sealed_for_it() {
    let (secret, public) = hpke::generate_key_pair(&SystemEntropy).unwrap();
    let (other, _) = hpke::generate_key_pair(&SystemEntropy).unwrap();
    assert_eq!((secret.expose().len(), public.len()), (hpke::SECRET_KEY, hpke::PUBLIC_KEY));
    let psk = Psk { id: b"id", value: &[5; 32] };
    let (wrong_value, wrong_id) = (Psk { value: &[6; 32], ..psk }, Psk { id: b"di", ..psk });
    for used in [None, Some(psk)] {
        let sealed = hpke::seal(&SystemEntropy, &public, b"info", used, b"aad", b"text").unwrap();
        assert_eq!(sealed.encapsulated_key.len(), hpke::ENCAPSULATED_KEY);
        let open = |secret: &Secret<32>, enc: &[u8], text: &[u8], info: &[u8], psk, aad: &[u8]| {
            hpke::open(secret.expose(), (enc, text), info, psk, aad).map(|text| text.to_vec())
        };
        let (enc, text) = (&sealed.encapsulated_key[..], &sealed.ciphertext[..]);
        assert_eq!(open(&secret, enc, text, b"info", used, b"aad"), Ok(b"text".to_vec()));

        let shut = Err(HpkeError::Open);
        assert_eq!(open(&other, enc, text, b"info", used, b"aad"), shut);
        assert_eq!(open(&secret, enc, text, b"other", used, b"aad"), shut);
        assert_eq!(open(&secret, enc, text, b"info", used, b"other"), shut);
        assert_eq!(open(&secret, enc, text, b"info", Some(wrong_value), b"aad"), shut);
        assert_eq!(open(&secret, enc, text, b"info", Some(wrong_id), b"aad"), shut);
        let other_mode = if used.is_some() { None } else { Some(psk) };
        assert_eq!(open(&secret, enc, text, b"info", other_mode, b"aad"), shut);
        for at in [0, 500, 1087, 1088, 1110] {
            let mut changed = enc.to_vec();
            changed[at] ^= 1;
            assert_eq!(open(&secret, &changed, text, b"info", used, b"aad"), shut, "byte {at} of the key");
        }
        for length in 0..text.len() {
            assert_eq!(open(&secret, enc, &text[..length], b"info", used, b"aad"), shut, "{length} bytes");
        }
        for length in [0, 1, 1119] {
            let cut = open(&secret, &enc[..length], text, b"info", used, b"aad");
            assert_eq!(cut, Err(HpkeError::Key));
        }
        assert_eq!(hpke::open(&[0; 31], (enc, text), b"info", used, b"aad"), Err(HpkeError::Key));
    }
    for bad in [Psk { value: &[5; 31], ..psk }, Psk { id: b"", ..psk }, Psk { id: b"", value: b"" }] {
        let sealed = hpke::seal(&SystemEntropy, &public, b"", Some(bad), b"", b"");
        assert_eq!(sealed, Err(HpkeError::Psk));
    }
}

#[test]
fn an_hpke_context_opens_in_order_and_exports_the_same() {
    let suite = QchatCrypto::new(Arc::new(SystemEntropy)).suite().clone();
    let (secret, public) = suite.kem_derive(b"thirty-two bytes of key material").unwrap();
    assert_eq!(suite.kem_derive(b"thirty-two bytes of key material").unwrap().1, public, "deterministic");
    let (enc, mut sender) = suite.hpke_setup_s(&public, b"info").unwrap();
    let mut receiver = suite.hpke_setup_r(&enc, &secret, &public, b"info").unwrap();
    let (first, second) = (sender.seal(None, b"1").unwrap(), sender.seal(Some(b"aad"), b"2").unwrap());
    assert_eq!(receiver.open(Some(b"aad"), &second), Err(SuiteError::Hpke(HpkeError::Open)), "out of order");
    assert_eq!(**receiver.open(None, &first).unwrap(), *b"1");
    assert_eq!(**receiver.open(Some(b"aad"), &second).unwrap(), *b"2");
    assert_eq!(sender.export(b"x", 32), receiver.export(b"x", 32));
    assert_ne!(sender.export(b"x", 32), sender.export(b"y", 32));
    assert_eq!(sender.export(b"x", 20_000), Err(SuiteError::Hpke(HpkeError::Exhausted)));
}

#[test]
fn the_suite_refuses_sizes_that_are_not_its_own() {
    let suite = QchatCrypto::new(Arc::new(SystemEntropy)).suite().clone();
    assert_eq!(suite.aead_seal(&[0; 16], b"", None, &NONCE), Err(SuiteError::Size));
    assert_eq!(suite.aead_seal(&KEY, b"", None, &[0; 16]), Err(SuiteError::Size));
    assert_eq!(suite.aead_open(&[0; 33], &[0; 32], None, &NONCE), Err(SuiteError::Size));
    assert_eq!(suite.kdf_expand(&[0; 47], b"", 48), Err(SuiteError::Size));
    assert_eq!(suite.kdf_expand(&[0; 48], b"", 255 * 48 + 1), Err(SuiteError::Size));
    assert_eq!(suite.sign(&vec![0; 32].into(), b""), Err(SuiteError::Size));
    assert_eq!(suite.verify(&vec![0; 32].into(), &[0; 3373], b""), Err(SuiteError::Size));
    for key in [vec![], vec![0; 1215], vec![0xff; 1216], vec![0; 1217]] {
        let refused = Err(SuiteError::Hpke(HpkeError::Key));
        assert_eq!(suite.kem_public_key_validate(&HpkePublicKey::from(key.clone())), refused);
        assert_eq!(suite.hpke_seal(&key.into(), b"", None, b"").map(drop), refused);
    }
    let (_, public) = suite.kem_generate().unwrap();
    assert_eq!(suite.kem_public_key_validate(&public), Ok(()));
    let weak = suite.hpke_seal_psk(&public, b"", None, b"", HpkePsk::new(b"id", b"short"));
    assert_eq!(weak.map(drop), Err(SuiteError::Hpke(HpkeError::Psk)));
}

#[test]
fn the_suite_signs_with_the_key_it_is_given() {
    let suite = QchatCrypto::new(Arc::new(SystemEntropy)).suite().clone();
    // Two keys in turn, so that a remembered one is not used for the other.
    let keys = [suite.signature_key_generate().unwrap(), suite.signature_key_generate().unwrap()];
    for (secret, public) in keys.iter().chain(&keys) {
        assert_eq!(suite.signature_key_derive_public(secret).as_ref(), Ok(public));
        let signature = suite.sign(secret, b"data").unwrap();
        for (_, other) in &keys {
            assert_eq!(suite.verify(other, &signature, b"data").is_ok(), other == public);
        }
        assert!(suite.verify(public, &signature, b"date").is_err());
    }
}

#[test]
fn nothing_is_made_without_randomness() {
    let suite = QchatCrypto::new(Arc::new(Dry)).suite().clone();
    let (_, public) = suite.kem_derive(&[1; 32]).unwrap();
    assert_eq!(suite.random_bytes(&mut [0; 4]), Err(SuiteError::Entropy(EntropyError)));
    assert_eq!(suite.kem_generate().map(drop), Err(SuiteError::Entropy(EntropyError)));
    let sealed = suite.hpke_seal(&public, b"", None, b"");
    assert_eq!(sealed.map(drop), Err(SuiteError::Hpke(HpkeError::Entropy(EntropyError))));
    assert_eq!(
        suite.hpke_setup_s(&public, b"").map(drop),
        Err(SuiteError::Hpke(HpkeError::Entropy(EntropyError)))
    );
    assert_eq!(
        suite.signature_key_generate().map(drop),
        Err(SuiteError::Sign(SignError::Entropy(EntropyError)))
    );
    assert_eq!(DeviceSigningKey::generate(&Dry).map(drop), Err(SignError::Entropy(EntropyError)));
    assert!(Secret::<32>::random(&Dry).is_err());
}

#[test]
fn keys_print_nothing_secret() {
    let key = DeviceSigningKey::from_seed(Secret::from_bytes([0xab; 64])).unwrap();
    let printed = format!("{key:?} {key:#?}");
    assert!(!printed.contains("abab"), "{printed}");
    assert!(printed.contains("ML-DSA-65+Ed25519"), "{printed}");
}
