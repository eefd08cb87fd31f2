//! Who gets into a group: the library's hook on identities, alone and inside a real group under the real suite.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod identity_owner;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use identity_owner::Owner;
use mls_rs::{Client, ExtensionList, MlsMessage, client_builder::MlsConfig, group::ReceivedMessage};
use mls_rs_core::{
    crypto::{CipherSuite, CryptoProvider, SignaturePublicKey},
    identity::{
        BasicCredential, Credential, CredentialType, CustomCredential, IdentityProvider,
        MemberValidationContext, SigningIdentity,
    },
};
use qchat_proto::{
    crypto::{
        entropy::SystemEntropy,
        sign::{AccountPublicKey, DeviceSigningKey},
    },
    identity::{DeviceCertificate, IdentityError, LeafCredential},
    ids::{AccountId, DeviceId},
    mls::{
        identity::{AccountKeys, MemberError, MissingKey, QchatIdentity, leaf_credential, signing_identity},
        provider::{QchatCrypto, SUITE, secret_key},
    },
};

#[derive(Default)]
struct Contacts(Mutex<HashMap<AccountId, AccountPublicKey>>);

impl Contacts {
    fn of(owners: &[&Owner]) -> Arc<Self> {
        let contacts = Self::default();
        for owner in owners {
            contacts.pin(owner);
        }
        Arc::new(contacts)
    }

    fn pin(&self, owner: &Owner) {
        self.0.lock().unwrap().insert(owner.account, owner.identity.public().clone());
    }
}

impl AccountKeys for Contacts {
    fn account_key(&self, account: AccountId, identity_key_hash: &[u8; 48]) -> Option<AccountPublicKey> {
        let keys = self.0.lock().unwrap();
        keys.get(&account).filter(|key| key.hash() == *identity_key_hash).cloned()
    }
}

fn leaf(owner: &Owner, device: usize) -> SigningIdentity {
    let (_, key) = &owner.devices[device];
    signing_identity(&owner.certificates()[device], key.public()).unwrap()
}

fn check(provider: &QchatIdentity, leaf: &SigningIdentity) -> Result<(), MemberError> {
    provider.validate_member(leaf, None, MemberValidationContext::None)
}

#[test]
fn an_unknown_identity_key_is_reported_once_and_accepted_when_pinned() {
    let (alice, bob) = (Owner::new("alice", 1), Owner::new("bob", 2));
    let contacts = Contacts::of(&[&alice]);
    let provider = QchatIdentity::new(contacts.clone());
    assert_eq!(check(&provider, &leaf(&alice, 0)), Ok(()));
    for device in [0, 1] {
        assert_eq!(check(&provider, &leaf(&bob, device)), Err(MemberError::UnknownKey(bob.account)));
    }
    let missing = MissingKey { account: bob.account, identity_key_hash: bob.identity.public().hash() };
    assert_eq!(provider.clone().missing().take(), [missing]);
    assert_eq!(provider.missing().take(), []);

    contacts.pin(&bob);
    assert_eq!(check(&provider, &leaf(&bob, 0)), Ok(()));
    // A key that is withdrawn takes its leaves with it, remembered or not.
    contacts.pin(&Owner { account: bob.account, ..Owner::new("bob", 0) });
    assert_eq!(check(&provider, &leaf(&bob, 0)), Err(MemberError::UnknownKey(bob.account)));
}

#[test]
fn every_forged_leaf_has_its_refusal() {
    let (alice, mallory) = (Owner::new("alice", 2), Owner::new("mallory", 1));
    let provider = QchatIdentity::new(Contacts::of(&[&alice, &mallory]));
    let good = leaf(&alice, 0);
    check(&provider, &good).unwrap();
    let credential = leaf_credential(&good).unwrap();
    let with = |credential: &LeafCredential| {
        let custom = CustomCredential::new(CredentialType::new(0xf0a0), credential.encode());
        SigningIdentity::new(Credential::Custom(custom), good.signature_key.clone())
    };
    let custom = |credential_type, data: Vec<u8>| {
        let custom = CustomCredential::new(CredentialType::new(credential_type), data);
        SigningIdentity::new(Credential::Custom(custom), good.signature_key.clone())
    };
    // Mallory's own identity key certifies her device in alice's name.
    let (device, key) = &mallory.devices[0];
    let in_her_name = DeviceCertificate {
        account: alice.account,
        device: *device,
        device_key: key.public().clone(),
        identity_key_hash: mallory.identity.public().hash(),
        created_at: 0,
    };
    let in_her_name = signing_identity(&in_her_name.sign(&mallory.identity).unwrap(), key.public()).unwrap();

    let forged = MemberError::Certificate(IdentityError::Forged("device certificate"));
    let malformed = MemberError::Certificate(IdentityError::Malformed("leaf credential"));
    let mut bits = credential.clone();
    bits.certificate_signature[4000] ^= 1;
    let cases = [
        (
            "a certificate for another device's key",
            leaf_with_key(&good, alice.devices[1].1.public().as_bytes()),
            &forged,
        ),
        ("no key at all", leaf_with_key(&good, b"key"), &MemberError::DeviceKey),
        (
            "an account's key in place of a device's",
            leaf_with_key(&good, alice.identity.public().as_bytes()),
            &MemberError::DeviceKey,
        ),
        (
            "another device id",
            with(&LeafCredential { device: DeviceId::from_bytes([9; 16]), ..credential.clone() }),
            &forged,
        ),
        ("another time", with(&LeafCredential { certificate_created_at: 1, ..credential.clone() }), &forged),
        ("a broken signature", with(&bits), &forged),
        (
            "an account that did not sign",
            with(&LeafCredential { account: mallory.account, ..credential.clone() }),
            &MemberError::UnknownKey(mallory.account),
        ),
        ("another member's identity key", in_her_name, &MemberError::UnknownKey(alice.account)),
        ("a truncated credential", custom(0xf0a0, credential.encode()[..4000].to_vec()), &malformed),
        (
            "a credential with more after its end",
            custom(0xf0a0, [credential.encode(), vec![0]].concat()),
            &malformed,
        ),
        ("an empty credential", custom(0xf0a0, vec![]), &malformed),
        (
            "another type of credential",
            custom(0xf0a1, credential.encode()),
            &MemberError::CredentialType(0xf0a1),
        ),
        (
            "a basic credential",
            SigningIdentity::new(
                Credential::Basic(BasicCredential::new(b"alice".to_vec())),
                good.signature_key.clone(),
            ),
            &MemberError::CredentialType(1),
        ),
    ];
    for (lie, leaf, refusal) in cases {
        // Twice: a refusal is not remembered as anything else.
        for _ in 0..2 {
            assert_eq!(check(&provider, &leaf).as_ref(), Err(refusal), "{lie}");
        }
    }
    let outside = provider.validate_external_sender(&good, None, None);
    assert_eq!(outside, Err(MemberError::ExternalSender));
}

