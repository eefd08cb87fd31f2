//! The first run of the screen: it asks, and the engine makes the profile.

use std::{cell::RefCell, path::PathBuf};

use qchat_proto::identity::{RecoveryKey, link::Code};
use tokio::sync::{mpsc, oneshot};

use super::{Context, args, failure::Outcome, passphrase};
use crate::{
    engine::{self, Choice, EngineError, LinkStage, Offer, RestoreStage, Server, Stage},
    store::Profile,
    tui::{
        Passphrase, Theme, Words,
        welcome::{self, Done, Task, Told, Welcome, Who},
    },
};

/// Leads whoever has no profile yet to one; `None` when they leave without.
pub(super) async fn welcome(context: &Context, theme: Theme, words: Words) -> Outcome<Option<Profile>> {
    let settings = &context.settings;
    let passphrase = passphrase::said(settings).transpose()?.map(Passphrase::from);
    let first = Welcome::new(settings.server.as_ref(), passphrase, args::server, words);
    let clerk = Clerk { context, dir: settings.profile_dir(), made: RefCell::default(), words };
    let entered = welcome::open(first, theme, &clerk).await?;
    Ok(clerk.made.take().filter(|_| entered))
}

/// Whoever makes the profile.
struct Clerk<'a> {
    context: &'a Context,
    dir: PathBuf,
    /// The profile, once there is one.
    made: RefCell<Option<Profile>>,
    words: Words,
}

impl welcome::Clerk for Clerk<'_> {
    async fn perform(&self, task: Task, told: mpsc::Sender<Told>) -> Result<Done, String> {
        let done = match task {
            Task::Register(who) => Box::pin(self.register(who, &told)).await,
            Task::Link(who) => Box::pin(self.link(who, &told)).await,
            Task::Restore(who, words) => Box::pin(self.restore(who, &words, &told)).await,
            Task::Confirm => self.confirm().await,
        };
        done.map_err(|error| error.to_string())
    }
}

impl Clerk<'_> {
    fn server(&self, who: &Who) -> Server {
        let Choice { trust, key_exchange } = self.context.settings.tls;
        Server { url: who.server.clone(), trust: trust.unwrap_or_default(), key_exchange }
    }

    async fn register(&self, who: Who, told: &mpsc::Sender<Told>) -> Result<Done, EngineError> {
        let new = self.context.settings.new_vault(who.passphrase.expose().clone());
        let words = self.words;
        let stage = |stage| {
            tell(
                told,
                match stage {
                    Stage::DerivingKeys => words.deriving_key(),
                    Stage::MakingKeys => words.making_keys(),
                    Stage::Registering => words.registering(),
                },
            );
        };
        let (server, timeout) = (self.server(&who), self.context.settings.timeout);
        let made = engine::register(&self.dir, server, who.name, new, timeout, stage).await?;
        self.made.replace(Some(made.profile));
        match made.recovery_words {
            Some(words) => {
                let places = engine::recovery::two_of(words.split_whitespace().count())?;
                Ok(Done::Registered(words, places))
            }
            None => Ok(Done::Entered),
        }
    }

    async fn link(&self, who: Who, told: &mpsc::Sender<Told>) -> Result<Done, EngineError> {
        let new = self.context.settings.new_vault(who.passphrase.expose().clone());
        let words = self.words;
        let stage = |stage| {
            tell(
                told,
                match stage {
                    LinkStage::DerivingKeys => words.deriving_key(),
                    LinkStage::WaitingForAnswer => words.waiting_for_device(),
                    LinkStage::WaitingForApproval => words.waiting_for_yes(),
                    LinkStage::Taking => words.taking_over(),
                },
            );
        };
        let same = async |code: &Code| ask(told, compared(*code)).await;
        let (server, device) = (self.server(&who), engine::host_name());
        let timeout = self.context.settings.timeout;
        let linking = engine::link(&self.dir, server, who.name, device, new, timeout, stage, same);
        self.made.replace(Some(linking.await?));
        Ok(Done::Entered)
    }

    async fn restore(
        &self,
        who: Who,
        words: &Passphrase,
        told: &mpsc::Sender<Told>,
    ) -> Result<Done, EngineError> {
        let key = RecoveryKey::from_words(words.expose())
            .map_err(|error| EngineError::Invalid(self.words.bad_words(error.to_string())))?;
        let new = self.context.settings.new_vault(who.passphrase.expose().clone());
        let said = self.words;
        let stage = |stage| match stage {
            RestoreStage::Looking => tell(told, said.looking_for_backups()),
            RestoreStage::Joining => tell(told, said.making_device()),
            RestoreStage::Fetching { done, of } => tell(told, said.fetching_backup(done, of)),
        };
        let agree = async |offer: &Offer| ask(told, self.offered(offer)).await;
        let server = self.server(&who);
        let restoring = engine::restore(
            &self.dir,
            server,
            who.name,
            key,
            new,
            None,
            self.context.settings.timeout,
            stage,
            agree,
        );
        self.made.replace(Some(restoring.await?.profile));
        Ok(Done::Entered)
    }

    async fn confirm(&self) -> Result<Done, EngineError> {
        let made = self.made.borrow().clone();
        if let Some(profile) = made {
            engine::recovery::confirm(&profile).await?;
        }
        Ok(Done::Entered)
    }

    /// What is said of a backup before it is restored.
    fn offered(&self, offer: &Offer) -> String {
        let at = self.context.zone.show(offer.created_at);
        let at = format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute());
        let mut said = self.words.backup_offered(at, offer.messages);
        if offer.others > 0 {
            said.extend(["\n", &self.words.backups_of_others(offer.others)]);
        }
        said
    }
}

/// What does not fit into the channel is passed over: a later word says more.
fn tell(told: &mpsc::Sender<Told>, words: impl Into<String>) {
    let _ = told.try_send(Told::Far(words.into()));
}

/// Asks the user. Whoever left has said no.
async fn ask(told: &mpsc::Sender<Told>, words: String) -> Result<bool, EngineError> {
    let (answer, answered) = oneshot::channel();
    let sent = told.send(Told::Ask(words, answer)).await;
    Ok(sent.is_ok() && answered.await.unwrap_or(false))
}

fn compared(code: Code) -> String {
    let emoji = code.emoji();
    format!(
        "{}\n{}\n{}",
        emoji.map(|emoji| emoji.picture).join("  "),
        emoji.map(|emoji| emoji.name).join(" "),
        code.digits()
    )
}
