//! The messages of the open room and the window onto them.
//!
//! The window is held by its bottom line, so that lines which arrive above or below do not move what is being read.
//! Only messages that touch the window are laid out; their lines are kept per message until the width changes.

mod selection;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
};

use qchat_proto::ids::{MessageId, Seq};

use super::lines::{self, Pane, Row};
use crate::engine::types::{Delivery, Message};

/// Messages that are kept on each side of the window, at most. What lies further away is given back, and read again when somebody comes
/// near it; the unread line keeps its place meanwhile, being that of a row.
pub(super) const KEPT: usize = 800;
/// How many more there may be before they are given back, so that not every line that arrives moves all others.
const SPARE: usize = 200;

/// How many laid-out messages are kept; more than fit on any screen.
const CACHED: usize = 500;

/// The last line that the window shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bottom {
    /// The newest line, whatever arrives.
    Newest,
    /// A line (from 0) of the message with this row.
    At { row: i64, line: usize },
}

/// A position: the index of a message and one of its lines, separators above it included.
type Place = (usize, usize);

/// What came of a page of newest messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Merged {
    /// The timeline reaches to the newest message.
    Complete,
    /// Messages are missing after this row, and the reader is looking at those before it.
    MissingAfter(i64),
}

/// A line of the window.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Shown {
    /// The row of the message that it is of; none for a rule.
    pub(super) message: Option<i64>,
    /// Whether that is the chosen one.
    pub(super) chosen: bool,
    pub(super) content: Row,
}

/// The loaded part of a room's timeline, in the order of the log: what is pending comes last.
#[derive(Debug)]
pub(super) struct Timeline {
    messages: Vec<Message>,
    older_exist: bool,
    /// Whether messages are missing below: what is loaded was jumped to, or they were given back.
    newer_exist: bool,
    unread_from: Option<i64>,
    /// The message that is chosen, by its row.
    selected: Option<i64>,
    /// Whether more is said of it.
    detailed: bool,
    bottom: Bottom,
    cache: RefCell<Cache>,
    laid_out: Cell<usize>,
}

#[derive(Debug, Default)]
struct Cache {
    width: usize,
    lines: HashMap<i64, Rc<[Row]>>,
}

impl Timeline {
    /// A timeline of which nothing is loaded.
    pub(super) fn new() -> Self {
        Self {
            messages: Vec::new(),
            older_exist: true,
            newer_exist: false,
            unread_from: None,
            selected: None,
            detailed: false,
            bottom: Bottom::Newest,
            cache: RefCell::default(),
            laid_out: Cell::new(0),
        }
    }

    /// Takes in the newest `limit` messages. They replace what was known of the log from the first of them on: a line
    /// keeps its row for ever but not its place, since what was pending moves when it is acknowledged.
    pub(super) fn merge_newest(&mut self, page: Vec<Message>, limit: usize) -> Merged {
        self.forget_changed(&page);
        if self.newer_exist {
            return self.refresh(page);
        }
        let rows: HashSet<i64> = page.iter().map(|message| message.row).collect();
        let overlap = self.messages.iter().position(|message| rows.contains(&message.row));
        match (overlap, self.newest_row()) {
            _ if page.len() < limit => {
                self.older_exist = false;
                self.messages = page;
            }
            (Some(at), _) => {
                self.messages.truncate(at);
                self.messages.extend(page);
            }
            (None, Some(row)) if !self.follows() => return Merged::MissingAfter(row),
            (None, _) => {
                self.older_exist = true;
                self.messages = page;
            }
        }
        Merged::Complete
    }

    /// Takes in what has become of messages that are loaded, while others are missing below.
    fn refresh(&mut self, page: Vec<Message>) -> Merged {
        let mut fresh: HashMap<i64, Message> =
            page.into_iter().map(|message| (message.row, message)).collect();
        for known in &mut self.messages {
            if let Some(message) = fresh.remove(&known.row) {
                *known = message;
            }
        }
        Merged::Complete
    }

