//! A profile with very many messages, made by the store's own ways: what searching and showing them takes is measured on it. The words
//! are as unlike in their frequency as those of a language are (Zipf).

#![allow(dead_code, unreachable_pub, reason = "each benchmark takes what it needs")]

use std::path::Path;

use bytes::Bytes;
use qchat_cli::store::{Identity, Profile, StoreError, Tx};
use qchat_proto::{
    content::Content,
    crypto::{
        secret::Secret,
        sign::{AccountSigningKey, DeviceSigningKey},
    },
    identity::DeviceCertificate,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq, ServerId},
    session::{
        head,
        ledger::{Ledger, OpenedMessage, Phase, RoomState},
    },
};

/// People who say something.
const ACCOUNTS: u64 = 50;
/// Different words.
const VOCABULARY: f64 = 50_000.0;
/// Words of a message, at most.
const LENGTH: usize = 20;
/// Messages in one transaction while the profile is made.
const STEP: u64 = 1000;

/// How many messages there are, and in how many rooms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// Messages in all.
    pub messages: u64,
    /// Rooms, which have one after the other.
    pub rooms: u64,
}

/// The key of the profile's database.
pub fn key() -> Secret<32> {
    Secret::from_bytes([1; 32])
}

/// An account, of those that say something; the first is the profile's own.
pub fn account(number: u64) -> AccountId {
    AccountId::from_bytes(u128::from(number % ACCOUNTS + 1).to_be_bytes())
}

/// A word of this rank: the more frequent, the lower.
pub fn word(rank: u64) -> String {
    let letters = b"etaoinshrdlucmfwypvbgkqjxz";
    let (mut word, mut rest) = (String::new(), rank + 26);
    while rest > 0 {
        word.push(char::from(letters[usize::try_from(rest % 26).unwrap_or(0)]));
        rest /= 26;
    }
    word
}

/// The rank of a random word, whose frequency is the inverse of its rank.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is small")]
fn rank(random: &mut fastrand::Rng) -> u64 {
    VOCABULARY.powf(random.f64()) as u64
}

/// What somebody says.
pub fn text(random: &mut fastrand::Rng) -> String {
    let words: Vec<String> = (0..random.usize(1..=LENGTH)).map(|_| word(rank(random))).collect();
    words.join(" ")
}

/// Puts a message there, the one of this number.
///
/// # Errors
/// When the profile cannot be written.
pub fn put(tx: &mut Tx, number: u64, room: RoomId, from: AccountId, text: String) -> Result<(), StoreError> {
    let at = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(60_000);
    let content: Bytes = Content::text(text, at).map_err(|_| StoreError::Corrupt("text"))?.encode();
    tx.put_message(&OpenedMessage {
        room,
        seq: Seq(number + 1),
        message_id: MessageId::from_bytes(u128::from(number).to_be_bytes()),
        account: from,
        device: DeviceId::from_bytes([9; 16]),
        epoch: 1,
        content,
    })?;
    Ok(())
}

impl Stored {
    /// A room, by its number.
    pub fn room(self, number: u64) -> RoomId {
        RoomId::from_bytes(u128::from(number % self.rooms + 1).to_be_bytes())
    }

    fn state(self, number: u64, cursor: u64) -> RoomState {
        RoomState {
            room: self.room(number),
            phase: Phase::Member,
            cursor: Seq(cursor),
            head: head::EMPTY,
            commit_seq: Seq(0),
            accepted: 0,
            generation: Seq(0),
            epoch: 0,
        }
    }

    /// Makes the profile in a directory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(self, path: &Path) -> Result<Profile, StoreError> {
        const NO_KEY: StoreError = StoreError::Corrupt("key");
        let profile = Profile::create(path, key())?;
        let device = DeviceId::from_bytes([8; 16]);
        let device_key = DeviceSigningKey::from_seed(Secret::from_bytes([2; 64])).map_err(|_| NO_KEY)?;
        let account_key = AccountSigningKey::from_seed(Secret::from_bytes([3; 64])).map_err(|_| NO_KEY)?;
        let certificate = DeviceCertificate {
            account: account(0),
            device,
            device_key: device_key.public().clone(),
            identity_key_hash: account_key.public().hash(),
            created_at: 1,
        };
        let identity = Identity {
            account: account(0),
            device,
            name: "alice".parse().map_err(|_| StoreError::Corrupt("name"))?,
            server_url: "http://127.0.0.1:1/".to_owned(),
            server_key: None,
            server_id: ServerId::from_bytes([9; 16]),
            device_key: Secret::from_bytes([2; 64]),
            account_key: Secret::from_bytes([3; 64]),
            certificate: certificate.sign(&account_key).map_err(|_| NO_KEY)?,
            list_version: 1,
        };
        profile.write(|tx| tx.put_identity(&identity))?;
        let mut random = fastrand::Rng::with_seed(7);
        for from in (0..self.messages).step_by(usize::try_from(STEP).unwrap_or(1)) {
            profile.write(|tx| {
                for number in from..self.messages.min(from + STEP) {
                    let said = text(&mut random);
                    let from = account(random.u64(..));
                    put(tx, number, self.room(number), from, said)?;
                }
                (0..self.rooms).try_for_each(|number| tx.put_room(&self.state(number, self.messages)))
            })?;
        }
        Ok(profile)
    }
}
