//! Notices in the database: JSON, so that later versions can add kinds and fields.

use qchat_proto::{
    ids::{AccountId, DeviceId},
    mls::psk::PskKind,
    session::ledger::Notice,
};
use serde::{Deserialize, Serialize};

use super::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
enum Stored {
    Added {
        by: AccountId,
        accounts: Vec<AccountId>,
    },
    Removed {
        by: AccountId,
        accounts: Vec<AccountId>,
    },
    Left {
        accounts: Vec<AccountId>,
    },
    Joined {
        by: AccountId,
    },
    DevicesChanged {
        /// The member; the one who did it where that is not said.
        by: AccountId,
        #[serde(default)]
        committer: Option<AccountId>,
        #[serde(default)]
        added: usize,
        #[serde(default)]
        removed: usize,
    },
    RevokedAdded {
        by: AccountId,
        account: AccountId,
    },
    Settings {
        by: AccountId,
    },
    Rejected {
        sender: DeviceId,
        reason: String,
    },
    Gap {
        device: DeviceId,
        missing: u64,
    },
    Clone,
    Stuck {
        reason: String,
    },
    ResyncAsked {
        device: DeviceId,
    },
    Readded {
        device: DeviceId,
    },
    Restarted {
        by: AccountId,
    },
    KeyMixed {
        by: AccountId,
        kind: u8,
        epoch: u64,
    },
    KeyDiffers {
        device: DeviceId,
    },
    IdentityChanged {
        account: AccountId,
        by_recovery_key: bool,
    },
    IdentityAccepted {
        by: AccountId,
    },
    SplitView {
        device: DeviceId,
        epoch: u64,
    },
}

pub(super) fn encode(notice: &Notice) -> Result<Vec<u8>, StoreError> {
    let stored = match notice.clone() {
        Notice::Added { by, accounts } => Stored::Added { by, accounts },
        Notice::Removed { by, accounts } => Stored::Removed { by, accounts },
        Notice::Left { accounts } => Stored::Left { accounts },
        Notice::Joined(by) => Stored::Joined { by },
        Notice::DevicesChanged { by, account, added, removed } => {
            Stored::DevicesChanged { by: account, committer: Some(by), added, removed }
        }
        Notice::RevokedAdded { by, account } => Stored::RevokedAdded { by, account },
        Notice::Settings(by) => Stored::Settings { by },
        Notice::Rejected { sender, reason } => Stored::Rejected { sender, reason },
        Notice::Gap { device, missing } => Stored::Gap { device, missing },
        Notice::Clone => Stored::Clone,
        Notice::Stuck { reason } => Stored::Stuck { reason },
        Notice::ResyncAsked(device) => Stored::ResyncAsked { device },
        Notice::Readded(device) => Stored::Readded { device },
        Notice::Restarted(by) => Stored::Restarted { by },
        Notice::KeyMixed { by, kind, epoch } => Stored::KeyMixed { by, kind: kind.number(), epoch },
        Notice::KeyDiffers(device) => Stored::KeyDiffers { device },
        Notice::IdentityChanged { account, by_recovery_key } => {
            Stored::IdentityChanged { account, by_recovery_key }
        }
        Notice::IdentityAccepted(by) => Stored::IdentityAccepted { by },
        Notice::SplitView { device, epoch } => Stored::SplitView { device, epoch },
    };
    serde_json::to_vec(&stored).map_err(|_| StoreError::Corrupt("notice"))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Notice, StoreError> {
    let stored = serde_json::from_slice(bytes).map_err(|_| StoreError::Corrupt("notice"))?;
    Ok(match stored {
        Stored::Added { by, accounts } => Notice::Added { by, accounts },
        Stored::Removed { by, accounts } => Notice::Removed { by, accounts },
        Stored::Left { accounts } => Notice::Left { accounts },
        Stored::Joined { by } => Notice::Joined(by),
        Stored::DevicesChanged { by, committer, added, removed } => {
            Notice::DevicesChanged { by: committer.unwrap_or(by), account: by, added, removed }
        }
        Stored::RevokedAdded { by, account } => Notice::RevokedAdded { by, account },
        Stored::Settings { by } => Notice::Settings(by),
        Stored::Rejected { sender, reason } => Notice::Rejected { sender, reason },
        Stored::Gap { device, missing } => Notice::Gap { device, missing },
        Stored::Clone => Notice::Clone,
        Stored::Stuck { reason } => Notice::Stuck { reason },
        Stored::ResyncAsked { device } => Notice::ResyncAsked(device),
        Stored::Readded { device } => Notice::Readded(device),
        Stored::Restarted { by } => Notice::Restarted(by),
        Stored::KeyMixed { by, kind, epoch } => {
            let kind = PskKind::of_number(kind).ok_or(StoreError::Corrupt("notice"))?;
            Notice::KeyMixed { by, kind, epoch }
        }
        Stored::KeyDiffers { device } => Notice::KeyDiffers(device),
        Stored::IdentityChanged { account, by_recovery_key } => {
            Notice::IdentityChanged { account, by_recovery_key }
        }
        Stored::IdentityAccepted { by } => Notice::IdentityAccepted(by),
        Stored::SplitView { device, epoch } => Notice::SplitView { device, epoch },
    })
}
