//! Sound, as programs of the user's choice play and record it: none of it is decoded or encoded here. It goes to them and comes from
//! them through a pipe, never by a file, and no shell is run.

use std::{
    env,
    ffi::OsStr,
    fs,
    future::{Future, pending},
    io,
    os::unix::fs::PermissionsExt as _,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use qchat_proto::ids::RoomId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use crate::{
    child,
    engine::{EngineError, FoundFile, Handle, Transfer, types::size},
};

/// Largest sound that is played, bytes: all of it is in memory, so that a player gets nothing that is not what was sent.
const LARGEST: u64 = 64_000_000;
/// Most that is recorded, bytes: 16 MiB.
const MOST: usize = 16 * 1024 * 1024;
/// How long a recorder has to come to its end once it is told to.
const LAST: Duration = Duration::from_secs(3);

/// Sound cannot be played, or recorded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SoundTrouble {
    /// The message has something else.
    #[error(
        "that file is no sound that is known: ogg, WAV, FLAC, MP3, AAC, AIFF, WebM and the like are; --force plays it all the same"
    )]
    NoSound,
    /// It is too large to be played.
    #[error("that file has {}, and what is played has {} at most; `qchat file get` fetches it", size(*.0), size(LARGEST))]
    TooLarge(u64),
    /// A setting names no program.
    #[error("{0} names no command, or its words cannot be told apart")]
    Words(&'static str),
    /// Nothing that plays was found.
    #[error(
        "no player was found: install mpv or ffmpeg (ALSA's aplay and PulseAudio's paplay play WAV), or name one with --player"
    )]
    NoPlayer,
    /// Nothing that records was found.
    #[error(
        "no recorder was found: install ffmpeg, PipeWire's pw-record or ALSA's arecord, or name one with --recorder"
    )]
    NoRecorder,
    /// A program cannot be started.
    #[error("{program} cannot be started: {why}")]
    Start {
        /// Which.
        program: String,
        /// Why not.
        why: io::Error,
    },
    /// It did not do what it should.
    #[error("{program} failed ({status})")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What a recorder has printed is no sound.
    #[error("what {0} has printed is no sound that is known, and is not sent")]
    Unknown(String),
    /// The file cannot be got.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What sound is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// How names of files with it end.
    pub(crate) ending: &'static str,
}

/// What it is by its first bytes; none of what may be a list of other places to play from.
pub(crate) fn kind(bytes: &[u8]) -> Option<Kind> {
    let at = |place: usize, mark: &[u8]| bytes.get(place..).is_some_and(|rest| rest.starts_with(mark));
    let (media_type, ending) = match bytes {
        _ if at(0, b"OggS") => ("audio/ogg", "ogg"),
        _ if at(0, b"RIFF") && at(8, b"WAVE") => ("audio/wav", "wav"),
        _ if at(0, b"fLaC") => ("audio/flac", "flac"),
        _ if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) => ("audio/aiff", "aiff"),
        _ if at(0, b".snd") => ("audio/basic", "au"),
        _ if at(0, b"#!AMR") => ("audio/amr", "amr"),
        _ if at(4, b"ftyp") => ("audio/mp4", "m4a"),
        _ if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) => ("audio/webm", "webm"),
        _ if at(0, b"ID3") => ("audio/mpeg", "mp3"),
        // A frame's beginning: eleven bits, and the layer, which AAC has none of.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => ("audio/aac", "aac"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => ("audio/mpeg", "mp3"),
        _ => return None,
    };
    Some(Kind { media_type, ending })
}

/// Whether a file may be sound, by what its sender says and its name.
pub(crate) fn may_be_sound(name: &str, media_type: Option<&str>, voice: bool) -> bool {
    let sound = |kind: &str| {
        kind.starts_with("audio/")
            || matches!(kind, "application/ogg" | "video/webm" | "video/ogg" | "video/mp4")
    };
    // Who says nothing of it has not said that it is something else.
    match media_type.or_else(|| mime_guess::from_path(name).first_raw()) {
        Some(kind) => sound(kind),
        None => voice,
    }
}

/// The words of a setting.
fn words(setting: &'static str, command: &str) -> Result<Vec<String>, SoundTrouble> {
    shell_words::split(command).ok().filter(|words| !words.is_empty()).ok_or(SoundTrouble::Words(setting))
}

