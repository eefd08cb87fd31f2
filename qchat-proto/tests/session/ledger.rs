//! A ledger in memory whose transactions are clones.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use qchat_proto::{
    content::RoomSettings,
    crypto::secret::Secret,
    identity::DeviceList,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{
        device::OwnKeyPackage,
        group::Group,
        psk::{Psk, PskId},
    },
    session::{
        ledger::{
            Asked, GroupBlob, GroupUpdate, Head, Invitee, Ledger, ListedDevice, Notice, OpenedMessage,
            OutboxRow, OwnRequest, Renewal, RoomState, RowState, Want,
        },
        shared_key::{MixedKey, Offer},
    },
};
use zeroize::Zeroizing;

/// The ratchet trees of all ledgers of a test: a tree goes ahead of its commit, and nothing here can lose it.
pub(crate) mod trees {
    use std::{cell::RefCell, collections::HashMap};

    use bytes::Bytes;
    use qchat_proto::wire::tree::TreeHash;

    thread_local! {
        static KEPT: RefCell<HashMap<TreeHash, Bytes>> = RefCell::default();
    }

    pub(crate) fn keep(tree: &Bytes) {
        KEPT.with_borrow_mut(|kept| kept.insert(TreeHash::of(tree), tree.clone()));
    }

    /// What a device has put there under this name.
    pub(crate) fn put(hash: TreeHash) -> Bytes {
        KEPT.with_borrow(|kept| kept.get(&hash).cloned()).expect("a tree is kept before its commit is sent")
    }

    /// For tests that go through many rooms.
    pub(crate) fn clear() {
        KEPT.with_borrow_mut(HashMap::clear);
    }
}

#[derive(Clone, Default)]
pub(crate) struct Memory {
    rooms: HashMap<RoomId, Room>,
    /// The newest device list that is known of each account.
    pub(crate) device_lists: HashMap<AccountId, DeviceList>,
    /// Secrets of the KeyPackages in requests to be added again.
    pub(crate) key_packages: Vec<Keys>,
    /// Groups in memory, each with the stored group that it was kept for. Every clone sees them, as every transaction
    /// of a process does, whether it was committed or not.
    kept: Arc<Mutex<HashMap<RoomId, Kept>>>,
}

type Keys = Arc<(Vec<u8>, Zeroizing<Vec<u8>>)>;
type Kept = (Arc<GroupBlob>, Group);

#[derive(Clone, Default)]
pub(crate) struct Room {
    pub(crate) state: Option<RoomState>,
    /// Shared: wiping every copy takes most of the time of an unoptimised test.
    group: Option<Arc<GroupBlob>>,
    pub(crate) psks: Vec<(PskId, [u8; 32])>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) mixed: Option<MixedKey>,
    pub(crate) settings: Option<RoomSettings>,
    heads: BTreeMap<Seq, Head>,
    counters: HashMap<DeviceId, u64>,
    pub(crate) listed: Vec<ListedDevice>,
    pub(crate) roster: Vec<ListedDevice>,
    lapsed: Vec<DeviceId>,
    pub(crate) invitees: Vec<Invitee>,
    added_at: HashMap<DeviceId, Seq>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) request: Option<OwnRequest>,
    prepared: Option<GroupBlob>,
    renewal: Option<Renewal>,
    pub(crate) outbox: VecDeque<OutboxRow>,
    own: HashMap<MessageId, Head>,
    pub(crate) messages: Vec<OpenedMessage>,
    pub(crate) settled: Vec<(Seq, MessageId)>,
    pub(crate) failed: Vec<MessageId>,
    pub(crate) notices: Vec<(Seq, Notice)>,
}

impl Memory {
    pub(crate) fn view(&self, room: RoomId) -> Room {
        self.rooms.get(&room).cloned().unwrap_or_default()
    }

    pub(crate) fn add_psk(&mut self, room: RoomId, id: PskId, secret: [u8; 32]) {
        self.at(room).psks.push((id, secret));
    }

