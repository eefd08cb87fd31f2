//! Finding messages: what is found by what, in which order, by which way through the database, and what is found no more.

use std::fs;

use diesel::{connection::SimpleConnection, migration::Migration, prelude::*};
use diesel_migrations::MigrationHarness;
use qchat_proto::{
    content::{Attachment, Body, Change, Content, MessageRef, Poll, What},
    crypto::{entropy::SystemEntropy, secret::Secret},
    file::{FileHash, FileKey, Layout, Sealing},
    ids::{AccountId, DeviceId, FileId, MessageId, RoomId, Seq},
    session::ledger::{Ledger, Notice, OpenedMessage},
};

use super::{ALICE, BOB, BOB_DEVICE, KEY, ROOM, message, other_process, profile, read, state, write};
use crate::store::{
    Has, LineBody, Part, Profile, Search, Term, Tx, connect, highlights, profile::MIGRATIONS,
    schema::timeline,
};

const DEN: RoomId = RoomId::from_bytes([2; 16]);
const CAROL: AccountId = AccountId::from_bytes([0xc1; 16]);
const CAROL_DEVICE: DeviceId = DeviceId::from_bytes([0xc2; 16]);

fn text(text: &str) -> Body {
    Body::Text(text.to_owned())
}

fn edit(of: u8, text: &str) -> Body {
    let target = MessageRef { device: BOB_DEVICE, id: message(of) };
    Body::Change(Change { target, what: What::Edit(text.to_owned()) })
}

/// What somebody says as this seq of a room's log, written at as many seconds.
fn said(room: RoomId, seq: u8, (account, device): (AccountId, DeviceId), body: Body) -> OpenedMessage {
    OpenedMessage {
        room,
        seq: Seq(seq.into()),
        message_id: message(seq),
        account,
        device,
        epoch: 1,
        content: Content::new(body, i64::from(seq) * 1000).encode(),
    }
}

fn hear(profile: &Profile, messages: &[OpenedMessage]) {
    write(profile, |tx| {
        for message in messages {
            tx.put_message(message)?;
            let mut state = state(message.seq.0);
            state.room = message.room;
            tx.put_room(&state)?;
        }
        Ok(())
    });
}

fn bobs(seq: u8, body: Body) -> OpenedMessage {
    said(ROOM, seq, (BOB, BOB_DEVICE), body)
}

/// All of these words; a `*` at the end makes the beginning of one, and a space a phrase.
fn search(words: &[&str]) -> Search {
    let term = |word: &&str| match word.strip_suffix('*') {
        Some(word) => Term::new(word, true).unwrap(),
        None => Term::new(word, false).unwrap(),
    };
    Search { terms: words.iter().map(term).collect(), rooms: vec![ROOM, DEN], ..Search::default() }
}

fn found(profile: &Profile, search: &Search) -> Vec<MessageId> {
    let found = read(profile, |tx| tx.search(search, 100, 0));
    assert!(!found.more);
    let ids = found.lines.iter().map(|line| match line.body {
        LineBody::Message { id, .. } => id,
        LineBody::Notice(_) | LineBody::Change { .. } => panic!("a message"),
    });
    ids.collect()
}

fn ids(ids: &[u8]) -> Vec<MessageId> {
    ids.iter().copied().map(message).collect()
}

