//! What is done with a message that is chosen.

use super::*;
use crate::{
    engine::types::{File, Poll, PollOption, Reaction, Reply},
    tui::{Emission, app::Focus},
};

fn joined() -> Vec<RoomSummary> {
    vec![room(1, "general", RoomStatus::Joined, 0), room(2, "other", RoomStatus::Joined, 0)]
}

fn poll(choices: u32) -> Body {
    let option = |text: &str, me| PollOption { text: text.to_owned(), by: vec![], me };
    let options = vec![option("one", false), option("two", true), option("three", false)];
    Body::Poll(Poll { question: "which?".to_owned(), options, choices, closed: false })
}

fn file() -> Body {
    Body::File(File {
        id: qchat_proto::ids::FileId::from_bytes([3; 16]),
        name: "plan.pdf".to_owned(),
        size: 5_000,
        media_type: None,
        voice: false,
        duration: None,
        thumbnail: None,
        caption: String::new(),
    })
}

#[test]
fn a_sound_is_played_until_it_is_over_ended_or_the_screen_is_locked() {
    let play = || Command::Play { room: id(1), message: message_id(3) };
    let give_up = || Command::GiveUp(Box::new(play()));
    let Body::File(of) = file() else { panic!("a file") };
    let note = Body::File(File { name: "note\u{1b}[2J.ogg".to_owned(), voice: true, ..of });
    let mut stage = Stage::with(80, 24, joined(), talk(note));
    stage.asked();
    assert_eq!(stage.press("<Up>l").asked(), [play()]);
    assert!(stage.drawn().contains("Playing note"), "{}", stage.drawn());
    assert_eq!(stage.press("l").asked(), [give_up()]);
    // One that was over in the meantime has nothing to be given up.
    assert_eq!(stage.press("l").asked(), [play()]);
    stage.tell(Msg::Done(play(), Answer::Nothing));
    assert!(!stage.drawn().contains("Playing"), "{}", stage.drawn());
    assert_eq!(stage.press("l").asked(), [play()]);
    stage.tell(Msg::Failed(play(), "mpv failed".to_owned()));
    assert!(stage.drawn().contains("! mpv failed"), "{}", stage.drawn());
    assert_eq!(stage.press("l").asked(), [play()]);
    stage.tell(Msg::Idle);
    assert!(stage.asked().contains(&give_up()), "who is not there hears nothing");
    // What is no sound is not fetched.
    let mut stage = Stage::with(80, 24, joined(), talk(file()));
    stage.asked();
    assert_eq!(stage.press("<Up>l").asked(), []);
    assert!(stage.drawn().contains("no sound in that message"), "{}", stage.drawn());
}

/// Three messages: bob's, alice's, and bob's with `body`.
fn talk(body: Body) -> Vec<Message> {
    let mut last = message(3, 3, "bob", "");
    last.body = body;
    vec![message(1, 1, "bob", "first `let x = 1;` of all"), message(2, 2, "alice", "mine"), last]
}

