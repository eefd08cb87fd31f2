//! Cascade (Brassard and Salvail 1993) with parities asked in batches, over frames of 2¹⁴ bits.
//!
//! One end ([`Reference`]) answers what parities its blocks have; the other ([`Corrector`]) asks, finds errors by halving
//! blocks whose parity differs, and goes back to blocks of other passes that a correction has made odd. All parities
//! that were ever said are used again. Neither does any I/O: questions and answers are values.

use serde::{Deserialize, Serialize};

use super::schedule::{DEPTH, FRAME, Filled, MOST_PASSES, Schedule, Tree, frames, per_frame};
use crate::bits::Bits;

/// The passes of a first run: two that find nearly all errors, twelve over halves of the frame for pairs that hid in
/// both (Martínez-Mateo et al. 2015).
pub const PASSES: usize = 14;

/// One end said what the other cannot follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CascadeError {
    /// A question names a frame, pass or block that does not exist.
    #[error("the other side asked for a block that does not exist")]
    Question,
    /// Another number of answers came than questions were asked.
    #[error("{asked} parities were asked for, and {answered} came")]
    Answers {
        /// How many questions there were.
        asked: usize,
        /// How many answers.
        answered: usize,
    },
    /// Two parities that the other side said cannot both be true: by them one bit would have to be changed twice.
    #[error("the other side's parities contradict each other")]
    Contradiction,
}

/// Which parity is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The frame; the string is spread evenly over as few of 2¹⁴ bits as hold it.
    pub frame: u32,
    /// The pass, from 0, which says the permutation.
    pub pass: u8,
    /// The block: 1 is the whole frame, 2n and 2n + 1 are the halves of block n.
    pub block: u16,
}

/// What both ends must agree on before they begin; all of it may be public.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What the permutations come from.
    pub seed: u64,
    /// The expected rate of errors, which chooses the first blocks; a wrong one costs parities, not correctness.
    pub error_rate: f64,
}

/// The end whose string counts.
pub struct Reference {
    schedule: Schedule,
    frames: Vec<Box<[u8; FRAME]>>,
    trees: Vec<Vec<Tree>>,
    leaked: usize,
}

impl Reference {
    /// The end that has `bits`.
    pub fn new(bits: &Bits, settings: Settings) -> Self {
        let frames = frames(bits);
        let trees = frames.iter().map(|_| Vec::new()).collect();
        let schedule = Schedule::new(settings.seed, settings.error_rate, bits.len());
        Self { schedule, frames, trees, leaked: 0 }
    }

    /// The parities asked for, in their order.
    ///
    /// # Errors
    /// [`CascadeError::Question`], before anything is answered.
    pub fn answer(&mut self, questions: &[Question]) -> Result<Bits, CascadeError> {
        let exists = |question: &Question| {
            (question.frame as usize) < self.frames.len()
                && usize::from(question.pass) < MOST_PASSES
                && (1..2 * FRAME).contains(&usize::from(question.block))
        };
        if !questions.iter().all(exists) {
            return Err(CascadeError::Question);
        }
        self.leaked += questions.len();
        Ok(questions.iter().map(|question| self.parity(*question)).collect())
    }

    fn parity(&mut self, Question { frame, pass, block }: Question) -> bool {
        let (frame, pass) = (frame as usize, usize::from(pass));
        let trees = &mut self.trees[frame];
        while trees.len() <= pass {
            let next = trees.len();
            self.schedule.prepare(next);
            trees.push(Tree::new(&self.frames[frame], self.schedule.pass(next)));
        }
        trees[pass].parity(usize::from(block))
    }

    /// How many parities were said.
    pub fn leaked(&self) -> usize {
        self.leaked
    }
}

/// The end that corrects its string.
pub struct Corrector {
    schedule: Schedule,
    length: usize,
    frames: Vec<Frame>,
    /// Pass that runs now, in all frames; `passes` when there is nothing left to do.
    pass: usize,
    passes: usize,
    asked: Vec<Question>,
    leaked: usize,
    corrected: usize,
}

struct Frame {
    bits: Box<[u8; FRAME]>,
    /// The bits that were changed, and may not be again: else parities that contradict each other would be followed for ever.
    changed: Box<[u64; FRAME / 64]>,
    passes: Vec<Pass>,
}

/// What is known of one frame in one pass. A node is known when the parity of both ends is; what counts are known nodes
/// with no known halves, which make up the frame.
struct Pass {
    tree: Tree,
    filled: Filled,
    known: Vec<u64>,
    odd: Vec<u64>,
    queued: Vec<u64>,
    /// Nodes that were odd once, by depth, each in it once at most; whether they still are odd is looked up.
    waiting: [Vec<u16>; DEPTH as usize + 1],
}

