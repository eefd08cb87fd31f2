//! Going on from a previous copy of a profile.

use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    open, progress,
};
use crate::engine::{Handle, Options, Recovered};

/// What has become of the rooms.
#[derive(Serialize)]
struct RecoveredObject<'a> {
    v: u8,
    done: &'static str,
    profile: &'a str,
    /// Rooms that this device asks to be added to again.
    asking: Vec<String>,
    /// Rooms that the copy does not know.
    unknown: Vec<String>,
}

pub(super) async fn recover(context: &Context, yes: bool) -> Outcome {
    if !yes {
        return Err(Failure::usage(
            "this gives up the profile's keys in all rooms, and what was said since the copy was made cannot be read here. \
             Where the newer state is not lost, use that one; where it is, repeat this with --yes",
        ));
    }
    let settings = &context.settings;
    let profile = open::profile(context).await?;
    // Nothing is sent or read before the keys are given up.
    let options = Options {
        offline: true,
        server: settings.server.clone(),
        tls: settings.tls,
        ..Options::new(settings.timeout)
    };
    let handle = Handle::start(profile.clone(), options).await?;
    let recovered = progress::during(settings, "Giving up the keys of the copy", handle.recover()).await;
    handle.shutdown().await;
    let recovered = recovered?;
    // What is asked for leaves with the first connection.
    open::on_profile(context, profile, async |handle| open::sync_or_warn(context, handle).await).await?;
    print(context, &recovered)
}

fn print(context: &Context, recovered: &Recovered) -> Outcome {
    let profile = &context.settings.profile;
    let words =
        |rooms: &[qchat_proto::ids::RoomId]| rooms.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (asking, unknown) = (words(&recovered.asking), words(&recovered.unknown));
    if !unknown.is_empty() {
        context.output.say(&format!(
            "This device is in rooms that the copy does not know: {}. Somebody has to remove you there and invite you again.",
            unknown.join(", ")
        ));
    }
    let count = asking.len();
    let object = RecoveredObject { v: 1, done: "recovered", profile, asking, unknown };
    Ok(context.output.result(&object, || {
        let rooms = if count == 1 { "1 room".to_owned() } else { format!("{count} rooms") };
        format!("{profile}: recovered; it asks to be added again in {rooms}. `qchat room list` shows which it follows")
    })?)
}
