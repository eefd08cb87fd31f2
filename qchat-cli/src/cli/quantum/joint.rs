//! `quantum run bb84 --room` and `quantum answer`: a simulated run of BB84 with another member of a room.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use qchat_proto::{ids::RoomId, mls::psk::PskKind};
use qchat_quantum::{
    bb84::{
        self,
        joint::{Alice, Bob, wire},
        report::Report,
    },
    distill::AbortReason,
    etsi014::KeyId,
};
use serde_json::json;
use zeroize::{Zeroize as _, Zeroizing};

use super::{report::Shown, run};
use crate::{
    cli::{
        Context,
        failure::{Failure, Outcome},
        json as objects, open,
        progress::{self, Teller},
        quantum_args::{Answer, Bb84, Together},
        rooms,
    },
    engine::{EngineError, ExerciseRun, Handle, Heard},
    quantum::{QuantumError, local},
};

/// How long somebody may take to answer, where nothing else is said.
const ANSWER: Duration = Duration::from_mins(10);
/// The least time that the other end gets for its next message: its machine may be busy.
const NEXT: Duration = Duration::from_mins(1);

/// One end of a run.
enum End {
    Alice(Box<Alice>),
    Bob(Box<Bob>),
}

impl End {
    fn handle(&mut self, said: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Alice(alice) => alice.handle(said),
            Self::Bob(bob) => bob.handle(said),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Alice(alice) => alice.result().is_some(),
            Self::Bob(bob) => bob.result().is_some(),
        }
    }

    fn report(&self) -> Report {
        match self {
            Self::Alice(alice) => alice.report(),
            Self::Bob(bob) => bob.report(),
        }
    }

    fn role(&self) -> &'static str {
        match self {
            Self::Alice(_) => "alice",
            Self::Bob(_) => "bob",
        }
    }
}

/// Asks for a run, and carries it through.
pub(super) async fn ask(context: &Context, arguments: &Bb84, together: &Together) -> Outcome {
    let (Some(room), Some(with)) = (&together.room, &together.with) else {
        return Err(Failure::usage("say with whom: --room ROOM --with USER"));
    };
    let settings = run::bb84_settings(arguments)?;
    if settings.qubits > wire::MOST_PULSES {
        return Err(Failure::usage(format!(
            "a run over a room has {} pulses at most: they travel as messages",
            wire::MOST_PULSES
        )));
    }
    open::with_engine(context, async |handle| {
        open::sync_or_fail(context, handle).await?;
        let id = open::room(handle, room).await?;
        let mut run = handle.ask_exercise(id, with, wire::encode_terms(&settings), together.psk).await?;
        let (end, ended) = progress::telling(&context.settings, "Waiting for an answer", async |teller| {
            if let Err(error) = run.agreed(together.wait.unwrap_or(ANSWER)).await {
                return (None, Err(error));
            }
            let (alice, first) = Alice::begin(&settings);
            let mut end = End::Alice(Box::new(alice));
            let ended = converse(context, &mut run, &mut end, vec![first], teller).await;
            (Some(end), ended)
        })
        .await;
        conclude(context, handle, id, &run, end, ended, together.psk).await
    })
    .await
}

/// Answers somebody who has asked for a run.
pub(super) async fn answer(context: &Context, arguments: &Answer) -> Outcome {
    open::with_engine(context, async |handle| {
        open::sync_or_fail(context, handle).await?;
        let id = open::room(handle, &arguments.room).await?;
        let asked = match (handle.exercise_asked(id).await?, arguments.wait) {
            (Some(asked), _) => asked,
            (None, Some(patience)) => {
                let coming = handle.exercise_comes(id, patience);
                progress::during(&context.settings, "Waiting to be asked", coming).await?
            }
            (None, None) => {
                return Err(Failure::not_found(
                    "nobody asks for a run in this room; --wait waits until somebody does".to_owned(),
                ));
            }
        };
        if arguments.decline {
            handle.decline_exercise(id, &asked).await?;
            told(context, handle, id).await;
            context.output.say(&format!("declined the run that {} has asked for", asked.by));
            return Ok(());
        }
        let Ok(settings) = wire::decode_terms(&asked.terms, local::fresh_seed()? >> 11) else {
            return Err(Failure::refused(format!(
                "{} asks for a run that makes no sense, or is larger than {} pulses; --decline says no",
                asked.by,
                wire::MOST_PULSES
            )));
        };
        consent(context, &asked.by, &settings, asked.mixes, arguments.yes)?;
        let mut run = handle.agree_to_exercise(id, &asked).await?;
        let mut end = End::Bob(Box::new(Bob::new(&settings)));
        let ended = progress::telling(&context.settings, "Simulating", async |teller| {
            converse(context, &mut run, &mut end, vec![], teller).await
        })
        .await;
        conclude(context, handle, id, &run, Some(end), ended, asked.mixes).await
    })
    .await
}

