//! A room's devices, its relay and the links between them, moved one step at a time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::Write as _,
    sync::Arc,
};

use bytes::Bytes;
use qchat_proto::{
    content::{Content, SettingsChange},
    ids::{MessageId, Seq},
    session::{
        error::SessionError,
        inbox, joining,
        ledger::{Change, GroupBlob, INVITATION_LIFETIME, Phase, RowState, Want},
        outbox::{self, Outgoing},
        restart, resync,
    },
    wire::frame::{Envelope, Kind},
};

use crate::{
    insider::Insider,
    ledger::trees,
    members::ROOM,
    peer::{Dice, Peer},
    relay::{Answer, Relay},
    witness::{self, Epoch, KeyUse, KeyUses},
};

/// Rounds of a fair link within which everything drains.
const ROUNDS: usize = 20;
/// Texts that are sealed together.
const BURST: usize = 3;
/// Random steps of a run.
const STEPS: usize = 90;

/// Something that a device wants to do in its room; devices by their number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    Say,
    Update,
    Rename,
    Add(usize),
    Remove(usize),
    Leave,
    /// Commits with a path that one subtree of the others cannot open; it follows that itself no better.
    Hurt,
    /// As [`Wish::Hurt`], but nobody can open it.
    HurtAll,
    /// Lets the room go on with another group, if this device cannot follow.
    Restart,
    /// Lets an invitation's life pass on this device's clock, and withdraws what is overdue.
    Withdraw,
}

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// How many devices are members from the start; the first is the admin.
    pub(crate) members: usize,
    /// What each device wants, in order; those beyond `members` stand outside at first.
    pub(crate) wishes: &'static [&'static [Wish]],
    /// Who never joins.
    pub(crate) declines: Option<usize>,
    /// Who is no other person but a further device of the first.
    pub(crate) further: Option<usize>,
}

/// A device and its link.
pub(crate) struct Node {
    pub(crate) peer: Peer,
    wishes: VecDeque<Wish>,
    requests: VecDeque<Outgoing>,
    answers: VecDeque<(Seq, MessageId, Answer)>,
    /// Joined, but the daemon may not know yet.
    joining: bool,
    pub(crate) acknowledged: Vec<MessageId>,
    /// The last group that it had, to try after its removal.
    pub(crate) last_group: Option<Arc<GroupBlob>>,
}

pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) nodes: Vec<Node>,
    declines: Option<usize>,
    /// Whether somebody was kept from following.
    pub(crate) hurt: bool,
    /// Whether everybody was, the admin included.
    pub(crate) all_hurt: bool,
    pub(crate) texts: HashMap<MessageId, String>,
    sealings: HashMap<Bytes, (KeyUse, Bytes)>,
    uses: KeyUses,
    sent: HashMap<(MessageId, Seq), Bytes>,
    /// The epoch after each seq, as the first device found it.
    epochs: BTreeMap<Seq, Epoch>,
    dice: Dice,
    pub(crate) trace: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Wish,
    Seal,
    SealCrash,
    Send,
    Serve,
    Mute,
    /// The daemon fails at one, and works on at what was sent behind it.
    Fail,
    Take,
    Lose,
    Receive,
    ReceiveCrash,
    Again,
    Join,
    JoinCrash,
    Joined,
}

impl World {
    pub(crate) fn new(scene: &Scene, base: &(Relay, Vec<Peer>), seed: u64) -> Self {
        trees::clear();
        let mut peers = base.1.clone();
        peers.extend((scene.members..scene.wishes.len()).map(|number| match scene.further {
            Some(further) if further == number => Peer::further(0, number, ROOM),
            _ => Peer::new(number, ROOM),
        }));
        let dice = Dice::new(seed);
        let nodes = peers
            .into_iter()
            .zip(scene.wishes)
            .map(|(peer, wishes)| {
                peer.reseed(dice.roll());
                Node {
                    peer,
                    wishes: wishes.iter().copied().collect(),
                    requests: VecDeque::new(),
                    answers: VecDeque::new(),
                    joining: false,
                    acknowledged: vec![],
                    last_group: None,
                }
            })
            .collect();
        Self {
            relay: base.0.clone(),
            nodes,
            declines: scene.declines,
            hurt: false,
            all_hurt: false,
            texts: HashMap::new(),
            sealings: HashMap::new(),
            uses: KeyUses::default(),
            sent: HashMap::new(),
            epochs: BTreeMap::new(),
            dice,
            trace: String::new(),
        }
    }

