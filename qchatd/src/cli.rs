//! The command line.

pub(crate) mod audit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

const EXIT_CODES: &str = "\
Examples:
  qchatd serve
  qchatd serve --database postgres://qchat@db/qchat?sslmode=verify-full
  qchatd check --config /etc/qchatd/qchatd.toml
  qchatd backup /backup/qchatd.sqlite3

Settings come from flags, then QCHATD_* in the environment, then the configuration file, then defaults;
`qchatd config show --explain` tells which.

Exit codes:
  0  done
  1  unexpected failure
  2  wrong usage or configuration
  3  the database cannot be reached or takes no writes, or the address cannot be listened on
  6  refused: the database does not promise durability, its schema is not this daemon's, a key file is open to others, the
     database to be filled has accounts, the file of a backup exists, or the audit log is not what was written";

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
    /// Copy the SQLite database into a new file while the daemon serves.
    ///
    /// The copy is the database at one moment, checked and on the disk when the command ends. The key files are not in it:
    /// keep them, and keep them elsewhere. A daemon on a restored copy has forgotten what it acknowledged since.
    #[command(
        after_help = "Examples:\n  qchatd backup /backup/qchatd-$(date +%F).sqlite3\n  qchatd serve --database sqlite:///restored/qchatd.sqlite3"
    )]
    Backup {
        /// The file to make.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The keys that sign access tokens, and the one that signs the key directory.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// The certificate, and the key that clients may know the daemon by.
    Tls {
        #[command(subcommand)]
        command: TlsCommand,
    },
    /// Work on the database.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// The configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a script that completes commands in a shell.
    #[command(
        after_help = "Example:\n  qchatd completions bash > /usr/local/share/bash-completion/completions/qchatd"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write the whole manual.
    #[command(
        after_help = "Examples:\n  qchatd man | man -l -\n  qchatd man --dir /usr/local/share/man/man8"
    )]
    Man {
        /// Write a page for each command, and one for the configuration file, into this directory.
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// What to do to the database.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Who did what: sign-ins, failures, changes of devices and passphrases, and commands such as this one.
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Delete now what nobody needs, as the daemon does by itself every hour.
    ///
    /// Daemons may serve meanwhile. Envelopes go that every device has fetched which may, and those that are older than
    /// --retention-days. Their senders stay known, so that nothing is taken twice.
    #[command(after_help = "Example:\n  qchatd admin sweep --retention-days 30")]
    Sweep {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fill a new database with accounts, rooms and envelopes, for development alone.
    ///
    /// The accounts are called user-1, user-2 and so on. Their signed statements and keys are real, and follow from the
    /// seed: whoever knows it can log in as any device, and nobody by a password. The envelopes are of real size and
    /// random content, every hundredth a commit. A database that has an account is refused.
    #[command(
        after_help = "Example:\n  qchatd admin seed --database sqlite:///tmp/seeded.sqlite3 --rooms 20 --messages 5000"
    )]
    Seed {
        /// Accounts, each with one device.
        #[arg(long, value_name = "N", default_value_t = 100)]
        accounts: u32,
        /// Rooms.
        #[arg(long, value_name = "N", default_value_t = 10)]
        rooms: u32,
        /// Members of each room.
        #[arg(long, value_name = "N", default_value_t = 10)]
        members: u32,
        /// Envelopes in each room.
        #[arg(long, value_name = "N", default_value_t = 1000)]
        messages: u64,
        /// Bytes of each envelope's payload; that of a short message has about 3600.
        #[arg(long, value_name = "BYTES", default_value_t = 3600)]
        size: u32,
        /// The number that ids, names, keys and payloads follow from.
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What about the keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Print the key that signs the key directory, as `qchat server show` does.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a new signing key for all nodes on this database; nobody is logged out. Happens by itself every 7 days.
    Rotate,
    /// Forget the key directory, so that the next start begins another: for when the token key file it was begun with is lost.
    ///
    /// Stop all nodes first. Every client then refuses the server until its user has said `qchat keys audit --accept`.
    ResetDirectory,
}

