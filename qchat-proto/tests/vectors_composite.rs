//! The published vectors of the composite signatures, and what no verifier may accept.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod composite;

use composite::{halves_verify, signed_bytes};
use ml_dsa::{MlDsa65, MlDsa87, MlDsaParams};
use qchat_proto::crypto::{
    secret::Secret,
    sign::{Account, BadSignature, Device, Level, PublicKey, SignatureUse, SigningKey},
};
use serde_json::Value;
use sha2::{Digest, Sha384};

struct Vector {
    usage: SignatureUse,
    seed: [u8; 64],
    public_key: Vec<u8>,
    public_key_hash: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

fn vectors<L: Level>() -> Vec<Vector> {
    let file: Value = serde_json::from_str(include_str!("../vectors/composite.json")).unwrap();
    let bytes = |vector: &Value, field: &str| hex::decode(vector[field].as_str().unwrap()).unwrap();
    let all = file["vectors"].as_array().unwrap().iter();
    let vectors: Vec<_> = all
        .filter(|vector| vector["level"] == L::NAME)
        .map(|vector| Vector {
            usage: SignatureUse::ALL
                .into_iter()
                .find(|usage| {
                    let label = String::from_utf8_lossy(usage.label());
                    label.trim_end_matches('\0') == vector["use"].as_str().unwrap()
                })
                .unwrap(),
            seed: bytes(vector, "seed").try_into().unwrap(),
            public_key: bytes(vector, "public_key"),
            public_key_hash: bytes(vector, "public_key_sha384"),
            message: bytes(vector, "message"),
            signature: bytes(vector, "signature"),
        })
        .collect();
    assert_eq!(vectors.len(), 3);
    vectors
}

fn the_vectors_hold<L: Level, P: MlDsaParams>() {
    for vector in vectors::<L>() {
        let Vector { usage, message, signature, .. } = &vector;
        let key = SigningKey::<L>::from_seed(Secret::from_bytes(vector.seed)).unwrap();
        assert_eq!(key.public().as_bytes(), vector.public_key);
        assert_eq!(key.public().hash()[..], vector.public_key_hash);
        assert_eq!(Sha384::digest(&vector.public_key)[..], vector.public_key_hash);
        assert_eq!(key.public().verify(*usage, message, signature), Ok(()));
        let fresh = key.sign(*usage, message).unwrap();
        assert_eq!(key.public().verify(*usage, message, &fresh), Ok(()));
        assert_ne!(&fresh, signature, "hedged");

        // Each half by libraries that know nothing of composites; ML-DSA by one that we do not sign with.
        let signed = signed_bytes::<L>(*usage, message);
        for signature in [signature, &fresh] {
            assert_eq!(halves_verify::<P>(&vector.public_key, &signed, signature), (true, true));
        }
    }
}

#[test]
fn device_vectors_hold() {
    the_vectors_hold::<Device, MlDsa65>();
}

#[test]
fn account_vectors_hold() {
    the_vectors_hold::<Account, MlDsa87>();
}

/// One bit in each byte, so every region of both halves: c̃, z and hints; R and S; ρ and t₁; the point.
fn no_bit_may_change<L: Level>() {
    let vector = &vectors::<L>()[1];
    let key = PublicKey::<L>::from_bytes(&vector.public_key).unwrap();
    let verify = |message: &[u8], signature: &[u8]| key.verify(vector.usage, message, signature);
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1 << (at % 8);
        bytes
    };
    for at in 0..vector.signature.len() {
        assert_eq!(verify(&vector.message, &flipped(&vector.signature, at)), Err(BadSignature), "byte {at}");
    }
    for at in 0..vector.message.len() {
        assert_eq!(verify(&flipped(&vector.message, at), &vector.signature), Err(BadSignature), "byte {at}");
    }
    let ends = [0, 1, 31, 32, 33, 1000, L::PUBLIC_KEY - 33];
    for at in ends.into_iter().chain(L::PUBLIC_KEY - 32..L::PUBLIC_KEY) {
        let other = PublicKey::<L>::from_bytes(&flipped(&vector.public_key, at));
        let verified = other.map(|key| key.verify(vector.usage, &vector.message, &vector.signature));
        assert_ne!(verified, Ok(Ok(())), "byte {at} of the key");
    }
    for length in [0, 1, 64, L::SIGNATURE - 64, L::SIGNATURE - 1] {
        assert_eq!(verify(&vector.message, &vector.signature[..length]), Err(BadSignature), "{length} bytes");
    }
    let longer = [&vector.signature[..], &[0]].concat();
    assert_eq!(verify(&vector.message, &longer), Err(BadSignature));
    assert_eq!(verify(&[&vector.message[..], &[0]].concat(), &vector.signature), Err(BadSignature));
}

