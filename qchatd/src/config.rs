//! The daemon's settings: flags over environment over file over defaults, checked before anything starts.

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use config::{Config as Layers, Environment, File, FileFormat};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    blobs::{Place, S3},
    bus::{RedisError, RedisUrl},
    limits::Rates,
    service::{audit::Addresses, files::FileLimits, housekeeping::Retention},
    socket::Pings,
    store::Target,
    tls::{Files, KeyExchange, Tls},
};

/// How logs look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Where connections come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// The address and port, when it is one.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl std::str::FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
            Some(_) => Err("a Unix socket has an absolute path, like unix:/run/qchatd/qchatd.sock"),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| "is an address and a port, like 127.0.0.1:8470 or [::1]:8470, or unix:/path"),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// All settings, valid.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, at one place at least.
    pub listen: Vec<Listen>,
    /// The mode of Unix sockets.
    pub listen_mode: u32,
    /// Where to write the bound address.
    pub address_file: Option<PathBuf>,
    /// Whether plain http may leave the machine.
    pub insecure_http: bool,
    /// Certificate and key; without, plain http is spoken.
    pub tls_files: Option<Files>,
    /// Which key exchanges TLS offers.
    pub tls_key_exchange: KeyExchange,
    /// How long a client may take for the handshake.
    pub tls_handshake: Duration,
    /// Database and keys.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Target,
    /// Connections to it for requests.
    pub database_connections: u32,
    /// How long a request waits for one.
    pub database_wait: Duration,
    /// What carries hints between nodes.
    pub redis_url: Option<RedisUrl>,
    /// The file that says so.
    pub redis_url_file: Option<PathBuf>,
    /// The certificate that signs that of Redis.
    pub redis_root_cert: Option<PathBuf>,
    /// What this node is called in its log.
    pub node_name: String,
    /// The password verifiers' key.
    pub pepper_file: PathBuf,
    /// The tokens' key.
    pub token_key_file: PathBuf,
    /// Connections served at once.
    pub max_connections: u32,
    /// How much one address and one account may ask for.
    pub rates: Rates,
    /// Whether every connection begins with a `PROXY` header.
    pub proxy_protocol: bool,
    /// Who may send one.
    pub proxy_trusted: Vec<IpNet>,
    /// What is deleted although somebody has not fetched it.
    pub retention: Retention,
    /// Bytes of backups that an account may have here; 0: none.
    pub account_backup_bytes: u64,
    /// Where files are kept.
    pub files: Place,
    /// How large they may be, and for how long they stay.
    pub file_limits: FileLimits,
    /// How much of addresses the audit log keeps.
    pub audit_addresses: Addresses,
    /// Frames in a connection's queue.
    pub queue: u32,
    /// When a silent peer is taken for dead. No key sets it: clients count on being pinged.
    pub pings: Pings,
    /// Runtime threads.
    pub workers: u32,
    /// The longest drain.
    pub drain: Duration,
    /// Where the meters are exposed, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What to log.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A source cannot be read, or has a value of the wrong kind or an unknown key.
    #[error("configuration: {0}")]
    Source(#[from] config::ConfigError),
    /// A value makes no sense.
    #[error("configuration: {key}: {reason}")]
    Invalid {
        /// The setting.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A command line flag.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// The configuration file.
    File(PathBuf),
    /// The service manager, for this service alone.
    Credential(PathBuf),
    /// Built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Environment(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Credential(path) => write!(f, "credential {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A configuration with the origin of each value.
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// By key.
    pub origins: BTreeMap<&'static str, Origin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    listen_mode: String,
    address_file: String,
    insecure_http: bool,
    tls_certificate: String,
    tls_key: String,
    tls_key_exchange: KeyExchange,
    tls_handshake_seconds: u32,
    data_dir: String,
    database: String,
    database_connections: u32,
    database_wait_seconds: u32,
    redis_url: String,
    redis_url_file: String,
    redis_root_cert: String,
    node_name: String,
    pepper_file: String,
    token_key_file: String,
    max_connections: u32,
    address_connections: u32,
    address_connections_per_second: u32,
    address_registrations_per_minute: u32,
    address_logins_per_minute: u32,
    account_logins_per_minute: u32,
    account_registrations_per_minute: u32,
    account_requests_per_second: u32,
    account_publishes_per_second: u32,
    proxy_protocol: bool,
    proxy_trusted: String,
    account_backup_bytes: u64,
    files: String,
    files_s3_endpoint: String,
    files_s3_region: String,
    files_s3_key_file: String,
    file_bytes: u64,
    account_file_bytes: u64,
    retention_days: u32,
    audit_addresses: String,
    audit_retention_days: u32,
    queue: u32,
    workers: u32,
    drain_seconds: u32,
    metrics_listen: String,
    log: String,
    log_format: LogFormat,
}

const PREFIX: &str = "QCHATD_";

/// The settings that a credential stands in for, and its name: the URL itself for the database, else a file.
const CREDENTIALS: [(&str, &str); 5] = [
    ("database", "database"),
    ("pepper_file", "pepper.key"),
    ("token_key_file", "token.key"),
    ("tls_certificate", "tls.crt"),
    ("tls_key", "tls.key"),
];

/// The keys and their defaults; an empty text is worked out later.
fn defaults() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    vec![
        ("listen", "127.0.0.1:8470".into()),
        ("listen_mode", "660".into()),
        ("address_file", String::new()),
        ("insecure_http", "false".into()),
        ("tls_certificate", String::new()),
        ("tls_key", String::new()),
        ("tls_key_exchange", "require".into()),
        ("tls_handshake_seconds", "10".into()),
        ("data_dir", data_dir().map_or_else(String::new, |dir| dir.display().to_string())),
        ("database", String::new()),
        ("database_connections", "8".into()),
        ("database_wait_seconds", "5".into()),
        ("redis_url", String::new()),
        ("redis_url_file", String::new()),
        ("redis_root_cert", String::new()),
        ("node_name", node_name()),
        ("pepper_file", String::new()),
        ("token_key_file", String::new()),
        ("max_connections", "10000".into()),
        ("address_connections", "1000".into()),
        ("address_connections_per_second", "100".into()),
        ("address_registrations_per_minute", "60".into()),
        ("address_logins_per_minute", "600".into()),
        ("account_logins_per_minute", "600".into()),
        ("account_registrations_per_minute", "20".into()),
        ("account_requests_per_second", "100".into()),
        ("account_publishes_per_second", "2000".into()),
        ("proxy_protocol", "false".into()),
        ("proxy_trusted", "127.0.0.0/8,::1/128".into()),
        ("account_backup_bytes", "268435456".into()),
        ("files", String::new()),
        ("files_s3_endpoint", String::new()),
        ("files_s3_region", String::new()),
        ("files_s3_key_file", String::new()),
        ("file_bytes", "12884901888".into()),
        ("account_file_bytes", "25769803776".into()),
        ("retention_days", "90".into()),
        ("audit_addresses", Addresses::default().to_string()),
        ("audit_retention_days", "365".into()),
        ("queue", "256".into()),
        ("workers", cores.to_string()),
        ("drain_seconds", "20".into()),
        ("metrics_listen", String::new()),
        ("log", "info".into()),
        ("log_format", "auto".into()),
    ]
}

