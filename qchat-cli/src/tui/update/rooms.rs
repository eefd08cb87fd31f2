//! Moving between rooms and within a timeline.

use qchat_proto::ids::RoomId;

use super::{
    super::{
        app::{App, Focus, OpenRoom, Writing},
        composer::Composer,
        lines::Pane,
        msg::Command,
        preview::Form,
        timeline::Timeline,
        view::areas::Areas,
    },
    PAGE, message, people, writing,
};
use crate::engine::types::RoomStatus;

/// Most lines that are read at once to reach the first unread one.
const MOST_UNREAD: u64 = 2_000;

/// Where to go from the open room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Next,
    Previous,
    NextUnread,
}

/// Opens a room: its draft comes up, its timeline is read.
pub(super) fn open(app: &mut App, room: RoomId) -> Vec<Command> {
    if app.open.as_ref().is_some_and(|open| open.id == room) {
        return Vec::new();
    }
    let mut commands = Vec::new();
    if app.open.is_some() {
        commands.extend(writing::keep_draft(app));
        let draft = app.draft();
        if let Some(open) = &app.open {
            if draft.is_empty() {
                app.drafts.remove(&open.id);
            } else {
                app.drafts.insert(open.id, draft);
            }
            if app.writing != Writing::New {
                let writing = std::mem::take(&mut app.writing);
                app.put_off.insert(open.id, (writing, app.composer.text()));
            }
            // Whoever goes elsewhere has seen what was new.
            if open.line.is_some_and(|line| line.is_some()) && open.timeline.follows() {
                commands.push(Command::KeepLine { room: open.id, row: None });
            }
        }
    }
    let draft = app.drafts.get(&room).cloned().unwrap_or_default();
    app.composer = Composer::new(&draft);
    app.kept_draft = Some((room, draft));
    (app.writing, app.completion, app.focus) = (Writing::New, None, Focus::Composer);
    if let Some((writing, text)) = app.put_off.remove(&room) {
        app.composer = Composer::new(&text);
        app.writing = writing;
    }
    let unread = app.summary(room).map_or((0, None), |summary| (summary.unread, summary.read));
    app.open = Some(OpenRoom::new(room, unread));
    if app.summary(room).is_none_or(|room| room.status != RoomStatus::Invited) {
        commands.push(Command::LoadLine(room));
    }
    commands.extend(read_open(app));
    commands.extend(people::read_writers(app, room));
    commands
}

/// Reads the open room again.
pub(super) fn read_open(app: &mut App) -> Vec<Command> {
    let invited = app.current().is_some_and(|room| room.status == RoomStatus::Invited);
    // Nothing of a room is opened before its invitation has been accepted.
    let Some(open) = app.open.as_mut().filter(|_| !invited) else { return Vec::new() };
    let mut commands = Vec::new();
    if open.loading_details.ask() {
        commands.push(Command::LoadRoom(open.id));
    }
    if open.loading_newest.ask() {
        commands.push(load_newest(open));
    }
    commands
}

/// Reads which devices are in the open room's group, where the user wants to see them.
pub(super) fn read_roster(app: &App) -> Option<Command> {
    let open = app.open.as_ref().filter(|_| app.preview == Form::Named && app.can_write())?;
    Some(Command::LoadRoster(open.id))
}

/// Most lines that are read anew because one of them has changed.
pub(super) const MOST_REREAD: usize = 1000;

/// The command that reads the newest lines: as many as it takes to reach the unread line, and some.
pub(super) fn load_newest(open: &mut OpenRoom) -> Command {
    let unread = open.unread_at_opening.map_or(0, |(unread, _)| unread).min(MOST_UNREAD);
    let mut limit = usize::try_from(unread).unwrap_or(0).saturating_add(PAGE / 4).max(PAGE);
    if std::mem::take(&mut open.reread) {
        // Which of them have changed is not said.
        limit = limit.max(open.timeline.len().min(MOST_REREAD));
    }
    Command::LoadNewest { room: open.id, limit }
}

/// Goes to another room.
pub(super) fn step(app: &mut App, step: Step) -> Vec<Command> {
    let rooms = app.rooms();
    let count = rooms.len();
    let Some(at) = app.open.as_ref().and_then(|open| rooms.iter().position(|room| room.id == open.id)) else {
        return rooms.first().map(|room| room.id).map_or_else(Vec::new, |room| open(app, room));
    };
    let loud = |other: usize| rooms[other].marks.is_loud();
    let others = || (1..count).map(|by| (at + by) % count);
    let target = match step {
        Step::Next => Some((at + 1) % count),
        Step::Previous => Some((at + count - 1) % count),
        // Where somebody was spoken to comes first.
        Step::NextUnread => others().find(|&other| rooms[other].mentions > 0 && loud(other)).or_else(|| {
            others().find(|&other| {
                rooms[other].unread > 0 && loud(other) || rooms[other].status == RoomStatus::Invited
            })
        }),
    };
    target.map(|target| rooms[target].id).map_or_else(Vec::new, |room| open(app, room))
}

