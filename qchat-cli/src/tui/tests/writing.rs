//! Writing: drafts, history, completion, pastes, commands, the editor, and who will be able to read it.

use super::*;
use crate::engine::MemberDevice;

fn rooms() -> Vec<RoomSummary> {
    vec![room(1, "general", RoomStatus::Joined, 0), room(2, "green house", RoomStatus::Joined, 0)]
}

fn stage() -> Stage {
    Stage::with(100, 24, rooms(), vec![message(1, 1, "bob", "hello")])
}

fn sent(text: &str) -> Command {
    Command::Send { room: id(1), text: text.to_owned(), reply_to: None }
}

#[test]
fn words_are_completed() {
    for (typed, becomes) in [
        ("hi @bo<Tab>!", "hi @bob !"),
        ("@<Tab>", "@bob "),
        ("@<Tab><Tab>", "@carol "),
        ("@<Tab><Tab><BackTab>", "@bob "),
        ("in #gr<Tab>", "in #green house "),
        ("nice :tada<Tab>", "nice 🎉"),
        ("/top<Tab>Paper", "/topic Paper"),
        ("not /top<Tab>", "not /top"),
        ("12:30", "12:30"),
    ] {
        let mut stage = stage();
        // In an empty text a slash opens the search, and again begins a command.
        let keys = typed.strip_prefix('/').map_or_else(|| typed.to_owned(), |rest| format!("//{rest}"));
        stage.press(&keys);
        if typed != "not /top<Tab>" {
            assert_eq!(stage.app.composer.text(), becomes, "{typed}");
        }
    }
    let mut stage = stage();
    stage.press("@");
    assert!(stage.drawn().contains("@bob  @carol"), "{}", stage.drawn());
}

#[test]
fn a_tab_goes_to_the_next_room_where_there_is_nothing_to_complete() {
    let mut stage = stage();
    stage.press("word<Tab>");
    assert_eq!(stage.app.open.as_ref().unwrap().id, id(2));
}

#[test]
fn what_was_sent_comes_back_to_be_sent_again() {
    let mut stage = stage();
    stage.press("one<Enter>two<Enter>three");
    stage.press("<C-Up>");
    assert_eq!(stage.app.composer.text(), "two");
    stage.press("<C-Up><C-Up>");
    assert_eq!(stage.app.composer.text(), "one");
    stage.press("<C-Down><C-Down>");
    assert_eq!(stage.app.composer.text(), "three", "what was being written is there again");
}

#[test]
fn drafts_are_kept_by_the_engine() {
    let keep = |n, text: &str| Command::KeepDraft { room: id(n), text: text.to_owned() };
    let mut stage = stage();
    let drafts = vec![(id(1), "begun".to_owned()), (id(2), "there".to_owned())];
    stage.tell(Msg::Done(Command::LoadDrafts, Answer::Drafts(drafts)));
    assert_eq!(stage.app.composer.text(), "begun");
    stage.press("!");
    assert_eq!(stage.asked(), []);
    stage.tell(Msg::Pause);
    stage.tell(Msg::Pause);
    assert_eq!(stage.asked(), [keep(1, "begun!")]);
    stage.press("?<Tab>");
    assert!(stage.asked().contains(&keep(1, "begun!?")));
    assert_eq!(stage.app.composer.text(), "there");
    stage.press("<Enter>");
    let asked = stage.asked();
    assert_eq!(
        asked[..2],
        [keep(2, ""), Command::Send { room: id(2), text: "there".to_owned(), reply_to: None }]
    );
    stage.press("half<C-q>");
    assert_eq!(stage.asked(), [keep(2, "half"), Command::Quit]);
}

