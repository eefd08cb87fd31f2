//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXIT_CODES: &str = "\
Settings come from flags, then QCHATD_* in the environment, then the configuration file, then defaults;
`qchatd config show --explain` tells which.

Exit codes:
  0  done
  1  unexpected failure
  2  wrong usage or configuration
  3  the database cannot be reached, or the address cannot be listened on
  6  refused: the database does not promise durability, its schema is not this daemon's, or a key file is open to others";

/// The qchat daemon.
#[derive(Debug, Parser)]
#[command(name = "qchatd", version, about, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve clients until SIGTERM or SIGINT.
    Serve,
    /// Bring the database to this daemon's schema.
    Migrate,
    /// Check the configuration and the database without serving.
    Check,
    /// The keys that sign access tokens.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

/// What about the keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a new signing key for all nodes on this database; nobody is logged out. Happens by itself every 7 days.
    Rotate,
}

/// What about the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting; passwords are left out.
    Show {
        /// Say where each value comes from.
        #[arg(long)]
        explain: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Settings that may be given as flags. Each is also a key of the file, and QCHATD_KEY in the environment.
#[derive(Debug, Default, Args)]
pub(crate) struct Settings {
    /// Configuration file (TOML) [default: qchatd.toml in /etc/qchatd as root, else in the user's configuration directory]
    #[arg(long, global = true, env = "QCHATD_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8470]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Write the bound address to this file once ready
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) address_file: Option<String>,
    /// Listen on other than loopback addresses without TLS: only behind a proxy that adds it
    #[arg(long, global = true)]
    pub(crate) insecure_http: bool,
    /// Directory of the database and the key files [default: /var/lib/qchatd as root, else the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Database: sqlite:///path or postgres://user@host/name; a password belongs in the environment or the file
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Database connections for reading (SQLite) or altogether (PostgreSQL) [default: 8]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) database_connections: Option<u32>,
    /// File with the key of the password verifiers, 32 bytes [default: pepper.key in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) pepper_file: Option<String>,
    /// File with the key of the tokens, 64 bytes [default: token.key in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_key_file: Option<String>,
    /// Connections served at once; more wait [default: 10000]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) max_connections: Option<u32>,
    /// Frames that wait for a slow client before it has to catch up from the log [default: 256]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) queue: Option<u32>,
    /// Threads that serve sockets [default: the number of cores, 4 at most]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) workers: Option<u32>,
    /// Seconds that a shutdown waits for clients [default: 20]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) drain_seconds: Option<u32>,
    /// What to log, e.g. info or qchatd=debug [default: info]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// auto, pretty or json; auto is pretty on a terminal and json elsewhere [default: auto]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

impl Settings {
    /// The flags that were given, by key.
    pub(crate) fn given(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        [
            ("listen", self.listen.clone()),
            ("address_file", self.address_file.clone()),
            ("insecure_http", self.insecure_http.then(|| "true".to_owned())),
            ("data_dir", self.data_dir.clone()),
            ("database", self.database.clone()),
            ("database_connections", number(self.database_connections)),
            ("pepper_file", self.pepper_file.clone()),
            ("token_key_file", self.token_key_file.clone()),
            ("max_connections", number(self.max_connections)),
            ("queue", number(self.queue)),
            ("workers", number(self.workers)),
            ("drain_seconds", number(self.drain_seconds)),
            ("log", self.log.clone()),
            ("log_format", self.log_format.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }
}
