//! The engine as the screen's desk: each command is one call of the engine's, and what it answers becomes fit for a terminal.

use std::{
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use directories::UserDirs;
use qchat_proto::{
    content::{Emoji, MessageRef, SettingsChange},
    ids::{MessageId, RoomId, UserName},
};
use tokio::sync::{broadcast, mpsc, oneshot};
use zeroize::Zeroizing;

use super::{
    desk::Desk,
    keymap::{Keymap, Preset},
    msg::{Answer, Command, Msg},
    panels::report,
    pixels::{self, Unreadable},
    prefs::Change,
    search,
    update::PAGE,
    words::{Language, Locale, Words},
};
use crate::{
    child,
    engine::{
        Appearance, Destination, Draft, EngineError, FoundFile, Handle, IdentityChange, LinkTerms, Source,
        Transfer, activity_words,
        types::{Event, LinkStatus},
    },
    query::Query,
    sound::{self, SoundTrouble},
    zone::Zone,
};

/// Entries of the security log.
const ENTRIES: usize = 200;
/// How long a link is good for that is made here.
const LINK: Duration = Duration::from_hours(7 * 24);
/// How long somebody waits to be let in before they are told that it takes longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Files of the same name that are told apart before one gives up.
const NAMES: usize = 1000;

/// The engine, and where the configuration file is.
#[derive(Clone)]
pub struct Office {
    handle: Handle,
    zone: Zone,
    config: Option<PathBuf>,
    /// What plays sound, where that is set.
    player: Option<String>,
    locale: Locale,
    /// Of the language that is set by now.
    words: Arc<Mutex<Words>>,
}

impl Office {
    /// Of this engine; settings are written to `config`. It says what goes wrong in `language`.
    pub fn new(
        handle: Handle,
        zone: Zone,
        config: Option<PathBuf>,
        language: Language,
        locale: Locale,
    ) -> Self {
        let words = Arc::new(Mutex::new(Words::of(language, &locale)));
        Self { handle, zone, config, player: None, locale, words }
    }

    /// The same, with sound played by this command.
    #[must_use]
    pub fn playing_by(self, player: Option<String>) -> Self {
        Self { player, ..self }
    }

    fn words(&self) -> Words {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk for Office {
    fn events(&self) -> broadcast::Receiver<Event> {
        self.handle.events()
    }

    async fn perform(&self, command: Command, progress: mpsc::Sender<Msg>) -> Result<Answer, String> {
        match command {
            Command::SaveSetting(change, preset) => {
                if let Change::Language(language) = change {
                    let words = Words::of(language, &self.locale);
                    *self.words.lock().unwrap_or_else(PoisonError::into_inner) = words;
                }
                save(self.config.clone(), change, preset, self.words()).await
            }
            Command::ShowFile(path) => match show(&path) {
                Ok(()) => Ok(Answer::Nothing),
                Err(error) => {
                    Err(self.words().file_not_opened(path.display().to_string(), error.to_string()))
                }
            },
            Command::SaveFile { room, message, .. } => {
                let office = self.clone();
                let got = on_a_thread(self.words(), async move || {
                    office.save(room, message, |far| tell(&progress, &command, far)).await
                });
                got.await.map(Answer::Path)
            }
            Command::LookAt { room, message } => {
                let office = self.clone();
                let words = self.words();
                let got = on_a_thread(words, async move || {
                    let found = office.handle.file(room, &message.to_string()).await?;
                    let small = async {
                        if let Some(pixels) = pixels::glimpse(found.attachment.thumbnail.clone()).await {
                            let _ = progress.send(Msg::Glimpse(command.clone(), pixels)).await;
                        }
                    };
                    let whole = office.fetch(room, &found, |far| tell(&progress, &command, far));
                    tokio::join!(small, whole).1
                });
                let pixels = pixels::decode(got.await?).await.map_err(|why| match why {
                    Unreadable::Kind => words.no_picture(),
                    Unreadable::TooLarge => words.picture_too_many(),
                    Unreadable::Broken => words.picture_broken(),
                })?;
                Ok(Answer::Picture(pixels))
            }
            Command::Play { room, message } => {
                let (handle, words) = (self.handle.clone(), self.words());
                let got = on_a_thread(words, async move || {
                    let found = handle.file(room, &message.to_string()).await?;
                    Ok(sound::fetch(&handle, room, &found, false, |_| {}).await)
                });
                let why = |trouble: SoundTrouble| match trouble {
                    SoundTrouble::NoSound => words.no_sound(),
                    SoundTrouble::NoPlayer => words.no_player(),
                    trouble => trouble.to_string(),
                };
                let sound = got.await?.map_err(why)?;
                let player = sound::player(self.player.as_deref(), sound::kind(&sound)).map_err(why)?;
                sound::play(&player, &sound, false).await.map_err(why)?;
                Ok(Answer::Nothing)
            }
            Command::SendFile { room, ref path } => {
                let media_type = mime_guess::from_path(path).first_raw().unwrap_or_default().to_owned();
                let (path, draft) = (path.clone(), Draft::default());
                let source = Source { path, memory: None, media_type, draft, voice: false, duration_ms: 0 };
                let handle = self.handle.clone();
                let sent = on_a_thread(self.words(), async move || {
                    handle.send_file(room, source, |far| tell(&progress, &command, far)).await
                });
                sent.await.map(|_| Answer::Nothing)
            }
            Command::StartQuantum(kind) => {
                let step = || tell(&progress, &command, Transfer { done: 0, of: 0 });
                let run = self.handle.run_quantum(kind, step).await;
                run.map(|()| Answer::Nothing).map_err(|error| error.to_string())
            }
            Command::Search { query, offset } => {
                let query =
                    Query::parse(&query, |text| self.zone.read(text)).map_err(|error| error.to_string())?;
                let found = self.handle.search(query, search::PAGE, offset).await;
                found.map(Answer::Found).map_err(|error| error.to_string())
            }
            command => self.ask(command).await.map_err(|error| error.to_string()),
        }
    }
}

/// What does not fit into the channel is passed over: a later word says more.
fn tell(progress: &mpsc::Sender<Msg>, command: &Command, far: Transfer) {
    let _ = progress.try_send(Msg::Progress(command.clone(), far.done, far.of));
}

/// Does on a thread of its own what does not go from one to another: files, that is. It ends when nobody waits for it any more.
async fn on_a_thread<T, F>(words: Words, work: impl FnOnce() -> F + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = Result<T, EngineError>>,
{
    let runtime = tokio::runtime::Handle::current();
    let (waits, gone) = oneshot::channel::<()>();
    let (done, outcome) = oneshot::channel();
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                ended = work() => {
                    let _ = done.send(ended.map_err(|error| error.to_string()));
                }
                _ = gone => {}
            }
        });
    });
    let outcome = outcome.await.unwrap_or_else(|_| Err(words.gave_up()));
    drop(waits);
    outcome
}

