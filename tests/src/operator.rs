//! What whoever owns a server can do: have its key directory say of somebody what is not so, and show it to others.

use qchat_proto::{
    identity::{AccountRecord, DeviceList},
    ids::{AccountId, UserName},
    transparency::{AccountEntry, Label, NameEntry},
    wire::api::Directory,
};

use crate::{
    daemon::Daemon,
    proxy::{Answer, Proxy},
};

/// Has the directory say this under a label.
pub fn say(daemon: &Daemon, account: AccountId, label: Label<'_>, said: &[u8]) {
    daemon.execute(&format!(
        "INSERT INTO directory_entries (account_id, label, salt, said) \
         VALUES (x'{account}', x'{}', zeroblob(32), x'{}')",
        hex::encode(label.bytes()),
        hex::encode(said)
    ));
}

/// Has the directory say of an account what this answer says, which everybody finds proved from then on.
pub fn publish(daemon: &Daemon, other: &Directory) {
    let (record, list) = (other.account_record.as_ref(), other.device_list.as_ref());
    let key = AccountRecord::verify(record).expect("a record").identity_key;
    let version = DeviceList::verify(list, &key, 0).expect("a device list").version;
    let entry = AccountEntry::of(other.account_id, record, version, list);
    say(daemon, other.account_id, Label::Account(other.account_id), &entry.encode());
}

/// Has the directory say of an account again what it said at first.
pub fn take_back(daemon: &Daemon, account: AccountId) {
    let label = hex::encode(Label::Account(account).bytes());
    daemon.execute(&format!(
        "INSERT INTO directory_entries (account_id, label, salt, said) \
         SELECT account_id, label, salt, said FROM directory_entries WHERE label = x'{label}' ORDER BY id LIMIT 1"
    ));
}

/// Gives a name to another account, which has had `before` for its name.
pub fn give_name(daemon: &Daemon, name: &UserName, account: AccountId, before: &UserName) {
    daemon.execute(&format!("UPDATE accounts SET name = '{name}-before' WHERE name = '{name}'"));
    daemon.execute(&format!("UPDATE accounts SET name = '{name}' WHERE name = '{before}'"));
    say(daemon, account, Label::Name(name), &NameEntry { account }.encode());
}

/// Shows whoever asks for `name` through the proxy this in the place of what is so, with the proof that the daemon gives.
pub fn show(proxy: &Proxy, name: &str, other: &Directory) {
    let (path, other) = (format!("/v1/accounts/by-name/{name}"), other.clone());
    proxy.at_requests(
        move |request| {
            if request.is("GET", &path) { Answer::other_account(&other) } else { Answer::Genuine }
        },
    );
}