impl Corrector {
    /// The end that has `bits`, for [`PASSES`] passes.
    pub fn new(bits: &Bits, settings: Settings) -> Self {
        let frames = frames(bits).into_iter().map(Frame::new).collect();
        Self {
            schedule: Schedule::new(settings.seed, settings.error_rate, bits.len()),
            length: bits.len(),
            frames,
            pass: 0,
            passes: PASSES,
            asked: Vec::new(),
            leaked: 0,
            corrected: 0,
        }
    }

    /// Appends passes, for when verification shows that errors are left. At most 64 in all.
    pub fn extend(&mut self, passes: usize) {
        self.passes = (self.passes + passes).min(MOST_PASSES);
    }

    /// The next parities to ask for, of all frames together; none when all passes are done. They must be answered by
    /// [`Corrector::learn`] before the next call.
    pub fn ask(&mut self) -> &[Question] {
        self.asked.clear();
        while self.asked.is_empty() && self.pass < self.passes {
            for (number, frame) in (0..).zip(&mut self.frames) {
                frame.ask(number, &mut self.asked);
            }
            if self.asked.is_empty() {
                self.begin();
            }
        }
        &self.asked
    }

    /// Starts the next pass in every frame, or ends the last.
    fn begin(&mut self) {
        let pass = self.frames.first().map_or(self.passes, |frame| frame.passes.len());
        if pass >= self.passes {
            self.pass = self.passes;
            return;
        }
        self.pass = pass;
        self.schedule.prepare(pass);
        let depth = self.schedule.depth(pass);
        let first = 1_u16 << depth;
        // With every error of before corrected, all blocks together are even: the last one's parity is known from
        // the others'.
        let last = if pass == 0 { 2 * first } else { 2 * first - 1 };
        for (number, frame) in (0..).zip(&mut self.frames) {
            let tree = Tree::new(&frame.bits, self.schedule.pass(pass));
            frame.passes.push(Pass::new(tree, self.schedule.filled()));
            #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
            let pass = pass as u8;
            self.asked.extend((first..last).map(|block| Question { frame: number, pass, block }));
        }
    }

    /// Takes the answers to the questions that [`Corrector::ask`] gave last, in their order.
    ///
    /// # Errors
    /// [`CascadeError::Answers`], and nothing changed; [`CascadeError::Contradiction`], after which the string is of no use.
    pub fn learn(&mut self, answers: &Bits) -> Result<(), CascadeError> {
        if answers.len() != self.asked.len() {
            return Err(CascadeError::Answers { asked: self.asked.len(), answered: answers.len() });
        }
        self.leaked += answers.len();
        for (question, parity) in std::mem::take(&mut self.asked).into_iter().zip(answers.iter()) {
            let depth = self.schedule.depth(usize::from(question.pass));
            self.corrected +=
                self.frames[question.frame as usize].learn(question, parity, depth, &self.schedule)?;
        }
        Ok(())
    }

    /// How many parities were said.
    pub fn leaked(&self) -> usize {
        self.leaked
    }

    /// How many bits were changed.
    pub fn corrected(&self) -> usize {
        self.corrected
    }

    /// The string as it is now.
    pub fn bits(&self) -> Bits {
        self.frames
            .iter()
            .flat_map(|frame| frame.bits[..per_frame(self.length)].iter().map(|&bit| bit == 1))
            .take(self.length)
            .collect()
    }
}

impl Frame {
    fn new(bits: Box<[u8; FRAME]>) -> Self {
        Self { bits, changed: Box::new([0; FRAME / 64]), passes: Vec::with_capacity(PASSES) }
    }

    /// Asks for one half of every smallest odd block, in the pass that has the smallest: within a pass blocks do not
    /// overlap, so no two questions can be after the same error.
    fn ask(&mut self, number: u32, asked: &mut Vec<Question>) {
        let smallest = (0..self.passes.len())
            .filter_map(|pass| Some((self.passes[pass].deepest()?, pass)))
            .max_by_key(|&(depth, pass)| (depth, std::cmp::Reverse(pass)));
        let Some((_, pass)) = smallest else {
            return;
        };
        let of = &mut self.passes[pass];
        for depth in (0..DEPTH as usize).rev() {
            while let Some(node) = of.take(depth) {
                if of.is_odd_and_whole(usize::from(node)) {
                    #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
                    asked.push(Question { frame: number, pass: pass as u8, block: 2 * node });
                }
            }
        }
    }

