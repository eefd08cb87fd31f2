//! How the first run looks: what a step is about, what is typed, and which keys there are.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{
    super::{text, theme::Theme, view::lower},
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
    frame.render_widget(Paragraph::new(Line::styled(title(welcome), theme.heading())), head);
    // What is typed is never pushed out of sight by what is explained; of that, the end matters most.
    let lines = about(welcome, theme, width, small);
    let end = lines.len().saturating_sub(usize::from(body.height));
    let scrolled = if welcome.step == Step::Shown { welcome.scrolled.min(end) } else { end };
    frame.render_widget(Paragraph::new(lines.into_iter().skip(scrolled).collect::<Vec<_>>()), body);
    draw_field(welcome, frame, field);
    frame.render_widget(Paragraph::new(below), foot);
    frame.render_widget(Paragraph::new(Line::styled(keys(welcome), theme.quiet())), hints);
}

fn title(welcome: &Welcome) -> String {
    let asked = welcome.asked();
    match asked.iter().position(|step| *step == welcome.step) {
        Some(at) => format!("Welcome to qchat · {} of {}", at + 1, asked.len()),
        None => "Welcome to qchat".to_owned(),
    }
}

/// What a step is about.
fn about(welcome: &Welcome, theme: Theme, width: usize, small: bool) -> Vec<Line<'static>> {
    let words = match (welcome.step, welcome.way) {
        (Step::Way, _) => {
            let mut lines = Vec::new();
            if !small {
                lines.extend(wrapped(
                    "There is no account on this machine yet. What would you like to do?",
                    width,
                ));
                lines.push(Line::default());
            }
            for way in Way::ALL {
                let chosen = way == welcome.way;
                let (mark, style) = if chosen { ("> ", theme.chosen()) } else { ("  ", Style::new()) };
                lines.push(Line::styled(format!("{mark}{}", choice(way)), style));
                if chosen && !small {
                    lines.extend(
                        wrapped(explained(way), width.saturating_sub(4))
                            .into_iter()
                            .map(|line| indented(line, theme.quiet())),
                    );
                }
            }
            return lines;
        }
        (Step::Server, _) => {
            "Which server? Its address begins with https:// (http:// only on this machine). It passes on what you write, \
             and can read none of it."
        }
        (Step::Name, Way::Register) => {
            "What is your name? Others find you by it: small letters, digits, dots and dashes. It cannot be changed."
        }
        (Step::Name, _) => "What is the name of your account?",
        (Step::Words, _) => {
            "The 24 recovery words of the account, in their order. They are not shown, and never leave this machine."
        }
        (Step::Passphrase, Way::Link) => "The passphrase of the account, as on your other device.",
        (Step::Passphrase, _) => {
            "A passphrase. It encrypts everything on this machine and opens your account; nobody can reset it. Four or five \
             words that have nothing to do with one another are good."
        }
        (Step::Again, _) => "The same once more.",
        (Step::Working(_), _) => &*welcome.said,
        (Step::Asked, Way::Link) => {
            let mut lines = wrapped(&welcome.said, width);
            lines.push(Line::default());
            lines.extend(wrapped("Does your other device show the same?", width));
            return lines;
        }
        (Step::Asked, _) => {
            let mut lines = wrapped(&welcome.said, width);
            lines.push(Line::default());
            lines.extend(wrapped("Is that the one to restore?", width));
            return lines;
        }
        (Step::Shown, _) => return words(welcome, theme, width),
        (Step::Proof(number), _) => {
            let place =
                welcome.new_words.as_ref().and_then(|(_, places)| places.get(number)).map_or(0, |at| at + 1);
            return wrapped(
                &format!("So that it is certain that they are on paper: what is word {place}?"),
                width,
            );
        }
    };
    wrapped(words, width)
}

fn words(welcome: &Welcome, theme: Theme, width: usize) -> Vec<Line<'static>> {
    let mut lines = wrapped(
        "Your account is there. These are its recovery words: write them down on paper, in this order. They are the only way \
         back if you lose this machine or forget the passphrase, and whoever has them has the account.",
        width,
    );
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

const fn choice(way: Way) -> &'static str {
    match way {
        Way::Register => "Create an account",
        Way::Link => "Link to my other device",
        Way::Restore => "Restore by recovery words",
    }
}

const fn explained(way: Way) -> &'static str {
    match way {
        Way::Register => "You need a server's address and a name.",
        Way::Link => {
            "You need a device of the account before you, switched on: both show the same picture, and you compare."
        }
        Way::Restore => {
            "You need the 24 words that were shown when the account was made, and a backup at the server."
        }
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
            format!("{count} word{}", if count == 1 { "" } else { "s" })
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
        let lines = wrapped(&text::clean_line(why), width);
        return lines.into_iter().map(|line| line.style(theme.failure())).collect();
    }
    match welcome.strength() {
        Some(Ok(strength)) => vec![Line::styled(strength.to_string(), theme.good())],
        Some(Err(weak)) => {
            let lines = wrapped(&weak.to_string(), width);
            lines.into_iter().map(|line| line.style(theme.warning())).collect()
        }
        None => Vec::new(),
    }
}

const fn keys(welcome: &Welcome) -> &'static str {
    match welcome.step {
        Step::Way => "↑ ↓ choose · Enter goes on · Esc leaves",
        Step::Working(true) => "Esc gives up · Ctrl+Q leaves",
        Step::Working(false) => "A moment…",
        Step::Asked => "y yes · n no · Esc back",
        Step::Shown => "↑ ↓ all of them · Enter: they are on paper",
        _ => "Enter goes on · Esc back · Ctrl+Q leaves",
    }
}

fn wrapped(words: &str, width: usize) -> Vec<Line<'static>> {
    words.lines().flat_map(|line| text::wrap(line, width, width)).map(Line::from).collect()
}

fn indented(line: Line<'static>, style: Style) -> Line<'static> {
    let mut spans = vec![Span::raw("    ")];
    spans.extend(line.spans);
    Line::from(spans).style(style)
}