    /// Shows these messages in the place of what is loaded; `older` and `newer`: whether there are more on that side.
    pub(super) fn show(&mut self, page: Vec<Message>, older: bool, newer: bool) {
        self.forget_changed(&page);
        (self.messages, self.older_exist, self.newer_exist) = (page, older, newer);
        self.bottom = match self.messages.last() {
            Some(last) if newer => Bottom::At { row: last.row, line: usize::MAX },
            _ => Bottom::Newest,
        };
    }

    /// Takes in the `limit` messages before the one with this row, if it is still the first one known: else they would stand
    /// before others than they stood before, and what is between them would never be read.
    pub(super) fn prepend(&mut self, before: i64, mut page: Vec<Message>, limit: usize) {
        if self.oldest_row() != Some(before) {
            return;
        }
        self.older_exist = page.len() >= limit;
        let known: HashSet<i64> = self.messages.iter().map(|message| message.row).collect();
        page.retain(|message| !known.contains(&message.row));
        page.append(&mut self.messages);
        self.messages = page;
    }

    /// Takes in what stands after the message with this row.
    pub(super) fn append(&mut self, after: i64, page: Vec<Message>, limit: usize) {
        if let Some(at) = self.position(after) {
            self.newer_exist &= page.len() >= limit;
            self.forget_changed(&page);
            self.messages.truncate(at + 1);
            self.messages.extend(page);
        }
    }

    /// Gives back what lies far from the window on either side.
    pub(super) fn trim(&mut self) {
        let Some(last) = self.messages.len().checked_sub(1) else { return };
        let bottom = match self.bottom {
            Bottom::Newest => last,
            Bottom::At { row, .. } => self.position(row).unwrap_or(last),
        };
        if last - bottom > KEPT + SPARE {
            self.messages.truncate(bottom + 1 + KEPT);
            self.newer_exist = true;
        }
        if bottom > KEPT + SPARE {
            self.messages.drain(..bottom - KEPT);
            self.older_exist = true;
        }
        // What a burst has taken is not kept for the next one.
        if self.messages.capacity() > 2 * self.messages.len() + SPARE {
            self.messages.shrink_to_fit();
        }
    }

    /// The row of the first message that is loaded.
    pub(super) fn oldest_row(&self) -> Option<i64> {
        self.messages.first().map(|message| message.row)
    }

    /// The row of the last message that is loaded and has its place; those that are pending come after it.
    pub(super) fn newest_row(&self) -> Option<i64> {
        self.messages
            .iter()
            .rev()
            .find(|message| message.delivery == Delivery::Sent)
            .map(|message| message.row)
    }

    /// Whether messages are missing below.
    pub(super) fn newer_exist(&self) -> bool {
        self.newer_exist
    }

    /// Whether there may be more above.
    pub(super) fn older_exist(&self) -> bool {
        self.older_exist
    }

    /// How many messages are loaded.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing is loaded.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether the window stays at the newest line.
    pub(super) fn follows(&self) -> bool {
        self.bottom == Bottom::Newest && !self.newer_exist
    }

    /// How many messages have been laid out so far, for tests of the virtualisation.
    #[cfg(test)]
    pub(super) fn laid_out(&self) -> usize {
        self.laid_out.get()
    }

    /// Puts the unread line above the last `count` messages from others; none above nothing. Where it is known up to where was read, the
    /// line stands behind that: more may be counted than is loaded.
    pub(super) fn mark_unread(&mut self, count: u64, read: Option<Seq>) {
        let mut left = count;
        self.unread_from = None;
        if let Some(read) = read.filter(|_| count > 0) {
            let is_new = |message: &&Message| message.seq.is_some_and(|seq| seq > read);
            let new = self.messages.iter().filter(|message| is_from_others(message)).find(is_new);
            self.unread_from = new.map(|message| message.row);
            return;
        }
        for message in self.messages.iter().rev().filter(|message| is_from_others(message)) {
            if left == 0 {
                break;
            }
            left -= 1;
            self.unread_from = Some(message.row);
        }
    }

