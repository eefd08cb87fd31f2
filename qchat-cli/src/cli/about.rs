//! Commands that need no profile: settings, and the manual.

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::CommandFactory as _;
use qchat_manual::{Configuration, Manual};
use qchat_quantum::etsi014::SaeId;
use serde::Serialize;

use super::{
    Context,
    args::{Cli, Global, Switch},
    failure::{Failure, Outcome},
};
use crate::{config, engine::Accept};

/// The settings in force.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
struct SettingsObject<'a> {
    v: u8,
    profile: &'a str,
    data_dir: &'a Path,
    server: Option<&'a str>,
    server_key: Option<String>,
    key_exchange: &'static str,
    passphrase_file: Option<&'a Path>,
    passphrase_command: Option<&'a str>,
    vault_memory: u32,
    lock_after_idle: Option<f64>,
    json: bool,
    plain: bool,
    quiet: bool,
    verbose: u8,
    no_input: bool,
    timeout: f64,
    accept_invites: Accept,
    update_after_messages: u64,
    update_after: u64,
    /// Seconds; null for off.
    backup_interval: Option<f64>,
    receipts: &'static str,
    presence: &'static str,
    typing: &'static str,
    thumbnails: &'static str,
    player: Option<&'a str>,
    recorder: Option<&'a str>,
    theme: &'static str,
    keymap: &'static str,
    language: &'static str,
    graphics: &'static str,
    notifications: &'static str,
    notifier: &'static str,
    bell: bool,
    ibm_crn: Option<&'a str>,
    ibm_key_file: Option<&'a Path>,
    ibm_url: Option<&'a str>,
    ibm_iam_url: Option<&'a str>,
    ibm_budget: u32,
    /// US dollars a second.
    ibm_price: f64,
    ibm_executor: bool,
    etsi014: Option<&'a str>,
    sae: Option<&'a str>,
    peer_sae: Option<&'a str>,
    sae_cert: Option<&'a Path>,
    sae_key: Option<&'a Path>,
    kme_ca: Option<&'a Path>,
}