    pub(crate) fn group_of(&self, room: RoomId) -> Option<Arc<GroupBlob>> {
        self.rooms.get(&room)?.group.clone()
    }

    fn at(&mut self, room: RoomId) -> &mut Room {
        self.rooms.entry(room).or_default()
    }
}

type Done<T> = Result<T, Infallible>;

impl Ledger for Memory {
    type Error = Infallible;

    fn room(&mut self, room: RoomId) -> Done<Option<RoomState>> {
        Ok(self.at(room).state.clone())
    }
    fn put_room(&mut self, state: &RoomState) -> Done<()> {
        self.at(state.room).state = Some(state.clone());
        Ok(())
    }
    fn group(&mut self, room: RoomId) -> Done<Option<GroupBlob>> {
        Ok(self.at(room).group.as_deref().cloned())
    }
    fn put_group(&mut self, room: RoomId, update: &GroupUpdate) -> Done<()> {
        let tree = update.tree.clone().or_else(|| self.group_of(room).map(|old| old.tree.clone()));
        let blob = GroupBlob { state: update.state.clone(), tree: tree.unwrap_or_default() };
        self.at(room).group = Some(Arc::new(blob));
        Ok(())
    }
    fn forget_group(&mut self, room: RoomId) -> Done<()> {
        self.at(room).group = None;
        Ok(())
    }
    fn device_list(&mut self, account: AccountId) -> Done<Option<DeviceList>> {
        Ok(self.device_lists.get(&account).cloned())
    }

    fn psks(&mut self, room: RoomId) -> Done<Vec<Psk>> {
        let psks = &self.at(room).psks;
        Ok(psks.iter().map(|&(id, secret)| Psk { id, secret: Secret::from_bytes(secret) }).collect())
    }
    fn put_psk(&mut self, room: RoomId, psk: &Psk) -> Done<()> {
        self.forget_psk(room, psk.id)?;
        self.add_psk(room, psk.id, *psk.secret.expose());
        Ok(())
    }
    fn forget_psk(&mut self, room: RoomId, id: PskId) -> Done<()> {
        self.at(room).psks.retain(|(known, _)| *known != id);
        Ok(())
    }
    fn psk_offers(&mut self, room: RoomId) -> Done<Vec<Offer>> {
        Ok(self.at(room).offers.clone())
    }
    fn put_psk_offer(&mut self, room: RoomId, offer: &Offer) -> Done<()> {
        self.forget_psk_offer(room, offer.device)?;
        self.at(room).offers.push(offer.clone());
        Ok(())
    }
    fn forget_psk_offer(&mut self, room: RoomId, device: DeviceId) -> Done<()> {
        self.at(room).offers.retain(|offer| offer.device != device);
        Ok(())
    }
    fn put_mixed_key(&mut self, room: RoomId, mixed: MixedKey) -> Done<()> {
        self.at(room).mixed = Some(mixed);
        Ok(())
    }
    fn take_kept(&mut self, room: RoomId) -> Done<Option<Group>> {
        let kept = self.kept.lock().unwrap().remove(&room);
        let stored = self.group_of(room);
        Ok(kept
            .and_then(|(of, group)| stored.is_some_and(|stored| Arc::ptr_eq(&of, &stored)).then_some(group)))
    }
    fn keep(&mut self, room: RoomId, group: Group) -> Done<()> {
        if let Some(stored) = self.group_of(room) {
            self.kept.lock().unwrap().insert(room, (stored, group));
        }
        Ok(())
    }
    fn put_settings(&mut self, room: RoomId, settings: &RoomSettings) -> Done<()> {
        self.at(room).settings = Some(settings.clone());
        Ok(())
    }
    fn head(&mut self, room: RoomId, seq: Seq) -> Done<Option<Head>> {
        Ok(self.at(room).heads.get(&seq).copied())
    }
    fn put_head(&mut self, room: RoomId, seq: Seq, head: &Head) -> Done<()> {
        self.at(room).heads.insert(seq, *head);
        Ok(())
    }
    fn last_head_but(&mut self, room: RoomId, other: &Head, until: Seq) -> Done<Option<Seq>> {
        let known = self.at(room).heads.range(..=until).rev().find(|(_, head)| *head != other);
        Ok(known.map(|(seq, _)| *seq))
    }
    fn forget_heads_below(&mut self, room: RoomId, seq: Seq) -> Done<()> {
        self.at(room).heads.retain(|&known, _| known >= seq);
        Ok(())
    }
    fn counter(&mut self, room: RoomId, device: DeviceId) -> Done<Option<u64>> {
        Ok(self.at(room).counters.get(&device).copied())
    }
    fn put_counter(&mut self, room: RoomId, device: DeviceId, counter: u64) -> Done<()> {
        self.at(room).counters.insert(device, counter);
        Ok(())
    }
    fn forget_counters(&mut self, room: RoomId, devices: &[DeviceId]) -> Done<()> {
        self.at(room).counters.retain(|device, _| !devices.contains(device));
        Ok(())
    }
    fn listed(&mut self, room: RoomId) -> Done<Vec<ListedDevice>> {
        Ok(self.at(room).listed.clone())
    }
    fn put_listed(&mut self, room: RoomId, listed: &[ListedDevice]) -> Done<()> {
        self.at(room).listed = listed.to_vec();
        Ok(())
    }
    fn put_roster(&mut self, room: RoomId, roster: &[ListedDevice]) -> Done<()> {
        self.at(room).roster = roster.to_vec();
        Ok(())
    }
    fn lapsed(&mut self, room: RoomId) -> Done<Vec<DeviceId>> {
        Ok(self.at(room).lapsed.clone())
    }
    fn invitees(&mut self, room: RoomId) -> Done<Vec<Invitee>> {
        Ok(self.at(room).invitees.clone())
    }

