//! A long timeline costs what its window costs.

use super::*;
use crate::tui::app::OpenRoom;

fn open(stage: &Stage) -> &OpenRoom {
    stage.app.open.as_ref().unwrap()
}

#[test]
fn fifty_thousand_messages_are_laid_out_a_window_at_a_time() {
    let messages = (1..=50_000).map(|row| message(row, row, "bob", &format!("message {row}"))).collect();
    let mut stage = Stage::with(80, 24, vec![room(1, "general", RoomStatus::Joined, 0)], messages);
    assert!(stage.drawn().contains("message 50000"));
    assert!(open(&stage).timeline.laid_out() <= 24, "{}", open(&stage).timeline.laid_out());

    stage.drawn();
    stage.press("typing does not lay anything out again");
    stage.drawn();
    assert!(open(&stage).timeline.laid_out() <= 24);

    for pages in 1..=10 {
        stage.press("<PgUp>");
        stage.drawn();
        // A window, and a look at the window above and the one above that.
        let most = 24 * (pages + 3);
        assert!(
            open(&stage).timeline.laid_out() <= most,
            "{} after {pages}",
            open(&stage).timeline.laid_out()
        );
    }
    stage.press("<C-End>");
    assert!(stage.drawn().contains("message 50000"));

    // A new width lays out the window again, not the rest.
    let before = open(&stage).timeline.laid_out();
    stage.resize(100, 24);
    stage.drawn();
    assert!(open(&stage).timeline.laid_out() - before <= 24);
}

#[test]
fn reading_up_and_down_meets_every_message_and_asks_for_older_ones_in_time() {
    let newest: Vec<_> = (201..=400).map(|row| message(row, 0, "bob", &format!("message {row}."))).collect();
    let older: Vec<_> = (101..=200).map(|row| message(row, 0, "bob", &format!("message {row}."))).collect();
    let mut stage = Stage::with(80, 24, vec![room(1, "general", RoomStatus::Joined, 0)], newest);
    let mut seen = std::collections::HashSet::new();
    let mut asked = 0;
    for _ in 0..40 {
        let drawn = stage.drawn();
        seen.extend((101..=400).filter(|row| drawn.contains(&format!("message {row}."))));
        stage.press("<PgUp>");
        for command in stage.asked() {
            assert_eq!(command, Command::LoadOlder { room: id(1), before: 201 });
            asked += 1;
            let before = stage.drawn();
            stage.tell(Msg::Done(command, Answer::Page(older.clone())));
            assert_eq!(stage.drawn(), before, "older lines do not move what is being read");
        }
    }
    assert_eq!((seen.len(), asked), (300, 1));
    assert!(stage.drawn().contains("message 101."));
    for _ in 0..40 {
        stage.press("<PgDn>");
    }
    assert!(stage.drawn().contains("message 400.") && open(&stage).timeline.follows());
}

#[test]
fn what_is_being_read_stays_while_new_messages_arrive() {
    let lines =
        |until| (1..=until).map(|row| message(row, 0, "bob", &format!("message {row}."))).collect::<Vec<_>>();
    let mut stage = Stage::with(80, 24, vec![room(1, "general", RoomStatus::Joined, 0)], lines(100));
    stage.press("<PgUp><PgUp>");
    let before: Vec<_> = stage.drawn().lines().take(20).map(str::to_owned).collect();
    stage.newest(id(1), lines(105));
    let after = stage.drawn();
    assert!(after.contains("5 new below"), "{after}");
    assert!(before.iter().zip(after.lines()).all(|(was, is)| was == is), "{before:#?}\n{after}");
    assert!(!stage.asked().iter().any(|command| matches!(command, Command::MarkRead(_))));
    stage.press("<C-End>");
    assert_eq!(stage.asked(), [Command::MarkRead(id(1))]);
    let drawn = stage.drawn();
    let (above, below) = drawn.split_once("── new ──").unwrap();
    assert!(above.contains("message 100.") && below.contains("message 101."), "{drawn}");
}

#[test]
fn a_long_absence_is_caught_up_without_a_gap() {
    let lines = |from: i64, until: i64| -> Vec<_> {
        (from..=until).map(|row| message(row, 0, "bob", &format!("message {row}."))).collect()
    };
    let mut stage = Stage::with(80, 24, vec![room(1, "general", RoomStatus::Joined, 0)], lines(1, 200));
    stage.press("<PgUp>");
    stage.asked();
    stage.newest(id(1), lines(801, 1000));
    let mut after = 200;
    while after < 1000 {
        assert_eq!(stage.asked(), [Command::LoadNewer { room: id(1), after }]);
        let until = (after + 200).min(1000);
        let page = Answer::Page(lines(after + 1, until));
        stage.tell(Msg::Done(Command::LoadNewer { room: id(1), after }, page));
        after = until;
    }
    stage.press("<C-End>");
    assert!(stage.drawn().contains("message 1000."));
    assert_eq!(open(&stage).timeline.count_after(1), 999);
}

