//! The commands about what people show of themselves.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::Path,
};

use qchat_proto::{
    content::{MAX_AVATAR, Profile},
    ids::UserName,
    sanitize,
};
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    notes::LATER,
    open,
};
use crate::engine::{EngineError, Noted};

/// More bytes of a picture are not read: no picture has so many.
const MOST_PICTURE: u64 = MAX_AVATAR as u64 + 1;

#[derive(Serialize)]
struct ProfileObject<'a> {
    v: u8,
    user: &'a str,
    name: &'a str,
    status: &'a str,
    /// The kind of picture; null for none.
    avatar: Option<&'static str>,
}

pub(super) async fn set(
    context: &Context,
    name: Option<&str>,
    status: Option<&str>,
    (avatar, no_avatar): (Option<&Path>, bool),
) -> Outcome {
    let avatar = match avatar {
        None if no_avatar => Some(vec![]),
        Some(path) => {
            let mut picture = vec![];
            // One byte more than any may have is too many.
            let reading = File::open(path).and_then(|file| file.take(MOST_PICTURE).read_to_end(&mut picture));
            reading.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            Some(picture)
        }
        None => None,
    };
    open::with_engine(context, async |handle| {
        let shown = handle.show_profile(name.map(str::to_owned), status.map(str::to_owned), avatar).await?;
        // What is said in the rooms leaves before this is over, where it can.
        match open::sync_around(handle).await {
            Ok(()) => handle.say_profile().await?,
            Err(error @ (EngineError::Net(_) | EngineError::Timeout(_))) => {
                context.output.say(&format!("warning: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        if shown == Noted::Here {
            context.output.say(LATER);
        }
        let name = handle.me().name.clone();
        print(context, &name, &handle.own_profile().await?)
    })
    .await
}

pub(super) async fn show(context: &Context, user: Option<&UserName>, avatar: Option<&Path>) -> Outcome {
    open::with_engine(context, async |handle| {
        open::sync_or_warn(context, handle).await?;
        let user = user.unwrap_or(&handle.me().name);
        let profile = handle.profile_of(user).await?;
        if let Some(path) = avatar {
            if profile.avatar.is_empty() {
                return Err(Failure::usage(format!("{user} shows no picture")));
            }
            // Nothing is written over.
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
            file.write_all(&profile.avatar)?;
        }
        print(context, user, &profile)
    })
    .await
}

fn print(context: &Context, user: &UserName, profile: &Profile) -> Outcome {
    let object = ProfileObject {
        v: 1,
        user: user.as_str(),
        name: &profile.name,
        status: &profile.status,
        avatar: Profile::picture(&profile.avatar),
    };
    context.output.result(&object, || {
        let mut lines = vec![user.to_string()];
        for (what, text) in [("name", object.name), ("status", object.status)] {
            if !text.is_empty() {
                lines.push(format!("  {what:<8} {}", sanitize::line(text)));
            }
        }
        lines.extend(object.avatar.map(|kind| format!("  picture  {} bytes, {kind}", profile.avatar.len())));
        lines.join("\n")
    })?;
    Ok(())
}