#[test]
fn words_are_found_whatever_their_case_their_marks_and_their_script() {
    let (_dir, profile) = profile();
    hear(
        &profile,
        &[
            bobs(1, text("The Crème brûlée was cold")),
            bobs(2, text("ΣΊΣΥΦΟΣ and straße")),
            bobs(3, text("今日は東京タワーに行きます。")),
            bobs(4, text("서울에서 만나요")),
            bobs(5, text("สวัสดีครับ")),
            bobs(6, text("mixed 東京 and words")),
            bobs(7, text("https://example.org/a?b=c")),
            bobs(8, text("tab\tand\u{1}mark\u{2}\u{3} \u{1b}[31mred\0 \"quoted\" OR NEAR")),
            bobs(9, text("Ångström Café")),
        ],
    );
    for (words, expected) in [
        (&["creme"][..], &[1][..]),
        (&["BRÛLÉE"], &[1]),
        (&["brulee", "the"], &[1]),
        (&["brulee", "missing"], &[]),
        (&["creme brulee"], &[1]),
        (&["brulee creme"], &[]),
        (&["bru*"], &[1]),
        (&["bru"], &[]),
        (&["σίσυφοσ"], &[2]),
        (&["東京"], &[6, 3]),
        (&["東京タワー"], &[3]),
        (&["タワ"], &[3]),
        (&["京"], &[6, 3]),
        (&["京東"], &[]),
        (&["サウル"], &[]),
        (&["서울"], &[4]),
        (&["만나"], &[4]),
        (&["สวัสดี"], &[5]),
        (&["words", "東京"], &[6]),
        (&["example"], &[7]),
        (&["https://example.org/a?b=c"], &[7]),
        (&["mark"], &[8]),
        (&["31mred"], &[8]),
        (&["\"quoted\""], &[8]),
        (&["OR"], &[8]),
        (&["NEAR("], &[8]),
        (&["angstrom", "cafe"], &[9]),
        (&["text:mark"], &[]),
        (&["mark) OR (creme"], &[]),
    ] {
        assert_eq!(found(&profile, &search(words)), ids(expected), "{words:?}");
    }
    for nothing in ["", "  ", "!?", "\u{1}", "👍"] {
        assert_eq!(Term::new(nothing, false), None, "{nothing:?}");
    }
}

#[test]
fn a_search_is_narrowed_by_who_where_when_and_what() {
    let (_dir, profile) = profile();
    let poll =
        Poll::new("Tea, where?".to_owned(), vec!["kitchen".to_owned(), "garden".to_owned()], 1).unwrap();
    let file = Attachment {
        sealing: Sealing {
            id: FileId::random(&SystemEntropy).unwrap(),
            key: FileKey::random(&SystemEntropy).unwrap(),
            layout: Layout::new(5).unwrap(),
        },
        hash: FileHash::try_from(&[7; 48][..]).unwrap(),
        name: "tea plan.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        thumbnail: bytes::Bytes::new(),
        duration_ms: 0,
        voice: false,
        caption: String::new(),
    };
    hear(
        &profile,
        &[
            bobs(1, text("tea")),
            said(ROOM, 2, (CAROL, CAROL_DEVICE), text("tea tea")),
            said(DEN, 3, (BOB, BOB_DEVICE), text("tea: HTTPS://tea.example")),
            bobs(4, Body::Poll(poll)),
            bobs(5, Body::Attachment(Box::new(file))),
            said(ROOM, 6, (CAROL, CAROL_DEVICE), text("coffee")),
        ],
    );
    write(&profile, |tx| tx.put_notice(ROOM, Seq(7), &Notice::Clone));
    let tea = search(&["tea"]);
    let all = search(&[]);
    for (search, mut expected) in [
        (tea.clone(), vec![1, 2, 3, 4, 5]),
        (Search { from: vec![BOB], ..tea.clone() }, vec![1, 3, 4, 5]),
        (Search { from: vec![CAROL, BOB], ..tea.clone() }, vec![1, 2, 3, 4, 5]),
        (Search { from: vec![ALICE], ..tea.clone() }, vec![]),
        (Search { rooms: vec![DEN], ..tea.clone() }, vec![3]),
        (Search { rooms: vec![], ..tea.clone() }, vec![]),
        (Search { has: vec![Has::Link], ..tea.clone() }, vec![3]),
        (Search { has: vec![Has::Poll], ..tea.clone() }, vec![4]),
        (Search { has: vec![Has::File], ..tea.clone() }, vec![5]),
        (Search { has: vec![Has::File, Has::Poll], ..tea.clone() }, vec![]),
        (Search { since_ms: Some(2000), ..tea.clone() }, vec![2, 3, 4, 5]),
        (Search { since_ms: Some(2001), until_ms: Some(5000), ..tea.clone() }, vec![3, 4]),
        (search(&["garden"]), vec![4]),
        (search(&["pdf"]), vec![5]),
        (all.clone(), vec![1, 2, 3, 4, 5, 6]),
        (Search { from: vec![CAROL], ..all.clone() }, vec![2, 6]),
        (Search { has: vec![Has::Link], ..all.clone() }, vec![3]),
    ] {
        let mut ids = found(&profile, &search);
        if search.terms.is_empty() {
            expected.reverse();
        } else {
            ids.sort();
        }
        assert_eq!(ids, super::search::ids(&expected), "{search:?}");
    }
    // Who says it most is first, and of two who say the same the later one.
    assert_eq!(found(&profile, &tea)[0], message(2));
    hear(&profile, &[bobs(8, text("tea tea"))]);
    assert_eq!(found(&profile, &tea)[..2], ids(&[8, 2]));
}