#[test]
fn what_is_edited_is_no_draft_and_what_was_written_comes_back() {
    let mut stage = Stage::with(80, 24, rooms(), vec![message(2, 2, "alice", "mine")]);
    stage.press("half<S-Up>e");
    assert_eq!(stage.app.composer.text(), "mine");
    stage.press("!");
    stage.tell(Msg::Pause);
    assert_eq!(stage.asked(), [Command::KeepDraft { room: id(1), text: "half".to_owned() }]);
    stage.press("<Enter>");
    let rewrite = Command::Rewrite { room: id(1), of: reference(2), text: "mine!".to_owned() };
    assert_eq!(stage.asked(), [rewrite]);
    assert_eq!(stage.app.composer.text(), "half");
}

#[test]
fn several_lines_are_pasted_after_a_yes() {
    for (answer, text) in [("y", "> one\ntwo"), ("n", "> "), ("<Esc>", "> ")] {
        let mut stage = stage();
        stage.press("> ");
        stage.tell(Msg::Paste("one\r\ntwo".to_owned()));
        assert!(stage.drawn().contains("Paste 2 lines"), "{}", stage.drawn());
        assert_eq!(stage.press(answer).app.composer.text(), text, "{answer}");
        assert_eq!(stage.asked(), []);
    }
    let mut stage = stage();
    stage.tell(Msg::Paste("one line\u{1b}[2J\n".to_owned()));
    assert_eq!(stage.app.composer.text(), "one line[2J\n");
}

#[test]
fn a_slash_begins_a_command_and_two_say_one() {
    let name = |name: &str| name.parse().unwrap();
    for (line, asked) in [
        ("//name Paper works", Command::Rename(id(1), "Paper works".to_owned())),
        ("//topic of light", Command::SetTopic(id(1), "of light".to_owned())),
        ("//create new room", Command::CreateRoom("new room".to_owned())),
        ("//msg @bob", Command::Direct(name("bob"))),
        ("//invite dave", Command::Invite { room: id(1), users: vec![name("dave")] }),
        ("//file /etc/motd", Command::SendFile { room: id(1), path: "/etc/motd".into() }),
    ] {
        let mut stage = stage();
        stage.press(&format!("{line}<Enter>"));
        assert!(stage.asked().contains(&asked), "{line}");
        assert!(stage.app.composer.is_empty(), "{line}");
    }
    let mut stage = stage();
    stage.press("//nonsense<Enter>");
    assert!(stage.drawn().contains("no command /nonsense"));
    assert_eq!((stage.asked(), stage.app.composer.text().as_str()), (vec![], "/nonsense"));
    let mut stage = self::stage();
    stage.press("///etc<Enter>");
    assert_eq!(stage.asked(), [sent("/etc")]);
    let mut stage = self::stage();
    stage.press("//poll Where? | here | there<Enter>");
    assert!(
        matches!(&stage.asked()[..], [Command::Ask(_, poll)] if poll.question() == "Where?" && poll.options() == ["here", "there"])
    );
    let mut stage = self::stage();
    stage.press("//leave<Enter>");
    assert_eq!(stage.asked(), [], "that is asked about first");
    assert_eq!(stage.press("y").asked(), [Command::Leave(id(1))]);
}

#[test]
fn an_editor_gives_its_text_back() {
    let mut stage = stage();
    stage.press("one<A-e>");
    let edit = Command::Edit("one".to_owned());
    assert_eq!(stage.asked(), std::slice::from_ref(&edit));
    stage.tell(Msg::Done(edit.clone(), Answer::Written(Some("one\ntwo\n".to_owned()))));
    assert_eq!(stage.app.composer.text(), "one\ntwo");
    stage.tell(Msg::Failed(edit, "no such editor".to_owned()));
    assert!(stage.drawn().contains("no such editor") && stage.drawn().contains("two"));
}

