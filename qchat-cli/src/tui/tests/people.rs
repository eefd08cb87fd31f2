//! Who is there and who writes, as the screen shows it and tells it, and what the user has noted of rooms.

use qchat_proto::{
    ids::ServerId,
    invite::{Link, LinkSecret},
};

use super::{panels::Show, *};
use crate::{
    engine::{Admission, Presence, PresenceStanding as There, types::RoomMarks},
    tui::{Emission, Prefs},
};

fn bob(standing: There, last_seen: Option<OffsetDateTime>) -> Presence {
    let name = "bob".parse().unwrap();
    Presence { account: AccountId::from_bytes([b'b'; 16]), name, standing, last_seen }
}

/// alone with bob, and in two other rooms.
fn rooms() -> Vec<RoomSummary> {
    let alone = RoomSummary { direct: true, ..room(1, "@bob", RoomStatus::Joined, 0) };
    let marked = |n, name, unread, marks| RoomSummary { marks, ..room(n, name, RoomStatus::Joined, unread) };
    let none = RoomMarks::default();
    vec![
        alone,
        marked(2, "tea", 2, RoomMarks { favourite: true, ..none }),
        marked(3, "noise", 40, RoomMarks { muted: true, ..none }),
        marked(4, "old plans", 1, RoomMarks { archived: true, ..none }),
    ]
}

/// With both settings on, whatever was asked first answered.
fn stage() -> Stage {
    let mut stage = Stage::with(80, 20, rooms(), vec![message(1, 1, "bob", "tea?")]);
    (stage.app.prefs.presence, stage.app.prefs.typing) = (true, true);
    stage
}

fn tells(writing: bool) -> Command {
    Command::TellWriting { room: id(1), writing }
}

fn told(stage: &mut Stage) -> Vec<Command> {
    let mut asked = stage.asked();
    asked.retain(|command| matches!(command, Command::TellWriting { .. } | Command::Appear(_)));
    asked
}

#[test]
fn who_is_there_and_who_writes_is_shown_as_they_say_it() {
    let mut stage = stage();
    // However often it changes, it is read once at a time.
    for _ in 0..3 {
        stage.tell(Msg::Engine(Event::Presence(AccountId::from_bytes([b'b'; 16]))));
    }
    assert_eq!(stage.asked(), [Command::LoadPresence]);
    stage.tell(Msg::Done(Command::LoadPresence, Answer::Presences(vec![bob(There::Online, None)])));
    assert_eq!(stage.asked(), [Command::LoadPresence]);
    stage.tell(Msg::Engine(Event::Writing(id(2))));
    assert_eq!(stage.asked(), [], "of the open room alone");
    stage.tell(Msg::Engine(Event::Writing(id(1))));
    assert_eq!(stage.asked(), [Command::LoadWriters(id(1))]);
    stage.tell(Msg::Done(Command::LoadWriters(id(1)), Answer::Writers(vec!["bob".parse().unwrap()])));
    let drawn = stage.drawn();
    for words in ["@bob ●", "@bob · online", "bob writes …", "2 ★", "40 ⊘", "1 archived"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }

    for (presences, words) in [
        (vec![bob(There::Away, Some(NOON))], "@bob · away"),
        (vec![bob(There::Offline, Some(NOON))], "@bob · last seen 2026-11-23 12:00"),
        (vec![bob(There::Offline, None)], ""),
    ] {
        stage.tell(Msg::Done(Command::LoadPresence, Answer::Presences(presences)));
        let drawn = stage.drawn();
        assert!(drawn.contains(words) && drawn.contains("── @bob ·") != words.is_empty(), "{words}: {drawn}");
    }
    for (names, words) in [
        (&["bob", "carol"][..], "bob and carol write …"),
        (&["bob", "carol", "dave"], "bob, carol and dave write …"),
        (&["bob", "carol", "dave", "emre"], "4 people write …"),
        (&[], ""),
    ] {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        stage.tell(Msg::Done(Command::LoadWriters(id(1)), Answer::Writers(names)));
        assert!(stage.drawn().contains(words) && stage.drawn().contains("write …") != words.is_empty());
    }
    // What cannot be read is no trouble of the user's.
    stage.tell(Msg::Failed(Command::LoadPresence, "offline".to_owned()));
    stage.tell(Msg::Failed(tells(true), "offline".to_owned()));
    assert!(!stage.drawn().contains("offline"));
}

#[test]
fn members_are_shown_with_the_names_they_go_by_and_whether_they_are_there() {
    let mut stage = stage();
    let mut full = details(1, "@bob");
    full.members[1].display_name = Some("Bobby".to_owned());
    stage.tell(Msg::Done(Command::LoadRoom(id(1)), Answer::Room(Box::new(full))));
    stage.tell(Msg::Done(Command::LoadPresence, Answer::Presences(vec![bob(There::Away, None)])));
    stage.press("<F2>");
    let row = format!("{:<16} not verified  1 device, away  “Bobby”", "bob");
    assert!(stage.drawn().contains(&row), "{}", stage.drawn());
}

