//! What an engine, a login and a registration are made of, put together from a profile.

use std::{sync::Arc, time::Duration};

use qchat_proto::session::ledger::KeyLife;
use url::Url;

use super::{
    access::Access, error::EngineError, handle::Me, own::OwnDevice, people::PinnedKeys, steps::Steps,
    transparency::Transparency,
};
use crate::{
    net::{
        Server,
        rest::Client,
        tls::{Choice, Trust},
    },
    store::{Identity, Profile, StoreError, Tx},
};

/// The parts that registration needs before there is an engine.
pub(super) struct Parts {
    pub(super) me: Me,
    pub(super) rest: Client,
    pub(super) access: Access,
    pub(super) steps: Steps,
    pub(super) keys: Arc<PinnedKeys>,
    pub(super) log: Transparency,
}

/// The daemon of a profile, or another address of it, by the key that is given or the one that is stored.
pub(super) fn server(own: &Identity, given: Option<Url>, tls: Choice) -> Result<Server, StoreError> {
    let url = match given {
        Some(url) => url,
        None => own.server_url.parse().map_err(|_| StoreError::Corrupt("server address"))?,
    };
    let stored = own.server_key.map_or(Trust::Roots, Trust::Key);
    Ok(Server { url, trust: tls.trust.unwrap_or(stored), key_exchange: tls.key_exchange })
}

/// Who a profile is.
///
/// # Errors
/// [`EngineError::LoggedOut`] when it was never registered.
pub async fn whoami(profile: &Profile) -> Result<Me, EngineError> {
    let own = profile.read_async(Tx::identity).await?.ok_or(EngineError::LoggedOut)?;
    let server = self::server(&own, None, Choice::default())?.url;
    Ok(Me { name: own.name, account: own.account, device: own.device, server })
}

/// Puts a profile's parts together, for its own daemon or another address of it.
pub(super) async fn parts(
    profile: &Profile,
    server: Option<Url>,
    tls: Choice,
    timeout: Duration,
    key_life: KeyLife,
) -> Result<Parts, EngineError> {
    let Some(own) = profile.read_async(Tx::identity).await? else {
        let (linking, restoring) = profile
            .read_async(|tx| Ok::<_, StoreError>((tx.linking()?.is_some(), tx.restoring()?.is_some())))
            .await?;
        return Err(match (linking, restoring) {
            (true, _) => EngineError::LinkBegun,
            (_, true) => EngineError::RestoreBegun,
            _ => EngineError::LoggedOut,
        });
    };
    let server = self::server(&own, server, tls)?;
    let elsewhere = server.url.as_str() != own.server_url;
    let keys = Arc::new(PinnedKeys::new(profile.clone()));
    let pinned = keys.clone();
    let device = profile.read_async(move |tx| OwnDevice::read(tx, pinned, key_life)).await?;
    let url = server.url.clone();
    let rest = Client::new(server, timeout)?;
    let mut access = Access::new(profile.clone(), rest.clone(), own.account, own.device, own.server_id);
    if elsewhere {
        access.ask_for_the_name();
    }
    let log = Transparency {
        profile: profile.clone(),
        rest: rest.clone(),
        access: access.clone(),
        server: own.server_id,
    };
    Ok(Parts {
        me: Me { name: own.name, account: own.account, device: own.device, server: url },
        rest,
        access,
        steps: Steps { profile: profile.clone(), device: Arc::new(device) },
        keys,
        log,
    })
}
