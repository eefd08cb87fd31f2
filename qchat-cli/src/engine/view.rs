//! From what is stored to what is shown. Names become fit for a line of a terminal here; bodies stay as they were
//! sent, and whoever draws them sanitizes them.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use qchat_proto::{
    content::{self, Content, Exercise, ExerciseStep, KeyStep, Role, SharedKey},
    identity::Topic,
    ids::{AccountId, DeviceId, RoomId, Seq},
    mls::psk::PskKind,
    sanitize,
    session::ledger::{Ledger, Notice, Phase},
    wire::api::MemberStatus,
};
use qchat_quantum::bb84::joint::wire;

use super::{
    clock, said, shared_keys,
    types::{
        Body, ChangeMade, Delivery, Marks, Member, Message, MixedKey, OfferedKey, RoomDetails, RoomMarks,
        RoomStatus, RoomSummary, Sender,
    },
};
use crate::store::{self, InvitationRow, Line, LineBody, Progress, RoomRow, Standing, StoreError, Tx};

/// Longest name shown, characters.
const NAME: usize = 64;
/// Longest topic that is shown, characters.
const TOPIC: usize = 256;

/// Names of accounts, looked up once per page.
pub(crate) struct Names {
    pub(super) me: AccountId,
    known: HashMap<AccountId, Who>,
    hidden: HashMap<AccountId, bool>,
    progress: HashMap<RoomId, Vec<Progress>>,
}

/// An account as it is shown.
#[derive(Clone)]
struct Who {
    name: String,
    verified: bool,
    changed: bool,
}

impl Names {
    pub(crate) fn new(me: AccountId) -> Self {
        Self { me, known: HashMap::new(), hidden: HashMap::new(), progress: HashMap::new() }
    }

    /// The account's name, and how far it is trusted.
    fn of(&mut self, tx: &mut Tx, account: AccountId) -> Result<Who, StoreError> {
        if let Some(known) = self.known.get(&account) {
            return Ok(known.clone());
        }
        let found = match tx.contact(account)? {
            Some(contact) => {
                let standing = contact.standing();
                Who {
                    name: contact.name.to_string(),
                    verified: standing == Standing::Verified || account == self.me,
                    changed: standing == Standing::Changed,
                }
            }
            None => Who { name: format!("account {account}"), verified: false, changed: false },
        };
        self.known.insert(account, found.clone());
        Ok(found)
    }

    pub(super) fn name(&mut self, tx: &mut Tx, account: AccountId) -> Result<String, StoreError> {
        Ok(self.of(tx, account)?.name)
    }

    /// Whom a message of this account has reached, by name: those who have stored it, and those who have seen it.
    fn reached(
        &mut self,
        tx: &mut Tx,
        room: RoomId,
        seq: Seq,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let me = self.me;
        let all = match self.progress.entry(room) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(tx.progress(room)?),
        };
        let by = |far: fn(&Progress) -> Seq| {
            let others = all.iter().filter(|progress| progress.account != me && progress.since < seq);
            let mut accounts: Vec<_> =
                others.filter(|progress| far(progress) >= seq).map(|progress| progress.account).collect();
            accounts.dedup();
            accounts
        };
        let (stored, seen) =
            (by(|progress| progress.receipt.delivered), by(|progress| progress.receipt.read));
        let (stored, seen) = (self.shown(tx, stored)?, self.shown(tx, seen)?);
        Ok((self.each(tx, &stored)?, self.each(tx, &seen)?))
    }

    /// Whether the user has blocked an account: whatever it says is shown to nobody here, be it a line of its own, which the store
    /// passes over, or something that is shown beside what others say.
    pub(super) fn hides(&mut self, tx: &mut Tx, account: AccountId) -> Result<bool, StoreError> {
        if let Some(hidden) = self.hidden.get(&account) {
            return Ok(*hidden);
        }
        let hidden = tx.is_blocked(account)?;
        self.hidden.insert(account, hidden);
        Ok(hidden)
    }

    /// Those of these accounts of whom something is shown.
    pub(super) fn shown(
        &mut self,
        tx: &mut Tx,
        accounts: impl IntoIterator<Item = AccountId>,
    ) -> Result<Vec<AccountId>, StoreError> {
        let mut shown = vec![];
        for account in accounts {
            if !self.hides(tx, account)? {
                shown.push(account);
            }
        }
        Ok(shown)
    }

    pub(super) fn each(&mut self, tx: &mut Tx, accounts: &[AccountId]) -> Result<Vec<String>, StoreError> {
        accounts.iter().map(|&account| self.name(tx, account)).collect()
    }

    fn list(&mut self, tx: &mut Tx, accounts: &[AccountId]) -> Result<String, StoreError> {
        Ok(self.each(tx, accounts)?.join(", "))
    }
}