impl Office {
    async fn ask(&self, command: Command) -> Result<Answer, EngineError> {
        let handle = &self.handle;
        let nothing = |()| Answer::Nothing;
        match command {
            Command::LoadRooms => handle.rooms().await.map(Answer::Rooms),
            Command::LoadRoom(room) => handle.room(room).await.map(|room| Answer::Room(Box::new(room))),
            Command::LoadRoster(room) => handle.devices_in(room).await.map(Answer::Roster),
            Command::LoadNewest { room, limit } => handle.timeline(room, None, limit).await.map(Answer::Page),
            Command::LoadOlder { room, before } => {
                handle.timeline(room, Some(before), PAGE).await.map(Answer::Page)
            }
            Command::LoadNewer { room, after } => {
                handle.timeline_after(room, after, PAGE).await.map(Answer::Page)
            }
            Command::LoadAround { room, row } => {
                let mut page = handle.timeline(room, Some(row), PAGE - 1).await?;
                let from = page.last().map_or(0, |message| message.row);
                page.extend(handle.timeline_after(room, from, PAGE + 1).await?);
                Ok(Answer::Page(page))
            }
            Command::Locate { room, id } => self.locate(room, id).await,
            Command::Peek(room) => handle.timeline(room, None, 1).await.map(Answer::Page),
            Command::LoadLine(room) => handle.unread_line(room).await.map(Answer::Row),
            Command::KeepLine { room, row } => handle.keep_unread_line(room, row).await.map(nothing),
            Command::LoadDrafts => handle.drafts().await.map(Answer::Drafts),
            Command::KeepDraft { room, text } => handle.keep_draft(room, text).await.map(nothing),
            Command::LoadPeople => handle.trusted().await.map(Answer::People),
            Command::Send { room, text, reply_to } => {
                let draft = Draft { text, reply_to, ..Draft::default() };
                handle.send_draft(room, draft).await.map(|_| Answer::Nothing)
            }
            Command::Rewrite { room, of, text } => handle.edit(room, of, text).await.map(|_| Answer::Nothing),
            Command::TakeBack(room, of) => {
                if handle.take_back(room, of.id).await? {
                    return Ok(Answer::Nothing);
                }
                Err(EngineError::Refused(self.words().has_left()))
            }
            Command::Retract(room, of) => handle.retract(room, of).await.map(|_| Answer::Nothing),
            Command::DeleteHere(room, id) => handle.delete(room, vec![id]).await.map(|_| Answer::Nothing),
            Command::React { room, of, emoji, remove } => self.react(room, of, &emoji, remove).await,
            Command::Pin { room, of, remove } => handle.pin(room, of, remove).await.map(|_| Answer::Nothing),
            Command::Vote { room, of, choices } => {
                handle.vote(room, of, choices).await.map(|_| Answer::Nothing)
            }
            Command::ClosePoll(room, of) => handle.close_poll(room, of).await.map(|_| Answer::Nothing),
            Command::Ask(room, poll) => handle.ask(room, poll).await.map(|_| Answer::Nothing),
            Command::MarkRead(room) => handle.mark_read(room).await.map(nothing),
            Command::CreateRoom(name) => handle.create_room(name).await.map(Answer::Created),
            Command::Direct(name) => handle.direct(&name).await.map(Answer::Created),
            Command::Invite { room, users } => handle.invite(room, users).await.map(nothing),
            Command::MakeLink(room) => {
                let terms = LinkTerms { uses: None, ask: false, lifetime: Some(LINK) };
                handle.create_link(room, terms).await.map(|link| Answer::Invite(Box::new(link)))
            }
            Command::JoinByLink(link) => handle.join_by_link(&link, PATIENCE).await.map(Answer::Asked),
            Command::LetIn(room, name) => handle.admit(room, &name).await.map(nothing),
            Command::Remove(room, name) => handle.remove(room, name).await.map(nothing),
            Command::Rename(room, name) => {
                handle.change_settings(room, SettingsChange::Name(name)).await.map(nothing)
            }
            Command::SetTopic(room, topic) => {
                handle.change_settings(room, SettingsChange::Topic(topic)).await.map(nothing)
            }
            Command::Join(room) => handle.join(room).await.map(nothing),
            Command::Decline(room) | Command::Leave(room) => handle.leave(room).await.map(nothing),
            Command::LoadLink => match handle.link_request().await {
                Ok(status) => Ok(Answer::Link(status)),
                // Without a connection nobody asks; that there is none is said elsewhere.
                Err(
                    EngineError::Net(_)
                    | EngineError::Timeout(_)
                    | EngineError::LoggedOut
                    | EngineError::LinkOver,
                ) => Ok(Answer::Link(LinkStatus::None)),
                Err(error) => Err(error),
            },
            Command::ApproveLink(link) => handle.approve_link(link).await.map(|_| Answer::Nothing),
            Command::RefuseLink(link) => handle.refuse_link(link).await.map(nothing),
            Command::Unlock(passphrase) => {
                handle.try_passphrase(passphrase.expose().clone()).await.map(nothing)
            }
            command => self.ask_about_the_account(command).await,
        }
    }

