//! Settings: flags before environment before configuration file before defaults.

use std::{path::PathBuf, str::FromStr, time::Duration};

use config::{ConfigError, File, FileFormat};
use directories::ProjectDirs;
use qchat_quantum::etsi014::{IdError, SaeId};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    cli::{
        args::{self, Global, Switch},
        quantum_args::{self, Price},
    },
    engine::{Accept, Choice, KeyExchange, KeyLife, NewVault},
    tui::Prefs,
};

/// How long the daemon is waited for when nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Seconds of quantum computers that jobs may take in a month when nothing else is said: a tenth of what IBM gives away.
const IBM_BUDGET: u32 = 60;

/// What a second of IBM's quantum computers costs without a contract, by its price list of 2026: 1.60 US dollars.
const IBM_PRICE: Price = Price(16_000);

/// The settings in force.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Settings {
    /// The profile's name.
    pub profile: String,
    /// Where profiles are kept.
    pub data_dir: PathBuf,
    /// The daemon, where it is not the profile's.
    pub server: Option<Url>,
    /// What is said about TLS.
    pub tls: Choice,
    /// The file with the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The command that prints the passphrase; not with a file.
    pub passphrase_command: Option<String>,
    /// Memory that each guess at the passphrase of a vault takes, where one is made or its passphrase changed, MiB.
    pub vault_memory: u32,
    /// When a key that is not used is forgotten.
    pub lock_after_idle: Option<Duration>,
    /// Print JSON.
    pub json: bool,
    /// Neither colours nor anything that moves.
    pub plain: bool,
    /// Say nothing but errors.
    pub quiet: bool,
    /// How much to log: 0 nothing.
    pub verbose: u8,
    /// Never ask.
    pub no_input: bool,
    /// How long to wait for the daemon.
    pub timeout: Duration,
    /// Which invitations are accepted without asking.
    pub accept_invites: Accept,
    /// How soon keys are renewed in rooms.
    pub key_life: KeyLife,
    /// How long after a backup the next one is made without being asked for.
    pub backup_interval: Option<Duration>,
    /// Whether receipts are sent.
    pub receipts: bool,
    /// Whether the user shows and is shown who is there.
    pub presence: bool,
    /// Whether they show and are shown who writes.
    pub typing: bool,
    /// Whether a picture that is sent has a small one of it in its message.
    pub thumbnails: bool,
    /// The command that plays sound.
    pub player: Option<String>,
    /// The command that records it.
    pub recorder: Option<String>,
    /// What is set for the screen.
    pub screen: Prefs,
    /// The account at IBM Quantum.
    pub ibm: IbmAccount,
    /// Where keys of QKD equipment come from.
    pub kme: Kme,
}

/// An account at IBM Quantum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IbmAccount {
    /// The instance's name.
    pub crn: Option<String>,
    /// The file with the API key.
    pub key_file: Option<PathBuf>,
    /// Where the service is, instead of the region's address.
    pub url: Option<Url>,
    /// Where the identity service is, instead of IBM's.
    pub iam_url: Option<Url>,
    /// Seconds of quantum computers that jobs may take in a calendar month.
    pub budget: u32,
    /// What a second of them costs.
    pub price: Price,
    /// Whether the executor runs the circuits, and not the sampler.
    pub executor: bool,
}

/// The key management entity (KME) of this end's QKD equipment, and who this end is to it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kme {
    /// Its address.
    pub etsi014: Option<String>,
    /// The id of this end there.
    pub sae: Option<SaeId>,
    /// The id of the other end.
    pub peer_sae: Option<SaeId>,
    /// The file with this end's certificate.
    pub sae_cert: Option<PathBuf>,
    /// The file with its private key.
    pub sae_key: Option<PathBuf>,
    /// The file with the certificate of the authority that signs the KME's.
    pub kme_ca: Option<PathBuf>,
}