/// What a room is called: a conversation of two by the other one.
pub(crate) fn name(tx: &mut Tx, row: &RoomRow) -> Result<String, StoreError> {
    let name = match (&row.settings, peer(tx, row)?) {
        (_, Some(name)) => format!("@{name}"),
        (Some(settings), None) => settings.name.clone(),
        (None, None) => "(unnamed)".to_owned(),
    };
    Ok(sanitize::name(&name, NAME))
}

/// A joined room in a list. `noted`: all that the user has noted.
pub(crate) fn summary(tx: &mut Tx, noted: &HashSet<Topic>, row: &RoomRow) -> Result<RoomSummary, StoreError> {
    let status = match row.state.phase {
        Phase::Member => RoomStatus::Joined,
        Phase::Leaving(_) | Phase::Left(_) => RoomStatus::Left,
        Phase::Stuck(_) => RoomStatus::Stuck,
        Phase::Removed(_) => RoomStatus::Removed,
    };
    let blocked_by = match status {
        RoomStatus::Joined => tx.changed_member(row.state.room)?.map(|name| name.to_string()),
        _ => None,
    };
    Ok(RoomSummary {
        id: row.state.room,
        name: name(tx, row)?,
        direct: row.settings.as_ref().is_some_and(|settings| settings.direct),
        status,
        unread: row.unread,
        read: Some(row.read_seq),
        mentions: row.mentions,
        marks: marks(noted, row.state.room),
        invited_by: None,
        last_activity: row.active_ms.map(clock::from_millis),
        blocked_by,
    })
}

/// What the user has noted of a room, of all that is noted.
pub(super) fn marks(noted: &HashSet<Topic>, room: RoomId) -> RoomMarks {
    RoomMarks {
        archived: noted.contains(&Topic::Archived(room)),
        muted: noted.contains(&Topic::Muted(room)),
        favourite: noted.contains(&Topic::Favourite(room)),
    }
}

/// Whom this account talks to, where the room is a conversation of two.
fn peer(tx: &mut Tx, row: &RoomRow) -> Result<Option<String>, StoreError> {
    let Some(settings) = row.settings.as_ref().filter(|settings| settings.direct) else { return Ok(None) };
    let Some(me) = tx.identity()?.map(|identity| identity.account) else { return Ok(None) };
    let other = settings.admins.iter().find(|admin| **admin != me);
    Ok(other.map(|other| tx.contact(*other)).transpose()?.flatten().map(|contact| contact.name.to_string()))
}

/// An invitation in a list.
pub(crate) fn invitation(
    tx: &mut Tx,
    names: &mut Names,
    row: &InvitationRow,
) -> Result<RoomSummary, StoreError> {
    Ok(RoomSummary {
        id: row.room,
        name: if row.direct {
            format!("@{}", names.name(tx, row.inviter)?)
        } else {
            sanitize::name(row.name.as_deref().unwrap_or("(unnamed)"), NAME)
        },
        direct: row.direct,
        status: RoomStatus::Invited,
        unread: 0,
        read: None,
        mentions: 0,
        marks: RoomMarks::default(),
        invited_by: Some(names.name(tx, row.inviter)?),
        last_activity: None,
        blocked_by: None,
    })
}

