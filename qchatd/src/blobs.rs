//! Where the bytes of files are: an object store, which is a directory or speaks S3. The only module that names the library.
//!
//! Each part is an object of its own, `ID/NUMBER-DIGEST`, and is there as a whole or not at all: whoever puts a part again, with
//! other bytes, writes another object. What is put is on disk when this says so.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt, PutPayload,
    aws::AmazonS3Builder, local::LocalFileSystem, path::Path as Key,
};
use qchat_proto::ids::FileId;

/// Bytes that are read at once.
const READ: usize = 256 * 1024;
/// Objects that are deleted at once.
const DELETED: usize = 16;

/// Where files are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a directory.
    Directory(PathBuf),
    /// In a bucket.
    S3(S3),
}

/// A bucket of Amazon S3, or of what speaks like it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// What all names begin with; may be empty.
    pub prefix: String,
    /// Where it is, if not at Amazon.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The file with the key: its id, a line feed, its secret. Without, the environment says it.
    pub key_file: Option<PathBuf>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3(S3 { bucket, prefix, .. }) if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3(S3 { bucket, prefix, .. }) => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// Files cannot be kept or read there.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The directory cannot be made.
    #[error("the directory for files, {}, cannot be made: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key cannot be read.
    #[error("the key for the object store cannot be read from {}: {reason}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A part is not there that should be.
    #[error("a part of a file is gone from the object store")]
    Gone,
    /// There is no space for it.
    #[error("the object store is full")]
    Full,
    /// The store says no, or cannot be reached.
    #[error("the object store: {0}")]
    Store(object_store::Error),
    /// What was opened cannot be read.
    #[error("the object store: {0}")]
    Read(#[from] std::io::Error),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Self::Gone;
        }
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(one) = cause {
            if let Some(io) = one.downcast_ref::<std::io::Error>()
                && matches!(io.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            {
                return Self::Full;
            }
            cause = one.source();
        }
        Self::Store(error)
    }
}

/// Bytes as they are read.
pub type BlobStream = BoxStream<'static, Result<Bytes, BlobError>>;

/// The object store; clones are the same.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

impl Blobs {
    /// Opens it; asks nothing of a remote one yet.
    ///
    /// # Errors
    /// When the directory cannot be made, or the key not read.
    pub fn open(place: &Place) -> Result<Self, BlobError> {
        match place {
            Place::Directory(path) => {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(path)
                    .map_err(|source| BlobError::Directory { path: path.clone(), source })?;
                let store =
                    LocalFileSystem::new_with_prefix(path)?.with_fsync(true).with_automatic_cleanup(true);
                Ok(Self { store: Arc::new(store), prefix: Key::default() })
            }
            Place::S3(s3) => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(&s3.bucket);
                if let Some(endpoint) = &s3.endpoint {
                    // Whoever names one in the clear has decided so; a provider's own is never.
                    builder =
                        builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
                }
                if let Some(region) = &s3.region {
                    builder = builder.with_region(region);
                }
                if let Some(path) = &s3.key_file {
                    let (id, secret) = key(path)?;
                    builder = builder.with_access_key_id(id).with_secret_access_key(secret);
                }
                Ok(Self { store: Arc::new(builder.build()?), prefix: Key::from(s3.prefix.as_str()) })
            }
        }
    }

    fn of_file(&self, file: FileId) -> Key {
        self.prefix.clone().join(file.to_string())
    }

    fn key(&self, file: FileId, number: i32, digest: &[u8; 48]) -> Key {
        let digest = hex::encode(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        self.of_file(file).join(format!("{number}-{digest}"))
    }

    /// Puts a part there; it is on disk when this returns.
    ///
    /// # Errors
    /// [`BlobError::Full`], or what the store says.
    pub async fn put(
        &self,
        file: FileId,
        number: i32,
        digest: &[u8; 48],
        bytes: Bytes,
    ) -> Result<(), BlobError> {
        self.store.put(&self.key(file, number, digest), PutPayload::from_bytes(bytes)).await?;
        Ok(())
    }

    /// Reads a stretch of a part, piece by piece.
    ///
    /// # Errors
    /// [`BlobError::Gone`], or what the store says.
    pub async fn read(
        &self,
        file: FileId,
        number: i32,
        digest: &[u8; 48],
        range: Range<u64>,
    ) -> Result<BlobStream, BlobError> {
        let wanted = range.end - range.start;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&self.key(file, number, digest), options).await?;
        if found.range.end - found.range.start != wanted {
            return Err(BlobError::Gone);
        }
        Ok(pieces(found))
    }

    /// Deletes a part.
    ///
    /// # Errors
    /// What the store says; one that is not there is deleted.
    pub async fn delete_part(&self, file: FileId, number: i32, digest: &[u8; 48]) -> Result<(), BlobError> {
        match self.store.delete(&self.key(file, number, digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes all that there is of a file.
    ///
    /// # Errors
    /// What the store says; the same again goes on.
    pub async fn delete(&self, file: FileId) -> Result<(), BlobError> {
        let all = self.store.list(Some(&self.of_file(file)));
        all.map_err(BlobError::from)
            .try_for_each_concurrent(DELETED, |object| async move {
                match self.store.delete(&object.location).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            })
            .await
    }
}

/// What was found, in pieces of a size that makes sense; the library's own are 8 KiB of a file.
fn pieces(found: GetResult) -> BlobStream {
    let range = found.range.clone();
    match found.payload {
        GetResultPayload::File(file, _) => stream::try_unfold((file, range), |(mut file, left)| async move {
            if left.is_empty() {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                let length = usize::try_from(left.end - left.start).unwrap_or(READ).min(READ);
                let mut bytes = vec![0; length];
                file.seek(SeekFrom::Start(left.start))?;
                file.read_exact(&mut bytes)?;
                let next = left.start + length as u64..left.end;
                Ok::<_, std::io::Error>((Bytes::from(bytes), (file, next)))
            });
            Ok(Some(read.await.map_err(std::io::Error::other)??))
        })
        .boxed(),
        GetResultPayload::Stream(stream) => stream.map_err(BlobError::from).boxed(),
    }
}

/// The id and the secret of a key.
fn key(path: &Path) -> Result<(String, String), BlobError> {
    let wrong = |reason: String| BlobError::Key { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next(), lines.next()) {
        (Some(id), Some(secret), None) => Ok((id.to_owned(), secret.to_owned())),
        _ => Err(wrong("it has two lines, the key's id and its secret".to_owned())),
    }
}
