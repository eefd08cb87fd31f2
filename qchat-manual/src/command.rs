//! The pages of a program and its commands.

use clap::{Arg, Command};
use roff::{Inline, Roff, bold, italic, roman};

use super::{
    Manual, Page,
    prose::{self, Part},
    setting,
};

/// Adds the page of a command, and after it those of its own commands. `path` leads to it from the program.
pub(crate) fn add(manual: &Manual<'_>, command: &Command, path: &[&Command], pages: &mut Vec<Page>) {
    let mut whole = path.to_vec();
    whole.push(command);
    pages.push(page(manual, &whole));
    for inner in shown(command) {
        add(manual, inner, &whole, pages);
    }
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

/// The names on the way to a command.
fn name(path: &[&Command], between: &str) -> String {
    path.iter().map(|command| command.get_name()).collect::<Vec<_>>().join(between)
}

fn page(manual: &Manual<'_>, path: &[&Command]) -> Page {
    let Some((command, parents)) = path.split_last() else {
        return Page { file: String::new(), text: String::new() };
    };
    let title = name(path, "-");
    let section = manual.section;
    let mut page = prose::begin(&title, section, &manual.source());

    prose::heading(&mut page, "Name");
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    page.text([roman(format!("{title} - {}", about.trim_end_matches('.')))]);

    prose::heading(&mut page, "Synopsis");
    synopsis(&mut page, command, &name(path, " "));

    prose::heading(&mut page, "Description");
    let long = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    // A summary is a sentence here.
    let long = if long.ends_with('.') { long } else { format!("{long}.") };
    prose::paragraphs(&mut page, &long);

    // What clap adds by itself is named once, with the program.
    let mut built = (*command).clone();
    if parents.is_empty() {
        built.build();
    }
    let (headed, own): (Vec<&Arg>, Vec<&Arg>) =
        arguments(&built).partition(|arg| arg.get_help_heading().is_some());
    if !own.is_empty() || !parents.is_empty() {
        prose::heading(&mut page, "Options");
        for arg in &own {
            argument(&mut page, arg);
        }
    }
    if !parents.is_empty() {
        let program = manual.program.get_name();
        let lead = if own.is_empty() { "There are no others than those" } else { "And those" };
        if !own.is_empty() {
            page.control("PP", []);
        }
        page.text([
            roman(format!("{lead} of every command, which stand in ")),
            bold(program),
            roman(format!("({section}).")),
        ]);
    }
    if let Some(heading) = headed.first().and_then(|arg| arg.get_help_heading()) {
        prose::heading(&mut page, heading);
        for arg in &headed {
            argument(&mut page, arg);
        }
    }
    if shown(command).next().is_some() {
        prose::heading(&mut page, "Commands");
        for inner in shown(command) {
            let term = vec![bold(format!("{title}-{}", inner.get_name())), roman(format!("({section})"))];
            prose::entry(&mut page, term, &inner.get_about().map(ToString::to_string).unwrap_or_default());
        }
    }
    ending(&mut page, manual, command, parents);
    prose::see_also(&mut page, &neighbours(manual, path));
    Page { file: format!("{title}.{section}"), text: page.render() }
}

/// What the help says at its end, and what only the program's own page has.
fn ending(page: &mut Roff, manual: &Manual<'_>, command: &Command, parents: &[&Command]) {
    let end = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let parts = prose::parts(&end.unwrap_or_default());
    let titled = |wanted: &str| {
        parts.iter().find_map(|part| match part {
            Part::Titled { title, lines } if title.trim_end_matches('s') == wanted => Some(lines),
            _ => None,
        })
    };
    prose::heading(page, "Exit status");
    if let Some(codes) = titled("Exit code") {
        for line in codes {
            let (code, meaning) = line.trim().split_once(' ').unwrap_or((line, ""));
            prose::entry(page, vec![bold(code)], meaning.trim());
        }
    } else {
        page.text([
            roman("0 when it is done; the others stand in "),
            bold(manual.program.get_name()),
            roman(format!("({}).", manual.section)),
        ]);
    }
    if parents.is_empty() {
        prose::heading(page, "Environment");
        for key in setting::keys(manual) {
            let term = vec![bold(key.variable.as_str())];
            prose::entry(page, term, &format!("As `--{}`.", key.option));
        }
        prose::heading(page, "Files");
        for (file, use_) in manual.files {
            prose::entry(page, vec![italic(*file)], use_);
        }
    }
    let notes: Vec<_> = parts
        .iter()
        .filter_map(|part| if let Part::Paragraph(text) = part { Some(text.as_str()) } else { None })
        .collect();
    if !notes.is_empty() {
        prose::heading(page, "Notes");
        prose::paragraphs(page, &notes.join("\n\n"));
    }
    if let Some(lines) = titled("Example") {
        prose::heading(page, "Examples");
        prose::verbatim(page, &lines.join("\n"));
    }
}

/// The page above, those below, and that of the configuration file.
fn neighbours(manual: &Manual<'_>, path: &[&Command]) -> Vec<(String, u8)> {
    let mut names = vec![];
    if let Some((_, parents)) = path.split_last()
        && !parents.is_empty()
    {
        names.push((name(parents, "-"), manual.section));
        if parents.len() > 1 {
            names.push((manual.program.get_name().to_owned(), manual.section));
        }
    }
    if let Some(command) = path.last() {
        let own = name(path, "-");
        names.extend(shown(command).map(|inner| (format!("{own}-{}", inner.get_name()), manual.section)));
    }
    names.push((manual.configuration.name.to_owned(), 5));
    names
}

fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

/// What stands for an argument's value. Several may be given where the flag says so.
fn value(arg: &Arg) -> Option<(String, bool)> {
    let takes = arg.get_action().takes_values();
    let names = arg.get_value_names().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let several = matches!(arg.get_action(), clap::ArgAction::Append);
    takes.then(|| (names.unwrap_or_else(|| vec![arg.get_id().as_str().to_uppercase()]).join(" "), several))
}

fn synopsis(page: &mut Roff, command: &Command, name: &str) {
    let mut line = vec![bold(name), roman(" ["), italic("OPTION"), roman("]...")];
    for arg in arguments(command).filter(|arg| arg.get_help_heading().is_none()) {
        let Some((value, several)) = value(arg).filter(|_| arg.is_positional()) else { continue };
        let brackets = if arg.is_required_set() { [" ", ""] } else { [" [", "]"] };
        line.extend([roman(brackets[0]), italic(value), roman(brackets[1])]);
        if several {
            line.push(roman("..."));
        }
    }
    if shown(command).next().is_some() {
        let brackets = if command.is_subcommand_required_set() { [" ", ""] } else { [" [", "]"] };
        line.extend([roman(brackets[0]), italic("COMMAND"), roman(brackets[1])]);
    }
    page.text(line);
}

/// An option or operand with all that is known of it.
fn argument(page: &mut Roff, arg: &Arg) {
    let mut term: Vec<Inline> = vec![];
    if let Some(short) = arg.get_short() {
        term.extend([bold(format!("-{short}")), roman(", ")]);
    }
    if let Some(long) = arg.get_long() {
        term.push(bold(format!("--{long}")));
    }
    if let Some((value, _)) = value(arg) {
        if !term.is_empty() {
            term.push(roman(" "));
        }
        term.push(italic(value));
    }
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    prose::entry(page, term, &prose::sentence(&help));
    choices(page, arg);
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        prose::more(page, &format!("Default: `{}`.", defaults.join(" ")));
    }
}

/// The values that an argument may have, where they are few.
pub(crate) fn choices(page: &mut Roff, arg: &Arg) {
    let values: Vec<_> = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    if values.is_empty() || !arg.get_action().takes_values() {
        return;
    }
    page.control("RS", []);
    for value in values {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        prose::entry(page, vec![bold(value.get_name())], &prose::sentence(&help));
    }
    page.control("RE", []);
}
