//! Chunks: parts of a backup that the server stores under their ids and cannot tell anything of but their size.

use zeroize::Zeroizing;

use crate::{
    crypto::{
        aead,
        entropy::{Entropy, EntropyError},
        kdf::{self, KdfLengthError},
        secret::Secret,
    },
    ids::{AccountId, DeviceId},
    wire::{chunk::ChunkId, limits},
};

const ID_INFO: &[u8] = b"qchat backup chunk ids v1";
const KEY_INFO: &[u8] = b"qchat backup chunk v1";
/// Sizes are multiples of this: a chunk says little of what was written.
const PADDED_TO: usize = 4096;
/// First byte of a chunk that holds items, and of the index.
const ITEMS: u8 = 1;
const INDEX: u8 = 2;
/// Before what a chunk holds: what it is (1), how long (4).
const BEFORE: usize = 5;

/// A chunk is not what it is called, or cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// It was not sealed under this secret for this series and id, or is damaged.
    #[error("a part of the backup is damaged, or not of this backup")]
    Open,
    /// It holds more than a chunk may.
    #[error("a part of the backup is too large")]
    TooLarge,
}

impl From<KdfLengthError> for ChunkError {
    fn from(_: KdfLengthError) -> Self {
        Self::Open
    }
}

/// What a device's series of backups is encrypted under. It stays for long, so that what is there need not be sent again.
pub struct BackupSecret(Secret<32>);

impl BackupSecret {
    /// Most that a chunk holds, bytes.
    pub const MOST: usize = limits::BACKUP_CHUNK - aead::TAG - BEFORE;
    /// Most chunks that a backup has: their ids fit into the index.
    pub const MOST_CHUNKS: usize = limits::BACKUP_CHUNKS;

    /// Draws a new one.
    ///
    /// # Errors
    /// When there are no random bytes.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Secret::random(entropy).map(Self)
    }

    /// One that was kept.
    pub fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// To be kept.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// Seals items. The same ones give the same chunk.
    ///
    /// # Errors
    /// [`ChunkError::TooLarge`] above [`BackupSecret::MOST`].
    pub fn seal(
        &self,
        series: (AccountId, DeviceId),
        items: &[u8],
    ) -> Result<(ChunkId, Vec<u8>), ChunkError> {
        self.seal_as(ITEMS, series, items)
    }

    /// Opens what [`BackupSecret::seal`] made.
    ///
    /// # Errors
    /// [`ChunkError::Open`].
    pub fn open(
        &self,
        series: (AccountId, DeviceId),
        id: ChunkId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ChunkError> {
        self.open_as(ITEMS, series, id, sealed)
    }

    /// Seals the list of chunks, in their order.
    ///
    /// # Errors
    /// [`ChunkError::TooLarge`] above [`BackupSecret::MOST_CHUNKS`].
    pub fn seal_index(
        &self,
        series: (AccountId, DeviceId),
        chunks: &[ChunkId],
    ) -> Result<(ChunkId, Vec<u8>), ChunkError> {
        if chunks.len() > Self::MOST_CHUNKS {
            return Err(ChunkError::TooLarge);
        }
        let ids: Vec<u8> = chunks.iter().flat_map(|id| *id.as_bytes()).collect();
        self.seal_as(INDEX, series, &ids)
    }

    /// Opens the list of chunks, which has to have as many as the head says.
    ///
    /// # Errors
    /// [`ChunkError::Open`].
    pub fn open_index(
        &self,
        series: (AccountId, DeviceId),
        (id, count): (ChunkId, u32),
        sealed: &[u8],
    ) -> Result<Vec<ChunkId>, ChunkError> {
        let ids = self.open_as(INDEX, series, id, sealed)?;
        let (ids, rest) = ids.as_chunks::<{ ChunkId::SIZE }>();
        if !rest.is_empty() || u32::try_from(ids.len()).ok() != Some(count) {
            return Err(ChunkError::Open);
        }
        Ok(ids.iter().copied().map(ChunkId::from_bytes).collect())
    }

    fn seal_as(
        &self,
        kind: u8,
        series: (AccountId, DeviceId),
        held: &[u8],
    ) -> Result<(ChunkId, Vec<u8>), ChunkError> {
        let length = u32::try_from(held.len()).map_err(|_| ChunkError::TooLarge)?;
        if held.len() > Self::MOST {
            return Err(ChunkError::TooLarge);
        }
        let size = (BEFORE + held.len() + aead::TAG).next_multiple_of(PADDED_TO) - aead::TAG;
        let mut plain = Zeroizing::new(Vec::with_capacity(size));
        plain.push(kind);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(held);
        plain.resize(size, 0);
        let id = self.id(&plain)?;
        let key = self.key(id)?;
        // Each key encrypts one plaintext, which its id is the keyed hash of.
        let sealed = aead::seal(key.expose(), &[0; aead::NONCE], &aad(series, id), &plain);
        Ok((id, sealed.map_err(|_| ChunkError::TooLarge)?))
    }

    fn open_as(
        &self,
        kind: u8,
        series: (AccountId, DeviceId),
        id: ChunkId,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ChunkError> {
        let key = self.key(id)?;
        let opened = aead::open(key.expose(), &[0; aead::NONCE], &aad(series, id), sealed);
        let plain = opened.map_err(|_| ChunkError::Open)?;
        let (before, rest) = plain.split_first_chunk::<BEFORE>().ok_or(ChunkError::Open)?;
        let [found, length @ ..] = *before;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| ChunkError::Open)?;
        let (held, padding) = rest.split_at_checked(length).ok_or(ChunkError::Open)?;
        if found != kind || self.id(&plain)? != id || padding.iter().any(|byte| *byte != 0) {
            return Err(ChunkError::Open);
        }
        Ok(Zeroizing::new(held.to_vec()))
    }

    /// The first 32 bytes of HMAC-SHA-384 of the padded plaintext.
    fn id(&self, plain: &[u8]) -> Result<ChunkId, ChunkError> {
        let key: Secret<48> = kdf::derive(self.0.expose(), ID_INFO)?;
        let mac = kdf::hmac_sha384(key.expose(), plain);
        mac.first_chunk().copied().map(ChunkId::from_bytes).ok_or(ChunkError::Open)
    }

    fn key(&self, id: ChunkId) -> Result<Secret<32>, ChunkError> {
        Ok(kdf::derive(self.0.expose(), &[KEY_INFO, id.as_bytes()].concat())?)
    }
}

