//! The log: on standard error, only when asked for.

use std::io::stderr;

use tracing_subscriber::EnvFilter;

/// Starts logging with `-v` (this program's messages) or `-vv` (more of them); without, nothing is logged.
pub(super) fn start(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "warn,qchat=info,qchat_cli=info,qchat_proto=info",
        _ => "info,qchat=debug,qchat_cli=debug,qchat_proto=debug",
    };
    // A second start, in a test, keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(stderr)
        .with_ansi(false)
        .try_init();
}