/// The first of these that is installed, with its arguments.
fn found(commands: &[&str]) -> Option<Vec<String>> {
    let first = commands.iter().find(|command| {
        command.split(' ').next().is_some_and(|program| is_on(env::var_os("PATH").as_deref(), program))
    })?;
    Some(first.split(' ').map(str::to_owned).collect())
}

/// Whether a program can be run out of a search path.
fn is_on(path: Option<&OsStr>, program: &str) -> bool {
    path.is_some_and(|path| {
        env::split_paths(path).any(|directory| {
            let there = fs::metadata(directory.join(program));
            there.is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0)
        })
    })
}

/// What plays sound of a kind: what is set, else the first that is installed.
pub(crate) fn player(setting: Option<&str>, kind: Option<Kind>) -> Result<Vec<String>, SoundTrouble> {
    if let Some(command) = setting {
        return words("player", command);
    }
    // A voice has no picture: no window for one.
    let any = ["mpv --no-terminal --no-video -", "ffplay -nodisp -autoexit -loglevel quiet -"];
    let wav = ["aplay -q", "paplay"];
    let plain = kind.is_some_and(|kind| matches!(kind.ending, "wav" | "au"));
    found(&any).or_else(|| if plain { found(&wav) } else { None }).ok_or(SoundTrouble::NoPlayer)
}

/// What records: what is set, else the first that is installed.
pub(crate) fn recorder(setting: Option<&str>) -> Result<Vec<String>, SoundTrouble> {
    if let Some(command) = setting {
        return words("recorder", command);
    }
    let pulse = env::var_os("PULSE_SERVER").is_some()
        || env::var_os("XDG_RUNTIME_DIR")
            .is_some_and(|runtime| std::path::Path::new(&runtime).join("pulse/native").exists());
    let source = match (cfg!(target_os = "macos"), pulse) {
        (true, _) => "avfoundation -i :0",
        (false, true) => "pulse -i default",
        (false, false) => "alsa -i default",
    };
    let ffmpeg = format!(
        "ffmpeg -hide_banner -loglevel error -nostdin -f {source} -ac 1 -c:a libopus -b:a 32k -f ogg pipe:1"
    );
    found(&[
        &ffmpeg,
        "pw-record --rate 48000 --channels 1 --format s16 -",
        "arecord -q -t wav -f S16_LE -r 48000 -c 1",
    ])
    .ok_or(SoundTrouble::NoRecorder)
}

/// Gets a sound into memory, and nowhere else: all of it, as it was sent. With `force`, whatever it is.
pub(crate) async fn fetch(
    handle: &Handle,
    room: RoomId,
    found: &FoundFile,
    force: bool,
    progress: impl Fn(Transfer),
) -> Result<Zeroizing<Vec<u8>>, SoundTrouble> {
    let attachment = &found.attachment;
    let said = Some(attachment.media_type.as_str()).filter(|said| !said.is_empty());
    if !force && !may_be_sound(&attachment.name, said, attachment.voice) {
        return Err(SoundTrouble::NoSound);
    }
    let length = attachment.size();
    let room_for = usize::try_from(length).ok().filter(|_| length <= LARGEST);
    // All of it at once: growing would leave copies behind.
    let mut sound = Zeroizing::new(Vec::with_capacity(room_for.ok_or(SoundTrouble::TooLarge(length))?));
    handle.stream_file(room, attachment, &mut *sound, progress).await?;
    if !force && kind(&sound).is_none() {
        return Err(SoundTrouble::NoSound);
    }
    Ok(sound)
}

/// A program with its arguments, which ends when nobody waits for it any more.
fn command(argv: &[String]) -> Option<(String, Command)> {
    let (program, arguments) = argv.split_first()?;
    let mut command = Command::from(child::command(program));
    command.args(arguments).kill_on_drop(true);
    Some((program.clone(), command))
}