    fn steps(&self) -> Vec<(usize, Step)> {
        let mut steps = vec![];
        for (number, node) in self.nodes.iter().enumerate() {
            let view = node.peer.view();
            let phase = node.peer.phase();
            let mut may = |step, can: bool| steps.extend(can.then_some((number, step)));
            may(Step::Wish, !node.wishes.is_empty() && phase.is_some());
            let member = phase == Some(Phase::Member);
            let first = view.outbox.front().map(|row| &row.state);
            let stuck = matches!(phase, Some(Phase::Stuck(_)));
            let restarts = stuck
                && view
                    .outbox
                    .front()
                    .is_some_and(|row| matches!(row.want, Want::Commit(Change::Restart(_))));
            let asks = stuck && !restarts && view.request.is_none();
            let asked = stuck && !restarts && view.request.as_ref().is_some_and(|request| !request.logged);
            let writes = member || restarts;
            let sealed = writes && matches!(first, Some(RowState::Sealed(_)));
            let unsealed = writes && matches!(first, Some(RowState::Waiting | RowState::Stale(_)));
            may(Step::Seal, unsealed || asks);
            may(Step::SealCrash, unsealed || asks);
            may(Step::Send, (sealed || asked) && node.requests.len() < 2 * BURST);
            may(Step::Serve, !node.requests.is_empty());
            may(Step::Mute, !node.requests.is_empty());
            may(Step::Fail, node.requests.len() > 1);
            may(Step::Take, !node.answers.is_empty());
            may(Step::Lose, !node.requests.is_empty() || !node.answers.is_empty());
            let cursor = view.state.as_ref().map(|state| state.cursor);
            let more = cursor.is_some_and(|cursor| {
                self.relay.at(cursor.next()).is_some() && self.relay.readable(node.peer.id(), cursor.next())
            }) && !matches!(phase, Some(Phase::Removed(_) | Phase::Left(_)));
            may(Step::Receive, more);
            may(Step::ReceiveCrash, more);
            may(Step::Again, cursor.is_some_and(|cursor| cursor > Seq(0)));
            let join = self.declines != Some(number) && node.peer.joinable(&self.relay);
            may(Step::Join, join);
            may(Step::JoinCrash, join);
            may(Step::Joined, node.joining);
        }
        // What only disturbs comes up less often.
        steps.retain(|(_, step)| match step {
            Step::SealCrash | Step::ReceiveCrash | Step::JoinCrash | Step::Again => self.dice.chance(15),
            Step::Mute | Step::Fail | Step::Lose => self.dice.chance(30),
            _ => true,
        });
        steps
    }

    pub(crate) fn walk(&mut self) {
        for _ in 0..STEPS {
            let steps = self.steps();
            if steps.is_empty() {
                break;
            }
            let (number, step) = steps[self.dice.below(steps.len())];
            self.take_step(number, step);
        }
    }

    fn take_step(&mut self, number: usize, step: Step) {
        let _ = write!(self.trace, " {step:?}:{number}");
        match step {
            Step::Wish => self.wish(number),
            Step::Seal => drop(self.seal(number)),
            Step::SealCrash => {
                let node = &self.nodes[number];
                let mut transaction = node.peer.ledger.clone();
                drop(outbox::burst(&mut transaction, &node.peer.device, ROOM, node.peer.now, BURST));
            }
            Step::Send => self.send(number),
            Step::Serve => self.serve(number, true),
            Step::Mute => self.serve(number, false),
            Step::Fail => drop(self.nodes[number].requests.pop_front()),
            Step::Take => self.take(number),
            Step::Lose => {
                self.nodes[number].requests.clear();
                self.nodes[number].answers.clear();
            }
            Step::Receive => self.receive(number),
            Step::ReceiveCrash => {
                let node = &mut self.nodes[number];
                let logged = self.relay.at(node.peer.cursor().next()).unwrap();
                let mut transaction = node.peer.ledger.clone();
                inbox::receive(&mut transaction, &node.peer.device, ROOM, &logged, node.peer.now).unwrap();
            }
            Step::Again => self.receive_again(number),
            Step::Join => self.join(number),
            Step::JoinCrash => {
                let node = &mut self.nodes[number];
                let ledger = node.peer.ledger.clone();
                node.peer.join(&mut self.relay.clone());
                node.peer.ledger = ledger;
            }
            Step::Joined => {
                let id = self.nodes[number].peer.id();
                self.relay.join(id);
                self.nodes[number].joining = false;
            }
        }
    }

