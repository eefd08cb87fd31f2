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
    quantum::local,
    store::{
        Profile,
        quantum::{Job, State},
    },
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
    let open_jobs = if keep_profile { 0 } else { paid_jobs(&profile).await };
    if open_jobs > 0 {
        context.output.say(&format!(
            "warning: {open_jobs} quantum job{} run{} elsewhere and will be paid for; what comes of {} goes with the profile. `qchat \
             quantum cancel` ends a job, `qchat quantum resume` waits, and --keep-profile keeps them",
            if open_jobs == 1 { "" } else { "s" },
            if open_jobs == 1 { "s" } else { "" },
            if open_jobs == 1 { "it" } else { "them" },
        ));
    }
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

/// Jobs that a provider of quantum computers may charge for and that are not over; none where that cannot be read.
async fn paid_jobs(profile: &Profile) -> usize {
    let profile = profile.clone();
    let counting = open::blocking(move || {
        let jobs = profile.quantum().and_then(|store| store.map_or(Ok(vec![]), |store| store.jobs()));
        let open =
            |job: &Job| job.backend != local::NAME && !job.state.is_over() && job.state != State::Prepared;
        jobs.map_or(0, |jobs| jobs.iter().filter(|job| open(job)).count())
    });
    counting.await.unwrap_or(0)
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
