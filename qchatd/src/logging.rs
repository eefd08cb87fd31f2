//! Logs: to standard error, for people on a terminal and as JSON lines for everything else. They carry ids, never
//! content, tokens or bodies.

use std::io::IsTerminal;

use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{ConfigError, LogFormat};

/// Starts logging for this process.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), ConfigError> {
    let filter: Targets = filter.parse().map_err(|error: tracing_subscriber::filter::ParseError| {
        ConfigError::Invalid { key: "log", reason: error.to_string() }
    })?;
    let terminal = std::io::stderr().is_terminal();
    let pretty = match format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = if pretty {
        layer.with_ansi(terminal && std::env::var_os("NO_COLOR").is_none()).boxed()
    } else {
        layer.json().flatten_event(true).boxed()
    };
    // A second daemon in the same process (a test) logs where the first does.
    drop(Registry::default().with(layer.with_filter(filter)).try_init());
    Ok(())
}