    fn wish(&mut self, number: usize) {
        let wish = self.nodes[number].wishes.pop_front().unwrap();
        let want = match wish {
            Wish::Say => {
                let text = format!("{number}.{}", self.texts.len());
                let want = Want::Application(Content::text(&text, 0).unwrap().encode());
                if let Some(id) = self.enqueue(number, want) {
                    self.texts.insert(id, text);
                }
                return;
            }
            Wish::Update => Want::Commit(Change::Update),
            Wish::Rename => Want::Commit(Change::Settings(SettingsChange::Name(format!("by {number}")))),
            Wish::Add(who) => Want::Commit(Change::Add(vec![self.nodes[who].peer.key_package()])),
            Wish::Remove(who) => Want::Commit(Change::RemoveAccount(self.nodes[who].peer.device.account())),
            Wish::Leave => Want::Leave,
            Wish::Hurt => return self.hurt(number, &[2]),
            Wish::HurtAll => {
                self.all_hurt = true;
                return self.hurt(number, &[0, 1, 2, 3]);
            }
            Wish::Restart => return self.restart(number),
            Wish::Withdraw => {
                self.nodes[number].peer.now += INVITATION_LIFETIME;
                Want::Commit(Change::Withdraw)
            }
        };
        self.enqueue(number, want);
    }

    /// Only once it has read everything, or the daemon would refuse it.
    fn hurt(&mut self, number: usize, spoils: &'static [usize]) {
        while self.steps_of(number).contains(&Step::Receive) {
            self.receive(number);
        }
        let peer = &self.nodes[number].peer;
        if peer.phase() == Some(Phase::Member) && peer.view().outbox.is_empty() {
            let sealed = Insider { spoils, ..Insider::new(peer) }.commit(|plan| plan, |_| {});
            assert!(matches!(self.relay.publish(&sealed), Answer::Accepted(_)));
            self.hurt = true;
        }
    }