#[test]
fn keys_upon_a_message_ask_for_this() {
    let (room, first, own, last) = (id(1), reference(1), reference(2), reference(3));
    let send = |text: &str, reply_to| Command::Send { room, text: text.to_owned(), reply_to };
    let react = |emoji: &str, remove| Command::React { room, of: last, emoji: emoji.to_owned(), remove };
    let save = |open| Command::SaveFile { room, message: last.id, name: "plan.pdf".to_owned(), open };
    let text = || Body::Text("last".to_owned());
    for (body, keys, asked) in [
        (text(), "<Up>ranswer<Enter>", vec![send("answer", Some(last))]),
        (text(), "<Up>k<Up>ranswer<Enter>", vec![send("answer", Some(first))]),
        (text(), "<Up>r<Esc>answer<Enter>", vec![send("answer", None)]),
        (text(), "<Up>qanswer<Enter>", vec![send("answer", None)]),
        (text(), "<Up><Up>e!<Enter>", vec![Command::Rewrite { room, of: own, text: "mine!".to_owned() }]),
        (text(), "<Up>e", vec![]),
        (text(), "<Up>dy", vec![Command::DeleteHere(room, last.id)]),
        (text(), "<Up>dn", vec![]),
        (text(), "<Up><Up>Dy", vec![Command::Retract(room, own)]),
        (text(), "<Up>D<Esc>", vec![]),
        (text(), "<Up>+<Enter>", vec![react("👍", false)]),
        (text(), "<Up>+tada<Enter>", vec![react("🎉", false)]),
        (text(), "<Up>+<Down><Enter>", vec![react("❤\u{fe0f}", false)]),
        (text(), "<Up>p", vec![Command::Pin { room, of: last, remove: false }]),
        (text(), "<Up>y", vec![Command::Emit(Emission::Copy("last".to_owned()))]),
        (text(), "<Up>kkY", vec![Command::Emit(Emission::Copy("let x = 1;".to_owned()))]),
        (text(), "<Up>Y", vec![]),
        (text(), "<Up>s", vec![]),
        (file(), "<Up>s", vec![save(false)]),
        (file(), "<Up>o", vec![save(true)]),
        (file(), "<Up>ss", vec![save(false)]),
        (poll(1), "<Up>1", vec![Command::Vote { room, of: last, choices: vec![0] }]),
        (poll(1), "<Up>2", vec![Command::Vote { room, of: last, choices: vec![] }]),
        (poll(2), "<Up>3", vec![Command::Vote { room, of: last, choices: vec![1, 2] }]),
        (poll(1), "<Up>9", vec![]),
        (poll(1), "<Up>x", vec![Command::ClosePoll(room, last)]),
        (text(), "<Up>1x>", vec![]),
        (Body::Notice("bob joined".to_owned()), "<Up>rhello", vec![]),
    ] {
        let mut stage = Stage::with(80, 24, joined(), talk(body.clone()));
        assert_eq!(stage.press(keys).asked(), asked, "{keys} on {body:?}");
    }
}

#[test]
fn a_reaction_that_was_given_is_taken_back() {
    let mut lines = talk(Body::Text("last".to_owned()));
    let reaction = |emoji: &str, me| Reaction { emoji: emoji.to_owned(), by: vec!["alice".to_owned()], me };
    lines[2].marks.reactions = vec![reaction("🎉", true), reaction("👍", false)];
    let mut stage = Stage::with(80, 24, joined(), lines);
    stage.press("<Up>+tada");
    assert!(stage.drawn().contains("take back"), "{}", stage.drawn());
    stage.press("<Enter>");
    let taken = Command::React { room: id(1), of: reference(3), emoji: "🎉".to_owned(), remove: true };
    assert_eq!(stage.asked(), [taken]);
}

#[test]
fn an_answer_shows_what_it_answers_and_goes_there_and_back() {
    let mut lines: Vec<_> =
        (1..=60).map(|row| message(row, row, "bob", &format!("message {row}."))).collect();
    lines[59].marks.reply_to = Some(Reply {
        id: message_id(5),
        sender: Some("bob".to_owned()),
        excerpt: Some("message 5.".to_owned()),
        blocked: false,
    });
    let mut stage = Stage::with(80, 24, joined(), lines);
    assert!(stage.drawn().contains("↪ bob: message 5."));
    stage.press("<Up>>");
    let selected =
        |stage: &Stage| stage.app.open.as_ref().unwrap().timeline.selected().map(|message| message.row);
    assert_eq!(selected(&stage), Some(5));
    assert!(stage.drawn().contains("message 5."));
    stage.press("<");
    assert_eq!(selected(&stage), Some(60));
    stage.press("<Up><Up>r");
    assert!(stage.drawn().contains("↪ to bob: message 58."), "{}", stage.drawn());
}

