//! The palette, the search, the filter of the rooms, notifications, and keys of the user's own.

use super::*;
use crate::{
    engine::{
        Hit, Hits,
        types::{Standing, Trusted},
    },
    tui::{Emission, Keymap, Notifications, Notifier, Prefs, Preset},
};

fn rooms() -> Vec<RoomSummary> {
    vec![
        room(1, "general", RoomStatus::Joined, 0),
        room(2, "green house", RoomStatus::Joined, 3),
        room(3, "harbour", RoomStatus::Joined, 1),
    ]
}

fn stage() -> Stage {
    Stage::with(80, 24, rooms(), vec![message(1, 1, "bob", "hello")])
}

fn opened(stage: &Stage) -> RoomId {
    stage.app.open.as_ref().unwrap().id
}

#[test]
fn the_palette_goes_to_rooms_people_and_commands() {
    let carol = Trusted {
        name: "carol".parse().unwrap(),
        account: AccountId::from_bytes([9; 16]),
        fingerprint: [0; 48],
        standing: Standing::Unverified,
        since: None,
    };
    let mut stage = stage();
    stage.press("<C-p>");
    assert_eq!(stage.asked(), [Command::LoadPeople]);
    stage.tell(Msg::Done(Command::LoadPeople, Answer::People(vec![carol])));
    stage.press("grh<Enter>");
    assert_eq!(opened(&stage), id(2));
    stage.asked();
    stage.press("<C-p>caro<Enter>");
    assert!(stage.asked().contains(&Command::Direct("carol".parse().unwrap())));
    stage.press("<C-p>leave the room<Enter>");
    assert!(stage.drawn().contains("Leave green house?"), "{}", stage.drawn());
    stage.press("n<C-p>zzzzzz");
    assert!(stage.drawn().contains("Nothing fits."));
    stage.press("<Esc>");
    assert!(!stage.drawn().contains("Nothing fits."));
}

#[test]
fn rooms_are_found_by_typing() {
    let mut stage = stage();
    stage.press("<A-r>ar");
    let drawn = stage.drawn();
    assert!(drawn.contains("harbour") && !drawn.contains("green house"), "{drawn}");
    stage.press("<Enter>");
    assert_eq!(opened(&stage), id(3));
    stage.press("<A-r>e<Down><Enter>");
    assert_eq!(opened(&stage), id(2));
    stage.press("<A-r>nothing<Esc>");
    assert!(stage.drawn().contains("harbour"));
}

#[test]
fn who_is_spoken_to_is_taken_there_first() {
    let mut list = rooms();
    (list[2].mentions, list[2].unread) = (2, 5);
    let mut stage = Stage::with(80, 24, list, vec![]);
    assert!(stage.drawn().contains("@2 5"), "{}", stage.drawn());
    stage.press("<A-a>");
    assert_eq!(opened(&stage), id(3));
}

#[test]
fn a_search_shows_what_was_found_and_goes_there() {
    let query = |query: &str, offset| Command::Search { query: query.to_owned(), offset };
    let hit = |row, text: &str| {
        let at = text.find("needle").unwrap();
        let mut message = message(row, row, "bob", text);
        message.room = id(2);
        Hit { message, excerpt: text.to_owned(), highlights: std::iter::once(at..at + 6).collect() }
    };
    let mut stage = stage();
    stage.press("/nee");
    assert_eq!(stage.asked(), [query("n", 0), query("ne", 0), query("nee", 0)]);
    let found = Hits { hits: vec![hit(7, "a needle here"), hit(5, "an older needle")], more: true };
    stage.tell(Msg::Done(query("ne", 0), Answer::Found(Hits { hits: vec![], more: false })));
    assert!(stage.drawn().contains("Searching"), "what is not looked for any more is passed over");
    stage.tell(Msg::Done(query("nee", 0), Answer::Found(found)));
    let drawn = stage.drawn();
    assert!(drawn.contains("green house") && drawn.contains("a needle here"), "{drawn}");
    stage.press("<Down>");
    assert_eq!(stage.asked(), [query("nee", 2)], "the next page is read");
    stage.press("<Enter>");
    assert_eq!(opened(&stage), id(2));
    assert!(stage.asked().contains(&Command::LoadAround { room: id(2), row: 5 }));
    stage.press("<C-f>from:");
    stage.tell(Msg::Failed(query("from:", 0), "nothing stands behind `from:`".to_owned()));
    assert!(stage.drawn().contains("nothing stands behind"));
}

