//! How the way to the daemon stands.

use super::{super::app::App, Does, Panel, PanelRow, heading, sentences};
use crate::{
    engine::{Link, types::Connection},
    tui::msg::Command,
};

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let mut rows = Vec::new();
    heading(&mut rows, "Connection", app);
    if let Some(latency) = &panel.latency {
        rows.push(PanelRow::fact("server", latency.server.clone()));
    }
    match &app.connection {
        Connection::Connecting => rows.push(PanelRow::fact("state", "connecting").styled(theme.unread())),
        Connection::Offline(why) => {
            rows.push(
                PanelRow::fact("state", "offline; it is tried again by itself").styled(theme.warning()),
            );
            rows.extend(sentences(why, width, theme.warning()));
        }
        Connection::Online(Link::Local) => {
            rows.push(PanelRow::fact("state", "online").styled(theme.good()));
            rows.push(PanelRow::fact("protected by", "nothing: it does not leave this machine"));
        }
        Connection::Online(Link::Tls { key_exchange, post_quantum, key }) => {
            rows.push(PanelRow::fact("state", "online").styled(theme.good()));
            let (words, style) = if *post_quantum {
                ("TLS 1.3, post-quantum", theme.good())
            } else {
                ("TLS 1.3, not post-quantum: messages are, the way is not", theme.warning())
            };
            rows.push(PanelRow::fact("protected by", words).styled(style));
            rows.push(PanelRow::fact("group", key_exchange.clone()));
            rows.push(PanelRow::fact("server's key", key.to_string()));
        }
    }
    rows.push(PanelRow::fact("lost", format!("{} times since the screen opened", app.losses)));
    let time = panel.latency.as_ref().map_or_else(
        || "measuring…".to_owned(),
        |latency| format!("{:.1} ms for a question and its answer", latency.time.as_secs_f64() * 1000.0),
    );
    rows.push(PanelRow::fact("latency", time));
    rows.push(PanelRow::words("Measure again", theme.good()).doing(Does::Run(Command::Ping)));
    rows
}
