//! Commands about keys from elsewhere in rooms.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use qchat_proto::{ids::RoomId, mls::psk::PskId, sanitize};
use qchat_quantum::etsi014::{Client, Credentials, KeyId, SaeId};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    Context,
    failure::{Failure, Outcome},
    open, progress, rooms,
};
use crate::{
    config::Kme,
    engine::{EngineError, Handle, KeyOutcome},
};

/// Longest PEM file that is read, bytes: a chain of certificates has some thousands.
const MOST_PEM: usize = 64 * 1024;

/// What was done with a key.
#[derive(Serialize)]
struct Deed<'a> {
    v: u8,
    done: &'static str,
    room: &'a str,
    room_id: String,
    key_id: String,
    /// The first epoch that depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    waits_for: &'a [String],
}

pub(super) async fn add(
    context: &Context,
    room: &str,
    wait: Option<Duration>,
    every_device: bool,
) -> Outcome {
    let settings = &context.settings.kme;
    // Before the passphrase is asked for.
    let kme = client(settings, context.settings.timeout)?;
    let master = said("--sae", settings.sae.as_ref())?;
    let slave = said("--peer-sae", settings.peer_sae.as_ref())?;
    open::with_engine(context, async |handle| {
        let known = match handle.find_room(room).await {
            Ok(id) => handle.offered_key(id).await?.map(|key| (id, key)),
            Err(_) => None,
        };
        open::sync_or_fail(context, handle).await?;
        if let Some(known) = known {
            // What has come of that one is said first, and no other is offered unasked.
            let patience = wait.unwrap_or(context.settings.timeout);
            return settle(context, handle, known, "offered", Some(patience)).await;
        }
        let id = open::room(handle, room).await?;
        let offering = handle.offer_key(id, &kme, (master, slave), every_device);
        let offered = progress::during(&context.settings, "Offering a key", offering).await?;
        settle(context, handle, (id, offered.key), "offered", wait).await
    })
    .await
}

pub(super) async fn accept(context: &Context, room: &str, wait: Option<Duration>) -> Outcome {
    let settings = &context.settings.kme;
    let kme = client(settings, context.settings.timeout)?;
    open::with_engine(context, async |handle| {
        open::sync_or_fail(context, handle).await?;
        let id = open::room(handle, room).await?;
        let saes = (settings.sae.as_ref(), settings.peer_sae.as_ref());
        let accepting = handle.accept_key(id, &kme, saes);
        let accepted = progress::during(&context.settings, "Getting the key", accepting).await?;
        settle(context, handle, (id, accepted.key), "accepted", wait).await
    })
    .await
}

/// What a KME says of its link, fit for a terminal.
#[derive(Serialize)]
struct LinkObject {
    v: u8,
    kme: Option<String>,
    peer_kme: Option<String>,
    sae: Option<String>,
    peer_sae: String,
    keys: Option<u64>,
    most_keys: Option<u64>,
    most_keys_at_once: Option<u64>,
    key_bits: Option<u64>,
    least_key_bits: Option<u64>,
    most_key_bits: Option<u64>,
}

pub(super) async fn status(context: &Context) -> Outcome {
    let settings = &context.settings.kme;
    let kme = client(settings, context.settings.timeout)?;
    let slave = said("--peer-sae", settings.peer_sae.as_ref())?;
    let asking = async { kme.status(slave).await.map_err(EngineError::from) };
    let status = progress::during(&context.settings, "Asking the KME", asking).await?;
    let shown = |name: Option<String>| name.map(|name| sanitize::line(&name).into_owned());
    let object = LinkObject {
        v: 1,
        kme: shown(status.source_kme),
        peer_kme: shown(status.target_kme),
        sae: shown(status.master_sae),
        peer_sae: slave.to_string(),
        keys: status.stored_key_count,
        most_keys: status.max_key_count,
        most_keys_at_once: status.max_key_per_request,
        key_bits: status.key_size,
        least_key_bits: status.min_key_size,
        most_key_bits: status.max_key_size,
    };
    context.output.result(&object, || {
        let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "?".to_owned());
        format!(
            "{} of {} keys of {} bits for {} wait at {}, whose link ends at {}",
            number(object.keys),
            number(object.most_keys),
            number(object.key_bits),
            object.peer_sae,
            name(&object.kme),
            name(&object.peer_kme)
        )
    })?;
    Ok(())
}

pub(super) async fn give_up(context: &Context, room: &str) -> Outcome {
    open::with_engine(context, async |handle| {
        open::sync_or_fail(context, handle).await?;
        let id = open::room(handle, room).await?;
        let key = progress::during(&context.settings, "Giving the key up", handle.give_key_up(id)).await?;
        report(context, handle, (id, key), "dropped", &KeyOutcome::GivenUp).await
    })
    .await
}

