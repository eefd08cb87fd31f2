//! Pictures: looked at where the terminal has colours for them, and hostile ones told in a sentence.

use std::io::Cursor;

use image::{
    DynamicImage, ExtendedColorType, Frame, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
};
use ratatui::style::Color;
use zeroize::Zeroizing;

use super::*;
use crate::{
    engine::types::File,
    tui::{
        Ambience, Keymap, Look, Passphrase, Pixels, Prefs,
        app::Overlay,
        graphics::{self, CellSize, Graphics, Shape},
        pixels::{self, LARGEST, Unreadable},
        view,
    },
};

fn file(name: &str, size: u64) -> Body {
    Body::File(File {
        id: qchat_proto::ids::FileId::from_bytes([3; 16]),
        name: name.to_owned(),
        size,
        media_type: None,
        voice: false,
        duration: None,
        thumbnail: None,
        caption: String::new(),
    })
}

/// A screen with a file in it, on a terminal that says this of itself.
fn stage(look: Look, ambience: Ambience, body: Body) -> Stage {
    let mut stage = Stage::themed(80, 24, Theme::of(look, &ambience));
    stage.app = App::new("alice", Theme::of(look, &ambience), Zone::utc()).with(
        Keymap::default(),
        Prefs::default(),
        ambience,
    );
    stage.tell(Msg::Resize(80, 24));
    let mut message = message(1, 1, "bob", "");
    message.body = body;
    let rooms = vec![room(1, "general", RoomStatus::Joined, 0), room(2, "other", RoomStatus::Joined, 0)];
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(rooms)));
    stage.newest(id(1), vec![message]);
    stage.all_asked();
    stage
}

fn look_at() -> Command {
    Command::LookAt { room: id(1), message: message_id(1) }
}

fn give_up() -> Command {
    Command::GiveUp(Box::new(look_at()))
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Two columns and four rows, each pixel another colour.
fn small() -> RgbImage {
    RgbImage::from_fn(2, 4, |x, y| {
        let (x, y) = (u8::try_from(x).unwrap(), u8::try_from(y).unwrap());
        Rgb([60 * y + 20, 200 * x + 30, 255 - 50 * y])
    })
}

async fn decoded(bytes: Vec<u8>) -> Result<Pixels, Unreadable> {
    pixels::decode(Zeroizing::new(bytes)).await
}

/// The two colours of a cell, from above.
fn halves(stage: &Stage, x: u16, y: u16) -> [Color; 2] {
    let cell = &stage.terminal.backend().buffer()[(x, y)];
    match cell.symbol() {
        "▀" => [cell.fg, cell.bg],
        "▄" => [cell.bg, cell.fg],
        " " => [cell.bg, cell.bg],
        other => panic!("{other:?} at {x}, {y}"),
    }
}

/// Where the picture begins: the first cell that has a colour of its own behind it.
fn corner(stage: &Stage) -> (u16, u16) {
    let buffer = stage.terminal.backend().buffer();
    // Beside the list of rooms, above what is written.
    let places = (0..18).flat_map(|y| (25..80).map(move |x| (x, y)));
    let mut found = places.filter(|at| matches!(buffer[*at].bg, Color::Rgb(..) | Color::Indexed(_)));
    found.next().expect("a picture")
}

#[tokio::test]
async fn a_picture_is_drawn_in_half_blocks_of_its_colours() {
    let bytes = encoded(small(), ImageFormat::Png);
    let mut stage = stage(Look::Dark, Ambience::of_all_colours(), file("a.png", 90));
    assert_eq!(stage.press("<Up>v").asked(), [look_at()]);
    stage.tell(Msg::Progress(look_at(), 30, 90));
    assert!(stage.drawn().contains("30 B of 90 B have arrived"), "{}", stage.drawn());
    let pixels = decoded(bytes).await.unwrap();
    stage.tell(Msg::Done(look_at(), Answer::Picture(pixels)));
    let drawn = stage.drawn();
    assert!(drawn.contains("── a.png ──") && drawn.contains("2 × 4 pixels"), "{drawn}");
    let (left, top) = corner(&stage);
    let expected = small();
    for (x, y) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let colour = |row: u16| {
            let Rgb([red, green, blue]) = *expected.get_pixel(x.into(), row.into());
            Color::Rgb(red, green, blue)
        };
        assert_eq!(halves(&stage, left + x, top + y), [colour(2 * y), colour(2 * y + 1)], "{x}, {y}");
    }
    // What lies beside it is as it was; it goes away, and nothing is left to be given up.
    stage.press("<Esc>");
    assert_eq!(stage.asked(), []);
    assert!(stage.drawn().contains("[file a.png") && matches!(stage.app.overlay, Overlay::None));
}

