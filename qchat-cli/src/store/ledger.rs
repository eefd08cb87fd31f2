//! The protocol's memory on a transaction: each function is a query of the files beside this one.

use bytes::Bytes;
use qchat_proto::{
    content::{Exercise, RoomSettings},
    identity::DeviceList,
    ids::{AccountId, DeviceId, MessageId, RoomId, Seq},
    mls::{
        device::OwnKeyPackage,
        group::Group,
        membership::Leaf,
        psk::{Psk, PskId},
    },
    session::{
        ledger::{
            Asked, GroupBlob, GroupUpdate, Head, Invitee, Ledger, ListedDevice, Notice, OpenedMessage,
            OutboxRow, OwnRequest, Renewal, RoomState, RowState,
        },
        shared_key::{MixedKey, Offer},
    },
};

use super::{
    KeyPackageSecret, StoreError, Tx, directory, exercises, groups, invitees,
    outbox::{self, End},
    own, prepared, profiles, receipts, renewals, resyncs, rooms, shared_keys, timeline,
};

impl Ledger for Tx {
    type Error = StoreError;

    fn room(&mut self, room: RoomId) -> Result<Option<RoomState>, StoreError> {
        rooms::room(&mut self.conn, room)
    }

    fn put_room(&mut self, state: &RoomState) -> Result<(), StoreError> {
        rooms::put_room(&mut self.conn, state)
    }

    fn device_list(&mut self, account: AccountId) -> Result<Option<DeviceList>, StoreError> {
        self.stored_device_list(account)
    }

    fn group(&mut self, room: RoomId) -> Result<Option<GroupBlob>, StoreError> {
        groups::group(&mut self.conn, room)
    }

    fn put_group(&mut self, room: RoomId, update: &GroupUpdate) -> Result<(), StoreError> {
        groups::put_group(&mut self.conn, room, update)
    }

    fn forget_group(&mut self, room: RoomId) -> Result<(), StoreError> {
        shared_keys::forget_all(&mut self.conn, room)?;
        exercises::forget_all(&mut self.conn, room)?;
        groups::forget_group(&mut self.conn, room)
    }

    fn psks(&mut self, room: RoomId) -> Result<Vec<Psk>, StoreError> {
        shared_keys::psks(&mut self.conn, room)
    }

    fn put_psk(&mut self, room: RoomId, psk: &Psk) -> Result<(), StoreError> {
        shared_keys::put_psk(&mut self.conn, room, psk)
    }

    fn forget_psk(&mut self, room: RoomId, id: PskId) -> Result<(), StoreError> {
        shared_keys::forget_psk(&mut self.conn, room, id)
    }

    fn psk_offers(&mut self, room: RoomId) -> Result<Vec<Offer>, StoreError> {
        shared_keys::offers(&mut self.conn, room)
    }

    fn put_psk_offer(&mut self, room: RoomId, offer: &Offer) -> Result<(), StoreError> {
        shared_keys::put_offer(&mut self.conn, room, offer)
    }

    fn forget_psk_offer(&mut self, room: RoomId, device: DeviceId) -> Result<(), StoreError> {
        shared_keys::forget_offer(&mut self.conn, room, device)
    }

    fn put_mixed_key(&mut self, room: RoomId, mixed: MixedKey) -> Result<(), StoreError> {
        shared_keys::put_mixed(&mut self.conn, room, mixed)
    }

    fn put_exercise(
        &mut self,
        room: RoomId,
        _seq: Seq,
        sender: &Leaf,
        said: &Exercise,
    ) -> Result<(), StoreError> {
        let Some(own) = self.identity()? else { return Ok(()) };
        exercises::heard(&mut self.conn, (own.account, own.device), room, sender, said)
    }

    fn take_kept(&mut self, room: RoomId) -> Result<Option<Group>, StoreError> {
        let version = groups::group_version(&mut self.conn, room)?;
        Ok(self.kept.take(room, version))
    }

    fn keep(&mut self, room: RoomId, group: Group) -> Result<(), StoreError> {
        if let Some(version) = groups::group_version(&mut self.conn, room)? {
            self.kept.put(room, version, group);
        }
        Ok(())
    }

    fn put_settings(&mut self, room: RoomId, settings: &RoomSettings) -> Result<(), StoreError> {
        rooms::put_settings(&mut self.conn, room, settings)
    }

    fn head(&mut self, room: RoomId, seq: Seq) -> Result<Option<Head>, StoreError> {
        groups::head(&mut self.conn, room, seq)
    }

