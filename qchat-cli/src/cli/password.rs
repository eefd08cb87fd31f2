//! The command that changes the passphrase.

use std::path::Path;

use qchat_proto::crypto::secret::Secret;

use super::{Context, account, failure::Outcome, open, passphrase, progress};
use crate::{
    engine::{self, Change, EngineError},
    store::Profile,
    vault,
};

pub(super) async fn change(context: &Context, new: Option<&Path>, of_account: Option<&Path>) -> Outcome {
    let settings = &context.settings;
    let dir = settings.profile_dir();
    open::expect_profile(context, &dir)?;
    // The agent's key does not do: whoever changes the passphrase says the old one.
    let old = passphrase::existing(settings)?;
    let of_account = of_account.map(passphrase::from_file).transpose()?;
    let (home, said) = (dir.clone(), old.clone());
    let opened = open::blocking(move || vault::unlock(&home, &said));
    let key = progress::during(settings, "Opening the profile", opened).await?;
    let key = key.map_err(EngineError::from)?;
    let (home, copy) = (dir.clone(), Secret::from_bytes(*key.expose()));
    let profile = open::blocking(move || Profile::open(&home, copy)).await?.map_err(EngineError::from)?;
    let name = engine::whoami(&profile).await?.name;
    let new = passphrase::new(settings, new, name.as_str())?;
    let change = Change {
        profile: &profile,
        key,
        old: of_account.unwrap_or(old),
        new: settings.new_vault(new),
        server: settings.server.clone(),
        tls: settings.tls,
        timeout: settings.timeout,
    };
    progress::during(settings, "Changing the passphrase", Box::pin(engine::change_passphrase(change)))
        .await?;
    account::done(context, "passphrase changed")
}
