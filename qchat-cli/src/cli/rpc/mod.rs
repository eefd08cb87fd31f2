//! `qchat rpc`: the commands for programs, over one engine that stays open. JSON-RPC 2.0, a line each, over standard input and
//! output, or over a Unix socket in the profile's directory, where other invocations of qchat find it.

mod call;
mod idle;
mod message;
mod socket;
mod turn;
pub(super) mod warm;

use std::{cell::RefCell, collections::VecDeque, ffi::OsString, ops::ControlFlow, sync::Arc, time::Duration};

use clap::{CommandFactory as _, FromArgMatches as _};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{Fuse, FusedFuture as _, LocalBoxFuture},
    stream::FuturesUnordered,
};
use qchat_proto::ids::RoomId;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, FramedRead};

pub(super) use self::turn::Turn;
use self::{
    idle::Idle,
    message::{Call, Fault, Line},
};
use super::{
    Context, Warm,
    args::Cli,
    failure::{Failure, Outcome},
    follow::{Follower, News, Seen},
    json::{self, MessageObject},
    listen, on_the_engine, open,
    output::{Kept, Output, Printed},
    presence::{PresenceObject, TypingObject},
};
use crate::{
    engine::{Appearance, Handle, types::Connection},
    store::Profile,
};

/// Longest line, bytes: a text of the largest size, of which each byte is written as six characters.
const LONGEST: usize = 256 * 1024;
/// Calls of one peer that are underway; the next is read when one is done.
const UNDERWAY: usize = 32;
/// Answers and notifications that wait for a peer to read.
const WAITING: usize = 64;
/// How long a peer may take to read what is written to it, on a socket.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves until standard input ends, or until it is told to end.
pub(super) async fn serve(context: &Context, socket: bool) -> Outcome {
    let profile = open::profile(context).await?;
    let dir = context.settings.profile_dir();
    // Read before the engine connects: whatever it fetches is news.
    let seen = Seen::stored(&profile).await?;
    Box::pin(open::on_profile(context, profile.clone(), async |handle| {
        let idle = Idle::new(context.settings.lock_after_idle);
        let commands = RefCell::new(Cli::command());
        let engine = Engine { context, handle, profile: &profile, locked: Notify::new(), idle, commands };
        let serving = async {
            if socket {
                socket::serve(&engine, &dir).await
            } else {
                engine.converse(tokio::io::stdin(), tokio::io::stdout(), seen, None).await
            }
        };
        Box::pin(listen::until_told(serving)).await
    }))
    .await
}

/// Prints what can be called.
pub(super) fn schema() -> Outcome {
    Ok(json::write(&mut std::io::stdout().lock(), &call::schema())?)
}

/// The engine that all calls share.
struct Engine<'a> {
    context: &'a Context,
    handle: &'a Handle,
    profile: &'a Profile,
    /// Told when somebody locks the profile.
    locked: Notify,
    /// How long nobody has asked for anything.
    idle: Idle,
    /// The definitions of the commands, made once: they take longer than most calls.
    commands: RefCell<clap::Command>,
}

/// What a call leads to: its answer, where somebody waits for one.
type Underway<'a> = LocalBoxFuture<'a, Option<Value>>;

