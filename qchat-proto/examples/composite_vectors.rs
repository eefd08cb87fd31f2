//! Prints `vectors/composite.json`: the test vectors of the composite signatures, from fixed seeds. Signing is hedged,
//! so each run gives other signatures; keys and signed bytes stay the same.
#![expect(clippy::print_stdout, reason = "its output is the file")]

use qchat_proto::crypto::{
    secret::Secret,
    sign::{Account, Device, Level, SignError, SignatureUse, SigningKey},
};
use serde_json::{Value, json};

const MESSAGES: [&[u8]; 3] = [b"", b"qchat", &[0xa5; 200]];

fn vector<L: Level>(usage: SignatureUse, message: &[u8], first: u8) -> Result<Value, SignError> {
    let mut byte = first;
    let seed: [u8; 64] = std::array::from_fn(|_| {
        byte = byte.wrapping_add(1);
        byte
    });
    let key = SigningKey::<L>::from_seed(Secret::from_bytes(seed))?;
    let name = String::from_utf8_lossy(usage.label()).trim_end_matches('\0').to_owned();
    Ok(json!({
        "level": L::NAME,
        "suite": hex::encode(L::SUITE.to_be_bytes()),
        "use": name,
        "seed": hex::encode(seed),
        "public_key": hex::encode(key.public().as_bytes()),
        "public_key_sha384": hex::encode(key.public().hash()),
        "message": hex::encode(message),
        "signature": hex::encode(key.sign(usage, message)?),
    }))
}

fn main() -> Result<(), SignError> {
    use SignatureUse as Use;
    let mut vectors = Vec::new();
    for (first, usage) in [(0, Use::Mls), (64, Use::Login), (128, Use::Resync)] {
        vectors.push(vector::<Device>(usage, MESSAGES[usize::from(first) / 64], first)?);
    }
    for (first, usage) in [(0, Use::AccountRecord), (64, Use::DeviceCertificate), (128, Use::DeviceList)] {
        vectors.push(vector::<Account>(usage, MESSAGES[usize::from(first) / 64], first)?);
    }
    println!("{:#}", json!({ "source": "qchat composite signatures v0001", "vectors": vectors }));
    Ok(())
}
