//! The data formats of §6: what is asked and answered, in JSON.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use zeroize::Zeroizing;

use super::{Etsi014Error, KeyId};

/// The size of the keys that rooms take, bits.
pub const KEY_BITS: usize = 256;

/// What a KME says of the link to another application (§6.1). Fields that a KME leaves out are missing here too.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The KME that says it.
    #[serde(rename = "source_KME_ID")]
    pub source_kme: Option<String>,
    /// The KME at the other end.
    #[serde(rename = "target_KME_ID")]
    pub target_kme: Option<String>,
    /// Who asks.
    #[serde(rename = "master_SAE_ID")]
    pub master_sae: Option<String>,
    /// Who is to have the same keys.
    #[serde(rename = "slave_SAE_ID")]
    pub slave_sae: Option<String>,
    /// The size of a key unless another is asked for, bits.
    pub key_size: Option<u64>,
    /// How many keys could be given out now.
    pub stored_key_count: Option<u64>,
    /// How many are stored at most.
    pub max_key_count: Option<u64>,
    /// How many are given out at once.
    pub max_key_per_request: Option<u64>,
    /// The largest key that is given out, bits.
    pub max_key_size: Option<u64>,
    /// The smallest, bits.
    pub min_key_size: Option<u64>,
}

/// A key that a KME has given out.
pub struct Key {
    /// Its name at both ends.
    pub id: KeyId,
    /// The key.
    pub secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A request for fresh keys (§6.2).
#[derive(Serialize)]
pub(super) struct KeyRequest {
    pub(super) number: usize,
    pub(super) size: usize,
}

/// A request for keys by their ids (§6.4).
#[derive(Serialize)]
pub(super) struct KeyIds {
    #[serde(rename = "key_IDs")]
    key_ids: Vec<NamedKey>,
}

#[derive(Serialize)]
struct NamedKey {
    #[serde(rename = "key_ID")]
    key_id: String,
}

impl KeyIds {
    pub(super) fn new(ids: &[KeyId]) -> Self {
        Self { key_ids: ids.iter().map(|id| NamedKey { key_id: id.to_string() }).collect() }
    }
}

/// A key container (§6.3).
#[derive(Deserialize)]
struct KeyContainer {
    keys: Vec<WireKey>,
}

#[derive(Deserialize)]
struct WireKey {
    #[serde(rename = "key_ID", deserialize_with = "key_id")]
    id: KeyId,
    #[serde(deserialize_with = "secret")]
    key: Zeroizing<Vec<u8>>,
}

fn key_id<'de, D: Deserializer<'de>>(from: D) -> Result<KeyId, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::custom("key_ID"))
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<Vec<u8>>, D::Error> {
    let text = Zeroizing::new(String::deserialize(from)?);
    // In its final place at once, so that no copy is left behind.
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    // What the decoder says would quote the text.
    let length = STANDARD.decode_slice(text.as_bytes(), &mut bytes).map_err(|_| D::Error::custom("key"))?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads a key container with so many fresh keys of `size` bits.
pub(super) fn fresh_keys(body: &[u8], number: usize, size: usize) -> Result<Vec<Key>, Etsi014Error> {
    let keys = keys(body)?;
    if keys.len() != number {
        return Err(Etsi014Error::Malformed("it has another number of keys than was asked for"));
    }
    for key in keys.values() {
        let got = key.len() * 8;
        if got != size {
            return Err(Etsi014Error::Size { got, wanted: size });
        }
    }
    Ok(keys.into_iter().map(|(id, secret)| Key { id, secret }).collect())
}

/// Reads a key container with the keys of these ids, in their order.
pub(super) fn named_keys(body: &[u8], ids: &[KeyId]) -> Result<Vec<Key>, Etsi014Error> {
    let mut keys = keys(body)?;
    ids.iter()
        .map(|&id| {
            let secret = keys.remove(&id).ok_or(Etsi014Error::Missing(id))?;
            Ok(Key { id, secret })
        })
        .collect()
}

fn keys(body: &[u8]) -> Result<BTreeMap<KeyId, Zeroizing<Vec<u8>>>, Etsi014Error> {
    // What the parser says would quote what it has read.
    let container: KeyContainer =
        serde_json::from_slice(body).map_err(|_| Etsi014Error::Malformed("it is no key container"))?;
    let mut keys = BTreeMap::new();
    for WireKey { id, key } in container.keys {
        if keys.insert(id, key).is_some() {
            return Err(Etsi014Error::Malformed("two keys have one id"));
        }
    }
    Ok(keys)
}

/// What a KME says of an error (§6.5), as the end of a sentence; nothing where it says nothing.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ErrorBody {
    message: String,
    details: Vec<BTreeMap<String, serde_json::Value>>,
}