/// Loads the settings; `flags` are those given on the command line, by key.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(file: Option<&Path>, flags: &[(&'static str, String)]) -> Result<Loaded, ConfigError> {
    let environment: BTreeMap<String, String> =
        std::env::vars().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let credentials = credentials();
    layered(file, flags, &environment, credentials.as_deref())
}

/// Where the service manager puts the secrets of this service (`LoadCredential=` of systemd).
fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Whether the service manager keeps this file: it lets nobody else read it, by means that the mode does not show.
pub(crate) fn is_credential(path: &Path) -> bool {
    credentials().is_some_and(|directory| path.starts_with(directory))
}

fn layered(
    file: Option<&Path>,
    flags: &[(&'static str, String)],
    environment: &BTreeMap<String, String>,
    credentials: Option<&Path>,
) -> Result<Loaded, ConfigError> {
    let mut defaults = defaults();
    let mut from_credentials = BTreeMap::new();
    for (key, name) in credentials.iter().flat_map(|_| CREDENTIALS) {
        let Some(path) = credentials.map(|directory| directory.join(name)).filter(|path| path.exists())
        else {
            continue;
        };
        let value = if key == "database" { read_credential(&path)? } else { path.display().to_string() };
        if let Some(default) = defaults.iter_mut().find(|(known, _)| *known == key) {
            default.1 = value;
            from_credentials.insert(key, path);
        }
    }
    let variable = |key: &str| format!("{PREFIX}{}", key.to_ascii_uppercase());
    // Only our own keys: other programs may use the prefix.
    let known: config::Map<String, String> = defaults
        .iter()
        .filter_map(|(key, _)| Some((variable(key), environment.get(&variable(key))?.clone())))
        .collect();

    let file = file.map(Path::to_owned).or_else(|| default_file().filter(|path| path.exists()));
    let in_file = match &file {
        Some(path) => {
            Some(Layers::builder().add_source(File::from(path.as_path()).format(FileFormat::Toml)).build()?)
        }
        None => None,
    };
    let mut layers = Layers::builder();
    for (key, value) in &defaults {
        layers = layers.set_default(*key, value.as_str())?;
    }
    if let Some(in_file) = in_file.clone() {
        layers = layers.add_source(in_file);
    }
    layers = layers
        .add_source(Environment::with_prefix("QCHATD").prefix_separator("_").source(Some(known.clone())));
    for (key, value) in flags {
        layers = layers.set_override(*key, value.as_str())?;
    }

    let origins = defaults
        .iter()
        .map(|(key, _)| {
            let origin = if flags.iter().any(|(flag, _)| flag == key) {
                Origin::Flag(format!("--{}", key.replace('_', "-")))
            } else if known.contains_key(&variable(key)) {
                Origin::Environment(variable(key))
            } else if let (Some(path), Some(in_file)) = (&file, &in_file)
                && in_file.get::<config::Value>(key).is_ok()
            {
                Origin::File(path.clone())
            } else if let Some(path) = from_credentials.get(key) {
                Origin::Credential(path.clone())
            } else {
                Origin::Default
            };
            (*key, origin)
        })
        .collect();
    Ok(Loaded { config: check(layers.build()?.try_deserialize()?)?, origins })
}

fn read_credential(path: &Path) -> Result<String, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Invalid {
        key: "database",
        reason: format!("the credential {} cannot be read: {error}", path.display()),
    })?;
    Ok(text.trim().to_owned())
}