#[tokio::test]
async fn what_came_with_the_message_is_seen_until_the_picture_is_there() {
    let plain = |colour| Pixels::new(RgbImage::from_pixel(4, 4, Rgb(colour)));
    let mut stage = stage(Look::Dark, Ambience::of_all_colours(), file("a.png", 90));
    stage.press("<Up>v");
    // Of a picture that nobody looks at.
    let other = Command::LookAt { room: id(1), message: message_id(9) };
    stage.tell(Msg::Glimpse(other, plain([9, 9, 9])));
    assert!(stage.drawn().contains("0 B of 90 B have arrived"), "{}", stage.drawn());
    stage.tell(Msg::Glimpse(look_at(), plain([200, 0, 0])));
    stage.tell(Msg::Progress(look_at(), 30, 90));
    assert!(stage.drawn().contains("30 B of 90 B have arrived"), "{}", stage.drawn());
    let (left, top) = corner(&stage);
    assert_eq!(halves(&stage, left, top), [Color::Rgb(200, 0, 0); 2]);
    stage.tell(Msg::Done(look_at(), Answer::Picture(plain([0, 0, 200]))));
    assert!(stage.drawn().contains("4 × 4 pixels"), "{}", stage.drawn());
    assert_eq!(halves(&stage, left, top), [Color::Rgb(0, 0, 200); 2]);
    // It comes too late, which changes nothing; and where there is no picture, the reason is what is seen.
    stage.tell(Msg::Glimpse(look_at(), plain([200, 0, 0])));
    stage.drawn();
    assert_eq!(halves(&stage, left, top), [Color::Rgb(0, 0, 200); 2]);
    stage.press("<Esc>v");
    stage.tell(Msg::Glimpse(look_at(), plain([200, 0, 0])));
    stage.tell(Msg::Failed(look_at(), "It is gone".to_owned()));
    assert!(stage.drawn().contains("! It is gone"), "{}", stage.drawn());
}

#[tokio::test]
async fn a_hostile_thumbnail_is_not_seen() {
    let good = encoded(small(), ImageFormat::Jpeg);
    assert!(pixels::glimpse(good.clone().into()).await.is_some());
    for (what, bytes) in [
        ("nothing", vec![]),
        ("text", b"a picture, for sure".to_vec()),
        ("half of one", good[..good.len() / 2].to_vec()),
        ("more pixels than fit", lying(1_025, 1_024, ExtendedColorType::L8)),
        ("more memory than fits", lying(1_024, 1_024, ExtendedColorType::Rgba16)),
        ("one that has not what it says", lying(1_000, 1_000, ExtendedColorType::L8)),
    ] {
        // Half of a JPEG may be a picture, of what is there.
        let seen = pixels::glimpse(bytes.into()).await;
        assert!(seen.is_none_or(|seen| what == "half of one" && seen.size() == (2, 4)), "{what}");
    }
}

#[tokio::test]
async fn fewer_colours_are_the_nearest_and_a_large_picture_fits() {
    let red = RgbImage::from_pixel(3000, 500, Rgb([250, 5, 5]));
    let pixels = decoded(encoded(red, ImageFormat::Png)).await.unwrap();
    assert_eq!((pixels.true_size, pixels.size()), ((3000, 500), (1024, 171)));
    let mut stage = stage(Look::Dark, Ambience::default(), file("a.png", 90));
    stage.press("<Up>v");
    stage.tell(Msg::Done(look_at(), Answer::Picture(pixels)));
    stage.drawn();
    let (left, top) = corner(&stage);
    assert_eq!(halves(&stage, left, top), [Color::Indexed(196); 2]);
    // It is drawn anew for every size, down to the smallest.
    for (width, height) in [(30, 8), (31, 9), (29, 7), (1, 1), (300, 100), (60, 14)] {
        stage.resize(width, height);
        stage.drawn();
    }
}

