//! What is said in the sample data: something of each kind.

use image::{Rgb, RgbImage};
use qchat_proto::{
    content,
    ids::{FileId, MessageId, RoomId, Seq},
};
use time::{Duration, OffsetDateTime};

use super::{
    NAME,
    data::{NOON, account, device, people, room},
};
use crate::engine::types::{
    Body, Delivery, File, Marks, Message, Poll, PollOption, Reaction, Reply, Sender, Standing,
};
use crate::tui::pixels::Pixels;

pub(super) fn id(row: i64) -> MessageId {
    MessageId::from_bytes(u128::from(row.unsigned_abs()).to_be_bytes())
}

/// Something that somebody says.
pub(super) fn message(room: RoomId, row: i64, at: OffsetDateTime, sender: &str, body: Body) -> Message {
    let verified =
        people().iter().any(|known| known.name.as_str() == sender && known.standing == Standing::Verified);
    let notice = matches!(body, Body::Notice(_) | Body::Warning(_));
    let sender = Sender {
        account: account(sender),
        name: sender.to_owned(),
        device: device(sender, 1),
        me: sender == NAME,
        verified,
        changed: false,
    };
    Message {
        row,
        room,
        seq: Some(Seq(row.unsigned_abs())),
        id: (!notice).then(|| id(row)),
        sender: (!notice).then_some(sender),
        sent_at: at,
        epoch: 17,
        body,
        delivery: Delivery::Sent,
        marks: Marks::default(),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A poll as it is shown before anybody has voted.
pub(super) fn poll(asked: &content::Poll) -> Body {
    Body::Poll(Poll {
        question: asked.question().to_owned(),
        options: asked
            .options()
            .iter()
            .map(|text| PollOption { text: text.clone(), by: Vec::new(), me: false })
            .collect(),
        choices: 1,
        closed: false,
    })
}

/// Votes as the one who looks.
pub(super) fn vote(message: &mut Message, choices: &[u32]) {
    let Body::Poll(poll) = &mut message.body else { return };
    for (place, option) in (0_u32..).zip(&mut poll.options) {
        option.by.retain(|name| name != NAME);
        option.me = choices.contains(&place);
        if option.me {
            option.by.push(NAME.to_owned());
        }
    }
}

/// The picture that bob has sent: a light in the dark.
pub(super) fn picture() -> Pixels {
    let (width, height) = (96, 64);
    let lit = RgbImage::from_fn(width, height, |x, y| {
        let (across, down) = (x.abs_diff(width / 2), y.abs_diff(height / 2));
        let far = across * across + down * down;
        let inside = across < 14 && down < 22;
        let rib = inside && down % 6 == 0;
        let glow = |most: u32, reach: u32| u8::try_from(most * reach / (reach + far)).unwrap_or(u8::MAX);
        match (inside, rib) {
            (true, true) => Rgb([120, 40, 20]),
            (true, false) => Rgb([255, glow(230, 900), glow(140, 300)]),
            (false, _) => Rgb([glow(90, 500), glow(50, 400), glow(60, 1200)]),
        }
    });
    Pixels::new(lit)
}

pub(super) fn all() -> Vec<Message> {
    let mut all = works();
    let text = |room, row, minutes, sender, text: &str| {
        message(room, row, NOON + Duration::minutes(minutes), sender, Body::Text(text.to_owned()))
    };
    all.extend([
        text(room(2), 101, -600, "bob", "Did the courier come?"),
        text(room(2), 102, -590, NAME, "He did, with one crate too many."),
        message(
            room(2),
            103,
            NOON - Duration::minutes(580),
            "bob",
            Body::File(File {
                id: FileId::from_bytes([0x6f; 16]),
                name: "lantern.png".to_owned(),
                size: 48_200,
                media_type: Some("image/png".to_owned()),
                voice: false,
                duration: None,
                thumbnail: None,
                caption: "what was in it".to_owned(),
            }),
        ),
        text(room(3), 111, -300, "carol", "Who has the keys of the upper hall?"),
        text(room(4), 121, -200, "emre", "שלום לכולם, נתראה ב-12:00 (ליד הנהר)"),
        text(room(4), 122, -190, NAME, "مرحبا, see you there"),
        text(room(5), 131, -9000, "carol", "The last one turns off the light."),
    ]);
    all
}

fn works() -> Vec<Message> {
    let here = room(1);
    let say = |row, minutes, sender: &str, text: &str| {
        message(here, row, NOON + Duration::minutes(minutes), sender, Body::Text(text.to_owned()))
    };
    let happens = |row, minutes, body| message(here, row, NOON + Duration::minutes(minutes), NAME, body);
    let mut all = vec![
        happens(1, -1500, Body::Notice("alice created the room".to_owned())),
        happens(2, -1499, Body::Notice("alice added bob, carol, emre".to_owned())),
        say(3, -1490, NAME, "Welcome! The first frames are **done**, the paper comes on _Tuesday_."),
        say(4, -1480, "bob", "Plans are at https://lanterns.example/plans/autumn, comments welcome."),
        say(
            5,
            -1470,
            "carol",
            "The folding script, so that nobody has to count:\n```\nfor n in 1..=12 {\n    fold(n);\n}\n```",
        ),
        happens(
            6,
            -60,
            Body::Warning(
                "an envelope in the name of emre was skipped: its signature does not hold".to_owned(),
            ),
        ),
        say(7, -50, "emre", "提灯を十二個つくりました。👩‍👩‍👧 も手伝いました。"),
        say(8, -45, NAME, "Twelve! Then we need a longer table than I thought."),
    ];
    let mut ask = message(
        here,
        9,
        NOON - Duration::minutes(40),
        "bob",
        Body::Poll(Poll {
            question: "Where do we hang them?".to_owned(),
            options: vec![
                PollOption { text: "along the river".to_owned(), by: names(&["carol", "emre"]), me: false },
                PollOption { text: "in the yard".to_owned(), by: names(&["alice"]), me: true },
                PollOption { text: "wherever it is dry".to_owned(), by: Vec::new(), me: false },
            ],
            choices: 1,
            closed: false,
        }),
    );
    ask.marks.pinned_by = Some("bob".to_owned());
    let mut answer = say(10, -30, NAME, "The yard has a roof, at least.");
    answer.marks.reply_to = Some(Reply {
        id: id(9),
        sender: Some("bob".to_owned()),
        excerpt: Some("Where do we hang them?".to_owned()),
        blocked: false,
    });
    answer.marks.read_by = names(&["bob"]);
    answer.marks.delivered_to = names(&["bob", "carol"]);
    answer.marks.reactions = vec![
        Reaction { emoji: "👍".to_owned(), by: names(&["bob", "carol"]), me: false },
        Reaction { emoji: "🎉".to_owned(), by: names(&["alice"]), me: true },
    ];
    let file = message(
        here,
        11,
        NOON - Duration::minutes(25),
        "carol",
        Body::File(File {
            id: FileId::from_bytes([0x5f; 16]),
            name: "yard.pdf".to_owned(),
            size: 1_480_000,
            media_type: Some("application/pdf".to_owned()),
            voice: false,
            duration: None,
            thumbnail: None,
            caption: "measured this morning".to_owned(),
        }),
    );
    let mut edited = say(12, -20, "bob", "Forty metres of wire are enough.");
    edited.marks.edits = 1;
    let mut gone = say(13, -15, "emre", "");
    gone.body = Body::Deleted("emre".to_owned());
    let mut delivered = say(14, -12, NAME, "I bring the wire.");
    delivered.marks.delivered_to = names(&["bob", "carol", "emre"]);
    let mut calls = say(16, -8, "carol", "@alice can you bring the ladder, too?");
    calls.marks.mentions = names(&["alice"]);
    calls.marks.mentions_me = true;
    let mut pending = say(18, -1, NAME, "The ladder is in the van already");
    (pending.delivery, pending.seq, pending.epoch) = (Delivery::Pending, None, 0);
    all.extend([
        ask,
        answer,
        file,
        edited,
        gone,
        delivered,
        say(15, -10, "bob", "And who brings the matches?"),
        calls,
        say(17, -5, "emre", "Matches are here: `2 boxes`."),
        pending,
    ]);
    all
}
