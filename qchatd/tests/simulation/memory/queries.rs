//! The queries on the database in memory, each as the one of the databases' whose name it has.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use qchat_proto::{
    ids::{DeviceId, RoomId, Seq},
    wire::{frame::Logged, limits},
};
use qchatd::store::{
    RoomQueries, StoreError,
    envelopes::{self, Entry},
    relay::{Changes, Snapshot, Wanted},
    rooms::{Audience, Member, Place, RoomState, Span, Standing},
};

use super::Connection;

impl RoomQueries for Connection {
    fn load(&mut self, wanted: &Wanted) -> Result<Snapshot, StoreError> {
        let tables = &self.tables;
        let mut snapshot = Snapshot::default();
        for room in &wanted.rooms {
            snapshot.rooms.extend(tables.rooms.get(room).map(|(_, state)| (*room, *state)));
        }
        for place in &wanted.places {
            snapshot.members.extend(tables.members.get(place).map(|(member, _)| (*place, member.clone())));
        }
        for device in &wanted.named {
            snapshot.accounts.extend(tables.devices.get(device).map(|(account, _)| (*device, *account)));
        }
        for key in &wanted.envelopes {
            snapshot.accepted.extend(tables.accepted.get(key).map(|seq| (*key, *seq)));
        }
        for (tree, (key, seq)) in &tables.trees {
            if seq.is_none() && wanted.trees.contains(&key.2) {
                snapshot.staged.insert(*key, *tree);
            }
        }
        Ok(snapshot)
    }

    fn save(&mut self, changes: &Changes, _now: i64) -> Result<(), StoreError> {
        let tables = self.tables_mut();
        for new in &changes.envelopes {
            let taken = tables.envelopes.insert((new.room, new.seq), new.logged.clone()).is_some();
            let key = (new.room, new.sender, new.message);
            if taken || tables.accepted.insert(key, new.seq).is_some() {
                return Err(StoreError::Conflict);
            }
        }
        for (room, state) in &changes.rooms {
            if let Some((_, known)) = tables.rooms.get_mut(room) {
                *known = *state;
            }
        }
        for (place, member) in &changes.members {
            put(&mut tables.members, *place, member);
        }
        let changed: BTreeSet<DeviceId> = changes.members.keys().map(|(_, device)| *device).collect();
        for device in changed {
            tables.advance_audience(device);
        }
        for (tree, seq) in &changes.trees {
            match tables.trees.get_mut(tree) {
                Some((_, of @ None)) => *of = Some(*seq),
                _ => return Err(StoreError::Unavailable("a staged tree is gone".into())),
            }
        }
        for (place, welcome) in &changes.welcomes {
            match welcome {
                Some(welcome) => drop(tables.welcomes.insert(*place, welcome.clone())),
                None => drop(tables.welcomes.remove(place)),
            }
        }
        let touched: BTreeSet<RoomId> = changes.welcomes.keys().map(|(room, _)| *room).collect();
        for room in touched {
            tables.drop_unused(room);
        }
        Ok(())
    }

    fn create(&mut self, room: RoomId, creator: &Member, _now: i64) -> Result<bool, StoreError> {
        let tables = self.tables_mut();
        let btree_map::Entry::Vacant(free) = tables.rooms.entry(room) else { return Ok(false) };
        free.insert((creator.device, RoomState { next_seq: Seq(1), commit_seq: Seq(0) }));
        put(&mut tables.members, (room, creator.device), creator);
        tables.advance_audience(creator.device);
        Ok(true)
    }

    fn creator(&mut self, room: RoomId) -> Result<Option<DeviceId>, StoreError> {
        self.turn();
        Ok(self.tables.rooms.get(&room).map(|(creator, _)| *creator))
    }

    fn state(&mut self, room: RoomId) -> Result<Option<RoomState>, StoreError> {
        self.turn();
        Ok(self.tables.rooms.get(&room).map(|(_, state)| *state))
    }

    fn member(&mut self, room: RoomId, device: DeviceId) -> Result<Option<Member>, StoreError> {
        self.turn();
        Ok(self.tables.members.get(&(room, device)).map(|(member, _)| member.clone()))
    }

    fn followers(&mut self, room: RoomId) -> Result<Vec<Member>, StoreError> {
        self.turn();
        let all = self.tables.members.iter().filter(|((of, _), (member, _))| *of == room && member.follows());
        Ok(all.map(|(_, (member, _))| member.clone()).collect())
    }

    fn places(&mut self, room: RoomId, asked: &[DeviceId]) -> Result<Vec<Member>, StoreError> {
        self.turn();
        let asked = asked.iter().collect::<BTreeSet<_>>().into_iter();
        let found = asked.filter_map(|device| self.tables.members.get(&(room, *device)));
        Ok(found.map(|(member, _)| member.clone()).collect())
    }