/// The settings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is there and makes no sense.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ConfigError>,
    },
    /// Both were said where one is.
    #[error(
        "a passphrase comes from a file or from a command: say one of passphrase_file and passphrase_command"
    )]
    TwoPassphrases,
    /// A value in the file is refused.
    #[error("{}: {key}: {why}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
    /// There is no home directory to keep things in.
    #[error("this user has no home directory; say where to keep profiles with --data-dir DIR")]
    NoHome,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    profile: Option<String>,
    data_dir: Option<PathBuf>,
    server: Option<String>,
    server_key: Option<String>,
    key_exchange: Option<KeyExchange>,
    passphrase_file: Option<PathBuf>,
    passphrase_command: Option<String>,
    vault_memory: Option<u32>,
    lock_after_idle: Option<config::Value>,
    json: Option<bool>,
    plain: Option<bool>,
    quiet: Option<bool>,
    verbose: Option<u8>,
    no_input: Option<bool>,
    timeout: Option<config::Value>,
    accept_invites: Option<Accept>,
    update_after_messages: Option<u64>,
    update_after: Option<config::Value>,
    backup_interval: Option<config::Value>,
    receipts: Option<Switch>,
    presence: Option<Switch>,
    typing: Option<Switch>,
    thumbnails: Option<Switch>,
    player: Option<String>,
    recorder: Option<String>,
    theme: Option<String>,
    keymap: Option<String>,
    language: Option<String>,
    /// Read by the screen, which can say in which line something is wrong.
    #[expect(dead_code, reason = "known, so that it is no error")]
    keys: Option<config::Value>,
    graphics: Option<String>,
    notifications: Option<String>,
    notifier: Option<String>,
    bell: Option<bool>,
    ibm_crn: Option<String>,
    ibm_key_file: Option<PathBuf>,
    ibm_url: Option<String>,
    ibm_iam_url: Option<String>,
    ibm_budget: Option<config::Value>,
    ibm_price: Option<config::Value>,
    ibm_executor: Option<bool>,
    etsi014: Option<String>,
    sae: Option<String>,
    peer_sae: Option<String>,
    sae_cert: Option<PathBuf>,
    sae_key: Option<PathBuf>,
    kme_ca: Option<PathBuf>,
}

