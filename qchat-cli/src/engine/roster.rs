//! Which devices the members of a room have in its group.

use qchat_proto::ids::{AccountId, DeviceId, RoomId};

use super::{error::EngineError, handle::Handle};

/// A device of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberDevice {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub device: DeviceId,
}

impl Handle {
    /// The devices in a room's group: those that read what is said there.
    ///
    /// # Errors
    /// When the profile cannot be read.
    pub async fn devices_in(&self, room: RoomId) -> Result<Vec<MemberDevice>, EngineError> {
        let roster = self.0.profile.read_async(move |tx| tx.roster(room)).await?;
        let device =
            roster.into_iter().map(|listed| MemberDevice { account: listed.account, device: listed.device });
        Ok(device.collect())
    }
}