impl Engine<'_> {
    /// Answers one peer, until it says no more and has all answers. Calls that change something are carried out one after the
    /// other, in the order in which they came; the others at once. What is sent need not have arrived before the next begins, but
    /// it has its place.
    async fn converse(
        &self,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        seen: Seen,
        patience: Option<Duration>,
    ) -> Outcome {
        let (out, outgoing) = mpsc::channel(WAITING);
        let reading = self.read(from, out, seen);
        let writing = write(to, outgoing, patience);
        tokio::try_join!(reading, writing).map(drop)
    }

    async fn read(&self, from: impl AsyncRead + Unpin, out: mpsc::Sender<Value>, seen: Seen) -> Outcome {
        // Not a codec of text: one line that is none must not end the conversation.
        let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), LONGEST);
        let mut lines = FramedRead::new(from, codec);
        let mut underway: FuturesUnordered<Underway<'_>> = FuturesUnordered::new();
        let mut ordered: VecDeque<Underway<'_>> = VecDeque::new();
        let (mut busy, mut ended, mut cut) = (false, false, false);
        let turns = Arc::new(Notify::new());
        let mut following: Fuse<LocalBoxFuture<'_, Outcome>> = Fuse::terminated();
        loop {
            if !busy && let Some(next) = ordered.pop_front() {
                busy = true;
                underway.push(next);
            }
            let line = tokio::select! {
                line = lines.next(), if !ended && underway.len() + ordered.len() < UNDERWAY => line,
                () = turns.notified(), if busy => {
                    busy = false;
                    continue;
                }
                Some(answer) = underway.next(), if !underway.is_empty() => {
                    if let Some(answer) = answer {
                        // A peer that reads no more has ended the writing, and this with it.
                        drop(out.send(answer).await);
                    }
                    continue;
                }
                told = &mut following, if !following.is_terminated() => {
                    told?;
                    continue;
                }
                else => return Ok(()),
            };
            let line = match line {
                // The codec ends once behind a line that was too long, and then goes on with the next.
                None if cut => {
                    cut = false;
                    continue;
                }
                None => {
                    ended = true;
                    // Nobody is left to be told anything but answers.
                    following = Fuse::terminated();
                    continue;
                }
                Some(Ok(line)) if line.trim_ascii().is_empty() => continue,
                Some(Ok(line)) => message::read(&line),
                Some(Err(AnyDelimiterCodecError::MaxChunkLengthExceeded)) => {
                    cut = true;
                    Line::Single(Err((Value::Null, Fault::too_long(LONGEST))))
                }
                Some(Err(AnyDelimiterCodecError::Io(error))) => {
                    return Err(Failure::unexpected(format!("the input cannot be read: {error}")));
                }
            };
            match line {
                Line::Single(Ok(Call { id, method, params })) if method == "subscribe" => {
                    let answer = match self.rooms(&params).await {
                        Ok(only) => {
                            drop(self.idle.asked());
                            following = self.follow(only, seen.clone(), out.clone()).boxed_local().fuse();
                            Ok(json!({ "v": 1, "results": [], "said": [] }))
                        }
                        Err(fault) => Err(fault),
                    };
                    if let Some(id) = id {
                        drop(out.send(message::answer(&id, &answer)).await);
                    }
                }
                Line::Single(Ok(Call { id, method, .. })) if method == "unsubscribe" => {
                    following = Fuse::terminated();
                    if let Some(id) = id {
                        let answer = Ok(json!({ "v": 1, "results": [], "said": [] }));
                        drop(out.send(message::answer(&id, &answer)).await);
                    }
                }
                Line::Single(Ok(call)) if call::only_reads(&call.method) => {
                    underway.push(self.answer(call, None).boxed_local());
                }
                Line::Single(Ok(call)) => {
                    let turn = Turn::new(&turns);
                    ordered.push_back(
                        async move {
                            let answer = self.answer(call, Some(turn.clone())).await;
                            turn.end();
                            answer
                        }
                        .boxed_local(),
                    );
                }
                Line::Single(Err((id, fault))) => drop(out.send(message::answer(&id, &Err(fault))).await),
                Line::Batch(calls) => {
                    let turn = Turn::new(&turns);
                    ordered.push_back(
                        async move {
                            let mut answers = vec![];
                            for call in calls {
                                match call {
                                    Ok(call) => answers.extend(self.answer(call, None).await),
                                    Err((id, fault)) => answers.push(message::answer(&id, &Err(fault))),
                                }
                            }
                            turn.end();
                            (!answers.is_empty()).then_some(Value::Array(answers))
                        }
                        .boxed_local(),
                    );
                }
            }
        }
    }

    /// Carries out a call, which may end its turn before it is done.
    async fn answer(&self, Call { id, method, params }: Call, turn: Option<Turn>) -> Option<Value> {
        let _asked = self.idle.asked();
        let outcome = match method.as_str() {
            warm::SERVES => Ok((params["server"] == self.handle.me().server.as_str()).into()),
            warm::COMMAND_LINE => self.command_line(&params).await,
            warm::LOCK => {
                self.locked.notify_one();
                Ok(Value::Null)
            }
            _ => self.call(&method, &params, turn).await,
        };
        id.map(|id| message::answer(&id, &outcome))
    }

    async fn call(&self, method: &str, params: &Value, turn: Option<Turn>) -> Result<Value, Fault> {
        let words = call::command_line(&self.commands.borrow(), method, params)?;
        let cli = self.parse(words)?;
        let (outcome, printed) = self.carry_out(&cli, (None, turn)).await;
        outcome.map_err(|failure| Fault::of(&failure, &printed)).map(|()| message::result(&printed))
    }

    fn parse(&self, words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Cli, Fault> {
        let matches = self.commands.borrow_mut().try_get_matches_from_mut(words);
        let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
        cli.map_err(|error| Fault::params(words_of(&error)))
    }

    /// Carries out the words of another invocation, and gives it all that it is to print.
    async fn command_line(&self, params: &Value) -> Result<Value, Fault> {
        let wrong = || Fault::params("words of a command line are expected");
        let words = params["words"].as_array().ok_or_else(wrong)?;
        let words: Vec<&str> = words.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?;
        let cli = self.parse(std::iter::once("qchat").chain(words))?;
        if !warm::path(&cli).is_some_and(|path| call::is_method(&path)) {
            return Err(wrong());
        }
        let text = params["text"].as_str().map(ToOwned::to_owned);
        let (outcome, printed) = self.carry_out(&cli, (text, None)).await;
        let failure =
            outcome.err().map(|failure| json!({ "exit": failure.exit_code(), "message": failure.message() }));
        Ok(json!({ "printed": printed, "failure": failure }))
    }

    /// Carries out a command line, and keeps what it prints.
    async fn carry_out(&self, cli: &Cli, (text, turn): (Option<String>, Option<Turn>)) -> (Outcome, Printed) {
        let kept = Kept::default();
        let mut settings = self.context.settings.clone();
        // Whoever calls is no person at this terminal.
        (settings.no_input, settings.quiet) = (true, true);
        let context = Context {
            settings,
            output: Output::kept(kept.clone()),
            zone: self.context.zone.clone(),
            engine: Some(Warm { handle: self.handle.clone(), profile: self.profile.clone(), text, turn }),
        };
        // In a box of its own: this is part of what it calls.
        let outcome = match &cli.command {
            Some(command) => on_the_engine(&context, command).boxed_local().await,
            None => Err(Failure::usage("the screen is opened in a terminal")),
        };
        (outcome, kept.take())
    }

    /// The rooms to follow; all when none is named.
    async fn rooms(&self, params: &Value) -> Result<Vec<RoomId>, Fault> {
        let wrong = || Fault::params("\"rooms\" is an array of names or ids");
        let named: Vec<&str> = match params {
            Value::Null => vec![],
            Value::Array(rooms) if rooms.is_empty() => vec![],
            Value::Object(params) if params.keys().all(|key| key == "rooms") => match params.get("rooms") {
                None | Some(Value::Null) => vec![],
                // What is no name must not lead to all rooms.
                Some(Value::Array(rooms)) => {
                    rooms.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?
                }
                Some(_) => return Err(wrong()),
            },
            _ => return Err(Fault::params("subscribe takes \"rooms\" alone")),
        };
        let mut rooms = vec![];
        for room in named {
            let found = open::room(self.handle, room).await;
            rooms.push(found.map_err(|failure| Fault::of(&failure, &Printed::default()))?);
        }
        Ok(rooms)
    }

    /// Sends what arrives as notifications.
    async fn follow(&self, only: Vec<RoomId>, seen: Seen, out: mpsc::Sender<Value>) -> Outcome {
        // Somebody's program is there.
        self.handle.appear(Appearance::Away, true).await?;
        let mut follower = Follower { handle: self.handle, only, seen };
        follower
            .run(async |news| {
                let notification = match news {
                    News::Line { message, room } => {
                        message::notification("message", &MessageObject::new(message, room))
                    }
                    News::Presence(presence) => {
                        message::notification("presence", &PresenceObject::new(presence))
                    }
                    News::Writing { id, room, users } => {
                        message::notification("typing", &TypingObject::new(id, room, users))
                    }
                    News::Connection(connection) => message::notification("connection", &state(connection)),
                    News::Trouble(sentence) => {
                        message::notification("warning", &json!({ "v": 1, "message": sentence }))
                    }
                };
                let told = out.send(notification).await;
                Ok(if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })
            .await
    }
}

fn state(connection: &Connection) -> Value {
    match connection {
        Connection::Connecting => json!({ "v": 1, "state": "connecting" }),
        Connection::Online(_) => json!({ "v": 1, "state": "online" }),
        Connection::Offline(why) => json!({ "v": 1, "state": "offline", "reason": why }),
    }
}

/// Why the command line of a call is none, in one line.
pub(super) fn words_of(error: &clap::Error) -> String {
    let words = error.render().to_string();
    let first = words.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

async fn write(
    mut to: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Value>,
    patience: Option<Duration>,
) -> Outcome {
    while let Some(value) = outgoing.recv().await {
        let mut line = vec![];
        json::write(&mut line, &value)?;
        let writing = async {
            to.write_all(&line).await?;
            to.flush().await
        };
        match patience {
            None => writing.await?,
            Some(patience) => timeout(patience, writing)
                .await
                .map_err(|_| Failure::unexpected("a peer does not read what it asked for"))??,
        }
    }
    Ok(())
}