/// A joined room with its members. `statuses`: who the daemon says has not joined yet; it is believed only about those
/// whose coming this device has not seen.
pub(crate) fn details(
    tx: &mut Tx,
    names: &mut Names,
    row: &RoomRow,
    statuses: &HashMap<DeviceId, MemberStatus>,
) -> Result<RoomDetails, StoreError> {
    let room = row.state.room;
    let invitees = tx.invitees(room)?;
    let mut members: Vec<Member> = vec![];
    for listed in tx.roster(room)? {
        let invited = match tx.counter(room, listed.device)? {
            Some(_) => invitees.iter().any(|invitee| invitee.device == listed.device),
            None => statuses.get(&listed.device) == Some(&MemberStatus::Invited),
        };
        if let Some(member) = members.iter_mut().find(|member| member.account == listed.account) {
            member.devices += 1;
            member.invited &= invited;
            continue;
        }
        let Who { name, verified, changed } = names.of(tx, listed.account)?;
        let role = row.settings.as_ref().map_or(Role::Member, |settings| settings.role(listed.account));
        let profile = match (listed.account == names.me, names.hides(tx, listed.account)?) {
            (true, _) => tx.noted(Topic::Profile)?.and_then(|note| content::Profile::decode(&note.value)),
            (false, true) => None,
            (false, false) => tx.profile_of(listed.account)?,
        };
        let display_name =
            profile.map(|profile| sanitize::name(&profile.name, NAME)).filter(|name| !name.is_empty());
        members.push(Member {
            account: listed.account,
            name,
            devices: 1,
            display_name,
            role,
            invited,
            verified,
            changed,
        });
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    let settings = row.settings.as_ref();
    let banned = settings.map(|settings| settings.banned.as_slice()).unwrap_or_default();
    let noted = tx.all_noted()?;
    Ok(RoomDetails {
        summary: summary(tx, &noted, row)?,
        members,
        topic: settings.map(|settings| sanitize::name(&settings.topic, TOPIC)).unwrap_or_default(),
        banned: names.each(tx, banned)?,
        epoch: row.state.epoch,
        expire_after: settings.and_then(|settings| settings.expire_after),
        cursor: row.state.cursor,
        waiting: tx.waiting_len(room)?,
        keys_renewed: tx.renewal(room)?.map(|renewal| clock::from_seconds(renewal.at)),
        mixed_key: tx.mixed_key(room)?.map(|mixed| MixedKey { kind: mixed.id.kind, since: mixed.epoch }),
        offered_keys: offered_keys(tx, names, room)?,
    })
}

fn offered_keys(tx: &mut Tx, names: &mut Names, room: RoomId) -> Result<Vec<OfferedKey>, StoreError> {
    let Some(own) = tx.identity()?.map(|identity| identity.device) else { return Ok(vec![]) };
    let mut keys = vec![];
    for offer in shared_keys::shown_offers(tx, names, room)? {
        keys.push(OfferedKey {
            kind: offer.id.kind,
            key: shared_keys::key_of(&offer),
            by: names.name(tx, offer.account)?,
            waits_for: shared_keys::waits_for(tx, room, own, &offer)?,
        });
    }
    Ok(keys)
}

/// What a device has said of a key from elsewhere, as a sentence.
fn of_a_key(who: &str, me: bool, said: &SharedKey) -> Body {
    let key = shared_keys::short(&said.id);
    let who = if me { "you" } else { who };
    let s = if me { "" } else { "s" };
    match said.step {
        KeyStep::Offered { .. } if said.id.kind == PskKind::Exercise => Body::Notice(format!(
            "{who} offer{s} the key {key} of a simulated run of BB84, which adds no secrecy: the other end of the run takes it"
        )),
        KeyStep::Offered { .. } if me => Body::Notice(format!("you offer the key {key} of a quantum link")),
        KeyStep::Offered { .. } => Body::Notice(format!(
            "{who} offers the key {key} of a quantum link: `qchat room psk accept` takes it"
        )),
        KeyStep::Held { .. } => Body::Notice(format!("{who} hold{s} the key {key}")),
        KeyStep::GivenUp { differs: false } => {
            Body::Notice(format!("{who} gave up the key {key}: the room goes on without it"))
        }
        KeyStep::GivenUp { differs: true } => Body::Warning(format!(
            "{who} gave up the key {key}: the two ends have different keys under this id. The room goes on without it; check that both KMEs are the ends of one link"
        )),
    }
}

/// What a device has said of a simulated run of BB84, as a sentence; `whom`: who was asked.
fn of_an_exercise(who: &str, me: bool, whom: &str, said: &Exercise) -> String {
    let (who, s, has) = if me { ("you", "", "have") } else { (who, "s", "has") };
    match &said.step {
        ExerciseStep::Asked { terms, mixes, .. } => {
            let pulses = match wire::decode_terms(terms, 0) {
                Ok(settings) => format!("{} pulses", settings.qubits),
                Err(_) => "of a kind that this version does not know".to_owned(),
            };
            let then = if *mixes { ", whose key is then mixed in and adds no secrecy" } else { "" };
            let how = if me { "" } else { ": `qchat quantum answer` takes part, or declines" };
            format!("{who} ask{s} {whom} for a simulated run of BB84 ({pulses}){then}{how}")
        }
        ExerciseStep::Agreed => format!("{who} take{s} part in a simulated run of BB84"),
        ExerciseStep::Part { .. } => "a part of a simulated run of BB84".to_owned(),
        ExerciseStep::Ended { declined: true, .. } => format!("{who} {has} declined the run of BB84"),
        ExerciseStep::Ended { key_bits: 0, .. } => {
            format!("the simulated run of BB84 is over for {who}: no key")
        }
        ExerciseStep::Ended { key_bits, .. } => format!(
            "the simulated run of BB84 is over for {who}: a key of {key_bits} bits, no more secret than this room"
        ),
    }
}

/// A line of a timeline.
pub(crate) fn line(tx: &mut Tx, names: &mut Names, line: Line) -> Result<Message, StoreError> {
    let Line { row, room, seq, epoch, stored_ms, delivery, body } = line;
    let delivery = match delivery {
        store::Delivery::Pending => Delivery::Pending,
        store::Delivery::Sent => Delivery::Sent,
        store::Delivery::Failed => Delivery::Failed,
    };
    let stored = clock::from_millis(stored_ms);
    let message = |id, sender, sent_at, body, marks| Message {
        row,
        room,
        seq,
        id,
        sender,
        sent_at,
        epoch,
        body,
        delivery,
        marks,
    };
    match body {
        LineBody::Message { id, account, device, content, state, mentions_me, expires_ms } => {
            let Who { name, verified, changed } = names.of(tx, account)?;
            let sender = Sender { account, name, device, me: account == names.me, verified, changed };
            if let Some(by) = state.deleted_by() {
                // What it said is gone, and when it was written with it.
                let body = Body::Deleted(names.name(tx, by)?);
                return Ok(message(Some(id), Some(sender), stored, body, Marks::default()));
            }
            let Ok(content) = Content::decode(&content) else {
                return Ok(message(Some(id), Some(sender), stored, Body::Unknown, Marks::default()));
            };
            let mut marks = said::marks(tx, names, room, (&content, &state))?;
            marks.mentions_me = mentions_me;
            marks.expires_at = expires_ms.map(clock::from_millis);
            if let Some(seq) = seq.filter(|_| sender.me) {
                (marks.delivered_to, marks.read_by) = names.reached(tx, room, seq)?;
            }
            let body = match content.body {
                content::Body::Text(text) => match state.edited() {
                    Some(edited) => Body::Text(edited.text.clone()),
                    None => Body::Text(text),
                },
                content::Body::SharedKey(said) => of_a_key(&sender.name, sender.me, &said),
                content::Body::Exercise(said) => {
                    let whom = match &said.step {
                        ExerciseStep::Asked { account, .. } if *account == names.me => "you".to_owned(),
                        ExerciseStep::Asked { account, .. } => names.name(tx, *account)?,
                        _ => String::new(),
                    };
                    Body::Notice(of_an_exercise(&sender.name, sender.me, &whom, &said))
                }
                content::Body::Poll(poll) => Body::Poll(said::poll(tx, names, &poll, &state)?),
                content::Body::Attachment(file) => Body::File(said::file(&file, &state)),
                content::Body::Joined
                | content::Body::Change(_)
                | content::Body::Receipt(_)
                | content::Body::Profile(_)
                | content::Body::Unknown => Body::Unknown,
            };
            Ok(message(Some(id), Some(sender), clock::from_millis(content.sent_at_ms), body, marks))
        }
        LineBody::Change { id, account, of, content } => {
            let by = names.name(tx, account)?;
            let kind = said::kind(&content);
            let changed = match tx.message(room, of)? {
                Some(line) => Some(self::line(tx, names, line)?),
                None => None,
            };
            let mut shown = changed
                .unwrap_or_else(|| message(Some(of.id), None, stored, Body::Unknown, Marks::default()));
            // Whoever reads on goes on from the change.
            (shown.row, shown.delivery) = (row, delivery);
            shown.marks.change = kind.map(|kind| ChangeMade { id, seq, by, kind });
            Ok(shown)
        }
        LineBody::Notice(said) => {
            Ok(message(None, None, stored, notice(tx, names, room, &said)?, Marks::default()))
        }
    }
}

/// Which of a member's devices came and went, and who took some out if it was not the member.
fn devices_changed(whose: &str, by: Option<&str>, added: usize, removed: usize) -> String {
    let devices = |count: usize| if count == 1 { "a device".to_owned() } else { format!("{count} devices") };
    let gone = match by {
        Some(by) => format!("{by} removed {} of {whose}", devices(removed)),
        None => format!("{whose} removed {}", devices(removed)),
    };
    let new = if added == 1 { "a new device".to_owned() } else { format!("{added} new devices") };
    match (added, removed) {
        // As it was stored before this was counted.
        (0, 0) => format!("the devices of {whose} have changed"),
        (_, 0) => format!("{whose} has {new}"),
        (0, _) => gone,
        _ => format!("{whose} has {new}; {gone}"),
    }
}

fn notice(tx: &mut Tx, names: &mut Names, room: RoomId, notice: &Notice) -> Result<Body, StoreError> {
    let device_owner = |tx: &mut Tx, names: &mut Names, device: DeviceId| {
        let owner = tx.roster(room)?.into_iter().find(|listed| listed.device == device);
        match owner {
            Some(listed) => names.name(tx, listed.account),
            None => Ok(format!("device {device}")),
        }
    };
    Ok(match notice {
        Notice::Added { by, accounts } => {
            Body::Notice(format!("{} invited {}", names.name(tx, *by)?, names.list(tx, accounts)?))
        }
        Notice::Removed { by, accounts } if accounts.contains(&names.me) => Body::Notice(format!(
            "{} removed you; messages from here on cannot be read",
            names.name(tx, *by)?
        )),
        Notice::Removed { by, accounts } => {
            Body::Notice(format!("{} removed {}", names.name(tx, *by)?, names.list(tx, accounts)?))
        }
        Notice::Left { accounts } if accounts.contains(&names.me) => {
            Body::Notice("you left; messages from here on cannot be read".to_owned())
        }
        Notice::Left { accounts } => Body::Notice(format!("{} left", names.list(tx, accounts)?)),
        Notice::Joined(account) => Body::Notice(format!("{} has joined", names.name(tx, *account)?)),
        Notice::DevicesChanged { by, account, added, removed } => {
            let (whose, by_whom) = (names.name(tx, *account)?, names.name(tx, *by)?);
            Body::Notice(devices_changed(&whose, (by != account).then_some(&*by_whom), *added, *removed))
        }
        Notice::RevokedAdded { by, account } => Body::Warning(format!(
            "{} added a device of {} that {1} has revoked: it reads what is said here until one of {1}'s devices, or an \
             admin, removes it",
            names.name(tx, *by)?,
            names.name(tx, *account)?
        )),
        Notice::Settings(by) => Body::Notice(format!("{} changed the room's settings", names.name(tx, *by)?)),
        Notice::Rejected { sender, reason } => Body::Warning(format!(
            "an envelope in the name of {} was skipped: {reason}",
            device_owner(tx, names, *sender)?
        )),
        Notice::Gap { device, missing } => Body::Warning(format!(
            "{missing} messages of {} never arrived here: the server dropped them",
            device_owner(tx, names, *device)?
        )),
        Notice::Clone => Body::Warning(
            "someone sent with a copy of this device's keys, or a member pretends so. If it was not you who \
             restored a copy of this profile, register a new device"
                .to_owned(),
        ),
        Notice::Stuck { reason } => Body::Warning(format!(
            "this device cannot follow the room any more ({reason}); it asks the others to add it again"
        )),
        Notice::Readded(device) if tx.identity()?.is_some_and(|own| own.device == *device) => Body::Notice(
            "this device was added again and follows the room; what was said meanwhile cannot be read here"
                .to_owned(),
        ),
        Notice::Readded(device) => {
            Body::Notice(format!("a device of {} was added again", device_owner(tx, names, *device)?))
        }
        Notice::Restarted(by) if *by == names.me => Body::Notice(
            "you restarted the room: all who came along have new keys, and nobody else reads what follows"
                .to_owned(),
        ),
        Notice::Restarted(by) => Body::Notice(format!(
            "{} restarted the room: what some said before that could not be read by all",
            names.name(tx, *by)?
        )),
        Notice::KeyMixed { by, kind, epoch } => {
            let who = if *by == names.me { "you".to_owned() } else { names.name(tx, *by)? };
            if *kind == PskKind::Exercise {
                return Ok(Body::Notice(format!(
                    "{who} mixed the key of a simulated run of BB84 in, from epoch {epoch} on: an exercise, which makes nothing \
                     here more secret"
                )));
            }
            Body::Notice(format!(
                "{who} mixed a key of a quantum link in: from epoch {epoch} on nobody reads this room without it"
            ))
        }
        Notice::KeyDiffers(device) => Body::Warning(format!(
            "a device of {} has another key under the id of the one that you offered: it was not mixed in, and the room goes on as it was. Check that both KMEs are the ends of one link, then offer another with `qchat room psk add`",
            device_owner(tx, names, *device)?
        )),
        Notice::SplitView { device, epoch } => Body::Warning(format!(
            "the server has shown a device of {} another key directory than this one, at epoch {epoch}: it may be giving \
             people false keys, or that device lies. `qchat keys audit` says more",
            device_owner(tx, names, *device)?
        )),
        Notice::ResyncAsked(device) => {
            Body::Notice(format!("a device of {} asks to be added again", device_owner(tx, names, *device)?))
        }
        Notice::IdentityChanged { account, by_recovery_key } => {
            let name = names.name(tx, *account)?;
            let who = if *by_recovery_key {
                "whoever has their recovery words made the new one"
            } else {
                "anybody may have made the new one"
            };
            Body::Warning(format!(
                "the identity key of {name} has changed: {who}. Nothing is sent here until you accept it \
                 (`qchat verify {name} --accept`) or they are removed"
            ))
        }
        Notice::IdentityAccepted(account) => Body::Notice(format!(
            "you accepted the changed identity of {}, who is not verified",
            names.name(tx, *account)?
        )),
    })
}
