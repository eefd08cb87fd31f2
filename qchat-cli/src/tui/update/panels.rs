//! Panels: opening one, choosing in it, and what its rows do.

use super::super::{
    app::{App, Overlay},
    keymap::Keymap,
    msg::{Answer, Command},
    panels::{Does, Kind, Panel, PanelRow},
    prefs::Change,
    theme::Theme,
    view::list,
};

/// Opens a panel, or closes it.
pub(super) fn open(app: &mut App, kind: Kind) -> Vec<Command> {
    if matches!(&app.overlay, Overlay::Panel(panel) if panel.kind == kind) {
        app.overlay = Overlay::None;
        return Vec::new();
    }
    let panel = Panel::new(kind);
    let needs = panel.needs(app);
    app.overlay = Overlay::Panel(Box::new(panel));
    settle(app);
    needs
}

/// Goes back to the panel that a question came from, and reads again what it shows.
pub(super) fn go_back(app: &mut App) -> Vec<Command> {
    let Some(panel) = app.under.take() else { return Vec::new() };
    let needs = panel.needs(app);
    app.overlay = Overlay::Panel(panel);
    needs
}

/// The rows of the open panel.
fn rows(app: &App) -> Vec<PanelRow> {
    match &app.overlay {
        Overlay::Panel(panel) => panel.rows(app, list::width(app)),
        _ => Vec::new(),
    }
}

pub(super) fn step(app: &mut App, by: isize) {
    let rows = rows(app);
    if let Overlay::Panel(panel) = &mut app.overlay {
        if by.unsigned_abs() > 1 {
            panel.at = panel.at.saturating_add_signed(by).min(rows.len().saturating_sub(1));
        } else {
            panel.step(by, &rows);
        }
    }
}

/// Keeps a row chosen that does something.
fn settle(app: &mut App) {
    let rows = rows(app);
    if let Overlay::Panel(panel) = &mut app.overlay {
        panel.settle(&rows);
    }
}

/// Does what the chosen row does, or the other thing.
pub(super) fn choose(app: &mut App, other: bool) -> Vec<Command> {
    let Overlay::Panel(panel) = &app.overlay else { return Vec::new() };
    let at = panel.at;
    let row = rows(app).into_iter().nth(at);
    let does = row.and_then(|row| if other { row.other } else { row.does });
    match does {
        None => Vec::new(),
        Some(Does::Run(command)) => {
            if let Overlay::Panel(panel) = &mut app.overlay {
                panel.trouble = None;
            }
            super::begin(app, command)
        }
        Some(Does::Ask(question)) => {
            if let Overlay::Panel(panel) = std::mem::replace(&mut app.overlay, Overlay::Question(question)) {
                app.under = Some(panel);
            }
            Vec::new()
        }
        Some(Does::Set(change)) => set(app, change),
    }
}

/// Changes a setting at once, and has it written down.
fn set(app: &mut App, change: Change) -> Vec<Command> {
    app.prefs.take(change);
    match change {
        Change::Look(look) => app.theme = Theme::of(look, &app.ambience),
        Change::Keymap(preset) => app.keymap = Keymap::preset(preset),
        Change::Language(_) => app.speak(),
        // It may be there by now.
        Change::Notifier(_) => app.no_desktop = None,
        Change::Graphics(_) | Change::Notifications(_) | Change::Bell(_) | Change::Receipts(_) => {}
    }
    if let (Change::Look(_) | Change::Language(_), Some(open)) = (change, &mut app.open) {
        open.timeline.forget_looks();
    }
    vec![Command::SaveSetting(change, app.prefs.keymap)]
}

/// Takes in what a panel has asked for. Whatever was asked for by one that is closed is passed over.
pub(super) fn answered(app: &mut App, answer: Answer) {
    if let Overlay::Panel(panel) = &mut app.overlay {
        match answer {
            Answer::Roster(roster) => panel.roster = roster,
            Answer::Safety(safety) => (panel.safety, panel.at) = (Some(*safety), 0),
            Answer::Change(Some(change)) => (panel.change, panel.at) = (Some(*change), 0),
            Answer::Change(None) => {
                panel.trouble = Some(app.words.no_other_identity());
            }
            Answer::Devices(devices) => panel.devices = Some(devices),
            Answer::Keys(keys) => panel.keys = Some(*keys),
            Answer::Log(log) => panel.log = Some(log),
            Answer::Quantum(overview) => panel.quantum = Some(*overview),
            Answer::Latency(latency) => panel.latency = Some(latency),
            _ => {}
        }
    }
}

/// What the chosen row of the open panel does, to be found again when the rows have changed.
pub(super) fn choice(app: &App) -> Option<PanelRow> {
    let Overlay::Panel(panel) = &app.overlay else { return None };
    rows(app).into_iter().nth(panel.at)
}

/// Chooses the row that does the same as before; else one that does something.
pub(super) fn restore(app: &mut App, choice: Option<&PanelRow>) {
    let rows = rows(app);
    if let Overlay::Panel(panel) = &mut app.overlay {
        let same = |row: &PanelRow| {
            choice
                .as_ref()
                .is_some_and(|known| row.acts() && (&row.does, &row.other) == (&known.does, &known.other))
        };
        if let Some(at) = rows.iter().position(same) {
            panel.at = at;
        }
        panel.settle(&rows);
    }
}

/// Reads again what the open panel shows.
pub(super) fn refresh(app: &mut App, kind: Kind) -> Vec<Command> {
    match &app.overlay {
        Overlay::Panel(panel) if panel.kind == kind => panel.needs(app),
        _ => Vec::new(),
    }
}

/// Something that the open panel has asked for has failed.
pub(super) fn failed(app: &mut App, why: &str) -> bool {
    let Overlay::Panel(panel) = &mut app.overlay else { return false };
    panel.trouble = Some(why.to_owned());
    true
}
