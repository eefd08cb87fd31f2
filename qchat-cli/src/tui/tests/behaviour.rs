//! Keys and events as tables: what they ask of the engine and what they leave on the screen.

use super::*;
use crate::{
    engine::types::Reply,
    tui::keymap::{Keymap, Preset},
};

fn two_rooms() -> Vec<RoomSummary> {
    vec![
        room(1, "general", RoomStatus::Joined, 0),
        room(2, "quiet", RoomStatus::Joined, 0),
        room(3, "loud", RoomStatus::Joined, 4),
    ]
}

fn send(text: &str) -> Command {
    Command::Send { room: id(1), text: text.to_owned(), reply_to: None }
}

fn kept(text: &str) -> Command {
    Command::KeepDraft { room: id(1), text: text.to_owned() }
}

fn opening(n: u8) -> Vec<Command> {
    vec![Command::LoadLine(id(n)), Command::LoadRoom(id(n)), Command::LoadNewest { room: id(n), limit: 200 }]
}

#[test]
fn what_was_deleted_vanishes_from_the_open_room_older_lines_too() {
    let messages: Vec<_> = (1..=9).map(|row| message(row, row, "bob", &format!("text {row}"))).collect();
    let mut stage = Stage::with(60, 20, two_rooms(), messages[5..].to_vec());
    stage
        .tell(Msg::Done(Command::LoadOlder { room: id(1), before: 6 }, Answer::Page(messages[..5].to_vec())));
    assert!(stage.drawn().contains("text 3") && stage.drawn().contains("text 8"));
    stage.commands.clear();
    stage.tell(Msg::Engine(Event::Deleted));
    let newest = Command::LoadNewest { room: id(1), limit: 200 };
    assert!(stage.asked().contains(&newest), "it is read anew");
    let left: Vec<_> = messages.into_iter().filter(|message| ![3, 8].contains(&message.row)).collect();
    stage.newest(id(1), left.clone());
    let drawn = stage.drawn();
    assert!(!drawn.contains("text 3") && !drawn.contains("text 8") && drawn.contains("text 4"), "{drawn}");

    // Whoever has chosen a line keeps it: somebody may have messages that vanish every second.
    let chosen = |stage: &Stage| {
        stage.app.open.as_ref().and_then(|open| open.timeline.selected().map(|line| line.row))
    };
    stage.press("<Up><Up>");
    assert_eq!(chosen(&stage), Some(7));
    stage.tell(Msg::Engine(Event::Deleted));
    stage.newest(id(1), left[1..].to_vec());
    assert_eq!(chosen(&stage), Some(7));
    // But for one that is gone.
    stage.tell(Msg::Engine(Event::Deleted));
    stage.newest(id(1), left.into_iter().filter(|message| message.row != 7).collect());
    assert_eq!(chosen(&stage), None);
}

#[test]
fn keys_ask_for_this() {
    let joined = two_rooms();
    let invited = vec![room(1, "plans", RoomStatus::Invited, 0)];
    let removed = vec![room(1, "old", RoomStatus::Removed, 0)];
    let users = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    for (rooms, keys, asked) in [
        (&joined, "hello<Enter>", vec![send("hello")]),
        (&joined, "one<A-Enter>two<C-j>three<Enter>", vec![send("one\ntwo\nthree")]),
        (&joined, "  kept, trailing dropped  <Enter>", vec![send("  kept, trailing dropped")]),
        (&joined, "<Enter>   <Enter>", vec![]),
        (&joined, "j d y n q<Enter>", vec![send("j d y n q")]),
        (&joined, "what?<Enter>", vec![send("what?")]),
        (&joined, "??<Enter>", vec![send("?")]),
        (&joined, "<C-q>", vec![Command::Quit]),
        (&joined, "text<C-c>", vec![kept("text"), Command::Quit]),
        (&joined, "<F1><C-c>", vec![Command::Quit]),
        (&joined, "<Tab>", opening(2)),
        (&joined, "<A-Down>", opening(2)),
        (&joined, "<BackTab>", opening(3)),
        (&joined, "<A-Up>", opening(3)),
        (&joined, "<A-a>", opening(3)),
        (&joined, "<C-n>plans for 2027<Enter>", vec![Command::CreateRoom("plans for 2027".to_owned())]),
        (&joined, "<C-n><Enter>x<Enter>", vec![send("x")]),
        (&joined, "<C-n>plans<Esc>x<Enter>", vec![send("x")]),
        (
            &joined,
            "<C-o>bob, carol<Enter>",
            vec![Command::Invite { room: id(1), users: users(&["bob", "carol"]) }],
        ),
        (&joined, "<C-o>Not a name<Enter>", vec![]),
        (&invited, "<Enter>y", vec![Command::Join(id(1))]),
        (&invited, "jy", vec![Command::Join(id(1))]),
        (&invited, "jn", vec![]),
        (&invited, "j<Esc>y", vec![]),
        (&invited, "j<Enter>", vec![]),
        (&invited, "dy", vec![Command::Decline(id(1))]),
        (&invited, "hello<Enter>", vec![]),
        (&removed, "hello<Enter>", vec![]),
        (&removed, "<C-o>", vec![]),
    ] {
        let mut stage = Stage::with(80, 24, rooms.clone(), vec![]);
        assert_eq!(stage.press(keys).asked(), asked, "{keys}");
    }
}