#[test]
fn pages_follow_one_another_without_a_gap() {
    let (_dir, profile) = profile();
    let all: Vec<_> = (1..=23).map(|seq| bobs(seq, text(&format!("number {seq}")))).collect();
    hear(&profile, &all);
    for search in [search(&["number"]), search(&[])] {
        let mut seen = vec![];
        for page in 0.. {
            let found = read(&profile, |tx| tx.search(&search, 5, page * 5));
            assert_eq!(found.more, page < 4, "{page}");
            seen.extend(found.lines.iter().map(|line| line.seq.unwrap().0));
            if !found.more {
                break;
            }
        }
        assert_eq!(seen, (1..=23).rev().collect::<Vec<_>>());
        assert!(read(&profile, |tx| tx.search(&search, 5, 100)).lines.is_empty());
    }
}

#[test]
fn what_is_edited_deleted_or_over_is_found_no_more_and_its_words_are_out_of_the_index() {
    let (_dir, profile) = profile();
    let expiring =
        Content { expires_after: std::num::NonZeroU32::new(60), ..Content::new(text("shortlived"), 1000) };
    hear(
        &profile,
        &[
            bobs(1, text("firstversion kept")),
            bobs(2, text("deletedforall")),
            bobs(3, text("deletedhere")),
            OpenedMessage { content: expiring.encode(), ..bobs(4, Body::Unknown) },
            bobs(5, text("last one")),
            bobs(6, edit(1, "secondversion kept https://a.example")),
            // Not its author.
            said(ROOM, 7, (CAROL, CAROL_DEVICE), edit(5, "forged")),
        ],
    );
    let words = |profile: &Profile| -> Vec<String> {
        let mut words: Vec<String> =
            write(profile, |tx| Ok(tx.indexed())).into_iter().map(|(_, _, word)| word).collect();
        words.sort();
        words
    };
    assert_eq!(found(&profile, &search(&["firstversion"])), ids(&[]));
    assert_eq!(found(&profile, &search(&["secondversion"])), ids(&[1]));
    assert_eq!(found(&profile, &Search { has: vec![Has::Link], ..search(&[]) }), ids(&[1]));
    assert_eq!(found(&profile, &search(&["forged"])), ids(&[]));
    let deletion = Change { target: MessageRef { device: BOB_DEVICE, id: message(2) }, what: What::Delete };
    hear(&profile, &[bobs(8, Body::Change(deletion))]);
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(3)]));
    assert_eq!(write(&profile, |tx| tx.expire(i64::MAX)), 1);
    let left = ["a", "example", "https", "kept", "last", "one", "secondversion"];
    assert_eq!(words(&profile), left);
    assert_eq!(words(&other_process(&profile)), left);
    assert_eq!(found(&profile, &search(&[])), ids(&[5, 1]));
    // An edit goes with what it has edited.
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(1)]));
    assert_eq!(words(&profile), ["last", "one"]);
    write(&profile, |tx| tx.delete_messages_before(ROOM, None));
    assert!(words(&profile).is_empty());
    assert_eq!(found(&profile, &search(&[])), ids(&[]));
}

