//! How the first run looks: what a step is about, what is typed, and which keys there are.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{bidi::Direction, text, theme::Theme, view::lower, words::Words},
    state::{Step, Way, Welcome},
};

/// Below so many rows only the most needed is shown.
const SMALL: u16 = 12;
/// Words of a new account on a line.
const IN_A_LINE: usize = 6;

/// Draws the step that one is at.
pub(super) fn view(welcome: &Welcome, theme: Theme, frame: &mut Frame) {
    let whole = frame.area();
    let area = Rect { x: whole.x + 1, width: whole.width.saturating_sub(2), ..whole };
    let width = usize::from(area.width).max(1);
    let below = below(welcome, theme, width);
    let rows = |lines: &[Line<'_>]| u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let small = area.height < SMALL;
    let typed = !matches!(welcome.step, Step::Way | Step::Working(_) | Step::Asked | Step::Shown);
    let [head, body, field, foot, hints] = area.layout(&Layout::vertical([
        Constraint::Length(if small { 1 } else { 2 }),
        Constraint::Fill(1),
        Constraint::Length(typed.into()),
        Constraint::Max(rows(&below)),
        Constraint::Length(1),
    ]));
    let words = welcome.says;
    frame.render_widget(words.line(Line::styled(title(welcome), theme.heading())), head);
    // What is typed is never pushed out of sight by what is explained; of that, the end matters most.
    let lines = about(welcome, theme, width, small);
    let end = lines.len().saturating_sub(usize::from(body.height));
    let scrolled = if welcome.step == Step::Shown { welcome.scrolled.min(end) } else { end };
    frame.render_widget(Paragraph::new(lines.into_iter().skip(scrolled).collect::<Vec<_>>()), body);
    draw_field(welcome, frame, field);
    frame.render_widget(Paragraph::new(below), foot);
    frame.render_widget(words.line(Line::styled(keys(welcome), theme.quiet())), hints);
}

fn title(welcome: &Welcome) -> String {
    let asked = welcome.asked();
    match asked.iter().position(|step| *step == welcome.step) {
        Some(at) => welcome.says.welcome_step(at + 1, asked.len()),
        None => welcome.says.welcome_title(),
    }
}

/// What a step is about.
fn about(welcome: &Welcome, theme: Theme, width: usize, small: bool) -> Vec<Line<'static>> {
    let says = welcome.says;
    let said = match (welcome.step, welcome.way) {
        (Step::Way, _) => {
            let mut lines = Vec::new();
            if !small {
                lines.extend(wrapped(says, &says.welcome_way(), width, Style::new()));
                lines.push(Line::default());
            }
            for way in Way::ALL {
                let chosen = way == welcome.way;
                let pointer = if says.direction() == Direction::RightToLeft { "< " } else { "> " };
                let (mark, style) = if chosen { (pointer, theme.chosen()) } else { ("  ", Style::new()) };
                lines.push(says.line(Line::styled(format!("{mark}{}", choice(way, says)), style)));
                if chosen && !small {
                    let about = says.rows(&explained(way, says), width.saturating_sub(4), theme.quiet());
                    lines.extend(about.into_iter().map(|line| says.line(indented(line))));
                }
            }
            return lines;
        }
        (Step::Server, _) => says.welcome_server(),
        (Step::Name, Way::Register) => says.welcome_new_name(),
        (Step::Name, _) => says.welcome_name(),
        (Step::Words, _) => says.welcome_words(),
        (Step::Passphrase, Way::Link) => says.welcome_passphrase_there(),
        (Step::Passphrase, _) => says.welcome_passphrase(),
        (Step::Again, _) => says.welcome_again(),
        (Step::Working(_), _) => welcome.said.clone(),
        (Step::Asked, way) => {
            let asks = if way == Way::Link { says.welcome_same() } else { says.welcome_that_backup() };
            let mut lines = wrapped(says, &welcome.said, width, Style::new());
            lines.push(Line::default());
            lines.extend(wrapped(says, &asks, width, Style::new()));
            return lines;
        }
        (Step::Shown, _) => return words(welcome, theme, width),
        (Step::Proof(number), _) => {
            let places = welcome.new_words.as_ref().map(|(_, places)| places);
            let place = places.and_then(|places| places.get(number)).map_or(0, |at| at + 1);
            says.welcome_proof(place)
        }
    };
    wrapped(says, &said, width, Style::new())
}