    /// Puts the unread line above the first message from others after `row`, unless it stands somewhere.
    pub(super) fn mark_unread_after(&mut self, row: i64) {
        if self.unread_from.is_none() {
            let new = self.after(row).iter().find(|message| is_from_others(message));
            self.unread_from = new.map(|message| message.row);
        }
    }

    /// Puts the unread line above this row, where it stood before.
    pub(super) fn restore_unread(&mut self, row: i64) {
        self.unread_from = Some(row);
    }

    /// The row below the unread line.
    pub(super) fn unread_line(&self) -> Option<i64> {
        self.unread_from
    }

    /// Lays everything out again: it looks different now.
    pub(super) fn forget_looks(&mut self) {
        self.cache.get_mut().lines.clear();
    }

    /// Takes the unread line away.
    pub(super) fn mark_all_read(&mut self) {
        self.unread_from = None;
    }

    /// How many messages from others stand after `row`.
    pub(super) fn count_after(&self, row: i64) -> usize {
        self.after(row).iter().filter(|message| is_from_others(message)).count()
    }

    /// Moves the window up. Returns whether its top came within a window of the oldest loaded line.
    pub(super) fn scroll_up(&mut self, by: usize, pane: Pane) -> bool {
        let Some(bottom) = self.bottom_place(pane) else { return self.older_exist };
        let moved = self.up(bottom, by, pane).0;
        // The window stays full: its bottom is never above the last line of the first window.
        let top = self.up(moved, pane.height.saturating_sub(1), pane);
        let place = if top.1 > 0 { self.down((0, 0), pane.height.saturating_sub(1), pane) } else { moved };
        self.hold(place, pane);
        self.up(place, pane.height * 2, pane).1 > 0
    }

    /// Moves the window down; at the newest line it stays there.
    pub(super) fn scroll_down(&mut self, by: usize, pane: Pane) {
        if let Some(bottom) = self.bottom_place(pane) {
            let place = self.down(bottom, by, pane);
            self.hold(place, pane);
        }
    }

    /// Whether the window is so near the last loaded line that what is missing below should be read.
    pub(super) fn wants_newer(&self, pane: Pane) -> bool {
        let near = |(index, line)| self.down((index, line), pane.height, pane).0 + 1 >= self.messages.len();
        self.newer_exist && self.bottom_place(pane).is_some_and(near)
    }

    /// Moves the window to the newest line.
    pub(super) fn scroll_to_newest(&mut self) {
        self.bottom = Bottom::Newest;
    }

    /// The lines of the window, at most `pane.height`, the newest last.
    pub(super) fn window(&self, pane: Pane) -> Vec<Shown> {
        let Some((mut index, line)) = self.bottom_place(pane) else { return Vec::new() };
        let mut reversed: Vec<Shown> = Vec::with_capacity(pane.height);
        let mut upto = line + 1;
        loop {
            let row = self.messages[index].row;
            let block = self.block(index, pane).into_iter().map(|(is_rule, content)| Shown {
                message: (!is_rule).then_some(row),
                chosen: !is_rule && self.selected == Some(row),
                content,
            });
            let block: Vec<_> = block.collect();
            reversed.extend(block.into_iter().take(upto).rev().take(pane.height - reversed.len()));
            if index == 0 || reversed.len() >= pane.height {
                break;
            }
            index -= 1;
            upto = usize::MAX;
        }
        reversed.reverse();
        reversed
    }

    /// Where the message with this row stands; those looked for are near the end.
    fn position(&self, row: i64) -> Option<usize> {
        self.messages.iter().rposition(|message| message.row == row)
    }

    /// The messages after the one with this row; none when it is not known.
    fn after(&self, row: i64) -> &[Message] {
        self.position(row).map_or(&[], |at| &self.messages[at + 1..])
    }

    fn forget_changed(&mut self, page: &[Message]) {
        let fresh: HashMap<i64, &Message> = page.iter().map(|message| (message.row, message)).collect();
        let cache = self.cache.get_mut();
        for known in &self.messages {
            if fresh.get(&known.row).is_some_and(|message| *message != known) {
                cache.lines.remove(&known.row);
            }
        }
    }