#[test]
fn what_is_typed_right_after_joining_is_a_message() {
    let invited = vec![room(1, "plans", RoomStatus::Invited, 0)];
    let mut stage = Stage::with(80, 24, invited, vec![]);
    assert_eq!(stage.press("jy").asked(), [Command::Join(id(1))]);
    // The list of rooms has not been read again when the join is done.
    stage.tell(Msg::Done(Command::Join(id(1)), Answer::Nothing));
    assert!(stage.press("now here<Enter>").asked().contains(&send("now here")));
}

#[test]
fn a_question_goes_away_with_the_invitation_that_it_is_about() {
    let invited = vec![room(1, "plans", RoomStatus::Invited, 0)];
    let mut stage = Stage::with(80, 24, invited, vec![]);
    stage.press("j");
    // Another program of this profile has accepted meanwhile.
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(vec![room(1, "plans", RoomStatus::Joined, 0)])));
    assert!(stage.press("yes<Enter>").asked().contains(&send("yes")));
}

#[test]
fn a_device_that_asks_is_let_in_by_a_key_that_nobody_types_by_chance() {
    let link = LinkId::from_bytes([5; 16]);
    let asks = || Msg::Done(Command::LoadLink, Answer::Link(LinkStatus::Asks(link_request())));
    for (keys, asked) in [
        ("yes, yes<Enter>y<Enter>no", vec![]),
        // What editing is done with.
        ("<C-k><C-y><C-a><C-e><C-w><C-u>", vec![]),
        ("<F12>", vec![Command::ApproveLink(link)]),
        ("<Esc>", vec![Command::RefuseLink(link)]),
        ("<F12><F12>", vec![Command::ApproveLink(link)]),
    ] {
        let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
        stage.press("half a wo");
        // What was asked when the screen opened has been answered.
        stage.tell(Msg::Done(Command::LoadLink, Answer::Link(LinkStatus::None)));
        stage.tell(Msg::Engine(Event::Devices));
        assert_eq!(stage.asked(), [Command::LoadLink]);
        stage.tell(asks());
        assert_eq!(stage.press(keys).asked(), asked, "{keys}");
        // It is asked once, and what was typed is still there.
        stage.tell(asks());
        stage.press("<Esc>");
        assert_eq!(stage.app.composer.text(), "half a wo");
    }
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    stage.tell(asks());
    stage.tell(Msg::Done(Command::LoadLink, Answer::Link(LinkStatus::None)));
    assert!(stage.press("rd<Enter>").asked().contains(&send("rd")), "it went away, and so did the question");
}

#[test]
fn a_paste_is_one_edit_and_sends_nothing() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    stage.press("> ");
    stage.tell(Msg::Paste("one\r\ntwo\rthree\u{1b}[2J\n".to_owned()));
    assert_eq!(stage.asked(), []);
    stage.press("y");
    assert_eq!(stage.app.composer.text(), "> one\ntwo\nthree[2J\n");
    // Undo is Ctrl+U in the editor's own keys.
    stage.press("<C-u>");
    assert_eq!(stage.app.composer.text(), "> ");
}

