//! What the programs read that no peer's frame brings: the vault's file, the agent's few bytes, access tokens, nodes' hints.
//! All but the first are the programs' own files, taken in here so that no program has to be built for the fuzzer.

use std::{
    fmt::Debug,
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use jsonwebtoken::{DecodingKey, EncodingKey};
use qchat_proto::{
    crypto::{password::KdfParams, secret::Secret},
    ids::{AccountId, DeviceId, RoomId, ServerId},
    vault::{VaultFault, WrappedKey},
};

use crate::{edits::edited, world::Repeated};

#[expect(dead_code, reason = "the daemon makes hints of what has happened")]
#[path = "../../../qchatd/src/bus/hints.rs"]
mod nodes;

#[path = "../../../qchat-cli/src/vault/agent/message.rs"]
mod message;
#[path = "../../../qchatd/src/service/token.rs"]
mod token;

/// A vault's file that is read is written and read the same again, and no derivation runs at a cost that a thief could
/// wish for.
pub fn vault(input: &[u8]) {
    static GENUINE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let entropy = Repeated::default();
        let key = Secret::random(&entropy).expect("random bytes");
        let wrapped = WrappedKey::wrap(&key, "correct horse", KdfParams::FLOOR, &entropy);
        wrapped.expect("a wrapped key").write().expect("JSON")
    });
    let bytes = edited(&[GENUINE.clone()], input);
    let Ok(read) = WrappedKey::read(&bytes) else { return };
    let written = read.write().expect("JSON");
    let again = WrappedKey::read(&written).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(again.write().expect("JSON"), written);
    let (cost, floor) = (read.params(), KdfParams::FLOOR);
    if cost.memory_kib < floor.memory_kib
        || cost.iterations < floor.iterations
        || cost.lanes < floor.lanes
        || cost.memory_kib > 16 * floor.memory_kib
    {
        let refused = read.unwrap("correct horse").err();
        assert!(matches!(refused, Some(VaultFault::Kdf(_) | VaultFault::Malformed(_))), "{refused:?}");
    }
}

/// What goes to the agent and comes from it has one encoding.
pub fn agent(input: &[u8]) {
    fn same<T: Debug + PartialEq>(
        input: &[u8],
        read: impl Fn(&mut &[u8]) -> std::io::Result<T>,
        write: impl Fn(&T, &mut Vec<u8>) -> std::io::Result<()>,
    ) {
        let mut rest = input;
        let Ok(value) = read(&mut rest) else { return };
        let mut written = Vec::new();
        write(&value, &mut written).expect("memory");
        assert_eq!(written, input[..input.len() - rest.len()], "{value:?}");
    }
    same(input, |from| message::Request::read(from), |request, to| request.write(to));
    same(input, |from| message::Answer::read(from), |answer, to| answer.write(to));
    same::<Duration>(input, |from| message::read_time(from), |time, to| message::write_time(*time, to));
    if let Ok(key) = message::read_key(&mut &*input) {
        let mut written = Vec::new();
        message::write_key(&key, &mut written).expect("memory");
        assert_eq!(written, input[..32]);
    }
}

/// A token that is believed says what was signed.
pub fn tokens(input: &[u8]) {
    struct Server {
        claims: token::Claims,
        checking: DecodingKey,
        token: String,
        forged: String,
        now: u64,
    }
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
        let claims = token::Claims {
            sub: AccountId::from_bytes([1; 16]),
            dev: DeviceId::from_bytes([2; 16]),
            sid: "03".repeat(16),
            aud: ID,
            iat: now,
            nbf: now,
            exp: now + 24 * 60 * 60,
        };
        let sign = |secret: &[u8]| {
            token::sign(&claims, "0a0b0c0d", &EncodingKey::from_secret(secret)).expect("a signature")
        };
        Server {
            token: sign(&[4; 64]),
            forged: sign(&[5; 64]),
            checking: DecodingKey::from_secret(&[4; 64]),
            claims,
            now,
        }
    });
    const ID: ServerId = ServerId::from_bytes([9; 16]);
    let server = &*SERVER;
    let bytes = edited(&[server.token.clone().into_bytes(), server.forged.clone().into_bytes()], input);
    let Ok(given) = std::str::from_utf8(&bytes) else { return };
    drop(token::kid(given));
    if let Some(claims) = token::read(given, &server.checking, &token::validation(ID), server.now) {
        assert_eq!(claims, server.claims);
        assert_ne!(given, server.forged);
    }
}

/// Hints that are read are written and read the same again, with whatever made no sense left out; nobody heeds their own.
pub fn hints(input: &[u8]) {
    use nodes::Hints;
    static GENUINE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut hints = Hints::created(RoomId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
        hints.merge(Hints::ended(&[[3; 16]].into()));
        hints.merge(Hints::delisted(&[DeviceId::from_bytes([4; 16])]));
        hints.encode(b"12345678")
    });
    let bytes = edited(&[GENUINE.clone()], input);
    if let Some((_, read)) = Hints::decode(&bytes, b"87654321") {
        let again = Hints::decode(&read.encode(b"12345678"), b"87654321").expect("hints");
        assert_eq!(again, (Bytes::from_static(b"12345678"), read.clone()));
        assert_eq!(Hints::decode(&read.encode(b"12345678"), b"12345678"), None);
        assert!(!read.everything);
    }
}
