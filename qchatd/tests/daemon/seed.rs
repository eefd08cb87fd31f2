//! A database filled for development: the same each time, with accounts that log in and logs that are read.

use qchat_proto::{
    identity::{AccountRecord, DeviceCertificate, DeviceList},
    wire::{
        api::{Directory, Rooms},
        frame::{Envelope, Kind},
    },
};
use qchatd::service::seed::{Person, Plan};
use serde_json::{Value, json};

use crate::support::{
    Database, Device, Server, Socket,
    device::now,
    on_both, program,
    socket::{Published, envelope},
};

on_both!(a_filled_database_serves_the_devices_of_its_seed, a_database_with_accounts_is_not_filled);

const PLAN: Plan = Plan { accounts: 5, rooms: 3, members: 3, messages: 301, size: 500, seed: 7 };

fn fill(database: &Database) -> std::process::Output {
    let arguments = "admin seed --accounts 5 --rooms 3 --members 3 --messages 301 --size 500 --seed 7 --json";
    program::run(database, &arguments.split(' ').collect::<Vec<_>>())
}

async fn logged_in(server: &Server, person: Person) -> Device {
    let mut device = Device::unregistered(person.name.as_str());
    (device.account, device.id, device.key) = (person.account, person.device, person.key);
    device.moved_to(server);
    device.log_in().await;
    device
}

async fn a_filled_database_serves_the_devices_of_its_seed(database: Database) {
    let output = fill(&database);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts = &told["seeded"];
    assert_eq!((&told["v"], &told["seed"]), (&json!(1), &json!(7)));
    for (what, number) in [("accounts", 5), ("rooms", 3), ("members", 9), ("envelopes", 903)] {
        assert_eq!(counts[what], json!(number), "{told}");
    }
    assert!(counts["bytes"].as_u64().unwrap() > 903 * 500, "{told}");

    let server = Server::start(database).await;
    for room in 1..=PLAN.rooms {
        let id = PLAN.room(room);
        let members: Vec<u32> = PLAN.members(room).collect();
        assert_eq!(members.len(), 3);
        let person = PLAN.person(members[1]).unwrap();
        let expected = person.name.clone();
        let device = logged_in(&server, person).await;

        // Whatever its owner signed is good.
        let directory: Directory = device.get(&format!("/v1/accounts/{}", device.account)).await.unwrap();
        assert_eq!(directory.name, expected);
        let record = AccountRecord::verify(directory.account_record.as_ref()).unwrap();
        DeviceList::verify(directory.device_list.as_ref(), &record.identity_key, now()).unwrap();
        let certificate = directory.device_certificates[0].as_ref();
        let certificate = DeviceCertificate::verify(certificate, &record.identity_key).unwrap();
        assert_eq!(certificate.device, device.id);

        // The log is read from its beginning to its end, and goes on.
        let list: Rooms = device.get("/v1/rooms").await.unwrap();
        assert!(list.rooms.iter().any(|room| room.room_id == id && room.last_seq.0 == 301));
        let mut socket = Socket::connect(&device).await;
        assert_eq!(socket.seqs(id, 0).await, (1..=301).collect::<Vec<_>>());
        let page = socket.page(id, 0, 2).await.unwrap();
        let kinds: Vec<_> = page
            .envelopes
            .iter()
            .map(|logged| Envelope::decode(logged.envelope.clone()).unwrap())
            .map(|envelope| (envelope.kind, envelope.commit_seq.0, envelope.payload.len()))
            .collect();
        assert_eq!(kinds, [(Kind::Commit, 0, 500), (Kind::Application, 1, 500)]);
        let next = socket.publish(&envelope(&device, id, 301, "the next")).await;
        assert_eq!(next, Published::Accepted(302));
    }
}

async fn a_database_with_accounts_is_not_filled(database: Database) {
    let server = Server::start(database).await;
    let alice = Device::register(&server, "alice").await;
    let database = server.stop().await;
    let output = fill(&database);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(6), &b""[..]), "{said}");
    assert!(said.contains("has accounts"), "{said}");
    let server = Server::start(database).await;
    let mut alice = alice;
    alice.moved_to(&server);
    alice.log_in().await;
    assert!(alice.get::<Directory>("/v1/accounts/by-name/user-1").await.is_err());
}

#[test]
fn a_seed_makes_the_same_people_rooms_and_places_each_time() {
    let other = Plan { seed: 8, ..PLAN };
    let of = |plan: &Plan| {
        let person = plan.person(3).unwrap();
        (
            person.account,
            person.device,
            *person.key.public().as_bytes().first_chunk::<64>().unwrap(),
            plan.room(2),
        )
    };
    assert_eq!(of(&PLAN), of(&PLAN.clone()));
    let (mine, others) = (of(&PLAN), of(&other));
    assert!(mine.0 != others.0 && mine.1 != others.1 && mine.2 != others.2 && mine.3 != others.3);
    // More accounts or longer logs leave those that there are as they were.
    assert_eq!(of(&PLAN), of(&Plan { accounts: 50, messages: 9, ..PLAN }));
    assert_eq!(PLAN.members(1).collect::<Vec<_>>(), PLAN.members(1).collect::<Vec<_>>());
    for room in 1..=20 {
        let few: Vec<u32> = Plan { members: 9, ..PLAN }.members(room).collect();
        assert_eq!(few.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "no more than there are");
        assert!(few.iter().all(|number| (1..=5).contains(number)));
    }
}