#[test]
fn members_are_told_that_something_is_written_while_it_is_and_where_that_is_wanted() {
    let mut stage = stage();
    assert_eq!(told(stage.press("h")), [tells(true)]);
    assert_eq!(told(stage.press("ello")), []);
    // After a pause it is said again, and after a long text without one.
    stage.tell(Msg::Pause);
    assert_eq!(told(stage.press(" t")), [tells(true)]);
    assert_eq!(told(stage.press(&"x".repeat(40))).len(), 2);
    assert_eq!(told(stage.press("<Left>")), [], "a key that writes nothing");
    assert_eq!(told(stage.press("<Enter>")), [tells(false)]);
    // A command is for nobody, and what is not written any more neither.
    assert_eq!(told(stage.press("//top")), []);
    assert_eq!(told(stage.press("<Backspace><Backspace><Backspace><Backspace>")), []);
    assert_eq!(told(stage.press("y<Backspace>")), [tells(true), tells(false)]);
    // Who goes elsewhere writes nothing there.
    assert_eq!(told(stage.press("z<Tab>")), [tells(true), tells(false)]);
    stage.app.prefs.typing = false;
    assert_eq!(told(stage.press("abc<Enter>")), []);
}

#[test]
fn nobody_sits_before_a_locked_screen() {
    let mut stage = stage();
    stage.press("half a wo");
    told(&mut stage);
    stage.tell(Msg::Idle);
    assert_eq!(told(&mut stage), [Command::Appear(false), tells(false)]);
    stage.press("secret<Enter>");
    let asked = stage.asked();
    let Some(unlock @ Command::Unlock(_)) = asked.last() else { panic!("{asked:?}") };
    stage.tell(Msg::Done(unlock.clone(), Answer::Nothing));
    assert_eq!(told(&mut stage), [Command::Appear(true)]);
}

#[test]
fn what_is_muted_or_archived_calls_nobody() {
    let mut stage = stage();
    stage.app.prefs = Prefs { bell: true, ..Prefs::default() };
    stage.tell(Msg::Focus(false));
    let mut more = rooms();
    (more[2].unread, more[3].unread) = (41, 2);
    stage.all_asked();
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(more.clone())));
    assert_eq!(stage.all_asked(), []);
    more[1].unread = 3;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(more)));
    assert!(stage.all_asked().contains(&Command::Emit(Emission::Bell)));
    // Nor does one come there by going to what is unread.
    stage.press("<A-a>");
    assert_eq!(stage.app.open.as_ref().map(|open| open.id), Some(id(2)));
    let mut read = rooms();
    read[1].unread = 0;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(read)));
    stage.press("<A-a>");
    assert_eq!(stage.app.open.as_ref().map(|open| open.id), Some(id(2)));
}

#[test]
fn the_sample_data_has_people_who_are_there() {
    let mut show = Show::new(100, 30, Theme::PLAIN);
    (show.stage.app.prefs.presence, show.stage.app.prefs.typing) = (true, true);
    show.stage.tell(Msg::Lagged);
    show.answer();
    show.press("<Tab>");
    let drawn = show.drawn();
    assert!(drawn.contains("@bob ●") && drawn.contains("carol writes …"), "{drawn}");
    show.press("<F2>");
    assert!(show.drawn().contains("last seen 2026-11-23 09:00"), "{}", show.drawn());
}

#[test]
fn a_link_is_made_for_the_clipboard_and_whoever_has_one_asks_by_it() {
    let list = vec![room(1, "general", RoomStatus::Joined, 0), room(2, "harbour", RoomStatus::Joined, 0)];
    let mut stage = Stage::with(80, 24, list, vec![message(1, 1, "bob", "hello")]);
    let link = Link {
        server: "https://chat.example.org/".to_owned(),
        server_id: ServerId::from_bytes([1; 16]),
        room: id(2),
        secret: LinkSecret::from_slice(&[3; 32]).unwrap(),
    };
    for keys in ["//link<Enter>", "<C-p>make an invite link<Enter>"] {
        stage.press(keys);
        assert!(stage.asked().contains(&Command::MakeLink(id(1))), "{keys}");
    }
    stage.tell(Msg::Done(Command::MakeLink(id(1)), Answer::Invite(Box::new(link.clone()))));
    let copied = Command::Emit(Emission::Copy(link.text().to_string()));
    assert_eq!(stage.asked(), [copied]);
    // What opens it stands in the clipboard alone.
    let drawn = stage.drawn();
    assert!(drawn.contains("clipboard") && !drawn.contains("join#"), "{drawn}");

    stage.press("<C-p>join a room by a link<Enter>https://chat.example.org/join#no<Enter>");
    assert!(stage.drawn().contains("no invite link"), "{}", stage.drawn());
    stage.press("<Esc>");
    stage.asked();
    let asked = Command::JoinByLink(Box::new(link.clone()));
    stage.press("<C-p>join a room by a link<Enter>");
    stage.tell(Msg::Paste(link.text().to_string()));
    stage.press("<Enter>");
    assert!(stage.asked().contains(&asked));
    stage.tell(Msg::Done(asked.clone(), Answer::Asked(Admission::Waits)));
    assert!(stage.drawn().contains("nobody has answered yet"), "{}", stage.drawn());
    stage.tell(Msg::Done(asked, Answer::Asked(Admission::Joined)));
    assert_eq!(stage.app.open.as_ref().map(|open| open.id), Some(id(2)));

    stage.press("//let-in carol<Enter>");
    assert!(stage.asked().contains(&Command::LetIn(id(2), "carol".parse().unwrap())));
    stage.press("<C-p>let somebody in<Enter>two names<Enter>");
    assert!(stage.drawn().contains("one name"), "{}", stage.drawn());
}
