//! How the way to the daemon stands.

use super::{super::app::App, Does, Panel, PanelRow, heading, sentences};
use crate::{
    engine::{Link, types::Connection},
    tui::msg::Command,
};

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    let App { theme, words, .. } = *app;
    let mut rows = Vec::new();
    heading(&mut rows, words.panel_connection(), app);
    if let Some(latency) = &panel.latency {
        rows.push(PanelRow::fact(words.fact_server(), latency.server.clone()));
    }
    let state = |value: String| PanelRow::fact(words.fact_state(), value);
    match &app.connection {
        Connection::Connecting => rows.push(state(words.state_connecting()).styled(theme.unread())),
        Connection::Offline(why) => {
            rows.push(state(words.state_offline()).styled(theme.warning()));
            rows.extend(sentences(why, app, width, theme.warning()));
        }
        Connection::Online(Link::Local) => {
            rows.push(state(words.state_online()).styled(theme.good()));
            rows.push(PanelRow::fact(words.fact_protection(), words.protected_by_nothing()));
        }
        Connection::Online(Link::Tls { key_exchange, post_quantum, key }) => {
            rows.push(state(words.state_online()).styled(theme.good()));
            let (by, style) = if *post_quantum {
                (words.protected_post_quantum(), theme.good())
            } else {
                (words.protected_classical(), theme.warning())
            };
            rows.push(PanelRow::fact(words.fact_protection(), by).styled(style));
            rows.push(PanelRow::fact(words.fact_group(), key_exchange.clone()));
            rows.push(PanelRow::fact(words.fact_server_key(), key.to_string()));
        }
    }
    rows.push(PanelRow::fact(words.fact_lost(), words.lost_times(app.losses)));
    let time = panel.latency.as_ref().map_or_else(
        || words.latency_measuring(),
        |latency| words.latency(words.number(&format!("{:.1}", latency.time.as_secs_f64() * 1000.0))),
    );
    rows.push(PanelRow::fact(words.fact_latency(), time));
    rows.push(PanelRow::words(words.measure_again(), theme.good()).doing(Does::Run(Command::Ping)));
    rows
}