/// Gives sound to a player, and waits until it has ended; what it prints is thrown away, and `aloud` what it complains about is not.
pub(crate) async fn play(argv: &[String], sound: &[u8], aloud: bool) -> Result<(), SoundTrouble> {
    let (program, mut command) = command(argv).ok_or(SoundTrouble::Words("player"))?;
    let complaints = if aloud { Stdio::inherit() } else { Stdio::null() };
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(complaints);
    let start = |why| SoundTrouble::Start { program: program.clone(), why };
    let mut child = command.spawn().map_err(start)?;
    let input = child.stdin.take();
    let ended = tokio::select! {
        ended = child.wait() => ended,
        ended = async {
            if let Some(mut input) = input {
                // One that has heard enough closes it.
                let _ = input.write_all(sound).await;
            }
            pending().await
        } => ended,
    };
    let status = ended.map_err(start)?;
    if status.success() { Ok(()) } else { Err(SoundTrouble::Failed { program, status }) }
}

/// What was recorded.
pub(crate) struct Recording {
    /// The sound.
    pub(crate) sound: Zeroizing<Vec<u8>>,
    /// What it is.
    pub(crate) kind: Kind,
    /// How long it was recorded.
    pub(crate) duration: Duration,
}

/// Has a recorder record until `stop`, or for so long, or until it has ended or printed as much as is taken. None when it has printed
/// nothing.
pub(crate) async fn record(
    argv: &[String],
    stop: impl Future<Output = ()>,
    longest: Duration,
) -> Result<Option<Recording>, SoundTrouble> {
    let (program, mut command) = command(argv).ok_or(SoundTrouble::Words("recorder"))?;
    // Out of the terminal's reach: a key that ends the recording is told to it here, once.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).process_group(0);
    let start = |why| SoundTrouble::Start { program: program.clone(), why };
    let mut child = command.spawn().map_err(start)?;
    let Some(mut output) = child.stdout.take() else { return Ok(None) };
    // All of it at once: growing would leave copies behind.
    let mut sound = Zeroizing::new(Vec::with_capacity(MOST));
    let (mut stop, mut over) = (pin!(stop), pin!(sleep(longest)));
    let mut begun = None;
    let ended_itself = loop {
        let room = MOST - sound.len();
        let read = tokio::select! {
            read = async { (&mut output).take(room as u64).read_buf(&mut *sound).await } => {
                read.map_err(start)?
            }
            () = &mut stop => break false,
            () = &mut over => break false,
        };
        if read == 0 {
            // Full, or over.
            break room > 0;
        }
        begun.get_or_insert_with(Instant::now);
    };
    let duration = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
    if !ended_itself {
        interrupt(&child);
        // What it has still to say belongs to it.
        let rest = async {
            loop {
                let room = MOST - sound.len();
                if room == 0 || (&mut output).take(room as u64).read_buf(&mut *sound).await? == 0 {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        if !matches!(timeout(LAST, rest).await, Ok(Ok(()))) {
            tracing::info!("a recorder does not end, and is ended");
        }
    }
    drop(output);
    if sound.is_empty() {
        return match timeout(LAST, child.wait()).await {
            Ok(Ok(status)) if ended_itself && !status.success() => {
                Err(SoundTrouble::Failed { program, status })
            }
            _ => Ok(None),
        };
    }
    let kind = kind(&sound).ok_or(SoundTrouble::Unknown(program))?;
    Ok(Some(Recording { sound, kind, duration }))
}

/// Tells a program to come to its end.
fn interrupt(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // One that has ended hears nothing.
        let _ = kill_process(pid, Signal::INT);
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn argv(command: &str) -> Vec<String> {
        words("player", command).unwrap()
    }

    #[test]
    fn sound_is_known_by_its_first_bytes() {
        for (bytes, ending) in [
            (b"OggS\0\x02".as_slice(), Some("ogg")),
            (b"RIFF\xff\xff\xff\xffWAVEfmt ", Some("wav")),
            (b"RIFF\x10\0\0\0WEBPVP8 ", None),
            (b"fLaC\0", Some("flac")),
            (b"\0\0\0\x20ftypM4A ", Some("m4a")),
            (b"\x1a\x45\xdf\xa3", Some("webm")),
            (b"ID3\x04", Some("mp3")),
            (b"\xff\xfb\x90\x64", Some("mp3")),
            (b"\xff\xf1\x50\x80", Some("aac")),
            (b"\xff\xd8\xff\xe0", None),
            (b".snd\0\0\0\x18", Some("au")),
            (b"FORM\0\0\0\0AIFF", Some("aiff")),
            // Lists, which would have a player open something else.
            (b"#EXTM3U\nhttp://192.0.2.1/", None),
            (b"# mpv EDL v0\n/etc/passwd", None),
            (b"[playlist]\nFile1=/etc/passwd", None),
            (b"OggX", None),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(kind(bytes).map(|kind| kind.ending), ending, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_said_to_be_something_else_is_no_sound() {
        for (name, media_type, voice, sound) in [
            ("a.ogg", Some("audio/ogg"), true, true),
            ("a.ogg", None, false, true),
            ("a.txt", Some("audio/wav"), false, true),
            ("a", None, true, true),
            ("a", None, false, false),
            ("a.ogg", Some("text/plain"), true, false),
            ("a.m3u", Some("application/vnd.apple.mpegurl"), true, false),
        ] {
            assert_eq!(may_be_sound(name, media_type, voice), sound, "{name} {media_type:?} {voice}");
        }
    }

    #[test]
    fn a_program_is_what_is_set_or_found_and_no_shell_runs_it() {
        assert_eq!(player(Some("a 'b c' $HOME"), None).unwrap(), ["a", "b c", "$HOME"]);
        for setting in ["", "  ", "a 'b"] {
            assert!(matches!(player(Some(setting), None), Err(SoundTrouble::Words("player"))), "{setting:?}");
            assert!(matches!(recorder(Some(setting)), Err(SoundTrouble::Words("recorder"))), "{setting:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("mpv");
        assert!(!is_on(Some(dir.path().as_os_str()), "mpv") && !is_on(None, "mpv"));
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!is_on(Some(dir.path().as_os_str()), "mpv"), "nobody may run it");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(is_on(Some(dir.path().as_os_str()), "mpv"));
    }

    #[tokio::test]
    async fn a_player_gets_the_bytes_and_its_end_is_told() {
        let sound = vec![b'x'; 300_000];
        for (command, ended) in [
            ("sh -c 'test $(wc -c) -eq 300000'", Ok(())),
            // It has heard enough.
            ("true", Ok(())),
            ("false", Err("false failed (exit status: 1)")),
            ("/no/such/player", Err("/no/such/player cannot be started")),
        ] {
            match (play(&argv(command), &sound, false).await, ended) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{command}: {error}"),
                (outcome, _) => panic!("{command}: {outcome:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_recorder_is_read_until_it_is_to_end_and_is_then_waited_for() {
        let longest = Duration::from_mins(5);
        // It ends by itself.
        let made = record(&argv("printf OggSsound"), pending(), longest).await.unwrap().unwrap();
        assert_eq!((made.sound.as_slice(), made.kind.ending), (b"OggSsound".as_slice(), "ogg"));
        // It is told to, and says what it has still to say.
        let dir = tempfile::tempdir().unwrap();
        let begun = dir.path().join("begun");
        let told = format!(
            "sh -c 'trap \"printf end; exit 255\" INT; printf OggS; : > {}; while :; do sleep 0.01; done'",
            begun.display()
        );
        let stop = async {
            while !begun.exists() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let made = record(&argv(&told), stop, longest).await.unwrap().unwrap();
        assert_eq!(made.sound.as_slice(), b"OggSend");
        // Its time is over.
        assert!(record(&argv("sleep 600"), pending(), Duration::ZERO).await.unwrap().is_none());
        // It prints more than is taken.
        let made = record(&argv("sh -c 'printf OggS; cat /dev/zero'"), pending(), longest).await.unwrap();
        assert_eq!(made.unwrap().sound.len(), MOST);
        assert!(record(&argv("true"), pending(), longest).await.unwrap().is_none());
        assert!(record(&argv("sleep 600"), ready(()), longest).await.unwrap().is_none());
        for (command, words) in [
            ("false", "false failed"),
            ("printf text", "no sound"),
            ("/no/such/recorder", "cannot be started"),
        ] {
            let error = record(&argv(command), pending(), longest).await.err().unwrap().to_string();
            assert!(error.contains(words), "{command}: {error}");
        }
    }
}