fn leaf_with_key(leaf: &SigningIdentity, key: &[u8]) -> SigningIdentity {
    SigningIdentity::new(leaf.credential.clone(), SignaturePublicKey::new_slice(key))
}

#[test]
fn a_member_is_its_account_and_device_whatever_its_key() {
    let alice = Owner::new("alice", 2);
    let provider = QchatIdentity::new(Contacts::of(&[&alice]));
    let identity = |leaf: &SigningIdentity| provider.identity(leaf, &ExtensionList::new()).unwrap();
    let first = leaf(&alice, 0);
    let new_key = DeviceSigningKey::generate(&SystemEntropy).unwrap();
    let since = leaf_credential(&first).unwrap().certificate_created_at;
    let renewed = |created_at| {
        let certificate = DeviceCertificate {
            account: alice.account,
            device: alice.devices[0].0,
            device_key: new_key.public().clone(),
            identity_key_hash: alice.identity.public().hash(),
            created_at,
        };
        signing_identity(&certificate.sign(&alice.identity).unwrap(), new_key.public()).unwrap()
    };
    assert_eq!(identity(&first), [*alice.account.as_bytes(), *alice.devices[0].0.as_bytes()].concat());
    assert_eq!(identity(&first), identity(&renewed(since)));
    let follows = |new: &SigningIdentity| provider.valid_successor(&first, new, &ExtensionList::new());
    // Another key needs a newer certificate, or whoever has a former one leads the leaf back to it.
    assert_eq!(follows(&renewed(since + 1)), Ok(true));
    assert_eq!(follows(&renewed(since)), Ok(false));
    assert_eq!(follows(&leaf(&alice, 1)), Ok(false));
}

fn client(owner: &Owner, contacts: &Arc<Contacts>) -> Client<impl MlsConfig> {
    Client::builder()
        .crypto_provider(QchatCrypto::new(Arc::new(SystemEntropy)))
        .identity_provider(QchatIdentity::new(contacts.clone()))
        .signing_identity(leaf(owner, 0), secret_key(&owner.devices[0].1), SUITE)
        .build()
}

#[test]
fn a_group_runs_on_the_suite_and_keeps_forged_members_out() {
    let (alice, bob, mallory) = (Owner::new("alice", 1), Owner::new("bob", 1), Owner::new("mallory", 1));
    let contacts = Contacts::of(&[&alice, &bob]);
    let (alice_client, bob_client) = (client(&alice, &contacts), client(&bob, &contacts));
    let no = ExtensionList::new;
    let mut group = alice_client.create_group(no(), no(), None).unwrap();
    let package = bob_client.generate_key_package_message(no(), no(), None).unwrap();
    let commit = group.commit_builder().add_member(package).unwrap().build().unwrap();
    group.apply_pending_commit().unwrap();
    let (mut joined, _) = bob_client.join_group(None, &commit.welcome_messages[0], None).unwrap();

    let sealed = group.encrypt_application_message(b"hello", vec![]).unwrap().to_bytes().unwrap();
    let ReceivedMessage::ApplicationMessage(opened) =
        joined.process_incoming_message(MlsMessage::from_bytes(&sealed).unwrap()).unwrap()
    else {
        unreachable!("an application message")
    };
    assert_eq!(opened.data(), b"hello");

    // Mallory's key package is genuine, but nobody has pinned her key; and a stolen credential does not fit her key.
    let mallory_client = client(&mallory, &contacts);
    let package = mallory_client.generate_key_package_message(no(), no(), None);
    let refused = match package {
        Ok(package) => group.commit_builder().add_member(package).unwrap().build().is_err(),
        Err(_) => true,
    };
    assert!(refused);
}

#[test]
fn nothing_but_the_one_suite_is_offered() {
    let crypto = QchatCrypto::new(Arc::new(SystemEntropy));
    assert_eq!(crypto.supported_cipher_suites(), [SUITE]);
    for number in (0..=u16::MAX).filter(|number| *number != 0xf0c1) {
        assert!(crypto.cipher_suite_provider(CipherSuite::new(number)).is_none(), "{number:#06x}");
    }
    assert!(crypto.cipher_suite_provider(SUITE).is_some());
}
