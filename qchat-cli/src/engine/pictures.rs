//! Pictures: decoded within limits, on a thread of their own, and so that nothing of what a decoder does with them reaches the user but
//! a picture or a reason; and made small, for the messages that name them.
//!
//! Who sends a picture may not have made it, and who gets one has not: for both it is hostile bytes.

use std::{
    io::Cursor,
    panic,
    sync::{Mutex, Once, PoisonError},
    thread,
};

use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb,
    RgbImage, codecs::jpeg::JpegEncoder, error::LimitErrorKind, imageops, metadata::Orientation,
};
use tokio::sync::oneshot;

/// Largest file that is looked at, bytes.
pub(crate) const LARGEST: u64 = 32_000_000;
/// What stands behind a picture that one can see through: neither dark lines nor light ones get lost in it.
const BEHIND: [u8; 3] = [128; 3];

/// The thread that decodes and encodes. What panics there is told as any other picture that cannot be decoded.
pub(crate) const THREAD: &str = "qchat-picture";

/// Largest thumbnail that is made, bytes. That with it a message has all that is usually said of a file, and is not padded to more than
/// 16 KiB; a message may have one of [`qchat_proto::content::MAX_THUMBNAIL`].
const SMALL_ENOUGH: usize = 12 * 1024;
/// Longest sides that a thumbnail is tried with, pixels.
const SIDES: [u32; 4] = [320, 240, 160, 96];
/// Qualities that it is tried with at each of them, of 100.
const QUALITIES: [u8; 3] = [80, 65, 45];

/// What a picture may take.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Most pixels that it has before it is made smaller.
    pixels: u64,
    /// Most memory that a decoder has, bytes.
    memory: u64,
    /// Longest side that is kept, pixels.
    side: u32,
}

impl Bounds {
    /// Those of a picture that somebody looks at: what as many pixels take in four channels, and a little; and no more of them are kept
    /// than any terminal has columns.
    pub(crate) const WHOLE: Self = Self { pixels: 64_000_000, memory: 260_000_000, side: 1024 };
    /// Those of a thumbnail, which comes unasked with a message.
    pub(crate) const THUMBNAIL: Self = Self { pixels: 1024 * 1024, memory: 16_000_000, side: 1024 };
}

/// A picture, decoded.
pub(crate) struct Decoded {
    /// No larger than its bounds say.
    pub(crate) image: RgbImage,
    /// Its width and height before it was made smaller.
    pub(crate) true_size: (u32, u32),
}

/// Why there is nothing to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    /// It is none of the kinds that are known.
    Kind,
    /// It has too many pixels, or needs too much memory.
    TooLarge,
    /// It is not what it says.
    Broken,
}

/// Does something with a picture on a thread of its own. None where it panics.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    // One at a time: who leaves one picture for the next, again and again, has its memory once.
    static ONE: Mutex<()> = Mutex::new(());
    silence();
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

/// Keeps what a decoder says when it breaks off the terminal.
fn silence() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD) {
                before(info);
            }
        }));
    });
}

/// The kind of picture that bytes begin like, by the ending of its name: of those that are decoded.
pub(crate) fn kind(bytes: &[u8]) -> Option<&'static str> {
    match image::guess_format(bytes).ok()? {
        ImageFormat::Png => Some("png"),
        ImageFormat::Jpeg => Some("jpg"),
        ImageFormat::Gif => Some("gif"),
        ImageFormat::WebP => Some("webp"),
        _ => None,
    }
}

