//! Pictures that somebody else sent, made into pixels: within limits, on a thread of their own, and so that nothing of what a decoder
//! does with them reaches the user but a picture or a sentence.

use std::{
    fmt,
    io::Cursor,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage,
    error::LimitErrorKind, metadata::Orientation,
};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// Largest file that is looked at, bytes.
pub(super) const LARGEST: u64 = 32_000_000;
/// Most pixels that a picture has before it is made smaller.
const MOST_PIXELS: u64 = 64_000_000;
/// Most memory that a decoder has, bytes: what that many pixels take in four channels, and a little.
const MEMORY: u64 = 260_000_000;
/// Longest side that is kept: more than any terminal has columns.
const SIDE: u32 = 1024;
/// What stands behind a picture that one can see through: neither dark lines nor light ones get lost in it.
const BEHIND: [u8; 3] = [128; 3];

/// The thread that decodes and encodes. What panics there is told as any other picture that cannot be shown: see [`super::screen`].
pub(super) const THREAD: &str = "qchat-picture";

/// A picture, no larger than a screen can show.
#[derive(Clone)]
pub struct Pixels {
    image: Arc<RgbImage>,
    /// Its width and height before it was made smaller.
    pub(super) true_size: (u32, u32),
}

/// Why there is nothing to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    /// It is none of the kinds that are known.
    Kind,
    /// It has too many pixels, or needs too much memory.
    TooLarge,
    /// It is not what it says.
    Broken,
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

/// Decodes a file: PNG, JPEG, GIF (its first picture) or WebP, whatever its name says.
pub(super) async fn decode(file: Zeroizing<Vec<u8>>) -> Result<Pixels, Unreadable> {
    apart(move || read(&file)).await.unwrap_or(Err(Unreadable::Broken))
}

/// Does something with a picture on a thread of its own. None where it panics.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    // One at a time: who leaves one picture for the next, again and again, has its memory once.
    static ONE: Mutex<()> = Mutex::new(());
    let (done, outcome) = oneshot::channel();
    let work = move || {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        if !done.is_closed() {
            let _ = done.send(work());
        }
    };
    thread::Builder::new().name(THREAD.to_owned()).spawn(work).ok()?;
    // A thread that panicked says nothing.
    outcome.await.ok()
}

fn read(file: &[u8]) -> Result<Pixels, Unreadable> {
    let broken = |_| Unreadable::Broken;
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(broken)?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    if !reader.format().is_some_and(|format| known.contains(&format)) {
        return Err(Unreadable::Kind);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| why(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS || decoder.total_bytes() > MEMORY {
        return Err(Unreadable::TooLarge);
    }
    if width == 0 || height == 0 {
        return Err(Unreadable::Broken);
    }
    // The pixels themselves count as well.
    limits.reserve(decoder.total_bytes()).map_err(|error| why(&error))?;
    decoder.set_limits(limits).map_err(|error| why(&error))?;
    let turned = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| why(&error))?;
    if width.max(height) > SIDE {
        image = image.thumbnail(SIDE, SIDE);
    }
    let mut true_size = (width, height);
    if let Some(turned) = turned {
        image.apply_orientation(turned);
        if matches!(
            turned,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        ) {
            true_size = (height, width);
        }
    }
    Ok(Pixels { image: Arc::new(opaque(&image)), true_size })
}

fn why(error: &ImageError) -> Unreadable {
    match error {
        ImageError::Limits(limit) => match limit.kind() {
            LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory => Unreadable::TooLarge,
            _ => Unreadable::Broken,
        },
        ImageError::Unsupported(_) => Unreadable::Kind,
        _ => Unreadable::Broken,
    }
}

/// The picture before a grey wall.
fn opaque(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let seen = image.to_rgba8();
    RgbImage::from_fn(seen.width(), seen.height(), |x, y| {
        let [red, green, blue, alpha] = seen.get_pixel(x, y).0;
        let mixed = |colour: u8, behind: u8| {
            let (colour, behind, alpha) = (u16::from(colour), u16::from(behind), u16::from(alpha));
            u8::try_from((colour * alpha + behind * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([mixed(red, BEHIND[0]), mixed(green, BEHIND[1]), mixed(blue, BEHIND[2])])
    })
}

/// Whether a file of this name, or of the kind that its sender says, may be a picture that can be looked at.
pub(super) fn may_be_picture(name: &str, media_type: Option<&str>) -> bool {
    let known = ["image/png", "image/jpeg", "image/gif", "image/webp"];
    let named = mime_guess::from_path(name).first_raw();
    [named, media_type].into_iter().flatten().any(|kind| known.contains(&kind))
}