    fn put_head(&mut self, room: RoomId, seq: Seq, head: &Head) -> Result<(), StoreError> {
        groups::put_head(&mut self.conn, room, seq, head)
    }

    fn last_head_but(&mut self, room: RoomId, other: &Head, until: Seq) -> Result<Option<Seq>, StoreError> {
        groups::last_head_but(&mut self.conn, room, other, until)
    }

    fn forget_heads_below(&mut self, room: RoomId, seq: Seq) -> Result<(), StoreError> {
        groups::forget_heads_below(&mut self.conn, room, seq)
    }

    fn counter(&mut self, room: RoomId, device: DeviceId) -> Result<Option<u64>, StoreError> {
        groups::counter(&mut self.conn, room, device)
    }

    fn put_counter(&mut self, room: RoomId, device: DeviceId, counter: u64) -> Result<(), StoreError> {
        groups::put_counter(&mut self.conn, room, device, counter)
    }

    fn forget_counters(&mut self, room: RoomId, devices: &[DeviceId]) -> Result<(), StoreError> {
        groups::forget_counters(&mut self.conn, room, devices)
    }

    fn listed(&mut self, room: RoomId) -> Result<Vec<ListedDevice>, StoreError> {
        groups::listed(&mut self.conn, room)
    }

    fn put_listed(&mut self, room: RoomId, listed: &[ListedDevice]) -> Result<(), StoreError> {
        groups::put_listed(&mut self.conn, room, listed)
    }

    fn put_roster(&mut self, room: RoomId, roster: &[ListedDevice]) -> Result<(), StoreError> {
        groups::put_roster(&mut self.conn, room, roster)
    }

    fn lapsed(&mut self, room: RoomId) -> Result<Vec<DeviceId>, StoreError> {
        groups::lapsed(&mut self.conn, room)
    }

    fn put_lapsed(&mut self, room: RoomId, devices: &[DeviceId]) -> Result<(), StoreError> {
        groups::put_lapsed(&mut self.conn, room, devices)
    }

    fn invitees(&mut self, room: RoomId) -> Result<Vec<Invitee>, StoreError> {
        invitees::invitees(&mut self.conn, room)
    }

    fn put_invitees(&mut self, room: RoomId, invitees: &[Invitee]) -> Result<(), StoreError> {
        invitees::put_invitees(&mut self.conn, room, invitees)
    }

    fn added_at(&mut self, room: RoomId, device: DeviceId) -> Result<Option<Seq>, StoreError> {
        resyncs::added_at(&mut self.conn, room, device)
    }

    fn put_added_at(&mut self, room: RoomId, device: DeviceId, seq: Seq) -> Result<(), StoreError> {
        resyncs::put_added_at(&mut self.conn, room, device, seq)
    }

    fn asked(&mut self, room: RoomId) -> Result<Vec<Asked>, StoreError> {
        resyncs::asked(&mut self.conn, room)
    }

    fn put_asked(&mut self, room: RoomId, asked: &[Asked]) -> Result<(), StoreError> {
        resyncs::put_asked(&mut self.conn, room, asked)
    }

    fn request(&mut self, room: RoomId) -> Result<Option<OwnRequest>, StoreError> {
        resyncs::request(&mut self.conn, room)
    }

    fn put_request(&mut self, room: RoomId, request: &OwnRequest) -> Result<(), StoreError> {
        resyncs::put_request(&mut self.conn, room, request)
    }

    fn forget_request(&mut self, room: RoomId) -> Result<(), StoreError> {
        resyncs::forget_request(&mut self.conn, room)
    }

    fn keep_key_package(&mut self, key_package: &OwnKeyPackage, expires_at: u64) -> Result<(), StoreError> {
        self.put_key_package(&KeyPackageSecret {
            id: key_package.id.clone(),
            data: key_package.secret.clone(),
            expires_at,
            last_resort: false,
            published: true,
        })
    }

    fn prepared(&mut self, room: RoomId) -> Result<Option<GroupBlob>, StoreError> {
        prepared::prepared(&mut self.conn, room)
    }

    fn put_prepared(&mut self, room: RoomId, group: &GroupBlob) -> Result<(), StoreError> {
        prepared::put(&mut self.conn, room, group)
    }

    fn forget_prepared(&mut self, room: RoomId) -> Result<(), StoreError> {
        prepared::forget(&mut self.conn, room)
    }

    fn renewal(&mut self, room: RoomId) -> Result<Option<Renewal>, StoreError> {
        renewals::renewal(&mut self.conn, room)
    }

