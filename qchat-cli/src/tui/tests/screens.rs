//! Pictures of the screen, per state and size.

use qchat_proto::wire::server_key::ServerKey;

use super::*;

fn rooms() -> Vec<RoomSummary> {
    vec![
        room(1, "general", RoomStatus::Joined, 2),
        room(2, "a room with quite a long name", RoomStatus::Joined, 14),
        room(3, "plans", RoomStatus::Invited, 0),
        room(4, "old", RoomStatus::Removed, 0),
        room(5, "lost", RoomStatus::Stuck, 0),
    ]
}

fn talk() -> Vec<Message> {
    let mut pending = message(11, 7, "alice", "still on its way");
    pending.delivery = Delivery::Pending;
    let mut failed = message(12, 8, "alice", "never arrives");
    failed.delivery = Delivery::Failed;
    vec![
        aside(1, -24 * 60, Body::Notice("alice created the room".to_owned())),
        message(2, -24 * 60 + 1, "alice", "first words"),
        aside(3, 0, Body::Notice("alice added bob".to_owned())),
        message(
            4,
            1,
            "bob",
            "Good day! This one is long enough to be wrapped at the width of the window, whatever it is.",
        ),
        message(
            5,
            2,
            "alice",
            "Several lines:\n  let x = 1;\n\nand 日本語のとても長い文章もここで折り返されます。",
        ),
        aside(6, 3, Body::Warning("An envelope of carol's was tampered with and is not shown".to_owned())),
        message(7, 4, "bob", "👩‍👩‍👧 and what is unread"),
        Message { body: Body::Unknown, ..message(8, 5, "bob", "") },
        pending,
        failed,
    ]
}

#[test]
fn each_size_shows_the_room_it_has_space_for() {
    for (name, width, height) in
        [("usual", 80, 24), ("wide", 120, 30), ("narrow", 48, 20), ("tiny", 30, 8), ("too_small", 25, 6)]
    {
        let mut stage = Stage::with(width, height, rooms(), talk());
        insta::assert_snapshot!(format!("room_{name}"), stage.drawn());
    }
}

#[test]
fn every_state_has_its_picture() {
    let invited = vec![room(3, "plans", RoomStatus::Invited, 0)];
    let removed = vec![room(1, "old", RoomStatus::Removed, 0)];
    let stuck = vec![room(1, "lost", RoomStatus::Stuck, 0)];
    let joined = || vec![room(1, "general", RoomStatus::Joined, 0)];
    for (name, rooms, keys) in [
        ("no_rooms", vec![], ""),
        ("invitation", invited.clone(), ""),
        ("invitation_join", invited.clone(), "j"),
        ("invitation_decline", invited, "d"),
        ("removed", removed, ""),
        ("stuck", stuck, ""),
        ("draft", joined(), "one<A-Enter>two<C-j>three"),
        ("create", joined(), "<C-n>plans"),
        ("invite", joined(), "<C-o>carol dave"),
        ("invite_refused", joined(), "<C-o>No Such<Enter>"),
        ("help", joined(), "<F1>"),
        ("help_scrolled", joined(), "?<PgDn><PgDn><PgDn>"),
    ] {
        let mut stage = Stage::with(80, 16, rooms, talk().split_off(6));
        stage.press(keys);
        insta::assert_snapshot!(name, stage.drawn());
    }
}

#[test]
fn who_is_trusted_is_marked_and_whose_keys_have_changed_blocks_the_room_in_words() {
    let trusted = |row, name: &str, verified, changed| {
        let mut message = message(row, row, name, "hello");
        let sender = message.sender.as_mut().unwrap();
        (sender.verified, sender.changed) = (verified, changed);
        message
    };
    let lines = vec![
        trusted(1, "alice", true, false),
        trusted(2, "bob", true, false),
        trusted(3, "carol", false, true),
        trusted(4, "dave", false, false),
    ];
    let mut blocked = room(1, "general", RoomStatus::Joined, 0);
    blocked.blocked_by = Some("carol".to_owned());
    let mut stage =
        Stage::with(80, 16, vec![blocked.clone(), room(2, "other", RoomStatus::Joined, 0)], lines);
    let mut full = details(1, "general");
    full.members[0].verified = true;
    full.members[1].verified = true;
    stage.tell(Msg::Done(Command::LoadRoom(id(1)), Answer::Room(Box::new(full))));
    insta::assert_snapshot!("trust", stage.drawn());
    // It does not go away by a key, and what went wrong is told first.
    stage.press("x<Esc>");
    assert!(stage.drawn().contains("nothing is sent"));
    stage.tell(Msg::Failed(
        Command::Send { room: id(1), text: "x".to_owned(), reply_to: None },
        "why".to_owned(),
    ));
    assert!(stage.drawn().contains("! why"));
    blocked.blocked_by = None;
    stage.press("<Esc>");
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(vec![blocked])));
    assert!(!stage.drawn().contains("nothing is sent"));
}

