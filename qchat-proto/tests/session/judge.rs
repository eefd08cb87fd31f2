//! What must hold once a fair link has carried everything.

use std::collections::BTreeSet;

use qchat_proto::{
    content::{Body, Content},
    ids::{DeviceId, Seq},
    session::ledger::{Notice, Phase},
    wire::frame::{Envelope, Kind, Operation},
};

use crate::{members::ROOM, world::World};

impl World {
    pub(crate) fn judge(&self) {
        let log: Vec<(Seq, Envelope)> = (1..)
            .map_while(|seq| self.relay.at(Seq(seq)))
            .map(|logged| (logged.seq, Envelope::decode(logged.bytes).unwrap()))
            .collect();
        let mut ids = BTreeSet::new();
        for (_, envelope) in &log {
            assert!(ids.insert((envelope.sender, envelope.message_id)), "I1: stored twice");
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let id = node.peer.id();
            let view = node.peer.view();
            for message in &node.acknowledged {
                assert!(ids.contains(&(id, *message)), "I7: acknowledged to {number}, not in the log");
            }
            for message in &view.failed {
                assert!(!ids.contains(&(id, *message)), "I7: failed for {number}, but in the log");
            }
            // Who was kept from following knows it, and so does whoever did it: in its own name, behind its back.
            let knows = |notice: &Notice| {
                self.hurt
                    && (number > 0 || self.all_hurt)
                    && matches!(notice, Notice::Stuck { .. } | Notice::Clone)
            };
            let alarms: Vec<_> = view
                .notices
                .iter()
                .filter(|(_, notice)| !knows(notice))
                .filter(|(_, notice)| {
                    matches!(
                        notice,
                        Notice::Gap { .. } | Notice::Clone | Notice::Rejected { .. } | Notice::Stuck { .. }
                    )
                })
                .collect();
            assert!(alarms.is_empty(), "I8: false alarms at {number}: {alarms:?}");
            self.judge_delivery(number, &log);
            self.judge_end(number, &log);
        }
    }

    /// I2: what others wrote while this device was a member that had not asked to leave, once and in order; and all of
    /// its own that stands in the log.
    fn judge_delivery(&self, number: usize, log: &[(Seq, Envelope)]) {
        let node = &self.nodes[number];
        let (id, view) = (node.peer.id(), node.peer.view());
        let mut member = number == 0;
        let mut left = false;
        let (mut due, mut own) = (vec![], vec![]);
        let stuck = |seq| view.notices.iter().any(|(at, n)| *at == seq && matches!(n, Notice::Stuck { .. }));
        for (seq, envelope) in log {
            member &= !stuck(*seq);
            match envelope.kind {
                Kind::Application if envelope.sender == id => own.push((*seq, envelope.message_id)),
                Kind::Application if member && !left => {
                    due.push((*seq, self.texts[&envelope.message_id].clone()));
                }
                Kind::Proposal if envelope.sender == id => left = true,
                Kind::Restart if envelope.sender == id => member = true,
                _ => {}
            }
            for change in envelope.delta.iter().filter(|change| change.device == id) {
                match change.operation {
                    Operation::Remove => member = false,
                    Operation::Add => {
                        (member, left) = (true, false);
                        // An invitation that was not accepted before the next one, or not at all, delivers nothing.
                        let used = view.state.is_some() && !self.superseded(id, *seq, log);
                        member &= used;
                    }
                    // One that another device of its account has brought along, and that never came, gets nothing.
                    Operation::Readd => member = view.state.is_some(),
                    Operation::Relist => {}
                }
            }
        }
        let got: Vec<_> = view
            .messages
            .iter()
            .map(|message| match Content::decode(&message.content).unwrap().body {
                Body::Text(text) => (message.seq, text),
                _ => panic!("not a text"),
            })
            .collect();
        assert_eq!(got, due, "I2: delivered to {number}");
        assert_eq!(view.settled, own, "I2: own messages of {number}");
    }

    /// Whether the Add at `seq` was followed by a Remove that the device never got to see as a member.
    fn superseded(&self, id: DeviceId, seq: Seq, log: &[(Seq, Envelope)]) -> bool {
        let joined = self.nodes.iter().find(|node| node.peer.id() == id).unwrap();
        let removed = log.iter().find(|(at, envelope)| {
            *at > seq
                && envelope
                    .delta
                    .iter()
                    .any(|change| change.device == id && change.operation == Operation::Remove)
        });
        removed.is_some_and(|(at, _)| {
            let notices = joined.peer.view().notices;
            !notices.iter().any(|(noticed, notice)| {
                noticed == at && matches!(notice, Notice::Removed { .. } | Notice::Left { .. })
            })
        })
    }

    /// I4, I6, L: who is out opens nothing, who is in has nothing left to send, who left is out.
    fn judge_end(&self, number: usize, log: &[(Seq, Envelope)]) {
        let node = &self.nodes[number];
        let view = node.peer.view();
        match node.peer.phase() {
            Some(Phase::Member) => {
                assert!(view.outbox.is_empty(), "I6: the outbox of {number} never drains: {:?}", view.outbox);
                let listed: BTreeSet<_> = self.relay.status.keys().copied().collect();
                let roster: BTreeSet<_> = view.roster.iter().map(|member| member.device).collect();
                assert_eq!(listed, roster, "the daemon's list and the roster of {number}");
                assert!(view.listed.iter().map(|member| member.device).collect::<BTreeSet<_>>() == listed);
            }
            Some(Phase::Leaving(_)) => {
                let others =
                    self.nodes.iter().filter(|other| other.peer.phase() == Some(Phase::Member)).count();
                assert_eq!(others, 0, "L: {number} asked to leave and stays a leaf");
            }
            Some(Phase::Removed(at) | Phase::Left(at)) => {
                let group = node.last_group.as_ref().expect("it was a member");
                for (_, later) in log.iter().filter(|(seq, _)| *seq > at) {
                    let mut group = node.peer.device.load(ROOM, group, &[]).unwrap();
                    assert!(
                        group.open(&later.payload).is_err(),
                        "I4: {number} opens what follows its removal"
                    );
                }
            }
            Some(Phase::Stuck(_)) => panic!("I5: {number} is stuck"),
            None => {}
        }
    }
}