    fn put_renewal(&mut self, room: RoomId, renewal: Renewal) -> Result<(), StoreError> {
        renewals::put_renewal(&mut self.conn, room, renewal)
    }

    fn outbox_first(&mut self, room: RoomId) -> Result<Option<OutboxRow>, StoreError> {
        outbox::first(&mut self.conn, room)
    }

    fn outbox_first_free(&mut self, room: RoomId) -> Result<Option<OutboxRow>, StoreError> {
        match self.changed_member(room)? {
            Some(_) => outbox::first_change(&mut self.conn, room),
            None => outbox::first(&mut self.conn, room),
        }
    }

    fn outbox_rows(&mut self, room: RoomId, most: usize) -> Result<Vec<OutboxRow>, StoreError> {
        outbox::rows(&mut self.conn, room, most)
    }

    fn outbox_row(&mut self, room: RoomId, id: MessageId) -> Result<Option<OutboxRow>, StoreError> {
        outbox::row(&mut self.conn, room, id)
    }

    fn outbox_has_application(&mut self, room: RoomId) -> Result<bool, StoreError> {
        outbox::has_application(&mut self.conn, room)
    }

    fn outbox_push_back(&mut self, room: RoomId, row: &OutboxRow) -> Result<(), StoreError> {
        outbox::push(&mut self.conn, room, row, End::Back)
    }

    fn outbox_push_front(&mut self, room: RoomId, row: &OutboxRow) -> Result<(), StoreError> {
        outbox::push(&mut self.conn, room, row, End::Front)
    }

    fn outbox_put_tree(&mut self, room: RoomId, id: MessageId, tree: &Bytes) -> Result<(), StoreError> {
        outbox::put_tree(&mut self.conn, room, id, tree)
    }

    fn outbox_tree(&mut self, room: RoomId, id: MessageId) -> Result<Option<Bytes>, StoreError> {
        outbox::tree(&mut self.conn, room, id)
    }

    fn outbox_set(&mut self, room: RoomId, id: MessageId, state: &RowState) -> Result<(), StoreError> {
        outbox::set(&mut self.conn, room, id, state)
    }

    fn outbox_remove(&mut self, room: RoomId, id: MessageId) -> Result<(), StoreError> {
        outbox::remove(&mut self.conn, room, id)
    }

    fn outbox_fail(&mut self, room: RoomId, id: MessageId) -> Result<(), StoreError> {
        outbox::remove(&mut self.conn, room, id)?;
        timeline::fail(&mut self.conn, room, id.as_bytes())
    }

    fn outbox_fail_all(&mut self, room: RoomId) -> Result<(), StoreError> {
        outbox::fail_all(&mut self.conn, room)
    }

    fn put_own(&mut self, room: RoomId, id: MessageId, logged_hash: &Head) -> Result<(), StoreError> {
        own::put(&mut self.conn, room, id, logged_hash)
    }

    fn own(&mut self, room: RoomId, id: MessageId) -> Result<Option<Head>, StoreError> {
        own::find(&mut self.conn, room, id)
    }

    fn forget_own(&mut self, room: RoomId, id: MessageId) -> Result<(), StoreError> {
        own::forget(&mut self.conn, room, id)
    }

    fn has_message(&mut self, room: RoomId, device: DeviceId, id: MessageId) -> Result<bool, StoreError> {
        timeline::has_message(&mut self.conn, room, device, id)
    }

    fn put_message(&mut self, message: &OpenedMessage) -> Result<(), StoreError> {
        directory::hear(&mut self.conn, message)?;
        if !receipts::take(&mut self.conn, message)? && !profiles::take(&mut self.conn, message)? {
            self.changed |= timeline::put_message(&mut self.conn, message)?;
        }
        Ok(())
    }

    fn settle_message(
        &mut self,
        room: RoomId,
        id: MessageId,
        seq: Seq,
        epoch: u64,
    ) -> Result<(), StoreError> {
        let Some((_, device)) = self.own_ids()? else { return Ok(()) };
        timeline::settle(&mut self.conn, &device, room, id, (seq, epoch))?;
        self.settled.push((id, seq));
        Ok(())
    }

    fn put_notice(&mut self, room: RoomId, seq: Seq, notice: &Notice) -> Result<(), StoreError> {
        if *notice == Notice::Clone {
            self.put_old_copy(room)?;
        }
        timeline::put_notice(&mut self.conn, room, seq, notice)
    }
}
