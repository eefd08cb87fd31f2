//! Project Wycheproof's vectors for every primitive of the suite. Each test counts what it judged, so that a set that
//! loads empty, or a filter that skips everything, does not pass.
//!
//! Not run, and why: semi-expanded ML-KEM keys (every key here is a seed), other key, nonce and tag sizes of AES-GCM
//! (the suite has one of each), ML-DSA with a context string on aws-lc-rs (its interface has none; ours is empty).
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use aws_lc_rs::signature::{
    KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING, ParsedPublicKey, PqdsaKeyPair,
    PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
};
use ml_dsa::{MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};
use ml_kem::{Decapsulate, FromSeed, KeyExport, MlKem768, TryKeyInit, ml_kem_768};
use qchat_proto::crypto::{aead, hpke, kdf};
use wycheproof::TestResult;

#[test]
fn aes_256_gcm() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let mut judged = 0;
    for group in &set.test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in &group.tests {
            let key = test.key.as_slice().try_into().unwrap();
            let nonce = test.nonce.as_slice().try_into().unwrap();
            let ciphertext = [test.ct.as_slice(), test.tag.as_slice()].concat();
            let opened = aead::open(key, nonce, &test.aad, &ciphertext).ok();
            let valid = test.result == TestResult::Valid;
            assert_eq!(opened.is_some_and(|opened| *opened == **test.pt), valid, "{}", test.tc_id);
            if valid {
                assert_eq!(aead::seal(key, nonce, &test.aad, &test.pt).unwrap(), ciphertext);
            }
            judged += 1;
        }
    }
    assert_eq!(judged, 66);
}

#[test]
fn hkdf_sha_384() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha384).unwrap();
    let mut judged = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = kdf::extract(&test.salt, &test.ikm);
        let mut out = vec![0; test.size];
        let expanded = kdf::expand(key.expose(), &test.info, &mut out);
        assert_eq!(expanded.is_ok(), test.result == TestResult::Valid, "{}", test.tc_id);
        assert!(expanded.is_err() || out == **test.okm, "{}", test.tc_id);
        judged += 1;
    }
    assert_eq!(judged, set.number_of_tests);
    assert!(judged > 80);
}

#[test]
fn hmac_sha_384() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha384).unwrap();
    let mut judged = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let mac = kdf::hmac_sha384(&test.key, &test.msg);
            let fits = mac[..group.tag_size / 8] == **test.tag;
            assert_eq!(fits, test.result == TestResult::Valid, "{}", test.tc_id);
            judged += 1;
        }
    }
    assert_eq!(judged, 174);
}

#[test]
fn ed25519_strictly() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut judged = 0;
    for group in &set.test_groups {
        let key = ed25519_dalek::VerifyingKey::try_from(group.key.pk.as_slice()).unwrap();
        for test in &group.tests {
            let verified = ed25519_dalek::Signature::try_from(test.sig.as_slice())
                .is_ok_and(|signature| key.verify_strict(&test.msg, &signature).is_ok());
            assert_eq!(verified, test.result == TestResult::Valid, "{}", test.tc_id);
            judged += 1;
        }
    }
    assert_eq!(judged, 151);
}

#[test]
fn ml_kem_768_decapsulates() {
    use wycheproof::mlkem::{TestName, TestSet};
    let set = TestSet::load(TestName::MlKem768).unwrap();
    let (mut judged, mut malformed) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        judged += 1;
        let seed = test.seed.as_ref().unwrap().as_slice().try_into();
        let ciphertext = test.ct.as_ref().unwrap().as_slice().try_into();
        let (Ok(seed), Ok(ciphertext)) = (seed, ciphertext) else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            malformed += 1;
            continue;
        };
        let (secret, public) = MlKem768::from_seed(&seed);
        assert_eq!(public.to_bytes()[..], **test.encaps_key.as_ref().unwrap(), "{}", test.tc_id);
        let shared = secret.decapsulate(&ciphertext);
        assert_eq!(
            shared[..] == **test.shared_secret.as_ref().unwrap(),
            test.result == TestResult::Valid,
            "{}",
            test.tc_id
        );
    }
    assert_eq!((judged, malformed), (201, 40));
}

#[test]
fn ml_kem_768_makes_keys_from_seeds() {
    use wycheproof::mlkem::{TestName, TestSet};
    let set = TestSet::load(TestName::MlKem768KeyGenSeed).unwrap();
    let mut judged = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let seed = test.seed.as_ref().unwrap().as_slice().try_into().unwrap();
        let (_, public) = MlKem768::from_seed(&seed);
        assert_eq!(public.to_bytes()[..], **test.encaps_key.as_ref().unwrap(), "{}", test.tc_id);
        assert_eq!(test.result, TestResult::Valid);
        judged += 1;
    }
    assert_eq!(judged, set.number_of_tests);
    assert!(judged > 20);
}