#[test]
fn without_colours_a_sentence_says_so() {
    for look in [Look::Plain, Look::Sixteen] {
        let mut stage = stage(look, Ambience::of_all_colours(), file("a.png", 90));
        assert_eq!(stage.press("<Up>v").asked(), []);
        let drawn = stage.drawn();
        assert!(drawn.contains("Pictures need more than 16 colours") && drawn.contains("s saves"), "{drawn}");
    }
}

#[test]
fn what_is_no_picture_or_too_large_is_not_fetched() {
    for (body, words) in [
        (file("a.pdf", 90), "no picture that can be looked at"),
        (file("a.svg", 90), "no picture that can be looked at"),
        (file("a.png", LARGEST + 300_000), "has 32.3 MB, and what is looked at"),
        (Body::Text("a.png".to_owned()), "no file in that message"),
    ] {
        let mut stage = stage(Look::Dark, Ambience::of_all_colours(), body.clone());
        assert_eq!(stage.press("<Up>v").asked(), [], "{body:?}");
        assert!(stage.drawn().contains(words), "{body:?}: {}", stage.drawn());
    }
    // Out of the palette it is the newest picture.
    let mut stage = stage(Look::Dark, Ambience::of_all_colours(), file("a.webp", 90));
    stage.press("<C-p>look at its<Enter>");
    assert!(stage.asked().contains(&look_at()));
}

#[test]
fn who_looks_elsewhere_waits_no_more() {
    for keys in ["<Esc>", "q", "v", "<C-p>", "<F2>", "<C-f>"] {
        let mut stage = stage(Look::Dark, Ambience::of_all_colours(), file("a.gif", 90));
        stage.press("<Up>v");
        stage.asked();
        stage.press(keys);
        assert!(stage.asked().contains(&give_up()), "{keys}");
        // An answer that was on its way already changes nothing.
        let before = stage.drawn();
        let pixels = Pixels::new(RgbImage::from_pixel(4, 4, Rgb([1, 2, 3])));
        stage.tell(Msg::Done(look_at(), Answer::Picture(pixels)));
        stage.tell(Msg::Failed(look_at(), "no".to_owned()));
        assert_eq!(stage.drawn(), before, "{keys}");
    }
    let mut stage = stage(Look::Dark, Ambience::of_all_colours(), file("a.gif", 90));
    stage.press("<Up>v");
    stage.tell(Msg::Failed(look_at(), "The picture is broken\u{1b}[2J".to_owned()));
    assert!(stage.drawn().contains("! The picture is broken"), "{}", stage.drawn());
    stage.press("s");
    assert!(matches!(stage.asked().last(), Some(Command::SaveFile { open: false, .. })));
}

/// What a terminal says that has kitty's pictures.
fn kitty() -> Ambience {
    Ambience::of_pictures(|name| if name == "TERM" { "xterm-kitty".to_owned() } else { String::new() })
}

/// A screen on such a terminal, with a picture on its way.
fn stage_of_a_picture() -> Stage {
    let mut stage = stage(Look::Dark, kitty(), file("a.png", 90));
    stage.tell(Msg::Cell(CellSize::of((800, 480), (80, 24))));
    stage.press("<Up>v");
    stage.asked();
    stage
}

/// What is asked of whoever makes pictures into what the terminal draws.
fn to_encode(stage: &mut Stage) -> Option<(Pixels, Shape)> {
    stage.asked().into_iter().find_map(|command| match command {
        Command::Encode(pixels, shape) => Some((pixels, shape)),
        _ => None,
    })
}