#[test]
fn it_is_told_who_will_be_able_to_read() {
    let mut stage = Stage::with(240, 24, rooms(), vec![message(1, 1, "bob", "hello")]);
    stage.press("<A-i>secret");
    let drawn = stage.drawn();
    for words in
        ["X-Wing", "epoch 3", "256 bytes", "for 3 people on 3 devices, 2 not verified:", "Alt+I names"]
    {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    assert!(!drawn.contains("? not verified"), "{drawn}");
    // Once more, and everybody is named: by how many devices, then by which.
    stage.asked();
    stage.press("<A-i>");
    assert_eq!(stage.asked(), [Command::LoadRoster(id(1))]);
    let drawn = stage.drawn();
    for words in ["you: alice, ×1", "? not verified: bob, ×1", "? not verified: carol, ×1"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    let device = |name: &str, number| MemberDevice {
        account: AccountId::from_bytes([name.as_bytes()[0]; 16]),
        device: DeviceId::from_bytes([number; 16]),
    };
    let roster = vec![device("alice", 0xa1), device("bob", 0xb1), device("carol", 0xc1)];
    stage.tell(Msg::Done(Command::LoadRoster(id(1)), Answer::Roster(roster.clone())));
    let drawn = stage.drawn();
    for words in ["you: alice, a1a1a1a1", "? not verified: bob, b1b1b1b1", "? not verified: carol, c1c1c1c1"]
    {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    // Who has changed stands first, whoever is verified is marked so, and a device that comes is asked about.
    let mut full = details(1, "general");
    (full.members[1].verified, full.members[1].devices) = (true, 2);
    full.members[2].changed = true;
    stage.tell(Msg::Done(Command::LoadRoom(id(1)), Answer::Room(Box::new(full))));
    assert_eq!(stage.asked(), [Command::LoadRoster(id(1))]);
    stage.tell(Msg::Done(
        Command::LoadRoster(id(1)),
        Answer::Roster([roster, vec![device("bob", 0xb2)]].concat()),
    ));
    let drawn = stage.drawn();
    let places =
        ["on 4 devices, 1 not", "! changed: carol, c1", "✓ verified: bob, b1b1b1b1, b2b2b2b2", "you: alice"]
            .map(|words| drawn.find(words));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {drawn}");
    // Where there is no room for all, nobody is left out without a word.
    stage.resize(40, 12);
    assert!(stage.drawn().contains("more: F2 shows everybody"), "{}", stage.drawn());
    stage.press("<A-i>");
    assert!(!stage.drawn().contains("X-Wing"));
}

#[test]
fn what_is_written_stays_where_it_is_written() {
    // What was sent is recalled in its room alone, and what was changed since is being written.
    let mut stage = stage();
    stage.press("for the first<Enter>begun<C-Up>");
    assert_eq!(stage.app.composer.text(), "for the first");
    stage.press(" and more<C-Down>");
    assert_eq!(stage.app.composer.text(), "for the first and more");
    stage.press("<Tab>own words<C-Up><C-Down>");
    assert_eq!(stage.app.composer.text(), "own words");

    // A room that was asked for opens where nothing else is being written by then.
    let direct = || Command::Direct("carol".parse().expect("a name"));
    for (typed, opened) in [("", id(2)), ("half a sen", id(1))] {
        let mut stage = self::stage();
        stage.press(typed);
        stage.tell(Msg::Done(direct(), Answer::Created(id(2))));
        assert_eq!(stage.app.open.as_ref().map(|open| open.id), Some(opened), "{typed}");
        assert_eq!(stage.app.composer.text(), typed);
    }
    // The room goes away under what is typed: nothing else takes it.
    let mut stage = self::stage();
    stage.press("half a sen");
    let left = vec![room(2, "green house", RoomStatus::Joined, 0)];
    stage.tell(Msg::Engine(Event::Rooms));
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(left)));
    stage.press("tence<Enter>");
    assert!(!stage.all_asked().iter().any(|asked| matches!(asked, Command::Send { .. })));

    // What could not be sent does not get into another text of a message.
    let mut stage = Stage::with(100, 24, rooms(), vec![message(1, 1, "alice", "mine")]);
    stage.press("lost<Enter><Up>e!");
    stage.tell(Msg::Failed(sent("lost"), "no".to_owned()));
    assert_eq!(stage.app.composer.text(), "mine!");
    stage.press("<Enter>");
    assert_eq!(stage.app.composer.text(), "lost");
}
