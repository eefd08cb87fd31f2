//! The terminal screen, in three parts that know little of one another: [`update`] changes the state of an [`App`] for
//! what happened and says what to do, [`view`] draws it, [`run`] connects both to a terminal and the engine.

mod app;
mod composer;
mod keymap;
mod lines;
mod lock;
mod msg;
mod run;
mod screen;
mod text;
mod theme;
mod timeline;
mod update;
mod view;

pub use self::{
    app::App,
    lock::Passphrase,
    msg::{Answer, Command, Msg},
    run::{open, run},
    theme::Theme,
    update::{start, update},
    view::view,
};

#[cfg(test)]
mod tests;
