//! X-Wing and HPKE against published vectors, and HPKE's key schedule against RFC 9180, written out by hand.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Mutex;

use qchat_proto::crypto::{
    aead,
    entropy::{Entropy, EntropyError},
    hpke, kdf,
};
use serde_json::Value;
use x_wing::{Decapsulate, DecapsulationKey, Decapsulator, EncapsulationKey, KeyExport};

fn vectors(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn bytes(vector: &Value, field: &str) -> Vec<u8> {
    hex::decode(vector[field].as_str().unwrap()).unwrap()
}

/// Gives out the bytes of a vector, in order and once.
struct Given(Mutex<Vec<u8>>);

impl Entropy for Given {
    fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        let mut rest = self.0.lock().unwrap();
        let given: Vec<u8> = rest.drain(..out.len()).collect();
        out.copy_from_slice(&given);
        Ok(())
    }
}

#[test]
fn x_wing_gives_the_vectors_of_its_draft() {
    let vectors = vectors(include_str!("../vectors/xwing.json"));
    assert_eq!(vectors.len(), 3);
    for vector in &vectors {
        let secret = DecapsulationKey::from(<[u8; 32]>::try_from(bytes(vector, "sk")).unwrap());
        let public: &EncapsulationKey = secret.encapsulation_key();
        assert_eq!(public.to_bytes()[..], bytes(vector, "pk"));
        let random = bytes(vector, "eseed").as_slice().try_into().unwrap();
        let (ciphertext, shared) = public.encapsulate_deterministic(&random);
        assert_eq!((&ciphertext[..], &shared[..]), (&bytes(vector, "ct")[..], &bytes(vector, "ss")[..]));
        assert_eq!(secret.decapsulate(&ciphertext)[..], bytes(vector, "ss"));

        // Our HPKE encapsulates with the same bytes, so nothing stands between it and these vectors.
        let entropy = Given(Mutex::new(bytes(vector, "eseed")));
        let sealed = hpke::seal(&entropy, &bytes(vector, "pk"), b"", None, b"", b"").unwrap();
        assert_eq!(sealed.encapsulated_key, bytes(vector, "ct"));
        assert!(entropy.0.lock().unwrap().is_empty());
    }
}

#[test]
fn hpke_gives_the_vectors_of_its_draft() {
    let vectors = vectors(include_str!("../vectors/hpke.json"));
    assert_eq!(vectors.len(), 2);
    for vector in &vectors {
        let (secret, public) = hpke::derive_key_pair(&bytes(vector, "ikmR"));
        assert_eq!(secret.expose()[..], bytes(vector, "skRm"));
        assert_eq!(public, bytes(vector, "pkRm"));
        let psk = hpke::Psk { id: b"psk id", value: &[7; 48] };
        for psk in [None, Some(psk)] {
            let entropy = Given(Mutex::new(bytes(vector, "ikmE")));
            let sealed = hpke::seal(&entropy, &public, b"info", psk, b"aad", b"text").unwrap();
            assert_eq!(sealed.encapsulated_key, bytes(vector, "enc"));
            let schedule = Schedule::new(&bytes(vector, "shared_secret"), b"info", psk);
            let text = aead::open(&schedule.key, &schedule.nonce, b"aad", &sealed.ciphertext).unwrap();
            assert_eq!(**text, *b"text");

            let receiver =
                hpke::Receiver::new(secret.expose(), &sealed.encapsulated_key, b"info", psk).unwrap();
            assert_eq!(**receiver.export(b"context", 60).unwrap(), schedule.export(b"context", 60));
        }
    }
}

/// RFC 9180 §5.1, two-stage, for X-Wing (0x647a), HKDF-SHA-384 (2) and AES-256-GCM (2).
struct Schedule {
    key: [u8; 32],
    nonce: [u8; 12],
    exporter: Vec<u8>,
}

const SUITE_ID: &[u8] = b"HPKE\x64\x7a\x00\x02\x00\x02";

fn labeled_extract(salt: &[u8], label: &[u8], input: &[u8]) -> [u8; 48] {
    *kdf::extract(salt, &[b"HPKE-v1", SUITE_ID, label, input].concat()).expose()
}

fn labeled_expand(key: &[u8], label: &[u8], info: &[u8], length: u16) -> Vec<u8> {
    let mut out = vec![0; length.into()];
    let info = [&length.to_be_bytes()[..], b"HPKE-v1", SUITE_ID, label, info].concat();
    kdf::expand(key, &info, &mut out).unwrap();
    out
}

impl Schedule {
    fn new(shared: &[u8], info: &[u8], psk: Option<hpke::Psk<'_>>) -> Self {
        let (mode, id, value) = psk.map_or((0, &[][..], &[][..]), |psk| (1, psk.id, psk.value));
        let id_hash = labeled_extract(b"", b"psk_id_hash", id);
        let info_hash = labeled_extract(b"", b"info_hash", info);
        let context = [&[mode][..], &id_hash, &info_hash].concat();
        let secret = labeled_extract(shared, b"secret", value);
        Self {
            key: labeled_expand(&secret, b"key", &context, 32).try_into().unwrap(),
            nonce: labeled_expand(&secret, b"base_nonce", &context, 12).try_into().unwrap(),
            exporter: labeled_expand(&secret, b"exp", &context, 48),
        }
    }

    fn export(&self, context: &[u8], length: u16) -> Vec<u8> {
        labeled_expand(&self.exporter, b"sec", context, length)
    }
}