impl Settings {
    /// Puts the settings together. A file that does not exist is an empty one, unless it was named.
    ///
    /// # Errors
    /// [`SettingsError`]; all of them are the user's to repair.
    pub fn resolve(flags: &Global) -> Result<Self, SettingsError> {
        let path = file(flags);
        let stored = match &path {
            Some(path) => read(path, flags.config.is_some())?,
            None => Stored::default(),
        };
        let path = path.unwrap_or_default();
        let refused = |key| move |why| SettingsError::Value { path, key, why };
        let profile = match (&flags.profile, stored.profile) {
            (Some(profile), _) => profile.clone(),
            (None, Some(profile)) => args::profile(&profile).map_err(refused.clone()("profile"))?,
            (None, None) => "default".to_owned(),
        };
        let server = match (&flags.server, stored.server) {
            (Some(server), _) => Some(server.clone()),
            (None, Some(server)) => Some(args::server(&server).map_err(refused.clone()("server"))?),
            (None, None) => None,
        };
        let trust = match (flags.server_key, stored.server_key) {
            (Some(trust), _) => Some(trust),
            (None, Some(trust)) => Some(args::trust(&trust).map_err(refused.clone()("server_key"))?),
            (None, None) => None,
        };
        let key_exchange = flags.key_exchange.or(stored.key_exchange).unwrap_or_default();
        let timeout = match (flags.timeout, stored.timeout) {
            (Some(timeout), _) => timeout,
            (None, Some(time)) => time
                .into_string()
                .map_err(|error| error.to_string())
                .and_then(|time| args::time(&time))
                .map_err(refused.clone()("timeout"))?,
            (None, None) => TIMEOUT,
        };
        let messages = match (flags.update_after_messages, stored.update_after_messages) {
            (Some(messages), _) => messages,
            (None, Some(messages)) => args::update_after_messages(&messages.to_string())
                .map_err(refused.clone()("update_after_messages"))?,
            (None, None) => KeyLife::MOST,
        };
        let update_after = match (flags.update_after, stored.update_after) {
            (Some(after), _) => after.as_secs(),
            (None, Some(after)) => after
                .into_string()
                .map_err(|error| error.to_string())
                .and_then(|after| args::update_after(&after))
                .map_err(refused.clone()("update_after"))?
                .as_secs(),
            (None, None) => KeyLife::LONGEST,
        };
        let backup_interval = match (flags.backup_interval, stored.backup_interval) {
            (Some(interval), _) => interval,
            (None, Some(interval)) => interval
                .into_string()
                .map_err(|error| error.to_string())
                .and_then(|interval| args::interval(&interval))
                .map_err(refused.clone()("backup_interval"))?,
            (None, None) => Duration::ZERO,
        };
        let sae = |key, flag: &Option<SaeId>, stored: Option<String>| match (flag, stored) {
            (Some(sae), _) => Ok(Some(sae.clone())),
            (None, Some(sae)) => {
                sae.parse().map(Some).map_err(|error: IdError| refused.clone()(key)(error.to_string()))
            }
            (None, None) => Ok(None),
        };
        let url = |key, said: &Option<Url>, stored: Option<String>| match (said, stored) {
            (Some(said), _) => Ok(Some(said.clone())),
            (None, Some(stored)) => {
                let url = stored.parse().map_err(|error: url::ParseError| error.to_string());
                url.map(Some).map_err(refused.clone()(key))
            }
            (None, None) => Ok(None),
        };
        let budget = match (flags.ibm.ibm_budget, stored.ibm_budget) {
            (Some(seconds), _) => seconds,
            (None, Some(seconds)) => seconds
                .into_string()
                .map_err(|error| error.to_string())
                .and_then(|seconds| quantum_args::seconds(&seconds))
                .map_err(refused.clone()("ibm_budget"))?,
            (None, None) => IBM_BUDGET,
        };
        let price = match (flags.ibm.ibm_price, stored.ibm_price) {
            (Some(price), _) => price,
            (None, Some(price)) => price
                .into_string()
                .map_err(|error| error.to_string())
                .and_then(|price| quantum_args::price(&price))
                .map_err(refused.clone()("ibm_price"))?,
            (None, None) => IBM_PRICE,
        };
        let ibm = IbmAccount {
            crn: flags.ibm.ibm_crn.clone().or(stored.ibm_crn),
            key_file: flags.ibm.ibm_key_file.clone().or(stored.ibm_key_file),
            url: url("ibm_url", &flags.ibm.ibm_url, stored.ibm_url)?,
            iam_url: url("ibm_iam_url", &flags.ibm.ibm_iam_url, stored.ibm_iam_url)?,
            budget,
            price,
            executor: flags.ibm.ibm_executor || stored.ibm_executor.unwrap_or(false),
        };
        let kme = Kme {
            etsi014: flags.kme.etsi014.clone().or(stored.etsi014),
            sae: sae("sae", &flags.kme.sae, stored.sae)?,
            peer_sae: sae("peer_sae", &flags.kme.peer_sae, stored.peer_sae)?,
            sae_cert: flags.kme.sae_cert.clone().or(stored.sae_cert),
            sae_key: flags.kme.sae_key.clone().or(stored.sae_key),
            kme_ca: flags.kme.kme_ca.clone().or(stored.kme_ca),
        };
        let receipts = flags.receipts.or(stored.receipts).unwrap_or_default() == Switch::On;
        let presence = flags.presence.or(stored.presence).unwrap_or_default() == Switch::On;
        let typing = flags.typing.or(stored.typing).unwrap_or_default() == Switch::On;
        let thumbnails = flags.thumbnails.or(stored.thumbnails).unwrap_or(Switch::On) == Switch::On;
        let screen = Prefs {
            look: chosen(flags.screen.theme, stored.theme).map_err(refused.clone()("theme"))?,
            keymap: chosen(flags.screen.keymap, stored.keymap).map_err(refused.clone()("keymap"))?,
            language: chosen(flags.screen.language, stored.language).map_err(refused.clone()("language"))?,
            graphics: chosen(flags.screen.graphics, stored.graphics).map_err(refused.clone()("graphics"))?,
            notifications: chosen(flags.screen.notifications, stored.notifications)
                .map_err(refused.clone()("notifications"))?,
            notifier: chosen(flags.screen.notifier, stored.notifier).map_err(refused.clone()("notifier"))?,
            bell: flags.screen.bell || stored.bell.unwrap_or(false),
            receipts,
            presence,
            typing,
        };
        let lock_after_idle = match (flags.lock_after_idle, stored.lock_after_idle) {
            (Some(time), _) => Some(time),
            (None, Some(time)) => Some(
                time.into_string()
                    .map_err(|error| error.to_string())
                    .and_then(|time| args::lifetime(&time))
                    .map_err(refused.clone()("lock_after_idle"))?,
            ),
            (None, None) => None,
        };
        let vault_memory = match (flags.vault_memory, stored.vault_memory) {
            (Some(memory), _) => memory,
            (None, Some(memory)) => {
                args::vault_memory(&memory.to_string()).map_err(refused.clone()("vault_memory"))?
            }
            (None, None) => NewVault::MEMORY,
        };
        let (passphrase_file, passphrase_command) =
            match (flags.passphrase_file.clone(), flags.passphrase_command.clone()) {
                (None, None) => (stored.passphrase_file, stored.passphrase_command),
                said => said,
            };
        if passphrase_file.is_some() && passphrase_command.is_some() {
            return Err(SettingsError::TwoPassphrases);
        }
        let data_dir = match flags.data_dir.clone().or(stored.data_dir) {
            Some(dir) => dir,
            None => directories().ok_or(SettingsError::NoHome)?.data_dir().to_owned(),
        };
        // The agent outlives this working directory.
        let data_dir = std::path::absolute(&data_dir).unwrap_or(data_dir);
        Ok(Self {
            profile,
            data_dir,
            server,
            tls: Choice { trust, key_exchange },
            passphrase_file,
            passphrase_command,
            vault_memory,
            lock_after_idle,
            json: flags.json || stored.json.unwrap_or(false),
            plain: flags.plain || stored.plain.unwrap_or(false),
            quiet: flags.quiet || (flags.verbose == 0 && stored.quiet.unwrap_or(false)),
            verbose: if flags.verbose > 0 { flags.verbose } else { stored.verbose.unwrap_or(0) },
            no_input: flags.no_input || stored.no_input.unwrap_or(false),
            timeout,
            accept_invites: flags.accept_invites.or(stored.accept_invites).unwrap_or_default(),
            key_life: KeyLife::new(messages, update_after),
            receipts,
            presence,
            typing,
            thumbnails,
            player: flags.player.clone().or(stored.player),
            recorder: flags.recorder.clone().or(stored.recorder),
            screen,
            backup_interval: Some(backup_interval).filter(|interval| !interval.is_zero()),
            ibm,
            kme,
        })
    }

    /// A vault that is to be made, or sealed anew, for this passphrase.
    pub fn new_vault(&self, passphrase: Zeroizing<String>) -> NewVault {
        NewVault::new(passphrase, self.vault_memory)
    }

    /// The directory of the profile.
    pub fn profile_dir(&self) -> PathBuf {
        self.data_dir.join(&self.profile)
    }
}

/// Where the configuration file is looked for; `None` without a home directory.
pub fn file(flags: &Global) -> Option<PathBuf> {
    flags.config.clone().or_else(|| Some(directories()?.config_dir().join("config.toml")))
}

/// What was said, else what is stored, else what there is when nothing is said.
fn chosen<T: Default + FromStr<Err = String>>(said: Option<T>, stored: Option<String>) -> Result<T, String> {
    match (said, stored) {
        (Some(said), _) => Ok(said),
        (None, Some(stored)) => stored.parse(),
        (None, None) => Ok(T::default()),
    }
}

fn directories() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "qchat")
}

fn read(path: &std::path::Path, required: bool) -> Result<Stored, SettingsError> {
    config::Config::builder()
        .add_source(File::from(path).format(FileFormat::Toml).required(required))
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|source| SettingsError::File { path: path.to_owned(), source: Box::new(source) })
}
