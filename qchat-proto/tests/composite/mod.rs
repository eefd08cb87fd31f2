//! The composite signatures put together without the code under test: the signed bytes from their specification, the
//! ML-DSA half by a library that we do not sign with.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test takes what it needs")]

use ed25519_dalek::Signer;
use ml_dsa::{MlDsaParams, Signature, SigningKey, VerifyingKey};
use qchat_proto::crypto::sign::{Level, SignatureUse};
use sha2::{Digest, Sha512};

/// The 114 bytes that both halves sign.
pub fn signed_bytes<L: Level>(usage: SignatureUse, message: &[u8]) -> Vec<u8> {
    let label = match usage {
        SignatureUse::Mls => "mls",
        SignatureUse::DeviceCertificate => "device-cert",
        SignatureUse::DeviceList => "device-list",
        SignatureUse::AccountRecord => "account-record",
        SignatureUse::Login => "login",
        SignatureUse::Resync => "resync",
        SignatureUse::Restart => "restart",
        SignatureUse::Passphrase => "passphrase",
        SignatureUse::Export => "account-export",
        SignatureUse::Deletion => "account-delete",
        SignatureUse::Backup => "backup",
        SignatureUse::BackupKey => "backup-key",
        SignatureUse::Recovery => "recovery",
        SignatureUse::TreeHead => "tree-head",
        SignatureUse::Ephemeral => "ephemeral",
        SignatureUse::JoinRequest => "join-request",
    };
    let suite = match L::NAME {
        "ML-DSA-65+Ed25519" => [0xf0, 0x65],
        "ML-DSA-87+Ed25519" => [0xf0, 0x87],
        other => unreachable!("{other}"),
    };
    let mut bytes = b"qchat composite signatures v0001".to_vec();
    bytes.extend(label.as_bytes());
    bytes.resize(48, 0);
    bytes.extend(suite);
    bytes.extend(Sha512::digest(message));
    assert_eq!(bytes.len(), 114);
    bytes
}

/// Whether each half of a composite verifies by itself: ML-DSA, Ed25519.
pub fn halves_verify<P: MlDsaParams>(public_key: &[u8], signed: &[u8], signature: &[u8]) -> (bool, bool) {
    let (ml_dsa, ed25519) = signature.split_at(signature.len() - 64);
    let (ml_dsa_key, ed25519_key) = public_key.split_at(public_key.len() - 32);
    let ml_dsa_key = VerifyingKey::<P>::decode(&ml_dsa_key.try_into().unwrap());
    let ml_dsa = Signature::<P>::try_from(ml_dsa)
        .is_ok_and(|signature| ml_dsa_key.verify_with_context(signed, b"", &signature));
    let ed25519_key = ed25519_dalek::VerifyingKey::try_from(ed25519_key).unwrap();
    let ed25519 = ed25519_key.verify_strict(signed, &ed25519.try_into().unwrap()).is_ok();
    (ml_dsa, ed25519)
}

/// The public key of a composite's seed, and its signature over `signed`; deterministic, which verifiers cannot tell.
pub fn made_elsewhere<P: MlDsaParams>(seed: &[u8; 64], signed: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (ml_dsa, ed25519) = seed.split_at(32);
    let ml_dsa = SigningKey::<P>::from_seed(&ml_dsa.try_into().unwrap());
    let ml_dsa = ml_dsa.expanded_key();
    let ed25519 = ed25519_dalek::SigningKey::try_from(ed25519).unwrap();
    let public_key = [&ml_dsa.verifying_key().encode()[..], ed25519.verifying_key().as_bytes()].concat();
    let signature = ml_dsa.sign_deterministic(signed, b"").unwrap();
    (public_key, [&signature.encode()[..], &ed25519.sign(signed).to_bytes()].concat())
}