/// What about TLS.
#[derive(Debug, Subcommand)]
pub(crate) enum TlsCommand {
    /// Print the key of the configured certificate, for clients' --server-key.
    Show {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a key and a certificate that it signs itself, for clients that are given the key.
    ///
    /// They go where --tls-certificate and --tls-key say, else to tls.crt and tls.key in the data directory. Files that
    /// are there stay as they are.
    #[command(after_help = "Example:\n  qchatd tls generate chat.example.org 192.0.2.7")]
    Generate {
        /// Host names and addresses that the certificate is for. Clients that are given the key do not look at them.
        #[arg(value_name = "NAME", default_value = "localhost")]
        names: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
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
    /// Addresses to listen on, with commas between; port 0 takes a free one, unix:/path makes a Unix socket. Sockets that
    /// the service manager passes are taken instead [default: 127.0.0.1:8470]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Mode of Unix sockets, octal [default: 660]
    #[arg(long, global = true, value_name = "MODE")]
    pub(crate) listen_mode: Option<String>,
    /// Write the bound addresses to this file once ready, one a line
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) address_file: Option<String>,
    /// Certificate chain for TLS 1.3, PEM, the daemon's own first; without one, plain http is spoken
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_certificate: Option<String>,
    /// The certificate's key, PEM; only its owner may read it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,
    /// How TLS agrees on keys: require offers X25519MLKEM768 alone, prefer also X25519 to those who do not speak it
    /// [default: require]
    #[arg(long, global = true, value_name = "HOW", value_parser = ["require", "prefer"])]
    pub(crate) tls_key_exchange: Option<String>,
    /// Seconds that a client may take for the TLS handshake [default: 10]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) tls_handshake_seconds: Option<u32>,
    /// Listen on other than loopback addresses without TLS: only behind a proxy that adds it
    #[arg(long, global = true)]
    pub(crate) insecure_http: bool,
    /// Directory of the database and the key files [default: /var/lib/qchatd as root, else the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Database: sqlite:///path or postgres://user@host/name, with commas between a primary and its standbys; a password
    /// belongs in the environment or the file [default: qchatd.sqlite3 in the data directory]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Database connections for requests; on PostgreSQL there are two more, one to write messages and one to read those
    /// of other nodes [default: 8]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) database_connections: Option<u32>,
    /// Seconds that a request waits for a database connection before it is refused for the moment [default: 5]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) database_wait_seconds: Option<u32>,
    /// Redis that carries hints between the nodes on one PostgreSQL: redis://host or rediss://host; a password belongs
    /// in the environment or a file
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
    /// File with the URL of Redis, such as a systemd credential
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) redis_url_file: Option<String>,
    /// Certificate (PEM) that has signed that of Redis; without one those that the system trusts count
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) redis_root_cert: Option<String>,
    /// What this node is called in its log [default: the name of the machine]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// File with the key of the password verifiers, 32 bytes [default: pepper.key in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) pepper_file: Option<String>,
    /// File with the key of the tokens, 64 bytes [default: token.key in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_key_file: Option<String>,
    /// Connections served at once; more wait [default: 10000]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) max_connections: Option<u32>,
    /// Connections of one address at once, a /64 of IPv6 counted as one; 0 is no limit here and below, and loopback has none
    /// [default: 1000]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) address_connections: Option<u32>,
    /// New connections of one address in a second, ten seconds' worth at once [default: 100]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) address_connections_per_second: Option<u32>,
    /// Registrations from one address in a minute [default: 60]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) address_registrations_per_minute: Option<u32>,
    /// Logins and exchanges of refresh tokens from one address in a minute [default: 600]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) address_logins_per_minute: Option<u32>,
    /// Logins of one account in a minute [default: 600]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) account_logins_per_minute: Option<u32>,
    /// Attempts in a minute to register an account that is there already [default: 20]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) account_registrations_per_minute: Option<u32>,
    /// Requests of one account in a second, ten seconds' worth at once [default: 100]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) account_requests_per_second: Option<u32>,
    /// Publications of one account in a second, each 8 KiB begun counted; more are read later [default: 2000]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) account_publishes_per_second: Option<u32>,
    /// Take the client's address from the PROXY header (version 2) that every connection then begins with
    #[arg(long, global = true)]
    pub(crate) proxy_protocol: bool,
    /// Addresses and networks of the proxies, with commas between; who connects from elsewhere is hung up on
    /// [default: 127.0.0.0/8,::1/128]
    #[arg(long, global = true, value_name = "NETWORKS")]
    pub(crate) proxy_trusted: Option<String>,
    /// Bytes of backups that one account may have here; 0: none [default: 268435456]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) account_backup_bytes: Option<u64>,
    /// Where the files of rooms are kept: a directory, or s3://BUCKET/PREFIX [default: files in the data directory]
    #[arg(long, global = true, value_name = "WHERE")]
    pub(crate) files: Option<String>,
    /// Where the bucket is, if not at Amazon: https://host
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) files_s3_endpoint: Option<String>,
    /// The bucket's region
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) files_s3_region: Option<String>,
    /// File with the bucket's key, its id on the first line and its secret on the second; without one
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment count
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) files_s3_key_file: Option<String>,
    /// Bytes that one file may have [default: 12884901888]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) file_bytes: Option<u64>,
    /// Bytes of files that one account may have here; 0: none [default: 25769803776]
    #[arg(long, global = true, value_name = "BYTES")]
    pub(crate) account_file_bytes: Option<u64>,
    /// Days after which an envelope is deleted although a device has not fetched it; 0 keeps it until all have. What all
    /// have fetched is deleted anyway [default: 90]
    #[arg(long, global = true, value_name = "DAYS")]
    pub(crate) retention_days: Option<u32>,
    /// How much of the addresses that requests come from the audit log keeps: none, prefix (24 bits of IPv4, 48 of IPv6) or
    /// full [default: prefix]
    #[arg(long, global = true, value_name = "HOW", value_parser = ["none", "prefix", "full"])]
    pub(crate) audit_addresses: Option<String>,
    /// Days that the audit log keeps its entries; 0 keeps them for ever [default: 365]
    #[arg(long, global = true, value_name = "DAYS")]
    pub(crate) audit_retention_days: Option<u32>,
    /// Frames that wait for a slow client before it has to catch up from the log [default: 256]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) queue: Option<u32>,
    /// Threads that serve sockets [default: the number of cores, 4 at most]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) workers: Option<u32>,
    /// Seconds that a shutdown waits for clients [default: 20]
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) drain_seconds: Option<u32>,
    /// Address to expose the daemon's meters at, for Prometheus; nowhere unless given
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<String>,
    /// What to log, e.g. info or qchatd=debug [default: info]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How logs look; auto is pretty on a terminal and json elsewhere [default: auto]
    #[arg(long, global = true, value_name = "FORMAT", value_parser = ["auto", "pretty", "json"])]
    pub(crate) log_format: Option<String>,
}

