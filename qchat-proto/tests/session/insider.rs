//! A member that keeps to no rule, to show what the others make of it.

use bytes::Bytes;
use mls_rs::{
    Group,
    client_builder::{
        BaseConfig, ClientBuilder, PaddingMode, WithCryptoProvider, WithGroupStateStorage,
        WithIdentityProvider, WithMlsRules,
    },
    extension::recommended::LastResortKeyPackageExt,
    group::{CommitBuilder, ExportedTree},
    mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions},
};
use mls_rs_core::{
    extension::{ExtensionType, MlsExtension},
    psk::{ExternalPskId, PreSharedKey},
    time::MlsTime,
};
use qchat_proto::{
    ids::{DeviceId, MessageId},
    mls::{
        identity::QchatIdentity,
        psk::{PskId, PskKind},
    },
    session::{authenticated::Authenticated, ledger::Sealed},
    wire::frame::{Envelope, Kind, MembershipChange, Operation, delta_hash},
};

use crate::{
    members::ROOM,
    peer::{NOW, Peer},
    witness::{Stored, Tap},
};

/// A pre-shared key's name that is not one of ours.
pub(crate) const FOREIGN_PSK: &[u8] = b"somebody else's";

/// A pre-shared key that it has; its secret is 32 times 8.
pub(crate) const SHARED_PSK: PskId = PskId { kind: PskKind::QuantumLink, id: [8; 32] };

/// An insider: the keys of a member, without its rules.
pub(crate) struct Insider<'a> {
    pub(crate) peer: &'a Peer,
    /// What its envelopes declare.
    pub(crate) delta: Vec<MembershipChange>,
    /// What its envelopes are called.
    pub(crate) kind: Kind,
    /// In whose name.
    pub(crate) sender: DeviceId,
    /// The leaves that cannot open the path of its commits.
    pub(crate) spoils: &'static [usize],
}

type Lawless = WithMlsRules<
    DefaultMlsRules,
    WithIdentityProvider<QchatIdentity, WithGroupStateStorage<Stored, WithCryptoProvider<Tap, BaseConfig>>>,
>;

type Builder<'g> = CommitBuilder<'g, Lawless>;

impl<'a> Insider<'a> {
    pub(crate) fn new(peer: &'a Peer) -> Self {
        Self { peer, delta: vec![], kind: Kind::Commit, sender: peer.id(), spoils: &[] }
    }

    /// Its group, which allows what the protocol's own library allows.
    fn group(&self) -> Group<Lawless> {
        let rules = DefaultMlsRules::new()
            .with_encryption_options(EncryptionOptions::new(true, PaddingMode::None))
            .with_commit_options(CommitOptions::new().with_path_required(true));
        let stored = self.peer.ledger.group_of(ROOM).unwrap();
        let tree = ExportedTree::from_bytes(&stored.tree).unwrap();
        // The keys of a leaf and of the node above it, which it shares with its neighbour.
        let spoiled = self.spoils.iter().flat_map(|leaf| [2 * leaf, (2 * leaf) / 4 * 4 + 1]);
        let spoiled = spoiled.filter_map(|node| tree.nodes().get(node)?.as_ref());
        let spoiled = spoiled.map(|node| node.public_key().clone()).collect();
        let client = ClientBuilder::new()
            .crypto_provider(Tap::spoiling(spoiled))
            .group_state_storage(Stored::of(&stored))
            .identity_provider(QchatIdentity::new(self.peer.keys()))
            .mls_rules(rules)
            .psk(ExternalPskId::new(FOREIGN_PSK.to_vec()), PreSharedKey::new(vec![7; 32]))
            .psk(ExternalPskId::new(SHARED_PSK.encode()), PreSharedKey::new(vec![8; 32]))
            .extension_types([ExtensionType::new(0xf0a1), LastResortKeyPackageExt::extension_type()])
            .build();
        client.load_group_with_ratchet_tree(ROOM.as_bytes(), tree).unwrap()
    }

    fn vouched(&self) -> Authenticated {
        let state = self.peer.view().state.unwrap();
        Authenticated {
            room: ROOM,
            message_id: MessageId::from_bytes([0xab; 16]),
            sender: self.sender,
            kind: self.kind,
            commit_seq: state.commit_seq,
            counter: state.accepted + 1,
            head_seq: state.cursor,
            head: state.head,
            delta_hash: delta_hash(&self.delta),
        }
    }

    /// A commit of what `plan` adds to it, under authenticated data that `change` makes.
    pub(crate) fn commit(
        &self,
        plan: impl for<'g> FnOnce(Builder<'g>) -> Builder<'g>,
        change: impl FnOnce(&mut Authenticated),
    ) -> Sealed {
        let mut vouched = self.vouched();
        change(&mut vouched);
        let mut group = self.group();
        let builder =
            group.commit_builder().authenticated_data(vouched.encode()).commit_time(MlsTime::from(NOW));
        let message = plan(builder).build().unwrap().commit_message;
        self.envelope(message.to_bytes().unwrap())
    }

    /// An application message.
    pub(crate) fn text(&self, padded: &[u8]) -> Sealed {
        let message = self.group().encrypt_application_message(padded, self.vouched().encode()).unwrap();
        self.envelope(message.to_bytes().unwrap())
    }

    /// A proposal to remove somebody else.
    pub(crate) fn propose_removal(&self, leaf: u32) -> Sealed {
        let message = self.group().propose_remove(leaf, self.vouched().encode()).unwrap();
        self.envelope(message.to_bytes().unwrap())
    }

    /// Any bytes.
    pub(crate) fn envelope(&self, payload: impl Into<Bytes>) -> Sealed {
        let vouched = self.vouched();
        let envelope = Envelope {
            room: ROOM,
            message_id: vouched.message_id,
            sender: self.sender,
            kind: self.kind,
            commit_seq: vouched.commit_seq,
            payload: payload.into(),
            delta: self.delta.clone(),
        };
        Sealed { envelope: envelope.encode(), commit_seq: vouched.commit_seq, welcomes: vec![], tree: None }
    }
}

/// A line of a delta.
pub(crate) fn change_of(operation: Operation, peer: &Peer) -> MembershipChange {
    MembershipChange { operation, account: peer.device.account(), device: peer.id() }
}
