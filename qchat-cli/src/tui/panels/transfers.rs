//! Files on their way, and what is not sent yet.

use super::{super::app::App, Does, PanelRow, bar, heading, sentences};
use crate::{
    engine::{UnsentState, types::size},
    tui::{lines, msg::Command, transfers::TransferState},
};

pub(super) fn rows(app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let mut rows = Vec::new();
    heading(&mut rows, "Files", app);
    let mut none = true;
    for transfer in app.transfers.all() {
        none = false;
        let what = if matches!(transfer.command, Command::SendFile { .. }) { "↑" } else { "↓" };
        let name = &transfer.name;
        let row = match &transfer.state {
            TransferState::Running => {
                #[expect(clippy::cast_precision_loss, reason = "a share of a size")]
                let share = if transfer.of == 0 { 0.0 } else { transfer.done as f64 / transfer.of as f64 };
                let far = format!("{} of {}", size(transfer.done), size(transfer.of));
                PanelRow::words(
                    format!("{what} {name}  {} {far}", bar(share, (width / 4).clamp(4, 20))),
                    theme.unread(),
                )
            }
            TransferState::Done(Some(path)) => {
                PanelRow::words(format!("{what} {name}  is at {}", path.display()), theme.good())
            }
            TransferState::Done(None) => PanelRow::words(format!("{what} {name}  sent"), theme.good()),
            TransferState::Failed(why) => {
                PanelRow::words(format!("{what} {name}  {why} (Enter: again)"), theme.failure())
                    .doing(Does::Run(transfer.command.clone()))
            }
        };
        rows.push(row);
    }
    if none {
        rows.extend(sentences("None since the screen opened.", width, theme.quiet()));
    }
    heading(&mut rows, "Not sent yet", app);
    if app.unsent.is_empty() {
        rows.extend(sentences("Everything is sent.", width, theme.quiet()));
    }
    for unsent in &app.unsent {
        let room = app.summary(unsent.room).map_or("a room", |room| &room.name);
        let excerpt = unsent.excerpt.as_deref().map_or_else(String::new, |excerpt| format!(": {excerpt}"));
        let state = match unsent.state {
            UnsentState::Scheduled(at) => format!("at {}", lines::clock(at, &app.zone)),
            UnsentState::Waiting => "waits".to_owned(),
            UnsentState::OnItsWay => "on its way".to_owned(),
            UnsentState::Failed => "cannot be sent".to_owned(),
        };
        let row = PanelRow::words(
            format!("{state}  {room}  {}{excerpt}", unsent.kind),
            ratatui::style::Style::new(),
        );
        rows.push(match unsent.state {
            UnsentState::OnItsWay => row,
            _ => row.or(Does::Run(Command::DropUnsent(Box::new(unsent.clone())))),
        });
    }
    rows.extend(sentences("x gives up sending what waits.", width, theme.quiet()));
    rows
}