#[test]
fn notifications_say_as_much_as_is_wanted() {
    let before = rooms();
    let mut after = rooms();
    after[2].unread = 2;
    let told = |notifications, bell, focused| {
        let prefs = Prefs { notifications, bell, ..Prefs::default() };
        let mut stage = Stage::with(80, 24, before.clone(), vec![message(1, 1, "bob", "hello")]);
        stage.app.prefs = prefs;
        stage.tell(Msg::Focus(focused));
        stage.asked();
        stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(after.clone())));
        if stage.commands.contains(&Command::Peek(id(3))) {
            let last = Message { room: id(3), ..message(9, 9, "bob", "at nine\u{1b}]52;") };
            stage.tell(Msg::Done(Command::Peek(id(3)), Answer::Page(vec![last])));
        }
        let commands = stage.all_asked().into_iter();
        commands.filter(|command| matches!(command, Command::Emit(_))).collect::<Vec<_>>()
    };
    let notify = |title: &str, body: &str| {
        Command::Emit(Emission::Notify { title: title.to_owned(), body: body.to_owned() })
    };
    for focused in [true, false] {
        assert_eq!(told(Notifications::Off, false, focused), []);
        assert_eq!(told(Notifications::Off, true, focused), [Command::Emit(Emission::Bell)]);
        assert_eq!(told(Notifications::Hidden, false, focused), [notify("qchat", "a new message")]);
        assert_eq!(told(Notifications::Sender, false, focused), [notify("harbour", "bob")]);
        assert_eq!(told(Notifications::Full, false, focused), [notify("harbour", "bob: at nine\\u{1b}]52;")]);
    }
    // By the desktop, and where there is none by the terminal, from then on.
    let mut stage = Stage::with(80, 24, before.clone(), vec![message(1, 1, "bob", "hello")]);
    stage.app.prefs =
        Prefs { notifications: Notifications::Hidden, notifier: Notifier::Desktop, ..Prefs::default() };
    stage.tell(Msg::Focus(false));
    stage.asked();
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(after.clone())));
    let (title, body) = ("qchat".to_owned(), "a new message".to_owned());
    let by_desktop = Command::Notify { title, body };
    assert!(stage.all_asked().contains(&by_desktop));
    stage.tell(Msg::Failed(by_desktop.clone(), "no session".to_owned()));
    assert!(stage.drawn().contains("no session"), "{}", stage.drawn());
    let by_terminal = notify("qchat", "a new message");
    let times = |stage: &mut Stage| {
        let asked = stage.all_asked();
        assert!(!asked.contains(&by_desktop), "{asked:?}");
        let rests = asked.iter().filter(|command| matches!(command, Command::Rest(_))).count();
        (asked.iter().filter(|command| **command == by_terminal).count(), rests)
    };
    assert_eq!(times(&mut stage), (1, 0));
    // However much is said, there is one notification now and then, and none of what has been read meanwhile.
    let mut grow = |stage: &mut Stage, unread| {
        after[2].unread = unread;
        stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(after.clone())));
    };
    let rested = |stage: &mut Stage| stage.tell(Msg::Done(Command::Rest(id(3)), Answer::Nothing));
    (3..40).for_each(|unread| grow(&mut stage, unread));
    assert_eq!(times(&mut stage), (0, 0));
    rested(&mut stage);
    assert_eq!(times(&mut stage), (1, 1));
    (40..80).for_each(|unread| grow(&mut stage, unread));
    grow(&mut stage, 0);
    rested(&mut stage);
    assert_eq!(times(&mut stage), (0, 0));
    grow(&mut stage, 1);
    assert_eq!(times(&mut stage), (1, 1));
    rested(&mut stage);
    grow(&mut stage, 2);
    assert_eq!(times(&mut stage), (1, 1));
    // Of the room that somebody looks at nothing is told.
    let mut stage = Stage::with(80, 24, before.clone(), vec![message(1, 1, "bob", "hello")]);
    let mut here = before.clone();
    here[0].unread = 1;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(here)));
    assert!(!stage.all_asked().iter().any(|command| matches!(command, Command::Emit(_) | Command::Peek(_))));
}

#[test]
fn other_keymaps_have_their_own_keys_and_the_help_shows_those() {
    let mut stage = stage();
    stage.app.keymap = Keymap::preset(Preset::Vim);
    stage.press("text<Esc>r<Esc>");
    assert!(stage.app.composer.text() == "text" && !stage.asked().contains(&Command::Quit));
    // The answer is given up first; then it leads to the messages.
    stage.press("<Esc>i!");
    assert_eq!(stage.app.composer.text(), "text!");
    stage.app.keymap = Keymap::preset(Preset::Emacs);
    stage.press("<A-x>");
    assert!(stage.drawn().contains("Go to a room"));
    let text = "[keys.everywhere]\nhelp = \"F9\"\n";
    stage.app.keymap = Keymap::customised(Preset::Plain, std::path::Path::new("c"), text).unwrap();
    stage.press("<Esc><F9>");
    let drawn = stage.drawn();
    assert!(drawn.contains("Writing") && drawn.contains("send the message"), "{drawn}");
    stage.press("<F9>");
    assert!(stage.drawn().contains("F9 help"));
}
