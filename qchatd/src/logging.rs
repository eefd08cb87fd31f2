//! Logs: to standard error, for people on a terminal and as JSON lines for everything else. They carry ids, never
//! content, tokens or bodies.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogFormat};

/// Starts logging for this process.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| ConfigError::Invalid { key: "log", reason: error.to_string() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let pretty = match format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    // A second daemon in the same process (a test) logs where the first does.
    drop(if pretty {
        builder.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    });
    Ok(())
}
