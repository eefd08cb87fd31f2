//! Whatever the product signs verifies in libraries that know nothing of composites, the ML-DSA half in one that we do
//! not sign with; whatever those sign verifies in the product; and no bit may change for either.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod composite;
mod identity_owner;

use std::sync::Arc;

use composite::{halves_verify, made_elsewhere, signed_bytes};
use identity_owner::{NOW, Owner};
use ml_dsa::{MlDsa65, MlDsa87, MlDsaParams};
use mls_rs_core::crypto::CipherSuiteProvider;
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{Account, Device, Level, SignatureUse, SigningKey},
    },
    identity::{AccountProof, AccountRecord, Deed, DeviceCertificate, DeviceList, LoginProof},
    ids::ServerId,
    mls::provider::QchatCrypto,
};
use sha2::{Digest, Sha384};

/// Holds one signature of the product, and one made elsewhere of the same message, against both sides.
/// `accepts` is what the product says of the message with another signature in place of its own.
fn both_sides_agree<L: Level, P: MlDsaParams>(
    what: &str,
    key: &SigningKey<L>,
    usage: SignatureUse,
    message: &[u8],
    ours: &[u8],
    accepts: impl Fn(&[u8]) -> bool,
) {
    let signed = signed_bytes::<L>(usage, message);
    let (public_key, theirs) = made_elsewhere::<P>(key.seed().expose(), &signed);
    assert_eq!(key.public().as_bytes(), public_key, "{what}");
    // c̃ and the hints, whose sizes differ by level, lie at the ML-DSA half's ends, z between; then R and S.
    let cut = L::SIGNATURE - 64;
    let places = [0, 47, 63, 64, cut / 2, cut - 80, cut - 50, cut - 1, cut, cut + 31, cut + 32, cut + 63];
    for (by, signature) in [("us", ours), ("others", &theirs)] {
        assert_eq!(signature.len(), L::SIGNATURE, "{what}, signed by {by}");
        let elsewhere = halves_verify::<P>(&public_key, &signed, signature);
        assert_eq!(elsewhere, (true, true), "{what}, signed by {by}, judged by others");
        assert!(accepts(signature), "{what}, signed by {by}, judged by us");
        for at in places {
            let mut changed = signature.to_vec();
            changed[at] ^= 1 << (at % 8);
            let elsewhere = halves_verify::<P>(&public_key, &signed, &changed);
            assert_eq!(elsewhere, (at >= cut, at < cut), "{what}, signed by {by}, byte {at} changed");
            assert!(!accepts(&changed), "{what}, signed by {by}, byte {at} changed, judged by us");
        }
    }
}

fn each_use<L: Level, P: MlDsaParams>() {
    let key = SigningKey::<L>::generate(&SystemEntropy).unwrap();
    for usage in SignatureUse::ALL {
        for message in [&b""[..], b"message", &[0xa5; 5000]] {
            let what = format!("{}, {usage:?}, {} bytes", L::NAME, message.len());
            let ours = key.sign(usage, message).unwrap();
            both_sides_agree::<L, P>(&what, &key, usage, message, &ours, |signature| {
                key.public().verify(usage, message, signature).is_ok()
            });
        }
    }
}

#[test]
fn device_keys_sign_each_use_so_that_others_verify_it() {
    each_use::<Device, MlDsa65>();
}

#[test]
fn account_keys_sign_each_use_so_that_others_verify_it() {
    each_use::<Account, MlDsa87>();
}

