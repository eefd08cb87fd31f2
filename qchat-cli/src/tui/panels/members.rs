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
        return sentences("No room is open, or it is still being read.", width, app.theme.quiet());
    };
    let admin = details.members.iter().any(|member| member.name == app.me && member.role <= Role::Admin);
    let mut rows = Vec::new();
    heading(&mut rows, &format!("{}: {} members", details.summary.name, details.members.len()), app);
    if !details.topic.is_empty() {
        rows.extend(sentences(&details.topic, width, app.theme.quiet()));
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
        rows.extend(
            devices.map(|device| PanelRow::words(format!("    device {}", device.device), app.theme.quiet())),
        );
    }
    rows.push(PanelRow::blank());
    let remove = if admin { " x removes them." } else { "" };
    let words =
        format!("Enter compares the safety number with somebody, or accepts a changed identity.{remove}");
    rows.extend(sentences(&words, width, app.theme.quiet()));
    rows
}

fn entry(member: &Member, me: bool, app: &App) -> PanelRow {
    let theme = app.theme;
    let (trust, style) = match member {
        _ if me => ("you", theme.quiet()),
        Member { changed: true, .. } => {
            ("! identity changed: nothing is sent until you accept it", theme.warning())
        }
        Member { verified: true, .. } => ("✓ verified", theme.good()),
        _ => ("not verified", theme.quiet()),
    };
    let role = match member.role {
        Role::Owner => "owner, ",
        Role::Admin => "admin, ",
        Role::Reader => "reads only, ",
        Role::Member => "",
    };
    let s = if member.devices == 1 { "" } else { "s" };
    let invited = if member.invited { ", invited" } else { "" };
    let there = app.present.get(&member.account).and_then(|presence| people::words(app, presence));
    let there = there.map_or_else(String::new, |there| format!(", {there}"));
    // Last, and in quotes: nobody passes for another by it, nor pushes what this device knows of them off the screen.
    let shown = member.display_name.as_deref().map(text::clean_line);
    let shown = shown.map_or_else(String::new, |shown| format!("  “{shown}”"));
    let line = Line::from(vec![
        Span::styled(format!("{:<16} ", text::clean_line(&member.name)), theme.person(member.account)),
        Span::styled(trust, style),
        Span::raw(format!("  {role}{} device{s}{invited}{there}{shown}", member.devices)),
    ]);
    PanelRow { line, ..PanelRow::default() }
}

/// What is accepted with a changed identity: both keys, and what stands behind the new one.
fn change(shown: &Change, app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let name = &shown.name;
    let mut rows = Vec::new();
    heading(&mut rows, &format!("{name} has another identity"), app);
    let (words, style) = match shown.kind {
        ChangeKind::ByRecoveryKey => (
            format!(
                "The recovery key that this device knows {name} by has signed it: {name} has recovered the account, or whoever has the recovery words."
            ),
            theme.quiet(),
        ),
        ChangeKind::Unvouched => (
            format!(
                "Nothing that this device knows of {name} stands behind it: it may be anybody's, the server's above all. Ask {name} over another channel."
            ),
            theme.warning(),
        ),
        ChangeKind::TakenBack => {
            ("The server shows the key again that this device has always known.".to_owned(), theme.quiet())
        }
    };
    rows.extend(sentences(&words, width, style));
    for (what, key) in
        [("The key that is known here", &shown.old), ("The key that the server shows", &shown.new)]
    {
        rows.push(PanelRow::blank());
        rows.push(PanelRow::words(what, theme.quiet()));
        rows.extend(fingerprint(key, width).map(|line| PanelRow::words(line, theme.heading())));
    }
    rows.push(PanelRow::blank());
    rows.push(
        PanelRow::words("Go on by the new key", theme.warning())
            .doing(Does::Ask(Question::AcceptIdentity(name.clone(), shown.new.clone()))),
    );
    rows
}

fn comparison(safety: &Safety, app: &App, width: usize) -> Vec<PanelRow> {
    let theme = app.theme;
    let mut rows = Vec::new();
    heading(&mut rows, &format!("You and {}", safety.name), app);
    let words = match safety.standing {
        Standing::Verified => "You have compared this number before.",
        _ => {
            "Read it to one another over a channel where you know each other's voice or face. All digits have to be the same: \
              other pictures prove a swapped key, the same pictures alone prove little."
        }
    };
    rows.extend(sentences(words, width, theme.quiet()));
    if !safety.fresh {
        rows.extend(sentences(
            "The server could not be asked: this is what is stored here.",
            width,
            theme.warning(),
        ));
    }
    rows.push(PanelRow::blank());
    for groups in safety.groups.chunks((width / 7).clamp(1, 6)) {
        rows.push(PanelRow::words(groups.join("  "), theme.heading()));
    }
    rows.push(PanelRow::blank());
    let pictures: Vec<_> = safety.emoji.iter().map(|(picture, name)| format!("{picture} {name}")).collect();
    rows.extend(sentences(&pictures.join("   "), width, theme.heading()));
    rows.push(PanelRow::blank());
    let name = &safety.name;
    rows.push(if safety.standing == Standing::Verified {
        PanelRow::words("Take back that they are verified", theme.warning())
            .doing(Does::Ask(Question::Unverify(name.clone())))
    } else {
        PanelRow::words("Both see the same number", theme.good())
            .doing(Does::Ask(Question::Same(name.clone(), safety.number.clone())))
    });
    rows.push(PanelRow::blank());
    rows.push(PanelRow::words(format!("fingerprint {}", safety.fingerprint), theme.quiet()));
    rows.extend(sentences(&safety.code, width, theme.quiet()));
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