/// How the timeline is drawn now.
pub(super) fn pane(app: &App) -> Pane<'_> {
    let area = Areas::of(app).timeline;
    Pane {
        width: area.width.into(),
        height: area.height.into(),
        theme: app.theme,
        words: app.words,
        zone: &app.zone,
        me: &app.me,
    }
}

/// Moves through the timeline of the open room; `by` says whether the oldest loaded line came near, and then more is
/// read.
pub(super) fn scroll(app: &mut App, by: impl FnOnce(&mut Timeline, Pane) -> bool) -> Vec<Command> {
    let area = Areas::of(app).timeline;
    let App { open: Some(open), theme, words, zone, me, .. } = app else { return Vec::new() };
    let (width, height) = (area.width.into(), area.height.into());
    let pane = Pane { width, height, theme: *theme, words: *words, zone, me };
    let near_oldest = by(&mut open.timeline, pane);
    let mut commands = Vec::new();
    if let Some(before) = open.timeline.oldest_row()
        && near_oldest
        && open.timeline.older_exist()
        && !open.loading_more
    {
        open.loading_more = true;
        commands.push(Command::LoadOlder { room: open.id, before });
    }
    if let Some(after) = open.timeline.newest_row()
        && open.timeline.wants_newer(pane)
        && !open.loading_more
    {
        open.loading_more = true;
        commands.push(Command::LoadNewer { room: open.id, after });
    }
    commands.extend(mark_read(app));
    commands
}

/// Goes to the newest line; where lines are missing on the way, they are passed over.
pub(super) fn to_newest(app: &mut App) -> Vec<Command> {
    let Some(open) = &mut app.open else { return Vec::new() };
    if open.timeline.newer_exist() {
        let line = open.timeline.unread_line();
        open.timeline = Timeline::new();
        if let Some(row) = line {
            open.timeline.restore_unread(row);
        }
        let mut commands = read_open(app);
        commands.retain(|command| matches!(command, Command::LoadNewest { .. }));
        return commands;
    }
    scroll(app, |timeline, _| {
        timeline.scroll_to_newest();
        false
    })
}

/// Chooses the message with this row, and reads what is around it when that is not loaded.
pub(super) fn go_to(app: &mut App, row: i64) -> Vec<Command> {
    let Some(room) = app.open.as_ref().map(|open| open.id) else { return Vec::new() };
    app.focus = Focus::Timeline;
    let mut found = false;
    let mut commands = scroll(app, |timeline, pane| {
        found = timeline.select(row, pane);
        false
    });
    if let (false, Some(open)) = (found, &mut app.open) {
        open.going_to = Some(row);
        commands.push(Command::LoadAround { room, row });
    }
    commands
}

/// Goes nowhere any more: whoever does something else meanwhile is not taken away from it by an answer that comes late.
pub(super) fn stay(app: &mut App) {
    let Some(open) = &mut app.open else { return };
    open.looking_for = None;
    if open.going_to.take().is_some() && open.timeline.selected().is_none() {
        message::back_to_text(app);
    }
}

/// Tells the engine that the open room has been read, when its newest line is in view of somebody: once for each
/// newest line, so that a mark which changes nothing cannot go round in circles.
pub(super) fn mark_read(app: &mut App) -> Option<Command> {
    let unread = app.current().is_some_and(|room| room.unread > 0);
    let focused = app.focused && !app.is_covered();
    let open = app.open.as_mut()?;
    let newest = open.timeline.newest_row()?;
    if !focused || !open.timeline.follows() || open.read_to == Some((newest, true)) {
        return None;
    }
    let news = open.read_to.is_some_and(|(row, _)| open.timeline.count_after(row) > 0);
    let wanted = unread || news;
    // The list of rooms may not know yet of what the lines show already; then it is told when it does.
    open.read_to = Some((newest, wanted));
    wanted.then_some(Command::MarkRead(open.id))
}

/// Keeps where the unread line stands, when that is not where it is kept.
pub(super) fn keep_line(app: &mut App) -> Option<Command> {
    let open = app.open.as_mut()?;
    let row = open.timeline.unread_line();
    // Before both are known, there is nothing to compare.
    let kept = open.line.as_mut().filter(|kept| open.unread_at_opening.is_none() && **kept != row)?;
    *kept = row;
    Some(Command::KeepLine { room: open.id, row })
}