#[tokio::test]
async fn what_the_terminal_draws_has_its_cells_to_itself_and_is_gone_with_what_shows_it() {
    let mut stage = stage(Look::Dark, kitty(), file("a.png", 90));
    stage.tell(Msg::Cell(CellSize::of((800, 480), (80, 24))));
    stage.press("<Up>v");
    let red = Pixels::new(RgbImage::from_pixel(100, 100, Rgb([200, 0, 0])));
    stage.tell(Msg::Done(look_at(), Answer::Picture(red.clone())));
    let (pixels, shape) = to_encode(&mut stage).unwrap();
    assert_eq!((&pixels, (shape.cells.width, shape.cells.height)), (&red, (10, 5)));
    // Until it is there, it stands there in half-blocks, and is asked for once.
    stage.drawn();
    corner(&stage);
    assert!(view::pixels(&stage.app).is_none());
    stage.tell(Msg::Focus(true));
    assert_eq!(to_encode(&mut stage), None);
    let encoded = graphics::encoded(pixels.clone(), shape).await.unwrap();
    stage.tell(Msg::Done(Command::Encode(pixels, shape), Answer::Encoded(encoded)));
    stage.drawn();
    let (place, _) = view::pixels(&stage.app).unwrap();
    assert_eq!((place.width, place.height), (10, 5));
    let buffer = stage.terminal.backend().buffer();
    assert!(place.positions().all(|at| buffer[at].symbol() == " " && buffer[at].bg == Color::Reset));
    // Nor is a small one of it that cannot be drawn the end of it.
    let mut other = stage_of_a_picture();
    other.tell(Msg::Glimpse(look_at(), red.clone()));
    let (small, fits) = to_encode(&mut other).unwrap();
    other.tell(Msg::Failed(Command::Encode(small, fits), String::new()));
    assert!(other.drawn().contains("0 B of 90 B have arrived"), "{}", other.drawn());
    assert_eq!(to_encode(&mut other), None);
    // Another size of the letters is another picture, which is not there yet; nor is it on a window without room for it.
    stage.tell(Msg::Cell(CellSize::of((160, 480), (80, 24))));
    assert!(view::pixels(&stage.app).is_none() && to_encode(&mut stage).is_some());
    stage.tell(Msg::Cell(CellSize::of((800, 480), (80, 24))));
    assert!(view::pixels(&stage.app).is_some());
    stage.tell(Msg::Resize(20, 5));
    assert!(view::pixels(&stage.app).is_none());
    stage.tell(Msg::Resize(80, 24));
    // It is on no screen that does not show it.
    stage.tell(Msg::Idle);
    assert!(stage.app.is_locked() && view::pixels(&stage.app).is_none());
    let passphrase = Passphrase::from(Zeroizing::new(String::new()));
    stage.tell(Msg::Done(Command::Unlock(passphrase), Answer::Nothing));
    assert!(view::pixels(&stage.app).is_some());
    stage.press("<Esc>");
    assert!(view::pixels(&stage.app).is_none());
}

#[test]
fn what_no_encoder_can_do_is_said_and_what_is_switched_off_is_not_fetched() {
    let mut stage = stage(Look::Dark, kitty(), file("a.png", 90));
    stage.tell(Msg::Cell(CellSize::of((800, 480), (80, 24))));
    stage.press("<Up>v");
    let red = Pixels::new(RgbImage::from_pixel(100, 100, Rgb([200, 0, 0])));
    stage.tell(Msg::Done(look_at(), Answer::Picture(red)));
    let (pixels, shape) = to_encode(&mut stage).unwrap();
    stage.tell(Msg::Failed(Command::Encode(pixels, shape), String::new()));
    assert!(stage.drawn().contains("is not what it says it is"), "{}", stage.drawn());
    stage.press("<Esc>");
    stage.app.prefs.graphics = Graphics::None;
    stage.asked();
    assert_eq!(stage.press("v").asked(), []);
    let drawn = stage.drawn();
    assert!(drawn.contains("Pictures are switched off") && drawn.contains("s saves"), "{drawn}");
}

fn animated() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for colour in [Rgba([255, 0, 0, 255]), Rgba([0, 0, 255, 255])] {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(4, 4, colour))).unwrap();
    }
    drop(encoder);
    bytes
}

