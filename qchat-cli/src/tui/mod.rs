//! The terminal screen, in three parts that know little of one another: [`update`] changes the state of an [`App`] for
//! what happened and says what to do, [`view`] draws it, [`run`] connects both to a terminal and to a [`Desk`]: the engine, or
//! the sample data of [`demo`].

mod app;
mod bidi;
mod complete;
mod composer;
pub mod demo;
mod desk;
mod editor;
mod emit;
mod emoji;
mod graphics;
mod hidden;
mod keymap;
mod lines;
mod lock;
mod markup;
mod msg;
mod office;
mod panels;
mod picker;
mod picture;
mod pixels;
mod prefs;
mod preview;
mod run;
mod screen;
mod search;
mod signals;
mod text;
mod theme;
mod timeline;
mod transfers;
mod update;
mod view;
pub mod welcome;
mod words;

pub use self::{
    app::App,
    desk::Desk,
    emit::Emission,
    graphics::{CellSize, Encoded, Graphics, Shape},
    hidden::Passphrase,
    keymap::{KeyError, Keymap, Preset},
    msg::{Answer, Command, Msg},
    office::Office,
    pixels::Pixels,
    prefs::{Notifications, Notifier, Prefs},
    run::{open, run},
    screen::Surface,
    signals::Told,
    theme::{Ambience, Look, Theme},
    update::{start, update},
    view::view,
    words::{Language, Locale, Words},
};

#[cfg(test)]
mod tests;
