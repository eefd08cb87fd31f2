//! Commands about backups.

use std::path::Path;

use qchat_proto::{
    identity::RecoveryKey,
    ids::{DeviceId, UserName},
};
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    Context,
    devices::yes_or_no,
    failure::{Failure, Outcome},
    json::rfc3339,
    open, passphrase, progress, recovery, words,
};
use crate::engine::{self, Choice, EngineError, KeptBackup, Making, Offer, RestoreStage, Server};

/// A backup that was made.
#[derive(Serialize)]
struct MadeObject {
    v: u8,
    done: &'static str,
    version: u64,
    created_at: Option<String>,
    messages: u64,
    chunks: u64,
    sent_chunks: u64,
    sent_bytes: u64,
}

/// A backup that is there.
#[derive(Serialize)]
struct BackupObject {
    v: u8,
    device: String,
    me: bool,
    version: Option<u64>,
    created_at: Option<String>,
    messages: u64,
    bytes: u64,
}

/// A backup that is about to be restored.
#[derive(Serialize)]
struct OfferObject {
    v: u8,
    backup: BackupObject,
    others: usize,
    list_signed_at: String,
}

/// A machine that was restored.
#[derive(Serialize)]
struct RestoredObject<'a> {
    v: u8,
    done: &'static str,
    name: &'a str,
    device: String,
    created_at: Option<String>,
    messages: u64,
    rooms: usize,
}

/// A backup that was deleted.
#[derive(Serialize)]
struct DeletedObject {
    v: u8,
    done: &'static str,
    device: String,
}

/// `backup create`.
pub(super) async fn create(context: &Context, file: Option<&Path>, anew: bool) -> Outcome {
    let settings = &context.settings;
    let mut words = match file {
        Some(path) => Some(key(&recovery::given(settings, Some(path))?)?),
        None => None,
    };
    open::with_engine(context, async |handle| {
        let making = async |words: Option<RecoveryKey>| {
            progress::telling(settings, "Making a backup", async |teller| {
                let far = |far: Making| teller.far(far.done, far.of, making(far));
                Box::pin(handle.back_up(words, anew, far)).await
            })
            .await
        };
        let made = match making(words.take()).await {
            // Somebody may be there to be asked, once.
            Err(EngineError::WordsNeeded)
                if file.is_none() && recovery::somebody_to_ask(settings).is_ok() =>
            {
                making(Some(key(&recovery::given(settings, None)?)?)).await?
            }
            other => other?,
        };
        let at = moment(made.created_at);
        let object = MadeObject {
            v: 1,
            done: "made",
            version: made.version,
            created_at: at.map(rfc3339),
            messages: made.messages,
            chunks: made.chunks,
            sent_chunks: made.sent,
            sent_bytes: made.sent_bytes,
        };
        Ok(context.output.result(&object, || {
            format!(
                "backup {} made: {} message{}; {} sent",
                made.version,
                made.messages,
                plural(made.messages),
                size(made.sent_bytes)
            )
        })?)
    })
    .await
}

/// `backup list`.
pub(super) async fn list(context: &Context) -> Outcome {
    open::with_engine(context, async |handle| {
        let asking = progress::during(&context.settings, "Asking the server", handle.backups());
        let (backups, bytes, most) = asking.await?;
        if backups.is_empty() {
            context.output.say("There is no backup. `qchat backup create` makes one.");
        }
        for backup in &backups {
            context.output.result(&object(backup), || line(context, backup))?;
        }
        if !backups.is_empty() {
            context.output.say(&format!("{} of {} used, says the server", size(bytes), size(most)));
        }
        Ok(())
    })
    .await
}

/// `backup delete`.
pub(super) async fn delete(context: &Context, device: DeviceId, yes: bool) -> Outcome {
    open::with_engine(context, async |handle| {
        if !yes {
            match yes_or_no(context, &format!("Delete the backup of the device {device}? [y/N] ")).await? {
                Some(true) => {}
                Some(false) => return Err(Failure::refused("nothing was deleted")),
                None => return Err(Failure::usage("say --yes to delete a backup without being asked")),
            }
        }
        handle.delete_backup(device).await?;
        let object = DeletedObject { v: 1, done: "deleted", device: device.to_string() };
        Ok(context.output.result(&object, || format!("deleted the backup of the device {device}"))?)
    })
    .await
}