#[test]
fn each_room_keeps_its_draft() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    stage.press("for general<Tab>for quiet<Tab>");
    assert!(stage.app.composer.is_empty());
    stage.press("<BackTab>");
    assert_eq!(stage.app.composer.text(), "for quiet");
    stage.press("<BackTab>!<Enter>");
    assert_eq!(stage.asked().last(), Some(&send("for general!")));
    stage.press("<Tab><BackTab>");
    assert!(stage.app.composer.is_empty(), "what was sent is no draft");
}

#[test]
fn what_cannot_be_sent_comes_back() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    stage.press("precious<Enter>next");
    stage.tell(Msg::Failed(send("precious"), "The store is locked.".to_owned()));
    assert_eq!(stage.app.composer.text(), "precious\nnext");
    stage.press("<Tab>");
    stage.tell(Msg::Failed(send("more"), "The store is locked.".to_owned()));
    assert!(stage.app.composer.is_empty());
    stage.press("<BackTab>");
    assert_eq!(stage.app.composer.text(), "more\nprecious\nnext");

    stage.press("<Tab>");
    stage.asked();
    let long = "x".repeat(qchat_proto::content::MAX_TEXT + 1);
    stage.tell(Msg::Paste(long.clone()));
    stage.press("<Enter>");
    assert_eq!(stage.asked(), []);
    assert_eq!(stage.app.composer.text(), long);
    assert!(stage.drawn().contains("send it in parts"));
}

#[test]
fn a_flood_of_events_causes_one_reading_at_a_time() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![message(1, 0, "bob", "a")]);
    for _ in 0..100 {
        stage.tell(Msg::Engine(Event::Timeline(id(1))));
        stage.tell(Msg::Engine(Event::Rooms));
    }
    let newest = Command::LoadNewest { room: id(1), limit: 200 };
    assert_eq!(stage.asked(), [newest.clone(), Command::LoadRooms, Command::LoadRoom(id(1))]);
    stage.newest(id(1), vec![message(1, 0, "bob", "a"), message(2, 0, "bob", "b")]);
    assert_eq!(stage.asked(), [newest, Command::MarkRead(id(1))]);
    stage.newest(id(1), vec![message(1, 0, "bob", "a"), message(2, 0, "bob", "b")]);
    assert_eq!(stage.asked(), []);
    stage.tell(Msg::Failed(Command::LoadRooms, "no".to_owned()));
    stage.tell(Msg::Engine(Event::Rooms));
    assert_eq!(stage.asked(), [Command::LoadRooms], "a failed reading does not stop the next");
}

#[test]
fn a_room_is_read_only_while_somebody_looks() {
    let lines = |until| (1..=until).map(|row| message(row, 0, "bob", "x")).collect::<Vec<_>>();
    let mut stage = Stage::with(80, 24, two_rooms(), lines(1));
    stage.tell(Msg::Focus(false));
    stage.newest(id(1), lines(2));
    assert_eq!(stage.asked(), []);
    assert!(stage.drawn().contains("── new ──"));
    stage.tell(Msg::Focus(true));
    assert_eq!(stage.asked(), [Command::MarkRead(id(1))]);
    stage.tell(Msg::Focus(true));
    assert_eq!(stage.asked(), []);
}

#[test]
fn rooms_come_and_go() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    let mut list = two_rooms();
    list[0].status = RoomStatus::Left;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(list.clone())));
    assert_eq!(stage.asked(), opening(2), "a room that was left makes way for the next");
    list[1].status = RoomStatus::Removed;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(list)));
    assert!(stage.drawn().contains("You were removed"));
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(vec![])));
    assert!(stage.drawn().contains("No rooms yet"));

    let mut invited = vec![room(5, "plans", RoomStatus::Invited, 0)];
    stage.asked();
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(invited.clone())));
    stage.tell(Msg::Engine(Event::Timeline(id(5))));
    assert_eq!(stage.asked(), [Command::LoadRooms], "nothing of an invitation is read");
    invited[0].status = RoomStatus::Joined;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(invited)));
    assert_eq!(stage.asked(), opening(5));
}

#[test]
fn a_created_room_opens() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    let create = Command::CreateRoom("new".to_owned());
    stage.tell(Msg::Done(create, Answer::Created(id(9))));
    assert_eq!(stage.asked(), [vec![Command::LoadRooms], opening(9)].concat());
    let mut list = two_rooms();
    list.push(room(9, "brand new", RoomStatus::Joined, 0));
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(list)));
    assert_eq!(stage.asked(), []);
    stage.press("hi<Enter>");
    assert_eq!(stage.asked(), [Command::Send { room: id(9), text: "hi".to_owned(), reply_to: None }]);
}