fn aad((account, device): (AccountId, DeviceId), id: ChunkId) -> Vec<u8> {
    [&account.as_bytes()[..], device.as_bytes(), id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::entropy::SystemEntropy;

    const SERIES: (AccountId, DeviceId) = (AccountId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));

    #[test]
    fn a_chunk_opens_under_its_id_in_its_series_alone_and_is_the_same_each_time() {
        let secret = BackupSecret::generate(&SystemEntropy).unwrap();
        let (id, sealed) = secret.seal(SERIES, b"items").unwrap();
        assert_eq!(secret.seal(SERIES, b"items").unwrap(), (id, sealed.clone()));
        assert_eq!(sealed.len() % PADDED_TO, 0);
        assert_eq!(*secret.open(SERIES, id, &sealed).unwrap(), b"items");
        let (other, longer) = secret.seal(SERIES, &[7; 5000]).unwrap();
        assert_ne!(other, id);
        let mut damaged = sealed.clone();
        damaged[0] ^= 1;
        for (what, series, id, sealed) in [
            ("damaged", SERIES, id, &damaged),
            ("another's bytes", SERIES, id, &longer),
            ("another's id", SERIES, other, &sealed),
            ("another series", (SERIES.0, DeviceId::from_bytes([3; 16])), id, &sealed),
        ] {
            assert_eq!(secret.open(series, id, sealed).err(), Some(ChunkError::Open), "{what}");
        }
        let stranger = BackupSecret::generate(&SystemEntropy).unwrap();
        assert!(stranger.open(SERIES, id, &sealed).is_err());
    }

    #[test]
    fn an_index_is_no_chunk_and_has_as_many_ids_as_the_head_says() {
        let secret = BackupSecret::generate(&SystemEntropy).unwrap();
        let ids = [ChunkId::from_bytes([1; 32]), ChunkId::from_bytes([2; 32])];
        let (id, sealed) = secret.seal_index(SERIES, &ids).unwrap();
        assert_eq!(secret.open_index(SERIES, (id, 2), &sealed).unwrap(), ids);
        assert!(secret.open_index(SERIES, (id, 1), &sealed).is_err());
        assert!(secret.open(SERIES, id, &sealed).is_err());
        let (id, sealed) = secret.seal(SERIES, ids[0].as_bytes()).unwrap();
        assert!(secret.open_index(SERIES, (id, 1), &sealed).is_err());
        let most = vec![ids[0]; BackupSecret::MOST_CHUNKS];
        let (_, sealed) = secret.seal_index(SERIES, &most).unwrap();
        assert!(sealed.len() <= limits::BACKUP_CHUNK);
        assert_eq!(secret.seal_index(SERIES, &[&most[..], &ids].concat()).err(), Some(ChunkError::TooLarge));
        let (_, sealed) = secret.seal(SERIES, &vec![0; BackupSecret::MOST]).unwrap();
        assert_eq!(sealed.len(), limits::BACKUP_CHUNK);
        assert!(secret.seal(SERIES, &vec![0; BackupSecret::MOST + 1]).is_err());
    }
}