impl ErrorBody {
    pub(super) fn said(body: &[u8]) -> String {
        /// Most of it that is shown, characters.
        const SHOWN: usize = 300;
        let read: Self = serde_json::from_slice(body).unwrap_or_default();
        let details = read.details.iter().flatten().map(|(name, value)| match value {
            serde_json::Value::String(text) => format!("{name}: {text}"),
            value => format!("{name}: {value}"),
        });
        let parts =
            Some(read.message.clone()).filter(|message| !message.is_empty()).into_iter().chain(details);
        let text: String = parts.collect::<Vec<_>>().join("; ").chars().take(SHOWN).collect();
        if text.is_empty() { text } else { format!(" ({})", qchat_proto::sanitize::line(&text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "bc490419-7d60-487f-adc1-4ddcc177c139";

    #[test]
    fn a_container_is_read_whole_or_not_at_all() {
        let id: KeyId = ID.parse().unwrap();
        let good = format!(r#"{{"keys":[{{"key_ID":"{ID}","key":"AAECAw==","key_extension":{{}}}}],"x":1}}"#);
        let escaped = good.replace("AAECAw==", r"AAEC\u0041w==");
        for body in [&good, &escaped] {
            let keys = fresh_keys(body.as_bytes(), 1, 32).unwrap();
            assert_eq!((keys[0].id, keys[0].secret.len()), (id, 4));
        }
        assert_eq!(*named_keys(good.as_bytes(), &[id]).unwrap()[0].secret, [0, 1, 2, 3]);
        let other = KeyId::from_bytes([7; 16]);
        assert!(
            matches!(named_keys(good.as_bytes(), &[other]), Err(Etsi014Error::Missing(id)) if id == other)
        );
        assert!(matches!(
            fresh_keys(good.as_bytes(), 1, 256),
            Err(Etsi014Error::Size { got: 32, wanted: 256 })
        ));
        assert!(fresh_keys(good.as_bytes(), 2, 32).is_err());
        let twice = good.replacen('{', r#"{"keys":[],"#, 1);
        for bad in [
            "",
            "{}",
            "[]",
            "null",
            &good[..good.len() - 9],
            &twice,
            &good.replace("AAECAw==", "AAECAw="),
            &good.replace(ID, "1"),
            &good.replace("key_ID", "key_id"),
        ] {
            let error = fresh_keys(bad.as_bytes(), 1, 32).unwrap_err().to_string();
            assert!(!error.contains("AAEC"), "{error}");
        }
    }

    #[test]
    fn what_a_kme_says_of_an_error_is_fit_for_a_terminal() {
        let body = br#"{"message":"\u001b[31mno","details":[{"size":"too large"},{"n":3}]}"#;
        let said = ErrorBody::said(body);
        assert!(
            !said.contains('\u{1b}') && said.contains("size: too large") && said.contains("n: 3"),
            "{said}"
        );
        for nothing in [&b""[..], b"<html>", b"{}", b"[1]"] {
            assert_eq!(ErrorBody::said(nothing), "");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(10_000));
        assert!(ErrorBody::said(long.as_bytes()).len() < 400);
    }
}