/// Decodes a file: PNG, JPEG, GIF (its first picture) or WebP, whatever its name says; turned as its camera was held.
pub(crate) fn decode(file: &[u8], bounds: Bounds) -> Result<Decoded, Unreadable> {
    let broken = |_| Unreadable::Broken;
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(broken)?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    if !reader.format().is_some_and(|format| known.contains(&format)) {
        return Err(Unreadable::Kind);
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bounds.memory);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(|error| why(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > bounds.pixels || decoder.total_bytes() > bounds.memory {
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
    if width.max(height) > bounds.side {
        image = image.thumbnail(bounds.side, bounds.side);
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
    Ok(Decoded { image: opaque(&image), true_size })
}

/// Makes a picture small: a JPEG of its pixels and of nothing else that its file says. None where none is small enough.
pub(crate) fn thumbnail(file: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let [side, ..] = SIDES;
    let Decoded { image, .. } = decode(file, Bounds { side, ..Bounds::WHOLE })?;
    for side in SIDES {
        let longest = image.width().max(image.height());
        let smaller = (longest > side).then(|| {
            let shrunk = |length: u32| (length * side / longest).max(1);
            imageops::thumbnail(&image, shrunk(image.width()), shrunk(image.height()))
        });
        let small = smaller.as_ref().unwrap_or(&image);
        for quality in QUALITIES {
            let mut bytes = Vec::with_capacity(SMALL_ENOUGH);
            let (width, height) = small.dimensions();
            JpegEncoder::new_with_quality(&mut bytes, quality)
                .encode(small, width, height, ExtendedColorType::Rgb8)
                .map_err(|error| why(&error))?;
            if bytes.len() <= SMALL_ENOUGH {
                return Ok(Some(bytes));
            }
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use image::{GrayImage, Rgba, RgbaImage};

    use super::*;

    fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Pixels that no encoder makes small.
    fn noise(width: u32, height: u32) -> RgbImage {
        let mut state = 7_u32;
        RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [red, green, blue, _] = state.to_be_bytes();
            Rgb([red, green, blue])
        })
    }

    /// Red on its left half, blue on its right one.
    fn halves(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, _| Rgb(if x * 2 < width { [250, 0, 0] } else { [0, 0, 250] }))
    }

    /// Where a picture was taken, and that its camera was held upright.
    const SECRET: &[u8] = b"Hidden Lane 7";

    fn exif() -> Vec<u8> {
        let mut exif = b"II*\0\x08\0\0\0\x02\0".to_vec();
        // The orientation, 6 (a quarter turn to the right), and a text that stands behind.
        exif.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
        exif.extend(b"\x0e\x01\x02\0\x0d\0\0\0\x26\0\0\0");
        exif.extend([0; 4]);
        exif.extend(SECRET);
        exif
    }

    /// A JPEG in which all of this is said beside the picture: Exif, a comment, and a profile of colours.
    fn telling(image: &RgbImage) -> Vec<u8> {
        let plain = encoded(image.clone(), ImageFormat::Jpeg);
        let mut bytes = plain[..2].to_vec();
        for (marker, what) in [
            (0xe1_u8, [b"Exif\0\0".as_slice(), &exif()].concat()),
            (0xe2, [b"ICC_PROFILE\0\x01\x01".as_slice(), SECRET].concat()),
            (0xfe, SECRET.to_vec()),
        ] {
            bytes.extend([0xff, marker]);
            bytes.extend(u16::try_from(what.len() + 2).unwrap().to_be_bytes());
            bytes.extend(what);
        }
        bytes.extend(&plain[2..]);
        bytes
    }

    fn holds(bytes: &[u8], what: &[u8]) -> bool {
        bytes.windows(what.len()).any(|window| window == what)
    }

    #[test]
    fn a_thumbnail_is_small_and_keeps_the_shape() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            for (width, height, small) in [
                (1, 1, (1, 1)),
                (40, 30, (40, 30)),
                (320, 320, (320, 320)),
                (321, 100, (320, 100)),
                (1280, 960, (320, 240)),
                (500, 2000, (80, 320)),
                (4000, 3, (320, 1)),
            ] {
                let made = thumbnail(&encoded(halves(width, height), format)).unwrap().unwrap();
                assert!(made.len() <= SMALL_ENOUGH, "{format:?} {width} × {height}: {}", made.len());
                assert_eq!(kind(&made), Some("jpg"));
                let seen = decode(&made, Bounds::THUMBNAIL).unwrap();
                assert_eq!(seen.true_size, small, "{format:?} {width} × {height}");
            }
        }
    }

    #[test]
    fn what_does_not_become_small_enough_becomes_smaller() {
        let made = thumbnail(&encoded(noise(1000, 1000), ImageFormat::Png)).unwrap().unwrap();
        let (width, height) = decode(&made, Bounds::THUMBNAIL).unwrap().true_size;
        assert!(made.len() <= SMALL_ENOUGH && width == height && width < 320, "{width}: {}", made.len());
    }

    #[test]
    fn nothing_but_pixels_gets_into_a_thumbnail_and_it_stands_upright() {
        let file = telling(&halves(400, 200));
        assert!(holds(&file, SECRET) && holds(&file, b"Exif"));
        let made = thumbnail(&file).unwrap().unwrap();
        for what in [SECRET, b"Exif", b"ICC_PROFILE", b"II*\0"] {
            assert!(!holds(&made, what), "{}", String::from_utf8_lossy(what));
        }
        let Decoded { image, true_size } = decode(&made, Bounds::THUMBNAIL).unwrap();
        assert_eq!(true_size, (160, 320), "it is turned");
        let (Rgb([red, _, blue]), Rgb([below_red, _, below_blue])) =
            (*image.get_pixel(80, 40), *image.get_pixel(80, 280));
        assert!(red > 200 && blue < 60 && below_red < 60 && below_blue > 200, "what was left is above");
    }

    #[test]
    fn what_one_can_see_through_stands_before_grey() {
        let clear = RgbaImage::from_pixel(16, 16, Rgba([255, 255, 255, 0]));
        let made = thumbnail(&encoded(clear, ImageFormat::Png)).unwrap().unwrap();
        let Rgb([red, ..]) = *decode(&made, Bounds::THUMBNAIL).unwrap().image.get_pixel(8, 8);
        assert!(red.abs_diff(128) < 4, "{red}");
    }

    #[test]
    fn a_file_that_is_no_picture_or_a_hostile_one_has_no_thumbnail() {
        let whole = encoded(noise(64, 64), ImageFormat::Png);
        let mut wide = whole.clone();
        wide[16..24].fill(0x7f);
        for (what, bytes) in [
            ("nothing", &[][..]),
            ("text", b"not a picture"),
            ("a drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            ("the beginning of one", &whole[..8]),
            ("half of one", &whole[..whole.len() / 2]),
            ("one that says to be larger", &wide),
        ] {
            assert!(thumbnail(bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn a_thumbnail_of_somebody_else_gets_less_than_a_picture() {
        let large = encoded(GrayImage::new(1100, 1000), ImageFormat::Png);
        assert!(
            large.len() <= qchat_proto::content::MAX_THUMBNAIL,
            "a message could have it: {}",
            large.len()
        );
        assert!(decode(&large, Bounds::WHOLE).is_ok());
        assert_eq!(decode(&large, Bounds::THUMBNAIL).err(), Some(Unreadable::TooLarge));
    }

    #[tokio::test]
    async fn a_decoder_that_breaks_comes_to_nothing() {
        assert_eq!(apart(|| 7).await, Some(7));
        assert_eq!(apart(|| -> u8 { panic!("a decoder broke") }).await, None);
        assert_eq!(apart(|| 8).await, Some(8));
    }
}
