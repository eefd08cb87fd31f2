//! The log: on standard error, only when asked for.

use std::io::stderr;

use tracing::Level;
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Our own parts; the others' messages are of a level less.
const OWN: [&str; 3] = ["qchat", "qchat_cli", "qchat_proto"];

/// Starts logging with `-v` (this program's messages) or `-vv` (more of them); without, nothing is logged.
pub(super) fn start(verbose: u8) {
    let (others, own) = match verbose {
        0 => return,
        1 => (Level::WARN, Level::INFO),
        _ => (Level::INFO, Level::DEBUG),
    };
    let filter = Targets::new().with_default(others).with_targets(OWN.map(|part| (part, own)));
    let layer = fmt::layer().with_writer(stderr).with_ansi(false).with_filter(filter);
    // A second start, in a test, keeps the first.
    drop(Registry::default().with(layer).try_init());
}