fn check(raw: Raw) -> Result<Config, ConfigError> {
    let invalid = |key, reason: &str| ConfigError::Invalid { key, reason: reason.to_owned() };
    if raw.data_dir.is_empty() {
        return Err(invalid("data_dir", "no home directory is known; set it"));
    }
    let data_dir = PathBuf::from(raw.data_dir);
    let in_data_dir = |given: String, name: &str| {
        if given.is_empty() { data_dir.join(name) } else { given.into() }
    };
    let database = if raw.database.is_empty() {
        Target::Sqlite(data_dir.join("qchatd.sqlite3"))
    } else {
        raw.database
            .parse()
            .map_err(|error: crate::store::TargetError| invalid("database", &error.to_string()))?
    };
    let redis_url = match (&raw.redis_url[..], &raw.redis_url_file[..]) {
        ("", "") => None,
        (_, "") => Some(("redis_url", raw.redis_url.clone())),
        ("", path) => {
            let bytes = read("redis_url_file", Path::new(path))?;
            Some(("redis_url_file", String::from_utf8_lossy(&bytes).trim().to_owned()))
        }
        _ => return Err(invalid("redis_url_file", "is for a redis_url that stands nowhere else")),
    };
    let redis_url: Option<RedisUrl> = redis_url
        .map(|(key, url)| url.parse().map_err(|error: RedisError| invalid(key, &error.to_string())))
        .transpose()?;
    if redis_url.is_some() && !database.is_shared() {
        return Err(invalid("redis_url", "is for several nodes, which share a PostgreSQL database"));
    }
    if !raw.redis_root_cert.is_empty() && redis_url.as_ref().is_none_or(|url| !url.is_encrypted()) {
        return Err(invalid("redis_root_cert", "is for a redis_url with TLS: rediss://…"));
    }
    if raw.node_name.is_empty()
        || raw.node_name.len() > 64
        || !raw.node_name.chars().all(|c| c.is_ascii_graphic())
    {
        return Err(invalid("node_name", "has 1 to 64 printable ASCII characters"));
    }
    for (key, value) in [
        ("database_connections", raw.database_connections),
        ("max_connections", raw.max_connections),
        ("queue", raw.queue),
        ("workers", raw.workers),
        ("tls_handshake_seconds", raw.tls_handshake_seconds),
    ] {
        if value == 0 || value > 1_000_000 {
            return Err(invalid(key, "is between 1 and 1000000"));
        }
    }
    if !(1..=300).contains(&raw.database_wait_seconds) {
        return Err(invalid("database_wait_seconds", "is between 1 and 300"));
    }
    if raw.retention_days > 3650 {
        return Err(invalid("retention_days", "is at most 3650, and 0 keeps until everybody has fetched"));
    }
    if raw.audit_retention_days > 3650 {
        return Err(invalid("audit_retention_days", "is at most 3650, and 0 keeps entries for ever"));
    }
    let files =
        place(&raw.files, &data_dir, [&raw.files_s3_endpoint, &raw.files_s3_region, &raw.files_s3_key_file])?;
    let tls_files = match (raw.tls_certificate.as_str(), raw.tls_key.as_str()) {
        ("", "") => None,
        ("", _) => return Err(invalid("tls_certificate", "is missing, where tls_key is set")),
        (_, "") => return Err(invalid("tls_key", "is missing, where tls_certificate is set")),
        (certificate, key) => Some(Files { certificate: certificate.into(), key: key.into() }),
    };
    for (key, value) in [
        ("address_connections", raw.address_connections),
        ("address_connections_per_second", raw.address_connections_per_second),
        ("address_registrations_per_minute", raw.address_registrations_per_minute),
        ("address_logins_per_minute", raw.address_logins_per_minute),
        ("account_logins_per_minute", raw.account_logins_per_minute),
        ("account_registrations_per_minute", raw.account_registrations_per_minute),
        ("account_requests_per_second", raw.account_requests_per_second),
        ("account_publishes_per_second", raw.account_publishes_per_second),
    ] {
        if value > 1_000_000 {
            return Err(invalid(key, "is at most 1000000, and 0 for no limit"));
        }
    }
    Ok(Config {
        listen: raw
            .listen
            .split(',')
            .map(|one| one.trim().parse())
            .collect::<Result<_, _>>()
            .map_err(|reason| invalid("listen", reason))?,
        listen_mode: u32::from_str_radix(&raw.listen_mode, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .ok_or_else(|| invalid("listen_mode", "is a file mode in octal, like 660"))?,
        address_file: (!raw.address_file.is_empty()).then(|| raw.address_file.into()),
        insecure_http: raw.insecure_http,
        tls_files,
        tls_key_exchange: raw.tls_key_exchange,
        tls_handshake: Duration::from_secs(raw.tls_handshake_seconds.into()),
        pepper_file: in_data_dir(raw.pepper_file, "pepper.key"),
        token_key_file: in_data_dir(raw.token_key_file, "token.key"),
        data_dir,
        database,
        database_connections: raw.database_connections,
        database_wait: Duration::from_secs(raw.database_wait_seconds.into()),
        redis_url,
        redis_url_file: (!raw.redis_url_file.is_empty()).then(|| raw.redis_url_file.into()),
        redis_root_cert: (!raw.redis_root_cert.is_empty()).then(|| raw.redis_root_cert.into()),
        node_name: raw.node_name,
        max_connections: raw.max_connections,
        rates: Rates {
            address_connections: raw.address_connections,
            address_connections_per_second: raw.address_connections_per_second,
            address_registrations_per_minute: raw.address_registrations_per_minute,
            address_logins_per_minute: raw.address_logins_per_minute,
            account_logins_per_minute: raw.account_logins_per_minute,
            account_registrations_per_minute: raw.account_registrations_per_minute,
            account_requests_per_second: raw.account_requests_per_second,
            account_publishes_per_second: raw.account_publishes_per_second,
        },
        proxy_protocol: raw.proxy_protocol,
        proxy_trusted: networks(&raw.proxy_trusted).ok_or_else(|| {
            invalid("proxy_trusted", "is a list of addresses or networks, like 127.0.0.1,10.1.0.0/16")
        })?,
        account_backup_bytes: raw.account_backup_bytes,
        files,
        file_limits: FileLimits {
            each: raw.file_bytes,
            account: raw.account_file_bytes,
            days: raw.retention_days,
        },
        retention: Retention { days: raw.retention_days, audit_days: raw.audit_retention_days },
        audit_addresses: raw.audit_addresses.parse().map_err(|reason| invalid("audit_addresses", reason))?,
        queue: raw.queue,
        pings: Pings::default(),
        workers: raw.workers,
        drain: Duration::from_secs(raw.drain_seconds.into()),
        metrics_listen: match raw.metrics_listen.as_str() {
            "" => None,
            address => {
                Some(address.parse().map_err(|_| {
                    invalid("metrics_listen", "is an address and a port, like 127.0.0.1:9464")
                })?)
            }
        },
        log: raw.log,
        log_format: raw.log_format,
    })
}

impl Config {
    /// Makes the data directory, for this user alone.
    ///
    /// # Errors
    /// When it is not there and cannot be made.
    pub fn make_data_dir(&self) -> Result<(), ConfigError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data_dir).map_err(|error| {
            ConfigError::Invalid {
                key: "data_dir",
                reason: format!("{} cannot be made: {error}", self.data_dir.display()),
            }
        })
    }

    /// What TLS is made of, where there is a certificate.
    pub fn tls(&self) -> Option<Tls> {
        let files = self.tls_files.clone()?;
        Some(Tls { files, key_exchange: self.tls_key_exchange, handshake: self.tls_handshake })
    }

    /// Every setting as text, without passwords.
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let format = match self.log_format {
            LogFormat::Auto => "auto",
            LogFormat::Pretty => "pretty",
            LogFormat::Json => "json",
        };
        let path = |path: &Path| path.display().to_string();
        let tls_file = |which: fn(&Files) -> &Path| {
            self.tls_files.as_ref().map(|files| path(which(files))).unwrap_or_default()
        };
        let s3 = |which: fn(&S3) -> Option<String>| match &self.files {
            Place::S3(s3) => which(s3).unwrap_or_default(),
            Place::Directory(_) => String::new(),
        };
        vec![
            ("listen", self.listen.iter().map(Listen::to_string).collect::<Vec<_>>().join(",")),
            ("listen_mode", format!("{:o}", self.listen_mode)),
            ("address_file", self.address_file.as_deref().map(path).unwrap_or_default()),
            ("insecure_http", self.insecure_http.to_string()),
            ("tls_certificate", tls_file(|files| &files.certificate)),
            ("tls_key", tls_file(|files| &files.key)),
            ("tls_key_exchange", self.tls_key_exchange.to_string()),
            ("tls_handshake_seconds", self.tls_handshake.as_secs().to_string()),
            ("data_dir", path(&self.data_dir)),
            ("database", self.database.to_string()),
            ("database_connections", self.database_connections.to_string()),
            ("database_wait_seconds", self.database_wait.as_secs().to_string()),
            ("redis_url", self.redis_url.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("redis_url_file", self.redis_url_file.as_deref().map(path).unwrap_or_default()),
            ("redis_root_cert", self.redis_root_cert.as_deref().map(path).unwrap_or_default()),
            ("node_name", self.node_name.clone()),
            ("pepper_file", path(&self.pepper_file)),
            ("token_key_file", path(&self.token_key_file)),
            ("max_connections", self.max_connections.to_string()),
            ("address_connections", self.rates.address_connections.to_string()),
            ("address_connections_per_second", self.rates.address_connections_per_second.to_string()),
            ("address_registrations_per_minute", self.rates.address_registrations_per_minute.to_string()),
            ("address_logins_per_minute", self.rates.address_logins_per_minute.to_string()),
            ("account_logins_per_minute", self.rates.account_logins_per_minute.to_string()),
            ("account_registrations_per_minute", self.rates.account_registrations_per_minute.to_string()),
            ("account_requests_per_second", self.rates.account_requests_per_second.to_string()),
            ("account_publishes_per_second", self.rates.account_publishes_per_second.to_string()),
            ("proxy_protocol", self.proxy_protocol.to_string()),
            ("proxy_trusted", self.proxy_trusted.iter().map(IpNet::to_string).collect::<Vec<_>>().join(",")),
            ("account_backup_bytes", self.account_backup_bytes.to_string()),
            ("files", self.files.to_string()),
            ("files_s3_endpoint", s3(|s3| s3.endpoint.clone())),
            ("files_s3_region", s3(|s3| s3.region.clone())),
            ("files_s3_key_file", s3(|s3| Some(s3.key_file.as_deref()?.display().to_string()))),
            ("file_bytes", self.file_limits.each.to_string()),
            ("account_file_bytes", self.file_limits.account.to_string()),
            ("retention_days", self.retention.days.to_string()),
            ("audit_addresses", self.audit_addresses.to_string()),
            ("audit_retention_days", self.retention.audit_days.to_string()),
            ("queue", self.queue.to_string()),
            ("workers", self.workers.to_string()),
            ("drain_seconds", self.drain.as_secs().to_string()),
            ("metrics_listen", self.metrics_listen.map_or_else(String::new, |address| address.to_string())),
            ("log", self.log.clone()),
            ("log_format", format.to_owned()),
        ]
    }
}