    /// An admin that cannot follow, and waits for nobody's Welcome, takes everybody along whom it may.
    fn restart(&mut self, number: usize) {
        if !matches!(self.nodes[number].peer.phase(), Some(Phase::Stuck(_)))
            || self.nodes[number].peer.joinable(&self.relay)
        {
            return;
        }
        let others = (0..self.nodes.len()).filter(|other| *other != number);
        let key_packages =
            others.collect::<Vec<_>>().into_iter().map(|other| self.nodes[other].peer.key_package());
        let key_packages = key_packages.collect();
        let peer = &mut self.nodes[number].peer;
        match restart::want(&mut peer.ledger, &peer.device, ROOM, key_packages) {
            Ok(_) | Err(SessionError::Restarting | SessionError::NotOwner) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn enqueue(&mut self, number: usize, want: Want) -> Option<MessageId> {
        let peer = &mut self.nodes[number].peer;
        match outbox::enqueue(&mut peer.ledger, &peer.device, ROOM, want) {
            Ok(id) => Some(id),
            Err(SessionError::NotWriting(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Seals in one transaction; whether something is sealed now.
    fn seal(&mut self, number: usize) -> bool {
        let peer = &mut self.nodes[number].peer;
        let mut transaction = peer.ledger.clone();
        match outbox::burst(&mut transaction, &peer.device, ROOM, peer.now, BURST) {
            Ok(burst) => {
                peer.ledger = transaction;
                let sealed = !burst.is_empty();
                for out in burst {
                    let envelope = Envelope::decode(out.sealed.envelope.clone()).unwrap();
                    if matches!(envelope.kind, Kind::Resync | Kind::Restart) {
                        continue;
                    }
                    self.sealings.entry(out.sealed.envelope).or_insert_with(|| {
                        let group = peer.ledger.group_of(ROOM).unwrap();
                        let key =
                            witness::key_use(ROOM, &group, &envelope.payload).expect("of its own epoch");
                        (key, envelope.payload)
                    });
                }
                sealed
            }
            Err(SessionError::Unsealable { message_id, .. }) => {
                outbox::give_up(&mut peer.ledger, ROOM, message_id).unwrap();
                self.seal(number)
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends what the last transaction sealed.
    fn send(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let (mut ledger, now) = (node.peer.ledger.clone(), node.peer.now);
        let burst = outbox::burst(&mut ledger, &node.peer.device, ROOM, now, BURST).unwrap();
        assert!(!burst.is_empty(), "it is sealed");
        for out in burst {
            // A request is outside MLS.
            if let Some((key, payload)) = self.sealings.get(&out.sealed.envelope) {
                assert_eq!(self.uses.note(key, payload), Ok(()), "I3: a key seals twice");
            }
            // A refusal names a message and its commit_seq: it must mean one sealing.
            let sealing = self
                .sent
                .entry((out.message_id, out.sealed.commit_seq))
                .or_insert(out.sealed.envelope.clone());
            assert_eq!(*sealing, out.sealed.envelope, "two sealings of {} under one commit", out.message_id);
            node.requests.push_back(out);
        }
    }

    fn serve(&mut self, number: usize, answer: bool) {
        let node = &mut self.nodes[number];
        let out = node.requests.pop_front().unwrap();
        let outcome = self.relay.publish_after(&out.sealed, out.after);
        if answer {
            node.answers.push_back((out.sealed.commit_seq, out.message_id, outcome));
        }
    }

    fn take(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let (sealed_under, id, answer) = node.answers.pop_front().unwrap();
        if matches!(answer, Answer::Accepted(_)) {
            node.acknowledged.push(id);
        }
        node.peer.answered(sealed_under, id, answer);
    }

    fn receive(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.last_group = node.peer.ledger.group_of(ROOM).or(node.last_group.take());
        assert!(node.peer.receive(&self.relay));
        self.compare_epoch(number);
    }

    /// I5: who has processed the same log is in the same epoch.
    fn compare_epoch(&mut self, number: usize) {
        let peer = &mut self.nodes[number].peer;
        let cursor = peer.cursor();
        if matches!(peer.phase(), Some(Phase::Stuck(_))) {
            return;
        }
        let Some(group) = peer.ledger.group_of(ROOM) else { return };
        let epoch = witness::epoch(ROOM, &group);
        assert_eq!(Some(epoch.number), peer.view().state.map(|state| state.epoch), "the room's epoch");
        assert_eq!(*self.epochs.entry(cursor).or_insert(epoch.clone()), epoch, "I5: epochs after {cursor}");
    }

    fn receive_again(&mut self, number: usize) {
        let seq = Seq(self.dice.roll() % self.nodes[number].peer.cursor().0 + 1);
        let peer = &mut self.nodes[number].peer;
        let before = peer.view();
        let logged = self.relay.at(seq).unwrap();
        inbox::receive(&mut peer.ledger, &peer.device, ROOM, &logged, peer.now).unwrap();
        let after = peer.view();
        assert_eq!((before.state, before.messages), (after.state, after.messages), "I2: delivered again");
    }

    fn join(&mut self, number: usize) {
        let peer = &mut self.nodes[number].peer;
        let invited = peer.invited(&self.relay);
        let span = joining::needed_log::<std::convert::Infallible>(&peer.device, &invited).unwrap();
        let log = self.relay.span(span.after, span.until);
        let mut transaction = peer.ledger.clone();
        match joining::join(&mut transaction, &peer.device, &invited, &log) {
            Ok(_) => peer.ledger = transaction,
            // Added again by somebody who came after it had lost track: it asks for another.
            Err(SessionError::Stranger | SessionError::NotOwner) => {
                return resync::ask_again(&mut peer.ledger, ROOM).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
        self.nodes[number].joining = true;
        self.compare_epoch(number);
    }

    /// A link that loses nothing; the number of rounds until nothing moves, at most `ROUNDS`.
    fn drain(&mut self) -> usize {
        for round in 1..=ROUNDS {
            let mut moved = false;
            for number in 0..self.nodes.len() {
                while !self.nodes[number].wishes.is_empty() && self.nodes[number].peer.phase().is_some() {
                    self.take_step(number, Step::Wish);
                }
                for step in [Step::Joined, Step::Join] {
                    if self.steps_of(number).contains(&step) {
                        self.take_step(number, step);
                        moved = true;
                    }
                }
                while self.steps_of(number).contains(&Step::Receive) {
                    self.take_step(number, Step::Receive);
                    moved = true;
                }
            }
            for number in 0..self.nodes.len() {
                if self.nodes[number].peer.phase().is_some() && self.seal(number) {
                    self.take_step(number, Step::Send);
                }
                while !self.nodes[number].requests.is_empty() {
                    self.take_step(number, Step::Serve);
                }
                while !self.nodes[number].answers.is_empty() {
                    let (_, _, answer) = self.nodes[number].answers[0];
                    moved |= !matches!(answer, Answer::NotMember | Answer::OutOfOrder);
                    self.take_step(number, Step::Take);
                }
            }
            if !moved {
                return round;
            }
        }
        panic!("I6: not drained in {ROUNDS} rounds");
    }

    fn steps_of(&self, number: usize) -> Vec<Step> {
        let node = &self.nodes[number];
        let mut steps = vec![];
        let next = node.peer.view().state.map(|state| state.cursor.next());
        if next.is_some_and(|next| self.relay.at(next).is_some() && self.relay.readable(node.peer.id(), next))
            && !matches!(node.peer.phase(), Some(Phase::Removed(_) | Phase::Left(_)))
        {
            steps.push(Step::Receive);
        }
        if self.declines != Some(number) && node.peer.joinable(&self.relay) {
            steps.push(Step::Join);
        }
        if node.joining {
            steps.push(Step::Joined);
        }
        steps
    }

    /// Everybody who still can says a last word, so that what was left to the next writer is done.
    pub(crate) fn close(&mut self) {
        self.drain();
        // Where nobody follows, a person has to act.
        for number in 0..self.nodes.len() {
            self.restart(number);
        }
        self.drain();
        for number in 0..self.nodes.len() {
            if self.nodes[number].peer.phase() == Some(Phase::Member) {
                self.nodes[number].wishes.push_back(Wish::Say);
            }
        }
        self.drain();
    }
}
