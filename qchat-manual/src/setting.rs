//! The page of the configuration file. Every option of the program that is not about the file itself is a key.

use std::{any::TypeId, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction};
use roff::{bold, italic, roman};

use super::{
    Manual, Page, command,
    prose::{self, inlines},
};

/// A setting: an option, a variable of the environment, and a key of the file.
pub(crate) struct Key<'a> {
    /// The option's long name.
    pub(crate) option: &'a str,
    /// The variable.
    pub(crate) variable: String,
    /// The key.
    name: String,
    arg: &'a Arg,
}

/// The settings, as they are declared.
pub(crate) fn keys<'a>(manual: &'a Manual<'_>) -> Vec<Key<'a>> {
    manual
        .program
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && arg.is_global_set())
        .filter_map(|arg| {
            let option = arg.get_long()?;
            let name = option.replace('-', "_");
            let variable = format!("{}{}", manual.prefix, name.to_uppercase());
            Some(Key { option, variable, name, arg })
        })
        .collect()
}

/// What a value of the key looks like in TOML.
fn kind(arg: &Arg) -> &'static str {
    let parser = arg.get_value_parser().type_id();
    let is = |known: TypeId| parser == known;
    match arg.get_action() {
        ArgAction::SetTrue => "true or false",
        ArgAction::Count => "number",
        _ if !arg.get_possible_values().is_empty() => "string, one of those below",
        _ if is(TypeId::of::<u32>()) => "number",
        _ if is(TypeId::of::<Duration>()) => "number of seconds, or string as in \"90s\"",
        _ if is(TypeId::of::<PathBuf>()) => "string, a path",
        _ => "string",
    }
}

/// The help without what it says of the default, and that.
fn meaning(arg: &Arg) -> (String, Option<String>) {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    match help.split_once(" [default: ") {
        Some((meaning, default)) => {
            let default = default.trim_end_matches('.').trim_end_matches(']');
            (prose::sentence(meaning), Some(default.to_owned()))
        }
        None => (prose::sentence(&help), None),
    }
}

pub(crate) fn page(manual: &Manual<'_>) -> Page {
    let configuration = &manual.configuration;
    let program = manual.program.get_name();
    let mut page = prose::begin(configuration.name, 5, &manual.source());
    prose::heading(&mut page, "Name");
    page.text([roman(format!("{} - the configuration file of {program}", configuration.name))]);
    prose::heading(&mut page, "Description");
    prose::paragraphs(&mut page, configuration.place);
    page.control("PP", []);
    page.text(inlines(
        "It is TOML. Each key is an option of every command too, and a variable of the environment: the option goes \
         before the variable, that before the file, that before the default. A key that is not here is an error.",
    ));
    prose::heading(&mut page, "Keys");
    for key in keys(manual).iter().filter(|key| key.name != "config") {
        let (meaning, default) = meaning(key.arg);
        page.control("TP", []);
        page.text([bold(key.name.as_str()), roman(" = "), italic(kind(key.arg))]);
        page.text(inlines(&meaning));
        command::choices(&mut page, key.arg);
        let default = match (default, key.arg.get_action()) {
            (Some(default), _) => default,
            (None, ArgAction::SetTrue) => "false".to_owned(),
            (None, ArgAction::Count) => "0".to_owned(),
            (None, _) => "none".to_owned(),
        };
        page.control("IP", []);
        page.text([
            roman(format!("Default: {default}. Environment: ")),
            bold(key.variable.as_str()),
            roman("."),
        ]);
    }
    prose::heading(&mut page, "Examples");
    prose::verbatim(&mut page, configuration.example);
    prose::see_also(&mut page, &[(program.to_owned(), manual.section)]);
    Page { file: format!("{}.5", configuration.name), text: page.render() }
}
