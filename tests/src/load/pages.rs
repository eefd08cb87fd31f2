//! Devices that read long logs while others talk: each asks for one page after the other, and begins anew at the end.

use std::collections::HashMap;

use anyhow::{Result, bail};
use qchat_proto::{
    ids::{RoomId, Seq},
    wire::pb::server_frame::Body,
};
use qchatd::service::seed::Plan;

use super::{
    account::Account,
    frames::Incoming,
    links::{Heard, Links},
    live::put_fetch,
};

/// All of them.
#[derive(Default)]
pub struct Pagers {
    by_slot: HashMap<usize, Pager>,
    pages: u64,
    envelopes: u64,
    stopped: bool,
}

struct Pager {
    rooms: Vec<RoomId>,
    at: usize,
}

impl Pagers {
    /// Every account from `first` on reads the rooms that the seed has put it into.
    pub fn new(plan: Plan, first: usize, accounts: usize) -> Self {
        let mut pagers: HashMap<usize, Pager> = HashMap::new();
        for room in 1..=plan.rooms {
            for member in plan.members(room) {
                let slot = member as usize - 1;
                if (first..accounts).contains(&slot) {
                    let pager = pagers.entry(slot).or_insert(Pager { rooms: Vec::new(), at: 0 });
                    pager.rooms.push(plan.room(room));
                }
            }
        }
        Self { by_slot: pagers, ..Self::default() }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_slot.len()
    }

    /// Opens their connections.
    ///
    /// # Errors
    /// When there is no further file or port.
    pub fn connect(&self, links: &mut Links, accounts: &[Account]) -> Result<()> {
        for slot in self.by_slot.keys() {
            links.connect(*slot, &accounts[*slot].token)?;
        }
        Ok(())
    }

    /// Whether this connection is one of theirs.
    pub fn has(&self, slot: usize) -> bool {
        self.by_slot.contains_key(&slot)
    }

    /// Pages read so far, and the envelopes in them.
    pub fn read(&self) -> (u64, u64) {
        (self.pages, self.envelopes)
    }

    /// Asks for nothing further.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Hears what a connection says.
    ///
    /// # Errors
    /// When the daemon refuses a page or ends the connection.
    pub fn heard(&mut self, slot: usize, heard: Heard, out: &mut Vec<u8>) -> Result<()> {
        let Some(pager) = self.by_slot.get_mut(&slot) else { return Ok(()) };
        let after = match heard {
            Heard::Open => Seq(0),
            Heard::Frame(Incoming::Frame(Body::Page(page))) => {
                self.pages += 1;
                self.envelopes += page.envelopes.len() as u64;
                let end = page.envelopes.last().map_or(page.last_seq, |logged| logged.seq);
                if end >= page.last_seq {
                    pager.at += 1;
                    Seq(0)
                } else {
                    Seq(end)
                }
            }
            Heard::Frame(Incoming::Frame(Body::Refused(refused))) => {
                let fault = refused.fault.unwrap_or_default();
                bail!("a page is refused: {}: {}", fault.code, fault.message);
            }
            Heard::Frame(_) => return Ok(()),
            Heard::Closed(why) => bail!("a connection that reads pages ended: {why}"),
        };
        if !self.stopped
            && let Some(room) = pager.rooms.get(pager.at % pager.rooms.len().max(1))
        {
            put_fetch(out, *room, after);
        }
        Ok(())
    }
}