/// `backup restore`.
pub(super) async fn restore(
    context: &Context,
    name: &UserName,
    file: Option<&Path>,
    device: Option<DeviceId>,
    yes: bool,
) -> Outcome {
    let settings = &context.settings;
    let url = settings.server.clone().ok_or_else(|| {
        Failure::usage("say where the account is: --server URL, or QCHAT_SERVER in the environment")
    })?;
    let words = key(&recovery::given(settings, file)?)?;
    let dir = settings.profile_dir();
    let passphrase = if crate::vault::exists(&dir) {
        passphrase::existing(settings)?
    } else {
        passphrase::fresh(settings, name.as_str())?
    };
    let Choice { trust, key_exchange } = settings.tls;
    let server = Server { url, trust: trust.unwrap_or_default(), key_exchange };
    let agree = async |offer: &Offer| {
        let failed = |error: std::io::Error| EngineError::Output(error.to_string());
        context.output.result(&offered(offer), || describe(context, offer)).map_err(failed)?;
        if yes {
            return Ok(true);
        }
        match yes_or_no(context, "Restore this backup? [y/N] ").await {
            Ok(Some(answer)) => Ok(answer),
            _ => Err(EngineError::Invalid(
                "nobody can be asked whether this is the right backup; say --yes to restore it".to_owned(),
            )),
        }
    };
    let restored = progress::telling(settings, "Restoring", async |teller| {
        let stage = |stage| match stage {
            RestoreStage::Looking | RestoreStage::Joining => {}
            RestoreStage::Fetching { done, of } => teller.far(done, of, "Restoring".to_owned()),
        };
        let work = engine::restore(
            &dir,
            server,
            name.clone(),
            words,
            settings.new_vault(passphrase),
            device,
            settings.timeout,
            stage,
            agree,
        );
        Box::pin(work).await
    })
    .await?;
    let me = engine::whoami(&restored.profile).await?;
    let object = RestoredObject {
        v: 1,
        done: "restored",
        name: me.name.as_str(),
        device: me.device.to_string(),
        created_at: moment(restored.created_at).map(rfc3339),
        messages: restored.messages,
        rooms: restored.rooms,
    };
    context.output.result(&object, || {
        format!(
            "restored {} with {} message{} and {} room{}; this machine is the device {}",
            me.name,
            restored.messages,
            plural(restored.messages),
            restored.rooms,
            plural(restored.rooms as u64),
            me.device
        )
    })?;
    context.output.say(
        "It comes into the rooms as soon as somebody of them is online. What was said since the backup, it does not see. Revoke \
         the lost device: `qchat device list` shows it.",
    );
    Ok(())
}

fn key(words: &str) -> Outcome<RecoveryKey> {
    RecoveryKey::from_words(words)
        .map_err(|error| Failure::usage(format!("these are no recovery words: {error}")))
}

fn making(far: Making) -> String {
    format!("Making a backup, {} sent", size(far.sent))
}

fn object(backup: &KeptBackup) -> BackupObject {
    BackupObject {
        v: 1,
        device: backup.device.to_string(),
        me: backup.me,
        version: backup.version,
        created_at: backup.created_at.map(rfc3339),
        messages: backup.messages,
        bytes: backup.bytes,
    }
}

fn offered(offer: &Offer) -> OfferObject {
    let backup = BackupObject {
        v: 1,
        device: offer.device.to_string(),
        me: false,
        version: Some(offer.version),
        created_at: Some(rfc3339(offer.created_at)),
        messages: offer.messages,
        bytes: offer.bytes,
    };
    OfferObject { v: 1, backup, others: offer.others, list_signed_at: rfc3339(offer.list_signed_at) }
}

fn describe(context: &Context, offer: &Offer) -> String {
    let mut text = format!(
        "Backup {} of the device {}, made {}: {} message{}, {}.\nThe account was in use until {} at least. A server that hides a \
         newer backup cannot be found out from here: if yours was newer than this, say no.",
        offer.version,
        offer.device,
        words::clock(offer.created_at, &context.zone),
        offer.messages,
        plural(offer.messages),
        size(offer.bytes),
        words::clock(offer.list_signed_at, &context.zone),
    );
    if offer.others > 0 {
        text.push_str("\nThe server has backups of other devices, too: --from DEVICE restores one of those.");
    }
    text
}

fn line(context: &Context, backup: &KeptBackup) -> String {
    let mut facts = vec![];
    if backup.me {
        facts.push("this one".to_owned());
    }
    match (backup.version, backup.created_at) {
        (Some(version), Some(at)) => {
            facts.push(format!("version {version} of {}", words::clock(at, &context.zone)));
            facts.push(format!("{} message{}", backup.messages, plural(backup.messages)));
        }
        _ => facts.push("not signed by the account's present key".to_owned()),
    }
    facts.push(size(backup.bytes));
    format!("{}  {}", backup.device, facts.join(", "))
}

fn moment(seconds: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