    async fn ask_about_the_account(&self, command: Command) -> Result<Answer, EngineError> {
        let handle = &self.handle;
        let nothing = |()| Answer::Nothing;
        match command {
            Command::Compare(name) => self.compare(&name).await,
            Command::MarkVerified(name, number) => {
                let compared = handle.compare(&name).await?;
                if compared.number.digits().to_string() != number {
                    return Err(EngineError::IdentityChanged(name));
                }
                handle.mark_verified(&compared).await.map(nothing)
            }
            Command::Unverify(name) => handle.revoke_verification(&name).await.map(|_| Answer::Nothing),
            Command::LookAtChange(name) => {
                let change = handle.identity_change(&name).await?.map(|change| {
                    let IdentityChange { name, kind, old, new, .. } = change;
                    Box::new(report::Change { name, kind, old: hex(&old), new: hex(&new) })
                });
                Ok(Answer::Change(change))
            }
            Command::AcceptIdentity(name, key) => match handle.identity_change(&name).await? {
                // Another one than the user has seen.
                Some(change) if hex(&change.new) != key => Err(EngineError::IdentityChanged(name)),
                Some(change) => handle.accept_change(&change).await.map(nothing),
                None => Err(EngineError::Refused(self.words().no_identity_of(name.as_str()))),
            },
            Command::LoadDevices => handle.devices().await.map(Answer::Devices),
            Command::Revoke(device) => handle.revoke(device).await.map(|_| Answer::Nothing),
            Command::LoadKeys => {
                let keys = handle.keys().await?;
                let own = keys.into_iter().find(|key| key.me).map_or_else(String::new, |key| hex(&key.hash));
                let backups =
                    handle.backups().await.map(|(kept, _, _)| kept).map_err(|error| error.to_string());
                Ok(Answer::Keys(Box::new(report::Keys { fingerprint: own, backups })))
            }
            Command::UpdateKeys(room) => handle.update_keys(room).await.map(nothing),
            Command::LoadLog => {
                let own = handle.me().device;
                let entries = handle.activity(ENTRIES).await?.into_iter().map(|entry| report::LogEntry {
                    words: activity_words(&entry, entry.device_id == Some(own), &self.zone),
                    good: entry.outcome == "done",
                });
                Ok(Answer::Log(entries.collect()))
            }
            Command::LoadQuantum => {
                handle.quantum().await.map(|overview| Answer::Quantum(Box::new(overview)))
            }
            Command::CancelQuantum(id) => handle.cancel_quantum(&id).await.map(nothing),
            Command::Ping => {
                let time = handle.latency().await?;
                Ok(Answer::Latency(report::Latency { server: handle.me().server.to_string(), time }))
            }
            Command::LoadPresence => handle.presences().await.map(Answer::Presences),
            Command::LoadWriters(room) => handle.writers(room).await.map(Answer::Writers),
            Command::TellWriting { room, writing } => handle.write_notice(room, writing).await.map(nothing),
            Command::Appear(there) => {
                let appearance = if there { Appearance::Online } else { Appearance::Away };
                handle.appear(appearance, false).await.map(nothing)
            }
            Command::LoadUnsent => handle.unsent(None).await.map(Answer::Unsent),
            Command::DropUnsent(unsent) => {
                handle.drop_unsent(&unsent).await?;
                handle.unsent(None).await.map(Answer::Unsent)
            }
            // These are carried out elsewhere.
            _ => Ok(Answer::Nothing),
        }
    }