fn words(welcome: &Welcome, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = wrapped(welcome.says, &welcome.says.welcome_new_words(), width, Style::new());
    lines.push(Line::default());
    let Some((words, _)) = &welcome.new_words else { return lines };
    let words: Vec<&str> = words.split_whitespace().collect();
    // A number and the longest word, which has eight letters.
    let in_a_line = (width / 12).clamp(1, IN_A_LINE);
    for (line, some) in words.chunks(in_a_line).enumerate() {
        let numbered = (line * in_a_line + 1..).zip(some);
        let spans = numbered.flat_map(|(number, word)| {
            [
                Span::styled(format!("{number:>2} "), theme.quiet()),
                Span::styled(format!("{word:<9}"), theme.heading()),
            ]
        });
        lines.push(Line::from(spans.collect::<Vec<_>>()));
    }
    lines
}

fn choice(way: Way, says: Words) -> String {
    match way {
        Way::Register => says.way_register(),
        Way::Link => says.way_link(),
        Way::Restore => says.way_restore(),
    }
}

fn explained(way: Way, says: Words) -> String {
    match way {
        Way::Register => says.way_register_about(),
        Way::Link => says.way_link_about(),
        Way::Restore => says.way_restore_about(),
    }
}

fn draw_field(welcome: &Welcome, frame: &mut Frame, area: Rect) {
    if area.is_empty() {
        return;
    }
    let hidden = match welcome.step {
        Step::Words => Some(&welcome.words),
        Step::Passphrase => Some(&welcome.passphrase),
        Step::Again => Some(&welcome.again),
        _ => None,
    };
    let field = match welcome.step {
        Step::Server => Some(&welcome.server),
        Step::Name => Some(&welcome.name),
        Step::Proof(_) => Some(&welcome.proof),
        _ => None,
    };
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area };
    if hidden.is_some() || field.is_some() {
        frame.render_widget(Line::raw(">"), area);
    }
    if let Some(hidden) = hidden {
        let shown = if welcome.step == Step::Words {
            let count = hidden.text().split_whitespace().count();
            welcome.says.visual(&welcome.says.welcome_count(count))
        } else {
            "•".repeat(hidden.length().min(usize::from(inner.width.saturating_sub(1))))
        };
        let end = u16::try_from(text::width(&shown)).unwrap_or(u16::MAX);
        frame.render_widget(Line::raw(shown), inner);
        frame.set_cursor_position(Position::new(
            inner.x.saturating_add(end).min(area.right().saturating_sub(1)),
            area.y,
        ));
    }
    if let Some(field) = field {
        lower::field(field, frame, area);
    }
}

/// What stands under the field: what is wrong, else how strong the passphrase is.
fn below(welcome: &Welcome, theme: Theme, width: usize) -> Vec<Line<'static>> {
    if let Some(why) = &welcome.trouble {
        return wrapped(welcome.says, &text::clean_line(why), width, theme.failure());
    }
    let says = welcome.says;
    match welcome.strength() {
        Some(Ok(strength)) => {
            let line = format!("{} {}", strength.bar(), says.strength(strength.name()));
            vec![says.line(Line::styled(line, theme.good()))]
        }
        Some(Err(weak)) => wrapped(says, &welcome.weak(&weak), width, theme.warning()),
        None => Vec::new(),
    }
}

fn keys(welcome: &Welcome) -> String {
    match welcome.step {
        Step::Way => welcome.says.welcome_keys_way(),
        Step::Working(true) => welcome.says.welcome_keys_giving_up(),
        Step::Working(false) => welcome.says.welcome_keys_none(),
        Step::Asked => welcome.says.welcome_keys_asked(),
        Step::Shown => welcome.says.welcome_keys_shown(),
        _ => welcome.says.welcome_keys(),
    }
}

fn wrapped(says: Words, said: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    said.lines().flat_map(|line| says.paragraph(line, width, style)).collect()
}

fn indented(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw("    "));
    line
}