#[test]
fn of_very_many_that_go_at_once_none_is_left_and_all_others_are() {
    let (_dir, profile) = profile();
    write(&profile, |tx| {
        for seq in 1..=1500_u64 {
            let content = Content::new(text(&format!("number{seq}")), 1).encode();
            let id = MessageId::from_bytes(u128::from(seq).to_be_bytes());
            tx.put_message(&OpenedMessage {
                seq: Seq(seq),
                message_id: id,
                content,
                ..bobs(1, Body::Unknown)
            })?;
        }
        tx.put_room(&state(1500))
    });
    write(&profile, |tx| tx.delete_messages_before(ROOM, Some(Seq(1400))));
    let words = write(&profile, |tx| Ok(tx.indexed()));
    assert_eq!(words.len(), 101);
    assert_eq!(read(&profile, |tx| tx.search(&search(&["number1400"]), 9, 0)).lines.len(), 1);
    assert_eq!(read(&profile, |tx| tx.search(&search(&["number1399"]), 9, 0)).lines.len(), 0);
}

#[test]
fn what_was_there_before_there_was_an_index_is_found_once_the_profile_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile.db");
    fs::write(&path, "").unwrap();
    let mut conn = connect::open(&path, &Secret::from_bytes(KEY)).unwrap();
    let migrations = conn.pending_migrations(MIGRATIONS).unwrap();
    let before = migrations.iter().take_while(|migration| !migration.name().to_string().starts_with("0031"));
    let version = before.count();
    conn.run_migrations(&migrations[..version]).unwrap();
    for (seq, body, gone) in [
        (1_u8, text("old words"), false),
        (2, text("others"), false),
        (3, edit(1, "newer words"), false),
        (4, text("gone words"), true),
    ] {
        let target = if let Body::Change(change) = &body { Some(change.target) } else { None };
        diesel::insert_into(timeline::table)
            .values((
                (timeline::room.eq(&ROOM.as_bytes()[..]), timeline::place.eq(i64::from(seq))),
                (timeline::seq.eq(i64::from(seq)), timeline::message_id.eq(vec![seq; 16])),
                timeline::account.eq(&BOB.as_bytes()[..]),
                timeline::device.eq(&BOB_DEVICE.as_bytes()[..]),
                (timeline::epoch.eq(1), timeline::stored_ms.eq(1), timeline::delivery.eq(1)),
                (timeline::body.eq(&Content::new(body, 5).encode()[..]), timeline::deleted.eq(gone)),
                timeline::of_device.eq(target.as_ref().map(|of| &of.device.as_bytes()[..])),
                timeline::of_message.eq(target.as_ref().map(|of| &of.id.as_bytes()[..])),
            ))
            .execute(&mut conn)
            .unwrap();
    }
    conn.batch_execute(&format!("PRAGMA user_version = {version}")).unwrap();
    drop(conn);
    let profile = Profile::open(dir.path(), Secret::from_bytes(KEY)).unwrap();
    assert_eq!(found(&profile, &search(&["words"])), ids(&[1]));
    assert_eq!(found(&profile, &search(&["newer"])), ids(&[1]));
    assert_eq!(found(&profile, &search(&["others"])), ids(&[2]));
    write(&profile, |tx| tx.delete_messages(ROOM, &[message(1)]));
    assert_eq!(write(&profile, |tx| Ok(tx.indexed())).len(), 1);
}