pub(super) fn settings(context: &Context) -> Outcome {
    let settings = &context.settings;
    let object = SettingsObject {
        v: 1,
        profile: &settings.profile,
        data_dir: &settings.data_dir,
        server: settings.server.as_ref().map(url::Url::as_str),
        server_key: settings.tls.trust.map(|trust| trust.to_string()),
        key_exchange: settings.tls.key_exchange.name(),
        passphrase_file: settings.passphrase_file.as_deref(),
        passphrase_command: settings.passphrase_command.as_deref(),
        vault_memory: settings.vault_memory,
        lock_after_idle: settings.lock_after_idle.map(|time| time.as_secs_f64()),
        json: settings.json,
        plain: settings.plain,
        quiet: settings.quiet,
        verbose: settings.verbose,
        no_input: settings.no_input,
        timeout: settings.timeout.as_secs_f64(),
        accept_invites: settings.accept_invites,
        update_after_messages: settings.key_life.envelopes(),
        update_after: settings.key_life.seconds(),
        backup_interval: settings.backup_interval.map(|interval| interval.as_secs_f64()),
        receipts: Switch::name(settings.receipts),
        presence: Switch::name(settings.presence),
        typing: Switch::name(settings.typing),
        thumbnails: Switch::name(settings.thumbnails),
        player: settings.player.as_deref(),
        recorder: settings.recorder.as_deref(),
        theme: settings.screen.look.name(),
        keymap: settings.screen.keymap.name(),
        language: settings.screen.language.name(),
        graphics: settings.screen.graphics.name(),
        notifications: settings.screen.notifications.name(),
        notifier: settings.screen.notifier.name(),
        bell: settings.screen.bell,
        ibm_crn: settings.ibm.crn.as_deref(),
        ibm_key_file: settings.ibm.key_file.as_deref(),
        ibm_url: settings.ibm.url.as_ref().map(url::Url::as_str),
        ibm_iam_url: settings.ibm.iam_url.as_ref().map(url::Url::as_str),
        ibm_budget: settings.ibm.budget,
        ibm_price: settings.ibm.price.dollars(),
        ibm_executor: settings.ibm.executor,
        etsi014: settings.kme.etsi014.as_deref(),
        sae: settings.kme.sae.as_ref().map(SaeId::as_str),
        peer_sae: settings.kme.peer_sae.as_ref().map(SaeId::as_str),
        sae_cert: settings.kme.sae_cert.as_deref(),
        sae_key: settings.kme.sae_key.as_deref(),
        kme_ca: settings.kme.kme_ca.as_deref(),
    };
    context.output.result(&object, || {
        let path =
            |path: Option<&Path>| path.map_or_else(|| "(none)".to_owned(), |path| path.display().to_string());
        let lines = [
            ("profile", settings.profile.clone()),
            ("data_dir", path(Some(&settings.data_dir))),
            ("server", object.server.unwrap_or("(the profile's)").to_owned()),
            ("server_key", object.server_key.as_deref().unwrap_or("(the profile's)").to_owned()),
            ("key_exchange", object.key_exchange.to_owned()),
            ("passphrase_file", path(object.passphrase_file)),
            ("passphrase_command", object.passphrase_command.unwrap_or("(none)").to_owned()),
            ("vault_memory", settings.vault_memory.to_string()),
            (
                "lock_after_idle",
                object.lock_after_idle.map_or_else(|| "(never)".to_owned(), |seconds| seconds.to_string()),
            ),
            ("json", settings.json.to_string()),
            ("plain", settings.plain.to_string()),
            ("quiet", settings.quiet.to_string()),
            ("verbose", settings.verbose.to_string()),
            ("no_input", settings.no_input.to_string()),
            ("timeout", object.timeout.to_string()),
            ("accept_invites", settings.accept_invites.to_string()),
            ("update_after_messages", object.update_after_messages.to_string()),
            ("update_after", object.update_after.to_string()),
            (
                "backup_interval",
                object.backup_interval.map_or_else(|| "off".to_owned(), |interval| interval.to_string()),
            ),
            ("receipts", object.receipts.to_owned()),
            ("presence", object.presence.to_owned()),
            ("typing", object.typing.to_owned()),
            ("thumbnails", object.thumbnails.to_owned()),
            ("player", object.player.unwrap_or("(the first that is found)").to_owned()),
            ("recorder", object.recorder.unwrap_or("(the first that is found)").to_owned()),
            ("theme", object.theme.to_owned()),
            ("keymap", object.keymap.to_owned()),
            ("language", object.language.to_owned()),
            ("graphics", object.graphics.to_owned()),
            ("notifications", object.notifications.to_owned()),
            ("notifier", object.notifier.to_owned()),
            ("bell", object.bell.to_string()),
            ("ibm_crn", object.ibm_crn.unwrap_or("(none)").to_owned()),
            ("ibm_key_file", path(object.ibm_key_file)),
            ("ibm_url", object.ibm_url.unwrap_or("(the region's)").to_owned()),
            ("ibm_iam_url", object.ibm_iam_url.unwrap_or("(IBM's)").to_owned()),
            ("ibm_budget", object.ibm_budget.to_string()),
            ("ibm_price", object.ibm_price.to_string()),
            ("ibm_executor", object.ibm_executor.to_string()),
            ("etsi014", object.etsi014.unwrap_or("(none)").to_owned()),
            ("sae", object.sae.unwrap_or("(none)").to_owned()),
            ("peer_sae", object.peer_sae.unwrap_or("(none)").to_owned()),
            ("sae_cert", path(object.sae_cert)),
            ("sae_key", path(object.sae_key)),
            ("kme_ca", path(object.kme_ca)),
        ];
        lines.map(|(key, value)| format!("{key:<21} {value}")).join("\n")
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

/// Prints the manual page, or writes all pages into a directory.
pub(super) fn man(dir: Option<&Path>) -> Outcome {
    let pages = manual().pages();
    if let Some(dir) = dir {
        return qchat_manual::write(&pages, dir).map_err(|error| {
            Failure::unexpected(format!("the manual cannot be written to {}: {error}", dir.display()))
        });
    }
    let program = pages.first().map(|page| page.text.as_str()).unwrap_or_default();
    Ok(io::stdout().lock().write_all(program.as_bytes())?)
}

fn manual() -> Manual<'static> {
    Manual {
        program: Cli::command(),
        section: 1,
        prefix: "QCHAT_",
        files: &[
            ("~/.config/qchat/config.toml", "The configuration file; `XDG_CONFIG_HOME` moves it."),
            (
                "~/.local/share/qchat/PROFILE/",
                "A profile: the encrypted database, the wrapped key, and the socket of what `unlock` leaves behind. \
                 `XDG_DATA_HOME` or `--data-dir` moves it.",
            ),
        ],
        configuration: Configuration {
            name: "qchat.toml",
            place: "The file is config.toml in ~/.config/qchat, or in the directory qchat of `XDG_CONFIG_HOME`; \
                    `qchat config path` prints where it is looked for, and `qchat config show` what is in force. It \
                    may be missing. The tables keys.PLACE give the screen other keys, as its guide says.",
            example: "server = \"https://chat.example.org:8470\"\naccept_invites = \"verified\"\ntimeout = 10\n\n[keys.everywhere]\npalette = [\"Ctrl+P\", \"F9\"]",
        },
    }
}
