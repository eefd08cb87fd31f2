//! Pictures that somebody else sent, as pixels to be drawn. What decodes them is the engine's, and confined there.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use image::{DynamicImage, RgbImage};
use zeroize::Zeroizing;

use crate::engine::pictures::{self, Bounds, Decoded};

pub(super) use crate::engine::pictures::{LARGEST, THREAD, Unreadable, apart};

/// A picture, no larger than a screen can show.
#[derive(Clone)]
pub struct Pixels {
    image: Arc<RgbImage>,
    /// Its width and height before it was made smaller.
    pub(super) true_size: (u32, u32),
}

impl Pixels {
    /// Of a picture as it is in memory.
    pub(super) fn new(image: RgbImage) -> Self {
        let true_size = image.dimensions();
        Self { image: Arc::new(image), true_size }
    }

    /// Its width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        self.image.dimensions()
    }

    /// The same for those who take a picture by value.
    pub(super) fn image(&self) -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::clone(&self.image))
    }
}

impl PartialEq for Pixels {
    fn eq(&self, other: &Self) -> bool {
        self.true_size == other.true_size && self.image == other.image
    }
}

impl Eq for Pixels {}

impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pixels").field(&self.true_size).finish()
    }
}

impl From<Decoded> for Pixels {
    fn from(Decoded { image, true_size }: Decoded) -> Self {
        Self { image: Arc::new(image), true_size }
    }
}

/// Decodes a file: PNG, JPEG, GIF (its first picture) or WebP, whatever its name says.
pub(super) async fn decode(file: Zeroizing<Vec<u8>>) -> Result<Pixels, Unreadable> {
    let decoded = apart(move || pictures::decode(&file, Bounds::WHOLE)).await;
    decoded.unwrap_or(Err(Unreadable::Broken)).map(Pixels::from)
}

/// Decodes the small picture that came with a message. None where there is none to be shown.
pub(super) async fn glimpse(thumbnail: Bytes) -> Option<Pixels> {
    if thumbnail.is_empty() {
        return None;
    }
    apart(move || pictures::decode(&thumbnail, Bounds::THUMBNAIL)).await?.ok().map(Pixels::from)
}

/// Whether a file of this name, or of the kind that its sender says, may be a picture that can be looked at.
pub(super) fn may_be_picture(name: &str, media_type: Option<&str>) -> bool {
    let known = ["image/png", "image/jpeg", "image/gif", "image/webp"];
    let named = mime_guess::from_path(name).first_raw();
    [named, media_type].into_iter().flatten().any(|kind| known.contains(&kind))
}
