//! What a profile has to offer for completion.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use qchat_proto::{ids::RoomId, sanitize, session::ledger::Phase};

use crate::{
    cli::args,
    config::Settings,
    store::{Profile, StoreError, Tx},
    vault::{self, agent},
};

/// Longer than this nobody waits for a completion.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where values come from.
#[derive(Clone)]
pub(super) struct Offers(Arc<Option<Settings>>);

/// A room that may be named, and whether it is an invitation.
struct Room {
    id: RoomId,
    name: String,
    invited: bool,
}

impl Offers {
    pub(super) fn new(settings: Option<Settings>) -> Self {
        Self(Arc::new(settings))
    }

    /// Rooms, as the command takes them: one joins what one is invited to, and writes where one has joined.
    pub(super) fn rooms(&self, command: &str) -> ArgValueCandidates {
        let (joined, invited) = match command {
            "join" => (false, true),
            "show" | "leave" => (true, true),
            _ => (true, false),
        };
        let offers = self.clone();
        ArgValueCandidates::new(move || {
            let rooms = offers.read(rooms).unwrap_or_default();
            candidates(&rooms, |room| if room.invited { invited } else { joined })
        })
    }

    /// Users whom the profile knows.
    pub(super) fn users(&self) -> ArgValueCandidates {
        let offers = self.clone();
        ArgValueCandidates::new(move || {
            let contacts = offers.read(Tx::contacts).unwrap_or_default();
            contacts.iter().map(|contact| CompletionCandidate::new(contact.name.as_str())).collect()
        })
    }

    /// Profiles on this machine.
    pub(super) fn profiles(&self) -> ArgValueCandidates {
        let offers = self.clone();
        ArgValueCandidates::new(move || {
            let Some(settings) = offers.0.as_ref() else { return vec![] };
            let entries = fs::read_dir(&settings.data_dir).into_iter().flatten().flatten();
            let profiles = entries.filter(|entry| vault::exists(&entry.path()));
            let mut names: Vec<String> =
                profiles.filter_map(|entry| args::profile(entry.file_name().to_str()?).ok()).collect();
            names.sort_unstable();
            names.into_iter().map(CompletionCandidate::new).collect()
        })
    }

    /// Reads from the profile, if an agent holds its key and nothing takes long. What takes longer is given up: it ends
    /// with the process, and only reads.
    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T, StoreError> + Send + 'static,
    ) -> Option<T> {
        let dir = self.0.as_ref().as_ref()?.profile_dir();
        let (answer, answers) = mpsc::channel();
        thread::Builder::new()
            .spawn(move || {
                let key = agent::key(&dir).ok().flatten()?;
                let found = Profile::open(&dir, key).ok()?.read(work).ok()?;
                answer.send(found).ok()
            })
            .ok()?;
        answers.recv_timeout(PATIENCE).ok()
    }
}

fn rooms(tx: &mut Tx) -> Result<Vec<Room>, StoreError> {
    let joined = tx.rooms()?.into_iter().filter(|row| !matches!(row.state.phase, Phase::Left(_)));
    let mut rooms: Vec<Room> = joined
        .map(|row| Room {
            id: row.state.room,
            name: row.settings.map(|settings| settings.name).unwrap_or_default(),
            invited: false,
        })
        .collect();
    for row in tx.invitations()? {
        if !tx.is_blocked(row.inviter)? {
            rooms.push(Room { id: row.room, name: row.name.unwrap_or_default(), invited: true });
        }
    }
    Ok(rooms)
}

/// Offers rooms by their names; by their ids where a name says nothing for certain: another room has it too, or it could
/// be taken for an option or an id, or has a character in it that no line of text has.
fn candidates(rooms: &[Room], wanted: impl Fn(&Room) -> bool) -> Vec<CompletionCandidate> {
    let mut named: HashMap<&str, usize> = HashMap::new();
    for room in rooms {
        *named.entry(room.name.as_str()).or_default() += 1;
    }
    rooms
        .iter()
        .filter(|room| wanted(room))
        .map(|room| {
            let name = room.name.as_str();
            let shown = sanitize::line(name).to_string();
            if named.get(name) == Some(&1) && shown == name && is_plain(name) {
                CompletionCandidate::new(name)
            } else {
                CompletionCandidate::new(room.id.to_string()).help(Some(shown.into()))
            }
        })
        .collect()
}

/// Whether a name can be typed and read as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.trim() == name
        && !name.starts_with('-')
        && name.parse::<RoomId>().is_err()
        && !name.chars().any(|c| c.is_control() || (c.is_whitespace() && c != ' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(names: &[&str]) -> Vec<String> {
        let rooms: Vec<Room> = (1..)
            .zip(names)
            .map(|(number, name)| Room {
                id: RoomId::from_bytes([number; 16]),
                name: (*name).to_owned(),
                invited: false,
            })
            .collect();
        let offered = candidates(&rooms, |_| true);
        offered.iter().map(|candidate| candidate.get_value().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_room_is_offered_by_a_name_that_is_certain_and_else_by_its_id() {
        let other_id = "ab".repeat(16);
        for (name, by_name) in [
            ("general", true),
            ("two words", true),
            ("$(touch /tmp/x)", true),
            ("größe", true),
            ("", false),
            (" padded", false),
            ("-rf", false),
            ("--help", false),
            ("two\nlines", false),
            ("tab\there", false),
            ("bell\u{7}", false),
            ("\u{1b}[31mred", false),
            ("turned\u{202e}round", false),
            ("wide\u{3000}space", false),
            (other_id.as_str(), false),
        ] {
            let expected = if by_name { name.to_owned() } else { "01".repeat(16) };
            assert_eq!(offered(&[name]), [expected], "{name:?}");
        }
        assert_eq!(offered(&["tea", "tea"]), ["01".repeat(16), "02".repeat(16)]);
    }
}