/// Where files are kept: a directory, or `s3://BUCKET/PREFIX`.
fn place(given: &str, data_dir: &Path, s3: [&String; 3]) -> Result<Place, ConfigError> {
    let invalid = |key, reason: &str| ConfigError::Invalid { key, reason: reason.to_owned() };
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let Some(bucket) = given.strip_prefix("s3://") else {
        for (key, value) in ["files_s3_endpoint", "files_s3_region", "files_s3_key_file"].into_iter().zip(s3)
        {
            if !value.is_empty() {
                return Err(invalid(key, "is for files that are kept at s3://BUCKET"));
            }
        }
        let path = if given.is_empty() { data_dir.join("files") } else { PathBuf::from(given) };
        return if given.is_empty() || path.is_absolute() {
            Ok(Place::Directory(path))
        } else {
            Err(invalid("files", "is an absolute path, or s3://BUCKET/PREFIX"))
        };
    };
    let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(good) {
        return Err(invalid("files", "names no bucket: 3 to 63 characters of a-z, 0-9, '-' and '.'"));
    }
    let [endpoint, region, key_file] = s3;
    if !endpoint.is_empty() && !["https://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
        return Err(invalid("files_s3_endpoint", "is a URL, like https://s3.example.org"));
    }
    Ok(Place::S3(S3 {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        endpoint: said(endpoint),
        region: said(region),
        key_file: said(key_file).map(PathBuf::from),
    }))
}