    /// Takes one parity; gives the number of bits that it corrected. `depth` is that of the pass's blocks.
    fn learn(
        &mut self,
        question: Question,
        parity: bool,
        depth: u32,
        schedule: &Schedule,
    ) -> Result<usize, CascadeError> {
        let block = usize::from(question.block);
        let pass_number = usize::from(question.pass);
        let pass = &mut self.passes[pass_number];
        let odd = pass.tree.parity(block) != parity;
        let top = block.ilog2() == depth && !pass.is_known(block / 2);
        if top {
            pass.set_known(block, odd);
            let end = 2 << depth;
            if pass_number > 0 && block == end - 2 {
                let others = (end / 2..end - 1).filter(|&other| pass.is_odd(other)).count();
                pass.set_known(end - 1, others % 2 == 1);
            }
        } else {
            // The parent is odd unless a correction of this very batch made it even.
            let parent_odd = pass.is_odd(block / 2);
            pass.set_known(block, odd);
            pass.set_known(block + 1, odd != parent_odd);
        }
        let mut corrected = 0;
        // A correction may lead to the next one in another pass without a question.
        while let Some((number, leaf)) = self.leaf() {
            if self.passes[number].is_odd(usize::from(leaf)) {
                let bit = schedule.pass(number).forward[usize::from(leaf) - FRAME];
                self.flip(usize::from(bit), schedule)?;
                corrected += 1;
            }
        }
        Ok(corrected)
    }

    /// A bit in which an error was found, and the pass that found it.
    fn leaf(&mut self) -> Option<(usize, u16)> {
        self.passes
            .iter_mut()
            .enumerate()
            .find_map(|(number, pass)| Some((number, pass.take(DEPTH as usize)?)))
    }

    /// Corrects a bit: once, because a leaf that is odd differs from the other end's bit, and is the same from then on.
    fn flip(&mut self, bit: usize, schedule: &Schedule) -> Result<(), CascadeError> {
        let (changed, mask) = (&mut self.changed[bit / 64], 1 << (bit % 64));
        if *changed & mask != 0 {
            return Err(CascadeError::Contradiction);
        }
        *changed |= mask;
        self.bits[bit] ^= 1;
        for (number, pass) in self.passes.iter_mut().enumerate() {
            pass.flip(usize::from(schedule.pass(number).back[bit]), schedule.depth(number));
        }
        Ok(())
    }
}

impl Pass {
    fn new(tree: Tree, filled: Filled) -> Self {
        let words = 2 * FRAME / 64;
        Self {
            tree,
            filled,
            known: vec![0; words],
            odd: vec![0; words],
            queued: vec![0; words],
            waiting: Default::default(),
        }
    }

    fn is_known(&self, node: usize) -> bool {
        self.known[node / 64] >> (node % 64) & 1 == 1
    }

    fn is_odd(&self, node: usize) -> bool {
        self.odd[node / 64] >> (node % 64) & 1 == 1
    }

    /// Whether a node is odd and its halves are not known.
    fn is_odd_and_whole(&self, node: usize) -> bool {
        self.is_odd(node) && !self.is_known(2 * node)
    }

    fn set_known(&mut self, node: usize, odd: bool) {
        self.known[node / 64] |= 1 << (node % 64);
        if odd {
            self.odd[node / 64] |= 1 << (node % 64);
            self.wait(node);
        }
    }

    fn wait(&mut self, node: usize) {
        let halves = 2 * node;
        if node < FRAME && !self.is_known(halves) {
            // Of an empty half nobody needs to be asked: the other one has the error.
            let [left, right] = [halves, halves + 1].map(|half| self.filled.in_node(half) > 0);
            if left != right {
                self.set_known(halves, left);
                self.set_known(halves + 1, right);
                return;
            }
        }
        let mask = 1 << (node % 64);
        if self.queued[node / 64] & mask == 0 {
            self.queued[node / 64] |= mask;
            #[expect(clippy::cast_possible_truncation, reason = "below 2¹⁵")]
            self.waiting[node.ilog2() as usize].push(node as u16);
        }
    }

    fn take(&mut self, depth: usize) -> Option<u16> {
        let node = self.waiting[depth].pop()?;
        self.queued[usize::from(node) / 64] &= !(1 << (node % 64));
        Some(node)
    }

    /// The depth of the smallest odd node without known halves; what is odd no more is dropped.
    fn deepest(&mut self) -> Option<usize> {
        for depth in (0..DEPTH as usize).rev() {
            while let Some(&node) = self.waiting[depth].last() {
                if self.is_odd_and_whole(usize::from(node)) {
                    return Some(depth);
                }
                self.take(depth);
            }
        }
        None
    }

    /// The bit at a place was corrected: the smallest known node over it changes its parity. `depth` is that of the
    /// pass's blocks, where known nodes begin.
    fn flip(&mut self, place: usize, depth: u32) {
        self.tree.flip(place);
        let node_at = |depth: u32| (FRAME + place) >> (DEPTH - depth);
        let Some(deepest) = (depth..=DEPTH).take_while(|&depth| self.is_known(node_at(depth))).last() else {
            return;
        };
        let node = node_at(deepest);
        self.odd[node / 64] ^= 1 << (node % 64);
        if self.is_odd(node) {
            self.wait(node);
        }
    }
}
