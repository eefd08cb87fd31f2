//! The command that ends an account.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use qchat_proto::{crypto::secret::Secret, ids::UserName, sanitize};

use super::{
    Context, account,
    failure::{Failure, Outcome},
    open, passphrase, progress,
};
use crate::{
    engine::{self, EngineError},
    store::Profile,
    vault,
};

pub(super) async fn delete(
    context: &Context,
    yes: bool,
    keep_profile: bool,
    of_account: Option<&Path>,
) -> Outcome {
    let settings = &context.settings;
    let dir = settings.profile_dir();
    open::expect_profile(context, &dir)?;
    // The agent's key does not do: whoever ends the account says its passphrase.
    let said = passphrase::existing(settings)?;
    let of_account = of_account.map(passphrase::from_file).transpose()?;
    let (home, tried) = (dir.clone(), said.clone());
    let opened = open::blocking(move || vault::unlock(&home, &tried));
    let key = progress::during(settings, "Opening the profile", opened).await?.map_err(EngineError::from)?;
    let (home, key) = (dir.clone(), Secret::from_bytes(*key.expose()));
    let profile = open::blocking(move || Profile::open(&home, key)).await?.map_err(EngineError::from)?;
    let name = engine::whoami(&profile).await?.name;
    if !yes && !confirmed(context, &name)? {
        return Err(Failure::refused("nothing was deleted"));
    }

    // Once the daemon may have been asked, the rooms are left.
    if !engine::deletion_has_begun(&profile).await? {
        open::on_profile(context, profile.clone(), async |handle| {
            open::sync_or_fail(context, handle).await?;
            let leaving = handle.leave_all();
            let stay = progress::during(settings, "Leaving the rooms", leaving).await?;
            for room in stay {
                context.output.say(&format!(
                    "warning: the room {} cannot be left: its members see this account until one of them removes it",
                    sanitize::line(&room.name)
                ));
            }
            Ok(())
        })
        .await?;
    }
    let passphrase = of_account.unwrap_or(said);
    let deleting =
        engine::delete_account(&profile, passphrase, settings.server.clone(), settings.tls, settings.timeout);
    progress::during(settings, "Deleting the account", Box::pin(deleting)).await?;
    drop(profile);
    if !keep_profile {
        open::blocking(move || engine::destroy_profile(&dir)).await??;
    }
    account::done(
        context,
        if keep_profile { "account deleted, profile kept" } else { "account and profile deleted" },
    )
}

/// Asks for the account's name: nobody types that by mistake.
fn confirmed(context: &Context, name: &UserName) -> Outcome<bool> {
    if context.settings.no_input || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::usage("say --yes to delete the account without being asked"));
    }
    let mut err = io::stderr().lock();
    write!(
        err,
        "This deletes the account {name} for good: nobody gets the name again, not even you, and what others have of your \
         messages they keep.\nType the account's name to go on: "
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == name.as_str())
}
