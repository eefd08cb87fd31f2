//! The account at IBM Quantum: from the settings to a way there, and what may be spent.

use std::{
    env, fs,
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::PermissionsExt as _,
};

use keyring::{Entry, Error};
use qchat_quantum::ibm::{ApiKey, Config, IbmError, Program, Usage};
use zeroize::Zeroizing;

use crate::{
    child::IBM_API_KEY,
    cli::{
        Context,
        failure::{Failure, Outcome},
        open, passphrase, progress,
    },
    quantum::{Cloud, Jobs, QuantumError, jobs::month_began},
};

/// Where the keyring has the key.
const ENTRY: (&str, &str) = ("qchat", "ibm-quantum-api-key");

/// The way to IBM Quantum, where an account is configured.
///
/// # Errors
/// When what is configured makes no sense, or the key cannot be had.
pub(super) async fn cloud(context: &Context) -> Outcome<Option<Cloud>> {
    let account = &context.settings.ibm;
    let Some(crn) = &account.crn else { return Ok(None) };
    let mut config = Config::new(crn, key(context).await?).map_err(refused)?;
    if let Some(url) = &account.url {
        config.api_url = url.clone();
    }
    if let Some(url) = &account.iam_url {
        config.iam_url = url.clone();
    }
    config.timeout = context.settings.timeout;
    let program = if account.executor { Program::Executor } else { Program::Sampler };
    Cloud::new(config, program, account.budget).map(Some).map_err(refused)
}

/// The same where nothing goes without.
pub(super) async fn expect_cloud(context: &Context) -> Outcome<Cloud> {
    cloud(context).await?.ok_or_else(|| {
        Failure::usage(
            "no account at IBM Quantum is configured: say --ibm-crn and --ibm-key-file, which are settings too",
        )
    })
}

/// The API key: from a file, the environment, or the keyring. Never from the command line, which everybody can read.
async fn key(context: &Context) -> Outcome<ApiKey> {
    let text = if let Some(path) = &context.settings.ibm.key_file {
        let failed = |error: io::Error| {
            Failure::locked(format!("the file of the API key, {}, cannot be read: {error}", path.display()))
        };
        let file = fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            context.output.say(&format!(
                "warning: others can read the API key in {}; chmod 600 keeps it to you",
                path.display()
            ));
        }
        passphrase::first_line(file).map_err(failed)?
    } else if let Ok(text) = env::var(IBM_API_KEY) {
        Zeroizing::new(text)
    } else {
        match open::blocking(|| entry()?.get_password()).await? {
            Ok(text) => Zeroizing::new(text),
            Err(Error::NoEntry | Error::NoDefaultStore) => {
                return Err(Failure::locked(format!(
                    "there is no API key of IBM Quantum: say --ibm-key-file F, or set {IBM_API_KEY}, or put it into the keyring with `qchat \
                     quantum key`"
                )));
            }
            Err(error) => return Err(keyring_failed(&error)),
        }
    };
    let word = Zeroizing::new(text.trim().to_owned());
    ApiKey::new(&word).map_err(refused)
}

/// Puts the key into the keyring, or takes it out.
pub(super) async fn keep_key(context: &Context, forget: bool) -> Outcome {
    if forget {
        return match open::blocking(|| entry()?.delete_credential()).await? {
            Ok(()) | Err(Error::NoEntry) => {
                context.output.say("the keyring holds no API key of IBM Quantum");
                Ok(())
            }
            Err(error) => Err(keyring_failed(&error)),
        };
    }
    let text = if io::stdin().is_terminal() && !context.settings.no_input {
        rpassword::prompt_password("API key of IBM Quantum: ").map(Zeroizing::new)
    } else {
        passphrase::first_line(io::stdin().lock())
    };
    let text = Zeroizing::new(text?.trim().to_owned());
    ApiKey::new(&text).map_err(refused)?;
    open::blocking(move || entry()?.set_password(&text)).await?.map_err(|error| keyring_failed(&error))?;
    context.output.say("the keyring holds the API key");
    Ok(())
}

fn entry() -> Result<Entry, Error> {
    Entry::new(ENTRY.0, ENTRY.1)
}

fn keyring_failed(error: &Error) -> Failure {
    let why = match error {
        // Its bytes may be those of the key.
        Error::BadEncoding(_) => "what it holds is no key".to_owned(),
        error => error.to_string(),
    };
    Failure::locked(format!("the keyring cannot be used ({why}); say --ibm-key-file F, or set {IBM_API_KEY}"))
}

fn refused(error: IbmError) -> Failure {
    match error {
        error @ IbmError::PlainHttp { .. } => Failure::refused(error.to_string()),
        error => Failure::usage(error.to_string()),
    }
}

/// What the instance may use.
///
/// # Errors
/// What IBM says.
pub(super) async fn usage(context: &Context, cloud: &Cloud) -> Result<Usage, QuantumError> {
    let usage = progress::during(&context.settings, "Asking what may be used", cloud.client().usage());
    Ok(usage.await?)
}

/// Sees to it that as many seconds may be spent as a job may take that is believed to take so many: by the own budget, by the
/// instance's, and by whoever sits there.
pub(super) async fn allow(
    context: &Context,
    (jobs, cloud): (&Jobs, &Cloud),
    (backend, seconds): (&str, f64),
    usage: &Usage,
    yes: bool,
) -> Outcome {
    let most = Cloud::most(seconds);
    let budget = cloud.budget();
    let month = month_began();
    let spent =
        jobs.store().with(move |store| store.seconds_since(month)).await.map_err(QuantumError::from)?;
    if spent + most > budget {
        return Err(Failure::refused(format!(
            "the job may take {most:.0} s of {backend}, and {:.0} of the {budget:.0} s of this month are left; --ibm-budget \
             raises them",
            (budget - spent).max(0.0)
        )));
    }
    let left = usage.remaining.unwrap_or(f64::INFINITY);
    if usage.reached || left < seconds {
        return Err(Failure::refused(format!(
            "the job may take {seconds:.0} s of {backend}, and the instance has {:.0} s left in its period; wait for the next one, \
             or use --backend local",
            left.min(1e6)
        )));
    }
    if yes {
        return Ok(());
    }
    if context.settings.no_input || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::usage("say --yes to spend time of a quantum computer without being asked"));
    }
    let mut err = io::stderr().lock();
    write!(
        err,
        "This takes some {seconds:.0} s of {backend}, and {most:.0} at most; {spent:.0} of {budget:.0} s are spent this month. Go on? [y/N] "
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::refused("nothing was submitted"))
}
