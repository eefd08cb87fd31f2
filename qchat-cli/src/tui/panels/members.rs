//! Who is in the room, how far they are trusted, and what is compared with them.

use qchat_proto::content::Role;
use ratatui::text::{Line, Span};

use super::{
    super::app::{App, Question},
    Does, Panel, PanelRow, heading,
    keys::fingerprint,
    report::{Change, Safety},
    sentences,
};
use crate::{
    engine::{
        ChangeKind,
        types::{Member, Standing},
    },
    qr,
    tui::{msg::Command, text, view::people},
};

pub(super) fn rows(panel: &Panel, app: &App, width: usize) -> Vec<PanelRow> {
    if let Some(safety) = &panel.safety {
        return comparison(safety, app, width);
    }
    if let Some(shown) = &panel.change {
        return change(shown, app, width);
    }
    let Some((open, details)) = app.open.as_ref().and_then(|open| Some((open, open.details.as_ref()?)))
    else {
        return sentences(app.words.no_room_open(), app, width, app.theme.quiet());
    };
    let admin = details.members.iter().any(|member| member.name == app.me && member.role <= Role::Admin);
    let mut rows = Vec::new();
    let words = app.words;
    heading(&mut rows, words.members_heading(&details.summary.name, details.members.len()), app);
    if !details.topic.is_empty() {
        rows.extend(sentences(&details.topic, app, width, app.theme.quiet()));
    }
    for member in &details.members {
        let me = member.name == app.me;
        let mut row = entry(member, me, app);
        if let (false, Ok(name)) = (me, member.name.parse()) {
            row = row.doing(if member.changed {
                Does::Run(Command::LookAtChange(name))
            } else {
                Does::Run(Command::Compare(name))
            });
            if let (true, Ok(name)) = (admin, member.name.parse()) {
                row = row.or(Does::Ask(Question::Remove(open.id, name, member.account)));
            }
        }
        rows.push(row);
        let devices = panel.roster.iter().filter(|device| device.account == member.account);
        rows.extend(devices.map(|device| {
            let device = words.member_device(device.device.to_string());
            PanelRow::words(format!("    {device}"), app.theme.quiet())
        }));
    }
    rows.push(PanelRow::blank());
    let mut hint = words.members_hint();
    if admin {
        hint.extend([" ", &words.members_hint_remove()]);
    }
    rows.extend(sentences(hint, app, width, app.theme.quiet()));
    rows
}

fn entry(member: &Member, me: bool, app: &App) -> PanelRow {
    let App { theme, words, .. } = *app;
    let (trust, style) = match member {
        _ if me => (words.trust_you(), theme.quiet()),
        Member { changed: true, .. } => (words.trust_changed(), theme.warning()),
        Member { verified: true, .. } => (words.trust_verified(), theme.good()),
        _ => (words.trust_none(), theme.quiet()),
    };
    let role = match member.role {
        Role::Owner => Some(words.role_owner()),
        Role::Admin => Some(words.role_admin()),
        Role::Reader => Some(words.role_reader()),
        Role::Member => None,
    };
    let there = app.present.get(&member.account).and_then(|presence| people::words(app, presence));
    let invited = member.invited.then(|| words.member_invited());
    let facts = [role, Some(words.member_devices(member.devices)), invited, there];
    let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    // Last, and in quotes: nobody passes for another by it, nor pushes what this device knows of them off the screen.
    let shown = member.display_name.as_deref().map(text::clean_line);
    let shown = shown.map_or_else(String::new, |shown| format!("  “{shown}”"));
    let line = Line::from(vec![
        Span::styled(
            format!("{} ", text::fill(&text::clean_line(&member.name), 16)),
            theme.person(member.account),
        ),
        Span::styled(trust, style),
        Span::raw(format!("  {facts}{shown}")),
    ]);
    PanelRow { line, ..PanelRow::default() }
}

/// What is accepted with a changed identity: both keys, and what stands behind the new one.
fn change(shown: &Change, app: &App, width: usize) -> Vec<PanelRow> {
    let App { theme, words, .. } = *app;
    let name = shown.name.as_str();
    let mut rows = Vec::new();
    heading(&mut rows, words.change_heading(name), app);
    let (said, style) = match shown.kind {
        ChangeKind::ByRecoveryKey => (words.change_recovered(name), theme.quiet()),
        ChangeKind::Unvouched => (words.change_unvouched(name), theme.warning()),
        ChangeKind::TakenBack => (words.change_taken_back(), theme.quiet()),
    };
    rows.extend(sentences(said, app, width, style));
    for (what, key) in [(words.key_known(), &shown.old), (words.key_shown(), &shown.new)] {
        rows.push(PanelRow::blank());
        rows.push(PanelRow::words(what, theme.quiet()));
        rows.extend(fingerprint(key, width).map(|line| PanelRow::words(line, theme.heading())));
    }
    rows.push(PanelRow::blank());
    rows.push(
        PanelRow::words(words.key_accept(), theme.warning())
            .doing(Does::Ask(Question::AcceptIdentity(shown.name.clone(), shown.new.clone()))),
    );
    rows
}

fn comparison(safety: &Safety, app: &App, width: usize) -> Vec<PanelRow> {
    let App { theme, words, .. } = *app;
    let mut rows = Vec::new();
    heading(&mut rows, words.compare_heading(safety.name.as_str()), app);
    let said = match safety.standing {
        Standing::Verified => words.compare_done(),
        _ => words.compare_how(),
    };
    rows.extend(sentences(said, app, width, theme.quiet()));
    if !safety.fresh {
        rows.extend(sentences(words.compare_stale(), app, width, theme.warning()));
    }
    rows.push(PanelRow::blank());
    for groups in safety.groups.chunks((width / 7).clamp(1, 6)) {
        rows.push(PanelRow::words(groups.join("  "), theme.heading()));
    }
    rows.push(PanelRow::blank());
    let pictures: Vec<_> = safety.emoji.iter().map(|(picture, name)| format!("{picture} {name}")).collect();
    rows.extend(sentences(pictures.join("   "), app, width, theme.heading()));
    rows.push(PanelRow::blank());
    let name = &safety.name;
    rows.push(if safety.standing == Standing::Verified {
        PanelRow::words(words.compare_take_back(), theme.warning())
            .doing(Does::Ask(Question::Unverify(name.clone())))
    } else {
        PanelRow::words(words.compare_same(), theme.good())
            .doing(Does::Ask(Question::Same(name.clone(), safety.number.clone())))
    });
    rows.push(PanelRow::blank());
    rows.push(PanelRow::words(words.fingerprint(&safety.fingerprint), theme.quiet()));
    rows.extend(sentences(&safety.code, app, width, theme.quiet()));
    let picture = qr::draw(&safety.code, false)
        .filter(|picture| picture.lines().next().is_some_and(|line| line.chars().count() <= width));
    rows.extend(
        picture
            .iter()
            .flat_map(|picture| picture.lines())
            .map(|line| PanelRow { line: Line::raw(line.to_owned()), ..PanelRow::default() }),
    );
    rows
}