/// Reads a file that a setting names.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| ConfigError::Invalid {
        key,
        reason: format!("{} cannot be read: {error}", path.display()),
    })
}

/// The machine's name, as far as it can stand in a log.
fn node_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    if name.is_empty() { "node".into() } else { name }
}

/// Addresses and networks, with commas between; none at all are none.
fn networks(text: &str) -> Option<Vec<IpNet>> {
    let one = |text: &str| text.parse::<IpNet>().ok().or_else(|| text.parse().map(IpAddr::into).ok());
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(one).collect()
}

/// Root runs it as a service of the machine; anyone else as their own.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn directories() -> Option<directories::ProjectDirs> {
    directories::ProjectDirs::from("", "", "qchatd")
}

fn data_dir() -> Option<PathBuf> {
    if is_root() {
        Some("/var/lib/qchatd".into())
    } else {
        directories().map(|dirs| dirs.data_dir().to_owned())
    }
}

fn default_file() -> Option<PathBuf> {
    if is_root() {
        Some("/etc/qchatd/qchatd.toml".into())
    } else {
        directories().map(|dirs| dirs.config_dir().join("qchatd.toml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_outranks_the_next_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qchatd.toml");
        std::fs::write(&path, "queue = 7\nlisten = \"127.0.0.1:1\"\ndata_dir = \"/f\"\n").unwrap();
        let environment = [("QCHATD_QUEUE", "8"), ("QCHATD_LOG", "debug"), ("QCHATD_OTHER", "x")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let loaded = layered(Some(&path), &[("queue", "9".to_owned())], &environment, None).unwrap();
        let origins: Vec<_> =
            ["queue", "log", "listen", "workers"].map(|key| loaded.origins[key].clone()).into();
        assert_eq!(
            origins,
            [
                Origin::Flag("--queue".into()),
                Origin::Environment("QCHATD_LOG".into()),
                Origin::File(path),
                Origin::Default
            ]
        );
        assert_eq!((loaded.config.queue, loaded.config.log.as_str()), (9, "debug"));
        assert_eq!(loaded.config.database.to_string(), "sqlite:///f/qchatd.sqlite3");
    }

    #[test]
    fn credentials_stand_in_for_defaults_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("database"), "postgres://qchat@db/qchat\n").unwrap();
        std::fs::write(path("token.key"), [0; 64]).unwrap();
        let flags = [("data_dir", "/d".to_owned())];
        let loaded = layered(None, &flags, &BTreeMap::new(), Some(dir.path())).unwrap();
        assert_eq!(loaded.config.database.to_string(), "postgres://qchat@db/qchat");
        assert_eq!(loaded.config.token_key_file, path("token.key"));
        assert_eq!(loaded.config.pepper_file, Path::new("/d/pepper.key"));
        assert_eq!(loaded.origins["database"], Origin::Credential(path("database")));
        assert_eq!(loaded.origins["pepper_file"], Origin::Default);
        std::fs::write(path("tls.crt"), []).unwrap();
        std::fs::write(path("tls.key"), []).unwrap();
        let loaded = layered(None, &flags, &BTreeMap::new(), Some(dir.path())).unwrap();
        assert_eq!(loaded.config.tls_files.unwrap().key, path("tls.key"));

        let environment = BTreeMap::from([("QCHATD_DATABASE".to_owned(), "sqlite:///e".to_owned())]);
        let loaded = layered(None, &flags, &environment, Some(dir.path())).unwrap();
        assert_eq!(loaded.config.database.to_string(), "sqlite:///e");
    }

    #[test]
    fn nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qchatd.toml");
        for text in [
            "lisen = \"x\"",
            "listen = \"nowhere\"",
            "listen = \"unix:here\"",
            "listen = \"\"",
            "listen_mode = \"1777\"",
            "proxy_trusted = \"proxy.example\"",
            "account_publishes_per_second = 2000000",
            "queue = 0",
            "queue = \"many\"",
            "database = \"x\"",
            "tls_certificate = \"tls.crt\"",
            "tls_key = \"tls.key\"",
            "tls_key_exchange = \"classical\"",
            "tls_handshake_seconds = 0",
            "database_wait_seconds = 0",
            "redis_url = \"http://h/\"\ndatabase = \"postgres://h/d\"",
            "redis_url = \"redis://h/\"",
            "redis_url = \"redis://h/\"\nredis_root_cert = \"/c\"\ndatabase = \"postgres://h/d\"",
            "audit_addresses = \"some\"",
            "audit_retention_days = 4000",
            "redis_url_file = \"/nowhere/at-all\"\ndatabase = \"postgres://h/d\"",
            "files = \"here\"",
            "files = \"s3://\"",
            "files = \"s3://B/x\"",
            "files_s3_region = \"eu-1\"",
            "files = \"s3://bucket\"\nfiles_s3_endpoint = \"s3.example.org\"",
            "node_name = \"\"",
            "= =",
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(layered(Some(&path), &[], &BTreeMap::new(), None).is_err(), "{text}");
        }
    }
}
