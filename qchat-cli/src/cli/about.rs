//! Commands that need no profile: settings, completions, the manual page.

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;

use super::{
    Context,
    args::{AcceptInvites, Cli, Global},
    failure::Outcome,
};
use crate::config;

/// The settings in force.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
struct SettingsObject<'a> {
    v: u8,
    profile: &'a str,
    data_dir: &'a Path,
    server: Option<&'a str>,
    passphrase_file: Option<&'a Path>,
    json: bool,
    plain: bool,
    quiet: bool,
    verbose: u8,
    no_input: bool,
    timeout: f64,
    accept_invites: AcceptInvites,
}

pub(super) fn settings(context: &Context) -> Outcome {
    let settings = &context.settings;
    let object = SettingsObject {
        v: 1,
        profile: &settings.profile,
        data_dir: &settings.data_dir,
        server: settings.server.as_ref().map(url::Url::as_str),
        passphrase_file: settings.passphrase_file.as_deref(),
        json: settings.json,
        plain: settings.plain,
        quiet: settings.quiet,
        verbose: settings.verbose,
        no_input: settings.no_input,
        timeout: settings.timeout.as_secs_f64(),
        accept_invites: settings.accept_invites,
    };
    context.output.result(&object, || {
        let path =
            |path: Option<&Path>| path.map_or_else(|| "(none)".to_owned(), |path| path.display().to_string());
        let lines = [
            ("profile", settings.profile.clone()),
            ("data_dir", path(Some(&settings.data_dir))),
            ("server", object.server.unwrap_or("(the profile's)").to_owned()),
            ("passphrase_file", path(object.passphrase_file)),
            ("json", settings.json.to_string()),
            ("plain", settings.plain.to_string()),
            ("quiet", settings.quiet.to_string()),
            ("verbose", settings.verbose.to_string()),
            ("no_input", settings.no_input.to_string()),
            ("timeout", object.timeout.to_string()),
            ("accept_invites", format!("{:?}", settings.accept_invites).to_lowercase()),
        ];
        lines.map(|(key, value)| format!("{key:<16} {value}")).join("\n")
    })?;
    Ok(())
}

pub(super) fn settings_path(context: &Context, flags: &Global) -> Outcome {
    #[derive(Serialize)]
    struct PathObject<'a> {
        v: u8,
        path: &'a Path,
        exists: bool,
    }

    let path = config::file(flags).ok_or(config::SettingsError::NoHome)?;
    let object = PathObject { v: 1, path: &path, exists: path.exists() };
    context.output.result(&object, || path.display().to_string())?;
    Ok(())
}

pub(super) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "qchat", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}

pub(super) fn man() -> Outcome {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        about_command(command, "qchat", &mut page)?;
    }
    Ok(io::stdout().lock().write_all(&page)?)
}

/// A command's part of the page, and after it those of its own commands.
fn about_command(command: &clap::Command, of: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{of} {}", command.get_name());
    writeln!(page, ".SH \"{}\"", name.to_uppercase())?;
    let part = clap_mangen::Man::new(command.clone().bin_name(name.clone()));
    part.render_synopsis_section(page)?;
    part.render_description_section(page)?;
    part.render_options_section(page)?;
    for inner in command.get_subcommands() {
        about_command(inner, &name, page)?;
    }
    Ok(())
}