#[test]
fn what_is_answered_far_up_is_fetched() {
    let mut lines: Vec<_> =
        (801..=1000).map(|row| message(row, row, "bob", &format!("message {row}."))).collect();
    let excerpt = Some("far".to_owned());
    lines[199].marks.reply_to =
        Some(Reply { id: message_id(5), sender: Some("bob".to_owned()), excerpt, blocked: false });
    let mut stage = Stage::with(80, 24, joined(), lines);
    stage.press("<Up>>");
    let locate = Command::Locate { room: id(1), id: message_id(5) };
    assert_eq!(stage.asked(), std::slice::from_ref(&locate));
    stage.tell(Msg::Done(locate, Answer::Row(Some(5))));
    let around = Command::LoadAround { room: id(1), row: 5 };
    assert_eq!(stage.asked(), std::slice::from_ref(&around));
    let page = (1..=205).map(|row| message(row, row, "bob", &format!("message {row}."))).collect();
    stage.tell(Msg::Done(around, Answer::Page(page)));
    let drawn = stage.drawn();
    assert!(drawn.contains("message 5.") && !drawn.contains("message 900."), "{drawn}");
    // What arrives now does not tear the window away, and nothing is marked as read that was not seen.
    stage.newest(id(1), vec![message(1001, 1001, "bob", "new")]);
    assert!(stage.drawn().contains("message 5.") && stage.asked().is_empty());
    // Going down reads on, and the end is the newest line.
    stage.press("<C-End>");
    assert_eq!(stage.asked(), [Command::LoadNewest { room: id(1), limit: 200 }]);
    stage.newest(id(1), vec![message(1001, 1001, "bob", "new")]);
    assert!(stage.drawn().contains("bob: new"));
}

#[test]
fn what_became_of_a_message_stands_before_it() {
    let own = |row, delivery, delivered: &[&str], read: &[&str]| {
        let mut message = Message { delivery, ..message(row, row, "alice", "words") };
        message.marks.delivered_to = delivered.iter().map(ToString::to_string).collect();
        message.marks.read_by = read.iter().map(ToString::to_string).collect();
        message
    };
    for (message, mark) in [
        (own(1, Delivery::Pending, &[], &[]), " …"),
        (own(1, Delivery::Sent, &[], &[]), " ✓"),
        (own(1, Delivery::Sent, &["bob"], &[]), "✓✓"),
        (own(1, Delivery::Sent, &["bob"], &["bob"]), " ◉"),
        (own(1, Delivery::Failed, &[], &[]), " ✗"),
    ] {
        let mut stage = Stage::with(80, 24, joined(), vec![message]);
        let drawn = stage.drawn();
        assert!(drawn.contains(&format!("{mark} alice: words")), "{mark}: {drawn}");
        stage.press("<Up><Enter>");
        let drawn = stage.drawn();
        assert!(drawn.contains("written 2026-11-23 12:01:00") && drawn.contains("id 0000"), "{drawn}");
    }
}

#[test]
fn a_click_chooses_and_another_says_more() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let click = |column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    let mut stage = Stage::with(80, 24, joined(), talk(Body::Text("last".to_owned())));
    let row_of = |stage: &mut Stage, words: &str| {
        u16::try_from(stage.drawn().lines().position(|line| line.contains(words)).unwrap()).unwrap()
    };
    let row = row_of(&mut stage, "alice: mine");
    stage.tell(click(40, row));
    assert_eq!(stage.app.focus, Focus::Timeline);
    assert!(!stage.drawn().contains("sealed in epoch"));
    stage.tell(click(40, row));
    assert!(stage.drawn().contains("sealed in epoch 3"));
    // A hint is its key.
    let drawn = stage.drawn();
    let hints = drawn.lines().last().unwrap().trim_matches('"').to_owned();
    let column = u16::try_from(hints.find("r reply").unwrap()).unwrap();
    stage.tell(click(column, 23));
    assert!(stage.drawn().contains("↪ to alice: mine"), "{}", stage.drawn());
}

#[test]
fn the_unread_line_is_behind_what_was_read_though_not_all_is_loaded_that_is_counted() {
    let lines = |rows: std::ops::RangeInclusive<i64>| {
        rows.map(|row| message(row, row, "bob", &format!("message {row}"))).collect::<Vec<_>>()
    };
    let counted = RoomSummary { read: Some(Seq(5)), ..room(1, "general", RoomStatus::Joined, 2) };
    // The second has arrived since the lines were read.
    let mut stage = Stage::with(60, 20, vec![counted], lines(1..=6));
    stage.newest(id(1), lines(1..=7));
    let drawn = stage.drawn();
    let (above, below) = drawn.split_once("── new ──").expect("the line");
    assert!(
        above.contains("message 5") && below.contains("message 6") && below.contains("message 7"),
        "{drawn}"
    );
}