#[test]
fn what_accounts_state_verifies_elsewhere() {
    type Accepts = fn(&[u8], &Owner) -> bool;
    let owner = Owner::new("alice", 3);
    let (device, device_key) = &owner.devices[0];
    let record = owner.record(NOW);
    let end = record.len() - Account::SIGNATURE;
    let statements: [(_, _, _, _, Accepts); 3] = [
        (
            "certificate",
            SignatureUse::DeviceCertificate,
            &owner.identity,
            owner.certificate(*device, device_key),
            |bytes, owner| DeviceCertificate::verify(bytes, owner.identity.public()).is_ok(),
        ),
        ("device list", SignatureUse::DeviceList, &owner.identity, owner.list(1), |bytes, owner| {
            DeviceList::verify(bytes, owner.identity.public(), NOW).is_ok()
        }),
        // Without the recovery key's signature, which follows; see below.
        ("record", SignatureUse::AccountRecord, &owner.identity, record[..end].to_vec(), |bytes, owner| {
            let record = owner.record(NOW);
            let by_recovery = &record[record.len() - Account::SIGNATURE..];
            AccountRecord::verify(&[bytes, by_recovery].concat()).is_ok()
        }),
    ];
    for (what, usage, key, bytes, accepts) in statements {
        let (message, signature) = bytes.split_at(bytes.len() - Account::SIGNATURE);
        both_sides_agree::<Account, MlDsa87>(what, key, usage, message, signature, |signature| {
            accepts(&[message, signature].concat(), &owner)
        });
    }
    // Both keys sign the same bytes of a record.
    let (message, by_recovery) = (&record[..end - Account::SIGNATURE], &record[end..]);
    let usage = SignatureUse::AccountRecord;
    both_sides_agree::<Account, MlDsa87>(
        "record, recovery key",
        &owner.recovery,
        usage,
        message,
        by_recovery,
        |signature| AccountRecord::verify(&[&record[..end], signature].concat()).is_ok(),
    );
}

#[test]
fn what_devices_sign_verifies_elsewhere() {
    let owner = Owner::new("alice", 1);
    let (device, key) = &owner.devices[0];
    let proof = LoginProof {
        nonce: [3; 32],
        server: ServerId::from_bytes([4; 16]),
        expires_at: NOW,
        account: owner.account,
        device: *device,
    };
    // Only the signature of a login proof travels, so its fields are joined as the protocol says.
    let message = [
        &[1, 4][..],
        &proof.nonce,
        proof.server.as_bytes(),
        &NOW.to_be_bytes(),
        owner.account.as_bytes(),
        device.as_bytes(),
    ]
    .concat();
    let ours = proof.sign(key).unwrap();
    both_sides_agree::<Device, MlDsa65>("login", key, SignatureUse::Login, &message, &ours, |signature| {
        proof.verify(signature, key.public(), NOW - 1).is_ok()
    });

    let LoginProof { nonce, server, expires_at, account, device } = proof;
    let proof = AccountProof { nonce, server, expires_at, account, device };
    for (deed, usage, code, with) in [
        (
            Deed::ChangePassphrase { auth_key: &[8; 32], auth_salt: &[9; 16] },
            SignatureUse::Passphrase,
            1,
            [[8; 32].as_slice(), &[9; 16]].concat(),
        ),
        (Deed::Export, SignatureUse::Export, 2, vec![]),
        (Deed::Delete { token: &[7; 32] }, SignatureUse::Deletion, 3, vec![7; 32]),
    ] {
        let message = [
            &[1, 16, code][..],
            &proof.nonce,
            proof.server.as_bytes(),
            &NOW.to_be_bytes(),
            proof.account.as_bytes(),
            proof.device.as_bytes(),
            &Sha384::digest(with),
        ]
        .concat();
        let ours = proof.sign(deed, key).unwrap();
        both_sides_agree::<Device, MlDsa65>("account proof", key, usage, &message, &ours, |signature| {
            proof.verify(deed, signature, key.public(), NOW - 1).is_ok()
        });
    }

    let suite = QchatCrypto::new(Arc::new(SystemEntropy)).suite().clone();
    let (secret, public) = (key.seed().expose().to_vec().into(), key.public().as_bytes().to_vec().into());
    let ours = suite.sign(&secret, &message).unwrap();
    both_sides_agree::<Device, MlDsa65>("MLS", key, SignatureUse::Mls, &message, &ours, |signature| {
        suite.verify(&public, signature, &message).is_ok()
    });
}