#[test]
fn a_device_that_asks_shows_its_code() {
    for (name, width, height) in [("device", 80, 16), ("device_tiny", 30, 8)] {
        let mut stage =
            Stage::with(width, height, vec![room(1, "general", RoomStatus::Joined, 0)], talk().split_off(6));
        stage.tell(Msg::Done(Command::LoadLink, Answer::Link(LinkStatus::Asks(link_request()))));
        insta::assert_snapshot!(name, stage.drawn());
    }
}

#[test]
fn the_connection_and_troubles_are_told() {
    let mut stage = Stage::with(80, 12, vec![room(1, "general", RoomStatus::Joined, 0)], vec![]);
    stage.tell(Msg::Engine(Event::Connection(Connection::Offline("connection refused".to_owned()))));
    stage.tell(Msg::Engine(Event::Trouble("The disk is full. Free some space; nothing is lost.".to_owned())));
    insta::assert_snapshot!("trouble", stage.drawn());
    stage.press("x");
    assert!(stage.drawn().contains("The disk is full"), "typing does not put a trouble away");
    stage.press("<Esc>");
    assert!(!stage.drawn().contains("The disk is full"));
}

#[test]
fn how_the_way_to_the_daemon_is_protected_is_told() {
    let mut stage = Stage::with(80, 12, vec![room(1, "general", RoomStatus::Joined, 0)], vec![]);
    for (key_exchange, post_quantum, shown) in [
        ("X25519MLKEM768", true, " online (X25519MLKEM768) "),
        ("X25519", false, " online (X25519, not post-quantum) "),
    ] {
        let key = ServerKey::of(b"");
        let link = Link::Tls { key_exchange: key_exchange.to_owned(), post_quantum, key };
        stage.tell(Msg::Engine(Event::Connection(Connection::Online(link))));
        assert!(stage.drawn().contains(shown), "{}", stage.drawn());
    }
}

#[test]
fn colours_keep_to_the_sixteen_and_no_color_has_none() {
    use ratatui::style::Color;
    for theme in [Theme::PLAIN, Theme::COLOUR] {
        let mut stage = Stage::themed(80, 24, theme);
        stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(rooms())));
        stage.newest(id(1), talk());
        stage.drawn();
        for cell in &stage.terminal.backend().buffer().content {
            for colour in [cell.fg, cell.bg] {
                let sixteen = !matches!(colour, Color::Rgb(..) | Color::Indexed(_));
                assert!(sixteen && (theme == Theme::COLOUR || colour == Color::Reset), "{cell:?}");
            }
        }
    }
}

#[test]
fn a_name_keeps_its_colour() {
    let colour_of = |room_number, minutes| {
        let mut stage = Stage::themed(80, 12, Theme::COLOUR);
        let rooms = vec![room(room_number, "general", RoomStatus::Joined, 0)];
        stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(rooms)));
        stage.newest(id(room_number), vec![message(1, minutes, "bob", "hello")]);
        stage.drawn();
        let buffer = stage.terminal.backend().buffer().clone();
        let cell = buffer
            .content
            .windows(4)
            .find(|cells| cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() == "bob:");
        cell.unwrap()[0].fg
    };
    assert_eq!(colour_of(1, 0), colour_of(2, 90));
}

#[test]
fn nothing_hostile_reaches_a_cell() {
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}drow\u{200b}\u{2028}\u{feff}\u{e0041}\r\0end";
    let mut bad = room(1, hostile, RoomStatus::Joined, 0);
    bad.invited_by = Some(hostile.to_owned());
    let mut spoken = message(1, 0, "bob", hostile);
    spoken.sender.as_mut().unwrap().name = hostile.to_owned();
    let forged = message(2, 1, "bob", "hello\n12:00 ✓ alice: I never said this\n── new ──");
    let lines = vec![
        spoken,
        forged,
        aside(3, 1, Body::Notice(hostile.to_owned())),
        aside(4, 1, Body::Warning(hostile.to_owned())),
    ];
    for status in [RoomStatus::Joined, RoomStatus::Invited, RoomStatus::Stuck] {
        bad.status = status;
        let mut stage = Stage::with(80, 24, vec![bad.clone()], lines.clone());
        let mut full = details(1, hostile);
        full.members[0].name = hostile.to_owned();
        stage.tell(Msg::Done(Command::LoadRoom(id(1)), Answer::Room(Box::new(full))));
        stage.tell(Msg::Engine(Event::Connection(Connection::Offline(hostile.to_owned()))));
        stage.tell(Msg::Failed(Command::Join(id(1)), hostile.to_owned()));
        stage.tell(Msg::Paste(hostile.to_owned()));
        for keys in ["", "<C-o>", "<Esc><C-n>", "<Esc>"] {
            stage.press(keys);
            let drawn = stage.drawn();
            for cell in &stage.terminal.backend().buffer().content {
                assert!(!cell.symbol().chars().any(super::super::text::is_harmful), "{cell:?}");
            }
            // A body cannot pass for another line: its own lines are indented.
            assert!(!drawn.contains("│12:00 ✓ alice"), "{drawn}");
        }
    }
}
