//! How an owner lets a room go on that nobody can follow any more.

use std::collections::BTreeSet;

use bytes::Bytes;
use qchat_proto::{
    content::Role,
    ids::{AccountId, MessageId, RoomId, Seq, UserName},
    session::{
        ledger::{Change, Ledger, Phase, Want},
        restart::{self, MOST},
    },
    wire::fault::FaultCode,
};

use super::{error::EngineError, handle::Handle, rooms::ADDED_AT_ONCE};
use crate::{
    net::NetError,
    store::{StoreError, Tx},
};

/// Whom a restart may bring along, besides this device.
struct Staying {
    /// By their pinned names.
    people: Vec<UserName>,
    /// All who were members before, this account excepted.
    members: BTreeSet<AccountId>,
    /// Which of the room's groups it was.
    generation: Seq,
}

impl Handle {
    /// Lets a room that this device cannot follow go on with another group, of the members as far as this device has
    /// followed who stand on the daemon's list and can be reached. Returns when it is in effect, with those who were left
    /// behind: they have to be invited again.
    ///
    /// # Errors
    /// [`EngineError::Refused`] for a device that follows the room, an account that is no owner, and when another owner or
    /// member was quicker; otherwise why the daemon was not told.
    pub async fn restart(&self, room: RoomId) -> Result<Vec<UserName>, EngineError> {
        let me = self.0.me.account;
        let Staying { people, members, generation } = self
            .0
            .profile
            .read_async(move |tx| staying(tx, room, me))
            .await?
            .map_err(EngineError::Refused)?;
        let mut key_packages = vec![];
        for name in &people {
            match self.0.people.by_name(name).await {
                Ok(person) => match self.claim(&person, person.device_ids()).await {
                    Ok(claimed) => key_packages.extend(claimed),
                    // Who cannot be added must not keep the others from going on.
                    Err(EngineError::NoDevices(_) | EngineError::Refused(_)) => {}
                    Err(EngineError::Net(NetError::Fault(fault))) if fault.code == FaultCode::NotFound => {}
                    Err(error) => return Err(error),
                },
                // Who has become somebody else, or nobody, does not come along.
                Err(EngineError::IdentityChanged(_) | EngineError::NoSuchUser(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let later = key_packages.split_off(key_packages.len().min(MOST));
        let id = self.want_restart(room, key_packages).await?;
        self.settled(room, id).await?;
        let state = self.0.profile.read_async(move |tx| tx.room(room)).await?;
        if state.is_none_or(|state| state.phase != Phase::Member || state.generation == generation) {
            return Err(EngineError::Refused(
                "the room was not restarted: somebody was quicker, or the server refused it. `qchat room show` \
                 says where this device stands; try again if it still cannot follow"
                    .to_owned(),
            ));
        }
        for some in later.chunks(ADDED_AT_ONCE) {
            let id = self.0.steps.enqueue(room, Want::Commit(Change::Add(some.to_vec()))).await?;
            self.settled(room, id).await?;
        }
        let behind = self.0.profile.read_async(move |tx| {
            let there: BTreeSet<_> = tx.roster(room)?.into_iter().map(|listed| listed.account).collect();
            members
                .difference(&there)
                .map(|account| Ok(tx.contact(*account)?.map(|contact| contact.name)))
                .collect()
        });
        let behind: Result<Vec<Option<UserName>>, StoreError> =
            behind.await.map_err(EngineError::Store).map(Ok)?;
        Ok(behind?.into_iter().flatten().collect())
    }

    async fn want_restart(&self, room: RoomId, key_packages: Vec<Bytes>) -> Result<MessageId, EngineError> {
        let device = self.0.steps.device.clone();
        let want = move |tx: &mut Tx| {
            let device = device.at(tx)?;
            restart::want(tx, &device, room, key_packages).map_err(EngineError::from)
        };
        self.0.profile.write_async(want).await
    }
}

/// Whom a restart may bring along, or why there is none, in words.
fn staying(tx: &mut Tx, room: RoomId, me: AccountId) -> Result<Result<Staying, String>, StoreError> {
    let row = tx.room_row(room)?;
    let Some(row) = row.filter(|row| matches!(row.state.phase, Phase::Stuck(_))) else {
        return Ok(Err(
            "only a room that this device cannot follow can be restarted; `qchat room show` says where \
                       it stands"
                .to_owned(),
        ));
    };
    let generation = row.state.generation;
    if row.settings.is_none_or(|settings| settings.role(me) != Role::Owner) {
        return Ok(Err("only an owner of the room may restart it; ask one to".to_owned()));
    }
    let roster = tx.roster(room)?;
    let listed: BTreeSet<_> = tx.listed(room)?.into_iter().collect();
    let own = tx.identity()?.map(|own| own.device);
    if !listed.iter().any(|member| Some(member.device) == own) {
        return Ok(Err(
            "the server lists this device in the room no more: it was removed, or struck off. Ask another \
                       admin to restart the room, or to invite you again"
                .to_owned(),
        ));
    }
    let members: BTreeSet<_> =
        roster.iter().map(|member| member.account).filter(|account| *account != me).collect();
    let mut people = vec![];
    for account in &members {
        let is_listed = roster.iter().any(|member| member.account == *account && listed.contains(member));
        if let Some(contact) = tx.contact(*account)?.filter(|_| is_listed) {
            people.push(contact.name);
        }
    }
    Ok(Ok(Staying { people, members, generation }))
}
