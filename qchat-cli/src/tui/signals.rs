//! What the system tells the program while it has the terminal, and how it stops for a while.

use std::{io, task::Poll};

use futures_util::{Stream, stream};
use rustix::process::{Signal, getpgrp, getsid, kill_current_process_group};
use tokio::signal::unix::{SignalKind, signal};

/// Something that the system tells the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// To end.
    End,
    /// To give up what it does: to end, unless another program has the terminal, whose user has meant that one.
    Interrupt,
    /// To stop, and give the terminal back meanwhile.
    Suspend,
    /// That it goes on.
    Continue,
}

/// What is told from now on.
pub(super) fn told() -> io::Result<impl Stream<Item = Told> + Unpin> {
    let mut known = [
        (SignalKind::terminate(), Told::End),
        (SignalKind::hangup(), Told::End),
        (SignalKind::interrupt(), Told::Interrupt),
        (SignalKind::from_raw(Signal::TSTP.as_raw()), Told::Suspend),
        (SignalKind::from_raw(Signal::CONT.as_raw()), Told::Continue),
    ]
    .into_iter()
    .map(|(kind, told)| Ok((signal(kind)?, told)))
    .collect::<io::Result<Vec<_>>>()?;
    Ok(stream::poll_fn(move |context| {
        let ready =
            known.iter_mut().find_map(|(signal, told)| signal.poll_recv(context).is_ready().then_some(*told));
        ready.map_or(Poll::Pending, |told| Poll::Ready(Some(told)))
    }))
}

/// Stops this program and those that were started with it, as the shell expects it of what runs before it; they go on when it says so.
/// Returns whether they do: where no shell looks after them, nobody would ever let them go on.
pub(super) fn stop() -> bool {
    // The group of whoever leads the session has no parent in it.
    let looked_after = getsid(None).is_ok_and(|session| session != getpgrp());
    looked_after && kill_current_process_group(Signal::STOP).is_ok()
}