#[test]
fn the_unread_line_is_where_it_was_when_the_screen_opens_again() {
    let lines =
        || (1..=9).map(|row| message(row, row, "bob", &format!("message {row}."))).collect::<Vec<_>>();
    let rooms = || vec![room(1, "general", RoomStatus::Joined, 3)];
    let below = |stage: &mut Stage| {
        let drawn = stage.drawn();
        drawn.split_once("── new ──").map(|(_, below)| below.matches("bob: message").count())
    };
    let mut stage = Stage::new(80, 24);
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(rooms())));
    stage.line(None);
    stage.newest(id(1), lines());
    assert_eq!(below(&mut stage), Some(3));
    let kept = Command::KeepLine { room: id(1), row: Some(7) };
    assert!(stage.all_asked().contains(&kept));

    // Killed and started again: by now everything is marked as read.
    let mut read = rooms();
    read[0].unread = 0;
    for late in [false, true] {
        let mut stage = Stage::new(80, 24);
        stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(read.clone())));
        if late {
            stage.newest(id(1), lines());
            stage.line(Some(7));
        } else {
            stage.line(Some(7));
            stage.newest(id(1), lines());
        }
        assert_eq!(below(&mut stage), Some(3));
        assert!(!stage.all_asked().contains(&kept), "it is kept already");
        // Whoever answers has read it all.
        stage.press("yes<Enter>");
        assert!(stage.all_asked().contains(&Command::KeepLine { room: id(1), row: None }));
        assert_eq!(below(&mut stage), None);
    }
}

#[test]
fn a_poll_and_a_file_tell_how_far_they_are() {
    let mut stage = Stage::with(100, 24, joined(), talk(file()));
    stage.press("<Up>s");
    let save = stage.asked().remove(0);
    stage.tell(Msg::Progress(save.clone(), 2_000, 5_000));
    stage.press("<F6>");
    assert!(stage.drawn().contains("2.0 kB of 5.0 kB"), "{}", stage.drawn());
    stage.press("<Esc>");
    stage.tell(Msg::Done(save.clone(), Answer::Path("/tmp/plan.pdf".into())));
    assert!(stage.drawn().contains("Saved to /tmp/plan.pdf"));
    assert!(!stage.asked().iter().any(|asked| matches!(asked, Command::ShowFile(_))));
    stage.tell(Msg::Failed(save, "the server does not have it".to_owned()));
    stage.press("<F6>");
    assert!(stage.drawn().contains("does not have it"), "{}", stage.drawn());
}

#[test]
fn a_file_is_opened_where_that_starts_no_program_and_somebody_is_there() {
    let named = |name: &str| match file() {
        Body::File(file) => Body::File(File { name: name.to_owned(), ..file }),
        other => other,
    };
    for (name, opens) in [
        ("plan.pdf", true),
        ("cat.PNG", true),
        ("song.ogg", true),
        ("notes.txt", true),
        ("invoice.desktop", false),
        ("page.html", false),
        ("picture.svg", false),
        ("start.jnlp", false),
        ("install.sh", false),
        ("macro.docm", false),
        ("plan.pdf.exe", false),
        ("nothing", false),
    ] {
        let mut stage = Stage::with(100, 24, joined(), talk(named(name)));
        let asked = stage.press("<Up>o").asked();
        assert_eq!(asked.len(), usize::from(opens), "{name}: {asked:?}");
        let Some(save) = asked.into_iter().next() else { continue };
        let there = || Answer::Path("/tmp/there".into());
        stage.tell(Msg::Done(save.clone(), there()));
        assert_eq!(stage.asked(), [Command::ShowFile("/tmp/there".into())], "{name}");
        stage.tell(Msg::Idle);
        stage.tell(Msg::Done(save, there()));
        assert_eq!(stage.asked(), [], "{name}: behind a locked screen");
    }
}