    async fn locate(&self, room: RoomId, id: MessageId) -> Result<Answer, EngineError> {
        match self.handle.find_message(room, &id.to_string()).await {
            Ok(of) => Ok(Answer::Row(Some(self.handle.message(room, of).await?.row))),
            Err(EngineError::NoSuchMessage(_)) => Ok(Answer::Row(None)),
            Err(error) => Err(error),
        }
    }

    async fn react(
        &self,
        room: RoomId,
        of: MessageRef,
        emoji: &str,
        remove: bool,
    ) -> Result<Answer, EngineError> {
        let emoji = Emoji::new(emoji).ok_or_else(|| EngineError::Invalid(self.words().no_reaction()))?;
        self.handle.react(room, of, emoji, remove).await.map(|_| Answer::Nothing)
    }

    async fn compare(&self, name: &UserName) -> Result<Answer, EngineError> {
        let compared = self.handle.compare(name).await?;
        let digits = compared.number.digits();
        let emoji = compared.number.emoji();
        Ok(Answer::Safety(Box::new(report::Safety {
            name: compared.name.clone(),
            number: digits.to_string(),
            groups: digits.groups().map(str::to_owned).collect(),
            emoji: emoji.iter().map(|emoji| (emoji.picture.to_owned(), emoji.name.to_owned())).collect(),
            code: compared.number.code().to_string(),
            fingerprint: hex(&compared.fingerprint),
            standing: compared.standing,
            fresh: compared.fresh,
        })))
    }

    /// Gets a file into memory, and nowhere else, if it is not too large for that.
    async fn fetch(
        &self,
        room: RoomId,
        found: &FoundFile,
        progress: impl Fn(Transfer),
    ) -> Result<Zeroizing<Vec<u8>>, EngineError> {
        // What the file is sealed to, whatever its message says of it.
        let size = found.attachment.sealing.layout.size();
        let length = usize::try_from(size).ok().filter(|_| size <= pixels::LARGEST);
        let length = length.ok_or_else(|| {
            let words = self.words();
            EngineError::Refused(words.picture_too_large(words.size(size), words.size(pixels::LARGEST)))
        })?;
        // All of it at once: growing would leave copies behind.
        let mut file = Zeroizing::new(Vec::with_capacity(length));
        self.handle.stream_file(room, &found.attachment, &mut *file, progress).await?;
        Ok(file)
    }