#[test]
fn what_lies_far_away_is_given_back_and_read_again() {
    let lines = |from: i64, until: i64| -> Vec<_> {
        (from.max(1)..=until).map(|row| message(row, 0, "bob", &format!("message {row}."))).collect()
    };
    let answer = |stage: &mut Stage, newest: i64| {
        for _ in 0..1000 {
            let asked = stage.asked();
            if asked.is_empty() {
                return;
            }
            for command in asked {
                let page = match &command {
                    Command::LoadOlder { before, .. } => lines(before - 200, before - 1),
                    Command::LoadNewer { after, .. } => lines(after + 1, newest.min(after + 200)),
                    Command::LoadNewest { limit, .. } => {
                        lines(newest + 1 - i64::try_from(*limit).unwrap(), newest)
                    }
                    _ => continue,
                };
                stage.tell(Msg::Done(command, Answer::Page(page)));
            }
        }
        panic!("read again and again");
    };
    let mut stage = Stage::with(80, 24, vec![room(1, "general", RoomStatus::Joined, 0)], lines(1, 200));
    // Somebody looks, then turns away, and ten thousand arrive.
    stage.press("x<Backspace>");
    stage.tell(Msg::Focus(false));
    let most = 2 * crate::tui::timeline::KEPT + 1000;
    for newest in (210..=10_200).step_by(10) {
        stage.tell(Msg::Engine(Event::Timeline(id(1))));
        answer(&mut stage, newest);
        assert!(open(&stage).timeline.len() <= most, "{} are held", open(&stage).timeline.len());
    }
    assert_eq!(open(&stage).timeline.unread_line(), Some(201));
    stage.tell(Msg::Focus(true));
    // Back through all of them, and each is met once, in order.
    let mut expected = 10_200;
    while expected > 0 {
        let drawn = stage.drawn();
        let shown: Vec<i64> = drawn
            .lines()
            .filter_map(|line| line.split_once("message ")?.1.split_once('.')?.0.parse().ok())
            .collect();
        assert!(shown.is_sorted() && shown.last() >= Some(&expected.min(10_200)), "{drawn}");
        assert!(shown.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{drawn}");
        if shown.contains(&201) && shown.contains(&200) {
            let (above, below) = drawn.split_once("── new ──").unwrap();
            assert!(above.contains("message 200.") && below.contains("message 201."), "{drawn}");
        }
        let first = *shown.first().unwrap();
        if first == 1 {
            break;
        }
        expected = first;
        stage.press("<PgUp>");
        answer(&mut stage, 10_200);
        assert!(open(&stage).timeline.len() <= most, "{} are held", open(&stage).timeline.len());
    }
    // Lines that come meanwhile are counted by the list of rooms, and read when somebody comes to them.
    let drawn = stage.drawn();
    assert!(drawn.contains("message 1."), "{drawn}");
    assert!(open(&stage).timeline.newer_exist());
    let mut busy = room(1, "general", RoomStatus::Joined, 3);
    busy.read = Some(Seq(10_200));
    stage.tell(Msg::Engine(Event::Timeline(id(1))));
    stage.tell(Msg::Done(Command::LoadRooms, Answer::Rooms(vec![busy])));
    answer(&mut stage, 10_203);
    assert!(stage.drawn().contains("3 new below"), "{}", stage.drawn());
    for _ in 0..1000 {
        if open(&stage).timeline.follows() {
            break;
        }
        stage.press("<PgDn>");
        answer(&mut stage, 10_203);
    }
    assert!(stage.drawn().contains("message 10203."), "{}", stage.drawn());
}

#[test]
fn what_was_pending_moves_to_its_place_in_the_log() {
    let own = |delivery| Message { delivery, ..message(3, 0, "alice", "mine.") };
    let theirs = |row| message(row, 0, "bob", &format!("message {row}."));
    let mut stage = Stage::with(
        80,
        12,
        vec![room(1, "general", RoomStatus::Joined, 0)],
        vec![theirs(1), theirs(2), own(Delivery::Pending)],
    );
    assert!(stage.drawn().contains("… alice: mine."));
    stage.newest(id(1), vec![theirs(1), theirs(2), theirs(4), own(Delivery::Pending)]);
    assert_eq!(stage.asked(), [Command::MarkRead(id(1))], "what comes in before a pending message is new");
    stage.newest(id(1), vec![theirs(1), theirs(2), theirs(4), own(Delivery::Sent), theirs(5)]);
    let drawn = stage.drawn();
    let places = ["message 4.", "✓ alice: mine.", "message 5."].map(|text| drawn.find(text).unwrap());
    assert!(places.is_sorted(), "{drawn}");
    assert_eq!(drawn.matches("mine.").count(), 1);
}
