//! Files on their way, and what is not sent yet.

use super::{super::app::App, Does, PanelRow, bar, heading, sentences};
use crate::{
    engine::UnsentState,
    tui::{lines, msg::Command, transfers::TransferState},
};

pub(super) fn rows(app: &App, width: usize) -> Vec<PanelRow> {
    let App { theme, words, .. } = *app;
    let mut rows = Vec::new();
    heading(&mut rows, words.files_heading(), app);
    let mut none = true;
    for transfer in app.transfers.all() {
        none = false;
        let what = if matches!(transfer.command, Command::SendFile { .. }) { "↑" } else { "↓" };
        let name = &transfer.name;
        let row = match &transfer.state {
            TransferState::Running => {
                #[expect(clippy::cast_precision_loss, reason = "a share of a size")]
                let share = if transfer.of == 0 { 0.0 } else { transfer.done as f64 / transfer.of as f64 };
                let far = words.file_far(words.size(transfer.done), words.size(transfer.of));
                PanelRow::words(
                    format!("{what} {name}  {} {far}", bar(share, (width / 4).clamp(4, 20))),
                    theme.unread(),
                )
            }
            TransferState::Done(Some(path)) => {
                let at = words.file_at(path.display().to_string());
                PanelRow::words(format!("{what} {name}  {at}"), theme.good())
            }
            TransferState::Done(None) => {
                PanelRow::words(format!("{what} {name}  {}", words.file_sent()), theme.good())
            }
            TransferState::Failed(why) => {
                PanelRow::words(format!("{what} {name}  {}", words.file_failed(why)), theme.failure())
                    .doing(Does::Run(transfer.command.clone()))
            }
        };
        rows.push(row);
    }
    if none {
        rows.extend(sentences(words.files_none(), app, width, theme.quiet()));
    }
    heading(&mut rows, words.unsent_heading(), app);
    if app.unsent.is_empty() {
        rows.extend(sentences(words.unsent_none(), app, width, theme.quiet()));
    }
    for unsent in &app.unsent {
        let room = app.summary(unsent.room).map_or_else(|| words.unsent_room(), |room| room.name.clone());
        let excerpt = unsent.excerpt.as_deref().map_or_else(String::new, |excerpt| format!(": {excerpt}"));
        let state = match unsent.state {
            UnsentState::Scheduled(at) => words.unsent_at(lines::clock(at, &app.zone)),
            UnsentState::Waiting => words.unsent_waits(),
            UnsentState::OnItsWay => words.unsent_on_its_way(),
            UnsentState::Failed => words.unsent_failed(),
        };
        let row = PanelRow::words(
            format!("{state}  {room}  {}{excerpt}", words.unsent_kind(unsent.kind)),
            ratatui::style::Style::new(),
        );
        rows.push(match unsent.state {
            UnsentState::OnItsWay => row,
            _ => row.or(Does::Run(Command::DropUnsent(Box::new(unsent.clone())))),
        });
    }
    rows.extend(sentences(words.unsent_hint(), app, width, theme.quiet()));
    rows
}