#[test]
fn ml_kem_768_encapsulates_to_good_keys_only() {
    use wycheproof::mlkem::{TestName, TestSet};
    let set = TestSet::load(TestName::MlKem768Encaps).unwrap();
    let (mut judged, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        judged += 1;
        let bytes = test.encaps_key.as_ref().unwrap().as_slice();
        let key = ml_kem_768::EncapsulationKey::new_from_slice(bytes);
        // The X25519 half takes any 32 bytes, so HPKE's judgement of the whole is that of the ML-KEM half.
        let hybrid = hpke::validate_public_key(&[bytes, &[9; 32]].concat());
        assert_eq!(hybrid.is_ok(), key.is_ok(), "{}", test.tc_id);
        assert_eq!(key.is_ok(), test.result == TestResult::Valid, "{}", test.tc_id);
        let Ok(key) = key else {
            refused += 1;
            continue;
        };
        let message = test.msg.as_ref().unwrap().as_slice().try_into().unwrap();
        let (ciphertext, shared) = key.encapsulate_deterministic(&message);
        assert_eq!(ciphertext[..], **test.ct.as_ref().unwrap(), "{}", test.tc_id);
        assert_eq!(shared[..], **test.shared_secret.as_ref().unwrap(), "{}", test.tc_id);
    }
    assert_eq!((judged, refused), (265, 132));
}

/// Verifies on both libraries; aws-lc-rs, which signs and verifies for us, has no context string.
fn ml_dsa_verifies<P: MlDsaParams>(
    name: wycheproof::mldsa_verify::TestName,
    algorithm: &'static PqdsaVerificationAlgorithm,
) -> (usize, usize) {
    let set = wycheproof::mldsa_verify::TestSet::load(name).unwrap();
    let (mut ours, mut second) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let valid = test.result == TestResult::Valid;
            let context = test.ctx.as_ref().map_or(&[][..], |ctx| ctx.as_slice());
            if context.is_empty() {
                let verified = ParsedPublicKey::new(algorithm, group.pubkey.as_slice())
                    .is_ok_and(|key| key.verify_sig(&test.msg, &test.sig).is_ok());
                assert_eq!(verified, valid, "aws-lc-rs, {}", test.tc_id);
                ours += 1;
            }
            let verified = group.pubkey.as_slice().try_into().is_ok_and(|bytes| {
                Signature::<P>::try_from(test.sig.as_slice()).is_ok_and(|signature| {
                    VerifyingKey::<P>::decode(&bytes).verify_with_context(&test.msg, context, &signature)
                })
            });
            assert_eq!(verified, valid, "ml-dsa, {}", test.tc_id);
            second += 1;
        }
    }
    assert_eq!(second, set.number_of_tests);
    (ours, second)
}

#[test]
fn ml_dsa_65_verifies() {
    let name = wycheproof::mldsa_verify::TestName::MlDsa65Verify;
    let (ours, second) = ml_dsa_verifies::<MlDsa65>(name, &ML_DSA_65);
    assert_eq!((ours, second), (203, 210));
}

#[test]
fn ml_dsa_87_verifies() {
    let name = wycheproof::mldsa_verify::TestName::MlDsa87Verify;
    let (ours, second) = ml_dsa_verifies::<MlDsa87>(name, &ML_DSA_87);
    assert_eq!((ours, second), (234, 241));
}

/// Signing is hedged here, so the vectors' signatures cannot be made again; their keys can.
fn ml_dsa_makes_keys(
    name: wycheproof::mldsa_sign::TestName,
    algorithm: &'static PqdsaSigningAlgorithm,
) -> usize {
    let set = wycheproof::mldsa_sign::TestSet::load(name).unwrap();
    let mut judged = 0;
    for group in &set.test_groups {
        let (Some(seed), Some(public)) = (&group.privseed, &group.pubkey) else { continue };
        let Ok(key) = PqdsaKeyPair::from_seed(algorithm, seed) else {
            assert!(group.tests.iter().all(|test| test.result == TestResult::Invalid));
            continue;
        };
        assert_eq!(key.public_key().as_ref(), public.as_slice());
        judged += 1;
    }
    judged
}

#[test]
fn ml_dsa_makes_keys_from_seeds() {
    use wycheproof::mldsa_sign::TestName;
    let judged = [
        ml_dsa_makes_keys(TestName::MlDsa65SignSeed, &ML_DSA_65_SIGNING),
        ml_dsa_makes_keys(TestName::MlDsa87SignSeed, &ML_DSA_87_SIGNING),
    ];
    assert_eq!(judged, [39, 39]);
}