#[test]
fn the_index_is_asked_first_and_nothing_is_read_through() {
    let (_dir, profile) = profile();
    let narrow = Search {
        from: vec![BOB],
        has: vec![Has::Link],
        since_ms: Some(1),
        until_ms: Some(2),
        ..search(&["word", "beg*"])
    };
    for search in [search(&["word"]), narrow] {
        let plan = write(&profile, |tx: &mut Tx| Ok(tx.plan(&search)));
        let steps: Vec<&str> = plan.iter().map(String::as_str).filter(|step| step.starts_with('S')).collect();
        // The scan is of the matches that the index gives in their order, and of those that are ranked.
        let expected = [
            "SCAN words VIRTUAL TABLE INDEX",
            "SEARCH x USING INTEGER PRIMARY KEY",
            "SEARCH t USING INTEGER PRIMARY KEY",
            "SCAN (subquery",
        ];
        assert_eq!(steps.len(), expected.len(), "{plan:?}");
        for (step, expected) in steps.iter().zip(expected) {
            assert!(step.starts_with(expected), "{plan:?}");
        }
        // One sort: of those that are ranked.
        assert_eq!(plan.iter().filter(|step| step.contains("TEMP B-TREE")).count(), 1, "{plan:?}");
    }
}

#[test]
fn a_part_of_a_log_is_named_by_places_and_by_times() {
    let (_dir, profile) = profile();
    let mut all: Vec<_> = (1..=9).map(|seq| bobs(seq, text("word"))).collect();
    // Somebody's clock is behind.
    all[6].content = Content::new(text("late"), 3500).encode();
    hear(&profile, &all);
    hear(&profile, &[bobs(10, edit(2, "other"))]);
    for (range, limit, expected) in [
        ((None, None, None, None), 99, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ((None, None, None, None), 2, vec![8, 9]),
        ((Some(3), None, None, None), 99, vec![3, 4, 5, 6, 7, 8, 9]),
        ((Some(3), Some(5), None, None), 99, vec![3, 4, 5]),
        ((Some(3), Some(5), None, None), 1, vec![5]),
        ((Some(5), Some(3), None, None), 99, vec![]),
        ((None, Some(u64::MAX), None, None), 1, vec![9]),
        ((None, None, Some(4000), None), 99, vec![4, 5, 6, 8, 9]),
        ((None, None, None, Some(4000)), 99, vec![1, 2, 3, 7]),
        ((None, None, Some(3000), Some(4000)), 99, vec![3, 7]),
        ((Some(4), None, Some(3000), Some(4000)), 99, vec![7]),
        ((None, None, None, None), 0, vec![]),
    ] {
        let (from, to, since_ms, until_ms) = range;
        let part = Part { from: from.map(Seq), to: to.map(Seq), since_ms, until_ms };
        let lines = read(&profile, |tx| tx.lines_within(ROOM, &part, limit));
        let seqs: Vec<u64> = lines.iter().map(|line| line.seq.unwrap().0).collect();
        assert_eq!(seqs, expected, "{range:?} {limit}");
    }
}

#[test]
fn what_was_looked_for_is_marked_where_it_stands() {
    let term = |text: &str, prefix| Term::new(text, prefix).unwrap();
    for (terms, text, expected) in [
        (vec![term("creme", false)], "a Crème, crème", &["Crème", "crème"][..]),
        (vec![term("creme brulee", false)], "Crème brûlée", &["Crème brûlée"]),
        (vec![term("br", true), term("a", false)], "a brûlée", &["a", "brûlée"]),
        (vec![term("東京", false)], "今日は東京タワー", &["東京"]),
        (vec![term("red", false)], "\u{1}\u{2}\u{3}\u{1b}[31m red \0", &["red"]),
        (vec![term("red", false)], "nothing", &[]),
        (vec![term("x", false)], "", &[]),
    ] {
        let found = highlights(&terms, &["decoy", text]).unwrap();
        let marked: Vec<&str> = found[1].iter().map(|range| &text[range.clone()]).collect();
        assert_eq!((marked.as_slice(), found[0].len()), (expected, 0), "{text}");
    }
}
