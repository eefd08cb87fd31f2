//! Manual pages, made of the definitions that a program reads its arguments and settings by: one page for the program,
//! one for each of its commands, and one for its configuration file. Nothing is said twice, so no page can be behind.

mod command;
mod prose;
mod setting;

use std::{fs, io, path::Path};

use clap::Command;

/// What a manual is made of.
pub struct Manual<'a> {
    /// The program as clap knows it, not built yet: its options then belong to it alone.
    pub program: Command,
    /// The section of the program's pages: 1 for what users run, 8 for what administrators run.
    pub section: u8,
    /// What stands before a setting's name in the environment, like `QCHAT_`.
    pub prefix: &'a str,
    /// Files, and what each is for.
    pub files: &'a [(&'a str, &'a str)],
    /// The configuration file.
    pub configuration: Configuration<'a>,
}

/// A configuration file in TOML, whose keys are the program's options.
pub struct Configuration<'a> {
    /// The page's name.
    pub name: &'a str,
    /// Where it is looked for, and what is done when it is not there.
    pub place: &'a str,
    /// What a file may look like.
    pub example: &'a str,
}

/// A page of the manual.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The file's name, like `qchat-send.1`.
    pub file: String,
    /// Its text, in the language of man(7).
    pub text: String,
}

impl Manual<'_> {
    /// All pages: the program's first, then its commands', then the configuration file's. What is hidden has none.
    pub fn pages(&self) -> Vec<Page> {
        let mut pages = vec![];
        command::add(self, &self.program, &[], &mut pages);
        pages.push(setting::page(self));
        pages
    }

    /// The name and version that stand at the foot of every page.
    fn source(&self) -> String {
        format!("{} {}", self.program.get_name(), self.program.get_version().unwrap_or_default())
    }
}

/// Writes pages into a directory, which is made when it is missing.
///
/// # Errors
/// What the file system says.
pub fn write(pages: &[Page], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for page in pages {
        fs::write(dir.join(&page.file), &page.text)?;
    }
    Ok(())
}