    /// Puts a file into the downloads, under its name or one that is free.
    async fn save(
        &self,
        room: RoomId,
        message: MessageId,
        progress: impl Fn(Transfer),
    ) -> Result<PathBuf, EngineError> {
        let found = self.handle.file(room, &message.to_string()).await?;
        let directory = downloads();
        let safe = found.attachment.safe_name();
        let to = Destination { name: free(&directory, &safe), directory, force: false };
        self.handle.fetch_file(room, &found, to, progress).await
    }
}

/// Where files are put: the user's downloads, else where the program was started.
fn downloads() -> PathBuf {
    let known = UserDirs::new().and_then(|dirs| dirs.download_dir().map(Path::to_owned));
    known.filter(|dir| dir.is_dir()).unwrap_or_else(|| PathBuf::from("."))
}

/// The name, or the first one like it that nothing has. Whatever comes there meanwhile is not written over.
fn free(directory: &Path, name: &str) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let named =
        |number: usize| if number == 1 { name.to_owned() } else { format!("{stem}-{number}{extension}") };
    let taken = |name: &String| directory.join(name).symlink_metadata().is_ok();
    (1..=NAMES).map(named).find(|name| !taken(name)).unwrap_or_else(|| name.to_owned())
}

/// Opens a file with what the desktop has for it.
fn show(path: &Path) -> io::Result<()> {
    let quiet = || Stdio::null();
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut child =
        child::command(opener).arg(path).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn()?;
    // Somebody has to wait for it, or it stays as a zombie.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// Writes a setting into the configuration file, and reads the keys of it anew, which start from `preset`.
async fn save(
    config: Option<PathBuf>,
    change: Change,
    preset: Preset,
    words: Words,
) -> Result<Answer, String> {
    let path = config.ok_or_else(|| words.no_place_for_settings())?;
    let written = tokio::task::spawn_blocking(move || {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        // Where it leads elsewhere, to a directory of settings say, what is there is written, and the link stays.
        let path = &fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(failed)?,
        };
        let changed = change.apply(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        io::Write::write_all(&mut file, changed.as_bytes()).map_err(failed)?;
        if let Ok(known) = fs::metadata(path) {
            file.as_file().set_permissions(known.permissions()).map_err(failed)?;
        }
        file.persist(path).map_err(|error| failed(error.error))?;
        Keymap::customised(preset, path, &changed).map_err(|error| error.to_string())
    });
    let keymap = written.await.map_err(|_| words.settings_not_written())??;
    Ok(Answer::Keymap(Box::new(keymap)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Look;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(free(dir.path(), "a.tar.gz"), "a.tar.gz");
        for name in ["a.txt", "a-2.txt", "b"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(free(dir.path(), "a.txt"), "a-3.txt");
        assert_eq!(free(dir.path(), "b"), "b-2");
    }

    #[tokio::test]
    async fn settings_are_written_to_the_file_and_its_keys_stay_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/config.toml");
        assert!(matches!(
            save(Some(path.clone()), Change::Bell(true), Preset::default(), Words::default()).await,
            Ok(Answer::Keymap(_))
        ));
        let real = dir.path().join("kept.toml");
        fs::rename(&path, &real).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        fs::write(&path, "# mine\nbell = true\n[keys.everywhere]\npalette = \"F9\"\n").unwrap();
        let Ok(Answer::Keymap(keymap)) =
            save(Some(path.clone()), Change::Look(Look::Dark), Preset::Vim, Words::default()).await
        else {
            panic!("not saved")
        };
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\nbell = true\n") && text.contains("theme = \"dark\""), "{text}");
        assert!(keymap.markdown(Words::default()).contains("`F9`"));
        let plain = "# mine\nbell = true\n[keys.everywhere]\npalette = \"F9\"\n";
        let plain = Keymap::customised(Preset::default(), &path, plain).unwrap();
        assert_ne!(*keymap, plain, "the keymap that is in force stays, wherever it is named");
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink() && !real.is_symlink());
        assert!(save(None, Change::Bell(true), Preset::default(), Words::default()).await.is_err());
    }
}