impl Settings {
    /// The flags that were given, by key.
    pub(crate) fn given(&self) -> Vec<(&'static str, String)> {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        [
            ("listen", self.listen.clone()),
            ("listen_mode", self.listen_mode.clone()),
            ("address_file", self.address_file.clone()),
            ("insecure_http", self.insecure_http.then(|| "true".to_owned())),
            ("tls_certificate", self.tls_certificate.clone()),
            ("tls_key", self.tls_key.clone()),
            ("tls_key_exchange", self.tls_key_exchange.clone()),
            ("tls_handshake_seconds", number(self.tls_handshake_seconds)),
            ("data_dir", self.data_dir.clone()),
            ("database", self.database.clone()),
            ("database_connections", number(self.database_connections)),
            ("database_wait_seconds", number(self.database_wait_seconds)),
            ("redis_url", self.redis_url.clone()),
            ("redis_url_file", self.redis_url_file.clone()),
            ("redis_root_cert", self.redis_root_cert.clone()),
            ("node_name", self.node_name.clone()),
            ("pepper_file", self.pepper_file.clone()),
            ("token_key_file", self.token_key_file.clone()),
            ("max_connections", number(self.max_connections)),
            ("address_connections", number(self.address_connections)),
            ("address_connections_per_second", number(self.address_connections_per_second)),
            ("address_registrations_per_minute", number(self.address_registrations_per_minute)),
            ("address_logins_per_minute", number(self.address_logins_per_minute)),
            ("account_logins_per_minute", number(self.account_logins_per_minute)),
            ("account_registrations_per_minute", number(self.account_registrations_per_minute)),
            ("account_requests_per_second", number(self.account_requests_per_second)),
            ("account_publishes_per_second", number(self.account_publishes_per_second)),
            ("proxy_protocol", self.proxy_protocol.then(|| "true".to_owned())),
            ("proxy_trusted", self.proxy_trusted.clone()),
            ("account_backup_bytes", self.account_backup_bytes.map(|bytes| bytes.to_string())),
            ("files", self.files.clone()),
            ("files_s3_endpoint", self.files_s3_endpoint.clone()),
            ("files_s3_region", self.files_s3_region.clone()),
            ("files_s3_key_file", self.files_s3_key_file.clone()),
            ("file_bytes", self.file_bytes.map(|bytes| bytes.to_string())),
            ("account_file_bytes", self.account_file_bytes.map(|bytes| bytes.to_string())),
            ("retention_days", number(self.retention_days)),
            ("audit_addresses", self.audit_addresses.clone()),
            ("audit_retention_days", number(self.audit_retention_days)),
            ("queue", number(self.queue)),
            ("workers", number(self.workers)),
            ("drain_seconds", number(self.drain_seconds)),
            ("metrics_listen", self.metrics_listen.clone()),
            ("log", self.log.clone()),
            ("log_format", self.log_format.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }
}