    fn audiences(&mut self, asked: &[DeviceId]) -> Result<BTreeMap<DeviceId, Audience>, StoreError> {
        let versions = self.audience_versions(asked)?;
        // As the databases do it: two queries, and anything in between.
        self.turn();
        let mut audiences: BTreeMap<DeviceId, Audience> = versions
            .into_iter()
            .map(|(device, version)| (device, Audience { version, places: Vec::new() }))
            .collect();
        for ((room, device), (member, confirmed)) in &self.tables.members {
            if let Some(audience) = audiences.get_mut(device)
                && (member.standing != Standing::Removed
                    || member.reads.until.is_some_and(|until| until > *confirmed))
                && let Some((_, state)) = self.tables.rooms.get(room)
            {
                audience.places.push(Place {
                    room: *room,
                    follows: member.follows(),
                    after: member.reads.after,
                    last: member.reads.until.map_or(state.last_seq(), |until| until.min(state.last_seq())),
                });
            }
        }
        Ok(audiences)
    }

    fn audience_versions(&mut self, asked: &[DeviceId]) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        self.turn();
        let asked = asked.iter().collect::<BTreeSet<_>>().into_iter();
        Ok(asked.filter_map(|device| Some((*device, self.tables.devices.get(device)?.1))).collect())
    }

    fn ahead(&mut self, known: &[(RoomId, Seq)]) -> Result<Vec<RoomId>, StoreError> {
        self.turn();
        let mut ahead: Vec<RoomId> = known
            .iter()
            .filter(|(room, seq)| {
                self.tables.rooms.get(room).is_some_and(|(_, state)| state.last_seq() > *seq)
            })
            .map(|(room, _)| *room)
            .collect();
        ahead.sort_unstable();
        Ok(ahead)
    }

    fn confirm(&mut self, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), StoreError> {
        let tables = self.tables_mut();
        let Some((member, confirmed)) = tables.members.get_mut(&(room, device)) else { return Ok(()) };
        let last = match member.standing {
            Standing::Full => None,
            Standing::Removed if !member.waiting => member.reads.until,
            Standing::Removed | Standing::Invited | Standing::Declined => member.past.until,
        };
        let seq = last.map_or(seq, |last| seq.min(last));
        if *confirmed < seq {
            *confirmed = seq;
            let full = member.standing == Standing::Full;
            if full && tables.welcomes.get(&(room, device)).is_some_and(|welcome| welcome.seq <= seq) {
                tables.welcomes.remove(&(room, device));
                tables.drop_unused(room);
            }
        }
        Ok(())
    }

    fn page(
        &mut self,
        room: RoomId,
        reader: &Member,
        after: Seq,
        bound: Seq,
        limit: u32,
    ) -> Result<envelopes::Page, StoreError> {
        self.turn();
        let (mut page, mut bytes) = (Vec::new(), 0);
        let all = self.tables.envelopes.range((room, after.next())..=(room, Seq(u64::MAX)));
        for ((_, seq), logged) in all.filter(|((_, seq), _)| *seq <= bound && reader.may_read(*seq)) {
            bytes += logged.len();
            if page.len() >= limit as usize || (bytes > limits::PAGE_BYTES && !page.is_empty()) {
                break;
            }
            page.push(Logged { seq: *seq, bytes: logged.clone() });
        }
        Ok(envelopes::Page { envelopes: page, deleted: Seq(0) })
    }

    fn following(
        &mut self,
        known: &BTreeMap<RoomId, Seq>,
        each: u32,
        bytes: usize,
    ) -> Result<(Vec<Entry>, Vec<RoomId>), StoreError> {
        self.turn();
        let (mut entries, mut more, mut size) = (Vec::new(), Vec::new(), 0);
        for (room, seq) in known {
            if size >= bytes {
                more.push(*room);
                continue;
            }
            let before = entries.len();
            let all = self.tables.envelopes.range((*room, seq.next())..=(*room, Seq(u64::MAX)));
            for ((_, seq), logged) in all.take(each as usize) {
                size += logged.len();
                entries.push(Entry { room: *room, seq: *seq, logged: Some(logged.clone()) });
                if size >= bytes {
                    break;
                }
            }
            if entries.len() - before >= each as usize || size >= bytes {
                more.push(*room);
            }
        }
        Ok((entries, more))
    }
}

/// Writes a place; what is confirmed stays. An end that is open in the past is one beyond all.
fn put(
    members: &mut BTreeMap<(RoomId, DeviceId), (Member, Seq)>,
    place: (RoomId, DeviceId),
    member: &Member,
) {
    let confirmed = members.get(&place).map_or(Seq(0), |(_, confirmed)| *confirmed);
    let past = Span { until: Some(member.past.until.unwrap_or(Seq(i64::MAX.unsigned_abs()))), ..member.past };
    members.insert(place, (Member { past, ..member.clone() }, confirmed));
}