    fn put_invitees(&mut self, room: RoomId, invitees: &[Invitee]) -> Done<()> {
        self.at(room).invitees = invitees.to_vec();
        Ok(())
    }

    fn renewal(&mut self, room: RoomId) -> Done<Option<Renewal>> {
        Ok(self.at(room).renewal)
    }

    fn put_renewal(&mut self, room: RoomId, renewal: Renewal) -> Done<()> {
        self.at(room).renewal = Some(renewal);
        Ok(())
    }

    fn put_lapsed(&mut self, room: RoomId, devices: &[DeviceId]) -> Done<()> {
        self.at(room).lapsed = devices.to_vec();
        Ok(())
    }
    fn added_at(&mut self, room: RoomId, device: DeviceId) -> Done<Option<Seq>> {
        Ok(self.at(room).added_at.get(&device).copied())
    }
    fn put_added_at(&mut self, room: RoomId, device: DeviceId, seq: Seq) -> Done<()> {
        self.at(room).added_at.insert(device, seq);
        Ok(())
    }
    fn asked(&mut self, room: RoomId) -> Done<Vec<Asked>> {
        Ok(self.at(room).asked.clone())
    }
    fn put_asked(&mut self, room: RoomId, asked: &[Asked]) -> Done<()> {
        self.at(room).asked = asked.to_vec();
        Ok(())
    }
    fn request(&mut self, room: RoomId) -> Done<Option<OwnRequest>> {
        Ok(self.at(room).request.clone())
    }
    fn put_request(&mut self, room: RoomId, request: &OwnRequest) -> Done<()> {
        self.at(room).request = Some(request.clone());
        Ok(())
    }
    fn forget_request(&mut self, room: RoomId) -> Done<()> {
        self.at(room).request = None;
        Ok(())
    }
    fn prepared(&mut self, room: RoomId) -> Done<Option<GroupBlob>> {
        Ok(self.at(room).prepared.clone())
    }
    fn put_prepared(&mut self, room: RoomId, group: &GroupBlob) -> Done<()> {
        self.at(room).prepared = Some(group.clone());
        Ok(())
    }
    fn forget_prepared(&mut self, room: RoomId) -> Done<()> {
        self.at(room).prepared = None;
        Ok(())
    }
    fn keep_key_package(&mut self, key_package: &OwnKeyPackage, _expires_at: u64) -> Done<()> {
        self.key_packages.push(Arc::new((key_package.id.clone(), key_package.secret.clone())));
        Ok(())
    }
    fn outbox_first(&mut self, room: RoomId) -> Done<Option<OutboxRow>> {
        Ok(self.at(room).outbox.front().cloned())
    }
    fn outbox_rows(&mut self, room: RoomId, most: usize) -> Done<Vec<OutboxRow>> {
        Ok(self.at(room).outbox.iter().take(most).cloned().collect())
    }
    fn outbox_row(&mut self, room: RoomId, id: MessageId) -> Done<Option<OutboxRow>> {
        Ok(self.at(room).outbox.iter().find(|row| row.message_id == id).cloned())
    }
    fn outbox_has_application(&mut self, room: RoomId) -> Done<bool> {
        Ok(self.at(room).outbox.iter().any(|row| matches!(row.want, Want::Application(_))))
    }
    fn outbox_push_back(&mut self, room: RoomId, row: &OutboxRow) -> Done<()> {
        self.at(room).outbox.push_back(row.clone());
        Ok(())
    }
    fn outbox_push_front(&mut self, room: RoomId, row: &OutboxRow) -> Done<()> {
        self.at(room).outbox.push_front(row.clone());
        Ok(())
    }
    fn outbox_put_tree(&mut self, _room: RoomId, _id: MessageId, tree: &Bytes) -> Done<()> {
        trees::keep(tree);
        Ok(())
    }
    fn outbox_tree(&mut self, room: RoomId, id: MessageId) -> Done<Option<Bytes>> {
        let row = self.outbox_row(room, id)?;
        Ok(row.and_then(|row| match row.state {
            RowState::Sealed(sealed) => sealed.tree.map(trees::put),
            _ => None,
        }))
    }
    fn outbox_set(&mut self, room: RoomId, id: MessageId, state: &RowState) -> Done<()> {
        for row in self.at(room).outbox.iter_mut().filter(|row| row.message_id == id) {
            row.state = state.clone();
        }
        Ok(())
    }
    fn outbox_remove(&mut self, room: RoomId, id: MessageId) -> Done<()> {
        self.at(room).outbox.retain(|row| row.message_id != id);
        Ok(())
    }
    fn outbox_fail(&mut self, room: RoomId, id: MessageId) -> Done<()> {
        self.at(room).failed.push(id);
        self.outbox_remove(room, id)
    }
    fn outbox_fail_all(&mut self, room: RoomId) -> Done<()> {
        let room = self.at(room);
        room.failed.extend(room.outbox.drain(..).map(|row| row.message_id));
        Ok(())
    }
    fn put_own(&mut self, room: RoomId, id: MessageId, logged_hash: &Head) -> Done<()> {
        self.at(room).own.insert(id, *logged_hash);
        Ok(())
    }
    fn own(&mut self, room: RoomId, id: MessageId) -> Done<Option<Head>> {
        Ok(self.at(room).own.get(&id).copied())
    }
    fn forget_own(&mut self, room: RoomId, id: MessageId) -> Done<()> {
        self.at(room).own.remove(&id);
        Ok(())
    }
    fn has_message(&mut self, room: RoomId, device: DeviceId, id: MessageId) -> Done<bool> {
        let room = self.at(room);
        Ok(room.messages.iter().any(|m| m.device == device && m.message_id == id)
            || room.settled.iter().any(|&(_, own)| own == id))
    }
    fn put_message(&mut self, message: &OpenedMessage) -> Done<()> {
        self.at(message.room).messages.push(message.clone());
        Ok(())
    }
    fn settle_message(&mut self, room: RoomId, id: MessageId, seq: Seq, _epoch: u64) -> Done<()> {
        self.at(room).settled.push((seq, id));
        Ok(())
    }
    fn put_notice(&mut self, room: RoomId, seq: Seq, notice: &Notice) -> Done<()> {
        self.at(room).notices.push((seq, notice.clone()));
        Ok(())
    }
}