/// Nobody's machine computes because a peer says so.
fn consent(context: &Context, by: &str, settings: &bb84::Settings, mixes: bool, yes: bool) -> Outcome {
    let what = format!(
        "{by} asks this device for a simulated run of BB84 with {} pulses{}",
        settings.qubits,
        if mixes { ", whose key is then mixed into the room and adds no secrecy to it" } else { "" }
    );
    if yes {
        context.output.say(&format!("{what}."));
        return Ok(());
    }
    if context.settings.no_input || !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::usage(format!("{what}: say --yes to take part, or --decline")));
    }
    let mut err = io::stderr().lock();
    write!(err, "{what}. Take part? [y/N] ")?;
    err.flush()?;
    let mut said = String::new();
    io::stdin().read_line(&mut said)?;
    if ["y", "yes"].contains(&said.trim().to_ascii_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::refused("nothing was said to the room; --decline says no to whoever asks"))
}

/// Passes messages between the own end and the other until the own one is over.
async fn converse(
    context: &Context,
    run: &mut ExerciseRun,
    end: &mut End,
    first: Vec<Vec<u8>>,
    teller: &Teller,
) -> Result<(), EngineError> {
    let patience = context.settings.timeout.max(NEXT);
    run.say(&first).await?;
    let mut messages = 0_usize;
    while !end.is_over() {
        match run.next(patience).await? {
            Heard::Said(said) => {
                messages += 1;
                teller.say(format!("Simulating with {}: {messages} messages", run.peer()));
                let answers = end.handle(&said);
                run.say(&answers).await?;
            }
            Heard::Ended => {
                return Err(EngineError::Refused(format!(
                    "{} ended the run before there was a key",
                    run.peer()
                )));
            }
        }
    }
    Ok(())
}

/// Gives what was said last the time to reach the daemon: this program ends, and somebody waits for it. What does not get there now
/// goes with the next command.
async fn told(context: &Context, handle: &Handle, room: RoomId) {
    let telling = handle.all_said(room);
    drop(progress::during(&context.settings, "Telling the other end", telling).await);
}

/// Says how it ended, to the room and here; mixes the key in where that was agreed.
async fn conclude(
    context: &Context,
    handle: &Handle,
    room: RoomId,
    run: &ExerciseRun,
    end: Option<End>,
    ended: Result<(), EngineError>,
    mixes: bool,
) -> Outcome {
    let Some(end) = end.filter(|_| ended.is_ok()) else {
        // The other end need not wait. Why it ended says more than that this could not be said.
        drop(run.end(0).await);
        told(context, handle, room).await;
        return Err(ended.err().map_or_else(|| Failure::unexpected("the run did not begin"), Into::into));
    };
    let mut report = end.report();
    run.end(report.final_key_bits).await?;
    told(context, handle, room).await;
    let mut key = Zeroizing::new(report.key.to_bytes());
    // What is beyond the last whole byte is no whole byte of key.
    key.truncate(report.key.len() / 8);
    report.key.zeroize();
    let mixed = match (mixes, report.aborted) {
        (true, false) => {
            let mixing = run.mix(&key, context.settings.timeout.max(NEXT));
            Some(progress::during(&context.settings, "Mixing the key in", mixing).await)
        }
        _ => None,
    };
    let text = serde_json::to_string(&report).map_err(|_| QuantumError::Malformed("report"))?;
    let mut shown = Shown::new(None, "bb84", &text)?;
    let summary = rooms::summary(handle, room).await?;
    let since = mixed.as_ref().and_then(|mixed| mixed.as_ref().ok().copied().flatten());
    shown.add(&[
        ("role", json!(end.role())),
        ("with", json!(run.peer())),
        ("room", json!(summary.map(|room| room.name))),
        ("room_id", json!(room.to_string())),
        ("exercise", json!(KeyId::from_bytes(run.id()).to_string())),
        (
            "psk",
            json!(since.map(|epoch| json!({
                "kind": objects::psk_kind(PskKind::Exercise), "since_epoch": epoch
            }))),
        ),
    ]);
    let mut notes = vec![];
    match since {
        Some(epoch) => notes.push(format!(
            "The room's keys depend on the run's key since epoch {epoch}, labelled as a simulated BB84 exercise."
        )),
        None if matches!(mixed, Some(Ok(None))) => notes.push(
            "The key is not mixed in yet: the device that offers it does that with whatever it does next.".to_owned(),
        ),
        None => {}
    }
    shown.print(context, &notes)?;
    match (report.abort_reason, mixed) {
        (Some(AbortReason::Protocol), _) => Err(Failure::refused(format!(
            "the protocol was broken in the run with {}: there is no key, and nothing was mixed in",
            run.peer()
        ))),
        (Some(_), _) if mixes => {
            Err(Failure::refused("there is no key, and nothing was mixed in: the room goes on as it was"))
        }
        (_, Some(Err(error))) => Err(error.into()),
        _ => Ok(()),
    }
}