    /// Forgets how lines look that are not there any more.
    pub(super) fn forget_gone(&mut self) {
        let there: HashSet<i64> = self.messages.iter().map(|message| message.row).collect();
        self.cache.get_mut().lines.retain(|row, _| there.contains(row));
    }

    fn hold(&mut self, (index, line): Place, pane: Pane) {
        let newest =
            !self.newer_exist && index + 1 == self.messages.len() && line + 1 >= self.height(index, pane);
        self.bottom =
            if newest { Bottom::Newest } else { Bottom::At { row: self.messages[index].row, line } };
    }

    fn bottom_place(&self, pane: Pane) -> Option<Place> {
        let last = self.messages.len().checked_sub(1)?;
        if pane.height == 0 || pane.width == 0 {
            return None;
        }
        let (index, line) = match self.bottom {
            Bottom::Newest => (last, usize::MAX),
            Bottom::At { row, line } => (self.position(row).unwrap_or(last), line),
        };
        Some((index, line.min(self.height(index, pane).saturating_sub(1))))
    }

    /// The place `by` lines above, and how many lines there are too few for that.
    fn up(&self, (mut index, mut line): Place, mut by: usize, pane: Pane) -> (Place, usize) {
        while by > line {
            by -= line + 1;
            if index == 0 {
                return ((0, 0), by + 1);
            }
            index -= 1;
            line = self.height(index, pane).saturating_sub(1);
        }
        ((index, line - by), 0)
    }

    fn down(&self, (mut index, mut line): Place, mut by: usize, pane: Pane) -> Place {
        loop {
            let below = self.height(index, pane).saturating_sub(line + 1);
            if by <= below {
                return (index, line + by);
            }
            if index + 1 == self.messages.len() {
                return (index, line + below);
            }
            by -= below + 1;
            (index, line) = (index + 1, 0);
        }
    }

    fn height(&self, index: usize, pane: Pane) -> usize {
        let details =
            if self.says_more_of(index) { lines::details(&self.messages[index], pane).len() } else { 0 };
        self.rules(index, pane) + self.lines(index, pane).len() + details
    }

    /// How many rules stand above a message.
    fn rules(&self, index: usize, pane: Pane) -> usize {
        usize::from(self.starts_day(index, pane)) + usize::from(self.starts_unread(index))
    }

    /// The lines of a message, and whether each is a rule above it.
    fn block(&self, index: usize, pane: Pane) -> Vec<(bool, Row)> {
        let mut block = Vec::new();
        if self.starts_day(index, pane) {
            block.push((true, lines::day(self.messages[index].sent_at, pane).into()));
        }
        if self.starts_unread(index) {
            block.push((true, lines::unread(pane).into()));
        }
        block.extend(self.lines(index, pane).iter().map(|row| (false, row.clone())));
        if self.says_more_of(index) {
            block.extend(lines::details(&self.messages[index], pane).into_iter().map(|row| (false, row)));
        }
        block
    }

    fn says_more_of(&self, index: usize) -> bool {
        self.detailed && self.selected == Some(self.messages[index].row)
    }

    fn starts_day(&self, index: usize, pane: Pane) -> bool {
        let date = |index: usize| pane.zone.show(self.messages[index].sent_at).date();
        index.checked_sub(1).is_none_or(|before| date(before) != date(index))
    }

    fn starts_unread(&self, index: usize) -> bool {
        self.unread_from == Some(self.messages[index].row)
    }

    fn lines(&self, index: usize, pane: Pane) -> Rc<[Row]> {
        let mut cache = self.cache.borrow_mut();
        if cache.width != pane.width || cache.lines.len() >= CACHED {
            cache.lines.clear();
            cache.width = pane.width;
        }
        let message = &self.messages[index];
        let laid = cache.lines.entry(message.row).or_insert_with(|| {
            self.laid_out.set(self.laid_out.get() + 1);
            lines::message(message, pane).into()
        });
        Rc::clone(laid)
    }
}

fn is_from_others(message: &Message) -> bool {
    message.is_said() && message.sender.as_ref().is_some_and(|sender| !sender.me)
}