/// A PNG that says to have this size, with hardly anything in it.
fn lying(width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixels = vec![0; usize::from(colour.bits_per_pixel() / 8)];
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(&pixels, 1, 1, colour).unwrap();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let sum = crc(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The checksum of a part of a PNG.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _| {
                if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 }
            },
        )
    })
}

#[tokio::test]
async fn every_kind_is_read_and_of_several_pictures_the_first() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let image = RgbImage::from_pixel(8, 6, Rgb([200, 30, 30]));
        let pixels = decoded(encoded(image, format)).await.unwrap();
        assert_eq!(pixels.size(), (8, 6), "{format:?}");
    }
    let first = decoded(animated()).await.unwrap().image().to_rgb8();
    let Rgb([red, _, blue]) = *first.get_pixel(1, 1);
    assert!(red > 200 && blue < 50, "{red} {blue}");
    // What one can see through stands before grey.
    let clear = RgbaImage::from_pixel(2, 2, Rgba([255, 255, 255, 0]));
    let pixels = decoded(encoded(clear, ImageFormat::Png)).await.unwrap().image().to_rgb8();
    assert_eq!(*pixels.get_pixel(0, 0), Rgb([128; 3]));
}

#[tokio::test]
async fn hostile_files_come_to_a_reason_and_nothing_else() {
    let png = encoded(RgbImage::from_pixel(64, 64, Rgb([1, 2, 3])), ImageFormat::Png);
    let webp = encoded(RgbImage::from_pixel(64, 64, Rgb([1, 2, 3])), ImageFormat::WebP);
    let mut gif = animated();
    // A screen of 65,535 × 65,535.
    gif[6..10].fill(0xff);
    let mut frame = animated();
    // A frame that is larger than its screen says.
    let at = frame.iter().position(|byte| *byte == b',').unwrap();
    frame[at + 5..at + 9].fill(0xff);
    for (what, bytes, expected) in [
        ("nothing", vec![], Unreadable::Kind),
        ("text", b"not a picture at all".to_vec(), Unreadable::Kind),
        ("another kind", b"%PDF-1.7\n".to_vec(), Unreadable::Kind),
        ("a bitmap", [b"BM".as_slice(), &[0; 60]].concat(), Unreadable::Kind),
        ("a drawing", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), Unreadable::Kind),
        ("the beginning of one", png[..8].to_vec(), Unreadable::Broken),
        ("half of one", png[..png.len() / 2].to_vec(), Unreadable::Broken),
        ("half of another", webp[..webp.len() / 2].to_vec(), Unreadable::Broken),
        ("more pixels than there are", lying(60_000, 60_000, ExtendedColorType::L8), Unreadable::TooLarge),
        ("just more pixels than fit", lying(8_001, 8_000, ExtendedColorType::L8), Unreadable::TooLarge),
        ("more memory than fits", lying(7_000, 7_000, ExtendedColorType::Rgba16), Unreadable::TooLarge),
        ("a line without end", lying(u32::MAX >> 1, 1, ExtendedColorType::L8), Unreadable::TooLarge),
        ("one that has not what it says", lying(7_000, 7_000, ExtendedColorType::L8), Unreadable::Broken),
        ("a picture of nothing", lying(0, 10, ExtendedColorType::L8), Unreadable::Broken),
        ("a screen too large", gif, Unreadable::TooLarge),
    ] {
        assert_eq!(decoded(bytes).await.unwrap_err(), expected, "{what}");
    }
    // Whatever this comes to, it comes to something.
    let _ = decoded(frame).await;
}

#[tokio::test]
async fn no_change_of_a_picture_breaks_anything() {
    let image = || {
        RgbImage::from_fn(16, 16, |x, y| Rgb([x, y, 9].map(|channel| u8::try_from(channel * 15).unwrap())))
    };
    let mut seed: u32 = 7;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 8).unwrap() % below
    };
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
        let whole = encoded(image(), format);
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = u8::try_from(random(256)).unwrap();
            }
            if random(4) == 0 {
                bytes.truncate(random(bytes.len()));
            }
            if let Ok(pixels) = decoded(bytes).await {
                assert!(pixels.size().0 <= 1024 && pixels.size().1 <= 1024);
            }
        }
    }
}
