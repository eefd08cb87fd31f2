//! The command that fetches what the server holds about the account, and puts it into a directory or an archive.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    open, progress,
};
use crate::engine;

/// The kinds of lines, each with its file and what the README says about it.
const KINDS: [(&str, &str, &str); 13] = [
    ("account", "account.jsonl", "name, id, signed record and device list, and the salt of the passphrase"),
    ("device", "devices.jsonl", "every device that the account ever had, with its certificate"),
    (
        "session",
        "sessions.jsonl",
        "sessions that have not expired; their tokens are kept as hashes, and are left out",
    ),
    (
        "key_package",
        "key_packages.jsonl",
        "KeyPackages that others are given to invite a device, and notes of those that were",
    ),
    ("tree", "trees.jsonl", "ratchet trees that a device has put there, by their size"),
    ("room", "rooms.jsonl", "the devices' places in rooms; the server does not know what a room is called"),
    ("invitation", "invitations.jsonl", "invitations that wait, encrypted to a device"),
    (
        "envelope",
        "envelopes.jsonl",
        "what the devices have sent, encrypted: the server cannot read it. Without bytes: deleted",
    ),
    ("backup", "backups.jsonl", "the newest backup of each device: its signed head"),
    (
        "backup_chunk",
        "backup_chunks.jsonl",
        "the parts of the backups, encrypted: the recovery words open them, and the server cannot",
    ),
    ("file", "files.jsonl", "files that the devices have put there for their rooms, by their size"),
    (
        "activity",
        "activity.jsonl",
        "what the server has noted about the account: sign-ins, failures, changes",
    ),
    ("other", "other.jsonl", "what this version of qchat does not know"),
];

const README: &str = "README.txt";

/// What was written.
#[derive(Serialize)]
struct Exported<'a> {
    v: u8,
    done: &'static str,
    output: &'a str,
    lines: u64,
}

/// Where the lines go: a file for each kind.
struct Files {
    /// Where they are to be found in the end, of a directory; else they have no names.
    directory: Option<PathBuf>,
    open: BTreeMap<&'static str, BufWriter<File>>,
    near: PathBuf,
}

pub(super) async fn export(context: &Context, output: &Path) -> Outcome {
    let settings = &context.settings;
    let profile = open::profile(context).await?;
    let name = engine::whoami(&profile).await?.name;
    let archive = output.extension().is_some_and(|extension| extension == "tar");
    let mut files = Files::begin(output, archive)?;
    let fetching =
        engine::export(&profile, settings.server.clone(), settings.tls, settings.timeout, |kind, line| {
            files.add(kind, line)
        });
    let fetched = progress::during(settings, "Fetching what the server holds", fetching).await;
    let finished = match fetched {
        Ok(lines) => files
            .finish(output, &readme(name.as_str()))
            .map(|()| lines)
            .map_err(|error| failed(output, &error)),
        Err(error) => Err(error.into()),
    };
    match finished {
        Ok(lines) => {
            let shown = output.display().to_string();
            let object = Exported { v: 1, done: "exported", output: &shown, lines };
            Ok(context.output.result(&object, || format!("{lines} lines are in {shown}"))?)
        }
        Err(failure) => {
            // Half of it passes for all of it.
            drop(if archive { fs::remove_file(output) } else { fs::remove_dir_all(output) });
            Err(failure)
        }
    }
}

impl Files {
    /// Takes the place before anything is fetched: nothing that exists is written over.
    fn begin(output: &Path, archive: bool) -> Outcome<Self> {
        let taken = if archive {
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map(drop)
        } else {
            DirBuilder::new().mode(0o700).create(output)
        };
        taken.map_err(|error| failed(output, &error))?;
        let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(Self {
            directory: (!archive).then(|| output.to_owned()),
            open: BTreeMap::new(),
            near: parent.unwrap_or(Path::new(".")).to_owned(),
        })
    }

    fn add(&mut self, kind: &str, line: &[u8]) -> io::Result<()> {
        // The kind is the server's word: it chooses among our files and names none.
        let file =
            KINDS.iter().find(|(known, ..)| *known == kind).map_or("other.jsonl", |(_, file, _)| *file);
        if !self.open.contains_key(file) {
            let opened = match &self.directory {
                Some(directory) => create(&directory.join(file))?,
                None => tempfile::tempfile_in(&self.near)?,
            };
            self.open.insert(file, BufWriter::new(opened));
        }
        if let Some(out) = self.open.get_mut(file) {
            out.write_all(line)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(self, output: &Path, readme: &str) -> io::Result<()> {
        let Some(directory) = self.directory else { return archive(output, self.open, readme) };
        for (_, out) in self.open {
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        let mut file = create(&directory.join(README))?;
        file.write_all(readme.as_bytes())?;
        file.sync_all()
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn archive(output: &Path, files: BTreeMap<&'static str, BufWriter<File>>, readme: &str) -> io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::new(OpenOptions::new().write(true).open(output)?));
    let header = |size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(0);
        header
    };
    let size = u64::try_from(readme.len()).map_err(io::Error::other)?;
    archive.append_data(&mut header(size), README, readme.as_bytes())?;
    for (name, out) in files {
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let size = file.stream_position()?;
        file.rewind()?;
        archive.append_data(&mut header(size), name, file)?;
    }
    let out = archive.into_inner()?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn readme(name: &str) -> String {
    let mut text = format!(
        "What the server holds about the account {name}, as it said on the day of this export.\n\nEach file has one JSON object a \
         line. Times are seconds since 1970 in UTC, ids are hexadecimal, other bytes are base64url.\n\n"
    );
    for (_, file, what) in KINDS {
        text.extend([&format!("{file:<20} "), what, "\n"]);
    }
    text.push_str(
        "\nA file that is missing would be empty. Left out is what others could use: the verifier of the passphrase and the \
         tokens' hashes. Nothing of this opens a message: the keys for that are in this profile alone, and messages as you \
         read them are got by `qchat export`.\n",
    );
    text
}

fn failed(output: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::refused(format!(
            "{} exists; nothing is written over: name another",
            output.display()
        ));
    }
    Failure::unexpected(format!("{}: {error}", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_the_server_makes_up_names_no_file() {
        let dir = tempfile::tempdir().unwrap();
        for (output, archive) in [(dir.path().join("out"), false), (dir.path().join("out.tar"), true)] {
            let mut files = Files::begin(&output, archive).ok().unwrap();
            for kind in ["account", "../../evil", "/etc/passwd", "", "envelope", "account"] {
                files.add(kind, format!("{{\"kind\":{kind:?}}}").as_bytes()).unwrap();
            }
            files.finish(&output, "read me").unwrap();
            assert!(Files::begin(&output, archive).is_err(), "never over anything");
        }
        let mut names: Vec<_> = fs::read_dir(dir.path().join("out"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["README.txt", "account.jsonl", "envelopes.jsonl", "other.jsonl"]);
        let other = fs::read_to_string(dir.path().join("out/other.jsonl")).unwrap();
        assert_eq!(other.lines().count(), 3);
        let mut archive = tar::Archive::new(File::open(dir.path().join("out.tar")).unwrap());
        let mut names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        names.sort();
        assert_eq!(names, ["README.txt", "account.jsonl", "envelopes.jsonl", "other.jsonl"]);
        let mut entries: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        entries.sort();
        assert_eq!(entries, ["out", "out.tar"], "nothing is left beside them");
    }
}