#[test]
fn the_mouse_scrolls_and_picks_rooms() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let mouse =
        |kind, column, row| Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    let lines = (1..=50).map(|row| message(row, 0, "bob", &format!("message {row}."))).collect();
    let mut stage = Stage::with(80, 24, two_rooms(), lines);
    stage.tell(mouse(MouseEventKind::ScrollUp, 40, 5));
    let drawn = stage.drawn();
    assert!(drawn.contains("message 47.") && !drawn.contains("message 48."), "{drawn}");
    stage.tell(mouse(MouseEventKind::ScrollDown, 40, 5));
    assert!(stage.drawn().contains("message 50."));
    stage.asked();
    stage.tell(mouse(MouseEventKind::Down(MouseButton::Left), 5, 2));
    assert_eq!(stage.asked(), opening(2));
    stage.tell(mouse(MouseEventKind::Down(MouseButton::Left), 5, 20));
    assert_eq!(stage.asked(), []);
}

#[test]
fn a_locked_screen_shows_nothing_and_takes_a_passphrase_alone() {
    let messages = vec![message(1, 1, "bob", "meet me at nine")];
    let mut stage = Stage::with(60, 20, two_rooms(), messages.clone());
    stage.press("a draft");
    stage.tell(Msg::Idle);
    stage.commands.clear();
    let drawn = stage.drawn();
    for hidden in ["general", "bob", "meet me", "draft"] {
        assert!(!drawn.contains(hidden), "{hidden}: {drawn}");
    }
    assert!(drawn.contains("Locked") && drawn.contains("Passphrase"), "{drawn}");

    // Keys are the passphrase's, and nothing that comes counts as seen.
    stage.press("<C-n><Tab><F1>wrong<Backspace><Backspace>");
    stage.tell(Msg::Focus(true));
    stage.tell(Msg::Engine(Event::Timeline(id(1))));
    let newest = Command::LoadNewest { room: id(1), limit: 200 };
    assert_eq!(stage.asked(), [newest.clone(), Command::LoadRooms]);
    stage.newest(id(1), vec![message(1, 1, "bob", "meet me at nine"), message(2, 2, "bob", "or at ten")]);
    assert_eq!(stage.asked(), []);
    let drawn = stage.drawn();
    assert!(drawn.contains("•••") && !drawn.contains("wro") && !drawn.contains("ten"), "{drawn}");

    stage.press("<Enter><Enter>");
    let asked = stage.asked();
    let [Command::Unlock(tried)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(tried.expose().as_str(), "wro");
    assert!(!format!("{asked:?}").contains("wro"));
    let command = Command::Unlock(tried.clone());
    stage.tell(Msg::Failed(command.clone(), "wrong passphrase".to_owned()));
    assert!(stage.drawn().contains("wrong passphrase"));
    stage.tell(Msg::Paste("the right one".to_owned()));
    stage.press("<Enter>");
    stage.tell(Msg::Done(command, Answer::Nothing));
    let drawn = stage.drawn();
    for shown in ["general", "meet me", "or at ten", "a draft"] {
        assert!(drawn.contains(shown), "{shown}: {drawn}");
    }
    stage.tell(Msg::Idle);
    stage.press("<C-q>");
    assert!(stage.asked().contains(&Command::Quit));
}

#[test]
fn lines_that_are_there_before_the_list_knows_of_them_are_new_all_the_same() {
    let mut rooms = two_rooms();
    rooms[0].unread = 0;
    let lines = (1..=3).map(|row| message(row, row, "bob", &format!("text {row}"))).collect();
    let mut stage = Stage::with(80, 24, rooms.clone(), lines);
    assert!(!stage.drawn().contains("── new ──"));
    rooms[0].unread = 2;
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(rooms)));
    let drawn = stage.drawn();
    let below = drawn.split_once("── new ──").map(|(_, below)| below).expect("the line");
    assert!(below.contains("text 2") && below.contains("text 3") && !below.contains("text 1"), "{drawn}");
    assert!(stage.all_asked().contains(&Command::MarkRead(id(1))));
}

