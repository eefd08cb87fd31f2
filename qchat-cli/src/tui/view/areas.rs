//! Where things are on the screen; shared by what draws and by what scrolls and clicks.

use ratatui::layout::{Constraint, Layout, Rect};

use super::super::{
    app::{App, Overlay},
    text,
};

/// Below this width the rooms are hidden.
const WIDE: u16 = 60;

/// Columns of the list of rooms, its border included.
const SIDE: u16 = 24;

/// Most rows of the composer.
const COMPOSER: u16 = 8;

/// Below this height there are no hints.
const HIGH: u16 = 14;

/// The parts of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Areas {
    pub(in super::super) side: Option<Rect>,
    pub(in super::super) timeline: Rect,
    pub(super) report: Rect,
    /// What can be completed, and who will be able to read it.
    pub(super) notes: Rect,
    pub(super) rule: Rect,
    pub(in super::super) composer: Rect,
    pub(super) status: Rect,
    pub(super) hints: Rect,
}

impl Areas {
    /// The parts of the screen of the size that was last reported.
    pub(in super::super) fn of(app: &App) -> Self {
        Self::within(app, Rect::from(((0, 0).into(), app.size)))
    }

    /// The parts of `whole`.
    pub(super) fn within(app: &App, whole: Rect) -> Self {
        let hints = u16::from(whole.height >= HIGH);
        let [rest, status, hints] = whole.layout(&Layout::vertical([
            Constraint::Min(0),
            Constraint::Length(1),
            Constraint::Length(hints),
        ]));
        let (side, main) = if whole.width < WIDE {
            (None, rest)
        } else {
            let [side, main] =
                rest.layout(&Layout::horizontal([Constraint::Length(SIDE), Constraint::Min(0)]));
            (Some(side), main)
        };
        let composer = match &app.overlay {
            Overlay::None if app.filter.is_some() && side.is_none() => 1,
            Overlay::None if app.can_write() => {
                let columns = usize::from(main.width.saturating_sub(2)).max(1);
                let wanted = u16::try_from(app.composer.height(columns)).unwrap_or(u16::MAX);
                wanted.clamp(1, COMPOSER.min(whole.height / 3).max(1))
            }
            Overlay::None => {
                let status = app.current().map(|room| room.status);
                u16::try_from(super::lower::no_composer(app, status, main.width).len()).unwrap_or(1).min(3)
            }
            _ => 1,
        };
        let columns = usize::from(main.width).max(1);
        let report = super::lower::report(app).map_or(0, |(words, _)| {
            u16::try_from(text::wrap(&words, columns, columns).len()).unwrap_or(u16::MAX).min(4)
        });
        let notes = u16::try_from(super::lower::notes(app, columns, whole.height).len()).unwrap_or(0);
        let [timeline, report, notes, rule, composer] = main.layout(&Layout::vertical([
            Constraint::Min(1),
            Constraint::Length(report),
            Constraint::Length(notes),
            Constraint::Length(1),
            Constraint::Length(composer),
        ]));
        Self { side, timeline, report, notes, rule, composer, status, hints }
    }
}