/// Says how far a key is, having waited for as long as was said. A key that the other end turns out to have differently is a
/// failure; one that is still on its way is not.
async fn settle(
    context: &Context,
    handle: &Handle,
    (room, key): (RoomId, KeyId),
    done: &'static str,
    patience: Option<Duration>,
) -> Outcome {
    let outcome = match patience {
        Some(patience) => {
            let waiting = handle.key_settled(room, id_of(key), patience);
            progress::during(&context.settings, "Waiting for the other end", waiting).await?
        }
        None => handle.key_outcome(room, id_of(key)).await?,
    };
    if outcome == KeyOutcome::GivenUp {
        return Err(EngineError::Refused(format!(
            "the key {key} was given up: the two ends have different keys under its id, or somebody dropped it; \
             `qchat history` says which. The room goes on as it was. Check that both KMEs are the ends of one link, then \
             offer another key"
        ))
        .into());
    }
    report(context, handle, (room, key), done, &outcome).await
}

async fn report(
    context: &Context,
    handle: &Handle,
    (id, key): (RoomId, KeyId),
    done: &'static str,
    outcome: &KeyOutcome,
) -> Outcome {
    let room = rooms::summary(handle, id).await?;
    let room =
        room.ok_or_else(|| Failure::unexpected("the room has gone; `qchat room list` shows the rooms"))?;
    let (done, epoch, waits_for) = match outcome {
        KeyOutcome::Mixed(epoch) => ("mixed", Some(*epoch), &[][..]),
        KeyOutcome::WaitsFor(who) => (done, None, &who[..]),
        KeyOutcome::GivenUp => (done, None, &[][..]),
    };
    let object = Deed {
        v: 1,
        done,
        room: &room.name,
        room_id: room.id.to_string(),
        key_id: key.to_string(),
        epoch,
        waits_for,
    };
    context.output.result(&object, || {
        let name = sanitize::line(&room.name);
        let who = waits_for.join(", ");
        match (done, epoch) {
            ("mixed", Some(epoch)) => format!("the keys of {name} depend on {key} since epoch {epoch}"),
            ("offered", _) if waits_for.is_empty() => {
                format!("offered {key} to {name}: all hold it, and it is mixed in next")
            }
            ("offered", _) => {
                format!("offered {key} to {name}; waits for {who}: `qchat room psk accept` at their end")
            }
            ("accepted", _) => {
                format!("accepted {key} in {name}; the other end mixes it in when it reads that")
            }
            (done, _) => format!("{done} {key} in {name}"),
        }
    })?;
    Ok(())
}

fn id_of(key: KeyId) -> PskId {
    PskId::quantum_link(*key.as_bytes())
}

fn said<'a>(option: &str, value: Option<&'a SaeId>) -> Outcome<&'a SaeId> {
    value.ok_or_else(|| missing(option))
}

fn missing(option: &str) -> Failure {
    let key = option.trim_start_matches('-').replace('-', "_");
    Failure::usage(format!(
        "say {option}, or set {key} in the configuration file: keys come from a KME by ETSI GS QKD 014"
    ))
}

/// The client of the KME that the settings name.
fn client(settings: &Kme, timeout: Duration) -> Outcome<Client> {
    let path = |option, path: &Option<PathBuf>| path.clone().ok_or_else(|| missing(option));
    let address = settings.etsi014.as_ref().ok_or_else(|| missing("--etsi014"))?;
    let credentials = Credentials {
        certificate: read(&path("--sae-cert", &settings.sae_cert)?)?.to_vec(),
        key: read(&path("--sae-key", &settings.sae_key)?)?,
        authority: read(&path("--kme-ca", &settings.kme_ca)?)?.to_vec(),
    };
    Ok(Client::new(address, &credentials, timeout).map_err(EngineError::from)?)
}

fn read(path: &Path) -> Outcome<Zeroizing<Vec<u8>>> {
    let failed = |error: io::Error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    // Of its final size at once: growing would leave copies of a key behind.
    let mut read = Zeroizing::new(Vec::with_capacity(MOST_PEM + 1));
    File::open(path)
        .and_then(|file| file.take(MOST_PEM as u64 + 1).read_to_end(&mut read))
        .map_err(failed)?;
    if read.len() > MOST_PEM {
        return Err(Failure::usage(format!(
            "{} has more than {} kB and is no PEM file of a key or certificate",
            path.display(),
            MOST_PEM / 1024
        )));
    }
    Ok(read)
}
