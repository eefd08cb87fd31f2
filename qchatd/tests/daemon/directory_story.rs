//! The key directory's queries: a chapter of the store's story.

use std::collections::BTreeMap;

use qchat_proto::{ids::AccountId, transparency::Salt};
use qchatd::store::{
    Connection, StoreError,
    directory::{self, Epoch, Head, NewEntry, Value},
};

/// What is said of two accounts, published, read, and forgotten.
pub(crate) fn key_directory(conn: &mut Connection, alice: AccountId, bob: AccountId) {
    let says = |label: u8, said: u8| NewEntry {
        account: alice,
        label: vec![label; 9],
        salt: Salt([said; 32]),
        said: vec![said; 9],
    };
    assert!(directory::lock(conn).unwrap());
    assert_eq!(directory::unsaid(conn, None, 9).unwrap(), (vec![alice, bob], Some(bob)));
    directory::append(conn, &[says(1, 11), says(2, 12), says(2, 13)]).unwrap();
    assert_eq!(directory::unsaid(conn, None, 9).unwrap(), (vec![bob], Some(bob)));
    assert_eq!(directory::unsaid(conn, None, 1).unwrap(), (vec![], Some(alice)));
    assert_eq!(directory::unsaid(conn, Some(bob), 9).unwrap(), (vec![], None));
    assert!(directory::is_said(conn, alice).unwrap() && !directory::is_said(conn, bob).unwrap());

    // What waits comes in its order, and is published with its version.
    let waiting = directory::waiting(conn, 2).unwrap();
    assert_eq!(waiting.iter().map(|entry| entry.salt.0[0]).collect::<Vec<_>>(), [11, 12]);
    let label = |byte: u8| vec![0, 8, byte];
    let epoch = |epoch: u64, published: Vec<(i64, u64)>| Epoch {
        epoch,
        head: Head { head: vec![u8::try_from(epoch).unwrap(); 193], signature: vec![5; 9], nodes: epoch + 1 },
        grown: (epoch > 0).then(|| vec![6; 9]),
        nodes: BTreeMap::from([(label(1), vec![u8::try_from(epoch).unwrap(); 9])]),
        values: published
            .iter()
            .map(|(_, version)| Value {
                who: [7; 32],
                version: *version,
                epoch,
                held: vec![8; 48],
                place: [9; 32],
            })
            .collect(),
        published,
    };
    assert!(directory::newest_head(conn).unwrap().is_none());
    directory::save(conn, &epoch(0, vec![])).unwrap();
    directory::save(conn, &epoch(1, vec![(waiting[0].id, 1)])).unwrap();
    directory::save(conn, &epoch(2, vec![(waiting[1].id, 2)])).unwrap();
    assert!(matches!(directory::save(conn, &epoch(2, vec![])), Err(StoreError::Conflict)));
    let head = directory::newest_head(conn).unwrap().unwrap();
    assert_eq!((head.head[0], head.nodes), (2, 3));
    assert_eq!(directory::heads(conn, &[1, 0]).unwrap(), [vec![1; 193], vec![0; 193]]);
    assert!(matches!(directory::heads(conn, &[3]), Err(StoreError::Corrupt(_))));
    for (span, limit, bytes, found) in [
        ((0, 2), 9, 9999, 2),
        ((0, 2), 1, 9999, 1),
        ((0, 2), 9, 203, 1),
        ((0, 9), 9, 9999, 2),
        ((2, 2), 9, 9999, 0),
    ] {
        assert_eq!(directory::grown(conn, span, limit, bytes).unwrap().len(), found, "{span:?}");
    }
    assert_eq!(directory::nodes(conn, &[label(1), label(2)]).unwrap(), [(label(1), vec![2; 9])]);
    assert_eq!(directory::nodes(conn, &[]).unwrap(), []);
    let newest = directory::newest_values(conn, &[[7; 32], [1; 32]]).unwrap();
    assert_eq!(newest.iter().map(|value| (value.version, value.epoch)).collect::<Vec<_>>(), [(2, 2)]);
    let all = directory::values(conn, &[7; 32], 9).unwrap();
    assert_eq!(all.iter().map(|value| value.version).collect::<Vec<_>>(), [2, 1]);

    let of = |entry: &directory::Entry| (entry.said[0], entry.version);
    assert_eq!(directory::newest(conn, &[1; 9]).unwrap().as_ref().map(of), Some((11, Some(1))));
    assert_eq!(directory::newest(conn, &[2; 9]).unwrap().as_ref().map(of), Some((13, None)));
    assert!(directory::newest(conn, &[3; 9]).unwrap().is_none());
    let published = directory::published(conn, &[2; 9], 9).unwrap();
    assert_eq!(published.iter().map(of).collect::<Vec<_>>(), [(12, Some(2))]);
    let said = directory::said_of(conn, alice).unwrap();
    assert_eq!(said.iter().map(of).collect::<Vec<_>>(), [(11, Some(1)), (12, Some(2)), (13, None)]);

    // What is forgotten leaves the tree as it is.
    directory::forget(conn, alice).unwrap();
    assert!(!directory::is_said(conn, alice).unwrap() && directory::newest_head(conn).unwrap().is_some());
    directory::reset(conn).unwrap();
    assert!(directory::newest_head(conn).unwrap().is_none());
    assert_eq!(directory::nodes(conn, &[label(1)]).unwrap(), []);
}