#[test]
fn an_answer_that_comes_late_takes_nobody_away_from_what_they_do_meanwhile() {
    let mut answer = message(9, 9, "bob", "an answer");
    answer.marks.reply_to =
        Some(Reply { id: message_id(2), sender: Some("carol".to_owned()), excerpt: None, blocked: false });
    let mut stage = Stage::with(60, 20, two_rooms(), vec![answer]);
    let locate = Command::Locate { room: id(1), id: message_id(2) };
    for (meanwhile, goes) in [("", true), ("<Esc>typed", false)] {
        assert_eq!(stage.press("<Up><Right>").asked(), std::slice::from_ref(&locate));
        stage.press(meanwhile);
        stage.tell(Msg::Done(locate.clone(), Answer::Row(Some(2))));
        let around = Command::LoadAround { room: id(1), row: 2 };
        assert_eq!(stage.asked().contains(&around), goes);
        stage.press("<Esc>");
        // Nor does the page that is read for it.
        let page: Vec<_> = (1..=3).map(|row| message(row, row, "bob", &format!("text {row}"))).collect();
        stage.tell(Msg::Done(around, Answer::Page(page)));
        assert!(!stage.drawn().contains("text 2"));
        stage.commands.clear();
    }
    assert!(stage.press("<Enter>").asked().contains(&send("typed")));
}

#[test]
fn what_is_edited_or_answered_is_found_again_after_another_room() {
    let messages = vec![message(1, 1, "bob", "question"), message(2, 2, "alice", "answer")];
    let mut stage = Stage::with(60, 20, two_rooms(), messages);
    stage.press("begun<S-Up>e<C-a>better <Tab>");
    assert!(stage.asked().contains(&kept("begun")));
    stage.press("elsewhere").tell(Msg::Pause);
    stage.press("<BackTab>");
    stage.commands.clear();
    let of = reference(2);
    let rewrite = Command::Rewrite { room: id(1), of, text: "better answer".to_owned() };
    assert_eq!(stage.press("<Enter>").asked(), [rewrite]);
    assert_eq!(stage.app.composer.text(), "begun");
}

#[test]
fn what_was_missed_is_read_anew_whatever_was_loaded() {
    let messages: Vec<_> = (1..=9).map(|row| message(row, row, "bob", &format!("text {row}"))).collect();
    let mut stage = Stage::with(60, 20, two_rooms(), messages.clone());
    stage.tell(Msg::Lagged);
    assert!(stage.asked().contains(&Command::LoadNewest { room: id(1), limit: 200 }));
    // One of them was deleted meanwhile.
    stage.newest(id(1), messages.into_iter().filter(|message| message.row != 5).collect());
    assert!(!stage.drawn().contains("text 5"));
}

#[test]
fn what_comes_under_a_panel_is_read_once_the_panel_is_put_away() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![message(1, 1, "bob", "one")]);
    stage.press("<F2>");
    stage.newest(id(1), vec![message(1, 1, "bob", "one"), message(2, 2, "bob", "two")]);
    assert!(!stage.asked().contains(&Command::MarkRead(id(1))), "nobody has seen it");
    assert!(stage.press("<Esc>").asked().contains(&Command::MarkRead(id(1))));
}

#[test]
fn more_is_not_pasted_than_can_be_cut_to_size() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    stage.tell(Msg::Paste("x".repeat(1 << 20)));
    assert!(stage.app.composer.is_empty() && stage.drawn().contains("send it as a file"));
}

#[test]
fn the_end_keeps_what_is_begun() {
    let mut stage = Stage::with(80, 24, two_rooms(), vec![]);
    stage.press("begun").tell(Msg::End);
    assert_eq!(stage.asked(), [kept("begun"), Command::Quit]);
}

#[test]
fn esc_gives_up_an_answer_with_every_keymap() {
    for preset in Preset::ALL {
        let mut stage = Stage::with(80, 24, two_rooms(), vec![message(1, 1, "bob", "question")]);
        stage.app.keymap = Keymap::preset(preset);
        stage.press("<S-Up>r");
        assert!(stage.drawn().contains("to bob"));
        assert_eq!(stage.press("<Esc>hi<Enter>").asked(), [send("hi")], "{preset:?}");
    }
}
