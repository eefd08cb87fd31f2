//! What the programs of one profile show of their user: a device says the most that one of them shows, and that it has gone when the last
//! has. Each holds a lock while it shows something, which the system takes back however the program ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use super::presence::Appearance;

/// What this program shows, and the lock that tells the others of the profile.
#[derive(Debug, Default)]
pub(super) struct Appearing(Option<(Appearance, File)>);

impl Appearing {
    /// Shows something else from now on, or nothing.
    ///
    /// # Errors
    /// When the lock cannot be had: the other programs are not told.
    pub(super) fn show(&mut self, dir: &Path, appearance: Option<Appearance>) -> io::Result<()> {
        if self.0.as_ref().map(|(shown, _)| *shown) == appearance {
            return Ok(());
        }
        self.0 = None;
        if let Some(appearance) = appearance {
            let file = open(dir, name(appearance))?;
            // Nobody holds it for themselves for longer than a look.
            patiently(|| file.try_lock_shared())?;
            self.0 = Some((appearance, file));
        }
        Ok(())
    }

    /// The most that a program of the profile shows, this one among them.
    ///
    /// # Errors
    /// When the locks cannot be looked at.
    pub(super) fn of_device(&self, dir: &Path) -> io::Result<Option<Appearance>> {
        // One at a time: a look takes for a moment what it looks for.
        let looking = open(dir, LOOK)?;
        patiently(|| looking.try_lock())?;
        let own = self.0.as_ref().map(|(shown, _)| *shown);
        for appearance in [Appearance::Online, Appearance::Away] {
            if own == Some(appearance) || is_shown(dir, appearance)? {
                return Ok(Some(appearance));
            }
        }
        Ok(None)
    }
}

/// How often a lock is tried that somebody has for the time of a look: a program that was stopped within one stops nobody.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(1);

/// Takes a lock that others have for moments alone.
fn patiently(lock: impl Fn() -> Result<(), TryLockError>) -> io::Result<()> {
    for _ in 0..TRIES {
        match lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Held by whoever looks what is shown.
const LOOK: &str = "appearance.lock";

fn name(appearance: Appearance) -> &'static str {
    match appearance {
        Appearance::Online => "online.lock",
        Appearance::Away => "away.lock",
    }
}

/// The files of a profile that are locks of this.
pub(super) fn locks() -> [&'static str; 3] {
    [LOOK, name(Appearance::Online), name(Appearance::Away)]
}

fn open(dir: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(name))
}

fn is_shown(dir: &Path, appearance: Appearance) -> io::Result<bool> {
    match open(dir, name(appearance))?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_says_the_most_that_a_program_shows_and_is_gone_with_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let (mut screen, mut bot, mut other) =
            (Appearing::default(), Appearing::default(), Appearing::default());
        let (online, away) = (Some(Appearance::Online), Some(Appearance::Away));
        assert_eq!(bot.of_device(dir).unwrap(), None);
        bot.show(dir, away).unwrap();
        assert_eq!((bot.of_device(dir).unwrap(), screen.of_device(dir).unwrap()), (away, away));
        screen.show(dir, online).unwrap();
        other.show(dir, online).unwrap();
        assert_eq!((bot.of_device(dir).unwrap(), screen.of_device(dir).unwrap()), (online, online));
        // One of two who are there goes, and the other is still there.
        screen.show(dir, None).unwrap();
        assert_eq!(screen.of_device(dir).unwrap(), online);
        // Locked, say.
        other.show(dir, away).unwrap();
        assert_eq!(bot.of_device(dir).unwrap(), away);
        // However it ends.
        drop(other);
        assert_eq!(screen.of_device(dir).unwrap(), away);
        bot.show(dir, None).unwrap();
        assert_eq!(bot.of_device(dir).unwrap(), None);
    }
}