#[test]
fn no_bit_of_a_device_signature_may_change() {
    no_bit_may_change::<Device>();
}

#[test]
fn no_bit_of_an_account_signature_may_change() {
    no_bit_may_change::<Account>();
}

fn one_good_half_is_not_enough<L: Level>() {
    let key = |first| SigningKey::<L>::from_seed(Secret::from_bytes([first; 64])).unwrap();
    let (alice, mallory) = (key(1), key(2));
    let cut = L::SIGNATURE - 64;
    let (usage, message) = (SignatureUse::Mls, b"the message");
    let good = alice.sign(usage, message).unwrap();
    let others = [
        ("another message", alice.sign(usage, b"another message").unwrap()),
        ("another use", alice.sign(SignatureUse::Resync, message).unwrap()),
        ("another key", mallory.sign(usage, message).unwrap()),
        ("zeros", vec![0; L::SIGNATURE]),
    ];
    for (what, other) in &others {
        let ml_dsa_only = [&good[..cut], &other[cut..]].concat();
        let ed25519_only = [&other[..cut], &good[cut..]].concat();
        for half in [ml_dsa_only, ed25519_only] {
            assert_eq!(alice.public().verify(usage, message, &half), Err(BadSignature), "{what}");
        }
    }
    // A key of two owners' halves: each of them can make one half only.
    let cut_key = L::PUBLIC_KEY - 32;
    let (a, m) = (alice.public().as_bytes(), mallory.public().as_bytes());
    let mixed = PublicKey::<L>::from_bytes(&[&a[..cut_key], &m[cut_key..]].concat()).unwrap();
    for key in [&alice, &mallory] {
        assert_eq!(mixed.verify(usage, message, &key.sign(usage, message).unwrap()), Err(BadSignature));
    }
    // Two halves of one message, both good, from two signings: nothing ties them more than that, and nothing needs to.
    let again = alice.sign(usage, message).unwrap();
    assert_eq!(alice.public().verify(usage, message, &[&again[..cut], &good[cut..]].concat()), Ok(()));
}

#[test]
fn one_good_half_of_a_device_signature_is_not_enough() {
    one_good_half_is_not_enough::<Device>();
}

#[test]
fn one_good_half_of_an_account_signature_is_not_enough() {
    one_good_half_is_not_enough::<Account>();
}

#[test]
fn a_signature_for_one_use_is_refused_under_every_other() {
    let key = SigningKey::<Device>::from_seed(Secret::from_bytes([7; 64])).unwrap();
    for made in SignatureUse::ALL {
        let signature = key.sign(made, b"message").unwrap();
        for judged in SignatureUse::ALL {
            let verified = key.public().verify(judged, b"message", &signature);
            assert_eq!(verified.is_ok(), made == judged, "{made:?} as {judged:?}");
        }
    }
}

#[test]
fn what_is_no_public_key_is_refused() {
    let good =
        SigningKey::<Device>::from_seed(Secret::from_bytes([7; 64])).unwrap().public().as_bytes().to_vec();
    let with_point = |point: [u8; 32]| [&good[..1952], &point].concat();
    let hex = |text: &str| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap();
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut sign_of_zero = identity;
    sign_of_zero[31] = 0x80;
    for (what, bytes) in [
        ("nothing", vec![]),
        ("a byte less", good[..1983].to_vec()),
        ("a byte more", [&good[..], &[0]].concat()),
        ("an account's key", vec![1; 2624]),
        ("the identity point", with_point(identity)),
        ("the identity, not canonical", with_point(sign_of_zero)),
        ("order 2", with_point(hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))),
        ("order 4", with_point([0; 32])),
        ("order 8", with_point(hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))),
        (
            "y = p + 3, not canonical",
            with_point(hex("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
        ),
        ("no point", with_point(hex("0200000000000000000000000000000000000000000000000000000000000000"))),
    ] {
        assert!(PublicKey::<Device>::from_bytes(&bytes).is_err(), "{what}");
    }
    assert_eq!(PublicKey::<Device>::from_bytes(&good).unwrap().as_bytes(), good);
}
