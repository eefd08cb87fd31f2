//! `device revoke --stolen`: an account is taken back from whoever has one of its devices.

use std::path::Path;

use qchat_proto::identity::RecoveryKey;
use serde::Serialize;

use super::{
    Context,
    account::fingerprint,
    devices::yes_or_no,
    failure::{Failure, Outcome},
    open, progress, recovery,
};
use crate::engine::{EngineError, Handle, TakenBack};

/// An account with another identity key.
#[derive(Serialize)]
struct TakenBackObject {
    v: u8,
    done: &'static str,
    /// The one that all others see changed.
    fingerprint: String,
    /// Devices that are not of the account any more.
    revoked: Vec<String>,
    /// Rooms that they are out of.
    rooms: usize,
    /// Rooms where that is still to come.
    waiting: usize,
}

pub(super) async fn revoke(
    context: &Context,
    device: Option<&str>,
    words: Option<&Path>,
    yes: bool,
) -> Outcome {
    let settings = &context.settings;
    if !yes {
        let question = "Revoke every device but this one, and give the account another identity key? [y/N] ";
        match yes_or_no(context, question).await? {
            Some(true) => {}
            Some(false) => return Err(Failure::refused("nothing was revoked")),
            None => return Err(Failure::usage("say --yes to revoke devices without being asked")),
        }
    }
    let words = RecoveryKey::from_words(&recovery::given(settings, words)?)
        .map_err(|error| Failure::usage(format!("these are no recovery words: {error}")))?;
    open::with_engine(context, async |handle| {
        if let Some(device) = device {
            expect_other(handle, device).await?;
        }
        let taking = Box::pin(handle.take_account_back(&words));
        let taken = progress::during(settings, "Taking the account back", taking).await?;
        let object = TakenBackObject::new(&taken);
        context.output.result(&object, || said(&object))?;
        context.output.say(
            "Link again the devices that you have: `qchat device link`. Those whom you talk with have to accept the new key: let \
             them compare it, `qchat verify`. If the thief may know the passphrase, change it: `qchat account password`.",
        );
        if taken.backed_up {
            context.output.say("The words cannot restore the last backup any more: `qchat backup create` makes another.");
        }
        let late = taken.removed.waiting + taken.waiting.len();
        if late == 0 {
            return Ok(());
        }
        Err(Failure::partial(
            "some rooms do not know of it yet: this device tells them as soon as it is connected, before it says anything there",
        ))
    })
    .await
}

/// That the device is not this one, as far as the server can be asked: the thief may have revoked this one.
async fn expect_other(handle: &Handle, device: &str) -> Outcome {
    match handle.find_device(device).await {
        Ok(found) if found.me => Err(Failure::refused(
            "this is that device: run this on another one, or `qchat backup restore` on a machine that has nothing",
        )),
        Err(error @ (EngineError::NoSuchDevice(_) | EngineError::Invalid(_))) => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl TakenBackObject {
    fn new(taken: &TakenBack) -> Self {
        Self {
            v: 1,
            done: "taken_back",
            fingerprint: fingerprint(&taken.identity),
            revoked: taken.revoked.iter().map(ToString::to_string).collect(),
            rooms: taken.removed.rooms,
            waiting: taken.removed.waiting,
        }
    }
}

fn said(object: &TakenBackObject) -> String {
    let s = if object.revoked.len() == 1 { "" } else { "s" };
    format!(
        "the account has another identity key, and this device alone; {} device{s} revoked\n    {}",
        object.revoked.len(),
        object.fingerprint
    )
}
